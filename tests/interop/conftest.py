"""What the tests of this folder share: the other implementation, keys, and things to sign."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from leaving_out import left_out

from credentials.contexts import CREDENTIALS_V2, PROFILE_CONTEXT
from did.ecdsa import Curve, EcdsaSigningKey
from did.json import Json, JsonObject
from did.keys import SigningKey
from did.time import format_time
from scripts.digitalbazaar import DigitalBazaar, NotSetUp


@pytest.fixture(scope="session")
def peer() -> Iterator[DigitalBazaar]:
    """Digital Bazaar's implementation; left out where it is not set up, except in CI."""
    try:
        started = DigitalBazaar()
    except NotSetUp as error:
        left_out(f"Digital Bazaar's implementation ({error})")
    with started:
        yield started


@pytest.fixture(scope="session")
def now() -> datetime:
    """The real time: not every part of the others can be told another."""
    return datetime.now(UTC).replace(microsecond=0)


@dataclass(frozen=True)
class Signing:
    """A cryptosuite, and two keys for it."""

    cryptosuite: str
    key: SigningKey | EcdsaSigningKey
    other: SigningKey | EcdsaSigningKey

    @property
    def over_rdf(self) -> bool:
        return "-rdfc-" in self.cryptosuite

    def unsigned(self, now: datetime, **claims: Json) -> JsonObject:
        """A credential by the did:key of ``key``, not signed yet."""
        document: JsonObject = {
            "@context": [CREDENTIALS_V2],
            "id": "urn:uuid:0b9f3d1e-2c41-4b6f-9a53-6f7d0c1e8a11",
            "type": ["VerifiableCredential"],
            "validFrom": format_time(now),
            "credentialSubject": {"id": "did:example:a", "name": "A name"},
            **claims,
        }
        issuer = document.get("issuer")
        own = {"id": self.key.did}
        document["issuer"] = {**own, **issuer} if isinstance(issuer, dict) else self.key.did
        return document


@dataclass(frozen=True)
class Case:
    """A credential to sign, and how."""

    signing: Signing
    about: str
    claims: "Claims"

    def unsigned(self, now: datetime) -> JsonObject:
        return self.signing.unsigned(now, **self.claims(now))


ED25519 = (SigningKey.from_seed(b"\1" * 32), SigningKey.from_seed(b"\2" * 32))
P256 = tuple(EcdsaSigningKey.from_secret(Curve.P256, bytes((n,)) * 32) for n in (1, 2))
P384 = tuple(EcdsaSigningKey.from_secret(Curve.P384, bytes((n,)) * 48) for n in (1, 2))
SIGNINGS = {
    "eddsa-jcs-2022": Signing("eddsa-jcs-2022", *ED25519),
    "eddsa-rdfc-2022": Signing("eddsa-rdfc-2022", *ED25519),
    "ecdsa-jcs-2019 P-256": Signing("ecdsa-jcs-2019", *P256),
    "ecdsa-jcs-2019 P-384": Signing("ecdsa-jcs-2019", *P384),
    "ecdsa-rdfc-2019 P-256": Signing("ecdsa-rdfc-2019", *P256),
    "ecdsa-rdfc-2019 P-384": Signing("ecdsa-rdfc-2019", *P384),
}


@pytest.fixture(params=SIGNINGS)
def signing(request: pytest.FixtureRequest) -> Signing:
    """Each suite on each of its curves; a test may name some of them, with ``indirect``."""
    return SIGNINGS[request.param]


@pytest.fixture(scope="session")
def selective_signing() -> Signing:
    """The suite that discloses a part."""
    return Signing("ecdsa-sd-2023", *P256)


Claims = Callable[[datetime], JsonObject]
DIGEST = "uEiDYsr8E75WPBXMiKtrKdTaKqvTM9yqBM37UDCggzO6CoQ"

