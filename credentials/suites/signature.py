"""The last step of every suite whose key says yes or no to a signature over bytes."""

from typing import Protocol

from credentials.errors import ProofInvalid
from did.errors import SignatureInvalid


class Verifies(Protocol):
    """A public key, whichever kind: it returns, or raises ``SignatureInvalid``."""

    def verify(self, signature: bytes, message: bytes) -> None: ...


def check_signature(key: Verifies, signature: bytes, message: bytes) -> None:
    """Raise ``ProofInvalid`` (``proof.signature``) unless this key signed this message."""
    try:
        key.verify(signature, message)
    except SignatureInvalid:
        raise ProofInvalid(
            "the signature does not belong to this key and document",
            code="proof.signature",
            hint="The document was changed after it was signed, or another key signed it.",
            pointer="/proof/proofValue",
        ) from None


def malformed_value(what: str) -> ProofInvalid:
    """The error for a ``proofValue`` that is not written as its suite writes it."""
    return ProofInvalid(
        f"proofValue must be {what}", code="proof.value", pointer="/proof/proofValue"
    )
