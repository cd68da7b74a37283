"""The vault against plain SQLite doing the same, at a hundred thousand items and at a million.

    scripts/bench --vault                    at 100,000 items
    scripts/bench --vault --items 1000000    at a million, and against a tenth of that

The yardstick is the vault's own code on the same tables in a file without encryption, by the same
SQLite (the one that sqlcipher3 carries; Python's own is too old for the index). For bulk inserts it
is SQL written by hand: ready rows, two ``executemany``. With ``--peers`` there is another one: each
row's contents encrypted by AES-GCM, everything else in clear.

Long, because each line brings its yardstick with it.
"""

import functools
import itertools
import math
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from bench import BATCH, Benchmark, Measurable, Round, Work
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from did.json import JsonObject, canonicalize
from pds.db import Connection, Migration, migrate, open_plain, transaction
from pds.vault import files
from pds.vault.context import Context
from pds.vault.keyslots import Argon2Params, DataKey
from pds.vault.records import Bulk, Query, Records
from pds.vault.records.bulk import Draft
from pds.vault.schemas import category
from pds.vault.service import Vault
from pds.vault.store.record_index import Entry
from pds.vault.store.records import _INSERT, RecordStore, Row, _inserted, entry_of

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
ROUNDS = 40
BULK, BULK_ROUNDS = 20_000, 5
PAGE = 50
# Growth is measured on answers that are full at both sizes: else the larger one answers more.
SHORT_PAGE = 5
WORKING_SET = 400
_WORDS = 30_000
_PASSPHRASE = "four unrelated words here"


def vocabulary() -> list[str]:
    choose = random.Random(1)
    letters = "abcdefghijklmnoprstuvz"
    return ["".join(choose.choices(letters, k=choose.randint(3, 10))) for _ in range(_WORDS)]


@dataclass(slots=True)
class Drafts:
    """Purchases out of a vocabulary in which some words are a hundred times as common as others."""

    words: list[str]
    number: int = 0

    def take(self, count: int) -> list[Draft]:
        return [self.one() for _ in range(count)]

    def one(self) -> Draft:
        self.number += 1
        return category("purchases"), canonicalize(self.fields(self.number))

    def fields(self, number: int) -> JsonObject:
        choose = random.Random(number)
        words = choose.choices(self.words[:300], k=5) + choose.choices(self.words, k=4)
        day = date(2000, 1, 1) + timedelta(days=choose.randrange(9500))
        return {
            "date": day.isoformat(),
            "merchant": f"Shop {self.words[int(choose.random() ** 3 * 300)]}",
            "item": " ".join(["budapest", *words, "műanyag" if number % 3 == 0 else "alma"]),
            "orderNumber": f"{number:09d}",
        }


class Sealed(RecordStore):
    """Encryption row by row: the contents under AES-GCM, words and labels in clear beside them."""

    def __init__(self, conn: Connection) -> None:
        super().__init__(conn)
        self._aead = AESGCM(bytes(32))

    def insert(self, rows: Iterable[tuple[Row, JsonObject, bytes]]) -> list[Entry]:
        return super().insert(
            [(replace(row, fields=self._seal(row)), fields, digest) for row, fields, digest in rows]
        )

    def get(self, record_id: str) -> Row | None:
        return self._open(super().get(record_id))

    def at(self, places: Iterable[int]) -> list[Row]:
        for row in (rows := super().at(places)):
            self._open(row)
        return rows

    def _seal(self, row: Row) -> Any:
        nonce, contents = os.urandom(12), (row.fields or "").encode()
        return nonce + self._aead.encrypt(nonce, contents, row.id.encode())

    def _open(self, row: Row | None) -> Row | None:
        if row is not None and row.fields is not None:
            sealed: Any = row.fields
            clear = self._aead.decrypt(sealed[:12], sealed[12:], row.id.encode()).decode()
            object.__setattr__(row, "fields", clear)
        return row


class Captured(RecordStore):
    """Writes nothing and keeps what it would have written."""

    def __init__(self, conn: Connection) -> None:
        super().__init__(conn)
        self.rows: list[tuple[object, ...]] = []
        self.entries: list[Entry] = []
        self.index.put = self.entries.extend  # type: ignore[method-assign]

    def insert(self, rows: Iterable[tuple[Row, JsonObject, bytes]]) -> list[Entry]:
        listed = list(rows)
        self.rows += [_inserted(row, digest) for row, _, digest in listed]
        return [entry_of(row, fields, ()) for row, fields, _ in listed]

    def next_ordinal(self) -> int:
        return super().next_ordinal() + len(self.rows)


