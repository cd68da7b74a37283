"""What a fuzz target is, and what the lists of them are made with."""

import hashlib
import os
import random
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from did.ecdsa import Curve, EcdsaSigningKey
from did.errors import DidError
from did.json import JsonObject, canonicalize, parse_object
from did.keys import SigningKey

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "docs" / "examples"
# The moment of the examples: what is not refused for its time is looked at further.
NOW = datetime(2026, 3, 1, 9, 0, 0, tzinfo=UTC)
KEY = SigningKey.from_seed(b"\x08" * 32)
EC = EcdsaSigningKey.from_secret(Curve.P256, b"\x08" * 32)

MAX_INPUT = 65_536

# A text or a number of JSON, and what takes its place.
_VALUE = re.compile(rb'"[^"\\]*"|-?[0-9]+')
_VALUES = (
    *(b"null", b"true", b"0", b"-1", b"1e9", b"0.5", b"9007199254740991", b"1e400"),
    *(b'""', b'"\\ud800"', b'"\xc3\xa9"', b'"@id"', b'"did:web:a.example"', b"[]", b"{}", b"[[]]"),
    b'[{"a":null}]',
)
_PIECES = (b"null", b"{}", b"[]", b"1e9", b'"', b"\\ud800", b"%", b"\0", b"~", b".", b"\n")

# So many files of a folder of published vectors, and none that is larger.
_MAX_FILES, _MAX_SEED = 12, 16_384


@dataclass(frozen=True, slots=True)
class Target:
    """``run`` is let loose on bytes; only ``errors`` may come out of it."""

    run: Callable[[bytes], object]
    errors: tuple[type[Exception], ...]
    seeds: tuple[bytes, ...]


def changed(chance: random.Random, pool: Sequence[bytes]) -> bytes:
    """One of the pool cut, spliced, doubled or flipped in a few places; now and then noise."""
    if not chance.randrange(20):
        return chance.randbytes(chance.randrange(60))
    raw = bytearray(chance.choice(pool))
    for _ in range(chance.randrange(1, 5)):
        start = chance.randrange(len(raw) + 1)
        end = min(len(raw), start + chance.randrange(1, 24))
        kind = chance.randrange(7)
        if kind == 0 and raw:
            raw[start % len(raw)] ^= 1 << chance.randrange(8)
        elif kind == 1:
            del raw[start if chance.randrange(4) else end :]
        elif kind == 2:
            other = chance.choice(pool)
            at = chance.randrange(len(other) + 1)
            raw[start:end] = other[at : at + chance.randrange(1, 64)]
        elif kind == 3:
            raw[start:end] *= 2
        elif kind == 4 and (values := list(_VALUE.finditer(raw))):
            value = chance.choice(values)
            raw[value.start() : value.end()] = chance.choice(_VALUES)
        else:
            raw[start:end] = chance.choice((b"", chance.randbytes(2), *_PIECES))
    return bytes(raw[:MAX_INPUT])


def text(raw: bytes) -> str:
    """Any text at all, halves of surrogate pairs included."""
    return raw.decode("utf-8", "surrogateescape")


def example(name: str) -> bytes:
    """An object of docs/examples, as it travels."""
    return canonicalize(parsed_example(name))


def parsed_example(name: str) -> JsonObject:
    return parse_object((EXAMPLES / f"{name}.json").read_bytes())


def secret(name: str) -> bytes:
    """The public bytes that stand for a secret in docs/examples/make.py."""
    return hashlib.sha256(f"pds example {name}".encode()).digest()


def of_text(read: Callable[[str], object]) -> Callable[[bytes], object]:
    return lambda raw: read(text(raw))


def of_json(
    read: Callable[[JsonObject], object], *, floats: bool = False
) -> Callable[[bytes], object]:
    """``read`` on an object; what is none is the business of the target ``json``."""

    def run(raw: bytes) -> object:
        try:
            value = parse_object(raw, allow_floats=floats)
        except DidError:
            return None
        return read(value)

    return run


def published(*patterns: str) -> tuple[bytes, ...]:
    """Files among the published vectors, where ``PDS_VECTORS`` names them; otherwise none."""
    folder = os.environ.get("PDS_VECTORS")
    if folder is None:
        return ()
    files = [
        path
        for pattern in patterns
        for path in sorted(Path(folder).glob(pattern))
        if path.is_file() and path.stat().st_size <= _MAX_SEED
    ]
    # Spread over the folder: neighbours look alike.
    return tuple(path.read_bytes() for path in files[:: max(1, len(files) // _MAX_FILES)])
