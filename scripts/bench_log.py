"""The Merkle log of a million leaves, in bare SHA-256: ``scripts/bench log``.

Appending costs two hashes for each leaf, its own and on average one node above it; nothing can do
with less. The yardstick is these two, called bare, on inputs of the same lengths.
"""

import functools
import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import TYPE_CHECKING

# The second copy of that module in this process; it keeps no state.
from bench import Benchmark, Work

from pds.log.tree import MemoryNodes, Tree, leaf_hash, leaf_hashes, verify_inclusion

if TYPE_CHECKING:
    from bench_peers import Peer

LEAVES = 1_000_000
PEER_LEAVES = 100_000
IN_A_BATCH = 1_000
ROUNDS = 40
BATCHES = 5
CONTENT = 290
"""Bytes of a leaf's content: salt and entry of a redemption."""


@functools.cache
def large() -> Tree:
    """A tree of a million leaves; the rounds let it grow a little."""
    tree = Tree(MemoryNodes(), 0)
    for first in range(0, LEAVES, IN_A_BATCH):
        tree.extend(leaf_hashes(n.to_bytes(8) for n in range(first, first + IN_A_BATCH)))
    return tree


def contents(count: int) -> list[bytes]:
    return [os.urandom(CONTENT) for _ in range(count)]


def bare(count: int) -> Work:
    """Two hashes for each leaf, of its content and of a node: others in each call, for nobody has
    hashed a new leaf before."""
    inputs = iter(
        [
            [os.urandom(size) for size in (CONTENT + 1, 65) for _ in range(count)]
            for _ in range(BATCHES)
        ]
    )

    def work() -> None:
        for one in next(inputs):
            sha256(one).digest()

    return work


def rounds_of(append: Callable[[Tree, list[bytes]], None]) -> Iterator[tuple[list[Work], Work]]:
    tree = large()
    for _ in range(ROUNDS):
        batches = [contents(IN_A_BATCH) for _ in range(BATCHES)]
        yield [functools.partial(append, tree, batch) for batch in batches], bare(IN_A_BATCH)


def in_batches(tree: Tree, leaves: list[bytes]) -> None:
    tree.extend(leaf_hashes(leaves))


def singly(tree: Tree, leaves: list[bytes]) -> None:
    for leaf in leaves:
        tree.append(leaf_hash(leaf))


def places() -> list[int]:
    """Leaves all over the tree."""
    return [int.from_bytes(os.urandom(8)) % LEAVES for _ in range(100)]


def prove() -> Iterator[tuple[list[Work], Work]]:
    """A proof, and the verification of the same one as its yardstick."""
    tree = large()
    root = tree.root(LEAVES)
    for _ in range(ROUNDS):
        for place in places()[:10]:
            proof = tree.inclusion(place, LEAVES)
            leaf = leaf_hash(place.to_bytes(8))
            check = functools.partial(
                verify_inclusion, leaf=leaf, index=place, size=LEAVES, proof=proof, root=root
            )
            yield [functools.partial(tree.inclusion, place, LEAVES)] * 20, check


LOG = (
    Benchmark(
        "log.append.batch",
        "append a thousand leaves to a log of a million, from their contents, in two bare SHA-256 "
        "for each leaf",
        1.3,
        lambda: rounds_of(in_batches),
    ),
    Benchmark("log.append.single", "the same one by one", 2.0, lambda: rounds_of(singly)),
    Benchmark(
        "log.proof",
        "an inclusion proof in it, in verifications of the same proof",
        1.0,
        prove,
    ),
)


def beside_pymerkle() -> "tuple[Peer, ...]":
    """The lines against pymerkle's tree in memory; none where it is not installed.

    It is not among what is set up for the checks, because of its licence (GPL).
    """
    from bench_peers import Peer, time_of

    try:
        from pymerkle import InmemoryTree
    except ImportError:
        return ()
    theirs = InmemoryTree(algorithm="sha256")
    for n in range(PEER_LEAVES):
        theirs.append_entry(n.to_bytes(8))
    ours = Tree(MemoryNodes(), 0)
    ours.extend(leaf_hashes(n.to_bytes(8) for n in range(PEER_LEAVES)))

    def append(one: Callable[[Tree, list[bytes]], None]) -> Iterator[tuple[int, int]]:
        for _ in range(ROUNDS):
            leaves = contents(IN_A_BATCH)
            mine = time_of([functools.partial(one, ours, leaves)])
            yield mine, time_of([functools.partial(theirs.append_entry, leaf) for leaf in leaves])

    def prove() -> Iterator[tuple[int, int]]:
        for _ in range(ROUNDS):
            found = [place % PEER_LEAVES for place in places()]
            yield (
                time_of([functools.partial(ours.inclusion, n, PEER_LEAVES) for n in found]),
                # It counts leaves from 1.
                time_of(
                    [functools.partial(theirs.prove_inclusion, n + 1, PEER_LEAVES) for n in found]
                ),
            )

    return (
        Peer("peer.log.append.batch.pymerkle", "append a thousand leaves, against pymerkle",
             5, lambda: append(in_batches)),
        Peer("peer.log.append.single.pymerkle", "the same one by one", 5,
             lambda: append(singly)),
        Peer("peer.log.proof.pymerkle", "an inclusion proof, against pymerkle", 5, prove),
    )  # fmt: skip
