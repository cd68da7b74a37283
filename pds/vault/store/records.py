"""Rows of records, their earlier versions, their tags, and how many there are.

``records`` holds the current version whole, so that reading one is one lookup; what an edit
replaced moves to ``record_versions``. A deleted record stays as a tombstone: its number, times and
provenance, while the contents of all its versions are overwritten with NULL. When it happened, with
whom, how long it holds and its tags are contents too.

What is found by words or labels is found through ``RecordIndex``; every write here keeps it in
step. ``record_counts`` is kept so that a count is no walk over all records.

The caller owns the transaction: each write here is several statements.

Longer than other rooms, because the tables and all statements on them are read together.
"""

import secrets
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from did.json import Json, JsonObject, parse_object
from pds.db import BULK_CACHE_KIB, Connection, set_cache

from .record_index import Entry, RecordIndex, ordinal_at, place_of
from .words import ANY, FORM, index_text, label, name_key, tokens

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

# What came later. ``RecordStore.rebuild_index`` fills the new index.
RECORDS_IN_TIME_SQL = """
DROP TABLE record_search;
DROP INDEX records_in_category;
ALTER TABLE records ADD COLUMN happened TEXT;
ALTER TABLE records ADD COLUMN company TEXT;
ALTER TABLE records ADD COLUMN valid_from TEXT;
ALTER TABLE records ADD COLUMN valid_until TEXT;
ALTER TABLE record_versions ADD COLUMN valid_from TEXT;
ALTER TABLE record_versions ADD COLUMN valid_until TEXT;
UPDATE records SET digest = substr(digest, 1, 16) WHERE digest IS NOT NULL;
CREATE TABLE record_tags (
  ordinal INTEGER NOT NULL REFERENCES records (ordinal),
  tag     TEXT    NOT NULL,
  PRIMARY KEY (ordinal, tag)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_tags_by_name ON record_tags (tag);
CREATE TABLE record_counts (
  category TEXT PRIMARY KEY, live INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO record_counts
  SELECT category, count(*) FROM records WHERE deleted = 0 GROUP BY category;
"""

