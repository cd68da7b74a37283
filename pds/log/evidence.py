"""What a log has signed that cannot both be true, in a file for a third person.

    {"type": "LogEvidence", "logKey": "…vkey…", "before": "…note…", "now": "…note…", "proof": […]}

Two checkpoints of one size with different roots convict by themselves. Of two sizes, a consistency
proof by the log does, when by it the larger tree begins with another one than the smaller. A log
that gives no such proof has not proven that it only grew, and nothing more can be said. A log
whose key has changed between the two adds ``"successions": ["…note…"]``.

    {"type": _KEY_TYPE, "succession": "…note…", "other": "…note…"}

A key that has named its successor signs no tree beyond, and names no other: ``other`` is a
checkpoint that one of the two keys signed out of its time, or another succession of the old one.
"""

from dataclasses import dataclass
from typing import Final

from did.errors import DidError
from did.json import Json, JsonObject
from did.multikey import b64url_decode, b64url_encode
from pds.log.checkpoint import open_checkpoint
from pds.log.entry import MAX_PATH
from pds.log.errors import (
    EvidenceInvalid,
    KeyMisused,
    LogMisbehaved,
    ProofInvalid,
    RivalSuccessors,
)
from pds.log.keys import MAX_SUCCESSIONS, KeyOfLog, LogKeys, Succession
from pds.log.note import MAX_NOTE_BYTES, UnverifiedNote
from pds.log.succession import HEAD, are_rivals, open_succession
from pds.log.tree import HASH_SIZE, verify_inconsistency
from pds.log.vkey import NoteKey, Signs, log_key

_MEMBERS: Final = {"type", "logKey", "before", "now", "proof"}
_KEY_MEMBERS: Final = {"type", "succession", "other"}
_KEY_TYPE: Final = "LogKeyEvidence"
TYPES: Final = frozenset({"LogEvidence", _KEY_TYPE})


@dataclass(frozen=True, slots=True)
class LogEvidence:
    """Two signed checkpoints that are said not to fit, with the proof if there is one.

    Nothing is verified; ``key`` is a claim until it was compared with what is known of the log.
    ``successions`` are the statements that lead to it from the keys of before.
    """

    key: NoteKey
    before: str
    now: str
    proof: tuple[bytes, ...] = ()
    successions: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, error: LogMisbehaved, key: NoteKey, successions: tuple[str, ...] = ()
    ) -> "LogEvidence":
        """What an error about the log with this key has kept."""
        return cls(key, error.old_note, error.new_note, error.proof, successions)

    @classmethod
    def parse(cls, raw: JsonObject) -> "LogEvidence":
        """Read evidence: five members, or six. Raises EvidenceInvalid and NoteInvalid."""
        key, before, now, proof = (raw.get(name) for name in ("logKey", "before", "now", "proof"))
        if set(raw) - {"successions"} != _MEMBERS or raw["type"] != "LogEvidence":
            raise EvidenceInvalid("evidence has exactly five members, or six")
        if not isinstance(key, str) or not isinstance(before, str) or not isinstance(now, str):
            raise EvidenceInvalid("key and checkpoints are texts")
        if max(len(before), len(now)) > MAX_NOTE_BYTES:
            raise EvidenceInvalid("a checkpoint is too large")
        if not isinstance(proof, list) or len(proof) > MAX_PATH:
            raise EvidenceInvalid("the proof must be a list of hashes")
        return cls(
            NoteKey.parse(key, expected=Signs.NOTES),
            before,
            now,
            tuple(map(_hash, proof)),
            _notes(raw.get("successions", [])),
        )

    def to_json(self) -> JsonObject:
        """What ``parse`` reads."""
        proof: list[Json] = [b64url_encode(one) for one in self.proof]
        more: JsonObject = {"successions": [*self.successions]} if self.successions else {}
        return {
            "type": "LogEvidence",
            "logKey": self.key.text,
            "before": self.before,
            "now": self.now,
            "proof": proof,
            **more,
        }


