"""Calendars: from iCalendar (RFC 5545) to events, tasks and notes.

Times are kept as they are where they were written, with their offset where the zone is known by
name; a rule of recurrence is kept as text. Time zones and the name of a calendar are expected
before the entries that they belong to, where all programs write them.
"""

import re
from functools import partial
from pathlib import Path

from did.json import Json, JsonObject
from pds.vault.records.origins import ITEM, Origin

from .calendar_parts import Entry, Property, read_entries
from .calendar_zones import fixed_offset, iana_name, offset_at
from .moments import edition, utc
from .plan import Findings, ImportFailed, Read
from .source import Source
from .text import bytes_in, clean, is_utf8, legacy_encoding, recoded

MAX_ITEMS = 200
MAX_ZONES = 500

_TIME = re.compile(
    r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})(?:T([0-9]{2}):?([0-9]{2}):?([0-9]{2})(Z)?)?"
)
_DURATION = re.compile(
    r"\+?P(?:([0-9]{1,6})W)?(?:([0-9]{1,6})D)?"
    r"(?:T(?:([0-9]{1,6})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,6})S)?)?"
)
_GEO = re.compile(r"\s*([+-]?[0-9.]{1,18})\s*[;,]\s*([+-]?[0-9.]{1,18})\s*")

# Properties whose text is a field.
_TEXTS = {
    "SUMMARY": "title",
    "DESCRIPTION": "description",
    "LOCATION": "location",
    "URL": "url",
    "UID": "uid",
    "COMMENT": "note",
    "PRIORITY": "priority",
    "RRULE": "recurrence",
}
_WORDS = {"STATUS": "status", "CLASS": "class"}
_EVENT_TIMES = {"DTSTART": "start", "DTEND": "end", "RECURRENCE-ID": "recurrenceId"}
_TASK_TIMES = {"DTSTART": "start", "DUE": "due"}
_TASK_MOMENTS = {"COMPLETED": "completed", "CREATED": "created"}
_LISTS = {"EXDATE": "exceptions", "RDATE": "additions"}
# Of the file, not of the person: not worth a word to anyone.
_SILENT = frozenset({"DTSTAMP", "SEQUENCE", "PRODID", "VERSION", "CALSCALE", "METHOD", "ACTION",
                     "X-WR-TIMEZONE", ITEM, "X-WR-RELCALID", "X-PUBLISHED-TTL"})  # fmt: skip


def icalendar_reader(data: bytes | Path | Source) -> Read:
    """How a calendar is read, of any length (UTF-16: at most 64 MiB).

    Each VEVENT becomes one ``events`` record, each VTODO one of ``tasks``, each VJOURNAL with a
    text a ``note``. Bytes are UTF-8, or else Windows-1250 or -1252, which is then among the
    assumptions.

    Problems: ``ical.not_closed``, ``ical.not_opened``, ``ical.line_too_long``,
    ``ical.too_large``, ``ical.nul``, ``ical.empty`` end one entry; ``ical.line``,
    ``ical.charset``, ``ical.time``, ``import.field`` leave out a part of one.
    Raises ImportFailed: ``import.too_large``, ``import.empty``; reading raises
    ``import.nothing_found`` (no calendar).
    """
    source, encoding = recoded(Source.of(data))
    return partial(_read, source, encoding)


def _read(source: Source, encoding: str, findings: Findings) -> None:
    legacy = None if is_utf8(source) else legacy_encoding(bytes_in(source))
    reader = _CalendarReader(findings)
    with source.open() as stream:
        for entry in read_entries(stream, legacy=legacy, problem=findings.problem):
            reader.take(entry)
    if not reader.seen:
        raise ImportFailed(
            "The file holds no calendar.",
            code="import.nothing_found",
            hint="Check that it is the file that you meant, or export it anew.",
        )
    findings.encoding = encoding
    if reader.guessed:
        findings.encoding = " and ".join(sorted(reader.guessed))
        findings.assumptions.append(
            f"Some of the file is not UTF-8; it was read as {findings.encoding}. Check the accents."
        )
    if reader.zone_unknown:
        findings.assumptions.append(
            "Some times are in a zone that is not known by its name;"
            " they are kept as local times, without their offset."
        )


