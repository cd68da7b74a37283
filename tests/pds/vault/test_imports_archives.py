"""Archives of large services: what becomes of them, what is left out, and where it says so."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.json import JsonObject
from pds.vault.imports import ImportFailed
from pds.vault.imports.conversions import CONVERSIONS, mend, started
from pds.vault.imports.services import DescriptionError, describe, services
from pds.vault.schemas import BUILT_IN
from tests.importing import Reading, read, zip_of, zipped

ARCHIVES = Path(__file__).parents[2] / "fixtures" / "import" / "archives"


def of(name: str) -> Reading:
    return read(zipped(ARCHIVES / name))


def found(reading: Reading, category: str) -> list[JsonObject]:
    return [draft.fields for draft in reading.drafts if draft.category == category]


def problems(reading: Reading) -> list[tuple[str, int, str]]:
    return [(p.member, p.line, p.code) for p in reading.problems]


# --- the services ---------------------------------------------------------------------------------


def test_google() -> None:
    """Contacts, calendar, places, the old and the new timeline, YouTube, Fit and Chrome."""
    reading = of("google")
    assert (reading.kind, reading.problems) == ("google", ())
    assert [f["name"] for f in found(reading, "contact")] == ["Molnár Zsófia", "Tóth Gergő"]
    assert [f["title"] for f in found(reading, "events")] == ["Fogorvos"]
    locations = found(reading, "locations")
    assert locations[0] == {
        "kind": "point", "company": "Google", "start": "2023-05-01T08:00:00Z",
        "latitude": "47.4979123", "longitude": "19.0402345", "accuracy": "20", "elevation": "112",
        "device": "-1234567890",
    }  # fmt: skip
    assert [(f["kind"], f.get("mode"), f["start"]) for f in locations[1:]] == [
        ("point", None, "2023-05-01T08:05:00Z"),
        ("visit", None, "2023-05-01T09:00:00Z"),
        ("journey", "tram", "2023-05-01T09:45:10Z"),
        ("point", None, "2024-06-01T06:02:00Z"),
        ("point", None, "2024-06-01T06:04:00Z"),
        ("visit", None, "2024-06-01T06:10:00Z"),
        ("journey", "cycling", "2024-06-01T07:00:00Z"),
        ("point", None, "2024-06-02T06:00:00Z"),
    ]
    assert locations[7]["distance"] == "1834.123456789012"  # cut off, never rounded
    assert [(f["name"], f["kind"]) for f in found(reading, "places")[:2]] == [
        ("HOME", "home"),
        ("Könyvesbolt", "starred"),
    ]
    assert found(reading, "places")[2]["list"] == "Kirándulás"  # the name of its file
    assert {(f["display"], f["value"]) for f in found(reading, "observations")} >= {
        ("Steps", "6480"),
        ("Steps", "120"),
        ("Average heart rate", "71.2"),
    }
    assert [f["title"] for f in found(reading, "media")[:1]] == ["Paprikás krumpli"]
    assert found(reading, "activity")[0]["when"] == "2024-01-02T18:00:00Z"
    assert {draft.about for draft in reading.drafts if draft.category == "contact"} == {"other"}
    assert {draft.about for draft in reading.drafts if draft.category != "contact"} == {"self"}
    assert dict(reading.left_out) == {
        "Takeout/Location History": 1,
        "Takeout/Location History (Timeline)": 1,
        "Takeout/Mail": 1,
    }


def test_facebook() -> None:
    """Its broken encoding is mended everywhere; friends are other people, the profile is not."""
    reading = of("facebook")
    assert (reading.kind, reading.problems, reading.left_out) == ("facebook", (), ())
    assert [(d.fields["name"], d.about) for d in reading.drafts if d.category == "contact"] == [
        ("Tóth Gergő", "other"),
        ("Ősz Éva", "other"),
        ("Kovács Réka", "self"),
    ]
    own = found(reading, "contact")[2]
    assert (own["birthDate"], own["address"]) == ("1990-05-07", {"addressLocality": "Győr"})
    assert [f["text"] for f in found(reading, "posts")] == ["Gyönyörű!", "Őszi séta 🍂"]
    first, second = found(reading, "messages")
    assert first == {
        "kind": "chat", "company": "Facebook", "when": "2023-11-14T22:13:20Z",
        "from": "Tóth Gergő", "to": ["Tóth Gergő", "Kovács Réka"], "text": "Jössz? 😀",
        "thread": "Tóth Gergő", "reaction": "❤",
    }  # fmt: skip
    assert second["attachments"] == ["messages/inbox/tothgergo_1/photos/1.jpg"]
    assert [f["name"] for f in found(reading, "segments")][:2] == ["Túrázás", "Kerékpár"]


def test_instagram() -> None:
    """Profile, posts, comments, messages, people followed, interests."""
    reading = of("instagram")
    assert (reading.kind, reading.problems, reading.left_out) == ("instagram", (), ())
    assert [f["text"] for f in found(reading, "posts")] == ["Szép!", "Tó ☀"]
    assert [f["nickname"] for f in found(reading, "contact")] == ["gergo", "reka.k"]
    assert [f["name"] for f in found(reading, "segments")] == ["Hiking"]


def test_spotify() -> None:
    """Both kinds of history; what ended at a time began earlier; playlists, library, inferences."""
    reading = of("spotify")
    assert (reading.kind, reading.problems, reading.left_out) == ("spotify", (), ())
    played = [f for f in found(reading, "media") if f["action"] in ("played", "skipped")]
    assert [(f["title"], f["when"], f["end"], f["duration"]) for f in played] == [
        ("Most múlik pontosan", "2023-01-02T10:10:49Z", "2023-01-02T10:15:00Z", "251"),
        ("Az első", "2023-01-03T06:30:00Z", "2023-01-03T07:00:00Z", "1800"),
        ("Csendes éj", "2019-12-24T18:00:02Z", "2019-12-24T18:00:03Z", "1"),
    ]
    assert found(reading, "media")[0]["note"] == "Futás"  # the playlist around the song
    assert found(reading, "accounts")[0]["name"] == "Visa-1234"
    assert found(reading, "activity")[0]["query"] == "ősz"


def test_netflix_and_amazon() -> None:
    """Tables: viewing, searches, bills; orders with thousands, and words that mean nothing."""
    reading = of("netflix")
    assert (reading.kind, reading.problems) == ("netflix", ())
    (seen,) = found(reading, "media")
    assert (seen["title"], seen["duration"]) == ('Sorozat: 1. évad: "Az első"', "2530")
    assert found(reading, "purchases")[0]["price"] == "4470.4"
    reading = of("amazon")
    assert (reading.kind, reading.problems) == ("amazon", ())
    assert [(f["item"], f["price"], f["date"]) for f in found(reading, "purchases")] == [
        ("Regény", "4.99", "2022-01-02"),
        ("Fényképezőgép", "1019.99", "2021-06-07"),
    ]
    assert found(reading, "activity")[0]["query"] == "regény"
    assert "Not Applicable" not in json.dumps([d.fields for d in reading.drafts])


def test_archive_of_plain_files() -> None:
    """Cards and calendars go in from any archive; one inside it is read too, one level down."""
    card = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:%s\r\nEND:VCARD\r\n"
    deepest = zip_of({"c.vcf": card % b"Third"})
    inner = zip_of({"b.vcf": card % b"Second", "deeper.zip": deepest})
    reading = read(zip_of({"a.vcf": card % b"First", "more/inner.zip": inner, "x/y/z.txt": "x"}))
    assert reading.kind == "plain"
    assert [f["name"] for f in found(reading, "contact")] == ["First", "Second"]
    assert problems(reading) == [("more/inner.zip/deeper.zip", 0, "archive.nested")]
    assert reading.left_out == (("x/y", 1),)


def test_an_archive_of_our_own_is_for_another_command() -> None:
    """Read as any archive or table, half of it would be lost and the rest come in twice."""
    ours = {"manifest.json": "{}", "README.txt": "x", "index.html": "<html>", "contacts.vcf": "x"}
    for data in (zip_of(ours), b"record.id,record.source,name\nx,self,A\n"):
        with pytest.raises(ImportFailed) as caught:
            read(data)
        assert caught.value.code == "import.own_archive"
        assert "pds import" in caught.value.hint


def test_health_records_in_an_archive() -> None:
    """As a telephone's health program writes them: one file for each resource."""
    resource = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"text": "Body weight"},
        "effectiveDateTime": "2026-11-20",
        "valueQuantity": {"value": 71.50, "unit": "kg"},
    }
    path = "apple_health_export/clinical-records/Observation-1.json"
    reading = read(zip_of({path: json.dumps(resource), "apple_health_export/export.xml": "<x/>"}))
    [observation] = found(reading, "observations")
    assert (observation["value"], observation["unit"]) == ("71.5", "kg")


