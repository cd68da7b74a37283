"""Credentials and presentations of VCDM 2.0 secured as a JWT, or as an SD-JWT.

The payload is the credential itself, with registered JWT claims beside its properties. Each
function takes both forms: a token with ``~`` in it is an SD-JWT, and says so in its ``typ``. The
signer is a DID, and ``kid`` the DID URL of the key; other ways to find a key are not carried out,
nor is COSE.

As long as it is because credential and presentation are read in the same steps.

Sources: Securing Verifiable Credentials using JOSE and COSE (W3C, 2025) §3.1, §3.2 and §4, VCDM 2.0
§4.13, RFC 7519, RFC 9901.
"""

import os
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NoReturn, TypeAlias

from credentials.contexts import check_foreign_context
from credentials.credential import Credential, read_types
from credentials.envelope import Envelope
from credentials.errors import JoseInvalid, PresentationInvalid, ProofInvalid
from credentials.jose import (
    PublicKey,
    SecretKey,
    UnverifiedJws,
    check_audience,
    check_times,
    numeric_date,
    read_jws,
    resolve_key,
    sign_claims,
    verify_jws,
)
from credentials.key_binding import check_key_binding
from credentials.proof import VerifiedProof
from credentials.sd_jwt import SdJwt, issue_sd_jwt, verify_sd_jwt
from credentials.status import Status
from credentials.statuslist import StatusFound, check_entries
from did.json import Json, JsonObject
from did.multikey import multihash_sha256
from did.resolve import OFFLINE, Resolver
from did.time import check_now

# §3.2.1 and RFC 9901 §9.7: what a verifier needs must be seen; and so must what says of a token who
# made it, for whom, and from when until when.
_OF_TOKENS = frozenset({"@context", "iss", "aud", "iat", "nbf", "exp", "cnf"})
_ALWAYS_SHOWN = {
    "vc": _OF_TOKENS
    | {
        "credentialSchema",
        "credentialStatus",
        "issuer",
        "relatedResource",
        "type",
        "validFrom",
        "validUntil",
    },
    # Holder and type may stand in disclosures, as in the tests of the standard: without them it is
    # no presentation.
    "vp": _OF_TOKENS | {"nonce"},
}
UnverifiedCredential: TypeAlias = Envelope | JsonObject


@dataclass(frozen=True, slots=True)
class VerifiedJwtCredential:
    """A credential that its issuer signed in a token and has not taken back.

    ``credential.raw`` is the payload, disclosures in place. ``secured_by`` is ``vc+jwt`` or
    ``vc+sd-jwt``; ``digest`` is over what was signed, header and payload, and not over the
    signature. ``key_bound`` says that the holder named in ``cnf`` proved to be here.
    ``status_checked`` and ``statuses`` are as in ``VerifiedCredential``.
    """

    credential: Credential
    issuer: str
    digest: str
    proof: VerifiedProof
    secured_by: str
    key_bound: bool
    status_checked: bool | None
    statuses: tuple[StatusFound, ...] = ()


@dataclass(frozen=True, slots=True)
class VerifiedJwtPresentation:
    """A presentation in a token, by ``holder``, for this challenge and domain.

    The credentials inside are covered by the signature and otherwise as they came: each is
    verified on its own.
    """

    holder: str
    types: tuple[str, ...]
    document: JsonObject = field(repr=False, hash=False)
    unverified_credentials: tuple[UnverifiedCredential, ...] = field(repr=False, hash=False)
    digest: str
    proof: VerifiedProof
    secured_by: str


def sign_vc_jwt(
    credential: JsonObject,
    key: SecretKey,
    *,
    verification_method: str | None = None,
    disclosable: AbstractSet[str] | None = None,
    decoys: int = 0,
    random: Callable[[int], bytes] = os.urandom,
) -> str:
    """Secure a credential as a JWT (§3.1.1), or with ``disclosable`` as an SD-JWT (§3.2.1).

    ``disclosable`` has the JSON Pointers of what may be withheld. No claims are added: without
    ``exp`` the signature does not end, and ``validUntil`` ends the credential.

    Raises ``StructureInvalid`` or ``ContextRefused`` for what is no credential, and
    ``ProofInvalid`` (``proof.not_by_controller``) when the issuer is not the one whose key it is.
    """
    method = verification_method or key.verification_method
    _check_controller(Credential.parse(credential).issuer, method, "/issuer")
    _check_claims(credential, "vc")
    return _sign(
        "vc",
        credential,
        key,
        method=method,
        disclosable=disclosable,
        decoys=decoys,
        random=random,
    )


