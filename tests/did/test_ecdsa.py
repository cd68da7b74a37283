"""P-256 and P-384 keys."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.document import DidDocument
from did.ecdsa import Curve, EcdsaSigningKey, EcdsaVerifyKey
from did.errors import DidError, EncodingError, KeyFormatError, SignatureInvalid
from did.json import Json, JsonObject
from did.keys import SigningKey
from did.multikey import Codec, b64url_encode, decode_multikey, encode_multikey
from did.resolve import OFFLINE

CURVES = st.sampled_from(Curve)
PRIMES = {
    Curve.P256: 2**256 - 2**224 + 2**192 + 2**96 - 1,
    Curve.P384: 2**384 - 2**128 - 2**96 + 2**32 - 1,
}
ORDERS = {
    Curve.P256: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    Curve.P384: (2**384 - 1) ^ ((2**192 - 1) ^ 0xC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973),
}


def key_of(curve: Curve, number: int = 7) -> EcdsaSigningKey:
    """The key of a small secret number."""
    return EcdsaSigningKey.from_secret(curve, number.to_bytes(curve.size, "big"))


def refused(code: str, curve: Curve, raw: bytes) -> None:
    """No way in lets a compressed point pass."""
    codec = {Curve.P256: Codec.P256_PUB, Curve.P384: Codec.P384_PUB}[curve]
    multikey = encode_multikey(codec, raw)
    makers: tuple[Callable[[], object], ...] = (
        lambda: EcdsaVerifyKey(curve, raw),
        lambda: EcdsaVerifyKey.from_bytes(curve, raw),
        lambda: EcdsaVerifyKey.from_multikey(multikey),
        lambda: OFFLINE.resolve("did:key:" + multikey),
    )
    for make in makers:
        with pytest.raises(KeyFormatError) as caught:
            make()
        assert caught.value.code == code


@settings(deadline=None, max_examples=50)
@given(CURVES, st.binary(min_size=56, max_size=56), st.binary(max_size=200))
def test_a_signature_verifies_and_one_changed_bit_does_not(
    curve: Curve, seed: bytes, message: bytes
) -> None:
    """Signature, message and key each matter; the same message gives the same signature."""
    key = EcdsaSigningKey.generate(curve, lambda n: seed[:n])
    signature = key.sign(message)
    assert len(signature) == 2 * curve.size
    assert key.sign(message) == signature
    key.verify_key.verify(signature, message)
    for damaged in (
        signature[:-1] + bytes([signature[-1] ^ 1]),
        bytes([signature[0] ^ 1]) + signature[1:],
        signature[:-1],
        signature + b"\0",
        # The same numbers, one of them written longer.
        signature[: curve.size] + b"\0" + signature[curve.size :],
        b"",
    ):
        with pytest.raises(SignatureInvalid):
            key.verify_key.verify(damaged, message)
    with pytest.raises(SignatureInvalid):
        key.verify_key.verify(signature, message + b"\0")
    with pytest.raises(SignatureInvalid):
        EcdsaSigningKey.generate(curve).verify_key.verify(signature, message)


@settings(deadline=None, max_examples=50)
@given(CURVES, st.integers(min_value=1, max_value=2**255))
def test_names_of_a_key_lead_back_to_it(curve: Curve, number: int) -> None:
    """Bytes, Multikey, JWK, DID and method name one key; the secret comes back too."""
    signing = key_of(curve, number)
    key = signing.verify_key
    assert EcdsaVerifyKey.from_bytes(curve, key.bytes) == key
    assert EcdsaVerifyKey.from_multikey(key.multikey) == key
    assert EcdsaVerifyKey.from_jwk(key.jwk) == key
    assert key.multikey.startswith({Curve.P256: "zDn", Curve.P384: "z82"}[curve])
    assert signing.did == key.did == f"did:key:{key.multikey}"
    assert signing.verification_method == key.verification_method == f"{key.did}#{key.multikey}"
    assert signing.unsafe_export_secret() == number.to_bytes(curve.size, "big")


def test_randomness_is_an_argument() -> None:
    """Made from given randomness, even the worst, the key is a good one; by default it is fresh."""
    for curve in Curve:
        for byte in (b"\0", b"\xff"):
            made = EcdsaSigningKey.generate(curve, lambda n, byte=byte: byte * n)  # type: ignore[misc]
            again = EcdsaSigningKey.generate(curve, lambda n, byte=byte: byte * n)  # type: ignore[misc]
            assert made.did == again.did
        assert EcdsaSigningKey.generate(curve).did != EcdsaSigningKey.generate(curve).did


def test_printing_a_key_shows_a_fingerprint_and_no_secret() -> None:
    """Neither repr nor str of any key holds its bytes."""
    for curve in Curve:
        key = key_of(curve)
        fingerprint = key.verify_key.fingerprint
        assert str(key) == repr(key) == f"<EcdsaSigningKey {curve.crv} {fingerprint}>"
        assert repr(key.verify_key) == f"<EcdsaVerifyKey {curve.crv} {fingerprint}>"


@pytest.mark.parametrize("curve", Curve)
def test_a_secret_lies_within_the_group(curve: Curve) -> None:
    """Zero, the order and more are refused, as is another length."""
    for number in (0, ORDERS[curve], ORDERS[curve] + 1, 2 ** (8 * curve.size) - 1):
        with pytest.raises(KeyFormatError) as caught:
            key_of(curve, number)
        assert caught.value.code == "key.unsafe"
    key_of(curve, 1)
    key_of(curve, ORDERS[curve] - 1)
    for length in (0, curve.size - 1, curve.size + 1):
        with pytest.raises(KeyFormatError) as caught:
            EcdsaSigningKey.from_secret(curve, b"\1" * length)
        assert caught.value.code == "key.length"


@pytest.mark.parametrize("curve", Curve)
def test_what_is_no_point_is_refused(curve: Curve) -> None:
    """Off the curve, not reduced, of another form or empty."""
    size = curve.size
    for byte in (0, 1, 4, 5, 6, 7, 255):
        refused("key.unsafe", curve, bytes([byte]) + key_of(curve).verify_key.bytes[1:])
    refused("key.unsafe", curve, b"\2" + b"\xff" * size)
    refused("key.unsafe", curve, b"\2" + PRIMES[curve].to_bytes(size, "big"))
    off = 0
    for x in range(1, 40):
        try:
            EcdsaVerifyKey(curve, b"\2" + x.to_bytes(size, "big"))
        except KeyFormatError:
            off += 1
        else:
            # The same x, not reduced, would be a second spelling of the key.
            again = (x + PRIMES[curve]).to_bytes(size, "big")
            refused("key.unsafe", curve, b"\2" + again)
    assert 0 < off < 39


@pytest.mark.parametrize("curve", Curve)
def test_only_compressed_points_of_the_right_length_are_read(curve: Curve) -> None:
    """The uncompressed point, the one at infinity and the other curve's are refused."""
    for length in (0, 1, curve.size, curve.size + 2, 2 * curve.size + 1):
        with pytest.raises(KeyFormatError) as caught:
            EcdsaVerifyKey(curve, (b"\4" + bytes(100))[:length])
        assert caught.value.code == "key.length"


