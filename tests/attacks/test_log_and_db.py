"""Attacks on the log and on the database file, by their numbers in the threat model."""

import pytest

from did.keys import SigningKey
from pds.log import (
    Checkpoint,
    ForkedLog,
    MemoryNodes,
    Monitor,
    ProofInvalid,
    ShrunkenLog,
    Tree,
    sign_checkpoint,
    verify_inclusion,
)
from pds.log.tree import leaf_hash, node_hash

ORIGIN = "relay.example/log"
KEY = SigningKey.from_seed(bytes(range(32)))


def log_of(*contents: str) -> Tree:
    tree = Tree(MemoryNodes(), 0)
    tree.extend([leaf_hash(content.encode()) for content in contents])
    return tree


def note_of(tree: Tree, size: int | None = None) -> str:
    size = tree.size if size is None else size
    return sign_checkpoint(Checkpoint(ORIGIN, size, tree.root(size)), KEY)


def test_attack_45_forked_checkpoint() -> None:
    """A log that rewrites an entry is caught at the same size and at every larger one."""
    seen = log_of("a", "b", "withdrawn", "d", "e")
    rewritten = log_of("a", "b", "never withdrawn", "d", "e", "f", "g")
    monitor = Monitor(origin=ORIGIN, key=KEY.verify_key)
    monitor.advance(note_of(seen), [])
    for size in (5, 6, 7):
        with pytest.raises(ForkedLog) as caught:
            monitor.advance(note_of(rewritten, size), rewritten.consistency(5, size))
        evidence = caught.value
        assert (evidence.old_note, evidence.new_note) == (note_of(seen), note_of(rewritten, size))
        assert monitor.note == note_of(seen)


def test_attack_46_shrunken_tree() -> None:
    """A log that drops its last entries is caught, whatever proof comes with it."""
    log = log_of("a", "b", "c", "refused attempt", "refused attempt")
    monitor = Monitor(origin=ORIGIN, key=KEY.verify_key)
    monitor.advance(note_of(log), [])
    for size in (0, 3, 4):
        for proof in ([], log.consistency(size, 5)):
            with pytest.raises(ShrunkenLog) as caught:
                monitor.advance(note_of(log, size), proof)
            evidence = caught.value
            assert (evidence.old_note, evidence.new_note) == (note_of(log), note_of(log, size))
            assert monitor.note == note_of(log)


def test_attack_47_leaf_taken_for_node() -> None:
    """The two children of an inner node, shown as the content of one leaf, are not in the tree."""
    tree = log_of("a", "b", "c", "d")
    left, right = tree.root(2), tree.inclusion(0, 4)[1]
    children = leaf_hash(b"a") + leaf_hash(b"b")
    assert node_hash(leaf_hash(b"a"), leaf_hash(b"b")) == left
    # 1. As leaf 0 of a tree of two, with the right half as its path.
    with pytest.raises(ProofInvalid):
        verify_inclusion(leaf=leaf_hash(children), index=0, size=2, proof=[right], root=tree.root())
    # 2. With the true size, the way has one step more than such a forgery can fill.
    with pytest.raises(ProofInvalid):
        verify_inclusion(leaf=left, index=0, size=4, proof=[right], root=tree.root())
