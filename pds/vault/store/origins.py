"""Rows of origins: what an item is called where it came from; and what imports and mergers changed.

``record_origins`` has one row for each name: the ``version`` of the item that was made of what was
said under it last, and ``said`` itself where the version says something else (the holder's own
corrections were kept). ``record_changes`` has what must be known to take a change back. Both go
when the item's contents are erased. The caller owns the transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pds.db import Connection

ORIGINS_SQL = """
CREATE TABLE record_origins (
  key     BLOB    PRIMARY KEY CHECK (length(key) = 16),
  ordinal INTEGER NOT NULL REFERENCES records (ordinal),
  name    TEXT    NOT NULL,
  version INTEGER NOT NULL CHECK (version >= 1),
  stamp   TEXT    NOT NULL,
  said    TEXT
) STRICT, WITHOUT ROWID;
CREATE INDEX record_origins_of ON record_origins (ordinal);

CREATE TABLE record_changes (
  batch   TEXT    NOT NULL,
  ordinal INTEGER NOT NULL REFERENCES records (ordinal),
  version INTEGER NOT NULL CHECK (version >= 1),
  before  TEXT    NOT NULL,
  PRIMARY KEY (batch, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX record_changes_of ON record_changes (ordinal);

ALTER TABLE record_versions ADD COLUMN digest BLOB;
CREATE INDEX record_versions_by_digest ON record_versions (digest) WHERE digest IS NOT NULL;

CREATE TRIGGER origins_of_erased AFTER UPDATE OF deleted ON records WHEN NEW.deleted = 1
BEGIN
  DELETE FROM record_origins WHERE ordinal = NEW.ordinal;
  DELETE FROM record_changes WHERE ordinal = NEW.ordinal;
END;
"""

_COLUMNS = "key, ordinal, name, version, stamp, said"
_ASKED_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class OriginRow:
    """A name of an item."""

    key: bytes
    ordinal: int
    name: str = field(repr=False)
    version: int
    stamp: str
    said: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class ChangeRow:
    """An item that a batch changed to ``version``; ``before`` is JSON."""

    batch: str
    ordinal: int
    version: int
    before: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class MergerRow:
    """That ``others`` items became part of one at a time; ``intact``: it was not changed since."""

    batch: str
    item: str
    at: str
    others: int
    intact: bool


class OriginStore:
    """The tables of ``ORIGINS_SQL`` on one connection."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def find(self, keys: Iterable[bytes]) -> dict[bytes, OriginRow]:
        """The rows of those keys that are known."""
        found: dict[bytes, OriginRow] = {}
        wanted = sorted(set(keys))
        for start in range(0, len(wanted), _ASKED_AT_ONCE):
            part = wanted[start : start + _ASKED_AT_ONCE]
            marks = ", ".join("?" * len(part))
            rows = self._conn.execute(
                f"SELECT {_COLUMNS} FROM record_origins WHERE key IN ({marks})",  # noqa: S608
                part,
            )
            found |= {bytes(row[0]): _row(row) for row in rows}
        return found

    def of(self, ordinal: int) -> list[OriginRow]:
        """All names of an item."""
        rows = self._conn.execute(
            f"SELECT {_COLUMNS} FROM record_origins WHERE ordinal = ? ORDER BY key",  # noqa: S608
            (ordinal,),
        )
        return list(map(_row, rows))

    def names(self, ordinals: Sequence[int]) -> dict[int, str]:
        """One name of each of these items that has any, the same one always."""
        marks = ", ".join("?" * len(ordinals))
        rows = self._conn.execute(
            "SELECT ordinal, min(name) FROM record_origins"  # noqa: S608
            f" WHERE ordinal IN ({marks}) GROUP BY ordinal",
            tuple(ordinals),
        )
        return {row[0]: row[1] for row in rows}

    def put(self, rows: Iterable[OriginRow], *, anew: bool = True) -> None:
        """Note names; what is known already is replaced, or left so without ``anew``."""
        verb = "REPLACE" if anew else "IGNORE"
        self._conn.executemany(
            f"INSERT OR {verb} INTO record_origins ({_COLUMNS})"  # noqa: S608
            " VALUES (?, ?, ?, ?, ?, ?)",
            ((r.key, r.ordinal, r.name, r.version, r.stamp, r.said) for r in rows),
        )

    def forget(self, key: bytes) -> None:
        self._conn.execute("DELETE FROM record_origins WHERE key = ?", (key,))

    def move(self, ordinal: int, to: int, *, version: int, keys: Sequence[bytes] | None) -> None:
        """Names of one item, or these of them, become those of another; the versions that they
        speak of are ``version`` further on there."""
        rows = [row for row in self.of(ordinal) if keys is None or row.key in keys]
        self._conn.executemany(
            "UPDATE record_origins SET ordinal = ?, version = max(1, version + ?) WHERE key = ?",
            ((to, version, row.key) for row in rows),
        )

    def same(self, digests: Iterable[bytes]) -> dict[bytes, tuple[int, int]]:
        """For contents that a live record has: the number and version of one that has no name
        yet."""
        found: dict[bytes, tuple[int, int]] = {}
        wanted = sorted(set(digests))
        for start in range(0, len(wanted), _ASKED_AT_ONCE):
            part = wanted[start : start + _ASKED_AT_ONCE]
            marks = ", ".join("?" * len(part))
            rows = self._conn.execute(
                "SELECT digest, ordinal, version FROM records r"  # noqa: S608
                f" WHERE digest IN ({marks}) AND deleted = 0 AND NOT EXISTS"
                " (SELECT 1 FROM record_origins o WHERE o.ordinal = r.ordinal)",
                part,
            )
            found |= {bytes(row[0]): (row[1], row[2]) for row in rows}
        return found

    def count_earlier(self, digests: Iterable[bytes]) -> dict[bytes, int]:
        """How many live records said each of these once, and say something else now."""
        found: dict[bytes, int] = {}
        wanted = sorted(set(digests))
        for start in range(0, len(wanted), _ASKED_AT_ONCE):
            part = wanted[start : start + _ASKED_AT_ONCE]
            marks = ", ".join("?" * len(part))
            rows = self._conn.execute(
                "SELECT v.digest, count(DISTINCT v.ordinal) FROM record_versions v"  # noqa: S608
                f" JOIN records r USING (ordinal) WHERE v.digest IN ({marks})"
                " AND r.deleted = 0 AND r.digest IS NOT v.digest GROUP BY v.digest",
                part,
            )
            found |= {bytes(row[0]): int(row[1]) for row in rows}
        return found

    def fields_at(self, ordinal: int, version: int) -> str | None:
        """The contents of an earlier version."""
        row = self._conn.execute(
            "SELECT fields FROM record_versions WHERE ordinal = ? AND version = ?",
            (ordinal, version),
        ).fetchone()
        return None if row is None else row[0]

    def unknow(self, ordinal: int, version: int) -> None:
        """A version that was taken back: its contents are not there any more for an import."""
        self._conn.execute(
            "UPDATE record_versions SET digest = NULL WHERE ordinal = ? AND version = ?",
            (ordinal, version),
        )

    def add_change(self, row: ChangeRow) -> None:
        self._conn.execute(
            "INSERT OR REPLACE INTO record_changes (batch, ordinal, version, before)"
            " VALUES (?, ?, ?, ?)",
            (row.batch, row.ordinal, row.version, row.before),
        )

    def changes(self, batch: str) -> list[ChangeRow]:
        """What a batch changed and what was not taken back."""
        rows = self._conn.execute(
            "SELECT batch, ordinal, version, before FROM record_changes WHERE batch = ?"
            " ORDER BY ordinal",
            (batch,),
        )
        return [ChangeRow(*row) for row in rows]

    def mergers(self) -> list[MergerRow]:
        """The mergers that were not taken back, the newest first."""
        rows = self._conn.execute(
            "SELECT c.batch, r.id, coalesce(v.changed, r.changed) AS at,"
            " json_array_length(c.before, '$.merged'), r.version = c.version"
            " FROM record_changes c JOIN records r USING (ordinal) LEFT JOIN record_versions v"
            " ON v.ordinal = c.ordinal AND v.version = c.version"
            " WHERE json_type(c.before, '$.merged') = 'array' ORDER BY at DESC, c.batch"
        )
        return [MergerRow(row[0], row[1], row[2], row[3], bool(row[4])) for row in rows]

    def changed_by_others(self, batch: str) -> frozenset[int]:
        """Records that came with a batch and were changed by another one since."""
        rows = self._conn.execute(
            "SELECT r.ordinal FROM records r WHERE r.batch = ? AND EXISTS (SELECT 1 FROM"
            " record_changes c WHERE c.ordinal = r.ordinal AND c.batch <> r.batch)",
            (batch,),
        )
        return frozenset(row[0] for row in rows)

    def drop_change(self, batch: str, ordinal: int) -> None:
        self._conn.execute(
            "DELETE FROM record_changes WHERE batch = ? AND ordinal = ?", (batch, ordinal)
        )


def _row(row: Sequence[object]) -> OriginRow:
    key, *rest = row
    return OriginRow(bytes(key), *rest)  # type: ignore[call-overload, arg-type]
