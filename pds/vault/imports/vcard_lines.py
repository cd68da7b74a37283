"""vCards: from bytes to cards of properties.

Own code, because the library at hand cannot read hostile cards: a line of fifty bytes keeps its
regular expression busy for seconds, twice as long with every two bytes more; its errors and its
log repeat the line; and one unknown character set ends the file. This reader takes time in
proportion to the file, and holds one card at a time.

It works on bytes, because a fold may fall inside a character and a vCard 2.1 names its character
set property by property.
"""

import binascii
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from .text import legacy_encoding

MAX_LINE_BYTES = 131_072
MAX_PROPERTIES = 1000
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
_ESCAPE_21 = re.compile(r"\\([;,])")
_CARET = re.compile(r"\^([n^'])")

_CHARSETS = {
    "UTF-8": "utf-8", "UTF8": "utf-8", "US-ASCII": "ascii", "ASCII": "ascii",
    "ISO-8859-1": "iso-8859-1", "ISO-8859-2": "iso-8859-2", "ISO-8859-15": "iso-8859-15",
    "WINDOWS-1250": "windows-1250", "WINDOWS-1252": "windows-1252",
    "CP1250": "windows-1250", "CP1252": "windows-1252",
}  # fmt: skip
# Their contents are not kept, and may be megabytes of a picture.
_BULKY = frozenset({b"PHOTO", b"LOGO", b"SOUND", b"KEY", b"X-MS-OL-DESIGN", b"X-MS-CARDPICTURE"})
_LAST_PREFERENCE = 101

_ProblemSink = Callable[[int, str, str], None]


@dataclass(frozen=True, slots=True, repr=False)
class Property:
    """One property. ``preference`` is 1 (most) to 101 (not said); ``guessed`` is the character set
    where it was neither said nor UTF-8, else empty."""

    name: str
    line: int
    version: str
    types: frozenset[str]
    preference: int
    level: str
    raw: str
    guessed: str

    def text(self) -> str:
        """The value as one text."""
        return self._unescape(self.raw)

    def values(self) -> list[str]:
        """The value as a list, at its commas."""
        return [self._unescape(part) for part in _split(self.raw, ",")]

    def components(self) -> list[list[str]]:
        """The value as components, at its semicolons; each a list, at its commas.

        vCard 2.1 knows no lists: there a comma is a comma.
        """
        parts = _split(self.raw, ";")
        if self.version == "2.1":
            return [[self._unescape(part)] for part in parts]
        return [[self._unescape(v) for v in _split(part, ",")] for part in parts]

    def _unescape(self, text: str) -> str:
        if "\\" not in text:
            return text
        if self.version == "2.1":
            return _ESCAPE_21.sub(r"\1", text)
        return _ESCAPE.sub(lambda m: "\n" if m[1] in "nN" else m[1], text)


@dataclass(frozen=True, slots=True, repr=False)
class Card:
    """One card, or the ``problem`` (code, sentence) for which it cannot be read."""

    line: int
    properties: tuple[Property, ...]
    problem: tuple[str, str] | None = None


@dataclass(slots=True)
class _Open:
    line: int
    version: str
    lines: list[tuple[int, bytes]]
    count: int = 0
    problem: tuple[str, str] | None = None


def read_cards(stream: BinaryIO, *, legacy: str | None, problem: _ProblemSink) -> Iterator[Card]:
    """Cut a file into cards.

    ``legacy`` is the character set of values that name none and are not UTF-8 (None: guessed for
    each); ``problem`` hears of lines that are left out without harm to their card.
    """
    card: _Open | None = None
    nested = agent = stray = False
    for number, line, too_long in _logical_lines(stream):
        word = line.strip().upper()
        if word == b"BEGIN:VCARD":
            if card is not None and agent and not nested:
                nested = True  # vCard 2.1 puts the card of an agent inside
                continue
            if card is not None:
                yield Card(card.line, (), ("vcard.not_closed", "The card has no end."))
            card, nested, agent, stray = _Open(number, "3.0", []), False, False, False
        elif word == b"END:VCARD":
            if nested:
                nested = False
            elif card is not None:
                yield _close(card, legacy, problem)
                card = None
            else:
                problem(number, "vcard.not_opened", "A card ends here that has no beginning.")
        elif card is None:
            if not stray:
                problem(number, "vcard.not_opened", "There is text here outside of any card.")
            stray = True
        elif not nested:
            agent = word.startswith(b"AGENT") and word.endswith(b":")
            _collect(card, number, line, word, too_long=too_long)
    if card is not None:
        yield Card(card.line, (), ("vcard.not_closed", "The file ends before the card does."))


def _collect(card: _Open, number: int, line: bytes, word: bytes, *, too_long: bool) -> None:
    if card.problem is not None:
        return
    card.count += 1
    if card.count > MAX_PROPERTIES:
        card.problem = (
            "vcard.too_many_properties",
            f"The card has more than {MAX_PROPERTIES} properties.",
        )
    elif too_long:
        card.problem = (
            "vcard.line_too_long",
            f"A line of the card is longer than {MAX_LINE_BYTES} bytes.",
        )
    elif b"\x00" in line:
        card.problem = ("vcard.nul", "The card holds NUL bytes; it is not text.")
    elif word.startswith(b"VERSION:"):
        version = word.removeprefix(b"VERSION:").strip()
        card.version = {b"2.1": "2.1", b"4.0": "4.0"}.get(version, "3.0")
    else:
        card.lines.append((number, line))
    if card.problem is not None:
        card.lines.clear()


