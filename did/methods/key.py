"""did:key: the identifier is the key, so its document is computed and never changes.

Every kind of key that the method names is resolved. Only Ed25519, P-256 and P-384 keys can verify
anything here: a method with another kind refuses to hand its key out (``key.kind``).

Source: the did:key Method (W3C CCG), §3.1 with its option ``publicKeyFormat``; Controlled
Identifiers 1.0 §2.2.2 and §2.2.3 for Multikey and JsonWebKey.
"""

from enum import Enum
from typing import NoReturn

from did.agreement import AgreementPublicKey
from did.document import DidDocument
from did.errors import DidSyntaxError, EncodingError, KeyFormatError, MethodNotSupported
from did.identifier import Did
from did.json import Json, JsonObject
from did.keys import VerifyKey
from did.multikey import Codec, decode_multikey

CONTEXT: list[Json] = ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"]
_SIGNING = ("authentication", "assertionMethod", "capabilityInvocation", "capabilityDelegation")
# The Multikey of an RSA-4096 key, the longest there is: decoding a longer text would only cost.
_MAX_LENGTH = 728
# Keys that only sign. All others but X25519 stand under key agreement as well, as published.
_BLS = (Codec.BLS12_381_G1_PUB, Codec.BLS12_381_G2_PUB, Codec.BLS12_381_G1G2_PUB)


class KeyFormat(Enum):
    """How a document writes its keys."""

    MULTIKEY = "Multikey"
    JSON_WEB_KEY = "JsonWebKey"
    JSON_WEB_KEY_2020 = "JsonWebKey2020"
    ED25519_2020 = "Ed25519VerificationKey2020"


_JWK_CONTEXTS = {
    KeyFormat.JSON_WEB_KEY: "https://w3id.org/security/jwk/v1",
    KeyFormat.JSON_WEB_KEY_2020: "https://w3id.org/security/suites/jws-2020/v1",
}
# Type and context of the suites of 2020, by kind of key.
_SUITES_2020 = {
    Codec.ED25519_PUB: (
        "Ed25519VerificationKey2020",
        "https://w3id.org/security/suites/ed25519-2020/v1",
    ),
    Codec.X25519_PUB: (
        "X25519KeyAgreementKey2020",
        "https://w3id.org/security/suites/x25519-2020/v1",
    ),
}


def resolve(did: Did, *, public_key_format: KeyFormat = KeyFormat.MULTIKEY) -> DidDocument:
    """The document of a did:key.

    Ed25519: the key signs under all four signing relationships, and the X25519 key derived from
    it is listed for key agreement. X25519: key agreement alone. BLS12-381: the four signing
    relationships. P-256, P-384, P-521, secp256k1 and RSA: all five.

    The key is checked: of a BLS12-381 key only the length (see ``did.keykinds``).

    Raises ``DidSyntaxError`` (``did.syntax``) when the identifier is no Multikey,
    ``MethodNotSupported`` (``did.key_kind_not_supported``) for kinds of keys not known here and
    for a format that does not know the kind, and ``KeyFormatError`` (``key.unsafe``,
    ``key.length``) for keys that must not be used.
    """
    if did.method != "key":
        raise MethodNotSupported("this is not a did:key")
    return DidDocument.parse(document_of(did, did.id, public_key_format), expected=did)


def document_of(
    subject: Did, multikey: str, public_key_format: KeyFormat = KeyFormat.MULTIKEY
) -> JsonObject:
    """The document of a subject that is one key, and nothing else; raises as ``resolve`` does."""
    codec, raw = _read(multikey)
    keys = {multikey: (codec, raw)}
    agreement = multikey
    if codec is Codec.ED25519_PUB:
        derived = AgreementPublicKey.from_verify_key(VerifyKey.from_bytes(raw))
        agreement = derived.multikey
        keys[agreement] = (Codec.X25519_PUB, derived.bytes)
    contexts: list[Json] = [CONTEXT[0]]
    methods: list[Json] = []
    for name, key in keys.items():
        context, body = _written(name, *key, public_key_format)
        if context not in contexts:
            contexts.append(context)
        methods.append(body | {"id": f"{subject}#{name}", "controller": str(subject)})
    document: JsonObject = {
        "@context": contexts,
        "id": str(subject),
        "verificationMethod": methods,
    }
    if codec is not Codec.X25519_PUB:
        document |= {name: [f"{subject}#{multikey}"] for name in _SIGNING}
    if codec not in _BLS:
        document["keyAgreement"] = [f"{subject}#{agreement}"]
    return document


def check(multikey: str) -> Codec:
    """The kind of a public key inside an identifier, which is sound; raises as ``resolve`` does."""
    return _read(multikey)[0]


def _read(multikey: str) -> tuple[Codec, bytes]:
    if len(multikey) > _MAX_LENGTH:
        _not_supported()
    try:
        codec, raw = decode_multikey(multikey)
    except EncodingError:
        raise DidSyntaxError(
            "the identifier is not a Multikey in base58btc", hint="A Multikey begins with z."
        ) from None
    except KeyFormatError as error:
        if error.code == "key.codec":
            _not_supported()
        raise
    if codec is Codec.ED25519_PUB:
        VerifyKey.from_bytes(raw)
    elif codec is not Codec.X25519_PUB:
        from did import keykinds  # a second library, loaded by who needs it

        keykinds.check(codec, raw)
    return codec, raw


def _written(
    multikey: str, codec: Codec, raw: bytes, public_key_format: KeyFormat
) -> tuple[str, JsonObject]:
    """The context that a method needs, and what it says about its key."""
    if public_key_format in _JWK_CONTEXTS:
        from did import keykinds

        jwk = keykinds.jwk_of(codec, raw)
        return _JWK_CONTEXTS[public_key_format], {
            "type": public_key_format.value,
            "publicKeyJwk": jwk,
        }
    if public_key_format is KeyFormat.MULTIKEY:
        return str(CONTEXT[1]), {"type": "Multikey", "publicKeyMultibase": multikey}
    if codec not in _SUITES_2020:
        raise MethodNotSupported(
            "this format knows Ed25519 and X25519 keys only", code="did.key_kind_not_supported"
        )
    kind, context = _SUITES_2020[codec]
    return context, {"type": kind, "publicKeyMultibase": multikey}


def _not_supported() -> NoReturn:
    raise MethodNotSupported(
        "the identifier holds a key of a kind not known here", code="did.key_kind_not_supported"
    )
