"""did:key: the identifier is the key, so its document is computed and never changes.

Source: the did:key Method (W3C CCG), with keys written as Multikey.
"""

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
# A longer identifier is of no key kind resolved here; decoding it would only cost.
_MAX_LENGTH = 72


def resolve(did: Did) -> DidDocument:
    """The document of a did:key with an Ed25519, X25519, P-256 or P-384 key.

    Ed25519: the key signs under all four signing relationships, and the X25519 key derived from
    it is listed for key agreement. X25519: key agreement alone. P-256 and P-384: the one key
    stands under all five relationships.

    Raises ``DidSyntaxError`` (``did.syntax``) when the identifier is no Multikey,
    ``MethodNotSupported`` (``did.key_kind_not_supported``) for other kinds of keys, and
    ``KeyFormatError`` (``key.unsafe``, ``key.length``) for keys that must not be used.
    """
    if did.method != "key":
        raise MethodNotSupported("this is not a did:key")
    return DidDocument.parse(document_of(did, did.id), expected=did)


def document_of(subject: Did, multikey: str) -> JsonObject:
    """The document of a subject that is one key, and nothing else; raises as ``resolve`` does."""
    codec = check(multikey)
    methods = [_method(subject, multikey)]
    agreement = multikey
    signing: list[Json] = [f"{subject}#{multikey}"]
    if codec is Codec.ED25519_PUB:
        key = VerifyKey.from_multikey(multikey)
        agreement = AgreementPublicKey.from_verify_key(key).multikey
        methods.append(_method(subject, agreement))
    elif codec is Codec.X25519_PUB:
        signing = []
    document: JsonObject = {
        "@context": list(CONTEXT),
        "id": str(subject),
        "verificationMethod": methods,
    }
    if signing:
        document |= {name: list(signing) for name in _SIGNING}
    document["keyAgreement"] = [f"{subject}#{agreement}"]
    return document


def check(multikey: str) -> Codec:
    """The kind of a public key inside an identifier, which is sound; raises as ``resolve`` does."""
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
    elif codec in (Codec.P256_PUB, Codec.P384_PUB):
        from did.ecdsa import EcdsaVerifyKey  # a second library, loaded by who needs it

        EcdsaVerifyKey.from_multikey(multikey)
    elif codec is not Codec.X25519_PUB:
        _not_supported()
    return codec


def _method(did: Did, multikey: str) -> Json:
    return {
        "id": f"{did}#{multikey}",
        "type": "Multikey",
        "controller": str(did),
        "publicKeyMultibase": multikey,
    }


def _not_supported() -> NoReturn:
    raise MethodNotSupported(
        "identifiers are resolved for Ed25519, X25519, P-256 and P-384 keys only",
        code="did.key_kind_not_supported",
    )
