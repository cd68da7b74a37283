"""From records to packages: what a grant covers now, sealed and queued for the relay."""

from datetime import UTC, datetime, time, timedelta

from credentials.grant import WITHOUT_STATUS, VerifiedGrant, verify_grant
from credentials.status import BitString, issue_status_list
from credentials.ticket import new_urn
from did.json import JsonObject, canonicalize, digest
from did.multikey import multihash_sha256
from did.time import format_time, parse_time
from pds.messages.message import Message, seal_message, sign_message
from pds.messages.notices import PackageUpdated
from pds.messages.package import Package, PackageItem, seal_package
from pds.messages.request import AccessRequest
from pds.sealing import SealingError
from pds.vault.consent import values_of
from pds.vault.context import Context
from pds.vault.errors import PackageTooLarge
from pds.vault.store.rows import Relationship, StoredGrant, StoredRequest
from pds.wire import MAX_SEALED, MIB, SEAL, Manifest, capability_hash, new_id

RENEW_AFTER = timedelta(days=7)
RESUME_JUMP = 1000
_CAPABILITY_TIME = timedelta(days=11 * 366)  # a year beyond the longest window; ended any day
_CAPABILITY_ENVELOPES = 10_000
_CAPABILITY_BYTES = MAX_SEALED  # of what the relay takes


def request_of(stored: StoredRequest) -> AccessRequest:
    """The request as it was verified when it came in."""
    return AccessRequest.parse(stored.raw)


def grant_of(ctx: Context, stored: StoredGrant) -> VerifiedGrant:
    """Our own grant, verified again from its stored bytes, as of its first moment."""
    start = parse_time(str(stored.raw["validFrom"]))
    return verify_grant(
        stored.raw,
        purpose=None,
        audience=None,
        status=WITHOUT_STATUS,
        sandbox=ctx.sandbox,
        now=max(start, stored.created),
    )


def items_for(ctx: Context, fields: frozenset[str]) -> tuple[PackageItem, ...]:
    """The current values that these fields cover, with their provenance; nothing else."""
    return tuple(
        PackageItem(
            path=path,
            schema=value.schema,
            value=value.value,
            collected=value.collected,
            source=value.source,
            assurance=value.assurance,
            about=value.about,
        )
        for path in sorted(fields)
        for value in values_of(ctx.records, path)
    )


def content_digest(items: tuple[PackageItem, ...]) -> str:
    """Tells whether what would be sent has changed since it was last staged."""
    # A record that changed elsewhere has a new time; what is shared has not changed for that.
    said = [(item.path, item.schema, item.value, item.assurance, item.about) for item in items]
    return multihash_sha256(canonicalize({"items": [[*one] for one in said]}))


def queue_package(
    ctx: Context,
    *,
    relationship: Relationship,
    request: AccessRequest,
    grant: VerifiedGrant,
    ticket: JsonObject,
    package_id: str,
    seq: int,
    items: tuple[PackageItem, ...],
) -> None:
    """Seal one version of a package and queue it, in the caller's transaction. Raises
    ``PackageTooLarge`` for more than the relay takes."""
    package = Package(
        id=package_id, grant=grant.digest, seq=seq, created=ctx.signing_time(), items=items
    )
    taken = sum(event.kind == "redemption" for event in ctx.exchange.events(package_id))
    taken += ctx.successions.carried(grant.digest)
    try:
        sealed, manifest = seal_package(
            package,
            key=ctx.keys(relationship).did_key,
            to=request.sealing_key,
            ticket=digest(ticket),
            not_after=grant.terms.valid_until,
        )
    except SealingError as error:
        if error.code != "sealing.too_large":
            raise
        raise _too_large(ctx, package_id) from error
    if len(sealed) > ctx.max_sealed:
        raise _too_large(ctx, package_id)
    ctx.exchange.drop_jobs(relationship.index, "package", package_id)
    ctx.exchange.add_staged(
        package_id,
        seq,
        sha256=Manifest.parse(manifest).sha256,
        manifest=manifest,
        at=package.created,
    )
    ctx.exchange.enqueue(
        relationship.index,
        "package",
        ref=package_id,
        payload={"ticket": ticket, "manifest": manifest, "uses": taken},
        octets=sealed,
    )


