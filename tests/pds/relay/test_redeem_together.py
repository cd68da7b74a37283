"""Redemptions that come together are judged one after the other, as if each had been written before
the next, and written by few statements."""

import gc
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from relay_world import Reply, World, checked

from did.json import JsonObject, canonicalize, digest, parse_object
from pds.relay import redeem
from pds.relay.errors import Refused
from pds.relay.store import marks
from pds.relay.store import packages as table
from pds.relay.watching import Watch
from pds.wire import RelayCode, new_id


def _together(world: World, presentations: list[JsonObject]) -> list[Reply]:
    """Present them in this order and at once, as our server does with those that come together."""
    replies = []
    for each in _answers(world, [canonicalize({"presentation": each}) for each in presentations]):
        assert not isinstance(each, Exception), repr(each)
        reply = Reply(each.status, dict(each.headers), each.body)
        replies.append(checked("POST", "/v1/redemptions", reply))
    return replies


def _answers(world: World, bodies: list[bytes]) -> list[Any]:
    route = world.app.batched["POST", "/v1/redemptions"]
    return list(route.answer([route.read(body) for body in bodies]))


def _codes(replies: list[Reply]) -> list[str | int]:
    return [reply.status if reply.status == 200 else reply.code for reply in replies]


def test_one_ticket_has_as_many_uses_as_it_says(world: World) -> None:
    """Uses are counted within a batch too, and the events are one chain."""
    package, ticket = world.ready(max_uses=2)
    replies = _together(world, [world.presentation(ticket) for _ in range(3)])
    assert _codes(replies) == [200, 200, "relay.used_up"]
    events = world.events(package)
    assert [event["ordinal"] for event in events] == [1, 2, 3]
    receipts = [world.verify(event["receipt"]).receipt for event in events]
    assert [receipt.entry["type"] for receipt in receipts] == ["redemption"] * 2 + ["refusal"]
    assert [receipt.entry.get("prev") for receipt in receipts] == [
        None,
        receipts[0].id,
        receipts[1].id,
    ]
    assert [reply.json["receipt"] for reply in replies[:2]] == [
        event["receipt"] for event in events[:2]
    ]
    assert world.call("GET", f"/v1/packages/{package}").json["uses"] == 2


def test_the_interval_counts_between_two_of_a_batch(world: World) -> None:
    """The second of two at one moment is too soon."""
    _, ticket = world.ready(min_interval=60)
    replies = _together(world, [world.presentation(ticket) for _ in range(2)])
    assert _codes(replies) == [200, "relay.too_soon"]
    assert replies[1].headers["retry-after"] == "60"


def test_nothing_is_presented_twice_in_a_batch(world: World) -> None:
    """Neither a presentation nor a challenge; whichever of them is first wins."""
    _, ticket = world.ready()
    challenge = world.challenge()
    first = world.presentation(ticket, challenge=challenge)
    second = world.presentation(ticket, challenge=challenge)
    assert _codes(_together(world, [first, first, second])) == [
        200,
        "relay.replayed",
        "relay.replayed",
    ]


def test_a_refusal_is_nobody_elses(world: World) -> None:
    """Those around it are answered, and what is no event leaves its challenge to be used."""
    _, ticket = world.ready()
    _, another = world.another()
    challenge = world.challenge()
    unknown = world.presentation(world.ticket(new_id()), challenge=challenge)
    replies = _together(world, [world.presentation(ticket), unknown, world.presentation(another)])
    assert _codes(replies) == [200, "relay.not_found", 200]
    assert world.redeem(ticket, challenge=challenge).status == 200


def test_refusals_of_a_batch_are_limited_too(world: World) -> None:
    """Fifty in a day are events, whether they come one by one or together."""
    package, ticket = world.ready(max_uses=1)
    assert world.redeem(ticket).status == 200
    for _ in range(48):
        assert world.redeem(ticket).code == "relay.used_up"
    replies = _together(world, [world.presentation(ticket) for _ in range(4)])
    assert _codes(replies) == ["relay.used_up"] * 4
    assert len(world.events(package)) + len(world.events(package, after=50)) == 51


