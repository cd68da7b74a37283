"""What the company's database holds, row by row: frozen, read and written by the store."""

from dataclasses import dataclass, field
from datetime import datetime

from did.json import Json, JsonObject


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One signing key of the company; the newest is in use. A retired key has no seed any more."""

    n: int
    multikey: str
    seed: bytes | None = field(repr=False)
    created: datetime
    expires: datetime | None
    revoked: datetime | None


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A request and its thread. ``person`` to ``log_key`` are known once it was decided."""

    id: str
    digest: str
    raw: JsonObject
    link: str | None = field(repr=False)
    locked: bytes | None = field(repr=False)
    created: datetime
    expires: datetime
    state: str
    problem: str | None
    redemption_seed: bytes | None = field(repr=False)
    package_seed: bytes | None = field(repr=False)
    mailbox: str
    mailbox_seed: bytes | None = field(repr=False)
    message_seed: bytes | None = field(repr=False)
    capability_id: str
    person: str | None = None
    reply: JsonObject | None = field(default=None, repr=False)
    relay: str | None = None
    log_origin: str | None = None
    log_key: str | None = None
    decided: datetime | None = None


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A grant with its ticket and where its package stands. ``seq``, ``ordinal`` and ``leaf``
    are of the last redemption, ``origin`` is the log that holds it, ``announced`` the newest
    version that the holder told of."""

    digest: str
    id: str
    request: str
    purpose_id: str
    purpose: str
    person: str
    raw: JsonObject
    ticket: JsonObject
    ticket_digest: str
    package: str
    status_list: str
    valid_from: datetime
    valid_until: datetime
    created: datetime
    announced: int = 0
    seq: int = 0
    ordinal: int = 0
    leaf: str | None = None
    origin: str | None = None
    ended: datetime | None = None
    end_kind: str | None = None
    erased: datetime | None = None


@dataclass(frozen=True, slots=True)
class StatusRow:
    """The newest status list that was seen, with the relay's stamp on it. Both as they came."""

    list: str
    sequence: int
    credential: bytes = field(repr=False)
    stamp: JsonObject
    checked: datetime


@dataclass(frozen=True, slots=True)
class RedemptionRow:
    """One redemption: ``sent``, then ``done``, ``refused``, ``bad`` or ``lost``. ``announced`` is
    the newest version that was known when it was sent."""

    id: str
    grant: str
    presentation: JsonObject
    sent: datetime
    announced: int
    state: str
    code: str | None
    seq: int | None
    ordinal: int | None
    paths: tuple[str, ...]
    receipt: JsonObject | None
    acknowledged: bool


@dataclass(frozen=True, slots=True)
class HeldRow:
    """One value with where it came from. Its basis is its grant, or a retention of its path."""

    grant: str
    path: str
    schema: str
    value: Json = field(repr=False)
    collected: datetime
    source: str
    assurance: str
    about: str
    seq: int
    received: datetime


@dataclass(frozen=True, slots=True)
class RetentionRow:
    """A path that stays after its grant has ended: on which basis, until when, and why."""

    grant: str
    path: str
    basis: str
    until: datetime
    reason: JsonObject


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """A message that is still to be delivered."""

    n: int
    thread: str
    seq: int
    octets: bytes = field(repr=False)
    problem: str | None


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that did not fit, by code; ``subject`` is a request or a grant."""

    at: datetime
    code: str
    subject: str
    detail: JsonObject


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, without personal data."""

    at: datetime
    kind: str
    subject: str
    detail: JsonObject
