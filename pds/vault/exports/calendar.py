"""Events as iCalendar (RFC 5545), for calendars.

Which field is which property stands in one table, in the words of schema.org's Event. Times with
an offset are written in UTC; days stay days; a time that says no zone is written as floating. A
time zone that a record names beside its times is in the JSON-LD only.
"""

import re
from datetime import UTC, date, datetime, timedelta

from did.json import JsonObject

from .lines import escaped, line
from .tables import text_of

BEGIN = (
    line("BEGIN", "VCALENDAR")
    + line("VERSION", "2.0")
    + line("PRODID", "-//personal-data-store//export//EN")
)
END = line("END", "VCALENDAR")

_START = ("startDate", "start", "startTime", "date")
_END = ("endDate", "end", "endTime")
# Property, and the fields that may hold it, the best first.
_TEXTS = (
    ("SUMMARY", ("name", "title", "summary")),
    ("LOCATION", ("location", "place")),
    ("DESCRIPTION", ("description", "note")),
    ("CATEGORIES", ("eventCategory", "itemCategory", "keywords")),
)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_RULE = re.compile(r"[A-Z]+=[A-Za-z0-9,+\-]+(?:;[A-Z]+=[A-Za-z0-9,+\-]+)*")
_STATUS = {"confirmed": "CONFIRMED", "tentative": "TENTATIVE", "cancelled": "CANCELLED"}


def event(record_id: str, changed: str, fields: JsonObject) -> bytes:
    """One VEVENT; empty for a record that has no day, which a calendar cannot place."""
    start = _when("DTSTART", _first(fields, _START))
    if start is None:
        return b""
    stamp = changed.replace("-", "").replace(":", "")
    out = [line("BEGIN", "VEVENT"), line("UID", escaped(record_id)), line("DTSTAMP", stamp), start]
    end = _when("DTEND", _first(fields, _END), after=b"VALUE=DATE" in start)
    # §3.8.2.2: both of one kind.
    if end is not None and (b"VALUE=DATE" in end) == (b"VALUE=DATE" in start):
        out.append(end)
    for name, keys in _TEXTS:
        text = _first(fields, keys)
        if text:
            out.append(line(name, escaped(text)))
    rule = _first(fields, ("recurrence", "rrule", "recurrenceRule")).removeprefix("RRULE:")
    if rule.startswith("FREQ=") and _RULE.fullmatch(rule):
        out.append(line("RRULE", rule))
    status = _STATUS.get(_first(fields, ("status", "eventStatus")).lower())
    if status is not None:
        out.append(line("STATUS", status))
    url = _first(fields, ("url",))
    if re.fullmatch(r"https?://\S+", url, re.IGNORECASE):
        out.append(line("URL", url))
    out.append(line("END", "VEVENT"))
    return b"".join(out)


def _first(fields: JsonObject, keys: tuple[str, ...]) -> str:
    return next((text_of(fields[key]) for key in keys if fields.get(key)), "")


def _when(name: str, text: str, *, after: bool = False) -> bytes | None:
    """A day or a time as a line. ``after``: the day that a whole-day event ends with is its last
    one in a record, and the one after it in a calendar."""
    try:
        if _DAY.fullmatch(text):
            day = date.fromisoformat(text) + timedelta(days=1 if after and name == "DTEND" else 0)
            return line(f"{name};VALUE=DATE", day.isoformat().replace("-", ""))
        if "T" not in text.upper():
            return None
        at = datetime.fromisoformat(text)
        zone = "" if at.tzinfo is None else "Z"
        at = at if at.tzinfo is None else at.astimezone(UTC)
        plain = at.replace(microsecond=0, tzinfo=None).isoformat()
        return line(name, plain.replace("-", "").replace(":", "") + zone)
    except (ValueError, OverflowError):
        return None
