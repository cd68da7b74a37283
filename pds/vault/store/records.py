"""Rows of records, their earlier versions, and the full-text index.

``records`` holds the current version whole, so that reading one is one lookup; what an edit
replaced moves to ``record_versions``. A deleted record stays as a tombstone: its number, times and
provenance, while the contents of all its versions are overwritten with NULL.

The index keeps folded words, which are no longer the text, so it has content of its own instead
of pointing at the table: a change of the folding can never leave words behind that no deletion
finds. ``secure-delete`` makes a deletion remove the words at once, not at some later merge.

The caller owns the transaction: each write here is several statements.
"""

import re
import secrets
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pds.db import Connection

RECORDS_SQL = """
CREATE TABLE records (
  ordinal   INTEGER PRIMARY KEY AUTOINCREMENT,
  id        TEXT    NOT NULL UNIQUE CHECK (length(id) = 22),
  category  TEXT    NOT NULL,
  schema    TEXT    NOT NULL,
  about     TEXT    NOT NULL CHECK (about IN ('self', 'other')),
  fields    TEXT    CHECK ((fields IS NULL) = deleted),
  digest    BLOB    CHECK ((digest IS NULL) = deleted),
  source    TEXT    NOT NULL,
  collected TEXT    NOT NULL,
  assurance TEXT    NOT NULL
            CHECK (assurance IN ('self-declared', 'attested', 'company', 'inferred')),
  batch     TEXT,
  version   INTEGER NOT NULL CHECK (version >= 1),
  created   TEXT    NOT NULL,
  changed   TEXT    NOT NULL,
  deleted   INTEGER NOT NULL DEFAULT 0 CHECK (deleted IN (0, 1))
) STRICT;
CREATE INDEX records_in_category ON records (category, ordinal) WHERE deleted = 0;
CREATE INDEX records_about_self ON records (category, ordinal) WHERE deleted = 0 AND about = 'self';
CREATE INDEX records_by_digest ON records (digest) WHERE deleted = 0;
CREATE INDEX records_by_batch ON records (batch, ordinal) WHERE batch IS NOT NULL;

CREATE TABLE record_versions (
  ordinal   INTEGER NOT NULL REFERENCES records (ordinal),
  version   INTEGER NOT NULL CHECK (version >= 1),
  schema    TEXT    NOT NULL,
  fields    TEXT,
  source    TEXT    NOT NULL,
  collected TEXT    NOT NULL,
  assurance TEXT    NOT NULL,
  changed   TEXT    NOT NULL,
  PRIMARY KEY (ordinal, version)
) STRICT;

CREATE VIRTUAL TABLE record_search
  USING fts5 (words, tokenize = 'unicode61 remove_diacritics 2');
INSERT INTO record_search (record_search, rank) VALUES ('secure-delete', 1);
"""

# The last number there is: a page without a cursor begins beneath it.
_BEYOND = 2**63 - 1
_MAX_TERMS = 16
_MAX_QUERY = 1000

_COLUMNS = (
    "ordinal, id, category, schema, about, fields, source, collected, assurance, batch, version,"
    " created, changed, deleted"
)

_WORD = re.compile(r"[^\W_]+")
_TELEPHONE = re.compile(r"\+?[0-9][0-9 ()/.\-]{5,30}")
# Letters that Unicode does not take apart into a base and a mark.
_LETTERS = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)


@dataclass(frozen=True, slots=True)
class Row:
    """One version of a record as it is stored; ``fields`` is canonical JSON, None when erased."""

    ordinal: int
    id: str
    category: str
    schema: str
    about: str
    fields: str | None
    source: str
    collected: str
    assurance: str
    batch: str | None
    version: int
    created: str
    changed: str
    deleted: bool