def _close(card: _Open, legacy: str | None, problem: _ProblemSink) -> Card:
    if card.problem is not None:
        return Card(card.line, (), card.problem)
    found = []
    for number, line in card.lines:
        try:
            prop = _parse(number, line, card.version, legacy)
        except UnicodeDecodeError:
            problem(number, "vcard.charset", "A value is not text in its character set.")
            continue
        if prop is None:
            problem(number, "vcard.line", "A line is no property of a vCard.")
        else:
            found.append(prop)
    return Card(card.line, tuple(found))


def _logical_lines(stream: BinaryIO) -> Iterator[tuple[int, bytes, bool]]:
    """Undo folding (RFC 6350 §3.2), soft line ends of quoted-printable, and the unmarked ones of
    base64. Yields the first line's number, the line, and whether it went beyond the limit."""
    parts: list[bytes] = []
    start = size = 0
    too_long = keep = quoted = base64 = False
    for number, physical in _lines(stream):
        line = physical
        is_end = line[:9].upper() == b"END:VCARD"
        soft = bool(parts) and quoted and parts[-1].endswith(b"=") and not is_end
        folded = line[:1] in (b" ", b"\t")
        if parts and (soft or folded or (base64 and line and not is_end and b":" not in line)):
            if soft:
                parts[-1] = parts[-1][:-1]
                line = line[1:] if folded and line[1:2] in (b" ", b"\t") else line
            else:
                line = line[1:] if folded else line
            size += len(line)
            too_long = too_long or (keep and size > MAX_LINE_BYTES)
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
        keep = name not in _BULKY
        quoted = b"QUOTED-PRINTABLE" in head
        base64 = b"BASE64" in head or b"ENCODING=B" in head
        start, size = number, len(line)
        too_long = keep and size > MAX_LINE_BYTES
        parts = [line if keep and not too_long else head + b":" + (line[-1:] if quoted else b"")]
    if parts:
        yield start, b"".join(parts), too_long


def _lines(stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """The lines of a file with their numbers; without line feeds, carriage returns end them. Of a
    line that is longer than any may be, only as much as shows that."""
    end = b"\n" if any(b"\n" in chunk for chunk in _chunks(stream)) else b"\r"
    number, rest = 0, b""
    for chunk in _chunks(stream):
        *lines, rest = (rest + chunk).split(end)
        for line in lines:
            number += 1
            yield number, (line if number > 1 else line.removeprefix(_BOM)).rstrip(b"\r")
        if len(rest) > 2 * MAX_LINE_BYTES:
            rest = rest[: MAX_LINE_BYTES + 1] + rest[-1:]
    if rest:
        yield number + 1, (rest if number else rest.removeprefix(_BOM)).rstrip(b"\r")


def _chunks(stream: BinaryIO) -> Iterator[bytes]:
    stream.seek(0)
    while chunk := stream.read(_CHUNK):
        yield chunk


def _parse(number: int, line: bytes, version: str, legacy: str | None) -> Property | None:
    match = _CONTENT.match(line)
    if match is None:
        return None
    name = match["name"].decode("ascii", "replace").rpartition(".")[2].strip().upper()
    name = name.replace("_", "-")
    if _NAME.fullmatch(name) is None:
        return None
    types: set[str] = set()
    named: dict[str, str] = {}
    for parameter in _PARAMETER.findall(match["parameters"]):
        key, equals, value = parameter.decode("utf-8", "replace").partition("=")
        value = value.replace('"', "").strip()
        if not equals:
            types.add(key.strip().upper())  # vCard 2.1 leaves the name TYPE away
        elif key.strip().upper() == "TYPE":
            types.update(part.strip().upper() for part in value.split(","))
        else:
            named.setdefault(key.strip().upper(), _CARET.sub(_caret, value))
    raw = match["value"]
    encoding = named.get("ENCODING", "").upper()
    if encoding == "QUOTED-PRINTABLE" or "QUOTED-PRINTABLE" in types:
        raw = binascii.a2b_qp(raw)
    elif encoding in ("B", "BASE64") or "BASE64" in types:
        raw = b""
    charset = _CHARSETS.get(named.get("CHARSET", "").upper())
    text, guessed = _decode(raw, charset, legacy)
    return Property(
        name=name,
        line=number,
        version=version,
        types=frozenset(types),
        preference=_preference(types, named.get("PREF")),
        level=named.get("LEVEL", "").lower(),
        raw=text,
        guessed=guessed,
    )


def _decode(raw: bytes, charset: str | None, legacy: str | None) -> tuple[str, str]:
    if charset is not None:
        return raw.decode(charset), ""
    try:
        return raw.decode(), ""
    except UnicodeDecodeError:
        guess = legacy or legacy_encoding(raw)
        return raw.decode(guess), guess


def _preference(types: set[str], given: str | None) -> int:
    if given is not None and given.isascii() and given.isdigit() and len(given) <= 3:
        return min(max(int(given), 1), 100)
    return 1 if "PREF" in types else _LAST_PREFERENCE


def _caret(match: re.Match[str]) -> str:
    return {"n": "\n", "^": "^", "'": '"'}[match[1]]


def _split(text: str, separator: str) -> list[str]:
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
