"""Taking up, after a restore, what the anchors in the vault's own mailboxes know and a backup does
not: relationships, requests and grants made since, and withdrawals that no relay has heard of.

An anchor alone proves nothing alive, because a relay may show an old one: a grant that only it
speaks for is *unproven* until list and package have been looked at, however often that begins.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from did.errors import DidError
from did.json import Json, digest
from pds.errors import PdsError
from pds.mailbox import OwnedMailbox
from pds.messages.errors import MessageError
from pds.messages.fields import Fields
from pds.vault.anchors import Anchor, read
from pds.vault.context import Context
from pds.vault.decide import host_of
from pds.vault.derive import RelationshipKeys
from pds.vault.relationships import add_relationship
from pds.vault.staging import content_digest, items_for
from pds.vault.store.rows import Relationship, StoredGrant, StoredRequest

_MOST_ENVELOPES: Final = 2000


@dataclass(frozen=True, slots=True)
class Recovered:
    """What an anchor brought back: grants, and the lines of history that nothing can bring back."""

    grants: int = 0
    lost: int = 0
    diverged: bool = False


def newest(ctx: Context, mailbox: OwnedMailbox, keys: RelationshipKeys) -> Anchor | None:
    """The newest anchor in a mailbox, if there is one."""
    found: Anchor | None = None
    for _, sealed in _envelopes(mailbox):
        anchor = read(sealed, keys, mailbox=keys.mailbox_id, ctx=ctx)
        if anchor is not None and (found is None or anchor.age > found.age):
            found = anchor
    return found


def _envelopes(mailbox: OwnedMailbox) -> Iterator[tuple[int, bytes]]:
    after, seen, more = 0, 0, True
    while more and seen < _MOST_ENVELOPES:
        page, more = mailbox.envelopes(after=after)
        for ordinal, sealed in page:
            yield ordinal, sealed
            after, seen = ordinal, seen + 1
        more = more and bool(page)


def take_up(
    ctx: Context, index: int, known: Relationship | None
) -> tuple[Relationship | None, Recovered]:
    """Take from the anchor of a relationship what a restored vault does not know of it.

    Rows that are missing are added, nothing is changed and nothing comes back to life: whether a
    grant still holds is told by list and packages, which are looked at afterwards. Without an
    anchor, or with one that cannot be read, the relationship is what the backup knows.
    """
    keys = ctx.derive(index) if known is None else ctx.keys(known)
    relay = ctx.client(ctx.setting("relay"))
    mailbox = relay.owner(keys.mailbox_id, keys.mailbox_key, ctx.epoch)
    anchor = newest(ctx, mailbox, keys)
    if anchor is None:
        return known, Recovered()
    size, _ = ctx.history.root()
    diverged = anchor.size <= size and not ctx.history.grew_from(anchor.size, anchor.root)
    try:
        with ctx.transaction():
            relationship, grants = _take(ctx, anchor.state, index, known)
    except (MessageError, DidError, PdsError) as error:
        with ctx.transaction():
            ctx.log("problem", "vault", {"code": getattr(error, "code", "anchor.unreadable")})
        return known, Recovered()
    return relationship, Recovered(grants, max(0, anchor.size - size), diverged)


def _take(
    ctx: Context, state: Fields, index: int, known: Relationship | None
) -> tuple[Relationship, int]:
    company, name = str(state.raw("company")), str(state.raw("name"))
    relationship = known
    if relationship is None:
        relationship = add_relationship(
            ctx, company, name, index=index, now=ctx.ending_time(),
            capability=str(state.raw("capability")),
        )  # fmt: skip
    for refusal in state.each("refusals", high=10_000):
        ctx.exchange.refuse(host_of(company), str(refusal.raw("purpose")), refusal.time("until"))
    threads: dict[str, StoredRequest] = {}
    for thread in state.each("threads", high=10_000):
        request = _take_thread(ctx, thread, company, index)
        threads[request.digest] = request
    grants = 0
    for row in state.each("grants", high=10_000):
        grants += _take_grant(ctx, row, threads, index)
    return relationship, grants


def _take_thread(ctx: Context, thread: Fields, company: str, index: int) -> StoredRequest:
    raw = thread.object("request")
    request = StoredRequest(
        id=str(raw["id"]),
        digest=digest(raw),
        company=company,
        raw=raw,
        received=thread.time("received"),
        state=str(thread.raw("state")),
        relationship=index,
    )
    mine = ctx.exchange.request(request.id)
    if mine is None:
        ctx.exchange.add_request(request)
    elif mine.state == "pending":
        ctx.exchange.close_request(request.id, state=request.state, relationship=index)
    for said in thread.each("last"):
        incoming, seq = bool(said.raw("incoming")), said.integer("seq", 1, 2**53 - 1)
        if ctx.exchange.last_message(request.id, incoming=incoming)[0] < seq:
            message = said.object("raw")
            ctx.exchange.add_message(
                request.id,
                incoming=incoming,
                seq=seq,
                digest=digest(message),
                kind=str(said.raw("kind")),
                raw=message,
                at=said.time("at"),
            )
    return mine or request


def _fields(subject: Json) -> frozenset[str]:
    found = subject.get("fields") if isinstance(subject, dict) else None
    return frozenset(map(str, found)) if isinstance(found, list) else frozenset()


def _take_grant(ctx: Context, row: Fields, threads: dict[str, StoredRequest], index: int) -> int:
    """Whether a grant came new: 1 or 0."""
    raw, ticket = row.object("grant"), row.object("ticket")
    name, kind = digest(raw), row.raw("endKind")
    known = ctx.exchange.grant_by_digest(name)
    if known is not None:
        if known.ended is None and kind is not None:  # a withdrawal that no relay has heard of
            _end(ctx, known, str(kind), row)
        return 0
    subject = raw["credentialSubject"]
    request = threads.get(str(subject["request"])) if isinstance(subject, dict) else None
    if request is None:
        raise MessageError("a grant of the anchor has no request", code="anchor.unreadable")
    grant = StoredGrant(
        digest=name,
        id=str(raw["id"]),
        request=request.id,
        relationship=index,
        raw=raw,
        ticket=ticket,
        ticket_digest=digest(ticket),
        package=str(row.raw("package")),
        status_index=row.integer("statusIndex", 0, 2**32),
        seq=0,
        # The data of the backup may be older than what the relay holds: it is no change.
        content=content_digest(items_for(ctx, _fields(subject))),
        ended=None,
        end_kind=None,
        created=row.time("created"),
    )
    ctx.exchange.add_grant(grant)
    ctx.log("recovered", grant.id, {"company": request.company})
    ctx.exchange.set_setting(unproven(name), "1")
    if kind is not None:
        _end(ctx, grant, str(kind), row)
    return 1


def _end(ctx: Context, grant: StoredGrant, kind: str, row: Fields) -> None:
    ctx.exchange.end_grant(grant.digest, kind=kind, at=row.time("ended"))
    ctx.log("ended", grant.id, {"verb": kind})


def unproven(grant: str) -> str:
    """The setting that says of a grant that an anchor alone speaks for it, so far."""
    return f"unproven:{grant}"
