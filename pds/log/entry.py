"""Entries of the log, and receipts that prove one.

The tree holds only salted commitments: the hash of 32 random bytes and the canonical entry. Who
erases the salt with the entry leaves a hash from which nothing can be guessed.
"""

from dataclasses import dataclass

from did.errors import DidError
from did.json import Json, JsonObject, canonicalize, parse_object
from did.multikey import b64url_decode, b64url_encode
from pds.log.checkpoint import MAX_SIZE, Checkpoint, open_checkpoint
from pds.log.errors import ReceiptInvalid
from pds.log.keys import KeyOfLog
from pds.log.note import MAX_NOTE_BYTES
from pds.log.tree import HASH_SIZE, leaf_hash, verify_inclusion

SALT_SIZE = 32
MAX_PATH = 64

_MEMBERS = {"entry", "salt", "leafIndex", "inclusion", "checkpoint"}


def leaf_of(salt: bytes, entry: JsonObject) -> bytes:
    """The leaf hash of an entry: over 32 bytes of salt and the JCS form.

    The salt must be random, secret until the entry is shown, and used once. The fixed length
    leaves no second way to part salt from entry. Raises ReceiptInvalid for another length and
    ``did.errors.JsonError`` for an entry without a canonical form.
    """
    if len(salt) != SALT_SIZE:
        raise ReceiptInvalid("a salt has exactly 32 bytes")
    return leaf_hash(salt + canonicalize(entry))


@dataclass(frozen=True, slots=True)
class Receipt:
    """A log entry with all that is needed to find it in the log; nothing is verified yet.

    ``inclusion`` goes from the leaf's sibling upwards; ``checkpoint`` is the signed note.
    """

    entry: JsonObject
    salt: bytes
    leaf_index: int
    inclusion: tuple[bytes, ...]
    checkpoint: str

    @classmethod
    def parse(cls, raw: JsonObject) -> "Receipt":
        """Read a receipt; exactly the five members. Raises ReceiptInvalid ``log.receipt``.

        The entry is a copy: later changes to ``raw`` do not reach it.
        """
        if set(raw) != _MEMBERS:
            raise ReceiptInvalid("a receipt has exactly five members")
        entry, index, checkpoint = raw["entry"], raw["leafIndex"], raw["checkpoint"]
        if not isinstance(entry, dict):
            raise ReceiptInvalid("the entry must be an object")
        if not isinstance(index, int) or isinstance(index, bool) or not 0 <= index < MAX_SIZE:
            raise ReceiptInvalid("the leaf index must be a number within the log")
        if not isinstance(checkpoint, str) or len(checkpoint) > MAX_NOTE_BYTES:
            raise ReceiptInvalid("the checkpoint must be a signed note")
        path = raw["inclusion"]
        if not isinstance(path, list) or len(path) > MAX_PATH:
            raise ReceiptInvalid("the inclusion proof must be a list of hashes")
        try:
            copy = parse_object(canonicalize(entry))
        except DidError:
            raise ReceiptInvalid("the entry has no canonical form") from None
        return cls(
            entry=copy,
            salt=_hash(raw["salt"], SALT_SIZE),
            leaf_index=index,
            inclusion=tuple(_hash(item, HASH_SIZE) for item in path),
            checkpoint=checkpoint,
        )

    def to_json(self) -> JsonObject:
        """What ``parse`` reads; hashes and salt in base64url."""
        inclusion: list[Json] = [b64url_encode(hash_) for hash_ in self.inclusion]
        return {
            "entry": self.entry,
            "salt": b64url_encode(self.salt),
            "leafIndex": self.leaf_index,
            "inclusion": inclusion,
            "checkpoint": self.checkpoint,
        }

    @property
    def leaf(self) -> bytes:
        """The leaf hash, from salt and entry."""
        return leaf_of(self.salt, self.entry)

    @property
    def id(self) -> str:
        """The leaf hash in base64url: the name of the entry in this log."""
        return b64url_encode(self.leaf)

    def __repr__(self) -> str:
        # The entry may be personal.
        return f"<Receipt of leaf {self.leaf_index}>"


@dataclass(frozen=True, slots=True)
class VerifiedReceipt:
    """A receipt whose entry is in the log that signed ``checkpoint``. Made by verify_receipt."""

    receipt: Receipt
    checkpoint: Checkpoint


def verify_receipt(raw: JsonObject, *, origin: str, log_key: KeyOfLog) -> VerifiedReceipt:
    """Verify, offline, that the log ``origin`` holds the entry of a receipt.

    Raises ReceiptInvalid (form), NoteInvalid (checkpoint), ProofInvalid ``log.inclusion``. *Not*
    checked: that the entry is true, that the log shows everyone the same (see ``Monitor``), and
    what the entry means.
    """
    # 1. The five members, each of its form.
    receipt = Receipt.parse(raw)
    # 2. The checkpoint is signed by this log.
    checkpoint = open_checkpoint(receipt.checkpoint, origin=origin, key=log_key)
    # 3. The leaf, computed from salt and entry, leads to the signed root (RFC 9162 §2.1.3.2).
    verify_inclusion(
        leaf=receipt.leaf,
        index=receipt.leaf_index,
        size=checkpoint.size,
        proof=receipt.inclusion,
        root=checkpoint.root,
    )
    return VerifiedReceipt(receipt, checkpoint)


def _hash(value: Json, size: int) -> bytes:
    if isinstance(value, str) and len(value) <= 64:
        try:
            data = b64url_decode(value)
        except DidError:
            data = b""
        if len(data) == size:
            return data
    raise ReceiptInvalid("salt and hashes must be 32 bytes in base64url")
