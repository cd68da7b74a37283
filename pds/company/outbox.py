"""Messages to holders: signed, sealed, queued with the change that they tell of, then delivered."""

from dataclasses import dataclass

from credentials.ticket import new_urn
from did.json import JsonObject, digest
from pds.company.context import Context, damaged
from pds.company.receipts import belongs, verify_receipt
from pds.company.store.rows import RequestRow
from pds.errors import PdsError
from pds.mailbox import RelayError
from pds.messages.fields import Fields
from pds.messages.message import Message, seal_message, sign_message
from pds.messages.request import ReplyAddress

# No later attempt can succeed: the address that the holder gave is no more.
_GONE = frozenset({"relay.capability", "relay.not_found", "relay.ended", "relay.too_large"})


@dataclass(frozen=True, slots=True)
class PushReport:
    """How many messages were delivered, and which wait: (thread, code)."""

    sent: int
    waiting: tuple[tuple[str, str], ...]


def queue_message(ctx: Context, request: RequestRow, *, kind: str, body: JsonObject) -> str:
    """Sign and seal a message to the holder and queue it, in the caller's transaction.

    Returns the message's id.
    """
    reply, signer = _reply(request), ctx.signer()
    seq, prev = ctx.store.last_message(request.id, incoming=False)
    message = Message(
        type=kind,
        id=new_urn(ctx.random),
        thread=request.id,
        sender=ctx.did,
        recipient_key=reply.sealing_key.id,
        seq=seq + 1,
        prev=prev,
        created=ctx.now(),
        body=body,
    )
    signed = sign_message(message, signer.key, verification_method=signer.verification_method)
    ctx.store.add_message(
        request.id,
        incoming=False,
        seq=message.seq,
        digest=digest(signed),
        kind=kind,
        raw=signed,
        at=message.created,
    )
    octets = seal_message(signed, to=reply.sealing_key, mailbox=reply.mailbox)
    ctx.store.enqueue(request.id, message.seq, octets)
    return message.id


def sign_again(ctx: Context) -> None:
    """Put the key in use under every message that has not been delivered, in the caller's
    transaction: after a rotation the old key may count no more."""
    signer = ctx.signer()
    for job in ctx.store.outbox():
        request = ctx.store.request(job.thread)
        raw = ctx.store.message(job.thread, job.seq, incoming=False)
        if request is None or raw is None:
            raise damaged()
        # The digest leaves the proof out, so the chain of the thread stays as it is.
        signed = sign_message(
            Message.parse(raw), signer.key, verification_method=signer.verification_method
        )
        reply = _reply(request)
        ctx.store.set_message(job.thread, job.seq, signed)
        ctx.store.set_octets(
            job.n, seal_message(signed, to=reply.sealing_key, mailbox=reply.mailbox)
        )


def push(ctx: Context) -> PushReport:
    """Deliver what is queued, in the order of each thread. Never raises for a relay: what could
    not be delivered stays, but for an address that is gone for good, which is a problem."""
    sent, waiting = 0, []
    stopped: set[str] = set()
    for job in ctx.store.outbox():
        if job.thread in stopped:
            waiting.append((job.thread, "outbox.held_back"))
            continue
        request = ctx.store.request(job.thread)
        raw = ctx.store.message(job.thread, job.seq, incoming=False)
        if request is None or raw is None:
            raise damaged()
        message = str(raw["id"])
        reply = _reply(request)
        try:
            receipt = ctx.client(reply.relay).deposit(reply.mailbox, reply.capability, job.octets)
            if reply.relay == request.relay:  # whose log key we know
                verified = verify_receipt(ctx, request, receipt)
                # A log with two histories is noted; to hold the message back would mend nothing.
                belongs(ctx, request, verified, subject=request.id)
        except RelayError as error:
            if error.code in _GONE:
                with ctx.transaction():
                    ctx.store.finish(job.n)
                    ctx.problem("company.undeliverable", job.thread, {"code": error.code})
                continue
            waiting.append(_wait(ctx, job.n, job.thread, error, stopped))
            continue
        except PdsError as error:
            waiting.append(_wait(ctx, job.n, job.thread, error, stopped))
            continue
        with ctx.transaction():
            ctx.store.finish(job.n)
            ctx.store.set_attestation_sent(message, ctx.now())
            ctx.event("sent", job.thread, {"message": message})
        sent += 1
    return PushReport(sent=sent, waiting=tuple(waiting))


def _wait(ctx: Context, n: int, thread: str, error: PdsError, stopped: set[str]) -> tuple[str, str]:
    stopped.add(thread)
    with ctx.transaction():
        ctx.store.set_outbox_problem(n, error.code)
    return thread, error.code


def _reply(request: RequestRow) -> ReplyAddress:
    if request.reply is None:
        raise damaged()
    return ReplyAddress.parse(Fields(request.reply))
