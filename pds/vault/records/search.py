"""What is asked of the records, and a page of the answer."""

from dataclasses import dataclass
from datetime import date

from pds.vault.schemas import RecordError
from pds.vault.store.record_index import FIRST, LAST, span
from pds.vault.store.words import label, name_key

from .model import ABOUT, Record


@dataclass(frozen=True, slots=True)
class Query:
    """Which records; what is not given does not matter, and all that is given must be true.

    ``text``: each word of it begins some word of the record, whatever the case and the accents.
    ``start`` and ``end``: days, both within, of what happened; where a record names no time, of
    when it was first kept. ``companies``: one of these names, without regard to case, accents and
    punctuation. ``tag`` likewise. RecordError ``data.query``.
    """

    text: str | None = None
    category: str | None = None
    start: date | None = None
    end: date | None = None
    source: str | None = None
    companies: tuple[str, ...] = ()
    tag: str | None = None
    about: str | None = None

    def __post_init__(self) -> None:
        if self.about is not None and self.about not in ABOUT:
            raise RecordError(
                "A record is about the holder or about someone else.",
                code="data.query",
                hint="about is one of: " + ", ".join(ABOUT) + ".",
            )

    def labels(self) -> list[list[str]]:
        """Groups of labels, of each of which a record must have one."""
        groups = []
        if self.category is not None:
            groups.append([label("category", self.category)])
        if self.source is not None:
            groups.append([label("source", self.source)])
        if self.companies:
            groups.append([label("company", name_key(name)) for name in self.companies])
        if self.tag is not None:
            groups.append([label("tag", name_key(self.tag))])
        if self.about is not None:
            groups.append([label("about", self.about)])
        return groups

    def places(self, after: str | None) -> tuple[int, int]:
        """Between which places of the index the rest of the answer is, after a cursor."""
        first, last = span(self.start, self.end)
        return first if after is None else max(first, parse_cursor(after) + 1), last


@dataclass(frozen=True, slots=True)
class Page:
    """Some records, the newest first. ``next`` is the cursor of the page after, None at the end.

    A cursor stays good while records are added, edited and deleted: nothing comes twice or is left
    out because of it, except a record whose own time was changed meanwhile.
    """

    records: tuple[Record, ...]
    next: str | None


def cursor(place: int) -> str:
    """Where a page ended, as text."""
    return f"{place:x}"


def parse_cursor(text: str) -> int:
    """The place in a cursor; RecordError ``data.cursor``."""
    try:
        place = int(text, 16) if text.isascii() and text.isalnum() else -1
    except ValueError:
        place = -1
    if not FIRST <= place <= LAST:
        raise RecordError(
            "This does not say where a page ended.",
            code="data.cursor",
            hint="Give what the page before it named, or leave it out.",
        )
    return place
