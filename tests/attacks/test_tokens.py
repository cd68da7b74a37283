"""Attacks on signed tokens: JWT, SD-JWT and the proof of their holder."""

import hashlib
import hmac
import json
import sys
import tracemalloc
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from credentials.contexts import CREDENTIALS_V2
from credentials.errors import CredentialError, PresentationInvalid, ProofInvalid
from credentials.jose import JoseInvalid, public_jwk, read_jws, sign_claims, verify_jws
from credentials.key_binding import bind_key
from credentials.sd_jwt import (
    MAX_DISCLOSURES,
    SdJwt,
    SdJwtInvalid,
    issue_sd_jwt,
    select_disclosures,
)
from credentials.sd_jwt_vc import issue_sd_jwt_vc
from credentials.status import WITHOUT_STATUS
from credentials.vc_jwt import sign_vc_jwt, sign_vp_jwt, verify_vc_jwt, verify_vp_jwt
from did.ecdsa import Curve, EcdsaSigningKey
from did.json import Json, JsonObject
from did.keys import SigningKey
from did.multikey import b64url_decode, b64url_encode
from did.resolve import Resolver

sys.path.insert(0, str(Path(__file__).parents[1] / "credentials"))

from token_world import (
    NOW,
    binding_claims,
    document_of,
    serving,
)
from token_world import verify_shown as verify_sd

ED25519 = SigningKey.from_seed(b"\1" * 32)
P256 = EcdsaSigningKey.from_secret(Curve.P256, b"\2" * 32)
HOLDER = SigningKey.from_seed(b"\3" * 32)
STRANGER = SigningKey.from_seed(b"\4" * 32)
KEYS = [ED25519, P256]


def credential(key: Any) -> JsonObject:
    return {
        "@context": [CREDENTIALS_V2],
        "type": ["VerifiableCredential"],
        "issuer": key.did,
        "credentialSubject": {"id": HOLDER.did, "name": "A. Person"},
    }


def verify_vc(token: str, **changes: Any) -> Any:
    return verify_vc_jwt(token, **{"now": NOW, "status": WITHOUT_STATUS, **changes})


def issue(key: Any = ED25519, name: str = "A. Person") -> str:
    return issue_sd_jwt_vc(
        {"name": name, "age": 42},
        key,
        type_uri="example",
        now=NOW,
        disclosable={"/name", "/age"},
        holder=HOLDER.verify_key,
    )


def show(token: str, **changes: Any) -> str:
    arguments: dict[str, Any] = {"audience": "us", "nonce": "n", "now": NOW, **changes}
    return bind_key(token, HOLDER, **arguments)


def rewritten(token: str, sign: Callable[[bytes], bytes], **header: Json) -> str:
    """The same payload under another header and whatever signature."""
    old, payload, _ = token.split(".")
    whole = {**json.loads(b64url_decode(old)), **header}
    start = b64url_encode(orjson.dumps(whole)) + "." + payload
    return f"{start}.{b64url_encode(sign(start.encode()))}"


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("alg", ["none", "None", "NONE", "nOnE", "", None, "None\0", ["none"]])
def test_attack_91_unsigned_token(alg: Json, key: Any) -> None:
    """A token that says it is unsigned is never taken, with or without a signature."""
    token = sign_vc_jwt(credential(key), key)
    verify_vc(token)
    start = rewritten(token, lambda _: b"x", alg=alg).rpartition(".")[0]
    for signature in ("", "AA", token.rpartition(".")[2]):
        with pytest.raises(JoseInvalid):
            verify_vc(f"{start}.{signature}")
        with pytest.raises(JoseInvalid):
            verify_jws(read_jws(f"{start}.{signature}"), key.verify_key)


