"""The index that finds records: by words, by labels and by time, the newest first.

Every live record has one entry. Its row number is the record's *place*: the minute it happened,
and below that the number of the record, both counted down, so that the newest comes first. The
order of the index is therefore the order in which people look at things, a span of time is a range
of row numbers, and a page is read from where the page before ended: the cost of one page depends
neither on the number of records nor on how many pages came before. (Counted up and read backwards,
it would: a leap back in a list of SQLite's goes over all that it leaps over, many times.)

A filter is a label in the index (see ``words``), so that words and filters are intersected there
and no row is read which is not shown. Beginnings of words need care: SQLite answers ``"bud"*`` by
gathering every entry of every word that begins so, a million for a common one. Beginnings of three
letters have an index of their own; a shorter one is asked for as all of those. For a longer one the
words that begin so are looked up first and asked for by name, if they are few.

The index has no copy of what it was given (``content=''``): to take a record out, the same text is
given again. ``secure-delete`` makes that remove the words at once, not at some later merge.
``FORM`` stands in the database, and where it differs the index is made anew.

Each transaction leaves a piece of index behind, and every word asked for is looked up in every
piece. SQLite would merge them while it writes: a note added to a million records would then, once
in some hundreds, wait seconds for it. Here writes merge nothing (unless the pieces are very many),
and ``merge`` does it in small steps at other times.

The caller owns the transaction.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from functools import lru_cache

from pds.db import Tables

from .words import ANY, terms

INDEX_SQL = """
CREATE VIRTUAL TABLE record_index USING fts5 (
  words, content = '', detail = none, columnsize = 0, prefix = '3',
  tokenize = "ascii tokenchars '_'"
);
INSERT INTO record_index (record_index, rank) VALUES ('secure-delete', 1);
INSERT INTO record_index (record_index, rank) VALUES ('hashsize', 16777216);
CREATE VIRTUAL TABLE record_words USING fts5vocab (record_index, instance);
CREATE TABLE record_index_form (form TEXT NOT NULL) STRICT;
"""

Entry = tuple[int, str]
"""A record's place, and its ``index_text``."""

MAX_ORDINAL = 2**30 - 1
_BITS = 30
_DAY = 24 * 60
FIRST, LAST = 0, 2**63 - 1
# No merging while writing, below so many pieces of about the same size; otherwise of four.
_MERGING = {"automerge": 0, "crisismerge": 64, "usermerge": 4}
# Pages that one step of merging writes: some ten milliseconds.
_STEP = 128
# As SQLite's documentation has it: a step that changes fewer rows has found nothing to merge.
_SOMETHING = 2
# The length of beginnings that have an index of their own.
_INDEXED = 3
# So many words or beginnings are asked for by name; beyond that, it is SQLite's own way.
_MAX_WORDS = 40
_MAX_BEGINNINGS = 1500


def place_of(when: str, ordinal: int) -> int:
    """Where a record stands in the order of time; ``when`` as ``minute_of`` takes it."""
    if ordinal > MAX_ORDINAL:
        raise OverflowError("more records than the index can number")
    return LAST - (minute_of(when) << _BITS | ordinal)


@lru_cache(maxsize=4096)
def minute_of(when: str) -> int:
    """Minutes since the year 1 of a year, a month, a day, or a time in UTC ending in ``Z``.

    What is less exact than a day stands at its first day. ValueError for anything else.
    """
    if len(when) > len("2000-01-01"):
        moment = datetime.fromisoformat(when).astimezone(UTC)
        return moment.toordinal() * _DAY + moment.hour * 60 + moment.minute
    return date.fromisoformat(when + "-01-01"[len(when) - 4 :]).toordinal() * _DAY


def ordinal_at(place: int) -> int:
    """The number of the record that stands at a place."""
    return ~place & MAX_ORDINAL


def span(start: date | None, end: date | None) -> tuple[int, int]:
    """The places from the last minute of ``end`` back to the first of ``start``."""
    first = FIRST if end is None else LAST + 1 - ((end.toordinal() + 1) * _DAY << _BITS)
    last = LAST if start is None else LAST - (start.toordinal() * _DAY << _BITS)
    return first, last