@dataclass(frozen=True, slots=True)
class KeyEvidence:
    """A succession, and what one of its keys has signed against it. Nothing is verified."""

    succession: str
    other: str

    @classmethod
    def parse(cls, raw: JsonObject) -> "KeyEvidence":
        """Read evidence; exactly the three members. Raises EvidenceInvalid."""
        if set(raw) != _KEY_MEMBERS or raw["type"] != _KEY_TYPE:
            raise EvidenceInvalid("evidence about a key has exactly three members")
        return cls(*_notes([raw["succession"], raw["other"]]))

    def to_json(self) -> JsonObject:
        """What ``parse`` reads."""
        return {"type": _KEY_TYPE, "succession": self.succession, "other": self.other}


def parse_evidence(raw: JsonObject) -> LogEvidence | KeyEvidence:
    """Read evidence of either kind. Raises EvidenceInvalid and NoteInvalid."""
    return KeyEvidence.parse(raw) if raw.get("type") == _KEY_TYPE else LogEvidence.parse(raw)


def evidence_of(error: LogMisbehaved, *, origin: str, key: KeyOfLog) -> LogEvidence | KeyEvidence:
    """What an error about the log with this key, or these, has kept."""
    if isinstance(error, KeyMisused | RivalSuccessors):
        return KeyEvidence(error.old_note, error.new_note)
    keys = key if isinstance(key, LogKeys) else LogKeys(key)
    notes = tuple(change.note for change in keys.changes)
    return LogEvidence.of(error, log_key(origin, keys.newest), notes)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What evidence shows. ``proven``: whoever holds the log's key has signed two trees of which
    neither can be the beginning of the other. Otherwise both are signed, and that is all."""

    origin: str
    sizes: tuple[int, int]
    proven: bool


def judge(evidence: LogEvidence) -> Verdict:
    """Look at evidence, offline.

    Raises NoteInvalid when the key has not signed both, EvidenceInvalid when they are one and the
    same, and KeyMisused, which is evidence of another kind. *Not* checked: that the key is the
    log's.
    """
    # 1. The key has signed both, for one log; or one that it took the place of.
    origin = evidence.key.name
    changes = [open_succession(note) for note in evidence.successions]
    key = LogKeys.of(origin, evidence.key.key, changes)
    #    Each statement leads to it: beside others, two checkpoints would look like those of a log
    #    that never signed them.
    if len(key.changes) != len(changes):
        raise EvidenceInvalid("a succession does not lead to the key")
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


def judge_key(evidence: KeyEvidence) -> Succession:
    """Look at evidence about a key, offline; the succession that was broken.

    Who is convicted is whoever holds the old key (another successor, a tree beyond) or the new one
    (a tree of before). Raises NoteInvalid when they have not signed what is shown, EvidenceInvalid
    when it does not contradict. *Not* checked: that the keys are the log's.
    """
    # 1. Both keys have signed the succession.
    broken = open_succession(evidence.succession)
    # 2. The old one has signed another: one key has one successor.
    if UnverifiedNote.parse(evidence.other).text.startswith(HEAD + "\n"):
        if not are_rivals(broken, open_succession(evidence.other)):
            raise EvidenceInvalid("the two successions do not contradict each other")
        return broken
    # 3. Or one of them has signed a tree that was not its own to sign.
    try:
        open_checkpoint(evidence.other, origin=broken.origin, key=LogKeys(broken.new, (broken,)))
    except KeyMisused:
        return broken
    raise EvidenceInvalid("the checkpoint is signed by the key of its time")


def _notes(value: Json) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_SUCCESSIONS:
        raise EvidenceInvalid("signed notes stand in a list")
    notes = tuple(one for one in value if isinstance(one, str) and len(one) <= MAX_NOTE_BYTES)
    if len(notes) != len(value):
        raise EvidenceInvalid("a signed note is a text, and not too large")
    return notes


def _hash(value: Json) -> bytes:
    if isinstance(value, str) and len(value) <= 64:
        try:
            data = b64url_decode(value)
        except DidError:
            data = b""
        if len(data) == HASH_SIZE:
            return data
    raise EvidenceInvalid("a hash has 32 bytes, in base64url")
