"""JSON Web Signatures: the compact form, read strictly, signed and verified; and whose key it was.

The only module that knows joserfc. The algorithms are those of our own keys, EdDSA over Ed25519,
ES256 and ES384; joserfc is handed these three and no other, so ``none`` and the symmetric ones do
not exist here. A key decides the algorithm, never the token. Headers that bring a key along
(``jwk``, ``jku``, ``x5u``, ``x5c``) are not looked at: a key comes from the caller, or from the DID
document that ``kid`` names.

Sources: RFC 7515, RFC 7518 §3.4, RFC 8037 §3.1, RFC 9864 §2.2, RFC 8725 (best practices), RFC 7517
§4, RFC 7519 §4.1.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, TypeAlias

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwa import JWSAlgModel
from joserfc.jwk import ECKey, OKPKey

from credentials.controllers import method_of, refusal
from credentials.errors import JoseInvalid, ProofInvalid, StructureInvalid, TimeInvalid
from credentials.proof import SKEW
from did.document import SECRET_MEMBERS, VerificationMethod
from did.ecdsa import EcdsaSigningKey, EcdsaVerifyKey
from did.errors import DidError, DidSyntaxError, EncodingError, JsonError, SignatureInvalid
from did.identifier import DidUrl
from did.json import Json, JsonObject, canonicalize, parse_object
from did.keys import SigningKey, VerifyKey
from did.multikey import b64url_decode, b64url_encode
from did.resolve import Resolver
from did.time import check_now

PublicKey: TypeAlias = VerifyKey | EcdsaVerifyKey
SecretKey: TypeAlias = SigningKey | EcdsaSigningKey

MAX_TOKEN: Final = 65_536
"""How many characters a token may have, unless the caller says otherwise."""

_KNOWN = ("EdDSA", "Ed25519", "ES256", "ES384")
_MAX_HEADER = 8192
_LAST_SECOND = 253_402_300_799  # of the year 9999


@dataclass(frozen=True, slots=True)
class UnverifiedJws:
    """A token that has the shape of a JWS; nobody has looked at the signature."""

    header: JsonObject
    payload: bytes = field(repr=False)
    token: str = field(repr=False)

    @property
    def kid(self) -> str:
        """The ``kid`` of the header. Raises ``JoseInvalid`` (``jose.kid``) without one."""
        kid = self.header.get("kid")
        if not isinstance(kid, str) or not kid:
            raise JoseInvalid("the header must say whose key it is, in kid", code="jose.kid")
        return kid

    def claims(self) -> JsonObject:
        """The payload as one strict JSON object. Raises ``StructureInvalid`` (``json.*``).

        Numbers may have fractions: it is the bytes that were signed, not a form of them.
        """
        return _read_json(self.payload, len(self.payload))

    def check_type(self, *expected: str) -> str:
        """The ``typ`` of the header, which must be one of these media types (RFC 8725 §3.11).

        They are given, and returned, without ``application/``, and compared without regard to
        case (RFC 7515 §4.1.9). Raises ``JoseInvalid`` (``jose.typ``).
        """
        found = _media_type(self.header.get("typ"))
        if found not in expected:
            raise JoseInvalid(f"typ must be {' or '.join(expected)}", code="jose.typ")
        return found


def read_jws(token: str, *, max_chars: int = MAX_TOKEN) -> UnverifiedJws:
    """Read a JWS in compact form (RFC 7515 §7.1).

    Guaranteed: at most ``max_chars`` characters; three parts in canonical base64url; a header of
    strict JSON with an ``alg`` known here and without ``crit`` or ``b64``.

    Raises ``JoseInvalid`` (``jose.too_large``, ``jose.syntax``, ``jose.alg``, ``jose.crit``) or
    ``StructureInvalid`` (``json.*``).
    """
    # 1. Size, before anything else is done.
    if len(token) > max_chars:
        raise JoseInvalid(f"a token must not exceed {max_chars} characters", code="jose.too_large")
    # 2. Three parts, each with one spelling (RFC 7515 §5.2, steps 1, 2, 6 and 7).
    parts = token.split(".")
    try:
        header_bytes, payload, signature = map(b64url_decode, parts)
    except (EncodingError, ValueError):
        raise JoseInvalid("a token is three parts of base64url", code="jose.syntax") from None
    if not header_bytes or not signature:
        raise JoseInvalid("a token must have a header and a signature", code="jose.syntax")
    # 3. The header (step 3), and that it asks for nothing that is not done here (step 5, §4.1.11):
    #    there is no extension that this module understands, b64 of RFC 7797 included.
    header = _read_json(header_bytes, _MAX_HEADER)
    if "crit" in header or "b64" in header:
        raise JoseInvalid("the header demands an extension not known here", code="jose.crit")
    # 4. The algorithm, as one of ours; which one follows from the key (RFC 8725 §3.1–3.2).
    if header.get("alg") not in _KNOWN:
        raise JoseInvalid(
            "the algorithm must be EdDSA, ES256 or ES384",
            code="jose.alg",
            hint="Unsigned tokens and those with a shared secret are never taken.",
        )
    return UnverifiedJws(header, payload, token)


def verify_jws(token: UnverifiedJws, key: PublicKey) -> None:
    """Return if this key signed the token (RFC 7515 §5.2).

    Raises ``JoseInvalid``: ``jose.alg`` when the algorithm is not the one of the key,
    ``jose.signature`` when the signature does not hold. Not checked: whose key it is, and times.
    """
    if token.header["alg"] not in _algorithms(key):
        raise JoseInvalid("the algorithm is not the one of the key", code="jose.alg")
    try:
        jws.deserialize_compact(token.token, _bare(key), registry=_Ours(key))
    except JoseError:
        raise JoseInvalid(
            "the signature does not belong to this key and token", code="jose.signature"
        ) from None


def sign_jws(header: JsonObject, payload: bytes, key: SecretKey) -> str:
    """A JWS in compact form; ``alg`` is filled in from the key (EdDSA for Ed25519)."""
    verify_key = key.verify_key
    protected: JsonObject = {"alg": _algorithms(verify_key)[0], **header}
    return jws.serialize_compact(
        protected, payload, _bare(verify_key), registry=_Ours(verify_key, key.sign)
    )


def sign_claims(claims: JsonObject, key: SecretKey, **header: Json) -> str:
    """A JWS over the canonical form of some claims. Raises ``StructureInvalid`` (``json.*``)."""
    try:
        payload = canonicalize(claims)
    except JsonError as error:
        raise StructureInvalid(str(error), code=error.code, hint=error.hint) from None
    return sign_jws(header, payload, key)


def public_jwk(key: PublicKey) -> JsonObject:
    """A public key as a JWK (RFC 7518 §6.2, RFC 8037 §2)."""
    if isinstance(key, EcdsaVerifyKey):
        return key.jwk
    return {"kty": "OKP", "crv": "Ed25519", "x": b64url_encode(key.bytes)}


def key_of_jwk(jwk: JsonObject) -> PublicKey:
    """The key in a public JWK, for verifying signatures and nothing else (RFC 7517 §4).

    Raises ``KeyFormatError`` (``key.kind``, ``key.unsafe``, ``key.use`` for one meant for another
    use or algorithm, …), ``EncodingError``, or ``ProofInvalid`` (``key.use`` for a secret key).
    """
    if not SECRET_MEMBERS.isdisjoint(jwk):
        raise ProofInvalid("the key is not one for verifying signatures", code="key.use")
    method = VerificationMethod(id="", type="JsonWebKey", controller="", public_key_jwk=jwk)
    return key_of_method(method)


def key_of_method(method: VerificationMethod) -> PublicKey:
    """The Ed25519, P-256 or P-384 key of a verification method. Raises ``KeyFormatError`` or
    ``EncodingError`` as ``key_of_jwk`` does."""
    jwk, multibase = method.public_key_jwk, method.public_key_multibase or ""
    is_ed25519 = multibase.startswith("z6Mk") if jwk is None else jwk.get("kty") == "OKP"
    return method.ed25519() if is_ed25519 else method.ecdsa()


def resolve_key(kid: str, *, purpose: str, resolver: Resolver, now: datetime) -> PublicKey:
    """The key that a ``kid`` names, if its DID document lists it for this purpose, now.

    ``kid`` must be a whole DID URL with a fragment: a short name says nothing about who gave it.
    Raises ``JoseInvalid`` (``jose.kid``), ``ControllerUnresolved``, or ``ProofInvalid`` with the
    ``key.*`` or ``did.*`` code of what is wrong with the key or the document.
    """
    try:
        url = DidUrl.parse(kid)
        if kid != f"{url.did}#{url.fragment}" or not url.fragment:
            raise JoseInvalid("kid must be a DID with a fragment", code="jose.kid")
        return key_of_method(method_of(kid, purpose=purpose, resolver=resolver, now=now))
    except DidSyntaxError as error:
        raise JoseInvalid(
            "kid must be a DID URL with a fragment", code="jose.kid", hint=error.hint
        ) from None
    except DidError as error:
        raise refusal(error) from None


def check_times(claims: JsonObject, now: datetime) -> tuple[datetime | None, datetime | None]:
    """When a token was made and when it ends, having checked both (RFC 7519 §4.1.4–4.1.6).

    ``iat`` and ``nbf`` must not lie in the future beyond the skew, and ``exp`` must. Raises
    ``TimeInvalid``, ``JoseInvalid`` (``jose.future``), or ``StructureInvalid`` (``jose.time``).
    """
    made, begins, ends = (_numeric_date(claims, name) for name in ("iat", "nbf", "exp"))
    if begins is not None and begins > now + SKEW:
        raise TimeInvalid(
            "the token is not valid yet", code="credential.not_yet_valid", pointer="/nbf"
        )
    if ends is not None and now >= ends:
        raise TimeInvalid("the token is over", code="credential.expired", pointer="/exp")
    if made is not None and made > now + SKEW:
        raise JoseInvalid(
            "the token was made in the future",
            code="jose.future",
            hint="Compare the clocks of both machines.",
            pointer="/iat",
        )
    return made, ends


def check_audience(claims: JsonObject, expected: str | None) -> None:
    """Refuse a token that is for others only (RFC 7519 §4.1.3): ``jose.audience``.

    One without ``aud`` is for everybody.
    """
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if "aud" in claims and (expected is None or expected not in named):
        raise JoseInvalid("the token is for somebody else", code="jose.audience", pointer="/aud")


def numeric_date(moment: datetime) -> int:
    """A moment in whole seconds, as ``iat`` and its like have it.

    Raises ``ValueError`` for one without a time zone, which would be taken for local time.
    """
    check_now(moment)
    return int(moment.timestamp())


def _numeric_date(claims: JsonObject, name: str) -> datetime | None:
    if name not in claims:
        return None
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        value = -1
    if not 0 <= value <= _LAST_SECOND:
        raise StructureInvalid(
            f"{name} must be a number of seconds since 1970", code="jose.time", pointer=f"/{name}"
        )
    return datetime.fromtimestamp(value, UTC)


def _read_json(raw: bytes, max_bytes: int) -> JsonObject:
    try:
        return parse_object(raw, max_bytes=max_bytes, allow_floats=True)
    except JsonError as error:
        raise StructureInvalid(str(error), code=error.code, hint=error.hint) from None


def _media_type(value: Json) -> str:
    return value.lower().removeprefix("application/") if isinstance(value, str) else ""


def _algorithms(key: PublicKey) -> tuple[str, ...]:
    """The names of a key's one algorithm; the first is the one to write."""
    return ("EdDSA", "Ed25519") if isinstance(key, VerifyKey) else (key.curve.alg,)


