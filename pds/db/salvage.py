"""Reading what is still readable of a database with damaged pages.

SQLCipher refuses a page that was altered, and from then on every question on that connection. So
each time that a page is met which cannot be read, the file is opened anew, and the reading goes on
behind it. One case it passes over: where the damaged page holds the last part of a long value, that
part comes out as zero bytes, and only the next question fails. So a value that ends in zeros counts
as one that cannot be read; text of ours holds none.

A table is read from both ends; what lies between two damaged pages is looked up row by row, by the
row numbers that the table's indexes still name. These also tell which rows are lost.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from sqlcipher3 import dbapi2

from pds.db.connection import Connection

Key = tuple[Any, ...]
_SHORT = 400  # a blob that needs no page of its own


@dataclass(slots=True)
class TableReport:
    """What came out of a table: rows read, and the keys of rows that exist and cannot be read.

    ``whole`` is false when there may be more that nothing names any more.
    """

    read: int = 0
    lost: list[Key] = field(default_factory=list)
    whole: bool = True


class Salvage:
    """A damaged database, read as far as it goes. ``reopen`` opens it; see ``open_encrypted``."""

    def __init__(self, reopen: Callable[[], Connection]) -> None:
        self._reopen = reopen
        self._conn: Connection | None = None

    def close(self) -> None:
        """Close the file; the next question opens it again."""
        if self._conn is not None:
            self._conn.close()
            self._conn = None

    def ask(self, sql: str, values: Sequence[Any] = ()) -> list[Any] | None:
        """All rows of a query, or None if it met a damaged page or asks for what is not there."""
        rows: list[Any] = []
        return rows if self._read(sql, values, rows.append) else None

    def version(self) -> int:
        """The number of the last migration that was carried out."""
        rows = self.ask("PRAGMA user_version")
        return int(rows[0][0]) if rows else 0

    def tables(self) -> list[str]:
        """The tables that hold rows of their own: no virtual ones, nor what belongs to them."""
        rows = self.ask("PRAGMA main.table_list") or []
        return sorted(
            row["name"]
            for row in rows
            if row["type"] == "table" and not row["name"].startswith("sqlite_")
        )

    def columns(self, table: str) -> list[str]:
        """The names of its columns, in order."""
        return [row["name"] for row in self.ask(f"PRAGMA table_info({_quoted(table)})") or []]

    def rows(self, table: str, report: TableReport) -> Iterator[tuple[Any, ...]]:
        """The rows of a table that can be read, each once, in no promised order."""
        key = self._key(table)
        picked = ", ".join(["*", *key])
        order = ", ".join(key)
        backwards = ", ".join(f"{name} DESC" for name in key)
        seen: set[Key] = set()
        zeroed: set[Key] = set()
        for direction in (order, backwards):
            batch: list[Any] = []
            done = self._read(
                f"SELECT {picked} FROM {_quoted(table)} NOT INDEXED ORDER BY {direction}",  # noqa: S608
                (),
                batch.append,
            )
            for row in batch:
                found, values = tuple(row)[-len(key) :], tuple(row)[: -len(key)]
                if any(map(_is_zeroed, values)):
                    zeroed.add(found)
                elif found not in seen:
                    seen.add(found)
                    yield values
            if done and not zeroed:
                report.read = len(seen)
                return
        report.whole = False
        where = " AND ".join(f"{name} = ?" for name in key)
        for one in sorted((self._named(table, key) | zeroed) - seen, key=repr):
            row = self.ask(
                f"SELECT * FROM {_quoted(table)} NOT INDEXED WHERE {where}",  # noqa: S608
                one,
            )
            if row is None or any(_is_zeroed(value) for found in row for value in found):
                report.lost.append(one)
            elif row:
                seen.add(one)
                yield tuple(row[0])
        report.read = len(seen)

    def _key(self, table: str) -> list[str]:
        """What names a row: its primary key, or where it has none of its own, the row number."""
        found = self.ask("SELECT wr FROM pragma_table_list WHERE name = ?", (table,))
        if not found or not found[0][0]:
            return ["rowid"]
        info = self.ask(f"PRAGMA table_info({_quoted(table)})") or []
        parts = sorted((row["pk"], row["name"]) for row in info if row["pk"])
        return [_quoted(name) for _, name in parts]

    def _named(self, table: str, key: list[str]) -> set[Key]:
        """The row numbers that an index names; an index may be damaged as well. Of a table without
        row numbers SQLite reads no index alone."""
        known: set[Key] = set()
        for index in self.ask(f"PRAGMA index_list({_quoted(table)})") or []:
            if not index["partial"] and key == ["rowid"]:
                self._read(
                    f"SELECT rowid FROM {_quoted(table)} INDEXED BY {_quoted(index['name'])}",  # noqa: S608
                    (),
                    lambda row: known.add(tuple(row)),
                )
        return known

    def _read(self, sql: str, values: Sequence[Any], take: Callable[[Any], object]) -> bool:
        """Whether the query came to its end; what it gave until then has been taken."""
        fresh, taken = self._conn is None, 0
        conn = self._conn = self._conn or self._reopen()
        try:
            for row in conn.execute(sql, tuple(values)):
                take(row)
                taken += 1
        except dbapi2.OperationalError:
            return False  # no such table or index: an older or newer schema
        except dbapi2.DatabaseError:
            with suppress(dbapi2.Error):
                conn.close()
            self._conn = None
            # Perhaps the complaint is about the question before.
            return not fresh and not taken and self._read(sql, values, take)
        return True


def _is_zeroed(value: object) -> bool:
    if isinstance(value, str):
        return "\0" in value
    return isinstance(value, bytes) and len(value) > _SHORT and value.endswith(b"\0")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
