"""did:jwk."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.document import RELATIONSHIPS
from did.ecdsa import Curve, EcdsaSigningKey
from did.errors import DidError
from did.identifier import Did
from did.json import Json, JsonObject
from did.keys import AgreementKey, SigningKey
from did.methods.jwk import did_of_jwk, resolve
from did.multikey import b64url_encode
from did.resolve import OFFLINE

SIGNING = {name for name in RELATIONSHIPS if name != "keyAgreement"}
ED25519 = SigningKey.from_seed(b"\3" * 32).verify_key
X25519 = AgreementKey.from_seed(b"\3" * 32).public
P256 = EcdsaSigningKey.from_secret(Curve.P256, b"\3" * 32).verify_key
P384 = EcdsaSigningKey.from_secret(Curve.P384, b"\3" * 48).verify_key
JWKS: dict[str, JsonObject] = {
    "Ed25519": {"kty": "OKP", "crv": "Ed25519", "x": b64url_encode(ED25519.bytes)},
    "X25519": {"kty": "OKP", "crv": "X25519", "x": b64url_encode(X25519.bytes)},
    "P-256": P256.jwk,
    "P-384": P384.jwk,
}


def did_of_text(text: str) -> Did:
    """The identifier that holds any text, a key or not."""
    return Did.parse("did:jwk:" + b64url_encode(text.encode()))


def refusal(did: Did) -> str:
    """The code with which the identifier is refused, by the method and by the resolver."""
    with pytest.raises(DidError) as caught:
        resolve(did)
    with pytest.raises(DidError) as again:
        OFFLINE.resolve(did)
    assert caught.value.code == again.value.code
    return caught.value.code


def used(did: Did) -> set[str]:
    """The relationships under which the one key stands."""
    document = resolve(did)
    (method,) = document.verification_methods
    assert method.id == f"{did}#0"
    return {name for name in RELATIONSHIPS if document.relationship(name) == (method,)}


def test_the_examples_of_the_specification(vectors: Path) -> None:
    """Every document is the one printed there, but for a stray dollar sign in one reference."""
    text = (vectors / "did-jwk/spec.md").read_text().split("## Examples", 1)[1]
    blocks = re.findall(r"```(text|json)\n(.*?)```", text, re.DOTALL)
    dids = [b.strip() for kind, b in blocks if kind == "text" and "#" not in b]
    documents = [
        json.loads(b.replace("did:jwk:$", "did:jwk:")) for kind, b in blocks if kind == "json"
    ]
    assert len(dids) == len(documents) == 2
    for did, document in zip(dids, documents, strict=True):
        assert OFFLINE.resolve(did).to_json() == document
    assert OFFLINE.resolve(dids[0]).verification_methods[0].ecdsa().curve is Curve.P256
    assert len(OFFLINE.resolve(dids[1]).verification_methods[0].x25519().bytes) == 32


def test_every_kind_of_key_is_read_back() -> None:
    """The method of the document is the key that went in."""
    (ed25519, x25519, p256, p384) = (
        resolve(did_of_jwk(jwk)).verification_methods[0] for jwk in JWKS.values()
    )
    assert ed25519.ed25519() == ED25519
    assert x25519.x25519() == X25519
    assert p256.ecdsa() == P256
    assert p384.ecdsa() == P384


@pytest.mark.parametrize(
    ("curve", "members", "names"),
    [
        ("P-256", {}, set(RELATIONSHIPS)),
        ("P-256", {"use": "sig"}, SIGNING),
        ("P-256", {"use": "enc"}, {"keyAgreement"}),
        ("P-256", {"use": "sig", "alg": "ES256"}, SIGNING),
        ("P-384", {"use": "sig", "alg": "ES384"}, SIGNING),
        ("P-384", {"use": "enc", "alg": "ECDH-ES+A256KW"}, {"keyAgreement"}),
        ("P-384", {"alg": "ES384"}, set(RELATIONSHIPS)),
        ("Ed25519", {}, set(RELATIONSHIPS)),
        ("Ed25519", {"use": "sig", "alg": "EdDSA"}, SIGNING),
        ("Ed25519", {"use": "sig", "alg": "Ed25519"}, SIGNING),
        ("X25519", {}, set(RELATIONSHIPS)),
        ("X25519", {"use": "enc", "alg": "ECDH-ES"}, {"keyAgreement"}),
        ("P-256", {"kid": "x", "note": "kept"}, set(RELATIONSHIPS)),
    ],
)
def test_the_use_decides_the_relationships(
    curve: str, members: JsonObject, names: set[str]
) -> None:
    """Signing, key agreement or both; members unknown here stay in the key and change nothing."""
    did = did_of_jwk(JWKS[curve] | members)
    assert used(did) == names
    assert resolve(did).verification_methods[0].public_key_jwk == JWKS[curve] | members


def test_another_spelling_of_a_key_is_another_identifier() -> None:
    """Both are resolved, each under its own name."""
    spaced = did_of_text(json.dumps(JWKS["P-256"], indent=1))
    assert str(resolve(spaced).id) == str(spaced) != str(did_of_jwk(JWKS["P-256"]))
    assert resolve(spaced).verification_methods[0].ecdsa() == P256


@pytest.mark.parametrize(
    ("curve", "members", "code"),
    [
        ("P-256", {"use": "tls"}, "key.use"),
        ("P-256", {"use": ""}, "key.use"),
        ("P-256", {"use": None}, "key.use"),
        ("P-256", {"use": ["sig"]}, "key.use"),
        ("Ed25519", {"use": "enc"}, "key.use"),
        ("X25519", {"use": "sig"}, "key.use"),
        ("P-256", {"alg": "ES384"}, "key.use"),
        ("P-256", {"alg": "es256"}, "key.use"),
        ("P-256", {"alg": None}, "key.use"),
        ("P-256", {"alg": ["ES256"]}, "key.use"),
        ("P-256", {"alg": "ES256", "use": "enc"}, "key.use"),
        ("P-256", {"alg": "ECDH-ES", "use": "sig"}, "key.use"),
        ("Ed25519", {"alg": "ES256"}, "key.use"),
        ("Ed25519", {"alg": "none"}, "key.use"),
        ("X25519", {"alg": "EdDSA"}, "key.use"),
        ("P-256", {"d": "AAAA"}, "key.secret"),
        ("Ed25519", {"d": None}, "key.secret"),
        ("X25519", {"k": "AAAA"}, "key.secret"),
        ("P-256", {"kty": "RSA", "p": "AAAA"}, "key.secret"),
        ("P-256", {"kty": "OKP"}, "did.key_kind_not_supported"),
        ("P-256", {"kty": None}, "did.key_kind_not_supported"),
        ("P-256", {"crv": "P-521"}, "did.key_kind_not_supported"),
        ("P-256", {"crv": "secp256k1"}, "did.key_kind_not_supported"),
        ("Ed25519", {"crv": "Ed448"}, "did.key_kind_not_supported"),
        ("Ed25519", {"crv": "ed25519"}, "did.key_kind_not_supported"),
        ("Ed25519", {"crv": ["Ed25519"]}, "did.key_kind_not_supported"),
        ("P-256", {"crv": "P-384"}, "key.length"),
        ("P-256", {"y": None}, "key.format"),
        ("P-256", {"y": JWKS["P-256"]["x"]}, "key.unsafe"),
        ("Ed25519", {"x": 1}, "key.format"),
        ("Ed25519", {"x": b64url_encode(bytes(32))}, "key.unsafe"),
        ("Ed25519", {"x": b64url_encode(bytes(31))}, "key.length"),
        ("X25519", {"x": b64url_encode(bytes(33))}, "key.length"),
        ("X25519", {"x": b64url_encode(bytes(32)) + "="}, "encoding.base64url"),
        ("X25519", {"x": b64url_encode(bytes(32))[:-1] + "B"}, "encoding.base64url"),
    ],
)
def test_a_key_that_must_not_be_used_is_refused(curve: str, members: JsonObject, code: str) -> None:
    """Secret, of another kind, at odds with itself, off its curve or not canonical."""
    jwk = JWKS[curve] | members
    assert refusal(did_of_text(json.dumps(jwk))) == code
    with pytest.raises(DidError) as caught:
        did_of_jwk(jwk)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "did",
    [
        Did.parse("did:jwk:e30="[:-1].rstrip("=") + "."),
        Did.parse("did:jwk:A"),
        Did.parse("did:jwk:a:b"),
        Did.parse("did:jwk:e31"),
        did_of_text("[]"),
        did_of_text('"a"'),
        did_of_text("{"),
        did_of_text('{"kty":"EC","kty":"EC"}'),
        did_of_text("\ufeff{}"),
        Did.parse("did:jwk:" + b64url_encode(b'{"a":"\xff"}')),
    ],
)
def test_what_is_no_strict_json_object_is_refused(did: Did) -> None:
    """Not base64url, unused bits set, no object, a name twice, a byte order mark, not UTF-8."""
    assert refusal(did) == "did.jwk_syntax"


def test_another_method_is_not_resolved_here() -> None:
    """Whoever asks the wrong module is told."""
    with pytest.raises(DidError) as caught:
        resolve(Did.parse("did:web:shop.example"))
    assert caught.value.code == "did.method_not_supported"


JSONS: st.SearchStrategy[Json] = st.none() | st.booleans() | st.text(max_size=20)


@settings(deadline=None, max_examples=100)
@given(st.sampled_from(list(JWKS)), st.sampled_from(["kty", "crv", "x", "y", "use", "alg"]), JSONS)
def test_any_member_raises_or_resolves(curve: str, name: str, value: Json) -> None:
    """Nothing but this package's errors comes out, whatever stands in the key."""
    did = did_of_text(json.dumps(JWKS[curve] | {name: value}))
    try:
        document = resolve(did)
    except DidError:
        return
    assert document.id == did
