"""The cryptosuite ecdsa-sd-2023: a proof from which the holder discloses a part of the document
(Data Integrity ECDSA Cryptosuites 1.0, §3.4–3.6). P-256 and SHA-256 only.

The issuer signs every statement by itself, under a key made for this proof alone, and then that key
together with the statements that must always be shown. Whoever sees two parts of one document sees
that they belong together: the signatures are the same, and so are the labels of its nodes.

What is signed is statements, and not how JSON writes them: the holder may nest, order and name the
same statements otherwise, in any context that is known. A derived proof holds for them all.

Not looked at: whose the key is, what the proof is for, and what time it is. PyLD and cbor2 are
loaded by this room.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from credentials.contexts import Contexts, context_bytes
from credentials.errors import ContextRefused, ProofInvalid, RdfcRefused
from credentials.rdfc import canonical_labels, quads_of
from credentials.selective import MAX_POINTERS, Statements, label_by_hmac, label_statements, select
from credentials.suites.ecdsa_sd_values import (
    MAX_SIGNATURES,
    BaseValue,
    DerivedValue,
    public_key_bytes,
)
from credentials.suites.eddsa_rdfc import hash_configuration
from credentials.suites.signature import check_signature
from credentials.suites.suite import Signed, Suite
from did.ecdsa import Curve, EcdsaSigningKey, EcdsaVerifyKey
from did.json import JsonObject, without, without_proof

CRYPTOSUITE: Final = "ecdsa-sd-2023"
_HMAC_KEY: Final = 32


def hash_mandatory(lines: Iterable[str]) -> bytes:
    """hashMandatoryNQuads: SHA-256 of the statements that must be shown, joined."""
    return hashlib.sha256("".join(lines).encode()).digest()


def sign_data(proof_hash: bytes, public_key: EcdsaVerifyKey, mandatory_hash: bytes) -> bytes:
    """serializeSignData: what the issuer's own key signs."""
    return proof_hash + public_key_bytes(public_key) + mandatory_hash


def create_base_proof(
    document: JsonObject,
    configuration: JsonObject,
    key: EcdsaSigningKey,
    *,
    mandatory_pointers: Sequence[str],
    random: Callable[[int], bytes] = os.urandom,
    contexts: Contexts = context_bytes,
) -> JsonObject:
    """§3.6.1–3.6.5: the base proof of a document, for its holder and nobody else.

    ``configuration`` is the proof to be, without its value; ``mandatory_pointers`` (RFC 6901) lead
    to what every derived proof shows. ``random(n)`` must give ``n`` bytes of the system's
    randomness: for the labels first, then for the key of this proof.

    Raises ``ProofInvalid`` (``proof.pointer``, ``proof.no_known_suite``, ``key.kind``),
    ``RdfcRefused``, ``ContextRefused``.
    """
    _check_suite(configuration, key.verify_key)
    if len(mandatory_pointers) > MAX_POINTERS:
        raise ProofInvalid(
            f"at most {MAX_POINTERS} pointers may be mandatory", code="proof.pointer"
        )
    unsecured = without_proof(document)
    proof = without(configuration, "@context")
    hmac_key = random(_HMAC_KEY)
    statements = Statements.read(unsecured, label_by_hmac(hmac_key), contexts=contexts)
    mandatory, other = _split(
        statements.lines, statements.indexes(statements.select(mandatory_pointers))
    )
    if len(other) > MAX_SIGNATURES:
        raise RdfcRefused(
            f"at most {MAX_SIGNATURES} statements may be left to choose", code="rdfc.quads"
        )
    proof_hash = hash_configuration({**proof, "@context": document["@context"]}, contexts=contexts)
    own = EcdsaSigningKey.generate(Curve.P256, random)
    signatures = tuple(own.sign(line.encode()) for line in other)
    signature = key.sign(sign_data(proof_hash, own.verify_key, hash_mandatory(mandatory)))
    value = BaseValue(signature, own.verify_key, hmac_key, signatures, tuple(mandatory_pointers))
    return {**proof, "proofValue": value.encode()}