@dataclass(slots=True)
class Side:
    """One vault of the comparison."""

    conn: Connection
    records: Records
    ids: list[str]

    def forget(self) -> None:
        """Let go of every page in memory."""
        self.conn.execute("PRAGMA shrink_memory").fetchall()


class Vaults:
    """The vaults of one size, made once and used by every benchmark."""

    def __init__(self, folder: Path, items: int, *, sealed: bool) -> None:
        self.folder, self.items, self.words = folder, items, vocabulary()
        folder.mkdir()
        Vault.create(
            folder / "vault", passphrase=_PASSPHRASE, params=Argon2Params(memory_kib=65_536)
        )
        self.data_key: DataKey = files.unlock(folder / "vault", passphrase=_PASSPHRASE)
        self.ours = self._side(files.open_database(folder / "vault", self.data_key))
        self.plain = self._side(self._plain("plain.db", files.MIGRATIONS))
        self.sides = [self.ours, self.plain]
        if sealed:
            first = files.MIGRATIONS[0]
            blob = Migration(
                1, first.sql.replace("fields    TEXT    CHECK", "fields    BLOB    CHECK")
            )
            conn = self._plain("sealed.db", (blob, *files.MIGRATIONS[1:]))
            self.sealed = self._side(conn)
            self.sealed.records._store = Sealed(conn)
            self.sides.append(self.sealed)
        for side in self.sides:
            drafts = Drafts(self.words)
            with transaction(side.conn), side.records.bulk(source="import/csv") as bulk:
                bulk.add_many(drafts.one() for _ in range(items))
            side.records.tidy()
            side.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            rows = side.conn.execute("SELECT id FROM records ORDER BY ordinal")
            side.ids = [row[0] for row in rows]
        self.drafts = Drafts(self.words, number=items)

    def _plain(self, name: str, migrations: tuple[Migration, ...]) -> Connection:
        conn = open_plain(self.folder / name)
        migrate(conn, migrations, application_id=files.APPLICATION_ID)
        return conn

    @staticmethod
    def _side(conn: Connection) -> Side:
        records = Records(conn, clock=lambda: NOW)
        records.prepare_index()
        return Side(conn, records, [])


def in_turns(one: Iterable[Work], other: Iterable[Work]) -> Round:
    """A round in which each call of ``other`` follows the one of ``one`` at its place."""
    others = iter(list(other))
    return list(one), lambda: next(others)()


def reads(side: Side, numbers: list[int]) -> list[Work]:
    return [functools.partial(side.records.get, side.ids[number]) for number in numbers]


def warm(ours: Side, other: Side, works: Callable[[Side], list[Work]]) -> Iterator[Round]:
    """Rounds of works whose pages have been read before."""
    all_ours, all_others = works(ours), works(other)
    for work in (*all_ours, *all_others):
        work()
    choose = random.Random(2)
    for _ in range(ROUNDS):
        places = [choose.randrange(len(all_ours)) for _ in range(BATCH)]
        yield in_turns([all_ours[p] for p in places], [all_others[p] for p in places])


def working_set(side: Side) -> list[Work]:
    choose = random.Random(3)
    return reads(side, [choose.randrange(len(side.ids)) for _ in range(WORKING_SET)])


def cold_reads(ours: Side, other: Side) -> Iterator[Round]:
    choose = random.Random(4)
    for _ in range(ROUNDS):
        numbers = [choose.randrange(min(len(ours.ids), len(other.ids))) for _ in range(BATCH)]
        ours.forget()
        other.forget()
        yield in_turns(reads(ours, numbers), reads(other, numbers))


def writes(vaults: Vaults, other: Side) -> Iterator[Round]:
    def add(side: Side, fields: JsonObject) -> None:
        side.records.add("purchases", fields, source="self")

    for _ in range(ROUNDS):
        drafts = [vaults.drafts.fields(vaults.drafts.number + n) for n in range(5)]
        vaults.drafts.number += 5
        yield in_turns(
            [functools.partial(add, vaults.ours, fields) for fields in drafts],
            [functools.partial(add, other, fields) for fields in drafts],
        )


def bulk_into(side: Side, drafts: list[Draft]) -> None:
    with transaction(side.conn), side.records.bulk(source="import/csv") as bulk:
        bulk.add_many(drafts)
    side.records.tidy()


def bulks(vaults: Vaults) -> Iterator[Round]:
    """Against SQL by hand."""
    plain = vaults.plain

    def by_hand(rows: list[tuple[object, ...]], entries: list[Entry]) -> None:
        with transaction(plain.conn):
            plain.conn.executemany(_INSERT, rows)
            plain.records._store.index.put(entries)
        plain.records.tidy()

    for _ in range(BULK_ROUNDS):
        drafts = vaults.drafts.take(BULK)
        store = Captured(plain.conn)
        bulk = Bulk(
            store,
            clock=lambda: NOW,
            random=os.urandom,
            source="import/csv",
            about="self",
            assurance="self-declared",
            collected=None,
            batch=None,
        )
        with bulk:
            bulk.add_many(drafts)
        yield in_turns(
            [functools.partial(bulk_into, vaults.ours, drafts)],
            [functools.partial(by_hand, store.rows, store.entries)],
        )


