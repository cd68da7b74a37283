"""A relationship goes on under new keys: a new DID, mailbox and status list, the same grants.

    begun     the old packages are being ended, the new mailbox and list are being made
    made anew when the relay has confirmed all that: every grant under the new DID, with what is
              left of its uses; the company is being told, in each of its threads
    closed    when it was told: the old list says of every grant that it is over

Each step is one transaction and is taken when the receipts of the one before are in, by the verb
or by any later ``sync``. What is withdrawn meanwhile is not made anew. The new grant, its package
and its place in the list follow from the old grant and the new DID alone, so that a vault restored
from an older backup finds them at the relay and makes the very same ones.

Longer than a room should be: the steps, and finding them again after a restore, are read in one go.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from credentials.grant import GrantTerms, VerifiedGrant, issue_grant
from credentials.status import BitString, StatusEntry
from credentials.ticket import issue_ticket, new_urn
from did.errors import DidError
from did.json import JsonObject, digest
from did.time import parse_time
from pds.errors import PdsError
from pds.mailbox import MailboxInfo, RelayError, RelayNonsense, RelayUnreachable
from pds.messages.request import AccessRequest
from pds.messages.succession import Change, DidChange
from pds.sealing import length_prefixed
from pds.vault.context import SKEW, Context, HomeRelay
from pds.vault.decide import decision_of, host_of
from pds.vault.derive import RelationshipKeys
from pds.vault.errors import NotFound, PackageTooLarge, VaultError
from pds.vault.outbox import PushReport, push
from pds.vault.relationships import (
    STATUS_ENTRIES,
    add_relationship,
    begin_relationship,
    next_is_unused,
)
from pds.vault.report import SyncReport
from pds.vault.staging import (
    content_digest,
    grant_of,
    items_for,
    queue_mailbox,
    queue_message,
    queue_package,
    queue_status,
    request_of,
    status_url,
)
from pds.vault.store.rows import Relationship, StoredGrant, StoredRequest
from pds.vault.store.successions import DONE, FOUND, MOVING, TELLING, Succession
from pds.vault.store.words import name_key
from pds.vault.watch import PackageWatch
from pds.wire import new_id

SUPERSEDED = "superseded"
_CLOSED = b"\xff" * (STATUS_ENTRIES // 8)
_SETTING_UP = frozenset({"mailbox", "capability", "status"})
_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Rotation:
    """How far the change of a relationship's DID has come: ``moving``, ``telling``, ``done``."""

    company: str
    name: str
    old: str
    new: str
    state: str
    grants: int


def rotate(ctx: Context, name: str) -> tuple[Rotation, PushReport]:
    """Give the relationship with a company, by its DID, host or name, a new DID, and send what can
    be sent now. While a change is under way this goes on with it and begins no other.

    Raises ``NotFound``, ``VaultError`` (``vault.ambiguous``, ``vault.other_copy``), ``ClockWrong``.
    """
    begun = begin(ctx, _living(ctx, name))
    for _ in range(_ROUNDS):
        report = push(ctx)
        try:
            went_on = advance(ctx)
        except PdsError:
            break  # 'sync' names it, and goes on
        if not went_on:
            break
    return _shown(ctx, begun), report


def begin(ctx: Context, known: Relationship) -> int:
    """Write down that a relationship gets new keys; the index of the one that is given up."""
    ctx.home()
    while not next_is_unused(ctx):
        pass
    with ctx.transaction():
        current = ctx.exchange.relationship_with(known.company) or known
        before = ctx.successions.into(current.index)
        if before is not None and before.state != DONE:
            return before.old
        now = ctx.signing_time()
        new = begin_relationship(ctx, current.company, current.name, now=now)
        signed = _change(ctx, current, new, now)
        ctx.successions.add(current.index, new.index, state=MOVING, signed=signed, at=now)
        for stored, _ in _live(ctx, current.index):
            ctx.exchange.drop_jobs(current.index, "package", stored.package)
            ctx.exchange.enqueue(current.index, "end", ref=stored.package)
        ctx.log("rotation begun", current.company, {"from": current.did, "to": new.did})
    return current.index


