"""From file to records: detection, plans, duplicates, batches; and the sample files."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pds.db import migrate, open_plain, transaction
from pds.vault.files import MIGRATIONS
from pds.vault.imports import ImportFailed, Source, apply, detect
from pds.vault.records import Records
from pds.vault.schemas import check
from tests.importing import make_plan, read, read_csv, read_vcard

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
ROOT = Path(__file__).parents[3]
FIXTURES = ROOT / "tests" / "fixtures" / "import"
DEMO = ROOT / "scripts" / "fixtures"


@pytest.fixture
def records() -> Iterator[Records]:
    conn = open_plain(":memory:")
    migrate(conn, MIGRATIONS, application_id=7)
    yield Records(conn, clock=lambda: NOW)
    conn.close()


def card(*lines: str) -> bytes:
    return "\r\n".join(["BEGIN:VCARD", "VERSION:3.0", *lines, "END:VCARD", ""]).encode()


# --- detection ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "kind"),
    [
        (b"BEGIN:VCARD\r\nVERSION:3.0\r\n", "vcard"),
        (b"\xef\xbb\xbf\r\n begin:vcard\r\n", "vcard"),
        ("BEGIN:VCARD\n".encode("utf-16"), "vcard"),
        (b"a,b\n1,2\n", "csv"),
        (b"a;b\n", "csv"),
        (b"a\tb\n1\t2", "csv"),
        ("ő\tű\n1\t2\n".encode("utf-16"), "csv"),
        ("Dátum;Ár\n".encode("cp1250"), "csv"),
    ],
)
def test_a_file_is_known_by_its_content(raw: bytes, kind: str) -> None:
    """The name of a file plays no part."""
    assert detect(raw) == kind


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (b"", "import.empty"),
        (b"%PDF-1.7", "import.unsupported"),
        (b'<?xml version="1.0"?>', "import.unsupported"),
        (b'{"a": 1}', "import.unsupported"),
        (b"<html><body>", "import.unsupported"),
        (b"[1, 2]", "import.unsupported"),
        (b"one word", "import.unknown_kind"),
        (b"\x89PNG\r\n\x1a\n\x00\x00\x00", "import.unknown_kind"),
    ],
)
def test_other_files_are_refused_by_what_they_are(raw: bytes, code: str) -> None:
    """A kind that is not read yet is named; everything else is unknown."""
    with pytest.raises(ImportFailed) as caught:
        detect(raw)
    assert caught.value.code == code


def test_only_a_regular_file_is_loaded(tmp_path: Path) -> None:
    """A missing file, a folder and a device are refused without hanging."""
    for path in (tmp_path / "missing", tmp_path, Path("/dev/zero")):
        with pytest.raises(ImportFailed) as caught:
            Source(path)
        assert caught.value.code == "import.unreadable"


# --- plans ----------------------------------------------------------------------------------------


def test_a_plan_writes_nothing_and_apply_does_what_it_said(records: Records) -> None:
    """The preview counts and shows; applying adds just that, in one batch that can be undone."""
    reading = read(DEMO / "contact.vcf")
    plan = make_plan(reading, records)
    assert plan.counts == {"contact": 1, "interests": 4}
    assert plan.about == "self"
    assert [d.category for d in plan.samples] == ["contact", *["interests"] * 4]
    assert records.list() == []

    done = apply(plan, records)
    assert (done.added, done.duplicates) == (5, 0)
    assert [v.value for v in records.values("interests.name")] == [
        "cycling",
        "chamber music",
        "bookbinding",
        "tűzzománc",
    ]
    (email,) = records.values("contact.email")
    assert email.value == "ilona.kovacs-ory@posta.example"
    assert (email.source, email.collected, email.assurance) == (
        "import/vcard",
        NOW,
        "self-declared",
    )
    assert done.batch is not None
    assert records.undo_batch(done.batch).removed == 5
    assert records.list() == []


def test_a_second_import_of_a_file_adds_nothing(records: Records) -> None:
    """Everything in it is found to be there, whoever it is about; after an undo it is new."""
    reading = read(DEMO / "contact.vcf")
    plan = make_plan(reading, records)
    first = apply(plan, records)
    again = make_plan(reading, records)
    assert (again.counts, again.duplicates) == ({}, 5)
    stale = apply(plan, records)  # a plan from before the first import
    assert (stale.batch, stale.added, stale.duplicates) == (None, 0, 5)
    assert first.batch is not None
    records.undo_batch(first.batch)
    assert make_plan(reading, records).added == 5


def test_equal_purchases_are_counted_and_equal_cards_are_one(records: Records) -> None:
    """Two equal coffees are two purchases; the same card twice is one card."""
    coffee = b"Date,Item,Price\n2026-01-02,Coffee,3.50\n2026-01-02,Coffee,3.50\n"
    assert apply(make_plan(read_csv(coffee), records), records).added == 2
    more = coffee + b"2026-01-02,Coffee,3.50\n"
    plan = make_plan(read_csv(more), records)
    assert (plan.added, plan.duplicates) == (1, 2)
    twice = make_plan(read_vcard(card("FN:A") + card("FN:A")), records)
    assert (twice.added, twice.duplicates) == (1, 1)


def test_whose_data_it_is(records: Records) -> None:
    """The first file with one card is the holder's own, later and longer ones are not; the caller
    may say otherwise; purchases are always the holder's own."""
    one, two = read_vcard(card("FN:A")), read_vcard(card("FN:A") + card("FN:B"))
    assert make_plan(two, records).about == "other"
    assert make_plan(two, records, about="self").about == "self"
    assert make_plan(one, records).about == "self"
    apply(make_plan(one, records), records)
    another = read_vcard(card("FN:C"))
    assert make_plan(another, records).about == "other"
    apply(make_plan(another, records), records)
    assert [v.value for v in records.values("contact.name")] == ["A"]
    assert make_plan(read(DEMO / "purchases.csv"), records).about == "self"


