"""Attacks on the memory of the HTTP front: what never ends, is too large, or comes drop by drop.

A real server in a child process; the kernel says how much memory it had at most. Each attack sends
or asks for far more than the bound that it is held to.
"""

import json
import re
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path

import pytest

MEBI = 1024 * 1024
MAX_BODY = 1 * MEBI
BODIES = 8 * MEBI
MOST = 256 * MEBI  # what an attacker sends who is not stopped
BOUND = 32 * MEBI  # what the server may take for it
PATIENCE = 60.0  # only ever waited for by a test that fails

CHILD = f"""
from pds.serve import ServeSettings, serve

large = 0

def app(environ, start_response):
    global large
    body = environ["wsgi.input"].read()
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/big":
        large += 1
        return [bytes({MEBI})]
    return [str(large if environ["PATH_INFO"] == "/large" else len(body)).encode()]

serve(
    app,
    ServeSettings(port=0, max_body={MAX_BODY}, bodies={BODIES}, body_deadline=0.5),
    on_ready=lambda port: print(port, flush=True),
)
"""


@dataclass
class Server:
    """The server, and how much memory it has had."""

    process: "subprocess.Popen[str]"
    port: int

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def peak(self) -> int:
        """The most memory since ``forget``, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
        assert found is not None
        return int(found[1]) * 1024

    def forget(self) -> int:
        """Begin to measure anew; what it has now."""
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")
        return self.peak()

    def answers(self) -> bool:
        """Whether somebody with an ordinary request is served."""
        with self.connect() as other:
            other.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")
            return read(other) == (200, "3")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server that has answered, so that all is loaded."""
    with subprocess.Popen(
        [sys.executable, "-c", CHILD], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            made = Server(process, int(process.stdout.readline()))
            assert made.answers()
            yield made
        finally:
            process.terminate()


def read(connection: socket.socket) -> tuple[int, str]:
    """Status of an answer, and its code or text."""
    response = HTTPResponse(connection)
    response.begin()
    body = response.read()
    response.close()
    problem = response.headers["content-type"] == "application/problem+json"
    return response.status, str(json.loads(body)["code"]) if problem else body.decode()


def flood(connection: socket.socket, piece: bytes) -> int:
    """Send the piece again and again until there is an answer, an end, or no more; how much."""
    connection.setblocking(False)
    sent = 0
    try:
        while sent < MOST:
            ready, free, _ = select.select([connection], [connection], [], PATIENCE)
            if ready or not free:
                break
            sent += connection.send(piece)
    except (BrokenPipeError, ConnectionResetError):
        pass
    connection.settimeout(PATIENCE)
    return sent


def ended(connection: socket.socket) -> None:
    """Fail unless the server closes the connection, whatever it says before."""
    try:
        while connection.recv(MEBI):
            pass
    except ConnectionResetError:
        pass


POST = b"POST / HTTP/1.1\r\nHost: a\r\n"


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b"x" * 65536 + b"\r\n"),
        (POST + b"Transfer-Encoding: chunked\r\n\r\n", b"1;" + b"x" * 65536),
        (POST + b"Content-Length: %d\r\n\r\n" % MOST, b"x" * 65536),
        (POST + b"Content-Length: 3\r\n\r\n", b"x" * 65536),
        (POST + b"X: ", b"x" * 65536),
        (POST, b"X: x\r\n" * 10_000),
        (b"GET /", b"x" * 65536),
        (b"", b"\r\n" * 32_768),
    ],
    ids=["chunks", "chunk-extension", "too-large", "beyond-its-length", "header", "headers",
         "target", "nothing"],
)  # fmt: skip
def test_attack_52_what_never_ends(server: Server, head: bytes, piece: bytes) -> None:
    """It is cut off early, takes no memory to speak of, and others are served after it."""
    before = server.forget()
    with server.connect() as connection:
        connection.sendall(head)
        assert flood(connection, piece) < MOST
        ended(connection)
    assert server.peak() - before < BOUND
    assert server.answers()


def test_attack_52_many_bodies_that_are_never_finished(server: Server) -> None:
    """Together they take what all bodies may take, and no more; nobody else is kept waiting."""
    before = server.forget()
    head = POST + b"Content-Length: %d\r\n\r\n" % MAX_BODY
    with ExitStack() as stack:
        many = [stack.enter_context(server.connect()) for _ in range(200)]
        for connection in many:
            # What the server does not read yet waits in the kernel's buffers.
            connection.setblocking(False)
            try:
                connection.send(head + bytes(MAX_BODY - 1000))
            except ConnectionResetError:
                continue
        assert server.answers()
        answers = set()
        for connection in many:
            connection.settimeout(PATIENCE)
            try:
                answers.add(read(connection))
            except ConnectionResetError:
                answers.add((503, "front.busy"))  # it was refused before it had sent all of it
        # Each of them was read to its end, or refused because of the others.
        assert answers == {(503, "front.busy"), (408, "front.body_timeout")}
    assert server.peak() - before < BODIES + BOUND
    assert server.answers()


def test_attack_52_a_body_drop_by_drop(server: Server) -> None:
    """The deadline is for the whole body: whoever goes on sending does not put it off."""
    with server.connect() as connection:
        connection.sendall(POST + b"Content-Length: %d\r\n\r\n" % MAX_BODY)
        drops = 0
        while not select.select([connection], [], [], 0.01)[0]:
            connection.sendall(b"x")
            drops += 1
            assert drops < 10_000
        assert read(connection) == (408, "front.body_timeout")
    assert drops > 1


def test_attack_52_answers_that_nobody_takes(server: Server) -> None:
    """A connection has one answer at a time made for it, however many it asks for: beyond what the
    kernel takes nothing is made."""
    before = server.forget()
    with server.connect() as deaf:
        deaf.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n" * 256)
        for _ in range(50):
            assert server.answers()
        with server.connect() as other:
            other.sendall(b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n")
            assert 1 <= int(read(other)[1]) < 64
        assert server.peak() - before < BOUND
