"""JSON from strangers, of any length: the values at given places, one after another.

Own code, because the streaming readers at hand (ijson among them) say no line, end at the first
fault, and keep a text of any length whole. This one walks down to the places asked for; a value
there is read by Python's own reader, everything else is skipped without being kept. At most one
value is held, and one that is malformed, too deep or too large never stops those after it.
"""

import codecs
import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple, TypeAlias

MAX_ITEM = 16 * 1024 * 1024  # characters
MAX_KEY = 65_536
_CHUNK = 1_048_576
_NEAR_END = 16

Path: TypeAlias = tuple[str, ...]

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8"),
    (b"\xff\xfe", "utf-16-le"),
    (b"\xfe\xff", "utf-16-be"),
)
_SPACE = re.compile(r"[ \t\r\n]*+")
_SCALAR = re.compile(r"[^\s,\[\]{}\":]*+")
_TOKEN = re.compile(r'[\[\]{}]|"(?:[^"\\]++|\\.)*+("?)', re.DOTALL)
_IN_STRING = re.compile(r'(?:[^"\\]++|\\.)*+("?)', re.DOTALL)


def _no_number(_: str) -> object:
    raise ValueError("no JSON")


# Numbers stay the text that was written: nothing is rounded, and no number is too long to be read.
_DECODER = json.JSONDecoder(parse_float=str, parse_int=str, parse_constant=_no_number, strict=False)


class JsonBroken(Exception):
    """The file is no JSON from this line on."""

    def __init__(self, line: int) -> None:
        super().__init__(line)
        self.line = line


class Item(NamedTuple):
    """A value at one of the places, with the line where it begins; or a ``problem``."""

    line: int
    path: Path
    value: Any
    problem: tuple[str, str] | None = None


def parse_place(text: str) -> Path:
    """``a.b[]`` is every member of the list b in a; ``[]`` of the list that the file is; the empty
    text is the file as one value."""
    steps: list[str] = []
    for step in text.split(".") if text else ():
        name = step.removesuffix("[]")
        steps += [name] if name else []
        steps += ["[]"] if step != name else []
    return tuple(steps)


class JsonItems:
    """The values at the ``places`` of a file. ``mended`` says afterwards whether bytes that are no
    text were replaced by U+FFFD."""

    def __init__(self, stream: BinaryIO, places: Sequence[Path]) -> None:
        self._places = frozenset(places)
        self._above = frozenset(place[:n] for place in places for n in range(len(place) + 1))
        self._text = _Text(stream)

    @property
    def mended(self) -> bool:
        return self._text.mended

    def __iter__(self) -> Iterator[Item]:
        """Raises JsonBroken where the file is no JSON, after what was good before that."""
        text = self._text
        if not text.peek():
            raise JsonBroken(text.line)
        yield from self._walk(())
        # NDJSON: further values stand on further lines.
        while text.peek():
            yield from self._walk(())

    def _walk(self, at: Path) -> Iterator[Item]:
        text = self._text
        if at in self._places:
            line = text.line
            try:
                yield Item(line, at, text.value())
            except _Unusable as error:
                yield Item(line, at, None, error.problem)
            return
        first = text.peek()
        if first == "{" and at in self._above:
            yield from self._object(at)
        elif first == "[" and (*at, "[]") in self._above:
            text.step()
            if text.peek() == "]":
                text.step()
                return
            while True:
                yield from self._walk((*at, "[]"))
                if text.comma("]"):
                    return
        else:
            text.skip()

    def _object(self, at: Path) -> Iterator[Item]:
        text = self._text
        text.step()
        if text.peek() == "}":
            text.step()
            return
        while True:
            child = (*at, text.key())
            if child in self._above:
                yield from self._walk(child)
            else:
                text.skip()
            if text.comma("}"):
                return


class _Unusable(Exception):
    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(code)
        self.problem = (code, sentence)