def open_vc_jwt(token: str, key: PublicKey) -> Credential:
    """The credential that this key signed; nothing else.

    For the vectors of the standard, and for keys known in another way. Whose key it is, times,
    status and a key binding are *not* looked at. Raises ``JoseInvalid``, ``SdJwtInvalid``,
    ``StructureInvalid`` or ``ContextRefused``.
    """
    return Credential.parse(_Token.read(token, "vc").open(key))


def verify_vc_jwt(
    token: str,
    *,
    now: datetime,
    status: Status,
    resolver: Resolver = OFFLINE,
    expected_issuer: str | None = None,
    expected_audience: str | None = None,
    expected_nonce: str | None = None,
) -> VerifiedJwtCredential:
    """Verify a credential in a JWT or SD-JWT: signature, issuer, window and status.

    ``expected_audience`` and ``expected_nonce`` demand that the holder of an SD-JWT proves to have
    the key in its ``cnf``; a proof that is there must be expected. Not checked: what the claims
    mean, schemas and related resources, and whether the nonce was used before.

    Raises ``JoseInvalid``, ``SdJwtInvalid``, ``StructureInvalid``, ``ContextRefused``,
    ``ProofInvalid``, ``ControllerUnresolved``, ``TimeInvalid``, ``PresentationInvalid``,
    ``Withdrawn``, ``StatusUnchecked`` or ``StatusInvalid``.
    """
    check_now(now)
    # 1. The key that kid names, for assertions (§4.1.1).
    read = _Token.read(token, "vc")
    kid = read.jws.kid
    key = resolve_key(kid, purpose="assertionMethod", resolver=resolver, now=now)
    # 2. Signature, disclosures, and the shape of a credential.
    claims = read.open(key)
    credential = Credential.parse(claims)
    # 3. The issuer is the one whose key it is (§4.2), and the one expected.
    _check_controller(credential.issuer, kid, "/issuer")
    if expected_issuer is not None and credential.issuer != expected_issuer:
        raise ProofInvalid(
            "the credential is by another issuer", code="proof.issuer", pointer="/issuer"
        )
    # 4. For us, if the issuer named somebody; the signature's own times (§3.1.3), then those of the
    #    credential (VCDM 2.0 §4.9).
    check_audience(claims, expected_audience)
    made, ends = check_times(claims, now)
    credential.check_window(now)
    # 5. The holder, where there is or must be a proof of it (RFC 9901 §7.3).
    binding = {"expected_audience": expected_audience, "expected_nonce": expected_nonce}
    if read.sd_jwt is not None:
        holder = check_key_binding(read.sd_jwt, claims, now=now, required=False, **binding)
    elif binding == {"expected_audience": None, "expected_nonce": None}:
        holder = None
    else:
        raise PresentationInvalid(
            "a JWT has no proof of its holder", code="presentation.key_binding"
        )
    # 6. Status (VCDM 2.0 §4.10).
    found = (
        check_entries(
            credential.status, status, issuer=credential.issuer, now=now, resolver=resolver
        )
        if credential.status
        else ()
    )
    return VerifiedJwtCredential(
        credential=credential,
        issuer=credential.issuer,
        digest=read.digest,
        proof=VerifiedProof(credential.issuer, kid, made, ends),
        secured_by=read.secured_by,
        key_bound=holder is not None,
        status_checked=None if not credential.status else found is not None,
        statuses=found or (),
    )


