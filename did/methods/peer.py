"""did:peer: identifiers for two parties, that hold their document and never change.

Of its kinds ("numalgo"), those are read here whose document can be computed: 0, one key as in
did:key; 2, keys and services one after the other; 4 in its long form, a whole document.

Source: the Peer DID Method (DIF), "Generation Method", methods 0, 2 and 4.
"""

import hashlib
from typing import NoReturn

from did.document import RELATIONSHIPS, DidDocument
from did.errors import (
    DidNotFound,
    DidSyntaxError,
    EncodingError,
    JsonError,
    MethodNotSupported,
)
from did.identifier import MAX_LENGTH, Did
from did.json import Json, JsonObject, canonicalize, parse_object
from did.methods import key
from did.multikey import b64url_decode, base58btc_decode, base58btc_encode

_PURPOSES = {
    "A": "assertionMethod",
    "E": "keyAgreement",
    "V": "authentication",
    "I": "capabilityInvocation",
    "D": "capabilityDelegation",
}
_NAMES = {"t": "type", "s": "serviceEndpoint", "r": "routingKeys", "a": "accept"}
_TYPES: dict[str, Json] = {"dm": "DIDCommMessaging"}
# The varint of multicodec 0x0200 (JSON), and of multihash 0x12 (SHA-256) with its 32 bytes.
_JSON = b"\x80\x04"
_SHA2_256 = b"\x12\x20"


def resolve(did: Did) -> DidDocument:
    """The document of a did:peer of kind 0, 2 or 4 (long form).

    Keys named in kinds 0 and 2 are sound; those in a document of kind 4 are read when they are
    asked for, as in any other document.

    Raises ``DidSyntaxError`` (``did.peer_syntax``, and ``did.syntax`` where a key is no Multikey),
    ``MethodNotSupported`` for other kinds (``did.key_kind_not_supported``: for their keys),
    ``DidNotFound`` for a short form, which does not hold its document, ``KeyFormatError`` as for
    did:key, and ``DidDocumentError``.
    """
    if did.method != "peer":
        raise MethodNotSupported("this is not a did:peer")
    kind, rest = did.id[:1], did.id[1:]
    if kind == "0":
        document = key.document_of(did, rest)
    elif kind == "2":
        document = _of_elements(did, rest)
    elif kind == "4":
        document = _of_long_form(did, rest)
    else:
        raise MethodNotSupported("of did:peer, the kinds 0, 2 and 4 are known here")
    return DidDocument.parse(document, expected=did)


def did_of_document(document: JsonObject) -> Did:
    """The did:peer of kind 4, in its long form, of an input document.

    This is a document without ``id``, whose methods have relative ids; without a controller they
    get the DID itself. Its JSON is written in the canonical form (RFC 8785). Raises what
    ``resolve`` raises for it, and ``EncodingError`` or ``DidSyntaxError`` when it is too large:
    a DID has at most 2048 characters.
    """
    encoded = "z" + base58btc_encode(_JSON + canonicalize(document))
    did = Did.parse(f"did:peer:4{_hash(encoded)}:{encoded}")
    resolve(did)
    return did


def short_form(did: Did) -> Did:
    """The short form of a did:peer of kind 4: a name for who has seen the long one."""
    if did.method != "peer" or not did.id.startswith("4"):
        raise MethodNotSupported("only a did:peer of kind 4 has a short form")
    return Did(did.method, did.id.partition(":")[0])


def _of_elements(did: Did, rest: str) -> JsonObject:
    # 1. Elements, each behind a full stop (Method 2, "Resolving", split).
    empty, *elements = rest.split(".")
    if empty or not elements:
        _malformed("its elements stand behind full stops")
    methods: list[Json] = []
    services: list[JsonObject] = []
    relationships: dict[str, list[Json]] = {}
    for element in elements:
        purpose, content = element[:1], element[1:]
        if purpose in _PURPOSES:
            # 2. A key: numbered from 1 in their order, each with its one purpose.
            key.check(content)
            name = f"#key-{len(methods) + 1}"
            methods.append(
                {
                    "id": name,
                    "type": "Multikey",
                    "controller": str(did),
                    "publicKeyMultibase": content,
                }
            )
            relationships.setdefault(_PURPOSES[purpose], []).append(name)
        elif purpose == "S":
            services.append(_service(content))
        else:
            _malformed("an element is a key (A, E, V, I, D) or a service (S)")
    _name_services(services, taken=len(methods))
    document: JsonObject = {
        "@context": list(key.CONTEXT),
        "id": str(did),
        "verificationMethod": methods,
    }
    document |= relationships
    if services:
        document["service"] = [*services]
    return document