def advance(ctx: Context, report: SyncReport | None = None) -> bool:
    """Take the next step of every change under way whose receipts are in; whether any was taken.

    Raises the relay's errors when what happened to a package cannot be read now.
    """
    went_on = False
    for row in ctx.successions.unfinished():
        if row.state == MOVING:
            went_on |= _make_anew(ctx, row, report or SyncReport())
        elif row.state == FOUND:
            went_on |= _tell_again(ctx, row)
        else:
            went_on |= _close(ctx, row)
    return went_on


# the second step


def _make_anew(ctx: Context, row: Succession, report: SyncReport) -> bool:
    old, new = ctx.exchange.relationship(row.old), ctx.exchange.relationship(row.new)
    packages = {stored.package for stored, _ in _live(ctx, old.index)}
    for job in ctx.exchange.jobs():
        if job.kind in _SETTING_UP and job.relationship == new.index:
            return False
        if job.kind == "end" and job.ref in packages:
            return False
    home = ctx.home()
    used = {  # the packages are ended: what happened to them is all that ever will
        stored.digest: _use_so_far(PackageWatch(ctx, home, old, stored, report), grant)
        for stored, grant in _live(ctx, old.index)
    }
    with ctx.transaction():
        current = ctx.successions.of(old.index)
        if current is None or current.state != MOVING:
            return False  # another program was quicker
        live, now = _live(ctx, old.index), ctx.signing_time()
        if any(stored.digest not in used for stored, _ in live):
            return False  # a clock that was set back: again, with all of them
        for stored, grant in live:
            uses, begins = used[stored.digest]
            _stage_anew(ctx, home, new, stored, grant, uses=uses, begins=begins, now=now)
        count = _tell(ctx, new, now)
        ctx.successions.set_state(old.index, TELLING)
        ctx.log("rotated", old.company, {"from": old.did, "to": new.did, "grants": count})
    return True


def _use_so_far(watch: PackageWatch, grant: VerifiedGrant) -> tuple[int, datetime]:
    """How often a grant whose package was ended has been used, and from when on its interval
    allows the next use. A relay whose account does not hold together cannot refill it: then it
    counts as used up."""
    ctx, stored = watch.ctx, watch.stored
    begins = parse_time(str(stored.ticket["validFrom"]))
    try:
        watch.read()
        counted = ctx.mailbox(watch.relationship).package(stored.package).uses
    except RelayError as error:
        if error.code != "relay.not_found":  # it was never staged
            raise
        counted = 0
    except (RelayUnreachable, RelayNonsense):
        raise  # it may say later
    except (PdsError, DidError):
        return grant.terms.max_uses, begins
    taken = [e for e in ctx.exchange.events(stored.package) if e.kind == "redemption"]
    uses = max(ctx.successions.carried(stored.digest) + len(taken), counted)
    interval = timedelta(seconds=grant.terms.min_interval)
    if taken and interval:
        # A relay takes a ticket up to its skew before it begins.
        begins = max(begins, max(event.at for event in taken) + interval + SKEW)
    if begins >= grant.terms.valid_until:  # no use is left within the window
        return max(uses, grant.terms.max_uses), parse_time(str(stored.ticket["validFrom"]))
    return uses, begins


