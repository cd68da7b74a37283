"""Grants and what follows from them: status, redemptions, what is held, kept and attested."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from did.json import Json, JsonObject, parse
from did.time import format_time, parse_time
from pds.company.store.base import maybe_time, to_list, to_object, to_text, to_value
from pds.company.store.rows import GrantRow, HeldRow, RedemptionRow, RetentionRow, StatusRow
from pds.company.store.successions import LINE
from pds.db import Tables


class HoldingTables(Tables):
    """All SQL of ``access_grant``, ``denial``, ``status``, ``redemption``, ``held``, ``retention``
    and ``attestation``."""

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
            to_text(row.raw),
            to_text(row.ticket),
            row.ticket_digest,
            row.package,
            row.status_list,
            format_time(row.valid_from),
            format_time(row.valid_until),
            format_time(row.created),
        )

    def grants(self, *, person: str | None = None, request: str | None = None) -> list[GrantRow]:
        """By any DID that the person has or had, or of one request."""
        rows = self._all(
            LINE + " SELECT * FROM access_grant"  # noqa: S608
            " WHERE (?1 IS NULL OR person IN (SELECT did FROM line))"
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

    def set_redeemed(self, digest: str, *, seq: int) -> None:
        self._run("UPDATE access_grant SET seq = ? WHERE digest = ?", seq, digest)

    def set_event(self, digest: str, *, ordinal: int, leaf: str, origin: str) -> None:
        """The last event of the grant's package that we have a receipt of."""
        self._run(
            "UPDATE access_grant SET ordinal = ?, leaf = ?, origin = ? WHERE digest = ?",
            ordinal,
            leaf,
            origin,
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
            to_object(row["stamp"]),
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
            to_text(row.stamp),
            format_time(row.checked),
        )

    # redemptions
    def add_redemption(
        self,
        redemption_id: str,
        grant: str,
        presentation: JsonObject,
        at: datetime,
        *,
        announced: int,
    ) -> None:
        self._run(
            "INSERT INTO redemption (id, grant_digest, presentation, sent, state, announced)"
            " VALUES (?, ?, ?, ?, 'sent', ?)",
            redemption_id,
            grant,
            to_text(presentation),
            format_time(at),
            announced,
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
            to_text(list(paths)),
            to_text(receipt),
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
                to_text(row.value),
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
                to_value(row["value"]),
                parse_time(row["collected"]),
                row["source"],
                row["assurance"],
                row["about"],
                row["seq"],
                parse_time(row["received"]),
            )
            for row in self._all("SELECT * FROM held WHERE grant_digest = ? ORDER BY n", grant)
        ]

    def called(self, paths: Sequence[str]) -> list[tuple[str, Json]]:
        """What is held under these paths of people themselves: whose it is, and the value."""
        marks = ", ".join("?" * len(paths))
        rows = self._all(
            "SELECT g.person, h.value FROM held h JOIN access_grant g ON g.digest = h.grant_digest"  # noqa: S608
            f" WHERE h.about = 'self' AND h.path IN ({marks}) ORDER BY h.n",
            *paths,
        )
        return [(str(row["person"]), parse(row["value"])) for row in rows]

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
            to_text(row.reason),
        )

    def retentions(self, grant: str) -> list[RetentionRow]:
        return [
            RetentionRow(
                row["grant_digest"],
                row["path"],
                row["basis"],
                parse_time(row["until"]),
                to_object(row["reason"]),
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

    # attestations
    def add_attestation(self, grant: str, message: str, body: JsonObject, at: datetime) -> None:
        self._run(
            "INSERT INTO attestation (grant_digest, message, at, body) VALUES (?, ?, ?, ?)",
            grant,
            message,
            format_time(at),
            to_text(body),
        )

    def attestations(self, grant: str) -> list[tuple[datetime, JsonObject, datetime | None]]:
        rows = self._all("SELECT * FROM attestation WHERE grant_digest = ? ORDER BY at", grant)
        return [
            (parse_time(row["at"]), to_object(row["body"]), maybe_time(row["sent"])) for row in rows
        ]

    def set_attestation_sent(self, message: str, at: datetime) -> None:
        self._run("UPDATE attestation SET sent = ? WHERE message = ?", format_time(at), message)


def _grant(row: Any) -> GrantRow:
    return GrantRow(
        digest=row["digest"],
        id=row["id"],
        request=row["request"],
        purpose_id=row["purpose_id"],
        purpose=row["purpose"],
        person=row["person"],
        raw=to_object(row["raw"]),
        ticket=to_object(row["ticket"]),
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
        origin=row["origin"],
        ended=maybe_time(row["ended"]),
        end_kind=row["end_kind"],
        erased=maybe_time(row["erased"]),
    )


def _redemption(row: Any) -> RedemptionRow:
    return RedemptionRow(
        id=row["id"],
        grant=row["grant_digest"],
        presentation=to_object(row["presentation"]),
        sent=parse_time(row["sent"]),
        announced=row["announced"],
        state=row["state"],
        code=row["code"],
        seq=row["seq"],
        ordinal=row["ordinal"],
        paths=tuple(str(path) for path in to_list(row["paths"])),
        receipt=None if row["receipt"] is None else to_object(row["receipt"]),
        acknowledged=bool(row["acknowledged"]),
    )
