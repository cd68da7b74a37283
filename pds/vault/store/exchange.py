"""All SQL of the exchange: settings, relationships, requests, grants, events, messages, outbox.

The caller owns the transaction. JSON is stored as its canonical text.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from did.json import JsonObject, canonicalize, parse_object
from did.time import format_time, parse_time
from pds.db import Connection

EXCHANGE_SQL = """
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;

CREATE TABLE relationship (
    idx INTEGER PRIMARY KEY,
    generation INTEGER NOT NULL,
    company TEXT NOT NULL,
    name TEXT NOT NULL,
    did TEXT NOT NULL UNIQUE,
    mailbox TEXT NOT NULL UNIQUE,
    capability TEXT NOT NULL,
    status_bits TEXT NOT NULL,
    status_sequence INTEGER NOT NULL,
    status_issued TEXT NOT NULL,
    collected INTEGER NOT NULL DEFAULT 0,
    created TEXT NOT NULL
) STRICT;
CREATE INDEX relationship_company ON relationship (company);

CREATE TABLE request (
    id TEXT PRIMARY KEY,
    digest TEXT NOT NULL UNIQUE,
    company TEXT NOT NULL,
    raw TEXT NOT NULL,
    received TEXT NOT NULL,
    state TEXT NOT NULL,
    relationship INTEGER REFERENCES relationship (idx)
) STRICT, WITHOUT ROWID;

CREATE TABLE refusal (
    company TEXT NOT NULL,
    purpose TEXT NOT NULL,
    until TEXT NOT NULL,
    PRIMARY KEY (company, purpose)
) STRICT, WITHOUT ROWID;