def _stage_anew(
    ctx: Context,
    home: HomeRelay,
    new: Relationship,
    stored: StoredGrant,
    grant: VerifiedGrant,
    *,
    uses: int,
    begins: datetime,
    now: datetime,
) -> None:
    source = _request(ctx, stored)
    request, made = request_of(source), Anew.of(ctx, stored, grant.terms, new.index, now)
    ticket = made.ticket(home.url, request, begins, now)
    items = items_for(ctx, grant.terms.fields)
    _put_in_place(ctx, stored, made, ticket, uses=uses, content=content_digest(items), now=now)
    try:
        queue_package(
            ctx,
            relationship=new,
            request=request,
            grant=grant_of(ctx, _stored(ctx, made.digest)),
            ticket=ticket,
            package_id=made.package,
            seq=1,
            items=items,
        )
    except PackageTooLarge:
        # What has grown too large must not keep the old key in use; it is tried again each round.
        ctx.exchange.set_package_version(made.digest, seq=0, content="")
        ctx.log("problem", stored.id, {"code": PackageTooLarge.default_code})


def _put_in_place(
    ctx: Context,
    stored: StoredGrant,
    made: "Anew",
    ticket: JsonObject,
    *,
    uses: int,
    content: str,
    now: datetime,
) -> None:
    """The new grant's row, and the old one's end, in the caller's transaction."""
    ctx.exchange.add_grant(
        StoredGrant(
            digest=made.digest,
            id=str(made.raw["id"]),
            request=stored.request,
            relationship=made.index,
            raw=made.raw,
            ticket=ticket,
            ticket_digest=digest(ticket),
            package=made.package,
            status_index=stored.status_index,
            seq=1,
            content=content,
            ended=None,
            end_kind=None,
            created=now,
        )
    )
    ctx.successions.move(stored.digest, made.digest, uses=uses)
    ctx.exchange.end_grant(stored.digest, kind=SUPERSEDED, at=now)
    ctx.log("reissued", str(made.raw["id"]), {"in place of": stored.id, "uses": uses})
    ctx.log("ended", stored.id, {"verb": SUPERSEDED})


@dataclass(frozen=True, slots=True)
class Anew:
    """A grant made anew under the DID of another relationship, and where its package lies.

    The same for the same grant and DID, at whatever time it is made; only its proof is newer.
    """

    index: int
    keys: RelationshipKeys
    raw: JsonObject
    package: str
    terms: GrantTerms
    draw: Callable[[int], bytes]

    @classmethod
    def of(
        cls, ctx: Context, stored: StoredGrant, terms: GrantTerms, index: int, now: datetime
    ) -> "Anew":
        keys = ctx.derive(index)
        draw = _draw(stored.digest, keys.did_key.did)
        list_url = status_url(ctx.setting("relay"), keys.status_id)
        raw = issue_grant(
            terms,
            key=keys.did_key,
            status=StatusEntry(list_url, stored.status_index),
            now=now,
            id=new_urn(draw),
        )
        return cls(index, keys, raw, new_id(draw), terms, draw)

    @property
    def digest(self) -> str:
        return digest(self.raw)

    def ticket(
        self, relay: str, request: AccessRequest, begins: datetime, now: datetime
    ) -> JsonObject:
        """Its ticket; it begins later than the grant where an interval is not over yet."""
        return issue_ticket(
            key=self.keys.did_key,
            redemption_key_did=request.redemption_key,
            relay=relay,
            package=self.package,
            valid_from=begins,
            valid_until=self.terms.valid_until,
            max_uses=self.terms.max_uses,
            min_interval=self.terms.min_interval,
            grant_digest=self.digest,
            status=StatusEntry.parse(self.raw["credentialStatus"]),
            now=now,
            id=new_urn(self.draw),
        )


def _draw(grant: str, did: str) -> Callable[[int], bytes]:
    """Octets that follow from an old grant and the new DID: ids which need no secrecy, only to be
    found again."""
    count = 0

    def octets(size: int) -> bytes:
        nonlocal count
        count += 1
        seed = length_prefixed(b"pds/v1/moved", grant.encode(), did.encode(), bytes([count]))
        return hashlib.sha256(seed).digest()[:size]

    return octets


def _package_of(grant: str, did: str) -> str:
    """Where the package of a grant lies once it was made anew under a DID."""
    draw = _draw(grant, did)
    new_urn(draw)
    return new_id(draw)


