"""Records: adding, editing, history, deletion, pages, values, batches."""

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.json import JsonObject
from pds.db import Connection, migrate, open_plain, transaction
from pds.vault.files import MIGRATIONS
from pds.vault.records import Record, RecordError, Records
from pds.vault.schemas import categories, check, parse_path, schema_of

START = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)


def counting_random() -> Callable[[int], bytes]:
    numbers = itertools.count(1)
    return lambda size: next(numbers).to_bytes(size, "big")


def ticking_clock() -> Callable[[], datetime]:
    minutes = itertools.count()
    return lambda: START + timedelta(minutes=next(minutes))


def new_vault(path: Path | str = ":memory:") -> Connection:
    conn = open_plain(path)
    migrate(conn, MIGRATIONS, application_id=7)
    return conn


@pytest.fixture
def conn() -> Iterator[Connection]:
    conn = new_vault()
    yield conn
    conn.close()


@pytest.fixture
def records(conn: Connection) -> Records:
    return Records(conn, clock=ticking_clock(), random=counting_random())


def refused(code: str) -> pytest.RaisesExc[RecordError]:
    return pytest.RaisesExc(RecordError, check=lambda error: error.code == code)


def note(text: str) -> JsonObject:
    return {"text": text}


# --- one record -----------------------------------------------------------------------------------


def test_a_record_comes_back_as_it_was_added(records: Records) -> None:
    """Fields, provenance and times are those that were given."""
    seen = datetime(2020, 1, 2, 3, 4, 5, tzinfo=UTC)
    added = records.add(
        "contact",
        {"email": "a@posta.example", "address": {"addressLocality": "Szeged"}},
        source="import/vcard",
        about="other",
        assurance="company",
        collected=seen,
    )
    got = records.get(added.id)
    assert got == added
    assert got.fields == {"email": "a@posta.example", "address": {"addressLocality": "Szeged"}}
    assert (got.source, got.about, got.assurance) == ("import/vcard", "other", "company")
    assert (got.collected, got.created, got.version) == (seen, START, 1)
    assert got.schema == "https://w3id.org/personal-data-store/v1/schemas/contact"
    assert len(got.id) == 22


def test_an_edit_keeps_the_version_before(records: Records) -> None:
    """A correction makes a version with its own provenance and leaves the old one readable."""
    first = records.add("contact", {"name": "Ilona", "email": "old@posta.example"}, source="x")
    second = records.edit(first.id, {"email": "new@posta.example", "name": None})
    assert second.fields == {"email": "new@posta.example"}
    assert (second.version, second.source) == (2, "self")
    assert second.changed > first.changed
    assert second.created == first.created
    assert records.history(first.id) == [first, second]


def test_an_edit_merges_groups_and_drops_empty_ones(records: Records) -> None:
    """One part of an address can be changed alone; a group that loses its last part goes."""
    added = records.add(
        "contact",
        {"name": "I", "address": {"addressLocality": "Szeged", "postalCode": "6720"}},
        source="self",
    )
    moved = records.edit(added.id, {"address": {"postalCode": "6721"}})
    assert moved.fields["address"] == {"addressLocality": "Szeged", "postalCode": "6721"}
    gone = records.edit(added.id, {"address": {"postalCode": None, "addressLocality": None}})
    assert gone.fields == {"name": "I"}


def test_an_edit_that_changes_nothing_makes_no_version(records: Records) -> None:
    """Saving a form without a change leaves no trace."""
    added = records.add("note", note("same"), source="import/csv")
    assert records.edit(added.id, {"text": "same", "title": None}) == added
    assert len(records.history(added.id)) == 1


def test_an_edit_of_an_older_version_is_a_conflict(records: Records) -> None:
    """Two editors of one version: the second is told."""
    added = records.add("note", note("one"), source="self")
    records.edit(added.id, note("two"), expected_version=1)
    with refused("data.conflict"):
        records.edit(added.id, note("three"), expected_version=1)
    assert records.get(added.id).fields == note("two")


def test_a_refused_edit_changes_nothing(records: Records) -> None:
    """The record stays at its version when the change is not valid."""
    added = records.add("contact", {"name": "I"}, source="self")
    with refused("data.invalid"):
        records.edit(added.id, {"email": "nonsense"})
    with refused("data.invalid"):
        records.edit(added.id, {"name": None})
    assert records.history(added.id) == [added]


