"""The Merkle tree of RFC 9162 §2.1 with SHA-256, and its proofs.

Stored are the hashes of complete subtrees only, each once, at (level, index): level 0 are the
leaf hashes, and the node (k, i) covers the leaves from i·2^k up to (i+1)·2^k. These never change
as the tree grows. A root or a proof reads O(log n) of them and hashes the rest.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from typing import Protocol

from pds.log.errors import ProofInvalid

HASH_SIZE = 32
EMPTY_ROOT = sha256(b"").digest()

# §2.1.1: different first bytes, so that no leaf can pass for an inner node or the reverse.
_LEAF = b"\x00"
_NODE = b"\x01"


class NodeStore(Protocol):
    """Where the hashes of complete subtrees are kept.

    ``put_node`` is called once for each node. ``get_node`` is called only for nodes put before
    and raises LookupError for any other. A store may also have
    ``put_nodes(level, first_index, hashes)`` for several neighbours; ``extend`` then uses it.
    """

    def get_node(self, level: int, index: int) -> bytes: ...

    def put_node(self, level: int, index: int, hash_: bytes) -> None: ...


class MemoryNodes:
    """A NodeStore in memory; nodes of a level arrive in order, as a tree puts them."""

    __slots__ = ("_levels",)

    def __init__(self) -> None:
        self._levels: list[list[bytes]] = []

    def get_node(self, level: int, index: int) -> bytes:
        return self._levels[level][index]

    def items(self) -> Iterator[tuple[tuple[int, int], bytes]]:
        """Every node with its (level, index)."""
        for level, nodes in enumerate(self._levels):
            for index, hash_ in enumerate(nodes):
                yield (level, index), hash_

    def put_node(self, level: int, index: int, hash_: bytes) -> None:
        try:
            nodes = self._levels[level]
        except IndexError:
            nodes = self._begin(level)
        if len(nodes) != index:
            raise LookupError("nodes of a level must arrive in order")
        nodes.append(hash_)

    def put_nodes(self, level: int, first_index: int, hashes: Sequence[bytes]) -> None:
        nodes = self._levels[level] if level < len(self._levels) else self._begin(level)
        if len(nodes) != first_index:
            raise LookupError("nodes of a level must arrive in order")
        nodes.extend(hashes)

    def _begin(self, level: int) -> list[bytes]:
        if level != len(self._levels):
            raise LookupError("nodes of a level must arrive in order")
        self._levels.append([])
        return self._levels[level]


def leaf_hash(data: bytes) -> bytes:
    """The hash of a leaf's content (§2.1.1)."""
    return sha256(_LEAF + data).digest()


