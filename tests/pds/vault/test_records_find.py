"""Finding: words and filters together, held against a reference that looks at every record."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from did.json import JsonObject
from pds.db import Connection, migrate, open_plain, transaction
from pds.vault.files import APPLICATION_ID, MIGRATIONS
from pds.vault.records import Query, Record, RecordError, Records, Validity
from pds.vault.service import Vault

from .conftest import Place

START = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
WORDS = ("tea", "teapot", "teak", "te", "t", "zöld", "ZOLD", "zebra", "2024", "20240", "őr")
SHOPS = ("Tea Ház", "TEA-HAZ", "Zebra Kft.", "zebra bt")
TAGS = ("tax", "Tax 2024", "café")
SOURCES = ("self", "import/csv")


@dataclass
class Clock:
    """A clock that a test moves on."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def tick(self) -> None:
        self.now += timedelta(hours=7)


def new_vault(path: Path | str = ":memory:") -> tuple[Connection, Records, Clock]:
    conn, clock = open_plain(path), Clock()
    migrate(conn, MIGRATIONS, application_id=APPLICATION_ID)
    records = Records(conn, clock=clock)
    records.prepare_index()
    return conn, records, clock


@pytest.fixture
def records() -> Iterator[Records]:
    conn, records, _ = new_vault()
    yield records
    conn.close()


def plain(text: str) -> str:
    """The reference's own idea of folding, enough for the words of these tests."""
    return text.lower().replace("ö", "o").replace("ő", "o").replace("é", "e").replace("á", "a")


def split(text: str) -> list[str]:
    return plain(text).replace("-", " ").replace(".", " ").split()


def is_found(record: Record, query: Query) -> bool:
    texts = [str(value) for value in record.fields.values()] + list(record.tags)
    there = [word for text in texts for word in split(text)]
    day = date.fromisoformat(record.happened or record.created.date().isoformat())
    return all(
        (
            query.text is None
            or all(any(w.startswith(t) for w in there) for t in split(query.text)),
            query.category in (None, record.category),
            query.start is None or day >= query.start,
            query.end is None or day <= query.end,
            query.source in (None, record.source),
            query.about in (None, record.about),
            not query.companies
            or (record.company is not None
                and split(record.company) in [split(name) for name in query.companies]),
            query.tag is None or split(query.tag) in [split(tag) for tag in record.tags],
        )
    )  # fmt: skip


days = st.dates(date(2023, 12, 28), date(2024, 1, 4))
phrases = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
notes = st.builds(lambda text: ("note", {"text": text}), phrases)
bought = st.builds(
    lambda text, shop, day: (
        "purchases",
        {"item": text}
        | ({} if shop is None else {"merchant": shop})
        | ({} if day is None else {"date": day.isoformat()}),
    ),
    phrases,
    st.none() | st.sampled_from(SHOPS),
    st.none() | days,
)
queries = st.builds(
    Query,
    text=st.none() | st.lists(
        st.sampled_from(WORDS).flatmap(lambda w: st.integers(1, len(w)).map(lambda n: w[:n])),
        min_size=1, max_size=2,
    ).map(" ".join),
    category=st.sampled_from([None, None, "note", "purchases"]),
    start=st.none() | days,
    end=st.none() | days | st.just(date(2026, 1, 2)),
    source=st.none() | st.sampled_from(SOURCES),
    companies=st.just(()) | st.lists(st.sampled_from(SHOPS), min_size=1, max_size=2).map(tuple),
    tag=st.none() | st.sampled_from(TAGS),
    about=st.sampled_from([None, None, "self", "other"]),
)  # fmt: skip


