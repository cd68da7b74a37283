"""SD-JWT VC: issued, shown by the holder and verified; by us and by other implementations."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import openvc.keys
import openvc.proof.sd_jwt as openvc_sd_jwt
import pytest
import yaml
from jwcrypto.jwk import JWK
from sd_jwt.common import SDObj
from sd_jwt.holder import SDJWTHolder
from sd_jwt.issuer import SDJWTIssuer
from sd_jwt.verifier import SDJWTVerifier
from token_world import NOW, SECONDS, document_of, serving
from token_world import verify_shown as verify

from credentials.errors import (
    ControllerUnresolved,
    CredentialError,
    JoseInvalid,
    PresentationInvalid,
    ProofInvalid,
    SdJwtInvalid,
    StatusUnchecked,
    StructureInvalid,
)
from credentials.jose import key_of_jwk, public_jwk, sign_claims
from credentials.key_binding import bind_key
from credentials.sd_jwt import SdJwt, issue_sd_jwt, select_disclosures
from credentials.sd_jwt_vc import issue_sd_jwt_vc, open_sd_jwt_vc
from did.ecdsa import Curve, EcdsaSigningKey
from did.json import Json, JsonObject
from did.keys import SigningKey
from did.multikey import b64url_encode

KEY = EcdsaSigningKey.from_secret(Curve.P256, b"\1" * 32)
HOLDER = EcdsaSigningKey.from_secret(Curve.P256, b"\2" * 32)
TYPE = "https://credentials.example.com/identity_credential"
CLAIMS: JsonObject = {
    "given_name": "John",
    "address": {"street": "Main St", "country": "US"},
    "nationalities": ["US", "DE"],
    "age": 42,
}
DISCLOSABLE = {"/given_name", "/address", "/address/street", "/nationalities/0", "/age"}


def issue(key: Any = KEY, now: datetime = NOW, **changes: Any) -> str:
    arguments: dict[str, Any] = {
        "type_uri": TYPE,
        "now": now,
        "disclosable": DISCLOSABLE,
        "holder": HOLDER.verify_key,
        "valid_for": timedelta(days=1),
        **changes,
    }
    return issue_sd_jwt_vc(arguments.pop("claims", CLAIMS), key, **arguments)


def show(token: str, now: datetime = NOW, holder: Any = HOLDER) -> str:
    return bind_key(token, holder, audience="us", nonce="n", now=now)


WITHOUT_HOLDER: dict[str, Any] = {
    "expected_audience": None,
    "expected_nonce": None,
    "require_key_binding": False,
}


# -- published examples ----------------------------------------------------------------------------


def test_every_published_example(vectors: Path):
    """Issued and shown forms open to the published claims with the published key."""
    folder = vectors / "sd-jwt" / "vc"
    keys = yaml.safe_load((folder / "settings.yml").read_text())["key_settings"]
    key = key_of_jwk({name: keys["issuer_key"][name] for name in ("kty", "crv", "x", "y")})
    seen = 0
    for example in sorted(path for path in folder.iterdir() if path.is_dir()):
        shown = SdJwt.parse((example / "sd_jwt_presentation.txt").read_text().strip())
        expected = json.loads((example / "verified_contents.json").read_text())
        assert open_sd_jwt_vc(shown, key).claims == expected
        open_sd_jwt_vc(SdJwt.parse((example / "sd_jwt_issuance.txt").read_text().strip()), key)
        seen += 1
    assert seen == 3


# -- our own ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("holder", [HOLDER, SigningKey.from_seed(b"\3" * 32)])
@pytest.mark.parametrize("key", [KEY, SigningKey.from_seed(b"\4" * 32)])
def test_issued_shown_and_verified(key: Any, holder: Any):
    """A choice of claims, by the holder, for us, now."""
    token = issue(key, holder=holder.verify_key)
    shown = show(select_disclosures(token, {"/age", "/address/street"}), holder=holder)
    found = verify(shown, expected_issuer=key.did, expected_type=TYPE)
    assert found.issuer == key.did
    assert found.type == TYPE
    assert found.holder_key == holder.verify_key
    assert found.key_bound
    assert found.disclosed == {"/age", "/address", "/address/street"}
    assert found.claims["address"] == CLAIMS["address"]
    assert found.claims["nationalities"] == ["DE"]
    assert "given_name" not in found.claims
    assert found.proof.created == NOW
    assert found.proof.expires == NOW + timedelta(days=1)
    assert found.status_checked is None
    assert "John" not in repr(found)


def test_without_a_holder():
    """A credential that nobody is bound to is taken only where that is asked for."""
    token = issue(holder=None)
    found = verify(token, **WITHOUT_HOLDER)
    assert found.holder_key is None
    assert not found.key_bound
    for shown in (token, show(token)):
        with pytest.raises(SdJwtInvalid) as caught:
            verify(shown)
        assert caught.value.code == "sd_jwt.cnf"


def test_the_holder_is_required_unless_said_otherwise():
    """A bare copy of a credential proves nothing about who shows it."""
    token = issue()
    assert not verify(token, **WITHOUT_HOLDER).key_bound
    for changes in ({}, {"expected_audience": None, "expected_nonce": None}):
        with pytest.raises(PresentationInvalid):
            verify(token, **changes)
    with pytest.raises(PresentationInvalid):
        verify(show(token), **WITHOUT_HOLDER)


@pytest.mark.parametrize(
    "pointer", ["/iss", "/nbf", "/exp", "/cnf", "/cnf/jwk", "/vct", "/vct#integrity", "/status/x"]
)
def test_what_a_verifier_must_see(pointer: str):
    """§2.2.2.3: neither issued withheld, nor taken from a disclosure."""
    name = pointer[1:].partition("/")[0]
    claims: JsonObject = {**CLAIMS, "nbf": SECONDS, "vct#integrity": "x", "status": {"x": 1}}
    with pytest.raises(StructureInvalid) as caught:
        issue(claims=claims, disclosable={pointer})
    assert caught.value.code == "sd_jwt.always_shown"
    claims |= {
        "iss": KEY.did,
        "vct": TYPE,
        "exp": SECONDS + 1,
        "cnf": {"jwk": public_jwk(HOLDER.verify_key)},
    }
    header: JsonObject = {"typ": "dc+sd-jwt", "kid": KEY.verification_method}
    token = issue_sd_jwt(claims, KEY, disclosable={pointer}, header=header)
    with pytest.raises(SdJwtInvalid) as refused:
        verify(token, **WITHOUT_HOLDER)
    assert refused.value.code == "sd_jwt.always_shown"
    assert name in claims


def signed(changes: JsonObject, **header: Json) -> str:
    claims: JsonObject = {"iss": KEY.did, "vct": TYPE, "iat": SECONDS, **changes}
    claims = {name: value for name, value in claims.items() if value is not None}
    whole: JsonObject = {"typ": "dc+sd-jwt", "kid": KEY.verification_method, **header}
    return sign_claims(claims, KEY, **whole) + "~"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"iss": None}, "sd_jwt.issuer"),
        ({"iss": "https://issuer.example"}, "sd_jwt.issuer"),
        ({"iss": HOLDER.did}, "sd_jwt.issuer"),
        ({"iss": [KEY.did]}, "sd_jwt.issuer"),
        ({"vct": None}, "sd_jwt.vct"),
        ({"vct": ""}, "sd_jwt.vct"),
        ({"vct": [TYPE]}, "sd_jwt.vct"),
        ({"exp": SECONDS}, "credential.expired"),
        ({"nbf": SECONDS + 61}, "credential.not_yet_valid"),
        ({"iat": SECONDS + 61}, "jose.future"),
        ({"iat": "2026-01-31"}, "jose.time"),
        ({"aud": "them"}, "jose.audience"),
        ({"cnf": {"kid": "x"}}, "sd_jwt.cnf"),
    ],
)
def test_a_signed_credential_that_does_not_hold(changes: JsonObject, code: str):
    """Issuer, type, times and audience are looked at after the signature."""
    verify(signed({}), **WITHOUT_HOLDER)
    with pytest.raises(CredentialError) as caught:
        verify(signed(changes), **WITHOUT_HOLDER)
    assert caught.value.code == code


def test_a_token_without_a_type_of_credential():
    """With a key known in another way, too, a credential has a type."""
    with pytest.raises(StructureInvalid) as caught:
        open_sd_jwt_vc(SdJwt.parse(signed({"vct": None})), KEY.verify_key)
    assert caught.value.code == "sd_jwt.vct"


def test_the_types_of_token_read():
    """The present name and the one before it; the present one is written."""
    assert SdJwt.parse(issue()).jws.header["typ"] == "dc+sd-jwt"
    verify(signed({}, typ="vc+sd-jwt"), **WITHOUT_HOLDER)
    for typ in ("JWT", "sd-jwt", "kb+jwt", "vc+jwt", "dc+jwt"):
        with pytest.raises(JoseInvalid) as caught:
            verify(signed({}, typ=typ), **WITHOUT_HOLDER)
        assert caught.value.code == "jose.typ"


def test_a_credential_other_than_expected():
    """A sound credential by another issuer, or of another type, is not the one asked for."""
    token = show(issue())
    for changes, code in (
        ({"expected_issuer": HOLDER.did}, "sd_jwt.issuer"),
        ({"expected_type": "other"}, "sd_jwt.vct"),
    ):
        with pytest.raises(SdJwtInvalid) as caught:
            verify(token, **changes)
        assert caught.value.code == code


def test_a_status_that_cannot_be_checked():
    """Silence is no answer: only a caller who says so takes it unchecked."""
    token = show(issue(claims={**CLAIMS, "status": {"status_list": {"idx": 0, "uri": "x"}}}))
    assert verify(token).status_checked is False
    with pytest.raises(StatusUnchecked) as caught:
        verify(token, status=None)
    assert caught.value.code == "status.unsupported"


def test_an_issuer_on_the_web():
    """The key is one that the issuer's document lists for assertions."""
    did = "did:web:issuer.example"
    document = document_of(did, KEY)
    token = show(issue(verification_method=f"{did}#k"))
    resolver = serving(document)
    assert verify(token, resolver=resolver).issuer == did
    with pytest.raises(ControllerUnresolved):
        verify(token)
    document["authentication"] = document.pop("assertionMethod")
    with pytest.raises(ProofInvalid) as caught:
        verify(token, resolver=resolver)
    assert caught.value.code == "key.not_authorised"