CREATE TABLE access_grant (
    digest TEXT PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    request TEXT NOT NULL REFERENCES request (id),
    relationship INTEGER NOT NULL REFERENCES relationship (idx),
    raw TEXT NOT NULL,
    ticket TEXT NOT NULL,
    ticket_digest TEXT NOT NULL,
    package TEXT NOT NULL UNIQUE,
    status_index INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    content TEXT NOT NULL,
    ended TEXT,
    end_kind TEXT,
    created TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX grant_relationship ON access_grant (relationship);

CREATE TABLE staged (
    package TEXT NOT NULL,
    seq INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    manifest TEXT NOT NULL,
    receipt TEXT,
    at TEXT NOT NULL,
    PRIMARY KEY (package, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE package_event (
    package TEXT NOT NULL,
    ordinal INTEGER NOT NULL,
    leaf TEXT NOT NULL,
    kind TEXT NOT NULL,
    at TEXT NOT NULL,
    code TEXT,
    seq INTEGER,
    purpose TEXT,
    problem TEXT,
    receipt TEXT NOT NULL,
    PRIMARY KEY (package, ordinal)
) STRICT, WITHOUT ROWID;

CREATE TABLE message (
    thread TEXT NOT NULL,
    incoming INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    digest TEXT NOT NULL,
    type TEXT NOT NULL,
    raw TEXT NOT NULL,
    at TEXT NOT NULL,
    PRIMARY KEY (thread, incoming, seq)
) STRICT, WITHOUT ROWID;

CREATE TABLE attestation (
    grant_digest TEXT NOT NULL REFERENCES access_grant (digest),
    at TEXT NOT NULL,
    raw TEXT NOT NULL,
    PRIMARY KEY (grant_digest, at)
) STRICT, WITHOUT ROWID;

CREATE TABLE outbox (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    relationship INTEGER NOT NULL REFERENCES relationship (idx),
    kind TEXT NOT NULL,
    ref TEXT NOT NULL,
    payload TEXT NOT NULL,
    octets BLOB,
    problem TEXT
) STRICT;

CREATE TABLE seen_checkpoint (
    origin TEXT PRIMARY KEY, note TEXT NOT NULL, at TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE evidence (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    code TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;
"""


@dataclass(frozen=True, slots=True)
class Relationship:
    """One holder towards one company. Keys are derived from (generation, index)."""

    index: int
    generation: int
    company: str
    name: str
    did: str
    mailbox: str
    capability: str
    status_bits: str
    status_sequence: int
    status_issued: datetime
    collected: int
    created: datetime


@dataclass(frozen=True, slots=True)
class StoredRequest:
    """A request as it was verified, and where it stands: pending, decided, closed."""

    id: str
    digest: str
    company: str
    raw: JsonObject
    received: datetime
    state: str
    relationship: int | None


@dataclass(frozen=True, slots=True)
class StoredGrant:
    """A grant we issued, its ticket and package, and whether it was ended by us."""

    digest: str
    id: str
    request: str
    relationship: int
    raw: JsonObject
    ticket: JsonObject
    ticket_digest: str
    package: str
    status_index: int
    seq: int
    content: str
    ended: datetime | None
    end_kind: str | None
    created: datetime


@dataclass(frozen=True, slots=True)
class PackageEvent:
    """What the relay recorded for one package, after our checks; ``problem`` is what failed."""

    package: str
    ordinal: int
    leaf: str
    kind: str
    at: datetime
    code: str | None
    seq: int | None
    purpose: str | None
    problem: str | None
    receipt: JsonObject


@dataclass(frozen=True, slots=True)
class Job:
    """One call to a relay that is still to be made, in the order of ``n``."""

    n: int
    relationship: int
    kind: str
    ref: str
    payload: JsonObject
    octets: bytes | None
    problem: str | None


def _text(value: JsonObject) -> str:
    return canonicalize(value).decode()


class ExchangeStore:
    """The rows of the exchange on one open vault database."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn

    # settings
    def setting(self, name: str) -> str | None:
        row = self._one("SELECT value FROM setting WHERE name = ?", name)
        return None if row is None else str(row["value"])

    def set_setting(self, name: str, value: str) -> None:
        self._do(
            "INSERT INTO setting (name, value) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            name,
            value,
        )

    # relationships
    def add_relationship(self, r: Relationship) -> None:
        self._do(
            "INSERT INTO relationship (idx, generation, company, name, did, mailbox, capability, "
            "status_bits, status_sequence, status_issued, collected, created) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            r.index,
            r.generation,
            r.company,
            r.name,
            r.did,
            r.mailbox,
            r.capability,
            r.status_bits,
            r.status_sequence,
            format_time(r.status_issued),
            r.collected,
            format_time(r.created),
        )

    def relationships(self) -> list[Relationship]:
        return [_relationship(r) for r in self._all("SELECT * FROM relationship ORDER BY idx")]

    def relationship(self, index: int) -> Relationship:
        row = self._one("SELECT * FROM relationship WHERE idx = ?", index)
        if row is None:
            raise KeyError(index)
        return _relationship(row)

    def relationship_with(self, company: str) -> Relationship | None:
        row = self._one(
            "SELECT * FROM relationship WHERE company = ? ORDER BY idx DESC LIMIT 1", company
        )
        return None if row is None else _relationship(row)

    def set_status(self, index: int, *, bits: str, sequence: int, issued: datetime) -> None:
        self._do(
            "UPDATE relationship SET status_bits = ?, status_sequence = ?, status_issued = ? "
            "WHERE idx = ?",
            bits,
            sequence,
            format_time(issued),
            index,
        )

    def set_collected(self, index: int, ordinal: int) -> None:
        self._do("UPDATE relationship SET collected = ? WHERE idx = ?", ordinal, index)

    # requests and refusals
    def add_request(self, request: StoredRequest) -> None:
        self._do(
            "INSERT INTO request (id, digest, company, raw, received, state, relationship) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            request.id,
            request.digest,
            request.company,
            _text(request.raw),
            format_time(request.received),
            request.state,
            request.relationship,
        )

    def requests(self) -> list[StoredRequest]:
        return [_request(r) for r in self._all("SELECT * FROM request ORDER BY received, id")]

    def request(self, request_id: str) -> StoredRequest | None:
        row = self._one("SELECT * FROM request WHERE id = ?", request_id)
        return None if row is None else _request(row)

    def close_request(self, request_id: str, *, state: str, relationship: int | None) -> None:
        self._do(
            "UPDATE request SET state = ?, relationship = ? WHERE id = ?",
            state,
            relationship,
            request_id,
        )

    def refuse(self, company: str, purpose: str, until: datetime) -> None:
        self._do(
            "INSERT INTO refusal (company, purpose, until) VALUES (?, ?, ?) "
            "ON CONFLICT (company, purpose) DO UPDATE SET until = excluded.until",
            company,
            purpose,
            format_time(until),
        )

    def refusals(self, company: str) -> list[tuple[str, datetime]]:
        rows = self._all("SELECT purpose, until FROM refusal WHERE company = ?", company)
        return [(row["purpose"], parse_time(row["until"])) for row in rows]

    def reopen(self, company: str, purpose: str) -> None:
        self._do("DELETE FROM refusal WHERE company = ? AND purpose = ?", company, purpose)

    # grants
    def add_grant(self, grant: StoredGrant) -> None:
        self._do(
            "INSERT INTO access_grant (digest, id, request, relationship, raw, ticket, "
            "ticket_digest, package, status_index, seq, content, ended, end_kind, created) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, NULL, NULL, ?)",
            grant.digest,
            grant.id,
            grant.request,
            grant.relationship,
            _text(grant.raw),
            _text(grant.ticket),
            grant.ticket_digest,
            grant.package,
            grant.status_index,
            grant.seq,
            grant.content,
            format_time(grant.created),
        )

    def grants(self, relationship: int | None = None) -> list[StoredGrant]:
        if relationship is None:
            rows = self._all("SELECT * FROM access_grant ORDER BY created, id")
        else:
            rows = self._all(
                "SELECT * FROM access_grant WHERE relationship = ? ORDER BY created, id",
                relationship,
            )
        return [_grant(row) for row in rows]

    def grant_by_digest(self, digest: str) -> StoredGrant | None:
        row = self._one("SELECT * FROM access_grant WHERE digest = ?", digest)
        return None if row is None else _grant(row)

    def used_indexes(self, relationship: int) -> set[int]:
        rows = self._all(
            "SELECT status_index FROM access_grant WHERE relationship = ?", relationship
        )
        return {int(row["status_index"]) for row in rows}

    def end_grant(self, digest: str, *, kind: str, at: datetime) -> None:
        self._do(
            "UPDATE access_grant SET ended = ?, end_kind = ? WHERE digest = ?",
            format_time(at),
            kind,
            digest,
        )

    def set_package_version(self, digest: str, *, seq: int, content: str) -> None:
        self._do(
            "UPDATE access_grant SET seq = ?, content = ? WHERE digest = ?", seq, content, digest
        )

    # what was staged, and what the relay says happened
    def add_staged(
        self, package: str, seq: int, *, sha256: str, manifest: JsonObject, at: datetime
    ) -> None:
        self._do(
            "INSERT INTO staged (package, seq, sha256, manifest, receipt, at) "
            "VALUES (?, ?, ?, ?, NULL, ?)",
            package,
            seq,
            sha256,
            _text(manifest),
            format_time(at),
        )

    def staged(self, package: str) -> dict[int, tuple[str, JsonObject]]:
        rows = self._all("SELECT seq, sha256, manifest FROM staged WHERE package = ?", package)
        return {int(r["seq"]): (r["sha256"], parse_object(r["manifest"])) for r in rows}

    def set_staging_receipt(self, package: str, seq: int, receipt: JsonObject) -> None:
        self._do(
            "UPDATE staged SET receipt = ? WHERE package = ? AND seq = ?",
            _text(receipt),
            package,
            seq,
        )

    def add_event(self, event: PackageEvent) -> None:
        self._do(
            "INSERT INTO package_event (package, ordinal, leaf, kind, at, code, seq, purpose, "
            "problem, receipt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            event.package,
            event.ordinal,
            event.leaf,
            event.kind,
            format_time(event.at),
            event.code,
            event.seq,
            event.purpose,
            event.problem,
            _text(event.receipt),
        )

    def events(self, package: str) -> list[PackageEvent]:
        rows = self._all("SELECT * FROM package_event WHERE package = ? ORDER BY ordinal", package)
        return [_event(row) for row in rows]

    def last_event(self, package: str) -> PackageEvent | None:
        row = self._one(
            "SELECT * FROM package_event WHERE package = ? ORDER BY ordinal DESC LIMIT 1", package
        )
        return None if row is None else _event(row)

    # messages
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
    ) -> None:
        self._do(
            "INSERT INTO message (thread, incoming, seq, digest, type, raw, at) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            thread,
            int(incoming),
            seq,
            digest,
            kind,
            _text(raw),
            format_time(at),
        )

    def last_message(self, thread: str, *, incoming: bool) -> tuple[int, str | None]:
        row = self._one(
            "SELECT seq, digest FROM message WHERE thread = ? AND incoming = ? "
            "ORDER BY seq DESC LIMIT 1",
            thread,
            int(incoming),
        )
        return (0, None) if row is None else (int(row["seq"]), str(row["digest"]))

    def add_attestation(self, grant: str, *, at: datetime, raw: JsonObject) -> None:
        self._do(
            "INSERT OR IGNORE INTO attestation (grant_digest, at, raw) VALUES (?, ?, ?)",
            grant,
            format_time(at),
            _text(raw),
        )

    def attestations(self, grant: str) -> list[JsonObject]:
        rows = self._all("SELECT raw FROM attestation WHERE grant_digest = ? ORDER BY at", grant)
        return [parse_object(row["raw"]) for row in rows]

    # outbox
    def enqueue(
        self,
        relationship: int,
        kind: str,
        *,
        ref: str,
        payload: JsonObject | None = None,
        octets: bytes | None = None,
    ) -> None:
        self._do(
            "INSERT INTO outbox (relationship, kind, ref, payload, octets) VALUES (?, ?, ?, ?, ?)",
            relationship,
            kind,
            ref,
            _text(payload or {}),
            octets,
        )

    def jobs(self) -> list[Job]:
        return [_job(row) for row in self._all("SELECT * FROM outbox ORDER BY n")]

    def finish(self, n: int) -> None:
        self._do("DELETE FROM outbox WHERE n = ?", n)

    def drop_jobs(self, relationship: int, kind: str, ref: str) -> None:
        self._do(
            "DELETE FROM outbox WHERE relationship = ? AND kind = ? AND ref = ?",
            relationship,
            kind,
            ref,
        )

    def set_problem(self, n: int, problem: str) -> None:
        self._do("UPDATE outbox SET problem = ? WHERE n = ?", problem, n)

    # the relay's log, as we have seen it
    def seen_checkpoint(self, origin: str) -> str | None:
        row = self._one("SELECT note FROM seen_checkpoint WHERE origin = ?", origin)
        return None if row is None else str(row["note"])

    def see_checkpoint(self, origin: str, note: str, at: datetime) -> None:
        self._do(
            "INSERT INTO seen_checkpoint (origin, note, at) VALUES (?, ?, ?) "
            "ON CONFLICT (origin) DO UPDATE SET note = excluded.note, at = excluded.at",
            origin,
            note,
            format_time(at),
        )

    def add_evidence(self, *, code: str, detail: JsonObject, at: datetime) -> None:
        self._do(
            "INSERT INTO evidence (at, code, detail) VALUES (?, ?, ?)",
            format_time(at),
            code,
            _text(detail),
        )

    def evidence(self) -> list[tuple[datetime, str, JsonObject]]:
        rows = self._all("SELECT at, code, detail FROM evidence ORDER BY n")
        return [(parse_time(r["at"]), r["code"], parse_object(r["detail"])) for r in rows]

    def _do(self, sql: str, *values: Any) -> None:
        self._conn.execute(sql, values)

    def _one(self, sql: str, *values: Any) -> Any:
        return self._conn.execute(sql, values).fetchone()

    def _all(self, sql: str, *values: Any) -> Iterator[Any]:
        return iter(self._conn.execute(sql, values).fetchall())


def _relationship(row: Any) -> Relationship:
    return Relationship(
        index=row["idx"],
        generation=row["generation"],
        company=row["company"],
        name=row["name"],
        did=row["did"],
        mailbox=row["mailbox"],
        capability=row["capability"],
        status_bits=row["status_bits"],
        status_sequence=row["status_sequence"],
        status_issued=parse_time(row["status_issued"]),
        collected=row["collected"],
        created=parse_time(row["created"]),
    )


def _request(row: Any) -> StoredRequest:
    return StoredRequest(
        id=row["id"],
        digest=row["digest"],
        company=row["company"],
        raw=parse_object(row["raw"]),
        received=parse_time(row["received"]),
        state=row["state"],
        relationship=row["relationship"],
    )


def _grant(row: Any) -> StoredGrant:
    return StoredGrant(
        digest=row["digest"],
        id=row["id"],
        request=row["request"],
        relationship=row["relationship"],
        raw=parse_object(row["raw"]),
        ticket=parse_object(row["ticket"]),
        ticket_digest=row["ticket_digest"],
        package=row["package"],
        status_index=row["status_index"],
        seq=row["seq"],
        content=row["content"],
        ended=None if row["ended"] is None else parse_time(row["ended"]),
        end_kind=row["end_kind"],
        created=parse_time(row["created"]),
    )


def _event(row: Any) -> PackageEvent:
    return PackageEvent(
        package=row["package"],
        ordinal=row["ordinal"],
        leaf=row["leaf"],
        kind=row["kind"],
        at=parse_time(row["at"]),
        code=row["code"],
        seq=row["seq"],
        purpose=row["purpose"],
        problem=row["problem"],
        receipt=parse_object(row["receipt"]),
    )


def _job(row: Any) -> Job:
    return Job(
        n=row["n"],
        relationship=row["relationship"],
        kind=row["kind"],
        ref=row["ref"],
        payload=parse_object(row["payload"]),
        octets=row["octets"],
        problem=row["problem"],
    )
