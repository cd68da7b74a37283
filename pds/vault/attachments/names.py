"""What a file is called on the way out, and what it seems to be. Both were said by a stranger.

The types are told from a short table of our own: they are for showing and for a suggestion to
other programs, nothing here or anywhere acts on them, and a library that knows a thousand types
would be a thousand parsers.
"""

import re
import unicodedata
from collections.abc import Mapping

UNKNOWN = "application/octet-stream"
_NAMELESS = "attachment"
_MAX_BYTES = 200  # file systems take 255; some room for what other programs add
_MAX_ENDING = 16

# What Windows takes for a device, with any ending; superscript digits count there too.
_DEVICE = re.compile(r"(?:con|prn|aux|nul|clock\$|conin\$|conout\$|(?:com|lpt)[0-9¹²³])", re.I)
_FORBIDDEN = re.compile(r'[<>:"|?*]')


def safe_name(text: str) -> str:
    """A name under which any system can save a file, from whatever somebody called theirs.

    Guaranteed: one part without a path, 1 to 200 bytes of UTF-8 in form NFC, every character
    visible or a single space within; it does not begin with a full stop, a space or a hyphen, does
    not end with a full stop or a space, is no device of Windows, and is its own safe name. *Not*
    guaranteed: that the ending says what the file is, or that two names differ.
    """
    last = re.split(r"[/\\]", text)[-1]
    shown = "".join(filter(None, map(_visible, unicodedata.normalize("NFC", last))))
    # Taking invisible characters out may have brought others together.
    name = _trimmed(_FORBIDDEN.sub("_", unicodedata.normalize("NFC", shown)))
    if not name:
        return _NAMELESS
    if name.startswith("-") or _DEVICE.fullmatch(name.partition(".")[0].rstrip()):
        name = f"_{name}"
    return _shortened(name)


def _visible(character: str) -> str:
    kind = unicodedata.category(character)
    if kind[0] == "Z" or character in "\t\n\r":
        return " "
    return "" if kind[0] == "C" else character  # control, format (bidirectional too), surrogates


def _trimmed(name: str) -> str:
    return " ".join(name.split()).strip(" .")


def _shortened(name: str) -> str:
    if len(name.encode()) <= _MAX_BYTES:
        return name
    stem, dot, ending = name.rpartition(".")
    if not stem or len(ending) > _MAX_ENDING or not ending.isascii():
        stem, dot, ending = name, "", ""
    room = _MAX_BYTES - len(dot + ending)
    return _trimmed(stem.encode()[:room].decode(errors="ignore")) + dot + ending


# First bytes, behind so many others, and what they begin.
_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (4, b"ftypheic", "image/heic"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftypqt  ", "video/quicktime"),
    (4, b"ftypM4A ", "audio/mp4"),
    (4, b"ftyp", "video/mp4"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3"),
)

# Endings that say more than first bytes can: what is text, and what is a ZIP within.
_OFFICE = "application/vnd.openxmlformats-officedocument"
_OPEN = "application/vnd.oasis.opendocument"
_IN_ZIP: Mapping[str, str] = {
    "docx": f"{_OFFICE}.wordprocessingml.document",
    "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    "pptx": f"{_OFFICE}.presentationml.presentation",
    "odt": f"{_OPEN}.text",
    "ods": f"{_OPEN}.spreadsheet",
    "odp": f"{_OPEN}.presentation",
    "epub": "application/epub+zip",
}
_IN_TEXT: Mapping[str, str] = {
    "txt": "text/plain",
    "md": "text/markdown",
    "csv": "text/csv",
    "html": "text/html",
    "htm": "text/html",
    "xml": "application/xml",
    "svg": "image/svg+xml",
    "json": "application/json",
    "vcf": "text/vcard",
    "ics": "text/calendar",
    "eml": "message/rfc822",
    "asc": "application/pgp-signature",
}


def media_type(name: str, head: bytes) -> str:
    """What a file seems to be, by its first bytes, else by its ending; always one of a short list.

    A guess from what a stranger wrote: HTML can hide in an image. Whoever hands the content on
    does so as a download, never to be shown as what it says it is.
    """
    ending = name.rpartition(".")[2].lower()
    for start, magic, kind in _MAGIC:
        if head.startswith(magic, start):
            return _IN_ZIP.get(ending, kind) if kind == "application/zip" else kind
    return UNKNOWN if b"\0" in head else _IN_TEXT.get(ending, UNKNOWN)
