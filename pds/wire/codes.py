"""What is refused on the wire, by name: one error for both sides, and a relay's problem details."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from did.json import JsonObject
from pds.errors import PdsError


class WireError(PdsError):
    """Something that is not as the protocol says.

    Codes: ``relay.unsigned`` and ``relay.signature`` for requests, ``relay.capability``,
    ``wire.id``, ``wire.relay_url``, ``wire.manifest``, ``wire.answer``, ``wire.relay_info``,
    ``wire.request`` for a call that cannot be signed as asked.
    """

    default_code = "wire.format"


class RelayCode(StrEnum):
    """Every reason that a relay gives for a refusal."""

    MALFORMED = "relay.malformed"
    PROOF_INVALID = "relay.proof_invalid"
    CHALLENGE = "relay.challenge"
    WRONG_RELAY = "relay.wrong_relay"
    REPLAYED = "relay.replayed"
    ENDED = "relay.ended"
    NOT_FOUND = "relay.not_found"
    METHOD = "relay.method"
    TICKET_UNKNOWN = "relay.ticket_unknown"
    WRONG_KEY = "relay.wrong_key"
    GRANT_MISMATCH = "relay.grant_mismatch"
    NOT_YET_VALID = "relay.not_yet_valid"
    EXPIRED = "relay.expired"
    STATUS_STALE = "relay.status_stale"
    WITHDRAWN = "relay.withdrawn"
    SUSPENDED = "relay.suspended"
    USED_UP = "relay.used_up"
    TOO_SOON = "relay.too_soon"
    UNSIGNED = "relay.unsigned"
    SIGNATURE = "relay.signature"
    CONFLICT = "relay.conflict"
    SEQ = "relay.seq"
    EPOCH_SUPERSEDED = "relay.epoch_superseded"
    SEQUENCE = "relay.sequence"
    BITS_CLEARED = "relay.bits_cleared"
    HISTORY = "relay.history"
    HISTORY_CUT = "relay.history_cut"
    CAPABILITY = "relay.capability"
    QUOTA = "relay.quota"
    TOO_LARGE = "relay.too_large"
    TOKEN = "relay.token"  # noqa: S105  a code, not a secret
    RATE = "relay.rate"
    BUSY = "relay.busy"


_PROBLEMS: Final[dict[RelayCode, tuple[int, str]]] = {
    RelayCode.MALFORMED: (400, "The request is not as the protocol says."),
    RelayCode.PROOF_INVALID: (403, "The proof of the presentation is not valid here and now."),
    RelayCode.CHALLENGE: (403, "The challenge is not this relay's, or is over."),
    RelayCode.WRONG_RELAY: (403, "The ticket is for another relay."),
    RelayCode.REPLAYED: (409, "This was already presented."),
    RelayCode.ENDED: (410, "This has ended."),
    RelayCode.NOT_FOUND: (404, "There is nothing here for this caller."),
    RelayCode.METHOD: (405, "This address does not have this method."),
    RelayCode.TICKET_UNKNOWN: (403, "This ticket was not registered for the package."),
    RelayCode.WRONG_KEY: (403, "The ticket is for another key."),
    RelayCode.GRANT_MISMATCH: (403, "The presentation names another grant than the ticket."),
    RelayCode.NOT_YET_VALID: (403, "The ticket is not valid yet."),
    RelayCode.EXPIRED: (403, "The ticket is over."),
    RelayCode.STATUS_STALE: (403, "There is no status list that is still valid."),
    RelayCode.WITHDRAWN: (410, "The grant was withdrawn."),
    RelayCode.SUSPENDED: (403, "The package waits for its owner to stage it again."),
    RelayCode.USED_UP: (403, "The ticket has no uses left."),
    RelayCode.TOO_SOON: (429, "The interval since the last use is not over."),
    RelayCode.UNSIGNED: (401, "This call must be signed."),
    RelayCode.SIGNATURE: (401, "The signature is not valid for this call, here and now."),
    RelayCode.CONFLICT: (409, "This id is already in use for something else."),
    RelayCode.SEQ: (409, "The version of a package must be exactly one more than the last."),
    RelayCode.EPOCH_SUPERSEDED: (409, "Another writer has taken over with a later epoch."),
    RelayCode.SEQUENCE: (409, "The sequence of a status list must rise."),
    RelayCode.BITS_CLEARED: (409, "What a status list has revoked stays revoked."),
    RelayCode.HISTORY: (403, "The log is not the whole history of an identity of this place."),
    RelayCode.HISTORY_CUT: (409, "The log of an identity must go on from the one that is here."),
    RelayCode.CAPABILITY: (403, "The capability does not allow this."),
    RelayCode.QUOTA: (429, "The quota is used up."),
    RelayCode.TOO_LARGE: (413, "This is larger than the relay accepts."),
    RelayCode.TOKEN: (403, "Registration at this relay needs a token."),
    RelayCode.RATE: (429, "There were too many calls; try again later."),
    RelayCode.BUSY: (503, "The relay is busy; try again later."),
}

HTTP_STATUS: Final[Mapping[RelayCode, int]] = MappingProxyType(
    {code: status for code, (status, _) in _PROBLEMS.items()}
)
TITLES: Final[Mapping[RelayCode, str]] = MappingProxyType(
    {code: title for code, (_, title) in _PROBLEMS.items()}
)


def problem(code: RelayCode, *, title: str | None = None) -> JsonObject:
    """Problem details (RFC 9457 §3) for a refusal. ``title`` must hold nothing of the input.

    The type is ``about:blank``: what a program goes by is ``code``.
    """
    return {
        "type": "about:blank",
        "title": TITLES[code] if title is None else title,
        "status": HTTP_STATUS[code],
        "code": code.value,
    }
