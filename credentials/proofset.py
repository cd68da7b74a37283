"""The proofs on a document: which there are, which are known here, and what each one is over.

Sources: Verifiable Credential Data Integrity 1.0 §2.1.1 (sets), §2.1.2 (chains), §4.5; EdDSA
Cryptosuites 1.0 §3.3.2 (the contexts of a proof).
"""

from collections.abc import Set as AbstractSet
from typing import Final, NoReturn

from credentials.errors import ContextRefused, ProofInvalid
from credentials.suites.table import ALL_SUITES, EDDSA_JCS, OVER_JSON, suite_named
from did.json import Json, JsonObject

PROOF_TYPE: Final = "DataIntegrityProof"
MAX_PROOFS: Final = 8


def sort_proofs(
    value: Json, *, suites: AbstractSet[str] = ALL_SUITES
) -> tuple[list[JsonObject], tuple[str, ...]]:
    """The proofs of a known suite, at least one, and the names of the suites of the others.

    Those of eddsa-jcs-2022 come first, then others over JSON: they are cheap to refuse by.

    Raises ``ProofInvalid`` (``proof.missing``, ``proof.many``, ``proof.malformed``,
    ``proof.no_known_suite``).
    """
    members = value if isinstance(value, list) else [value]
    if value is None or not members:
        raise ProofInvalid("the object has no proof", code="proof.missing", pointer="/proof")
    if len(members) > MAX_PROOFS:
        raise ProofInvalid(
            f"an object may have at most {MAX_PROOFS} proofs", code="proof.many", pointer="/proof"
        )
    known: list[JsonObject] = []
    unknown: list[str] = []
    names: list[Json] = []
    for proof in members:
        if not isinstance(proof, dict):
            malformed("a proof must be an object")
        if "id" in proof:
            if not isinstance(proof["id"], str) or proof["id"] in names:
                malformed("the id of a proof must be text, and its own")
            names.append(proof["id"])
        kind, suite = proof.get("type"), proof.get("cryptosuite")
        if kind == PROOF_TYPE and isinstance(suite, str) and suite in suites:
            known.append(proof)
            continue
        label = suite if kind == PROOF_TYPE else kind
        if not isinstance(label, str):
            malformed("a proof must say its type and cryptosuite")
        unknown.append(label)
    if not known:
        raise ProofInvalid(
            "no proof is of a cryptosuite known here",
            code="proof.no_known_suite",
            hint="Known here: " + ", ".join(sorted(suites)) + ".",
            pointer="/proof",
        )
    known.sort(
        key=lambda proof: (
            proof["cryptosuite"] != EDDSA_JCS,
            proof["cryptosuite"] not in OVER_JSON,
        )
    )
    return known, tuple(unknown)


def signed_document(
    document: JsonObject,
    unsecured: JsonObject,
    proof: JsonObject,
    exact_context: tuple[str, ...] | None,
) -> JsonObject:
    """The document that a proof is over (EdDSA Cryptosuites §3.3.2, steps 3 and 4).

    Under a suite over JSON its context is that of the proof, which may be a prefix of the
    document's only where no exact one is demanded. Raises ``ContextRefused`` (``context.proof``) or
    ``ProofInvalid``.
    """
    own, ours = unsecured.get("@context"), proof.get("@context")
    if suite_named(str(proof["cryptosuite"])).over_rdf:
        # A proof over RDF is read in the context of the document (§3.2.5), whole: what was added
        # to that since must not change the meaning, or the signature does not hold.
        if own is None or ours not in (None, own):
            raise ContextRefused(
                "the document must have a @context, and its proof none or the same",
                code="context.proof",
                pointer="/proof/@context",
            )
        signed = unsecured
    elif own is None and ours is None:
        signed = unsecured
    elif own is None or ours is None:
        # Read literally, the standard lets a proof without a context cover a document with any.
        raise ContextRefused(
            "the document and its proof must both have a @context, or neither",
            code="context.proof",
            pointer="/proof/@context",
        )
    elif own == ours:
        signed = unsecured
    else:
        outer = own if isinstance(own, list) else [own]
        inner = ours if isinstance(ours, list) else [ours]
        if exact_context is not None or not inner or outer[: len(inner)] != inner:
            raise ContextRefused(
                "the @context of the proof must be that of the document",
                code="context.proof",
                pointer="/proof/@context",
            )
        signed = {**unsecured, "@context": ours}
    if "previousProof" in proof:
        signed = {**signed, "proof": _previous_proofs(document["proof"], proof["previousProof"])}
    return signed


def _previous_proofs(present: Json, wanted: Json) -> list[Json]:
    """The earlier proofs of a chain, which the later one covers (Data Integrity §4.5, step 5)."""
    found: list[Json] = []
    names = wanted if isinstance(wanted, list) else [wanted]
    # One named again and again would make a document of any size from a small one.
    if len(names) > MAX_PROOFS:
        malformed(f"previousProof must name at most {MAX_PROOFS} proofs")
    for name in names:
        for proof in present if isinstance(present, list) else [present]:
            if isinstance(name, str) and isinstance(proof, dict) and proof.get("id") == name:
                found.append(proof)
                break
        else:
            raise ProofInvalid(
                "a proof refers to an earlier one that is not there",
                code="proof.previous",
                pointer="/proof",
            )
    if not found:
        malformed("previousProof must name a proof")
    return found


def malformed(message: str, *, hint: str = "") -> NoReturn:
    """Raise for a proof that is not written as one."""
    raise ProofInvalid(message, code="proof.malformed", hint=hint, pointer="/proof")
