"""What a log sends to a witness (C2SP tlog-witness, *add-checkpoint*).

old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=

example.com/behind-the-sofa
…
"""

import base64
import re
from dataclasses import dataclass
from typing import Final

from pds.log.checkpoint import MAX_SIZE
from pds.log.errors import NoteInvalid
from pds.log.note import MAX_NOTE_BYTES, decode_base64
from pds.log.tree import HASH_SIZE

MAX_PROOF: Final = 63
MAX_SUBMISSION: Final = MAX_NOTE_BYTES + 4096
SIZE_TYPE: Final = "text/x.tlog.size"
"""The content type of the size in a 409."""

_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,15})")
_SIZE: Final = re.compile(rb"(0|[1-9][0-9]{0,15})\n")


@dataclass(frozen=True, slots=True)
class Submission:
    """A checkpoint for a witness, the size it is thought to have seen, and the proof between.

    Nothing is verified."""

    old: int
    proof: tuple[bytes, ...]
    note: str

    @classmethod
    def parse(cls, body: bytes) -> "Submission":
        """Read the body of a request. Raises NoteInvalid ``log.submission``."""
        try:
            text = body[: MAX_SUBMISSION + 1].decode()
        except UnicodeDecodeError:
            raise _invalid("what is submitted is not UTF-8") from None
        # 1. The first empty line parts the head from the checkpoint.
        head, gap, note = text.partition("\n\n")
        if not gap or len(body) > MAX_SUBMISSION:
            raise _invalid("an empty line must stand before the checkpoint")
        # 2. The old size.
        first, *lines = head.split("\n")
        old = _OLD.fullmatch(first)
        if old is None or int(old[1]) > MAX_SIZE:
            raise _invalid("the first line is the old size")
        # 3. At most 63 hashes.
        if len(lines) > MAX_PROOF:
            raise _invalid("the proof is too long")
        try:
            proof = tuple(decode_base64(line) for line in lines)
        except NoteInvalid:
            raise _invalid("a line of the proof is a hash in base64") from None
        if any(len(hash_) != HASH_SIZE for hash_ in proof):
            raise _invalid("a line of the proof is a hash in base64")
        return cls(int(old[1]), proof, note)

    @property
    def body(self) -> bytes:
        """What ``parse`` reads."""
        lines = [f"old {self.old}", *(base64.b64encode(one).decode() for one in self.proof)]
        return ("\n".join(lines) + "\n\n" + self.note).encode()


def parse_size(body: bytes) -> int:
    """The size with which a witness answers 409. Raises NoteInvalid ``log.submission``."""
    found = _SIZE.fullmatch(body)
    if found is None or int(found[1]) > MAX_SIZE:
        raise _invalid("the witness does not say which size it has seen")
    return int(found[1])


def _invalid(message: str) -> NoteInvalid:
    return NoteInvalid(message, code="log.submission")