class Life(RuleBasedStateMachine):
    """Records come, change, get tags and go; any query finds what the reference finds."""

    def __init__(self) -> None:
        super().__init__()
        self.conn, self.records, self.clock = new_vault()
        self.alive: list[str] = []

    def teardown(self) -> None:
        self.conn.close()

    @rule(
        one=notes | bought,
        source=st.sampled_from(SOURCES),
        about=st.sampled_from(["self", "other"]),
        tags=st.lists(st.sampled_from(TAGS), max_size=2),
    )
    def add(self, one: tuple[str, JsonObject], source: str, about: str, tags: list[str]) -> None:
        self.clock.tick()
        added = self.records.add(*one, source=source, about=about, tags=tags)
        self.alive.append(added.id)

    @rule(many=st.lists(bought, min_size=1, max_size=6))
    def add_many(self, many: list[tuple[str, JsonObject]]) -> None:
        self.clock.tick()
        before = {record.id for record in everything(self.records)}
        with transaction(self.conn), self.records.bulk(source="import/csv") as bulk:
            bulk.add_many(map(checked, many))
        new = [r.id for r in everything(self.records) if r.id not in before]
        assert len(new) == bulk.added
        assert bulk.added + bulk.duplicates == len(many)
        self.alive += new

    @rule(data=st.data(), text=phrases)
    def edit(self, data: st.DataObject, text: str) -> None:
        if self.alive:
            one = self.records.get(data.draw(st.sampled_from(self.alive)))
            name = "text" if one.category == "note" else "item"
            changes: JsonObject = {name: text}
            if one.category == "purchases":
                day = data.draw(st.none() | days)
                changes["date"] = None if day is None else day.isoformat()
            self.records.edit(one.id, changes)

    @rule(data=st.data(), tag=st.sampled_from(TAGS), away=st.booleans())
    def tag(self, data: st.DataObject, tag: str, away: bool) -> None:
        if self.alive:
            one = data.draw(st.sampled_from(self.alive))
            self.records.tag(one, remove=[tag]) if away else self.records.tag(one, add=[tag])

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        if self.alive:
            one = data.draw(st.sampled_from(self.alive))
            self.records.delete(one)
            self.alive.remove(one)

    @rule()
    def rebuild(self) -> None:
        with transaction(self.conn):
            self.conn.execute("UPDATE record_index_form SET form = 'another'")
        self.records.prepare_index()

    @rule()
    def tidy(self) -> None:
        self.records.tidy()

    @rule(query=queries, limit=st.integers(1, 4))
    def find(self, query: Query, limit: int) -> None:
        there = [self.records.get(one) for one in self.alive]
        wanted = {record.id for record in there if is_found(record, query)}
        found = list(walk(self.records, query, limit))
        assert {record.id for record in found} == wanted
        assert len(found) == len(wanted)
        times = [r.happened or r.created.date().isoformat() for r in found]
        assert times == sorted(times, reverse=True)

    @invariant()
    def the_counts_are_right(self) -> None:
        assert sum(self.records.counts().values()) == len(self.alive)


