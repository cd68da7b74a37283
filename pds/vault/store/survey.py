"""What the rows say of themselves, to be held against the history; and rows of any table, moved.

Reads across the tables of all stores. The caller owns the transaction.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pds.db import Salvage, TableReport, Tables

Row = tuple[Any, ...]


class Survey(Tables):
    """Looks over the rows of a sound database."""

    def records(self) -> dict[str, tuple[int, bool]]:
        """Of each record: its version, and whether it was deleted."""
        rows = self._all("SELECT id, version, deleted FROM records")
        return {row["id"]: (row["version"], bool(row["deleted"])) for row in rows}

    def with_gaps(self) -> list[str]:
        """Records of which an earlier version is missing, or not erased though they are."""
        rows = self._all(
            "SELECT r.id FROM records r LEFT JOIN record_versions v USING (ordinal)"
            " GROUP BY r.ordinal HAVING count(v.version) <> r.version - 1"
            " OR max(coalesce(v.version, 0)) <> r.version - 1"
            " OR (r.deleted = 1 AND count(v.fields) > 0)"
        )
        return [str(row["id"]) for row in rows]

    def miscounted(self) -> int:
        """Categories of which another number of live records is kept than there are."""
        counted = "SELECT category, live FROM record_counts WHERE live <> 0"
        live = "SELECT category, count(*) FROM records WHERE deleted = 0 GROUP BY category"
        row = self._one(
            f"SELECT count(*) AS n FROM (SELECT * FROM ({counted} EXCEPT {live})"  # noqa: S608
            f" UNION SELECT * FROM ({live} EXCEPT {counted}))"
        )
        return int(row["n"])

    def without_category(self) -> list[str]:
        """Own categories in which there are live records, and of which there is no description."""
        rows = self._all(
            "SELECT DISTINCT category FROM records WHERE deleted = 0 AND category GLOB 'own-*'"
            " AND category NOT IN (SELECT name FROM own_categories) ORDER BY category"
        )
        return [str(row["category"]) for row in rows]

    def grants(self) -> dict[str, tuple[bool, int]]:
        """Of each grant: whether it was ended, and the version of its package."""
        rows = self._all("SELECT id, ended, seq FROM access_grant")
        return {row["id"]: (row["ended"] is not None, row["seq"]) for row in rows}

    def requests(self) -> set[str]:
        return {row["id"] for row in self._all("SELECT id FROM request")}

    def relationships(self) -> dict[str, int]:
        """The index of each relationship's DID."""
        return {row["did"]: row["idx"] for row in self._all("SELECT did, idx FROM relationship")}

    def given_up(self) -> dict[str, bool]:
        """The DIDs that another took the place of, and whether that is done."""
        rows = self._all(
            "SELECT r.did, s.state FROM succession s JOIN relationship r ON r.idx = s.old"
        )
        return {row["did"]: row["state"] == "done" for row in rows}

    def next_index(self) -> int:
        """The number that the next relationship gets."""
        row = self._one("SELECT value FROM setting WHERE name = 'next_index'")
        return 0 if row is None else int(row["value"])


class Rescue:
    """Takes rows out of a damaged database and puts them into a new one."""

    def __init__(self, source: Salvage, target: Any) -> None:
        self._source = source
        self._target = target

    @contextmanager
    def without_references(self) -> Iterator[None]:
        """Copy tables in any order; ``drop_orphans`` then takes out what points nowhere."""
        self._target.execute("PRAGMA foreign_keys = OFF")
        try:
            yield
        finally:
            self._target.execute("PRAGMA foreign_keys = ON")

    def lost_records(self, ordinals: Iterable[int]) -> list[tuple[str, str]]:
        """Category and id of records whose rows cannot be read, from indexes; empty for unknown."""
        named = self._source.ask(
            "SELECT ordinal, category FROM records INDEXED BY records_about_self"
            " WHERE deleted = 0 AND about = 'self'"
        )
        ids = self._source.ask("SELECT ordinal, id FROM records ORDER BY id")
        categories = {row[0]: str(row[1]) for row in named or []}
        known = {row[0]: str(row[1]) for row in ids or []}
        return [(categories.get(one, ""), known.get(one, "")) for one in ordinals]

    def copy(self, table: str, report: TableReport) -> None:
        """Copy the rows of a table that both sides have, column by column of the same name."""
        here = self._source.columns(table)
        there = [row["name"] for row in self._target.execute(f"PRAGMA table_info({table})")]
        both = [name for name in here if name in there]
        places = [here.index(name) for name in both]
        marks = ", ".join("?" for _ in both)
        statement = f"INSERT OR IGNORE INTO {table} ({', '.join(both)}) VALUES ({marks})"  # noqa: S608
        for row in self._source.rows(table, report):
            self._target.execute(statement, [row[place] for place in places])

    def drop_orphans(self) -> dict[str, int]:
        """Take out rows that point to rows which were lost; how many, by table."""
        dropped: dict[str, int] = {}
        while broken := self._target.execute("PRAGMA foreign_key_check").fetchall():
            for table, rowid, _, number in broken:
                where, values = self._broken(table, rowid, number)
                done = self._target.execute(f"DELETE FROM {table} WHERE {where}", values)  # noqa: S608
                dropped[table] = dropped.get(table, 0) + done.rowcount
        return dropped

    def _broken(self, table: str, rowid: int | None, number: int) -> tuple[str, Sequence[Any]]:
        if rowid is not None:
            return "rowid = ?", (rowid,)
        # A table without row numbers: SQLite names the constraint only.
        keys = self._target.execute(f"PRAGMA foreign_key_list({table})").fetchall()
        key = next(row for row in keys if row["id"] == number)
        return (
            f"{key['from']} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM {key['table']} p"  # noqa: S608
            f" WHERE p.{key['to']} = {table}.{key['from']})",
            (),
        )
