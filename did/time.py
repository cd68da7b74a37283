"""Points in time: as the protocol writes them, and as documents of the standards do.

Our own is UTC, whole seconds, one spelling; the standards have xsd:dateTimeStamp.
"""

import re
from datetime import UTC, datetime, timedelta

from did.errors import TimeFormatError

# RFC 3339 narrowed to one form. fromisoformat() alone also takes naive, week and basic dates.
_FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
# XML Schema 1.1 Part 2 §3.4.28: a zone is required, a fraction allowed, 24:00:00 ends a day.
_STAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T)([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?"
    r"(Z|[+-](?:0[0-9]|1[0-3]):[0-5][0-9]|[+-]14:00)"
)
_HINT = "Write UTC with whole seconds, as in 2026-01-31T09:30:00Z."


def parse_time(text: str) -> datetime:
    """Read exactly ``YYYY-MM-DDTHH:MM:SSZ`` and return an aware datetime in UTC.

    Leap seconds, fractions, offsets and every other ISO 8601 form are refused.
    Raises ``TimeFormatError`` (``time.format``).
    """
    if _FORM.fullmatch(text) is None:
        raise TimeFormatError("a time must be written YYYY-MM-DDTHH:MM:SSZ", hint=_HINT)
    return _in_calendar(text)


def _in_calendar(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise TimeFormatError("the time does not exist in the calendar", hint=_HINT) from None


def parse_date_time_stamp(text: str) -> datetime:
    """Read an xsd:dateTimeStamp and return an aware datetime in UTC.

    Not read, as no clock here reaches them: years before 0001 and after 9999, and more than nine
    digits of a second; of these, what goes beyond microseconds is cut off. Raises
    ``TimeFormatError`` (``time.format``).
    """
    if _FORM.fullmatch(text) is not None and text[11:13] != "24":
        return _in_calendar(text)  # the common form, and the quicker reading
    found = _STAMP.fullmatch(text)
    if found is None:
        raise TimeFormatError("a time must be an xsd:dateTimeStamp with a zone", hint=_HINT)
    day, clock, fraction, zone = found.groups()
    ends_day = clock == "24:00:00" and not (fraction or "").strip("0")
    try:
        time = datetime.fromisoformat(
            day
            + ("00:00:00" if ends_day else clock)
            + "."
            + (fraction or "")[:6].ljust(6, "0")
            + zone.replace("Z", "+00:00")
        )
        return (time + timedelta(days=ends_day)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise TimeFormatError("the time does not exist in the calendar", hint=_HINT) from None


def format_time(t: datetime) -> str:
    """Write an aware datetime as ``YYYY-MM-DDTHH:MM:SSZ``; fractions of a second are cut off.

    Raises ``TimeFormatError`` for a naive datetime, whose zone could only be guessed.
    """
    if t.utcoffset() is None:
        raise TimeFormatError(
            "a time without a zone cannot be written", hint="Use datetime.now(UTC)."
        )
    if t.tzinfo is not UTC:  # as it nearly always is, and moving it takes longer than writing it
        t = t.astimezone(UTC)
    return t.isoformat()[:19] + "Z"


def check_now(now: datetime) -> None:
    """Refuse a clock without a time zone, which cannot be compared with any time in a document.

    For whoever takes ``now``, before anything else. Raises ``ValueError``: a mistake in the calling
    program, and none in what was to be verified.
    """
    if now.tzinfo is not UTC and now.utcoffset() is None:
        raise ValueError("now must know its time zone: use datetime.now(UTC)")


def utc_now() -> datetime:
    """The system's clock, in UTC. For the edge of a program; the core takes ``now``."""
    return datetime.now(UTC)
