"""Checkpoints: the signed size and root of a log (C2SP tlog-checkpoint)."""

import base64
import re
from dataclasses import dataclass

from did.keys import SigningKey
from pds.log.errors import NoteInvalid
from pds.log.keys import KeyOfLog, LogKeys
from pds.log.note import (
    UnverifiedNote,
    check_key_name,
    decode_base64,
    key_id,
    open_note,
    sign_note,
)
from pds.log.tree import EMPTY_ROOT, HASH_SIZE

MAX_SIZE = 2**53 - 1
"""The largest tree: leaf indices travel as JSON integers too."""

DECIMAL = re.compile(r"0|[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of a log: ``size`` leaves, their ``root`` (32 bytes).

    ``origin`` names the log for ever and is the name of its key. ``extensions`` are further lines
    of other people's logs; ours has none. Raises NoteInvalid ``log.checkpoint`` when made from
    what cannot be written.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        try:
            check_key_name(self.origin)
        except NoteInvalid:
            raise _invalid("the origin of a log must not hold spaces or a plus sign") from None
        if not 0 <= self.size <= MAX_SIZE:
            raise _invalid("the size of the tree is out of range")
        if len(self.root) != HASH_SIZE:
            raise _invalid("the root hash must have 32 bytes")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise _invalid("the root is not that of an empty tree")
        if any(not line or "\n" in line for line in self.extensions):
            raise _invalid("an extension is one line that is not empty")

    @property
    def text(self) -> str:
        """The note text, with its final newline."""
        root = base64.b64encode(self.root).decode()
        return "\n".join([self.origin, str(self.size), root, *self.extensions, ""])


def sign_checkpoint(checkpoint: Checkpoint, key: SigningKey) -> str:
    """The signed note of a checkpoint; the name of the key is the origin.

    A log must never sign two checkpoints of which one does not grow out of the other; this is
    *not* checked here.
    """
    return sign_note(checkpoint.text, name=checkpoint.origin, key=key)


def open_checkpoint(note: str, *, origin: str, key: KeyOfLog) -> Checkpoint:
    """The checkpoint of a note that the log ``origin`` has signed with ``key``; or with the one of
    several keys that was the log's at this size.

    Raises NoteInvalid: ``log.note`` (form), ``log.signature``, ``log.checkpoint`` (the text is no
    checkpoint, or one of another log); and KeyMisused for one of the keys out of its time. Whether
    it fits earlier checkpoints is for ``Monitor``.
    """
    if isinstance(key, LogKeys):
        return _open_by_one_of(note, origin, key)
    # 1. Form and signature, before the text is looked at (signed-note).
    text = open_note(note, name=origin, key=key)
    # 2. At least three lines (tlog-checkpoint, *Note text*).
    lines = text[:-1].split("\n")
    if len(lines) < 3:
        raise _invalid("a checkpoint has at least three lines")
    # 3. The first line names this log.
    if lines[0] != origin:
        raise _invalid("the checkpoint is of another log")
    # 4. The size is ASCII decimal without leading zeros.
    if DECIMAL.fullmatch(lines[1]) is None:
        raise _invalid("the size of the tree must be a decimal number")
    # 5. The root is canonical base64. Its length, the range of the size and that no extension
    #    is empty are checked when the checkpoint is made.
    try:
        root = decode_base64(lines[2])
    except NoteInvalid:
        raise _invalid("the root hash must be base64") from None
    return Checkpoint(origin, int(lines[1]), root, tuple(lines[3:]))


def _open_by_one_of(note: str, origin: str, keys: LogKeys) -> Checkpoint:
    """By the newest key that has a line in the note; it must be the one of its size."""
    lines = {(line.name, line.key_id) for line in UnverifiedNote.parse(note).signatures}
    signed = [n for n, one in enumerate(keys.all) if (origin, key_id(origin, one)) in lines]
    place = signed[-1] if signed else -1
    found = open_checkpoint(note, origin=origin, key=keys.all[place])
    keys.check_time(place, size=found.size, note=note)
    return found


def _invalid(message: str) -> NoteInvalid:
    return NoteInvalid(message, code="log.checkpoint")