class RecordIndex(Tables):
    """The table of ``INDEX_SQL`` on one connection."""

    def put(self, entries: Iterable[Entry]) -> None:
        """Take records in. Many are taken in quickest in the order of their places."""
        self._conn.executemany("INSERT INTO record_index (rowid, words) VALUES (?, ?)", entries)

    def remove(self, entry: Entry) -> None:
        """Take a record out; it must be given exactly as it was put in."""
        self._run(
            "INSERT INTO record_index (record_index, rowid, words) VALUES ('delete', ?, ?)", *entry
        )

    def find(
        self,
        text: str | None,
        *,
        labels: Sequence[Sequence[str]] = (),
        first: int = FIRST,
        last: int = LAST,
        limit: int,
    ) -> list[int]:
        """Places of records that hold a word beginning with each word of ``text`` and one label of
        each group, between two places (both within), in their order.

        ``None`` asks for no word; a text without a word finds nothing.
        """
        wanted = () if text is None else terms(text)
        if text is not None and not wanted:
            return []
        asked = [*map(self._beginning, wanted), *map(_one_of, labels)] or [_one_of([ANY])]
        rows = self._all(
            "SELECT rowid FROM record_index WHERE record_index MATCH ? AND rowid BETWEEN ? AND ?"
            " ORDER BY rowid LIMIT ?",
            " AND ".join(asked),
            first,
            last,
            limit,
        )
        return [int(row[0]) for row in rows]

    def contents(self) -> Iterator[tuple[bytes, int]]:
        """Every word and label with the place of each record that has it."""
        rows = self._conn.cursor()
        rows.row_factory = None
        return iter(rows.execute("SELECT CAST(term AS BLOB), doc FROM record_words"))

    def form(self) -> str | None:
        """The ``FORM`` that the entries have."""
        row = self._one("SELECT form FROM record_index_form")
        return None if row is None else str(row[0])

    def empty(self, form: str) -> None:
        """Take everything out; what is put in from now on has this ``FORM``."""
        self._run("INSERT INTO record_index (record_index) VALUES ('delete-all')")
        for setting in _MERGING.items():
            self._run("INSERT INTO record_index (record_index, rank) VALUES (?, ?)", *setting)
        self._run("DELETE FROM record_index_form")
        self._run("INSERT INTO record_index_form (form) VALUES (?)", form)

    def merge(self) -> bool:
        """Merge pieces of the index by a small step; whether there was anything to merge.

        About the same size is merged with the same, so that what was written long ago is seldom
        written again, and there are never many pieces: some three for each power of four.
        """
        before = self._conn.total_changes
        self._run("INSERT INTO record_index (record_index, rank) VALUES ('merge', ?)", _STEP)
        changed: int = self._conn.total_changes - before
        return changed >= _SOMETHING

    def _beginning(self, term: str) -> str:
        """The expression for words that begin with ``term``."""
        short = len(term) < _INDEXED
        parts: list[str] = []
        after: str | None = term
        while len(term) != _INDEXED and after is not None:
            word = self._first_word(after)
            if word is None or not word.startswith(term):
                return "(" + " OR ".join(parts or [f'"{term}"']) + ")"
            if len(parts) == (_MAX_BEGINNINGS if short else _MAX_WORDS):
                break
            if short and len(word) >= _INDEXED:
                parts.append(_prefix(word[:_INDEXED]))
                after = _next(word[:_INDEXED])
            else:
                parts.append(f'"{word}"')
                # Nothing is between a word and the same with the smallest letter behind it.
                after = word + "0"
        return _prefix(term)

    def _first_word(self, start: str) -> str | None:
        row = self._one("SELECT term FROM record_words WHERE term >= ? LIMIT 1", start)
        return None if row is None else str(row[0])


def _next(beginning: str) -> str | None:
    """The first text behind all that begin so."""
    # Letters beyond the surrogates are rare: there the search goes the slower way.
    following = ord(beginning[-1]) + 1
    return beginning[:-1] + chr(following) if following < 0xD800 else None


def _prefix(term: str) -> str:
    return f'"{term}"*'


def _one_of(tokens: Sequence[str]) -> str:
    return "(" + " OR ".join(f'"{token}"' for token in tokens) + ")"