def test_a_file_that_changed_since_its_preview_is_not_imported(
    records: Records, tmp_path: Path
) -> None:
    """What was looked at is what goes in, or nothing does."""
    file = tmp_path / "cards.vcf"
    file.write_bytes(card("FN:A"))
    plan = make_plan(read(file), records)
    file.write_bytes(card("FN:A", "NOTE:more"))
    with pytest.raises(ImportFailed) as caught:
        apply(plan, records)
    assert caught.value.code == "import.changed"
    assert records.list() == []


def test_apply_is_part_of_the_callers_transaction(records: Records) -> None:
    """What the caller rolls back was never imported."""
    conn = records._conn  # the connection that the fixture made
    plan = make_plan(read(DEMO / "purchases.csv"), records)

    def apply_and_fail() -> None:
        with transaction(conn):
            apply(plan, records)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        apply_and_fail()
    assert records.batches() == []


# --- files ----------------------------------------------------------------------------------------


def test_the_demo_purchases() -> None:
    """Twelve rows with accents, quotation marks and commas, all of them good."""
    reading = read(DEMO / "purchases.csv")
    assert (reading.entries, len(reading.drafts), reading.problems) == (12, 12, ())
    assert reading.drafts[1].fields == {
        "date": "2026-02-03",
        "orderNumber": "TB-88213",
        "merchant": "Tekerj Bringabolt",
        "item": 'Gumiabroncs 28" × 1,5"',
        "itemCategory": "Cycling",
        "quantity": "2",
        "unitPrice": "8990.00",
        "price": "17980.00",
        "currency": "HUF",
    }
    assert reading.drafts[8].fields["price"] == "-6990.00"
    assert reading.drafts[9].fields["quantity"] == "0.5"


def test_the_demo_contact() -> None:
    """A vCard 4.0 of a person in Szeged."""
    reading = read(DEMO / "contact.vcf")
    fields = reading.drafts[0].fields
    assert reading.problems == ()
    assert fields["name"] == "Kovács-Őry Ilona Márta"
    assert fields["birthDate"] == "1984-02-17"
    assert fields["telephone"] == "+36-30-555-0142"
    assert fields["otherEmails"] == ["ikovacsory@muhely.example"]
    assert fields["address"] == {
        "streetAddress": "Tisza Lajos körút 47., 3. emelet 12.",
        "addressLocality": "Szeged",
        "addressRegion": "Csongrád-Csanád",
        "postalCode": "6720",
        "addressCountry": "Magyarország",
    }


def test_sample_statement_with_debit_and_credit(samples: Path) -> None:
    """A statement becomes payments; the column of direction gives each amount its sign."""
    reading = read(samples / "csv" / "debit_credit.csv")
    assert {d.category for d in reading.drafts} == {"payments"}
    assert [d.fields for d in reading.drafts] == [
        {
            "bookingDate": "2018-12-15",
            "reference": "Your best supplier",
            "amount": "-33.50",
            "counterparty": "John Doe",
            "counterpartyAccount": "123456789",
            "balanceAfter": "-23.50",
        },
        {
            "bookingDate": "2018-12-15",
            "reference": "Your payment",
            "amount": "1533.50",
            "counterparty": "Azure Interior",
            "balanceAfter": "1510.00",
        },
    ]
    assert (reading.problems, reading.left_out) == ((), ())


def test_sample_statement_with_signs(samples: Path) -> None:
    """The sign tells the direction; month first is seen from the dates themselves."""
    reading = read(samples / "csv" / "sample_statement_en.csv")
    assert [d.fields for d in reading.drafts] == [
        {
            "bookingDate": "2018-12-15",
            "reference": "Your best supplier on 12/15/2018",
            "counterparty": "John Doe",
            "counterpartyAccount": "123456789",
            "amount": "-33.50",
            "currency": "USD",
        },
        {
            "bookingDate": "2018-12-15",
            "reference": "Your payment on 12/15/2018",
            "counterparty": "Azure Interior",
            "amount": "1525.00",
            "currency": "EUR",
        },
    ]
    assert reading.problems == ()


