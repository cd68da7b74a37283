"""Tables of packages, tickets, contents, events with their answers, and status lists.

Long, because one statement looks at all of them for a redemption.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, Final

from pds.db import Sql
from pds.relay.store.pieces import piece_of, short
from pds.relay.store.rows import insert, pieces, values


@dataclass(frozen=True, slots=True)
class PackageRow:
    id: str
    mailbox: str
    issuer: str
    seq: int
    not_after: int
    state: str
    suspended: bool
    uses: int
    last_use: int | None
    events: int
    last_leaf: str | None
    refusal_day: int
    refusals: int
    staging_entry: int | None
    end_entry: int | None


@dataclass(frozen=True, slots=True)
class TicketRow:
    """What is enforced of the ticket that is registered for a package; ``ticket`` is its JCS."""

    digest: str
    ticket: bytes
    holder: str
    grant_digest: str
    valid_from: int
    valid_until: int
    max_uses: int
    min_interval: int
    list: str
    list_index: int


@dataclass(frozen=True, slots=True)
class ContentRow:
    """A version of a package. ``sealed`` is read only of one that is not handed out in pieces."""

    sha256: str
    manifest: bytes
    sealed: bytes | None


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """An answer that is kept, to be had again, as its event tells of it."""

    package: str
    seq: int
    holder: str
    entry: int
    until: int


@dataclass(frozen=True, slots=True)
class ListRow:
    mailbox: str
    issuer: str
    sequence: int
    digest: str
    valid_until: int
    entry: int
    credential: bytes
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """What a redemption names: a package, its own id, the random part of a challenge, and the end
    of that."""

    package: str
    redemption: str
    random: bytes
    expires: int


@dataclass(frozen=True, slots=True)
class Standing:
    """All that a redemption is judged by. ``used`` says that its id or its challenge is used up,
    ``forgotten`` that whether its challenge is can no longer be said."""

    used: bool
    forgotten: bool
    package: PackageRow | None
    ticket: TicketRow | None
    content: ContentRow | None
    list: ListRow | None


def _columns(table: str, row: type) -> str:
    return ", ".join(f"{table}.{field.name}" for field in fields(row))


_STANDING: Final = (
    f" SELECT asked.place, {_columns('packages', PackageRow)},"  # noqa: S608
    f" {_columns('tickets', TicketRow)}, contents.sha256, contents.manifest,"
    f" {short('contents.sealed')},"
    f" {_columns('status_lists', ListRow)},"
    " EXISTS (SELECT 1 FROM events WHERE events.redemption = asked.redemption),"
    " EXISTS (SELECT 1 FROM challenges WHERE challenges.expires = asked.expires"
    "  AND challenges.random = asked.random),"
    " EXISTS (SELECT 1 FROM swept WHERE swept.marks = 'challenges'"
    "  AND swept.through >= asked.expires)"
    " FROM asked LEFT JOIN packages ON packages.id = asked.package"
    " LEFT JOIN tickets ON tickets.package = packages.id"
    " LEFT JOIN contents ON contents.package = packages.id AND contents.seq = packages.seq"
    " LEFT JOIN status_lists ON status_lists.id = tickets.list"
)
_ENDS: Final = (
    (a := 1 + len(fields(PackageRow))),
    (b := a + len(fields(TicketRow))),
    (c := b + len(fields(ContentRow))),
    c + len(fields(ListRow)),
)


def standings(conn: Sql, asked: Sequence[Asked]) -> list[Standing]:
    """For each redemption the package with what hangs on it, in one look."""
    found: list[Standing] = []
    for piece in pieces(asked):
        places, parameters = values(
            [
                (place, one.package, one.redemption, one.random, one.expires)
                for place, one in enumerate(piece)
            ]
        )
        rows = conn.execute(
            f"WITH asked (place, package, redemption, random, expires)"
            f" AS (VALUES {places}){_STANDING}",
            parameters,
        )
        found += map(_standing, sorted(map(tuple, rows), key=lambda row: row[0]))
    return found


def _standing(row: tuple[Any, ...]) -> Standing:
    one, two, three, four = _ENDS
    package, ticket, content, list_ = row[1:one], row[one:two], row[two:three], row[three:four]
    return Standing(
        any(row[four:-1]),
        bool(row[-1]),
        None if package[0] is None else PackageRow(*package),
        None if ticket[0] is None else TicketRow(*ticket),
        None if content[0] is None else ContentRow(*content),
        None if list_[0] is None else ListRow(*list_),
    )


def package(conn: Sql, id_: str) -> PackageRow | None:
    row = conn.execute("SELECT * FROM packages WHERE id = ?", (id_,)).fetchone()
    if row is None:
        return None
    return PackageRow(**{**dict(row), "suspended": bool(row["suspended"])})


def of_mailbox(conn: Sql, mailbox_id: str) -> list[PackageRow]:
    rows = conn.execute("SELECT * FROM packages WHERE mailbox = ? ORDER BY id", (mailbox_id,))
    return [PackageRow(**{**dict(row), "suspended": bool(row["suspended"])}) for row in rows]


def count_packages(conn: Sql, mailbox_id: str) -> int:
    row = conn.execute(
        "SELECT count(*) AS n FROM packages WHERE mailbox = ?", (mailbox_id,)
    ).fetchone()
    return int(row["n"])


def stage(
    conn: Sql,
    id_: str,
    *,
    mailbox_id: str,
    issuer: str,
    seq: int,
    not_after: int,
    uses: int,
    entry: int,
    ticket: TicketRow,
    content: ContentRow,
) -> None:
    """Put a version of a package in its place. Uses, the last use and the events stay; ``uses``
    is the least that counts as used."""
    conn.execute(
        "INSERT INTO packages (id, mailbox, issuer, seq, not_after, uses, staging_entry)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, not_after = excluded.not_after,"
        " uses = CASE WHEN packages.uses < excluded.uses THEN excluded.uses ELSE packages.uses END,"
        " staging_entry = excluded.staging_entry, suspended = 0",
        (id_, mailbox_id, issuer, seq, not_after, uses, entry),
    )
    conn.execute(
        "INSERT INTO tickets (package, digest, ticket, holder, grant_digest,"
        " valid_from, valid_until, max_uses, min_interval, list, list_index)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (package) DO UPDATE SET digest = excluded.digest, ticket = excluded.ticket,"
        " holder = excluded.holder, grant_digest = excluded.grant_digest,"
        " valid_from = excluded.valid_from, valid_until = excluded.valid_until,"
        " max_uses = excluded.max_uses, min_interval = excluded.min_interval,"
        " list = excluded.list, list_index = excluded.list_index",
        (
            id_,
            ticket.digest,
            ticket.ticket,
            ticket.holder,
            ticket.grant_digest,
            ticket.valid_from,
            ticket.valid_until,
            ticket.max_uses,
            ticket.min_interval,
            ticket.list,
            ticket.list_index,
        ),
    )
    conn.execute(
        "INSERT INTO contents (package, seq, sha256, manifest, sealed)"
        " VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (package, seq) DO UPDATE SET sha256 = excluded.sha256,"
        " manifest = excluded.manifest, sealed = excluded.sealed",
        (id_, seq, content.sha256, content.manifest, content.sealed),
    )
    drop_unneeded(conn, id_)


def drop_unneeded(conn: Sql, id_: str) -> None:
    """Erase the older versions of a package that no open answer needs."""
    conn.execute(
        "DELETE FROM contents WHERE package = ?"
        " AND seq <> (SELECT seq FROM packages WHERE id = contents.package)"
        " AND NOT EXISTS (SELECT 1 FROM events WHERE events.package = contents.package"
        "  AND events.seq = contents.seq AND kept = 1)",
        (id_,),
    )


def ticket(conn: Sql, id_: str) -> TicketRow | None:
    row = conn.execute(
        "SELECT digest, ticket, holder, grant_digest, valid_from, valid_until, max_uses,"
        " min_interval, list, list_index FROM tickets WHERE package = ?",
        (id_,),
    ).fetchone()
    return None if row is None else TicketRow(**dict(row))


def content(conn: Sql, id_: str, seq: int) -> ContentRow | None:
    row = conn.execute(
        f"SELECT sha256, manifest, {short('sealed')} AS sealed FROM contents"  # noqa: S608  ours
        " WHERE package = ? AND seq = ?",
        (id_, seq),
    ).fetchone()
    return None if row is None else ContentRow(**dict(row))


def piece(conn: Sql, id_: str, seq: int, *, after: int) -> bytes:
    """What follows the first ``after`` bytes of a version that is there."""
    return piece_of(conn, "contents WHERE package = ? AND seq = ?", (id_, seq), after) or b""


def manifest(conn: Sql, id_: str, seq: int) -> bytes | None:
    row = conn.execute(
        "SELECT manifest FROM contents WHERE package = ? AND seq = ?", (id_, seq)
    ).fetchone()
    return None if row is None else bytes(row["manifest"])


def end(conn: Sql, id_: str, *, entry: int | None) -> None:
    """Erase ciphertext, manifest, ticket and answers; the id, the count and the events stay."""
    conn.execute("DELETE FROM contents WHERE package = ?", (id_,))
    conn.execute("DELETE FROM tickets WHERE package = ?", (id_,))
    _forget_answers(conn, " AND package = ?", id_)
    conn.execute(
        "UPDATE packages SET state = 'ended', suspended = 0, end_entry = ? WHERE id = ?",
        (entry, id_),
    )


def expire(conn: Sql, id_: str) -> None:
    """Erase the contents of a package past its end. The ticket stays for a while, so that a late
    redemption hears that it is over, and not that its owner ended it."""
    conn.execute("DELETE FROM contents WHERE package = ?", (id_,))
    _forget_answers(conn, " AND package = ?", id_)
    conn.execute("UPDATE packages SET state = 'over' WHERE id = ?", (id_,))


def suspend_all(conn: Sql) -> None:
    """Every live package and every status list waits for its owner; no answer of before is given
    again, and no version stays that only such an answer needed."""
    conn.execute("UPDATE packages SET suspended = 1 WHERE state <> 'ended'")
    conn.execute("UPDATE status_lists SET suspended = 1")
    _forget_answers(conn)
    conn.execute(
        "DELETE FROM contents WHERE seq <>"
        " (SELECT seq FROM packages WHERE packages.id = contents.package)"
    )


# --- events and answers

# Whom an answer was for is known as long as the answer or the presentation is there.
NO_PRESENTATION: Final = "presentation = NULL, holder = CASE WHEN kept = 1 THEN holder END"
_NO_ANSWER: Final = "kept = 0, holder = CASE WHEN presentation IS NOT NULL THEN holder END"


@dataclass(frozen=True, slots=True)
class EventRow:
    """An event of a package. The last three are of a redemption: the version that it released, for
    whom, and until when the answer may be had again."""

    package: str
    ordinal: int
    redemption: str
    entry: int
    presentation: bytes | None
    erase_at: int
    seq: int | None = None
    holder: str | None = None
    answer_until: int | None = None


def add_events(conn: Sql, rows: Sequence[EventRow]) -> None:
    insert(
        conn,
        "events (package, ordinal, redemption, entry, presentation, erase_at, seq, holder,"
        " answer_until, kept)",
        [
            (
                row.package, row.ordinal, row.redemption, row.entry, row.presentation,
                row.erase_at, row.seq, row.holder, row.answer_until,
                int(row.answer_until is not None),
            )
            for row in rows
        ],
    )  # fmt: skip


def count(conn: Sql, rows: Sequence[PackageRow]) -> None:
    """Keep what events have changed of packages: their uses and refusals, and the last event."""
    for piece in pieces(rows):
        places, parameters = values(
            [
                (
                    row.id, row.events, row.last_leaf, row.uses, row.last_use,
                    row.refusal_day, row.refusals,
                )
                for row in piece
            ]
        )  # fmt: skip
        conn.execute(
            "WITH now (id, events, last_leaf, uses, last_use, refusal_day, refusals)"  # noqa: S608
            f" AS (VALUES {places})"
            " UPDATE packages SET events = now.events, last_leaf = now.last_leaf, uses = now.uses,"
            " last_use = CAST(now.last_use AS BIGINT), refusal_day = now.refusal_day,"
            " refusals = now.refusals FROM now WHERE packages.id = now.id",
            parameters,
        )


def events(
    conn: Sql, id_: str, *, after: int, limit: int, max_bytes: int
) -> tuple[list[tuple[int, str, bytes | None]], bool]:
    """The next events as (ordinal, receipt, presentation), and whether there are more."""
    found: list[tuple[int, str, bytes | None]] = []
    size = 0
    rows = conn.execute(
        "SELECT ordinal, receipt, presentation FROM events"
        " JOIN log_entries ON log_entries.number = events.entry"
        " WHERE package = ? AND ordinal > ? ORDER BY ordinal",
        (id_, after),
    )
    for row in rows:
        presentation = row["presentation"]
        size += len(row["receipt"]) + len(presentation or b"")
        if len(found) == limit or (found and size > max_bytes):
            return found, True
        found.append(
            (row["ordinal"], row["receipt"], None if presentation is None else bytes(presentation))
        )
    return found, False


def erase_presentations(conn: Sql, id_: str, *, through: int) -> None:
    conn.execute(
        f"UPDATE events SET {NO_PRESENTATION}"  # noqa: S608  ours
        " WHERE package = ? AND ordinal <= ? AND presentation IS NOT NULL",
        (id_, through),
    )


def answer(conn: Sql, redemption: str) -> AnswerRow | None:
    row = conn.execute(
        "SELECT package, seq, holder, entry, answer_until AS until FROM events"
        " WHERE redemption = ? AND kept = 1",
        (redemption,),
    ).fetchone()
    return None if row is None else AnswerRow(**dict(row))


def forget_answer(conn: Sql, redemption: str, id_: str) -> None:
    """An answer is not to be had again; nor, if nothing else needs it, is what it released."""
    _forget_answers(conn, " AND redemption = ?", redemption)
    drop_unneeded(conn, id_)


def _forget_answers(conn: Sql, which: str = "", *parameters: str) -> None:
    conn.execute(
        f"UPDATE events SET {_NO_ANSWER} WHERE kept = 1{which}",  # noqa: S608  ours
        parameters,
    )


# --- status lists


def status_list(conn: Sql, id_: str) -> ListRow | None:
    row = conn.execute(
        "SELECT mailbox, issuer, sequence, digest, valid_until, entry, credential, suspended"
        " FROM status_lists WHERE id = ?",
        (id_,),
    ).fetchone()
    if row is None:
        return None
    return ListRow(**{**dict(row), "suspended": bool(row["suspended"])})


def lists_of(conn: Sql, mailbox_id: str) -> list[tuple[str, int]]:
    rows = conn.execute(
        "SELECT id, sequence FROM status_lists WHERE mailbox = ? ORDER BY id", (mailbox_id,)
    )
    return [(row["id"], row["sequence"]) for row in rows]


def put_list(conn: Sql, id_: str, row: ListRow) -> None:
    """Put a list in the place of the one before; it waits for nobody any more."""
    conn.execute(
        "INSERT INTO status_lists"
        " (id, mailbox, issuer, sequence, digest, valid_until, entry, credential)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (id) DO UPDATE SET mailbox = excluded.mailbox, issuer = excluded.issuer,"
        " sequence = excluded.sequence, digest = excluded.digest,"
        " valid_until = excluded.valid_until, entry = excluded.entry,"
        " credential = excluded.credential, suspended = 0",
        (
            id_,
            row.mailbox,
            row.issuer,
            row.sequence,
            row.digest,
            row.valid_until,
            row.entry,
            row.credential,
        ),
    )
