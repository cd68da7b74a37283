"""Search: folding, prefixes, all terms, and nothing read as syntax."""

import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pds.db import Connection, migrate, open_plain
from pds.vault.files import MIGRATIONS
from pds.vault.records import Records

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def new_vault() -> tuple[Connection, Records]:
    conn = open_plain(":memory:")
    migrate(conn, MIGRATIONS, application_id=7)
    return conn, Records(conn, clock=lambda: NOW)


@pytest.fixture
def records() -> Iterator[Records]:
    conn, records = new_vault()
    yield records
    conn.close()


@pytest.mark.parametrize(
    "query",
    [
        "Őry", "ory", "ORY", "őr", "Kovács-Őry", "kovacs ory", "ory kovacs ilona", "marta",
        "o\u030bry", "szeged", "posta.example", "ilona@posta", "301234567", "+36 30 123", "6720",
        "strasse", "STRASSE", "lodz",
    ],
)  # fmt: skip
def test_a_record_is_found_without_accents_case_or_order(records: Records, query: str) -> None:
    """Each term is the beginning of some word, in any field."""
    wanted = records.add(
        "contact",
        {
            "name": "Kovács-Őry Ilona Márta",
            "email": "ilona@posta.example",
            "telephone": "+36 30 123 4567",
            "otherTelephones": ["06 (30) 1234-567", "301 234 567"],
            "address": {"addressLocality": "Szeged", "postalCode": "6720"},
            "note": "Große Straße, Łódź",
        },
        source="self",
    )
    records.add("contact", {"name": "Nagy Béla"}, source="self")
    assert [r.id for r in records.search(query)] == [wanted.id]


@pytest.mark.parametrize("query", ["ilona bela", "lona", "", "   ", "***", '"', "()", "-", "\x00"])
def test_what_does_not_match_or_has_no_word_finds_nothing(records: Records, query: str) -> None:
    """All terms must match, from the beginning of a word; without a word there is no result."""
    records.add("contact", {"name": "Kovács Ilona"}, source="self")
    records.add("contact", {"name": "Nagy Béla"}, source="self")
    assert records.search(query) == []


@pytest.mark.parametrize(
    "query",
    ["ilona OR bela", "NOT bela", "words:ilona", "ilona NEAR bela", "^ilona", "ilo* AND b*"],
)
def test_search_syntax_is_only_words(records: Records, query: str) -> None:
    """Operators, columns and brackets of the search engine mean nothing; they are terms."""
    records.add("contact", {"name": "Ilona"}, source="self")
    records.add("contact", {"name": "Bela"}, source="self")
    found = records.search(query)
    assert [r.fields["name"] for r in found] == (["Ilona"] if query == "^ilona" else [])


@given(st.text(max_size=60))
@settings(deadline=None, max_examples=100)
def test_no_query_is_an_error(query: str) -> None:
    """Any text whatsoever is answered with a list."""
    conn, records = new_vault()
    records.add("note", {"text": "some text"}, source="self")
    assert isinstance(records.search(query), list)
    conn.close()


@given(
    st.text(
        st.characters(categories=["Ll", "Lu", "Nd"], max_codepoint=0x2FF), min_size=1, max_size=12
    )
)
@settings(deadline=None, max_examples=100)
def test_every_word_finds_itself_however_it_is_written(word: str) -> None:
    """Upper, lower, composed and decomposed spellings of a word find the same record."""
    conn, records = new_vault()
    added = records.add("note", {"text": f"before {word} after"}, source="self")
    for form in (word, word.casefold(), unicodedata.normalize("NFD", word), word[:1]):
        assert [r.id for r in records.search(form)] == [added.id]
    conn.close()


def test_search_in_one_category(records: Records) -> None:
    """A category narrows the search."""
    records.add("note", {"text": "tea"}, source="self")
    bought = records.add("purchases", {"item": "Tea, zöld"}, source="self")
    assert [r.id for r in records.search("tea", category="purchases")] == [bought.id]
    assert len(records.search("tea")) == 2


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.text(st.characters(exclude_categories=("Cs", "Cc")), max_size=60),
            st.sampled_from([(), ("Tag one",), ("Ünnep", "b_c")]),
        ),
        min_size=1,
        max_size=6,
    )
)
def test_the_index_is_what_is_expected_of_it(texts: list[tuple[str, tuple[str, ...]]]) -> None:
    """Whatever the texts, what SQLite made of them is what we say it does; one word more or less
    is seen."""
    conn, records = new_vault()
    try:
        records.add("note", {"text": "\ufdfa" * 3_000 + " _a__b Z"}, source="self")
        for text, tags in texts:
            records.add("note", {"text": f"a{text}"}, source="self", tags=tags)
        assert records.fits_index()
        place = conn.execute("SELECT max(rowid) FROM record_index('_')").fetchone()[0]
        conn.execute("INSERT INTO record_index (rowid, words) VALUES (?, 'qqq')", (place,))
        assert not records.fits_index()
        records.index_again()
        assert records.fits_index()
        conn.execute(
            "INSERT INTO record_index (record_index, rowid, words) VALUES ('delete', ?, '_')",
            (place,),
        )
        assert not records.fits_index()
    finally:
        conn.close()
