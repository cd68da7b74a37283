"""vCards: what becomes of properties, and of broken cards."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.json import JsonObject
from pds.vault.imports import ImportFailed
from pds.vault.schemas import check
from tests.importing import Reading, read_vcard

FIXTURES = Path(__file__).parents[2] / "fixtures" / "import"


def read(*lines: str, version: str = "3.0", encoding: str = "utf-8") -> Reading:
    text = "\r\n".join(["BEGIN:VCARD", f"VERSION:{version}", *lines, "END:VCARD", ""])
    return read_vcard(text.encode(encoding))


def contact(*lines: str, version: str = "3.0") -> JsonObject:
    reading = read(*lines, version=version)
    assert reading.problems == ()
    return reading.drafts[0].fields


def problems(reading: Reading) -> list[tuple[int, str]]:
    return [(p.line, p.code) for p in reading.problems]


def test_good_cards_between_broken_ones_go_in() -> None:
    """Each bad card is listed where it begins, the good ones around it are read."""
    reading = read_vcard((FIXTURES / "mixed.vcf").read_bytes())
    assert [d.fields["name"] for d in reading.drafts] == ["Anna", "Bela", "Dora"]
    assert problems(reading) == [
        (6, "vcard.not_closed"),
        (14, "vcard.nul"),
        (18, "vcard.empty"),
        (25, "import.field"),
        (26, "import.field"),
        (27, "vcard.line"),
        (28, "import.field"),
        (30, "vcard.not_opened"),
    ]
    said = " ".join(p.sentence for p in reading.problems)
    for value in ("not an address", "no colon", "javascript", "1990"):
        assert value not in said


def test_a_truncated_file_gives_its_whole_cards() -> None:
    """What was cut off is listed."""
    reading = read_vcard((FIXTURES / "truncated.vcf").read_bytes())
    assert [d.fields["name"] for d in reading.drafts] == ["Anna", "Bela"]
    assert problems(reading) == [(11, "vcard.not_closed")]


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=60)
def test_wherever_a_file_is_cut_the_cards_before_are_read(at: int) -> None:
    """A cut loses the card it falls into and no other."""
    raw = b"".join(b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:N%d\r\nEND:VCARD\r\n" % i for i in range(20))
    at = 15 + at % (len(raw) - 15)
    reading = read_vcard(raw[:at])
    whole = raw[:at].count(b"END:VCARD")
    assert [d.fields["name"] for d in reading.drafts] == [f"N{i}" for i in range(whole)]


def test_old_phones() -> None:
    """vCard 2.1 in Windows-1250 with another card inside and base64 that is not folded."""
    reading = read_vcard((FIXTURES / "phone21_windows1250.vcf").read_bytes())
    assert [d.fields for d in reading.drafts] == [
        {
            "name": "Szűcs Győző",
            "familyName": "Szűcs",
            "givenName": "Győző",
            "telephone": "+36 70 555 0199",
            "address": {
                "streetAddress": "Tűzoltó utca 9.",
                "addressLocality": "Szeged",
                "postalCode": "6725",
                "addressCountry": "Magyarország",
            },
            "note": "első sor\nmásodik sor",
        }
    ]
    assert reading.problems == ()
    assert reading.encoding == "windows-1250"
    assert len(reading.assumptions) == 1


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_files_in_unicode_with_and_without_a_mark(encoding: str) -> None:
    """UTF-8 with and without a byte order mark, and UTF-16 with one."""
    reading = read("FN:Őry Űzgün", encoding=encoding)
    assert reading.drafts[0].fields == {"name": "Őry Űzgün"}
    assert reading.assumptions == ()


def test_a_fold_inside_a_character() -> None:
    """Some programs count bytes when they fold; the character is whole again."""
    raw = b"BEGIN:VCARD\nVERSION:3.0\nFN:Kov\xc3\n \xa1cs\nEND:VCARD\n"
    assert read_vcard(raw).drafts[0].fields == {"name": "Kovács"}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_kind_of_line_end(end: str) -> None:
    """Unix, Internet and old Macintosh."""
    raw = end.join(["BEGIN:VCARD", "FN:A", " B", "END:VCARD", ""]).encode()
    assert read_vcard(raw).drafts[0].fields == {"name": "AB"}


def test_the_preferred_value_is_the_primary_one() -> None:
    """PREF in each of its spellings decides; otherwise the order of the file."""
    v4 = contact("EMAIL;PREF=2:b@x.example", "EMAIL;PREF=1:a@x.example", version="4.0")
    assert (v4["email"], v4["otherEmails"]) == ("a@x.example", ["b@x.example"])
    v3 = contact("TEL:1", "TEL;TYPE=home,pref:2", "TEL:1", "TEL;TYPE=fax:3")
    assert (v3["telephone"], v3["otherTelephones"], v3["faxNumber"]) == ("2", ["1"], "3")
    v2 = contact("ADR:;;A;;;;", "ADR;PREF:;;B;;;;", version="2.1")
    assert v2["address"] == {"streetAddress": "B"}


def test_escapes_lists_and_parameters() -> None:
    """Backslashes, quoted parameters with colons, groups, carets, and a value with colons."""
    fields = contact(
        r"item1.NOTE;X-A=" '"a:b;c"' r":one\, two\; three\nfour \\ five: six",
        r"N:van der\; Berg;Anna,Maria;;Dr.,Prof.;",
        "CATEGORIES:friends,tea\\, green",
        version="4.0",
    )
    assert fields["note"] == "one, two; three\nfour \\ five: six"
    assert fields["familyName"] == "van der; Berg"
    assert fields["givenName"] == "Anna Maria"
    assert fields["honorificPrefix"] == "Dr., Prof."
    assert fields["groups"] == ["friends", "tea, green"]
    assert fields["name"] == "Dr., Prof. Anna Maria van der; Berg"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("1984-02-17", "1984-02-17"),
        ("19840217", "1984-02-17"),
        ("1984-02-17T10:00:00Z", "1984-02-17"),
        ("--0217", "--02-17"),
        ("--02-17", "--02-17"),
        ("1984", "1984"),
        ("1984-02", "1984-02"),
    ],
)
def test_birthdays(written: str, kept: str) -> None:
    """Each usual form of a date; the time of day is left out."""
    assert contact(f"BDAY:{written}") == {"birthDate": kept}


@pytest.mark.parametrize("written", ["circa 1800", "1984-02-31", "84-02-17", "---17"])
def test_a_birthday_that_is_no_date_is_left_out(written: str) -> None:
    """The card stays; the problem does not repeat the text."""
    reading = read("FN:A", f"BDAY:{written}")
    assert reading.drafts[0].fields == {"name": "A"}
    assert problems(reading) == [(4, "import.field")]
    assert written not in reading.problems[0].sentence


def test_interests_become_records_of_their_own() -> None:
    """INTEREST and HOBBY with their level (RFC 6715), each name once."""
    reading = read(
        "FN:A",
        "INTEREST;LEVEL=high:chamber music",
        "HOBBY;LEVEL=extreme:cycling",
        "INTEREST:Cycling",
        version="4.0",
    )
    assert [(d.category, d.fields, d.line) for d in reading.drafts[1:]] == [
        ("interests", {"name": "chamber music", "level": "high"}, 4),
        ("interests", {"name": "Cycling"}, 6),
    ]


def test_an_unknown_or_wrong_character_set_costs_one_value() -> None:
    """A value that is not text in its character set is left out, and the rest of the card stays."""
    reading = read(
        "FN:A",
        "NOTE;CHARSET=UTF-8;ENCODING=QUOTED-PRINTABLE:=FF=FE",
        "TITLE;CHARSET=KOI8-X:plain",
        version="2.1",
    )
    assert reading.drafts[0].fields == {"name": "A", "jobTitle": "plain"}
    assert problems(reading) == [(4, "vcard.charset")]


def test_a_file_without_a_card_is_refused() -> None:
    """Nothing found is an error, not an empty success."""
    for raw in (b"FN:A\r\n", b"END:VCARD\r\n", b"\r\n"):
        with pytest.raises(ImportFailed) as caught:
            read_vcard(raw)
        assert caught.value.code == "import.nothing_found"


_PIECES = st.sampled_from(
    [
        b"BEGIN:VCARD\n", b"END:VCARD\n", b"VERSION:2.1\n", b"VERSION:4.0\n", b"FN:", b"N:", b"ADR",
        b"AGENT:\n", b";", b":", b"=", b"\\", b",", b'"', b" ", b"\n", b"\r", b"\x00", b"\xff",
        b"\xc3", b"TYPE=", b"ENCODING=QUOTED-PRINTABLE", b"ENCODING=b", b"CHARSET=UTF-8", b"=\n",
        b"PHOTO", b"BDAY:", b"EMAIL:a@b", b"TEL:", b"URL:", b"ORG:", b"INTEREST;LEVEL=high:", b"x",
    ]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=80))
@settings(deadline=None, max_examples=100)
def test_any_bytes_give_valid_drafts_or_a_refusal(pieces: list[bytes]) -> None:
    """Nothing but ImportFailed is ever raised, and every draft is valid."""
    try:
        reading = read_vcard(b"BEGIN:VCARD\n" + b"".join(pieces))
    except ImportFailed:
        return
    for draft in reading.drafts:
        check(draft.category, draft.fields)
