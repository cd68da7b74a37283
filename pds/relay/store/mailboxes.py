"""Tables of mailboxes, capabilities, envelopes and request links."""

from dataclasses import dataclass
from typing import Any

from pds.db import Sql
from pds.relay.store.pieces import piece_of, short


@dataclass(frozen=True, slots=True)
class MailboxRow:
    id: str
    owner: str
    epoch: int
    last_ordinal: int
    ended: bool


@dataclass(frozen=True, slots=True)
class CapabilityRow:
    id: str
    hash: str
    max_envelopes: int
    max_bytes: int
    expires: int
    used: int
    ended: bool


@dataclass(frozen=True, slots=True)
class EnvelopeRow:
    """``sealed`` is None where it is to be fetched in pieces."""

    ordinal: int
    size: int
    sealed: bytes | None


@dataclass(frozen=True, slots=True)
class RequestRow:
    mailbox: str
    expires: int
    sealed: bytes | None


def mailbox(conn: Sql, id_: str) -> MailboxRow | None:
    row = conn.execute(
        "SELECT id, owner, epoch, last_ordinal, ended FROM mailboxes WHERE id = ?", (id_,)
    ).fetchone()
    if row is None:
        return None
    return MailboxRow(
        row["id"], row["owner"], row["epoch"], row["last_ordinal"], bool(row["ended"])
    )


def add_mailbox(conn: Sql, id_: str, *, owner: str, epoch: int) -> None:
    conn.execute("INSERT INTO mailboxes (id, owner, epoch) VALUES (?, ?, ?)", (id_, owner, epoch))


def raise_epoch(conn: Sql, id_: str, epoch: int) -> None:
    conn.execute("UPDATE mailboxes SET epoch = ? WHERE id = ?", (epoch, id_))


def held(conn: Sql, id_: str) -> int:
    """How many bytes lie in a mailbox: envelopes, links, packages, and what their rows take."""
    row = conn.execute("SELECT held FROM mailboxes WHERE id = ?", (id_,)).fetchone()
    return 0 if row is None else int(row["held"])


def end_mailbox(conn: Sql, id_: str) -> None:
    """Erase what lies in a mailbox; only its id, owner and epoch stay."""
    conn.execute(
        "DELETE FROM log_entries WHERE number IN (SELECT entry FROM envelopes WHERE mailbox = ?)",
        (id_,),
    )
    conn.execute("DELETE FROM envelopes WHERE mailbox = ?", (id_,))
    conn.execute("DELETE FROM capabilities WHERE mailbox = ?", (id_,))
    conn.execute("UPDATE requests SET sealed = NULL WHERE mailbox = ?", (id_,))
    conn.execute("UPDATE mailboxes SET ended = 1 WHERE id = ?", (id_,))


# --- capabilities


def capability(conn: Sql, mailbox_id: str, cid: str) -> CapabilityRow | None:
    return _capability(
        conn.execute(
            "SELECT * FROM capabilities WHERE mailbox = ? AND id = ?", (mailbox_id, cid)
        ).fetchone()
    )


def capability_by_hash(conn: Sql, mailbox_id: str, hash_: str) -> CapabilityRow | None:
    return _capability(
        conn.execute(
            "SELECT * FROM capabilities WHERE mailbox = ? AND hash = ?", (mailbox_id, hash_)
        ).fetchone()
    )


def _capability(row: Any) -> CapabilityRow | None:
    if row is None:
        return None
    return CapabilityRow(
        id=row["id"],
        hash=row["hash"],
        max_envelopes=row["max_envelopes"],
        max_bytes=row["max_bytes"],
        expires=row["expires"],
        used=row["used"],
        ended=bool(row["ended"]),
    )


def add_capability(conn: Sql, mailbox_id: str, row: CapabilityRow) -> None:
    conn.execute(
        "INSERT INTO capabilities (mailbox, id, hash, max_envelopes, max_bytes, expires)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (mailbox_id, row.id, row.hash, row.max_envelopes, row.max_bytes, row.expires),
    )


def end_capability(conn: Sql, mailbox_id: str, cid: str) -> None:
    conn.execute(
        "UPDATE capabilities SET ended = 1 WHERE mailbox = ? AND id = ?", (mailbox_id, cid)
    )


