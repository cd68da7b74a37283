"""What a log has signed that cannot both be true, in a file for a third person.

    {"type": "LogEvidence", "logKey": "…vkey…", "before": "…note…", "now": "…note…", "proof": […]}

Two checkpoints of one size with different roots convict by themselves. Of two sizes, a consistency
proof by the log does, when by it the larger tree begins with another one than the smaller. A log
that gives no such proof has not proven that it only grew, and nothing more can be said.
"""

from dataclasses import dataclass

from did.errors import DidError
from did.json import Json, JsonObject
from did.multikey import b64url_decode, b64url_encode
from pds.log.checkpoint import open_checkpoint
from pds.log.entry import MAX_PATH
from pds.log.errors import EvidenceInvalid, LogMisbehaved, ProofInvalid
from pds.log.note import MAX_NOTE_BYTES
from pds.log.tree import HASH_SIZE, verify_inconsistency
from pds.log.vkey import NoteKey, Signs

_MEMBERS = {"type", "logKey", "before", "now", "proof"}


@dataclass(frozen=True, slots=True)
class LogEvidence:
    """Two signed checkpoints that are said not to fit, with the proof if there is one.

    Nothing is verified; ``key`` is a claim until it was compared with what is known of the log.
    """

    key: NoteKey
    before: str
    now: str
    proof: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, error: LogMisbehaved, key: NoteKey) -> "LogEvidence":
        """What an error about the log with this key has kept."""
        return cls(key, error.old_note, error.new_note, error.proof)

    @classmethod
    def parse(cls, raw: JsonObject) -> "LogEvidence":
        """Read evidence; exactly the five members. Raises EvidenceInvalid and NoteInvalid."""
        key, before, now, proof = (raw.get(name) for name in ("logKey", "before", "now", "proof"))
        if set(raw) != _MEMBERS or raw["type"] != "LogEvidence":
            raise EvidenceInvalid("evidence has exactly five members")
        if not isinstance(key, str) or not isinstance(before, str) or not isinstance(now, str):
            raise EvidenceInvalid("key and checkpoints are texts")
        if max(len(before), len(now)) > MAX_NOTE_BYTES:
            raise EvidenceInvalid("a checkpoint is too large")
        if not isinstance(proof, list) or len(proof) > MAX_PATH:
            raise EvidenceInvalid("the proof must be a list of hashes")
        return cls(NoteKey.parse(key, expected=Signs.NOTES), before, now, tuple(map(_hash, proof)))

    def to_json(self) -> JsonObject:
        """What ``parse`` reads."""
        proof: list[Json] = [b64url_encode(one) for one in self.proof]
        return {
            "type": "LogEvidence",
            "logKey": self.key.text,
            "before": self.before,
            "now": self.now,
            "proof": proof,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """What evidence shows. ``proven``: whoever holds the log's key has signed two trees of which
    neither can be the beginning of the other. Otherwise both are signed, and that is all."""

    origin: str
    sizes: tuple[int, int]
    proven: bool


def judge(evidence: LogEvidence) -> Verdict:
    """Look at evidence, offline.

    Raises NoteInvalid when the key has not signed both, and EvidenceInvalid when they are one and
    the same. *Not* checked: that the key is the log's.
    """
    # 1. The key has signed both, for one log.
    origin, key = evidence.key.name, evidence.key.key
    notes = (evidence.before, evidence.now)
    found = [open_checkpoint(note, origin=origin, key=key) for note in notes]
    older, newer = sorted(found, key=lambda one: one.size)
    # 2. They differ.
    if (older.size, older.root) == (newer.size, newer.root):
        raise EvidenceInvalid("both checkpoints are of one tree")
    if older.size == 0:
        raise EvidenceInvalid("every tree begins with the empty one")
    # 3. One size with two roots, or the proof of a log against itself.
    try:
        verify_inconsistency(
            first=older.size,
            second=newer.size,
            first_root=older.root,
            second_root=newer.root,
            proof=evidence.proof,
        )
    except ProofInvalid:
        return Verdict(origin, (older.size, newer.size), proven=False)
    return Verdict(origin, (older.size, newer.size), proven=True)


def _hash(value: Json) -> bytes:
    if isinstance(value, str) and len(value) <= 64:
        try:
            data = b64url_decode(value)
        except DidError:
            data = b""
        if len(data) == HASH_SIZE:
            return data
    raise EvidenceInvalid("a hash has 32 bytes, in base64url")
