"""The bits of a status list, and their compressed form (Bitstring Status List 1.0 §2.2, §3.3–3.4).

Decompression is bounded before it starts, and what comes out must be exactly one gzip member:
a few kilobytes of input can otherwise fill a machine's memory, or hide a second list.
"""

import zlib
from dataclasses import dataclass
from typing import Final, NoReturn, Self

from credentials.errors import StatusInvalid
from did.errors import EncodingError
from did.multikey import b64url_decode, b64url_encode

# §6.1: fewer entries would tell the relay which holder is asked about.
MIN_ENTRIES: Final = 131_072
MAX_BYTES: Final = 2_097_152
_GZIP = 31  # zlib's number for a gzip header and trailer around the largest window


@dataclass(frozen=True, slots=True, repr=False)
class BitString:
    """A string of bits, at least 131,072 and a multiple of eight; bit 0 is the leftmost."""

    _octets: bytes

    def __post_init__(self) -> None:
        if len(self._octets) * 8 < MIN_ENTRIES:
            raise StatusInvalid(
                f"a status list must have at least {MIN_ENTRIES} entries", code="status.short"
            )

    @classmethod
    def empty(cls, length: int = MIN_ENTRIES) -> Self:
        """``length`` bits, none of them set."""
        if length % 8:
            raise StatusInvalid("the length must be a multiple of 8", code="status.length")
        return cls(bytes(length // 8))

    @classmethod
    def decode(cls, text: str, *, max_bytes: int = MAX_BYTES) -> Self:
        """Read an ``encodedList``: multibase ``u``, gzip, of at most ``max_bytes`` decompressed.

        Raises ``StatusInvalid``: ``status.encoding`` for text that is not canonical base64url,
        ``status.compression`` for what is not one whole gzip member and nothing after it,
        ``status.too_large``, ``status.short``.
        """
        try:
            packed = b64url_decode(text[1:]) if text.startswith("u") else b""
        except EncodingError:
            packed = b""
        if not packed:
            raise StatusInvalid(
                "encodedList must be base64url in multibase (u)", code="status.encoding"
            )
        stream = zlib.decompressobj(_GZIP)
        try:
            octets = stream.decompress(packed, max_bytes + 1)
        except zlib.error:
            raise StatusInvalid("encodedList is not gzip", code="status.compression") from None
        if len(octets) > max_bytes:
            raise StatusInvalid(
                f"a status list must not exceed {max_bytes} bytes", code="status.too_large"
            )
        if not stream.eof or stream.unused_data:
            raise StatusInvalid(
                "encodedList must be one whole gzip member and nothing more",
                code="status.compression",
            )
        return cls(octets)

    def encode(self) -> str:
        """The ``encodedList``; the same for the same bits, without a time in the gzip header."""
        stream = zlib.compressobj(9, zlib.DEFLATED, _GZIP)
        return "u" + b64url_encode(stream.compress(self._octets) + stream.flush())

    def get(self, index: int) -> bool:
        """The bit at ``index``. Raises ``StatusInvalid`` (``status.index_range``)."""
        octets = self._octets
        if not 0 <= index < len(octets) * 8:
            _out_of_range()
        return bool(octets[index >> 3] & (0x80 >> (index & 7)))

    def with_bit(self, index: int) -> Self:
        """A copy in which the bit at ``index`` is set. There is no way to clear one."""
        octets = bytearray(self._octets)
        if not 0 <= index < len(octets) * 8:
            _out_of_range()
        octets[index >> 3] |= 0x80 >> (index & 7)
        return type(self)(bytes(octets))

    def value(self, index: int, size: int) -> int:
        """The number in the ``size`` bits of entry ``index``, leftmost bit first (§2.1).

        Raises ``StatusInvalid`` (``status.index_range``).
        """
        octets, first = self._octets, index * size
        if index < 0 or first + size > len(octets) * 8:
            _out_of_range()
        last = first + size
        window = int.from_bytes(octets[first >> 3 : (last + 7) >> 3])
        return window >> (-last & 7) & ((1 << size) - 1)

    def with_value(self, index: int, size: int, value: int) -> Self:
        """A copy in which the ``size`` bits of entry ``index`` hold a number, whatever they held.

        For what can be taken back, as a suspension; a withdrawal never is. Raises
        ``StatusInvalid`` (``status.index_range``, ``status.value``).
        """
        if not 0 <= value < 1 << size:
            raise StatusInvalid("the value has more bits than an entry", code="status.value")
        if index < 0 or (index + 1) * size > len(self):
            _out_of_range()
        octets = bytearray(self._octets)
        for place in range(size):
            position = index * size + place
            mask = 0x80 >> (position & 7)
            if value >> (size - 1 - place) & 1:
                octets[position >> 3] |= mask
            else:
                octets[position >> 3] &= ~mask
        return type(self)(bytes(octets))

    def covers(self, other: Self) -> bool:
        """Whether every bit of ``other`` is set here too: nothing withdrawn came back."""
        if len(self._octets) != len(other._octets):
            return False
        ours, theirs = int.from_bytes(self._octets), int.from_bytes(other._octets)
        return theirs & ~ours == 0

    def union(self, other: Self) -> Self:
        """A list in which a bit is set that is set in either: what was withdrawn stays so.

        Raises ``StatusInvalid`` (``status.length``) for lists of different lengths.
        """
        if len(self._octets) != len(other._octets):
            raise StatusInvalid("the two lists differ in length", code="status.length")
        both = int.from_bytes(self._octets) | int.from_bytes(other._octets)
        return type(self)(both.to_bytes(len(self._octets)))

    def __len__(self) -> int:
        return len(self._octets) * 8

    def __repr__(self) -> str:
        return f"<BitString of {len(self)}>"


def _out_of_range() -> NoReturn:
    raise StatusInvalid("the index is not in the list", code="status.index_range")
