"""Tables of the log, and the facts that belong to the whole relay."""

from dataclasses import dataclass

from pds.db import Connection


@dataclass(frozen=True, slots=True)
class LogRow:
    """The log that is written at present."""

    number: int
    origin: str
    size: int
    checkpoint: str


class SqlNodes:
    """A NodeStore over ``log_nodes``."""

    __slots__ = ("_conn", "_log")

    def __init__(self, conn: Connection, log: int) -> None:
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
        self._conn.execute(
            "INSERT INTO log_nodes (log, level, position, hash) VALUES (?, ?, ?, ?)",
            (self._log, level, index, hash_),
        )


def current(conn: Connection) -> LogRow:
    """The log with the highest number."""
    row = conn.execute(
        "SELECT number, origin, size, checkpoint FROM logs ORDER BY number DESC LIMIT 1"
    ).fetchone()
    return LogRow(row["number"], row["origin"], row["size"], row["checkpoint"])


def begin(conn: Connection, *, origin: str, checkpoint: str) -> None:
    """A new, empty log."""
    conn.execute(
        "INSERT INTO logs (origin, size, checkpoint) VALUES (?, 0, ?)", (origin, checkpoint)
    )


def grow(conn: Connection, log: int, *, size: int, checkpoint: str) -> None:
    conn.execute(
        "UPDATE logs SET size = ?, checkpoint = ? WHERE number = ?", (size, checkpoint, log)
    )


def add_entry(conn: Connection, receipt: str) -> int:
    """Keep a receipt; its number, by which other tables refer to it."""
    number: int = conn.execute("INSERT INTO log_entries (receipt) VALUES (?)", (receipt,)).lastrowid
    return number


def receipt(conn: Connection, number: int) -> str:
    row = conn.execute("SELECT receipt FROM log_entries WHERE number = ?", (number,)).fetchone()
    return str(row["receipt"])


def erase_entry(conn: Connection, number: int | None) -> None:
    """Erase an entry with its salt. Its leaf stays, and says nothing any more."""
    conn.execute("DELETE FROM log_entries WHERE number = ?", (number,))


def fact(conn: Connection, name: str) -> bytes | None:
    row = conn.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return None if row is None else bytes(row["value"])


def set_fact(conn: Connection, name: str, value: bytes) -> None:
    conn.execute(
        "INSERT INTO facts (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )
