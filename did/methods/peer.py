"""did:peer: identifiers for two parties, that hold their document and never change.

Its kinds ("numalgo"): 0, one key as in did:key; 1, the hash of a genesis document; 2, keys and
services one after the other; 3, the hash of a 2; 4, a whole document, or in its short form the
hash of one. A hash alone does not resolve: who asks brings what it was made of.

Source: the Peer DID Method (DIF), "Generation Method", methods 0 to 4.
"""

import re
from collections.abc import Iterator
from typing import NoReturn

from did.document import RELATIONSHIPS, DidDocument
from did.errors import (
    DidDocumentError,
    DidNotFound,
    DidSyntaxError,
    EncodingError,
    JsonError,
    MethodNotSupported,
)
from did.identifier import MAX_LENGTH, Did
from did.json import Json, JsonObject, canonicalize, parse_object
from did.methods import key
from did.multikey import b64url_decode, base58btc_decode, base58btc_encode, base58btc_multihash

_PURPOSES = {
    "A": "assertionMethod",
    "E": "keyAgreement",
    "V": "authentication",
    "I": "capabilityInvocation",
    "D": "capabilityDelegation",
}
_NAMES = {"t": "type", "s": "serviceEndpoint", "r": "routingKeys", "a": "accept"}
_TYPES: dict[str, Json] = {"dm": "DIDCommMessaging"}
# The varint of multicodec 0x0200 (JSON).
_JSON = b"\x80\x04"
# What a hash in an identifier looks like ("transform" and "encnumbasis"). The grammar asks for no
# more, so a name that no document has, as its bytes are no multihash, is well-formed all the same.
_BASIS = re.compile(r"z[1-9A-HJ-NP-Za-km-z]{46,}")
MAX_GENESIS_BYTES = 65_536


def resolve(did: Did, *, genesis: bytes | None = None, long_form: Did | None = None) -> DidDocument:
    """The document of a did:peer.

    ``genesis`` is needed for kind 1: the stored variant of its first document, byte for byte as
    its maker hashed it. ``long_form`` is needed for kind 3 (a kind 2) and for the short form of
    kind 4. Both are ignored by the others, and checked: what is not what the name was made of is
    refused. Kind 1 gives the *genesis* version; whether the parties have agreed on a later one,
    they know.

    Keys named in kinds 0 and 2 are sound; those in a document of kinds 1 and 4 are read when they
    are asked for, as in any other document.

    Raises ``DidSyntaxError`` (``did.peer_syntax``, and ``did.syntax`` where a key is no Multikey),
    ``MethodNotSupported`` for other kinds (``did.key_kind_not_supported``: for their keys),
    ``DidNotFound`` for a hash without what it was made of, ``KeyFormatError`` as for did:key, and
    ``DidDocumentError`` (``did.wrong_id``: this is not what the name was made of).
    """
    if did.method != "peer":
        raise MethodNotSupported("this is not a did:peer")
    kind, rest = did.id[:1], did.id[1:]
    if kind == "0":
        document = key.document_of(did, rest)
    elif kind == "1":
        document = _of_genesis(did, rest, genesis)
    elif kind == "2":
        document = _of_elements(did, rest)
    elif kind == "3":
        _check_basis(rest)
        long = _long_of(did, long_form)
        document = _of_elements(did, long.id[1:])
        document["alsoKnownAs"] = [str(long)]
    elif kind == "4" and ":" in rest:
        document = _of_long_form(rest, did, short_form(did))
    elif kind == "4":
        _check_basis(rest)
        long = _long_of(did, long_form)
        document = _of_long_form(long.id[1:], did, long)
    else:
        raise MethodNotSupported("of did:peer, the kinds 0 to 4 are known here")
    return DidDocument.parse(document, expected=did)


def did_of_document(document: JsonObject) -> Did:
    """The did:peer of kind 4, in its long form, of an input document.

    This is a document without ``id``, whose methods have relative ids; without a controller they
    get the DID itself. Its JSON is written in the canonical form (RFC 8785). Raises what
    ``resolve`` raises for it, and ``EncodingError`` or ``DidSyntaxError`` when it is too large:
    a DID has at most 2048 characters.
    """
    encoded = "z" + base58btc_encode(_JSON + canonicalize(document))
    did = Did.parse(f"did:peer:4{_hash(encoded.encode('ascii'))}:{encoded}")
    resolve(did)
    return did


def did_of_genesis(stored: bytes) -> Did:
    """The did:peer of kind 1 of a genesis document, in the bytes of its stored variant.

    Raises what ``resolve`` raises for it.
    """
    did = Did("peer", "1" + _hash(stored))
    resolve(did, genesis=stored)
    return did


def short_form(did: Did) -> Did:
    """The short form of a did:peer of kind 2 (a kind 3) or 4: a name for who has seen the long one.

    What is short already comes back as it is. Not checked: whether the long form is a good one.
    """
    if did.method == "peer" and did.id.startswith("2"):
        return Did(did.method, "3" + _hash(did.id[1:].encode("ascii")))
    if did.method == "peer" and did.id.startswith(("3", "4")):
        return Did(did.method, did.id.partition(":")[0])
    raise MethodNotSupported("only a did:peer of kind 2 or 4 has a short form")


def _check_basis(rest: str) -> None:
    if _BASIS.fullmatch(rest) is None:
        _malformed("its hash is 46 characters or more of base58btc (z)")


def _long_of(did: Did, long_form: Did | None) -> Did:
    if long_form is None:
        raise DidNotFound(
            "the short form of a did:peer does not hold its document",
            hint="Ask for the long form, or bring it along.",
        )
    # The hash is checked before anything in the long form is read.
    if long_form == did or short_form(long_form) != did:
        raise DidDocumentError("this is the long form of another did:peer", code="did.wrong_id")
    return long_form


def _of_genesis(did: Did, rest: str, stored: bytes | None) -> JsonObject:
    _check_basis(rest)
    if stored is None:
        raise DidNotFound(
            "a did:peer of kind 1 does not hold its document",
            hint="Bring the genesis document that its maker gave you.",
        )
    # 1. The hash is that of the bytes (Method 1, second step).
    if len(stored) > MAX_GENESIS_BYTES or rest != _hash(stored):
        raise DidDocumentError(
            "this is the genesis document of another did:peer", code="did.wrong_id"
        )
    # 2. The stored variant names its subject nowhere; the resolved one gets its id.
    try:
        document = parse_object(stored, max_bytes=MAX_GENESIS_BYTES)
    except JsonError:
        _malformed("its genesis document is a strict JSON object")
    if "id" in document:
        _malformed("its genesis document must not name its subject")
    document["id"] = str(did)
    for method in _methods(document):
        if method.get("controller") == "#id":
            method["controller"] = str(did)
    return document


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


def _of_long_form(rest: str, subject: Did, other: Did) -> JsonObject:
    """The document of a long form, about ``subject``, which is also known as ``other``."""
    digest, _, encoded = rest.partition(":")
    # 1. The hash is that of the encoded document ("Resolving a DID", decode, step 2).
    if digest != _hash(encoded.encode("ascii")):
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
    document["id"] = str(subject)
    document["alsoKnownAs"] = [*known, str(other)]
    for method in _methods(document):
        method.setdefault("controller", str(subject))
    return document


def _methods(document: JsonObject) -> Iterator[JsonObject]:
    """The methods of a document that does not know its subject: their ids are relative."""
    for name in ("verificationMethod", *RELATIONSHIPS):
        items = document.get(name)
        for method in items if isinstance(items, list) else ():
            if isinstance(method, dict):
                identifier = method.get("id")
                if not isinstance(identifier, str) or not identifier.startswith("#"):
                    _malformed("a method's id is relative")
                yield method


def _hash(data: bytes) -> str:
    return "z" + base58btc_multihash(data)


def _malformed(reason: str) -> NoReturn:
    raise DidSyntaxError(f"the did:peer is malformed: {reason}", code="did.peer_syntax")