def _too_large(ctx: Context, package_id: str) -> PackageTooLarge:
    most = (ctx.max_sealed - SEAL) // MIB
    return PackageTooLarge(
        f"what would be shared is more than the relay takes: {most} MiB, sealed",
        hint="Share less under one purpose, or use a relay that takes more.",
        packages=(package_id,),
    )


def queue_message(
    ctx: Context,
    *,
    relationship: Relationship,
    request: AccessRequest,
    kind: str,
    body: JsonObject,
    about: str = "",
) -> None:
    """Sign a message, seal it to the company's mailbox and queue its deposit, in the caller's
    transaction. ``about`` is the package or grant that it concerns."""
    seq, prev = ctx.exchange.last_message(request.id, incoming=False)
    resumed = ctx.exchange.setting(f"resume_out:{request.id}") == "1" and seq > 0
    if resumed:  # what was sent after the backup was made is not known here
        seq += RESUME_JUMP
        ctx.exchange.set_setting(f"resume_out:{request.id}", "0")
    message = Message(
        type=kind,
        id=new_urn(ctx.random),
        thread=request.id,
        sender=relationship.did,
        recipient_key=request.reply.sealing_key.id,
        seq=seq + 1,
        prev=prev,
        created=ctx.ending_time(),
        body=body,
        restored=resumed,
    )
    signed = sign_message(message, ctx.keys(relationship).did_key)
    ctx.exchange.add_message(
        request.id,
        incoming=False,
        seq=message.seq,
        digest=digest(signed),
        kind=kind,
        raw=signed,
        at=message.created,
    )
    ctx.exchange.enqueue(
        relationship.index,
        "deposit",
        ref=message.id,
        payload={
            "relay": request.reply.relay,
            "mailbox": request.reply.mailbox,
            "capability": request.reply.capability,
            "thread": request.id,
            "type": kind,
            "package": about,
        },
        octets=seal_message(signed, to=request.reply.sealing_key, mailbox=request.reply.mailbox),
    )


def queue_mailbox(ctx: Context, relationship: Relationship) -> None:
    """Queue the making of a mailbox and of the one capability to write into it."""
    ctx.exchange.enqueue(relationship.index, "mailbox", ref=relationship.mailbox)
    ctx.exchange.enqueue(
        relationship.index,
        "capability",
        ref=new_id(ctx.random),
        payload={
            "hash": capability_hash(relationship.capability),
            "maxEnvelopes": _CAPABILITY_ENVELOPES,
            "maxBytes": _CAPABILITY_BYTES,
            "expires": format_time(ctx.ending_time() + _CAPABILITY_TIME),
        },
    )


def status_url(relay: str, list_id: str) -> str:
    return f"{relay}/v1/status/{list_id}"


def queue_status(ctx: Context, relationship: Relationship, *, bits: BitString) -> int:
    """Set the bits of a relationship's list and queue its publication, in the caller's
    transaction. It is signed when it is sent, so that nothing queued grows stale. Returns the
    sequence that it will have at least."""
    sequence = relationship.status_sequence + 1
    ctx.exchange.set_status(
        relationship.index, bits=bits.encode(), sequence=sequence, issued=ctx.now()
    )
    waiting = any(
        job.kind == "status" and job.relationship == relationship.index
        for job in ctx.exchange.jobs()
    )
    if not waiting:
        list_id = ctx.keys(relationship).status_id
        ctx.exchange.enqueue(relationship.index, "status", ref=list_id)
    return sequence


def sign_status(ctx: Context, index: int) -> tuple[JsonObject, int]:
    """The status list as it stands, signed now, and its sequence; in a transaction of its own.

    Every list that is signed has a sequence of its own: when the relay's answer to one is lost, or
    another program signs one at the same time, the next is a newer one and not the same in other
    words.
    """
    with ctx.transaction():
        now, relationship = ctx.ending_time(), ctx.exchange.relationship(index)
        sequence = relationship.status_sequence + 1
        ctx.exchange.set_status(index, bits=relationship.status_bits, sequence=sequence, issued=now)
    keys = ctx.keys(relationship)
    signed = issue_status_list(
        key=keys.did_key,
        url=status_url(ctx.setting("relay"), keys.status_id),
        bits=BitString.decode(relationship.status_bits),
        sequence=sequence,
        now=now,
    )
    return signed, sequence


