"""What the parts of the store share: running a statement, and reading columns."""

from datetime import datetime
from typing import Any

from did.json import Json, JsonObject, canonicalize, parse, parse_object
from did.time import format_time, parse_time
from pds.db import Connection

# A decision carries up to a hundred credentials.
_MOST = 4 * 1_048_576


class Tables:
    """Some tables of the database."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def _run(self, sql: str, *values: Any) -> None:
        self._conn.execute(sql, values)

    def _one(self, sql: str, *values: Any) -> Any:
        return self._conn.execute(sql, values).fetchone()

    def _all(self, sql: str, *values: Any) -> list[Any]:
        return list(self._conn.execute(sql, values).fetchall())


def to_text(value: Json) -> str:
    return canonicalize(value).decode()


def to_object(text: str) -> JsonObject:
    return parse_object(text, max_bytes=_MOST)


def to_list(text: str) -> list[Json]:
    value = parse(text, max_bytes=_MOST)
    return value if isinstance(value, list) else []


def time_text(time: datetime | None) -> str | None:
    return None if time is None else format_time(time)


def maybe_time(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text)
