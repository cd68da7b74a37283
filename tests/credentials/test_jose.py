"""JSON Web Signatures: published vectors, strict reading, and which key a kid names."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from credentials.errors import (
    ControllerUnresolved,
    CredentialError,
    JoseInvalid,
    ProofInvalid,
    StructureInvalid,
    TimeInvalid,
)
from credentials.jose import (
    MAX_TOKEN,
    check_audience,
    check_times,
    key_of_jwk,
    numeric_date,
    public_jwk,
    read_jws,
    resolve_key,
    sign_claims,
    sign_jws,
    verify_jws,
)
from did.ecdsa import Curve, EcdsaSigningKey
from did.errors import DidError
from did.json import Json, JsonObject
from did.keys import SigningKey
from did.methods.jwk import did_of_jwk
from did.multikey import b64url_encode
from did.resolve import OFFLINE, Resolver

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
ED25519 = SigningKey.from_seed(b"\1" * 32)
P256 = EcdsaSigningKey.from_secret(Curve.P256, b"\2" * 32)
P384 = EcdsaSigningKey.from_secret(Curve.P384, b"\3" * 48)
KEYS = [ED25519, P256, P384]


def check(token: str, key: Any = ED25519) -> None:
    verify_jws(read_jws(token), key.verify_key)


# -- published vectors -----------------------------------------------------------------------------


def test_wycheproof_signatures(vectors: Path):
    """Of the tests with keys that we take, each has the published outcome."""
    folder = vectors / "wycheproof" / "testvectors_v1"
    groups = json.loads((folder / "json_web_signature_test.json").read_text())["testGroups"]
    taken = refused = 0
    for group in groups:
        jwk = group.get("public", group["private"])
        ours = (jwk["kty"], jwk.get("crv")) in (("EC", "P-256"), ("EC", "P-384"))
        for case in group["tests"]:
            try:
                verify_jws(read_jws(case["jws"]), key_of_jwk(jwk))
            except (CredentialError, DidError):
                assert not ours or case["result"] == "invalid", case["comment"]
                refused += 1
            else:
                assert ours
                assert case["result"] == "valid", case["comment"]
                taken += 1
    # All others are by RSA, P-521 and shared keys, which are not taken.
    assert (taken, refused) == (2, 399)


def test_wycheproof_keys(vectors: Path):
    """An elliptic key for another algorithm, curve or use, or off its curve, is not read."""
    folder = vectors / "wycheproof" / "testvectors_v1"
    groups = json.loads((folder / "json_web_key_test.json").read_text())["testGroups"]
    seen = []
    for group in groups:
        keys = group.get("public", {}).get("keys", [])
        if len(keys) == 1 and "x" in keys[0]:
            seen.append(group["comment"])
            assert {case["result"] for case in group["tests"]} == {"invalid"}
            with pytest.raises((CredentialError, DidError)):
                key_of_jwk(keys[0])
    assert seen == [
        "wrong_algorithm",
        "invalid_algorithm",
        "invalid_use",
        "invalid_point",
        "wrong_curve",
        "wrong_kty",
    ]


def test_rfc_8037_example():
    """The Ed25519 token of RFC 8037, appendix A.4, signs and verifies as published."""
    key = SigningKey.from_seed(
        bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    )
    token = sign_jws({}, b"Example of Ed25519 signing", key)
    assert token == (
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PG"
        "cvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    )
    check(token, key)


# -- signing and verifying -------------------------------------------------------------------------


@given(
    st.dictionaries(st.text(st.characters(exclude_categories=("Cs",))), st.integers(-9, 9)),
    st.sampled_from(KEYS),
)
@settings(max_examples=60, deadline=None)
def test_what_was_signed_comes_back(claims: dict[str, int], key: Any):
    """Any claims, by a key of each kind."""
    token = read_jws(sign_claims({**claims}, key, typ="x"))
    verify_jws(token, key.verify_key)
    assert token.claims() == claims


@given(st.data(), st.sampled_from(KEYS))
@settings(max_examples=150, deadline=None)
def test_one_changed_character_is_refused(data: st.DataObject, key: Any):
    """Whichever character of a token is changed, it does not verify."""
    token = sign_claims({"a": 1}, key, kid="k")
    position = data.draw(st.integers(0, len(token) - 1))
    other = data.draw(st.sampled_from(sorted(set("AZaz09-_.=+/ é") - {token[position]})))
    with pytest.raises(CredentialError):
        check(token[:position] + other + token[position + 1 :], key)


@pytest.mark.parametrize("key", KEYS)
def test_a_key_of_another_kind_or_another_key(key: Any):
    """A token is its key's alone; the algorithm is the one of the key."""
    token = sign_claims({}, key)
    for other in (*KEYS, SigningKey.from_seed(b"\4" * 32)):
        if other is not key:
            with pytest.raises(JoseInvalid) as caught:
                check(token, other)
            same_kind = isinstance(other, SigningKey) and isinstance(key, SigningKey)
            assert caught.value.code == ("jose.signature" if same_kind else "jose.alg")


