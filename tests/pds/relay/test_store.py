"""The writer that threads share: each act whole or not at all, durable before it returns."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from relay_world import watch_queue

from pds.db import Connection, DbBusy, DbError, open_plain
from pds.relay.errors import Refused
from pds.relay.store import Store, log
from pds.relay.store.engines import SqliteEngine
from pds.relay.store.log import NewEntry
from pds.wire import RelayCode


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "relay.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    made = Store(SqliteEngine(path))
    yield made
    made.close()


class _Watched:
    """The writer's connection, with a look at what is executed."""

    def __init__(self, conn: Connection, before: Callable[[str], None]) -> None:
        self._conn, self._before = conn, before

    def execute(self, sql: str, *arguments: Any) -> Any:
        self._before(sql)
        return self._conn.execute(sql, *arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)


def _facts(path: Path) -> set[str]:
    """What somebody sees who opens the file now."""
    conn = open_plain(path, read_only=True)
    try:
        return {row["name"] for row in conn.execute("SELECT name FROM facts")}
    finally:
        conn.close()


def _queue_up(store: Store, acts: list[Callable[[Connection], None]]) -> list[BaseException | None]:
    """Run acts that all wait while a first one holds the writer; how each ended, and the first."""
    ends: list[BaseException | None] = [None] * len(acts)

    def run(number: int) -> None:
        try:
            with store.write() as conn:
                acts[number](conn)
        except (DbError, Refused, ZeroDivisionError) as error:
            ends[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(len(acts))]
    first: BaseException | None = None
    try:
        with store.write() as conn:
            log.set_fact(conn, "first", b"")
            queue = watch_queue(store)
            for thread in threads:
                thread.start()
            queue.wait_for(len(acts))
    except (DbError, Refused) as error:
        first = error
    for thread in threads:
        thread.join(20)
    return [first, *ends]


def _put(name: str) -> Callable[[Connection], None]:
    return lambda conn: log.set_fact(conn, name, b"")


def _fail(conn: Connection) -> None:
    log.set_fact(conn, "never", b"")
    raise ZeroDivisionError


def test_an_act_is_durable_when_the_block_is_left(store: Store, path: Path) -> None:
    """Before, nobody else sees it; after, everybody does."""
    with store.write() as conn:
        log.set_fact(conn, "one", b"")
        assert _facts(path) == set()
    assert _facts(path) == {"one"}


def test_acts_that_wait_share_a_commit(store: Store, path: Path) -> None:
    """Who waits while an act runs joins it; all return, and all is there."""
    commits: list[str] = []
    store.engine._writer = _Watched(  # type: ignore[assignment]
        store.engine._writer, lambda sql: commits.append(sql) if sql == "COMMIT" else None
    )
    assert _queue_up(store, [_put(f"fact {n}") for n in range(8)]) == [None] * 9
    assert _facts(path) == {"first", *(f"fact {n}" for n in range(8))}
    assert len(commits) == 1


def test_an_act_that_fails_takes_no_other_with_it(store: Store, path: Path) -> None:
    """Its error reaches its own thread only, and nothing of it stays."""
    ends = _queue_up(store, [_put("one"), _fail, _put("two"), _fail])
    assert [type(end) for end in ends].count(ZeroDivisionError) == 2
    assert _facts(path) == {"first", "one", "two"}
    with pytest.raises(ZeroDivisionError), store.write() as conn:
        _fail(conn)
    assert _facts(path) == {"first", "one", "two"}


def test_a_commit_that_fails_fails_all_of_it(store: Store, path: Path) -> None:
    """Nobody is told that something was written that was not; the next act begins anew."""
    broken = True

    def before(sql: str) -> None:
        if sql == "COMMIT" and broken:
            raise DbError("The disk is full.", code="db.full")

    store.engine._writer = _Watched(store.engine._writer, before)  # type: ignore[assignment]
    ends = _queue_up(store, [_put("one"), _fail, _put("two")])
    codes = [end.code if isinstance(end, DbError) else type(end).__name__ for end in ends]
    assert sorted(codes) == ["ZeroDivisionError", "db.full", "db.full", "db.full"]
    assert _facts(path) == set()
    broken = False
    with store.write() as conn:
        log.set_fact(conn, "later", b"")
    assert _facts(path) == {"later"}


def test_a_lost_transaction_fails_all_of_it(store: Store, path: Path) -> None:
    """When the disk undoes more than one act, none of them is reported as done."""

    def lose(conn: Connection) -> None:
        conn.execute("ROLLBACK")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), store.write() as conn:
        lose(conn)
    assert _facts(path) == set()
    with store.write() as conn:
        log.set_fact(conn, "one", b"")
    assert _facts(path) == {"one"}


def test_whose_turn_does_not_come_is_told(
    store: Store, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one who waits gives up with ``db.busy``, and the one who works is not held up by it."""
    monkeypatch.setattr("pds.relay.store.connections._LOCK_SECONDS", 0.01)
    ended: list[BaseException] = []

    def late() -> None:
        try:
            with store.write() as conn:
                log.set_fact(conn, "late", b"")
        except DbBusy as error:
            ended.append(error)

    with store.write() as conn:
        log.set_fact(conn, "one", b"")
        thread = threading.Thread(target=late)
        thread.start()
        thread.join(20)
    assert len(ended) == 1
    assert _facts(path) == {"one"}


def test_many_threads_lose_nothing(store: Store, path: Path) -> None:
    """Whatever way their acts are batched, each that returned is there."""

    def work(number: int) -> None:
        for turn in range(25):
            with store.write() as conn:
                log.set_fact(conn, f"{number} {turn}", b"")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(_facts(path)) == 200


def test_a_refusal_to_sign_is_told_to_all(store: Store, path: Path) -> None:
    """A process that may not sign the log any more says so; no disk has failed."""

    def refuse(*_: object) -> None:
        raise Refused(RelayCode.BUSY, retry_after=60)

    def enter(conn: Connection) -> None:
        entry = NewEntry({"type": "end"}, b"s" * 32, b"l" * 32)
        log.add_entries(conn, [entry])
        store.entries.append(entry)

    store.seal = refuse
    ends = _queue_up(store, [enter, enter])
    assert [type(end) for end in ends] == [Refused] * 3
    assert _facts(path) == set()