def test_nothing_known_is_said() -> None:
    """An archive of HTML, or an office document, is refused with a way on."""
    with pytest.raises(ImportFailed) as caught:
        read(zip_of({"index.html": "<html>"}))
    assert caught.value.code == "import.nothing_found"
    with pytest.raises(ImportFailed) as caught:
        read(zip_of({"[Content_Types].xml": "<x/>", "word/document.xml": "<x/>"}))
    assert caught.value.code == "import.unsupported"
    reading = read(zip_of({"Takeout/YouTube and YouTube Music/history/watch-history.html": "<x>"}))
    assert "JSON" in reading.assumptions[0]


@pytest.mark.parametrize(
    ("path", "kind", "category"),
    [
        ("google/Takeout/Location History (Timeline)/Timeline.json", "google", "locations"),
        ("google/Takeout/Location History/Records.json", "google", "locations"),
        ("google/Takeout/YouTube and YouTube Music/history/watch-history.json", "google", "media"),
        ("spotify/Spotify Account Data/StreamingHistory_music_0.json", "spotify", "media"),
        ("netflix/CONTENT_INTERACTION/ViewingActivity.csv", "netflix", "media"),
        ("amazon/Retail.OrderHistory.1/Retail.OrderHistory.1.csv", "amazon", "purchases"),
    ],
)
def test_a_file_without_its_archive(path: str, kind: str, category: str) -> None:
    """What is often handed out alone, or was unpacked, is known by what is in it."""
    reading = read((ARCHIVES / path).read_bytes())
    assert (reading.kind, reading.problems) == (kind, ())
    assert category in {draft.category for draft in reading.drafts}


