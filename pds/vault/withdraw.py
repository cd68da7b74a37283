"""Ending a grant: the relay deletes and refuses first, then the list, then the notice."""

from datetime import timedelta

from credentials.status import BitString
from did.time import format_time
from pds.messages.notices import Withdrawal, verb_of
from pds.vault.context import Context
from pds.vault.errors import NotFound
from pds.vault.staging import grant_of, queue_message, queue_status, request_of
from pds.vault.store.rows import StoredGrant
from pds.vault.succession import SUPERSEDED

ERASE_WITHIN = timedelta(days=30)


def find_grant(ctx: Context, name: str) -> StoredGrant:
    """The grant with this id, digest, or purpose of a request (``delivery``): where several have
    it, the one that is not over. One that another took the place of does not count.

    Raises ``NotFound`` (``vault.not_found``, ``vault.ambiguous``, ``vault.ended``).
    """
    grants = ctx.exchange.grants()
    exact = [g for g in grants if name in (g.id, g.digest)]
    if exact:
        return exact[0]
    named = [g for g in grants if grant_of(ctx, g).terms.request_purpose == name]
    named = [g for g in named if g.end_kind != SUPERSEDED] or named
    # Expired by this clock, which may be wrong: then what nobody ended is still found.
    running = [g for g in named if g.ended is None]
    live = [g for g in running if ctx.clock() < grant_of(ctx, g).terms.valid_until] or running
    if len(live) == 1 or len(named) == 1:
        return (live or named)[0]
    if named and not live:
        raise NotFound(
            "all grants for that purpose are over",
            code="vault.ended",
            hint="Nothing is shared for it any more. One that is over goes by its id: pds sharing",
        )
    if named:
        raise NotFound(
            "more than one grant has that purpose",
            code="vault.ambiguous",
            hint="Name it by its id; 'pds sharing' shows them.",
        )
    raise NotFound("there is no such grant", code="vault.not_found", hint="See: pds sharing")


def withdraw(ctx: Context, stored: StoredGrant) -> str:
    """End a grant with the verb of its basis, and queue what follows, all in one transaction.

    Nothing can prevent it: neither a wrong clock nor a relay that is away or hostile. It is
    *pending* until the relay's receipts are in. Repeating it changes nothing. Returns the verb:
    ``withdraw``, ``end`` or ``object``. Where the law gives the holder no choice, the sharing from
    this vault ends all the same; the company says what it must keep.
    """
    grant = grant_of(ctx, stored)
    verb = verb_of(grant.terms.basis) or "end"
    source = ctx.exchange.request(stored.request)
    if source is None:
        raise NotFound("the grant's request is missing", code="vault.damaged")
    with ctx.transaction():
        # Whatever stands in its place by now: a withdrawal wins over a change of DID.
        current = ctx.exchange.grant_by_digest(ctx.successions.latest(stored.digest))
        if current is None or current.ended is not None:  # repeated, or another was quicker
            return verb
        now = ctx.ending_time()
        relationship = ctx.exchange.relationship(current.relationship)
        thread = ctx.exchange.request(current.request) or source
        ctx.exchange.drop_jobs(relationship.index, "package", current.package)
        ctx.exchange.enqueue(relationship.index, "end", ref=current.package)
        bits = BitString.decode(relationship.status_bits).with_bit(current.status_index)
        notice = Withdrawal(
            grant=current.digest,
            verb=verb,
            sequence=queue_status(ctx, relationship, bits=bits),
            erase_by=now + ERASE_WITHIN,
            at=now,
        )
        queue_message(
            ctx,
            relationship=ctx.exchange.relationship(thread.relationship or relationship.index),
            request=request_of(source),
            kind="Withdrawal",
            body=notice.to_json(),
            about=current.package,
        )
        ctx.exchange.end_grant(current.digest, kind=verb, at=now)
        ctx.log("ended", current.id, {"verb": verb, "eraseBy": format_time(now + ERASE_WITHIN)})
    return verb
