"""What was used once and must not be used again; and the sweep of what is over.

A mark is swept by the clock, and a clock may have been wrong: when it is set back, what was swept
is not over yet, and nothing would say that it was used. So the latest end of what was swept is
kept, and what ends before that counts as perhaps used. By a clock that only goes forward, all of
that is over long since.
"""

from collections.abc import Sequence
from typing import Any, Final

from pds.db import Sql
from pds.relay.store import packages
from pds.relay.store.rows import insert

_DAY: Final = 86_400
_HOUR: Final = 3600
_AT_ONCE: Final = 200
_NONCE_GRACE: Final = 120
"""Seconds that a nonce is kept beyond the end of its signature, in case a clock is set back."""


def use_nonce(conn: Sql, signer: str, nonce: str, *, expires: int) -> bool:
    """Mark a nonce of a signer as used; whether it is certain that it was not."""
    added: int = conn.execute(
        "INSERT INTO nonces (signer, nonce, expires) SELECT ?, ?, ? WHERE NOT EXISTS"
        " (SELECT 1 FROM swept WHERE marks = 'nonces' AND through >= ?)"
        " ON CONFLICT DO NOTHING",
        (signer, nonce, expires, expires),
    ).rowcount
    return added == 1


def is_used(conn: Sql, signer: str, nonce: str) -> bool:
    """Whether there is a mark for this nonce."""
    row = conn.execute("SELECT 1 FROM nonces WHERE signer = ? AND nonce = ?", (signer, nonce))
    return row.fetchone() is not None


def use_challenges(conn: Sql, used: Sequence[tuple[int, bytes]]) -> None:
    """Mark challenges as used: the end of each, and what makes it unique. None of them was."""
    insert(conn, "challenges (expires, random)", used)


def count_in_hour(conn: Sql, subject: str, hour: int) -> int:
    """Count one more of something in this hour; how many it makes."""
    row = conn.execute(
        "INSERT INTO rates (subject, hour, count) VALUES (?, ?, 1)"
        " ON CONFLICT (subject) DO UPDATE SET"
        " count = CASE WHEN rates.hour = excluded.hour THEN rates.count + 1 ELSE 1 END,"
        " hour = excluded.hour RETURNING count",
        (subject, hour),
    ).fetchone()
    return int(row["count"])


def sweep(conn: Sql, now: int, *, presentation_days: int) -> bool:
    """Erase what is over: a bounded number of rows of each kind, found by index. Whether there may
    be more."""
    marks = 10 * _AT_ONCE
    nonces = conn.execute(
        "DELETE FROM nonces WHERE (signer, nonce) IN"
        " (SELECT signer, nonce FROM nonces WHERE expires < ? LIMIT ?)"
        " RETURNING expires",
        (now - _NONCE_GRACE, marks),
    ).fetchall()
    challenges = conn.execute(
        "DELETE FROM challenges WHERE (expires, random) IN"
        " (SELECT expires, random FROM challenges WHERE expires < ? LIMIT ?)"
        " RETURNING expires",
        (now - _NONCE_GRACE, marks),
    ).fetchall()
    _remember_last(conn, "nonces", nonces)
    _remember_last(conn, "challenges", challenges)
    rates = conn.execute(
        "DELETE FROM rates WHERE subject IN (SELECT subject FROM rates WHERE hour < ? LIMIT ?)",
        (now // _HOUR - 1, marks),
    ).rowcount
    requests = conn.execute(
        "UPDATE requests SET sealed = NULL WHERE id IN"
        " (SELECT id FROM requests WHERE sealed IS NOT NULL AND expires <= ? LIMIT ?)",
        (now, _AT_ONCE),
    ).rowcount
    presentations = conn.execute(
        f"UPDATE events SET {packages.NO_PRESENTATION} WHERE (package, ordinal) IN"  # noqa: S608  ours
        " (SELECT package, ordinal FROM events"
        "  WHERE presentation IS NOT NULL AND erase_at <= ? LIMIT ?)",
        (now, _AT_ONCE),
    ).rowcount
    few = (
        requests,
        presentations,
        _sweep_envelopes(conn, now),
        _sweep_answers(conn, now),
        _sweep_packages(conn, now, forget=now - presentation_days * _DAY),
    )
    return bool(max(len(nonces), len(challenges), rates) >= marks or max(few) >= _AT_ONCE)


def _remember_last(conn: Sql, marks: str, swept: Sequence[Any]) -> None:
    """Keep the latest end of all marks of this kind that were ever swept."""
    if swept:
        conn.execute(
            "INSERT INTO swept (marks, through) VALUES (?, ?)"
            " ON CONFLICT (marks) DO UPDATE SET through = excluded.through"
            " WHERE swept.through < excluded.through",
            (marks, max(row["expires"] for row in swept)),
        )


def begin_anew(conn: Sql) -> None:
    """Forget until when marks were swept: for a relay that releases nothing of before."""
    conn.execute("DELETE FROM swept")


def _sweep_envelopes(conn: Sql, now: int) -> int:
    rows = conn.execute(
        "SELECT mailbox, ordinal, entry FROM envelopes WHERE until <= ? LIMIT ?", (now, _AT_ONCE)
    ).fetchall()
    for row in rows:
        conn.execute("DELETE FROM log_entries WHERE number = ?", (row["entry"],))
        conn.execute(
            "DELETE FROM envelopes WHERE mailbox = ? AND ordinal = ?",
            (row["mailbox"], row["ordinal"]),
        )
    return len(rows)


def _sweep_answers(conn: Sql, now: int) -> int:
    rows = conn.execute(
        "SELECT redemption, package FROM events WHERE kept = 1 AND answer_until <= ? LIMIT ?",
        (now, _AT_ONCE),
    ).fetchall()
    for row in rows:
        packages.forget_answer(conn, row["redemption"], row["package"])
    return len(rows)


def _sweep_packages(conn: Sql, now: int, *, forget: int) -> int:
    ending = conn.execute(
        "SELECT id FROM packages WHERE state = 'live' AND not_after <= ? LIMIT ?", (now, _AT_ONCE)
    ).fetchall()
    for row in ending:
        packages.expire(conn, row["id"])
    rows = conn.execute(
        "SELECT id FROM packages WHERE state = 'over' AND not_after <= ? LIMIT ?",
        (forget, _AT_ONCE),
    ).fetchall()
    for row in rows:
        packages.end(conn, row["id"], entry=None)
    return max(len(ending), len(rows))
