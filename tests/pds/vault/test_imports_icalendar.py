"""Calendars: events, tasks and notes from iCalendar files."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pds.vault.imports import ImportFailed, icalendar_reader
from tests.importing import Reading, collect, read

FIXTURE = Path(__file__).parents[2] / "fixtures" / "import" / "calendar.ics"


def calendar(*lines: str) -> Reading:
    text = "\r\n".join(("BEGIN:VCALENDAR", *lines, "END:VCALENDAR", ""))
    return collect("icalendar", icalendar_reader(text.encode()))


def event(*lines: str) -> dict[str, object]:
    """The one event of a calendar."""
    reading = calendar("BEGIN:VEVENT", "SUMMARY:x", *lines, "END:VEVENT")
    assert reading.problems == ()
    (draft,) = reading.drafts
    return dict(draft.fields)


@pytest.mark.parametrize(
    ("name", "categories"),
    [
        ("broken_ical.ics", ["events"]),
        ("calendar_with_unicode.ics", []),
        ("example.ics", ["events"] * 3),
        ("issue_1050_calendar_with_events_and_todos.ics", ["events", "events", "tasks", "note"]),
    ],
)
def test_samples_import_without_a_problem(samples: Path, name: str, categories: list[str]) -> None:
    """Calendars as other programs write them, one of them broken on purpose, go in whole."""
    reading = read(samples / "icalendar" / name)
    assert reading.kind == "icalendar"
    assert [draft.category for draft in reading.drafts] == categories
    assert reading.problem_count == 0


def test_sample_times_have_the_offset_of_their_zone(samples: Path) -> None:
    """A zone of IANA gives its offset on that day, and its name."""
    found = read(samples / "icalendar" / "issue_1050_calendar_with_events_and_todos.ics")
    assert found.drafts[0].fields == {
        "uid": "event-1@example.com",
        "title": "Test Event 1",
        "start": "2025-01-15T10:00:00-05:00",
        "end": "2025-01-15T11:00:00-05:00",
        "timezone": "America/New_York",
    }


def test_every_field_of_an_event() -> None:
    """What a full event says, each in its field; folds fall inside characters."""
    fields = read(FIXTURE).drafts[0].fields
    assert fields == {
        "uid": "1@naptar.example",
        "title": "Fogorvos, felső szint",
        "description": "Első sor\nmásodik sor: árvíztűrő tükörfúrógép",
        "start": "2026-11-02T10:00:00+01:00",
        "end": "2026-11-02T10:30:00+01:00",
        "timezone": "Europe/Budapest",
        "location": "Minta utca 3.",
        "latitude": "47.4979",
        "longitude": "19.0402",
        "organizer": "Minta, Anna <anna@minta.example>",
        "attendees": ["Kovács Béla <bela@minta.example>", "cili@minta.example"],
        "categories": ["Egészség", "Család"],
        "status": "confirmed",
        "busy": "yes",
        "class": "private",
        "priority": "5",
        "url": "https://naptar.example/1",
        "changed": "2026-10-31T12:00:00Z",
        "reminders": ["-PT15M"],
        "calendar": "Családi naptár",
    }


def test_recurrence_is_text_and_its_exceptions_are_times() -> None:
    """The rule stays as it is written; days left out or added are starts in their zone."""
    fields = read(FIXTURE).drafts[1].fields
    assert fields["recurrence"] == "FREQ=WEEKLY;BYDAY=MO;UNTIL=20261231T230000Z"
    assert fields["duration"] == "5400"
    assert fields["start"] == "2026-01-05T09:00:00+01:00"
    assert fields["exceptions"] == ["2026-04-06T09:00:00+02:00", "2026-05-25T09:00:00+02:00"]
    assert fields["additions"] == ["2026-04-07T09:00:00+02:00"]
    assert read(FIXTURE).drafts[2].fields["recurrenceId"] == "2026-07-06T09:00:00+02:00"


def test_zones_by_other_names() -> None:
    """By Windows' name, a path, the place beside it, its only offset; one unknown is said."""
    reading = read(FIXTURE)
    starts = [draft.fields.get("start") for draft in reading.drafts[:6]]
    assert starts == [
        "2026-11-02T10:00:00+01:00",
        "2026-01-05T09:00:00+01:00",
        "2026-07-06T11:00:00+02:00",
        "2026-07-20",
        "2026-03-01T12:00:00+05:30",
        "2026-03-01T12:00:00",
    ]
    assert len(reading.assumptions) == 1