def test_any_query_finds_what_looking_at_every_record_finds() -> None:
    """Words, filters and time in any combination, page by page, after any changes."""
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        Life,
        settings=settings(
            max_examples=60,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def checked(one: tuple[str, JsonObject]) -> Any:
    from pds.vault.schemas import check

    return check(*one)


def walk(records: Records, query: Query, limit: int) -> Iterator[Record]:
    after = None
    while True:
        page = records.find(query, limit=limit, after=after)
        assert len(page.records) <= limit
        yield from page.records
        if page.next is None:
            return
        after = page.next


def everything(records: Records) -> list[Record]:
    return list(walk(records, Query(), 1000))


# --- order and pages ------------------------------------------------------------------------------


def purchase(day: str, item: str = "tea", **more: str) -> tuple[str, JsonObject]:
    return "purchases", {"date": day, "item": item, **more}


def items(found: Iterator[Record] | tuple[Record, ...]) -> list[object]:
    return [record.fields.get("item", record.fields.get("text")) for record in found]


def test_the_newest_is_what_happened_last_not_what_came_in_last(records: Records) -> None:
    """A day orders before the order of coming in; what names no day stands where it came in."""
    records.add(*purchase("2024-05-02", "second"), source="self")
    records.add(*purchase("2024-05-03", "third"), source="self")
    records.add(*purchase("2024-05-01", "first"), source="self")
    records.add("note", {"text": "today"}, source="self")
    assert items(walk(records, Query(), 10)) == ["today", "third", "second", "first"]


def test_an_edit_moves_a_record_in_time(records: Records) -> None:
    """The day in the contents decides, and only the current one."""
    moved = records.add(*purchase("2024-05-01", "moved"), source="self")
    records.add(*purchase("2024-06-01", "other"), source="self")
    records.edit(moved.id, {"date": "2025-01-01"})
    assert items(walk(records, Query(), 10)) == ["moved", "other"]
    assert items(walk(records, Query(end=date(2024, 5, 31)), 10)) == []
    assert [v.happened for v in records.history(moved.id)] == ["2024-05-01", "2025-01-01"]


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_a_cursor_stays_good_while_records_come_and_go(data: st.DataObject) -> None:
    """What was there all the time comes exactly once; the record a page ended at may be gone."""
    conn, records, clock = new_vault()
    kept = {
        records.add(*purchase(day.isoformat(), f"kept {n}"), source="self").id
        for n, day in enumerate(data.draw(st.lists(days, min_size=1, max_size=12)))
    }
    extra = [
        records.add(*purchase(day.isoformat(), f"extra {n}"), source="self").id
        for n, day in enumerate(data.draw(st.lists(days, max_size=6)))
    ]
    seen: list[str] = []
    after = None
    while True:
        page = records.find(Query(), limit=data.draw(st.integers(1, 3)), after=after)
        seen += [record.id for record in page.records]
        if page.next is None:
            break
        after = page.next
        if extra and data.draw(st.booleans()):
            records.delete(extra.pop())
        if data.draw(st.booleans()):
            clock.tick()
            records.add(*purchase(data.draw(days).isoformat(), "new"), source="self")
    assert len(seen) == len(set(seen))
    assert kept <= set(seen)
    conn.close()


@pytest.mark.parametrize("cursor", ["", "-1", "xyz", "f" * 20, " 1", "1_0", "٣"])
def test_what_is_no_cursor_is_refused(records: Records, cursor: str) -> None:
    """A cursor is the text that a page gave."""
    with pytest.raises(RecordError) as caught:
        records.find(Query(), after=cursor)
    assert caught.value.code == "data.cursor"


@pytest.mark.parametrize(
    ("wrong", "code"),
    [({"category": "nowhere"}, "data.unknown_category"), ({"about": "me"}, "data.query")],
)
def test_a_query_for_what_cannot_be_is_refused(
    records: Records, wrong: dict[str, Any], code: str
) -> None:
    """A filter that could never match is a mistake, not an empty answer."""
    with pytest.raises(RecordError) as caught:
        records.find(Query(**wrong))
    assert caught.value.code == code


def test_two_connections_at_once(tmp_path: Path) -> None:
    """What one program adds, edits, tags and deletes, the other finds with its next question."""
    one, first, _ = new_vault(tmp_path / "v.db")
    two, second, _ = new_vault(tmp_path / "v.db")
    a = first.add(*purchase("2024-05-01", "alpha"), source="self")
    b = second.add(*purchase("2024-05-02", "beta"), source="self")
    assert items(walk(first, Query(), 1)) == items(walk(second, Query(), 1)) == ["beta", "alpha"]
    second.tag(a.id, add=["mine"])
    first.edit(b.id, {"item": "gamma"})
    assert items(walk(first, Query(tag="mine"), 9)) == ["alpha"]
    assert items(walk(second, Query(text="gam"), 9)) == ["gamma"]
    assert items(walk(second, Query(text="beta"), 9)) == []
    first.delete(a.id)
    assert items(walk(second, Query(tag="mine"), 9)) == []
    assert second.counts()["purchases"] == 1
    one.close()
    two.close()


# --- the cost of a page ---------------------------------------------------------------------------


def test_no_question_is_answered_by_looking_at_all_rows() -> None:
    """Every statement that finding runs uses an index: no scan, no sorting, no OFFSET."""
    conn, records, _ = new_vault()
    for n in range(30):
        records.add(*purchase("2024-05-01", f"tea {n}", merchant="Tea Ház"), source="self")
    statements: list[str] = []
    conn.set_trace_callback(statements.append)
    records.find(
        Query(text="t te tea teap", category="purchases", companies=("x",), start=date(2020, 1, 1))
    )
    records.find(Query(text="tea"), after=records.find(Query(), limit=3).next)
    records.list("purchases", limit=5)
    records.ids("abcd")
    records.counts()
    records.sieve().sift([(*checked(purchase("2024-05-01", "x")), None, None)])
    conn.set_trace_callback(None)
    asked = [s for s in statements if s.startswith("SELECT") and "sqlite_" not in s]
    assert len(asked) > 15
    for statement in asked:
        assert "OFFSET" not in statement
        for row in conn.execute("EXPLAIN QUERY PLAN " + statement):
            plan = row[3]
            assert "TEMP B-TREE FOR ORDER" not in plan, statement
            if plan.startswith("SCAN"):
                # The full-text index and its list of words are virtual tables, which SQLite calls
                # scans; they must have been given the question. The counts are a few rows.
                assert "VIRTUAL TABLE INDEX" in plan or "record_counts" in plan, statement
                assert not plan.endswith("INDEX 0:"), statement
    conn.close()


def steps_of(conn: Connection, work: Callable[[], object]) -> int:
    """How many hundreds of SQLite's own steps some work takes."""
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    conn.set_progress_handler(count, 100)
    work()
    conn.set_progress_handler(None, 0)
    return steps


@pytest.mark.parametrize(
    "query",
    [
        Query(text="common rare"),
        Query(text="common", tag="once"),
        Query(text="rare", category="purchases"),
        Query(text="c", companies=("Corner Shop",)),
        Query(text="common", start=date(2024, 1, 1), end=date(2024, 1, 2)),
    ],
)
def test_a_common_word_with_a_rare_filter_reads_no_more_rows_in_a_larger_vault(
    query: Query,
) -> None:
    """The rows of the table that are read are those shown, however many hold the word."""
    for size in (300, 3000):
        conn, records, _ = new_vault()
        with transaction(conn), records.bulk(source="import/csv") as bulk:
            bulk.add_many(
                checked(purchase("2023-01-01", f"common {n}", merchant="Corner Shop"))
                for n in range(size)
            )
        for _ in range(2):
            records.add(*purchase("2024-01-01", "common rare"), source="self", tags=["once"])
        read: list[str] = []
        conn.set_trace_callback(read.append)
        page = records.find(query, limit=2)
        conn.set_trace_callback(None)
        assert 0 < len(page.records) <= 2
        (rows,) = [statement for statement in read if "FROM records" in statement]
        assert rows.partition(" IN (")[2].partition(")")[0].count(",") + 1 == len(page.records)
        assert steps_of(conn, partial(records.find, query, limit=2)) < 20
        conn.close()


# --- tags and validity ----------------------------------------------------------------------------


def test_tags_are_the_holders_own(records: Records) -> None:
    """Added and taken away without a version; found as words and as filters; counted."""
    one = records.add("note", {"text": "x"}, source="self", tags=["Adó  2024"])
    assert records.get(one.id).tags == ("Adó 2024",)
    assert records.tag(one.id, add=["car", "ADO 2024", "car"]).tags == ("Adó 2024", "car")
    assert records.get(one.id).version == 1
    assert [r.id for r in records.search("ado")] == [one.id]
    assert records.find(Query(tag="adó 2024")).records[0].id == one.id
    assert records.find(Query(tag="ado")).records == ()
    assert records.tags() == [("Adó 2024", 1), ("car", 1)]
    assert records.tag(one.id, remove=["CAR", "never there"]).tags == ("Adó 2024",)
    assert records.search("car") == []
    records.delete(one.id)
    assert records.tags() == []


@pytest.mark.parametrize("wrong", ["", "  ", "x" * 101, "a\x00b", "a\u202eb"])
def test_what_is_no_tag_is_refused(records: Records, wrong: str) -> None:
    """A tag is a few printable words."""
    one = records.add("note", {"text": "x"}, source="self")
    with pytest.raises(RecordError) as caught:
        records.tag(one.id, add=[wrong])
    assert caught.value.code == "data.tag"


def test_a_tag_of_signs_alone_is_found(records: Records) -> None:
    """A tag without a word is compared as it is."""
    one = records.add("note", {"text": "x"}, source="self", tags=["★"])
    assert records.find(Query(tag="★")).records[0].id == one.id
    assert records.find(Query(tag="☆")).records == ()


def test_a_grant_sends_only_what_holds_today() -> None:
    """Before its first day and after its last a record is kept and found, but no value is given."""
    conn, records, clock = new_vault()
    today = clock.now.date()
    day = timedelta(days=1)
    for name, validity in {
        "always": Validity(),
        "first day": Validity(today, None),
        "last day": Validity(None, today),
        "over": Validity(None, today - day),
        "not yet": Validity(today + day, None),
    }.items():
        records.add("contact", {"name": name}, source="self", validity=validity)
    assert [v.value for v in records.values("contact.name")] == ["always", "first day", "last day"]
    assert len(records.search("over")) == 1
    clock.now += day
    assert [v.value for v in records.values("contact.name")] == ["always", "first day", "not yet"]
    conn.close()


def test_validity_is_part_of_a_version(records: Records) -> None:
    """Setting it makes a version; a later edit keeps it; the versions before keep theirs."""
    one = records.add("contact", {"name": "a"}, source="self")
    held = Validity(date(2020, 1, 1), date(2024, 5, 31))
    assert records.edit(one.id, {}, validity=held).version == 2
    assert records.edit(one.id, {}, validity=held).version == 2
    assert records.edit(one.id, {"name": "b"}).validity == held
    assert [v.validity for v in records.history(one.id)] == [Validity(), held, held]
    records.delete(one.id)
    assert [v.validity for v in records.history(one.id)] == [Validity()] * 4


def test_nothing_ends_before_it_begins() -> None:
    """A span the wrong way round is refused."""
    with pytest.raises(RecordError) as caught:
        Validity(date(2024, 1, 2), date(2024, 1, 1))
    assert caught.value.code == "data.validity"


# --- the index ------------------------------------------------------------------------------------


def test_a_vault_of_before_is_found_through(tmp_path: Path) -> None:
    """Records written by the first tables are in the new index after the migration; the words of
    the old one are gone from the file."""
    conn = open_plain(tmp_path / "old.db")
    migrate(conn, MIGRATIONS[:2], application_id=APPLICATION_ID)
    fields = '{"date":"2024-05-01","item":"zanzibarlamp","merchant":"Lamp Ltd"}'
    conn.execute(
        "INSERT INTO records (id, category, schema, about, fields, digest, source, collected,"
        " assurance, version, created, changed) VALUES (?, 'purchases', 's', 'self', ?, ?, 'self',"
        " ?, 'self-declared', 1, ?, ?)",
        ("A" * 22, fields, bytes(32), *["2026-01-01T00:00:00Z"] * 3),
    )
    conn.execute("INSERT INTO record_search (rowid, words) VALUES (1, 'zanzibarlamp onlyoldword')")
    migrate(conn, MIGRATIONS, application_id=APPLICATION_ID)
    records = Records(conn, clock=Clock())
    records.prepare_index()
    assert items(walk(records, Query(text="zanzi", start=date(2024, 5, 1)), 9)) == ["zanzibarlamp"]
    assert records.counts()["purchases"] == 1
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    conn.close()
    assert b"onlyoldword" not in (tmp_path / "old.db").read_bytes()


def test_what_is_deleted_is_gone_from_the_index(tmp_path: Path) -> None:
    """No word, no beginning of it and no label of a deleted record is in the file, although it was
    indexed in pieces that were merged with others, edited and tagged."""
    conn, records, clock = new_vault(tmp_path / "v.db")
    for n in range(60):
        clock.tick()
        records.add(*purchase("2024-05-01", f"ordinary{n}", merchant="Shop"), source="self")
    gone = records.add(*purchase("2024-05-02", "quetzalcanary", merchant="Shop"), source="self")
    records.tag(gone.id, add=["xylotag"])
    records.edit(gone.id, {"merchant": "Wyvern Kft"})
    records.edit(gone.id, {"item": "jabberwock"})
    records.tidy()
    for n in range(60):
        records.add(*purchase("2024-05-03", f"later{n}", merchant="Shop"), source="self")
    records.tidy()
    records.delete(gone.id)
    vocabulary = {row[0] for row in conn.execute("SELECT term FROM record_words")}
    assert {"ordinary1", "shop"} <= vocabulary
    traces = ("quetz", "xylo", "wyv", "jabb", "_tag")
    assert not [word for word in vocabulary if word.startswith(traces)]
    conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    octets = (tmp_path / "v.db").read_bytes()
    assert b"ordinary" in octets
    for trace in (b"quetz", b"tzalcanary", b"xylo", b"lotag", b"Wyvern", b"yvern", b"jabberw"):
        assert trace not in octets
    assert conn.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    conn.close()


def pieces(conn: Connection) -> int:
    """How many pieces the index is in."""
    found = conn.execute("SELECT count(DISTINCT segid) FROM record_index_idx").fetchone()
    return int(found[0])


def test_writing_merges_nothing_and_tidying_does(records: Records) -> None:
    """A write leaves a piece of index and never waits for the merging of those before it; after
    tidying there are few pieces, and everything is found as before."""
    conn = records._conn
    for n in range(50):
        records.add(*purchase("2024-05-01", f"lamp {n}"), source="self")
    assert pieces(conn) == 50
    before = items(walk(records, Query(text="lamp"), 7))
    records.tidy()
    assert pieces(conn) <= 4
    assert items(walk(records, Query(text="lamp"), 7)) == before
    changes = conn.total_changes
    records.tidy()
    assert conn.total_changes - changes < 2


def test_many_writes_without_tidying_leave_no_endless_pieces(records: Records) -> None:
    """A program that never tidies still has its pieces merged, before there are too many."""
    for n in range(150):
        records.add(*purchase("2024-05-01", f"lamp {n}"), source="self")
    assert pieces(records._conn) < 70


def test_tidying_goes_by_small_steps(records: Records) -> None:
    """A step merges a part of a large index only; what it leaves is found, and merged later."""
    conn = records._conn
    many = [purchase("2024-05-01", f"lamp{n} {n * 7919 % 10_007}x") for n in range(24_000)]
    for start in range(0, len(many), 6_000):
        with transaction(conn), records.bulk(source="import/csv") as bulk:
            bulk.add_many(map(checked, many[start : start + 6_000]))
    assert pieces(conn) == 4
    records.tidy(steps=1)
    assert pieces(conn) > 1
    assert items(walk(records, Query(text="lamp23999"), 5)) == [many[-1][1]["item"]]
    records.tidy()
    assert pieces(conn) == 1
    assert items(walk(records, Query(text="lamp23999"), 5)) == [many[-1][1]["item"]]


def test_tidying_waits_for_nobody(tmp_path: Path) -> None:
    """While another program writes, and within a transaction, it is left for another time."""
    conn, records, _ = new_vault(tmp_path / "v.db")
    for n in range(9):
        records.add(*purchase("2024-05-01", f"lamp {n}"), source="self")
    other = open_plain(tmp_path / "v.db")
    with transaction(other):
        records.tidy()
    with transaction(conn):
        records.tidy()
    assert pieces(conn) == 9
    assert conn.execute("PRAGMA busy_timeout").fetchone()[0] > 0
    records.tidy()
    assert pieces(conn) < 9
    other.close()
    conn.close()


def test_short_beginnings_and_other_scripts(records: Records) -> None:
    """One and two letters, words of one letter, letters beyond the basic plane."""
    texts = {
        "a": {"a", "ab", "abc", "abcd"},
        "ab": {"ab", "abc", "abcd"},
        "abc": {"abc", "abcd"},
        "Ж": {"Жук", "жа"},
        "жу": {"Жук"},
        "東": {"東京"},
        "𝒜": set(),
        "𐐀": {"𐐀𐐁𐐂𐐃"},
        "𐐀𐐁": {"𐐀𐐁𐐂𐐃"},
    }
    for text in ("a", "ab", "abc", "abcd", "b", "Жук", "жа", "東京", "京", "𐐀𐐁𐐂𐐃"):
        records.add("note", {"text": text}, source="self")
    for asked, found in texts.items():
        if found:
            assert {r.fields["text"] for r in records.search(asked)} == found, asked


def test_more_words_than_are_asked_for_by_name(records: Records) -> None:
    """A beginning of very many words is answered all the same."""
    for n in range(120):
        records.add("note", {"text": f"beginning{n:03d}"}, source="self")
    assert len(records.search("beginning", limit=1000)) == 120
    assert len(records.search("be", limit=1000)) == 120
    assert len(records.search("beginning1", limit=1000)) == 20


# --- many at once ---------------------------------------------------------------------------------


def test_equal_ones_are_told_apart_from_what_is_there(records: Records) -> None:
    """The same note once; of n equal purchases as many are new as the vault had fewer than n; a
    preview says the same and writes nothing."""
    records.add(*purchase("2024-05-01"), source="self")
    records.add("note", {"text": "x"}, source="self")
    drafts = [
        checked(purchase("2024-05-01")),
        checked(("note", {"text": "x"})),
        checked(purchase("2024-05-01")),
        checked(("note", {"text": "y"})),
        checked(("note", {"text": "y"})),
    ]
    new = [
        digest is not None for digest in records.sieve().sift([(*d, None, None) for d in drafts])
    ]
    assert new == [False, False, True, True, False]
    with records.writing(), records.bulk(source="import/csv", batch=records.new_id()) as bulk:
        bulk.add_many(drafts)
    assert (bulk.added, bulk.duplicates) == (2, 3)
    assert len(everything(records)) == 4
    assert records.batches()[0].live == 2


def test_an_import_that_fails_leaves_nothing(records: Records) -> None:
    """The transaction takes back rows, counts and index alike, and the next record is unharmed."""

    def fail() -> None:
        with records.writing():
            with records.bulk(source="import/csv") as bulk:
                bulk.add_many(checked(purchase("2024-05-01", f"tea {n}")) for n in range(10))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert everything(records) == []
    assert records.counts()["purchases"] == 0
    records.add(*purchase("2024-05-01", "tea"), source="self")
    assert len(records.search("tea")) == 1


def test_closing_a_vault_tidies_what_it_wrote(place: Place) -> None:
    """Many small changes by one program do not stay many pieces; who only read writes nothing."""
    with place.open() as vault:
        for n in range(30):
            vault.add("note", {"text": f"lamp {n}"})
        conn = vault._ctx.conn
        assert pieces(conn) == 30
    with place.open() as vault:
        conn = vault._ctx.conn
        there = pieces(conn)
        assert there <= 4
        assert len(vault.find(Query(text="lamp")).records) == 30
        before = (place.folder / "vault.db").read_bytes()
    assert (place.folder / "vault.db").read_bytes() == before


def test_an_import_leaves_the_index_tidy(vault: Vault, tmp_path: Path) -> None:
    """What was in pieces before is merged once an import is in."""
    for n in range(30):
        vault.add("note", {"text": f"lamp {n}"})
    table = tmp_path / "table.csv"
    table.write_text("date,item\n2024-05-01,lamp\n", encoding="utf-8")
    plan = vault.plan_import(table, mapping={"date": "purchases.date", "item": "purchases.item"})
    assert vault.import_plan(plan).added == 1
    assert pieces(vault._ctx.conn) <= 4
