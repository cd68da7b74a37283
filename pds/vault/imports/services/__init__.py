"""What the archives of large services look like: one description each, ``NAME.json`` beside this.

A description says by which members an archive is known, and for each kind of member how it is
read and what becomes of its entries. ``docs/imports.md`` says how to write one. Adding a service
is adding a file; nothing else knows a service by name.
"""

import fnmatch
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from did.errors import JsonError
from did.json import parse_object
from pds.vault.imports.conversions import CONVERSIONS
from pds.vault.imports.json_items import Path, parse_place

Reader = Literal["json", "csv", "vcard", "icalendar", "ofx", "camt053"]
READERS = ("json", "csv", "vcard", "icalendar", "ofx", "camt053", "fhir")
ORDER = ("google", "facebook", "instagram", "spotify", "netflix", "amazon", "plain")
MAX_DESCRIPTION = 262_144
_NAME = re.compile("[a-z0-9-]{1,40}")
_CONDITION = re.compile(r"(!?)([^=]+)(?:=(.*))?")


class DescriptionError(ValueError):
    """A description that cannot be carried out."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where a field comes from: the first of the ``places`` with a value, through a conversion; or
    a ``constant``."""

    constant: str = ""
    places: tuple[Path, ...] = ()
    conversion: str = "text"
    argument: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """That there is something at a place, or (``wanted``) a certain word; or that there is not."""

    place: Path
    wanted: str | None
    negated: bool


@dataclass(frozen=True, slots=True)
class Make:
    """A record that an entry becomes, if the conditions hold; one for each member of ``each``."""

    category: str
    fields: tuple[tuple[str, Source], ...]
    conditions: tuple[Condition, ...]
    each: Path
    about: Literal["self", "other"]


@dataclass(frozen=True, slots=True)
class Part:
    """Members of one kind: which ones, how they are read, what becomes of their entries. ``say`` is
    told to the holder where such a member is met; ``alone`` is what is in the beginning of such a
    file when it comes without its archive."""

    pattern: re.Pattern[str]
    reader: Reader | None
    at: tuple[Path, ...]
    beside: tuple[Path, ...]
    makes: tuple[Make, ...]
    about: Literal["self", "other"]
    say: str
    silent: bool
    alone: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Service:
    """A service: ``signs`` are members that show an archive to be its own."""

    name: str
    title: str
    signs: re.Pattern[str]
    mend: bool
    empty: frozenset[str]
    words: dict[str, dict[str, str]]
    parts: tuple[Part, ...]

    def part(self, member: str) -> Part | None:
        """The first part whose pattern fits."""
        name = "/" + member.casefold()
        return next((part for part in self.parts if part.pattern.match(name)), None)

    def knows(self, members: Iterable[str]) -> bool:
        return any(self.signs.match("/" + member.casefold()) for member in members)


@cache
def services() -> tuple[Service, ...]:
    """Every service that is known, the most particular first."""
    folder = files(__name__)
    return tuple(
        read_description(name, folder.joinpath(f"{name}.json").read_bytes()) for name in ORDER
    )


def read_description(name: str, raw: bytes) -> Service:
    """A description from the bytes of its file (at most 256 KiB). Raises DescriptionError."""
    if _NAME.fullmatch(name) is None:
        raise DescriptionError("the name of its file is not of a-z, 0-9 and hyphens")
    try:
        return describe(name, parse_object(raw, max_bytes=MAX_DESCRIPTION))
    except JsonError as error:
        raise DescriptionError("it is no JSON object") from error


def describe(name: str, raw: dict[str, Any]) -> Service:
    """A description from its JSON. Raises DescriptionError."""
    try:
        words = {key: dict(value) for key, value in raw.get("words", {}).items()}
        return Service(
            name=name,
            title=raw["title"],
            signs=_pattern(raw["signs"]),
            mend=bool(raw.get("mend", False)),
            empty=frozenset(raw.get("empty", ())),
            words=words,
            parts=tuple(_part(part, words) for part in raw["parts"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise DescriptionError("a part is missing, or has another form") from error


def _part(raw: dict[str, Any], words: dict[str, dict[str, str]]) -> Part:
    _only(raw, "files", "read", "at", "beside", "make", "about", "say", "silent", "alone")
    reader = raw.get("read")
    if reader is not None and reader not in READERS:
        raise DescriptionError(f"no such reader: {reader}")
    at = raw.get("at", "[]" if reader == "json" else [])
    at = [at] if isinstance(at, str) else at
    return Part(
        pattern=_pattern(raw["files"]),
        reader=reader,
        at=tuple(map(parse_place, at)),
        beside=tuple(map(parse_place, raw.get("beside", ()))),
        makes=tuple(_make(make, words, csv=reader == "csv") for make in raw.get("make", ())),
        about=raw.get("about", "self"),
        say=raw.get("say", ""),
        silent=bool(raw.get("silent", False)),
        alone=tuple(raw.get("alone", ())),
    )


def _make(raw: dict[str, Any], words: dict[str, dict[str, str]], *, csv: bool) -> Make:
    _only(raw, "category", "fields", "if", "each", "about")
    conditions = raw.get("if", ())
    return Make(
        category=raw["category"],
        fields=tuple((k, _source(v, words, csv=csv)) for k, v in raw["fields"].items()),
        conditions=tuple(
            _condition(text, csv=csv)
            for text in ((conditions,) if isinstance(conditions, str) else conditions)
        ),
        each=_steps(raw.get("each", ""), csv=False),
        about=raw.get("about", "self"),
    )


def _only(raw: dict[str, Any], *known: str) -> None:
    unknown = set(raw) - set(known)
    if unknown:
        raise DescriptionError(f"not known: {', '.join(sorted(unknown))}")


def _source(text: str, words: dict[str, dict[str, str]], *, csv: bool) -> Source:
    """``=constant``, or ``place | other place -> conversion argument``."""
    if text.startswith("="):
        return Source(constant=text[1:])
    places, _, how = text.partition(" -> ")
    conversion, _, argument = (how or "text").partition(" ")
    if conversion == "words":
        if argument not in words:
            raise DescriptionError(f"no such words: {argument}")
    elif conversion not in CONVERSIONS and conversion != "started":
        raise DescriptionError(f"no such conversion: {conversion}")
    return Source(
        places=tuple(_steps(place, csv=csv) for place in places.split(" | ")),
        conversion=conversion,
        argument=argument,
    )


def _steps(text: str, *, csv: bool) -> Path:
    """The steps of a place in an entry; a column's name is one step."""
    if not text or text == ".":
        return ()
    if csv and text[0] not in "#@":
        return (text,)
    return tuple(text.split("."))


def _condition(text: str, *, csv: bool) -> Condition:
    match = _CONDITION.fullmatch(text)
    if match is None:
        raise DescriptionError(f"no condition: {text}")
    return Condition(_steps(match[2], csv=csv), match[3], bool(match[1]))


def _pattern(patterns: Iterable[str]) -> re.Pattern[str]:
    """``*`` is anything, folders too; each begins with a slash or a star. Case does not matter."""
    return re.compile("|".join(fnmatch.translate(p.casefold()) for p in patterns))
