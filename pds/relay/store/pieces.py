"""Sealed objects that are too long for one answer: not read with their rows, but piece by piece."""

from collections.abc import Sequence
from typing import Any

from pds.db import Sql
from pds.wire import MAX_SEALED, WHOLE


def short(column: str) -> str:
    """The column, or NULL where it is too long to stand in an answer; then it is not read."""
    return f"CASE WHEN length({column}) <= {WHOLE} THEN {column} END"


def piece_of(conn: Sql, where: str, parameters: Sequence[Any], after: int) -> bytes | None:
    """What follows the first ``after`` bytes of a sealed object, at most a piece of it; nothing
    beyond its end. None where there is no such row."""
    first = min(after, MAX_SEALED) + 1
    row = conn.execute(
        f"SELECT substr(sealed, {first}, {WHOLE}) AS piece FROM {where}",  # noqa: S608  ours
        parameters,
    ).fetchone()
    return None if row is None else bytes(row["piece"])