@pytest.mark.parametrize(
    "changes",
    [
        {"claims": {**CLAIMS, "iss": HOLDER.did}},
        {"claims": {**CLAIMS, "iss": "https://issuer.example"}},
        {"type_uri": ""},
        {"disclosable": {"/nothing"}},
    ],
)
def test_what_would_not_verify_is_not_issued(changes: dict[str, Any]):
    """Another's name, no type, and claims that are not there."""
    with pytest.raises(CredentialError):
        issue(**changes)


# -- other implementations -------------------------------------------------------------------------
# Both look at the system's clock, so these credentials are made and shown by it too.

CLOCK = datetime.now(UTC).replace(microsecond=0)


def secret_jwk(key: EcdsaSigningKey) -> dict[str, str]:
    jwk: dict[str, Any] = {**key.verify_key.jwk, "d": b64url_encode(key.unsafe_export_secret())}
    return jwk


def test_sd_jwt_verifies_ours():
    """The reference implementation reads what we issue and show."""
    shown = show(select_disclosures(issue(now=CLOCK), {"/age", "/nationalities/0"}), now=CLOCK)
    key = JWK(**KEY.verify_key.jwk)
    verifier = SDJWTVerifier(shown, lambda *_: key, expected_aud="us", expected_nonce="n")
    payload = verifier.get_verified_payload()
    assert payload == verify(shown, now=CLOCK).claims


