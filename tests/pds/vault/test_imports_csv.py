"""CSV: delimiters, encodings, columns, dates, amounts, bad rows."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.json import JsonObject
from pds.vault.imports import (
    ImportFailed,
    SavedMapping,
    inspect_csv,
    remove_mapping,
    save_mapping,
    saved_mappings,
)
from pds.vault.imports import csv_reader as reader_of
from pds.vault.imports.amounts import DecimalVotes, read_amount, read_date
from pds.vault.schemas import check
from tests.importing import Reading, collect, read_csv

FIXTURES = Path(__file__).parents[2] / "fixtures" / "import"


def rows(reading: Reading) -> list[JsonObject]:
    return [d.fields for d in reading.drafts]


def problems(reading: Reading) -> list[tuple[int, str]]:
    return [(p.line, p.code) for p in reading.problems]


def test_hungarian_headers_in_a_legacy_encoding() -> None:
    """Windows-1250 is declared as an assumption; bad rows are listed, the others go in."""
    reading = read_csv((FIXTURES / "orders_windows1250.csv").read_bytes())
    assert reading.encoding == "windows-1250"
    assert len(reading.assumptions) == 1
    assert rows(reading) == [
        {
            "date": "2026-11-21", "orderNumber": "R-1", "merchant": "Fűszerkert",
            "item": "Őszibarack lekvár", "quantity": "2", "price": "1290.00", "currency": "HUF",
        },
        {
            "date": "2026-11-22", "orderNumber": "R-2", "merchant": "Fűszerkert",
            "item": "Törökméz", "quantity": "1", "price": "12345.50", "currency": "HUF",
        },
        {
            "date": "2026-11-24", "orderNumber": "R-5", "merchant": "Fűszerkert",
            "item": "Szűrőpapír", "quantity": "10", "price": "990", "currency": "HUF",
        },
    ]  # fmt: skip
    assert problems(reading) == [(4, "csv.date"), (5, "csv.amount")]


def test_contacts_as_spreadsheets_save_them() -> None:
    """UTF-16 with tabs; parts of an address come together."""
    reading = read_csv((FIXTURES / "contacts_utf16.csv").read_bytes())
    assert reading.encoding == "utf-16-le"
    assert rows(reading) == [
        {
            "familyName": "Nagy",
            "givenName": "Ödön",
            "email": "odon.nagy@posta.example",
            "telephone": "+36 20 555 0101",
            "address": {
                "streetAddress": "Kárász utca 1.",
                "addressLocality": "Szeged",
                "postalCode": "6720",
            },
        },
        {"familyName": "Kis", "givenName": "Ágnes"},
    ]


def test_western_accents_and_a_forced_encoding() -> None:
    """Windows-1252 is recognised by its letters; the caller may say what it is."""
    raw = "Item,Price\nCrème brûlée,4.50\n".encode("cp1252")
    assert read_csv("Item,Price\nCrème à la carte,4.50\n".encode("cp1252")).encoding == (
        "windows-1252"
    )
    forced = read_csv(raw, encoding="windows-1252")
    assert rows(forced) == [{"item": "Crème brûlée", "price": "4.50"}]
    assert forced.assumptions == ()
    for wrong in ("rot13", "utf-8"):
        with pytest.raises(ImportFailed) as caught:
            read_csv(raw, encoding=wrong)
        assert caught.value.code == "import.encoding"


@pytest.mark.parametrize(
    "raw",
    [
        b'Date,Item,Price\n2026-01-02,"a, b",1.00\n',
        b"Date;Item;Price\r\n2026-01-02;a, b;1.00\r\n",
        b"\xef\xbb\xbfDate\tItem\tPrice\n2026-01-02\ta, b\t1.00",
        b"sep=;\nDate;Item;Price\n2026-01-02;a, b;1.00\n",
        b"Date|Item|Price\r2026-01-02|a, b|1.00\r",
        b"\n\nDate;Item;Price;\n\n2026-01-02;a, b;1.00;;\n;;\n",
    ],
)
def test_delimiters_line_ends_and_blank_rows(raw: bytes) -> None:
    """The delimiter is found, a mark and empty rows do no harm."""
    assert rows(read_csv(raw)) == [{"date": "2026-01-02", "item": "a, b", "price": "1.00"}]


def test_an_explicit_mapping() -> None:
    """Columns with names of their own, found by case and accents folded, into one category."""
    raw = "Vevő,Ir.szám,Mikor\nIlona,6720,21/11/1984\n".encode()
    reading = read_csv(
        raw,
        {
            "vevo": "contact.name",
            "Ir.szám": "contact.address.postalCode",
            "Mikor": "contact.birthDate",
        },
    )
    assert rows(reading) == [
        {"name": "Ilona", "address": {"postalCode": "6720"}, "birthDate": "1984-11-21"}
    ]


@pytest.mark.parametrize(
    "mapping",
    [
        {},
        {"missing": "contact.name"},
        {"a": "contact"},
        {"a": "contact.shoeSize"},
        {"a": "contact.address"},
        {"a": "contact.groups"},
        {"a": "nonsense.name"},
        {"a": "contact.name", "b": "contact.name"},
        {"a": "contact.name", "b": "purchases.item"},
        {"a": "contact.name", "A": "contact.nickname"},
    ],
)
def test_a_mapping_that_cannot_be_is_refused(mapping: dict[str, str]) -> None:
    """Unknown columns or fields, two of one, two categories."""
    with pytest.raises(ImportFailed) as caught:
        read_csv(b"a,b\n1,2\n", mapping)
    assert caught.value.code == "import.mapping"


def test_unknown_columns_ask_for_a_mapping() -> None:
    """Nothing is guessed from the contents; the shape shows what there is to map."""
    raw = b"foo,bar\n1,2\n"
    with pytest.raises(ImportFailed) as caught:
        read_csv(raw)
    assert caught.value.code == "import.columns_unknown"
    shape = inspect_csv(raw)
    assert (shape.header, shape.rows, shape.suggested) == (("foo", "bar"), (("1", "2"),), {})
    known = inspect_csv("Dátum;Végösszeg;foo\n".encode())
    assert known.suggested == {"Dátum": "purchases.date", "Végösszeg": "purchases.price"}
    assert (known.delimiter, known.encoding) == (";", "utf-8")


def test_bad_rows_never_stop_the_others() -> None:
    """Wrong cells, stray and unclosed quotation marks: each row is listed by its line."""
    raw = (
        b"Date,Item,Price,Currency\n"
        b"2026-01-01,good,1.00,HUF\n"
        b"2026-01-02,too few\n"
        b"2026-01-03,too,many,cells,here\n"
        b"not a date,x,1.00,HUF\n"
        b"2026-01-05,x,much,HUF\n"
        b'2026-01-06,"stray" mark,1.00,HUF\n'
        b'2026-01-07,"two\nlines",1.00,HUF\n'
        b"2026-01-08,odd currency,1.00,forint\n"
        b'2026-01-09,5" pipe,2.00,HUF\n'
        b'2026-01-10,"never closed,1.00,HUF\n'
        b"2026-01-11,last,1.00,HUF\n"
    )
    reading = read_csv(raw)
    assert [r["item"] for r in rows(reading)] == [
        "good",
        "two\nlines",
        "odd currency",
        '5" pipe',
        "last",
    ]
    assert problems(reading) == [
        (3, "csv.columns"),
        (4, "csv.columns"),
        (5, "csv.date"),
        (6, "csv.amount"),
        (7, "csv.quote"),
        (10, "import.field"),
        (12, "csv.quote"),
    ]
    assert "forint" not in str(reading.problems)


def test_a_truncated_file_gives_its_whole_rows() -> None:
    """The last row, cut inside a quoted cell, is listed."""
    reading = read_csv(b'Date,Item,Price\n2026-01-01,a,1.00\n2026-01-02,"half of')
    assert [r["item"] for r in rows(reading)] == ["a"]
    assert problems(reading) == [(3, "csv.quote")]


@pytest.mark.parametrize(
    ("dates", "first", "assumed"),
    [
        (["12/15/2018", "01/02/2018"], "2018-12-15", 0),
        (["15/12/2018", "01/02/2018"], "2018-12-15", 0),
        (["03/04/2018", "01/02/2018"], "2018-04-03", 1),
        (["2018-03-04", "2018.01.02."], "2018-03-04", 0),
    ],
)
def test_the_order_of_day_and_month_is_seen_from_the_column(
    dates: list[str], first: str, assumed: int
) -> None:
    """One telling date decides for all; if none tells, the assumption is said."""
    raw = "Date,Item\n" + "".join(f"{d},x\n" for d in dates)
    reading = read_csv(raw.encode())
    assert rows(reading)[0]["date"] == first
    assert len(reading.assumptions) == assumed


def test_the_caller_decides_dates_and_decimals() -> None:
    """What the columns do not show can be said."""
    raw = b"Date;Item;Price\n03/04/2018;x;1,290\n"
    assert rows(read_csv(raw)) == [{"date": "2018-04-03", "item": "x", "price": "1290"}]
    assert len(read_csv(raw).assumptions) == 2
    told = read_csv(raw, dates="mdy", decimal=",")
    assert rows(told) == [{"date": "2018-03-04", "item": "x", "price": "1.290"}]
    assert told.assumptions == ()


@pytest.mark.parametrize(
    ("text", "mark", "amount"),
    [
        ("1290", None, ("1290", "")),
        ("1 290,00", ",", ("1290.00", "")),
        ("1\u00a0290,00 Ft", ",", ("1290.00", "HUF")),
        ("1\u202f290,00", None, ("1290.00", "")),
        ("1.290,00", None, ("1290.00", "")),
        ("1,533.50", None, ("1533.50", "")),
        ("-1,533.50", ".", ("-1533.50", "")),
        ("\u221212,5", ",", ("-12.5", "")),
        ("(12.50)", ".", ("-12.50", "")),
        ("1'290.00", ".", ("1290.00", "")),
        ("€12.50", ".", ("12.50", "EUR")),
        ("12,50 EUR", ",", ("12.50", "EUR")),
        ("990,- Ft", None, ("990", "HUF")),
        ("1.290", None, ("1290", "")),
        ("1.290", ".", ("1.290", "")),
        ("1.290.000", None, ("1290000", "")),
        ("007", None, ("7", "")),
        ("-0", None, ("0", "")),
        ("+5", None, ("5", "")),
        ("0,50", None, ("0.50", "")),
    ],
)
def test_amounts(text: str, mark: str | None, amount: tuple[str, str]) -> None:
    """Each usual way to write an amount, without a float in between."""
    assert read_amount(text, mark) == amount  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "", "-", "Ft", "free", "1e5", "=1+1", "@SUM(A1)", "--5", "1.2.3", "1,29,0", "12 34 x",
        "1..2", "12 34", "1 2900", "0x10", "١٢", "1.290,00,00", "(5", "5 Ft 6", "NaN", "∞",
    ],
)  # fmt: skip
def test_what_is_no_amount(text: str) -> None:
    """Nothing is guessed out of other text; formulas are none."""
    assert read_amount(text, None) is None


@given(
    st.integers(0, 10**12),
    st.integers(0, 99),
    st.sampled_from([(" ", ","), (".", ","), (",", "."), ("", "."), ("'", ".")]),
)
@settings(deadline=None, max_examples=100)
def test_every_amount_reads_back(whole: int, cents: int, marks: tuple[str, str]) -> None:
    """Grouped and decimal in five customs, read as it was meant."""
    group, decimal = marks
    text = f"{whole:,}".replace(",", group) + f"{decimal}{cents:02}"
    votes = DecimalVotes()
    votes.add(text)
    assert read_amount(text, votes.mark) == (f"{whole}.{cents:02}", "")


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-11-21", "2026-11-21"),
        ("2026.11.21.", "2026-11-21"),
        ("2026. 11. 21.", "2026-11-21"),
        ("2026/1/2", "2026-01-02"),
        ("20261121", "2026-11-21"),
        ("2026-11-21T10:00:00Z", "2026-11-21"),
        ("2026-11-21 10:00", "2026-11-21"),
        ("21/11/2026", "2026-11-21"),
        ("21.11.2026", "2026-11-21"),
        ("2026-02-30", None),
        ("2026-13-01", None),
        ("21/11/26", None),
        ("0000-01-01", None),
        ("yesterday", None),
        ("", None),
        ("２０２６-11-21", None),
    ],
)
def test_dates(text: str, day: str | None) -> None:
    """Each usual form; what the calendar does not have is none."""
    assert read_date(text, "dmy") == day


_CELLS = st.sampled_from(
    ["Date", "Item", "Price", "2026-01-02", "1.00", "1,5", '"', '""', "x", "\n", "\r", ",", ";",
     "\t", "=1", "ő", "\x00", " ", "Balance", "D/C", "-3", "sep=,"]
)  # fmt: skip


@given(st.lists(_CELLS, max_size=80))
@settings(deadline=None, max_examples=100)
def test_any_text_gives_valid_drafts_or_a_refusal(cells: list[str]) -> None:
    """Nothing but ImportFailed is ever raised, and every draft is valid."""
    try:
        reading = read_csv(("Date,Item,Price\n" + "".join(cells)).encode())
    except ImportFailed:
        return
    for draft in reading.drafts:
        check(draft.category, draft.fields)


@given(
    st.from_regex(r"-?[0-9]{1,6}([.,][0-9]{1,6})?", fullmatch=True),
    st.sampled_from([".", ",", None]),
)
@settings(deadline=None, max_examples=300)
def test_amounts_as_programs_write_them_are_read_like_all_others(text: str, mark: str) -> None:
    """The quick way gives what the long way gives: a space before it takes the long one."""
    assert read_amount(text, mark) == read_amount(" " + text, mark)  # type: ignore[arg-type]


def test_a_statement_becomes_payments() -> None:
    """Money in and out, in Hungarian too; without those columns the same names are purchases."""
    raw = (
        "Könyvelés dátuma;Értéknap;Partner;Összeg;Deviza;Egyenleg;Közlemény;T/K\n"
        "2026.11.21.;2026.11.22.;Áramszolgáltató;12 500,00;HUF;87 500,00;számla;T\n"
        "2026.11.23.;2026.11.23.;Munkáltató;400 000,00;HUF;487 500,00;bér;K\n"
        "2026.11.24.;2026.11.24.;Bank;0;HUF;487 500,00;díj;T\n"
    )
    reading = read_csv(raw.encode())
    assert [(d.category, d.fields["amount"]) for d in reading.drafts] == [
        ("payments", "-12500.00"),
        ("payments", "400000.00"),
        ("payments", "0"),
    ]
    assert reading.drafts[0].fields == {
        "bookingDate": "2026-11-21", "valueDate": "2026-11-22", "counterparty": "Áramszolgáltató",
        "amount": "-12500.00", "currency": "HUF", "balanceAfter": "87500.00", "reference": "számla",
    }  # fmt: skip
    assert reading.problems == ()
    plain = read_csv(raw.replace("Egyenleg", "x").replace("T/K", "y").encode())
    assert {d.category for d in plain.drafts} == {"purchases"}


def test_columns_take_the_form_of_their_field() -> None:
    """Any category: dates with and without a time, decimals, choices whatever their case."""
    reading = read_csv(
        b"When,Kind,Km,Who\n2026-11-21T10:00:00+01:00,TRAIN,\"1,250.5\",x\n21/11/2026,Ship,3,y\n",
        {"When": "travel.booked", "Kind": "travel.kind", "Km": "travel.distance",
         "Who": "travel.company"},
    )  # fmt: skip
    assert rows(reading) == [
        {"booked": "2026-11-21T09:00:00Z", "kind": "train", "distance": "1250.5", "company": "x"},
        {"booked": "2026-11-21", "kind": "ship", "distance": "3", "company": "y"},
    ]
    wrong = read_csv(b"K,C\nteleport,x\n", {"K": "travel.kind", "C": "travel.company"})
    assert (rows(wrong), problems(wrong)) == ([{"company": "x"}], [(2, "import.field")])


class Rows:
    """The settings of a vault, in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {"relay": "https://relay.example"}

    def settings(self, prefix: str) -> dict[str, str]:
        return {k: v for k, v in self.kept.items() if k.startswith(prefix)}

    def set_setting(self, name: str, value: str) -> None:
        self.kept[name] = value

    def remove_setting(self, name: str) -> None:
        del self.kept[name]


