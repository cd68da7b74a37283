"""The access request: who asks, for what, why, on which basis, for how long (protocol §4).

Longer than other rooms, because the parts of one form and the checks of it are read together.
"""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from credentials.errors import ControllerUnresolved, CredentialError
from credentials.proof import sign_object, verify_object
from credentials.purposes import is_known
from did.json import JsonObject, parse_object, without_proof
from did.keys import SigningKey
from did.resolve import Resolver
from did.time import format_time
from pds.messages.errors import RequestRefused, SignerUnresolved
from pds.messages.fields import COUNTRY, PURPOSE_ID, Fields, Words
from pds.sealing import SealingPublicKey
from pds.wire import parse_relay_url

GDPR = "https://w3id.org/dpv/legal/eu/gdpr#"
CONSENT = GDPR + "A6-1-a"
CONTRACT = GDPR + "A6-1-b"
BASES = frozenset(GDPR + f"A6-1-{letter}" for letter in "abcdef") | {
    GDPR + "A6-1-a-explicit-consent"
}
_EEA = re.compile(
    "AT|BE|BG|CY|CZ|DE|DK|EE|ES|FI|FR|GR|HR|HU|IE|IS|IT|LI|LT|LU|LV|MT|NL|NO|PL|PT|RO|SE|SI|SK"
)
MAX_BYTES = 256 * 1024
MAX_DAYS = 3660
_SKEW = timedelta(seconds=60)
_LONGEST = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class ReplyAddress:
    """Where one side answers the other: a mailbox, the right to deposit, the key to seal to."""

    relay: str
    mailbox: str
    capability: str = field(repr=False)
    sealing_key: SealingPublicKey

    @classmethod
    def parse(cls, fields: Fields) -> "ReplyAddress":
        reply = cls(
            relay=fields.read_by(parse_relay_url, "relay", fields.text("relay", high=300)),
            mailbox=fields.id("mailbox"),
            capability=fields.text("capability", high=43),
            sealing_key=fields.read_by(
                SealingPublicKey.parse, "sealingKey", fields.object("sealingKey")
            ),
        )
        fields.done()
        return reply

    def to_json(self) -> JsonObject:
        return {
            "relay": self.relay,
            "mailbox": self.mailbox,
            "capability": self.capability,
            "sealingKey": self.sealing_key.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Controller:
    """Who asks: the DID whose domain proves it, and what the law wants named."""

    id: str
    name: str
    address: str
    contact: str
    data_protection_contact: str

    @classmethod
    def parse(cls, fields: Fields) -> "Controller":
        controller = cls(
            id=fields.did("id"),
            name=fields.title("name"),
            address=fields.text("address", high=300),
            contact=fields.link("contact"),
            data_protection_contact=fields.link("dataProtectionContact"),
        )
        fields.done()
        return controller

    def to_json(self) -> JsonObject:
        return {
            "id": self.id,
            "name": self.name,
            "address": self.address,
            "contact": self.contact,
            "dataProtectionContact": self.data_protection_contact,
        }


@dataclass(frozen=True, slots=True)
class Item:
    """One thing asked for: a category or one field of it; required with its reason, or optional."""

    path: str
    required: bool
    reason: Words | None = None

    @classmethod
    def parse(cls, fields: Fields) -> "Item":
        required = fields.raw("required")
        if not isinstance(required, bool):
            raise RequestRefused(
                f"{fields.where} must say in true or false whether it is required",
                where=fields.where,
            )
        reason = fields.words("reason") if required or fields.has("reason") else None
        item = cls(path=fields.path("path"), required=required, reason=reason)
        fields.done()
        return item

    def to_json(self) -> JsonObject:
        result: JsonObject = {"path": self.path, "required": self.required}
        if self.reason is not None:
            result["reason"] = dict(self.reason)
        return result


@dataclass(frozen=True, slots=True)
class Retained:
    """What stays after the grant has ended, on which other basis, for how many days, and why."""

    paths: frozenset[str]
    basis: str
    days: int
    reason: Words

    @classmethod
    def parse(cls, fields: Fields) -> "Retained":
        retained = cls(
            paths=fields.paths("paths", low=1),
            basis=fields.choice("basis", BASES),
            days=fields.integer("days", 1, 40 * 366),
            reason=fields.words("reason"),
        )
        fields.done()
        return retained

    def to_json(self) -> JsonObject:
        return {
            "paths": [*sorted(self.paths)],
            "basis": self.basis,
            "days": self.days,
            "reason": dict(self.reason),
        }


@dataclass(frozen=True, slots=True)
class Recipient:
    """To whom the company passes data on; outside the EEA with the safeguard named."""

    name: str
    role: str
    country: str
    safeguard: Words | None = None

    @classmethod
    def parse(cls, fields: Fields) -> "Recipient":
        country = fields.text("country", high=2, pattern=COUNTRY)
        outside = _EEA.fullmatch(country) is None
        recipient = cls(
            name=fields.title("name"),
            role=fields.choice("role", frozenset({"processor", "controller", "joint-controller"})),
            country=country,
            safeguard=fields.words("safeguard") if outside or fields.has("safeguard") else None,
        )
        fields.done()
        return recipient

    def to_json(self) -> JsonObject:
        result: JsonObject = {"name": self.name, "role": self.role, "country": self.country}
        if self.safeguard is not None:
            result["safeguard"] = dict(self.safeguard)
        return result


@dataclass(frozen=True, slots=True)
class Purpose:
    """One purpose of a request. It is decided alone, and granted alone."""

    id: str
    purpose: str
    reason: Words
    basis: str
    items: tuple[Item, ...]
    processing: frozenset[str]
    retention_days: int
    consequence: Words
    notice: str
    days: int
    max_uses: int
    min_interval: int
    retained: tuple[Retained, ...] = ()
    recipients: tuple[Recipient, ...] = ()
    compensation: Words | None = None

    @classmethod
    def parse(cls, fields: Fields) -> "Purpose":
        purpose = cls(
            id=fields.text("id", high=40, pattern=PURPOSE_ID),
            purpose=_purpose(fields),
            reason=fields.words("reason"),
            basis=fields.choice("basis", BASES),
            items=tuple(Item.parse(item) for item in fields.each("items", low=1, high=100)),
            processing=fields.dpv_terms("processing", low=1),
            retention_days=fields.integer("retentionDays", 0, MAX_DAYS),
            consequence=fields.words("consequence"),
            notice=fields.link("notice"),
            days=fields.integer("days", 1, MAX_DAYS),
            max_uses=fields.integer("maxUses", 1, 1_000_000),
            min_interval=fields.integer("minInterval", 0, 366 * 86_400),
            retained=tuple(
                Retained.parse(r)
                for r in (fields.each("retained", low=1) if fields.has("retained") else [])
            ),
            recipients=tuple(
                Recipient.parse(r)
                for r in (fields.each("recipients", low=1) if fields.has("recipients") else [])
            ),
            compensation=fields.words("compensation") if fields.has("compensation") else None,
        )
        fields.done()
        paths = [item.path for item in purpose.items]
        if len(set(paths)) != len(paths):
            raise RequestRefused(
                f"{fields.where or '/'} asks for the same path twice", where=fields.where
            )
        if any(not kept.paths <= set(paths) for kept in purpose.retained):
            raise RequestRefused(
                f"{fields.where or '/'} would retain what it does not ask for", where=fields.where
            )
        return purpose

    @property
    def required(self) -> frozenset[str]:
        """The paths without which the purpose cannot be served."""
        return frozenset(item.path for item in self.items if item.required)

    @property
    def paths(self) -> frozenset[str]:
        """Everything asked for."""
        return frozenset(item.path for item in self.items)

    def to_json(self) -> JsonObject:
        result: JsonObject = {
            "id": self.id,
            "purpose": self.purpose,
            "reason": dict(self.reason),
            "basis": self.basis,
            "items": [item.to_json() for item in self.items],
            "processing": [*sorted(self.processing)],
            "retentionDays": self.retention_days,
            "consequence": dict(self.consequence),
            "notice": self.notice,
            "days": self.days,
            "maxUses": self.max_uses,
            "minInterval": self.min_interval,
        }
        if self.retained:
            result["retained"] = [kept.to_json() for kept in self.retained]
        if self.recipients:
            result["recipients"] = [recipient.to_json() for recipient in self.recipients]
        if self.compensation is not None:
            result["compensation"] = dict(self.compensation)
        return result


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """A company's whole request. ``parse`` and ``to_json`` are inverse to each other."""

    id: str
    created: datetime
    expires: datetime
    controller: Controller
    purposes: tuple[Purpose, ...]
    redemption_key: str
    sealing_key: SealingPublicKey
    reply: ReplyAddress
    audience: str | None = None
    sandbox: bool = False

    @classmethod
    def parse(cls, value: JsonObject, *, own: bool = False) -> "AccessRequest":
        """Read the unsigned members; raises ``MessageError`` with the place. With ``own``, for a
        request made here, its sentence also names the properties that are not known."""
        fields = Fields(without_proof(value), own=own)
        fields.constant("type", "AccessRequest")
        request = cls(
            id=fields.urn("id"),
            created=fields.time("created"),
            expires=fields.time("expires"),
            controller=Controller.parse(fields.fields("controller")),
            purposes=tuple(Purpose.parse(p) for p in fields.each("purposes", low=1, high=50)),
            redemption_key=fields.did("redemptionKey", method="key"),
            sealing_key=fields.read_by(
                SealingPublicKey.parse, "sealingKey", fields.object("sealingKey")
            ),
            reply=ReplyAddress.parse(fields.fields("reply")),
            audience=fields.text("audience", high=200) if fields.has("audience") else None,
            sandbox=fields.only_true("sandbox"),
        )
        fields.done()
        ids = [purpose.id for purpose in request.purposes]
        if len(set(ids)) != len(ids):
            raise RequestRefused("two purposes of the request have the same id")
        if not request.created < request.expires:
            raise RequestRefused("the request ends before it begins")
        if request.expires - request.created > _LONGEST:
            raise RequestRefused("a request waits for an answer for a year at the most")
        return request

    def purpose(self, purpose_id: str) -> Purpose:
        """The purpose with this id; ``RequestRefused`` (``request.no_such_purpose``) if none."""
        for purpose in self.purposes:
            if purpose.id == purpose_id:
                return purpose
        raise RequestRefused(
            "the request has no purpose of that name",
            code="request.no_such_purpose",
            hint="It has: " + ", ".join(purpose.id for purpose in self.purposes),
        )

    def to_json(self) -> JsonObject:
        result: JsonObject = {
            "type": "AccessRequest",
            "id": self.id,
            "created": format_time(self.created),
            "expires": format_time(self.expires),
            "controller": self.controller.to_json(),
            "purposes": [purpose.to_json() for purpose in self.purposes],
            "redemptionKey": self.redemption_key,
            "sealingKey": self.sealing_key.to_json(),
            "reply": self.reply.to_json(),
        }
        if self.audience is not None:
            result["audience"] = self.audience
        if self.sandbox:
            result["sandbox"] = True
        return result


@dataclass(frozen=True, slots=True)
class VerifiedRequest:
    """A request whose controller signed it, with the document as it was verified."""

    request: AccessRequest
    digest: str
    raw: JsonObject

    @property
    def match_code(self) -> str:
        return match_code(self.digest)


def _purpose(fields: Fields) -> str:
    """What for, as DPV names it: whoever decides is shown its words, and a refusal holds for
    everything narrower, neither of which a purpose that nobody knows could offer."""
    purpose = fields.dpv("purpose")
    if not is_known(purpose):
        raise RequestRefused(
            f"{fields.where}/purpose is no purpose of the Data Privacy Vocabulary 2.3",
            code="request.unknown_purpose",
            hint="Choose one of https://w3id.org/dpv/purposes, such as DeliveryOfGoods.",
            where=f"{fields.where}/purpose",
        )
    return purpose


def match_code(request_digest: str) -> str:
    """Six digits that both sides show, so that a forwarded link is noticed (protocol §4)."""
    number = int.from_bytes(hashlib.sha256(b"pds/v1/match" + request_digest.encode()).digest())
    text = f"{number % 10**6:06d}"
    return f"{text[:3]}-{text[3:]}"


def sign_request(
    request: AccessRequest, key: SigningKey, *, verification_method: str
) -> JsonObject:
    """Sign a request with the company's assertion key; ``created`` is the request's own."""
    return sign_object(
        request.to_json(),
        key,
        created=request.created,
        verification_method=verification_method,
    )


def verify_request(
    raw: bytes | JsonObject, *, resolver: Resolver, now: datetime
) -> VerifiedRequest:
    """Verify a request and return it. Numbered as protocol §4 has it:

    1. strict JSON of the known shape, at most 256 KiB
    2. the proof is by the controller's own did:web, for ``assertionMethod``
    3. not from the future, not over

    Not checked: whether the holder was meant (``match_code``), whether the company is honest.
    Raises ``MessageError``, ``RequestRefused``, or ``did.errors.JsonError`` for bytes that are no
    strict JSON.
    """
    document = parse_object(raw, max_bytes=MAX_BYTES) if isinstance(raw, bytes) else raw
    controller = AccessRequest.parse(document).controller  # 1
    if not controller.id.startswith("did:web:"):  # 2: any other key proves no domain
        raise RequestRefused(
            "who asks shows no domain of its own, so nobody can tell who it is",
            code="request.controller",
            hint="Ask the company for a request by its did:web.",
        )
    try:
        verified = verify_object(  # 2
            document,
            resolver=resolver,
            now=now,
            expected_controller=controller.id,
            exact_context=(),
        )
    except ControllerUnresolved as error:
        raise SignerUnresolved(
            f"the sender's DID document could not be had: {error}",
            hint="Try again later; if it stays so, ask the company to mend its DID document.",
        ) from error
    except CredentialError as error:
        raise RequestRefused(
            f"the request is not signed by whom it names: {error}",
            code="request.proof",
            hint="Do not answer it. Ask the company for a new link over a channel you trust.",
        ) from error
    request = AccessRequest.parse(verified.document)
    if request.created > now + _SKEW:  # 3
        raise RequestRefused(
            "the request comes from the future",
            code="request.future",
            hint="Check this machine's clock.",
        )
    if now >= request.expires:
        raise RequestRefused(
            "the request is over", code="request.expired", hint="Ask the company for a new one."
        )
    return VerifiedRequest(request=request, digest=verified.digest, raw=document)
