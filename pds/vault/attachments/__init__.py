"""Attachments: files of any kind that belong to a record, encrypted beside the database.

    attachments/3f…        24 bytes of header, then chunks of 64 KiB + 17, nothing else

Each file has a random name and a random key of its own. Key, size, digest and the name that people
see stand in the encrypted database only, so whoever deletes the row has destroyed the content, and
nothing has to be overwritten on a disk that does not overwrite in place.

The rules, and where they are kept:

1. A row says that a file is whole: it is committed after file and folder are durable. A file
   without a row is nothing and is removed; there is no second, temporary name. (``keeper``)
2. Who writes or copies files holds the folder together with others, who removes holds it alone:
   nobody takes away what another program is about to name. (``folder``)
3. A stream is read in order to its end, or refused; the last bytes of an attachment come out only
   when its end and its SHA-256 held. (``stream``)
4. An attachment belongs to a record, not to one of its versions: an edit leaves it, a deletion of
   the record, or of a batch that brought both, takes it along. When it came and went stands in the
   history. The same content twice in one record is one attachment.
"""

from pds.vault.attachments.errors import AttachmentError
from pds.vault.attachments.keeper import MAX_BYTES, Attachment, Attachments, Damaged
from pds.vault.attachments.names import media_type, safe_name

__all__ = [
    "MAX_BYTES",
    "Attachment",
    "AttachmentError",
    "Attachments",
    "Damaged",
    "media_type",
    "safe_name",
]