def public_forms(key: Any) -> list[bytes]:
    """A public key in all the forms in which somebody might take it for a shared secret."""
    jwk = public_jwk(key.verify_key)
    raw = key.verify_key.bytes
    native: Any = (
        ed25519.Ed25519PublicKey.from_public_bytes(raw)
        if jwk["kty"] == "OKP"
        else ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw)
    )
    spki = PublicFormat.SubjectPublicKeyInfo
    return [
        raw,
        orjson.dumps(jwk),
        key.verify_key.multikey.encode(),
        *(native.public_bytes(encoding, spki) for encoding in (Encoding.PEM, Encoding.DER)),
        b"",
    ]


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(("alg", "name"), [("HS256", "sha256"), ("HS384", "sha384")])
def test_attack_92_public_key_as_a_shared_secret(alg: str, name: str, key: Any) -> None:
    """What everybody knows, the public key, makes no token valid."""
    token = sign_vc_jwt(credential(key), key)
    for secret in public_forms(key):
        forged = rewritten(token, lambda m, s=secret: hmac.digest(s, m, name), alg=alg)
        with pytest.raises(JoseInvalid) as caught:
            verify_vc(forged)
        assert caught.value.code == "jose.alg"
    # The name of one key's algorithm does not go with another key either.
    for other in KEYS:
        if other is not key:
            with pytest.raises(JoseInvalid):
                verify_vc(rewritten(token, other.sign, alg="ES256" if key is ED25519 else "EdDSA"))


@pytest.mark.parametrize("key", KEYS)
def test_attack_93_key_brought_along(key: Any) -> None:
    """A token that carries its own key, or says where to fetch it, is not verified with that."""
    token = sign_vc_jwt(credential(key), key)
    jwk = public_jwk(STRANGER.verify_key)
    alongs: list[JsonObject] = [
        {"jwk": jwk},
        {"jku": "https://evil.example/keys"},
        {"x5u": "https://evil.example/chain"},
        {"x5c": ["AAAA"]},
        {"jwk": jwk, "kid": key.verification_method},
    ]

    def fetch(_url: str) -> bytes:
        raise AssertionError("nothing is fetched")

    for along in alongs:
        forged = rewritten(token, STRANGER.sign, alg="EdDSA", **along)
        with pytest.raises(JoseInvalid) as caught:
            verify_vc(forged, resolver=Resolver(fetch=fetch))
        assert caught.value.code in ("jose.signature", "jose.alg")
        # And it does no harm in a token that its issuer signed.
        honest = rewritten(token, key.sign, **along)
        assert verify_vc(honest, resolver=Resolver(fetch=fetch)).issuer == key.did


def test_attack_94_key_of_another_did() -> None:
    """A stranger's sound key, named by kid, signs nothing for the issuer or the holder."""
    header: dict[str, Json] = {"kid": STRANGER.verification_method}
    with pytest.raises(ProofInvalid) as caught:
        verify_vc(sign_claims(credential(ED25519), STRANGER, typ="vc+jwt", **header))
    assert caught.value.code == "proof.not_by_controller"
    # Named as the issuer's, it is not in the issuer's document.
    fragment = STRANGER.verification_method.partition("#")[2]
    header["kid"] = f"{ED25519.did}#{fragment}"
    with pytest.raises(ProofInvalid) as caught:
        verify_vc(sign_claims(credential(ED25519), STRANGER, typ="vc+jwt", **header))
    assert caught.value.code == "key.unknown"
    # A document may name a foreign key: that gives its holder no right to speak.
    did = "did:web:evil.example"
    document = document_of(did, STRANGER, ED25519.verification_method)
    with pytest.raises(ProofInvalid):
        verify_vc(
            sign_claims(
                {**credential(ED25519), "issuer": did},
                STRANGER,
                typ="vc+jwt",
                kid=ED25519.verification_method,
            ),
            resolver=serving(document),
        )
    # The same for SD-JWT VC, where iss is what everybody reads.
    claims: JsonObject = {"iss": ED25519.did, "vct": "example"}
    forged = sign_claims(claims, STRANGER, typ="dc+sd-jwt", kid=STRANGER.verification_method)
    with pytest.raises(SdJwtInvalid) as refused:
        verify_sd(
            forged + "~", expected_audience=None, expected_nonce=None, require_key_binding=False
        )
    assert refused.value.code == "sd_jwt.issuer"
    # And for presentations.
    presentation: JsonObject = {
        "@context": [CREDENTIALS_V2],
        "type": ["VerifiablePresentation"],
        "holder": HOLDER.did,
        "nonce": "n",
        "aud": "us",
    }
    with pytest.raises(ProofInvalid):
        verify_vp_jwt(
            sign_claims(presentation, STRANGER, typ="vp+jwt", kid=STRANGER.verification_method),
            expected_challenge="n",
            expected_domain="us",
            now=NOW,
        )