def _service(content: str) -> JsonObject:
    # 3. A service: one JSON object in base64url, its common names abbreviated.
    try:
        service = parse_object(b64url_decode(content), max_bytes=MAX_LENGTH)
    except (EncodingError, JsonError):
        _malformed("a service is a JSON object in base64url")
    return _expanded(service)


def _expanded(value: JsonObject) -> JsonObject:
    # The depth is bounded by the parser.
    expanded: JsonObject = {}
    for short, item in value.items():
        name = _NAMES.get(short, short)
        if name in expanded:
            _malformed("a service has a name twice, in full and abbreviated")
        if name == "type" and isinstance(item, str):
            expanded[name] = _TYPES.get(item, item)
        else:
            expanded[name] = _expanded_within(item)
    return expanded


def _expanded_within(value: Json) -> Json:
    if isinstance(value, list):
        return [_expanded_within(item) for item in value]
    return _expanded(value) if isinstance(value, dict) else value


def _name_services(services: list[JsonObject], *, taken: int) -> None:
    # 4. A service's id is relative; those without one are named in their order.
    nameless = 0
    names: list[Json] = [f"#key-{number}" for number in range(1, taken + 1)]
    for service in services:
        if "id" not in service:
            service["id"] = f"#service-{nameless}" if nameless else "#service"
            nameless += 1
        name = service["id"]
        if not isinstance(name, str) or not name.startswith("#"):
            _malformed("a service's id is relative")
        if name in names:
            _malformed("two of its parts must not have the same id")
        names.append(name)


def _of_long_form(did: Did, rest: str) -> JsonObject:
    digest, colon, encoded = rest.partition(":")
    if not colon:
        raise DidNotFound(
            "the short form of a did:peer does not hold its document",
            hint="Ask for the long form, which begins with the short one.",
        )
    # 1. The hash is that of the encoded document ("Resolving a DID", decode, step 2).
    if digest != _hash(encoded):
        _malformed("its hash is not that of its document")
    # 2. The document (step 3).
    if not encoded.startswith("z"):
        _malformed("its document is written in base58btc (z)")
    try:
        data = base58btc_decode(encoded[1:])
        document = parse_object(data.removeprefix(_JSON), max_bytes=MAX_LENGTH)
    except (EncodingError, JsonError):
        _malformed("its document is a JSON object in base58btc")
    if not data.startswith(_JSON):
        _malformed("its document is not marked as JSON")
    if "id" in document:
        _malformed("its document must not name its subject")
    # 3. Put it into the context of the DID (contextualize, steps 2–4).
    known = document.get("alsoKnownAs", [])
    if not isinstance(known, list):
        _malformed("alsoKnownAs must be a list")
    document["id"] = str(did)
    document["alsoKnownAs"] = [*known, str(short_form(did))]
    for name in ("verificationMethod", *RELATIONSHIPS):
        items = document.get(name)
        for item in items if isinstance(items, list) else ():
            if isinstance(item, dict):
                _contextualize(item, did)
    return document


def _contextualize(method: JsonObject, did: Did) -> None:
    identifier = method.get("id")
    if not isinstance(identifier, str) or not identifier.startswith("#"):
        _malformed("a method's id is relative")
    method.setdefault("controller", str(did))


def _hash(encoded: str) -> str:
    digest = hashlib.sha256(encoded.encode("ascii")).digest()
    return "z" + base58btc_encode(_SHA2_256 + digest)


def _malformed(reason: str) -> NoReturn:
    raise DidSyntaxError(f"the did:peer is malformed: {reason}", code="did.peer_syntax")
