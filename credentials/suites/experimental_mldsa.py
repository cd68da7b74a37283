"""An experiment of ours: ML-DSA-44 over JCS, as a second signature in a proof set.

**It never counts by itself.** Its name says so, it will change without notice, and W3C's own suites
for this are a first draft. A document needs an eddsa or ecdsa proof that holds beside it; whoever
dispatches over suites must see to that. What it adds: who can forge the other signature one day
cannot forge this one, if the verifier asks for both. The proofs of a set do not cover each other,
so a verifier who does not ask for both gains nothing.

The steps are those of eddsa-jcs-2022 with another signature, in base64url for its length.
"""

from collections.abc import Sequence
from typing import Final

from credentials.suites.eddsa_jcs import hash_configuration
from credentials.suites.signature import check_signature, malformed_value
from credentials.suites.suite import Signed, Suite
from did.errors import EncodingError
from did.json import JsonObject, without
from did.mldsa import SIGNATURE_BYTES, MldsaSigningKey, MldsaVerifyKey
from did.multikey import b64url_decode, b64url_encode

CRYPTOSUITE: Final = "experimental-mldsa44-jcs-2026"
# Four characters for three bytes, and the u before them.
_VALUE_LENGTH: Final = 1 + (4 * SIGNATURE_BYTES + 2) // 3


def create_value(configuration: JsonObject, document_hash: bytes, key: MldsaSigningKey) -> str:
    """The ``proofValue`` over the hash of the proof, then ``eddsa_jcs.hash_document``."""
    return "u" + b64url_encode(key.sign(hash_configuration(configuration) + document_hash))


def read_value(value: object) -> bytes:
    """The signature in a ``proofValue``: multibase ``u`` (base64url) of exactly 2420 bytes."""
    if type(value) is str and value[:1] == "u" and len(value) == _VALUE_LENGTH:
        try:
            return b64url_decode(value[1:])
        except EncodingError:
            pass
    raise malformed_value(f"{SIGNATURE_BYTES} bytes in base64url multibase (u)")


def verify_value(proof: JsonObject, document_hash: bytes, key: MldsaVerifyKey) -> None:
    """Raise ``ProofInvalid`` unless this key signed this proof over this document.

    Returning is no verdict on the document: see above.
    """
    signature = read_value(proof.get("proofValue"))
    configuration = without(proof, "proofValue")
    check_signature(key, signature, hash_configuration(configuration) + document_hash)


def _create(
    signed: Signed, configuration: JsonObject, key: MldsaSigningKey, _: Sequence[str]
) -> str:
    return create_value(configuration, signed.json_hash(), key)


def _verify(signed: Signed, proof: JsonObject, key: MldsaVerifyKey) -> None:
    verify_value(proof, signed.json_hash(), key)


SUITE: Final = Suite(
    CRYPTOSUITE,
    MldsaSigningKey,
    MldsaVerifyKey,
    lambda method: method.mldsa(),
    _create,
    _verify,
    experimental=True,
)
