"""Lines of vCards and calendars: unfolded and taken apart (RFC 6350 §3, RFC 5545 §3.1).

Works on bytes, because a fold may fall inside a character. Takes time in proportion to the file
and holds one line at a time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from .text import legacy_encoding

MAX_LINE_BYTES = 131_072
# A picture of two MiB in base64, with its name.
MAX_PICTURE_LINE = 2_900_000
_CHUNK = 65_536
_BOM = b"\xef\xbb\xbf"

# Possessive quantifiers: no part is ever tried twice.
_CONTENT = re.compile(
    rb'(?P<name>[^:;"]*+)(?P<parameters>(?:;[^:;"]*+(?:"[^"]*+"[^:;"]*+)*+)*+):(?P<value>.*)',
    re.DOTALL,
)
_PARAMETER = re.compile(rb';([^:;"]*+(?:"[^"]*+"[^:;"]*+)*+)')
_NAME = re.compile(r"[A-Z0-9][A-Z0-9-]{0,39}")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_CARET = re.compile(r"\^([n^'])")


@dataclass(frozen=True, slots=True, repr=False)
class ContentLine:
    """One property: its name in capitals, its parameters in their order (a name that was left
    away is empty), and its value as it stands there."""

    name: str
    parameters: tuple[tuple[str, str], ...]
    raw: bytes


def take_apart(line: bytes) -> ContentLine | None:
    """A line as a property; None for what is none. The name of a group is left out."""
    match = _CONTENT.match(line)
    if match is None:
        return None
    name = match["name"].decode("ascii", "replace").rpartition(".")[2].strip().upper()
    name = name.replace("_", "-")
    if _NAME.fullmatch(name) is None:
        return None
    parameters = []
    for parameter in _PARAMETER.findall(match["parameters"]):
        key, equals, value = parameter.decode("utf-8", "replace").partition("=")
        value = value.replace('"', "").strip()
        if equals:
            parameters.append((key.strip().upper(), _CARET.sub(_caret, value)))
        else:
            parameters.append(("", key.strip()))
    return ContentLine(name, tuple(parameters), match["value"])


def unescape(text: str) -> str:
    """Undo the escapes of a text (RFC 6350 §3.4, RFC 5545 §3.3.11)."""
    return _ESCAPE.sub(lambda m: "\n" if m[1] in "nN" else m[1], text) if "\\" in text else text


def split(text: str, separator: str) -> list[str]:
    """Split where the separator is not escaped; the escapes stay."""
    if "\\" not in text:
        return text.split(separator)
    pieces = re.split(r"(\\.|" + re.escape(separator) + ")", text, flags=re.DOTALL)
    current: list[str] = []
    parts = []
    for piece in pieces:
        if piece == separator:
            parts.append("".join(current))
            current = []
        else:
            current.append(piece)
    parts.append("".join(current))
    return parts


def decode(raw: bytes, *, charset: str | None, legacy: str | None) -> tuple[str, str]:
    """A value as text, and the encoding where it had to be guessed, else empty.

    Raises UnicodeDecodeError where ``charset`` or ``legacy`` does not fit.
    """
    if charset is not None:
        return raw.decode(charset), ""
    try:
        return raw.decode(), ""
    except UnicodeDecodeError:
        guess = legacy or legacy_encoding(raw)
        return raw.decode(guess), guess


def _caret(match: re.Match[str]) -> str:
    return {"n": "\n", "^": "^", "'": '"'}[match[1]]


def logical_lines(
    stream: BinaryIO, *, bulky: frozenset[bytes], pictures: frozenset[bytes] = frozenset()
) -> Iterator[tuple[int, bytes, bool]]:
    """Undo folding (RFC 6350 §3.2), soft line ends of quoted-printable, and the unmarked ones of
    base64. Yields the first line's number, the line, and whether it went beyond the limit, which
    is a higher one for ``pictures``. Of the ``bulky`` ones nothing but the name is kept."""
    parts: list[bytes] = []
    start = size = 0
    limit = MAX_LINE_BYTES
    too_long = keep = quoted = base64 = False
    for number, physical in _lines(stream, longest=MAX_PICTURE_LINE if pictures else None):
        line = physical
        is_end = line[:4].upper() == b"END:"
        soft = bool(parts) and quoted and parts[-1].endswith(b"=") and not is_end
        folded = line[:1] in (b" ", b"\t")
        if parts and (soft or folded or (base64 and line and not is_end and b":" not in line)):
            if soft:
                parts[-1] = parts[-1][:-1]
                line = line[1:] if folded and line[1:2] in (b" ", b"\t") else line
            else:
                line = line[1:] if folded else line
            size += len(line)
            if keep and not too_long and size > limit:
                too_long = True
                del parts[1:]  # of a picture that is too large not even the part that was read
            if keep and not too_long:
                parts.append(line)
            elif quoted:
                parts[-1] = line[-1:]  # only whether another soft end follows
            continue
        if parts:
            yield start, b"".join(parts), too_long
        parts = []
        if not line.strip():
            continue
        head = line[:1000].partition(b":")[0].upper()
        name = head.partition(b";")[0].rpartition(b".")[2]
        keep = name not in bulky
        limit = MAX_PICTURE_LINE if name in pictures else MAX_LINE_BYTES
        quoted = b"QUOTED-PRINTABLE" in head
        base64 = b"BASE64" in head or b"ENCODING=B" in head
        start, size = number, len(line)
        too_long = keep and size > limit
        parts = [line if keep and not too_long else head + b":" + (line[-1:] if quoted else b"")]
    if parts:
        yield start, b"".join(parts), too_long


def _lines(stream: BinaryIO, *, longest: int | None = None) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers; without line feeds, carriage returns end them. Of a
    line that is longer than any may be, only as much as shows that, and how it ends."""
    end = b"\n" if any(b"\n" in chunk for chunk in _chunks(stream)) else b"\r"
    longest = longest or MAX_LINE_BYTES
    number = size = 0
    parts: list[bytes] = []  # the beginning of a line that goes on in the next piece
    for chunk in _chunks(stream):
        *lines, rest = chunk.split(end)
        for piece in lines:
            number += 1
            parts.append(piece if size <= longest else piece[-2:])
            line = b"".join(parts) if len(parts) > 1 else piece
            parts, size = [], 0
            yield number, (line if number > 1 else line.removeprefix(_BOM)).rstrip(b"\r")
        if rest:
            if size > longest:
                parts[-1] = rest[-2:]
            else:
                parts.append(rest)
                size += len(rest)
                if size > longest:
                    parts.append(b"")
    if parts:
        line = b"".join(parts)
        yield number + 1, (line if number else line.removeprefix(_BOM)).rstrip(b"\r")


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    stream.seek(0)
    while chunk := stream.read(_CHUNK):
        yield chunk
