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

_CONTEXT: list[Json] = ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"]
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
    if len(did.id) > _MAX_LENGTH:
        _not_supported()
    try:
        codec, raw = decode_multikey(did.id)
    except EncodingError:
        raise DidSyntaxError(
            "the identifier is not a Multikey in base58btc", hint="It begins did:key:z."
        ) from None
    except KeyFormatError as error:
        if error.code == "key.codec":
            _not_supported()
        raise
    methods = [_method(did, did.id)]
    agreement = did.id
    signing: list[Json] = [f"{did}#{did.id}"]
    if codec is Codec.ED25519_PUB:
        agreement = AgreementPublicKey.from_verify_key(VerifyKey.from_bytes(raw)).multikey
        methods.append(_method(did, agreement))
    elif codec in (Codec.P256_PUB, Codec.P384_PUB):
        from did.ecdsa import EcdsaVerifyKey  # a second library, loaded by who needs it

        EcdsaVerifyKey.from_multikey(did.id)
    elif codec is Codec.X25519_PUB:
        signing = []
    else:
        _not_supported()
    document: JsonObject = {
        "@context": list(_CONTEXT),
        "id": str(did),
        "verificationMethod": methods,
    }
    if signing:
        document |= {name: list(signing) for name in _SIGNING}
    document["keyAgreement"] = [f"{did}#{agreement}"]
    return DidDocument.parse(document, expected=did)


def _method(did: Did, multikey: str) -> Json:
    return {
        "id": f"{did}#{multikey}",
        "type": "Multikey",
        "controller": str(did),
        "publicKeyMultibase": multikey,
    }


def _not_supported() -> NoReturn:
    raise MethodNotSupported(
        "did:key is resolved for Ed25519, X25519, P-256 and P-384 keys only",
        code="did.key_kind_not_supported",
    )
