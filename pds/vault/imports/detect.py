"""What a file is, by content; its name may say anything."""

from collections.abc import Callable, Mapping
from pathlib import Path

from .camt import camt_reader
from .csv import csv_reader, looks_like_csv
from .icalendar import icalendar_reader
from .ofx import ofx_reader
from .plan import ImportFailed, Read
from .source import Source
from .takeout import takeout_reader
from .vcard import vcard_reader

_MARKS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff")
# How a file of each kind begins, in capitals and without spaces before it.
_BEGINNINGS = (
    (b"BEGIN:VCARD", "vcard"),
    (b"BEGIN:VCALENDAR", "icalendar"),
    (b"OFXHEADER", "ofx"),
    (b"<OFX>", "ofx"),
    (b"PK\x03\x04", "archive"),
)
# What is in the first bytes of an XML file of each kind, in capitals.
_IN_XML = (
    (b"<?OFX", "ofx"),
    (b"<OFX>", "ofx"),
    (b":CAMT.053.", "camt053"),
    (b"BKTOCSTMRSTMT>", "camt053"),
)
# Beginnings of what people will try, so that the refusal can name it.
_OTHERS = (
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"<?XML", "an XML file"),
    (b"<", "an XML or HTML file"),
    (b"{", "a JSON file"),
    (b"[", "a JSON file"),
)
_READERS: Mapping[str, Callable[[Source], Read]] = {
    "vcard": vcard_reader,
    "icalendar": icalendar_reader,
    "ofx": ofx_reader,
    "camt053": camt_reader,
}
KINDS = ("vcard", "csv", "icalendar", "ofx", "camt053", "archive")
_HINT = (
    "vCard (.vcf), iCalendar (.ics), OFX, camt.053 and CSV files can be imported, and the ZIP"
    " archives of large services."
)


def detect(data: bytes | Path | Source) -> str:
    """One of ``KINDS``. Raises ImportFailed: ``import.unsupported`` names a kind that is known
    but not read, ``import.unknown_kind`` is everything else."""
    source = Source.of(data)
    start = source.head()
    for mark in _MARKS:
        start = start.removeprefix(mark)
    # NULs out of the way, so that UTF-16 begins as the same letters do elsewhere.
    begin = start.replace(b"\x00", b"").lstrip().upper()
    for magic, kind in _BEGINNINGS:
        if begin.startswith(magic):
            return kind
    if begin.startswith(b"<"):
        for inside, kind in _IN_XML:
            if inside in begin:
                return kind
    for magic, name in _OTHERS:
        if begin.startswith(magic):
            raise ImportFailed(
                f"This looks like {name}; such files are not imported yet.",
                code="import.unsupported",
                hint=_HINT,
            )
    if looks_like_csv(source):
        return "csv"
    raise ImportFailed("This is no file of a known kind.", code="import.unknown_kind", hint=_HINT)


def reader(
    data: bytes | Path | Source,
    *,
    kind: str | None = None,
    mapping: Mapping[str, str] | None = None,
) -> tuple[str, Read]:
    """The kind of a file and how it is read; ``kind`` ends the guessing, ``mapping`` is for CSV.

    Raises ImportFailed as ``detect`` and the readers do.
    """
    source = Source.of(data)
    found = kind or detect(source)
    if found == "csv":
        return found, csv_reader(source, mapping)
    if found == "archive":
        return takeout_reader(source)
    return found, _READERS[found](source)
