"""The cryptosuite eddsa-jcs-2022 (Data Integrity EdDSA Cryptosuites 1.0, §3.3).

Each step of the standard is a function of its own, so that its vectors can be held against it.
Nothing here knows whose key it is, what the proof is for or what time it is.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from credentials.errors import StructureInvalid
from credentials.suites.signature import check_signature, malformed_value
from credentials.suites.suite import Signed, Suite
from did.errors import EncodingError, JsonError
from did.json import JsonObject, canonicalize, without
from did.keys import SigningKey, VerifyKey
from did.multikey import base58btc_decode, base58btc_encode

CRYPTOSUITE: Final = "eddsa-jcs-2022"
# 64 bytes take 64 to 88 characters of base58btc, and the z before them.
_MAX_VALUE: Final = 89


def transform(document: JsonObject) -> bytes:
    """§3.3.3: the canonical form of a document, which has no ``proof`` of its own any more."""
    try:
        return canonicalize(document)
    except JsonError as error:
        raise StructureInvalid(str(error), code=error.code, hint=error.hint) from None


def hash_document(document: JsonObject) -> bytes:
    """§3.3.4, first half: SHA-256 of the canonical document."""
    return hashlib.sha256(transform(document)).digest()


def hash_configuration(configuration: JsonObject) -> bytes:
    """§3.3.4 and §3.3.5: SHA-256 of the canonical proof without its ``proofValue``."""
    return hashlib.sha256(transform(configuration)).digest()


def create_value(configuration: JsonObject, document_hash: bytes, key: SigningKey) -> str:
    """§3.3.6: the ``proofValue`` over the hash of the proof, then the hash of the document."""
    return "z" + base58btc_encode(key.sign(hash_configuration(configuration) + document_hash))


def read_value(value: object) -> bytes:
    """The signature in a ``proofValue``: multibase ``z`` (base58btc) of exactly 64 bytes."""
    if type(value) is str and value[:1] == "z" and len(value) <= _MAX_VALUE:
        try:
            signature = base58btc_decode(value[1:])
        except EncodingError:
            signature = b""
        if len(signature) == 64:
            return signature
    raise malformed_value("64 bytes in base58btc multibase (z)")


def verify_value(proof: JsonObject, document_hash: bytes, key: VerifyKey) -> None:
    """§3.3.7: raise ``ProofInvalid`` unless this key signed this proof over this document."""
    signature = read_value(proof.get("proofValue"))
    configuration = without(proof, "proofValue")
    check_signature(key, signature, hash_configuration(configuration) + document_hash)


def _create(signed: Signed, configuration: JsonObject, key: SigningKey, _: Sequence[str]) -> str:
    return create_value(configuration, signed.json_hash(), key)


def _verify(signed: Signed, proof: JsonObject, key: VerifyKey) -> None:
    verify_value(proof, signed.json_hash(), key)


SUITE: Final = Suite(
    CRYPTOSUITE, SigningKey, VerifyKey, lambda method: method.ed25519(), _create, _verify
)
