"""iCalendar: from bytes to events, tasks and time zones as properties.

Own code, because the library at hand holds the whole file and a tree of it, takes half a minute
for a megabyte of parameters, and gives nothing of a calendar that breaks off. This reader takes
time in proportion to the file, holds one entry at a time, and goes on after a broken one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

from .content_lines import MAX_LINE_BYTES, decode, logical_lines, split, take_apart, unescape
from .text import clean

MAX_PROPERTIES = 5000
MAX_ENTRY_BYTES = 1_048_576

ENTRIES = frozenset({"VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VTIMEZONE"})
# Files inside a calendar; their contents are not kept.
_BULKY = frozenset({b"ATTACH", b"IMAGE", b"X-ALT-DESC"})

_ProblemSink = Callable[[int, str, str], None]


@dataclass(frozen=True, slots=True, repr=False)
class Property:
    """One property. ``within`` is the part of its entry that it stands in (VALARM, STANDARD), or
    empty; ``guessed`` the character set where the value is not UTF-8, else empty."""

    name: str
    line: int
    within: str
    parameters: dict[str, str]
    raw: str
    guessed: str

    def text(self) -> str:
        return clean(unescape(self.raw))

    def values(self) -> list[str]:
        return [clean(unescape(part)) for part in split(self.raw, ",")]


@dataclass(slots=True, repr=False)
class Entry:
    """One entry, or the ``problem`` (code, sentence) for which it cannot be read. Of the calendar
    itself ``kind`` is VCALENDAR, and there is one property or none."""

    kind: str
    line: int
    properties: list[Property] = field(default_factory=list)
    problem: tuple[str, str] | None = None
    size: int = 0

    def spoil(self, code: str, sentence: str) -> None:
        self.properties.clear()
        self.problem = self.problem or (code, sentence)


def read_entries(stream: BinaryIO, *, legacy: str | None, problem: _ProblemSink) -> Iterator[Entry]:
    """Cut a file into entries.

    ``legacy`` is the character set of values that are not UTF-8 (None: guessed for each);
    ``problem`` hears of lines that are left out without harm to their entry.
    """
    entry: Entry | None = None
    calendar = stray = False
    inner: list[str] = []  # what is open inside the entry; beyond a few it is only counted
    deeper = 0
    for number, line, too_long in logical_lines(stream, bulky=_BULKY):
        word, _, name = line.strip().upper().partition(b":")
        opens, closes = word == b"BEGIN", word == b"END"
        kind = name.strip().decode("ascii", "replace") if opens or closes else ""
        if opens and (kind in ENTRIES or kind == "VCALENDAR"):
            if entry is not None:
                entry.spoil("ical.not_closed", "The entry has no end.")
                yield entry
            entry = None if kind == "VCALENDAR" else Entry(kind, number)
            calendar, stray, inner, deeper = True, False, [], 0
            if entry is None:
                yield Entry(kind, number)
        elif closes and kind == "VCALENDAR":
            if entry is not None:
                entry.spoil("ical.not_closed", "The entry has no end.")
                yield entry
            entry, calendar = None, False
        elif closes and entry is not None and kind == entry.kind:
            yield entry
            entry = None
        elif entry is None:
            if opens or closes:
                continue  # a part of another program's own
            if calendar:
                found = _property(number, line, "", legacy, problem)
                if found is not None:
                    yield Entry("VCALENDAR", number, [found])
            elif not stray:
                problem(number, "ical.not_opened", "There is text here outside of any calendar.")
                stray = True
        elif opens:
            deeper += len(inner) >= 4
            if not deeper:
                inner.append(kind)
        elif closes:
            if deeper:
                deeper -= 1
            elif kind in inner:
                del inner[inner.index(kind) :]
        elif entry.problem is None and not deeper:
            _collect(
                entry,
                number,
                line,
                within=inner[0] if inner else "",
                legacy=legacy,
                problem=problem,
                too_long=too_long,
            )
    if entry is not None:
        entry.spoil("ical.not_closed", "The file ends before the entry does.")
        yield entry
    elif calendar:
        problem(number, "ical.not_closed", "The file ends before the calendar does.")


def _collect(
    entry: Entry,
    number: int,
    line: bytes,
    *,
    within: str,
    legacy: str | None,
    problem: _ProblemSink,
    too_long: bool,
) -> None:
    entry.size += len(line) + 100
    if too_long:
        entry.spoil(
            "ical.line_too_long", f"A line of the entry is longer than {MAX_LINE_BYTES} bytes."
        )
    elif len(entry.properties) >= MAX_PROPERTIES or entry.size > MAX_ENTRY_BYTES:
        entry.spoil("ical.too_large", "The entry has too many properties, or they are too long.")
    elif b"\x00" in line:
        entry.spoil("ical.nul", "The entry holds NUL bytes; it is not text.")
    else:
        found = _property(number, line, within, legacy, problem)
        if found is not None:
            entry.properties.append(found)


def _property(
    number: int, line: bytes, within: str, legacy: str | None, problem: _ProblemSink
) -> Property | None:
    content = take_apart(line)
    if content is None:
        problem(number, "ical.line", "A line is no property of a calendar.")
        return None
    try:
        raw, guessed = decode(content.raw, charset=None, legacy=legacy)
    except UnicodeDecodeError:
        problem(number, "ical.charset", "A value is not text.")
        return None
    parameters: dict[str, str] = {}
    for key, value in content.parameters:
        if key:
            parameters.setdefault(key, value)
    return Property(content.name, number, within, parameters, raw, guessed)
