"""Several workers behind one port: started, renewed, replaced, and gone with their parent."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PATIENCE = 30

_PROGRAM = """
import json, logging, os, sys, time
from pathlib import Path
from pds.serve import ServeError, ServeSettings, Service, supervise

folder = Path(sys.argv[1])
logging.basicConfig(level=logging.INFO)

def make():
    words = (folder / "words").read_text()
    if words == "fail":
        raise ServeError("It does not want to.", code="serve.settings", hint="Ask nicely.")
    if words.startswith("hold"):
        (folder / "loading").touch()
        while not (folder / "go").exists():
            time.sleep(0.002)
    if words == "hold and fail":
        raise ServeError("It does not want to.", code="serve.settings")
    if words == "die":
        os._exit(9)
    def app(environ, start_response):
        if environ["PATH_INFO"] == "/slow":
            (folder / "slow").touch()
            while not (folder / "go").exists():
                time.sleep(0.002)
        body = json.dumps([os.getpid(), words]).encode()
        start_response("200 OK", [("Content-Type", "application/json")])
        return [body]
    return app

try:
    supervise(
        [Service(lambda: (make, ServeSettings(port=0, grace=5)), int(sys.argv[2]))],
        on_ready=lambda port: print(port, flush=True),
        lock_dir=folder,
    )
except ServeError as error:
    print(json.dumps([error.code, str(error), error.hint]), flush=True)
    sys.exit(error.exit_code)
print("stopped", flush=True)
"""


@dataclass
class Parent:
    process: "subprocess.Popen[str]"
    folder: Path
    line: str
    """What it said first."""

    @property
    def port(self) -> int:
        return int(self.line)

    def ask(self, path: str = "/") -> tuple[int, str]:
        """Which worker answered, and with which words."""
        conn = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            conn.request("GET", path)
            pid, words = json.loads(conn.getresponse().read())
        finally:
            conn.close()
        return int(pid), str(words)

    def workers(self) -> set[int]:
        pid = self.process.pid
        return {int(x) for x in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()}

    def until(self, holds: Callable[[], bool]) -> None:
        """Ask on until it holds; the test's own time limit ends what never comes."""
        while not _holds(holds):
            assert self.process.poll() is None, (self.folder / "log").read_text()

    def stop(self) -> str:
        self.process.terminate()
        out, _ = self.process.communicate(timeout=PATIENCE)
        return out


def _holds(holds: Callable[[], bool]) -> bool:
    try:
        return holds()
    except (ConnectionError, http.client.HTTPException):
        # A worker that ends may drop a connection that it has taken and not begun to read.
        return False


Start = Callable[[str, int], Parent]


