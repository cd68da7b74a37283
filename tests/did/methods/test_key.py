"""did:key."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from did.document import RELATIONSHIPS
from did.ecdsa import Curve, EcdsaSigningKey, EcdsaVerifyKey
from did.errors import DidError, DidSyntaxError, KeyFormatError, MethodNotSupported
from did.identifier import Did
from did.keys import AgreementKey, SigningKey
from did.methods.key import KeyFormat, resolve
from did.multikey import (
    Codec,
    b64url_decode,
    base58btc_decode,
    base58btc_encode,
    decode_multikey,
    encode_multikey,
)
from did.resolve import OFFLINE

SIGNING = RELATIONSHIPS[:2] + RELATIONSHIPS[3:]


def refusal(action: Callable[[], object]) -> str:
    """The code with which something is refused."""
    with pytest.raises(DidError) as caught:
        action()
    return caught.value.code


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


def published(vectors: Path, *names: str) -> dict[str, dict[str, Any]]:
    """The published documents of some files, by identifier."""
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        table = load(vectors, name)
        for did, vector in table.get("didDocument", table).items():
            found[did] = vector.get("didDocument", vector)
    return found


FILES = (
    "bls12381.json",
    "ed25519-x25519.json",
    "nist-curves.json",
    "rsa.json",
    "secp256k1.json",
    "x25519.json",
)


def test_published_documents_with_jwks_are_ours_to_the_letter(vectors: Path) -> None:
    """Every document with JsonWebKey2020 but that of BLS12-381, whose JWK nothing settles."""
    seen = set()
    for text, document in published(vectors, *FILES[1:]).items():
        if document["verificationMethod"][0]["type"] != "JsonWebKey2020":
            continue
        ours = resolve(Did.parse(text), public_key_format=KeyFormat.JSON_WEB_KEY_2020)
        assert ours.to_json() == document
        seen.add(decode_multikey(ours.id.id)[0])
    assert seen == {
        Codec.ED25519_PUB,
        Codec.X25519_PUB,
        Codec.P256_PUB,
        Codec.P384_PUB,
        Codec.P521_PUB,
        Codec.RSA_PUB,
        Codec.SECP256K1_PUB,
    }


def test_published_kinds_that_verify_nothing_here(vectors: Path) -> None:
    """The same key under the same relationships, and no method hands it out to verify with."""
    seen = set()
    for text, theirs in published(vectors, *FILES).items():
        codec, raw = decode_multikey(Did.parse(text).id)
        if codec in (Codec.ED25519_PUB, Codec.X25519_PUB, Codec.P256_PUB, Codec.P384_PUB):
            continue
        seen.add(codec)
        document = OFFLINE.resolve(text)
        (method,) = document.verification_methods
        (key,) = theirs["verificationMethod"]
        assert method.public_key_multibase == encode_multikey(codec, raw) == document.id.id
        for name in RELATIONSHIPS:
            assert len(document.relationship(name)) == len(theirs.get(name, []))
        if "publicKeyBase58" in key:
            assert base58btc_decode(key["publicKeyBase58"]) == raw
        elif codec is Codec.BLS12_381_G1G2_PUB:  # published as its first half
            assert b64url_decode(key["publicKeyJwk"]["x"]) == raw[:48]
        jwk = key.get("publicKeyJwk", {"kty": "EC"})
        as_jwk = replace(method, type="JsonWebKey", public_key_multibase=None, public_key_jwk=jwk)
        for form in (method, as_jwk):
            for use in (form.ed25519, form.ecdsa, form.x25519):
                assert refusal(use) == "key.kind"
    assert seen == {
        Codec.SECP256K1_PUB,
        Codec.P521_PUB,
        Codec.RSA_PUB,
        Codec.BLS12_381_G2_PUB,
        Codec.BLS12_381_G1G2_PUB,
    }


def test_a_document_of_another_implementation_in_the_suites_of_2020(vectors: Path) -> None:
    """The keys and their types; there the key for agreement is embedded, here it is listed."""
    path = "did-core-records/packages/did-core-test-server/suites/implementations"
    record = json.loads((vectors / path / "did-key-2020-db.json").read_text())
    (did,) = record["dids"]
    theirs = record[did]["didDocumentDataModel"]["properties"]
    ours = resolve(Did.parse(did), public_key_format=KeyFormat.ED25519_2020).to_json()
    assert ours["@context"] == theirs["@context"]
    assert ours["verificationMethod"] == theirs["verificationMethod"] + theirs["keyAgreement"]
    assert ours["authentication"] == theirs["authentication"]


def test_formats_keep_keys_and_relationships() -> None:
    """In each format the same keys serve the same uses; what a format does not know is refused."""
    ed25519 = SigningKey.from_seed(b"\3" * 32)
    p384 = EcdsaSigningKey.from_secret(Curve.P384, b"\3" * 48)
    for form in KeyFormat:
        document = resolve(Did.parse(ed25519.did), public_key_format=form)
        signing, agreement = document.verification_methods
        assert signing.ed25519() == ed25519.verify_key
        assert agreement.x25519() == AgreementKey.from_signing_key(ed25519).public
        assert signing.type == form.value
        if form is KeyFormat.ED25519_2020:
            assert agreement.type == "X25519KeyAgreementKey2020"
            continue
        (method,) = resolve(Did.parse(p384.did), public_key_format=form).verification_methods
        assert method.ecdsa() == p384.verify_key
    bls = "did:key:" + encode_multikey(Codec.BLS12_381_G1_PUB, bytes(48))
    for text, form in ((p384.did, KeyFormat.ED25519_2020), (bls, KeyFormat.JSON_WEB_KEY)):
        with pytest.raises(MethodNotSupported) as caught:
            resolve(Did.parse(text), public_key_format=form)
        assert caught.value.code == "did.key_kind_not_supported"


def test_rsa_keys_have_one_spelling_and_a_sound_size() -> None:
    """No wrapping, no longer numbers, no bytes behind, no even number, no small or huge key."""
    public = rsa.generate_private_key(65537, 2048).public_key()
    e, n = 65537, public.public_numbers().n
    der = public.public_bytes(Encoding.DER, PublicFormat.PKCS1)
    assert pkcs1(e, n) == der
    resolve(Did.parse("did:key:" + encode_multikey(Codec.RSA_PUB, der)))
    wrapped = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for raw, code in (
        (wrapped, "key.unsafe"),
        (der + b"\0", "key.unsafe"),
        (der[:-1], "key.unsafe"),
        (b"\0", "key.unsafe"),
        (pkcs1(e, n, padding=b"\0"), "key.unsafe"),
        (pkcs1(e, n - 1), "key.unsafe"),
        (pkcs1(65536, n), "key.unsafe"),
        (pkcs1(1, n), "key.unsafe"),
        (pkcs1(e, n >> 1 | 1), "key.length"),
        (pkcs1(e, n << 2049 | 1), "key.length"),
        (pkcs1(e, n << 2200 | 1), "did.key_kind_not_supported"),
        (pkcs1(3, (1 << 4096) + 1), "key.length"),
    ):
        text = "did:key:z" + base58btc_encode(b"\x85\x24" + raw)
        assert refusal(lambda text=text: resolve(Did.parse(text))) == code  # type: ignore[misc]


def pkcs1(e: int, n: int, *, padding: bytes = b"") -> bytes:
    """An RSAPublicKey of PKCS #1 in DER, or with ``padding`` in something close to it."""

    def element(tag: bytes, body: bytes) -> bytes:
        size = len(body)
        length = bytes([size]) if size < 128 else b"\x82" + size.to_bytes(2, "big")
        return tag + (b"\x81" + bytes([size]) if 128 <= size < 256 else length) + body

    def number(value: int) -> bytes:
        return element(b"\2", value.to_bytes(value.bit_length() // 8 + 1, "big"))

    modulus = element(b"\2", padding + n.to_bytes(n.bit_length() // 8 + 1, "big"))
    return element(b"\x30", modulus + number(e))


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
        ("did:key:" + encode_multikey(Codec.P521_PUB, b"\4" * 67), KeyFormatError, "key.unsafe"),
        (
            "did:key:" + encode_multikey(Codec.SECP256K1_PUB, b"\2" + b"\xff" * 32),
            KeyFormatError,
            "key.unsafe",
        ),
        ("did:key:z" + base58btc_encode(b"\xea\x01" + bytes(47)), KeyFormatError, "key.length"),
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
