"""One round: answers and notices from holders, the status of every grant, and what follows.

A message that cannot be what it claims is noted, dropped, and the round goes on. An envelope is
deleted at the relay only after what it says is durably stored.

Longer than a room should be: each kind of message is a few lines, and one table holds them all.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from credentials.errors import CredentialError, StatusUnchecked, TimeInvalid, Withdrawn
from did.errors import DidError
from did.json import JsonObject, digest
from did.resolve import OFFLINE
from pds.company.asking import mailbox_of, publish_pending
from pds.company.context import Context, fingerprint, seed, verified_request
from pds.company.erasure import end_grant, expire
from pds.company.errors import CompanyError, NoBasis
from pds.company.outbox import PushReport, push
from pds.company.redeeming import acknowledge, recover_one
from pds.company.standing import standing
from pds.company.store.rows import GrantRow, RequestRow
from pds.company.succession import check_change, move, orphans, superseded
from pds.company.witnesses import hear_witnesses, watched
from pds.errors import PdsError
from pds.mailbox import RelayError
from pds.messages.decision import CheckedDecision, check_decision
from pds.messages.errors import MessageError
from pds.messages.message import (
    Message,
    Order,
    Position,
    VerifiedMessage,
    follows,
    gap_code,
    open_message,
)
from pds.messages.notices import PackageUpdated, Withdrawal
from pds.messages.succession import Change
from pds.sealing import SealingKey

_LINGER = timedelta(days=30)
"""How long a thread stays open after its last grant was erased, or after it was not answered."""

_MOST_ENVELOPES = 1_000
"""How many envelopes of one mailbox one round reads: a relay can invent them without end."""


@dataclass(slots=True)
class CollectReport:
    """What one round did. ``decided`` are request ids, and ``moved`` those of threads that go on
    under another DID of their person; ``resumed`` are those whose person's vault came back from a
    backup and says so, which needs nobody; ``ended`` and ``updated`` are grant ids; ``problems``
    are codes with the request or grant that they concern."""

    messages: int = 0
    decided: list[str] = field(default_factory=list)
    moved: list[str] = field(default_factory=list)
    resumed: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    updated: list[str] = field(default_factory=list)
    recovered: int = 0
    erased: int = 0
    problems: list[tuple[str, str]] = field(default_factory=list)
    push: PushReport = field(default_factory=lambda: PushReport(0, ()))


def collect(ctx: Context) -> CollectReport:
    """One round. Never raises for what a holder or a relay did; see ``problems``."""
    report = CollectReport()
    for request_id, code in publish_pending(ctx):
        report.problems.append((code, request_id))
    for row in ctx.store.requests():
        if row.state in ("published", "decided"):
            _guarded(report, row.id, partial(read_mailbox, ctx, row, report))
    fetched: set[str] = set()
    for grant in ctx.store.grants():
        if grant.ended is None:
            first = grant.status_list not in fetched
            fetched.add(grant.status_list)
            _guarded(report, grant.id, partial(_check_standing, ctx, grant, report, refresh=first))
    for unfinished in ctx.store.redemptions(state="sent"):
        _guarded(report, unfinished.grant, partial(_recover, ctx, unfinished.id, report))
    for request in watched(ctx):
        _guarded(report, str(request.relay), partial(_hear, ctx, request, report))
    acknowledge(ctx)
    expired = expire(ctx)
    report.erased += expired.erased
    report.problems.extend(expired.problems)
    report.push = push(ctx)
    for row in ctx.store.requests():
        _guarded(report, row.id, partial(_close, ctx, row))
    ctx.store.compact()
    return report


def _hear(ctx: Context, request: RequestRow, report: CollectReport) -> None:
    code = hear_witnesses(ctx, request)
    if code is not None:
        report.problems.append((code, str(request.relay)))


def _guarded(report: CollectReport, subject: str, act: Callable[[], None]) -> None:
    try:
        act()
    except (PdsError, DidError, CredentialError, OverflowError) as error:
        report.problems.append((_code(error), subject))


def _code(error: Exception) -> str:
    """A date beyond the calendar is nobody's code."""
    return str(getattr(error, "code", "company.dates"))


# messages


