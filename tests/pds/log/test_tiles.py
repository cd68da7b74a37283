"""The tree in tiles: addresses, what a tree has, and building it anew."""

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_world import KEY, LOG_KEY, ORIGIN, Log

from pds.log.audit import audit_log
from pds.log.errors import ForkedLog, NoteInvalid, ShrunkenLog, TileInvalid
from pds.log.evidence import LogEvidence, judge
from pds.log.tiles import Tile, TileNodes, all_tiles, leaf_tiles, read_tile, rebuild
from pds.log.tree import EMPTY_ROOT, Tree

BIG = Log().grow(70_000)


@pytest.mark.parametrize(
    ("path", "tile"),
    [
        ("0/x001/x234/067", Tile(0, 1_234_067)),  # the published example
        ("0/000", Tile(0, 0)),
        ("1/999.p/255", Tile(1, 999, 255)),
        ("63/x001/000.p/1", Tile(63, 1000, 1)),
    ],
)
def test_a_path_goes_there_and_back(path: str, tile: Tile) -> None:
    """As tlog-tiles writes indices: groups of three digits, all but the last with an x."""
    assert Tile.parse(path) == tile
    assert tile.path == path


@given(st.integers(0, 63), st.integers(0, 2**53), st.integers(1, 256))
def test_every_tile_has_one_path(level: int, index: int, width: int) -> None:
    tile = Tile(level, index, width)
    assert Tile.parse(tile.path) == tile


@pytest.mark.parametrize(
    "path",
    [
        *("", "0", "0/", "0/0", "0/00", "0/0000", "00/000", "64/000", "-1/000", "0/-01", "0/x000"),
        *("0/x000/001", "0/001/002", "0/x01/002", "0/000.p/0", "0/000.p/256", "0/000.p/01"),
        *("0/000.p/", "0/000.p/1/", "0/000.p", "entries/000", "0/../001", "0/٠٠٠", "0/000\n"),
        "0/" + "x999/" * 7 + "999",
    ],
)
def test_what_is_no_path(path: str) -> None:
    """Other widths, leading zeroes, entry bundles, ways out of the folder."""
    with pytest.raises(TileInvalid):
        Tile.parse(path)


def test_the_published_tree_of_70000() -> None:
    """Its tiles are those that tlog-tiles counts for it."""
    tiles = list(all_tiles(70_000))
    widths = [
        ([t.is_full for t in tiles if t.level == level].count(True),
         [t.width for t in tiles if t.level == level and not t.is_full])
        for level in (0, 1, 2)
    ]  # fmt: skip
    assert widths == [(273, [112]), (1, [17]), (0, [1])]
    assert [t.path for t in all_tiles(256)] == ["0/000", "1/000.p/1"]
    assert list(all_tiles(0)) == []


