"""The rows of the exchange, as the vault works with them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from did.json import JsonObject, parse_object
from did.time import parse_time
from pds.sealing import MAX_PLAINTEXT


@dataclass(frozen=True, slots=True)
class Relationship:
    """One holder towards one company. Keys are derived from (generation, index)."""

    index: int
    generation: int
    company: str
    name: str
    did: str
    mailbox: str
    capability: str = field(repr=False)
    status_bits: str
    status_sequence: int
    status_issued: datetime
    created: datetime

    @classmethod
    def of(cls, row: Any) -> "Relationship":
        return cls(
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
            created=parse_time(row["created"]),
        )


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

    @classmethod
    def of(cls, row: Any) -> "StoredRequest":
        return cls(
            id=row["id"],
            digest=row["digest"],
            company=row["company"],
            raw=parse_object(row["raw"]),
            received=parse_time(row["received"]),
            state=row["state"],
            relationship=row["relationship"],
        )


@dataclass(frozen=True, slots=True)
class StoredMessage:
    """A message of a thread as it was signed."""

    seq: int
    kind: str
    raw: JsonObject
    at: datetime

    @classmethod
    def of(cls, row: Any) -> "StoredMessage":
        return cls(
            seq=int(row["seq"]),
            kind=row["type"],
            raw=parse_object(row["raw"], max_bytes=MAX_PLAINTEXT),
            at=parse_time(row["at"]),
        )


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

    @classmethod
    def of(cls, row: Any) -> "StoredGrant":
        return cls(
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


@dataclass(frozen=True, slots=True)
class PackageEvent:
    """What the relay recorded for one package, after our checks; ``problem`` is what failed."""

    package: str
    origin: str
    ordinal: int
    leaf: str
    kind: str
    at: datetime
    code: str | None
    seq: int | None
    purpose: str | None
    problem: str | None
    receipt: JsonObject

    @classmethod
    def of(cls, row: Any) -> "PackageEvent":
        return cls(
            package=row["package"],
            origin=row["origin"],
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


@dataclass(frozen=True, slots=True)
class Job:
    """One call to a relay that is still to be made, in the order of ``n``. What it brings sealed
    can be long, and is read when it is sent."""

    n: int
    relationship: int
    kind: str
    ref: str
    payload: JsonObject
    problem: str | None

    @classmethod
    def of(cls, row: Any) -> "Job":
        return cls(
            n=row["n"],
            relationship=row["relationship"],
            kind=row["kind"],
            ref=row["ref"],
            payload=parse_object(row["payload"]),
            problem=row["problem"],
        )
