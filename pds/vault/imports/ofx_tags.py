"""OFX: from bytes to tags with their texts.

Own code, because what is kept is under another licence or wants well-formed XML. One reader
serves version 1 (SGML, where what has a text need not be closed) and version 2 (XML), as banks mix
them. Nothing is declared, expanded or fetched: an entity that is not one of XML's own five, or a
number, is text. Takes time in proportion to the file and holds one text at a time.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from .content_lines import decode

MAX_TEXT = 65_536
_CHUNK = 65_536
_NAME = re.compile(rb"\s*+(/?)([A-Za-z0-9._]{1,64})(?:\s|/|\Z)")
_ENTITY = re.compile(r"&(?:#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6})|(amp|lt|gt|quot|apos|nbsp));")
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'", "nbsp": " "}
_CDATA, _CDATA_END = b"![CDATA[", b"]]>"


@dataclass(slots=True, repr=False)
class Tag:
    """A tag, its name in capitals, and the text up to the next one; where that went beyond the
    limit, ``too_long``. ``cdata``: the text is no place for entities."""

    line: int
    name: str
    closes: bool
    text: bytes = b""
    too_long: bool = False
    cdata: bool = False


def read_tags(stream: BinaryIO) -> Iterator[Tag]:
    """Cut a file into tags; what is before the first one, and what is no tag, is passed over."""
    tag: Tag | None = None
    quoted: list[bytes] | None = None  # CDATA that is still open
    line = 1
    for piece, lines, too_long in _pieces(stream):
        if quoted is not None or piece.startswith(_CDATA):
            if quoted is None:
                quoted = [piece.removeprefix(_CDATA)]
            else:
                quoted.append(b"<" + piece)
            too_long = too_long or sum(map(len, quoted)) > MAX_TEXT  # noqa: PLW2901
            if _CDATA_END in piece or too_long:
                if tag is not None:
                    content, _, after = b"".join(quoted).partition(_CDATA_END)
                    tag.text = tag.text.strip() + content + after.strip()
                    tag.too_long = tag.too_long or too_long or len(tag.text) > MAX_TEXT
                    tag.cdata = True
                    if tag.too_long:
                        tag.text = b""
                quoted = None
        elif (found := _tag(piece, line, too_long=too_long)) is not None:
            if tag is not None:
                yield tag
            tag = found
        line += lines
    if tag is not None:
        yield tag


def text_of(tag: Tag, *, legacy: str) -> tuple[str, str]:
    """The text of a tag, in ``legacy`` where it is not UTF-8, which is then the second of the two.
    Raises UnicodeDecodeError."""
    text, other = decode(tag.text, charset=None, legacy=legacy)
    if not tag.cdata and "&" in text:
        text = _ENTITY.sub(_character, text)
    return text, other


def _tag(piece: bytes, line: int, *, too_long: bool) -> Tag | None:
    head, closed, text = piece.partition(b">")
    match = _NAME.match(head)
    if match is None or not closed:
        return None
    name = match[2].decode("ascii").upper()
    return Tag(line, name, bool(match[1]), b"" if too_long else text, too_long)


def _pieces(stream: BinaryIO) -> Iterator[tuple[bytes, int, bool]]:
    """What is between one ``<`` and the next, how many lines that is, and whether it was cut."""
    stream.seek(0)
    head = stream.read(_CHUNK)
    end = b"\n" if b"\n" in head else b"\r"
    rest, dropped = b"", 0
    too_long = False
    chunk = head
    while chunk:
        *pieces, rest_of = chunk.split(b"<")
        for piece in pieces:
            whole = rest + piece
            too_long = too_long or len(whole) > MAX_TEXT
            yield whole[:MAX_TEXT], whole.count(end) + dropped, too_long
            rest, dropped, too_long = b"", 0, False
        rest += rest_of
        if len(rest) > MAX_TEXT:
            dropped += rest.count(end, MAX_TEXT)
            rest, too_long = rest[:MAX_TEXT], True
        chunk = stream.read(_CHUNK)
    # The last piece has nothing behind it that shows its end, but for the end of the file.
    yield rest, rest.count(end) + dropped, too_long


def _character(match: re.Match[str]) -> str:
    if match[3]:
        return _NAMED[match[3]]
    code = int(match[1]) if match[1] else int(match[2], 16)
    valid = 0 < code < 0x110000 and not 0xD800 <= code < 0xE000
    return chr(code) if valid else match[0]