def test_task_and_note() -> None:
    """A VTODO is a task of the list that the calendar is; a VJOURNAL with a text is a note."""
    task, note = read(FIXTURE).drafts[6:]
    assert task.category == "tasks"
    assert task.fields == {
        "uid": "6@naptar.example",
        "title": "Mérőállás",
        "due": "2026-03-31",
        "completed": "2026-03-30T18:00:00Z",
        "status": "completed",
        "percent": "100",
        "created": "2026-03-01T08:00:00Z",
        "parent": "5@naptar.example",
        "list": "Családi naptár",
    }
    assert (note.category, note.fields) == ("note", {"title": "Napló", "text": "Esett az eső."})


def test_what_is_bad_is_named_by_its_line() -> None:
    """An end that is no time, an event without an end, one without anything; the rest goes in."""
    reading = read(FIXTURE)
    assert [(p.line, p.code) for p in reading.problems] == [
        (87, "ical.time"),
        (89, "ical.not_closed"),
        (108, "ical.empty"),
    ]
    assert dict(reading.left_out) == {
        "VALARM.DESCRIPTION": 1,
        "VFREEBUSY": 1,
        "X-MINTA-COLOR": 1,
    }
    assert reading.entries == 11


def test_whole_day_that_ends_where_it_begins_is_one_day() -> None:
    """RFC 5545 wants the day after; many programs write the same day."""
    assert "end" not in event("DTSTART;VALUE=DATE:20260101", "DTEND;VALUE=DATE:20260101")
    assert event("DTSTART:20260101", "DTEND:20260103")["end"] == "2026-01-03"


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("PT15M", "900"), ("P1W", "604800"), ("+P1DT1H", "90000"), ("P", "0"), ("-PT5M", None)],
)
def test_durations(text: str, seconds: str | None) -> None:
    """RFC 5545 §3.3.6 in seconds; an event has no negative one."""
    assert event(f"DURATION:{text}").get("duration") == seconds


@pytest.mark.parametrize(
    ("value", "start"),
    [
        ("20260702T100000Z", "2026-07-02T10:00:00Z"),
        ("20260702T100000", "2026-07-02T10:00:00"),
        ("2026-07-02", "2026-07-02"),
    ],
)
def test_times_without_a_zone(value: str, start: str) -> None:
    """UTC is kept as it is, and a local time stays one."""
    assert event(f"DTSTART:{value}")["start"] == start


def test_hour_that_comes_twice_or_never() -> None:
    """Of an hour that comes twice the first; one that is left out keeps an offset."""
    zone = "TZID=Europe/Budapest"
    assert event(f"DTSTART;{zone}:20261025T023000")["start"] == "2026-10-25T02:30:00+02:00"
    assert event(f"DTSTART;{zone}:20260329T023000")["start"] == "2026-03-29T02:30:00+01:00"


def test_day_that_does_not_exist_is_left_out() -> None:
    """The event is kept without it, and the field is named."""
    reading = calendar("BEGIN:VEVENT", "SUMMARY:x", "DTSTART:20260230", "END:VEVENT")
    assert reading.drafts[0].fields == {"title": "x"}
    assert [(p.line, p.code) for p in reading.problems] == [(2, "import.field")]