def test_saved_mappings() -> None:
    """Kept by name, replaced by the same name, removed; nothing else is touched."""
    kept = Rows()
    first = save_mapping(kept, " my  bank ", ["Tag", "Betrag"], {"Tag": "payments.bookingDate"})
    assert first.name == "my bank"
    assert saved_mappings(kept) == (first,)
    again = save_mapping(kept, "my bank", ["Tag"], {"Tag": "payments.valueDate"})
    assert saved_mappings(kept) == (again,)
    for name in ("", "x" * 61, "a\x1b[2J"):
        with pytest.raises(ImportFailed):
            save_mapping(kept, name, ["a"], {"a": "note.text"})
    with pytest.raises(ImportFailed) as caught:
        remove_mapping(kept, "relay")
    assert caught.value.code == "import.no_mapping"
    remove_mapping(kept, "my bank")
    assert kept.kept == {"relay": "https://relay.example"}


def test_a_saved_mapping_is_known_by_its_header() -> None:
    """Case, accents and order do not matter; another header is another file."""
    saved = SavedMapping("mine", ("Név", "Pont"), {"Név": "loyalty.programme",
                                                    "Pont": "loyalty.points"})  # fmt: skip
    reading = collect("csv", reader_of(b"pont;nev\n12;A\n", saved=[saved]))
    assert rows(reading) == [{"points": "12", "programme": "A"}]
    assert "'mine'" in reading.assumptions[0]
    with pytest.raises(ImportFailed):
        reader_of(b"pont;nev;x\n12;A;1\n", {"x": "nowhere.y"}, saved=[saved])
    other = collect("csv", reader_of(b"name;x\nA;1\n", saved=[saved]))
    assert (rows(other), other.assumptions) == ([{"name": "A"}], ())
