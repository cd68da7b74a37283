"""One round with the world: send what waits, collect answers, and check what the relay did.

Everything that the relay shows is held against what this vault staged; what does not fit is kept
as evidence and named, and the round goes on.
"""

from collections.abc import Callable
from functools import partial

from credentials.errors import CredentialError
from did.errors import DidError
from did.multikey import multihash_sha256
from pds.errors import PdsError
from pds.log.errors import LogError, LogMisbehaved
from pds.log.monitor import Monitor
from pds.mailbox import RelayError
from pds.messages.errors import MessageError, SignerUnresolved
from pds.messages.message import Position, VerifiedMessage, follows, open_message
from pds.messages.notices import ErasureAttestation
from pds.sealing import SealingError
from pds.vault.context import Context, HomeRelay
from pds.vault.outbox import push
from pds.vault.report import SyncReport, report_evidence
from pds.vault.staging import renew_status_lists, restage
from pds.vault.store.rows import Relationship
from pds.vault.watch import PackageWatch


def sync(ctx: Context) -> SyncReport:
    """One round. Raises only when nothing can be done at all: no relay chosen, the relay away,
    its key changed, the clock wrong."""
    report = SyncReport()
    if not ctx.exchange.relationships():
        return report
    home = ctx.meet_relay()
    if home.log_origin != ctx.setting("log_origin"):
        _take_new_log(ctx, home, report)
    _check_log(ctx, home, report)
    for relationship in ctx.exchange.relationships():
        _guarded(report, relationship.company, partial(_collect, ctx, relationship, report))
        for grant in ctx.exchange.grants(relationship.index):
            watch = PackageWatch(ctx, home, relationship, grant, report)
            _guarded(report, grant.package, watch.read)
    suspended = ctx.exchange.setting("restage_all") == "1"
    report.restaged = restage(ctx, everything=suspended)
    if suspended:
        with ctx.transaction():
            ctx.exchange.set_setting("restage_all", "0")
    report.renewed = renew_status_lists(ctx)
    report.push = push(ctx)
    return report


def _take_new_log(ctx: Context, home: HomeRelay, report: SyncReport) -> None:
    """The relay began a new log, as one that came back from a backup does: its packages wait for
    us. A relay that has something to hide could say the same, so it is shown and kept."""
    before = ctx.setting("log_origin")
    with ctx.transaction():
        ctx.exchange.set_setting("log_origin", home.log_origin)
        ctx.exchange.set_setting("restage_all", "1")
    report_evidence(
        ctx,
        report,
        "relay.new_log",
        home.url,
        {"before": before, "now": home.log_origin, "last": ctx.exchange.seen_checkpoint(before)},
    )


def _guarded(report: SyncReport, subject: str, act: Callable[[], None]) -> None:
    try:
        act()
    except (PdsError, DidError, CredentialError) as error:
        report.problems.append((error.code, subject))


def _check_log(ctx: Context, home: HomeRelay, report: SyncReport) -> None:
    """Every checkpoint against the last one seen: a fork or a shrunken log is evidence."""
    client, seen = ctx.client(home.url), ctx.exchange.seen_checkpoint(home.log_origin)
    monitor = Monitor(origin=home.log_origin, key=home.log_key, note=seen)
    try:
        note = client.checkpoint()
        before = monitor.state
        now_size = Monitor(origin=home.log_origin, key=home.log_key, note=note).state
        proof: list[bytes] = []
        if before is not None and now_size is not None and 0 < before.size < now_size.size:
            proof = client.consistency(before.size, now_size.size)
        monitor.advance(note, proof)
    except LogMisbehaved as error:
        report_evidence(ctx, report, error.code, home.url, {"before": seen or "", "now": note})
        return
    except (LogError, RelayError) as error:
        report.problems.append((error.code, home.url))
        return
    with ctx.transaction():
        ctx.exchange.see_checkpoint(home.log_origin, note, ctx.now())


# messages from the company


def _collect(ctx: Context, relationship: Relationship, report: SyncReport) -> None:
    mailbox = ctx.mailbox(relationship)
    more = True
    after = relationship.collected
    while more:
        envelopes, more = mailbox.envelopes(after=after)
        for ordinal, sealed in envelopes:
            if ordinal <= after:
                raise MessageError("the relay lists envelopes out of order", code="relay.order")
            _take(ctx, relationship, sealed, report)
            with ctx.transaction():
                ctx.exchange.set_collected(relationship.index, ordinal)
            after = ordinal
            mailbox.delete_envelope(ordinal)
        more = more and bool(envelopes)


def _take(ctx: Context, relationship: Relationship, sealed: bytes, report: SyncReport) -> None:
    """Open one envelope. What cannot be ours is dropped with evidence; what could not be checked
    for want of the network is left at the relay by raising."""
    try:
        verified = open_message(
            sealed,
            key=ctx.keys(relationship).sealing_key,
            mailbox=relationship.mailbox,
            resolver=ctx.resolver,
            now=ctx.now(),
        )
        thread = verified.message.thread
        request = ctx.exchange.request(thread)
        if request is None or request.relationship != relationship.index:
            raise MessageError("the message is of no known thread", code="message.wrong_thread")
        last = Position(*ctx.exchange.last_message(thread, incoming=True))
        if not follows(verified, thread=thread, sender=relationship.company, last=last):
            return
        _accept(ctx, relationship, verified)
    except SignerUnresolved:
        raise  # it stays at the relay until its sender can be looked up
    except (MessageError, SealingError) as error:
        report_evidence(
            ctx,
            report,
            error.code,
            relationship.company,
            {"mailbox": relationship.mailbox, "sha256": multihash_sha256(sealed)},
        )
        return
    report.messages += 1


def _accept(ctx: Context, relationship: Relationship, verified: VerifiedMessage) -> None:
    message = verified.message
    if message.type != "ErasureAttestation":
        raise MessageError("a company does not send this", code="message.unexpected")
    attestation = ErasureAttestation.parse(message.body)
    stored = ctx.exchange.grant_by_digest(attestation.grant)
    if stored is None or stored.relationship != relationship.index:
        raise MessageError("the attestation is of no grant of ours", code="message.unexpected")
    with ctx.transaction():
        ctx.exchange.add_message(
            message.thread,
            incoming=True,
            seq=message.seq,
            digest=verified.digest,
            kind=message.type,
            raw=verified.raw,
            at=ctx.now(),
        )
        ctx.exchange.add_attestation(stored.digest, at=attestation.erased_at, raw=verified.raw)
        ctx.log("attested", stored.id, attestation.to_json())