def use_capability(conn: Sql, mailbox_id: str, cid: str) -> None:
    conn.execute(
        "UPDATE capabilities SET used = used + 1 WHERE mailbox = ? AND id = ?", (mailbox_id, cid)
    )


def count_capabilities(conn: Sql, mailbox_id: str, *, now: int) -> int:
    """How many of a mailbox's capabilities still let somebody in."""
    row = conn.execute(
        "SELECT count(*) AS n FROM capabilities WHERE mailbox = ? AND ended = 0 AND expires > ?",
        (mailbox_id, now),
    ).fetchone()
    return int(row["n"])


# --- envelopes


def deposited(conn: Sql, mailbox_id: str, sha256: str) -> int | None:
    """The log entry of an earlier deposit of the same octets."""
    row = conn.execute(
        "SELECT entry FROM envelopes WHERE mailbox = ? AND sha256 = ?", (mailbox_id, sha256)
    ).fetchone()
    return None if row is None else int(row["entry"])


def add_envelope(
    conn: Sql,
    mailbox_id: str,
    *,
    ordinal: int,
    sha256: str,
    sealed: bytes,
    entry: int,
    until: int,
) -> None:
    conn.execute(
        "INSERT INTO envelopes (mailbox, ordinal, sha256, entry, until, sealed)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (mailbox_id, ordinal, sha256, entry, until, sealed),
    )
    conn.execute("UPDATE mailboxes SET last_ordinal = ? WHERE id = ?", (ordinal, mailbox_id))


def envelopes(
    conn: Sql, mailbox_id: str, *, after: int, limit: int, max_bytes: int
) -> tuple[list[EnvelopeRow], bool]:
    """The next envelopes in order, and whether there are more. At least one, if there is one."""
    found: list[EnvelopeRow] = []
    total = 0
    rows = conn.execute(
        f"SELECT ordinal, length(sealed) AS size, {short('sealed')} AS sealed"  # noqa: S608  ours
        " FROM envelopes WHERE mailbox = ? AND ordinal > ? AND sealed IS NOT NULL ORDER BY ordinal",
        (mailbox_id, after),
    )
    for row in rows:
        total += row["size"]
        if len(found) == limit or (found and total > max_bytes):
            return found, True
        sealed = row["sealed"]
        found.append(
            EnvelopeRow(row["ordinal"], row["size"], None if sealed is None else bytes(sealed))
        )
    return found, False


def envelope_piece(conn: Sql, mailbox_id: str, ordinal: int, *, after: int) -> bytes | None:
    """What follows the first ``after`` bytes of an envelope; None where there is none."""
    where = "envelopes WHERE mailbox = ? AND ordinal = ? AND sealed IS NOT NULL"
    return piece_of(conn, where, (mailbox_id, ordinal), after)


def delete_envelope(conn: Sql, mailbox_id: str, ordinal: int, *, until: int) -> None:
    """Erase an envelope; its receipt stays until ``until`` for a sender that asks again."""
    conn.execute(
        "UPDATE envelopes SET sealed = NULL, until = ?"
        " WHERE mailbox = ? AND ordinal = ? AND sealed IS NOT NULL",
        (until, mailbox_id, ordinal),
    )


# --- request links


def request(conn: Sql, id_: str) -> RequestRow | None:
    row = conn.execute(
        "SELECT mailbox, expires, sealed FROM requests WHERE id = ?", (id_,)
    ).fetchone()
    if row is None:
        return None
    sealed = row["sealed"]
    return RequestRow(row["mailbox"], row["expires"], None if sealed is None else bytes(sealed))


def add_request(conn: Sql, id_: str, *, mailbox_id: str, sealed: bytes, expires: int) -> None:
    conn.execute(
        "INSERT INTO requests (id, mailbox, expires, sealed) VALUES (?, ?, ?, ?)",
        (id_, mailbox_id, expires, sealed),
    )


def end_request(conn: Sql, id_: str) -> None:
    conn.execute("UPDATE requests SET sealed = NULL WHERE id = ?", (id_,))


def count_requests(conn: Sql, mailbox_id: str, *, now: int) -> int:
    row = conn.execute(
        "SELECT count(*) AS n FROM requests"
        " WHERE mailbox = ? AND sealed IS NOT NULL AND expires > ?",
        (mailbox_id, now),
    ).fetchone()
    return int(row["n"])
