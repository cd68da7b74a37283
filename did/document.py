"""DID documents: which keys an identifier's controller uses, and for what.

Sources: Controlled Identifiers 1.0 §2 (data model) and §3.3 (retrieving a verification method),
DID Core 1.0 §5 and §6.3.1. Where the two differ the later one holds: a service may go without id.

As long as it is because one document is read here, from its id to its last relationship.
"""

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn, Self

from did.agreement import AgreementPublicKey
from did.errors import DidDocumentError, DidSyntaxError, KeyFormatError, TimeFormatError
from did.identifier import Did, DidUrl
from did.json import Json, JsonObject
from did.keys import VerifyKey
from did.multikey import b64url_decode
from did.time import parse_date_time_stamp

if TYPE_CHECKING:
    from did.ecdsa import EcdsaVerifyKey
    from did.mldsa import MldsaVerifyKey

RELATIONSHIPS = (
    "authentication",
    "assertionMethod",
    "keyAgreement",
    "capabilityInvocation",
    "capabilityDelegation",
)

# DID Core 1.0 §6.3.1 and its successor: what the JSON-LD form of a document begins with.
CONTEXTS = ("https://www.w3.org/ns/did/v1", "https://www.w3.org/ns/did/v1.1")

# RFC 3986 §3, of which only the characters are checked; each comes in one way, so this is quick.
_URI = re.compile(
    r"[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})+"
)
_JWK_TYPES = ("JsonWebKey", "JsonWebKey2020")
# RFC 7518 §6.2.2, §6.3.2, §6.4 and RFC 8037 §2: what only the owner may know.
SECRET_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_SECRET_PROPERTIES = frozenset(
    {"secretKeyMultibase", "secretKeyJwk", "privateKeyMultibase", "privateKeyJwk"}
)


@dataclass(frozen=True, slots=True)
class VerificationMethod:
    """One key in a document. ``id`` is absolute; the key itself is read when it is asked for."""

    id: str
    type: str
    controller: str
    public_key_multibase: str | None = None
    public_key_jwk: JsonObject | None = field(default=None, hash=False)
    expires: datetime | None = None
    revoked: datetime | None = None

    def ed25519(self) -> VerifyKey:
        """The Ed25519 key. Raises ``KeyFormatError``: ``key.kind`` when it is of another kind or
        in a form not read here, ``key.use`` when it says that it is for something else than
        verifying, ``key.unsafe`` when it must not be used."""
        if self.public_key_jwk is not None:
            key = VerifyKey.from_bytes(self._okp("Ed25519"))
            # RFC 8037 §3.1; RFC 9864 §2.2 names Ed25519.
            _check_use(self.public_key_jwk, "EdDSA", "Ed25519")
            return key
        return VerifyKey.from_multikey(self._multibase("Ed25519VerificationKey2020"))

    def x25519(self) -> AgreementPublicKey:
        """The X25519 key. Raises ``KeyFormatError`` (``key.kind``)."""
        if self.public_key_jwk is not None:
            return AgreementPublicKey.from_bytes(self._okp("X25519"))
        return AgreementPublicKey.from_multikey(self._multibase("X25519KeyAgreementKey2020"))

    def ecdsa(self) -> "EcdsaVerifyKey":
        """The P-256 or P-384 key. Raises ``KeyFormatError``: ``key.kind`` when it is of another
        kind, ``key.use`` when it says that it is for something else than verifying, ``key.unsafe``
        when it is off its curve."""
        # Imported when it is needed: who meets only Ed25519 keys loads no second library.
        from did.ecdsa import EcdsaVerifyKey

        jwk = self.public_key_jwk
        if jwk is None:
            return EcdsaVerifyKey.from_multikey(self._multibase("Multikey"))
        if self.type not in _JWK_TYPES:
            _wrong_kind()
        key = EcdsaVerifyKey.from_jwk(jwk)
        _check_use(jwk, key.curve.alg)
        return key

    def mldsa(self) -> "MldsaVerifyKey":
        """The ML-DSA-44 key, published as a Multikey. Raises ``KeyFormatError`` (``key.kind``)."""
        from did.mldsa import MldsaVerifyKey

        return MldsaVerifyKey.from_multikey(self._multibase("Multikey"))

    def _multibase(self, older_type: str) -> str:
        if self.public_key_multibase is None or self.type not in ("Multikey", older_type):
            _wrong_kind()
        return self.public_key_multibase

    def _okp(self, curve: str) -> bytes:
        jwk = self.public_key_jwk or {}
        x = jwk.get("x")
        if (
            self.type not in _JWK_TYPES
            or jwk.get("kty") != "OKP"
            or jwk.get("crv") != curve
            or not isinstance(x, str)
        ):
            _wrong_kind()
        return b64url_decode(x)


@dataclass(frozen=True, slots=True)
class Service:
    """A way to reach the subject. ``endpoint`` is a URL, an object or a list of these; it was
    written by the controller and says nothing about who answers there."""

    id: str | None
    type: tuple[str, ...]
    endpoint: Json = field(hash=False)


