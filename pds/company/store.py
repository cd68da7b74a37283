"""All SQL of the company's side. The caller owns the transaction; JSON is its canonical text.

``company.db`` is a plain file with mode 0600: it holds the company's own keys, and the data that
it may hold. Erased rows are overwritten (``secure_delete``, set by ``pds.db``) and ``compact``
empties the write-ahead log behind them.

The module is long because it is the one place with SQL; each table has its few statements.
"""

from datetime import datetime
from typing import Any

from did.json import Json, JsonObject, canonicalize, parse, parse_object
from did.time import format_time, parse_time
from pds.company.rows import (
    Event,
    GrantRow,
    HeldRow,
    KeyRow,
    OutboxRow,
    Problem,
    RedemptionRow,
    RequestRow,
    RetentionRow,
    StatusRow,
)
from pds.db import Connection


class Store:
    """Rows in, rows out."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    def compact(self) -> None:
        """Carry the write-ahead log over and empty it, so that erased values are nowhere.

        Outside a transaction. Where another process is reading it is left to the next call.
        """
        self._conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    # settings and keys
    def setting(self, name: str) -> str | None:
        row = self._one("SELECT value FROM setting WHERE name = ?", name)
        return None if row is None else str(row["value"])

    def set_setting(self, name: str, value: str) -> None:
        self._run("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", name, value)

    def signing_keys(self) -> list[KeyRow]:
        return [
            KeyRow(
                row["n"],
                row["multikey"],
                row["seed"],
                parse_time(row["created"]),
                _maybe_time(row["expires"]),
                _maybe_time(row["revoked"]),
            )
            for row in self._all("SELECT * FROM signing_key ORDER BY n")
        ]

    def add_key(self, multikey: str, seed: bytes, created: datetime) -> None:
        self._run(
            "INSERT INTO signing_key (multikey, seed, created) VALUES (?, ?, ?)",
            multikey,
            seed,
            format_time(created),
        )

    def retire_key(self, n: int, *, expires: datetime | None, revoked: datetime | None) -> None:
        self._run(
            "UPDATE signing_key SET seed = NULL, expires = ?, revoked = ? WHERE n = ?",
            _text(expires),
            _text(revoked),
            n,
        )

    # requests
    def add_request(self, row: RequestRow) -> None:
        self._run(
            "INSERT INTO request (id, digest, raw, link, locked, created, expires, state,"
            " redemption_seed, package_seed, mailbox, mailbox_seed, message_seed, capability_id)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row.id,
            row.digest,
            _json(row.raw),
            row.link,
            row.locked,
            format_time(row.created),
            format_time(row.expires),
            row.state,
            row.redemption_seed,
            row.package_seed,
            row.mailbox,
            row.mailbox_seed,
            row.message_seed,
            row.capability_id,
        )

    def requests(self) -> list[RequestRow]:
        return [_request(row) for row in self._all("SELECT * FROM request ORDER BY created, id")]

    def request(self, request_id: str) -> RequestRow | None:
        row = self._one("SELECT * FROM request WHERE id = ?", request_id)
        return None if row is None else _request(row)

    def set_request_state(self, request_id: str, state: str, problem: str | None = None) -> None:
        self._run(
            "UPDATE request SET state = ?, problem = ? WHERE id = ?", state, problem, request_id
        )

    def set_collected(self, request_id: str, ordinal: int) -> None:
        self._run("UPDATE request SET collected = ? WHERE id = ?", ordinal, request_id)

    def set_decided(
        self,
        request_id: str,
        *,
        person: str,
        reply: JsonObject,
        relay: str,
        log_origin: str,
        log_key: str,
        at: datetime,
    ) -> None:
        self._run(
            "UPDATE request SET state = 'decided', link = NULL, locked = NULL, person = ?,"
            " reply = ?, relay = ?, log_origin = ?, log_key = ?, decided = ? WHERE id = ?",
            person,
            _json(reply),
            relay,
            log_origin,
            log_key,
            format_time(at),
            request_id,
        )

    def set_log_origin(self, request_id: str, origin: str) -> None:
        self._run("UPDATE request SET log_origin = ? WHERE id = ?", origin, request_id)

    def close_request(self, request_id: str) -> None:
        """The thread is over: its keys and its link are destroyed."""
        self._run(
            "UPDATE request SET state = 'closed', link = NULL, locked = NULL,"
            " redemption_seed = NULL, package_seed = NULL, mailbox_seed = NULL,"
            " message_seed = NULL WHERE id = ?",
            request_id,
        )

    # messages
    def last_message(self, thread: str, *, incoming: bool) -> tuple[int, str | None]:
        row = self._one(
            "SELECT seq, digest FROM message WHERE thread = ? AND incoming = ?"
            " ORDER BY seq DESC LIMIT 1",
            thread,
            int(incoming),
        )
        return (0, None) if row is None else (row["seq"], row["digest"])

    def add_message(
        self,
        thread: str,
        *,
        incoming: bool,
        seq: int,
        digest: str,
        kind: str,
        raw: JsonObject,
        at: datetime,
        problem: str | None = None,
    ) -> None:
        self._run(
            "INSERT INTO message (thread, incoming, seq, digest, type, raw, at, problem)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            thread,
            int(incoming),
            seq,
            digest,
            kind,
            _json(raw),
            format_time(at),
            problem,
        )

    def message(self, thread: str, seq: int, *, incoming: bool) -> JsonObject | None:
        row = self._one(
            "SELECT raw FROM message WHERE thread = ? AND incoming = ? AND seq = ?",
            thread,
            int(incoming),
            seq,
        )
        return None if row is None else _object(row["raw"])

    def set_message(self, thread: str, seq: int, raw: JsonObject) -> None:
        """Replace one of our own messages by the same one under another signature."""
        self._run(
            "UPDATE message SET raw = ? WHERE thread = ? AND incoming = 0 AND seq = ?",
            _json(raw),
            thread,
            seq,
        )

    # grants and denials
    def add_grant(self, row: GrantRow) -> None:
        self._run(
            "INSERT INTO access_grant (digest, id, request, purpose_id, purpose, person, raw,"
            " ticket, ticket_digest, package, status_list, valid_from, valid_until, created)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            row.digest,
            row.id,
            row.request,
            row.purpose_id,
            row.purpose,
            row.person,
            _json(row.raw),
            _json(row.ticket),
            row.ticket_digest,
            row.package,
            row.status_list,
            format_time(row.valid_from),
            format_time(row.valid_until),
            format_time(row.created),
        )

    def grants(self, *, person: str | None = None, request: str | None = None) -> list[GrantRow]:
        rows = self._all(
            "SELECT * FROM access_grant WHERE (?1 IS NULL OR person = ?1)"
            " AND (?2 IS NULL OR request = ?2) ORDER BY created, digest",
            person,
            request,
        )
        return [_grant(row) for row in rows]

    def grant(self, digest: str) -> GrantRow | None:
        row = self._one("SELECT * FROM access_grant WHERE digest = ?", digest)
        return None if row is None else _grant(row)

    def announce(self, digest: str, seq: int) -> None:
        self._run("UPDATE access_grant SET announced = ? WHERE digest = ?", seq, digest)

    def set_redeemed(self, digest: str, *, seq: int, ordinal: int, leaf: str) -> None:
        self._run(
            "UPDATE access_grant SET seq = ?, ordinal = ?, leaf = ? WHERE digest = ?",
            seq,
            ordinal,
            leaf,
            digest,
        )

    def set_ended(self, digest: str, *, kind: str, at: datetime) -> None:
        self._run(
            "UPDATE access_grant SET ended = ?, end_kind = ? WHERE digest = ? AND ended IS NULL",
            format_time(at),
            kind,
            digest,
        )

    def set_erased(self, digest: str, at: datetime) -> None:
        self._run("UPDATE access_grant SET erased = ? WHERE digest = ?", format_time(at), digest)

    def add_denial(self, request_id: str, purpose_id: str, at: datetime) -> None:
        self._run(
            "INSERT INTO denial (request, purpose_id, at) VALUES (?, ?, ?)",
            request_id,
            purpose_id,
            format_time(at),
        )

    def denials(self, request_id: str) -> list[str]:
        rows = self._all(
            "SELECT purpose_id FROM denial WHERE request = ? ORDER BY purpose_id", request_id
        )
        return [row["purpose_id"] for row in rows]

    # status lists
    def status(self, url: str) -> StatusRow | None:
        row = self._one("SELECT * FROM status WHERE list = ?", url)
        if row is None:
            return None
        return StatusRow(
            row["list"],
            row["sequence"],
            bytes(row["credential"]),
            _object(row["stamp"]),
            parse_time(row["checked"]),
        )

    def set_status(self, row: StatusRow) -> None:
        """Keep a list; an older one than the one that is kept changes nothing."""
        self._run(
            "INSERT INTO status (list, sequence, credential, stamp, checked)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (list) DO UPDATE SET"
            " sequence = excluded.sequence, credential = excluded.credential,"
            " stamp = excluded.stamp, checked = excluded.checked"
            " WHERE excluded.sequence >= status.sequence",
            row.list,
            row.sequence,
            row.credential,
            _json(row.stamp),
            format_time(row.checked),
        )

    # redemptions
    def add_redemption(
        self, redemption_id: str, grant: str, presentation: JsonObject, at: datetime
    ) -> None:
        self._run(
            "INSERT INTO redemption (id, grant_digest, presentation, sent, state)"
            " VALUES (?, ?, ?, ?, 'sent')",
            redemption_id,
            grant,
            _json(presentation),
            format_time(at),
        )

    def redemptions(
        self, *, grant: str | None = None, state: str | None = None
    ) -> list[RedemptionRow]:
        rows = self._all(
            "SELECT * FROM redemption WHERE (?1 IS NULL OR grant_digest = ?1)"
            " AND (?2 IS NULL OR state = ?2) ORDER BY sent, id",
            grant,
            state,
        )
        return [_redemption(row) for row in rows]

    def unacknowledged(self) -> list[RedemptionRow]:
        rows = self._all("SELECT * FROM redemption WHERE state = 'done' AND acknowledged = 0")
        return [_redemption(row) for row in rows]

    def close_redemption(self, redemption_id: str, *, state: str, code: str | None) -> None:
        self._run(
            "UPDATE redemption SET state = ?, code = ? WHERE id = ? AND state = 'sent'",
            state,
            code,
            redemption_id,
        )

    def finish_redemption(
        self,
        redemption_id: str,
        *,
        seq: int,
        ordinal: int,
        paths: tuple[str, ...],
        receipt: JsonObject,
    ) -> None:
        self._run(
            "UPDATE redemption SET state = 'done', seq = ?, ordinal = ?, paths = ?, receipt = ?"
            " WHERE id = ?",
            seq,
            ordinal,
            _json(list(paths)),
            _json(receipt),
            redemption_id,
        )

    def set_acknowledged(self, redemption_id: str) -> None:
        self._run("UPDATE redemption SET acknowledged = 1 WHERE id = ?", redemption_id)

    # what is held
    def replace_held(self, grant: str, rows: list[HeldRow]) -> None:
        """The values of a grant are these now; those before are erased."""
        self._run("DELETE FROM held WHERE grant_digest = ?", grant)
        for row in rows:
            self._run(
                "INSERT INTO held (grant_digest, path, schema, value, collected, source,"
                " assurance, about, seq, received) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                grant,
                row.path,
                row.schema,
                _json(row.value),
                format_time(row.collected),
                row.source,
                row.assurance,
                row.about,
                row.seq,
                format_time(row.received),
            )

    def held(self, grant: str) -> list[HeldRow]:
        return [
            HeldRow(
                row["grant_digest"],
                row["path"],
                row["schema"],
                parse(row["value"]),
                parse_time(row["collected"]),
                row["source"],
                row["assurance"],
                row["about"],
                row["seq"],
                parse_time(row["received"]),
            )
            for row in self._all("SELECT * FROM held WHERE grant_digest = ? ORDER BY n", grant)
        ]

    def erase_held(self, grant: str, *, except_paths: frozenset[str]) -> frozenset[str]:
        """Erase the values of a grant but those under some paths; returns the paths erased."""
        paths = {row.path for row in self.held(grant)} - except_paths
        for path in sorted(paths):
            self._run("DELETE FROM held WHERE grant_digest = ? AND path = ?", grant, path)
        return frozenset(paths)

    def add_retention(self, row: RetentionRow) -> None:
        self._run(
            "INSERT OR REPLACE INTO retention (grant_digest, path, basis, until, reason)"
            " VALUES (?, ?, ?, ?, ?)",
            row.grant,
            row.path,
            row.basis,
            format_time(row.until),
            _json(row.reason),
        )

    def retentions(self, grant: str) -> list[RetentionRow]:
        return [
            RetentionRow(
                row["grant_digest"],
                row["path"],
                row["basis"],
                parse_time(row["until"]),
                _object(row["reason"]),
            )
            for row in self._all(
                "SELECT * FROM retention WHERE grant_digest = ? ORDER BY path, until", grant
            )
        ]

    def retained_grants(self) -> list[GrantRow]:
        rows = self._all(
            "SELECT * FROM access_grant WHERE digest IN (SELECT grant_digest FROM retention)"
        )
        return [_grant(row) for row in rows]

    def drop_retentions(self, grant: str, *, through: datetime) -> None:
        self._run(
            "DELETE FROM retention WHERE grant_digest = ? AND until <= ?",
            grant,
            format_time(through),
        )

    # attestations and the outbox
    def add_attestation(self, grant: str, message: str, body: JsonObject, at: datetime) -> None:
        self._run(
            "INSERT INTO attestation (grant_digest, message, at, body) VALUES (?, ?, ?, ?)",
            grant,
            message,
            format_time(at),
            _json(body),
        )

    def attestations(self, grant: str) -> list[tuple[datetime, JsonObject, datetime | None]]:
        rows = self._all("SELECT * FROM attestation WHERE grant_digest = ? ORDER BY at", grant)
        return [
            (parse_time(row["at"]), _object(row["body"]), _maybe_time(row["sent"])) for row in rows
        ]

    def set_attestation_sent(self, message: str, at: datetime) -> None:
        self._run("UPDATE attestation SET sent = ? WHERE message = ?", format_time(at), message)

    def enqueue(self, thread: str, seq: int, octets: bytes) -> None:
        self._run("INSERT INTO outbox (thread, seq, octets) VALUES (?, ?, ?)", thread, seq, octets)

    def outbox(self) -> list[OutboxRow]:
        return [
            OutboxRow(row["n"], row["thread"], row["seq"], bytes(row["octets"]), row["problem"])
            for row in self._all("SELECT * FROM outbox ORDER BY n")
        ]

    def set_octets(self, n: int, octets: bytes) -> None:
        self._run("UPDATE outbox SET octets = ? WHERE n = ?", octets, n)

    def set_outbox_problem(self, n: int, code: str) -> None:
        self._run("UPDATE outbox SET problem = ? WHERE n = ?", code, n)

    def finish(self, n: int) -> None:
        self._run("DELETE FROM outbox WHERE n = ?", n)

    # problems and events
    def add_problem(self, code: str, subject: str, detail: JsonObject, at: datetime) -> None:
        self._run(
            "INSERT INTO problem (at, code, subject, detail) VALUES (?, ?, ?, ?)",
            format_time(at),
            code,
            subject,
            _json(detail),
        )

    def problems(self) -> list[Problem]:
        return [
            Problem(parse_time(r["at"]), r["code"], r["subject"], _object(r["detail"]))
            for r in self._all("SELECT * FROM problem ORDER BY n")
        ]

    def add_event(self, kind: str, subject: str, detail: JsonObject, at: datetime) -> None:
        self._run(
            "INSERT INTO event (at, kind, subject, detail) VALUES (?, ?, ?, ?)",
            format_time(at),
            kind,
            subject,
            _json(detail),
        )

    def events(self) -> list[Event]:
        return [
            Event(parse_time(r["at"]), r["kind"], r["subject"], _object(r["detail"]))
            for r in self._all("SELECT * FROM event ORDER BY n")
        ]

    def _run(self, sql: str, *values: Any) -> None:
        self._conn.execute(sql, values)

    def _one(self, sql: str, *values: Any) -> Any:
        return self._conn.execute(sql, values).fetchone()

    def _all(self, sql: str, *values: Any) -> list[Any]:
        return list(self._conn.execute(sql, values).fetchall())


def _request(row: Any) -> RequestRow:
    return RequestRow(
        id=row["id"],
        digest=row["digest"],
        raw=_object(row["raw"]),
        link=row["link"],
        locked=row["locked"],
        created=parse_time(row["created"]),
        expires=parse_time(row["expires"]),
        state=row["state"],
        problem=row["problem"],
        redemption_seed=row["redemption_seed"],
        package_seed=row["package_seed"],
        mailbox=row["mailbox"],
        mailbox_seed=row["mailbox_seed"],
        message_seed=row["message_seed"],
        capability_id=row["capability_id"],
        collected=row["collected"],
        person=row["person"],
        reply=None if row["reply"] is None else _object(row["reply"]),
        relay=row["relay"],
        log_origin=row["log_origin"],
        log_key=row["log_key"],
        decided=_maybe_time(row["decided"]),
    )


def _grant(row: Any) -> GrantRow:
    return GrantRow(
        digest=row["digest"],
        id=row["id"],
        request=row["request"],
        purpose_id=row["purpose_id"],
        purpose=row["purpose"],
        person=row["person"],
        raw=_object(row["raw"]),
        ticket=_object(row["ticket"]),
        ticket_digest=row["ticket_digest"],
        package=row["package"],
        status_list=row["status_list"],
        valid_from=parse_time(row["valid_from"]),
        valid_until=parse_time(row["valid_until"]),
        created=parse_time(row["created"]),
        announced=row["announced"],
        seq=row["seq"],
        ordinal=row["ordinal"],
        leaf=row["leaf"],
        ended=_maybe_time(row["ended"]),
        end_kind=row["end_kind"],
        erased=_maybe_time(row["erased"]),
    )


def _redemption(row: Any) -> RedemptionRow:
    return RedemptionRow(
        id=row["id"],
        grant=row["grant_digest"],
        presentation=_object(row["presentation"]),
        sent=parse_time(row["sent"]),
        state=row["state"],
        code=row["code"],
        seq=row["seq"],
        ordinal=row["ordinal"],
        paths=tuple(str(path) for path in _list(row["paths"])),
        receipt=None if row["receipt"] is None else _object(row["receipt"]),
        acknowledged=bool(row["acknowledged"]),
    )


def _json(value: Json) -> str:
    return canonicalize(value).decode()


def _object(text: str) -> JsonObject:
    return parse_object(text, max_bytes=_MOST)


def _list(text: str) -> list[Json]:
    value = parse(text, max_bytes=_MOST)
    return value if isinstance(value, list) else []


# A decision carries up to a hundred credentials.
_MOST = 4 * 1_048_576


def _text(time: datetime | None) -> str | None:
    return None if time is None else format_time(time)


def _maybe_time(text: str | None) -> datetime | None:
    return None if text is None else parse_time(text)