def test_the_new_name_of_eddsa():
    """RFC 9864 calls it Ed25519; both are read."""
    token = sign_jws({"alg": "Ed25519"}, b"{}", ED25519)
    assert read_jws(token).header == {"alg": "Ed25519"}
    check(token)


def parts(header: bytes, payload: bytes = b"{}", signature: bytes = b"\0" * 64) -> str:
    return ".".join(map(b64url_encode, (header, payload, signature)))


@pytest.mark.parametrize(
    ("token", "code"),
    [
        ("", "jose.syntax"),
        ("a.b", "jose.syntax"),
        ("a.b.c.d", "jose.syntax"),
        (parts(b'{"alg":"EdDSA"}', signature=b""), "jose.syntax"),
        ("." + parts(b'{"alg":"EdDSA"}').partition(".")[2], "jose.syntax"),
        (parts(b'{"alg":"EdDSA"}') + "=", "jose.syntax"),
        (parts(b'{"alg":"EdDSA"}') + "\n", "jose.syntax"),
        (" " + parts(b'{"alg":"EdDSA"}'), "jose.syntax"),
        (parts(b"[]"), "json.not_an_object"),
        (parts(b"{"), "json.syntax"),
        (parts(b'{"alg":"EdDSA","alg":"none"}'), "json.duplicate_key"),
        (parts(b'{"alg":"EdDSA","\\u0061lg":"none"}'), "json.duplicate_key"),
        (parts(b'\xef\xbb\xbf{"alg":"EdDSA"}'), "json.bom"),
        (parts(b'{"alg":"EdDSA","x":"' + b"x" * 9000 + b'"}'), "json.too_large"),
        (parts(b'{"alg":"EdDSA","crit":["b64"],"b64":false}'), "jose.crit"),
        (parts(b'{"alg":"EdDSA","crit":[]}'), "jose.crit"),
        (parts(b'{"alg":"EdDSA","crit":["exp"],"exp":1}'), "jose.crit"),
        (parts(b'{"alg":"EdDSA","b64":true}'), "jose.crit"),
        (parts(b"{}"), "jose.alg"),
        (parts(b'{"alg":["EdDSA"]}'), "jose.alg"),
        (parts(b'{"alg":{}}'), "jose.alg"),
        (parts(b'{"alg":"eddsa"}'), "jose.alg"),
        (parts(b'{"alg":"ES512"}'), "jose.alg"),
        (parts(b'{"alg":"RS256"}'), "jose.alg"),
        (parts(b'{"alg":"EdDSA"}', b"x" * MAX_TOKEN), "jose.too_large"),
    ],
)
def test_what_is_not_read(token: str, code: str):
    """Each malformed or dangerous token has its reason."""
    with pytest.raises(CredentialError) as caught:
        read_jws(token)
    assert caught.value.code == code


def test_bits_that_mean_nothing_are_zero():
    """A second spelling of the same signature is refused."""
    token = sign_claims({}, ED25519)
    last = "AQgw".index(token[-1])
    with pytest.raises(JoseInvalid) as caught:
        read_jws(token[:-1] + "BRhx"[last])
    assert caught.value.code == "jose.syntax"


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"[]", "json.not_an_object"),
        (b"", "json.syntax"),
        (b'{"a":1,"a":2}', "json.duplicate_key"),
        (b'{"a":9007199254740993}', "json.integer_range"),
        (b'{"a":NaN}', "json.number"),
        (b'{"a":' * 33 + b"1" + b"}" * 33, "json.depth"),
        (b'{"a":"\\ud800"}', "json.surrogate"),
    ],
)
def test_claims_are_strict_json(payload: bytes, code: str):
    """What two readers could read differently is refused, signed or not."""
    token = read_jws(sign_jws({}, payload, ED25519))
    verify_jws(token, ED25519.verify_key)
    with pytest.raises(StructureInvalid) as caught:
        token.claims()
    assert caught.value.code == code