# telling, and closing


def _tell(ctx: Context, new: Relationship, now: datetime) -> int:
    """Queue a DidChange in every thread with a grant that was made anew, or in the newest one if
    there is none, in the caller's transaction. Those threads go on under the new DID; the others
    have nothing more to say. Returns how many grants there are."""
    home = ctx.home()
    grants = [g for g in ctx.exchange.grants(new.index) if ctx.successions.came_from(g.digest)]
    threads = {grant.request for grant in grants}
    line = ctx.successions.line(new.index)
    mine = [r for r in ctx.exchange.requests() if r.relationship in line]
    before = [r.id for r in mine if r.relationship != new.index]
    threads = threads or set(before[-1:])
    found = (ctx.successions.of(index) for index in line)
    changes = tuple(change.signed for change in found if change is not None)
    for stored in mine:
        if stored.id not in threads:
            continue
        made = [g for g in grants if g.request == stored.id and g.ended is None]
        given = {grant_of(ctx, g).terms.request_purpose for g in made}
        request = request_of(stored)
        decision = decision_of(
            ctx,
            stored,
            new,
            home=home,
            grants=tuple(g.raw for g in made),
            tickets=tuple(g.ticket for g in made),
            refused=frozenset(purpose.id for purpose in request.purposes) - given,
            now=now,
        )
        body = DidChange(changes, decision.to_json()).to_json()
        queue_message(ctx, relationship=new, request=request, kind="DidChange", body=body)
        ctx.exchange.close_request(stored.id, state=stored.state, relationship=new.index)
    return len(grants)


def _close(ctx: Context, row: Succession) -> bool:
    """Close the old list, once the company was told: every bit of it is set, so that nothing that
    the old key signs, or will sign, can refer to it."""
    with ctx.transaction():
        if any(
            job.relationship == row.new and job.payload.get("type") == "DidChange"
            for job in ctx.exchange.jobs()
        ):
            return False
        current = ctx.successions.of(row.old)
        if current is None or current.state != TELLING:
            return False
        old = ctx.exchange.relationship(row.old)
        queue_status(ctx, old, bits=BitString(_CLOSED))
        ctx.successions.set_state(row.old, DONE)
        ctx.log("rotation done", old.company, {"from": old.did})
    return True


# after a restore


def recover(ctx: Context, index: int, info: MailboxInfo) -> Relationship | None:
    """Recognise a mailbox that this vault does not know as that of a relationship which took the
    place of one it knows, by the packages that lie there; and make its rows. Returns None for any
    other. Uses and ends are then learnt from the relay as those of any other."""
    did = ctx.derive(index).did_key.did
    shown = {package.package: package for package in info.packages}
    found = [
        (stored, grant_of(ctx, stored).terms)
        for stored in ctx.exchange.grants()
        if not ctx.successions.is_over(stored.relationship)
        and _package_of(stored.digest, did) in shown
    ]
    if not found:
        return None
    old = ctx.exchange.relationship(found[0][0].relationship)
    tickets: dict[str, JsonObject | None] = {}
    mailbox = ctx.client(ctx.setting("relay")).owner(
        info.mailbox, ctx.derive(index).mailbox_key, ctx.epoch
    )
    for stored, _ in found:
        package = _package_of(stored.digest, did)
        tickets[stored.digest] = mailbox.package(package).ticket
    with ctx.transaction():
        now = ctx.ending_time()
        new = add_relationship(ctx, old.company, old.name, index=index, now=now)
        queue_mailbox(ctx, new)
        signed = _change(ctx, old, new, now)
        ctx.successions.add(old.index, index, state=FOUND, signed=signed, at=now)
        for stored, terms in found:
            made = Anew.of(ctx, stored, terms, index, now)
            ticket = tickets[stored.digest]
            if ticket is None or digest_of_grant(ticket) != made.digest:  # its package has ended
                request = request_of(_request(ctx, stored))
                ticket = made.ticket(ctx.setting("relay"), request, terms.valid_from, now)
            taken = [e for e in ctx.exchange.events(stored.package) if e.kind == "redemption"]
            uses = ctx.successions.carried(stored.digest) + len(taken)
            _put_in_place(ctx, stored, made, ticket, uses=uses, content="", now=now)
    return new


