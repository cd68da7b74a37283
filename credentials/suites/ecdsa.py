"""The cryptosuites ecdsa-rdfc-2019 and ecdsa-jcs-2019 (Data Integrity ECDSA Cryptosuites 1.0, §3.2
and §3.3), on P-256 and on P-384.

They differ in the canonical form alone, and the curve decides the hash: SHA-256 for P-256, SHA-384
for P-384, inside the labelling of blank nodes too. A configuration is the proof without its
``proofValue``; its ``cryptosuite`` says which of the two it is, and its ``@context`` is that of the
document. Whose key it is, what the proof is for and what time it is, is not looked at here.

The standard takes s and n-s alike, so a proof has a second spelling: what is to be named is the
document, never its proof. PyLD is loaded by the first document that is transformed to RDF.
"""

import hashlib
from collections.abc import Sequence
from typing import Final

from credentials.contexts import Contexts, context_bytes
from credentials.errors import ProofInvalid
from credentials.rdfc import MAX_BYTES, Hash, canonicalize_jsonld
from credentials.suites import eddsa_jcs
from credentials.suites.eddsa_rdfc import MAX_PROOF_BYTES
from credentials.suites.signature import check_signature, malformed_value
from credentials.suites.suite import Signed, Suite
from did.ecdsa import Curve, EcdsaSigningKey, EcdsaVerifyKey
from did.errors import EncodingError
from did.json import Json, JsonObject, without
from did.multikey import base58btc_decode, base58btc_encode

JCS: Final = "ecdsa-jcs-2019"
RDFC: Final = "ecdsa-rdfc-2019"

_HASHES: Final[dict[Curve, Hash]] = {Curve.P256: "sha256", Curve.P384: "sha384"}


def transform(
    document: JsonObject,
    curve: Curve,
    *,
    cryptosuite: Json,
    contexts: Contexts = context_bytes,
    max_bytes: int = MAX_BYTES,
) -> bytes:
    """§3.2.3, §3.3.3: the canonical form of a document, or of a configuration.

    The document has no ``proof`` of its own any more, but for the earlier proofs of a chain.
    Raises ``ProofInvalid`` (``proof.no_known_suite``), ``StructureInvalid``, ``RdfcRefused``,
    ``ContextRefused``.
    """
    if cryptosuite == JCS:
        return eddsa_jcs.transform(document)
    if cryptosuite == RDFC:
        return canonicalize_jsonld(
            document, hash_name=_HASHES[curve], contexts=contexts, max_bytes=max_bytes
        ).encode()
    raise ProofInvalid(
        f"the cryptosuite must be {RDFC} or {JCS}",
        code="proof.no_known_suite",
        pointer="/proof/cryptosuite",
    )


def hash_document(
    document: JsonObject, curve: Curve, *, cryptosuite: Json, contexts: Contexts = context_bytes
) -> bytes:
    """§3.2.4, §3.3.4, first half: the hash of the canonical document, by the curve's own."""
    canonical = transform(document, curve, cryptosuite=cryptosuite, contexts=contexts)
    return hashlib.new(_HASHES[curve], canonical).digest()


def hash_configuration(
    configuration: JsonObject, curve: Curve, *, contexts: Contexts = context_bytes
) -> bytes:
    """§3.2.4–3.2.5, §3.3.4–3.3.5: the hash of the canonical proof without its ``proofValue``."""
    canonical = transform(
        configuration,
        curve,
        cryptosuite=configuration.get("cryptosuite"),
        contexts=contexts,
        max_bytes=MAX_PROOF_BYTES,
    )
    return hashlib.new(_HASHES[curve], canonical).digest()


def create_value(
    configuration: JsonObject,
    document_hash: bytes,
    key: EcdsaSigningKey,
    *,
    contexts: Contexts = context_bytes,
) -> str:
    """§3.2.6, §3.3.6: the ``proofValue`` over the hash of the proof, then that of the document."""
    proof_hash = hash_configuration(configuration, key.verify_key.curve, contexts=contexts)
    return "z" + base58btc_encode(key.sign(proof_hash + document_hash))


def read_value(value: object, curve: Curve) -> bytes:
    """The signature in a ``proofValue``: multibase ``z`` of exactly 64 or 96 bytes, r‖s."""
    size = 2 * curve.size
    if type(value) is str and value[:1] == "z":
        try:
            signature = base58btc_decode(value[1:])
        except EncodingError:
            signature = b""
        if len(signature) == size:
            return signature
    raise malformed_value(f"{size} bytes in base58btc multibase (z)")


def verify_value(
    proof: JsonObject,
    document_hash: bytes,
    key: EcdsaVerifyKey,
    *,
    contexts: Contexts = context_bytes,
) -> None:
    """§3.2.7, §3.3.7: raise ``ProofInvalid`` unless this key signed this proof over this document.

    ``document_hash`` is of ``hash_document`` with the curve of the key. For ecdsa-rdfc-2019 the
    ``@context`` of the proof must be that of the document already.
    """
    signature = read_value(proof.get("proofValue"), key.curve)
    configuration = without(proof, "proofValue")
    proof_hash = hash_configuration(configuration, key.curve, contexts=contexts)
    check_signature(key, signature, proof_hash + document_hash)


def _hash_of(signed: Signed, curve: Curve, cryptosuite: Json) -> bytes:
    def make() -> bytes:
        return hash_document(
            signed.document, curve, cryptosuite=cryptosuite, contexts=signed.contexts
        )

    # It is shared with other proofs over the same document by the same hash.
    name = _HASHES[curve]
    return signed.once(name, make) if cryptosuite == RDFC else signed.json_hash(name)


def _create(
    signed: Signed, configuration: JsonObject, key: EcdsaSigningKey, _: Sequence[str]
) -> str:
    document_hash = _hash_of(signed, key.verify_key.curve, configuration["cryptosuite"])
    return create_value(configuration, document_hash, key, contexts=signed.contexts)


def _verify(signed: Signed, proof: JsonObject, key: EcdsaVerifyKey) -> None:
    document_hash = _hash_of(signed, key.curve, proof["cryptosuite"])
    verify_value(proof, document_hash, key, contexts=signed.contexts)


def _suite(name: str) -> Suite:
    return Suite(
        name,
        EcdsaSigningKey,
        EcdsaVerifyKey,
        lambda method: method.ecdsa(),
        _create,
        _verify,
        over_rdf=name == RDFC,
    )


SUITES: Final = {name: _suite(name) for name in (JCS, RDFC)}