def test_we_verify_those_of_sd_jwt():
    """What the reference implementation issues and shows verifies here."""
    claims: dict[Any, Any] = {
        "iss": KEY.did,
        "vct": TYPE,
        "iat": int(CLOCK.timestamp()),
        SDObj("given_name"): "John",
        SDObj("address"): {SDObj("street"): "Main St", "country": "US"},
        "nationalities": [SDObj("US"), "DE"],
    }
    issuer = SDJWTIssuer(
        claims,
        JWK(**secret_jwk(KEY)),
        JWK(**HOLDER.verify_key.jwk),
        add_decoy_claims=True,
        extra_header_parameters={"typ": "dc+sd-jwt", "kid": KEY.verification_method},
    )
    holder = SDJWTHolder(issuer.sd_jwt_issuance)
    wanted = {"address": {"street": True}, "nationalities": [True, True]}
    holder.create_presentation(wanted, "n", "us", JWK(**secret_jwk(HOLDER)))
    # It looks at the clock when it shows; a moment later is early enough.
    now = datetime.now(UTC)
    found = verify(holder.sd_jwt_presentation, now=now)
    assert found.claims["address"] == {"street": "Main St", "country": "US"}
    assert found.claims["nationalities"] == ["US", "DE"]
    assert "given_name" not in found.claims
    # Our holder can show what it issued, too.
    ours = show(select_disclosures(issuer.sd_jwt_issuance, {"/given_name"}), now=now)
    assert verify(ours, now=now).claims["given_name"] == "John"


