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

from .content_lines import (
    MAX_LINE_BYTES,
    MAX_PICTURE_LINE,
    decode,
    logical_lines,
    split,
    take_apart,
    unescape,
)
from .pictures import from_data_url, picture

MAX_PROPERTIES = 1000

_ESCAPE_21 = re.compile(r"\\([;,])")

_CHARSETS = {
    "UTF-8": "utf-8", "UTF8": "utf-8", "US-ASCII": "ascii", "ASCII": "ascii",
    "ISO-8859-1": "iso-8859-1", "ISO-8859-2": "iso-8859-2", "ISO-8859-15": "iso-8859-15",
    "WINDOWS-1250": "windows-1250", "WINDOWS-1252": "windows-1252",
    "CP1250": "windows-1250", "CP1252": "windows-1252",
}  # fmt: skip
# Their contents are not kept, and may be megabytes.
_BULKY = frozenset({b"SOUND", b"KEY", b"X-MS-OL-DESIGN", b"X-MS-CARDPICTURE"})
_PICTURES = frozenset({b"PHOTO", b"LOGO"})
MAX_CARD_PICTURES = 2 * MAX_PICTURE_LINE
_LAST_PREFERENCE = 101

_ProblemSink = Callable[[int, str, str], None]


@dataclass(frozen=True, slots=True, repr=False)
class Property:
    """One property. ``preference`` is 1 (most) to 101 (not said); ``guessed`` is the character set
    where it was neither said nor UTF-8, else empty. ``picture`` is one that stands inside the card,
    with the ending of its name."""

    name: str
    line: int
    version: str
    types: frozenset[str]
    preference: int
    level: str
    raw: str
    guessed: str
    picture: tuple[bytes, str] | None = None

    def text(self) -> str:
        """The value as one text."""
        return self._unescape(self.raw)

    def values(self) -> list[str]:
        """The value as a list, at its commas."""
        return [self._unescape(part) for part in split(self.raw, ",")]

    def components(self) -> list[list[str]]:
        """The value as components, at its semicolons; each a list, at its commas.

        vCard 2.1 knows no lists: there a comma is a comma.
        """
        parts = split(self.raw, ";")
        if self.version == "2.1":
            return [[self._unescape(part)] for part in parts]
        return [[self._unescape(v) for v in split(part, ",")] for part in parts]

    def _unescape(self, text: str) -> str:
        if self.version == "2.1":
            return _ESCAPE_21.sub(r"\1", text)
        return unescape(text)


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
    pictures: int = 0
    problem: tuple[str, str] | None = None


def read_cards(stream: BinaryIO, *, legacy: str | None, problem: _ProblemSink) -> Iterator[Card]:
    """Cut a file into cards.

    ``legacy`` is the character set of values that name none and are not UTF-8 (None: guessed for
    each); ``problem`` hears of lines that are left out without harm to their card.
    """
    card: _Open | None = None
    nested = agent = stray = False
    for number, line, too_long in logical_lines(stream, bulky=_BULKY, pictures=_PICTURES):
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
            _collect(card, number, line, word, problem, too_long=too_long)
    if card is not None:
        yield Card(card.line, (), ("vcard.not_closed", "The file ends before the card does."))


def _collect(
    card: _Open,
    number: int,
    line: bytes,
    word: bytes,
    problem: _ProblemSink,
    *,
    too_long: bool,
) -> None:
    if card.problem is not None:
        return
    card.count += 1
    if _is_picture(line):
        card.pictures += len(line)
        if too_long or card.pictures > MAX_CARD_PICTURES:
            problem(number, "vcard.picture", "A picture is too large; it is left out.")
            return
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


def _is_picture(line: bytes) -> bool:
    name = line[:1000].partition(b":")[0].partition(b";")[0].rpartition(b".")[2]
    return name.strip().upper() in _PICTURES


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


def _parse(number: int, line: bytes, version: str, legacy: str | None) -> Property | None:
    content = take_apart(line)
    if content is None:
        return None
    types: set[str] = set()
    named: dict[str, str] = {}
    for key, value in content.parameters:
        if not key:
            types.add(value.upper())  # vCard 2.1 leaves the name TYPE away
        elif key == "TYPE":
            types.update(part.strip().upper() for part in value.split(","))
        else:
            named.setdefault(key, value)
    raw = content.raw
    inline: bytes | None = None
    encoding = named.get("ENCODING", "").upper()
    if encoding == "QUOTED-PRINTABLE" or "QUOTED-PRINTABLE" in types:
        raw = binascii.a2b_qp(raw)
    elif encoding in ("B", "BASE64") or "BASE64" in types:
        inline, raw = raw, b""
    elif content.name.encode() in _PICTURES:
        inline = from_data_url(raw)
        raw = raw[:1000] if inline is None else b""
    charset = _CHARSETS.get(named.get("CHARSET", "").upper())
    text, guessed = decode(raw, charset=charset, legacy=legacy)
    return Property(
        name=content.name,
        line=number,
        version=version,
        types=frozenset(types),
        preference=_preference(types, named.get("PREF")),
        level=named.get("LEVEL", "").lower(),
        raw=text,
        guessed=guessed,
        picture=None if inline is None else picture(inline),
    )


def _preference(types: set[str], given: str | None) -> int:
    if given is not None and given.isascii() and given.isdigit() and len(given) <= 3:
        return min(max(int(given), 1), 100)
    return 1 if "PREF" in types else _LAST_PREFERENCE
