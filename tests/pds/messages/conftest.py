"""A company and a holder with real keys, and the objects they exchange."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from credentials.grant import GrantTerms, issue_grant
from credentials.status import StatusEntry
from credentials.ticket import issue_ticket
from did.json import JsonObject, canonicalize, digest
from did.keys import SigningKey
from did.resolve import Resolver
from pds.messages.decision import AccessDenial, Decision
from pds.messages.request import (
    AccessRequest,
    Controller,
    Item,
    Purpose,
    ReplyAddress,
    VerifiedRequest,
    sign_request,
    verify_request,
)
from pds.sealing import SealingKey
from pds.wire import new_capability, new_id

NOW = datetime(2026, 5, 4, 10, 0, 0, tzinfo=UTC)
RELAY = "https://relay.example"
COMPANY = "did:web:shop.example"
GDPR = "https://w3id.org/dpv/legal/eu/gdpr#"
DPV = "https://w3id.org/dpv#"


def purpose(**changes: Any) -> Purpose:
    base = Purpose(
        id="delivery",
        purpose=DPV + "DeliveryOfGoods",
        reason={"en": "To bring you what you ordered."},
        basis=GDPR + "A6-1-b",
        items=(
            Item("contact.name", required=True, reason={"en": "On the parcel."}),
            Item("purchases", required=False),
        ),
        processing=frozenset({DPV + "Collect", DPV + "Use"}),
        retention_days=30,
        consequence={"en": "No delivery."},
        notice="https://shop.example/privacy",
        days=365,
        max_uses=12,
        min_interval=0,
    )
    return replace(base, **changes)


@dataclass
class Parties:
    """Keys of both sides, a signed request, and everything for a decision."""

    company_key: SigningKey
    redemption_key: SigningKey
    company_sealing: SealingKey
    company_reply: SealingKey
    holder_key: SigningKey
    holder_sealing: SealingKey
    log_key: SigningKey
    request: AccessRequest
    resolver: Resolver

    @property
    def method(self) -> str:
        return f"{COMPANY}#key-1"

    def document(self) -> JsonObject:
        return {
            "@context": ["https://www.w3.org/ns/cid/v1"],
            "id": COMPANY,
            "verificationMethod": [
                {
                    "id": self.method,
                    "type": "Multikey",
                    "controller": COMPANY,
                    "publicKeyMultibase": self.company_key.verify_key.multikey,
                }
            ],
            "assertionMethod": [self.method],
            "authentication": [self.method],
        }

    def signed(self, request: AccessRequest | None = None) -> JsonObject:
        return sign_request(
            request or self.request, self.company_key, verification_method=self.method
        )

    def verified(self, request: AccessRequest | None = None) -> VerifiedRequest:
        raw = canonicalize(self.signed(request))
        return verify_request(raw, resolver=self.resolver, now=NOW)

    def grant(self, request_digest: str, **changes: Any) -> JsonObject:
        terms = GrantTerms(
            company=COMPANY,
            request=request_digest,
            request_purpose="delivery",
            purpose=DPV + "DeliveryOfGoods",
            basis=GDPR + "A6-1-b",
            processing=frozenset({DPV + "Collect", DPV + "Use"}),
            fields=frozenset({"contact.name"}),
            text_digest=request_digest,
            text_language="en",
            decided_by="person",
            valid_from=NOW - timedelta(seconds=60),
            valid_until=NOW + timedelta(days=30),
            max_uses=2,
            min_interval=0,
            follows_changes=False,
            retention_days=30,
            sandbox=False,
        )
        key = changes.pop("key", self.holder_key)
        return issue_grant(replace(terms, **changes), key=key, status=self.entry(), now=NOW)

    @staticmethod
    def entry() -> StatusEntry:
        return StatusEntry(list_url=f"{RELAY}/v1/status/AAAAAAAAAAAAAAAAAAAAAA", index=94_567)

    def ticket(self, grant: JsonObject, **changes: Any) -> JsonObject:
        values: dict[str, Any] = {
            "key": self.holder_key,
            "redemption_key_did": self.redemption_key.did,
            "relay": RELAY,
            "package": new_id(),
            "valid_from": NOW - timedelta(seconds=60),
            "valid_until": NOW + timedelta(days=30),
            "max_uses": 2,
            "min_interval": 0,
            "grant_digest": digest(grant),
            "status": self.entry(),
            "now": NOW,
        }
        return issue_ticket(**(values | changes))

    def decision(
        self,
        request_digest: str,
        *,
        grants: tuple[JsonObject, ...] = (),
        tickets: tuple[JsonObject, ...] = (),
        refused: frozenset[str] = frozenset(),
        denial_key: SigningKey | None = None,
    ) -> JsonObject:
        denials = ()
        if refused:
            denial = AccessDenial(request=request_digest, purposes=refused, at=NOW)
            denials = (denial.sign(denial_key or self.holder_key),)
        return Decision(
            request=request_digest,
            grants=grants,
            denials=denials,
            tickets=tickets,
            reply=ReplyAddress(RELAY, new_id(), new_capability(), self.holder_sealing.public),
            relay=RELAY,
            log_origin="relay.example/log/0011223344556677",
            log_key=self.log_key.verify_key,
        ).to_json()


@pytest.fixture
def parties() -> Parties:
    company_key, redemption_key = SigningKey.generate(), SigningKey.generate()
    sealing, reply = SealingKey.generate(), SealingKey.generate()
    request = AccessRequest(
        id="urn:uuid:3f1c0d5e-8f6b-4c1e-9a51-2f8b6e1d7c90",
        created=NOW,
        expires=NOW + timedelta(days=14),
        controller=Controller(
            id=COMPANY,
            name="Bolt Kft.",
            address="6720 Szeged, Kárász utca 1.",
            contact="mailto:info@shop.example",
            data_protection_contact="mailto:dpo@shop.example",
        ),
        purposes=(purpose(),),
        redemption_key=redemption_key.did,
        sealing_key=sealing.public,
        reply=ReplyAddress(RELAY, new_id(), new_capability(), reply.public),
    )
    made = Parties(
        company_key=company_key,
        redemption_key=redemption_key,
        company_sealing=sealing,
        company_reply=reply,
        holder_key=SigningKey.generate(),
        holder_sealing=SealingKey.generate(),
        log_key=SigningKey.generate(),
        request=request,
        resolver=Resolver(),
    )
    made.resolver = Resolver(fetch=lambda _url: canonicalize(made.document()))
    return made