def test_a_tile_is_the_formula_of_the_text() -> None:
    """Level 1 has the tree hash of each full tile below; level 0 the leaf hashes."""
    first = read_tile(BIG.fetch, Tile(1, 0))
    for index in (0, 1, 255):
        below = Tree(type(BIG.nodes)(), 0)
        below.extend(read_tile(BIG.fetch, Tile(0, index)))
        assert first[index] == below.root()
    leaf = hashlib.sha256(b"\x00" + b"a 300").digest()
    assert read_tile(BIG.fetch, Tile(0, 1))[44] == leaf


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 511, 65_536, 70_000])
def test_the_tree_is_built_anew(size: int) -> None:
    """From the leaves alone, at any size, and at several in one go."""
    sizes = {size, size // 2, min(size, 1)}
    assert rebuild(BIG.fetch, sizes) == {one: BIG.tree.root(one) for one in sizes}
    assert len(list(leaf_tiles(size))) == -(-size // 256)


def test_of_nothing_there_is_the_empty_root() -> None:
    assert rebuild(BIG.fetch, {0}) == {0: EMPTY_ROOT}


def test_a_partial_tile_may_be_cut_from_the_full_one() -> None:
    """A log may have thrown the partial one away once the tile was full."""

    def only_full(tile: Tile) -> bytes:
        if not tile.is_full:
            raise LookupError
        return BIG.fetch(tile)

    assert rebuild(only_full, {300}) == {300: BIG.tree.root(300)}
    with pytest.raises(LookupError):
        rebuild(only_full, {70_000})


@settings(deadline=None, max_examples=30)
@given(st.data())
def test_proofs_from_tiles_are_those_of_the_tree(data: st.DataObject) -> None:
    """Whoever has the tiles can make any proof by themselves."""
    size = data.draw(st.integers(1, 70_000))
    leaf = data.draw(st.integers(0, size - 1))
    first = data.draw(st.integers(1, size))
    tiles = Tree(TileNodes(BIG.fetch, size), size)
    assert tiles.root(size) == BIG.tree.root(size)
    assert tiles.inclusion(leaf, size) == BIG.tree.inclusion(leaf, size)
    assert tiles.consistency(first, size) == BIG.tree.consistency(first, size)


# the audit


def audit(log: Log, note: str, *others: str, fetch: Callable[[Tile], bytes] | None = None) -> int:
    found = audit_log(fetch or log.fetch, note, origin=ORIGIN, key=KEY.verify_key, others=others)
    return found.checkpoint.size


def test_a_whole_log_is_valid() -> None:
    """With what was seen before, in any order, the same size, and the empty tree."""
    log = Log().grow(1000)
    assert audit(log, log.note(), log.note(300), log.note(0), log.note(1000), log.note(5)) == 1000
    assert audit(Log(), Log().note()) == 0


@pytest.mark.parametrize("at", [0, 255, 256, 999])
def test_one_changed_leaf_is_noticed(at: int) -> None:
    """Wherever it lies."""
    log, other = Log().grow(1000), Log("b", shared=at).grow(1000)

    def bent(tile: Tile) -> bytes:
        return (other if tile.index == at // 256 else log).fetch(tile)

    with pytest.raises(TileInvalid) as caught:
        audit(log, log.note(), fetch=bent)
    assert caught.value.code == "log.tile"


@pytest.mark.parametrize("shared", [0, 200, 255])
@pytest.mark.parametrize("size", [256, 300, 512, 600])
def test_attack_45_a_log_that_begins_otherwise_than_before(shared: int, size: int) -> None:
    """It is caught, and what is kept convinces a third person, at powers of two as well."""
    old, new = Log().grow(size), Log("b", shared=shared).grow(1000)
    with pytest.raises(ForkedLog) as caught:
        audit(new, new.note(), old.note())
    evidence = LogEvidence.of(caught.value, LOG_KEY)
    assert judge(LogEvidence.parse(evidence.to_json())).proven
    same = Log("b", shared=shared).grow(size)
    with pytest.raises(ForkedLog) as caught:
        audit(same, same.note(), old.note())
    assert judge(LogEvidence.of(caught.value, LOG_KEY)).proven


def test_attack_46_a_log_that_ends_before_what_it_signed() -> None:
    """A receipt's checkpoint, or one seen before, is larger than what is shown."""
    log = Log().grow(10)
    with pytest.raises(ShrunkenLog):
        audit(log, log.note(9), log.note(10))


def test_a_checkpoint_by_somebody_else_is_not_looked_at() -> None:
    log = Log().grow(10)
    with pytest.raises(NoteInvalid):
        audit_log(log.fetch, log.note(), origin="other", key=KEY.verify_key)


def test_a_tile_of_another_length_is_refused() -> None:
    log = Log().grow(300)
    for cut in (lambda raw: raw[:-1], lambda raw: raw + b"x", lambda _: b""):
        with pytest.raises(TileInvalid):
            rebuild(lambda tile, cut=cut: cut(log.fetch(tile)), {300})