def verify_base(
    document: JsonObject,
    proof: JsonObject,
    key: EcdsaVerifyKey,
    *,
    contexts: Contexts = context_bytes,
) -> None:
    """For the holder: raise ``ProofInvalid`` unless proofs derived from this one will hold.

    The standard leaves this open; but who stores what cannot be shown finds out too late.
    """
    _check_suite(proof, key)
    value = BaseValue.read(proof.get("proofValue"))
    statements = _statements(document, value, contexts)
    chosen = statements.indexes(statements.select(value.mandatory_pointers))
    _check(document, proof, key, value, _split(statements.lines, chosen), contexts=contexts)


def derive(
    document: JsonObject,
    *,
    selective_pointers: Sequence[str],
    contexts: Contexts = context_bytes,
) -> JsonObject:
    """§3.6.6, createDisclosureData: a part of a document, with a derived proof.

    The document has one base proof of this suite. The part is what its mandatory pointers and the
    selective ones lead to, with the ids and types of all nodes on the way to it. Other proofs would
    not hold over a part, and are left out. Not checked: that the base proof holds; ``verify_base``
    does.

    Raises ``ProofInvalid`` (``proof.missing``, ``proof.value``, ``proof.pointer``),
    ``RdfcRefused``, ``ContextRefused``.
    """
    proof = _base_proof(document)
    value = BaseValue.read(proof.get("proofValue"))
    pointers = (*value.mandatory_pointers, *selective_pointers)
    if not pointers:
        raise ProofInvalid(
            "something must be disclosed", code="proof.pointer", hint="Name a place to show."
        )
    # 1. What is always shown, and what is shown now.
    statements = _statements(document, value, contexts)
    mandatory = statements.select(value.mandatory_pointers)
    combined = mandatory | statements.select(selective_pointers)
    shown = statements.indexes(combined)
    always = set(statements.indexes(mandatory))
    # 2. The signatures of what is shown though it need not be.
    signed = [index for index in range(len(statements.lines)) if index not in always]
    if len(signed) != len(value.signatures):
        raise _count()
    signatures = dict(zip(signed, value.signatures, strict=True))
    # 3. From the labels that the verifier will give the nodes to those they were signed under.
    given = canonical_labels(combined)
    labels = {name.label: statements.labels[node] for node, name in given.items()}
    # 4. The part itself, which must say these statements and no others.
    revealed = select(without_proof(document), pointers)
    if _lines(revealed, labels, contexts) != tuple(statements.lines[index] for index in shown):
        raise ProofInvalid(
            "a pointer leads elsewhere in the compact form of the document",
            code="proof.pointer",
            hint="Select the whole array where it has one item, or was written in another order.",
        )
    derived = DerivedValue(
        value.base_signature,
        value.public_key,
        tuple(signatures[index] for index in shown if index not in always),
        labels,
        tuple(position for position, index in enumerate(shown) if index in always),
    )
    return {**revealed, "proof": {**proof, "proofValue": derived.encode()}}


def verify_derived(
    document: JsonObject,
    proof: JsonObject,
    key: EcdsaVerifyKey,
    *,
    contexts: Contexts = context_bytes,
) -> None:
    """§3.6.7: raise ``ProofInvalid`` unless this key signed all that this part of a document says.

    Holding says nothing about what was left out, but that it need not be shown. Raises
    ``ProofInvalid`` (``proof.value``, ``proof.base``, ``proof.signature``, ``proof.statements``,
    ``proof.no_known_suite``, ``key.kind``), ``RdfcRefused`` or ``ContextRefused``.
    """
    _check_suite(proof, key)
    value = DerivedValue.read(proof.get("proofValue"))
    # 1. createVerifyData: the statements, under the labels they were signed under.
    lines = _lines(without_proof(document), value.labels, contexts)
    if value.mandatory_indexes and value.mandatory_indexes[-1] >= len(lines):
        raise _count()
    # 2. The signatures.
    _check(document, proof, key, value, _split(lines, value.mandatory_indexes), contexts=contexts)


