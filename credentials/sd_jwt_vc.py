"""SD-JWT VC: credentials whose claims their holder shows one by one, bound to the holder's key.

What it adds to ``credentials.sd_jwt``: a type, an issuer whose DID document lists the key, times,
and the holder's proof at the moment of showing. Issuers are DIDs; an ``https:`` issuer with a
metadata document, and one known by an X.509 certificate, are not looked up.

Sources: SD-JWT-based Verifiable Credentials (draft-ietf-oauth-sd-jwt-vc) §2 and §3, RFC 9901 §7.
"""

import os
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from credentials.errors import SdJwtInvalid, StatusUnchecked, StructureInvalid
from credentials.forms import is_did
from credentials.jose import (
    PublicKey,
    SecretKey,
    check_audience,
    check_times,
    numeric_date,
    public_jwk,
    resolve_key,
)
from credentials.key_binding import check_key_binding, key_of_holder
from credentials.proof import VerifiedProof
from credentials.sd_jwt import (
    Revealed,
    SdJwt,
    issue_sd_jwt,
    verify_sd_jwt,
)
from credentials.status import WITHOUT_STATUS, Status
from did.json import JsonObject
from did.resolve import OFFLINE, Resolver
from did.time import check_now

MEDIA_TYPE: Final = "dc+sd-jwt"
# What issuers wrote before the type was renamed; read, and never written.
_OLDER_TYPE = "vc+sd-jwt"
# §2.2.2.3: what must be seen by whoever verifies; and for whom it is (RFC 9901 §9.7).
_ALWAYS_SHOWN = frozenset({"iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "status", "aud"})


@dataclass(frozen=True, slots=True)
class VerifiedSdJwtVc:
    """Claims that their issuer signed, as far as the holder shows them.

    ``holder_key`` is the key in ``cnf``; ``key_bound`` says that its holder proved to have it, for
    this audience and nonce. ``disclosed`` has the JSON Pointers of what might have been withheld.
    ``status_checked`` is ``None`` without a status and ``False`` for ``WITHOUT_STATUS``.
    """

    issuer: str
    type: str
    claims: JsonObject = field(repr=False, hash=False)
    disclosed: frozenset[str]
    holder_key: PublicKey | None
    key_bound: bool
    proof: VerifiedProof
    status_checked: bool | None
    secured_by: str = MEDIA_TYPE


def issue_sd_jwt_vc(
    claims: JsonObject,
    key: SecretKey,
    *,
    type_uri: str,
    now: datetime,
    disclosable: AbstractSet[str],
    holder: PublicKey | None,
    valid_for: timedelta | None = None,
    verification_method: str | None = None,
    decoys: int = 0,
    random: Callable[[int], bytes] = os.urandom,
) -> str:
    """Sign a credential of the type ``vct`` for whoever holds the key ``holder``; ends in ``~``.

    Filled in where absent: ``iss`` (the DID of the key), ``iat``, and with ``valid_for`` also
    ``exp``. ``disclosable`` has the JSON Pointers of what may be withheld. Raises
    ``StructureInvalid`` (``sd_jwt.always_shown``, ``sd_jwt.vct``, ``sd_jwt.pointer``, …).
    """
    method = verification_method or key.verification_method
    whole: JsonObject = {
        "iss": method.partition("#")[0],
        "iat": numeric_date(now),
        **claims,
        "vct": type_uri,
    }
    if valid_for is not None and "exp" not in whole:
        whole["exp"] = numeric_date(now + valid_for)
    if holder is not None:
        whole["cnf"] = {"jwk": public_jwk(holder)}
    _check_head(whole, method)
    return issue_sd_jwt(
        whole,
        key,
        disclosable=disclosable,
        header={"typ": MEDIA_TYPE, "kid": method},
        always_shown=_ALWAYS_SHOWN,
        decoys=decoys,
        random=random,
    )


def open_sd_jwt_vc(token: SdJwt, key: PublicKey) -> Revealed:
    """What this key signed, as an SD-JWT VC; nothing else.

    Whose key it is, times, status and the key binding are *not* looked at. Raises ``JoseInvalid``,
    ``SdJwtInvalid`` or ``StructureInvalid``.
    """
    # 1. Explicitly typed (§2.2.1), so that no token made for something else is taken for this.
    token.jws.check_type(MEDIA_TYPE, _OLDER_TYPE)
    # 2. Signature and disclosures (RFC 9901 §7.1), of nothing that a verifier must see (§2.2.2.3).
    revealed = verify_sd_jwt(token, key, always_shown=_ALWAYS_SHOWN)
    # 3. The type of the credential (§2.2.2.1).
    _check_type(revealed.claims)
    return revealed


def verify_sd_jwt_vc(
    text: str,
    *,
    now: datetime,
    status: Status,
    expected_audience: str | None,
    expected_nonce: str | None,
    require_key_binding: bool = True,
    expected_issuer: str | None = None,
    expected_type: str | None = None,
    resolver: Resolver = OFFLINE,
) -> VerifiedSdJwtVc:
    """Verify an SD-JWT VC as it is shown: issuer, disclosures, times, holder (§3.4, RFC 9901 §7.3).

    With ``require_key_binding=False`` a credential without the holder's proof is taken too: then
    anybody who has a copy can show it. A proof that is there is always verified. A ``status`` of
    the credential cannot be checked here: it is refused, except for ``WITHOUT_STATUS``.

    Not checked: whether the nonce was used before, what the claims mean, and the type's metadata.

    Raises ``JoseInvalid``, ``SdJwtInvalid``, ``ProofInvalid``, ``ControllerUnresolved``,
    ``StructureInvalid``, ``TimeInvalid``, ``StatusUnchecked`` or ``PresentationInvalid``.
    """
    check_now(now)
    # 1. The key of the issuer, from the DID document that lists it (§3.5).
    token = SdJwt.parse(text)
    kid = token.jws.kid
    key = resolve_key(kid, purpose="assertionMethod", resolver=resolver, now=now)
    # 2. What it signed.
    revealed = open_sd_jwt_vc(token, key)
    claims = revealed.claims
    # 3. The issuer is the one whose key it is, and the one expected.
    _check_head(claims, kid)
    issuer, kind = str(claims["iss"]), str(claims["vct"])
    if expected_issuer is not None and issuer != expected_issuer:
        raise SdJwtInvalid(
            "the credential is by another issuer", code="sd_jwt.issuer", pointer="/iss"
        )
    if expected_type is not None and kind != expected_type:
        raise SdJwtInvalid("the credential is of another type", code="sd_jwt.vct", pointer="/vct")
    # 4. Audience, where the issuer named one, and times (§2.2.2.2).
    check_audience(claims, expected_audience)
    made, ends = check_times(claims, now)
    # 5. The holder, here and now (RFC 9901 §7.3).
    shown_by = check_key_binding(
        token,
        claims,
        expected_audience=expected_audience,
        expected_nonce=expected_nonce,
        now=now,
        required=require_key_binding,
    )
    # One that proves nothing now must be sound all the same, as it is handed on.
    holder = shown_by or (key_of_holder(claims) if "cnf" in claims else None)
    # 6. Status (§2.2.2.2): Token Status Lists are not carried out here, and silence is no answer.
    if "status" in claims and status is not WITHOUT_STATUS:
        raise StatusUnchecked(
            "the credential has a status of a kind that cannot be checked here",
            code="status.unsupported",
            pointer="/status",
        )
    return VerifiedSdJwtVc(
        issuer=issuer,
        type=kind,
        claims=claims,
        disclosed=frozenset(revealed.disclosed),
        holder_key=holder,
        key_bound=shown_by is not None,
        proof=VerifiedProof(issuer, kid, made, ends),
        status_checked=False if "status" in claims else None,
    )


def _check_head(claims: JsonObject, method: str) -> None:
    issuer = claims.get("iss")
    if not isinstance(issuer, str) or not is_did(issuer):
        raise StructureInvalid("iss must be a DID", code="sd_jwt.issuer", pointer="/iss")
    if method.partition("#")[0] != issuer:
        raise SdJwtInvalid("the key is not one of the issuer", code="sd_jwt.issuer", pointer="/iss")
    _check_type(claims)


def _check_type(claims: JsonObject) -> None:
    kind = claims.get("vct")
    if not isinstance(kind, str) or not kind:
        raise StructureInvalid("vct must name the type", code="sd_jwt.vct", pointer="/vct")
