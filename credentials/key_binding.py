"""The holder's proof on an SD-JWT: whoever shows it has the key it was issued to, here and now.

Source: RFC 9901 §4.1.2, §4.3 and §7.3.
"""

from datetime import datetime, timedelta
from typing import Final, NoReturn

from credentials.errors import PresentationInvalid, ProofInvalid, SdJwtInvalid
from credentials.jose import (
    PublicKey,
    SecretKey,
    check_times,
    key_of_jwk,
    numeric_date,
    read_jws,
    sign_claims,
    verify_jws,
)
from credentials.sd_jwt import SdJwt
from did.errors import DidError
from did.json import JsonObject
from did.time import check_now

KEY_BINDING_AGE: Final = timedelta(minutes=5)
"""How long after it was made a key binding is taken, unless the caller says otherwise."""


def bind_key(token: str, holder_key: SecretKey, *, audience: str, nonce: str, now: datetime) -> str:
    """The SD-JWT with a proof that its holder shows it here and now (§4.3).

    ``token`` ends in ``~``. Whether it names ``holder_key`` is for the verifier to see.
    """
    parsed = SdJwt.parse(token)
    if parsed.key_binding is not None:
        raise SdJwtInvalid("there is a key binding already", code="sd_jwt.syntax")
    claims: JsonObject = {
        "iat": numeric_date(now),
        "aud": audience,
        "nonce": nonce,
        "sd_hash": parsed.shown_digest,
    }
    return parsed.shown + sign_claims(claims, holder_key, typ="kb+jwt")


def key_of_holder(claims: JsonObject) -> PublicKey:
    """The key that the issuer bound the claims to, in ``cnf`` (§4.1.2, RFC 7800 §3.2).

    Only a JWK is read. Raises ``SdJwtInvalid`` (``sd_jwt.cnf``).
    """
    confirmation = claims.get("cnf")
    jwk = confirmation.get("jwk") if isinstance(confirmation, dict) else None
    try:
        return key_of_jwk(jwk if isinstance(jwk, dict) else {})
    except (DidError, ProofInvalid):
        raise SdJwtInvalid(
            "cnf must hold a sound public key as a JWK", code="sd_jwt.cnf", pointer="/cnf"
        ) from None


def check_key_binding(
    token: SdJwt,
    claims: JsonObject,
    *,
    expected_audience: str | None,
    expected_nonce: str | None,
    now: datetime,
    required: bool,
) -> PublicKey | None:
    """The key of the holder who shows this here and now, from ``claims``; ``None`` without a
    binding.

    A binding that is there is verified, so both expectations are needed then; and where it is
    ``required``, or something is expected, it must be there. Raises as ``verify_key_binding`` and
    ``key_of_holder`` do.
    """
    expected = (expected_audience, expected_nonce) != (None, None)
    if token.key_binding is None and not required and not expected:
        return None
    holder = key_of_holder(claims)
    verify_key_binding(
        token,
        holder,
        expected_audience=expected_audience or "",
        expected_nonce=expected_nonce or "",
        now=now,
    )
    return holder


def verify_key_binding(
    token: SdJwt,
    key: PublicKey,
    *,
    expected_audience: str,
    expected_nonce: str,
    now: datetime,
    max_age: timedelta = KEY_BINDING_AGE,
) -> None:
    """Return if the holder of the key shows exactly this, here and now (§7.3, step 5).

    Raises ``PresentationInvalid`` (``presentation.expectation``, ``presentation.key_binding``,
    ``presentation.domain``, ``presentation.challenge``, ``presentation.stale``), ``SdJwtInvalid``
    (``sd_jwt.sd_hash``), ``JoseInvalid``, ``TimeInvalid`` or ``StructureInvalid``. Not checked:
    whether the nonce was used before.
    """
    check_now(now)
    # An empty expectation would be met by a binding that says as little.
    if not expected_audience or not expected_nonce:
        _unbound("expectation", "an audience and a nonce must be expected")
    if token.key_binding is None:
        _unbound("key_binding", "there is no proof that its holder shows this")
    # a–d: signature by the holder's key, type, algorithm.
    binding = read_jws(token.key_binding)
    binding.check_type("kb+jwt")
    verify_jws(binding, key)
    claims = binding.claims()
    # e: made a short time ago.
    made, _ = check_times(claims, now)
    if made is None or made < now - max_age:
        _unbound("stale", "the proof of the holder is too old, or does not say when it was made")
    # f: for us, and for this moment.
    if claims.get("aud") != expected_audience:
        _unbound("domain", "the proof of the holder is for somebody else")
    if claims.get("nonce") != expected_nonce:
        _unbound("challenge", "the proof of the holder is for another moment")
    # g: over exactly what was shown.
    if claims.get("sd_hash") != token.shown_digest:
        raise SdJwtInvalid("the proof of the holder is over something else", code="sd_jwt.sd_hash")


def _unbound(reason: str, message: str) -> NoReturn:
    raise PresentationInvalid(message, code=f"presentation.{reason}")
