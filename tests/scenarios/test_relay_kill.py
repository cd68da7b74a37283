"""The relay is killed in the middle of its work, again and again, and loses nothing it answered."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.client import HTTPException
from pathlib import Path
from random import Random

import pytest

from did.json import JsonObject, digest
from did.keys import VerifyKey
from did.multikey import b64url_decode, b64url_encode
from did.time import utc_now
from pds.log import Monitor, verify_receipt

_WORLD = Path(__file__).parents[1] / "pds" / "relay"
sys.path.insert(0, str(_WORLD))

from relay_world import URL, Reply, World, http_send  # noqa: E402

_SERVER = """
import sys
from pathlib import Path
from pds.relay.app import create_app
from pds.serve import ServeSettings, serve
data = Path(sys.argv[1])
serve(
    create_app(data, url=sys.argv[2]),
    ServeSettings(port=0, pass_address=True),
    on_ready=lambda port: print(port, flush=True),
    lock_dir=data,
)
"""
LOOPS = 8
COMPANIES = 6
USES = 20


@dataclass
class Attempt:
    """One presentation, and what came back: a reply, or nothing because the relay was gone."""

    package: str
    presentation: JsonObject
    reply: Reply | None = None

    @property
    def id(self) -> str:
        return digest(self.presentation)


@dataclass
class Round:
    """What happened until the kill."""

    attempts: list[Attempt] = field(default_factory=list)
    deposits: list[tuple[bytes, JsonObject]] = field(default_factory=list)


@contextmanager
def _relay(data: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(data), URL], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
    finally:
        process.kill()
        process.wait(20)
        process.stdout.close()


def _work_until_killed(
    world: World, process: subprocess.Popen[str], packages: dict[str, JsonObject], after: int
) -> Round:
    """Redeem and deposit from several threads; kill the relay after so many answers."""
    done = Round()
    lock = threading.Lock()
    answered = 0
    _, secret = world.capability(envelopes=1000)
    start = threading.Barrier(COMPANIES + 1)

    def count() -> None:
        nonlocal answered
        with lock:
            answered += 1
            if answered == after:
                process.kill()

    def company(number: int) -> None:
        start.wait(20)
        try:
            for _ in range(USES):
                for package, ticket in packages.items():
                    attempt = Attempt(package, world.presentation(ticket))
                    with lock:
                        done.attempts.append(attempt)
                    attempt.reply = world.present(attempt.presentation)
                    count()
        except (OSError, HTTPException):
            return  # the relay is gone

    def sender() -> None:
        start.wait(20)
        try:
            for number in range(1000):
                octets = b"%d %d" % (after, number)
                reply = world.deposit(secret, octets)
                assert reply.status == 201
                done.deposits.append((octets, reply.json))
                count()
        except (OSError, HTTPException):
            return

    threads = [threading.Thread(target=company, args=(n,)) for n in range(COMPANIES)]
    threads.append(threading.Thread(target=sender))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert process.wait(20) == -9, "the relay was to be killed while it worked"
    return done


def _all_events(world: World, package: str) -> list[JsonObject]:
    events: list[JsonObject] = []
    while page := world.events(package, after=len(events)):
        events.extend(page)
    return events


def _all_envelopes(world: World) -> dict[str, int]:
    found: dict[str, int] = {}
    after, more = 0, True
    while more:
        path = f"/v1/mailboxes/{world.mailbox}/envelopes?after={after}"
        page = world.call("GET", path).json
        for one in page["envelopes"]:
            after = one["ordinal"]
            found[one["sealed"]] = after
        more = page["more"]
    return found


class _Log:
    """The log as somebody sees it who never forgets a checkpoint."""

    def __init__(self, world: World) -> None:
        info = world.get("/v1/relay").json
        self.origin, self.key = info["logOrigin"], VerifyKey.from_multikey(info["logKey"])
        self.last: tuple[str, int] | None = None

    def grown_from(self, world: World, note: str, size: int) -> None:
        """The log of now begins with the one of that checkpoint."""
        monitor = Monitor(origin=self.origin, key=self.key)
        monitor.advance(note, [])
        now = world.get("/v1/log/checkpoint").body.decode()
        second = int(now.split("\n")[1])
        path = f"/v1/log/consistency?first={size}&second={second}"
        proof = [b64url_decode(one) for one in world.get(path).json["proof"]]
        monitor.advance(now, proof)
        self.last = (now, second)

    def holds(self, world: World, receipt: JsonObject) -> None:
        """The receipt verifies, and its log is the beginning of the log of now."""
        verified = verify_receipt(receipt, origin=self.origin, log_key=self.key)
        self.grown_from(world, str(receipt["checkpoint"]), verified.checkpoint.size)


def _check(world: World, log: _Log, done: Round, packages: dict[str, JsonObject]) -> None:
    if log.last is not None:
        log.grown_from(world, *log.last)
    for package, ticket in packages.items():
        mine = [attempt for attempt in done.attempts if attempt.package == package]
        events = _all_events(world, package)
        entries = [event["receipt"]["entry"] for event in events]
        assert [entry["ordinal"] for entry in entries] == list(range(1, len(events) + 1))
        released = {e["redemption"] for e in entries if e["type"] == "redemption"}
        refused = {e["redemption"] for e in entries if e["type"] == "refusal"}
        most = ticket["credentialSubject"]["maxUses"]
        uses = world.call("GET", f"/v1/packages/{package}").json["uses"]
        assert len(released) == uses <= most
        for attempt in mine:
            again = world.recover(attempt.presentation)
            if attempt.reply is None:
                # Not answered: it can be fetched and was counted, or it never happened.
                assert again.status == (200 if attempt.id in released else 404)
            elif attempt.reply.status == 200:
                # Answered: counted, in the log, and the same bytes again.
                assert attempt.id in released
                assert again.body == attempt.reply.body
                log.holds(world, attempt.reply.json["receipt"])
            else:
                assert attempt.reply.code == "relay.used_up"
                assert attempt.id in refused or len(refused) == 50
        # What is left can still be redeemed, to the last use and not beyond.
        for _ in range(most - uses):
            assert world.redeem(ticket).status == 200
        assert world.redeem(ticket).code == "relay.used_up"
    envelopes = _all_envelopes(world)
    for octets, receipt in done.deposits:
        assert envelopes[b64url_encode(octets)] == receipt["entry"]["ordinal"]
        log.holds(world, receipt)


@pytest.mark.parametrize("seed", [20260504])
def test_killed_in_the_middle_of_redemptions(tmp_path: Path, seed: int) -> None:
    """Answered is durable, counted is exact, a single use is used once, and the log only grows."""
    random = Random(seed)
    data = tmp_path / "relay"
    data.mkdir()
    world = World(send=http_send(0), clock=utc_now)
    log: _Log | None = None
    done: Round | None = None
    packages: dict[str, JsonObject] = {}
    killed_with_answers = 0
    for loop in range(LOOPS + 1):
        with _relay(data) as (process, port):
            world.send = http_send(port)
            if log is None:
                assert world.create().status == 201
                assert world.put_status().status == 200
                log = _Log(world)
            if done is not None:
                _check(world, log, done, packages)
                killed_with_answers += sum(
                    a.reply is not None and a.reply.status == 200 for a in done.attempts
                )
            if loop == LOOPS:
                break
            until = utc_now() + timedelta(days=1)
            single = world.another(max_uses=1, valid_until=until)
            many = world.another(max_uses=USES, valid_until=until)
            packages = dict([single, many])
            done = _work_until_killed(world, process, packages, random.randint(3, 40))
    assert killed_with_answers > LOOPS