@dataclass(frozen=True, slots=True, eq=False)
class DidDocument:
    """What a DID resolves to. Properties unknown here are kept, and come back from ``to_json``."""

    id: Did
    also_known_as: tuple[str, ...]
    controller: tuple[str, ...]
    verification_methods: tuple[VerificationMethod, ...]
    services: tuple[Service, ...]
    _relationships: Mapping[str, Mapping[str, VerificationMethod]] = field(repr=False)
    _known: Mapping[str, VerificationMethod] = field(repr=False)
    _json: JsonObject = field(repr=False)

    @classmethod
    def parse(cls, value: JsonObject, *, expected: Did | None) -> Self:
        """Read a document; ``expected`` is the DID that was asked for.

        ``None`` takes any: then nothing ties the document to a name, and the caller must.
        Not checked: whether the keys are sound (see ``VerificationMethod.ed25519``), and who
        wrote the document.

        Raises ``DidDocumentError``: ``did.wrong_id``, or ``did.document`` for all that is
        malformed, secret key material and repeated method ids included.
        """
        # 1. The subject (CID §2.1.1), and that it is the one asked for (§3.3, step 5).
        subject = Did.parse(_did(value.get("id"), "id"))
        if expected is not None and subject != expected:
            raise DidDocumentError(
                "the document is about another identifier than the one asked for",
                code="did.wrong_id",
            )
        base = str(subject)
        # 2. Verification methods (CID §2.2), each with an id of its own.
        known: dict[str, VerificationMethod] = {}
        methods = tuple(
            _add_method(item, base, known) for item in _list(value, "verificationMethod")
        )
        # 3. Relationships (CID §2.3): references, or methods embedded for that use alone. A
        #    reference that leads out of the document gives no right to anything in it.
        listed = {method.id: method for method in methods}
        relationships: dict[str, Mapping[str, VerificationMethod]] = {}
        for name in RELATIONSHIPS:
            members: dict[str, VerificationMethod] = {}
            for item in _list(value, name):
                if isinstance(item, str):
                    method = listed.get(_absolute(item, base))
                else:
                    method = _add_method(item, base, known)
                if method is not None:
                    if method.id in members:
                        _malformed(f"{name} must not hold a method twice")
                    members[method.id] = method
            relationships[name] = MappingProxyType(members)
        # 4. The rest (CID §2.1.2–2.1.4). Sets hold nothing twice; order means nothing.
        services = tuple(_service(item, base) for item in _list(value, "service"))
        named = [service.id for service in services if service.id is not None]
        if len(set(named)) != len(named):
            _malformed("two services must not have the same id")
        controller = value.get("controller", [])
        return cls(
            id=subject,
            also_known_as=tuple(
                _uri(item, "alsoKnownAs") for item in _set(value.get("alsoKnownAs", []))
            ),
            controller=tuple(
                _did(item, "controller")
                for item in _set([controller] if isinstance(controller, str) else controller)
            ),
            verification_methods=methods,
            services=services,
            _relationships=MappingProxyType(relationships),
            _known=MappingProxyType(known),
            _json=copy.deepcopy(value),
        )

    @property
    def is_json_ld(self) -> bool:
        """Whether the context begins as the JSON-LD form of a document does (DID Core §6.3.1)."""
        context = self._json.get("@context")
        first = context[0] if isinstance(context, list) and context else context
        return first in CONTEXTS

    def relationship(self, name: str) -> tuple[VerificationMethod, ...]:
        """The methods listed or embedded under one of ``RELATIONSHIPS``, whatever their dates."""
        return tuple(self._members(name).values())

    def method_for(self, url: str, *, relationship: str, now: datetime) -> VerificationMethod:
        """The verification method named by ``url``, if it may be used for this, now.

        ``url`` is the absolute DID URL of a proof; ``relationship`` one of ``RELATIONSHIPS``;
        ``now`` an aware datetime. Raises ``DidDocumentError``:

        - ``key.foreign_controller``: the URL is of another DID, or the key's controller is
        - ``key.unknown``: no such method here
        - ``key.not_authorised``: it is here, but not for this relationship
        - ``key.revoked``, ``key.expired``: it was, until a time that has come
        """
        members = self._members(relationship)
        method = members.get(url)
        # 1. The method belongs to this document (CID §3.3, steps 3–6).
        if method is None:
            self._refuse(url)
        # 2. Its id and controller are this document's subject (CID §3.3, steps 7–8).
        base = str(self.id)
        if method.controller != base or not url.startswith(base + "#"):
            raise DidDocumentError(
                "the key is controlled by another identifier", code="key.foreign_controller"
            )
        # 3. It has not been retired (CID §2.2, expires and revoked).
        if method.revoked is not None and method.revoked <= now:
            raise DidDocumentError("the key has been revoked", code="key.revoked")
        if method.expires is not None and method.expires <= now:
            raise DidDocumentError("the key has expired", code="key.expired")
        return method

    def to_json(self) -> JsonObject:
        """The document as it was read; a copy."""
        return copy.deepcopy(self._json)

    def _members(self, relationship: str) -> Mapping[str, VerificationMethod]:
        try:
            return self._relationships[relationship]
        except KeyError:
            raise ValueError(f"a relationship is one of {', '.join(RELATIONSHIPS)}") from None

    def _refuse(self, url: str) -> NoReturn:
        if url in self._known:
            raise DidDocumentError(
                "the key may not be used for this",
                code="key.not_authorised",
                hint="The document must list it under the verification relationship needed.",
            )
        try:
            foreign = DidUrl.parse(url).did != self.id
        except DidSyntaxError:
            foreign = False
        if foreign:
            raise DidDocumentError(
                "the key is of another identifier", code="key.foreign_controller"
            )
        raise DidDocumentError("the document has no such key", code="key.unknown")


