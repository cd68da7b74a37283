"""The agent's loop with a clock that is not real: when it works, when it waits, what it says."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from did.json import JsonObject
from pds.errors import PdsError
from pds.mailbox import RelayError, RelayUnreachable
from pds.vault.agent import (
    EVERY,
    FIRST,
    LONGEST,
    LONGEST_ASKED,
    SLICE,
    Agent,
    Round,
    Stopped,
    only_agent,
)
from pds.vault.context import ClockWrong
from pds.vault.errors import VaultError
from pds.vault.outbox import PushReport
from pds.vault.report import SyncReport
from pds.wire import RelayCode

START = datetime(2026, 11, 28, 9, 0, tzinfo=UTC)
SECRET = "did:web:clinic.example"


class World:
    """A clock that moves by sleeping, and chance that always says the same."""

    def __init__(self, chance: float = 0.5) -> None:
        self.time = START
        self.luck = chance
        self.told: list[JsonObject] = []
        self.pings = 0
        self.longest = 0.0

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.longest = max(self.longest, seconds)
        self.time += timedelta(seconds=seconds)

    def chance(self) -> float:
        return self.luck

    def tell(self, line: JsonObject) -> None:
        json.dumps(line)
        self.told.append(line)

    def alive(self) -> None:
        self.pings += 1


Step = Round | Exception | Callable[[], Round]


def run(world: World, steps: Iterable[Step], *, every: timedelta = EVERY) -> list[datetime]:
    """Run an agent through these rounds, then stop it; returns when each round began."""
    began: list[datetime] = []
    left: Iterator[Step] = iter(steps)

    def work() -> Round:
        step = next(left, None)
        if step is None:
            raise Stopped
        began.append(world.time)
        if isinstance(step, Exception):
            raise step
        return step if isinstance(step, Round) else step()

    Agent(work, world, every=every).run()
    return began


def gaps(times: list[datetime]) -> list[timedelta]:
    return [later - earlier for earlier, later in pairwise(times)]


def quiet(due: datetime | None = None, **report: object) -> Round:
    return Round(SyncReport(**report), due)  # type: ignore[arg-type]


AWAY = RelayUnreachable("the relay cannot be reached")


def test_a_round_each_interval() -> None:
    """Nothing due, nothing wrong: one round in each interval, a tenth sooner or later by chance."""
    for chance, factor in ((0.0, 0.9), (0.5, 1.0), (0.999, 1.1)):
        times = run(World(chance), [quiet()] * 3)
        assert all(abs(gap - EVERY * factor) < timedelta(seconds=2) for gap in gaps(times))


def test_it_wakes_when_something_is_due() -> None:
    """A list to renew or a grant that ends in the meantime: a round just after, not before."""
    due = START + timedelta(minutes=3)
    times = run(World(), [quiet(due), quiet(START + timedelta(days=9)), quiet()])
    assert gaps(times) == [timedelta(minutes=3, seconds=1), EVERY]


def test_what_is_overdue_does_not_make_it_spin() -> None:
    """A time that lies behind, for whatever reason: a second passes all the same."""
    times = run(World(), [quiet(START - timedelta(days=1))] * 5)
    assert gaps(times) == [timedelta(seconds=1)] * 4


def test_a_relay_that_is_away_is_tried_less_and_less_often() -> None:
    """Half of a span that doubles up to its end; when it is back, all is as before."""
    steps = [*[AWAY] * 12, quiet(), AWAY, quiet()]
    waits = gaps(run(World(0.5), steps))
    expected = [min(FIRST * 2**n, LONGEST) / 2 for n in range(12)]
    assert waits[:12] == expected
    assert waits[11] == LONGEST / 2
    assert waits[12:] == [EVERY, FIRST / 2]


@given(st.lists(st.floats(0, 0.999_999), min_size=1, max_size=40))
def test_back_off_is_anywhere_within_its_span(luck: list[float]) -> None:
    """Full jitter: never beyond the span of that attempt, never less than a second."""
    world = World()
    agent = Agent(lambda: (_ for _ in ()).throw(AWAY), world)  # type: ignore[arg-type]
    for n, chance in enumerate(luck):
        world.luck = chance
        pause = agent.step()
        assert timedelta(seconds=1) <= pause <= min(FIRST * 2**n, LONGEST)


@pytest.mark.parametrize(
    ("asked", "pause"),
    [(120, timedelta(seconds=120)), (1, FIRST / 2), (None, FIRST / 2), (10**9, LONGEST_ASKED)],
)
def test_the_relay_may_say_how_long(asked: int | None, pause: timedelta) -> None:
    """Retry-After is waited for, but a relay cannot put the agent to sleep for ever."""
    busy = RelayError(RelayCode.BUSY, status=503, retry_after=asked)
    assert gaps(run(World(), [busy, quiet()])) == [pause]


def test_what_waits_to_be_sent_is_tried_sooner() -> None:
    """A round that could not send everything is followed by one before the usual time."""
    held = quiet(push=PushReport(1, (("deposit", "relay.unreachable"),)))
    often = timedelta(minutes=5)
    waits = gaps(run(World(), [*[held] * 12, quiet(), quiet()], every=often))
    assert waits[:2] == [FIRST / 2, FIRST]
    assert all(wait <= often for wait in waits)
    assert waits[11:] == [often, often]


@pytest.mark.parametrize(
    "error",
    [
        ClockWrong("the clock is wrong"),
        VaultError("restored", code="vault.restoring"),
        PdsError("in use", code="db.busy"),
        OSError(28, "No space left on device"),
    ],
)
def test_what_may_pass_is_waited_for(error: Exception) -> None:
    """A wrong clock, a restore that is not finished, a full disk: the agent stays."""
    world = World()
    assert len(run(world, [error, quiet()])) == 2
    assert [line["event"] for line in world.told] == ["started", "failed", "round", "stopped"]


@pytest.mark.parametrize(
    "code", ["vault.wrong_secret", "vault.no_relay", "db.damaged", "db.wrong_key_or_damaged"]
)
def test_what_only_a_person_can_mend_ends_it(code: str) -> None:
    """A changed secret, no relay, a damaged file: the agent ends with the reason."""
    world = World()
    with pytest.raises(PdsError) as ended:
        run(world, [PdsError("no", code=code), quiet()])
    assert ended.value.code == code
    assert world.told[-1]["event"] == "gave up"


def test_it_stops_at_once_wherever_it_is() -> None:
    """A signal during a round or during sleep is the end; nothing is done after it."""
    world = World()
    assert len(run(world, [quiet(), quiet()])) == 2  # the third round is cut off
    assert world.told[-1]["event"] == "stopped"
    asleep = World()

    def cut(_seconds: float) -> None:
        raise Stopped

    asleep.sleep = cut  # type: ignore[method-assign]
    assert len(run(asleep, [quiet(), quiet()])) == 1
    assert asleep.told[-1]["event"] == "stopped"


def test_it_sleeps_in_slices_and_says_that_it_lives() -> None:
    """No sleep is longer than a slice, and each ends with a word to the service manager."""
    world = World()
    run(world, [quiet(), quiet()])
    assert world.longest <= SLICE.total_seconds()
    assert world.pings == EVERY / SLICE * 2


def test_a_machine_that_slept_is_noticed() -> None:
    """The lid was closed for a night: the next round comes within a slice of its opening."""
    world = World()
    really = world.sleep

    def night(seconds: float) -> None:
        really(seconds + (8 * 3600 if world.time == START else 0))

    world.sleep = night  # type: ignore[method-assign]
    [gap] = gaps(run(world, [quiet(), quiet()]))
    assert gap == timedelta(hours=8) + SLICE


def test_a_clock_set_back_makes_no_long_sleep() -> None:
    """Somebody sets the clock back by a year: the interval stays what it is."""
    world = World()
    slept = []
    really = world.sleep

    def back(seconds: float) -> None:
        slept.append(seconds)
        really(seconds)
        if len(slept) == 1:
            world.time -= timedelta(days=365)

    world.sleep = back  # type: ignore[method-assign]
    run(world, [quiet(), quiet()])
    assert sum(slept) == 2 * EVERY.total_seconds()


def test_the_log_names_nobody() -> None:
    """Counts and codes; whom they concern stands in the vault."""
    world = World()
    report = quiet(
        messages=2,
        redemptions=1,
        push=PushReport(3, (("deposit", "relay.busy"), ("package", "relay.busy"))),
        problems=[("relay.old_list", SECRET), ("relay.old_list", SECRET)],
    )
    run(world, [report, AWAY])
    assert world.told[1] == {
        "at": "2026-11-28T09:00:00Z", "event": "round", "messages": 2, "redemptions": 1,
        "refusals": 0, "restaged": 0, "renewed": 0, "sent": 3, "waiting": {"relay.busy": 2},
        "problems": {"relay.old_list": 2}, "next": "2026-11-28T09:00:05Z",
    }  # fmt: skip
    assert world.told[2]["code"] == "relay.unreachable"
    assert SECRET not in json.dumps(world.told)


def test_one_agent_for_a_vault(tmp_path: Path) -> None:
    """A second one is refused while the first one lives, and only then."""
    with only_agent(tmp_path):
        with pytest.raises(VaultError) as refused, only_agent(tmp_path):
            pass
        assert refused.value.code == "agent.running"
    with only_agent(tmp_path):
        pass


def test_a_killed_agent_leaves_no_lock(tmp_path: Path) -> None:
    """The system lets go of the lock, however the agent ended."""
    child = os.fork()
    if child == 0:
        with only_agent(tmp_path):
            os._exit(9)
    os.waitpid(child, 0)
    with only_agent(tmp_path):
        pass
