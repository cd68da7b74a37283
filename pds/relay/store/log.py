"""Tables of the log, and the facts that belong to the whole relay."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from did.json import JsonObject
from pds.db import Sql
from pds.relay.store.rows import insert, pieces, values

_SUCCESSIONS = "log-successions"


@dataclass(frozen=True, slots=True)
class LogRow:
    """The log that is written at present."""

    number: int
    origin: str
    size: int
    checkpoint: str


@dataclass(slots=True)
class NewEntry:
    """An entry of a batch. ``number`` is there once it has a place, and ``receipt`` (JCS) once the
    batch was sealed; it counts once that was committed."""

    entry: JsonObject = field(repr=False)
    salt: bytes = field(repr=False)
    leaf: bytes
    number: int = 0
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
    insert(conn, "log_nodes (log, level, position, hash)", [(log, *node) for node in nodes])


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


def add_entries(conn: Sql, entries: Sequence[NewEntry]) -> None:
    """Give entries a place for their receipts, and the numbers by which other tables refer to
    them."""
    for piece in pieces(entries):
        places, parameters = values([("",)] * len(piece))
        rows = conn.execute(
            f"INSERT INTO log_entries (receipt) VALUES {places} RETURNING number",  # noqa: S608
            parameters,
        )
        numbers = sorted(row["number"] for row in rows)
        for entry, number in zip(piece, numbers, strict=True):
            entry.number = number


def keep_receipts(conn: Sql, entries: Sequence[NewEntry]) -> None:
    """Keep the receipts of a sealed batch; those erased meanwhile stay erased."""
    for piece in pieces(entries):
        places, parameters = values([(entry.number, entry.receipt.decode()) for entry in piece])
        conn.execute(
            f"WITH new (number, receipt) AS (VALUES {places})"  # noqa: S608
            " UPDATE log_entries SET receipt = new.receipt FROM new"
            " WHERE log_entries.number = new.number",
            parameters,
        )


def receipt(conn: Sql, number: int) -> str:
    row = conn.execute("SELECT receipt FROM log_entries WHERE number = ?", (number,)).fetchone()
    return str(row["receipt"])


def kept(conn: Sql, number: int) -> NewEntry:
    """An entry of before, as far as its receipt says."""
    return NewEntry({}, b"", b"", number, receipt(conn, number).encode())


def erase_entry(conn: Sql, number: int | None) -> None:
    """Erase an entry with its salt. Its leaf stays, and says nothing any more."""
    conn.execute("DELETE FROM log_entries WHERE number = ?", (number,))


def successions(conn: Sql) -> list[int]:
    """The numbers of the entries by which the log's key has changed, in their order."""
    kept = fact(conn, _SUCCESSIONS)
    return [] if kept is None else [int(number) for number in kept.split()]


def add_succession(conn: Sql, number: int) -> None:
    numbers = [*successions(conn), number]
    set_fact(conn, _SUCCESSIONS, " ".join(map(str, numbers)).encode())


def fact(conn: Sql, name: str) -> bytes | None:
    row = conn.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
    return None if row is None else bytes(row["value"])


def set_fact(conn: Sql, name: str, value: bytes) -> None:
    conn.execute(
        "INSERT INTO facts (name, value) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        (name, value),
    )