def live_grants(ctx: Context) -> list[tuple[StoredGrant, VerifiedGrant]]:
    """Grants that have neither ended nor run out, nor are being made anew under another DID."""
    now, moving = ctx.now(), ctx.successions.moving()
    result = []
    for stored in ctx.exchange.grants():
        if stored.ended is None and stored.relationship not in moving:
            grant = grant_of(ctx, stored)
            if now < grant.terms.valid_until:
                result.append((stored, grant))
    return result


def restage(ctx: Context, *, everything: bool = False) -> int:
    """Queue a new version of every package whose content has changed and whose grant follows
    changes; with ``everything``, of every live package (a relay came back from a backup).

    Counts are the relay's and follow the package id: nothing is refilled. Returns how many. A
    package that has grown beyond what the relay takes stays as it is; when all others are queued,
    ``PackageTooLarge`` says which.
    """
    count, too_large = 0, list[PackageTooLarge]()
    for stored, grant in live_grants(ctx):
        items = items_for(ctx, grant.terms.fields)
        content = content_digest(items)
        # None was staged yet of a grant that was made anew while its content was too large.
        changed = content != stored.content and (grant.terms.follows_changes or not stored.seq)
        if not (changed or everything):
            continue
        source = ctx.exchange.request(stored.request)
        if source is None:
            continue
        try:
            count += _next_version(ctx, stored, grant, request_of(source), items)
        except PackageTooLarge as error:
            too_large.append(error)
    if too_large:
        raise PackageTooLarge(
            str(too_large[0]),
            hint=too_large[0].hint,
            packages=tuple(one for error in too_large for one in error.packages),
            queued=count,
        )
    return count


def _next_version(
    ctx: Context,
    stored: StoredGrant,
    grant: VerifiedGrant,
    request: AccessRequest,
    items: tuple[PackageItem, ...],
) -> int:
    relationship, seq = ctx.exchange.relationship(stored.relationship), stored.seq + 1
    with ctx.transaction():
        current = ctx.exchange.grant_by_digest(stored.digest)
        moving = relationship.index in ctx.successions.moving()
        if current is None or current.ended is not None or current.seq != stored.seq or moving:
            return 0  # another program was quicker
        queue_package(
            ctx,
            relationship=relationship,
            request=request,
            grant=grant,
            ticket=stored.ticket,
            package_id=stored.package,
            seq=seq,
            items=items,
        )
        ctx.exchange.set_package_version(stored.digest, seq=seq, content=content_digest(items))
        notice = PackageUpdated(grant=stored.digest, package=stored.package, seq=seq)
        queue_message(
            ctx,
            relationship=relationship,
            request=request,
            kind="PackageUpdated",
            body=notice.to_json(),
            about=stored.package,
        )
        ctx.log("restaged", stored.id, {"seq": seq})
    return 1


def renew_status_lists(ctx: Context, *, everything: bool = False) -> int:
    """Queue a renewed status list for every relationship whose last one is a week old; with
    ``everything`` for all of them."""
    count = 0
    for relationship in ctx.exchange.relationships():
        if not everything and ctx.now() - relationship.status_issued < RENEW_AFTER:
            continue
        with ctx.transaction():
            current = ctx.exchange.relationship(relationship.index)
            queue_status(ctx, current, bits=BitString.decode(current.status_bits))
            ctx.log("status renewed", relationship.company, {"at": format_time(ctx.now())})
        count += 1
    return count


def next_due(ctx: Context) -> datetime | None:
    """The next time at which time alone changes something: a list grows old, a grant begins or
    ends, a new day comes on which other items may hold."""
    now = ctx.now()
    midnight = datetime.combine(now.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
    times = [r.status_issued + RENEW_AFTER for r in ctx.exchange.relationships()]
    for _, grant in live_grants(ctx):
        times += [at for at in (grant.terms.valid_from, grant.terms.valid_until) if at > now]
        if grant.terms.follows_changes:
            times.append(midnight)
    return min(times, default=None)
