"""A holder goes on under another DID: who may say so, and what moves (protocol §5, DidChange)."""

from dataclasses import dataclass

from did.json import JsonObject
from did.keys import VerifyKey
from pds.company.context import Context, verified_request
from pds.company.keychange import learn
from pds.company.logkeys import line_of
from pds.company.standing import known_grant
from pds.company.store.rows import GrantRow, RequestRow
from pds.messages.decision import CheckedDecision, check_decision
from pds.messages.errors import ChangeRefused
from pds.messages.message import Message
from pds.messages.succession import Change, DidChange, verify_line

SUPERSEDED = "superseded"
"""How a grant ended in whose place another one stands, word for word, under the new DID."""


@dataclass(frozen=True, slots=True)
class CheckedChange:
    """A line of changes that leads from the thread's person to the sender, and the decision of the
    thread under the new DID."""

    changes: tuple[tuple[Change, JsonObject], ...]
    decision: CheckedDecision


def check_change(ctx: Context, row: RequestRow, message: Message) -> CheckedChange:
    """Check what a DidChange says:

    1. its changes are signed by both keys of each, and form one line to the sender
    2. nobody has taken the sender's place already
    3. it begins at who this thread is with; a thread that nobody answered yet is answered by it
    4. no other change of the same DID is known; else both are kept as a problem
    5. the decision answers the request, by the new DID, at the same relay

    What it may not widen is checked by ``move``. Raises ``ChangeRefused`` (``change.*``),
    ``DecisionRefused``, ``MessageError``.
    """
    notice, now = DidChange.parse(message.body), ctx.now()
    line = verify_line(notice.changes, sender=message.sender, now=now)  # 1
    if ctx.store.successor(message.sender) is not None:  # 2
        raise superseded()
    if row.person not in (None, message.sender, *(change.old for change in line)):  # 3
        raise ChangeRefused(
            "the change is of somebody else than who this thread is with", code="change.stranger"
        )
    raws = {Change.parse(raw).seq: raw for raw in notice.changes}
    for change in line:  # 4
        _check_only(ctx, row, change, raws[change.seq])
    checked = check_decision(  # 5
        notice.decision,
        request=verified_request(row),
        holder=message.sender,
        now=now,
        later_tickets=True,
    )
    said = checked.decision
    if row.person is not None and (said.relay != row.relay or not _follows(ctx, row, said.log_key)):
        raise ChangeRefused("the change is of the relay too", code="change.relay")
    return CheckedChange(tuple((change, raws[change.seq]) for change in line), checked)


def _follows(ctx: Context, row: RequestRow, key: VerifyKey) -> bool:
    """Whether this is the key of the relay's log, or one that has followed it."""
    return key in line_of(ctx, row) or (learn(ctx, row) and key in line_of(ctx, row))


def superseded() -> ChangeRefused:
    """What a DID says after another took its place counts for nothing."""
    return ChangeRefused(
        "another DID has taken the place of who sent this",
        code="change.superseded",
        hint="Somebody may have the old key. Nothing was changed.",
    )


def move(
    ctx: Context, row: RequestRow, checked: CheckedChange, grants: list[GrantRow]
) -> list[tuple[str, str]]:
    """Move a thread that is known to the new DID, in the caller's transaction: its person, its
    address, and each grant with all that is held under it.

    1. a grant stands in the place of one of the same purpose: nothing is granted that was not
    2. with the very same terms: not a use, a field or a day more
    3. what had ended stays so: a withdrawal wins over a change

    Returns what was left out, as (code, grant id). Raises ``ChangeRefused`` (``change.wider``,
    ``change.terms``); then nothing moves.
    """
    left_out = []
    for new in grants:
        if ctx.store.grant(new.digest) is not None:
            continue  # told again
        old = _in_place(ctx, row, new)
        if old is None:  # 1
            raise ChangeRefused("the change grants what was not granted", code="change.wider")
        if not _same_terms(ctx, old, new):  # 2
            raise ChangeRefused("the change alters the terms of a grant", code="change.terms")
        if old.ended is not None:  # 3
            left_out.append(("change.ended", old.id))
            continue
        now = ctx.now()
        for unfinished in ctx.store.redemptions(grant=old.digest, state="sent"):
            # Its package was ended before its place was taken: the answer is gone.
            ctx.store.close_redemption(unfinished.id, state="lost", code="company.ended")
        ctx.store.add_grant(new)
        ctx.store.move_grant(old.digest, new.digest)
        ctx.store.set_ended(old.digest, kind=SUPERSEDED, at=now)
        ctx.store.set_erased(old.digest, now)  # nothing is held under it any more
        ctx.event(SUPERSEDED, old.id, {"by": new.id})
    for change, raw in checked.changes:
        ctx.store.add_change(change, raw)
    reply = checked.decision.decision.reply.to_json()
    ctx.store.set_holder(row.id, person=checked.decision.holder, reply=reply)
    ctx.event("did changed", row.id, {"to": checked.decision.holder})
    return left_out


def orphans(ctx: Context, row: RequestRow, holder: str) -> list[GrantRow]:
    """Grants of a thread by a DID that was given up, in whose place nothing stands."""
    return [
        grant
        for grant in ctx.store.grants(request=row.id)
        if grant.ended is None and grant.person != holder
    ]


def _check_only(ctx: Context, row: RequestRow, change: Change, raw: JsonObject) -> None:
    known = ctx.store.successor(change.old)
    came_from = ctx.store.predecessor(change.new)
    if known in (None, change.new) and came_from in (None, change.old):
        return
    kept = ctx.store.change_of(change.old if known is not None else came_from or "")
    with ctx.transaction():
        ctx.problem("change.forked", row.id, {"kept": kept, "refused": raw})
    raise ChangeRefused(
        "the same DID was given up for another one before",
        code="change.forked",
        hint="Somebody may have the old key. Both changes are kept; ask the person.",
    )


def _in_place(ctx: Context, row: RequestRow, new: GrantRow) -> GrantRow | None:
    """The grant of this purpose that was in force last."""
    found = [
        grant
        for grant in ctx.store.grants(request=row.id)
        if grant.purpose_id == new.purpose_id and grant.end_kind != SUPERSEDED
    ]
    return found[-1] if found else None


def _same_terms(ctx: Context, old: GrantRow, new: GrantRow) -> bool:
    now = ctx.now()
    return known_grant(ctx, old, now=now).terms == known_grant(ctx, new, now=now).terms
