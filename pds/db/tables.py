"""The base of every store: some tables of one database, with their SQL in one place."""

from typing import Any, NoReturn

from sqlcipher3 import dbapi2

from pds.db.connection import Connection, translate


class Tables:
    """Some tables. The caller owns the connection and the transaction; errors that callers must
    tell apart come out as DbError."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def _run(self, sql: str, *values: Any) -> None:
        try:
            self._conn.execute(sql, values)
        except dbapi2.Error as error:
            _translated(error)

    def _one(self, sql: str, *values: Any) -> Any:
        try:
            return self._conn.execute(sql, values).fetchone()
        except dbapi2.Error as error:
            _translated(error)

    def _all(self, sql: str, *values: Any) -> list[Any]:
        try:
            return list(self._conn.execute(sql, values).fetchall())
        except dbapi2.Error as error:
            _translated(error)


def _translated(error: dbapi2.Error) -> NoReturn:
    with translate():
        raise error
