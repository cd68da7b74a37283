"""The cryptosuite eddsa-rdfc-2022 (Data Integrity EdDSA Cryptosuites 1.0, §3.2).

Each step of the standard is a function of its own, so that its vectors can be held against it.
Nothing here knows whose key it is, what the proof is for or what time it is. PyLD is loaded by the
first document that is transformed, and not before.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from credentials.contexts import Contexts, context_bytes
from credentials.rdfc import canonicalize_jsonld
from credentials.suites.eddsa_jcs import read_value
from credentials.suites.signature import check_signature
from credentials.suites.suite import Signed, Suite
from did.json import JsonObject, without
from did.keys import SigningKey, VerifyKey
from did.multikey import base58btc_encode

CRYPTOSUITE: Final = "eddsa-rdfc-2022"
# A set may have several proofs, so each of them must be cheap.
MAX_PROOF_BYTES: Final = 4_096


def transform(document: JsonObject, *, contexts: Contexts = context_bytes) -> bytes:
    """§3.2.3: the canonical N-Quads of a document, which has no ``proof`` of its own any more."""
    return canonicalize_jsonld(document, contexts=contexts).encode()


def hash_document(document: JsonObject, *, contexts: Contexts = context_bytes) -> bytes:
    """§3.2.4, first half: SHA-256 of the canonical document."""
    return hashlib.sha256(transform(document, contexts=contexts)).digest()


def hash_configuration(configuration: JsonObject, *, contexts: Contexts = context_bytes) -> bytes:
    """§3.2.4 and §3.2.5: SHA-256 of the canonical proof without its ``proofValue``.

    The ``@context`` of the configuration is that of the document.
    """
    text = canonicalize_jsonld(configuration, contexts=contexts, max_bytes=MAX_PROOF_BYTES)
    return hashlib.sha256(text.encode()).digest()


def create_value(
    configuration: JsonObject,
    document_hash: bytes,
    key: SigningKey,
    *,
    contexts: Contexts = context_bytes,
) -> str:
    """§3.2.6: the ``proofValue`` over the hash of the proof, then the hash of the document."""
    proof_hash = hash_configuration(configuration, contexts=contexts)
    return "z" + base58btc_encode(key.sign(proof_hash + document_hash))


def verify_value(
    proof: JsonObject,
    document_hash: bytes,
    key: VerifyKey,
    *,
    contexts: Contexts = context_bytes,
) -> None:
    """§3.2.7: raise ``ProofInvalid`` unless this key signed this proof over this document.

    The ``@context`` of the proof must be that of the document already.
    """
    signature = read_value(proof.get("proofValue"))
    proof_hash = hash_configuration(without(proof, "proofValue"), contexts=contexts)
    check_signature(key, signature, proof_hash + document_hash)


def _hash_of(signed: Signed) -> bytes:
    return signed.once("sha256", lambda: hash_document(signed.document, contexts=signed.contexts))


def _create(signed: Signed, configuration: JsonObject, key: SigningKey, _: Sequence[str]) -> str:
    return create_value(configuration, _hash_of(signed), key, contexts=signed.contexts)


def _verify(signed: Signed, proof: JsonObject, key: VerifyKey) -> None:
    verify_value(proof, _hash_of(signed), key, contexts=signed.contexts)


SUITE: Final = Suite(
    CRYPTOSUITE,
    SigningKey,
    VerifyKey,
    lambda method: method.ed25519(),
    _create,
    _verify,
    over_rdf=True,
)
