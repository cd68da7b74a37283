"""What the tests of this package share: a holder, a moment, terms, and signed things."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from credentials.grant import GrantTerms, issue_grant
from credentials.status import BitString, StatusEntry, issue_status_list
from credentials.ticket import issue_ticket
from did.json import JsonObject
from did.keys import SigningKey
from did.multikey import multihash_sha256

sys.path.insert(0, str(Path(__file__).parent))

LIST_URL = "https://relay.example/v1/status/AAAAAAAAAAAAAAAAAAAAAA"


@pytest.fixture(scope="session")
def now() -> datetime:
    return datetime(2026, 1, 31, 9, 30, tzinfo=UTC)


@pytest.fixture(scope="session")
def key() -> SigningKey:
    return SigningKey.from_seed(b"\1" * 32)


@pytest.fixture(scope="session")
def other_key() -> SigningKey:
    return SigningKey.from_seed(b"\2" * 32)


@pytest.fixture(scope="session")
def terms(now: datetime) -> GrantTerms:
    digest = multihash_sha256(b"a text")
    return GrantTerms(
        company="did:web:shop.example",
        request=digest,
        request_purpose="delivery",
        purpose="https://w3id.org/dpv#DeliveryOfGoods",
        basis="https://w3id.org/dpv/legal/eu/gdpr#A6-1-b",
        processing=frozenset({"https://w3id.org/dpv#Collect", "https://w3id.org/dpv#Use"}),
        fields=frozenset({"contact.address", "contact.name", "purchases"}),
        text_digest=digest,
        text_language="en",
        decided_by="person",
        valid_from=now - timedelta(seconds=60),
        valid_until=now + timedelta(days=365),
        max_uses=12,
        min_interval=0,
        follows_changes=True,
        retention_days=30,
    )


@pytest.fixture(scope="session")
def entry() -> StatusEntry:
    return StatusEntry(LIST_URL, 94_567)


@pytest.fixture(scope="session")
def grant(terms: GrantTerms, key: SigningKey, entry: StatusEntry, now: datetime) -> JsonObject:
    return issue_grant(terms, key=key, status=entry, now=now)


@pytest.fixture(scope="session")
def grant_bytes(grant: JsonObject) -> bytes:
    return orjson.dumps(grant)


@pytest.fixture(scope="session")
def ticket(key: SigningKey, entry: StatusEntry, now: datetime) -> JsonObject:
    return issue_ticket(
        key=key,
        redemption_key_did=key.did,
        relay="https://relay.example",
        package="AAAAAAAAAAAAAAAAAAAAAQ",
        valid_from=now,
        valid_until=now + timedelta(days=1),
        max_uses=1,
        min_interval=0,
        grant_digest=multihash_sha256(b""),
        status=entry,
        now=now,
    )


@pytest.fixture(scope="session")
def status_list(key: SigningKey, now: datetime) -> bytes:
    bits = BitString.empty().with_bit(5)
    issued = issue_status_list(key=key, url=LIST_URL, bits=bits, sequence=7, now=now)
    return orjson.dumps(issued)
