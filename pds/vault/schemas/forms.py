"""The forms that dates and times have in records, each a format of its schemas.

``date`` is a day; ``partial-date`` a day of which year, month or day may be unknown;
``date-time`` a moment in UTC to the second; ``moment`` any of these that begins with a year;
``calendar-time`` a whole day or a local time, with its offset where it is known. All but
``calendar-time`` sort as text. None knows leap seconds, or a year 0.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Final

_DAY = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_FULL_DATE: Final = re.compile(_DAY)
_PARTIAL_DATE: Final = re.compile(
    r"(?P<year>[0-9]{4})|(?P<month>[0-9]{4}-[0-9]{2})|--(?P<day>[0-9]{2}-[0-9]{2})"
)
_TIME: Final = re.compile(rf"{_DAY}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}")
_OFFSET: Final = re.compile(r"Z|[+-](?:0[0-9]|1[0-4]):[0-5][0-9]")


def is_date(value: object) -> bool:
    """YYYY-MM-DD, a day that there is."""
    if not isinstance(value, str):
        return True  # another keyword refuses it
    return _FULL_DATE.fullmatch(value) is not None and _exists(value)


def is_partial_date(value: object) -> bool:
    """A date, or YYYY-MM, YYYY, --MM-DD."""
    if not isinstance(value, str):
        return True
    part = _PARTIAL_DATE.fullmatch(value)
    if part is None:
        return is_date(value)
    # A day without a year may be 29 February; 2000 was a leap year.
    year, month, day = part.group("year", "month", "day")
    return _exists(f"{year}-01-01" if year else f"{month}-01" if month else f"2000-{day}")


def is_time(value: object) -> bool:
    """YYYY-MM-DDTHH:MM:SSZ, a moment that there is."""
    if not isinstance(value, str):
        return True
    return value[19:] == "Z" and _TIME.fullmatch(value[:19]) is not None and _exists(value[:19])


def is_moment(value: object) -> bool:
    """A moment in UTC, or a date of which month and day may be unknown."""
    if not isinstance(value, str):
        return True
    return is_time(value) if "T" in value else value[:1] != "-" and is_partial_date(value)


def is_calendar_time(value: object) -> bool:
    """A date, or YYYY-MM-DDTHH:MM:SS with ±HH:MM, Z or nothing behind it."""
    if not isinstance(value, str):
        return True
    local, offset = value[:19], value[19:]
    if "T" not in value:
        return is_date(value)
    return (
        _TIME.fullmatch(local) is not None
        and _exists(local)
        and (not offset or _OFFSET.fullmatch(offset) is not None)
    )


FORMS: Final[Mapping[str, Callable[[object], bool]]] = {
    "date": is_date,
    "partial-date": is_partial_date,
    "date-time": is_time,
    "moment": is_moment,
    "calendar-time": is_calendar_time,
}


def sortable(value: str) -> str:
    """A value of any of the forms as one that sorts among moments: a moment, or a part of one.

    A local time with its offset becomes UTC; without one only its day is sure. A day without a
    year has no place among moments and gives an empty text.
    """
    if value.startswith("--"):
        return ""
    if "T" not in value or value.endswith("Z"):
        return value
    if len(value) == 19:
        return value[:10]
    try:
        utc = datetime.fromisoformat(value).astimezone(UTC)
    except (OverflowError, ValueError):  # in the first or the last hours that there are
        return value[:10]
    return f"{utc.replace(tzinfo=None).isoformat()}Z"


def _exists(text: str) -> bool:
    try:
        if len(text) == 10:
            date.fromisoformat(text)
        else:
            datetime.fromisoformat(text)
    except ValueError:
        return False
    return True
