"""The base of every store: some tables of one database, with their SQL in one place."""

from typing import Any

from pds.db.connection import Connection


class Tables:
    """Some tables. The caller owns the connection and the transaction."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def _run(self, sql: str, *values: Any) -> None:
        self._conn.execute(sql, values)

    def _one(self, sql: str, *values: Any) -> Any:
        return self._conn.execute(sql, values).fetchone()

    def _all(self, sql: str, *values: Any) -> list[Any]:
        return list(self._conn.execute(sql, values).fetchall())
