"""What a file is, by content; its name may say anything."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path

from did.resolve import OFFLINE, Resolver
from did.time import utc_now
from pds.vault.schemas import BUILT_IN, Catalogue

from .camt import camt_reader
from .credential import credential_reader, looks_like_token
from .csv import csv_reader, looks_like_csv
from .fhir import fhir_reader
from .icalendar import icalendar_reader
from .mappings import SavedMapping
from .mbox import BEGINNING, mbox_reader
from .ofx import ofx_reader
from .plan import ImportFailed, Read
from .schema_org import schema_org_reader
from .source import Source
from .takeout import is_of_service, takeout_reader
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
    (b":CAMT.052.", "camt052"),
    (b":CAMT.053.", "camt053"),
    (b":CAMT.054.", "camt054"),
    (b"BKTOCSTMRACCTRPT>", "camt052"),
    (b"BKTOCSTMRSTMT>", "camt053"),
    (b"BKTOCSTMRDBTCDTNTFCTN>", "camt054"),
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
_CREDENTIALS = (b'"credentialSubject"', b'"verifiableCredential"', b"EnvelopedVerifiableCredential")
_SCHEMA_ORG = re.compile(rb'"@(?:context|type)"')
_READERS: Mapping[str, Callable[[Source], Read]] = {
    "vcard": vcard_reader,
    "icalendar": icalendar_reader,
    "ofx": ofx_reader,
    "camt052": camt_reader,
    "camt053": camt_reader,
    "camt054": camt_reader,
    "fhir": fhir_reader,
    "mbox": mbox_reader,
    "jsonld": schema_org_reader,
}
# Every kind, in the words of the command line.
KINDS: Mapping[str, str] = {
    "vcard": "contacts (vCard)",
    "csv": "a table (CSV)",
    "icalendar": "a calendar (iCalendar)",
    "ofx": "statements of a bank (OFX)",
    "camt052": "reports of a bank on a day that is not over (camt.052)",
    "camt053": "statements of a bank (camt.053)",
    "camt054": "notifications of a bank (camt.054)",
    "mbox": "an archive of mail (mbox)",
    "fhir": "health records (FHIR, JSON)",
    "archive": "the archive of a large service, or a file of one (ZIP, JSON)",
    "jsonld": "things of schema.org (JSON-LD)",
    "credential": "credentials that others issued (JSON, JWT, SD-JWT)",
}
_RESOURCE = b'"resourceType"'
_HINT = "What can be imported: " + "; ".join(KINDS.values()) + "."


def detect(data: bytes | Path | Source) -> str:
    """One of ``KINDS``. Raises ImportFailed: ``import.unsupported`` names a kind that is known
    but not read, ``import.unknown_kind`` is everything else."""
    source = Source.of(data)
    start = source.head()
    for mark in _MARKS:
        start = start.removeprefix(mark)
    # NULs out of the way, so that UTF-16 begins as the same letters do elsewhere.
    begin = start.replace(b"\x00", b"").lstrip()
    if looks_like_token(begin.decode("latin-1")):
        return "credential"
    if BEGINNING.match(begin) is not None:
        return "mbox"
    begin = begin.upper()
    for magic, kind in _BEGINNINGS:
        if begin.startswith(magic):
            return kind
    if begin.startswith(b"<"):
        for inside, kind in _IN_XML:
            if inside in begin:
                return kind
    if begin.startswith((b"{", b"[")) and _RESOURCE in source.head(65_536).replace(b"\x00", b""):
        return "fhir"
    if begin.startswith((b"{", b"[")):
        kind = _json_kind(source)
        if kind:
            return kind
    for magic, name in _OTHERS:
        if begin.startswith(magic):
            raise ImportFailed(
                f"This looks like {name}; such files are not imported yet.",
                code="import.unsupported",
                hint=_HINT,
            )
    if is_of_service(source):
        return "archive"
    if looks_like_csv(source):
        return "csv"
    raise ImportFailed("This is no file of a known kind.", code="import.unknown_kind", hint=_HINT)


def _json_kind(source: Source) -> str:
    """The kind of a JSON file by the names in its beginning; empty for one that is not known."""
    head = source.head(65_536).replace(b"\x00", b"")
    if any(name in head for name in _CREDENTIALS):
        return "credential"
    if is_of_service(source):
        return "archive"
    return "jsonld" if b"schema.org" in head and _SCHEMA_ORG.search(head) else ""


def reader(
    data: bytes | Path | Source,
    *,
    kind: str | None = None,
    mapping: Mapping[str, str] | None = None,
    resolver: Resolver = OFFLINE,
    now: datetime | None = None,
    words: Catalogue = BUILT_IN,
    saved: Sequence[SavedMapping] = (),
) -> tuple[str, Read]:
    """The kind of a file and how it is read; ``kind`` ends the guessing, ``mapping`` is for CSV.
    ``resolver`` and ``now`` are for the keys and times of credentials, ``words`` and ``saved`` for
    the categories and mappings of tables.

    Raises ImportFailed as ``detect`` and the readers do.
    """
    source = Source.of(data)
    found = kind or detect(source)
    if found == "csv":
        return found, csv_reader(source, mapping, words=words, saved=saved)
    if found == "archive":
        return takeout_reader(source)
    if found == "credential":
        return found, credential_reader(source, resolver=resolver, now=now or utc_now())
    return found, _READERS[found](source)