def test_openvc_verifies_ours():
    """A second implementation reads what we issue and show."""
    suite = openvc_sd_jwt.SdJwtVcProofSuite()
    shown = show(select_disclosures(issue(now=CLOCK), {"/age"}), now=CLOCK)
    found = suite.verify(
        shown,
        public_key_jwk=KEY.verify_key.jwk,
        audience="us",
        nonce="n",
        require_key_binding=True,
        expected_vct=TYPE,
        now=CLOCK,
    )
    assert found.key_bound
    assert found.claims["age"] == 42
    assert "given_name" not in found.claims


@pytest.mark.parametrize("kind", ["P-256", "Ed25519"])
def test_we_verify_those_of_openvc(kind: str):
    """What the second implementation issues and shows verifies here."""
    if kind == "P-256":
        key: Any = KEY
        theirs: Any = openvc.keys.P256SigningKey.from_jwk(
            secret_jwk(KEY), kid=KEY.verification_method
        )
    else:
        key = SigningKey.from_seed(b"\4" * 32)
        jwk = {**public_jwk(key.verify_key), "d": b64url_encode(key.unsafe_export_seed())}
        theirs = openvc.keys.Ed25519SigningKey.from_jwk(jwk, kid=key.verification_method)
    holder = openvc.keys.P256SigningKey.from_jwk(secret_jwk(HOLDER), kid="holder")
    suite = openvc_sd_jwt.SdJwtVcProofSuite()
    token = suite.issue(
        {**CLAIMS, "iss": key.did},
        signing_key=theirs,
        disclosable=["given_name", "address"],
        holder_jwk=HOLDER.verify_key.jwk,
        vct=TYPE,
        expires_in_s=60,
        decoys=2,
    )
    shown = suite.create_presentation(token, holder_key=holder, audience="us", nonce="n")
    found = verify(shown, now=datetime.now(UTC), expected_type=TYPE)
    assert found.disclosed == {"/given_name", "/address"}
    assert found.claims.items() >= CLAIMS.items()
    assert found.key_bound
