"""The Merkle tree against the published vectors and against a naive reading of RFC 9162."""

import base64
import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pds.log import MemoryNodes, ProofInvalid, Tree, verify_consistency, verify_inclusion
from pds.log.tree import EMPTY_ROOT, leaf_hash, node_hash

LEAVES = [leaf_hash(f"leaf {n}".encode()) for n in range(300)]


# The reference: the recursive definitions of RFC 9162, word for word, on lists of leaf hashes.


def split(count: int) -> int:
    """The largest power of two smaller than ``count``."""
    power = 1
    while power * 2 < count:
        power *= 2
    return power


def reference_root(leaves: list[bytes]) -> bytes:
    """MTH, §2.1.1."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return sha256(b"\x01" + reference_root(leaves[:k]) + reference_root(leaves[k:])).digest()


def reference_path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH, §2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*reference_path(m, leaves[:k]), reference_root(leaves[k:])]
    return [*reference_path(m - k, leaves[k:]), reference_root(leaves[:k])]


def reference_subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF, §2.1.4.1."""
    if m == len(leaves):
        return [] if whole else [reference_root(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*reference_subproof(m, leaves[:k], whole), reference_root(leaves[k:])]
    return [*reference_subproof(m - k, leaves[k:], False), reference_root(leaves[:k])]


def tree_of(count: int) -> Tree:
    tree = Tree(MemoryNodes(), 0)
    tree.extend(LEAVES[:count])
    return tree


def flipped(data: bytes, bit: int) -> bytes:
    """The same bytes with one bit turned."""
    altered = bytearray(data)
    altered[bit // 8 % len(data)] ^= 1 << bit % 8
    return bytes(altered)


# Published vectors


def cases(folder: Path) -> list[Path]:
    found = sorted(folder.rglob("*.json"))
    assert len(found) == 98, "the vectors have changed: look at them before trusting this test"
    return found


def hashes(items: list[str] | None) -> list[bytes]:
    return [base64.b64decode(item) for item in items or []]


def raises_proof_invalid(call: object, **arguments: object) -> bool:
    try:
        call(**arguments)  # type: ignore[operator]
    except ProofInvalid:
        return True
    return False


def test_inclusion_vectors(vectors: Path) -> None:
    """All published inclusion proofs, sound and corrupted. (Subtree proofs are not used here.)"""
    for path in cases(vectors / "merkle/testdata/inclusion"):
        case = json.loads(path.read_text())
        refused = raises_proof_invalid(
            verify_inclusion,
            leaf=base64.b64decode(case["leafHash"] or ""),
            index=case["leafIdx"],
            size=case["treeSize"],
            proof=hashes(case["proof"]),
            root=base64.b64decode(case["root"] or ""),
        )
        assert refused == case["wantErr"], path.name


def test_consistency_vectors(vectors: Path) -> None:
    """All published consistency proofs, sound and corrupted."""
    for path in cases(vectors / "merkle/testdata/consistency"):
        case = json.loads(path.read_text())
        refused = raises_proof_invalid(
            verify_consistency,
            first=case["size1"],
            second=case["size2"],
            first_root=base64.b64decode(case["root1"] or ""),
            second_root=base64.b64decode(case["root2"] or ""),
            proof=hashes(case["proof"]),
        )
        assert refused == case["wantErr"], path.name


# Every size up to 64


def test_every_root_up_to_64() -> None:
    """Roots of every size, of the whole tree and of its past, equal the reference."""
    tree = Tree(MemoryNodes(), 0)
    assert tree.root() == EMPTY_ROOT
    for size in range(1, 65):
        assert tree.append(LEAVES[size - 1]) == size - 1
        assert tree.root() == reference_root(LEAVES[:size])
        for past in range(size):
            assert tree.root(past) == reference_root(LEAVES[:past])


def test_every_inclusion_proof_up_to_64() -> None:
    """Each leaf in each size: the proof is the reference's and verifies."""
    tree = tree_of(64)
    for size in range(1, 65):
        root = reference_root(LEAVES[:size])
        for index in range(size):
            proof = tree.inclusion(index, size)
            assert proof == reference_path(index, LEAVES[:size])
            verify_inclusion(leaf=LEAVES[index], index=index, size=size, proof=proof, root=root)


def test_every_consistency_proof_up_to_64() -> None:
    """Each pair of sizes: the proof is the reference's and verifies."""
    tree = tree_of(64)
    roots = [reference_root(LEAVES[:size]) for size in range(65)]
    for second in range(1, 65):
        for first in range(1, second + 1):
            proof = tree.consistency(first, second)
            assert proof == reference_subproof(first, LEAVES[:second], True)
            verify_consistency(
                first=first,
                second=second,
                first_root=roots[first],
                second_root=roots[second],
                proof=proof,
            )
    assert tree.consistency(0, 64) == []


def test_every_other_index_size_and_length_up_to_20_is_refused() -> None:
    """A sound proof holds for its own leaf number only; a step more or less breaks it.

    A wrong size is refused too where it changes the way; the size itself is what the checkpoint
    signs together with the root.
    """
    tree = tree_of(20)
    for size in range(1, 21):
        root = tree.root(size)
        for index in range(size):
            proof = tree.inclusion(index, size)
            for other in range(-1, 22):
                if other != index:
                    with pytest.raises(ProofInvalid):
                        verify_inclusion(
                            leaf=LEAVES[index], index=other, size=size, proof=proof, root=root
                        )
            for wrong in ([*proof, LEAVES[0]], [LEAVES[0], *proof], proof[1:], proof[:-1]):
                if wrong != proof:
                    with pytest.raises(ProofInvalid):
                        verify_inclusion(
                            leaf=LEAVES[index], index=index, size=size, proof=wrong, root=root
                        )


def test_every_other_pair_of_sizes_up_to_20_is_refused() -> None:
    """The roots of two sizes never pass for those of two others that need another way."""
    tree = tree_of(20)
    for second in range(2, 21):
        for first in range(1, second):
            proof = tree.consistency(first, second)
            for wrong in ([*proof, LEAVES[0]], [LEAVES[0], *proof], proof[1:], proof[:-1]):
                with pytest.raises(ProofInvalid):
                    verify_consistency(
                        first=first,
                        second=second,
                        first_root=tree.root(first),
                        second_root=tree.root(second),
                        proof=wrong,
                    )
            for other in range(1, second):
                if other != first:
                    with pytest.raises(ProofInvalid):
                        verify_consistency(
                            first=first,
                            second=second,
                            first_root=tree.root(other),
                            second_root=tree.root(second),
                            proof=proof,
                        )


# Properties


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_one_flipped_bit_of_an_inclusion_proof_is_refused(data: st.DataObject) -> None:
    """Leaf, root and every step are bound."""
    size = data.draw(st.integers(1, 300))
    index = data.draw(st.integers(0, size - 1))
    tree = tree_of(size)
    parts = [LEAVES[index], tree.root(), *tree.inclusion(index, size)]
    which = data.draw(st.integers(0, len(parts) - 1))
    parts[which] = flipped(parts[which], data.draw(st.integers(0, 255)))
    with pytest.raises(ProofInvalid) as caught:
        verify_inclusion(leaf=parts[0], index=index, size=size, proof=parts[2:], root=parts[1])
    assert caught.value.code == "log.inclusion"


@settings(deadline=None, max_examples=100)
@given(st.data())
def test_one_flipped_bit_of_a_consistency_proof_is_refused(data: st.DataObject) -> None:
    """Both roots and every step are bound."""
    second = data.draw(st.integers(2, 300))
    first = data.draw(st.integers(1, second - 1))
    tree = tree_of(second)
    parts = [tree.root(first), tree.root(), *tree.consistency(first, second)]
    which = data.draw(st.integers(0, len(parts) - 1))
    parts[which] = flipped(parts[which], data.draw(st.integers(0, 255)))
    with pytest.raises(ProofInvalid) as caught:
        verify_consistency(
            first=first,
            second=second,
            first_root=parts[0],
            second_root=parts[1],
            proof=parts[2:],
        )
    assert caught.value.code == "log.consistency"


class PlainNodes:
    """A store without bulk writing, that refuses to be written twice."""

    def __init__(self) -> None:
        self.nodes: dict[tuple[int, int], bytes] = {}

    def get_node(self, level: int, index: int) -> bytes:
        return self.nodes[level, index]

    def put_node(self, level: int, index: int, hash_: bytes) -> None:
        assert (level, index) not in self.nodes
        self.nodes[level, index] = hash_


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 40), max_size=8))
def test_batches_and_single_leaves_make_one_tree(steps: list[int]) -> None:
    """However the leaves arrive, and if the tree is reopened between, nodes and root are equal."""
    store, single = PlainNodes(), PlainNodes()
    size = 0
    for step in steps:
        tree = Tree(store, size)
        batch = LEAVES[size : size + step]
        assert (tree.append(batch[0]) if step == 1 else tree.extend(batch)) == size
        size += step
        assert tree.size == size
        assert tree.root() == reference_root(LEAVES[:size])
    one = Tree(single, 0)
    for leaf in LEAVES[:size]:
        one.append(leaf)
    assert store.nodes == single.nodes
    assert one.root() == Tree(store, size).root()
    bulk = MemoryNodes()
    Tree(bulk, 0).extend(LEAVES[:size])
    assert all(bulk.get_node(*place) == hash_ for place, hash_ in store.nodes.items())


