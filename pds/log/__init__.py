"""The verifiable log: Merkle tree, proofs, signed checkpoints, receipts, monitor."""

from pds.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from pds.log.entry import Receipt, VerifiedReceipt, leaf_of, verify_receipt
from pds.log.errors import (
    ForkedLog,
    LogError,
    LogMisbehaved,
    NoteInvalid,
    ProofInvalid,
    ReceiptInvalid,
    ShrunkenLog,
)
from pds.log.monitor import Monitor
from pds.log.tree import MemoryNodes, NodeStore, Tree, verify_consistency, verify_inclusion

__all__ = [
    "Checkpoint",
    "ForkedLog",
    "LogError",
    "LogMisbehaved",
    "MemoryNodes",
    "Monitor",
    "NodeStore",
    "NoteInvalid",
    "ProofInvalid",
    "Receipt",
    "ReceiptInvalid",
    "ShrunkenLog",
    "Tree",
    "VerifiedReceipt",
    "leaf_of",
    "open_checkpoint",
    "sign_checkpoint",
    "verify_consistency",
    "verify_inclusion",
    "verify_receipt",
]
