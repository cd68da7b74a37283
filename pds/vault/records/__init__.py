"""Records: what the holder keeps, with where it came from and every version of it."""

from pds.vault.schemas import Category, Field, RecordError

from .bulk import Bulk, Sieve, Slices, Verdict
from .model import ABOUT, ALWAYS, ASSURANCES, Batch, PathValue, Record, Undone, Validity
from .origins import Change, Older, Origin
from .search import Page, Query
from .service import MAX_PAGE, Records, is_id

__all__ = [
    "ABOUT",
    "ALWAYS",
    "ASSURANCES",
    "MAX_PAGE",
    "Batch",
    "Bulk",
    "Category",
    "Change",
    "Field",
    "Older",
    "Origin",
    "Page",
    "PathValue",
    "Query",
    "Record",
    "RecordError",
    "Records",
    "Sieve",
    "Slices",
    "Undone",
    "Validity",
    "Verdict",
    "is_id",
]