class RecordStore:
    """The tables of ``RECORDS_SQL`` on one connection. Every write wants a transaction."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def insert(self, row: Row, *, digest: bytes, texts: Iterable[str]) -> None:
        """A new record; ``row.ordinal`` is ignored, the next number is given."""
        cursor = self._conn.execute(
            "INSERT INTO records (id, category, schema, about, fields, digest, source, collected,"
            " assurance, batch, version, created, changed) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (
                row.id,
                row.category,
                row.schema,
                row.about,
                row.fields,
                digest,
                row.source,
                row.collected,
                row.assurance,
                row.batch,
                row.version,
                row.created,
                row.changed,
            ),
        )
        self.index(int(cursor.lastrowid), texts)

    def replace(self, row: Row, *, digest: bytes, texts: Iterable[str]) -> None:
        """Make ``row`` the current version of its record; what it replaces is kept."""
        self._keep(row.ordinal)
        self._conn.execute(
            "UPDATE records SET schema = ?, fields = ?, digest = ?, source = ?, collected = ?,"
            " assurance = ?, version = ?, changed = ? WHERE ordinal = ?",
            (
                row.schema,
                row.fields,
                digest,
                row.source,
                row.collected,
                row.assurance,
                row.version,
                row.changed,
                row.ordinal,
            ),
        )
        self._forget(row.ordinal)
        self.index(row.ordinal, texts)

    def erase(self, ordinal: int, *, changed: str) -> None:
        """Leave a tombstone: the contents of every version are gone, that they existed stays."""
        self._keep(ordinal)
        self._conn.execute("UPDATE record_versions SET fields = NULL WHERE ordinal = ?", (ordinal,))
        self._conn.execute(
            "UPDATE records SET fields = NULL, digest = NULL, deleted = 1, version = version + 1,"
            " changed = ? WHERE ordinal = ?",
            (changed, ordinal),
        )
        self._forget(ordinal)

    def get(self, record_id: str) -> Row | None:
        """The current version, tombstones too."""
        found = self._conn.execute(
            f"SELECT {_COLUMNS} FROM records WHERE id = ?",  # noqa: S608  # a constant
            (record_id,),
        ).fetchone()
        return None if found is None else _row(found)

    def history(self, ordinal: int) -> list[Row]:
        """Every version, the first one first."""
        rows = self._conn.execute(
            "SELECT r.ordinal, r.id, r.category, v.schema, r.about, v.fields, v.source,"  # noqa: S608
            " v.collected, v.assurance, r.batch, v.version, r.created, v.changed, 0 AS deleted"
            " FROM record_versions v JOIN records r USING (ordinal)"
            f" WHERE ordinal = ? UNION ALL SELECT {_COLUMNS} FROM records WHERE ordinal = ?"
            " ORDER BY 11",
            (ordinal, ordinal),
        )
        return [_row(row) for row in rows]

    def page(self, category: str | None, *, below: int | None, limit: int) -> list[Row]:
        """Live records, the newest first, from beneath the number ``below``."""
        where, bound = ("category = ? AND ", [category]) if category is not None else ("", [])
        rows = self._conn.execute(
            f"SELECT {_COLUMNS} FROM records WHERE {where}deleted = 0 AND ordinal < ?"  # noqa: S608
            " ORDER BY ordinal DESC LIMIT ?",
            (*bound, _BEYOND if below is None else below, limit),
        )
        return [_row(row) for row in rows]

    def about_self(self, category: str) -> list[Row]:
        """Live records of a category that are about the holder, the oldest first."""
        rows = self._conn.execute(
            f"SELECT {_COLUMNS} FROM records"  # noqa: S608
            " WHERE category = ? AND deleted = 0 AND about = 'self' ORDER BY ordinal",
            (category,),
        )
        return [_row(row) for row in rows]

    def has_about_self(self, category: str) -> bool:
        """Whether there is a live record of this category about the holder."""
        found = self._conn.execute(
            "SELECT 1 FROM records WHERE category = ? AND deleted = 0 AND about = 'self' LIMIT 1",
            (category,),
        ).fetchone()
        return found is not None

    def search(
        self, text: str, *, category: str | None, below: int | None, limit: int
    ) -> list[Row]:
        """Live records that hold a word beginning with each term of ``text``, the newest first.

        The terms are quoted words: nothing in ``text`` is read as search syntax.
        """
        terms = list(dict.fromkeys(_words(text[:_MAX_QUERY])))[:_MAX_TERMS]
        if not terms:
            return []
        where, bound = ("AND r.category = ? ", [category]) if category is not None else ("", [])
        columns = ", ".join(f"r.{name}" for name in _COLUMNS.split(", "))
        rows = self._conn.execute(
            f"SELECT {columns} FROM record_search s JOIN records r ON r.ordinal = s.rowid"  # noqa: S608
            f" WHERE record_search MATCH ? AND s.rowid < ? {where}"
            " ORDER BY s.rowid DESC LIMIT ?",
            (
                " ".join(f'"{term}"*' for term in terms),
                _BEYOND if below is None else below,
                *bound,
                limit,
            ),
        )
        return [_row(row) for row in rows]

    def count_digest(self, digest: bytes, *, but: str | None = None) -> int:
        """How many live records have this content, without those of the batch ``but``."""
        return int(
            self._conn.execute(
                "SELECT count(*) FROM records WHERE digest = ? AND deleted = 0"
                " AND (batch IS NOT ? OR ? IS NULL)",
                (digest, but, but),
            ).fetchone()[0]
        )

    @contextmanager
    def comparing(self) -> Iterator[Callable[[bytes], int]]:
        """Count contents that come one after another: how often each one has come by now.

        They are remembered by 63 bits of their digest, in a temporary table in memory: two
        million take some 30 MB.
        """
        # Its name is random: another import may be under way on this connection.
        name = f"temp.seen_{secrets.token_hex(8)}"
        self._conn.execute(f"CREATE TABLE {name} (digest INTEGER PRIMARY KEY, times INTEGER)")
        statement = (
            f"INSERT INTO {name} VALUES (?, 1)"  # noqa: S608  # a name of our own
            " ON CONFLICT DO UPDATE SET times = times + 1 RETURNING times"
        )

        def times(digest: bytes) -> int:
            key = int.from_bytes(digest[:8], "big") >> 1
            return int(self._conn.execute(statement, (key,)).fetchone()[0])

        try:
            yield times
        finally:
            self._conn.execute(f"DROP TABLE IF EXISTS {name}")

    def counts(self) -> dict[str, int]:
        """Live records by category."""
        rows = self._conn.execute(
            "SELECT category, count(*) FROM records WHERE deleted = 0 GROUP BY category"
        )
        return {row[0]: row[1] for row in rows}

    def batches(self) -> list[tuple[str, str, str, int, int]]:
        """Each batch, the newest first: its id, source, time, records added, records still live."""
        rows = self._conn.execute(
            "SELECT batch, min(source), min(created), count(*), sum(deleted = 0) FROM records"
            " WHERE batch IS NOT NULL GROUP BY batch ORDER BY min(ordinal) DESC"
        )
        return [(row[0], row[1], row[2], row[3], row[4]) for row in rows]

    def live_in_batch(self, batch: str) -> list[tuple[int, int]]:
        """Number and version of each live record of a batch."""
        rows: Sequence[tuple[int, int]] = self._conn.execute(
            "SELECT ordinal, version FROM records WHERE batch = ? AND deleted = 0 ORDER BY ordinal",
            (batch,),
        ).fetchall()
        return [(row[0], row[1]) for row in rows]

    def _keep(self, ordinal: int) -> None:
        self._conn.execute(
            "INSERT INTO record_versions (ordinal, version, schema, fields, source, collected,"
            " assurance, changed) SELECT ordinal, version, schema, fields, source, collected,"
            " assurance, changed FROM records WHERE ordinal = ?",
            (ordinal,),
        )

    def index(self, ordinal: int, texts: Iterable[str]) -> None:
        """Let the search know the words of a record that it does not know yet."""
        words = [word for text in texts for word in _index_words(text)]
        self._conn.execute(
            "INSERT INTO record_search (rowid, words) VALUES (?, ?)", (ordinal, " ".join(words))
        )

    def _forget(self, ordinal: int) -> None:
        self._conn.execute("DELETE FROM record_search WHERE rowid = ?", (ordinal,))


def _row(row: Sequence[object]) -> Row:
    columns: list[Any] = list(row)  # the tables are STRICT: the types are as declared
    columns[-1] = bool(columns[-1])
    return Row(*columns)


def _index_words(text: str) -> list[str]:
    words = _words(text)
    if _TELEPHONE.fullmatch(text) is not None:
        # A number is found with and without the spaces that somebody wrote into it.
        words.append("".join(c for c in text if c.isdigit()))
    return words


def _words(text: str) -> list[str]:
    """The words of a text, without case and accents: ``Őry`` is ``ory``, ``Straße`` ``strasse``."""
    if not text.isascii():
        text = unicodedata.normalize("NFKD", text.casefold())
        text = "".join(c for c in text if not unicodedata.combining(c)).translate(_LETTERS)
    return _WORD.findall(text.casefold())