def test_attack_95_replayed_proof_of_the_holder() -> None:
    """A proof made for another moment, place, choice of claims or credential shows nothing."""
    token = issue()
    shown = show(token)
    verify_sd(shown)
    with pytest.raises(PresentationInvalid) as caught:
        verify_sd(shown, expected_nonce="m")
    assert caught.value.code == "presentation.challenge"
    with pytest.raises(PresentationInvalid) as caught:
        verify_sd(shown, expected_audience="them")
    assert caught.value.code == "presentation.domain"
    with pytest.raises(PresentationInvalid) as caught:
        verify_sd(shown, now=NOW + timedelta(minutes=6))
    assert caught.value.code == "presentation.stale"
    proof = shown.rpartition("~")[2]
    for other in (select_disclosures(token, {"/age"}), issue()):
        with pytest.raises(SdJwtInvalid) as refused:
            verify_sd(other + proof)
        assert refused.value.code == "sd_jwt.sd_hash"
    # Without it, the copy is nobody's; with a stranger's, it is not the holder's.
    with pytest.raises(PresentationInvalid):
        verify_sd(token)
    with pytest.raises(JoseInvalid):
        verify_sd(bind_key(token, STRANGER, audience="us", nonce="n", now=NOW))


def test_attack_96_disclosure_of_another_token() -> None:
    """Disclosures cannot be swapped, added, repeated or changed, not even by the holder."""
    first, second = issue(name="A. Person"), issue(name="B. Person")
    token, *mine, _ = first.split("~")
    _, *yours, _ = second.split("~")
    assert verify_sd(show(first)).claims["name"] == "A. Person"
    invented = b64url_encode(b'["AAAAAAAAAAAAAAAAAAAAAA","role","admin"]')
    for disclosures in (yours, [*mine, *yours], [*mine, mine[0]], [*mine, invented]):
        with pytest.raises(SdJwtInvalid):
            verify_sd(show_anyway("~".join([token, *disclosures, ""])))
    salt, name, _ = json.loads(b64url_decode(mine[0]))
    changed = b64url_encode(orjson.dumps([salt, name, "C. Person"]))
    with pytest.raises(SdJwtInvalid) as caught:
        verify_sd(show_anyway("~".join([token, changed, *mine[1:], ""])))
    assert caught.value.code == "sd_jwt.unreferenced"


def show_anyway(text: str) -> str:
    """A holder's proof over anything, as a dishonest holder makes it."""
    digest = b64url_encode(hashlib.sha256(text.encode()).digest())
    return text + sign_claims(binding_claims(digest), HOLDER, typ="kb+jwt")


def test_attack_97_token_of_another_type() -> None:
    """A token made for one thing is not taken for another, though key and signature are right."""
    vc = sign_vc_jwt(credential(ED25519), ED25519)
    vp = sign_vp_jwt(
        {"@context": [CREDENTIALS_V2], "type": ["VerifiablePresentation"]},
        ED25519,
        challenge="n",
        domain="us",
        now=NOW,
    )
    sd = issue()
    proof = show(sd).rpartition("~")[2]
    for token in (vp, sd, sd.partition("~")[0], proof, vc + "~"):
        with pytest.raises(CredentialError) as caught:
            verify_vc(token)
        assert caught.value.code in ("jose.typ", "jose.kid")
    for token in (vc, sd, sd.partition("~")[0], proof):
        with pytest.raises(CredentialError) as caught:
            verify_vp_jwt(token, expected_challenge="n", expected_domain="us", now=NOW)
        assert caught.value.code in ("jose.typ", "jose.kid")
    for token in (vc + "~", vp + "~", proof + "~", vc, vp):
        with pytest.raises(CredentialError) as caught:
            verify_sd(show_anyway(token) if token.endswith("~") else token)
        assert caught.value.code in ("jose.typ", "jose.kid", "sd_jwt.syntax")
    # A credential is no proof of its holder, even one that holds the right claims.
    claims: JsonObject = {
        **json.loads(b64url_decode(proof.split(".")[1])),
        "@context": [CREDENTIALS_V2],
    }
    with pytest.raises(JoseInvalid) as refused:
        verify_sd(sd + sign_claims(claims, HOLDER, typ="vc+jwt"))
    assert refused.value.code == "jose.typ"


