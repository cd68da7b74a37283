"""The log of a relay: appending entries, and signing once for each batch what the tree has become.

An entry is added in the transaction of the act that it records. Its receipt is made when the batch
ends, is kept as it was given, and asking again gives the same bytes.
"""

import logging
import os
from collections.abc import Sequence
from datetime import datetime

from did.json import JsonObject, canonicalize
from did.keys import SigningKey
from did.time import format_time
from pds.db import Sql
from pds.log.checkpoint import Checkpoint, sign_checkpoint
from pds.log.entry import Receipt, leaf_of
from pds.log.tree import Tree
from pds.relay.errors import Refused
from pds.relay.store import log
from pds.relay.store.log import NewEntry
from pds.wire import RelayCode

_SALT_SIZE = 32
_AGAIN = 60
_log = logging.getLogger("pds.relay")


def new_entry(*, relay: str, at: datetime, entry: JsonObject) -> NewEntry:
    """An entry (§6, "Receipts") for the log, with ``relay`` and ``at`` added to it."""
    whole: JsonObject = {**entry, "relay": relay, "at": format_time(at)}
    salt = os.urandom(_SALT_SIZE)
    return NewEntry(whole, salt, leaf_of(salt, whole))


class _EdgeNodes:
    """What appending needs of a tree: its right edge, and the nodes that come new.

    Every sibling on the way from a new leaf to the root is one of these, so that a batch reads
    nothing, and its receipts cost no queries.
    """

    __slots__ = ("known", "new")

    def __init__(self, known: dict[tuple[int, int], bytes]) -> None:
        self.known = known
        self.new: list[tuple[int, int, bytes]] = []

    def get_node(self, level: int, index: int) -> bytes:
        return self.known[level, index]

    def put_node(self, level: int, index: int, hash_: bytes) -> None:
        self.known[level, index] = hash_
        self.new.append((level, index, hash_))


class Sealer:
    """Grows the tree by a batch and signs it. One for each process; used under the write lock.

    The right edge is kept in memory for the next batch. It counts only if the checkpoint in the
    database is still the one that it belongs to: another process may have been at work, and a
    batch may have been rolled back.
    """

    __slots__ = ("_checkpoint", "_edge", "_key", "_log")

    def __init__(self, key: SigningKey) -> None:
        self._key = key
        self._log = 0
        self._checkpoint = ""
        self._edge: dict[tuple[int, int], bytes] = {}

    def __call__(self, conn: Sql, entries: Sequence[NewEntry]) -> None:
        current = log.current(conn)
        if (self._log, self._checkpoint) != (current.number, current.checkpoint):
            # A change of the key is an entry: whoever signed last need not ask.
            check_key(conn, self._key)
            stored = log.SqlNodes(conn, current.number)
            self._edge = {place: stored.get_node(*place) for place in _edge_of(current.size)}
        nodes = _EdgeNodes(dict(self._edge))
        tree = Tree(nodes, current.size)
        first = tree.extend([entry.leaf for entry in entries])
        note = sign_checkpoint(
            Checkpoint(origin=current.origin, size=tree.size, root=tree.root()), self._key
        )
        for index, entry in enumerate(entries, first):
            receipt = Receipt(
                entry=entry.entry,
                salt=entry.salt,
                leaf_index=index,
                inclusion=tuple(tree.inclusion(index, tree.size)),
                checkpoint=note,
            )
            entry.receipt = canonicalize(receipt.to_json())
        log.add_nodes(conn, current.number, nodes.new)
        log.keep_receipts(conn, entries)
        log.grow(conn, current.number, size=tree.size, checkpoint=note)
        self._log, self._checkpoint = current.number, note
        self._edge = {place: nodes.known[place] for place in _edge_of(tree.size)}


def check_key(conn: Sql, key: SigningKey) -> None:
    """This process has the key of the log. A machine of several that did not get the new one signs
    nothing more: it refuses, and says why in its log."""
    if log.fact(conn, "log-key") != key.verify_key.bytes:
        _log.error("the key of the log has changed: put the new log-key here and start again")
        raise Refused(RelayCode.BUSY, retry_after=_AGAIN)


def successions(conn: Sql) -> list[bytes]:
    """The receipts of all changes of the key, in their order."""
    return [receipt_of(conn, number) for number in log.successions(conn)]


def successions_document(receipts: Sequence[bytes]) -> bytes:
    """What ``pds.log.succession.read_successions`` reads."""
    return b'{"successions":[' + b",".join(receipts) + b"]}"


def _edge_of(size: int) -> list[tuple[int, int]]:
    """Where the complete subtrees lie that make up a tree of this size."""
    return [(level, (size >> level) - 1) for level in range(size.bit_length()) if size >> level & 1]


def receipt_of(conn: Sql, number: int) -> bytes:
    """The receipt of a committed entry, as it was given."""
    return log.receipt(conn, number).encode()


def consistency(conn: Sql, first: int, second: int) -> list[bytes]:
    """The proof that the log of ``second`` entries begins with that of ``first``.

    Raises ValueError for sizes that the log has never had.
    """
    current = log.current(conn)
    tree = Tree(log.SqlNodes(conn, current.number), current.size)
    return tree.consistency(first, second)
