"""The SQL of hosted identities: the log of a did:webvh, and its witnesses' proofs beside it."""

from dataclasses import dataclass

from pds.db import Sql


@dataclass(frozen=True, slots=True)
class IdentityRow:
    """``log`` is None once its owner has taken it away; the id is then never given again."""

    mailbox: str
    log: bytes | None
    witness: bytes | None
    entry: int | None
    suspended: bool = False


def identity(conn: Sql, id_: str) -> IdentityRow | None:
    row = conn.execute(
        "SELECT mailbox, log, witness, entry, suspended FROM identities WHERE id = ?", (id_,)
    ).fetchone()
    if row is None:
        return None
    return IdentityRow(**{**dict(row), "suspended": bool(row["suspended"])})


def count(conn: Sql, mailbox_id: str) -> int:
    """How many a mailbox hosts."""
    row = conn.execute(
        "SELECT count(*) AS n FROM identities WHERE mailbox = ? AND log IS NOT NULL", (mailbox_id,)
    ).fetchone()
    return int(row["n"])


def put(conn: Sql, id_: str, row: IdentityRow) -> None:
    """Put a log in the place of the one before; it waits for nobody any more."""
    # No REPLACE, which would pass by the triggers that count what a mailbox holds.
    conn.execute(
        "INSERT INTO identities (id, mailbox, log, witness, entry) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET log = excluded.log, witness = excluded.witness,"
        " entry = excluded.entry, suspended = 0",
        (id_, row.mailbox, row.log, row.witness, row.entry),
    )


def end(conn: Sql, id_: str) -> None:
    """Erase a log and what is beside it."""
    _end(conn, "id = ?", id_)


def end_all(conn: Sql, mailbox_id: str) -> None:
    """Erase all that a mailbox hosts."""
    _end(conn, "mailbox = ?", mailbox_id)


def suspend_all(conn: Sql) -> None:
    """Every log waits for its owner, who may have published a longer one since."""
    conn.execute("UPDATE identities SET suspended = 1")


def _end(conn: Sql, which: str, value: str) -> None:
    conn.execute(
        "DELETE FROM log_entries WHERE number IN"  # noqa: S608  one of two texts above
        f" (SELECT entry FROM identities WHERE {which})",
        (value,),
    )
    conn.execute(
        f"UPDATE identities SET log = NULL, witness = NULL, entry = NULL WHERE {which}",  # noqa: S608
        (value,),
    )
