"""Requests that wait in the door, at a real server in a child process."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

import pytest

PATIENCE = 60.0  # only ever waited for by a test that fails
NEVER = 3600.0

# /wait?NAME hopes for a file, /wake?NAME makes it and says so, /make?NAME only makes it.
_CHILD = """
import json, os, sys
from pathlib import Path
from pds.serve import ServeSettings, ask_again, serve, wake

folder = Path(sys.argv[1])

def app(environ, start_response):
    path, name = environ["PATH_INFO"], environ["QUERY_STRING"]
    body = b"done"
    if path == "/wait":
        body = b"news" if (folder / name).exists() else b"nothing"
        if body == b"nothing" and (folder / "gate").exists():
            os.write(1, b"looked\\n")
            (folder / "gate").read_bytes()  # a pipe: it opens when somebody writes
        if body == b"nothing":
            ask_again(environ, name.partition("-")[0], seconds=float(folder.name))
        os.write(1, f"asked {name}\\n".encode())  # in one piece, whatever other threads say
    elif path == "/all":
        for file in json.loads(environ["wsgi.input"].read()):
            (folder / file).touch()
            wake(environ, file)
    elif name:
        (folder / name).touch()
        if path == "/wake":
            wake(environ, name)
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

serve(app, ServeSettings(port=0, **json.loads(sys.argv[2])),
      on_ready=lambda port: print(port, flush=True))
print("stopped", flush=True)
"""


@dataclass
class Server:
    process: "subprocess.Popen[str]"
    port: int

    def begin(self, target: str, *, body: bytes = b"") -> socket.socket:
        """Ask, and leave the answer for later."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        length = f"Content-Length: {len(body)}\r\n" if body else ""
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: a\r\n{length}\r\n".encode() + body)
        return connection

    def ask(self, target: str, *, body: bytes = b"") -> bytes:
        with self.begin(target, body=body) as connection:
            return answer(connection)

    def heard(self) -> str:
        """What the application said next."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def answer(connection: socket.socket) -> bytes:
    response = HTTPResponse(connection)
    response.begin()
    assert response.status == 200
    with response:
        return response.read()


@contextmanager
def running(tmp_path: Path, *, seconds: float = NEVER, **settings: float) -> Iterator[Server]:
    folder = tmp_path / str(seconds)
    folder.mkdir()
    told = json.dumps({"recheck": NEVER, **settings})
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _CHILD, str(folder), told],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield Server(process, int(process.stdout.readline()))
        finally:
            process.kill()


def test_a_waiting_request_is_answered_when_its_topic_is_woken(tmp_path: Path) -> None:
    """The application is asked again at the wake-up, and not before; other topics sleep on."""
    with running(tmp_path) as it, it.begin("/wait?a") as one, it.begin("/wait?b") as other:
        assert {it.heard(), it.heard()} == {"asked a", "asked b"}
        it.ask("/wake?a")
        assert it.heard() == "asked a"
        assert answer(one) == b"news"
        it.ask("/wake?b")
        assert it.heard() == "asked b"
        assert answer(other) == b"news"


def test_what_happens_between_a_look_and_the_wait_is_not_missed(tmp_path: Path) -> None:
    """A topic that is woken while the application answers "nothing" is looked at once more."""
    with running(tmp_path) as it:
        gate = tmp_path / str(NEVER) / "gate"
        os.mkfifo(gate)
        with it.begin("/wait?a") as one:
            assert it.heard() == "looked"
            it.ask("/wake?a")
            gate.write_bytes(b"")
            assert answer(one) == b"news"


def test_five_hundred_waiting_requests_hold_nobody_up(tmp_path: Path) -> None:
    """With one thread, others are answered meanwhile, and all five hundred when it happens."""
    names = [f"n{number}" for number in range(500)]
    with running(tmp_path, threads=1, waiting=600) as it, ExitStack() as stack:
        waiting = [stack.enter_context(it.begin(f"/wait?{name}")) for name in names]
        assert {it.heard() for _ in names} == {f"asked {name}" for name in names}
        assert [it.ask("/") for _ in range(20)] == [b"done"] * 20
        assert select.select(waiting, [], [], 0)[0] == []
        it.ask("/all", body=json.dumps(names).encode())
        assert [answer(one) for one in waiting] == [b"news"] * 500


def test_what_another_process_did_is_noticed(tmp_path: Path) -> None:
    """Without a wake-up the application is asked again now and then."""
    with running(tmp_path, recheck=0.01) as it, it.begin("/wait?a") as one:
        assert it.heard() == "asked a"
        it.ask("/make?a")
        assert answer(one) == b"news"


def test_a_wait_has_an_end(tmp_path: Path) -> None:
    """Then what the application said first goes out, and it is not asked again for that."""
    with running(tmp_path, seconds=0.01) as it:
        assert it.ask("/wait?a") == b"nothing"
        assert it.heard() == "asked a"
        it.ask("/make?a")
        assert it.ask("/wait?a") == b"news"
        assert it.heard() == "asked a"


def test_waiting_requests_are_bounded(tmp_path: Path) -> None:
    """Beyond the limit, and beyond four for one topic, there is an answer at once."""
    with running(tmp_path, threads=1, waiters=5) as it, ExitStack() as stack:
        for number in range(4):
            stack.enter_context(it.begin(f"/wait?a-{number}"))
            it.heard()
        assert it.ask("/wait?a-5") == b"nothing"
        it.heard()
        stack.enter_context(it.begin("/wait?b"))
        it.heard()
        assert it.ask("/wait?c") == b"nothing"


def test_a_request_with_a_body_does_not_wait(tmp_path: Path) -> None:
    """Bodies share a bounded memory, which is not for keeping."""
    with running(tmp_path) as it:
        assert it.ask("/wait?a", body=b"x") == b"nothing"


def test_a_client_that_has_gone_waits_no_longer(tmp_path: Path) -> None:
    """Its place goes to the next."""
    with running(tmp_path, threads=1, waiters=1) as it:
        with it.begin("/wait?first"):
            it.heard()
        for number in range(10_000):
            with it.begin(f"/wait?{number}") as next_:
                assert it.heard() == f"asked {number}"
                it.ask(f"/wake?{number}")
                said = answer(next_)
            if said == b"news":
                return
    pytest.fail("the place stayed taken")


def test_a_stop_ends_every_wait(tmp_path: Path) -> None:
    """What there is goes out, and the server is gone without anybody being cut off."""
    with running(tmp_path, grace=PATIENCE) as it, ExitStack() as stack:
        waiting = [stack.enter_context(it.begin(f"/wait?{n}")) for n in range(20)]
        for _ in waiting:
            it.heard()
        os.kill(it.process.pid, signal.SIGTERM)
        assert [answer(one) for one in waiting] == [b"nothing"] * 20
        assert it.process.wait(PATIENCE) == 0
        assert it.heard() == "stopped"