def test_attack_98_token_that_costs_much() -> None:
    """Size, number and depth are bounded before anything is decoded, hashed or verified."""
    header = b64url_encode(b'{"alg":"EdDSA","typ":"dc+sd-jwt"}')
    disclosure = b64url_encode(b'["salt","name",1]')
    deep = b64url_encode(b"[" * 40 + b"]" * 40)
    hostile = [
        (f"{header}.{'A' * 4_000_000}.AA~", "jose.too_large"),
        (f"{header}.e30.AA" + f"~{disclosure}" * 200_000 + "~", "jose.too_large"),
        (f"{header}.e30.AA" + "~" * (MAX_DISCLOSURES + 2), "sd_jwt.many"),
        (f"{header}.e30.AA~{deep}~", "sd_jwt.disclosure"),
        ("." * 4_000_000, "jose.too_large"),
        ("~" * 4_000_000, "jose.too_large"),
    ]
    for text, code in hostile:
        tracemalloc.start()
        with pytest.raises(CredentialError) as caught:
            verify_sd(text)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert caught.value.code == code
        assert peak < 1_000_000
        with pytest.raises(CredentialError):
            verify_vc(text)
    # A larger token is read by who asks for it.
    big = sign_claims({"a": "x" * 100_000}, ED25519) + "~"
    assert SdJwt.parse(big, max_chars=200_000).jws.claims()


# -- 99: what ends, binds or limits a token, put where it can be withheld --------------------------


def concealed(content: str, key: Any, claims: JsonObject, pointer: str) -> str:
    header: JsonObject = {"typ": f"{content}+sd-jwt", "kid": key.verification_method}
    return issue_sd_jwt(claims, key, disclosable={pointer}, header=header)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/exp", int(NOW.timestamp()) + 60),
        ("/aud", ["us"]),
        ("/aud/0", ["us"]),
        ("/cnf", {"jwk": public_jwk(HOLDER.verify_key)}),
        ("/cnf/jwk", {"jwk": public_jwk(HOLDER.verify_key)}),
        ("/credentialStatus", {"type": "x"}),
        (
            "/relatedResource",
            [{"id": "https://a.example/r", "digestSRI": "sha256-" + "A" * 43 + "="}],
        ),
        ("/validUntil", "2027-01-01T00:00:00Z"),
    ],
)
def test_attack_99_withheld_end_audience_or_holder(key: Any, pointer: str, value: Json) -> None:
    """A credential whose end, audience, holder or status its holder may leave out has none."""
    name = pointer[1:].partition("/")[0]
    document = {**credential(key), name: value}
    with pytest.raises(CredentialError) as caught:
        sign_vc_jwt(document, key, disclosable={pointer})
    assert caught.value.code == "sd_jwt.always_shown"
    token = concealed("vc", key, document, pointer)
    # The holder itself could leave it out; shown, it tells that it might have been.
    with pytest.raises(SdJwtInvalid) as refused:
        verify_vc(token, expected_audience="us" if name == "aud" else None)
    assert refused.value.code == "sd_jwt.always_shown"


@pytest.mark.parametrize(
    ("pointer", "more"),
    [
        ("/exp", {"exp": int(NOW.timestamp()) + 60}),
        ("/iat", {}),
        ("/nonce", {}),
        ("/aud", {}),
        # To each of two verifiers it would be for that one alone.
        ("/aud/1", {"aud": ["us", "them"]}),
    ],
)
def test_attack_99_presentation_for_whoever_it_is_cut_for(pointer: str, more: JsonObject) -> None:
    """A presentation says for whom, for which moment and until when, and nobody can cut that."""
    document: JsonObject = {
        "@context": [CREDENTIALS_V2],
        "type": "VerifiablePresentation",
        "holder": HOLDER.did,
    }
    expected: Any = {"expected_challenge": "n", "expected_domain": "us", "now": NOW}
    signed: JsonObject = {**document, "nonce": "n", "aud": "us", "iat": int(NOW.timestamp())}
    token = concealed("vp", HOLDER, {**signed, **more}, pointer)
    shown = select_disclosures(token, set() if pointer == "/aud/1" else {pointer})
    with pytest.raises(SdJwtInvalid) as caught:
        verify_vp_jwt(shown, **expected)
    assert caught.value.code == "sd_jwt.always_shown"
    with pytest.raises(CredentialError) as refused:
        sign_vp_jwt(
            document,
            HOLDER,
            challenge="n",
            domain="us",
            now=NOW,
            valid_for=timedelta(minutes=1),
            disclosable={pointer},
        )
    assert refused.value.code == "sd_jwt.always_shown"
