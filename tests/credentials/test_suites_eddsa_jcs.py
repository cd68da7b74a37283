"""The vectors of eddsa-jcs-2022, step by step."""

import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.errors import ProofInvalid
from credentials.proof import verify_proof_signature
from credentials.suites import eddsa_jcs
from did.json import JsonObject
from did.keys import SigningKey, VerifyKey
from did.multikey import base58btc_decode, base58btc_encode, multibase_decode


@pytest.fixture(scope="module")
def folder(vectors: Path) -> Path:
    return vectors / "vc-di-eddsa" / "TestVectors"


@pytest.fixture(scope="module")
def signed(folder: Path) -> JsonObject:
    return json.loads((folder / "eddsa-jcs-2022" / "signedJCS.json").read_text())


@pytest.fixture(scope="module")
def public(folder: Path) -> VerifyKey:
    pair = json.loads((folder / "keyPair.json").read_text())
    return VerifyKey.from_multikey(pair["publicKeyMultibase"])


def _read(folder: Path, name: str) -> str:
    return (folder / "eddsa-jcs-2022" / name).read_text().strip()


def test_the_document_has_the_published_canonical_form_and_hash(folder, signed):
    document = {name: value for name, value in signed.items() if name != "proof"}
    assert eddsa_jcs.transform(document).decode() == _read(folder, "canonDocJCS.txt")
    assert eddsa_jcs.hash_document(document).hex() == _read(folder, "docHashJCS.txt")


def test_the_proof_has_the_published_canonical_form_and_hash(folder):
    configuration = json.loads(_read(folder, "proofConfigJCS.json"))
    assert eddsa_jcs.transform(configuration).decode() == _read(folder, "proofCanonJCS.txt")
    found = eddsa_jcs.hash_configuration(configuration)
    assert found.hex() == _read(folder, "proofHashJCS.txt")


def test_the_hashes_join_to_the_published_ones(folder, signed):
    document = {name: value for name, value in signed.items() if name != "proof"}
    configuration = json.loads(_read(folder, "proofConfigJCS.json"))
    joined = eddsa_jcs.hash_configuration(configuration) + eddsa_jcs.hash_document(document)
    assert joined.hex() == _read(folder, "combinedHashJCS.txt")


def test_the_key_makes_the_published_signature(folder, signed):
    pair = json.loads((folder / "keyPair.json").read_text())
    key = SigningKey.from_seed(multibase_decode(pair["privateKeyMultibase"])[2:])
    document = {name: value for name, value in signed.items() if name != "proof"}
    configuration = json.loads(_read(folder, "proofConfigJCS.json"))
    value = eddsa_jcs.create_value(configuration, eddsa_jcs.hash_document(document), key)
    assert value == _read(folder, "sigBTC58JCS.txt")
    assert base58btc_decode(value[1:]).hex() == _read(folder, "sigHexJCS.txt")


def test_the_published_document_verifies(signed, public):
    verify_proof_signature(signed, signed["proof"], public)


def test_the_published_document_changed_does_not_verify(signed, public):
    with pytest.raises(ProofInvalid) as caught:
        verify_proof_signature({**signed, "name": "Another"}, signed["proof"], public)
    assert caught.value.code == "proof.signature"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "z",
        None,
        7,
        "u" + base58btc_encode(bytes(64)),
        "z" + base58btc_encode(b"\1" * 63),
        "z" + base58btc_encode(b"\1" * 65),
        "z" + "1" * 200,
        "z0" + base58btc_encode(b"\1" * 63),
        " z" + base58btc_encode(b"\1" * 64),
    ],
)
def test_a_proof_value_is_64_bytes_in_base58btc(value):
    """Other lengths, bases and types are refused before any key sees them."""
    with pytest.raises(ProofInvalid) as caught:
        eddsa_jcs.read_value(value)
    assert caught.value.code == "proof.value"


@given(st.binary(min_size=64, max_size=64))
@settings(deadline=None, max_examples=100)
def test_every_64_bytes_have_one_proof_value(signature):
    assert eddsa_jcs.read_value("z" + base58btc_encode(signature)) == signature


@given(st.text("123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", max_size=88))
@settings(deadline=None, max_examples=100)
def test_a_proof_value_is_read_as_base58btc_is(text):
    """Of all texts, those of exactly 64 bytes are taken."""
    expected = base58btc_decode(text)
    if len(expected) == 64:
        assert eddsa_jcs.read_value("z" + text) == expected
    else:
        with pytest.raises(ProofInvalid):
            eddsa_jcs.read_value("z" + text)


@pytest.mark.parametrize("zeros", [1, 2, 31, 63, 64])
def test_leading_zeros_of_a_signature_survive(zeros):
    signature = bytes(zeros) + b"\xff" * (64 - zeros)
    assert eddsa_jcs.read_value("z" + base58btc_encode(signature)) == signature


def test_hashes_are_sha256():
    assert eddsa_jcs.hash_document({}) == hashlib.sha256(b"{}").digest()
