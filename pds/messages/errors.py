"""Errors of the plaintext protocol."""

from pds.errors import PdsError


class MessageError(PdsError):
    """An object of the exchange that is malformed or does not say what it should.

    ``message.malformed`` (with where in the object), ``message.unknown_property``,
    ``message.wrong_thread``, ``message.wrong_sender``, ``message.wrong_recipient``,
    ``message.too_large``; never raised, but noted: ``message.gap``, ``message.resumed``.

    ``where`` is the JSON pointer of the place; empty where no single one is at fault.
    """

    default_code = "message.malformed"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        exit_code: int | None = None,
        where: str = "",
    ) -> None:
        super().__init__(message, code=code, hint=hint, exit_code=exit_code)
        self.where = where


class SignerUnresolved(MessageError):
    """Who signed could not be looked up now, so nothing is known yet: ``message.unresolved``.

    Keep what came and try again; it may be good.
    """

    default_code = "message.unresolved"
    exit_code = 4


class RequestRefused(MessageError):
    """A request that must not be shown as one: ``request.expired``, ``request.future``,
    ``request.proof``, ``request.controller``, ``request.sandbox``, ``request.unknown_purpose``."""

    default_code = "request.malformed"


class DecisionRefused(MessageError):
    """A decision that does not answer this request: ``decision.*``."""

    default_code = "decision.malformed"


class ChangeRefused(MessageError):
    """A change of a holder's DID that is not to be followed: ``change.*``.

    Codes: ``change.proof``, ``change.same``, ``change.future``, ``change.line``,
    ``change.stranger``, ``change.forked``, ``change.terms``, ``change.wider``; noted as well:
    ``change.superseded``, ``change.ended``.
    """

    default_code = "change.malformed"


class PackageRefused(MessageError):
    """A package that is not what its grant and manifest promise: ``package.*``."""

    default_code = "package.malformed"