@pytest.mark.parametrize("codec", [c for c in Codec if c not in (Codec.P256_PUB, Codec.P384_PUB)])
def test_another_kind_of_key_does_not_verify(codec: Codec) -> None:
    """A Multikey of another kind, a secret one too, is no public key of these curves."""
    with pytest.raises(KeyFormatError) as caught:
        EcdsaVerifyKey.from_multikey(encode_multikey(codec, b"\2" * (codec.key_length or 270)))
    assert caught.value.code == "key.kind"


def changed(jwk: JsonObject, name: str, value: Json) -> JsonObject:
    """The same JWK with one member other."""
    return jwk | {name: value}


@pytest.mark.parametrize("curve", Curve)
def test_a_jwk_that_is_no_key_is_refused(curve: Curve) -> None:
    """Another type or curve, coordinates short, long, not canonical or off the curve."""
    jwk = key_of(curve).verify_key.jwk
    zeros = b64url_encode(bytes(curve.size))
    cases: list[tuple[str, Json, type[DidError], str]] = [
        ("kty", "OKP", KeyFormatError, "key.kind"),
        ("kty", None, KeyFormatError, "key.kind"),
        ("crv", "P-521", KeyFormatError, "key.kind"),
        ("crv", "p-256", KeyFormatError, "key.kind"),
        ("crv", ["P-256"], KeyFormatError, "key.kind"),
        ("x", None, KeyFormatError, "key.format"),
        ("y", 1, KeyFormatError, "key.format"),
        ("y", zeros, KeyFormatError, "key.unsafe"),
        ("x", zeros, KeyFormatError, "key.unsafe"),
        ("x", b64url_encode(bytes(curve.size - 1)), KeyFormatError, "key.length"),
        ("y", b64url_encode(bytes(curve.size + 1)), KeyFormatError, "key.length"),
        ("y", str(jwk["y"]) + "=", EncodingError, "encoding.base64url"),
        ("x", " " + str(jwk["x"]), EncodingError, "encoding.base64url"),
    ]
    for name, value, error, code in cases:
        with pytest.raises(error) as caught:
            EcdsaVerifyKey.from_jwk(changed(jwk, name, value))
        assert caught.value.code == code
    with pytest.raises(KeyFormatError):
        EcdsaVerifyKey.from_jwk({})