def bulks_beside(vaults: Vaults, other: Side) -> Iterator[Round]:
    for _ in range(BULK_ROUNDS):
        drafts = vaults.drafts.take(BULK)
        yield in_turns(
            [functools.partial(bulk_into, vaults.ours, drafts)],
            [functools.partial(bulk_into, other, drafts)],
        )


def queries(words: list[str]) -> dict[str, list[Query]]:
    """Questions of each kind, which find a full page, a few, or nothing."""
    return {
        "word": [Query(text=w) for w in ("budapest", "muanyag", *words[:8])],
        "rare_word": [Query(text=w) for w in words[20_000:20_010]],
        "beginning": [Query(text=w[:n]) for w in words[:5] for n in (2, 3)],
        "letter": [Query(text=letter) for letter in "bks"],
        "common_word_rare_filter": [
            Query(text="budapest", companies=(f"Shop {w}",)) for w in words[290:300]
        ],
        "rare_word_common_filter": [
            Query(text=w, category="purchases", source="import/csv", about="self")
            for w in words[20_000:20_010]
        ],
        "two_words": [Query(text=f"{a} {b}") for a, b in zip(words[:9], words[9:18], strict=True)],
        "day": [
            Query(text="budapest", start=date(2010, 5, n), end=date(2010, 5, n))
            for n in range(1, 10)
        ],
    }  # fmt: skip


def searches(asked: list[Query], limit: int, side: Side) -> list[Work]:
    return [functools.partial(side.records.find, query, limit=limit) for query in asked]


def full(kind: str, words: list[str], small: Side) -> list[Query]:
    """Questions of a kind that find more than a page in the smaller vault already."""
    month = timedelta(days=30)
    of_months = [
        Query(text="budapest", start=day, end=day + month)
        for day in (date(2010, n, 1) for n in range(1, 11))
    ]
    candidates = {
        "day": of_months,
        "rare_word": [Query(text=word) for word in words[300:]],
        "rare_word_common_filter": [
            Query(text=word, category="purchases", source="import/csv", about="self")
            for word in words[300:]
        ],
    }.get(kind, queries(words)[kind])
    fills = (q for q in candidates if small.records.find(q, limit=SHORT_PAGE).next is not None)
    return list(itertools.islice(fills, 10)) or queries(words)[kind]


def pages(side: Side) -> list[Work]:
    """Pages of the time line, from anywhere."""
    choose = random.Random(5)
    days = [date(2001, 1, 1) + timedelta(days=choose.randrange(9000)) for _ in range(20)]
    return [
        functools.partial(side.records.find, Query(end=day, category="purchases"), limit=PAGE)
        for day in days
    ]


@dataclass(frozen=True, slots=True)
class Milliseconds:
    """A goal for the time itself; ``ratio`` is milliseconds of that clock."""

    name: str
    workload: str
    goal: float
    works: list[Work]
    clock: Callable[[], int] = time.perf_counter_ns

    def ratios(self) -> Iterator[float]:
        """The slowest of the works, round by round."""
        for _ in range(ROUNDS):
            spent = []
            for work in self.works:
                begun = self.clock()
                work()
                spent.append((self.clock() - begun) / 1e6)
            yield max(spent)

    def is_met(self, ratio: float) -> bool:
        return ratio <= self.goal


@dataclass(frozen=True, slots=True)
class MicrosecondsPerRow:
    """A goal for an import; ``ratio`` is microseconds of CPU time for a row of a table, from the
    file into the vault."""

    name: str
    workload: str
    goal: float
    vaults: Vaults

    def ratios(self) -> Iterator[float]:
        for _ in range(BULK_ROUNDS):
            table = self.vaults.folder / "table.csv"
            with table.open("w", encoding="utf-8") as out:
                out.write("Date,Shop,Item,Order number\n")
                for _ in range(BULK):
                    self.vaults.drafts.number += 1
                    row = self.vaults.drafts.fields(self.vaults.drafts.number)
                    out.write(",".join(map(str, row.values())) + "\n")
            with Vault.open(self.vaults.folder / "vault", data_key=self.vaults.data_key) as vault:
                plan = vault.plan_import(table)
                begun = time.process_time_ns()
                added = vault.import_plan(plan).added
                yield (time.process_time_ns() - begun) / 1e3 / added

    def is_met(self, ratio: float) -> bool:
        return ratio <= self.goal