def sign_vp_jwt(
    presentation: JsonObject,
    key: SecretKey,
    *,
    challenge: str,
    domain: str,
    now: datetime,
    valid_for: timedelta | None = None,
    verification_method: str | None = None,
    disclosable: AbstractSet[str] | None = None,
    random: Callable[[int], bytes] = os.urandom,
) -> str:
    """Secure a presentation for one verifier and moment, as a JWT (§3.1.2) or SD-JWT (§3.2.2).

    ``holder`` is filled in when it is absent; ``nonce``, ``aud``, ``iat`` and with ``valid_for``
    also ``exp`` are set. Raises ``StructureInvalid``, ``ContextRefused``, ``JoseInvalid``, or
    ``ProofInvalid`` when the holder is not the one whose key it is.
    """
    method = verification_method or key.verification_method
    document: JsonObject = {
        "holder": method.partition("#")[0],
        **presentation,
        "nonce": challenge,
        "aud": domain,
        "iat": numeric_date(now),
    }
    if valid_for is not None:
        document["exp"] = numeric_date(now + valid_for)
    _check_claims(document, "vp")
    parsed = _Presentation.parse(document)
    _check_controller(parsed.holder, method, "/holder")
    return _sign("vp", document, key, method=method, disclosable=disclosable, random=random)


def open_vp_jwt(token: str, key: PublicKey) -> tuple[JsonObject, tuple[UnverifiedCredential, ...]]:
    """The presentation that this key signed and what it carries; nothing else.

    For the vectors of the standard. Whose key it is, for whom and when are *not* looked at. Raises
    ``JoseInvalid``, ``SdJwtInvalid``, ``StructureInvalid`` or ``ContextRefused``.
    """
    parsed = _Presentation.parse(_Token.read(token, "vp").open(key))
    return parsed.document, parsed.credentials


def verify_vp_jwt(
    token: str,
    *,
    expected_challenge: str,
    expected_domain: str,
    now: datetime,
    resolver: Resolver = OFFLINE,
) -> VerifiedJwtPresentation:
    """Verify that the holder signed this for exactly this challenge (nonce) and domain (aud).

    Not checked: whether the challenge was used before, and the credentials inside.

    Raises ``PresentationInvalid``, ``JoseInvalid``, ``SdJwtInvalid``, ``StructureInvalid``,
    ``ContextRefused``, ``ProofInvalid``, ``ControllerUnresolved`` or ``TimeInvalid``.
    """
    check_now(now)
    # 1. An empty expectation would be met by any token that says as little.
    if not expected_challenge or not expected_domain:
        _unfit("expectation", "a challenge and a domain must be expected")
    # 2. The key that kid names, for authentication (§4.1.1).
    read = _Token.read(token, "vp")
    if read.sd_jwt is not None and read.sd_jwt.key_binding is not None:
        _unfit("key_binding", "a presentation is signed by its holder, once")
    kid = read.jws.kid
    key = resolve_key(kid, purpose="authentication", resolver=resolver, now=now)
    # 3. Signature, disclosures, and the shape of a presentation.
    claims = read.open(key)
    parsed = _Presentation.parse(claims)
    # 4. The holder is the one whose key it is (§4.2).
    _check_controller(parsed.holder, kid, "/holder")
    # 5. For this moment and for us alone, now.
    if claims.get("nonce") != expected_challenge:
        _unfit("challenge", "the nonce of the token is not the one expected", "/nonce")
    if claims.get("aud") not in (expected_domain, [expected_domain]):
        _unfit("domain", "the token is for somebody else, or not for us alone", "/aud")
    made, ends = check_times(claims, now)
    return VerifiedJwtPresentation(
        holder=parsed.holder,
        types=parsed.types,
        document=claims,
        unverified_credentials=parsed.credentials,
        digest=read.digest,
        proof=VerifiedProof(parsed.holder, kid, made, ends),
        secured_by=read.secured_by,
    )


