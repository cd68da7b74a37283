"""The routes of a relay: who may call each, what it takes, and all that it may answer.

A refusal is named where it can happen. ``_SIGNED`` and ``_WRITE`` are what every signed call, and
every change that one makes, may meet besides.
"""

from dataclasses import dataclass, field
from enum import Enum
from typing import Final

from pds.wire import RelayCode as Code

JSON: Final = "application/json"
OCTETS: Final = "application/octet-stream"
_TEXT: Final = "text/plain; charset=utf-8"
_LINES: Final = "text/jsonl"


class Caller(Enum):
    """Who a call is from."""

    ANYONE = "anyone"
    OWNER = "the mailbox's owner"
    REDEEMER = "the redemption key"
    DEPOSITOR = "whoever has a capability"

    @property
    def signs(self) -> bool:
        """Whether the call carries an HTTP message signature."""
        return self in (Caller.OWNER, Caller.REDEEMER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One route with one method. ``body`` and the answers' second halves are names of schemas;
    without one it is bytes. ``suspended`` is for what waits for its owner after a restore."""

    method: str
    rule: str
    summary: str
    caller: Caller
    answers: dict[int, tuple[str, str | None] | None]
    body: str | None = None
    query: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    codes: frozenset[Code] = field(default=frozenset())
    suspended: bool = False


def _json(schema: str, *statuses: int) -> dict[int, tuple[str, str | None] | None]:
    return dict.fromkeys(statuses or (200,), (JSON, schema))


def _other(media: str) -> dict[int, tuple[str, str | None] | None]:
    return {200: (media, None)}


_NOTHING: Final[dict[int, tuple[str, str | None] | None]] = {204: None}
_SIGNED: Final = frozenset({Code.UNSIGNED, Code.SIGNATURE, Code.NOT_FOUND})
_WRITE: Final = frozenset({Code.REPLAYED, Code.RATE})
_OWNERS: Final = _WRITE | {Code.ENDED, Code.EPOCH_SUPERSEDED}


def _row(
    method: str,
    rule: str,
    caller: Caller,
    summary: str,
    answers: dict[int, tuple[str, str | None] | None],
    *codes: Code,
    body: str | None = None,
    query: tuple[str, ...] = (),
    optional: tuple[str, ...] = (),
    suspended: bool = False,
) -> Operation:
    every = {*codes, Code.BUSY, Code.MALFORMED}
    if "<" in rule:
        # A slash in a part of the path, written as %2F, makes it another address.
        every |= {Code.NOT_FOUND}
    if caller.signs:
        # A signed call covers the body that comes with it, even where there should be none.
        every |= _SIGNED | {Code.TOO_LARGE}
        if method != "GET":
            every |= _OWNERS if caller is Caller.OWNER else _WRITE
    if body is not None:
        every |= {Code.TOO_LARGE}
    return Operation(
        method=method,
        rule=rule,
        summary=summary,
        caller=caller,
        answers=answers,
        body=body,
        query=query,
        optional=optional,
        codes=frozenset(every),
        suspended=suspended,
    )


_ANYONE, _OWNER, _REDEEMER = Caller.ANYONE, Caller.OWNER, Caller.REDEEMER
_BOX: Final = "/v1/mailboxes/<id_>"
_RECEIPT: Final = _json("Receipt")
_VERDICTS: Final = (Code.STATUS_STALE, Code.WITHDRAWN, Code.SUSPENDED)

OPERATIONS: Final = (
    _row("PUT", _BOX, _OWNER, "Make a mailbox, or find it made.", _json("MailboxMade", 200, 201),
         Code.TOKEN, body="Registration"),
    _row("GET", _BOX, _OWNER, "What the relay holds for a mailbox.", _json("Mailbox"),
         Code.ENDED),
    _row("DELETE", _BOX, _OWNER, "End a mailbox with all that is in it.", _NOTHING),
    _row("PUT", f"{_BOX}/capabilities/<cid>", _OWNER,
         "Let whoever has the secret behind a hash deposit.", _json("CapabilityMade", 201),
         Code.CONFLICT, Code.QUOTA, body="Capability"),
    _row("DELETE", f"{_BOX}/capabilities/<cid>", _OWNER, "Take a capability back.", _NOTHING),
    _row("POST", f"{_BOX}/envelopes", Caller.DEPOSITOR,
         "Deposit sealed bytes; the same again gives the same receipt.", _json("Receipt", 201),
         Code.CAPABILITY, Code.QUOTA, Code.RATE, body=""),
    _row("GET", f"{_BOX}/envelopes", _OWNER,
         "The envelopes beyond an ordinal, in order; with wait, for so many seconds it may wait"
         " for the first.", _json("Envelopes"),
         Code.ENDED, query=("after",), optional=("wait",)),
    _row("GET", f"{_BOX}/envelopes/<ordinal>", _OWNER,
         "A piece of an envelope: what follows so many of its bytes, at most 1 MiB and its seal.",
         _other(OCTETS), Code.ENDED, query=("after",)),
    _row("DELETE", f"{_BOX}/envelopes/<ordinal>", _OWNER,
         "Acknowledge an envelope: it is erased.", _NOTHING),
    _row("PUT", "/v1/packages/<id_>", _OWNER, "Stage a package, or its next version.", _RECEIPT,
         Code.PROOF_INVALID, Code.WRONG_RELAY, Code.SEQ, Code.CONFLICT, Code.QUOTA, Code.EXPIRED,
         Code.STATUS_STALE, Code.WITHDRAWN, body="Staging"),
    _row("GET", "/v1/packages/<id_>", _OWNER, "A package as it is staged.", _json("Package")),
    _row("DELETE", "/v1/packages/<id_>", _OWNER, "End a package.", _RECEIPT),
    _row("GET", "/v1/packages/<id_>/events", _OWNER, "Redemptions and refusals of a package.",
         _json("Events"), query=("after",)),
    _row("DELETE", "/v1/packages/<id_>/events", _OWNER,
         "Erase the presentations up to an ordinal.", _NOTHING, query=("through",)),
    _row("GET", "/v1/challenge", _ANYONE, "A fresh challenge for a redemption.",
         _json("Challenge")),
    _row("POST", "/v1/redemptions", _ANYONE, "Redeem a ticket: the package is released.",
         _json("Answer"), Code.PROOF_INVALID, Code.CHALLENGE, Code.WRONG_RELAY, Code.REPLAYED,
         Code.ENDED, Code.NOT_FOUND, Code.TICKET_UNKNOWN, Code.WRONG_KEY, Code.GRANT_MISMATCH,
         Code.NOT_YET_VALID, Code.EXPIRED, *_VERDICTS, Code.USED_UP, Code.TOO_SOON,
         body="Presentation"),
    _row("GET", "/v1/redemptions/<redemption>", _REDEEMER, "The same answer again, uncounted.",
         _json("Answer"), *_VERDICTS),
    _row("GET", "/v1/redemptions/<redemption>/sealed", _REDEEMER,
         "A piece of the package: what follows so many of its bytes, at most 1 MiB and its seal.",
         _other(OCTETS), *_VERDICTS, query=("after",)),
    _row("DELETE", "/v1/redemptions/<redemption>", _REDEEMER,
         "Acknowledge an answer: it is not kept.", _NOTHING),
    _row("PUT", "/v1/status/<id_>", _OWNER, "Publish a status list, or a newer one.", _RECEIPT,
         Code.PROOF_INVALID, Code.STATUS_STALE, Code.CONFLICT, Code.SEQUENCE, Code.BITS_CLEARED,
         Code.QUOTA, body="StatusList"),
    _row("GET", "/v1/status/<id_>", _ANYONE,
         "A status list, and in PDS-Stamp the relay's word that it is the newest.",
         {200: ("application/vc", "Object")}, suspended=True),
    _row("PUT", "/v1/requests/<id_>", _OWNER, "Put a locked request behind a link.",
         _json("RequestMade", 201), Code.CONFLICT, Code.EXPIRED, Code.QUOTA, body="Request"),
    _row("GET", "/v1/requests/<id_>", _ANYONE, "The locked request behind a link.",
         _other(OCTETS)),
    _row("DELETE", "/v1/requests/<id_>", _OWNER, "End a link.", _NOTHING),
    _row("GET", "/r/<link>", _ANYONE, "A page that says how to open the link.",
         _other("text/html; charset=utf-8")),
    _row("PUT", "/v1/identities/<id_>", _OWNER, "Publish a did:webvh identity's log.", _RECEIPT,
         Code.CONFLICT, Code.HISTORY, Code.HISTORY_CUT, Code.QUOTA, body="Identity"),
    _row("GET", "/v1/identities/<id_>", _OWNER, "The log, after a restore too.", _other(_LINES),
         Code.ENDED),
    _row("DELETE", "/v1/identities/<id_>", _OWNER, "Take an identity away.", _NOTHING),
    _row("GET", "/identities/<id_>/did.jsonl", _ANYONE, "An identity's log.", _other(_LINES),
         Code.NOT_FOUND, suspended=True),
    _row("GET", "/identities/<id_>/did-witness.json", _ANYONE, "Its witnesses' proofs.",
         _other(JSON), Code.NOT_FOUND, suspended=True),
    _row("GET", "/v1/relay", _ANYONE, "The relay's address, log, key and clock.",
         _json("RelayInfo")),
    _row("GET", "/v1/openapi.json", _ANYONE, "This document.", _json("Object")),
    _row("GET", "/.well-known/did.json", _ANYONE,
         "The relay's did:web document, with the key of its log; none without https and a name.",
         _json("Object"), Code.NOT_FOUND),
    _row("GET", "/contexts/v1", _ANYONE, "The JSON-LD context of the protocol.",
         {200: ("application/ld+json", "Object")}),
    _row("GET", "/healthz", _ANYONE, "Whether the process answers.", _json("Health")),
    _row("GET", "/readyz", _ANYONE, "Whether the database answers.", _json("Health")),
    _row("GET", "/v1/log/checkpoint", _ANYONE, "The newest checkpoint of the log: a signed note.",
         _other(_TEXT)),
    _row("GET", "/v1/log/cosigned", _ANYONE, "Checkpoints that witnesses have cosigned.",
         _json("Checkpoints")),
    _row("GET", "/v1/log/keys", _ANYONE,
         "Every change of the log's key: receipts of successions that both keys signed.",
         _json("Successions")),
    _row("GET", "/v1/log/consistency", _ANYONE,
         "The proof that a smaller tree is the beginning of a larger one.", _json("Proof"),
         query=("first", "second")),
    _row("GET", "/v1/log/proof", _ANYONE, "The proof that a leaf is in a tree.", _json("Proof"),
         query=("leaf", "size")),
    _row("GET", "/log/<name>/checkpoint", _ANYONE, "The newest checkpoint of the log of this name.",
         _other(_TEXT), Code.NOT_FOUND),
    _row("GET", "/log/<name>/tile/<path:path>", _ANYONE,
         "A tile (C2SP tlog-tiles); the path has slashes: level, number, and .p/width at the edge.",
         _other(OCTETS)),
)  # fmt: skip
