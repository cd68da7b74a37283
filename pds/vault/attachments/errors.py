"""What can be wrong with an attachment, and the system's refusals in the same form."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from pds.errors import PdsError


class AttachmentError(PdsError):
    """What a caller can tell apart, by ``code``:

    attachment.not_found     there is none of that id
    attachment.unreadable    what is to be attached is no file, or cannot be read
    attachment.too_large     it is larger than an attachment may be
    attachment.missing       its file is not in the vault's folder
    attachment.damaged       its file was changed, cut off or taken for another
    attachment.exists        there is something where it was to be saved
    attachment.no_space      the disk, or what may be used of it, is full
    attachment.not_allowed   the folder cannot be written
    """

    default_code = "attachment.damaged"


_SYSTEM = {
    **dict.fromkeys(
        (errno.ENOSPC, errno.EDQUOT, errno.EFBIG),
        ("attachment.no_space", "there is no space left for the file", "Free some space."),
    ),
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM, errno.EROFS),
        (
            "attachment.not_allowed",
            "the folder cannot be written",
            "Check the owner and the mode of the folder, or choose another.",
        ),
    ),
}


@contextmanager
def written() -> Iterator[None]:
    """Turn a full disk and a folder that cannot be written into AttachmentError."""
    try:
        yield
    except OSError as error:
        known = _SYSTEM.get(error.errno or 0)
        if known is None:
            raise
        code, sentence, hint = known
        raise AttachmentError(f"{sentence}; nothing was kept", code=code, hint=hint) from error


def damaged() -> AttachmentError:
    """The one error for every file that is not what was written."""
    return AttachmentError(
        "an attachment is damaged",
        hint="Restore it from a backup. 'pds vault check' says which items are concerned.",
    )


def missing() -> AttachmentError:
    return AttachmentError(
        "the file of an attachment is missing",
        code="attachment.missing",
        hint="Restore it from a backup. 'pds vault check' says which items are concerned.",
    )


def not_found() -> AttachmentError:
    return AttachmentError(
        "there is no such attachment",
        code="attachment.not_found",
        hint="See: pds data attachments ITEM",
    )
