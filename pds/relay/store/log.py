"""Tables of the log, and the facts that belong to the whole relay."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from did.json import JsonObject
from pds.db import Sql


@dataclass(frozen=True, slots=True)
class LogRow:
    """The log that is written at present."""

    number: int
    origin: str
    size: int
    checkpoint: str


@dataclass(slots=True)
class NewEntry:
    """An entry of a batch. ``receipt`` (JCS) is there once the batch was sealed, and counts once
    it was committed."""

    number: int
    entry: JsonObject = field(repr=False)
    salt: bytes = field(repr=False)
    leaf: bytes
    receipt: bytes = b""


class SqlNodes:
    """A NodeStore over ``log_nodes``, to read from."""

    __slots__ = ("_conn", "_log")

    def __init__(self, conn: Sql, log: int) -> None:
        self._conn = conn
        self._log = log

    def get_node(self, level: int, index: int) -> bytes:
        row = self._conn.execute(
            "SELECT hash FROM log_nodes WHERE log = ? AND level = ? AND position = ?",
            (self._log, level, index),
        ).fetchone()
        if row is None:
            raise LookupError("no such node")
        return bytes(row["hash"])

    def put_node(self, level: int, index: int, hash_: bytes) -> None:
        add_nodes(self._conn, self._log, [(level, index, hash_)])


def add_nodes(conn: Sql, log: int, nodes: Iterable[tuple[int, int, bytes]]) -> None:
    """Keep nodes of the tree, each as (level, index, hash)."""
    conn.executemany(
        "INSERT INTO log_nodes (log, level, position, hash) VALUES (?, ?, ?, ?)",
        [(log, *node) for node in nodes],
    )


def current(conn: Sql) -> LogRow:
    """The log with the highest number."""
    row = conn.execute(
        "SELECT number, origin, size, checkpoint FROM logs ORDER BY number DESC LIMIT 1"
    ).fetchone()
    return LogRow(row["number"], row["origin"], row["size"], row["checkpoint"])


def begin(conn: Sql, *, origin: str, checkpoint: str) -> None:
    """A new, empty log."""
    conn.execute(
        "INSERT INTO logs (number, origin, size, checkpoint)"
        " SELECT coalesce(max(number), 0) + 1, ?, 0, ? FROM logs",
        (origin, checkpoint),
    )


def grow(conn: Sql, log: int, *, size: int, checkpoint: str) -> None:
    conn.execute(
        "UPDATE logs SET size = ?, checkpoint = ? WHERE number = ?", (size, checkpoint, log)
    )


def add_entry(conn: Sql) -> int:
    """A place for a receipt; its number, by which other tables refer to it."""
    row = conn.execute("INSERT INTO log_entries (receipt) VALUES ('') RETURNING number").fetchone()
    return int(row["number"])


def keep_receipts(conn: Sql, entries: Iterable[NewEntry]) -> None:
    """Keep the receipts of a sealed batch; those erased meanwhile stay erased."""
    conn.executemany(
        "UPDATE log_entries SET receipt = ? WHERE number = ?",
        [(entry.receipt.decode(), entry.number) for entry in entries],
    )


def receipt(conn: Sql, number: int) -> str:
    row = conn.execute("SELECT receipt FROM log_entries WHERE number = ?", (number,)).fetchone()
    return str(row["receipt"])


def kept(conn: Sql, number: int) -> NewEntry:
    """An entry of before, as far as its receipt says."""
    return NewEntry(number, {}, b"", b"", receipt(conn, number).encode())


def erase_entry(conn: Sql, number: int | None) -> None:
    """Erase an entry with its salt. Its leaf stays, and says nothing any more."""
    conn.execute("DELETE FROM log_entries WHERE number = ?", (number,))


def fact(conn: Sql, name: str) -> bytes | None:
    row = conn.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return None if row is None else bytes(row["value"])


def set_fact(conn: Sql, name: str, value: bytes) -> None:
    conn.execute(
        "INSERT INTO facts (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )
