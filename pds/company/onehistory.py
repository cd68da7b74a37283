"""Checkpoints of holders' relays, held against the newest that was seen of each log."""

from pds.company.context import Context
from pds.company.logkeys import pinned_by, seen_checkpoint
from pds.company.store.rows import RequestRow
from pds.log.checkpoint import Checkpoint, open_checkpoint
from pds.log.errors import ProofInvalid
from pds.log.evidence import LogEvidence
from pds.log.keys import LogKeys
from pds.log.monitor import not_grown
from pds.log.tree import verify_consistency
from pds.log.vkey import log_key
from pds.mailbox import RelayError, RelayNonsense


def fits(
    ctx: Context, request: RequestRow, note: str, *, keys: LogKeys, origin: str, subject: str
) -> bool:
    """Say whether a checkpoint of the holder's relay and the newest one seen of its log are of one
    history; the newer of the two is kept. The first one ever is taken on trust.

    False is noted as a problem of ``subject``, with both checkpoints: ``log.forked`` when they
    contradict each other, or the proof does not hold; ``log.unproven`` when the relay gave none.
    Raises what ``open_checkpoint`` raises; and ``RelayUnreachable`` and ``RelayError`` only where
    asking again later may help.
    """
    new = open_checkpoint(note, origin=origin, key=keys)
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
    try:
        proof = ctx.client(pinned_by(request)[1]).consistency(older.size, newer.size)
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
