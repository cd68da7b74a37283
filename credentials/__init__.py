"""Verifiable credentials: sign and verify; pure.

    from credentials import verify_grant

    grant = verify_grant(raw, purpose=..., audience=..., status=...)

Importing this loads nothing else; each name loads its own module when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from credentials.derive import derive_credential
    from credentials.errors import CredentialError
    from credentials.grant import GrantTerms, VerifiedGrant, issue_grant, verify_grant
    from credentials.issue import issue_credential
    from credentials.presentation import (
        VerifiedPresentation,
        sign_presentation,
        verify_presentation,
    )
    from credentials.status import WITHOUT_STATUS, verify_status_list
    from credentials.verify import VerifiedCredential, verify_credential

__all__ = [
    "WITHOUT_STATUS",
    "CredentialError",
    "GrantTerms",
    "VerifiedCredential",
    "VerifiedGrant",
    "VerifiedPresentation",
    "derive_credential",
    "issue_credential",
    "issue_grant",
    "sign_presentation",
    "verify_credential",
    "verify_grant",
    "verify_presentation",
    "verify_status_list",
]

_HOME: Final = {
    "WITHOUT_STATUS": "status",
    "CredentialError": "errors",
    "GrantTerms": "grant",
    "VerifiedCredential": "verify",
    "VerifiedGrant": "grant",
    "VerifiedPresentation": "presentation",
    "derive_credential": "derive",
    "issue_credential": "issue",
    "issue_grant": "grant",
    "sign_presentation": "presentation",
    "verify_credential": "verify",
    "verify_grant": "grant",
    "verify_presentation": "presentation",
    "verify_status_list": "status",
}


def __getattr__(name: str) -> object:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
