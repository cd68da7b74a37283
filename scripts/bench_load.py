"""Load for a relay: servers of their own processes, and a client that keeps them busy.

Real processes over real sockets on one machine, so the client takes its share of the processors:
it sends requests that were made before, and what is compared is measured in turns by it.
"""

import json
import os
import selectors
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests" / "pds" / "relay"))

from relay_world import World  # noqa: E402

from did.json import JsonObject, canonicalize  # noqa: E402
from pds.wire import new_id  # noqa: E402

CONNECTIONS = 32

HELLO = """
import sys
from flask import Flask, Response
from pds.serve import ServeSettings, Service, supervise
def make():
    app = Flask("hello")
    body = b"x" * 4096
    app.get("/hello")(lambda: Response(body, content_type="application/octet-stream"))
    return app
threads, workers = map(int, sys.argv[1:])
supervise(
    [Service(lambda: (make, ServeSettings(port=0, threads=threads, pass_address=True)), workers)],
    on_ready=lambda port: print(port, flush=True),
)
"""


@dataclass(slots=True)
class Outcome:
    """What a run came to: answers of each status, how long each took, and how long all took."""

    seconds: float
    statuses: dict[int, int] = field(default_factory=dict)
    times: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        return sum(self.statuses.values()) / self.seconds

    def percentile(self, share: float) -> float:
        """In milliseconds."""
        ordered = sorted(self.times)
        return 1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class _Conn:
    __slots__ = ("sent", "socket", "taken")

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket.setblocking(False)
        self.taken = b""
        self.sent = 0.0


def drive(port: int, requests: Sequence[bytes], *, connections: int = CONNECTIONS) -> Outcome:
    """Send every request, so many at a time, each on the next connection that is free."""
    waiting = deque(requests)
    selector = selectors.DefaultSelector()
    conns = [_Conn(port) for _ in range(min(connections, len(requests)))]
    outcome = Outcome(0.0)
    open_ = 0
    start = time.perf_counter()
    for conn in conns:
        selector.register(conn.socket, selectors.EVENT_READ, conn)
        conn.sent = time.perf_counter()
        conn.socket.sendall(waiting.popleft())
        open_ += 1
    while open_:
        for key, _ in selector.select():
            conn = key.data
            conn.taken += conn.socket.recv(65_536)
            status = _complete(conn.taken)
            if status is None:
                continue
            now = time.perf_counter()
            outcome.times.append(now - conn.sent)
            outcome.statuses[status] = outcome.statuses.get(status, 0) + 1
            conn.taken = b""
            if waiting:
                conn.sent = now
                conn.socket.sendall(waiting.popleft())
            else:
                selector.unregister(conn.socket)
                conn.socket.close()
                open_ -= 1
    outcome.seconds = time.perf_counter() - start
    return outcome


def _complete(taken: bytes) -> int | None:
    """The status, once all of the answer is there."""
    head, found, body = taken.partition(b"\r\n\r\n")
    if not found:
        return None
    lowered = head.lower()
    if b"transfer-encoding: chunked" in lowered:
        return int(head[9:12]) if body.endswith(b"0\r\n\r\n") else None
    at = lowered.find(b"content-length:")
    length = int(head[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
    return int(head[9:12]) if len(body) >= length else None


class Server:
    """A server of its own process; ``port`` once it takes connections."""

    def __init__(self, arguments: Sequence[str]) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [sys.executable, *arguments], stdout=subprocess.PIPE, env=environment, text=True
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.start_seconds = time.perf_counter() - began
        found = json.loads(line)
        self.port = int(found["listening"] if isinstance(found, dict) else found)

    def cpu_seconds(self) -> float:
        """Of the process and its workers, so far."""
        ticks = 0
        for pid in [self.process.pid, *self.workers()]:
            parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(parts[11]) + int(parts[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def written_kib(self) -> float:
        """What the process and its workers have had written to a disk, so far."""
        written = 0
        for pid in [self.process.pid, *self.workers()]:
            found = Path(f"/proc/{pid}/io").read_text().partition("\nwrite_bytes: ")[2]
            written += int(found.partition("\n")[0])
        return written / 1024

    def workers(self) -> list[int]:
        pid = self.process.pid
        return [int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]

    def memory_mib(self) -> list[float]:
        """What each worker has of its own, in MiB (proportional share)."""
        return [
            int(line.split()[1]) / 1024
            for pid in self.workers()
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            if line.startswith("Pss:")
        ]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


def start_relay(
    data: Path, *, workers: int, threads: int, database: str | None, port: int | None = None
) -> Server:
    port = port or free_port()
    command = "import sys; from pds.cli.main import main; sys.argv[0] = 'pds'; main()"
    arguments = [
        "-c", command, "--json", "relay", "serve", "--data", str(data),
        "--url", f"http://127.0.0.1:{port}", "--workers", str(workers), "--threads", str(threads),
    ]  # fmt: skip
    if database is not None:
        arguments += ["--database", database]
    return Server(arguments)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Staged:
    """A package at the relay, and whose it is."""

    world: World
    package: str
    ticket: JsonObject

    def redemption(self) -> bytes:
        """One more request to redeem it."""
        presentation = self.world.presentation(self.ticket)
        return post("/v1/redemptions", canonicalize({"presentation": presentation}), self.world.url)


def stage(world: World, count: int, *, size: int = 2900) -> Iterator[Staged]:
    """Packages whose answers have about 4 KiB; a new mailbox for every thousand."""
    while count > 0:
        world = World(send=world.send, clock=world.clock, url=world.url)
        world.create()
        world.put_status()
        for _ in range(min(count, 1000)):
            package = new_id()
            ticket = world.ticket(package, max_uses=1_000_000)
            body = world.staging(package, ticket=ticket, sealed=os.urandom(size))
            reply = world.call("PUT", f"/v1/packages/{package}", body)
            assert reply.status == 200, reply.body
            yield Staged(world, package, ticket)
        count -= 1000


def post(path: str, body: bytes, url: str) -> bytes:
    host = url.partition("://")[2]
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
