"""Names of time zones in calendars as those of the IANA database.

Programs name zones in their own ways: with a path before the name, or as Windows does. The list
for Windows is Unicode's, as tzlocal has it.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

_OFFSET = re.compile(r"([+-])([0-9]{2})([0-9]{2})(?:[0-9]{2})?")


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones())


@cache
def _windows() -> Mapping[str, str]:
    from tzlocal.windows_tz import win_tz

    names: Mapping[str, str] = win_tz
    return names


def iana_name(name: str) -> str:
    """The IANA name of a zone that a calendar names; empty where it cannot be told."""
    name = name.strip()
    if name in _windows():
        return _windows()[name]
    # /example.org/20050126_1/Europe/Budapest, America/Argentina/Salta
    parts = [part for part in name.split("/") if part]
    for length in (3, 2, 1):
        last = "/".join(parts[-length:])
        if last in _names():
            return last
    return ""


def offset_at(name: str, local: str) -> str:
    """The offset from UTC of an IANA zone at a local time, as ``+02:00``; empty where there is
    none to the minute. Of an hour that comes twice the first."""
    try:
        offset = datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(name)).utcoffset()
    except (ValueError, OverflowError, OSError, KeyError):
        return ""
    if offset is None or offset.seconds % 60:
        return ""
    minutes = offset.days * 1440 + offset.seconds // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def fixed_offset(text: str) -> str:
    """``+0200`` as ``+02:00``; empty for others."""
    match = _OFFSET.fullmatch(text.strip())
    return f"{match[1]}{match[2]}:{match[3]}" if match else ""
