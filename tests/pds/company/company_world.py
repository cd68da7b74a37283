"""A shop, a holder and a real relay in one process: real keys, a clock by hand, and wires that
can be cut. The holder is played with the protocol's own objects; there is no vault here."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from credentials.grant import WITHOUT_STATUS, GrantTerms, VerifiedGrant, issue_grant, verify_grant
from credentials.status import BitString, StatusEntry, issue_status_list
from credentials.ticket import issue_ticket, new_urn
from did.json import Json, JsonObject, canonicalize, digest
from did.keys import SigningKey
from did.multikey import multihash_sha256
from did.resolve import Resolver
from pds.company.client import Company
from pds.links import RequestLink, open_request
from pds.mailbox import OwnedMailbox, RelayClient
from pds.messages.decision import AccessDenial, Decision
from pds.messages.message import (
    Message,
    VerifiedMessage,
    open_message,
    seal_message,
    sign_message,
)
from pds.messages.notices import PackageUpdated, Withdrawal
from pds.messages.package import Package, PackageItem, seal_package
from pds.messages.request import Purpose, ReplyAddress, VerifiedRequest, verify_request
from pds.relay.app import create_app
from pds.sealing import SealingKey
from pds.wire import capability_hash, new_capability, new_id

URL = "http://127.0.0.1:8080"
START = datetime(2026, 5, 4, 10, 20, 30, tzinfo=UTC)
SHOP = "did:web:shop.example"
DELIVERY = "https://w3id.org/dpv#DeliveryOfGoods"
MARKETING = "https://w3id.org/dpv#Marketing"
DIRECT_MARKETING = "https://w3id.org/dpv#DirectMarketing"
LEGAL_OBLIGATION = "https://w3id.org/dpv/legal/eu/gdpr#A6-1-c"
TERMS = Path(__file__).parent / "terms.json"
DEMO_TERMS = Path(__file__).parents[3] / "scripts" / "fixtures" / "request.json"
CANARY = "Kanári utca 4711, Pécs"
VALUES: dict[str, Json] = {
    "contact.name": {"full": "Anna Kovács-Canary"},
    "contact.address": {"street": CANARY},
    "contact.telephone": "+36 1 555 0123",
    "contact.email": "anna@canary.example",
}


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Wire:
    """The transport between everyone and the relay. Each cut is used up by one call:
    ``before`` loses the request, ``after`` the answer. ``change`` may forge an answer."""

    app: Any
    before: list[tuple[str, str]] = field(default_factory=list)
    after: list[tuple[str, str]] = field(default_factory=list)
    change: Callable[[str, str, Reply], Reply] | None = None
    calls: list[tuple[str, str]] = field(default_factory=list)
    down: bool = False

    def request(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes) -> Reply:
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" != URL or self.down:
            raise ConnectionRefusedError
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        self.calls.append((method, path))
        if self._cut(self.before, method, path):
            raise ConnectionResetError
        answer = self.app.test_client().open(path, method=method, headers=dict(headers), data=body)
        lower = {name.lower(): value for name, value in answer.headers.items()}
        reply = Reply(answer.status_code, lower, answer.data)
        if self._cut(self.after, method, path):
            raise TimeoutError
        return reply if self.change is None else self.change(method, path, reply)

    @staticmethod
    def _cut(cuts: list[tuple[str, str]], method: str, path: str) -> bool:
        for cut in cuts:
            if cut[0] == method and path.startswith(cut[1]):
                cuts.remove(cut)
                return True
        return False


@dataclass
class Granted:
    """What the holder keeps of one grant."""

    raw: JsonObject
    ticket: JsonObject
    verified: VerifiedGrant
    package: str
    request: VerifiedRequest
    seq: int = 0


class Holder:
    """One relationship of a holder towards the shop."""

    def __init__(self, wire: Wire, clock: Clock) -> None:
        self.wire, self.clock = wire, clock
        self.key, self.owner_key = SigningKey.generate(), SigningKey.generate()
        self.sealing = SealingKey.generate()
        self.mailbox_id, self.list_id = new_id(), new_id()
        self.capability = new_capability()
        self.bits, self.sequence, self.next_index = BitString.empty(), 0, 100
        self.client = RelayClient(URL, wire, clock=clock)
        self.info = self.client.info()
        self.sent: dict[str, tuple[int, str | None]] = {}
        mailbox = self.mailbox
        mailbox.create()
        mailbox.put_capability(
            new_id(),
            capability_hash(self.capability),
            500,
            1_200_000,
            clock() + timedelta(days=4000),
        )
        self.publish_status()

    @property
    def did(self) -> str:
        return self.key.did

    @property
    def mailbox(self) -> OwnedMailbox:
        return self.client.owner(self.mailbox_id, self.owner_key, 1)

    @property
    def list_url(self) -> str:
        return f"{URL}/v1/status/{self.list_id}"

    def publish_status(self) -> str:
        self.sequence += 1
        credential = issue_status_list(
            key=self.key,
            url=self.list_url,
            bits=self.bits,
            sequence=self.sequence,
            now=self.clock(),
        )
        self.mailbox.put_status(self.list_id, credential)
        return digest(credential)

    def read(self, link: RequestLink, shop: Company) -> VerifiedRequest:
        raw = open_request(self.client.request(link.id), secret=link.secret, request_id=link.id)
        return verify_request(raw, resolver=resolver(shop), now=self.clock())

    def grant(
        self,
        request: VerifiedRequest,
        purpose_id: str,
        *,
        fields: frozenset[str] | None = None,
        ticket: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> Granted:
        purpose, now = request.request.purpose(purpose_id), self.clock()
        terms = replace(_terms(request, purpose, now), **changes)
        if fields is not None:
            terms = replace(terms, fields=fields)
        self.next_index += 1
        status = StatusEntry(self.list_url, self.next_index)
        raw = issue_grant(terms, key=self.key, status=status, now=now)
        package = new_id()
        told: dict[str, Any] = {
            "redemption_key_did": request.request.redemption_key,
            "relay": URL,
            "package": package,
            "valid_from": terms.valid_from,
            "valid_until": terms.valid_until,
            "max_uses": terms.max_uses,
            "min_interval": terms.min_interval,
            "grant_digest": digest(raw),
            "status": status,
            **(ticket or {}),
        }
        verified = verify_grant(
            raw,
            purpose=None,
            audience=None,
            status=WITHOUT_STATUS,
            sandbox=True,
            now=max(now, terms.valid_from),
        )
        return Granted(raw, issue_ticket(key=self.key, now=now, **told), verified, package, request)

    def package(
        self,
        granted: Granted,
        *,
        seq: int,
        values: Mapping[str, Json] = VALUES,
        paths: frozenset[str] | None = None,
        grant: str | None = None,
        key: SigningKey | None = None,
    ) -> tuple[bytes, JsonObject]:
        """The sealed bytes and manifest of one version."""
        items = tuple(
            PackageItem(
                path=path,
                schema="https://schema.example/" + path,
                value=values[path],
                collected=START,
                source="self",
                assurance="self-declared",
                about="self",
            )
            for path in sorted(granted.verified.terms.fields if paths is None else paths)
        )
        return seal_package(
            Package(granted.package, grant or granted.verified.digest, seq, self.clock(), items),
            key=key or self.key,
            to=granted.request.request.sealing_key,
            ticket=digest(granted.ticket),
            not_after=granted.verified.terms.valid_until,
        )

    def stage(self, granted: Granted, **how: Any) -> None:
        granted.seq += 1
        sealed, manifest = self.package(granted, **{"seq": granted.seq, **how})
        self.mailbox.put_package(
            granted.package, ticket=granted.ticket, manifest=manifest, sealed=sealed
        )

    def decision(
        self,
        request: VerifiedRequest,
        granted: list[Granted],
        refused: frozenset[str] = frozenset(),
    ) -> Decision:
        denials: tuple[JsonObject, ...] = ()
        if refused:
            denial = AccessDenial(request=request.digest, purposes=refused, at=self.clock())
            denials = (denial.sign(self.key),)
        return Decision(
            request=request.digest,
            grants=tuple(g.raw for g in granted),
            denials=denials,
            tickets=tuple(g.ticket for g in granted),
            reply=ReplyAddress(URL, self.mailbox_id, self.capability, self.sealing.public),
            relay=URL,
            log_origin=self.info.log_origin,
            log_key=self.info.log_key,
        )

    def seal(
        self,
        request: VerifiedRequest,
        kind: str,
        body: JsonObject,
        *,
        advance: bool = True,
        key: SigningKey | None = None,
        recipient: str | None = None,
        skip: int = 0,
        restored: bool = False,
    ) -> bytes:
        """Sign a message of this thread and seal it to the shop."""
        reply, thread = request.request.reply, request.request.id
        seq, prev = self.sent.get(thread, (0, None))
        seq += skip
        signer = key or self.key
        message = Message(
            type=kind,
            id=new_urn(),
            thread=thread,
            sender=signer.did,
            recipient_key=recipient or reply.sealing_key.id,
            seq=seq + 1,
            prev=prev if not skip else multihash_sha256(b"one that never came"),
            created=self.clock(),
            body=body,
            restored=restored,
        )
        signed = sign_message(message, signer)
        if advance:
            self.sent[thread] = (seq + 1, digest(signed))
        return seal_message(signed, to=reply.sealing_key, mailbox=reply.mailbox)

    def send(self, request: VerifiedRequest, kind: str, body: JsonObject, **how: Any) -> bytes:
        sealed = self.seal(request, kind, body, **how)
        reply = request.request.reply
        self.client.deposit(reply.mailbox, reply.capability, sealed)
        return sealed

    def decide(self, request: VerifiedRequest, *accepted: str, **changes: Any) -> list[Granted]:
        """Grant some purposes, stage their packages, refuse the rest and say so."""
        granted = [self.grant(request, purpose_id, **changes) for purpose_id in accepted]
        for one in granted:
            self.stage(one)
        refused = frozenset(p.id for p in request.request.purposes) - set(accepted)
        self.send(request, "Decision", self.decision(request, granted, refused).to_json())
        return granted

    def revoke(self, granted: Granted) -> str:
        """Only the list: what the relay can show before any notice arrives."""
        self.bits = self.bits.with_bit(granted.verified.status.index)
        return self.publish_status()

    def withdraw(self, granted: Granted, *, verb: str = "withdraw") -> None:
        self.mailbox.end_package(granted.package)
        self.revoke(granted)
        self.notify_withdrawal(granted, verb=verb)

    def notify_withdrawal(self, granted: Granted, *, verb: str, **how: Any) -> bytes:
        notice = Withdrawal(
            grant=granted.verified.digest,
            verb=verb,
            sequence=self.sequence,
            erase_by=self.clock() + timedelta(days=30),
            at=self.clock(),
        )
        return self.send(granted.request, "Withdrawal", notice.to_json(), **how)

    def update(self, granted: Granted, values: Mapping[str, Json]) -> None:
        self.stage(granted, values=values)
        notice = PackageUpdated(granted.verified.digest, granted.package, granted.seq)
        self.send(granted.request, "PackageUpdated", notice.to_json())

    def uses(self, granted: Granted) -> int:
        return self.mailbox.package(granted.package).uses

    def inbox(self, shop: Company) -> list[VerifiedMessage]:
        """What the shop has sent, opened and verified under its DID document."""
        envelopes, _ = self.mailbox.envelopes()
        return [
            open_message(
                sealed,
                key=self.sealing,
                mailbox=self.mailbox_id,
                resolver=resolver(shop),
                now=self.clock(),
            )
            for _, sealed in envelopes
        ]


@dataclass
class World:
    folder: Path
    clock: Clock
    wire: Wire
    shop: Company
    holder: Holder

    def ask(self, terms: JsonObject | None = None) -> VerifiedRequest:
        """A new request, as the holder reads it behind its link."""
        new = self.shop.request(terms or read_terms(), valid_for=timedelta(days=14))
        request = self.holder.read(new.link, self.shop)
        assert request.match_code == new.match_code
        return request

    def granted(self, *accepted: str, **changes: Any) -> Granted:
        """Ask, decide, collect: the first grant of a thread that stands."""
        granted = self.holder.decide(self.ask(), *(accepted or ("delivery",)), **changes)
        report = self.shop.collect()
        assert report.problems == []
        return granted[0]

    def reopen(self) -> Company:
        """The shop's process dies and starts again."""
        self.shop.close()
        self.shop = Company.open(self.folder, clock=self.clock, transport=self.wire)
        return self.shop

    def on_disk(self, text: str) -> bool:
        """Whether a text stands anywhere in the shop's folder."""
        needle = text.encode()
        return any(needle in path.read_bytes() for path in self.folder.rglob("*") if path.is_file())