@pytest.fixture
def begin(tmp_path: Path) -> Iterator[Start]:
    """Starts a parent, and waits for nothing."""
    begun: list[subprocess.Popen[str]] = []

    def start(words: str, workers: int) -> Parent:
        (tmp_path / "words").write_text(words)
        with (tmp_path / "log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, str(tmp_path), str(workers)],
                stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        begun.append(process)
        return Parent(process, tmp_path, "")

    yield start
    for process in begun:
        if process.poll() is None:
            process.kill()
        process.communicate(timeout=PATIENCE)


@pytest.fixture
def start(begin: Start) -> Start:
    """Starts a parent, and waits for its first line."""

    def started(words: str, workers: int) -> Parent:
        parent = begin(words, workers)
        assert parent.process.stdout is not None
        parent.line = parent.process.stdout.readline().strip()
        return parent

    return started


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_port_is_told_when_all_are_ready(start: Start) -> None:
    """Every worker is there and takes connections; SIGTERM ends all of it with status 0."""
    parent = start("one", 3)
    workers = parent.workers()
    assert len(workers) == 3
    assert parent.ask()[0] in workers
    assert parent.stop() == "stopped\n"
    assert parent.process.returncode == 0
    assert not any(map(_alive, workers))


def test_a_worker_that_dies_is_replaced(start: Start) -> None:
    """The others go on meanwhile, on the same port."""
    parent = start("one", 2)
    first = parent.workers()
    victim = first.pop()
    os.kill(victim, signal.SIGKILL)
    parent.until(lambda: len(parent.workers() - {victim}) == 2)
    parent.until(lambda: parent.ask()[0] not in {victim})
    assert first < parent.workers()
    assert "(signal 9); another one takes its place" in (parent.folder / "log").read_text()


def test_a_reload_loads_everything_anew(start: Start) -> None:
    """New workers with new settings take over, and the port stays open meanwhile."""
    parent = start("one", 2)
    old = parent.workers()
    (parent.folder / "words").write_text("two")
    parent.process.send_signal(signal.SIGHUP)
    parent.until(lambda: parent.ask()[1] == "two")
    parent.until(lambda: not parent.workers() & old)
    assert len(parent.workers()) == 2
    assert parent.stop() == "stopped\n"


def test_a_reload_lets_what_runs_finish(start: Start) -> None:
    """A request that an old worker has begun is answered by it."""
    parent = start("one", 1)
    conn = http.client.HTTPConnection("127.0.0.1", parent.port, timeout=PATIENCE)
    with contextlib.closing(conn):
        conn.request("GET", "/slow")
        parent.until((parent.folder / "slow").exists)
        (parent.folder / "words").write_text("two")
        parent.process.send_signal(signal.SIGHUP)
        parent.until(lambda: parent.ask()[1] == "two")
        (parent.folder / "go").touch()
        assert json.loads(conn.getresponse().read())[1] == "one"


@pytest.mark.parametrize("words", ["fail", "die"])
def test_a_reload_that_fails_changes_nothing(start: Start, words: str) -> None:
    """The old workers go on, the log says why, and the next reload may succeed."""
    parent = start("one", 2)
    old = parent.workers()
    (parent.folder / "words").write_text(words)
    parent.process.send_signal(signal.SIGHUP)
    parent.until(lambda: "the reload failed" in (parent.folder / "log").read_text())
    parent.until(lambda: parent.workers() == old)
    assert parent.ask()[1] == "one"
    (parent.folder / "words").write_text("three")
    parent.process.send_signal(signal.SIGHUP)
    parent.until(lambda: parent.ask()[1] == "three")


@pytest.mark.parametrize("words", ["hold", "hold and fail"])
def test_a_reload_asked_for_during_one_follows_it(start: Start, words: str) -> None:
    """However the first one ends: what was changed after it had begun to load is not lost, and it
    is one more, however often it was asked for."""
    parent = start("one", 2)
    (parent.folder / "words").write_text(words)
    parent.process.send_signal(signal.SIGHUP)
    parent.until((parent.folder / "loading").exists)
    (parent.folder / "words").write_text("two")

    def told(what: str) -> int:
        return (parent.folder / "log").read_text().count(what)

    for count in (1, 2):
        parent.process.send_signal(signal.SIGHUP)
        parent.until(lambda count=count: told("another reload is asked for") == count)
    (parent.folder / "go").touch()
    parent.until(lambda: parent.ask()[1] == "two")
    parent.until(lambda: told("reloading") == told("reloaded") + told("the reload failed"))
    assert told("reloading") == 2
    assert parent.stop() == "stopped\n"


def test_a_reload_asked_for_during_the_start_follows_it(begin: Start, tmp_path: Path) -> None:
    """The first workers may have loaded what was changed since."""
    parent = begin("hold", 1)
    process = parent.process
    assert process.stdout is not None
    parent.until((tmp_path / "loading").exists)
    (tmp_path / "words").write_text("two")
    process.send_signal(signal.SIGHUP)
    (tmp_path / "go").touch()
    parent.line = process.stdout.readline().strip()
    parent.until(lambda: parent.ask()[1] == "two")
    assert parent.stop() == "stopped\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ("fail", ["serve.settings", "It does not want to.", "Ask nicely."]),
        ("die", ["serve.failed", "A worker ended before it was ready.", ""]),
    ],
)
def test_who_cannot_start_says_why(start: Start, words: str, told: list[str]) -> None:
    """The worker's own reason is the parent's, and no process is left."""
    parent = start(words, 2)
    assert json.loads(parent.line) == told
    assert parent.process.wait(PATIENCE) == 1
    assert parent.stop() == ""


def test_workers_end_with_their_parent(start: Start) -> None:
    """After kill -9 the port and the folder are free again by themselves."""
    parent = start("one", 2)
    workers = parent.workers()
    parent.process.kill()
    parent.process.wait(PATIENCE)
    while any(map(_alive, workers)):
        continue
    again = start("two", 1)
    assert again.ask()[1] == "two"
    assert again.stop() == "stopped\n"


def test_one_set_of_workers_serves_a_folder(start: Start) -> None:
    """A second parent is refused while the first one is there."""
    first = start("one", 1)
    second = start("one", 1)
    assert second.process.wait(PATIENCE) == 1
    assert first.ask()[1] == "one"
