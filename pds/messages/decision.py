"""The holder's answer to a request: grants, denials, tickets; and the company's check of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from credentials.errors import CredentialError
from credentials.grant import WITHOUT_STATUS, VerifiedGrant, verify_grant
from credentials.proof import sign_object, verify_object
from credentials.ticket import VerifiedTicket, verify_ticket
from did.json import JsonObject, without_proof
from did.keys import SigningKey, VerifyKey
from did.resolve import OFFLINE
from did.time import format_time
from pds.messages.errors import DecisionRefused, MessageError
from pds.messages.fields import PURPOSE_ID, Fields
from pds.messages.request import Purpose, ReplyAddress, VerifiedRequest
from pds.wire import parse_relay_url

MAX_AHEAD = timedelta(days=366)
"""How far ahead a grant may begin: with what a request may ask for, every date that follows from
it stays one that can be reckoned with."""


@dataclass(frozen=True, slots=True)
class AccessDenial:
    """The purposes of one request that the holder refused."""

    request: str
    purposes: frozenset[str]
    at: datetime

    @classmethod
    def parse(cls, value: JsonObject) -> "AccessDenial":
        fields = Fields(without_proof(value))
        fields.constant("type", "AccessDenial")
        denial = cls(
            request=fields.digest("request"),
            purposes=fields.set_of("purposes", PURPOSE_ID, low=1),
            at=fields.time("at"),
        )
        fields.done()
        return denial

    def to_json(self) -> JsonObject:
        return {
            "type": "AccessDenial",
            "request": self.request,
            "purposes": [*sorted(self.purposes)],
            "at": format_time(self.at),
        }

    def sign(self, key: SigningKey) -> JsonObject:
        return sign_object(self.to_json(), key, created=self.at)


@dataclass(frozen=True, slots=True)
class Decision:
    """The body of a Decision message. Credentials are as they came: not yet verified."""

    request: str
    grants: tuple[JsonObject, ...]
    denials: tuple[JsonObject, ...]
    tickets: tuple[JsonObject, ...]
    reply: ReplyAddress
    relay: str
    log_origin: str
    log_key: VerifyKey

    @classmethod
    def parse(cls, body: JsonObject) -> "Decision":
        fields = Fields(body, "/body")
        decision = cls(
            request=fields.digest("request"),
            grants=tuple(fields.objects("grants", high=50)),
            denials=tuple(fields.objects("denials", high=50)),
            tickets=tuple(fields.objects("tickets", high=50)),
            reply=ReplyAddress.parse(fields.fields("reply")),
            relay=fields.read_by(parse_relay_url, "relay", fields.text("relay", high=300)),
            log_origin=fields.text("logOrigin", high=300),
            log_key=fields.read_by(
                VerifyKey.from_multikey, "logKey", fields.text("logKey", high=60)
            ),
        )
        fields.done()
        return decision

    def to_json(self) -> JsonObject:
        return {
            "request": self.request,
            "grants": list(self.grants),
            "denials": list(self.denials),
            "tickets": list(self.tickets),
            "reply": self.reply.to_json(),
            "relay": self.relay,
            "logOrigin": self.log_origin,
            "logKey": self.log_key.multikey,
        }


@dataclass(frozen=True, slots=True)
class Granted:
    """One granted purpose: what was asked, the grant, and the ticket that redeems it."""

    purpose: Purpose
    grant: VerifiedGrant
    ticket: VerifiedTicket


@dataclass(frozen=True, slots=True)
class CheckedDecision:
    """A decision that answers the request, each purpose exactly once."""

    decision: Decision
    holder: str
    granted: Mapping[str, Granted]
    refused: frozenset[str]


def check_decision(
    body: JsonObject,
    *,
    request: VerifiedRequest,
    holder: str,
    now: datetime,
    later_tickets: bool = False,
) -> CheckedDecision:
    """Check what a holder decided against what was asked:

    1. it answers this request
    2. every grant is by this holder, for us, and within what was asked (``_check_terms``)
    3. every denial is by this holder, of this request
    4. every purpose is answered exactly once
    5. every grant has one ticket that says no more and no less; with ``later_tickets`` one may
       begin later than its grant, as after a change of the holder's DID

    Status is not looked at here: it is at redemption and before every use. Raises
    ``DecisionRefused`` (``decision.*``), or ``MessageError`` for what is no decision or denial.
    """
    decision = Decision.parse(body)
    if decision.request != request.digest:  # 1
        raise DecisionRefused("the decision is for another request", code="decision.other_request")
    try:
        grants = [
            verify_grant(
                raw,
                purpose=None,
                audience=request.request.controller.id,
                status=WITHOUT_STATUS,
                sandbox=request.request.sandbox,
                now=_within(raw, now),
            )
            for raw in decision.grants
        ]
        tickets = [
            verify_ticket(raw, now=now, expected_relay=decision.relay) for raw in decision.tickets
        ]
    except CredentialError as error:
        raise DecisionRefused(
            f"a credential of the decision does not hold: {error}", code="decision.credential"
        ) from error
    answered: list[str] = []
    by_purpose: dict[str, VerifiedGrant] = {}
    for grant in grants:  # 2
        _check_terms(grant, request=request, holder=holder, now=now)
        answered.append(grant.terms.request_purpose)
        by_purpose[grant.terms.request_purpose] = grant
    for raw in decision.denials:  # 3
        denial = _verify_denial(raw, holder=holder, now=now)
        if denial.request != request.digest:
            raise DecisionRefused("a denial is for another request", code="decision.other_request")
        answered.extend(denial.purposes)
    if sorted(answered) != sorted(purpose.id for purpose in request.request.purposes):  # 4
        raise DecisionRefused(
            "the decision does not answer every purpose exactly once", code="decision.incomplete"
        )
    granted = {}
    if len(tickets) != len(grants):
        raise DecisionRefused("grants and tickets do not pair", code="decision.ticket")
    for purpose_id, grant in by_purpose.items():  # 5
        ticket = _ticket_of(
            grant, tickets, request=request, relay=decision.relay, later=later_tickets
        )
        granted[purpose_id] = Granted(request.request.purpose(purpose_id), grant, ticket)
    return CheckedDecision(
        decision=decision,
        holder=holder,
        granted=granted,
        refused=frozenset(answered) - set(granted),
    )


def _within(raw: JsonObject, now: datetime) -> datetime:
    """A grant may begin later, or be over already when the decision is collected: its window is
    enforced at redemption and use. Here it is verified as of a moment inside it."""
    try:
        fields = Fields(raw)
        start, end = fields.time("validFrom"), fields.time("validUntil")
    except MessageError:
        return now
    if end <= start:  # no moment is inside
        return now
    return min(max(now, start), end - timedelta(seconds=1))


def _check_terms(
    grant: VerifiedGrant, *, request: VerifiedRequest, holder: str, now: datetime
) -> None:
    terms = grant.terms
    asked = request.request.purpose(terms.request_purpose)
    longest = timedelta(days=asked.days)
    checks = (
        (grant.issuer == holder, "decision.issuer", "a grant is by another DID"),
        (
            terms.request == request.digest,
            "decision.other_request",
            "a grant answers another request",
        ),
        (terms.purpose == asked.purpose, "decision.purpose", "a grant names another purpose"),
        (terms.basis == asked.basis, "decision.basis", "a grant names another legal basis"),
        (terms.processing <= asked.processing, "decision.processing", "a grant allows more"),
        (
            asked.required <= terms.fields <= asked.paths,
            "decision.fields",
            "a grant covers other fields than were asked for",
        ),
        (
            terms.valid_until - terms.valid_from <= longest + timedelta(seconds=60),
            "decision.window",
            "a grant is longer than was asked for",
        ),
        (
            terms.valid_from <= now + MAX_AHEAD,
            "decision.window",
            "a grant begins more than a year ahead",
        ),
        (
            terms.max_uses <= asked.max_uses and terms.min_interval >= asked.min_interval,
            "decision.limits",
            "a grant allows more uses than were asked for",
        ),
        (
            terms.retention_days <= asked.retention_days,
            "decision.retention",
            "a grant allows a longer retention than was asked for",
        ),
        (terms.sandbox == request.request.sandbox, "decision.sandbox", "sandbox and live mixed"),
    )
    for holds, code, sentence in checks:
        if not holds:
            raise DecisionRefused(sentence, code=code)


def _ticket_of(
    grant: VerifiedGrant,
    tickets: list[VerifiedTicket],
    *,
    request: VerifiedRequest,
    relay: str,
    later: bool,
) -> VerifiedTicket:
    matching = [ticket for ticket in tickets if ticket.grant_digest == grant.digest]
    if len(matching) != 1:
        raise DecisionRefused("a grant has no ticket of its own", code="decision.ticket")
    ticket, terms = matching[0], grant.terms
    begins = max(ticket.valid_from, terms.valid_from) if later else terms.valid_from
    if (
        ticket.issuer != grant.issuer
        or ticket.holder != request.request.redemption_key
        or ticket.relay != relay
        or (ticket.valid_from, ticket.valid_until) != (begins, terms.valid_until)
        or (ticket.max_uses, ticket.min_interval) != (terms.max_uses, terms.min_interval)
        or ticket.status != grant.status
    ):
        raise DecisionRefused("a ticket says something else than its grant", code="decision.ticket")
    return ticket


def _verify_denial(raw: JsonObject, *, holder: str, now: datetime) -> AccessDenial:
    try:
        verified = verify_object(
            raw, resolver=OFFLINE, now=now, expected_controller=holder, exact_context=()
        )
    except CredentialError as error:
        raise DecisionRefused(
            f"a denial is not signed by the holder: {error}", code="decision.denial"
        ) from error
    return AccessDenial.parse(verified.document)
