"""Watching a log: each checkpoint must grow out of the last one that was seen."""

from collections.abc import Callable, Sequence

from pds.log.checkpoint import Checkpoint, open_checkpoint
from pds.log.errors import ForkedLog, ProofInvalid, ShrunkenLog
from pds.log.keys import KeyOfLog
from pds.log.tree import verify_consistency, verify_inconsistency


class Monitor:
    """The memory of one watcher of one log.

    Keep ``note`` durably and give it back next time: without memory there is nothing to compare.
    A note given at the start is verified like any other (NoteInvalid).
    """

    __slots__ = ("_key", "_note", "_origin", "_state")

    def __init__(self, *, origin: str, key: KeyOfLog, note: str | None = None) -> None:
        self._origin = origin
        self._key = key
        self._note = note
        self._state = None if note is None else open_checkpoint(note, origin=origin, key=key)

    @property
    def state(self) -> Checkpoint | None:
        """The last verified checkpoint; None before the first."""
        return self._state

    @property
    def note(self) -> str | None:
        """The signed note of ``state``."""
        return self._note

    def take(self, note: str, ask: Callable[[int, int], Sequence[bytes]]) -> Checkpoint:
        """``advance``, with the proof between two sizes from ``ask`` if one is needed."""
        new = open_checkpoint(note, origin=self._origin, key=self._key)
        old = 0 if self._state is None else self._state.size
        return self.advance(note, ask(old, new.size) if 0 < old < new.size else [])

    def advance(self, note: str, consistency: Sequence[bytes]) -> Checkpoint:
        """Take the next checkpoint, with the proof that it grew out of the last.

        The first one ever is taken on trust, with an empty proof. Raises NoteInvalid; ProofInvalid
        when a proof comes where there is nothing to prove; ShrunkenLog; ForkedLog. After any of
        them the state is what it was. A shrunken log may also be an old answer that was delivered
        late: ask again before accusing.
        """
        # 1. The log has signed it.
        new = open_checkpoint(note, origin=self._origin, key=self._key)
        old, old_note = self._state, self._note
        if old is not None and old_note is not None:
            # 2. No leaf is gone.
            if new.size < old.size:
                raise ShrunkenLog(
                    "the log shows fewer entries than it had signed before",
                    old_note=old_note,
                    new_note=note,
                    proven=False,
                    hint="Ask again; if it stays so, keep both checkpoints as evidence.",
                )
            # 3. One size has one root: the two signatures alone convict.
            if new.size == old.size and new.root != old.root:
                raise ForkedLog(
                    "the log has signed two different trees of one size",
                    old_note=old_note,
                    new_note=note,
                    proven=True,
                    hint="Keep both checkpoints as evidence and trust this log no longer.",
                )
            # 4. The new tree begins with the old one (RFC 9162 §2.1.4.2), as all do with none.
            if new.size > old.size > 0:
                try:
                    verify_consistency(
                        first=old.size,
                        second=new.size,
                        first_root=old.root,
                        second_root=new.root,
                        proof=consistency,
                    )
                except ProofInvalid as error:
                    raise not_grown(old, new, old_note, note, consistency) from error
        if consistency and (old is None or old.size in (0, new.size)):
            raise ProofInvalid("there is nothing to prove here", code="log.consistency")
        self._state, self._note = new, note
        return new


def not_grown(
    old: Checkpoint, new: Checkpoint, old_note: str, new_note: str, proof: Sequence[bytes]
) -> ForkedLog:
    """What is known of a log whose proof that the new checkpoint grew out of the old one failed:
    the proof may show the contrary."""
    try:
        verify_inconsistency(
            first=old.size,
            second=new.size,
            first_root=old.root,
            second_root=new.root,
            proof=proof,
        )
    except ProofInvalid:
        return ForkedLog(
            "the log does not prove that it only grew",
            old_note=old_note,
            new_note=new_note,
            proven=False,
            hint="Ask again; if it stays so, keep both checkpoints as evidence.",
        )
    return ForkedLog(
        "the log has signed a tree that does not begin with one that it had signed before",
        old_note=old_note,
        new_note=new_note,
        proven=True,
        proof=proof,
        hint="Keep the evidence and trust this log no longer.",
    )
