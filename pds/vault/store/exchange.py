"""All SQL of the exchange: settings, relationships, requests, grants, events, messages, outbox.

The caller owns the transaction. JSON is stored as its canonical text.
"""

from datetime import datetime

from did.json import JsonObject, canonicalize, parse_object
from did.time import format_time, parse_time
from pds.db import Tables
from pds.sealing import MAX_PLAINTEXT
from pds.vault.store.rows import (
    Job,
    PackageEvent,
    Relationship,
    StoredGrant,
    StoredMessage,
    StoredRequest,
)


def _text(value: JsonObject) -> str:
    return canonicalize(value).decode()


class ExchangeStore(Tables):
    """The rows of the exchange on one open vault database."""

    # settings
    def setting(self, name: str) -> str | None:
        row = self._one("SELECT value FROM setting WHERE name = ?", name)
        return None if row is None else str(row["value"])

    def set_setting(self, name: str, value: str) -> None:
        self._run(
            "INSERT INTO setting (name, value) VALUES (?, ?) "
            "ON CONFLICT (name) DO UPDATE SET value = excluded.value",
            name,
            value,
        )

    def settings(self, prefix: str) -> dict[str, str]:
        rows = self._all(
            "SELECT name, value FROM setting WHERE substr(name, 1, ?) = ?", len(prefix), prefix
        )
        return {str(row["name"]): str(row["value"]) for row in rows}

    def remove_setting(self, name: str) -> None:
        self._run("DELETE FROM setting WHERE name = ?", name)

    # relationships
    def add_relationship(self, r: Relationship) -> None:
        self._run(
            "INSERT INTO relationship (idx, generation, company, name, did, mailbox, capability, "
            "status_bits, status_sequence, status_issued, created) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
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
            format_time(r.created),
        )

    def relationships(self) -> list[Relationship]:
        return [Relationship.of(r) for r in self._all("SELECT * FROM relationship ORDER BY idx")]

    def living_relationships(self) -> int:
        """With how many companies there is one."""
        row = self._one(
            "SELECT count(*) AS n FROM relationship WHERE idx NOT IN (SELECT old FROM succession)"
        )
        return int(row["n"])

    def relationship(self, index: int) -> Relationship:
        row = self._one("SELECT * FROM relationship WHERE idx = ?", index)
        if row is None:
            raise KeyError(index)
        return Relationship.of(row)

    def relationship_with(self, company: str) -> Relationship | None:
        """The living one: none that was given up for another."""
        row = self._one(
            "SELECT * FROM relationship WHERE company = ?"
            " AND idx NOT IN (SELECT old FROM succession) ORDER BY idx DESC LIMIT 1",
            company,
        )
        return None if row is None else Relationship.of(row)

    def set_status(self, index: int, *, bits: str, sequence: int, issued: datetime) -> None:
        self._run(
            "UPDATE relationship SET status_bits = ?, status_sequence = ?, status_issued = ? "
            "WHERE idx = ?",
            bits,
            sequence,
            format_time(issued),
            index,
        )

    # requests and refusals
    def add_request(self, request: StoredRequest) -> None:
        self._run(
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
        return [
            StoredRequest.of(r) for r in self._all("SELECT * FROM request ORDER BY received, id")
        ]

    def request(self, request_id: str) -> StoredRequest | None:
        row = self._one("SELECT * FROM request WHERE id = ?", request_id)
        return None if row is None else StoredRequest.of(row)

    def close_request(self, request_id: str, *, state: str, relationship: int | None) -> None:
        self._run(
            "UPDATE request SET state = ?, relationship = ? WHERE id = ?",
            state,
            relationship,
            request_id,
        )

    def refuse(self, company: str, purpose: str, until: datetime) -> None:
        self._run(
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
        self._run("DELETE FROM refusal WHERE company = ? AND purpose = ?", company, purpose)

    # grants
    def add_grant(self, grant: StoredGrant) -> None:
        self._run(
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
        return [StoredGrant.of(row) for row in rows]

    def grant_by_digest(self, digest: str) -> StoredGrant | None:
        row = self._one("SELECT * FROM access_grant WHERE digest = ?", digest)
        return None if row is None else StoredGrant.of(row)

    def grant_by_package(self, package: str) -> StoredGrant | None:
        row = self._one("SELECT * FROM access_grant WHERE package = ?", package)
        return None if row is None else StoredGrant.of(row)

    def used_indexes(self, relationship: int) -> set[int]:
        rows = self._all(
            "SELECT status_index FROM access_grant WHERE relationship = ?", relationship
        )
        return {int(row["status_index"]) for row in rows}

    def end_grant(self, digest: str, *, kind: str, at: datetime) -> None:
        self._run(
            "UPDATE access_grant SET ended = ?, end_kind = ? WHERE digest = ?",
            format_time(at),
            kind,
            digest,
        )

    def set_package_version(self, digest: str, *, seq: int, content: str) -> None:
        self._run(
            "UPDATE access_grant SET seq = ?, content = ? WHERE digest = ?", seq, content, digest
        )

    # what was staged, and what the relay says happened
    def add_staged(
        self, package: str, seq: int, *, sha256: str, manifest: JsonObject, at: datetime
    ) -> None:
        self._run(
            "INSERT OR REPLACE INTO staged (package, seq, sha256, manifest, receipt, at) "
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

    def was_staged(self, package: str) -> bool:
        """Whether the relay has signed for any version of this package."""
        sql = "SELECT 1 FROM staged WHERE package = ? AND receipt IS NOT NULL"
        return self._one(sql, package) is not None

    def staging_receipts(self, package: str) -> list[tuple[int, JsonObject]]:
        sql = "SELECT seq, receipt FROM staged WHERE package = ? AND receipt IS NOT NULL"
        return [(int(r["seq"]), parse_object(r["receipt"])) for r in self._all(sql, package)]

    def set_staging_receipt(self, package: str, seq: int, receipt: JsonObject) -> None:
        self._run(
            "UPDATE staged SET receipt = ? WHERE package = ? AND seq = ?",
            _text(receipt),
            package,
            seq,
        )

    def add_event(self, event: PackageEvent) -> None:
        self._run(
            "INSERT INTO package_event (package, origin, ordinal, leaf, kind, at, code, seq, "
            "purpose, problem, receipt) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            event.package,
            event.origin,
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
        rows = self._all(
            "SELECT * FROM package_event WHERE package = ? ORDER BY at, ordinal", package
        )
        return [PackageEvent.of(row) for row in rows]

    def last_event(self, package: str, origin: str) -> PackageEvent | None:
        row = self._one(
            "SELECT * FROM package_event WHERE package = ? AND origin = ? "
            "ORDER BY ordinal DESC LIMIT 1",
            package,
            origin,
        )
        return None if row is None else PackageEvent.of(row)

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
        self._run(
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

    def newest_message(self, thread: str, *, incoming: bool) -> StoredMessage | None:
        row = self._one(
            "SELECT seq, type, raw, at FROM message WHERE thread = ? AND incoming = ? "
            "ORDER BY seq DESC LIMIT 1",
            thread,
            int(incoming),
        )
        return None if row is None else StoredMessage.of(row)

    def last_message(self, thread: str, *, incoming: bool) -> tuple[int, str | None]:
        row = self._one(
            "SELECT seq, digest FROM message WHERE thread = ? AND incoming = ? "
            "ORDER BY seq DESC LIMIT 1",
            thread,
            int(incoming),
        )
        return (0, None) if row is None else (int(row["seq"]), str(row["digest"]))

    def add_attestation(self, grant: str, *, at: datetime, raw: JsonObject) -> None:
        self._run(
            "INSERT OR IGNORE INTO attestation (grant_digest, at, raw) VALUES (?, ?, ?)",
            grant,
            format_time(at),
            _text(raw),
        )

    def attestations(self, grant: str) -> list[JsonObject]:
        rows = self._all("SELECT raw FROM attestation WHERE grant_digest = ? ORDER BY at", grant)
        return [parse_object(row["raw"], max_bytes=MAX_PLAINTEXT) for row in rows]

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
        self._run(
            "INSERT INTO outbox (relationship, kind, ref, payload, octets) VALUES (?, ?, ?, ?, ?)",
            relationship,
            kind,
            ref,
            _text(payload or {}),
            octets,
        )

    def jobs(self) -> list[Job]:
        sql = "SELECT n, relationship, kind, ref, payload, problem FROM outbox ORDER BY n"
        return [Job.of(row) for row in self._all(sql)]

    def octets(self, n: int) -> bytes | None:
        """What a job brings sealed; None if another program has done it meanwhile."""
        row = self._one("SELECT octets FROM outbox WHERE n = ?", n)
        return None if row is None else bytes(row["octets"] or b"")

    def finish(self, n: int) -> None:
        self._run("DELETE FROM outbox WHERE n = ?", n)

    def drop_jobs(self, relationship: int, kind: str, ref: str) -> None:
        self._run(
            "DELETE FROM outbox WHERE relationship = ? AND kind = ? AND ref = ?",
            relationship,
            kind,
            ref,
        )

    def set_problem(self, n: int, problem: str) -> None:
        self._run("UPDATE outbox SET problem = ? WHERE n = ?", problem, n)

    # the relay's log, as we have seen it
    def add_unchecked(self, origin: str, note: str) -> None:
        self._run(
            "INSERT OR IGNORE INTO unchecked_checkpoint (note, origin) VALUES (?, ?)", note, origin
        )

    def unchecked(self, origin: str, *, limit: int) -> list[str]:
        rows = self._all(
            "SELECT note FROM unchecked_checkpoint WHERE origin = ? LIMIT ?", origin, limit
        )
        return [str(row["note"]) for row in rows]

    def checked(self, note: str) -> None:
        self._run("DELETE FROM unchecked_checkpoint WHERE note = ?", note)

    def seen_checkpoint(self, origin: str) -> str | None:
        row = self._one("SELECT note FROM seen_checkpoint WHERE origin = ?", origin)
        return None if row is None else str(row["note"])

    def see_checkpoint(self, origin: str, note: str, at: datetime) -> None:
        self._run(
            "INSERT INTO seen_checkpoint (origin, note, at) VALUES (?, ?, ?) "
            "ON CONFLICT (origin) DO UPDATE SET note = excluded.note, at = excluded.at",
            origin,
            note,
            format_time(at),
        )

    def add_evidence(self, *, code: str, detail: JsonObject, at: datetime) -> None:
        self._run(
            "INSERT INTO evidence (at, code, detail) VALUES (?, ?, ?)",
            format_time(at),
            code,
            _text(detail),
        )

    def evidence(self) -> list[tuple[datetime, str, JsonObject]]:
        rows = self._all("SELECT at, code, detail FROM evidence ORDER BY n")
        return [(parse_time(r["at"]), r["code"], parse_object(r["detail"])) for r in rows]