def _check(
    document: JsonObject,
    proof: JsonObject,
    key: EcdsaVerifyKey,
    value: BaseValue | DerivedValue,
    lines: tuple[list[str], list[str]],
    *,
    contexts: Contexts,
) -> None:
    mandatory, other = lines
    # 1. The proof is read in the context of the document.
    if proof.get("@context", document["@context"]) != document["@context"]:
        raise ContextRefused(
            "the @context of the proof must be that of the document",
            code="context.proof",
            pointer="/proof/@context",
        )
    # 2. As many signatures as statements that need one.
    if len(value.signatures) != len(other):
        raise _count()
    # 3. The issuer's own signature, over the key of all others.
    configuration = {**without(proof, "proofValue"), "@context": document["@context"]}
    proof_hash = hash_configuration(configuration, contexts=contexts)
    data = sign_data(proof_hash, value.public_key, hash_mandatory(mandatory))
    check_signature(key, value.base_signature, data)
    # 4. One signature for each statement.
    for signature, line in zip(value.signatures, other, strict=True):
        check_signature(value.public_key, signature, line.encode())


def _statements(document: JsonObject, value: BaseValue, contexts: Contexts) -> Statements:
    return Statements.read(
        without_proof(document), label_by_hmac(value.hmac_key), contexts=contexts
    )


def _lines(document: JsonObject, labels: Mapping[str, str], contexts: Contexts) -> tuple[str, ...]:
    """labelReplacementCanonicalizeJsonLd with a label map that covers exactly the nodes there."""
    quads = quads_of(document, contexts=contexts)
    given = canonical_labels(quads)
    if {name.label for name in given.values()} != labels.keys():
        raise _count()
    return label_statements(quads, {node: labels[name.label] for node, name in given.items()})


def _split(lines: Sequence[str], mandatory: Iterable[int]) -> tuple[list[str], list[str]]:
    always = set(mandatory)
    return (
        [line for index, line in enumerate(lines) if index in always],
        [line for index, line in enumerate(lines) if index not in always],
    )


def _base_proof(document: JsonObject) -> JsonObject:
    present = document.get("proof")
    members = present if isinstance(present, list) else [present]
    found = [
        proof
        for proof in members
        if isinstance(proof, dict) and proof.get("cryptosuite") == CRYPTOSUITE
    ]
    if len(found) != 1:
        raise ProofInvalid(
            f"there must be one proof of {CRYPTOSUITE}", code="proof.missing", pointer="/proof"
        )
    return found[0]


def _check_suite(proof: JsonObject, key: EcdsaVerifyKey) -> None:
    if proof.get("type") != "DataIntegrityProof" or proof.get("cryptosuite") != CRYPTOSUITE:
        raise ProofInvalid(
            f"the proof must be a DataIntegrityProof of {CRYPTOSUITE}",
            code="proof.no_known_suite",
            pointer="/proof/cryptosuite",
        )
    if key.curve is not Curve.P256:
        raise ProofInvalid("the key must be a P-256 key", code="key.kind")


def _count() -> ProofInvalid:
    return ProofInvalid(
        "the proof is not over as many statements and nodes as the document has",
        code="proof.statements",
        hint="A statement was added or taken away after the proof was made.",
        pointer="/proof/proofValue",
    )


def _create(
    signed: Signed, configuration: JsonObject, key: EcdsaSigningKey, pointers: Sequence[str]
) -> str:
    _refuse_chain(signed)
    proof = create_base_proof(
        signed.document, configuration, key, mandatory_pointers=pointers, contexts=signed.contexts
    )
    return str(proof["proofValue"])


def _verify(signed: Signed, proof: JsonObject, key: EcdsaVerifyKey) -> None:
    _refuse_chain(signed)
    signed.budget.spend()
    verify_derived(signed.document, proof, key, contexts=signed.contexts)


def _refuse_chain(signed: Signed) -> None:
    # Earlier proofs would be left out of what is disclosed, and a chain would say more than holds.
    if "proof" in signed.document:
        raise ProofInvalid(
            f"a proof of {CRYPTOSUITE} cannot be over earlier proofs",
            code="proof.previous",
            pointer="/proof/previousProof",
        )


SUITE: Final = Suite(
    CRYPTOSUITE,
    EcdsaSigningKey,
    EcdsaVerifyKey,
    lambda method: method.ecdsa(),
    _create,
    _verify,
    over_rdf=True,
    derives=True,
)