def test_sample_from_android(samples: Path) -> None:
    """vCard 2.1 with quoted-printable over several lines; two values in it are unusable."""
    reading = read(samples / "vcard" / "John_Doe_ANDROID.vcf")
    assert (reading.entries, len(reading.drafts)) == (6, 6)
    assert [(p.line, p.code) for p in reading.problems] == [
        (44, "import.field"),
        (82, "vcard.charset"),
    ]
    fields = [draft.fields for draft in reading.drafts]
    assert fields[0] == {"email": "john.doe@company.com", "groups": ["My Contacts"]}
    assert fields[2]["name"] == "Ñ Ñ Ñ Ñ Ñ"
    assert fields[3]["name"] == " ".join("Ñ" * 11)
    assert fields[3]["otherTelephones"] == ["234567", "3456789", "45678901"]
    assert fields[4]["givenName"] == "Ñ Ñ Ñ"
    assert fields[4]["faxNumber"] == "123456"
    assert (fields[4]["url"], fields[4]["otherUrls"]) == (
        "www.company.com",
        ["http://www.company.com"],
    )
    assert fields[5]["organization"] == "Ñ" * 44


def test_sample_from_gmail(samples: Path) -> None:
    """vCard 3.0 with folded lines, escapes and groups."""
    reading = read(samples / "vcard" / "John_Doe_GMAIL.vcf")
    (draft,) = reading.drafts
    assert reading.problems == ()
    fields = dict(draft.fields)
    note = fields.pop("note")
    assert isinstance(note, str)
    assert note.startswith(
        'THIS SOFTWARE IS PROVIDED BY THE COPYRIGHT HOLDERS AND CONTRIBUTORS "AS'
    )
    assert note.endswith("DAMAGE.\nFavotire Color: Blue")
    assert fields == {
        "name": "Mr. John Richter, James Doe Sr.",
        "familyName": "Doe",
        "givenName": "John",
        "additionalName": "Richter, James",
        "honorificPrefix": "Mr.",
        "honorificSuffix": "Sr.",
        "email": "john.doe@ibm.com",
        "telephone": "905-555-1234",
        "otherTelephones": ["905-666-1234"],
        "address": {
            "streetAddress": "Crescent moon drive\n555-asd\nNice Area, Albaney, New York 12345\n"
            "United States of America"
        },
        "organization": "IBM",
        "jobTitle": "Money Counter",
        "birthDate": "1980-03-22",
        "url": "http://www.ibm.com",
    }


def test_sample_from_outlook(samples: Path) -> None:
    """vCard 2.1 with a picture, two addresses and many properties of its own."""
    reading = read(samples / "vcard" / "John_Doe_MS_OUTLOOK.vcf")
    (draft,) = reading.drafts
    assert reading.problems == ()
    fields = draft.fields
    assert fields["address"] == {
        "streetAddress": "Cresent moon drive",
        "addressLocality": "Albaney",
        "addressRegion": "New York",
        "postalCode": "12345",
        "addressCountry": "United States of America",
    }
    assert fields["otherAddresses"] == [
        {
            "streetAddress": "Silicon Alley 5,",
            "addressLocality": "New York",
            "addressRegion": "New York",
            "postalCode": "12345",
            "addressCountry": "United States of America",
        }
    ]
    assert (fields["organization"], fields["organizationUnit"]) == ("IBM", "Accounting")
    assert (fields["nickname"], fields["birthDate"]) == ("Johny", "1980-03-22")
    assert fields["email"] == "john.doe@ibm.cm"
    assert [file.name for file in draft.files] == ["photo.jpg"]


def test_sample_of_rfc_6350(samples: Path) -> None:
    """The example of the standard: lists, quoted parameters, tel: URIs, a birthday without year."""
    reading = read(samples / "vcard" / "rfc6350-example.vcf")
    assert [d.fields for d in reading.drafts] == [
        {
            "name": "Simon Perreault",
            "familyName": "Perreault",
            "givenName": "Simon",
            "honorificSuffix": "ing. jr, M.Sc.",
            "birthDate": "--02-03",
            "organization": "Viagenie",
            "address": {
                "streetAddress": "2875 Laurier, Suite D2-630",
                "addressLocality": "Quebec",
                "addressRegion": "QC",
                "postalCode": "G1V 2M2",
                "addressCountry": "Canada",
            },
            "telephone": "+1-418-656-9254 ext. 102",
            "otherTelephones": ["+1-418-262-6501"],
            "email": "simon.perreault@viagenie.ca",
            "url": "http://nomis80.org",
            "gender": "male",
            "anniversary": "2009-08-08",
            "languages": ["fr", "en"],
            "timezone": "-0500",
        }
    ]
    assert reading.problems == ()


def test_every_sample_is_imported_once(samples: Path, records: Records) -> None:
    """All samples go in, and go in only once."""
    files = sorted(path for path in samples.glob("*/*"))
    assert len(files) == 19
    added = [apply(make_plan(read(file), records), records).added for file in files]
    assert sum(added) == 224
    for file in files:
        assert apply(make_plan(read(file), records), records).added == 0
    for record in records.list():
        check(record.category, record.fields)
