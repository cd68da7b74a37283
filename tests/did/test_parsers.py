"""Every way into ``did`` for what a stranger wrote (``tests/fuzz/did_parsers.py``).

Each either returns, or raises an error of this package, and does so in a time that grows no faster
than its input. Where something is returned that can be written again, writing gives the same text:
no two texts mean the same.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from did.errors import DidError

sys.path.insert(0, str(Path(__file__).parents[1] / "fuzz"))

from did_parsers import DOCUMENT, METHOD, PARSERS, SEEDS, WEB


@pytest.mark.parametrize("name", PARSERS)
@settings(deadline=None, max_examples=40)
@example(b"")
@given(st.binary(max_size=80) | st.text(max_size=40).map(lambda t: t.encode("utf-8", "ignore")))
def test_arbitrary_input_is_read_or_refused(name: str, raw: bytes) -> None:
    """Nothing but this package's errors comes out of noise."""
    with suppress(DidError):
        PARSERS[name](raw)


def damaged(data: st.DataObject) -> bytes:
    """A good input with a piece cut out, doubled or replaced."""
    raw = data.draw(st.sampled_from(SEEDS)).encode()
    start = data.draw(st.integers(0, len(raw)))
    end = data.draw(st.integers(start, min(len(raw), start + 20)))
    piece = data.draw(
        st.sampled_from([b"", raw[start:end] * 2, b"null", b"{}", b"[]", b"1e9", b'"', b"%"])
        | st.binary(max_size=4)
    )
    return raw[:start] + piece + raw[end:]


@pytest.mark.parametrize("name", PARSERS)
@settings(deadline=None, max_examples=60)
@given(st.data())
def test_damaged_input_is_read_or_refused(name: str, data: st.DataObject) -> None:
    """Nothing but this package's errors comes out of what is nearly right."""
    with suppress(DidError):
        PARSERS[name](damaged(data))


def large() -> Iterator[bytes]:
    """A megabyte each, of shapes that make a careless reader slow."""
    size = 1 << 20
    for unit in (b"1", b"z", b"A", b":", b"a:", b"%41", b".", b"[", b'{"a":', b"9", b"\xff", b";,"):
        yield unit * (size // len(unit))
    for head in ("did:key:z", "did:web:", "did:peer:2.V", "z", "u", "2026-01-01T00:00:00.", "?a="):
        yield head.encode() + b"1" * size
    yield b'{"id":"' + b"a" * size + b'"}'
    yield b'{"x":"' + b"A" * size + b'","kty":"EC","crv":"P-256"}'
    yield json.dumps(DOCUMENT | {"alsoKnownAs": [f"urn:{n}" for n in range(1 << 16)]}).encode()
    yield json.dumps(DOCUMENT | {"alsoKnownAs": ["urn:" + "%41" * (1 << 18)]}).encode()
    yield json.dumps(
        {"id": str(WEB), "verificationMethod": [METHOD | {"id": f"#{n}"} for n in range(1 << 12)]}
    ).encode()


@pytest.mark.parametrize("name", PARSERS)
def test_large_input_ends(name: str) -> None:
    """In a time that nobody notices: a reader of quadratic time would be at it for hours."""
    for raw in large():
        with suppress(DidError):
            PARSERS[name](raw)


def test_the_seeds_are_good_somewhere() -> None:
    """Each is read by a parser, and each parser reads one, so damage begins from what is right."""
    unread = set(PARSERS) - {"ed25519", "x25519", "p256", "p384"}  # bytes, which are no text
    for seed in SEEDS:
        read = set()
        for name, parser in PARSERS.items():
            with suppress(DidError):
                parser(seed.encode())
                read.add(name)
        assert read, seed
        unread -= read
    assert unread == set()