def test_numbers_may_have_fractions():
    """The bytes were signed, so a fraction is as good as any."""
    assert read_jws(sign_claims({"a": 1.5}, ED25519)).claims() == {"a": 1.5}


def test_claims_that_cannot_be_written():
    """Claims without a canonical form are not signed."""
    with pytest.raises(StructureInvalid) as caught:
        sign_claims({"a": 2**60}, ED25519)
    assert caught.value.code == "json.integer_range"


@pytest.mark.parametrize("typ", ["vc+jwt", "application/vc+jwt", "VC+JWT", "Application/VC+jwt"])
def test_a_media_type_in_its_spellings(typ: str):
    """RFC 7515 §4.1.9: with or without application/, in any case."""
    assert read_jws(sign_claims({}, ED25519, typ=typ)).check_type("vc+jwt") == "vc+jwt"


@pytest.mark.parametrize("header", [{}, {"typ": "JWT"}, {"typ": 1}, {"typ": "vc+jwt "}])
def test_another_media_type(header: JsonObject):
    """A token of another type, or of none, was made for something else."""
    token = parts(json.dumps({"alg": "EdDSA", **header}).encode())
    with pytest.raises(JoseInvalid) as caught:
        read_jws(token).check_type("vc+jwt")
    assert caught.value.code == "jose.typ"


def test_a_public_key_does_not_sign():
    """Signing goes through the key of ours that has the secret; a secret is never a JWK."""
    assert "d" not in public_jwk(ED25519.verify_key)
    assert key_of_jwk(public_jwk(ED25519.verify_key)) == ED25519.verify_key
    assert key_of_jwk(public_jwk(P384.verify_key)) == P384.verify_key


# -- keys ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change",
    [
        {"use": "enc"},
        {"use": None},
        {"key_ops": ["sign"]},
        {"key_ops": "verify"},
        {"key_ops": []},
        {"alg": "HS256"},
        {"alg": "ES256K"},
        {"d": "AA"},
        {"k": "AA"},
    ],
)
@pytest.mark.parametrize("key", KEYS)
def test_a_key_for_something_else(key: Any, change: JsonObject):
    """A JWK that says it is for another use, or holds a secret, verifies nothing."""
    with pytest.raises((ProofInvalid, DidError)):
        key_of_jwk({**public_jwk(key.verify_key), **change})


@pytest.mark.parametrize("key", KEYS)
def test_a_key_that_says_what_it_is_for(key: Any):
    """Use, operations and algorithm that fit are fine."""
    alg = read_jws(sign_claims({}, key)).header["alg"]
    jwk = {**public_jwk(key.verify_key), "use": "sig", "key_ops": ["verify"], "alg": alg}
    assert key_of_jwk(jwk) == key.verify_key


@pytest.mark.parametrize("key", KEYS)
def test_the_key_that_a_kid_names(key: Any):
    """A did:key of each kind, and the same as a did:jwk."""
    for kid in (key.verification_method, f"{did_of_jwk(public_jwk(key.verify_key))}#0"):
        found = resolve_key(kid, purpose="assertionMethod", resolver=OFFLINE, now=NOW)
        assert found == key.verify_key


def document(**changes: Json) -> JsonObject:
    did = "did:web:issuer.example"
    method: JsonObject = {
        "id": f"{did}#k",
        "type": "JsonWebKey",
        "controller": did,
        "publicKeyJwk": public_jwk(P256.verify_key),
    }
    whole: JsonObject = {"id": did, "assertionMethod": [{**method, **changes}]}
    return whole


def resolver(value: JsonObject) -> Resolver:
    return Resolver(fetch=lambda _url: json.dumps(value).encode())


@pytest.mark.parametrize(
    ("changes", "purpose", "code"),
    [
        ({}, "authentication", "key.not_authorised"),
        ({"controller": "did:web:other.example"}, "assertionMethod", "key.foreign_controller"),
        ({"revoked": "2026-01-01T00:00:00Z"}, "assertionMethod", "key.revoked"),
        ({"expires": "2026-01-01T00:00:00Z"}, "assertionMethod", "key.expired"),
        ({"publicKeyJwk": {"kty": "RSA"}}, "assertionMethod", "key.kind"),
        (
            {"publicKeyJwk": {**public_jwk(P256.verify_key), "key_ops": ["sign"]}},
            "assertionMethod",
            "key.use",
        ),
    ],
)
def test_a_key_that_must_not_be_used(changes: JsonObject, purpose: str, code: str):
    """The document of the DID decides, for this purpose and this moment."""
    with pytest.raises(ProofInvalid) as caught:
        resolve_key(
            "did:web:issuer.example#k",
            purpose=purpose,
            resolver=resolver(document(**changes)),
            now=NOW,
        )
    assert caught.value.code == code


