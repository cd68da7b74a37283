"""Which records have something in common: a temporary table of what is known of each, in memory."""

import secrets
from collections.abc import Iterable, Iterator

from pds.db import Connection


class KeyTable:
    """Numbers, each with the records that have it; drop it when done."""

    def __init__(self, conn: Connection) -> None:
        # Its name is random: another search may be under way on this connection.
        self._conn, self._name = conn, f"temp.keys_{secrets.token_hex(8)}"
        conn.execute(
            f"CREATE TABLE {self._name} (key INTEGER, ordinal INTEGER,"
            " PRIMARY KEY (key, ordinal)) WITHOUT ROWID"
        )

    def add(self, rows: Iterable[tuple[int, int]]) -> None:
        self._conn.executemany(
            f"INSERT OR IGNORE INTO {self._name} VALUES (?, ?)",  # noqa: S608  # a name of our own
            sorted(rows),
        )

    def groups(self, *, largest: int) -> Iterator[tuple[int, ...]]:
        """The records that share a number, if they are no more than ``largest``; the oldest records
        first."""
        rows = self._conn.execute(
            f"SELECT group_concat(ordinal) FROM {self._name} GROUP BY key"  # noqa: S608
            " HAVING count(*) BETWEEN 2 AND ? ORDER BY min(ordinal)",
            (largest,),
        )
        for row in rows:
            yield tuple(sorted(map(int, row[0].split(","))))

    def drop(self) -> None:
        self._conn.execute(f"DROP TABLE IF EXISTS {self._name}")
