"""How fast a relay redeems, beside a Flask "hello" of 4 KiB on the same server: P5 and P8.

    scripts/bench --relay                        the file
    scripts/bench --relay --database CONNINFO    a PostgreSQL
    scripts/bench --relay --workers N --threads N --tickets N --seconds N

Real processes over real sockets on one machine, so the client takes its share of the processors:
it sends requests that were made before, and both servers are measured in turns with the same one.
"""

import argparse
import json
import os
import selectors
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
sys.path.insert(0, str(ROOT / "tests" / "pds" / "relay"))

from relay_world import World, http_send  # noqa: E402

from did.json import JsonObject, canonicalize  # noqa: E402
from did.time import utc_now  # noqa: E402

CONNECTIONS = 32
ROUNDS = 5

_HELLO = """
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
    head, found, body = taken.partition(b"\r\n\r\n")
    if not found:
        return None
    at = head.lower().find(b"content-length:")
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


def start_relay(data: Path, *, workers: int, threads: int, database: str | None) -> Server:
    port = _free_port()
    command = "import sys; from pds.cli.main import main; sys.argv[0] = 'pds'; main()"
    arguments = [
        "-c", command, "--json", "relay", "serve", "--data", str(data),
        "--url", f"http://127.0.0.1:{port}", "--workers", str(workers), "--threads", str(threads),
    ]  # fmt: skip
    if database is not None:
        arguments += ["--database", database]
    return Server(arguments)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def tickets(world: World, count: int, **terms: object) -> Iterator[JsonObject]:
    """Staged packages of 4 KiB, and their tickets; a new mailbox for every thousand."""
    while count > 0:
        world = World(send=world.send, clock=world.clock, url=world.url)
        world.create()
        world.put_status()
        for _ in range(min(count, 1000)):
            from pds.wire import new_id

            package = new_id()
            ticket = world.ticket(package, **terms)
            body = world.staging(package, ticket=ticket, sealed=os.urandom(2900))
            reply = world.call("PUT", f"/v1/packages/{package}", body)
            assert reply.status == 200, reply.body
            yield {"ticket": ticket, "world": world}  # type: ignore[dict-item]
        count -= 1000


def redemption(world: World, ticket: JsonObject, challenge: str) -> bytes:
    body = canonicalize({"presentation": world.presentation(ticket, challenge=challenge)})
    return post("/v1/redemptions", body, world.url)


def post(path: str, body: bytes, url: str) -> bytes:
    host = url.partition("://")[2]
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def run(options: argparse.Namespace) -> None:
    folder = Path(tempfile.mkdtemp(prefix="pds-bench-relay-", dir=options.folder))
    relay = start_relay(
        folder / "relay", workers=options.workers, threads=options.threads,
        database=options.database,
    )  # fmt: skip
    hello = Server(["-c", _HELLO, str(options.threads), str(options.workers)])
    try:
        url = f"http://127.0.0.1:{relay.port}"
        world = World(send=http_send(relay.port), clock=utc_now, url=url)
        staged = list(tickets(world, options.tickets, max_uses=1_000_000))
        get = f"GET /hello HTTP/1.1\r\nHost: 127.0.0.1:{hello.port}\r\n\r\n".encode()
        lines: dict[str, list[tuple[Outcome, Outcome, float]]] = {"fresh": [], "again": []}
        share = len(staged) // ROUNDS
        drive(hello.port, [get] * 500)
        for number in range(ROUNDS):
            mine = staged[number * share : (number + 1) * share]
            for found in lines.values():
                requests = [
                    redemption(each["world"], each["ticket"], world.challenge())  # type: ignore[arg-type]
                    for each in mine
                ]
                before = relay.cpu_seconds()
                ours = drive(relay.port, requests)
                spent = (relay.cpu_seconds() - before) / len(requests)
                found.append((ours, drive(hello.port, [get] * 3 * len(requests)), spent))
        for name, found in lines.items():
            ratio = statistics.median(ours.rate / flask.rate for ours, flask, _ in found)
            print(
                f"{name:6} {statistics.median(o.rate for o, _, _ in found):7.0f}/s"
                f"  p50 {statistics.median(o.percentile(0.5) for o, _, _ in found):6.1f} ms"
                f"  p99 {statistics.median(o.percentile(0.99) for o, _, _ in found):6.1f} ms"
                f"  cpu {1e6 * statistics.median(c for _, _, c in found):5.0f} us"
                f"  hello {statistics.median(h.rate for _, h, _ in found):6.0f}/s"
                f"  ratio {ratio:.3f}  {found[0][0].statuses}"
            )
        print(f"start {relay.start_seconds:.2f} s, memory {relay.memory_mib()} MiB")
    finally:
        relay.stop()
        hello.stop()
        shutil.rmtree(folder, ignore_errors=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--relay", action="store_true")
    parser.add_argument("--database")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--tickets", type=int, default=2000)
    parser.add_argument("--folder", type=Path)
    run(parser.parse_args())


if __name__ == "__main__":
    main()
