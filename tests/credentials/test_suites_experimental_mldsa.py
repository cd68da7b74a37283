"""ML-DSA-44 over JCS, beside another proof."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.errors import ProofInvalid
from credentials.proof import sign_object
from credentials.suites import eddsa_jcs
from credentials.suites.experimental_mldsa import (
    CRYPTOSUITE,
    create_value,
    read_value,
    verify_value,
)
from did.json import JsonObject
from did.mldsa import MldsaSigningKey
from did.multikey import b64url_encode

KEY = MldsaSigningKey.from_seed(b"\1" * 32)
DOCUMENT: JsonObject = {"a": 1}


@pytest.fixture(scope="module")
def proof() -> JsonObject:
    configuration: JsonObject = {
        "type": "DataIntegrityProof",
        "cryptosuite": CRYPTOSUITE,
        "created": "2026-01-31T09:30:00Z",
        "verificationMethod": "did:example:a#pq",
        "proofPurpose": "assertionMethod",
    }
    value = create_value(configuration, eddsa_jcs.hash_document(DOCUMENT), KEY)
    return {**configuration, "proofValue": value}


def check(proof: JsonObject, document: JsonObject = DOCUMENT, key: MldsaSigningKey = KEY) -> None:
    verify_value(proof, eddsa_jcs.hash_document(document), key.verify_key)


def refused(code: str, *arguments: object) -> None:
    with pytest.raises(ProofInvalid) as caught:
        check(*arguments)
    assert caught.value.code == code


def test_what_is_signed_verifies_and_nothing_else(proof):
    """Document, proof and key each matter."""
    check(proof)
    refused("proof.signature", proof, {"a": 2})
    refused("proof.signature", {**proof, "proofPurpose": "authentication"})
    refused("proof.signature", {**proof, "cryptosuite": "eddsa-jcs-2022"})
    refused("proof.signature", proof, DOCUMENT, MldsaSigningKey.from_seed(b"\2" * 32))


@settings(deadline=None, max_examples=30)
@given(place=st.integers(0, 8 * 2420 - 1))
def test_any_flipped_bit_is_refused(proof, place):
    """Not one bit of a signature can be changed."""
    signature = bytearray(read_value(proof["proofValue"]))
    signature[place // 8] ^= 1 << place % 8
    refused("proof.signature", {**proof, "proofValue": "u" + b64url_encode(bytes(signature))})


def test_a_value_has_one_form(proof):
    """Another base, length, type or character is refused."""
    value = proof["proofValue"]
    signature = read_value(value)
    for wrong in (
        None,
        7,
        "",
        value[1:],
        "z" + value[1:],
        value + "=",
        value[:-1],
        value[:-1] + "!",
        value[:-1] + ("B" if value[-1] == "A" else chr(ord(value[-1]) + 1)),
        "u" + b64url_encode(signature[:-1]),
        "u" + b64url_encode(signature + b"\0"),
    ):
        refused("proof.value", {**proof, "proofValue": wrong})


def test_it_stands_in_a_set_beside_a_proof_that_counts(proof, key, now):
    """Its own name is no name of a standard; the other proof is over the same document."""
    both = [sign_object(DOCUMENT, key, created=now)["proof"], proof]
    assert [member["cryptosuite"] for member in both] == ["eddsa-jcs-2022", CRYPTOSUITE]
    assert CRYPTOSUITE.startswith("experimental-")
    check(both[1])
    eddsa_jcs.verify_value(both[0], eddsa_jcs.hash_document(DOCUMENT), key.verify_key)
