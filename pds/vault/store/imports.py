"""Rows of imports: which file each was, how far it came, and whether it was taken back.

The name of the file is personal data, and is nowhere but here. The caller owns the transaction.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pds.db import Tables

IMPORTS_SQL = """
CREATE TABLE import (
  batch      TEXT    NOT NULL PRIMARY KEY,
  source     TEXT    NOT NULL,
  name       TEXT    NOT NULL,
  size       INTEGER NOT NULL,
  begun      TEXT    NOT NULL,
  finished   TEXT,
  undone     TEXT,
  added      INTEGER NOT NULL CHECK (added >= 0),
  changed    INTEGER NOT NULL CHECK (changed >= 0),
  duplicates INTEGER NOT NULL CHECK (duplicates >= 0)
) STRICT;
INSERT INTO import
  SELECT batch, min(source), '', 0, min(created), max(created),
         iif(sum(deleted = 0) = 0, max(changed), NULL), count(*), 0, 0
  FROM records WHERE batch IS NOT NULL GROUP BY batch;
"""

_COLUMNS = "batch, source, name, size, begun, finished, undone, added, changed, duplicates"


@dataclass(frozen=True, slots=True)
class ImportRow:
    """An import. ``name`` and ``size`` are of its file, empty and 0 for one from before that was
    noted; it is ``finished`` when the file was read to its end."""

    batch: str
    source: str
    name: str
    size: int
    begun: str
    finished: str | None
    undone: str | None
    added: int
    changed: int
    duplicates: int


class ImportStore(Tables):
    """The table of ``IMPORTS_SQL`` on one connection."""

    def begin(self, batch: str, *, source: str, name: str, size: int, at: str) -> None:
        """A new import of a file."""
        self._run(
            "INSERT INTO import (batch, source, name, size, begun, added, changed, duplicates)"
            " VALUES (?, ?, ?, ?, ?, 0, 0, 0)",
            *(batch, source, name, size, at),
        )

    def note(
        self, batch: str, *, added: int, changed: int, duplicates: int, finished: str | None
    ) -> None:
        """So many more were added and changed; ``duplicates`` are those of the last reading."""
        self._run(
            "UPDATE import SET added = added + ?, changed = changed + ?, duplicates = ?,"
            " finished = coalesce(?, finished) WHERE batch = ?",
            *(added, changed, duplicates, finished, batch),
        )

    def undo(self, batch: str, *, at: str) -> None:
        """It is taken back, or begins to be."""
        self._run("UPDATE import SET undone = ? WHERE batch = ?", at, batch)

    def get(self, batch: str) -> ImportRow | None:
        row = self._one(f"SELECT {_COLUMNS} FROM import WHERE batch = ?", batch)  # noqa: S608
        return None if row is None else _row(row)

    def unfinished(self, *, source: str, name: str, size: int) -> ImportRow | None:
        """The import of such a file that was cut off."""
        row = self._one(
            f"SELECT {_COLUMNS} FROM import WHERE source = ? AND name = ? AND size = ?"  # noqa: S608
            " AND finished IS NULL AND undone IS NULL ORDER BY begun DESC LIMIT 1",
            *(source, name, size),
        )
        return None if row is None else _row(row)

    def all(self) -> list[ImportRow]:
        """The newest first."""
        rows = self._all(f"SELECT {_COLUMNS} FROM import ORDER BY begun DESC, rowid DESC")  # noqa: S608
        return [_row(row) for row in rows]

    def held(self) -> dict[str, tuple[int, int]]:
        """Of each batch with live records: how many, and how many of them somebody touched since,
        or another import changed.

        Whatever a person did to an item stands in the history under the item's id.
        """
        rows = self._all(
            "SELECT batch, count(*), sum(EXISTS (SELECT 1 FROM history h WHERE h.subject = r.id)"
            " OR EXISTS (SELECT 1 FROM record_changes c WHERE c.ordinal = r.ordinal"
            " AND c.batch <> r.batch))"
            " FROM records r WHERE batch IS NOT NULL AND deleted = 0 GROUP BY batch"
        )
        return {str(row[0]): (int(row[1]), int(row[2])) for row in rows}

    def changed(self) -> dict[str, tuple[int, int]]:
        """Of each batch that changed records: how many can still be what they were before or what
        came after, and how many of these were touched since."""
        rows = self._all(
            "SELECT c.batch, count(*), sum(r.deleted = 1 OR r.version <> c.version)"
            " FROM record_changes c JOIN records r USING (ordinal) GROUP BY c.batch"
        )
        return {str(row[0]): (int(row[1]), int(row[2])) for row in rows}

    def touched(self, batch: str) -> frozenset[int]:
        """The numbers of live records of a batch to which somebody did anything since."""
        rows = self._all(
            "SELECT ordinal FROM records r WHERE batch = ? AND deleted = 0"
            " AND EXISTS (SELECT 1 FROM history h WHERE h.subject = r.id)",
            batch,
        )
        return frozenset(int(row[0]) for row in rows)


def _row(row: Sequence[Any]) -> ImportRow:
    return ImportRow(*row)
