"""One spelling of a point in time."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.errors import TimeFormatError
from did.time import format_time, parse_time, utc_now


@settings(deadline=None, max_examples=100)
@given(st.datetimes(timezones=st.just(UTC)))
def test_time_round_trip(moment: datetime) -> None:
    """Whole seconds are read back; fractions are cut off, never rounded up."""
    assert parse_time(format_time(moment)) == moment.replace(microsecond=0)


def test_another_zone_is_written_in_utc() -> None:
    """The same moment has the same text."""
    moment = datetime(2026, 1, 1, 0, 30, tzinfo=timezone(timedelta(hours=1)))
    assert format_time(moment) == "2025-12-31T23:30:00Z"


def test_a_naive_time_is_not_written() -> None:
    """Its zone could only be guessed."""
    with pytest.raises(TimeFormatError) as caught:
        format_time(datetime(2026, 1, 1))
    assert caught.value.code == "time.format"


@pytest.mark.parametrize(
    "text",
    [
        "2026-02-30T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T23:59:60Z",
        "0000-01-01T00:00:00Z",
    ],
)
def test_times_that_no_calendar_has(text: str) -> None:
    """Right form, no such moment."""
    with pytest.raises(TimeFormatError):
        parse_time(text)


def test_the_clock_is_in_utc() -> None:
    """utc_now is aware."""
    assert utc_now().utcoffset() == timedelta(0)