def test_a_deletion_erases_every_version_and_leaves_a_tombstone(records: Records) -> None:
    """That versions existed stays known; what they said does not."""
    added = records.add("contact", {"name": "Canary"}, source="self")
    records.edit(added.id, {"name": "Canary Two"})
    records.delete(added.id)
    history = records.history(added.id)
    assert [(r.version, r.fields, r.deleted) for r in history] == [
        (1, {}, True),
        (2, {}, True),
        (3, {}, True),
    ]
    with refused("data.deleted"):
        records.get(added.id)
    with refused("data.deleted"):
        records.edit(added.id, {"name": "Back"})
    with refused("data.deleted"):
        records.delete(added.id)
    assert records.list() == []
    assert records.search("canary") == []
    assert records.values("contact.name") == []


def test_a_deleted_text_is_nowhere_in_the_file(tmp_path: Path) -> None:
    """After a deletion neither the tables nor the search index hold the words (plain database)."""
    path = tmp_path / "records.db"
    conn = new_vault(path)
    records = Records(conn, clock=ticking_clock())
    kept = [records.add("note", note(f"keep{i} ordinary"), source="self") for i in range(50)]
    gone = records.add("note", note("zanzibarcanary"), source="self")
    records.edit(gone.id, note("zanzibarcanary mombasacanary"))
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"zanzibarcanary" in path.read_bytes()
    records.delete(gone.id)
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()
    raw = path.read_bytes()
    assert b"canary" not in raw
    assert kept[0].fields["text"].encode() in raw  # type: ignore[union-attr]


def test_unknown_records_are_not_found(records: Records) -> None:
    """Every verb says so in the same way."""
    missing = "A" * 22
    for act in (records.get, records.history, records.delete):
        with refused("data.not_found"):
            act(missing)
    with refused("data.not_found"):
        records.edit(missing, {})
    with refused("data.not_found"):
        records.list(after=missing)


def test_writes_join_the_transaction_of_the_caller(conn: Connection, records: Records) -> None:
    """A caller that rolls back takes record and index back together."""

    def add_and_fail() -> None:
        with transaction(conn):
            records.add("note", note("vanishes"), source="self")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        add_and_fail()
    assert records.list() == []
    assert records.search("vanishes") == []


def test_an_id_never_looks_like_an_option(conn: Connection) -> None:
    """Whatever the random bytes, an id does not begin with a hyphen."""
    made = Records(conn, clock=ticking_clock(), random=lambda n: b"\xfb" * n).new_id()
    assert len(made) == 22
    assert not made.startswith("-")


def test_a_record_keeps_its_contents_out_of_its_repr(records: Records) -> None:
    """What ends in a traceback or a log does not hold the data."""
    added = records.add("contact", {"name": "Canary"}, source="self")
    assert "Canary" not in repr(added)
    assert "Canary" not in repr(records.values("contact.name"))


