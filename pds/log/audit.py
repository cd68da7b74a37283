"""The whole of a log, looked at by anybody: built anew from its leaves, and held against all that
it has ever signed for us."""

from collections.abc import Sequence
from dataclasses import dataclass

from pds.log.checkpoint import Checkpoint, open_checkpoint
from pds.log.errors import ForkedLog, ShrunkenLog, TileInvalid
from pds.log.keys import KeyOfLog
from pds.log.tiles import FetchTile, TileNodes, rebuild
from pds.log.tree import Tree


@dataclass(frozen=True, slots=True)
class AuditedLog:
    """A log whose leaves are there and lead to ``checkpoint``, and that holds all the others."""

    checkpoint: Checkpoint
    others: tuple[Checkpoint, ...]


def audit_log(
    fetch: FetchTile, note: str, *, origin: str, key: KeyOfLog, others: Sequence[str] = ()
) -> AuditedLog:
    """Build the tree of the checkpoint in ``note`` anew, and show that it begins with those of
    ``others``: of what was seen before, of receipts, of what witnesses have cosigned.

    A receipt that verifies, and whose checkpoint is among these, is in the log as it is now.

    Raises NoteInvalid, ShrunkenLog, ForkedLog, TileInvalid (``log.tile``: the leaves lead to
    another root), and what ``fetch`` raises. *Not* checked: tiles above the leaves, and that the
    log shows everybody the same; that is what witnesses are for.
    """
    # 1. The log has signed all of them.
    newest = open_checkpoint(note, origin=origin, key=key)
    known = [open_checkpoint(other, origin=origin, key=key) for other in others]
    for other, signed in zip(known, others, strict=True):
        # 2. Nothing that it signed for is gone; one size has one root.
        if other.size > newest.size:
            raise ShrunkenLog(
                "the log shows fewer entries than it had signed before",
                old_note=signed,
                new_note=note,
                proven=False,
                hint="Ask again; if it stays so, keep both checkpoints as evidence.",
            )
    # 3. The leaves lead to the signed root.
    sizes = {newest.size, *(other.size for other in known)}
    roots = rebuild(fetch, sizes)
    if roots[newest.size] != newest.root:
        raise TileInvalid(
            "the leaves of the log do not lead to the root that it has signed",
            hint="Ask again; if it stays so, the log cannot show what it has signed.",
        )
    # 4. On the way they lead to every other root that it has signed.
    for other, signed in zip(known, others, strict=True):
        if roots[other.size] != other.root:
            tree = Tree(TileNodes(fetch, newest.size), newest.size)
            proof = tree.beginning(other.size, newest.size) if other.size < newest.size else []
            raise ForkedLog(
                "the log has signed a tree that does not begin with one that it had signed before",
                old_note=signed,
                new_note=note,
                proven=True,
                proof=proof,
                hint="Keep the evidence and trust this log no longer.",
            )
    return AuditedLog(newest, tuple(known))