# Claims in what credentials/v2 defines, and what makes them hard.
CLAIMS: dict[str, Claims] = {
    "plain": lambda now: {},
    # Characters that are escaped, combine, or lie beyond the basic plane.
    "characters": lambda now: {
        "name": '\u0000\u0007\b\t\n\f\r\u001f"\\/\u007f\u2028\ufeff',
        "description": "e\u0301 \u00e9 \u212b \U0001f600 \ufffd \ufb33",
        "credentialSubject": {"id": "did:example:%C3%A9?a=b#c"},
        "evidence": {"type": "https://example.org/é"},
    },
    "languages and directions": lambda now: {
        "name": [
            {"@value": "a name", "@language": "EN-gb"},
            {"@value": "اسم", "@language": "ar", "@direction": "rtl"},
            {"@value": "", "@language": "ar", "@direction": "rtl"},
        ],
        "description": {"@value": "x", "@direction": "ltr"},
        "credentialSubject": {"id": "did:example:a"},
    },
    # Blank nodes that can be told apart only by what they are linked to, or not at all.
    "nodes alike": lambda now: {
        "credentialSubject": [{"name": "a"}, {"name": "a"}, {"name": "b"}],
        "evidence": [
            {"type": "https://example.org/E", "name": "n"},
            {"type": "https://example.org/E", "name": "n"},
            {"type": "https://example.org/E", "description": "n"},
        ],
    },
    "everything typed": lambda now: {
        "issuer": {"name": "The issuer"},
        "credentialSubject": {"id": "did:example:a"},
        "validFrom": "2020-02-29T23:59:59.123456+05:30",
        "validUntil": format_time(now + timedelta(days=1)),
        "credentialSchema": {"id": "https://example.org/s", "type": "JsonSchema"},
        "termsOfUse": [{"type": "https://example.org/T"}],
        "refreshService": {"id": "https://example.org/r", "type": "https://example.org/R"},
        "confidenceMethod": {"type": "https://example.org/C"},
        "relatedResource": {"id": "https://example.org/r", "digestMultibase": DIGEST},
    },
    "numbers and truths": lambda now: {
        "credentialSubject": {"id": "did:example:a"},
        "evidence": {
            "type": "https://example.org/E",
            "https://example.org/n": [0, -1, 2**53 - 1, True, False],
        },
    },
    # Ours: a grant's terms, without the proof.
    "a grant": lambda now: {
        "@context": list(PROFILE_CONTEXT),
        "type": ["VerifiableCredential", "AccessGrant"],
        "validUntil": format_time(now + timedelta(days=365)),
        "relatedResource": [{"id": PROFILE_CONTEXT[1], "digestMultibase": DIGEST}],
        "credentialSubject": {
            "id": "did:web:shop.example",
            "request": DIGEST,
            "requestPurpose": "delivery",
            "purpose": "https://w3id.org/dpv#DeliveryOfGoods",
            "basis": "https://w3id.org/dpv/legal/eu/gdpr#A6-1-b",
            "processing": ["https://w3id.org/dpv#Collect", "https://w3id.org/dpv#Use"],
            "fields": ["contact.address", "contact.name"],
            "textShown": {"digestMultibase": DIGEST, "language": "en"},
            "decidedBy": "person",
            "maxUses": 12,
            "minInterval": 0,
            "followsChanges": True,
            "retentionDays": 30,
        },
    },
}
# What only a suite over the JSON itself can sign: names that no context defines.
JSON_CLAIMS: dict[str, Claims] = {
    "names in any order": lambda now: {
        # By UTF-16 code unit the astral one comes before the Hebrew one.
        "credentialSubject": {
            "id": "did:example:a",
            "\U0001f600": 1,
            "\ufb33": 2,
            "é": 3,
            "e\u0301": '\u0007\u2028"\\/',
            "": None,
            "10": [],
            "9": {},
            "1": [[[], {}], [None, False]],
        }
    },
}


@pytest.fixture(
    params=[
        pytest.param(Case(signing, about, claims), id=f"{name}, {about}")
        for name, signing in SIGNINGS.items()
        for about, claims in {**CLAIMS, **({} if signing.over_rdf else JSON_CLAIMS)}.items()
    ]
)
def case(request: pytest.FixtureRequest) -> Case:
    """Each kind of claims, in each suite that can sign them, on each of its curves."""
    return request.param


@pytest.fixture(scope="session")
def claims() -> dict[str, Claims]:
    """Claims by what they are."""
    return CLAIMS