def test_problems_name_the_member_and_the_line() -> None:
    """A bad entry is said with its file and line, and the ones around it go in."""
    name = "Takeout/YouTube and YouTube Music/history/watch-history.json"
    reading = read(
        zip_of(
            {
                name: '[{"title": "Watched a", "time": "2024-01-01T00:00:00Z"},\n{"title": bad},\n'
                '{"title": "Watched b", "titleUrl": "not an address"}]'
            }
        )
    )
    assert [f["title"] for f in found(reading, "media")] == ["a", "b"]
    assert problems(reading) == [(name, 2, "json.entry"), (name, 3, "import.field")]


def test_a_file_that_ends_early() -> None:
    """What came before is kept; the rest is said to be missing."""
    whole = (ARCHIVES / "google/Takeout/Location History/Records.json").read_bytes()
    name = "Takeout/Location History/Records.json"
    counts = set()
    for cut in range(0, len(whole), 7):
        reading = read(zip_of({name: whole[:cut], "Takeout/x.html": "x"})) if cut else None
        if reading is not None:
            counts.add(len(reading.drafts))
            assert [code for _, _, code in problems(reading)][-1:] in (
                ["json.broken"],
                ["json.entry"],
            )
    assert counts == {0, 1, 2}


# --- descriptions ---------------------------------------------------------------------------------


