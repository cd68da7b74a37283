"""Points in time as the protocol writes them: UTC, whole seconds, one spelling."""

import re
from datetime import UTC, datetime

from did.errors import TimeFormatError

# RFC 3339 narrowed to one form. fromisoformat() alone also takes naive, week and basic dates.
_FORM = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z")
_HINT = "Write UTC with whole seconds, as in 2026-01-31T09:30:00Z."


def parse_time(text: str) -> datetime:
    """Read exactly ``YYYY-MM-DDTHH:MM:SSZ`` and return an aware datetime in UTC.

    Leap seconds, fractions, offsets and every other ISO 8601 form are refused.
    Raises ``TimeFormatError`` (``time.format``).
    """
    if _FORM.fullmatch(text) is None:
        raise TimeFormatError("a time must be written YYYY-MM-DDTHH:MM:SSZ", hint=_HINT)
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise TimeFormatError("the time does not exist in the calendar", hint=_HINT) from None


def format_time(t: datetime) -> str:
    """Write an aware datetime as ``YYYY-MM-DDTHH:MM:SSZ``; fractions of a second are cut off.

    Raises ``TimeFormatError`` for a naive datetime, whose zone could only be guessed.
    """
    if t.utcoffset() is None:
        raise TimeFormatError(
            "a time without a zone cannot be written", hint="Use datetime.now(UTC)."
        )
    return t.astimezone(UTC).isoformat("T", "seconds")[:19] + "Z"


def utc_now() -> datetime:
    """The system's clock, in UTC. For the edge of a program; the core takes ``now``."""
    return datetime.now(UTC)