def test_an_ed25519_key_in_a_document_is_held_to_its_use():
    """Not only EC keys say what they are for."""
    jwk: JsonObject = {**public_jwk(ED25519.verify_key), "use": "enc"}
    with pytest.raises(ProofInvalid) as caught:
        resolve_key(
            "did:web:issuer.example#k",
            purpose="assertionMethod",
            resolver=resolver(document(publicKeyJwk=jwk)),
            now=NOW,
        )
    assert caught.value.code == "key.use"


@pytest.mark.parametrize(
    ("kid", "code"),
    [
        ("k", "jose.kid"),
        ("#k", "jose.kid"),
        ("did:web:issuer.example", "jose.kid"),
        ("did:web:issuer.example#", "jose.kid"),
        ("did:web:issuer.example/path#k", "jose.kid"),
        ("did:web:issuer.example?a=b#k", "jose.kid"),
        ("https://issuer.example/keys#k", "jose.kid"),
        ("did:web:Issuer.example#k", "jose.kid"),
        ("did:web:issuer.example#other", "key.unknown"),
    ],
)
def test_a_kid_that_names_no_key(kid: str, code: str):
    """A short name is nobody's; only a DID with a fragment says whose key it is."""
    with pytest.raises(ProofInvalid) as caught:
        resolve_key(kid, purpose="assertionMethod", resolver=resolver(document()), now=NOW)
    assert caught.value.code == code


@pytest.mark.parametrize("kid", ["did:web:issuer.example#k", "did:example:123#k"])
def test_a_did_that_cannot_be_resolved(kid: str):
    """Not knowing whose key it is, is not the same as a bad signature."""
    with pytest.raises(ControllerUnresolved):
        resolve_key(kid, purpose="assertionMethod", resolver=OFFLINE, now=NOW)


@pytest.mark.parametrize("kid", [None, 1, "", ["a"]])
def test_no_kid(kid: Json):
    """Without a kid there is no saying whose key it was."""
    token = read_jws(parts(json.dumps({"alg": "EdDSA", "kid": kid}).encode()))
    with pytest.raises(JoseInvalid) as caught:
        _ = token.kid
    assert caught.value.code == "jose.kid"


# -- times and audience ----------------------------------------------------------------------------

SECONDS = numeric_date(NOW)


def test_times_within_their_bounds():
    """A minute of skew is allowed, and fractions of a second are read."""
    claims: JsonObject = {"iat": SECONDS + 60, "nbf": SECONDS + 60, "exp": SECONDS + 0.5}
    assert check_times(claims, NOW) == (
        NOW + timedelta(seconds=60),
        NOW + timedelta(milliseconds=500),
    )
    assert check_times({}, NOW) == (None, None)


@pytest.mark.parametrize(
    ("claims", "kind", "code"),
    [
        ({"iat": SECONDS + 61}, JoseInvalid, "jose.future"),
        ({"nbf": SECONDS + 61}, TimeInvalid, "credential.not_yet_valid"),
        ({"exp": SECONDS}, TimeInvalid, "credential.expired"),
        ({"exp": "2027-01-01T00:00:00Z"}, StructureInvalid, "jose.time"),
        ({"exp": True}, StructureInvalid, "jose.time"),
        ({"exp": None}, StructureInvalid, "jose.time"),
        ({"exp": -1}, StructureInvalid, "jose.time"),
        ({"exp": 10**15}, StructureInvalid, "jose.time"),
        ({"nbf": []}, StructureInvalid, "jose.time"),
    ],
)
def test_times_out_of_bounds(claims: JsonObject, kind: type[CredentialError], code: str):
    """Future, past, and what is no number of seconds."""
    with pytest.raises(kind) as caught:
        check_times(claims, NOW)
    assert caught.value.code == code


def test_an_audience():
    """A token for others is refused; one for nobody in particular is for all."""
    check_audience({}, None)
    check_audience({"aud": "us"}, "us")
    check_audience({"aud": ["them", "us"]}, "us")
    for aud, expected in (("them", "us"), ("us", None), ([], "us"), (None, "us"), (None, None)):
        with pytest.raises(JoseInvalid) as caught:
            check_audience({"aud": aud}, expected)
        assert caught.value.code == "jose.audience"