def leaf_hashes(contents: Iterable[bytes]) -> list[bytes]:
    """The same for many, for ``Tree.extend``: without a call for each."""
    return [sha256(_LEAF + data).digest() for data in contents]


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node (§2.1.1)."""
    return sha256(_NODE + left + right).digest()


class Tree:
    """An append-only tree over a NodeStore that holds the nodes of its first ``size`` leaves.

    The tree remembers the right edge, so one whose store was rolled back must be thrown away and
    made anew, with the size of the store. Callers lock by themselves: one writer at a time.
    """

    __slots__ = ("_edge", "_nodes", "_size")

    def __init__(self, nodes: NodeStore, size: int) -> None:
        if size < 0:
            raise ValueError("a tree has no negative size")
        self._nodes = nodes
        self._size = size
        # The complete subtrees that make up the tree, from the largest to the smallest.
        self._edge = [
            nodes.get_node(level, (size >> level) - 1)
            for level in reversed(range(size.bit_length()))
            if size >> level & 1
        ]

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._size

    def append(self, leaf: bytes) -> int:
        """Add one leaf hash; its index. Stores two nodes on average, and reads none."""
        if len(leaf) != HASH_SIZE:
            raise ValueError("a leaf hash has 32 bytes")
        edge = self._edge
        nodes = self._nodes
        first = index = self._size
        nodes.put_node(0, index, leaf)
        level = 0
        while index & 1:
            leaf = sha256(_NODE + edge.pop() + leaf).digest()
            index >>= 1
            level += 1
            nodes.put_node(level, index, leaf)
        edge.append(leaf)
        self._size = first + 1
        return first

    def extend(self, leaves: Sequence[bytes]) -> int:
        """Add many leaf hashes, level by level; the index of the first.

        The tree is the same as after ``append`` of each, the cost is less.
        """
        if [*map(len, leaves)].count(HASH_SIZE) != len(leaves):
            raise ValueError("a leaf hash has 32 bytes")
        put_nodes = getattr(self._nodes, "put_nodes", self._put_each)
        edge = self._edge
        first = index = self._size
        count = len(leaves)
        level = 0
        new: Sequence[bytes] = leaves
        loose: list[bytes] = []
        while new:
            put_nodes(level, index, new)
            if index & 1:
                new = [edge.pop(), *new]
            if len(new) & 1:
                loose.append(new[-1])
            nodes = iter(new)
            new = [
                sha256(_NODE + left + right).digest()
                for left, right in zip(nodes, nodes, strict=False)
            ]
            index >>= 1
            level += 1
        edge.extend(reversed(loose))
        self._size = first + count
        return first

    def root(self, size: int | None = None) -> bytes:
        """The root hash (§2.1.1) of the first ``size`` leaves, by default of all."""
        if size is None or size == self._size:
            nodes = self._edge
            if not nodes:
                return EMPTY_ROOT
            root = nodes[-1]
            for node in nodes[-2::-1]:
                root = sha256(_NODE + node + root).digest()
            return root
        if not 0 <= size < self._size:
            raise ValueError("the tree has never had this size")
        return self._right_edge(size.bit_length(), size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The proof that leaf ``index`` is in the tree of the first ``size`` leaves (§2.1.3.1).

        Hashes from the leaf's sibling up to the child of the root. ValueError unless
        0 ≤ index < size ≤ the size of the tree.
        """
        if not 0 <= index < size <= self._size:
            raise ValueError("no such leaf in a tree of this size")
        return self._path(0, index, size)

    def consistency(self, first: int, second: int) -> list[bytes]:
        """The proof that the tree of ``second`` leaves begins with that of ``first`` (§2.1.4.1).

        Empty, because there is nothing to prove, when the sizes are equal or ``first`` is 0.
        ValueError unless
        0 ≤ first ≤ second ≤ the size of the tree.
        """
        if not 0 <= first <= second <= self._size:
            raise ValueError("the tree has never had these sizes")
        if first in (0, second):
            return []
        # The smallest complete subtree at the end of the first tree; if it is all of that tree,
        # the verifier has its hash already.
        proof = self.beginning(first, second)
        return proof[1:] if first.bit_count() == 1 else proof

    def beginning(self, first: int, second: int) -> list[bytes]:
        """With what the tree of ``second`` leaves begins: ``consistency`` with the hash of the
        smallest complete subtree always in front. For ``verify_inconsistency``.

        ValueError unless 0 < first ≤ second ≤ the size of the tree.
        """
        if not 0 < first <= second <= self._size:
            raise ValueError("the tree has never had these sizes")
        level = (first & -first).bit_length() - 1
        index = (first >> level) - 1
        return [self._nodes.get_node(level, index), *self._path(level, index, second)]

    def _path(self, level: int, index: int, size: int) -> list[bytes]:
        """The siblings on the way from a complete node up to the root of ``size`` leaves."""
        get = self._nodes.get_node
        path: list[bytes] = []
        # Until the way meets that of the last leaf, every sibling is complete.
        apart = (index ^ ((size - 1) >> level)).bit_length()
        for _ in range(apart - 1):
            path.append(get(level, index ^ 1))
            index >>= 1
            level += 1
        # Where they meet, the sibling is on the right and ends with the last leaf.
        if apart:
            path.append(self._right_edge(level, size))
            index >>= 1
            level += 1
        # From there on only left siblings are left.
        while index:
            if index & 1:
                path.append(get(level, index - 1))
            index >>= 1
            level += 1
        return path

    def _right_edge(self, level: int, size: int) -> bytes:
        """The hash of the part of ``size`` leaves that lies in the last block of 2^level.

        That block may be complete: then it is one stored node.
        """
        get = self._nodes.get_node
        rest = size & ((1 << level) - 1)
        if not rest:
            return get(level, (size >> level) - 1)
        below = (rest & -rest).bit_length() - 1
        node = get(below, (size >> below) - 1)
        for higher in range(below + 1, level):
            if rest >> higher & 1:
                node = sha256(_NODE + get(higher, (size >> higher) - 1) + node).digest()
        return node

    def _put_each(self, level: int, first_index: int, hashes: Sequence[bytes]) -> None:
        put = self._nodes.put_node
        for index, hash_ in enumerate(hashes, first_index):
            put(level, index, hash_)


