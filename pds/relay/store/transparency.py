"""What everybody may read of the logs: nodes by the tile, and what witnesses have cosigned."""

from typing import Final

from pds.db import Sql
from pds.relay.store.log import LogRow

SIZES_KEPT: Final = 8
"""How many of the newest cosigned sizes of a log are kept, beside the last one of each witness."""


def log_of(conn: Sql, origin: str) -> LogRow | None:
    """The log of this origin, also one that is not written any more."""
    row = conn.execute(
        "SELECT number, origin, size, checkpoint FROM logs WHERE origin = ?", (origin,)
    ).fetchone()
    if row is None:
        return None
    return LogRow(row["number"], row["origin"], row["size"], row["checkpoint"])


def nodes(conn: Sql, log: int, level: int, first: int, count: int) -> list[bytes]:
    """So many neighbours of a level of the tree; fewer where it ends before."""
    rows = conn.execute(
        "SELECT hash FROM log_nodes WHERE log = ? AND level = ? AND position >= ? AND position < ?"
        " ORDER BY position",
        (log, level, first, first + count),
    ).fetchall()
    return [bytes(row["hash"]) for row in rows]


def cosigned_size(conn: Sql, log: int, witness: str) -> int | None:
    """How many leaves of the log this witness has cosigned; None when it never did."""
    row = conn.execute(
        "SELECT max(size) AS size FROM cosignatures WHERE log = ? AND witness = ?", (log, witness)
    ).fetchone()
    return None if row["size"] is None else int(row["size"])


def add_cosignature(conn: Sql, log: int, *, witness: str, size: int, note: str, line: str) -> None:
    """Keep a cosignature, and let go of those that are surpassed."""
    conn.execute(
        "INSERT INTO cosignatures (log, size, witness, note, line) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (log, size, witness) DO UPDATE SET note = excluded.note,"
        " line = excluded.line",
        (log, size, witness, note, line),
    )
    conn.execute(
        "DELETE FROM cosignatures WHERE log = ?"
        " AND size NOT IN (SELECT DISTINCT size FROM cosignatures WHERE log = ?"
        " ORDER BY size DESC LIMIT ?)"
        " AND size < (SELECT max(size) FROM cosignatures AS other"
        " WHERE other.log = cosignatures.log AND other.witness = cosignatures.witness)",
        (log, log, SIZES_KEPT),
    )


def cosigned(conn: Sql, log: int) -> list[str]:
    """The checkpoints that somebody has cosigned, each with all its lines, the newest first."""
    rows = conn.execute(
        "SELECT size, note, line FROM cosignatures WHERE log = ? ORDER BY size DESC, witness",
        (log,),
    ).fetchall()
    found: dict[int, str] = {}
    for row in rows:
        found[row["size"]] = found.get(row["size"], row["note"]) + row["line"]
    return list(found.values())[:SIZES_KEPT]


def lines(conn: Sql, log: int, size: int) -> str:
    """The cosignatures of one size."""
    rows = conn.execute(
        "SELECT line FROM cosignatures WHERE log = ? AND size = ? ORDER BY witness", (log, size)
    ).fetchall()
    return "".join(row["line"] for row in rows)
