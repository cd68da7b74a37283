"""A log whose key changes, for the tests."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from log_world import KEY, NOW, ORIGIN, Log

from did.json import JsonObject
from did.keys import SigningKey
from pds.log.checkpoint import Checkpoint, sign_checkpoint
from pds.log.entry import Receipt, leaf_of
from pds.log.keys import Succession
from pds.log.succession import open_succession, sign_succession

K1, K2, K3, K4 = KEY, *(SigningKey.from_seed(bytes([60 + n]) * 32) for n in range(3))


@dataclass
class KeyedLog:
    """A log in memory that is signed by the last of its keys."""

    log: Log = field(default_factory=Log)
    keys: list[SigningKey] = field(default_factory=lambda: [K1])
    receipts: list[JsonObject] = field(default_factory=list)
    origin: str = ORIGIN
    more: JsonObject = field(default_factory=dict)
    """Further members of its entries."""

    @property
    def key(self) -> SigningKey:
        return self.keys[-1]

    def grow(self, size: int) -> "KeyedLog":
        self.log.grow(size)
        return self

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        size = self.log.tree.size if size is None else size
        return Checkpoint(self.origin, size, self.log.tree.root(size))

    def note(self, size: int | None = None, key: SigningKey | None = None) -> str:
        return sign_checkpoint(self.checkpoint(size), key or self.key)

    def rotate(self, new: SigningKey) -> JsonObject:
        """The receipt of a change to this key."""
        statement = sign_succession(self.checkpoint(), old=self.key, new=new, at=NOW)
        self.keys.append(new)
        self.receipts.append(self.entered(statement))
        return self.receipts[-1]

    def entered(self, statement: str, *, kind: str = "log-key") -> JsonObject:
        """A statement as the next leaf of the log, signed by its newest key."""
        entry: JsonObject = {
            "type": kind,
            "succession": statement,
            "relay": "https://relay.example",
            "at": "2026-05-04T10:20:30Z",
            **self.more,
        }
        salt = bytes(32)
        index = self.log.tree.append(leaf_of(salt, entry))
        path = tuple(self.log.tree.inclusion(index, index + 1))
        return Receipt(entry, salt, index, path, self.note()).to_json()

    @property
    def document(self) -> JsonObject:
        return {"successions": [*self.receipts]}

    @property
    def changes(self) -> list[Succession]:
        return [open_succession(str(one["entry"]["succession"])) for one in self.receipts]  # type: ignore[index,call-overload]


def rotated(*sizes: int, keys: Sequence[SigningKey] = (K2, K3, K4)) -> KeyedLog:
    """A log that got another key at each of these sizes; it ends right after the last."""
    made = KeyedLog()
    for size, key in zip(sizes, keys, strict=False):
        made.grow(size).rotate(key)
    return made


def altered(raw: JsonObject, **changes: object) -> JsonObject:
    return replace(Receipt.parse(raw), **changes).to_json()  # type: ignore[arg-type]
