"""The archives that large services hand out, read by their descriptions in ``services``.

A line is that of a row, of the entry in its JSON file, or the first of a card; a problem names the
member beside it. What no description speaks of is counted by its folder.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from did.json import Json, JsonObject

from .archive import Archive, Member, MemberBroken, folder, nested, shown
from .camt import camt_reader
from .conversions import CONVERSIONS, mend, plain, started
from .csv_rows import Table
from .fhir import fhir_reader
from .icalendar import icalendar_reader
from .json_items import JsonBroken, JsonItems
from .json_items import Path as Place
from .ofx import ofx_reader
from .plan import Findings, ImportFailed, Read
from .services import (
    MAX_DESCRIPTION,
    Condition,
    DescriptionError,
    Make,
    Part,
    Service,
    read_description,
    services,
)
from .services import Source as From
from .source import Source
from .vcard import vcard_reader

MAX_EACH = 100_000
MAX_BESIDE = 200

# By these an archive of our own is known.
_OURS = frozenset({"manifest.json", "README.txt", "index.html"})
_WHOLE_FILES = {
    "vcard": vcard_reader,
    "icalendar": icalendar_reader,
    "ofx": ofx_reader,
    "camt053": camt_reader,
    "fhir": fhir_reader,
}


def described_reader(data: Path, description: Path) -> tuple[str, Read]:
    """How an archive, or one of its files, is read by a description of the holder's own.

    Raises ImportFailed ``import.description``, and as ``takeout_reader``.
    """
    source, described = Source(data), Source(description)
    try:
        service = read_description(description.stem, described.head(MAX_DESCRIPTION + 1))
    except DescriptionError as error:
        raise ImportFailed(
            f"The description cannot be carried out: {error}.",
            code="import.description",
            hint="docs/imports.md says how one is written.",
        ) from error
    if source.head(4) == b"PK\x03\x04":
        return service.name, partial(_read, source, service)
    part = service.part(data.name)
    if part is None or part.reader is None:
        raise _nothing()
    return service.name, partial(_read_alone, source, service, part)


def takeout_reader(data: bytes | Path | Source) -> tuple[str, Read]:
    """Which service an archive is of, and how it is read; its directory is looked through first.
    A single file of a service is known by what is in it.

    Problems: ``archive.name``, ``archive.encrypted``, ``archive.method``, ``archive.bomb``,
    ``archive.damaged``, ``archive.nested``, ``json.broken`` end one member; ``json.entry``,
    ``json.depth``, ``json.too_large``, ``csv.*`` one entry; and those of the readers of whole
    files. Raises ImportFailed: ``import.archive``, ``import.unsupported``,
    ``import.nothing_found``.
    """
    source = Source.of(data)
    if source.head(4) != b"PK\x03\x04":
        alone = _alone(source)
        if alone is None:
            raise _nothing()
        return alone[0].name, partial(_read_alone, source, *alone)
    with _opened(source, None) as members:
        names = [member.name for member in members]
    if "[Content_Types].xml" in names:
        raise ImportFailed(
            "This is an office document.",
            code="import.unsupported",
            hint="Save it as CSV and import that.",
        )
    if _OURS.issubset(names):
        raise ImportFailed(
            "This is an archive of 'pds export'.",
            code="import.own_archive",
            hint="Take it in whole, with all versions: pds import ARCHIVE",
        )
    service = next((service for service in services() if service.knows(names)), None)
    if service is None:
        raise _nothing()
    return service.name, partial(_read, source, service)


def is_of_service(source: Source) -> bool:
    """Whether a file is one of those that services put into their archives."""
    return _alone(source) is not None


def _alone(source: Source) -> tuple[Service, Part] | None:
    head = source.head(65_536).replace(b"\x00", b"").decode("utf-8", "replace")
    for service in services():
        for part in service.parts:
            if part.alone and all(sign in head for sign in part.alone):
                return service, part
    return None


def _read_alone(source: Source, service: Service, part: Part, findings: Findings) -> None:
    _MemberReader(service, part, source, "", findings).read()
    findings.encoding = "utf-8"


@contextmanager
def _opened(source: Source, findings: Findings | None) -> Iterator[Iterator[Member]]:
    """The members of an archive and of those in it, one level down."""

    def report(name: str, code: str, sentence: str) -> None:
        if findings is not None:
            with findings.inside(name):
                findings.problem(0, code, sentence)

    with source.open() as file, Archive(file, report) as archive:

        def members() -> Iterator[Member]:
            for member in archive.members:
                if not member.name.casefold().endswith(".zip"):
                    yield member
                    continue
                with ExitStack() as stack:
                    try:
                        inner = stack.enter_context(nested(member, report))
                    except ImportFailed as error:
                        report(shown(member.name), "archive.nested", str(error))
                        continue
                    for one in inner.members:
                        if one.name.casefold().endswith(".zip"):
                            report(
                                shown(one.name),
                                "archive.nested",
                                "An archive in an archive in an archive is not read.",
                            )
                        else:
                            yield one

        yield members()


def _read(source: Source, service: Service, findings: Findings) -> None:
    known = False
    with _opened(source, findings) as members:
        for member in members:
            part = service.part(member.name)
            if part is None:
                findings.leave_out(folder(member.name))
                continue
            known = True
            if part.say:
                findings.assumptions.append(part.say)
            if part.reader is None:
                if not part.say and not part.silent:
                    findings.leave_out(folder(member.name))
                continue
            with findings.inside(shown(member.name), about=part.about):
                try:
                    _MemberReader(service, part, member, member.name, findings).read()
                except MemberBroken as error:
                    findings.problem(0, "archive.damaged", str(error))
                except ImportFailed as error:
                    findings.problem(0, error.code, str(error))
    if not known:
        raise _nothing()
    findings.encoding = "utf-8"


def _nothing() -> ImportFailed:
    return ImportFailed(
        "The archive holds nothing that is known here.",
        code="import.nothing_found",
        hint="Where a service lets you choose, ask for JSON instead of HTML.",
    )


class _MemberReader:
    """Reads one member as its part of the description says."""

    def __init__(
        self, service: Service, part: Part, member: Source, name: str, findings: Findings
    ) -> None:
        self._service = service
        self._part = part
        self._member = member
        self._folder = folder(name) if name else service.title
        self._findings = findings
        path, _, last = name.rpartition("/")
        self._roots: dict[str, Any] = {
            "#stem": last.rpartition(".")[0] or last,
            "#folder": path.rpartition("/")[2],
        }

    def read(self) -> None:
        if self._part.reader == "json":
            self._json()
        elif self._part.reader == "csv":
            self._csv()
        else:
            _WHOLE_FILES[str(self._part.reader)](self._member)(self._findings)

    def _json(self) -> None:
        findings, part = self._findings, self._part
        if part.beside:
            self._roots |= self._beside()
        with self._member.open() as stream:
            items = None
            try:
                items = JsonItems(stream, part.at)
                for item in items:
                    findings.entries += 1
                    if item.problem is not None:
                        findings.problem(item.line, *item.problem)
                    else:
                        self._take(item.value, item.line)
            except JsonBroken as error:
                findings.problem(
                    error.line, "json.broken", "From here on the file is no JSON; it ends early."
                )
        if items is not None and items.mended:
            findings.assumptions.append("Some characters could not be read; they stand as \ufffd.")

    def _beside(self) -> dict[str, Any]:
        """What stands in the file once, beside the entries: the title of a conversation."""
        found: dict[str, list[Any]] = {}
        with self._member.open() as stream:
            try:
                for item in JsonItems(stream, self._part.beside):
                    name = "@" + ".".join(item.path).replace(".[]", "[]")
                    values = found.setdefault(name, [])
                    if item.problem is None and len(values) < MAX_BESIDE:
                        values.append(item.value)
            except JsonBroken:
                pass  # said by who reads the entries
        return {
            name: values if "[]" in name else values[0] for name, values in found.items() if values
        }

    def _csv(self) -> None:
        findings = self._findings
        table = Table.of(self._member)
        if table.encoding.assumption:
            findings.assumptions.append(table.encoding.assumption)
        width = len(table.header)
        for row in table.rows():
            findings.entries += 1
            if row.problem is not None:
                findings.problem(row.line, *row.problem)
            elif len(row.cells) < width or any(row.cells[width:]):
                findings.problem(
                    row.line, "csv.columns", "The row has more or fewer cells than the header."
                )
            else:
                self._take(dict(zip(table.header, row.cells, strict=False)), row.line)

    def _take(self, entry: Any, line: int) -> None:
        fits = False
        for make in self._part.makes:
            if not all(self._holds(condition, entry) for condition in make.conditions):
                continue
            if not make.each:
                fits = self._draft(make, entry, None, line) or fits
                continue
            for number, inner in enumerate(_find(entry, make.each)):
                if number >= MAX_EACH:
                    self._findings.problem(line, "json.too_large", "An entry is too large.")
                    break
                fits = self._draft(make, inner, entry, line) or fits
        if not fits:
            self._findings.leave_out(self._folder)

    def _draft(self, make: Make, entry: Any, outer: Any, line: int) -> bool:
        fields: JsonObject = {}
        said = False
        for name, source in make.fields:
            value: Json = source.constant or self._value(source, entry, outer)
            if value is None or value == []:
                continue
            said = said or not source.constant
            group, _, part = name.partition(".")
            if part:
                inner = fields.setdefault(group, {})
                if isinstance(inner, dict):
                    inner[part] = value
            else:
                fields[group] = value
        if said:
            self._findings.draft(make.category, fields, line=line, entry="entry", about=make.about)
        return said

    def _value(self, source: From, entry: Any, outer: Any) -> Json:
        for place in source.places:
            values = self._values(place, entry, outer)
            if not values:
                continue
            if source.conversion == "words":
                words: Mapping[str, str] = self._service.words[source.argument]
                text = next(filter(None, map(plain, values)), "")
                found: Json = words.get(text.casefold(), words.get("*")) if text else None
            elif source.conversion == "started":
                found = started(values, self._values((source.argument,), entry, outer))
            else:
                found = CONVERSIONS[source.conversion](values, source.argument)
            if found is not None:
                return found
        return None

    def _values(self, place: Place, entry: Any, outer: Any) -> list[Any]:
        """What is at a place, texts mended and empty words gone."""
        root = place[0] if place else ""
        if root[:1] in ("#", "@"):
            name = ".".join(place)
            named = name if name in self._roots else root
            rest = () if named == name else place[1:]
            known = self._roots.get(named)
            found = [
                value
                for one in (known if isinstance(known, list) else [known])
                for value in _find(one, rest)
            ]
        elif root == "^":
            found = _find(outer, place[1:])
        else:
            found = _find(entry, place)
        if self._service.mend:
            found = [mend(value) for value in found]
        return [value for value in found if value is not None and not self._is_empty(value)]

    def _is_empty(self, value: Any) -> bool:
        return isinstance(value, str) and (not value.strip() or value in self._service.empty)

    def _holds(self, condition: Condition, entry: Any) -> bool:
        values = self._values(condition.place, entry, None)
        if condition.wanted is None:
            return bool(values) != condition.negated
        return (condition.wanted in map(plain, values)) != condition.negated


def _find(value: Any, place: Place) -> list[Any]:
    """The values at a place; ``*`` is every member of a list, a number one of them."""
    found = [value]
    for step in place:
        inner: list[Any] = []
        for one in found:
            if isinstance(one, dict) and step in one:
                inner.append(one[step])
            elif isinstance(one, list) and step == "*":
                inner += one
            elif isinstance(one, list) and step.isdecimal() and int(step) < len(one):
                inner.append(one[int(step)])
        found = inner
    # A list where one value is wanted stands for its members.
    return [each for one in found for each in (one if isinstance(one, list) else [one])]
