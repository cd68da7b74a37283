"""Encryption in chunks: what goes in comes out, and nothing else ever does."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pds.vault.attachments import AttachmentError
from pds.vault.attachments.archive import pack, unpack
from pds.vault.attachments.folder import Folder
from pds.vault.attachments.stream import CHUNK, Reader, Sealed, rounded, seal, unseal

KEY = bytes(range(32))
HEADER, PIECE = 24, CHUNK + 17


def content(size: int, seed: int = 0) -> bytes:
    return Random(seed).randbytes(size)


def sealed_of(data: bytes, key: bytes = KEY) -> tuple[bytes, Sealed]:
    out = io.BytesIO()
    sealed, head = seal(io.BytesIO(data), out, key=key, max_bytes=2**30)
    assert head == data[:64]
    return out.getvalue(), sealed


def opened(raw: bytes, sealed: Sealed) -> bytes:
    return b"".join(unseal(io.BytesIO(raw), sealed))


# Sizes around the borders of chunks, and at the steps by which their number is rounded.
SIZES = st.builds(
    lambda chunks, more: max(0, chunks * CHUNK + more),
    st.sampled_from([0, 1, 2, 3, 31, 32, 33]),
    st.sampled_from([-2, -1, 0, 1, 2, 1000]),
)


@settings(deadline=None, max_examples=40)
@given(SIZES, st.integers(0, 2**32))
def test_what_went_in_comes_out(size: int, seed: int) -> None:
    """Any bytes, across any border of chunks; the length says only which step the size is in."""
    data = content(size, seed)
    raw, sealed = sealed_of(data)
    assert opened(raw, sealed) == data
    assert (sealed.size, len(raw)) == (size, sealed.length)
    assert sealed.chunks == rounded(max(1, -(-size // CHUNK)))
    assert len(raw) == HEADER + sealed.chunks * PIECE


@settings(deadline=None, max_examples=50)
@given(st.binary(max_size=300))
def test_small_contents_look_alike(data: bytes) -> None:
    """A letter, a photograph of a card or nothing at all: one chunk, and nothing of it in clear."""
    raw, sealed = sealed_of(data)
    assert opened(raw, sealed) == data
    assert len(raw) == HEADER + PIECE
    assert len(data) < 8 or data not in raw


@given(st.integers(1, 10**6))
def test_rounding_costs_a_sixteenth_at_most(count: int) -> None:
    """And has at most five significant bits; what is round stays as it is."""
    up = rounded(count)
    assert count <= up <= count * 17 / 16
    assert len(bin(up)[2:].rstrip("0")) <= 5
    assert rounded(up) == up


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([0, 5, CHUNK, CHUNK + 1, 3 * CHUNK]),
    st.lists(st.integers(1, 3 * CHUNK), min_size=1, max_size=5),
    st.integers(1, CHUNK),
)
def test_sources_and_readers_of_any_step(size: int, steps: list[int], give: int) -> None:
    """A source may give less than asked for; a reader may ask for what it likes."""

    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(give, size or 0))

    data = content(size)
    out = io.BytesIO()
    sealed, _ = seal(Slow(data), out, key=KEY, max_bytes=size)
    reader = io.BufferedReader(Reader(Slow(out.getvalue()), sealed))
    got = b""
    while piece := reader.read(steps[len(got) % len(steps)]):
        got += piece
    assert got == data
    assert reader.read() == b""
    reader.close()


def test_the_limit_is_the_last_size_that_is_taken() -> None:
    """One byte more is refused, and no more than a chunk beyond was read."""
    seal(io.BytesIO(bytes(CHUNK)), io.BytesIO(), key=KEY, max_bytes=CHUNK)
    for size in (CHUNK + 1, 20 * CHUNK):
        source = io.BytesIO(bytes(size))
        with pytest.raises(AttachmentError) as refused:
            seal(source, io.BytesIO(), key=KEY, max_bytes=CHUNK)
        assert refused.value.code == "attachment.too_large"
        assert source.tell() <= 2 * CHUNK


DATA = content(3 * CHUNK + 5)
RAW, SEALED = sealed_of(DATA)
OTHER, _ = sealed_of(content(3 * CHUNK + 5, 1))
AGAIN, _ = sealed_of(DATA)  # the same content under the same key: another header
CHUNKS = [RAW[at : at + PIECE] for at in range(HEADER, len(RAW), PIECE)]


def refuses(raw: bytes, sealed: Sealed = SEALED, data: bytes = DATA) -> None:
    """Nothing comes out but pieces that were sealed, and never the last of them."""
    pieces: list[bytes] = []
    with pytest.raises(AttachmentError) as refused:
        pieces.extend(unseal(io.BytesIO(raw), sealed))
    got = b"".join(pieces)
    assert refused.value.code == "attachment.damaged"
    assert len(got) < len(data)
    assert data.startswith(got)


@settings(deadline=None, max_examples=200)
@given(st.integers(0, len(RAW) - 1), st.integers(1, 255))
def test_a_flipped_byte_is_refused(at: int, mask: int) -> None:
    """Wherever it is: in the header, a chunk, its tag, the padding."""
    raw = bytearray(RAW)
    raw[at] ^= mask
    refuses(bytes(raw))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, len(RAW) - 1) | st.sampled_from([HEADER, HEADER + PIECE, len(RAW) - PIECE]))
def test_a_cut_stream_is_refused(length: int) -> None:
    """Between chunks as within them."""
    refuses(RAW[:length])


@pytest.mark.parametrize(
    "order",
    [(1, 0, 2, 3), (0, 0, 2, 3), (0, 2, 1, 3), (1, 2, 3, 3), (3, 1, 2, 0), (0, 1, 3), (1, 2, 3)],
)
def test_attack_like_orders_of_chunks_are_refused(order: tuple[int, ...]) -> None:
    """Swapped, doubled, dropped, the last one first."""
    assert len(CHUNKS) == 4
    refuses(RAW[:HEADER] + b"".join(CHUNKS[n] for n in order))


@pytest.mark.parametrize("place", range(4))
def test_a_chunk_of_another_stream_is_refused(place: int) -> None:
    """Of another content, and of the same content under the same key."""
    at = HEADER + place * PIECE
    for foreign in (OTHER, AGAIN):
        refuses(RAW[:at] + foreign[at : at + PIECE] + RAW[at + PIECE :])


def test_a_whole_other_stream_is_refused() -> None:
    """A file put in the place of another; and, were a key ever used twice, by its digest."""
    other_key, _ = sealed_of(DATA, bytes(32))
    refuses(other_key)
    refuses(OTHER, data=content(3 * CHUNK + 5, 1))


@pytest.mark.parametrize(
    "wrong",
    [
        Sealed(KEY, 3, SEALED.size, SEALED.sha256),
        Sealed(KEY, 5, SEALED.size, SEALED.sha256),
        Sealed(KEY, 4, SEALED.size - 1, SEALED.sha256),
        Sealed(KEY, 4, 4 * CHUNK, SEALED.sha256),
        Sealed(KEY, 4, 9 * CHUNK, SEALED.sha256),
        Sealed(KEY, 4, 9 * CHUNK, hashlib.sha256(DATA.ljust(4 * CHUNK, b"\0")).digest()),
        Sealed(KEY, 4, SEALED.size, bytes(32)),
        Sealed(bytes(32), 4, SEALED.size, SEALED.sha256),
    ],
)
def test_a_row_that_does_not_belong_is_refused(wrong: Sealed) -> None:
    """Number of chunks, size, digest and key have to be those of the stream."""
    refuses(RAW, wrong)


def test_a_stream_that_ends_early_is_refused_though_the_row_agrees() -> None:
    """The tag *final* counts even against a row that says otherwise: a stream has one end."""
    short = content(3 * CHUNK)
    cut = Sealed(KEY, 3, len(short), hashlib.sha256(DATA[: 3 * CHUNK]).digest())
    refuses(RAW[: HEADER + 3 * PIECE], cut)


def test_a_broken_reader_stays_broken() -> None:
    """After the error there is no end that looks like the true one."""
    reader = Reader(io.BytesIO(RAW[:-1]), SEALED)
    with pytest.raises(AttachmentError):
        reader.readall()
    for _ in range(2):
        with pytest.raises(AttachmentError):
            reader.read(1)


# a run of several, as a backup has them


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Folder, Folder]:
    made = tuple(Folder(tmp_path / name) for name in ("one", "two"))
    for folder in made:
        folder.path.mkdir()
    return made  # type: ignore[return-value]


def _packed(folder: Folder, sizes: list[int]) -> tuple[bytes, list[tuple[str, Sealed]]]:
    items = []
    for n, size in enumerate(sizes):
        raw, sealed = sealed_of(content(size, n), bytes([n]) * 32)
        with folder.create(f"{n:032x}") as out:
            out.write(raw)
        items.append((f"{n:032x}", sealed))
    out = io.BytesIO()
    pack(items, folder, out)
    return out.getvalue(), items


@pytest.mark.parametrize("sizes", [[], [0], [5, 0, CHUNK], [CHUNK + 1] * 7])
def test_a_run_comes_back_file_by_file(folders: tuple[Folder, Folder], sizes: list[int]) -> None:
    """Byte for byte, and its length is a round number of chunks."""
    run, items = _packed(folders[0], sizes)
    assert len(run) % CHUNK == 0
    assert rounded(len(run) // CHUNK) == len(run) // CHUNK
    unpack(items, folders[1], io.BytesIO(run))
    for name, _ in items:
        assert (folders[0].path / name).read_bytes() == (folders[1].path / name).read_bytes()
    assert len(folders[1].names()) == len(sizes)


CHANGES: dict[str, Callable[[bytes, int], bytes]] = {
    "cut": lambda run, _: run[:-1],
    "longer": lambda run, _: run + b"x",
    "flipped": lambda run, at: run[:at] + bytes([run[at] ^ 1]) + run[at + 1 :],
    "swapped": lambda run, at: run[at:] + run[:at],
    "empty": lambda run, _: b"",
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_run_is_refused(folders: tuple[Folder, Folder], change: str) -> None:
    """Torn, longer, altered, two files exchanged."""
    run, items = _packed(folders[0], [5, 6])
    at = HEADER + PIECE
    with pytest.raises(AttachmentError) as refused:
        unpack(items, folders[1], io.BytesIO(CHANGES[change](run, at)))
    assert refused.value.code == "attachment.damaged"


def test_a_run_is_made_without_damaged_files(folders: tuple[Folder, Folder]) -> None:
    """What could not be restored is found out while there may be another copy, and costs no other:
    the rest comes back if what was left out is known, and not otherwise."""
    _, items = _packed(folders[0], [5, 6, 7])
    file = folders[0].path / items[1][0]
    raw = bytearray(file.read_bytes())
    raw[100] ^= 1
    file.write_bytes(raw)
    out = io.BytesIO()
    left_out = pack(items, folders[0], out)
    assert list(left_out) == [items[1][0]]
    with pytest.raises(AttachmentError):
        unpack(items, folders[1], io.BytesIO(out.getvalue()))
    for name in folders[1].names():
        (folders[1].path / name).unlink()
    unpack(items, folders[1], io.BytesIO(out.getvalue()), left_out)
    assert sorted(folders[1].names()) == sorted([items[0][0], items[2][0]])
    for name in folders[1].names():
        assert (folders[1].path / name).read_bytes() == (folders[0].path / name).read_bytes()
