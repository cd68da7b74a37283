"""Times in files as the records have them: a moment in UTC, or the part of a date that is known."""

import re
from datetime import UTC, datetime

_DATE = re.compile(r"[0-9]{4}(?:-[0-9]{2}(?:-[0-9]{2})?)?")
_COMPACT = re.compile(
    r"([0-9]{4})-?([0-9]{2})-?([0-9]{2})T([0-9]{2}):?([0-9]{2}):?([0-9]{2})(?:[.,][0-9]{1,12})?"
    r"(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?"
)
_TIME = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})T(?P<clock>[0-9]{2}:[0-9]{2}(?::[0-9]{2})?)"
    r"(?:[.,][0-9]{1,12})?(?P<offset>Z|[+-][0-9]{2}:?[0-9]{2})?"
)


def moment(text: str) -> str:
    """A date or time of ISO 8601 as ``YYYY-MM-DDTHH:MM:SSZ``, or as the date that it is; parts of
    a second are cut off. A time without an offset is only its day. Empty for what is neither."""
    text = text.strip()
    if _DATE.fullmatch(text) is not None:
        return text
    match = _TIME.fullmatch(text)
    if match is None:
        return ""
    if match["offset"] is None:
        return match["day"]
    return utc(match["day"] + "T" + match["clock"] + match["offset"])


def utc(text: str) -> str:
    """A time with its offset in UTC; empty for one that there is not."""
    try:
        at = datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError):  # no such day, or in the first hours that there are
        return ""
    return f"{at.replace(tzinfo=None, microsecond=0).isoformat()}Z"


def day(text: str) -> str:
    """The day of a date or time of ISO 8601, as it is where it was written."""
    return moment(text) and text.strip()[:10]


def edition(text: str) -> str:
    """When something was last changed, of a card or a calendar (``20260131T120000Z``), in UTC; a
    time without a zone is taken for one in UTC. Empty for what is no time."""
    match = _COMPACT.fullmatch(text.strip())
    if match is None:
        return ""
    year, month, day_, hour, minute, second, offset = match.groups()
    return utc(f"{year}-{month}-{day_}T{hour}:{minute}:{second}{offset or 'Z'}")
