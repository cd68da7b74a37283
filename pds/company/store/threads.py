"""The company's settings and keys, and its threads: requests, messages, the outbox, the journal."""

from datetime import datetime
from typing import Any

from did.json import JsonObject
from did.time import format_time, parse_time
from pds.company.store.base import maybe_time, time_text, to_object, to_text
from pds.company.store.rows import Event, KeyRow, OutboxRow, Problem, RequestRow
from pds.db import Tables


class ThreadTables(Tables):
    """All SQL of ``setting``, ``signing_key``, ``request``, ``checkpoint``, ``message``,
    ``outbox``, ``problem`` and ``event``."""

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
                maybe_time(row["expires"]),
                maybe_time(row["revoked"]),
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
            time_text(expires),
            time_text(revoked),
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
            to_text(row.raw),
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
            to_text(reply),
            relay,
            log_origin,
            log_key,
            format_time(at),
            request_id,
        )

    def set_log_origin(self, request_id: str, origin: str) -> None:
        self._run("UPDATE request SET log_origin = ? WHERE id = ?", origin, request_id)

    # the logs of relays
    def checkpoint(self, log_key: str, origin: str) -> str | None:
        """The newest checkpoint that was seen of a log: its signed note."""
        row = self._one(
            "SELECT note FROM checkpoint WHERE log_key = ? AND origin = ?", log_key, origin
        )
        return None if row is None else str(row["note"])

    def see_checkpoint(self, log_key: str, origin: str, *, size: int, note: str) -> None:
        """Keep a checkpoint; a smaller one than the one that is kept changes nothing."""
        self._run(
            "INSERT INTO checkpoint (log_key, origin, size, note) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (log_key, origin) DO UPDATE SET size = excluded.size,"
            " note = excluded.note WHERE excluded.size > checkpoint.size",
            log_key,
            origin,
            size,
            note,
        )

    def log_origins(self, log_key: str) -> list[str]:
        rows = self._all("SELECT origin FROM checkpoint WHERE log_key = ?", log_key)
        return [row["origin"] for row in rows]

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
            to_text(raw),
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
        return None if row is None else to_object(row["raw"])

    def set_message(self, thread: str, seq: int, raw: JsonObject) -> None:
        """Replace one of our own messages by the same one under another signature."""
        self._run(
            "UPDATE message SET raw = ? WHERE thread = ? AND incoming = 0 AND seq = ?",
            to_text(raw),
            thread,
            seq,
        )

    # outbox
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
            "INSERT INTO problem (at, code, subject, detail) SELECT ?1, ?2, ?3, ?4 WHERE NOT EXISTS"
            " (SELECT 1 FROM problem WHERE code = ?2 AND subject = ?3 AND detail = ?4)",
            format_time(at),
            code,
            subject,
            to_text(detail),
        )

    def problems(self) -> list[Problem]:
        return [
            Problem(parse_time(r["at"]), r["code"], r["subject"], to_object(r["detail"]))
            for r in self._all("SELECT * FROM problem ORDER BY n")
        ]

    def add_event(self, kind: str, subject: str, detail: JsonObject, at: datetime) -> None:
        self._run(
            "INSERT INTO event (at, kind, subject, detail) VALUES (?, ?, ?, ?)",
            format_time(at),
            kind,
            subject,
            to_text(detail),
        )

    def events(self) -> list[Event]:
        return [
            Event(parse_time(r["at"]), r["kind"], r["subject"], to_object(r["detail"]))
            for r in self._all("SELECT * FROM event ORDER BY n")
        ]


def _request(row: Any) -> RequestRow:
    return RequestRow(
        id=row["id"],
        digest=row["digest"],
        raw=to_object(row["raw"]),
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
        person=row["person"],
        reply=None if row["reply"] is None else to_object(row["reply"]),
        relay=row["relay"],
        log_origin=row["log_origin"],
        log_key=row["log_key"],
        decided=maybe_time(row["decided"]),
    )