class _Counting:
    """The writer's connection, which keeps what is executed."""

    def __init__(self, conn: Any) -> None:
        self._conn = conn
        self.statements: list[str] = []

    def execute(self, sql: str, *arguments: Any) -> Any:
        self.statements.append(sql)
        return self._conn.execute(sql, *arguments)

    def executemany(self, sql: str, rows: Any) -> Any:
        rows = list(rows)
        self.statements += [sql] * len(rows)
        return self._conn.executemany(sql, rows)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._conn, name)


def test_the_answers_are_those_of_the_application(world: World) -> None:
    """Status, headers and body are what Flask gives, whether it is an answer or a refusal."""
    package, ticket = world.ready(max_uses=3, min_interval=1)
    unknown = world.ticket(new_id())
    for what in (ticket, unknown, ticket):
        one = world.redeem(what)
        (other,) = _together(world, [world.presentation(what)])
        if one.status == 200:
            assert other.code == "relay.too_soon"
            assert other.headers["retry-after"] == "1"
            world.clock.move(seconds=1)
            (other,) = _together(world, [world.presentation(what)])
        assert {**one.headers, "content-length": ""} == {**other.headers, "content-length": ""}
        assert one.json.keys() == other.json.keys()
    assert len(world.events(package)) == 5


@pytest.mark.parametrize("bad", [b"", b"{", b"[]", b"{}", b"\xff", b"x" * 100_000])
def test_what_cannot_be_read_keeps_nobody_from_an_answer(world: World, bad: bytes) -> None:
    """It is refused as it would be alone, and those around it are answered."""
    _, ticket = world.ready()
    good = [canonicalize({"presentation": world.presentation(ticket)}) for _ in range(2)]
    answers = _answers(world, [good[0], bad, good[1]])
    assert [each.status for each in answers] == [200, 413 if len(bad) > 9 else 400, 200]
    alone = world.send("POST", "/v1/redemptions", {"Content-Type": "application/json"}, bad)
    assert (alone.status, alone.body) == (answers[1].status, answers[1].body)


def test_a_failure_of_ours_is_not_the_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """When carrying them out at once fails, each is tried alone; what fails again is told to the
    server, which answers it with 500."""
    _, ticket = world.ready()
    _, another = world.another()
    presentations = [world.presentation(each) for each in (ticket, another, ticket)]
    name = digest(presentations[1])
    add_events = table.add_events

    def break_on_one(conn: Any, rows: Any) -> None:
        if any(row.redemption == name for row in rows):
            raise ZeroDivisionError
        add_events(conn, rows)

    monkeypatch.setattr(table, "add_events", break_on_one)
    bodies = [canonicalize({"presentation": each}) for each in presentations]
    one, two, three = _answers(world, bodies)
    assert (one.status, three.status) == (200, 200)
    assert isinstance(two, ZeroDivisionError)
    assert len(world.events(ticket["credentialSubject"]["package"])) == 2
    assert world.events(another["credentialSubject"]["package"]) == []


@pytest.mark.parametrize("count", [1, 8])
def test_a_batch_takes_few_statements(world: World, engine: str, count: int) -> None:
    """However many redemptions are in it: 5 for them, 2 for undoing them, 3 for the log, and the
    transaction."""
    tickets = [world.ready()[1], *(world.another()[1] for _ in range(count - 1))]
    world.redeem(tickets[0])  # what the process looks up once
    presentations = [world.presentation(ticket) for ticket in tickets]
    counting = world.app.extensions["relay"].store.engine
    counting._writer = watched = _Counting(counting._writer)
    assert _codes(_together(world, presentations)) == [200] * count
    of_the_transaction = 2 if engine == "sqlite" else 3
    nodes = sum("log_nodes" in sql for sql in watched.statements)
    assert nodes <= 3
    assert len(watched.statements) - nodes == 5 + 2 + 3 + of_the_transaction