@lru_cache(maxsize=1024)
def _bare(key: PublicKey) -> OKPKey | ECKey:
    """The key as joserfc knows it; it carries the kind of the key and calculates nothing."""
    jwk: Any = public_jwk(key)
    return OKPKey.import_key(jwk) if isinstance(key, VerifyKey) else ECKey.import_key(jwk)


class _Ours(jws.JWSRegistry):
    """What joserfc may use for one key: that key's algorithm, carried out by the key itself.

    So Ed25519 is verified by libsodium here as everywhere, and joserfc's own algorithms, which
    are those of all kinds of keys, are out of reach.
    """

    max_header_length = MAX_TOKEN
    max_payload_length = 2**24
    max_signature_length = 256

    def __init__(self, key: PublicKey, sign: Callable[[bytes], bytes] | None = None) -> None:
        names = _algorithms(key)
        # Headers not known here are to be ignored (RFC 7515 §4).
        super().__init__(algorithms=names, strict_check_header=False)
        self.algorithms = {name: _Algorithm(name, key, sign) for name in names}


class _Algorithm(JWSAlgModel):
    description = "by a key of ours"

    def __init__(
        self, name: str, key: PublicKey, sign: Callable[[bytes], bytes] | None = None
    ) -> None:
        self.name = name
        self.key_type = "OKP" if isinstance(key, VerifyKey) else "EC"
        self._key = key
        self._sign = sign

    def sign(self, msg: bytes, key: Any) -> bytes:  # noqa: ARG002 - joserfc's copy of the key
        if self._sign is None:
            raise TypeError("a public key does not sign")
        return self._sign(msg)

    def verify(self, msg: bytes, sig: bytes, key: Any) -> bool:  # noqa: ARG002 - likewise
        try:
            self._key.verify(sig, msg)
        except SignatureInvalid:
            return False
        return True
