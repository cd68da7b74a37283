"""The log of a relay: appending entries and signing what the tree has become.

Every entry is written in the transaction of the act that it records, and its receipt is kept as
it was given, so that asking again gives the same bytes.
"""

import os
from dataclasses import dataclass
from datetime import datetime

from did.json import JsonObject, canonicalize
from did.keys import SigningKey
from did.multikey import b64url_encode
from did.time import format_time
from pds.db import Connection
from pds.log.checkpoint import Checkpoint, sign_checkpoint
from pds.log.entry import Receipt, leaf_of
from pds.log.tree import Tree
from pds.relay.store import log

_SALT_SIZE = 32


@dataclass(frozen=True, slots=True)
class Logged:
    """An entry in the log: its number in our table, its leaf (base64url), its receipt (JCS)."""

    number: int
    leaf: str
    receipt: bytes


def append(
    conn: Connection, *, key: SigningKey, relay: str, at: datetime, entry: JsonObject
) -> Logged:
    """Add an entry (§6, "Receipts") and sign the new checkpoint.

    ``relay`` and ``at`` are added to the entry. The tree is read anew each time, because a
    transaction that is rolled back takes its nodes with it.
    """
    current = log.current(conn)
    tree = Tree(log.SqlNodes(conn, current.number), current.size)
    whole: JsonObject = {**entry, "relay": relay, "at": format_time(at)}
    salt = os.urandom(_SALT_SIZE)
    leaf = leaf_of(salt, whole)
    index = tree.append(leaf)
    note = sign_checkpoint(Checkpoint(origin=current.origin, size=tree.size, root=tree.root()), key)
    receipt = Receipt(
        entry=whole,
        salt=salt,
        leaf_index=index,
        inclusion=tuple(tree.inclusion(index, tree.size)),
        checkpoint=note,
    )
    log.grow(conn, current.number, size=tree.size, checkpoint=note)
    text = canonicalize(receipt.to_json())
    return Logged(log.add_entry(conn, text.decode()), b64url_encode(leaf), text)


def receipt_of(conn: Connection, number: int) -> bytes:
    """The receipt of an entry, as it was given."""
    return log.receipt(conn, number).encode()


def consistency(conn: Connection, first: int, second: int) -> list[bytes]:
    """The proof that the log of ``second`` entries begins with that of ``first``.

    Raises ValueError for sizes that the log has never had.
    """
    current = log.current(conn)
    tree = Tree(log.SqlNodes(conn, current.number), current.size)
    return tree.consistency(first, second)
