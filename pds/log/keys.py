"""The keys of one log: the newest, and each before it with the size at which it stopped."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Self

from did.keys import VerifyKey
from pds.log.errors import KeyMisused

MAX_SUCCESSIONS: Final = 100
"""Of one relay, in all its life: so many fit into what a witness takes."""


@dataclass(frozen=True, slots=True)
class Succession:
    """The word of two keys that ``new`` signs the log in the place of ``old``, from the leaf after
    the first ``size`` on. Made by ``open_succession``; whether the log holds it is another matter.
    """

    origin: str
    size: int
    root: bytes
    old: VerifyKey
    new: VerifyKey
    at: datetime
    note: str
    """The statement, signed by both."""


@dataclass(frozen=True, slots=True)
class LogKeys:
    """Who signs a log, and who signed it before, ``changes`` in their order.

    A checkpoint counts when the key of its size has signed it, and no other.
    """

    newest: VerifyKey
    changes: tuple[Succession, ...] = ()

    @classmethod
    def of(cls, origin: str, newest: VerifyKey, known: Sequence[Succession]) -> Self:
        """The keys of the log ``origin`` as far back as verified successions lead."""
        line: list[Succession] = []
        key = newest
        while True:
            found = [one for one in known if one.origin == origin and one.new == key]
            if not found or len(line) == MAX_SUCCESSIONS:
                return cls(newest, tuple(line))
            line.insert(0, found[0])
            key = found[0].old

    @classmethod
    def named(cls, origin: str, known: Sequence[Succession]) -> Self | None:
        """The keys of a log whose key has changed, up to the last that a succession names; None
        where none is about this log."""
        here = [one for one in known if one.origin == origin]
        given_up = {one.old for one in here}
        last = [one.new for one in here if one.new not in given_up]
        return cls.of(origin, last[0], here) if last else None

    @property
    def all(self) -> tuple[VerifyKey, ...]:
        """Every key, oldest first."""
        return (*(change.old for change in self.changes), self.newest)

    def check_time(self, place: int, *, size: int, note: str) -> None:
        """Return if key number ``place`` is the one for a tree of this size.

        Raises KeyMisused with the succession and the note: together they convict.
        """
        before = self.changes[place - 1] if place else None
        after = self.changes[place] if place < len(self.changes) else None
        if before is not None and size <= before.size:
            broken = before
        elif after is not None and size > after.size:
            broken = after
        else:
            return
        raise KeyMisused(
            "the checkpoint is signed by a key that is not the one of this log at this size",
            old_note=broken.note,
            new_note=note,
            proven=True,
            hint="Keep the evidence: a key was used that had been given up.",
        )


KeyOfLog = VerifyKey | LogKeys
"""What a checkpoint is verified under: one key, or those of a log whose key has changed."""