def method(key: JsonObject, kind: str = "JsonWebKey") -> Any:
    """A verification method that holds a key in some form."""
    did = "did:web:shop.example"
    item: JsonObject = {"id": f"{did}#a", "type": kind, "controller": did, **key}
    document = DidDocument.parse({"id": did, "verificationMethod": [item]}, expected=None)
    return document.verification_methods[0]


@pytest.mark.parametrize("curve", Curve)
def test_a_document_holds_such_keys(curve: Curve) -> None:
    """As Multikey and as JWK; what the JWK says about its use is kept to."""
    key = key_of(curve).verify_key
    jwk = key.jwk
    assert method({"publicKeyMultibase": key.multikey}, "Multikey").ecdsa() == key
    assert method({"publicKeyJwk": jwk}).ecdsa() == key
    full = jwk | {"use": "sig", "alg": curve.alg, "kid": "a"}
    assert method({"publicKeyJwk": full}, "JsonWebKey2020").ecdsa() == key
    other = next(other for other in Curve if other is not curve)
    for use in (
        {"use": "enc"},
        {"use": None},
        {"alg": other.alg},
        {"alg": "ECDH-ES"},
        {"key_ops": ["deriveKey"]},
        {"key_ops": "verify"},
    ):
        with pytest.raises(KeyFormatError) as caught:
            method({"publicKeyJwk": jwk | use}).ecdsa()
        assert caught.value.code == "key.use"
    for wrong in (
        method({"publicKeyJwk": jwk | {"crv": "P-521"}}),
        method({"publicKeyJwk": jwk}, "Multikey"),
        method({"publicKeyMultibase": key.multikey}, "Ed25519VerificationKey2020"),
        method({"publicKeyMultibase": SigningKey.generate().verify_key.multikey}, "Multikey"),
        method({}),
    ):
        with pytest.raises(KeyFormatError) as caught:
            wrong.ecdsa()
        assert caught.value.code == "key.kind"
    for wrong in (method({"publicKeyJwk": jwk}), method({"publicKeyMultibase": key.multikey})):
        for read in (wrong.ed25519, wrong.x25519):
            with pytest.raises(KeyFormatError) as caught:
                read()
            assert caught.value.code == "key.kind"


@pytest.mark.parametrize(
    ("curve", "name"),
    [
        (Curve.P256, "ecdsa_secp256r1_sha256_p1363_test.json"),
        (Curve.P384, "ecdsa_secp384r1_sha384_p1363_test.json"),
    ],
)
def test_wycheproof(vectors: Path, curve: Curve, name: str) -> None:
    """Every signature is judged as the file judges it."""
    document = json.loads((vectors / "wycheproof/testvectors_v1" / name).read_text())
    seen = set()
    for group in document["testGroups"]:
        point = bytes.fromhex(group["publicKey"]["uncompressed"])
        key = EcdsaVerifyKey(curve, bytes([2 + point[-1] % 2]) + point[1 : 1 + curve.size])
        if "publicKeyJwk" in group:
            assert EcdsaVerifyKey.from_jwk(group["publicKeyJwk"]) == key
        for test in group["tests"]:
            seen.add(test["tcId"])
            try:
                key.verify(bytes.fromhex(test["sig"]), bytes.fromhex(test["msg"]))
                result = "valid"
            except SignatureInvalid:
                result = "invalid"
            assert result == test["result"], test["tcId"]
    assert len(seen) == document["numberOfTests"] > 100


@pytest.mark.parametrize("suite", ["jcs", "rdfc"])
@pytest.mark.parametrize("curve", Curve)
def test_published_data_integrity_signatures(vectors: Path, curve: Curve, suite: str) -> None:
    """The published key signs the published hashes as published: RFC 6979 leaves no choice."""
    folder, bits = vectors / "vc-di-ecdsa/TestVectors", curve.name.removeprefix("P")
    pair = json.loads((folder / f"p{bits}KeyPair.json").read_text())
    codec, secret = decode_multikey(pair["secretKeyMultibase"])
    assert codec is {Curve.P256: Codec.P256_PRIV, Curve.P384: Codec.P384_PRIV}[curve]
    key = EcdsaSigningKey.from_secret(curve, secret)
    assert key.verify_key.multikey == pair["publicKeyMultibase"]
    folder /= f"ecdsa-{suite}-2019-p{bits}"
    (hashes,) = folder.glob("combinedHash*.txt")
    (signature,) = folder.glob("sigHex*.txt")
    message = bytes.fromhex(hashes.read_text())
    key.verify_key.verify(bytes.fromhex(signature.read_text()), message)
    assert key.sign(message).hex() == signature.read_text().strip()
