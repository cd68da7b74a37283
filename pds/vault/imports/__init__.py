"""Reading what companies and phones hand out: files only, never other people's logins.

A file goes through four steps, and nothing is written before the last:

    detect      what it is, by content
    …_reader    how it is read: a function that finds drafts of records, one after another, and
                lists what cannot be read
    make_plan   the preview: what would be added, what is already there; it reads the file through
    apply       reads it again, in one transaction, into one batch that can be undone

So no file is ever held in memory, and no part of it is written anywhere but into the vault.

One bad entry never stops the others. A problem says where (the line), a stable code and a
sentence; it never repeats what the file says there. Files are hostile input: lines, entries
and fields are capped before anything is built from them.
"""

from .camt import camt_reader
from .csv import CsvShape, csv_reader, inspect_csv
from .detect import KINDS, detect, reader
from .fhir import fhir_reader
from .icalendar import icalendar_reader
from .mappings import SavedMapping, remove_mapping, save_mapping, saved_mappings
from .mbox import mbox_reader
from .ofx import ofx_reader
from .plan import (
    Applied,
    Draft,
    Findings,
    ImportFailed,
    ImportPlan,
    Problem,
    Reading,
    apply,
    make_plan,
)
from .source import Source
from .takeout import described_reader
from .vcard import vcard_reader

__all__ = [
    "KINDS",
    "Applied",
    "CsvShape",
    "Draft",
    "Findings",
    "ImportFailed",
    "ImportPlan",
    "Problem",
    "Reading",
    "SavedMapping",
    "Source",
    "apply",
    "camt_reader",
    "csv_reader",
    "described_reader",
    "detect",
    "fhir_reader",
    "icalendar_reader",
    "inspect_csv",
    "make_plan",
    "mbox_reader",
    "ofx_reader",
    "reader",
    "remove_mapping",
    "save_mapping",
    "saved_mappings",
    "vcard_reader",
]
