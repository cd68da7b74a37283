"""Issuing a verifiable credential of any kind."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from credentials.contexts import CREDENTIALS_V2, Contexts, context_bytes, with_proof_context
from credentials.credential import Credential, limits, read_version
from credentials.errors import ProofInvalid
from credentials.proof import add_proof
from credentials.suites.table import EDDSA_JCS, suite_named
from credentials.ticket import new_urn
from did.json import JsonObject
from did.time import format_time

if TYPE_CHECKING:
    from credentials.proof import AnySigningKey


def issue_credential(
    unsigned: JsonObject,
    key: "AnySigningKey",
    *,
    now: datetime,
    verification_method: str | None = None,
    valid_for: timedelta | None = None,
    cryptosuite: str = EDDSA_JCS,
    mandatory_pointers: Sequence[str] | None = None,
    contexts: Contexts = context_bytes,
) -> JsonObject:
    """Complete, check and sign a credential (VCDM 2.0 §4, or 1.1 where its context comes first).

    Filled in where absent: ``@context``, ``id``, ``type``, ``issuer`` (the did:key of ``key``),
    ``validFrom`` (``now``), and with ``valid_for`` also ``validUntil``; in version 1.1
    ``issuanceDate`` and ``expirationDate``, and the context that defines the proof. A verifier
    accepts it only if the issuer's DID document lists the key under ``assertionMethod``.
    ``cryptosuite``, ``mandatory_pointers`` and ``contexts`` are as in ``proof.add_proof``; where
    nothing is said of pointers, a holder can leave out neither issuer nor validity nor status.

    Raises ``StructureInvalid`` or ``ContextRefused`` for what would not verify, ``ProofInvalid``
    (``proof.present``, ``proof.key_kind``) and ``RdfcRefused``.
    """
    document: JsonObject = {"@context": [CREDENTIALS_V2], **unsigned}
    older = read_version(document) == "1.1"
    first, last = ("issuanceDate", "expirationDate") if older else ("validFrom", "validUntil")
    document = {
        "id": new_urn(),
        "type": ["VerifiableCredential"],
        "issuer": key.did,
        first: format_time(now),
        **document,
        "@context": with_proof_context(document["@context"]),
    }
    if valid_for is not None and last not in document:
        document[last] = format_time(now + valid_for)
    if "proof" in document:
        raise ProofInvalid("the object already has a proof", code="proof.present", pointer="/proof")
    Credential.parse(document)
    if mandatory_pointers is None:
        mandatory_pointers = limits(document) if suite_named(cryptosuite).derives else ()
    return add_proof(
        document,
        key,
        created=now,
        verification_method=verification_method,
        cryptosuite=cryptosuite,
        mandatory_pointers=mandatory_pointers,
        contexts=contexts,
    )