def verify_inclusion(
    *, leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Return if ``leaf`` (a leaf hash) is number ``index`` of the tree of this size and root.

    RFC 9162 §2.1.3.2. The size and the root must come from a verified checkpoint. Raises
    ProofInvalid ``log.inclusion``.
    """
    # 1. The index lies in the tree.
    if not 0 <= index < size:
        raise _no_inclusion("the leaf is not within the tree")
    # 2. All hashes have the one length, so that they cannot be cut differently.
    _check_lengths((leaf, root, *proof), "log.inclusion")
    # 3. The proof has exactly the steps that the way from leaf to root has.
    apart = (index ^ (size - 1)).bit_length()
    if len(proof) != apart + (index >> apart).bit_count():
        raise _no_inclusion("the proof has the wrong length")
    # 4. The steps lead to the root.
    node = _climb(leaf, index, proof, apart)
    if node != root:
        raise _no_inclusion("the proof does not lead to the root")


def verify_consistency(
    *, first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> None:
    """Return if the tree of ``second`` leaves begins with the tree of ``first`` (§2.1.4.2).

    Sizes and roots must come from verified checkpoints. A first tree without leaves is refused:
    every tree begins with it, so there is nothing to prove. Raises ProofInvalid
    ``log.consistency``.
    """
    # 1. The order of sizes.
    if not 0 < first <= second:
        raise _no_consistency("the first tree is empty or larger than the second")
    # 2. Trees of one size are the same tree; nothing is left to prove.
    if first == second:
        if proof:
            raise _no_consistency("the proof has the wrong length")
        if first_root != second_root:
            raise _no_consistency("trees of one size have different roots")
        return
    # 3. All hashes have the one length, so that they cannot be cut differently.
    _check_lengths((first_root, second_root, *proof), "log.consistency")
    # 4. The left siblings alone lead to the first root, all siblings to the second.
    #    They start from the smallest complete subtree at the end of the first tree: the first hash
    #    of the proof, or the first root where that is all of the tree.
    start = [first_root] if first.bit_count() == 1 else []
    old, new = _both_roots(first, second, [*start, *proof])
    if old != first_root:
        raise _no_consistency("the proof does not lead to the first root")
    if new != second_root:
        raise _no_consistency("the proof does not lead to the second root")


def verify_inconsistency(
    *, first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> None:
    """Return if the tree of ``second`` leaves does *not* begin with the one of ``first``.

    For one size, two roots say so. Else a consistency proof does, when it leads to the second
    root and to another first one: the hashes that lead to the second root are those of its tree.
    Where the first tree is one complete subtree (a power of two) the proof of §2.1.4.1 leaves its
    hash out; here it stands at the beginning (``Tree.beginning``), else nothing is shown. Raises
    ProofInvalid ``log.consistency``.
    """
    if not 0 < first <= second:
        raise _no_consistency("the first tree is empty or larger than the second")
    if first == second:
        if proof or first_root == second_root:
            raise _no_consistency("the two trees are one")
        return
    _check_lengths((first_root, second_root, *proof), "log.consistency")
    old, new = _both_roots(first, second, proof)
    if new != second_root:
        raise _no_consistency("the proof does not lead to the second root")
    if old == first_root:
        raise _no_consistency("the second tree begins with the first")


def _both_roots(first: int, second: int, proof: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The roots of the first and the second tree to which a proof leads: the smallest complete
    subtree at the end of the first, then its siblings upwards."""
    if not proof:
        raise _no_consistency("the proof has the wrong length")
    start, path = proof[0], proof[1:]
    level = (first & -first).bit_length() - 1
    index = (first >> level) - 1
    apart = (index ^ ((second - 1) >> level)).bit_length()
    if len(path) != apart + (index >> apart).bit_count():
        raise _no_consistency("the proof has the wrong length")
    old = start
    for height, sibling in enumerate(path[:apart]):
        if index >> height & 1:
            old = sha256(_NODE + sibling + old).digest()
    for sibling in path[apart:]:
        old = sha256(_NODE + sibling + old).digest()
    return old, _climb(start, index, path, apart)


def _climb(node: bytes, index: int, path: Sequence[bytes], apart: int) -> bytes:
    """The root above ``node``: by the index for ``apart`` steps, then from the left only."""
    for sibling in path[:apart]:
        if index & 1:
            node = sha256(_NODE + sibling + node).digest()
        else:
            node = sha256(_NODE + node + sibling).digest()
        index >>= 1
    for sibling in path[apart:]:
        node = sha256(_NODE + sibling + node).digest()
    return node


def _check_lengths(hashes: Sequence[bytes], code: str) -> None:
    if any(len(hash_) != HASH_SIZE for hash_ in hashes):
        raise ProofInvalid("a hash does not have 32 bytes", code=code)


def _no_inclusion(message: str) -> ProofInvalid:
    return ProofInvalid(message, code="log.inclusion")


def _no_consistency(message: str) -> ProofInvalid:
    return ProofInvalid(message, code="log.consistency")
