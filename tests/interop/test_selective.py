"""Proofs that disclose a part (ecdsa-sd-2023), held against Digital Bazaar's implementation.

Either side may be issuer, holder and verifier.
"""

from dataclasses import dataclass
from datetime import datetime

import pytest

from credentials import (
    CredentialError,
    derive_credential,
    issue_credential,
    verify_credential,
)
from credentials.suites import ecdsa_sd
from did.ecdsa import EcdsaVerifyKey
from did.json import JsonObject, canonicalize
from did.multikey import b64url_decode, b64url_encode

# What is said, what must always be shown, and what the holder shows besides.
PARTS = {
    "a claim": ("plain", ["/issuer", "/validFrom"], ["/credentialSubject/name"]),
    "nothing that must be": ("plain", [], ["/issuer", "/credentialSubject/name", "/validFrom"]),
    "only what must be": ("plain", ["/issuer", "/credentialSubject"], []),
    "everything": ("plain", ["/issuer"], ["/id", "/validFrom", "/credentialSubject"]),
    "items of arrays": ("nodes alike", ["/issuer", "/evidence/2"], ["/credentialSubject/1"]),
    "nodes alike": (
        "nodes alike",
        ["/credentialSubject/0"],
        ["/evidence/0", "/evidence/1", "/issuer"],
    ),
    "one of twins": ("nodes alike", ["/issuer", "/evidence/1"], ["/credentialSubject/0"]),
    "texts": (
        "languages and directions",
        ["/issuer", "/name"],
        ["/description", "/credentialSubject"],
    ),
    "one text of many": (
        "languages and directions",
        ["/issuer"],
        ["/name/1", "/credentialSubject"],
    ),
    "characters": (
        "characters",
        ["/issuer", "/name"],
        ["/description", "/evidence", "/credentialSubject"],
    ),
    "typed": (
        "everything typed",
        ["/issuer/name", "/validUntil"],
        ["/termsOfUse", "/credentialSubject"],
    ),
    "a grant": (
        "a grant",
        ["/issuer", "/validUntil", "/credentialSubject/purpose"],
        ["/credentialSubject/processing", "/credentialSubject/fields/1"],
    ),
}


@dataclass(frozen=True)
class Part:
    """A document with a base proof of each side, and what to show of it."""

    ours: JsonObject
    theirs: JsonObject
    selective: list[str]
    key: EcdsaVerifyKey


@pytest.fixture(params=PARTS)
def part(request, selective_signing, claims, peer, now):
    signing = selective_signing
    about, mandatory, selective = PARTS[request.param]
    document = signing.unsigned(now, **claims[about](now))
    ours = issue_credential(
        document,
        signing.key,
        now=now,
        cryptosuite=signing.cryptosuite,
        mandatory_pointers=mandatory,
    )
    theirs = peer.issue(
        document,
        signing.key,
        cryptosuite=signing.cryptosuite,
        now=now,
        mandatory_pointers=mandatory,
    )
    return Part(ours, theirs, selective, signing.key.verify_key)


def test_a_base_proof_is_confirmed_on_the_other_side(part, peer, now):
    """Before it stores a base proof a holder can see whether it holds.

    Where blank nodes must be shown they confirm none, of theirs either: they label the nodes of
    the part by themselves, though the labels are those of the whole.
    """
    ecdsa_sd.verify_base(part.theirs, part.theirs["proof"], part.key)
    confirmed = [peer.confirm(base, now=now) == [] for base in (part.ours, part.theirs)]
    assert confirmed in ([True, True], [False, False])


@pytest.mark.parametrize("issuer", ["ours", "theirs"])
def test_a_part_verifies_on_both_sides(part, issuer, peer, now):
    """Whoever issued and whoever derived: both sides verify it, and both derive the same part."""
    base = getattr(part, issuer)
    here = derive_credential(base, selective_pointers=part.selective)
    there = peer.derive(base, part.selective)
    for derived in (here, there):
        verify(derived, now)
        assert peer.verify(derived, now=now) == []
    assert without_proof(here) == without_proof(there)


@pytest.mark.parametrize("issuer", ["ours", "theirs"])
def test_a_changed_part_verifies_nowhere(part, issuer, peer, now):
    """A changed text, an added one, or a proof value cut short is seen on both sides."""
    derived = peer.derive(getattr(part, issuer), part.selective)
    value = derived["proof"]["proofValue"]
    octets = b64url_decode(value[1:])
    flipped = octets[:20] + bytes((octets[20] ^ 1,)) + octets[21:]
    for after in (
        {**derived, "https://example.org/more": "more"},
        {**derived, "id": "urn:uuid:11111111-1111-4111-8111-111111111111"},
        with_value(derived, "u" + b64url_encode(octets[:-1])),
        with_value(derived, "u" + b64url_encode(flipped)),
    ):
        assert peer.verify(after, now=now) != []
        with pytest.raises(CredentialError):
            verify(after, now)


@pytest.mark.parametrize("issuer", ["ours", "theirs"])
def test_nothing_that_must_be_shown_is_left_out(part, issuer, peer, now):
    """A part with a property less than what was derived is refused on both sides."""
    derived = derive_credential(getattr(part, issuer), selective_pointers=part.selective)
    for name in derived.keys() - {"@context", "proof"}:
        after = {key: value for key, value in derived.items() if key != name}
        assert peer.verify(after, now=now) != []
        with pytest.raises(CredentialError):
            verify(after, now)


def verify(document: JsonObject, now: datetime) -> None:
    verify_credential(canonicalize(document), now=now, status=None)


def without_proof(document: JsonObject) -> JsonObject:
    return {name: value for name, value in document.items() if name != "proof"}


def with_value(document: JsonObject, value: str) -> JsonObject:
    return {**document, "proof": {**document["proof"], "proofValue": value}}
