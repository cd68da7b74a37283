"""did:key."""

import json
from pathlib import Path
from typing import Any

import pytest

from did.document import RELATIONSHIPS
from did.ecdsa import Curve, EcdsaSigningKey, EcdsaVerifyKey
from did.errors import DidError, DidSyntaxError, KeyFormatError, MethodNotSupported
from did.identifier import Did
from did.keys import AgreementKey, SigningKey
from did.methods.key import resolve
from did.multikey import (
    Codec,
    b64url_decode,
    base58btc_decode,
    base58btc_encode,
    decode_multikey,
    encode_multikey,
)

SIGNING = RELATIONSHIPS[:2] + RELATIONSHIPS[3:]


def key_bytes(method: dict[str, Any]) -> bytes:
    """The bytes of a published method's key, whatever its form."""
    if "publicKeyJwk" in method:
        return b64url_decode(method["publicKeyJwk"]["x"])
    return base58btc_decode(method["publicKeyBase58"])


def load(vectors: Path, name: str) -> dict[str, Any]:
    """A file of published did:key vectors."""
    loaded: dict[str, Any] = json.loads((vectors / "did-key/test-vectors" / name).read_text())
    assert loaded
    return loaded


def assert_same(did: str, published: dict[str, Any]) -> None:
    """Our document has the published method ids, keys and relationships."""
    document = resolve(Did.parse(did))
    assert str(document.id) == published["id"] == did
    ours = {
        m.id: (m.controller, decode_multikey(m.public_key_multibase or "")[1])
        for m in document.verification_methods
    }
    theirs = {m["id"]: (m["controller"], key_bytes(m)) for m in published["verificationMethod"]}
    assert ours == theirs
    for name in RELATIONSHIPS:
        assert [m.id for m in document.relationship(name)] == published.get(name, [])


def test_published_ed25519_vectors(vectors: Path) -> None:
    """Every document, and from every seed the same keys, the derived X25519 key included."""
    for did, vector in load(vectors, "ed25519-x25519.json").items():
        assert_same(did, vector["didDocument"])
        key = SigningKey.from_seed(bytes.fromhex(vector["seed"]))
        assert key.did == did
        agreement = AgreementKey.from_signing_key(key)
        published = vector["keyAgreementKeyPair"]
        assert agreement.public.bytes == key_bytes(published)
        if "privateKeyBase58" in published:
            assert agreement.unsafe_export_seed() == base58btc_decode(published["privateKeyBase58"])


def test_published_x25519_vectors(vectors: Path) -> None:
    """Every document: key agreement alone."""
    for did, published in load(vectors, "x25519.json")["didDocument"].items():
        assert_same(did, published)


def test_published_nist_vectors(vectors: Path) -> None:
    """Every P-256 and P-384 document, with the key itself for key agreement too."""
    seen = set()
    for text, vector in load(vectors, "nist-curves.json").items():
        codec, raw = decode_multikey(Did.parse(text).id)
        if codec is Codec.P521_PUB:
            continue
        document, published = resolve(Did.parse(text)), vector["didDocument"]
        (method,), (theirs,) = document.verification_methods, published["verificationMethod"]
        assert str(document.id) == published["id"]
        assert (method.id, method.controller) == (theirs["id"], theirs["controller"])
        key = method.ecdsa()
        assert key.bytes == raw
        if "publicKeyJwk" in theirs:
            assert EcdsaVerifyKey.from_jwk(theirs["publicKeyJwk"]) == key
            secret = b64url_decode(vector["verificationMethod"]["privateKeyJwk"]["d"])
            assert EcdsaSigningKey.from_secret(key.curve, secret).did == text
        else:
            assert base58btc_decode(theirs["publicKeyBase58"]) == raw
        for name in RELATIONSHIPS:
            assert [m.id for m in document.relationship(name)] == published[name]
        seen.add(key.curve)
    assert seen == set(Curve)


@pytest.mark.parametrize(
    ("name", "codecs"),
    [
        ("nist-curves.json", {Codec.P521_PUB}),
        ("secp256k1.json", {Codec.SECP256K1_PUB}),
        ("rsa.json", {Codec.RSA_PUB}),
        ("bls12381.json", {Codec.BLS12_381_G2_PUB, Codec.BLS12_381_G1G2_PUB}),
    ],
)
def test_other_published_kinds_are_read_and_not_resolved(
    vectors: Path, name: str, codecs: set[Codec]
) -> None:
    """The Multikey says what it is; resolving says plainly that it is not supported."""
    seen = set()
    for text in load(vectors, name):
        did = Did.parse(text)
        codec, key = decode_multikey(did.id)
        if codec in (Codec.P256_PUB, Codec.P384_PUB):
            continue
        seen.add(codec)
        assert encode_multikey(codec, key) == did.id
        with pytest.raises(MethodNotSupported) as caught:
            resolve(did)
        assert caught.value.code == "did.key_kind_not_supported"
    assert seen == codecs


def test_a_signing_key_serves_signing_and_its_derived_key_agreement() -> None:
    """The methods are the keys themselves."""
    key = SigningKey.from_seed(b"\3" * 32)
    document = resolve(Did.parse(key.did))
    for name in SIGNING:
        (method,) = document.relationship(name)
        assert method.id == key.verification_method
        assert method.ed25519() == key.verify_key
    (method,) = document.relationship("keyAgreement")
    assert method.x25519() == AgreementKey.from_signing_key(key).public


@pytest.mark.parametrize(
    ("text", "error", "code"),
    [
        ("did:key:uabc", DidSyntaxError, "did.syntax"),
        ("did:key:1.1:z6Mk", DidSyntaxError, "did.syntax"),
        ("did:key:z0OIl", DidSyntaxError, "did.syntax"),
        ("did:key:z" + base58btc_encode(b"\xed\x01" + bytes(31)), KeyFormatError, "key.length"),
        ("did:key:" + encode_multikey(Codec.P256_PUB, b"\4" * 33), KeyFormatError, "key.unsafe"),
        ("did:key:z" + base58btc_encode(b"\x81\x24" + bytes(48)), KeyFormatError, "key.length"),
        ("did:key:z2", MethodNotSupported, "did.key_kind_not_supported"),
        ("did:web:example.com", MethodNotSupported, "did.method_not_supported"),
        (
            "did:key:" + encode_multikey(Codec.ED25519_PRIV, b"\1" * 32),
            MethodNotSupported,
            "did.key_kind_not_supported",
        ),
    ],
)
def test_what_is_no_did_key_of_ours(text: str, error: type[DidError], code: str) -> None:
    """Each with its own reason; a secret key is no identifier either."""
    with pytest.raises(error) as caught:
        resolve(Did.parse(text))
    assert caught.value.code == code
