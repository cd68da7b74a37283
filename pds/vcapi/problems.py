"""Errors as RFC 9457 problem details, with the types that the standards define.

Sources: VCDM 2.0 §7.3, Data Integrity 1.0 §4.8, Bitstring Status List 1.0 §3.5. Nothing of what was
refused is repeated: a problem says which rule was broken, and where.
"""

from typing import Final

from credentials.errors import (
    ContextRefused,
    ControllerUnresolved,
    CredentialError,
    PresentationInvalid,
    ProofInvalid,
    RdfcRefused,
    RelatedInvalid,
    StatusInvalid,
    StatusUnchecked,
    TimeInvalid,
    Withdrawn,
)
from did.errors import DidError
from did.json import Json, JsonObject

_VC: Final = "https://www.w3.org/TR/vc-data-model#"
_SECURITY: Final = "https://w3id.org/security#"
_STATUS: Final = "https://www.w3.org/ns/credentials/status-list#"

_HTTP: Final = "about:blank"

_BY_CODE: Final = {
    # Not of these standards: what HTTP itself says (RFC 9457 §4.2.1).
    "vcapi.http": _HTTP,
    "proof.signature": _SECURITY + "PROOF_VERIFICATION_ERROR",
    "proof.challenge": _SECURITY + "INVALID_CHALLENGE_ERROR",
    "proof.domain": _SECURITY + "INVALID_DOMAIN_ERROR",
    "presentation.challenge": _SECURITY + "INVALID_CHALLENGE_ERROR",
    "presentation.domain": _SECURITY + "INVALID_DOMAIN_ERROR",
    "status.short": _STATUS + "STATUS_LIST_LENGTH_ERROR",
    "status.index_range": _STATUS + "RANGE_ERROR",
    "status.unavailable": _STATUS + "STATUS_RETRIEVAL_ERROR",
    "status.required": _STATUS + "STATUS_RETRIEVAL_ERROR",
}
_BY_CLASS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (ProofInvalid, _SECURITY + "PROOF_VERIFICATION_ERROR"),
    (PresentationInvalid, _SECURITY + "PROOF_VERIFICATION_ERROR"),
    (RdfcRefused, _SECURITY + "PROOF_TRANSFORMATION_ERROR"),
    (ControllerUnresolved, _VC + "CRYPTOGRAPHIC_SECURITY_ERROR"),
    (TimeInvalid, _VC + "RANGE_ERROR"),
    (StatusInvalid, _STATUS + "STATUS_VERIFICATION_ERROR"),
    (StatusUnchecked, _STATUS + "STATUS_VERIFICATION_ERROR"),
    (Withdrawn, _STATUS + "STATUS_VERIFICATION_ERROR"),
    (ContextRefused, _VC + "MALFORMED_VALUE_ERROR"),
    (RelatedInvalid, _VC + "MALFORMED_VALUE_ERROR"),
    (CredentialError, _VC + "MALFORMED_VALUE_ERROR"),
    (DidError, _VC + "PARSING_ERROR"),
)
# What could not be found out is not the same as what is wrong.
_UNCHECKED: Final = (ControllerUnresolved, StatusUnchecked)
_UNCHECKED_CODES: Final = frozenset(
    {"related.unavailable", "related.unsupported", "schema.unsupported"}
)


class BadRequest(Exception):
    """A request that is not of the form that the route takes."""

    def __init__(self, message: str, *, code: str = "vcapi.request") -> None:
        super().__init__(message)
        self.code = code


def status_of(error: Exception) -> int:
    """422 for what could not be checked, 400 for what is wrong."""
    return 422 if isinstance(error, _UNCHECKED) or _code(error) in _UNCHECKED_CODES else 400


def problem_of(error: Exception) -> JsonObject:
    """One error as problem details: type, title, status, detail, code, and where it has one,
    pointer and hint."""
    code = _code(error)
    kind = _BY_CODE.get(code) or next(
        (url for cls, url in _BY_CLASS if isinstance(error, cls)), _VC + "PARSING_ERROR"
    )
    found: JsonObject = {
        "type": kind,
        "title": str(error) if kind == _HTTP else _title(kind),
        "status": status_of(error),
        "detail": str(error),
        "code": code,
    }
    for name in ("pointer", "hint"):
        said: Json = getattr(error, name, "")
        if said:
            found[name] = said
    return found


def _title(kind: str) -> str:
    return kind.rpartition("#")[2].replace("_", " ").capitalize()


def _code(error: Exception) -> str:
    return str(getattr(error, "code", "vcapi.request"))
