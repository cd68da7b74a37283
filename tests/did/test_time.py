"""One spelling of a point in time."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.errors import TimeFormatError
from did.time import format_time, parse_date_time_stamp, parse_time, utc_now


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


@settings(deadline=None, max_examples=100)
@given(
    st.datetimes(
        min_value=datetime(2, 1, 1),
        max_value=datetime(9998, 1, 1),
        timezones=st.integers(-14 * 60, 14 * 60).map(lambda m: timezone(timedelta(minutes=m))),
    )
)
def test_a_date_time_stamp_is_read_in_any_zone(moment: datetime) -> None:
    """To the microsecond, and given back in UTC."""
    read = parse_date_time_stamp(moment.isoformat())
    assert read == moment
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("2025-12-31T24:00:00Z", "2026-01-01T00:00:00Z"),
        ("2025-12-31T24:00:00.000-14:00", "2026-01-01T14:00:00Z"),
        ("2026-01-01T00:00:00.123456789Z", "2026-01-01T00:00:00Z"),
        ("2026-01-01T00:00:00-00:00", "2026-01-01T00:00:00Z"),
    ],
)
def test_other_spellings_of_a_date_time_stamp(text: str, same: str) -> None:
    """24:00:00 is the end of a day; what goes beyond microseconds is cut off."""
    assert parse_date_time_stamp(text).replace(microsecond=0) == parse_time(same)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T00:00:00",
        "2026-01-01",
        "2026-01-01T00:00:00z",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00:00,5Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00+14:01",
        "2026-01-01T00:00:00+15:00",
        "2026-01-01T00:00:00+01",
        "2026-01-01T00:00:00+0100",
        "2026-01-01T24:00:01Z",
        "2026-01-01T24:00:00.1Z",
        "2026-01-01T23:59:60Z",
        "2026-02-30T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "-2026-01-01T00:00:00Z",
        "12026-01-01T00:00:00Z",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T24:00:00Z",
        "9999-12-31T23:00:00-02:00",
        "2026-W01-1T00:00:00Z",
        "\uff12026-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z\n",
    ],
)
def test_what_is_no_date_time_stamp(text: str) -> None:
    """No zone, another form, or a moment that no clock here reaches."""
    with pytest.raises(TimeFormatError):
        parse_date_time_stamp(text)