@dataclass(frozen=True, slots=True)
class _Token:
    content: str
    jws: UnverifiedJws
    sd_jwt: SdJwt | None
    secured_by: str

    @classmethod
    def read(cls, token: str, content: str) -> "_Token":
        sd_jwt = SdJwt.parse(token) if "~" in token else None
        jws = read_jws(token) if sd_jwt is None else sd_jwt.jws
        # §3.1.1: these are what typ and cty should be. A token of another type was made for
        # something else (RFC 8725 §3.11), and one without a type may have been.
        secured_by = jws.check_type(f"{content}+jwt" if sd_jwt is None else f"{content}+sd-jwt")
        if jws.header.get("cty", content) not in (content, f"application/{content}"):
            raise JoseInvalid(f"cty must be {content}", code="jose.cty")
        return cls(content, jws, sd_jwt, secured_by)

    def open(self, key: PublicKey) -> JsonObject:
        if self.sd_jwt is None:
            verify_jws(self.jws, key)
            claims = self.jws.claims()
        else:
            shown = _ALWAYS_SHOWN[self.content]
            claims = verify_sd_jwt(self.sd_jwt, key, always_shown=shown).claims
        _check_claims(claims, self.content)
        # RFC 7519 §5.3: what the header repeats is the same.
        for name in ("iss", "sub", "aud"):
            if name in self.jws.header and self.jws.header[name] != claims.get(name):
                _conflict(name)
        return claims

    @property
    def digest(self) -> str:
        return multihash_sha256(self.jws.token.rpartition(".")[0].encode())


@dataclass(frozen=True, slots=True)
class _Presentation:
    holder: str
    types: tuple[str, ...]
    credentials: tuple[UnverifiedCredential, ...]
    document: JsonObject

    @classmethod
    def parse(cls, document: JsonObject) -> "_Presentation":
        """The shape of a presentation (VCDM 2.0 §4.13), as far as it was disclosed."""
        check_foreign_context(document)
        types = read_types(document, "VerifiablePresentation")
        holder = document.get("holder", document.get("iss"))
        named = _id(holder)
        if not isinstance(named, str):
            _unfit("holder", "the holder must be a DID")
        value = document.get("verifiableCredential", [])
        inside = value if isinstance(value, list) else [value]
        return cls(named, types, tuple(map(_read_inside, inside)), document)


def _read_inside(value: Json) -> UnverifiedCredential:
    # §3.1.2: a credential in a presentation is secured, by an envelope or by a proof of its own.
    if isinstance(value, dict) and "proof" in value:
        return value
    return Envelope.parse(value)


def _sign(
    content: str,
    document: JsonObject,
    key: SecretKey,
    *,
    method: str,
    disclosable: AbstractSet[str] | None,
    decoys: int = 0,
    random: Callable[[int], bytes],
) -> str:
    header: dict[str, Json] = {"cty": content, "kid": method}
    if disclosable is None:
        return sign_claims(document, key, typ=f"{content}+jwt", **header)
    header["typ"] = f"{content}+sd-jwt"
    return issue_sd_jwt(
        document,
        key,
        disclosable=disclosable,
        header=header,
        always_shown=_ALWAYS_SHOWN[content],
        decoys=decoys,
        random=random,
    )


def _check_controller(named: str, method: str, pointer: str) -> None:
    if method.partition("#")[0] != named:
        raise ProofInvalid(
            "the key is not one of who must sign this",
            code="proof.not_by_controller",
            pointer=pointer,
        )


def _check_claims(claims: JsonObject, content: str) -> None:
    # §1.1.2.1: these held the credential in version 1.1, where its properties meant other things.
    if "vc" in claims or "vp" in claims:
        raise JoseInvalid("the claims vc and vp must not be there", code="jose.claims")
    # §3.1.3: a claim and the property of the same meaning must not contradict each other.
    subject = claims.get("credentialSubject")
    for name, same in (
        ("iss", _id(claims.get("issuer" if content == "vc" else "holder"))),
        ("jti", claims.get("id")),
        ("sub", subject.get("id") if isinstance(subject, dict) else None),
    ):
        if name in claims and same is not None and claims[name] != same:
            _conflict(name)


def _id(value: Json) -> Json:
    """Who is meant, by a name or by an object with it."""
    return value.get("id") if isinstance(value, dict) else value


def _conflict(name: str) -> NoReturn:
    raise JoseInvalid(
        f"{name} says something else than what it repeats", code="jose.conflict", pointer=f"/{name}"
    )


def _unfit(reason: str, message: str, pointer: str = "") -> NoReturn:
    raise PresentationInvalid(message, code=f"presentation.{reason}", pointer=pointer)
