"""What all the vectors are made of: keys that everybody may have, one moment, the terms of a grant,
and their form."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from credentials.grant import GrantTerms
from did.ecdsa import Curve, EcdsaSigningKey
from did.json import Json, JsonObject, canonicalize
from did.keys import SigningKey
from did.multikey import multihash_sha256
from did.time import format_time

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
YEAR = timedelta(days=365)
# Public on purpose: whoever has the vectors can make more of them.
HOLDER = SigningKey.from_seed(b"\1" * 32)
STRANGER = SigningKey.from_seed(b"\2" * 32)
P256 = EcdsaSigningKey.from_secret(Curve.P256, b"\3" * 32)
P384 = EcdsaSigningKey.from_secret(Curve.P384, b"\4" * 48)
COMPANY = "did:web:shop.example"
RELAY = "https://relay.example"
LIST_URL = f"{RELAY}/v1/status/AAAAAAAAAAAAAAAAAAAAAA"
OTHER_LIST = "https://issuer.example/lists/3"
DELIVERY = "https://w3id.org/dpv#DeliveryOfGoods"
MARKETING = "https://w3id.org/dpv#Marketing"
SUITES = {
    "eddsa-jcs-2022": (HOLDER,),
    "eddsa-rdfc-2022": (HOLDER,),
    "ecdsa-jcs-2019": (P256, P384),
    "ecdsa-rdfc-2019": (P256, P384),
}
VALID: Json = "valid"


def refused(code: str, pointer: str = "") -> Json:
    return {"code": code, "pointer": pointer}


def case(
    name: str, value: JsonObject | str, expected: Json, *, at: datetime = NOW, **arguments: Json
) -> JsonObject:
    """``value`` is an object, which is written in its canonical form, or a text as it is."""
    text = value if isinstance(value, str) else canonicalize(value).decode()
    return {
        "name": name,
        "input": text,
        "arguments": {"now": format_time(at), **arguments},
        "expected": expected,
    }


def terms(**changes: object) -> GrantTerms:
    digest = multihash_sha256(b"a text")
    made = GrantTerms(
        company=COMPANY,
        request=digest,
        request_purpose="delivery",
        purpose=DELIVERY,
        basis="https://w3id.org/dpv/legal/eu/gdpr#A6-1-b",
        processing=frozenset({"https://w3id.org/dpv#Collect", "https://w3id.org/dpv#Use"}),
        fields=frozenset({"contact.address", "contact.name"}),
        text_digest=digest,
        text_language="en",
        decided_by="person",
        valid_from=NOW - timedelta(seconds=60),
        valid_until=NOW + YEAR,
        max_uses=12,
        min_interval=0,
        follows_changes=True,
        retention_days=30,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def urn(number: int) -> str:
    return f"urn:uuid:00000000-0000-4000-8000-{number:012x}"


def without(document: JsonObject, *names: str) -> JsonObject:
    return {name: value for name, value in document.items() if name not in names}


def claim(document: JsonObject, **changes: Json) -> JsonObject:
    """A copy with other claims; the signature is left as it is."""
    subject = document["credentialSubject"]
    if not isinstance(subject, dict):
        raise TypeError
    return {**document, "credentialSubject": {**subject, **changes}}