def read_mailbox(ctx: Context, row: RequestRow, report: CollectReport) -> None:
    """Take in what lies in a request's mailbox; what is wrong with it goes into the report.

    What was read is deleted there, and nothing else remembers it: a relay that numbers its
    envelopes anew, or wrongly, keeps no later message from being read.
    """
    mailbox, after, more, left = mailbox_of(ctx, row), 0, True, _MOST_ENVELOPES
    while more:
        envelopes, more = mailbox.envelopes(after)
        for ordinal, sealed in envelopes:
            _take(ctx, row.id, sealed, report)
            try:
                mailbox.delete_envelope(ordinal)
            except RelayError as error:
                if error.code != "relay.not_found":  # gone is what it should be
                    raise
            after = ordinal
        left -= len(envelopes)
        if more and left <= 0:
            raise CompanyError(
                "the mailbox holds more than one round takes in",
                code="company.too_many_envelopes",
                hint="Collect again.",
                exit_code=4,
            )


def _take(ctx: Context, request_id: str, sealed: bytes, report: CollectReport) -> None:
    """Open one envelope and carry out what it says:

    1. it opens with this request's key, names that key, and is signed by its sender
    2. it is of this thread, by the holder who decided (or decides now), and new. A withdrawal
       and a change of DID count in whatever order they come; after a gap the thread goes on, and
       the gap is noted. Whether the sender of a change may speak for the holder is for 3 to say
    3. what it says holds; see ``_decide``, ``_withdraw``, ``_update``, ``_change``
    """
    row = ctx.store.request(request_id)
    if row is None:
        return

    def expected(message: Message) -> str | None:
        if message.type == "DidChange":
            return message.sender if message.thread == row.id else None
        if row.person not in (None, message.sender) and message.type == "Decision":
            raise CompanyError(
                "somebody else answered through the same link", code="company.already_answered"
            )
        return (row.person or message.sender) if message.thread == row.id else None

    try:
        verified = open_message(  # 1
            sealed,
            key=SealingKey.from_seed(seed(row.message_seed)),
            mailbox=row.mailbox,
            resolver=OFFLINE,  # holders are did:key
            now=ctx.now(),
            expected_sender=expected,
        )
        message = verified.message
        order = _order(ctx, row, verified)  # 2
        if order is Order.REPEAT and message.type not in _WHENEVER:
            return
    except (PdsError, DidError, CredentialError) as error:
        _drop(ctx, report, error.code, row.id, sealed)
        return
    try:
        _CARRY_OUT.get(message.type, _unexpected)(ctx, row, verified, report)  # 3
    except (PdsError, DidError, CredentialError, OverflowError) as error:
        code = _code(error)
        _drop(ctx, report, code, row.id, sealed)
        if row.person is None or message.type == "DidChange":
            return  # anybody's
        if order is not Order.REPEAT:
            # It is theirs and new: remembered, so that what comes after it still follows.
            with ctx.transaction():
                _remember(ctx, row, verified, problem=code)
    else:
        report.messages += 1
    if order is Order.GAP and message.restored:
        report.resumed.append(row.id)
    elif order is Order.GAP:
        report.problems.append((gap_code(message), row.id))


def _order(ctx: Context, row: RequestRow, verified: VerifiedMessage) -> Order:
    last = Position(*ctx.store.last_message(row.id, incoming=True))
    sender = row.person or verified.message.sender
    if verified.message.type == "DidChange":
        sender = verified.message.sender
    return follows(verified, thread=row.id, sender=sender, last=last)


def _drop(ctx: Context, report: CollectReport, code: str, subject: str, sealed: bytes) -> None:
    report.problems.append((code, subject))
    with ctx.transaction():
        ctx.problem(code, subject, fingerprint(sealed))


def _remember(
    ctx: Context, row: RequestRow, verified: VerifiedMessage, *, problem: str | None = None
) -> None:
    """Store a message, with the gap before it as a problem, in the caller's transaction."""
    message = verified.message
    order = _order(ctx, row, verified)
    if order is Order.GAP:
        last, _ = ctx.store.last_message(row.id, incoming=True)
        detail: JsonObject = {"after": last, "seq": message.seq, "message": verified.digest}
        ctx.problem(gap_code(message), row.id, detail)
    elif ctx.store.message(row.id, message.seq, incoming=True) is not None:
        return  # told again
    ctx.store.add_message(
        row.id,
        incoming=True,
        seq=message.seq,
        digest=verified.digest,
        kind=message.type,
        raw=verified.raw,
        at=ctx.now(),
        problem=problem,
    )


def _unexpected(
    _ctx: Context, _row: RequestRow, _verified: VerifiedMessage, _report: CollectReport
) -> None:
    raise MessageError("the message does not belong here", code="message.unexpected")


