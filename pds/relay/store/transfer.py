"""Carrying all rows of a relay over from one database to another, of whichever engine."""

from typing import Final

from pds.db import Sql
from pds.relay.store import log
from pds.relay.store.engines import Engine

# In an order in which no row refers to one that has yet to come.
TABLES: Final = (
    "facts",
    "logs",
    "log_nodes",
    "log_entries",
    "cosignatures",
    "mailboxes",
    "capabilities",
    "envelopes",
    "packages",
    "tickets",
    "contents",
    "events",
    "status_lists",
    "requests",
    "nonces",
    "challenges",
    "swept",
    "rates",
    "identities",
)
_AT_ONCE: Final = 500


def is_empty(conn: Sql) -> bool:
    """Whether no relay was ever here."""
    return log.fact(conn, "url") is None


def carry_over(source: Sql, target: Sql, engine: Engine) -> dict[str, int]:
    """Copy every row into ``target``, of the engine ``engine``; how many there were, by table.

    The caller owns both transactions. What a mailbox holds is counted anew by the target itself
    as the rows come.
    """
    counts = {table: _copy(source, target, table) for table in TABLES}
    engine.rows_came(target)
    return counts


def _copy(source: Sql, target: Sql, table: str) -> int:
    count = 0
    sql = ""
    batch: list[tuple[object, ...]] = []
    for row in source.stream(f"SELECT * FROM {table}"):  # noqa: S608  one of ours, above
        values = dict(row)
        if table == "mailboxes":
            values["held"] = 0
        if not sql:
            places = ", ".join("?" * len(values))
            sql = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({places})"  # noqa: S608
        batch.append(tuple(values.values()))
        count += 1
        if len(batch) == _AT_ONCE:
            target.executemany(sql, batch)
            batch.clear()
    if batch:
        target.executemany(sql, batch)
    return count


def differences(source: Sql, target: Sql) -> list[str]:
    """The tables in which the two do not hold as many rows, or mailboxes as much."""
    found = [
        table
        for table in TABLES
        if _one(source, f"SELECT count(*) AS n FROM {table}")  # noqa: S608
        != _one(target, f"SELECT count(*) AS n FROM {table}")  # noqa: S608
    ]
    held = "SELECT coalesce(sum(held), 0) AS n FROM mailboxes"
    if _one(source, held) != _one(target, held):
        found.append("mailboxes.held")
    return found


def _one(conn: Sql, sql: str) -> int:
    return int(conn.execute(sql).fetchone()["n"])