def open_once(vaults: Vaults) -> None:
    conn = files.open_database(vaults.folder / "vault", vaults.data_key)
    Context(conn, vaults.folder / "attachments", clock=lambda: NOW).transport.close()
    conn.close()


def benchmarks(items: int, *, peers: bool) -> Iterator[Measurable]:
    """Makes the vaults, which takes a while, and removes them at the end."""
    with tempfile.TemporaryDirectory() as place:
        large = Vaults(Path(place, "large"), items, sealed=peers)
        small = Vaults(Path(place, "small"), items // 10, sealed=False)
        at, than = f"at {items:,} items", "than plain SQLite"
        ours, plain, words = large.ours, large.plain, large.words
        wall = time.perf_counter_ns

        def line(
            name: str, what: str, goal: float, rounds: Callable[[], Iterator[Round]],
            clock: Callable[[], int] = time.process_time_ns,
        ) -> Benchmark:  # fmt: skip
            return Benchmark(f"vault.{name}", f"{what} {at}", goal, rounds, clock)

        def against(
            name: str, what: str, goal: float, works: Callable[[Side], list[Work]],
            one: Side, other: Side,
        ) -> Benchmark:  # fmt: skip
            return line(name, what, goal, lambda: warm(one, other, works))

        yield Milliseconds(
            "vault.open",
            f"open a vault {at} beyond the derivation of its key, in milliseconds",
            10,
            [functools.partial(open_once, large)],
        )
        yield against(
            "read.warm", f"read an item read before, {than}", 1.1, working_set, ours, plain
        )
        yield line("read.cold", f"read an item not in memory, {than}", 2.5,
                   lambda: cold_reads(ours, plain))  # fmt: skip
        for kind in queries(words):
            yield against(f"search.{kind}", f"search ({kind}), {than}", 1.1,
                          functools.partial(searches, queries(words)[kind], PAGE),
                          ours, plain)  # fmt: skip
            yield Milliseconds(
                f"vault.instant.{kind}",
                f"search ({kind}) {at}: the slowest of its questions, in milliseconds "
                "of the processor",
                50,
                searches(queries(words)[kind], PAGE, ours),
                time.process_time_ns,
            )
        yield against("page", f"a page of the time line, {than}", 1.1, pages, ours, plain)
        # From here on the vaults grow.
        growth = math.log(items) / math.log(items // 10)
        tenth = f"than {at.replace(f'{items:,}', f'{items // 10:,}')}, which may be log n"
        yield against("growth.read", f"read, {tenth},", growth, working_set, ours, small.ours)
        for kind in queries(words):
            asked = full(kind, words, small.ours)
            short = functools.partial(searches, asked, SHORT_PAGE)
            yield against(f"growth.search.{kind}", f"search ({kind}), {tenth},", growth,
                          short, ours, small.ours)  # fmt: skip
        yield against("growth.page", f"a page, {tenth},", growth, pages, ours, small.ours)
        yield line("write", f"add an item durably, on the clock, {than}", 1.2,
                   lambda: writes(large, plain), wall)  # fmt: skip
        yield line("growth.write", f"add an item durably, on the clock, {tenth},", growth,
                   lambda: writes(large, small.ours), wall)  # fmt: skip
        yield line("bulk", f"{BULK:,} items in one transaction, found out whether new, {than} "
                   "by hand", 2.1, lambda: bulks(large))  # fmt: skip
        yield line("bulk.same", f"the same by the same code, {than}", 1.3,
                   lambda: bulks_beside(large, plain))  # fmt: skip
        yield line("growth.bulk", f"the same, {tenth},", growth,
                   lambda: bulks_beside(large, small.ours))  # fmt: skip
        yield MicrosecondsPerRow(
            "vault.import", f"a row of a table imported in slices {at}, in microseconds", 50, large
        )
        if peers:
            rows, sealed = "than encryption row by row", large.sealed
            yield against("peer.read.warm", f"read an item read before, {rows}", 1.0,
                          working_set, ours, sealed)  # fmt: skip
            yield line("peer.read.cold", f"read an item not in memory, {rows}", 1.0,
                       lambda: cold_reads(ours, sealed))  # fmt: skip
            yield against("peer.page", f"a page of the time line, {rows}", 1.0, pages, ours, sealed)
            yield line("peer.write", f"add an item durably, on the clock, {rows}", 1.0,
                       lambda: writes(large, sealed), wall)  # fmt: skip
            yield line("peer.bulk", f"{BULK:,} items in one transaction, {rows}", 1.0,
                       lambda: bulks_beside(large, sealed))  # fmt: skip
        for side in (*large.sides, *small.sides):
            side.conn.close()
