"""A log, its forks and its witnesses, for the tests."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from did.keys import SigningKey
from pds.log import Checkpoint, MemoryNodes, Tree, sign_checkpoint
from pds.log.cosignature import cosign
from pds.log.tiles import HEIGHT, WIDTH, Tile
from pds.log.tree import leaf_hash
from pds.log.vkey import NoteKey, Signs, log_key

ORIGIN = "relay.example/log/0011223344556677"
KEY = SigningKey.from_seed(bytes(range(32)))
LOG_KEY = log_key(ORIGIN, KEY.verify_key)
NOW = datetime(2026, 5, 4, 10, 20, 30, tzinfo=UTC)


@dataclass
class Log:
    """A log in memory; ``story`` makes leaves that no log of another story has."""

    story: str = "a"
    shared: int = 0
    """So many leaves at the beginning are those of the story ``a``."""
    nodes: MemoryNodes = field(default_factory=MemoryNodes)
    tree: Tree = field(init=False)

    def __post_init__(self) -> None:
        self.tree = Tree(self.nodes, 0)

    def grow(self, size: int) -> "Log":
        self.tree.extend(
            [
                leaf_hash(f"{'a' if n < self.shared else self.story} {n}".encode())
                for n in range(self.tree.size, size)
            ]
        )
        return self

    def note(self, size: int | None = None) -> str:
        size = self.tree.size if size is None else size
        return sign_checkpoint(Checkpoint(ORIGIN, size, self.tree.root(size)), KEY)

    def fetch(self, tile: Tile) -> bytes:
        """The tile as a server of files would have it."""
        if not tile.within(self.tree.size):
            raise LookupError
        first = tile.index * WIDTH
        return b"".join(
            self.nodes.get_node(HEIGHT * tile.level, n) for n in range(first, first + tile.width)
        )


@dataclass(frozen=True)
class Cosigner:
    """A witness that signs whatever it is given."""

    name: str
    seed: int

    @property
    def signing(self) -> SigningKey:
        return SigningKey.from_seed(bytes([self.seed]) * 32)

    @property
    def key(self) -> NoteKey:
        return NoteKey(self.name, self.signing.verify_key, Signs.COSIGNATURES)

    def line(self, note: str, at: datetime = NOW) -> str:
        return cosign(note, name=self.name, key=self.signing, at=at)


W1, W2, W3 = (Cosigner(f"w{n}.example", 100 + n) for n in (1, 2, 3))


def cosigned(note: str, by: Sequence[Cosigner], at: datetime = NOW) -> str:
    return note + "".join(one.line(note, at) for one in by)