def make_world(base: Path) -> World:
    clock = Clock()
    wire = Wire(create_app(base / "relay", url=URL, clock=clock))
    folder = base / "shop"
    shop = make_shop(folder, clock, wire)
    return World(folder, clock, wire, shop, Holder(wire, clock))


def make_shop(folder: Path, clock: Clock, wire: Wire, *, did: str = SHOP) -> Company:
    return Company.create(
        folder,
        did=did,
        name="Shop Kft.",
        address="1011 Budapest, Fő utca 1.",
        contact="mailto:info@shop.example",
        data_protection_contact="mailto:privacy@shop.example",
        relay=URL,
        sandbox=True,
        clock=clock,
        transport=wire,
    )


def close(world: World) -> None:
    world.shop.close()
    world.wire.app.extensions["relay"].store.close()


def read_terms(path: Path = TERMS) -> JsonObject:
    terms: JsonObject = json.loads(path.read_text("utf-8"))
    return terms


def resolver(shop: Company) -> Resolver:
    """Resolves the shop's did:web from the shop itself."""
    return Resolver(fetch=lambda _url: canonicalize(shop.did_document()))


def _terms(request: VerifiedRequest, purpose: Purpose, now: datetime) -> GrantTerms:
    return GrantTerms(
        company=request.request.controller.id,
        request=request.digest,
        request_purpose=purpose.id,
        purpose=purpose.purpose,
        basis=purpose.basis,
        processing=purpose.processing,
        fields=purpose.paths,
        text_digest=multihash_sha256(b"the text that was shown"),
        text_language="en",
        decided_by="person",
        valid_from=now - timedelta(seconds=60),
        valid_until=now + timedelta(days=purpose.days) - timedelta(seconds=60),
        max_uses=purpose.max_uses,
        min_interval=purpose.min_interval,
        follows_changes=True,
        retention_days=purpose.retention_days,
        sandbox=True,
    )
