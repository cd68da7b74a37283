"""The tree in tiles: 256 hashes each, at addresses that never change (C2SP tlog-tiles).

A tile (level, index) of width 256 holds the nodes of tree level 8·level from 256·index on. Those
of width below 256 are the right edge of some size. What the leaves of our logs stand for is
private, so there are no entry bundles: level 0 has leaf hashes, salted, and that is all.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from pds.log.errors import TileInvalid
from pds.log.tree import HASH_SIZE, Tree

WIDTH: Final = 256
HEIGHT: Final = 8
MAX_LEVEL: Final = 63
MAX_TILE: Final = WIDTH * HASH_SIZE

_LEVEL: Final = re.compile(r"0|[1-9][0-9]?")
_INDEX: Final = re.compile(r"(?:x[0-9]{3}/){0,6}[0-9]{3}")
_PARTIAL: Final = re.compile(r"[1-9][0-9]{0,2}")


@dataclass(frozen=True, slots=True)
class Tile:
    """The address of a tile. Raises TileInvalid for one that cannot be."""

    level: int
    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        if not (0 <= self.level <= MAX_LEVEL and self.index >= 0 and 1 <= self.width <= WIDTH):
            raise TileInvalid("there is no such tile")

    @classmethod
    def parse(cls, path: str) -> "Tile":
        """Read ``<L>/<N>`` or ``<L>/<N>.p/<W>`` (*Merkle Tree*). Raises TileInvalid.

        One tile has one path: leading zeroes, and groups that are all zero before the last, are
        refused.
        """
        place, partial, width = path.partition(".p/")
        level, _, number = place.partition("/")
        if (
            _LEVEL.fullmatch(level) is None
            or _INDEX.fullmatch(number) is None
            or number.startswith("x000/")
            or (partial and (_PARTIAL.fullmatch(width) is None or int(width) >= WIDTH))
        ):
            raise TileInvalid("this is not the path of a tile")
        index = int(number.replace("x", "").replace("/", ""))
        return cls(int(level), index, int(width) if partial else WIDTH)

    @property
    def path(self) -> str:
        """``<L>/<N>[.p/<W>]``, what ``parse`` reads."""
        digits = f"{self.index:03}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        groups = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        number = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
        return f"{self.level}/{number}" + ("" if self.is_full else f".p/{self.width}")

    @property
    def is_full(self) -> bool:
        return self.width == WIDTH

    def within(self, size: int) -> bool:
        """Whether a tree of this size has all hashes of the tile."""
        return self.index * WIDTH + self.width <= size >> (HEIGHT * self.level)


FetchTile: TypeAlias = Callable[[Tile], bytes]
"""The octets of a tile. Raises what its network raises, and LookupError when it is not there."""


def leaf_tiles(size: int) -> Iterator[Tile]:
    """The tiles of level 0 of a tree, from the left."""
    for index in range(size // WIDTH):
        yield Tile(0, index)
    if size % WIDTH:
        yield Tile(0, size // WIDTH, size % WIDTH)


def all_tiles(size: int) -> Iterator[Tile]:
    """All tiles of a tree, level by level."""
    level = 0
    while nodes := size >> (HEIGHT * level):
        yield from (Tile(level, tile.index, tile.width) for tile in leaf_tiles(nodes))
        level += 1


def read_tile(fetch: FetchTile, tile: Tile) -> list[bytes]:
    """The hashes of a tile. A partial one may be cut from the full one (*Partial Tiles*).

    Raises TileInvalid for octets of another length, and what ``fetch`` raises.
    """
    try:
        octets = fetch(tile)
        width = tile.width
    except LookupError:
        if tile.is_full:
            raise
        octets = fetch(Tile(tile.level, tile.index))
        width = WIDTH
    if len(octets) != width * HASH_SIZE:
        raise TileInvalid("a tile does not have the length of its hashes")
    return [octets[at : at + HASH_SIZE] for at in range(0, tile.width * HASH_SIZE, HASH_SIZE)]


def rebuild(fetch: FetchTile, sizes: Collection[int]) -> dict[int, bytes]:
    """The root of the first so many leaves, for each of the sizes, from the tiles of level 0.

    The tiles are those of the largest size, one after the other; memory does not grow with the
    tree. Whether a root is the signed one is for the caller to say. Raises TileInvalid, and what
    ``fetch`` raises.
    """
    tree = Tree(_Forgetful(), 0)
    stops = sorted(set(sizes))
    roots = {0: tree.root()} if 0 in stops else {}
    for tile in leaf_tiles(max(stops, default=0)):
        hashes, start = read_tile(fetch, tile), tree.size
        for stop in stops:
            if start < stop <= start + len(hashes):
                tree.extend(hashes[tree.size - start : stop - start])
                roots[stop] = tree.root()
        tree.extend(hashes[tree.size - start :])
    return roots


class TileNodes:
    """The nodes of a tree, read from its tiles: a NodeStore for proofs."""

    def __init__(self, fetch: FetchTile, size: int) -> None:
        self._size = size
        self._read = lru_cache(maxsize=64)(lambda tile: read_tile(fetch, tile))

    def get_node(self, level: int, index: int) -> bytes:
        """Raises LookupError beyond the tree, TileInvalid, and what ``fetch`` raises."""
        if (index + 1) << level > self._size:
            raise LookupError("no such node")
        height, inner = divmod(level, HEIGHT)
        first = index << inner
        number = first // WIDTH
        width = min(WIDTH, (self._size >> (HEIGHT * height)) - number * WIDTH)
        hashes = self._read(Tile(height, number, width))
        start = first - number * WIDTH
        tree = Tree(_Forgetful(), 0)
        tree.extend(hashes[start : start + (1 << inner)])
        return tree.root()

    def put_node(self, level: int, index: int, hash_: bytes) -> None:
        """Tiles of somebody else's log do not grow here."""
        raise NotImplementedError


class _Forgetful:
    """A NodeStore that keeps nothing: the right edge is all that a growing tree needs."""

    def get_node(self, level: int, index: int) -> bytes:
        raise LookupError(level, index)

    def put_node(self, level: int, index: int, hash_: bytes) -> None:  # it goes
        pass

    def put_nodes(self, level: int, first_index: int, hashes: Sequence[bytes]) -> None:
        pass