class _CalendarReader:
    """Turns entries into drafts, with what the calendar has said of itself before."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._calendar = ""
        self._zones: dict[str, tuple[str, str]] = {}  # as named → IANA name, its only offset
        self.seen = self.zone_unknown = False
        self.guessed: set[str] = set()

    def take(self, entry: Entry) -> None:
        self.seen = True
        self.guessed.update(p.guessed for p in entry.properties if p.guessed)
        if entry.kind == "VCALENDAR":
            self._header(entry.properties)
            return
        if entry.kind == "VTIMEZONE" and entry.problem is None:
            self._zone(entry.properties)
            return
        self._findings.entries += 1
        if entry.problem is not None:
            self._findings.problem(entry.line, *entry.problem)
        elif entry.kind == "VEVENT":
            self._draft("events", self._event(entry.properties), entry)
        elif entry.kind == "VTODO":
            self._draft("tasks", self._task(entry.properties), entry)
        elif entry.kind == "VJOURNAL":
            self._draft("note", self._note(entry.properties), entry)
        else:
            self._findings.leave_out(entry.kind)

    def _draft(self, category: str, fields: JsonObject, entry: Entry) -> None:
        if set(fields) <= {"uid", "calendar", "list", "timezone", "changed", "created"}:
            self._findings.problem(
                entry.line, "ical.empty", "The entry holds nothing that can be kept."
            )
            return
        self._findings.draft(
            category, fields, line=entry.line, entry="entry", origin=_origin(entry.properties)
        )

    def _header(self, properties: list[Property]) -> None:
        if not properties:
            self._calendar = ""
        for prop in properties:
            if prop.name in ("X-WR-CALNAME", "NAME"):
                self._calendar = prop.text()[:200]
            elif prop.name not in _SILENT:
                self._findings.leave_out(prop.name)

    def _zone(self, properties: list[Property]) -> None:
        """A name that says nothing may have the IANA name beside it, or one offset for ever."""
        name = next((p.raw.strip() for p in properties if p.name == "TZID"), "")
        lic = next((p.raw for p in properties if p.name == "X-LIC-LOCATION"), "")
        offsets = {fixed_offset(p.raw) for p in properties if p.name == "TZOFFSETTO"}
        if name and len(self._zones) < MAX_ZONES:
            only = offsets.pop() if len(offsets) == 1 else ""
            self._zones[name] = (iana_name(name) or iana_name(lic), only)

    def _event(self, properties: list[Property]) -> JsonObject:
        fields: JsonObject = {}
        lists: dict[str, list[str]] = {}
        for prop in properties:
            name, text = prop.name, prop.text()
            if prop.within:
                if name == "TRIGGER" and prop.within == "VALARM":
                    lists.setdefault("reminders", []).append(text)
                elif name not in _SILENT:
                    self._findings.leave_out(f"{prop.within}.{name}")
            elif self._common(prop, text, fields, lists, _EVENT_TIMES):
                pass
            elif name in _LISTS:
                lists.setdefault(_LISTS[name], []).extend(self._times(prop))
            elif name == "DURATION":
                _first(fields, "duration", _seconds(text))
            elif name == "ORGANIZER":
                _first(fields, "organizer", _person(prop))
            elif name == "ATTENDEE":
                lists.setdefault("attendees", []).append(_person(prop))
            elif name == "TRANSP":
                _first(fields, "busy", {"OPAQUE": "yes", "TRANSPARENT": "no"}.get(text.upper(), ""))
            elif name == "GEO" and (place := _GEO.fullmatch(prop.raw)) is not None:
                fields["latitude"], fields["longitude"] = _degrees(place[1]), _degrees(place[2])
            elif name not in _SILENT:
                self._findings.leave_out(name)
        # RFC 5545 §3.6.1: without an end a whole day is one; many write the same day there.
        start = str(fields.get("start", ""))
        if len(start) == 10 and fields.get("end") == start:
            del fields["end"]
        return self._finish(fields, lists, "calendar")

    def _task(self, properties: list[Property]) -> JsonObject:
        fields: JsonObject = {}
        lists: dict[str, list[str]] = {}
        for prop in properties:
            name, text = prop.name, prop.text()
            if prop.within:
                if name not in _SILENT:
                    self._findings.leave_out(f"{prop.within}.{name}")
            elif name in _TASK_MOMENTS:
                _first(fields, _TASK_MOMENTS[name], self._moment(prop))
            elif name == "CLASS":
                self._findings.leave_out(name)
            elif self._common(prop, text, fields, lists, _TASK_TIMES):
                pass
            elif name == "PERCENT-COMPLETE":
                _first(fields, "percent", text)
            elif name == "RELATED-TO" and prop.parameters.get("RELTYPE", "PARENT") == "PARENT":
                _first(fields, "parent", text)
            elif name not in _SILENT:
                self._findings.leave_out(name)
        return self._finish(fields, lists, "list")

    def _note(self, properties: list[Property]) -> JsonObject:
        texts = {p.name: p.text() for p in properties if p.name in ("SUMMARY", "DESCRIPTION")}
        for prop in properties:
            if prop.name not in texts and prop.name not in _SILENT:
                self._findings.leave_out(f"VJOURNAL.{prop.name}")
        title, text = texts.get("SUMMARY", ""), texts.get("DESCRIPTION", "")
        if not text:
            return {"text": title} if title else {}
        return {"title": title, "text": text} if title else {"text": text}

    def _common(
        self,
        prop: Property,
        text: str,
        fields: JsonObject,
        lists: dict[str, list[str]],
        times: dict[str, str],
    ) -> bool:
        """What events and tasks have alike; whether this was such a property."""
        name = prop.name
        if name in _TEXTS:
            _first(fields, _TEXTS[name], prop.raw.strip() if name in ("RRULE", "URL") else text)
        elif name in _WORDS:
            _first(fields, _WORDS[name], text.lower())
        elif name in times:
            found = self._times(prop)
            _first(fields, times[name], found[0] if found else "")
            if name in ("DTSTART", "DUE"):
                _first(fields, "timezone", self._zone_of(prop)[0])
        elif name == "LAST-MODIFIED":
            moment = self._moment(prop)
            _first(fields, "changed", moment if moment.endswith("Z") else "")
        elif name == "CATEGORIES":
            lists.setdefault("categories", []).extend(prop.values())
        else:
            return False
        return True

    def _finish(self, fields: JsonObject, lists: dict[str, list[str]], calendar: str) -> JsonObject:
        longest = {"attendees": 500, "categories": 200}
        for key, values in lists.items():
            unique = [v for v in dict.fromkeys(values) if v and len(v) <= longest.get(key, 100)]
            items: list[Json] = [*unique[:MAX_ITEMS]]
            if len(unique) > len(items):
                self._findings.leave_out(key, len(unique) - len(items))
            if items:
                fields[key] = items
        _first(fields, calendar, self._calendar)
        return {key: value for key, value in fields.items() if value}

    def _moment(self, prop: Property) -> str:
        text = next(iter(self._times(prop)), "")
        return utc(text) if len(text) > 19 else text[:10]

    def _times(self, prop: Property) -> list[str]:
        """The dates or times of a property; of a period its beginning."""
        found = []
        for part in prop.raw.split(",")[: 10 * MAX_ITEMS]:
            match = _TIME.fullmatch(part.partition("/")[0].strip())
            if match is None:
                self._findings.problem(
                    prop.line, "ical.time", "A value is not a date or time; it is left out."
                )
                continue
            year, month, day, hour, minute, second, zulu = match.groups()
            text = f"{year}-{month}-{day}"
            if hour is not None:
                text += f"T{hour}:{minute}:{second}"
                text += zulu or self._offset(prop, text)
            found.append(text)
        return found

    def _offset(self, prop: Property, local: str) -> str:
        name, fixed = self._zone_of(prop)
        return offset_at(name, local) if name else fixed

    def _zone_of(self, prop: Property) -> tuple[str, str]:
        named = prop.parameters.get("TZID", "")
        if not named:
            return "", ""
        zone = self._zones.get(named) or (iana_name(named), "")
        self.zone_unknown = self.zone_unknown or zone == ("", "")
        return zone


def _first(fields: JsonObject, key: str, value: str) -> None:
    if value:
        fields.setdefault(key, value)


def _origin(properties: list[Property]) -> Origin | None:
    """What an entry is called at home: one of a series has the time that it had in it beside."""
    said = {p.name: p.text() for p in reversed(properties) if not p.within}
    parts = [said.get("UID", "")]
    if "RECURRENCE-ID" in said:
        parts.append(said["RECURRENCE-ID"])
    return Origin.of(
        *parts,
        sequence=said.get("SEQUENCE", ""),
        changed=edition(said.get("LAST-MODIFIED", "")),
        item=said.get(ITEM, ""),
    )


def _person(prop: Property) -> str:
    name = clean(prop.parameters.get("CN", ""))
    address = prop.text()
    if address.lower() == "invalid:nomail":  # there is none
        return name
    if address[:7].lower() == "mailto:":
        address = address[7:]
    return f"{name} <{address}>" if name and address and name != address else name or address


def _seconds(text: str) -> str:
    match = _DURATION.fullmatch(text)
    if match is None:
        return ""
    weeks, days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return str((((weeks * 7 + days) * 24 + hours) * 60 + minutes) * 60 + seconds)


def _degrees(text: str) -> str:
    return text.removeprefix("+")