def test_lists_are_cut_and_counted() -> None:
    """More attendees than a record holds: the first two hundred, and how many were not kept."""
    reading = calendar(
        "BEGIN:VEVENT",
        "SUMMARY:x",
        *(f"ATTENDEE:mailto:a{i}@x.example" for i in range(230)),
        "END:VEVENT",
    )
    attendees = reading.drafts[0].fields["attendees"]
    assert isinstance(attendees, list)
    assert len(attendees) == 200
    assert dict(reading.left_out) == {"attendees": 30}


def test_two_calendars_in_a_file_keep_their_names() -> None:
    """The name of the first is not that of the second."""
    one = "BEGIN:VCALENDAR\nX-WR-CALNAME:A\nBEGIN:VEVENT\nSUMMARY:x\nEND:VEVENT\nEND:VCALENDAR\n"
    two = one.replace("X-WR-CALNAME:A\n", "")
    reading = collect("icalendar", icalendar_reader((one + two).encode()))
    assert [d.fields.get("calendar") for d in reading.drafts] == ["A", None]


def test_legacy_encoding_is_said() -> None:
    """What is not UTF-8 is read as what Hungarian programs wrote, and that is an assumption."""
    data = "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:tűz\nEND:VEVENT\nEND:VCALENDAR\n"
    reading = collect("icalendar", icalendar_reader(data.encode("windows-1250")))
    assert reading.drafts[0].fields["title"] == "tűz"
    assert reading.encoding == "windows-1250"
    assert len(reading.assumptions) == 1
    wide = collect("icalendar", icalendar_reader(data.encode("utf-16")))
    assert (wide.drafts[0].fields["title"], wide.encoding) == ("tűz", "utf-16-le")


def test_file_without_a_calendar() -> None:
    """Nothing to be found is a refusal."""
    with pytest.raises(ImportFailed) as caught:
        collect("icalendar", icalendar_reader(b"hello\n"))
    assert caught.value.code == "import.nothing_found"


_TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs", "Cc", "Cn", "Zl", "Zp")), min_size=1
).map(str.strip)
_WORDS = _TEXT.filter(bool)


def _escape(text: str) -> str:
    for character in "\\;,":
        text = text.replace(character, "\\" + character)
    return text


def _folded(line: str) -> bytes:
    octets = line.encode()
    return b"\r\n ".join(octets[i : i + 70] for i in range(0, len(octets), 70)) + b"\r\n"


@given(
    title=_WORDS,
    categories=st.lists(_WORDS.filter(lambda t: len(t) < 100), max_size=3, unique=True),
    start=st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)),
    length=st.integers(1, 10**6),
)
def test_what_is_written_is_read(
    title: str, categories: list[str], start: datetime, length: int
) -> None:
    """Any event that is written as RFC 5545 says reads back as it was."""
    import unicodedata

    begin = start.replace(microsecond=0)
    lines = [
        f"SUMMARY:{_escape(title)}",
        "CATEGORIES:" + ",".join(map(_escape, categories)),
        f"DTSTART:{begin:%Y%m%dT%H%M%S}Z".replace("DTSTART:", "DTSTART:"),
        f"DTEND:{begin + timedelta(seconds=length):%Y%m%dT%H%M%S}Z",
    ]
    data = b"BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\n" + b"".join(map(_folded, lines))
    reading = collect("icalendar", icalendar_reader(data + b"END:VEVENT\r\nEND:VCALENDAR\r\n"))
    (draft,) = reading.drafts
    composed = unicodedata.normalize("NFC", title).strip()
    if len(composed) <= 1000:
        assert draft.fields["title"] == composed
    wanted = list(dict.fromkeys(unicodedata.normalize("NFC", c).strip() for c in categories))
    assert draft.fields.get("categories", []) == wanted
    assert draft.fields["start"] == f"{begin.replace(tzinfo=UTC).isoformat()[:19]}Z"
    assert str(draft.fields["end"]).endswith("Z")
