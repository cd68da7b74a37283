"""Reading what companies and phones hand out: files only, never other people's logins.

A file goes through four steps, and nothing is written before the last:

    detect      what it is, by content
    read_…      a Reading: drafts of records, and a list of what could not be read
    make_plan   an ImportPlan: what would be added, what is already there
    apply       one transaction, one batch that can be undone

One bad entry never stops the others. A problem says where (the line), a stable code and a
sentence; it never repeats what the file says there. Files are hostile input: sizes, lines, entries
and fields are capped before anything is built from them.
"""

from .csv import CsvShape, inspect_csv, read_csv
from .detect import detect, load, read
from .plan import (
    Applied,
    Draft,
    ImportFailed,
    ImportPlan,
    Problem,
    Reading,
    apply,
    make_plan,
)
from .vcard import read_vcard

__all__ = [
    "Applied",
    "CsvShape",
    "Draft",
    "ImportFailed",
    "ImportPlan",
    "Problem",
    "Reading",
    "apply",
    "detect",
    "inspect_csv",
    "load",
    "make_plan",
    "read",
    "read_csv",
    "read_vcard",
]
