"""What both engines understand: the statements of a store, and how a connection runs them.

Portable statements use ``?`` for parameters and named columns of the answer, ``ON CONFLICT`` for
what may be there already and ``RETURNING`` for what a row became; times and counts are integers,
truth is 0 or 1, octets are bytes. No statement holds a question mark in a text.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Protocol


class Sql(Protocol):
    """A connection of either engine, within the caller's transaction.

    ``execute`` gives a cursor: rows are read by ``fetchone``, ``fetchall`` or in a loop, columns
    by name or number, and ``dict(row)`` has them by name; ``rowcount`` says how many rows a
    statement changed.
    """

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Any:
        """Run one statement."""

    def executemany(self, sql: str, rows: Iterable[Sequence[Any]], /) -> Any:
        """Run one statement for each of the rows."""

    def stream(self, sql: str, /) -> Iterable[Any]:
        """The rows of a query of any length, without holding them all."""
