"""Questions for envelopes that wait for the first of them."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from relay_world import ENGINE, URL, InProcess, World, http_send

from did.time import utc_now
from pds.mailbox import RelayClient
from pds.serve.waiting import TURN, Turn

PATIENCE = 60.0  # only ever waited for by a test that fails

_SERVER = """
import json, os, sys
from pathlib import Path
from pds.relay.app import create_app
from pds.serve import ServeSettings, serve
data, url, database, recheck = json.loads(sys.argv[1])
relay = create_app(Path(data), url=url, database=database)

def app(environ, start_response):
    answer = relay(environ, start_response)
    os.write(1, environ["REQUEST_METHOD"].encode() + b"\\n")
    return answer

serve(app, ServeSettings(port=0, pass_address=True, recheck=recheck, grace=60),
      on_ready=lambda port: print(port, flush=True))
"""


@contextmanager
def relay(data: Path, *, recheck: float) -> Iterator["tuple[World, subprocess.Popen[str]]"]:
    """A relay as a process, without a lock on its folder: two of them are two workers."""
    told = json.dumps([str(data), URL, ENGINE.database, recheck])
    with subprocess.Popen(
        [sys.executable, "-c", _SERVER, told], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            port = int(process.stdout.readline())
            yield World(send=http_send(port, timeout=PATIENCE), clock=utc_now), process
        finally:
            process.kill()


def heard(process: "subprocess.Popen[str]") -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def question(world: World, *, after: int = 0, wait: int = 30) -> str:
    return f"/v1/mailboxes/{world.mailbox}/envelopes?after={after}&wait={wait}"


def test_a_deposit_answers_who_waits(data: Path) -> None:
    """The relay looked, found nothing, and looks again because of the deposit: with the same
    signature, and with nothing but the deposit to wake it."""
    with relay(data, recheck=3600) as (world, process), ThreadPoolExecutor(1) as pool:
        world.create()
        _, secret = world.capability()
        assert [heard(process), heard(process)] == ["PUT", "PUT"]
        waiting = pool.submit(world.call, "GET", question(world))
        assert heard(process) == "GET"
        assert world.deposit(secret, b"news").status == 201
        assert [heard(process), heard(process)] == ["POST", "GET"]
        assert [one["ordinal"] for one in waiting.result(PATIENCE).json["envelopes"]] == [1]


def test_the_end_of_a_mailbox_answers_who_waits(data: Path) -> None:
    """There is nothing left to wait for, and that is what is said."""
    with relay(data, recheck=3600) as (world, process), ThreadPoolExecutor(1) as pool:
        world.create()
        assert heard(process) == "PUT"
        waiting = pool.submit(world.call, "GET", question(world))
        assert heard(process) == "GET"
        assert world.call("DELETE", f"/v1/mailboxes/{world.mailbox}").status == 204
        assert waiting.result(PATIENCE).code == "relay.ended"


def test_a_deposit_at_another_worker_answers_who_waits(data: Path) -> None:
    """Each worker looks by itself now and then."""
    with (
        relay(data, recheck=0.05) as (world, process),
        relay(data, recheck=3600) as (other, _),
        ThreadPoolExecutor(1) as pool,
    ):
        world.create()
        _, secret = world.capability()
        assert [heard(process), heard(process)] == ["PUT", "PUT"]
        waiting = pool.submit(world.call, "GET", question(world))
        assert heard(process) == "GET"
        other.mailbox = world.mailbox
        assert other.deposit(secret, b"news").status == 201
        assert waiting.result(PATIENCE).json["envelopes"][0]["ordinal"] == 1


def test_a_stop_answers_who_waits(data: Path) -> None:
    """A page without envelopes goes out, and the worker ends."""
    with relay(data, recheck=3600) as (world, process), ThreadPoolExecutor(1) as pool:
        world.create()
        assert heard(process) == "PUT"
        waiting = pool.submit(world.call, "GET", question(world))
        assert heard(process) == "GET"
        process.send_signal(signal.SIGTERM)
        assert waiting.result(PATIENCE).json == {"envelopes": [], "more": False}
        assert process.wait(PATIENCE) == 0


def test_the_client_waits(data: Path) -> None:
    """``pds.mailbox`` asks for it, and gets the envelope that came meanwhile."""
    with relay(data, recheck=3600) as (world, process), ThreadPoolExecutor(1) as pool:
        client = RelayClient(URL, InProcess(world), clock=utc_now)
        mailbox = client.owner(world.mailbox, world.owner, 1)
        mailbox.create()
        _, secret = world.capability()
        assert [heard(process), heard(process)] == ["PUT", "PUT"]
        waiting = pool.submit(mailbox.envelopes, wait=30)
        assert heard(process) == "GET"
        world.deposit(secret, b"news")
        assert waiting.result(PATIENCE) == ([(1, b"news")], False)


def _asked(world: World, path: str, *, signed_before: int = 0) -> Turn:
    """What the application says to the door about one question."""
    headers = world.sign("GET", path)
    world.clock.move(seconds=signed_before)  # type: ignore[attr-defined]
    turn = Turn()
    answer = world.app.test_client().get(path, headers=headers, environ_overrides={TURN: turn})
    assert answer.status_code == 200
    return turn


def test_a_question_waits_no_longer_than_its_signature_is_valid(world: World) -> None:
    """It is verified each time it is asked again, so the wait ends before the signature does."""
    world.create()
    assert _asked(world, question(world)).seconds == 30
    assert _asked(world, question(world), signed_before=50).seconds == 9
    assert _asked(world, question(world, wait=5)).seconds == 5


def test_only_an_empty_page_waits(world: World) -> None:
    """What is there goes out at once, and so does everything where nobody asked to wait."""
    world.create()
    _, secret = world.capability()
    assert _asked(world, question(world, wait=0)).topic is None
    assert _asked(world, f"/v1/mailboxes/{world.mailbox}/envelopes?after=0").topic is None
    world.deposit(secret, b"news")
    assert _asked(world, question(world)).topic is None
    assert _asked(world, question(world, after=1)).topic is not None


@pytest.mark.parametrize("more", ["&wait=31", "&wait=-1", "&wait=1&wait=1", "&wait=", "&wait=01"])
def test_a_wait_is_a_number_of_seconds_up_to_thirty(world: World, more: str) -> None:
    """Anything else is malformed."""
    world.create()
    path = f"/v1/mailboxes/{world.mailbox}/envelopes?after=0{more}"
    assert world.call("GET", path).code == "relay.malformed"