def test_every_description_names_fields_that_exist() -> None:
    """A description is checked as a whole: categories, fields, parts of an address."""
    made = 0
    for service in services():
        for part in service.parts:
            for make in part.makes:
                schema = BUILT_IN.schema_of(make.category)
                for name, source in make.fields:
                    head, _, inner = name.partition(".")
                    assert head in schema["properties"], (service.name, make.category, name)  # type: ignore[operator]
                    if inner:
                        assert inner in schema["$defs"]["address"]["properties"]  # type: ignore[index,call-overload]
                    if source.constant and name == "kind":
                        kinds = schema["properties"]["kind"].get("enum")  # type: ignore[index,call-overload,union-attr]
                        assert kinds is None or source.constant in kinds, (service.name, name)
                    made += 1
    assert made > 200


@pytest.mark.parametrize(
    "part",
    [
        {"files": ["*"], "read": "exe"},
        {"files": ["*"], "red": "json"},
        {
            "files": ["*"],
            "read": "json",
            "make": [{"category": "media", "fields": {"a": "b -> c"}}],
        },
        {"files": ["*"], "read": "json", "make": [{"fields": {}}]},
    ],
)
def test_a_description_that_cannot_be_carried_out(part: JsonObject) -> None:
    """It is refused when it is loaded, not when a file is read."""
    with pytest.raises(DescriptionError):
        describe("x", {"title": "X", "signs": ["*"], "parts": [part]})


@pytest.mark.parametrize(
    ("conversion", "argument", "value", "expected"),
    [
        ("e7", "", "474979123", "47.4979123"),
        ("e7", "", "-5", "-0.0000005"),
        ("e7", "", "9" * 5000, None),
        ("latitude", "", "47.5°, 19.0°", "47.5"),
        ("longitude", "", "geo:47.5,-19.25", "-19.25"),
        ("latitude", "", "somewhere", None),
        ("epoch", "", "1700000000", "2023-11-14T22:13:20Z"),
        ("epoch", "microseconds", "1704218400123456", "2024-01-02T18:00:00Z"),
        ("epoch", "", "9" * 19, None),
        ("epoch", "", "0", None),
        ("utc", "", "2023-01-02 10:15", "2023-01-02T10:15:00Z"),
        ("utc", "", "01/02/2023 10:15:00 UTC", "2023-01-02T10:15:00Z"),
        ("utc", "", "2023-99-02 10:15", None),
        ("seconds", "clock", "01:02:03", "3723"),
        ("seconds", "ms", "251040", "251"),
        ("seconds", "ms", "-1000", None),
        ("decimal", "", "1E-7", "0.0000001"),
        ("decimal", "", "1e999", None),
        ("decimal", "", "-0.0", "0"),
        ("decimal", "", "9" * 1000, None),
        ("percent", "", "0.85", "85"),
        ("amount", "", "$1,019.99", "1019.99"),
        ("currency", "", "eur", "EUR"),
        ("currency", "", "1290 Ft", "HUF"),
        ("query", "k field-keywords", "/s?k=caf%C3%A9&x=1", "café"),
        ("day", "mdy", "03/04/2024", "2024-03-04"),
        ("text", "", "a\x00b\ud800", "a b\ufffd"),
    ],
)
def test_conversions(conversion: str, argument: str, value: str, expected: str | None) -> None:
    """Each gives what a field takes, or nothing; huge numbers and odd texts are no way in."""
    assert CONVERSIONS[conversion]([value], argument) == expected


@given(st.text())
@settings(max_examples=200)
def test_mending_takes_back_what_was_broken(text: str) -> None:
    """UTF-8 read as Latin-1 comes out as it went in."""
    try:
        broken = text.encode().decode("latin-1")
    except UnicodeEncodeError:
        return
    assert mend(broken) == text


def test_mending_leaves_what_is_sound() -> None:
    """Text that was never broken stays, and so does what is no text."""
    assert [mend(value) for value in ("Ősz", "é", 3, None, "a")] == ["Ősz", "é", 3, None, "a"]


@given(st.one_of(st.text(), st.integers().map(str)), st.one_of(st.text(), st.integers().map(str)))
@settings(max_examples=100)
def test_started_never_fails(end: str, lasted: str) -> None:
    """Whatever a file says, there is a time or nothing."""
    assert started([end], [lasted]) is None or isinstance(started([end], [lasted]), str)
