"""Errors of the log.

    LogError
    ├── ProofInvalid       log.inclusion, log.consistency: the hashes do not lead to the root
    ├── NoteInvalid        log.note (form), log.signature, log.checkpoint (content), log.vkey,
    │                      log.cosignature, log.quorum (too few witnesses), log.submission,
    │                      log.succession (no succession of log keys, or none that leads on)
    ├── TileInvalid        log.tile: not a tile, or not of the signed tree
    ├── EvidenceInvalid    log.evidence: shows nothing against the log
    ├── ReceiptInvalid     log.receipt: not a receipt
    └── LogMisbehaved      the log has signed two things that cannot both be true
        ├── ForkedLog      log.forked
        ├── ShrunkenLog    log.shrunken
        ├── KeyMisused     log.old_key: signed by a key that was not the log's at this size
        └── RivalSuccessors log.two_successors: one key has named two keys after it

Nothing of an entry, a note or a proof is repeated in a message.
"""

from collections.abc import Sequence

from pds.errors import PdsError


class LogError(PdsError):
    """Something about the log that cannot be relied on."""

    default_code = "log.error"


class ProofInvalid(LogError):
    """An inclusion or consistency proof that proves nothing."""

    default_code = "log.inclusion"


class NoteInvalid(LogError):
    """A signed note or checkpoint that is malformed, unsigned or about something else."""

    default_code = "log.note"


class TileInvalid(LogError):
    """A tile whose address or octets are those of none."""

    default_code = "log.tile"


class EvidenceInvalid(LogError):
    """What is called evidence and shows nothing against anybody."""

    default_code = "log.evidence"


class ReceiptInvalid(LogError):
    """A receipt that lacks a part or has one too many."""

    default_code = "log.receipt"


class LogMisbehaved(LogError):
    """Two signed checkpoints that do not fit together; keep both: they are the evidence.

    ``proven`` is true when the two notes, with ``proof``, convince anyone who has the log's key:
    one size with two roots, or a proof by which the newer tree begins with another one than the
    older. It is false when the log only failed to prove that the one grew out of the other.
    """

    def __init__(
        self,
        message: str,
        *,
        old_note: str,
        new_note: str,
        proven: bool,
        proof: Sequence[bytes] = (),
        hint: str = "",
    ) -> None:
        super().__init__(message, hint=hint)
        self.old_note = old_note
        self.new_note = new_note
        self.proven = proven
        self.proof = tuple(proof)


class ForkedLog(LogMisbehaved):
    """The log shows different pasts to different people, or has changed its own."""

    default_code = "log.forked"


class ShrunkenLog(LogMisbehaved):
    """The log shows fewer entries than it had signed before."""

    default_code = "log.shrunken"


class KeyMisused(LogMisbehaved):
    """A checkpoint by a key that had been given up, or that was not there yet. ``old_note`` is the
    succession that says so."""

    default_code = "log.old_key"


class RivalSuccessors(LogMisbehaved):
    """Two successions of one key; both notes are such statements."""

    default_code = "log.two_successors"