# --- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("category", "fields", "code", "field"),
    [
        ("contact", {"email": "SECRET"}, "data.invalid", "contact.email"),
        ("contact", {"email": "SECRET@x.example\n"}, "data.invalid", "contact.email"),
        ("contact", {"otherEmails": ["a@b.example", "SECRET"]}, "data.invalid", "otherEmails"),
        ("contact", {"address": {"street": "SECRET"}}, "data.unknown_field", "contact.address"),
        (
            "contact",
            {"address": {"postalCode": 6720}},
            "data.invalid",
            "contact.address.postalCode",
        ),
        ("contact", {"SECRET": "x"}, "data.unknown_field", "contact"),
        ("contact", {"name": "SECRET\x00"}, "data.invalid", "contact.name"),
        ("contact", {"name": "\x1b[2JSECRET"}, "data.invalid", "contact.name"),
        ("contact", {"name": ""}, "data.invalid", "contact.name"),
        ("contact", {"name": "SECRET" * 100}, "data.invalid", "contact.name"),
        ("contact", {"url": "javascript:SECRET"}, "data.invalid", "contact.url"),
        ("contact", {"birthDate": "1990-02-31"}, "data.invalid", "contact.birthDate"),
        ("contact", {}, "data.invalid", "contact"),
        ("purchases", {"price": "1290,00"}, "data.invalid", "purchases.price"),
        ("purchases", {"price": "1290.00\n"}, "data.invalid", "purchases.price"),
        ("purchases", {"price": 1290}, "data.invalid", "purchases.price"),
        ("purchases", {"price": 12.5}, "data.not_json", ""),
        ("purchases", {"date": "2026-02-30"}, "data.invalid", "purchases.date"),
        ("purchases", {"date": "20260228"}, "data.invalid", "purchases.date"),
        ("purchases", {"currency": "Ft"}, "data.invalid", "purchases.currency"),
        ("interests", {"level": "high"}, "data.invalid", "interests.name"),
        ("interests", {"name": "x", "level": "SECRET"}, "data.invalid", "interests.level"),
        ("note", {"text": "\ud800"}, "data.not_json", ""),
        ("note", {"text": "x" * 70_000}, "data.too_large", ""),
        ("nonsense", {"name": "x"}, "data.unknown_category", ""),
    ],
)
def test_what_is_not_valid_is_refused_by_field_without_its_value(
    records: Records, category: str, fields: JsonObject, code: str, field: str
) -> None:
    """The error names the field and never repeats the value."""
    with pytest.raises(RecordError) as caught:
        records.add(category, fields, source="self")
    assert caught.value.code == code
    assert caught.value.field.endswith(field)
    assert "SECRET" not in f"{caught.value} {caught.value.hint} {caught.value.field}"
    assert records.list() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": ""},
        {"source": "line\nbreak"},
        {"source": "x", "about": "mother"},
        {"source": "x", "assurance": "certain"},
    ],
)
def test_provenance_is_one_of_the_known_words(records: Records, wrong: dict[str, str]) -> None:
    """Source, about and assurance cannot be left open."""
    with refused("data.provenance"):
        records.add("note", note("x"), **wrong)  # type: ignore[arg-type]


# --- schemas --------------------------------------------------------------------------------------


def test_every_schema_is_a_schema_and_every_field_has_words() -> None:
    """All categories are valid JSON Schema 2020-12, closed, and named in both languages."""
    from jsonschema import Draft202012Validator

    for category in categories():
        schema = schema_of(category.name)
        Draft202012Validator.check_schema(schema)
        assert schema["$id"] == category.schema
        assert schema["additionalProperties"] is False
        assert category.title
        assert category.title_hu
        for field in category.fields:
            assert parse_path(field.path) == (category, field)
            assert field.title
            assert field.title_hu


def test_paths_are_described_in_words(records: Records) -> None:
    """A path has a name for people; one that does not exist is refused."""
    assert records.describe("contact.email") == "E-mail address"
    assert records.describe("contact.birthDate", language="hu") == "Születési dátum"
    assert records.describe("purchases") == "Purchase"
    for wrong in ("contact.shoeSize", "contact.address.postalCode", "contact."):
        with refused("data.unknown_path"):
            records.describe(wrong)
    for wrong in ("", "Contact", ".email"):
        with refused("data.unknown_category"):
            records.describe(wrong)


@pytest.mark.parametrize("birth", ["1984", "1984-02", "1984-02-29", "--02-29"])
def test_a_birth_date_may_be_known_in_part(birth: str) -> None:
    """Year, month and day are each allowed to be unknown, as in vCards."""
    check("contact", {"birthDate": birth})


# --- values ---------------------------------------------------------------------------------------


def test_values_are_exactly_what_the_path_names(records: Records) -> None:
    """Only live records about the holder, only the field that was asked for, the oldest first."""
    one = records.add("contact", {"email": "1@p.example", "name": "One"}, source="self")
    records.add("contact", {"email": "2@p.example"}, source="self", about="other")
    records.add("contact", {"name": "No Mail", "otherEmails": ["3@p.example"]}, source="self")
    gone = records.add("contact", {"email": "4@p.example"}, source="self")
    records.delete(gone.id)
    five = records.add("contact", {"email": "5@p.example"}, source="import/vcard")
    records.add("note", note("6@p.example"), source="self")

    values = records.values("contact.email")
    assert [(v.value, v.record_id) for v in values] == [
        ("1@p.example", one.id),
        ("5@p.example", five.id),
    ]
    assert {v.path for v in values} == {"contact.email"}
    assert [v.source for v in values] == ["self", "import/vcard"]
    assert values[0].schema == one.schema
    assert [v.value for v in records.values("contact")] == [
        {"email": "1@p.example", "name": "One"},
        {"name": "No Mail", "otherEmails": ["3@p.example"]},
        {"email": "5@p.example"},
    ]
    records.edit(one.id, {"email": "new@p.example"})
    assert [v.value for v in records.values("contact.email")] == ["new@p.example", "5@p.example"]
    with refused("data.unknown_path"):
        records.values("contact.shoeSize")


