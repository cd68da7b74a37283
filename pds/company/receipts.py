"""Receipts of holders' relays, held against one log that only grows.

A receipt proves that an entry is in *a* tree that the log's key has signed. That it is the tree
which everyone else is shown takes memory: the newest checkpoint of each log is kept, and every
receipt, newer or older, must belong to the same history (protocol §6).
"""

from functools import partial

from did.json import JsonObject
from pds.company.context import Context, damaged
from pds.company.keychange import with_newest
from pds.company.logkeys import keys_of, known_origins, note_misbehaviour, seen_checkpoint
from pds.company.onehistory import fits
from pds.company.store.rows import RequestRow
from pds.log.entry import VerifiedReceipt
from pds.log.entry import verify_receipt as verify
from pds.log.errors import KeyMisused, NoteInvalid


def verify_receipt(ctx: Context, request: RequestRow, raw: JsonObject) -> VerifiedReceipt:
    """Verify a receipt by the holder's relay, under the log key that the decision named, or one
    that has followed it.

    A relay that came back from a backup goes on under a new origin with the same key; it is asked
    once, and the new origin is kept, with a problem ``relay.new_log``: nothing links the two.
    Receipts of an origin known from before stay good. *Not* checked: ``belongs``. Raises
    ``LogError``, and the relay's errors.
    """
    try:
        return with_newest(ctx, request, "log.signature", partial(_verify, ctx, request, raw))
    except KeyMisused as error:
        note_misbehaviour(ctx, request, error, subject=request.relay or request.id)
        raise


def _verify(ctx: Context, request: RequestRow, raw: JsonObject) -> VerifiedReceipt:
    if request.relay is None or request.log_origin is None:
        raise damaged()
    claimed = str(raw.get("checkpoint")).partition("\n")[0]
    keys = keys_of(ctx, request, claimed)
    if claimed in known_origins(ctx, request):
        return verify(raw, origin=claimed, log_key=keys)
    if ctx.client(request.relay).info().log_origin != claimed:
        raise NoteInvalid("the receipt is of another log than the relay's")
    verified = verify(raw, origin=claimed, log_key=keys)
    with ctx.transaction():
        ctx.store.set_log_origin(request.id, claimed)
        ctx.event("relay restored", request.id, {"origin": claimed})
        before = keys_of(ctx, request, request.log_origin)
        ctx.problem(
            "relay.new_log",
            request.id,
            {
                "before": request.log_origin,
                "now": claimed,
                "last": seen_checkpoint(ctx, before, request.log_origin),
            },
        )
    return verified


def belongs(ctx: Context, request: RequestRow, verified: VerifiedReceipt, *, subject: str) -> bool:
    """Say whether a receipt is of the history that was seen of its log; as ``fits``."""
    note, origin = verified.receipt.checkpoint, verified.checkpoint.origin
    keys = keys_of(ctx, request, origin)
    return fits(ctx, request, note, keys=keys, origin=origin, subject=subject)
