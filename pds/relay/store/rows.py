"""Writing and reading many rows by few statements.

A statement is a turn of its own: to a server and back, or at the interpreter's lock, which other
threads then hold for a while.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from pds.db import Sql

_T = TypeVar("_T")
_MOST = 32


def pieces(items: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """All of them in pieces of 32, 16, 8, 4, 2 or 1, so that few statements differ in length and
    each is prepared once."""
    start = 0
    size = _MOST
    while start < len(items):
        while size > len(items) - start:
            size //= 2
        yield items[start : start + size]
        start += size


def values(rows: Sequence[Sequence[Any]]) -> tuple[str, list[Any]]:
    """``(?, ?), (?, ?)`` for these rows, and all their values."""
    row = f"({', '.join('?' * len(rows[0]))})"
    return ", ".join([row] * len(rows)), [value for each in rows for value in each]


def insert(conn: Sql, into: str, rows: Sequence[Sequence[Any]]) -> None:
    """Insert rows; ``into`` is ``table (column, …)``."""
    for piece in pieces(rows):
        places, parameters = values(piece)
        conn.execute(f"INSERT INTO {into} VALUES {places}", parameters)  # noqa: S608  ours
