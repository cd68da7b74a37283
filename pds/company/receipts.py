"""Receipts of holders' relays, held against one log that only grows.

A receipt proves that an entry is in *a* tree that the log's key has signed. That it is the tree
which everyone else is shown takes memory: the newest checkpoint of each log is kept, and every
receipt, newer or older, must belong to the same history (protocol §6).
"""

from functools import partial

from did.json import JsonObject
from pds.company.context import Context, damaged
from pds.company.logkeys import (
    keys_of,
    known_origins,
    note_misbehaviour,
    seen_checkpoint,
    with_newest,
)
from pds.company.store.rows import RequestRow
from pds.log.checkpoint import Checkpoint, open_checkpoint
from pds.log.entry import VerifiedReceipt
from pds.log.entry import verify_receipt as verify
from pds.log.errors import KeyMisused, NoteInvalid, ProofInvalid
from pds.log.evidence import LogEvidence
from pds.log.monitor import not_grown
from pds.log.tree import verify_consistency
from pds.log.vkey import log_key
from pds.mailbox import RelayError, RelayNonsense


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
    """Say whether a receipt's checkpoint and the newest one seen of its log are of one history;
    the newer of the two is kept. The first one ever is taken on trust.

    False is noted as a problem of ``subject``, with both checkpoints: ``log.forked`` when they
    contradict each other, or the proof does not hold; ``log.unproven`` when the relay gave none.
    Raises ``RelayUnreachable`` and ``RelayError`` only where asking again later may help.
    """
    note = verified.receipt.checkpoint
    return fits(ctx, request, verified.checkpoint, note, subject=subject)


def fits(ctx: Context, request: RequestRow, new: Checkpoint, note: str, *, subject: str) -> bool:
    """The same for a checkpoint of the holder's relay, verified, with its note."""
    keys = keys_of(ctx, request, new.origin)
    seen = seen_checkpoint(ctx, keys, new.origin)
    if seen is not None:
        old = open_checkpoint(seen, origin=new.origin, key=keys)
        code, proof = _contradiction(ctx, request, *sorted((old, new), key=lambda one: one.size))
        if code is not None:
            changes = tuple(change.note for change in keys.changes)
            newest = log_key(new.origin, keys.newest)
            evidence = LogEvidence(newest, seen, note, tuple(proof), changes)
            with ctx.transaction():
                ctx.problem(code, subject, evidence.to_json())
            return False
        if new.size <= old.size:
            return True
    with ctx.transaction():
        ctx.store.see_checkpoint(keys.newest.multikey, new.origin, size=new.size, note=note)
    return True


def _contradiction(
    ctx: Context, request: RequestRow, older: Checkpoint, newer: Checkpoint
) -> tuple[str | None, list[bytes]]:
    """What is wrong with two checkpoints, and the relay's proof if it shows that."""
    if older.size == newer.size:
        return (None if older.root == newer.root else "log.forked"), []
    if older.size == 0:
        return None, []
    if request.relay is None:
        raise damaged()
    try:
        proof = ctx.client(request.relay).consistency(older.size, newer.size)
    except (RelayError, RelayNonsense) as error:
        if error.exit_code == 4:
            raise
        return "log.unproven", []
    try:
        verify_consistency(
            first=older.size,
            second=newer.size,
            first_root=older.root,
            second_root=newer.root,
            proof=proof,
        )
    except ProofInvalid:
        return "log.forked", list(not_grown(older, newer, "", "", proof).proof)
    return None, []