def test_a_busy_relay_does_not_fall_behind_what_it_erases(world: World) -> None:
    """What one sweep does not reach is erased a second later, not a minute."""
    world.create()
    store = world.app.extensions["relay"].store
    with store.write() as conn:
        marks.use_challenges(conn, [(1, b"%d" % number) for number in range(5000)])

    def left() -> int:
        with store.read() as conn:
            rows = conn.execute("SELECT count(*) FROM challenges")
            return int(rows.fetchone()[0])

    world.clock.move(minutes=2)
    world.create()
    assert left() == 3000
    world.create()
    assert left() == 3000
    for expected in (1000, 0):
        world.clock.move(seconds=1)
        world.create()
        assert left() == expected


def test_what_is_written_is_not_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that cannot be put together is a failure of ours; the use is counted once, nobody
    else is told that his challenge was used before, and the answer can be had later."""
    _, ticket = world.ready()
    package, another = world.another()
    presentations = [world.presentation(each) for each in (ticket, another)]
    sealed = redeem._answer

    def break_on_one(content: Any, receipt: bytes) -> bytes:
        if package.encode() in receipt:
            raise MemoryError
        return sealed(content, receipt)

    monkeypatch.setattr(redeem, "_answer", break_on_one)
    one, two = _answers(world, [canonicalize({"presentation": each}) for each in presentations])
    assert one.status == 200
    assert isinstance(two, MemoryError)
    assert len(world.events(package)) == 1


def test_a_counter_that_fails_takes_no_answer_with_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is done is answered, though the disk has no room for counting it."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    from pds.relay import metrics

    def full(**_: Any) -> None:
        raise OSError

    _, ticket = world.ready()
    monkeypatch.setattr(metrics, "count", full)
    route = world.app.batched["POST", "/v1/redemptions"]
    monkeypatch.setattr(route, "_watch", Watch(counters=tmp_path, access_log=False))
    presentations = [world.presentation(ticket) for _ in range(2)]
    assert _codes(_together(world, presentations)) == [200, 200]


def test_what_concerns_all_is_not_tried_for_each(world: World) -> None:
    """A process that may not sign the log any more finds that out once for all of a batch."""
    tickets = [world.ready()[1], *(world.another()[1] for _ in range(3))]
    bodies = [canonicalize({"presentation": world.presentation(each)}) for each in tickets]
    asked = []

    def refuse(*_: Any) -> None:
        asked.append(1)
        raise Refused(RelayCode.BUSY, retry_after=60)

    world.app.extensions["relay"].store.seal = refuse
    answers = _answers(world, bodies)
    assert [(each.status, dict(each.headers)["retry-after"]) for each in answers] == [
        (503, "60")
    ] * 4
    assert len(asked) == 1


@pytest.mark.parametrize("heavy", ["ticket", "shape"])
def test_what_is_refused_keeps_nothing_of_its_body(world: World, heavy: str) -> None:
    """While others of the batch are read, a refusal takes no more memory than itself."""
    _, ticket = world.ready()
    route = world.app.batched["POST", "/v1/redemptions"]
    presentation = world.presentation(ticket)
    if heavy == "ticket":
        presentation["verifiableCredential"][0]["x"] = "x" * 60_000
    else:
        presentation["x"] = "x" * 60_000
    body = canonicalize({"presentation": presentation})
    route.read(body)
    tracemalloc.start()
    try:
        read = [route.read(body) for _ in range(4)]
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < len(body)
    finally:
        tracemalloc.stop()
    codes = {parse_object(each.body)["code"] for each in route.answer(read)}
    assert codes == {"relay.proof_invalid" if heavy == "ticket" else "relay.malformed"}