class _Text:
    """The text of a stream with one place in it, of which no more is kept than must be."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        start = stream.read(_CHUNK)
        mark, name = next((m for m in _MARKS if start.startswith(m[0])), (b"", "utf-8"))
        self._decoder = codecs.getincrementaldecoder(name)("replace")
        self._ended = not start
        self.mended = False
        self._buffer = ""
        self._at = self._counted = 0
        self._line = 1
        self._append(start[len(mark) :])

    @property
    def line(self) -> int:
        self.peek()
        return self._lines_to(self._at)

    def peek(self) -> str:
        """The next character that is no space; empty at the end."""
        while True:
            match = _SPACE.match(self._buffer, self._at)
            self._at = match.end() if match else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._fill():
                return ""

    def step(self) -> None:
        self._at += 1

    def comma(self, closing: str) -> bool:
        """Whether the list or object ends here; else a comma is passed over."""
        found = self.peek()
        if found not in (",", closing):
            raise JsonBroken(self.line)
        self._at += 1
        return found == closing

    def key(self) -> str:
        if self.peek() != '"':
            raise JsonBroken(self.line)
        try:
            key = self.value(limit=MAX_KEY)
        except _Unusable:
            key = ""
        if self.peek() != ":":
            raise JsonBroken(self.line)
        self._at += 1
        return str(key)

    def value(self, *, limit: int = MAX_ITEM) -> Any:
        """The value that begins here. Raises _Unusable, behind it."""
        if not self.peek():
            raise JsonBroken(self.line)
        while True:
            buffer, held = self._buffer, len(self._buffer) - self._at
            try:
                value, end = _DECODER.raw_decode(buffer, self._at)
            except RecursionError:
                self.skip()
                raise _Unusable("json.depth", "An entry is nested too deeply.") from None
            except json.JSONDecodeError as error:
                cut_off = (
                    error.msg.startswith("Unterminated") or error.pos >= len(buffer) - _NEAR_END
                )
                if cut_off and held <= limit and self._fill():
                    continue
                too_large = cut_off and held > limit
                self.skip()
                if too_large:
                    raise _too_large() from None
                raise _malformed() from None
            except ValueError:
                self.skip()
                raise _malformed() from None
            # A number at the end of what was read may go on.
            if end == len(buffer) and self._fill():
                continue
            if end - self._at > limit:
                self._at = end
                raise _too_large()
            self._at = end
            return value

    def skip(self) -> None:
        """Pass over the value that begins here, whatever is in it."""
        first = self.peek()
        if first == '"':
            self._at += 1
            self._string()
            return
        if first not in ("{", "["):
            while True:
                match = _SCALAR.match(self._buffer, self._at)
                end = match.end() if match else self._at
                if end == self._at:
                    raise JsonBroken(self.line)
                self._at = end
                if end < len(self._buffer) or not self._fill():
                    return
                if _SCALAR.fullmatch(self._buffer[self._at]) is None:
                    return
        depth = 0
        while True:
            match = _TOKEN.search(self._buffer, self._at)
            if match is None:
                self._at = len(self._buffer)
                if not self._fill():
                    raise JsonBroken(self.line)
                continue
            self._at = match.end()
            sign = match[0][0]
            if sign == '"':
                if not match[1]:
                    self._string()
            elif sign in "{[":
                depth += 1
            else:
                depth -= 1
                if depth == 0:
                    return

    def _string(self) -> None:
        """Pass over the rest of a string."""
        while True:
            match = _IN_STRING.match(self._buffer, self._at)
            self._at = match.end() if match else self._at
            if match and match[1]:
                return
            if not self._fill():
                raise JsonBroken(self.line)

    def _fill(self) -> bool:
        """Read on, and let go of what lies behind; False at the end."""
        while not self._ended:
            self._line = self._lines_to(self._at)
            self._buffer = self._buffer[self._at :]
            self._at = self._counted = 0
            # Twice as much each time: a long value is not read through for every piece of it.
            before = len(self._buffer)
            data = self._stream.read(max(_CHUNK, before))
            self._ended = not data
            self._append(data)
            if len(self._buffer) > before:
                return True
        return False

    def _append(self, data: bytes) -> None:
        text = self._decoder.decode(data, final=self._ended)
        self.mended = self.mended or "\ufffd" in text
        self._buffer += text

    def _lines_to(self, at: int) -> int:
        self._line += self._buffer.count("\n", self._counted, at)
        self._counted = at
        return self._line


def _malformed() -> _Unusable:
    return _Unusable("json.entry", "An entry is no JSON.")


def _too_large() -> _Unusable:
    return _Unusable("json.too_large", "An entry is too large.")
