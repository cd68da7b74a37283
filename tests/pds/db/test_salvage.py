"""Reading on behind damaged pages."""

from pathlib import Path

import pytest

from pds.db import Salvage, TableReport, open_encrypted, transaction

KEY = bytes(range(32))
PAGE = 4096
ROWS = 300


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A table with an index, and one without row numbers, to be damaged."""
    path = tmp_path / "a.db"
    conn = open_encrypted(path, KEY, create=True)
    conn.execute("CREATE TABLE item (id INTEGER PRIMARY KEY, kind TEXT, text TEXT) STRICT")
    conn.execute("CREATE INDEX item_kind ON item (kind)")
    conn.execute("CREATE TABLE pair (a TEXT, b INTEGER, c TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID")
    with transaction(conn):
        for n in range(ROWS):
            conn.execute("INSERT INTO item (kind, text) VALUES (?, ?)", (f"k{n % 5}", "x" * 700))
            conn.execute("INSERT INTO pair VALUES (?, ?, ?)", (f"a{n % 5}", n, "y" * 200))
    conn.close()
    return path


def read(path: Path, *pages: int) -> dict[str, tuple[int, TableReport]]:
    """What is read of each table with one byte flipped in these pages."""
    whole = path.read_bytes()
    altered = bytearray(whole)
    for page in pages:
        altered[(page - 1) * PAGE + 1000] ^= 1
    path.write_bytes(altered)
    source = Salvage(lambda: open_encrypted(path, KEY))
    try:
        found = {}
        for table in source.tables():
            report = TableReport()
            rows = list(source.rows(table, report))
            assert len(rows) == len(set(rows)) == report.read
            assert all(len(row) == 3 for row in rows)
            found[table] = (len(rows), report)
        return found
    finally:
        source.close()
        path.write_bytes(whole)


def test_a_sound_file_is_read_whole(damaged: Path) -> None:
    """Every row of every table, and nothing is called lost."""
    for count, report in read(damaged).values():
        assert (count, report.lost, report.whole) == (ROWS, [], True)


def test_one_page_takes_its_own_rows_only(damaged: Path) -> None:
    """Wherever the damage is, few rows are lost, each is named, and the other table is whole."""
    pages = damaged.stat().st_size // PAGE
    named = 0
    for page in range(6, pages + 1):
        found = read(damaged, page)
        count, report = found["item"]
        assert count + len(report.lost) == ROWS
        assert len(report.lost) <= 6
        named += len(report.lost)
        assert found["pair"][0] == ROWS or not found["pair"][1].whole
        assert ROWS in (count, found["pair"][0])
    assert named > ROWS - 10


def test_rows_between_two_damaged_pages_are_found(damaged: Path) -> None:
    """What only the index can still name is read row by row."""
    count, report = read(damaged, 10, 40)["item"]
    assert count + len(report.lost) == ROWS
    assert 0 < len(report.lost) <= 12


def test_what_is_not_there_is_no_error(damaged: Path) -> None:
    """A question about an unknown table has no answer, and the next one is answered."""
    source = Salvage(lambda: open_encrypted(damaged, KEY))
    assert source.ask("SELECT * FROM nothing") is None
    assert source.columns("nothing") == []
    assert source.columns("item") == ["id", "kind", "text"]
    source.close()
