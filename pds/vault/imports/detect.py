"""What a file is, by content; its name may say anything."""

import os
import stat
from pathlib import Path

from .csv import looks_like_csv, read_csv
from .plan import ImportFailed, Reading
from .text import MAX_FILE_BYTES, check_size
from .vcard import read_vcard

_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
# Beginnings of what people will try, so that the refusal can name it.
_OTHERS = (
    (b"PK\x03\x04", "a ZIP archive or an office document"),
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"BEGIN:VCALENDAR", "a calendar (iCalendar)"),
    (b"OFXHEADER", "a bank file (OFX)"),
    (b"<?XML", "an XML file"),
    (b"<", "an XML or HTML file"),
    (b"{", "a JSON file"),
    (b"[", "a JSON file"),
)


def load(path: Path | str) -> bytes:
    """The bytes of a regular file of at most 64 MiB.

    Raises ImportFailed ``import.unreadable`` or ``import.too_large``.
    """
    try:
        # Without O_NONBLOCK a named pipe would hang the opening.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
                raise ImportFailed("Only a regular file can be imported.", code="import.unreadable")
            raw = stream.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ImportFailed(
            "The file cannot be read.", code="import.unreadable", hint="Check the path."
        ) from error
    check_size(raw)
    return raw


def detect(file: bytes | Path) -> str:
    """``vcard`` or ``csv``. Raises ImportFailed: ``import.unsupported`` names a kind that is known
    but not read yet, ``import.unknown_kind`` is everything else."""
    raw = load(file) if isinstance(file, Path) else file
    check_size(raw)
    start = raw[:4096]
    for mark in _MARKS:
        start = start.removeprefix(mark)
    # NULs out of the way, so that UTF-16 begins as the same letters do elsewhere.
    begin = start.replace(b"\x00", b"").lstrip().upper()
    if begin.startswith(b"BEGIN:VCARD"):
        return "vcard"
    for magic, name in _OTHERS:
        if begin.startswith(magic):
            raise ImportFailed(
                f"This looks like {name}; such files are not imported yet.",
                code="import.unsupported",
                hint="vCard (.vcf) and CSV files can be imported.",
            )
    if looks_like_csv(raw):
        return "csv"
    raise ImportFailed(
        "This is no file of a known kind.",
        code="import.unknown_kind",
        hint="vCard (.vcf) and CSV files can be imported.",
    )


def read(file: bytes | Path) -> Reading:
    """Detect and read a file with everything by default."""
    raw = load(file) if isinstance(file, Path) else file
    return read_vcard(raw) if detect(raw) == "vcard" else read_csv(raw)