_COLUMNS = (
    "ordinal, id, category, schema, about, fields, source, collected, assurance, batch, version,"
    " created, changed, deleted, happened, company, valid_from, valid_until"
)
_INSERT = (
    "INSERT INTO records (ordinal, id, category, schema, about, fields, digest, source, collected,"
    " assurance, batch, version, created, changed, happened, company, valid_from, valid_until)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
_T = TypeVar("_T")
_DELETED = _COLUMNS.split(", ").index("deleted")
_REBUILT_AT_ONCE = 10_000
_ASKED_AT_ONCE = 500
# Rows of a page that are read by one statement: a usual page, so that it is always the same one.
_SHOWN_AT_ONCE = 50


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
    happened: str | None
    company: str | None
    valid_from: str | None
    valid_until: str | None


def entry_of(row: Row, fields: JsonObject, tags: Sequence[str]) -> Entry:
    """What the index holds of a live record with these contents and tags."""
    labels = _labels(row.category, row.about, row.source, row.company)
    if tags:
        labels = " ".join([labels, *(label("tag", name_key(tag)) for tag in tags)])
    texts = _texts(fields, [*tags])
    return place_of(row.happened or row.created, row.ordinal), index_text(texts, labels)


@lru_cache(maxsize=4096)
def _labels(category: str, about: str, source: str, company: str | None) -> str:
    found = [ANY, label("category", category), label("about", about), label("source", source)]
    if company is not None:
        found.append(label("company", name_key(company)))
    return " ".join(found)


class SeenTable:
    """How often each of many numbers has come by: a temporary table in memory."""

    def __init__(self, conn: Connection) -> None:
        # Its name is random: another import may be under way on this connection.
        self._conn, self._name = conn, f"temp.seen_{secrets.token_hex(8)}"
        conn.execute(f"CREATE TABLE {self._name} (key INTEGER PRIMARY KEY, times INTEGER)")

    def times(self, keys: Iterable[int]) -> dict[int, int]:
        """For each of these keys how often it came; zero for a new one."""
        found = dict.fromkeys(keys, 0)
        wanted = sorted(found)
        for part in _parts(wanted, _ASKED_AT_ONCE):
            found |= self._conn.execute(
                f"SELECT key, times FROM {self._name} WHERE key IN ({_marks(part)})",  # noqa: S608
                part,
            ).fetchall()
        return found

    def remember(self, times: Mapping[int, int]) -> None:
        self._conn.executemany(
            f"INSERT OR REPLACE INTO {self._name} VALUES (?, ?)",  # noqa: S608  # a name of our own
            sorted(times.items()),
        )

    def drop(self) -> None:
        self._conn.execute(f"DROP TABLE IF EXISTS {self._name}")


class RecordStore:
    """The tables of this module on one connection. Every write wants a transaction."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self.index = RecordIndex(conn)

    def seen_table(self) -> SeenTable:
        return SeenTable(self._conn)

    def next_ordinal(self) -> int:
        """The number of the next record; numbers are never given twice."""
        row = self._conn.execute(
            "SELECT seq FROM sqlite_sequence WHERE name = 'records'"
        ).fetchone()
        return 1 if row is None else int(row[0]) + 1

    def insert(self, rows: Sequence[tuple[Row, JsonObject, bytes]]) -> list[Entry]:
        """New records, each with its contents and their digest, numbered upwards from
        ``next_ordinal``. Returns their entries, which the caller must ``put`` into the index."""
        self._conn.executemany(_INSERT, (_inserted(row, digest) for row, _, digest in rows))
        self._count(Counter(row.category for row, _, _ in rows))
        return [entry_of(row, fields, ()) for row, fields, _ in rows]

    def begin_bulk(self) -> None:
        """Room in memory for the pages that many writes come back to."""
        set_cache(self._conn, BULK_CACHE_KIB)

    def end_bulk(self) -> None:
        set_cache(self._conn)

    def replace(self, row: Row, *, digest: bytes) -> None:
        """Make ``row`` the current version of its record; what it replaces is kept."""
        self._unindex(row.ordinal)
        self._keep(row.ordinal)
        self._conn.execute(
            "UPDATE records SET schema = ?, fields = ?, digest = ?, source = ?, collected = ?,"
            " assurance = ?, version = ?, changed = ?, happened = ?, company = ?, valid_from = ?,"
            " valid_until = ? WHERE ordinal = ?",
            (
                row.schema,
                row.fields,
                digest,
                row.source,
                row.collected,
                row.assurance,
                row.version,
                row.changed,
                row.happened,
                row.company,
                row.valid_from,
                row.valid_until,
                row.ordinal,
            ),
        )
        self._reindex(row.ordinal)

    def set_facts(self, row: Row) -> None:
        """Note what the contents of a live record say in columns of their own; no version is
        made."""
        self._unindex(row.ordinal)
        self._conn.execute(
            "UPDATE records SET happened = ?, company = ? WHERE ordinal = ?",
            (row.happened, row.company, row.ordinal),
        )
        self._reindex(row.ordinal)

    def erase(self, ordinal: int, *, changed: str) -> None:
        """Leave a tombstone: the contents of every version are gone, that they existed stays."""
        category = self._unindex(ordinal).category
        self._keep(ordinal)
        self._conn.execute(
            "UPDATE record_versions SET fields = NULL, digest = NULL, valid_from = NULL,"
            " valid_until = NULL WHERE ordinal = ?",
            (ordinal,),
        )
        self._conn.execute(
            "UPDATE records SET fields = NULL, digest = NULL, deleted = 1, version = version + 1,"
            " changed = ?, happened = NULL, company = NULL, valid_from = NULL, valid_until = NULL"
            " WHERE ordinal = ?",
            (changed, ordinal),
        )
        self._conn.execute("DELETE FROM record_tags WHERE ordinal = ?", (ordinal,))
        self._count({category: -1})

    def set_tags(self, ordinal: int, tags: Iterable[str]) -> None:
        """Give a live record these tags instead of those that it has."""
        self._unindex(ordinal)
        self._conn.execute("DELETE FROM record_tags WHERE ordinal = ?", (ordinal,))
        self._conn.executemany(
            "INSERT INTO record_tags (ordinal, tag) VALUES (?, ?)", ((ordinal, t) for t in tags)
        )
        self._reindex(ordinal)

    def set_about(self, ordinals: Iterable[int], about: str) -> None:
        """Say whom these live records are about; no version is made."""
        for ordinal in ordinals:
            self._unindex(ordinal)
            self._conn.execute("UPDATE records SET about = ? WHERE ordinal = ?", (about, ordinal))
            self._reindex(ordinal)

    def batch_not_about(self, batch: str, about: str, *, limit: int) -> list[int]:
        """The numbers of so many live records of a batch that are about somebody else than that."""
        rows = self._conn.execute(
            "SELECT ordinal FROM records WHERE batch = ? AND deleted = 0 AND about <> ?"
            " ORDER BY ordinal LIMIT ?",
            (batch, about, limit),
        )
        return [int(row[0]) for row in rows]

    def known_not_about(self, digests: Iterable[bytes], about: str) -> dict[int, str | None]:
        """Of live records that say one of these, or said it once, and are about somebody else than
        that: the number, and the batch with which it came."""
        found: dict[int, str | None] = {}
        for part in _parts(sorted(set(digests)), _ASKED_AT_ONCE):
            where = f"digest IN ({_marks(part)})"
            found |= self._conn.execute(
                f"SELECT ordinal, batch FROM records WHERE deleted = 0 AND about <> ? AND {where}"  # noqa: S608
                " UNION SELECT r.ordinal, r.batch FROM record_versions v JOIN records r"
                f" USING (ordinal) WHERE r.deleted = 0 AND r.about <> ? AND v.{where}",
                (about, *part, about, *part),
            ).fetchall()
        return found

    def tags(self, ordinal: int) -> tuple[str, ...]:
        """The tags of a record, in the order of the alphabet."""
        rows = self._conn.execute(
            "SELECT tag FROM record_tags WHERE ordinal = ? ORDER BY tag", (ordinal,)
        )
        return tuple(row[0] for row in rows)

    def tags_of(self, ordinals: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """The tags of each of these records that has any."""
        found: dict[int, tuple[str, ...]] = {}
        for part in _parts(ordinals, _SHOWN_AT_ONCE):
            rows = self._conn.execute(
                f"SELECT ordinal, tag FROM record_tags WHERE ordinal IN ({_marks(part)})"  # noqa: S608
                " ORDER BY ordinal, tag",
                part,
            )
            for ordinal, tag in rows:
                found[ordinal] = (*found.get(ordinal, ()), tag)
        return found

    def all_tags(self) -> list[tuple[str, int]]:
        """Every tag with how many records have it."""
        rows = self._conn.execute("SELECT tag, count(*) FROM record_tags GROUP BY tag ORDER BY tag")
        return [(row[0], row[1]) for row in rows]

    def get(self, record_id: str) -> Row | None:
        """The current version, tombstones too."""
        found = self._conn.execute(
            f"SELECT {_COLUMNS} FROM records WHERE id = ?",  # noqa: S608  # a constant
            (record_id,),
        ).fetchone()
        return None if found is None else _row(found)

    def at_ordinal(self, ordinal: int) -> Row | None:
        """The current version of the record with this number, tombstones too."""
        return self._at(ordinal)

    def ids(self, beginning: str, *, limit: int) -> tuple[str, ...]:
        """The ids of live records that begin so, in order."""
        rows = self._conn.execute(
            "SELECT id FROM records WHERE id >= ? AND id < ? AND deleted = 0 ORDER BY id LIMIT ?",
            (beginning, beginning + "~", limit),  # behind every character of an id
        )
        return tuple(row[0] for row in rows)

    def history(self, ordinal: int) -> list[Row]:
        """Every version, the first one first."""
        rows = self._conn.execute(
            "SELECT r.ordinal, r.id, r.category, v.schema, r.about, v.fields, v.source,"  # noqa: S608
            " v.collected, v.assurance, r.batch, v.version, r.created, v.changed, 0 AS deleted,"
            " NULL AS happened, NULL AS company, v.valid_from, v.valid_until"
            " FROM record_versions v JOIN records r USING (ordinal)"
            f" WHERE ordinal = ? UNION ALL SELECT {_COLUMNS} FROM records WHERE ordinal = ?"
            " ORDER BY 11",
            (ordinal, ordinal),
        )
        return [_row(row) for row in rows]

    def at(self, places: Iterable[int]) -> list[Row]:
        """The live records at these places of the index, in the same order."""
        ordinals = [ordinal_at(place) for place in places]
        found: dict[int, Row] = {}
        for part in _parts(ordinals, _SHOWN_AT_ONCE):
            rows = self._conn.execute(
                f"SELECT {_COLUMNS} FROM records WHERE ordinal IN ({_marks(part)})"  # noqa: S608
                " AND deleted = 0",
                part,
            )
            found |= {row.ordinal: row for row in map(_row, rows)}
        # Another program may have deleted one since the index was read.
        return [found[ordinal] for ordinal in ordinals if ordinal in found]

    def live(self, category: str, *, after: int, limit: int) -> list[Row]:
        """Live records of a category by their numbers, from behind ``after`` on."""
        rows = self._conn.execute(
            f"SELECT {_COLUMNS} FROM records"  # noqa: S608
            " WHERE category = ? AND deleted = 0 AND ordinal > ? ORDER BY ordinal LIMIT ?",
            (category, after, limit),
        )
        return [_row(row) for row in rows]

    def about_self(self, category: str, *, on: str) -> list[Row]:
        """Live records of a category that are about the holder and hold on that day, the oldest
        first."""
        rows = self._conn.execute(
            f"SELECT {_COLUMNS} FROM records"  # noqa: S608
            " WHERE category = ? AND deleted = 0 AND about = 'self'"
            " AND (valid_from IS NULL OR valid_from <= ?)"
            " AND (valid_until IS NULL OR valid_until >= ?) ORDER BY ordinal",
            (category, on, on),
        )
        return [_row(row) for row in rows]

    def has_about_self(self, category: str) -> bool:
        """Whether there is a live record of this category about the holder."""
        found = self._conn.execute(
            "SELECT 1 FROM records WHERE category = ? AND deleted = 0 AND about = 'self' LIMIT 1",
            (category,),
        ).fetchone()
        return found is not None

    def count_digests(self, digests: Iterable[bytes]) -> dict[bytes, int]:
        """How many live records have each of these contents, without those that none has."""
        found: dict[bytes, int] = {}
        wanted = sorted(set(digests))  # neighbours in the index, one after the other
        for part in _parts(wanted, _ASKED_AT_ONCE):
            rows = self._conn.execute(
                f"SELECT digest, count(*) FROM records WHERE digest IN ({_marks(part)})"  # noqa: S608
                " AND deleted = 0 GROUP BY digest",
                part,
            )
            found |= {bytes(row[0]): int(row[1]) for row in rows}
        return found

    def counts(self) -> dict[str, int]:
        """Live records by category."""
        return dict(map(tuple, self._conn.execute("SELECT category, live FROM record_counts")))

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

    def recount(self) -> None:
        """Count the live records of each category anew."""
        self._conn.execute("DELETE FROM record_counts")
        self._conn.execute(
            "INSERT INTO record_counts"
            " SELECT category, count(*) FROM records WHERE deleted = 0 GROUP BY category"
        )

    def rebuild_index(self) -> None:
        """Make the index anew from the records."""
        self.index.empty(FORM)
        last = 0
        while True:
            rows = [
                _row(row)
                for row in self._conn.execute(
                    f"SELECT {_COLUMNS} FROM records WHERE ordinal > ? AND deleted = 0"  # noqa: S608
                    " ORDER BY ordinal LIMIT ?",
                    (last, _REBUILT_AT_ONCE),
                )
            ]
            if not rows:
                return
            self.index.put(sorted(map(self._entry, rows)))
            last = rows[-1].ordinal

    def fits_index(self) -> bool:
        """Whether the index holds the words and labels of each live record, and nothing else.

        Both sides are summed up, each pair of word and record as 64 bits of a keyed hash, so that
        neither has to be sorted or kept.
        """
        expected = 0
        tags = self._tags_of_all()
        for found in self._conn.execute(f"SELECT {_COLUMNS} FROM records WHERE deleted = 0"):  # noqa: S608
            row = _row(found)
            fields = {} if row.fields is None else parse_object(row.fields)
            place, text = entry_of(row, fields, tags.get(row.ordinal, ()))
            for token in tokens(text):
                expected += hash((token, place))
        return expected == sum(map(hash, self.index.contents()))

    def _tags_of_all(self) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        for ordinal, tag in self._conn.execute(
            "SELECT ordinal, tag FROM record_tags ORDER BY ordinal, tag"
        ):
            found.setdefault(ordinal, []).append(tag)
        return found

    def _at(self, ordinal: int) -> Row | None:
        found = self._conn.execute(
            f"SELECT {_COLUMNS} FROM records WHERE ordinal = ?",  # noqa: S608
            (ordinal,),
        ).fetchone()
        return None if found is None else _row(found)

    def _entry(self, row: Row) -> Entry:
        fields = {} if row.fields is None else parse_object(row.fields)
        return entry_of(row, fields, self.tags(row.ordinal))

    def adopt(self, ordinal: int, into: int, offset: int) -> None:
        """Every version of a record also becomes one of another, so much further on."""
        columns = (
            "schema, fields, source, collected, assurance, changed, valid_from, valid_until, digest"
        )
        for table in ("record_versions", "records"):
            self._conn.execute(
                f"INSERT INTO record_versions (ordinal, version, {columns})"  # noqa: S608
                f" SELECT ?, version + ?, {columns} FROM {table} WHERE ordinal = ?",
                (into, offset, ordinal),
            )

    def _keep(self, ordinal: int) -> None:
        self._conn.execute(
            "INSERT INTO record_versions (ordinal, version, schema, fields, source, collected,"
            " assurance, changed, valid_from, valid_until, digest) SELECT ordinal, version, schema,"
            " fields, source, collected, assurance, changed, valid_from, valid_until, digest"
            " FROM records WHERE ordinal = ?",
            (ordinal,),
        )

    def _unindex(self, ordinal: int) -> Row:
        row = self._at(ordinal)
        if row is None:
            raise KeyError(ordinal)
        self.index.remove(self._entry(row))
        return row

    def _reindex(self, ordinal: int) -> None:
        row = self._at(ordinal)
        if row is not None:
            self.index.put([self._entry(row)])

    def _count(self, more: Mapping[str, int]) -> None:
        self._conn.executemany(
            "INSERT INTO record_counts (category, live) VALUES (?, ?)"
            " ON CONFLICT (category) DO UPDATE SET live = live + excluded.live",
            more.items(),
        )


def _parts(values: Sequence[_T], size: int) -> list[Sequence[_T]]:
    return [values[start : start + size] for start in range(0, len(values), size)]


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


def _row(row: Sequence[object]) -> Row:
    columns: list[Any] = list(row)  # the tables are STRICT: the types are as declared
    columns[_DELETED] = bool(columns[_DELETED])
    return Row(*columns)


def _inserted(row: Row, digest: bytes) -> tuple[object, ...]:
    return (
        row.ordinal,
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
        row.happened,
        row.company,
        row.valid_from,
        row.valid_until,
    )


def _texts(value: Json, found: list[str]) -> list[str]:
    members = value.values() if isinstance(value, dict) else value
    if isinstance(members, str):
        found.append(members)
    elif isinstance(members, Iterable):
        for member in members:
            if type(member) is str:  # as nearly all are
                found.append(member)
            else:
                _texts(member, found)
    return found