def _decide(
    ctx: Context, row: RequestRow, verified: VerifiedMessage, report: CollectReport
) -> None:
    if row.person is not None:
        raise MessageError("the request was decided before", code="message.unexpected")
    message = verified.message
    if ctx.store.successor(message.sender) is not None:
        raise superseded()
    checked = check_decision(
        message.body, request=verified_request(row), holder=message.sender, now=ctx.now()
    )
    _keep_decision(ctx, row, verified, checked)
    report.decided.append(row.id)


def _keep_decision(
    ctx: Context,
    row: RequestRow,
    verified: VerifiedMessage,
    checked: CheckedDecision,
    changes: tuple[tuple[Change, JsonObject], ...] = (),
) -> None:
    decision = checked.decision
    grants = [_grant_row(ctx, row, checked, purpose_id) for purpose_id in sorted(checked.granted)]
    with ctx.transaction():
        _remember(ctx, row, verified)
        ctx.store.set_decided(
            row.id,
            person=checked.holder,
            reply=decision.reply.to_json(),
            relay=decision.relay,
            log_origin=decision.log_origin,
            log_key=decision.log_key.multikey,
            at=ctx.now(),
        )
        for grant in grants:
            ctx.store.add_grant(grant)
            ctx.event("granted", grant.id, {"purpose": grant.purpose_id})
        for purpose_id in sorted(checked.refused):
            ctx.store.add_denial(row.id, purpose_id, ctx.now())
            ctx.event("denied", row.id, {"purpose": purpose_id})
        for change, raw in changes:
            ctx.store.add_change(change, raw)


def _grant_row(
    ctx: Context, row: RequestRow, checked: CheckedDecision, purpose_id: str
) -> GrantRow:
    granted = checked.granted[purpose_id]
    raw = next(g for g in checked.decision.grants if digest(g) == granted.grant.digest)
    ticket = next(t for t in checked.decision.tickets if digest(t) == granted.ticket.digest)
    if not granted.grant.status.list_url.startswith(checked.decision.relay + "/v1/status/"):
        raise CompanyError(
            "the status list of a grant is not at the relay of the decision",
            code="company.status_elsewhere",
        )
    terms = granted.grant.terms
    return GrantRow(
        digest=granted.grant.digest,
        id=granted.grant.id,
        request=row.id,
        purpose_id=purpose_id,
        purpose=terms.purpose,
        person=checked.holder,
        raw=raw,
        ticket=ticket,
        ticket_digest=granted.ticket.digest,
        package=granted.ticket.package,
        status_list=granted.grant.status.list_url,
        valid_from=terms.valid_from,
        valid_until=terms.valid_until,
        created=ctx.now(),
    )


def _withdraw(
    ctx: Context, row: RequestRow, verified: VerifiedMessage, report: CollectReport
) -> None:
    """The holder's signed word ends the grant at once, whatever the relay's list shows by now; a
    list that should show it and does not is a problem of its own."""
    notice = Withdrawal.parse(verified.message.body)
    grant = _grant_of(ctx, row, notice.grant)
    unconfirmed = grant.ended is None and _not_shown(ctx, grant, notice)
    changed = end_grant(ctx, grant, kind=notice.verb)
    with ctx.transaction():
        _remember(ctx, row, verified)
        if unconfirmed:
            ctx.problem("register.not_in_list", grant.id, {"sequence": notice.sequence})
    if changed:
        report.ended.append(grant.id)
    if unconfirmed:
        report.problems.append(("register.not_in_list", grant.id))


def _not_shown(ctx: Context, grant: GrantRow, notice: Withdrawal) -> bool:
    try:
        standing(ctx, grant, now=ctx.now(), refresh=True)
    except (CredentialError, PdsError):
        return False  # withdrawn, over, or out of reach
    seen = ctx.store.status(grant.status_list)
    return seen is not None and seen.sequence >= notice.sequence


def _update(
    ctx: Context, row: RequestRow, verified: VerifiedMessage, report: CollectReport
) -> None:
    notice = PackageUpdated.parse(verified.message.body)
    grant = _grant_of(ctx, row, notice.grant)
    if notice.package != grant.package:
        raise MessageError("the update is of another package", code="message.unexpected")
    with ctx.transaction():
        _remember(ctx, row, verified)
        if notice.seq > grant.announced:
            ctx.store.announce(grant.digest, notice.seq)
    report.updated.append(grant.id)


