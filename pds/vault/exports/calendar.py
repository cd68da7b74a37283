"""Events as iCalendar (RFC 5545), for calendars.

Which field is which property stands in tables, by the names of the category ``events`` and of
schema.org's Event. Days stay days. A time is written in UTC where its offset or its zone is known,
and without a zone where neither is. What repeats is written in local time with the name of its
zone, because a meeting at nine stays at nine when the clocks change; the zone is given by its IANA
name alone, which calendars know, without a definition of it in the file.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, tzinfo

from did.json import JsonObject
from pds.vault.records.origins import ITEM

from .lines import escaped, line
from .tables import text_of

BEGIN = (
    line("BEGIN", "VCALENDAR")
    + line("VERSION", "2.0")
    + line("PRODID", "-//personal-data-store//export//EN")
)
END = line("END", "VCALENDAR")

# Property, and the fields that may hold it, the best first.
_TEXTS = (
    ("SUMMARY", ("title", "name", "summary")),
    ("LOCATION", ("location", "place")),
    ("DESCRIPTION", ("description", "note")),
)
_TIMES = (
    ("DTSTART", ("start", "startDate")),
    ("DTEND", ("end", "endDate")),
    ("RECURRENCE-ID", ("recurrenceId",)),
    ("EXDATE", ("exceptions",)),
    ("RDATE", ("additions",)),
)
# Property, its field, and what each word of the field is in a calendar.
_WORDS = (
    ("STATUS", "status", {w: w.upper() for w in ("tentative", "confirmed", "cancelled")}),
    ("TRANSP", "busy", {"yes": "OPAQUE", "no": "TRANSPARENT"}),
    ("CLASS", "class", {w: w.upper() for w in ("public", "private", "confidential")}),
    ("PRIORITY", "priority", {str(n): str(n) for n in range(10)}),
)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_RULE = re.compile(r"[A-Z]+=[A-Za-z0-9,+\-]+(?:;[A-Z]+=[A-Za-z0-9,+\-]+)*")
_BEFORE = re.compile(r"[+-]?P[0-9TWDHMS]{2,20}")
_MAILBOX = re.compile(r"(?:([^<>\"\r\n]*) <)?([^<>\s\",;:]+@[^<>\s\",;:]+)>?")
_NUMBER = re.compile(r"-?[0-9]{1,3}(?:\.[0-9]{1,15})?")


def event(record_id: str, changed: str, fields: JsonObject) -> bytes:
    """One VEVENT; empty for a record that has no day, which a calendar cannot place."""
    rule = _first(fields, ("recurrence", "rrule")).removeprefix("RRULE:")
    repeats = rule.startswith("FREQ=") and _RULE.fullmatch(rule) is not None
    zone = _zone(_first(fields, ("timezone",)))
    times: dict[str, bytes] = {}
    for name, places in _TIMES:
        kept = [t for text in _texts(fields, places) if (t := _time(text, zone, repeats=repeats))]
        # §3.8.2.2 and its like: all of one kind, day or time, with or without a zone.
        kind = times["DTSTART"].partition(b":")[0][7:].decode() if times else None
        values = [value for form, value in kept if kind is None or form == kind]
        if values:
            times[name] = line(name + (kept[0][0] if kind is None else kind), ",".join(values))
        if name == "DTSTART" and not values:
            return b""
    stamp = changed.replace("-", "").replace(":", "")
    uid = _first(fields, ("uid",)) or record_id
    out = [line("BEGIN", "VEVENT"), line("UID", escaped(uid)), line("DTSTAMP", stamp)]
    out += [line(ITEM, record_id), line("LAST-MODIFIED", stamp)]
    out += times.values()
    seconds = _first(fields, ("duration",))
    if "DTEND" not in times and seconds.isascii() and seconds.isdigit():
        out.append(line("DURATION", f"PT{seconds}S"))
    if repeats:
        out.append(line("RRULE", rule))
    for name, keys in _TEXTS:
        text = _first(fields, keys)
        if text:
            out.append(line(name, escaped(text)))
    categories = ",".join(map(escaped, _texts(fields, ("categories",))))
    if categories:
        out.append(line("CATEGORIES", categories))
    for person in _texts(fields, ("organizer",)):
        out.append(_person("ORGANIZER", person))
    out += (_person("ATTENDEE", person) for person in _texts(fields, ("attendees",)))
    for name, key, words in _WORDS:
        word = words.get(_first(fields, (key,)))
        if word is not None:
            out.append(line(name, word))
    place = [_first(fields, (key,)) for key in ("latitude", "longitude")]
    if all(map(_NUMBER.fullmatch, place)):
        out.append(line("GEO", ";".join(place)))
    url = _first(fields, ("url",))
    if re.fullmatch(r"https?://\S+", url, re.IGNORECASE):
        out.append(line("URL", url))
    for before in _texts(fields, ("reminders",)):
        if _BEFORE.fullmatch(before):
            # An alarm without a text (§3.6.6): there is none to give.
            out += [line("BEGIN", "VALARM"), line("ACTION", "AUDIO"), line("TRIGGER", before)]
            out.append(line("END", "VALARM"))
    out.append(line("END", "VEVENT"))
    return b"".join(out)


def _first(fields: JsonObject, keys: Iterable[str]) -> str:
    return next((text_of(fields[key]) for key in keys if fields.get(key)), "")


def _texts(fields: JsonObject, keys: Iterable[str]) -> list[str]:
    value = next((fields[key] for key in keys if fields.get(key)), None)
    found = value if isinstance(value, list) else [value]
    return [text for text in found if isinstance(text, str)]


def _person(name: str, text: str) -> bytes:
    """``Anna <anna@person.example>``, an address or a name (§3.8.4.1 wants an address)."""
    match = _MAILBOX.fullmatch(text)
    said = text if match is None else match[1]
    address = "invalid:nomail" if match is None else f"mailto:{match[2]}"
    common = "" if not said else ';CN="' + " ".join(said.replace('"', "'").split()) + '"'
    return line(name + common, address)


def _zone(name: str) -> tzinfo | None:
    if not re.fullmatch(r"[A-Za-z0-9_+\-]+(?:/[A-Za-z0-9_+\-]+)*", name):
        return None
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # one that is not known, or a folder of zones
        return None


def _time(text: str, zone: tzinfo | None, *, repeats: bool) -> tuple[str, str] | None:
    """A day or a time as (parameters, value)."""
    try:
        at = datetime.fromisoformat(text)
        if _DAY.fullmatch(text):
            return ";VALUE=DATE", text.replace("-", "")
        if "T" not in text:
            return None
        if at.tzinfo is None and zone is not None:
            at = at.replace(tzinfo=zone)
        if at.tzinfo is None:
            return "", _plain(at)
        if repeats and zone is not None:
            return f";TZID={zone}", _plain(at.astimezone(zone))
        return "", _plain(at.astimezone(UTC)) + "Z"
    except (ValueError, OverflowError):
        return None


def _plain(at: datetime) -> str:
    text = at.replace(microsecond=0, tzinfo=None).isoformat()
    return text.replace("-", "").replace(":", "")
