"""Routes that are answered together, at a real server in a child process."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

PATIENCE = 60.0  # only ever waited for by a test that fails

# POST /all tells how many it is answered with. While the file "gate" is there, a batch says what
# is in it and waits until somebody has opened that pipe.
_CHILD = """
import json, logging, os, sys
from pathlib import Path
from pds.serve import Response, ServeSettings, serve

gate = Path(sys.argv[1]) / "gate"
logging.basicConfig(stream=sys.stdout, format="log %(message)s", force=True)

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "5")])
    return [b"alone"]

class Together:
    def read(self, body):
        if body == b"unreadable":
            raise LookupError("secret")
        return body

    def answer(self, bodies):
        return together(bodies)

def together(bodies):
    if gate.exists():
        os.write(1, json.dumps([body.decode() for body in bodies]).encode() + b"\\n")
        gate.read_bytes()
    if b"too few" in bodies:
        return []
    if b"all fail" in bodies:
        raise ZeroDivisionError("secret")
    return [
        KeyError("secret") if body == b"fail" else
        Response(201, (("x-of", str(len(bodies))),), body)
        for body in bodies
    ]

app.batched = {("POST", "/all"): Together()}
serve(app, ServeSettings(port=0, **json.loads(sys.argv[2])),
      on_ready=lambda port: print(port, flush=True))
print("stopped", flush=True)
"""


@dataclass
class Server:
    process: "subprocess.Popen[str]"
    port: int
    gate: Path

    def begin(self, body: bytes, *, line: str = "POST /all") -> socket.socket:
        """Ask, and leave the answer for later."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        head = f"{line} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body)
        return connection

    def ask(self, body: bytes, *, line: str = "POST /all") -> tuple[int, bytes]:
        with self.begin(body, line=line) as connection:
            return answer(connection)[:2]

    def close_gate(self) -> None:
        os.mkfifo(self.gate)

    def heard(self) -> str:
        """What the server said next."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def in_batch(self) -> list[str]:
        """The batch that waits at the gate now."""
        found: list[str] = json.loads(self.heard())
        return found

    def open_gate(self) -> None:
        """For all batches from now on, the one that waits included."""
        with self.gate.open("wb"):
            self.gate.unlink()


def answer(connection: socket.socket) -> tuple[int, bytes, int]:
    """Status, body, and of how many it was one."""
    response = HTTPResponse(connection)
    response.begin()
    with response:
        return response.status, response.read(), int(response.getheader("x-of", "0"))


@contextmanager
def running(tmp_path: Path, **settings: float) -> Iterator[Server]:
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", _CHILD, str(tmp_path), json.dumps(settings)],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            yield Server(process, int(process.stdout.readline()), tmp_path / "gate")
        finally:
            process.kill()


@contextmanager
def waiting(it: Server, bodies: Sequence[bytes]) -> Iterator[list[socket.socket]]:
    """The first is in a batch that waits at the gate; the others are on their way to the queue."""
    it.close_gate()
    with ExitStack() as stack:
        connections = [stack.enter_context(it.begin(bodies[0]))]
        assert it.in_batch() == [bodies[0].decode()]
        connections += [stack.enter_context(it.begin(body)) for body in bodies[1:]]
        yield connections


def test_those_who_come_meanwhile_are_answered_together(tmp_path: Path) -> None:
    """Each gets its own answer; at most 32 are in one batch."""
    bodies = [b"%d" % number for number in range(50)]
    with running(tmp_path) as it, waiting(it, bodies) as connections:
        it.open_gate()
        answers = [answer(connection) for connection in connections]
    assert [each[:2] for each in answers] == [(201, body) for body in bodies]
    assert max(each[2] for each in answers) <= 32
    assert answers[0][2] == 1


def test_one_that_cannot_be_answered_is_nobody_elses_matter(tmp_path: Path) -> None:
    """It is a failure of the application, told without its text; the others have their answers."""
    with running(tmp_path) as it:
        assert it.ask(b"unreadable")[0] == 500
        assert it.heard().startswith("log application error: LookupError at")
        assert it.ask(b"fail")[0] == 500
        assert it.heard().startswith("log application error: KeyError at")
        assert it.ask(b"all fail")[0] == 500
        said = it.heard()
        assert said.startswith("log application error: ZeroDivisionError at")
        assert "secret" not in said
        assert it.ask(b"fine") == (201, b"fine")


def test_an_application_that_leaves_one_out(tmp_path: Path) -> None:
    """Nobody waits for ever, and nobody gets the answer of another."""
    with running(tmp_path) as it:
        assert it.ask(b"too few")[0] == 500
        assert it.heard().startswith("log application error: ValueError at")
        assert it.ask(b"fine") == (201, b"fine")


def test_other_requests_go_to_the_application(tmp_path: Path) -> None:
    """A batched route is one method and one path; its query is looked at by nobody."""
    with running(tmp_path) as it:
        assert it.ask(b"", line="GET /all") == (200, b"alone")
        assert it.ask(b"x", line="POST /all/") == (200, b"alone")
        assert it.ask(b"x", line="PUT /all") == (200, b"alone")
        assert it.ask(b"x", line="POST /all?y=1") == (201, b"x")


def test_they_hold_up_nobody_else(tmp_path: Path) -> None:
    """Threads of the application are free while a batch takes its time."""
    with running(tmp_path, threads=1) as it, waiting(it, [b"1", b"2"]) as connections:
        assert it.ask(b"", line="GET /") == (200, b"alone")
        it.open_gate()
        assert [answer(each)[0] for each in connections] == [201, 201]


def test_the_queue_has_an_end(tmp_path: Path) -> None:
    """Whoever finds it full is told to come later, and those in it are answered."""
    bodies = [b"%d" % number for number in range(34)]
    with running(tmp_path, waiting=1) as it, waiting(it, bodies) as connections:
        # 33 have a place. Only one that has none can be answered before the gate opens.
        select.select(connections, [], [], PATIENCE)
        it.open_gate()
        statuses = [answer(each)[0] for each in connections]
        assert sorted(statuses) == [201] * 33 + [503]
        assert it.ask(b"later") == (201, b"later")


def test_a_stop_waits_for_a_batch(tmp_path: Path) -> None:
    """What was taken is answered."""
    with running(tmp_path) as it, waiting(it, [b"1"]) as (connection,):
        it.process.send_signal(signal.SIGTERM)
        it.open_gate()
        assert answer(connection)[:2] == (201, b"1")
        assert it.heard() == "stopped"
        assert it.process.wait(PATIENCE) == 0