def _change(
    ctx: Context, row: RequestRow, verified: VerifiedMessage, report: CollectReport
) -> None:
    """The holder goes on under another DID: the thread and all its grants move at once. Where the
    first answer was lost, or came too late to be believed, this one is it."""
    checked = check_change(ctx, row, verified.message)
    if row.person is None:
        _keep_decision(ctx, row, verified, checked.decision, checked.changes)
        report.decided.append(row.id)
        return
    grants = [
        _grant_row(ctx, row, checked.decision, purpose_id)
        for purpose_id in sorted(checked.decision.granted)
    ]
    with ctx.transaction():
        left_out = move(ctx, row, checked, grants)
        _remember(ctx, row, verified)
        for code, grant_id in left_out:
            ctx.problem(code, grant_id)
    report.problems.extend(left_out)
    report.moved.append(row.id)
    for grant in orphans(ctx, row, checked.decision.holder):
        end_grant(ctx, grant, kind="status")
        report.ended.append(grant.id)


def _grant_of(ctx: Context, row: RequestRow, grant_digest: str) -> GrantRow:
    """A grant of this very thread; its issuer is the thread's holder."""
    grant = ctx.store.grant(grant_digest)
    if grant is None or grant.request != row.id:
        raise MessageError("the notice is of no grant of this thread", code="message.unexpected")
    return grant


_CarryOut = Callable[[Context, RequestRow, VerifiedMessage, CollectReport], None]
_CARRY_OUT: dict[str, _CarryOut] = {
    "Decision": _decide,
    "Withdrawal": _withdraw,
    "PackageUpdated": _update,
    "DidChange": _change,
}
_WHENEVER = frozenset({"Withdrawal", "DidChange"})
"""What counts whenever it comes: neither a gap nor a forged number may hold it back."""


# the rest of a round


def _check_standing(ctx: Context, grant: GrantRow, report: CollectReport, *, refresh: bool) -> None:
    """Look whether the grant was withdrawn, in case the notice was lost or held back."""
    try:
        standing(ctx, grant, now=ctx.now(), refresh=refresh)
    except Withdrawn:
        if end_by_list(ctx, grant, report):
            report.ended.append(grant.id)
    except TimeInvalid:
        pass  # not begun yet, or over: ``expire`` sees to it
    except StatusUnchecked as error:
        report.problems.append((error.code, grant.id))


def end_by_list(ctx: Context, grant: GrantRow, report: CollectReport) -> bool:
    """End a grant that its status list shows as withdrawn; whether it was ended.

    A holder who goes on under another DID closes the old list, after having said so: what was said
    may lie in the mailbox still, so that is read first.
    """
    _guarded(report, grant.request, partial(read_mailbox, ctx, ctx.request_of(grant), report))
    current = ctx.store.grant(grant.digest)
    if current is None or current.ended is not None:
        return False
    return end_grant(ctx, current, kind="status")


def _recover(ctx: Context, redemption_id: str, report: CollectReport) -> None:
    unfinished = [r for r in ctx.store.redemptions(state="sent") if r.id == redemption_id]
    try:
        found = recover_one(ctx, unfinished[0]) if unfinished else None
        if found is not None:
            report.recovered += 1
            if not found.logged:
                report.problems.append(("log.forked", found.grant))
    except NoBasis as error:
        report.problems.append((error.code, unfinished[0].grant))


def _close(ctx: Context, row: RequestRow) -> None:
    """End a thread that has nothing more to say: its mailbox goes, and its keys are destroyed."""
    now = ctx.now()
    if row.state in ("pending", "published"):
        over = now >= row.expires + _LINGER
    elif row.state == "decided" and row.decided is not None:
        grants = ctx.store.grants(request=row.id)
        ends = [row.decided, *(g.erased for g in grants if g.erased is not None)]
        over = (
            all(grant.erased is not None for grant in grants)
            and now >= max(ends) + _LINGER
            and all(job.thread != row.id for job in ctx.store.outbox())
        )
    else:
        return
    if over:
        end_thread(ctx, row)


def end_thread(ctx: Context, row: RequestRow, *, event: str = "closed") -> None:
    """End the mailbox of a request at the relay, then destroy its keys and its link here."""
    try:
        mailbox_of(ctx, row).delete()
    except RelayError as error:
        if error.code not in ("relay.not_found", "relay.ended"):
            raise
    with ctx.transaction():
        ctx.store.close_request(row.id)
        ctx.event(event, row.id)
