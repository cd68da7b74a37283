"""Community Solid Server beside a relay: reading 4 KiB that lie in memory, with access control and
without. It is the nearest to a relay that many run: personal data behind HTTP."""

import argparse
import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench_load import drive, free_port
from bench_relay import ROUNDS, Line, redeem_all, relay_with

_FOLDER = Path(__file__).resolve().parent / "css-node"
_MODULE = _FOLDER / "node_modules" / "@solid" / "community-server"
_WEBACL = "css:config/ldp/authorization/webacl.json"
_ALLOW_ALL = "css:config/ldp/authorization/allow-all.json"


class CssServer:
    """One server, which keeps everything in memory."""

    def __init__(self, *, controlled: bool) -> None:
        self.port = free_port()
        config = (_MODULE / "config" / "default.json").read_text()
        if not controlled:
            config = config.replace(_WEBACL, _ALLOW_ALL)
        with tempfile.NamedTemporaryFile("w", suffix=".json", delete=False) as file:
            file.write(config)
        self._config = Path(file.name)
        began = time.perf_counter()
        self.process = subprocess.Popen(
            [
                "node", str(_MODULE / "bin" / "server.js"), "-c", file.name, "-l", "error",
                "-p", str(self.port), "-b", f"http://127.0.0.1:{self.port}/",
            ],
            cwd=_FOLDER, stdout=sys.stderr,
        )  # fmt: skip
        while self._call("GET", "/") is None:
            if self.process.poll() is not None:
                raise SystemExit("Community Solid Server did not start")
            time.sleep(0.05)
        self.start_seconds = time.perf_counter() - began
        status = self._call("PUT", "/four.bin", os.urandom(4096))
        if status not in (201, 205):
            raise SystemExit(f"Community Solid Server did not take a file: {status}")

    def _call(self, method: str, path: str, body: bytes | None = None) -> int | None:
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            conn.request(method, path, body, {"Content-Type": "application/octet-stream"})
            return conn.getresponse().status
        except OSError:
            return None
        finally:
            conn.close()

    def get_all(self, count: int) -> float:
        """The rate of so many GETs, 32 at a time."""
        request = f"GET /four.bin HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode()
        outcome = drive(self.port, [request] * count)
        if outcome.statuses != {200: count}:
            raise SystemExit(f"not all were answered: {outcome.statuses}")
        return outcome.rate

    def memory_mib(self) -> float:
        for line in Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) / 1024
        raise LookupError

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        self._config.unlink()


def beside_css(options: argparse.Namespace) -> Iterator[Line]:
    """The peer's half of P5 and P9."""
    if not _MODULE.exists():
        raise SystemExit("Community Solid Server is not there: npm ci in scripts/css-node")
    version = json.loads((_MODULE / "package.json").read_text())["version"]
    servers = {"controlled": CssServer(controlled=True), "open": CssServer(controlled=False)}
    ratios: dict[str, list[float]] = {name: [] for name in servers}
    rates: dict[str, list[float]] = {name: [] for name in servers}
    try:
        with relay_with(options, options.tickets) as (relay, staged):
            share = len(staged) // ROUNDS
            for server in servers.values():
                server.get_all(100)
            for number in range(ROUNDS):
                for name, server in servers.items():
                    ours, _ = redeem_all(relay, staged[number * share : (number + 1) * share])
                    theirs = server.get_all(100)
                    ratios[name].append(ours.rate / theirs)
                    rates[name].append(theirs)
            start = [servers["controlled"].start_seconds / relay.start_seconds]
            memory = [servers["controlled"].memory_mib() / each for each in relay.memory_mib()]
    finally:
        for server in servers.values():
            server.stop()
    for name, goal, words in (("controlled", 30, "with"), ("open", 10, "without")):
        yield Line(
            f"relay.peer.{name}",
            f"redeem, durable, in GETs of 4 KiB from Community Solid Server {version} in memory, "
            f"{words} access control ({statistics.median(rates[name]):.0f}/s)",
            goal,
            ratios[name],
            least=True,
        )
    yield Line(
        "relay.peer.start",
        f"its start ({servers['controlled'].start_seconds:.1f} s) in those of a relay",
        20,
        start,
        least=True,
    )
    yield Line("relay.peer.memory", "its memory in that of a worker", 2, memory, least=True)