def digest_of_grant(ticket: JsonObject) -> object:
    """Which grant a ticket says that it is of."""
    subject = ticket.get("credentialSubject")
    return subject.get("grantDigest") if isinstance(subject, dict) else None


def note_closed(ctx: Context) -> None:
    """Mark relationships whose list is closed and whose successor nobody can tell: they must never
    speak again. In the caller's transaction."""
    for known in ctx.exchange.relationships():
        if not ctx.successions.is_over(known.index) and _is_closed(known):
            ctx.successions.add_lost(known.index, at=ctx.ending_time())
            ctx.log("rotation lost", known.company, {"from": known.did})


def _is_closed(relationship: Relationship) -> bool:
    return BitString.decode(relationship.status_bits).covers(BitString(_CLOSED))


def _tell_again(ctx: Context, row: Succession) -> bool:
    """Tell of a change that was found at the relay, unless another one followed it: the company may
    know of it, and then nothing changes there."""
    with ctx.transaction():
        current = ctx.successions.of(row.old)
        if current is None or current.state != FOUND:
            return False
        old, new = ctx.exchange.relationship(row.old), ctx.exchange.relationship(row.new)
        ctx.successions.set_state(row.old, TELLING)
        if not ctx.successions.is_over(row.new):
            _tell(ctx, new, ctx.signing_time())
        ctx.log("rotated", old.company, {"from": old.did, "to": new.did})
    return True


# helpers


def _living(ctx: Context, name: str) -> Relationship:
    """The relationship with the company of this DID, host or name, as it is spoken under now."""
    key = name_key(name)
    found = {
        known.company: known
        for known in ctx.exchange.relationships()
        if not ctx.successions.is_over(known.index)
        and (name in (known.company, host_of(known.company)) or name_key(known.name) == key)
    }
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise VaultError(
            "more than one company goes by that name",
            code="vault.ambiguous",
            hint="Name it by its DID; 'pds --json sharing' shows it.",
        )
    raise NotFound(
        "there is no relationship with such a company",
        hint="It begins with your first answer to a request; see: pds sharing",
    )


def _change(ctx: Context, old: Relationship, new: Relationship, now: datetime) -> JsonObject:
    seq = len(ctx.successions.line(old.index))
    change = Change(old=old.did, new=new.did, seq=seq, at=now)
    return change.sign(old=ctx.keys(old).did_key, new=ctx.keys(new).did_key)


def _live(ctx: Context, index: int) -> list[tuple[StoredGrant, VerifiedGrant]]:
    now = ctx.now()
    live = [(g, grant_of(ctx, g)) for g in ctx.exchange.grants(index) if g.ended is None]
    return [(stored, grant) for stored, grant in live if now < grant.terms.valid_until]


def _request(ctx: Context, stored: StoredGrant) -> StoredRequest:
    source = ctx.exchange.request(stored.request)
    if source is None:
        raise NotFound("the grant's request is missing", code="vault.damaged")
    return source


def _stored(ctx: Context, grant: str) -> StoredGrant:
    stored = ctx.exchange.grant_by_digest(grant)
    if stored is None:
        raise NotFound("the grant is missing", code="vault.damaged")
    return stored


def _shown(ctx: Context, index: int) -> Rotation:
    row = ctx.successions.of(index)
    if row is None:
        raise NotFound("the change is missing", code="vault.damaged")
    old, new = ctx.exchange.relationship(row.old), ctx.exchange.relationship(row.new)
    count = len(_live(ctx, row.old if row.state == MOVING else row.new))
    return Rotation(old.company, old.name, old.did, new.did, row.state, count)
