"""ecdsa-rdfc-2019 and ecdsa-jcs-2019: the vectors step by step, and what is refused."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.contexts import CREDENTIALS_V2
from credentials.errors import ContextRefused, CredentialError, ProofInvalid, RdfcRefused
from credentials.suites import ecdsa
from credentials.suites.ecdsa import JCS, RDFC
from did.ecdsa import Curve, EcdsaSigningKey
from did.json import JsonObject
from did.multikey import base58btc_decode, base58btc_encode, decode_multikey

ORDER_256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
PARTS = [
    (suite, curve, part)
    for suite in (JCS, RDFC)
    for curve in Curve
    for part in ("", "employ")
    if suite == RDFC or not part
]
CONTEXT = [CREDENTIALS_V2]
DOCUMENT: JsonObject = {
    "@context": CONTEXT,
    "type": ["VerifiableCredential"],
    "issuer": "did:example:issuer",
    "credentialSubject": {"id": "urn:x:1", "name": "A"},
}


@pytest.fixture(scope="module")
def folder(vectors: Path) -> Path:
    return vectors / "vc-di-ecdsa" / "TestVectors"


@pytest.fixture(scope="module")
def contexts(vectors: Path) -> Callable[[str], bytes]:
    index = json.loads((vectors / "contexts" / "index.json").read_text())
    return lambda url: (vectors / "contexts" / index[url]["file"]).read_bytes()


def key_of(curve: Curve, number: int = 7) -> EcdsaSigningKey:
    return EcdsaSigningKey.from_secret(curve, number.to_bytes(curve.size, "big"))


def without(document: JsonObject, name: str = "proof") -> JsonObject:
    return {key: value for key, value in document.items() if key != name}


def configure(key: EcdsaSigningKey, cryptosuite: str, **more: Any) -> JsonObject:
    return {
        "@context": CONTEXT,
        "type": "DataIntegrityProof",
        "cryptosuite": cryptosuite,
        "created": "2026-01-31T09:30:00Z",
        "verificationMethod": key.verification_method,
        "proofPurpose": "assertionMethod",
        **more,
    }


def signed(document: JsonObject, key: EcdsaSigningKey, cryptosuite: str) -> JsonObject:
    """The proof of a document, with its context."""
    configuration = configure(key, cryptosuite)
    hashed = ecdsa.hash_document(document, key.verify_key.curve, cryptosuite=cryptosuite)
    value = ecdsa.create_value(configuration, hashed, key)
    return {**configuration, "proofValue": value}


def verify(document: JsonObject, proof: JsonObject, key: EcdsaSigningKey) -> None:
    curve = key.verify_key.curve
    hashed = ecdsa.hash_document(document, curve, cryptosuite=proof["cryptosuite"])
    ecdsa.verify_value(proof, hashed, key.verify_key)


def refused(code: str, *arguments: Any) -> None:
    with pytest.raises(CredentialError) as caught:
        verify(*arguments)
    assert caught.value.code == code


@pytest.mark.parametrize(("suite", "curve", "part"), PARTS)
def test_every_step_gives_what_was_published(folder, contexts, suite, curve, part):
    """Canonical forms, hashes and the signature itself, since RFC 6979 leaves no choice."""
    bits = curve.name.removeprefix("P")
    here = folder / f"{suite}-p{bits}" / part
    files = {path.name.partition("ECDSA")[0].removesuffix("JCS"): path for path in here.glob("*.*")}
    assert len(files) == 9

    def read(name: str) -> str:
        return files[name].read_text()

    pair = json.loads((folder / f"p{bits}KeyPair.json").read_text())
    key = EcdsaSigningKey.from_secret(curve, decode_multikey(pair["secretKeyMultibase"])[1])
    published = json.loads(read("signed"))
    document, configuration = without(published), json.loads(read("proofConfig"))

    def transform(value: JsonObject) -> str:
        return ecdsa.transform(value, curve, cryptosuite=suite, contexts=contexts).decode()

    assert transform(document) == read("canonDoc").removesuffix("\n" * (suite == JCS))
    assert transform(configuration) == read("proofCanon").removesuffix("\n" * (suite == JCS))
    hashed = ecdsa.hash_document(document, curve, cryptosuite=suite, contexts=contexts)
    assert hashed.hex() == read("docHash").strip()
    proof_hash = ecdsa.hash_configuration(configuration, curve, contexts=contexts)
    assert proof_hash.hex() == read("proofHash").strip()
    assert (proof_hash + hashed).hex() == read("combinedHash").strip()
    value = ecdsa.create_value(configuration, hashed, key, contexts=contexts)
    assert value == read("sigBTC58").strip() == published["proof"]["proofValue"]
    assert ecdsa.read_value(value, curve).hex() == read("sigHex").strip()
    proof = {**configuration, "proofValue": value}
    ecdsa.verify_value(proof, hashed, key.verify_key, contexts=contexts)
    for spoiled, document_hash in (
        ({**proof, "created": "2023-02-24T23:36:39Z"}, hashed),
        (proof, hashlib.new(f"sha{bits}", b"another").digest()),
    ):
        with pytest.raises(ProofInvalid) as caught:
            ecdsa.verify_value(spoiled, document_hash, key.verify_key, contexts=contexts)
        assert caught.value.code == "proof.signature"


@pytest.mark.parametrize("suite", [JCS, RDFC])
@pytest.mark.parametrize("curve", Curve)
def test_what_is_signed_verifies_and_nothing_else(curve, suite):
    """Document, proof and key each matter, and the suites are not taken for each other."""
    key = key_of(curve)
    proof = signed(DOCUMENT, key, suite)
    verify(DOCUMENT, proof, key)
    refused("proof.signature", {**DOCUMENT, "issuer": "did:example:b"}, proof, key)
    refused("proof.signature", DOCUMENT, {**proof, "proofPurpose": "authentication"}, key)
    refused("proof.signature", DOCUMENT, proof, key_of(curve, 8))
    relabelled = {**proof, "cryptosuite": RDFC if suite == JCS else JCS}
    refused("proof.signature", DOCUMENT, relabelled, key)
    for unknown in ("eddsa-jcs-2022", "ecdsa-sd-2023", None):
        refused("proof.no_known_suite", DOCUMENT, {**proof, "cryptosuite": unknown}, key)


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(Curve), st.sampled_from([JCS, RDFC]), st.data())
def test_any_flipped_bit_is_refused(curve, suite, data):
    """Not one bit of a signature can be changed."""
    key = key_of(curve)
    proof = signed(DOCUMENT, key, suite)
    signature = bytearray(base58btc_decode(proof["proofValue"][1:]))
    place = data.draw(st.integers(0, 8 * len(signature) - 1))
    signature[place // 8] ^= 1 << place % 8
    value = "z" + base58btc_encode(bytes(signature))
    refused("proof.signature", DOCUMENT, {**proof, "proofValue": value}, key)


@pytest.mark.parametrize("curve", Curve)
def test_a_value_has_one_form(curve):
    """Another base, length, type or character is refused before anything is computed."""
    key = key_of(curve)
    proof = signed(DOCUMENT, key, JCS)
    value = proof["proofValue"]
    raw = base58btc_decode(value[1:])
    for wrong in (
        None,
        7,
        "",
        "z",
        value[1:],
        "u" + value[1:],
        value + "1",
        "z1" + value[1:],
        value[:-1] + "0",
        "z" + base58btc_encode(raw[:-1]),
        "z" + base58btc_encode(raw + b"\0"),
        "z" + base58btc_encode(raw + raw[: 2 * (48 - 32)]),
        "z" + "2" * 100_000,
        [value],
    ):
        refused("proof.value", DOCUMENT, {**proof, "proofValue": wrong}, key)


def test_a_key_of_the_other_curve_is_refused():
    """The size of the signature follows from the key, and from nothing that the proof says."""
    proof = signed(DOCUMENT, key_of(Curve.P256), RDFC)
    refused("proof.value", DOCUMENT, proof, key_of(Curve.P384))


def test_the_second_spelling_of_a_signature_holds():
    """FIPS 186-5 takes s and n-s alike, and so does the standard: a proof is no name."""
    key = key_of(Curve.P256)
    proof = signed(DOCUMENT, key, JCS)
    raw = base58btc_decode(proof["proofValue"][1:])
    s = ORDER_256 - int.from_bytes(raw[32:], "big")
    other = "z" + base58btc_encode(raw[:32] + s.to_bytes(32, "big"))
    verify(DOCUMENT, {**proof, "proofValue": other}, key)


def test_what_rdf_would_not_cover_is_refused():
    """Unknown properties, unknown contexts, and a proof too large."""
    key = key_of(Curve.P384)
    proof = signed(DOCUMENT, key, RDFC)
    refused("rdfc.dropped", {**DOCUMENT, "unknown": 1}, proof, key)
    with pytest.raises(ContextRefused):
        verify({**DOCUMENT, "@context": [*CONTEXT, "https://a.example/"]}, proof, key)
    with pytest.raises(RdfcRefused) as caught:
        verify(DOCUMENT, {**proof, "urn:a": "x" * 5_000}, key)
    assert caught.value.code == "rdfc.too_large"