def _add_method(item: Json, base: str, known: dict[str, VerificationMethod]) -> VerificationMethod:
    if not isinstance(item, dict):
        _malformed("a verification method must be an object")
    multibase = item.get("publicKeyMultibase")
    jwk = item.get("publicKeyJwk")
    if multibase is not None and jwk is not None:
        _malformed("a verification method must hold one key")
    if not isinstance(multibase, str | None) or not isinstance(jwk, dict | None):
        _malformed("a public key must be a Multikey text or a JWK object")
    if not _SECRET_PROPERTIES.isdisjoint(item) or not SECRET_MEMBERS.isdisjoint(jwk or ()):
        _malformed("a document must not hold secret keys")
    method = VerificationMethod(
        id=_absolute(_string(item.get("id"), "a method's id"), base),
        type=_string(item.get("type"), "a method's type"),
        controller=_did(item.get("controller"), "a method's controller"),
        public_key_multibase=multibase,
        public_key_jwk=copy.deepcopy(jwk),
        expires=_time(item, "expires"),
        revoked=_time(item, "revoked"),
    )
    if method.id in known:
        _malformed("two verification methods must not have the same id")
    known[method.id] = method
    return method


def _service(item: Json, base: str) -> Service:
    if not isinstance(item, dict):
        _malformed("a service must be an object")
    identifier = item.get("id")
    if identifier is not None:
        identifier = _string(identifier, "a service's id")
        identifier = _uri(
            base + identifier if identifier.startswith("#") else identifier, "a service's id"
        )
    kind = item.get("type")
    types = tuple(
        _string(each, "a service's type")
        for each in _set([kind] if isinstance(kind, str) else kind)
    )
    if not types:
        _malformed("a service must have a type")
    endpoint = item.get("serviceEndpoint")
    endpoints = endpoint if isinstance(endpoint, list) else [endpoint]
    for each in endpoints:
        if not isinstance(each, dict):
            _uri(each, "a serviceEndpoint")
    if not endpoints:
        _malformed("a service must have a serviceEndpoint")
    return Service(identifier, types, copy.deepcopy(endpoint))


def _absolute(text: str, base: str) -> str:
    # DID Core §3.2.2: relative references stand on the document's subject. Of these only
    # fragments make sense for a key.
    url = base + text if text.startswith("#") else text
    try:
        DidUrl.parse(url)
    except DidSyntaxError:
        _malformed("a method's id must be a DID URL")
    return url


def _time(item: JsonObject, name: str) -> datetime | None:
    value = item.get(name)
    if value is None:
        return None
    try:
        return parse_date_time_stamp(_string(value, name))
    except TimeFormatError:
        _malformed(f"{name} must be an xsd:dateTimeStamp")


def _list(value: JsonObject, name: str) -> list[Json]:
    items = value.get(name, [])
    if not isinstance(items, list):
        _malformed(f"{name} must be a list")
    return items


def _set(items: Json) -> list[Json]:
    if not isinstance(items, list) or any(not isinstance(item, str) for item in items):
        _malformed("a set of names must be a list of texts")
    if len(set(items)) != len(items):
        _malformed("a set must not hold a member twice")
    return items


def _string(value: Json, name: str) -> str:
    if not isinstance(value, str) or not value:
        _malformed(f"{name} must be a text")
    return value


def _did(value: Json, name: str) -> str:
    try:
        return str(Did.parse(_string(value, name)))
    except DidSyntaxError:
        _malformed(f"{name} must be a DID")


def _uri(value: Json, name: str) -> str:
    text = _string(value, name)
    if _URI.fullmatch(text) is None:
        _malformed(f"{name} must be a URI")
    return text


def _malformed(reason: str) -> NoReturn:
    raise DidDocumentError(f"the document is malformed: {reason}")


def _check_use(jwk: JsonObject, *algorithms: str) -> None:
    # RFC 7517 §4.2–4.4: a key that says what it is for is used for nothing else.
    operations = jwk.get("key_ops", ["verify"])
    if (
        jwk.get("use", "sig") != "sig"
        or jwk.get("alg", algorithms[0]) not in algorithms
        or not isinstance(operations, list)
        or "verify" not in operations
    ):
        raise KeyFormatError("the key is not one for verifying signatures", code="key.use")


def _wrong_kind() -> NoReturn:
    raise KeyFormatError(
        "the verification method does not hold a key of the kind needed",
        code="key.kind",
        hint="Publish it as a Multikey or as a JsonWebKey.",
    )