# The edges


def test_only_complete_subtrees_are_stored() -> None:
    """Seven leaves make seven leaf nodes, three pairs and one four: nothing that will change."""
    store = PlainNodes()
    Tree(store, 0).extend(LEAVES[:7])
    assert sorted(store.nodes) == [*((0, n) for n in range(7)), (1, 0), (1, 1), (1, 2), (2, 0)]


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_hash_of_another_length_is_refused(length: int) -> None:
    """Neither the tree nor a proof takes anything but 32 bytes."""
    tree, wrong = tree_of(3), bytes(length)
    with pytest.raises(ValueError, match="32 bytes"):
        tree.append(wrong)
    with pytest.raises(ValueError, match="32 bytes"):
        tree.extend([LEAVES[0], wrong])
    assert tree.size == 3
    with pytest.raises(ProofInvalid, match="32 bytes"):
        verify_inclusion(leaf=LEAVES[0], index=0, size=2, proof=[wrong], root=LEAVES[2])
    with pytest.raises(ProofInvalid, match="32 bytes"):
        verify_consistency(
            first=1, second=2, first_root=LEAVES[0], second_root=LEAVES[1], proof=[wrong]
        )


def test_what_the_tree_never_had_is_not_proved() -> None:
    """Sizes and indices beyond the tree are the caller's mistake."""
    tree = tree_of(5)
    for index, size in ((0, 6), (5, 5), (-1, 5), (0, 0)):
        with pytest.raises(ValueError, match="no such leaf"):
            tree.inclusion(index, size)
    for first, second in ((0, 6), (4, 3), (-1, 5)):
        with pytest.raises(ValueError, match="never had"):
            tree.consistency(first, second)
    for size in (-1, 6):
        with pytest.raises(ValueError, match="never had"):
            tree.root(size)
    with pytest.raises(ValueError, match="negative"):
        Tree(MemoryNodes(), -1)


def test_a_store_without_the_nodes_is_noticed() -> None:
    """A size that the store cannot bear out fails at once, and so do nodes out of order."""
    with pytest.raises(LookupError):
        Tree(MemoryNodes(), 3)
    nodes = MemoryNodes()
    with pytest.raises(LookupError):
        nodes.put_node(0, 1, LEAVES[0])
    with pytest.raises(LookupError):
        nodes.put_nodes(0, 1, LEAVES[:2])


def test_a_proof_of_another_tree_does_not_fit_a_false_size() -> None:
    """The hashes lead to the root, but not on the way that the stated size has."""
    pair = tree_of(2)
    with pytest.raises(ProofInvalid, match="within"):
        verify_inclusion(leaf=LEAVES[1], index=1, size=1, proof=[LEAVES[0]], root=pair.root())
    four = tree_of(4)
    with pytest.raises(ProofInvalid, match="length"):
        verify_consistency(
            first=2,
            second=8,
            first_root=four.root(2),
            second_root=four.root(),
            proof=four.consistency(2, 4),
        )


def test_node_hash_is_the_inner_hash() -> None:
    """Two leaves make the smallest inner node."""
    assert node_hash(LEAVES[0], LEAVES[1]) == tree_of(2).root()