# --- pages and batches ----------------------------------------------------------------------------


def pages(
    records: Records, fetch: Callable[[str | None], list[Record]], limit: int
) -> list[Record]:
    found: list[Record] = []
    after: str | None = None
    while True:
        page = fetch(after)
        found += page
        if len(page) < limit:
            return found
        after = page[-1].id


@given(
    kinds=st.lists(st.sampled_from(["note", "interests"]), max_size=30),
    limit=st.integers(1, 12),
    deleted=st.sets(st.integers(0, 29)),
)
@settings(deadline=None, max_examples=40)
def test_pages_show_each_live_record_exactly_once(
    kinds: list[str], limit: int, deleted: set[int]
) -> None:
    """Newest first, whatever the page size, in lists, in one category and in search."""
    conn = new_vault()
    records = Records(conn, clock=ticking_clock())
    with transaction(conn):
        added = [
            records.add(kind, {"text" if kind == "note" else "name": "same word"}, source="self")
            for kind in kinds
        ]
        for number in deleted:
            if number < len(added):
                records.delete(added[number].id)
    live = [r for i, r in enumerate(added) if i not in deleted][::-1]
    notes = [r for r in live if r.category == "note"]

    assert pages(records, lambda a: records.list(limit=limit, after=a), limit) == live
    assert pages(records, lambda a: records.list("note", limit=limit, after=a), limit) == notes
    assert pages(records, lambda a: records.search("word", limit=limit, after=a), limit) == live
    assert records.counts()["note"] == len(notes)
    conn.close()


def test_a_page_goes_on_after_a_record_that_was_deleted(records: Records) -> None:
    """The cursor outlives its record, and what came in since does not repeat the old."""
    added = [records.add("note", note(str(i)), source="self") for i in range(5)]
    first = records.list(limit=2)
    records.delete(first[-1].id)
    records.add("note", note("new"), source="self")
    assert records.list(limit=9, after=first[-1].id) == added[2::-1]


def test_a_batch_is_undone_but_for_what_was_edited(records: Records) -> None:
    """Undo removes what an import added and keeps what the holder has worked on since."""
    other = records.add("note", note("mine"), source="self")
    batch = records.new_id()
    a, b, c = (records.add("note", note(text), source="import/csv", batch=batch) for text in "abc")
    records.edit(b.id, note("b, better"))
    records.delete(c.id)
    assert [(x.id, x.source, x.records, x.live) for x in records.batches()] == [
        (batch, "import/csv", 3, 2)
    ]
    undone = records.undo_batch(batch)
    assert (undone.removed, undone.kept) == (1, 1)
    assert [r.id for r in records.list()] == [b.id, other.id]
    assert records.undo_batch(batch, edited=True).removed == 1
    with refused("data.not_found"):
        records.undo_batch(batch)
    assert records.history(a.id)[-1].deleted


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.integers(0, 3)),
            st.tuples(st.just("edit"), st.integers(0, 3)),
            st.tuples(st.just("delete"), st.integers(0, 3)),
        ),
        max_size=25,
    )
)
@settings(deadline=None, max_examples=40)
def test_any_course_of_edits_keeps_tables_and_index_in_step(
    course: list[tuple[str, int]],
) -> None:
    """After any adds, edits and deletions, history and search say what a plain model says."""
    conn = new_vault()
    records = Records(conn, clock=ticking_clock())
    model: dict[str, list[str]] = {}
    live: dict[str, str] = {}
    with transaction(conn):
        for step, (verb, number) in enumerate(course):
            word = f"word{step}x"
            if verb == "add":
                record_id = records.add("note", note(word), source="self").id
                live[record_id], model[record_id] = word, [word]
            elif number < len(live):
                record_id = list(live)[number]
                if verb == "edit":
                    records.edit(record_id, note(word))
                    live[record_id] = word
                    model[record_id].append(word)
                else:
                    records.delete(record_id)
                    del live[record_id]
    for record_id, words in model.items():
        texts = [r.fields.get("text") for r in records.history(record_id)]
        assert texts == (words if record_id in live else [None] * (len(words) + 1))
        for word in words:
            hits = [r.id for r in records.search(word)]
            assert hits == ([record_id] if live.get(record_id) == word else [])
    conn.close()
