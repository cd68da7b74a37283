"""Encryption in chunks: libsodium's secretstream, XChaCha20-Poly1305, one key for one stream.

    stream = header (24) ‖ chunk ‖ … ‖ chunk        chunk = 64 KiB, sealed: 65,536 + 17 bytes

Each chunk is sealed with the place that it has; the last one, and no other, bears the tag *final*.
All chunks are full: what the content leaves empty is zeros, and there may be chunks of zeros alone.
The number of chunks is rounded up to five significant bits, so that a stream says of its content's
size no more than one of about 16 steps between a size and its double, for at most a sixteenth of
space. Rounding to whole chunks alone would tell a known film by its length.

Memory: a few chunks, whatever the size. *Not* hidden: that there is a file, and about how large.
"""

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from nacl.bindings import crypto_secretstream as sodium
from nacl.exceptions import CryptoError

from pds.vault.attachments.errors import AttachmentError, damaged

CHUNK = 65_536
KEY_BYTES = 32
HEAD_BYTES = 64

_HEADER = sodium.crypto_secretstream_xchacha20poly1305_HEADERBYTES
_SEALED = CHUNK + sodium.crypto_secretstream_xchacha20poly1305_ABYTES
_FINAL = sodium.crypto_secretstream_xchacha20poly1305_TAG_FINAL
_MESSAGE = sodium.crypto_secretstream_xchacha20poly1305_TAG_MESSAGE
_State = sodium.crypto_secretstream_xchacha20poly1305_state
_init_push = sodium.crypto_secretstream_xchacha20poly1305_init_push
_init_pull = sodium.crypto_secretstream_xchacha20poly1305_init_pull
_push = sodium.crypto_secretstream_xchacha20poly1305_push
_pull = sodium.crypto_secretstream_xchacha20poly1305_pull
_LABEL = b"pds/v1/attachment"

Progress = Callable[[int], None]
"""Told the number of bytes that were done since it was told last."""


class Source(Protocol):
    """Bytes to be read: as many as asked for, or fewer; none at the end."""

    def read(self, size: int, /) -> bytes: ...


class Target(Protocol):
    """Takes all that it is given."""

    def write(self, data: bytes, /) -> int: ...


@dataclass(frozen=True, slots=True)
class Sealed:
    """What has to be known to read a stream; without the key it is noise."""

    key: bytes = field(repr=False)
    chunks: int
    size: int
    sha256: bytes = field(repr=False)

    @property
    def length(self) -> int:
        """Of the stream, in bytes."""
        return _HEADER + self.chunks * _SEALED


def rounded(count: int) -> int:
    """The next number of at most five significant bits: at most a sixteenth more."""
    step = 1 << max(0, count.bit_length() - 5)
    return -(-count // step) * step


def seal(
    source: Source,
    target: Target,
    *,
    key: bytes,
    max_bytes: int,
    progress: Progress | None = None,
) -> tuple[Sealed, bytes]:
    """Encrypt all that ``source`` has into ``target``; also returns its first 64 bytes.

    ``key`` has never been used before. Raises ``attachment.too_large`` as soon as there are more
    than ``max_bytes``, and what source and target raise; the target is then of no use.
    """
    state = _State()
    target.write(_init_push(state, key))
    digest = hashlib.sha256()
    size = done = 0
    piece = filled(source, CHUNK)
    head = piece[:HEAD_BYTES]
    ended = False
    while not ended:
        following = filled(source, CHUNK) if len(piece) == CHUNK else b""
        ended = not following
        size += len(piece)
        if size + len(following) > max_bytes:
            raise AttachmentError(
                f"an attachment may have {max_bytes:,} bytes at most",
                code="attachment.too_large",
                hint="Split the file, or keep it elsewhere and note where.",
            )
        digest.update(piece)
        done += 1
        last = ended and rounded(done) == done
        target.write(_push(state, piece.ljust(CHUNK, b"\0"), _LABEL, _FINAL if last else _MESSAGE))
        if progress is not None:
            progress(len(piece))
        piece = following
    chunks = rounded(done)
    for place in range(done + 1, chunks + 1):
        target.write(_push(state, bytes(CHUNK), _LABEL, _FINAL if place == chunks else _MESSAGE))
    return Sealed(key, chunks, size, digest.digest()), head


def unseal(source: Source, sealed: Sealed) -> Iterator[bytes]:
    """The content in pieces of at most 64 KiB, none empty. The last one is handed out only when

    1. every chunk opened, in its place, under this key,
    2. the tag *final* stood on the last chunk and on no other,
    3. size and SHA-256 are those of what was sealed.

    Otherwise AttachmentError ``attachment.damaged``: what came before it was all right, and what
    follows is not known. Reads ``sealed.length`` bytes of ``source``, never more: that nothing
    comes behind them is for the caller to check.
    """
    state, digest, left, held = _State(), hashlib.sha256(), sealed.size, b""
    header = filled(source, _HEADER)
    if len(header) != _HEADER:
        raise damaged()
    _init_pull(state, header, sealed.key)
    for place in range(1, sealed.chunks + 1):
        chunk = filled(source, _SEALED)
        if len(chunk) != _SEALED:
            raise damaged()
        try:
            plain, tag = _pull(state, chunk, _LABEL)  # 1
        except CryptoError:
            raise damaged() from None
        if (tag == _FINAL) != (place == sealed.chunks):  # 2
            raise damaged()
        piece = plain[:left]
        if piece:
            digest.update(piece)
            left -= len(piece)
            if held:
                yield held
            held = piece
    if left or digest.digest() != sealed.sha256:  # 3
        raise damaged()
    if held:
        yield held


def filled(source: Source, size: int) -> bytes:
    """``size`` bytes, or fewer at the end: a pipe or a raw file may give less at a time."""
    piece = source.read(size)
    if len(piece) in (0, size):
        return piece
    pieces = [piece]
    missing = size - len(piece)
    while missing and (piece := source.read(missing)):
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


class Reader(io.RawIOBase):
    """The content of a sealed file as a stream. Its end (``b""``) is only ever the true one."""

    def __init__(self, source: io.FileIO, sealed: Sealed) -> None:
        self._source = source
        self._pieces = unseal(source, sealed)
        self._rest = memoryview(b"")
        self._broken = False

    def readable(self) -> bool:
        return True

    # A buffer of any kind, as io has it; typeshed has no public name for that in 3.11.
    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        if self._broken:  # a spent generator would look like the end
            raise damaged()
        if not self._rest:
            try:
                self._rest = memoryview(next(self._pieces, b""))
            except BaseException:
                self._broken = True
                raise
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def close(self) -> None:
        self._source.close()
        super().close()
