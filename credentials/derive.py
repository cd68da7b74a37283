"""Showing a part of a credential: what its issuer lets a holder leave out, and no more."""

from collections.abc import Sequence

from credentials.contexts import Contexts, context_bytes
from credentials.credential import Credential
from credentials.errors import StructureInvalid
from credentials.proof import read_document
from did.json import JsonObject


def derive_credential(
    raw: bytes | str | JsonObject,
    *,
    selective_pointers: Sequence[str],
    contexts: Contexts = context_bytes,
) -> JsonObject:
    """A part of a credential that has one ecdsa-sd-2023 base proof, with a proof derived from it.

    ``selective_pointers`` are JSON pointers (RFC 6901) to what is shown beside what the issuer
    made mandatory. The result verifies as any credential does. Not checked: that the base proof
    holds (``suites.ecdsa_sd.verify_base`` does).

    Raises ``StructureInvalid``, ``ContextRefused``, ``RdfcRefused`` or ``ProofInvalid``
    (``proof.missing``, ``proof.value``, ``proof.pointer``).
    """
    from credentials.suites import ecdsa_sd

    document = read_document(raw, allow_floats=True)
    Credential.parse(document)
    derived = ecdsa_sd.derive(document, selective_pointers=selective_pointers, contexts=contexts)
    try:
        Credential.parse(derived)
    except StructureInvalid as error:
        raise StructureInvalid(
            str(error),
            code=error.code,
            pointer=error.pointer,
            hint="What is left out must leave a credential: select this too, or have the issuer "
            "make it mandatory.",
        ) from None
    return derived
