"""Messages from companies: taken from their mailboxes, checked, and kept."""

from did.errors import DidError
from pds.messages.errors import MessageError, SignerUnresolved
from pds.messages.message import (
    Message,
    Order,
    Position,
    VerifiedMessage,
    follows,
    gap_code,
    open_message,
)
from pds.messages.notices import ErasureAttestation
from pds.messages.request import AccessRequest
from pds.sealing import SealingError
from pds.vault import anchors
from pds.vault.context import SKEW, Context
from pds.vault.report import SyncReport, report_evidence
from pds.vault.staging import grant_of, request_of
from pds.vault.store.rows import Relationship

MAX_ENVELOPES = 500
"""How many envelopes of one mailbox are taken in one round; a flood is spread over many."""


def collect(ctx: Context, relationship: Relationship, report: SyncReport) -> None:
    """Take what lies in a mailbox, but for our anchor. Deleting acknowledges, so nothing is
    remembered of where we were but that nothing else lies before the anchor."""
    mailbox = ctx.mailbox(relationship)
    after, taken, more = anchors.floor(ctx, relationship), 0, True
    anchored = False
    dropped: dict[str, int] = {}
    try:
        while more and taken < MAX_ENVELOPES:
            envelopes, more = mailbox.envelopes(after=after)
            for ordinal, sealed in envelopes:
                kept = anchors.keep(ctx, relationship, ordinal, sealed)
                code = None if kept is not None else _take(ctx, relationship, sealed, report)
                if code is not None:
                    dropped[code] = dropped.get(code, 0) + 1
                if kept:
                    anchored = True
                else:
                    mailbox.delete_envelope(ordinal)
                after, taken = ordinal, taken + 1
            more = more and bool(envelopes)
        if anchored and not more:
            anchors.note_clear(ctx, relationship)
    finally:
        # Also when the relay does not let us delete what it had shown.
        for code, count in dropped.items():
            report_evidence(
                ctx,
                report,
                code,
                relationship.company,
                {"mailbox": relationship.mailbox, "envelopes": count},
            )


def _take(
    ctx: Context, relationship: Relationship, sealed: bytes, report: SyncReport
) -> str | None:
    """Open one envelope; returns the code of what was wrong with it, if it is dropped. Raises
    ``SignerUnresolved`` when its sender cannot be looked up now: then it stays at the relay."""

    line = ctx.successions.line(relationship.index)

    def sender(message: Message) -> str | None:
        request = ctx.exchange.request(message.thread)
        known = request is not None and request.relationship in line
        return relationship.company if known else None

    try:
        verified = open_message(
            sealed,
            key=ctx.keys(relationship).sealing_key,
            mailbox=relationship.mailbox,
            resolver=ctx.resolver,
            now=ctx.now(),
            expected_sender=sender,
        )
        thread = verified.message.thread
        last = Position(*ctx.exchange.last_message(thread, incoming=True))
        order = follows(verified, thread=thread, sender=relationship.company, last=last)
        if order is Order.REPEAT:
            return None
        if order is Order.GAP:
            _note_gap(ctx, report, relationship, verified, last)
        _accept(ctx, relationship, verified, report)
    except SignerUnresolved:
        raise
    except (MessageError, SealingError, DidError) as error:
        return error.code
    report.messages += 1
    return None


def _note_gap(
    ctx: Context,
    report: SyncReport,
    relationship: Relationship,
    verified: VerifiedMessage,
    last: Position,
) -> None:
    thread = verified.message.thread
    if ctx.exchange.setting(f"resume_in:{thread}") == "1":
        # Restored from a backup: the copy before took the messages in between.
        with ctx.transaction():
            ctx.exchange.set_setting(f"resume_in:{thread}", "0")
        return
    report_evidence(
        ctx,
        report,
        gap_code(verified.message),
        relationship.company,
        {"thread": thread, "last": last.seq, "next": verified.raw},
    )


def _accept(
    ctx: Context, relationship: Relationship, verified: VerifiedMessage, report: SyncReport
) -> None:
    message = verified.message
    if message.type != "ErasureAttestation":
        raise MessageError("a company does not send this", code="message.unexpected")
    attestation = ErasureAttestation.parse(message.body)
    stored = ctx.exchange.grant_by_digest(attestation.grant)
    source = None if stored is None else ctx.exchange.request(stored.request)
    line = ctx.successions.line(relationship.index)
    if stored is None or source is None or stored.relationship not in line:
        raise MessageError("the attestation is of no grant of ours", code="message.unexpected")
    over = stored.ended is not None or ctx.now() >= grant_of(ctx, stored).terms.valid_until
    fits = over and _fits(
        attestation, request_of(source), grant_of(ctx, stored).terms.request_purpose
    )
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
    if not fits or attestation.erased_at > ctx.now() + SKEW:
        # Kept and shown, since the company said it; but not what it had announced.
        report_evidence(
            ctx, report, "attestation.unexpected", relationship.company, {"said": verified.raw}
        )


def _fits(attestation: ErasureAttestation, request: AccessRequest, purpose_id: str) -> bool:
    """Whether what is retained was announced in the request: no more paths, no other basis, no
    longer."""
    announced = request.purpose(purpose_id).retained
    return all(
        any(
            kept.paths <= one.paths
            and kept.basis == one.basis
            and (kept.until - attestation.erased_at).days <= one.days + 1
            for one in announced
        )
        for kept in attestation.retained
    )
