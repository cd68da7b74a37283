"""JSON from strangers: the objects of a long file one after another, with their lines.

Own code, because the streaming readers at hand say no line, end at the first fault, and keep a
text of any length whole. This one only finds where an object begins and ends; what is in it is
read by Python's own reader. Takes time in proportion to the file and holds one object at a time.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

MAX_OBJECT = 16 * 1024 * 1024
MAX_DEPTH = 64
_CHUNK = 262_144
# Up to the next bracket, over whole strings; a quotation mark is one whose string goes on in the
# next chunk. Possessive quantifiers: no part is ever tried twice.
_OUTSIDE = re.compile(
    rb'(?:[^"{}\[\]]++|"(?:[^"\\]++|\\.)*+")*+(["{}\[\]])',
    re.DOTALL,
)
_INSIDE = re.compile(rb'["\\]')
_KEY = re.compile(rb'"entry"\s*:\s*\Z')
_BEFORE = 64


@dataclass(frozen=True, slots=True, repr=False)
class Piece:
    """An object and the line where it begins; ``data`` is None for one that is too large or too
    deep to be read."""

    line: int
    data: bytes | None


def read_pieces(stream: BinaryIO, *, broken: Callable[[int], None]) -> Iterator[Piece]:
    """The objects of a file: each that stands in the list ``entry`` of another, or else each that
    stands at the top, alone or in a list. ``broken`` hears of the last line of a file that ends
    inside an object.
    """
    return _Cutter(stream, broken).pieces()


def parse(data: bytes) -> object:
    """One object; numbers stay the text that was written. Raises ValueError."""
    return json.loads(data, parse_float=str, parse_int=str, parse_constant=_no_number)


def _no_number(_: str) -> object:
    raise ValueError("no JSON")


class _Cutter:
    def __init__(self, stream: BinaryIO, broken: Callable[[int], None]) -> None:
        self._stream = stream
        self._broken = broken
        self._base = 0  # depth of the objects at the top: 1 inside a list
        self._depth = 0
        self._entries = False
        self._parts: list[bytes] | None = None  # of the object that is being held
        self._size = self._start_line = 0
        self._bad = False

    def pieces(self) -> Iterator[Piece]:
        line, tail, skip = 1, b"", 0
        in_string = False
        self._stream.seek(0)
        while data := self._stream.read(_CHUNK):
            position, counted, held = skip, 0, 0
            while True:
                if in_string:
                    if (found := _INSIDE.search(data, position)) is None:
                        break
                    position = found.end()
                    if found[0] == b"\\":
                        position += 1  # what it escapes
                    else:
                        in_string = False
                    continue
                match = _OUTSIDE.match(data, position)
                if match is None:
                    break
                at, position = match.start(1), match.end()
                byte = data[at]
                if byte == 0x22:
                    in_string = True
                elif byte in b"{[":
                    before = data[at - _BEFORE : at] if at >= _BEFORE else tail + data[:at]
                    if self._opens(byte, before):
                        line += data.count(b"\n", counted, at)
                        counted = held = at
                        self._start_line = line
                elif self._closes(byte) and self._parts is not None:
                    self._hold(data[held:position])
                    yield Piece(self._start_line, None if self._bad else b"".join(self._parts))
                    self._parts = None
            if self._parts is not None:
                self._hold(data[held:])
            line += data.count(b"\n", counted)
            skip = max(position - len(data), 0) if in_string else 0
            tail = data[-_BEFORE:]
        if self._depth or in_string:
            self._broken(line)

    def _opens(self, byte: int, before: bytes) -> bool:
        """Whether an object to hold begins here. ``before`` is what stands before the bracket."""
        depth, self._depth = self._depth, self._depth + 1
        if self._depth - self._base > MAX_DEPTH:
            self._bad = True
        if byte == 0x5B:
            if depth == 0:
                self._base = 1
            elif depth == self._base + 1 and _KEY.search(before) is not None:
                self._entries, self._parts = True, None
            return False
        if depth != (self._base + 2 if self._entries else self._base):
            return False
        self._parts, self._size, self._bad = [], 0, False
        return True

    def _closes(self, byte: int) -> bool:
        """Whether an object that is held ends here."""
        self._depth = max(self._depth - 1, 0)
        if byte == 0x5D:
            if self._depth == self._base + 1:
                self._entries = False
            if self._depth == 0:
                self._base = 0
            return False
        return self._depth == (self._base + 2 if self._entries else self._base)

    def _hold(self, part: bytes) -> None:
        self._size += len(part)
        if self._size > MAX_OBJECT:
            self._bad = True
        if self._bad:
            self._parts = []
        elif self._parts is not None:
            self._parts.append(part)
