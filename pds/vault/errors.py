"""Errors of the vault's own verbs; rooms such as key slots and records have theirs."""

from pds.errors import PdsError


class VaultError(PdsError):
    """Something that the holder can act on: ``vault.*``."""

    default_code = "vault.error"


class ClockWrong(VaultError):
    """A clock that cannot be trusted, so nothing is signed: ``vault.clock_back|clock_off``."""

    default_code = "vault.clock_off"


class ConsentError(VaultError):
    """An answer that does not fit its purpose: ``consent.*``."""

    default_code = "consent.invalid"


class PackageTooLarge(VaultError):
    """What would be shared is more than the relay takes, or anybody could: nothing was changed.

    Of grants that follow changes, ``packages`` names those that stay as they were; for ``queued``
    others the new version waits to be sent.
    """

    default_code = "vault.package_too_large"

    def __init__(self, message: str, *, hint: str, packages: tuple[str, ...], queued: int = 0):
        super().__init__(message, hint=hint)
        self.packages = packages
        self.queued = queued


class IdentityError(VaultError):
    """A public identity that is not as it has to be for this: ``identity.*``.

    Codes: ``identity.none``, ``identity.exists``, ``identity.deactivated``, ``identity.place``,
    ``identity.unchecked``, ``identity.foreign``, ``identity.own_host``.
    """

    default_code = "identity.none"


class NotFound(VaultError):
    """No request, grant or company of that name: ``vault.not_found``."""

    default_code = "vault.not_found"
