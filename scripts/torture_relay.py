"""kill -9 of a relay under load, on either engine, again and again.

    for each loop:  people call the relay from many threads; after some of the answers a worker,
                    the parent, everything or the database server is killed, the disk is full, or
                    the clock jumps; when the relay is there again, it is held against what it had
                    acknowledged.

This process has everything loaded; the relay is a fork of it (a parent with workers behind one
port, as in earnest), so a new one is there at once. It is forked when no thread runs here.
Nothing is started anew but what was killed: workers come back by themselves.
"""

import mmap
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
for folder in (ROOT, ROOT / "tests", ROOT / "tests" / "pds" / "relay"):
    sys.path.insert(0, str(folder))

from postgres import Cluster, Missing  # noqa: E402
from relay_world import World, http_send  # noqa: E402
from torture_relay_people import GONE, Lost, People, fail  # noqa: E402

from did.time import utc_now  # noqa: E402
from pds.relay.app import create_app  # noqa: E402
from pds.relay.limits import Limits  # noqa: E402
from pds.serve import ServeError, ServeSettings, Service, WsgiApp, supervise  # noqa: E402

WORKERS = 2
AUDIT_EVERY = 100
_ROOM = 4 * 2**30
MOST_MEMORY = 400 * 1_048_576
KINDS = ("worker", "worker", "parent", "all", "all", "clock", "nothing")
# What a relay never says. (That a worker cannot start is said where there is no database or room.)
_BROKEN = re.compile(
    r".*(?:application|server) error.*|.*ended \((?:signal (?!9\))|status 0).*"
    r"|.*worker failed: (?!DbBusy|DbError).*"
)
_LIMITS = Limits(
    registrations_per_hour=10**6, deposits_per_hour=10**6, calls_per_hour=10**6,
    packages_per_mailbox=10**6, capabilities_per_mailbox=10**6, mailbox=2**40,
)  # fmt: skip


@dataclass
class Report:
    """What came out of the loops."""

    loops: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    acknowledged: Counter[str] = field(default_factory=Counter)
    restarts: int = 0
    """Of the database server: what ended it was this torture, or a full disk."""
    in_doubt: int = 0
    hung_up: int = 0
    checkpoints: int = 0
    most_memory: int = 0
    losses: list[str] = field(default_factory=list)
    interrupted: bool = False


class Clock:
    """The time of this machine, put forth or back for all processes at once.

    Back by no more than a relay remembers what was used: further back it would refuse, and go on
    refusing, what ends before that.
    """

    def __init__(self) -> None:
        self._shared = mmap.mmap(-1, 8)
        self._furthest = 0

    def jump(self, random: Random) -> None:
        seconds = self._furthest + random.choice([random.randint(-100, 0), random.randint(1, 900)])
        self._furthest = max(self._furthest, seconds)
        self._shared[:8] = struct.pack("q", seconds)

    def __call__(self) -> datetime:
        seconds = struct.unpack("q", self._shared[:8])[0]
        return utc_now() + timedelta(seconds=seconds)


class Process:
    """The relay: a parent and its workers."""

    def __init__(self, data: Path, *, port: int, clock: Clock, database: str | None) -> None:
        self._data, self._clock, self._database = data, clock, database
        self.port = port
        self.parent: int | None = None
        self._heard = 0

    def start(self, *, seconds: float = 30) -> None:
        """Start, and wait until it listens. What still holds port or folder gets its time to go:
        whoever watches over a relay starts it again, too."""
        until = time.monotonic() + seconds
        while not self._started():
            if time.monotonic() > until:
                fail("the relay does not start again; see " + str(self._data / "said"))
            time.sleep(0.02)

    def _started(self) -> bool:
        reading, writing = os.pipe()
        self.parent = os.fork()
        if self.parent == 0:
            os.close(reading)
            self._serve(writing)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            if pipe.read(1):
                return True
        os.waitpid(self.parent, 0)
        self.parent = None
        return False

    def _serve(self, ready: int) -> NoReturn:
        status = 1
        try:
            os.setsid()
            said = os.open(self._data / "said", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(said, 2)

            def make() -> WsgiApp:
                app: WsgiApp = create_app(
                    self._data, url=f"http://127.0.0.1:{self.port}", clock=self._clock,
                    database=self._database, limits=_LIMITS,
                )  # fmt: skip
                return app

            def load() -> tuple[Callable[[], WsgiApp], ServeSettings]:
                # Short deadlines: a slow client is to meet them within a loop.
                return make, ServeSettings(
                    port=self.port, pass_address=True, body_deadline=1, header_deadline=1, grace=1
                )

            def say(_: int) -> None:
                os.write(ready, b"+")
                os.close(ready)

            supervise([Service(load, WORKERS)], on_ready=say, lock_dir=self._data)
            status = 0
        except ServeError as error:
            print(f"{error.code}: {error}", file=sys.stderr, flush=True)
        finally:
            os._exit(status)

    def workers(self) -> list[int]:
        parent = self.parent
        try:
            return [
                int(one)
                for one in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
            ]
        except FileNotFoundError:
            return []

    def memory(self) -> int:
        """The most that a worker has taken, in bytes."""
        most = 0
        for worker in self.workers():
            with suppress(FileNotFoundError, StopIteration):
                lines = Path(f"/proc/{worker}/status").read_text().splitlines()
                line = next(line for line in lines if line.startswith("VmHWM"))
                most = max(most, int(line.split()[1]) * 1024)
        return most

    def said(self) -> str:
        """What it said last, on standard error."""
        return self._words()[-3000:]

    def broken(self) -> str | None:
        """What it said since the last time that a relay never says: an error of its own, or a
        worker that a signal ended which was not sent from here."""
        words = self._words()
        new, self._heard = words[self._heard :], len(words)
        found = _BROKEN.search(new)
        return None if found is None else found[0]

    def _words(self) -> str:
        said = self._data / "said"
        # One character for each byte, so that what was heard of it can be counted.
        return said.read_bytes().decode("ascii", "replace") if said.exists() else ""

    def kill(self, *victims: int) -> None:
        for victim in victims:
            with suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        if self.parent in victims:
            os.waitpid(self.parent, 0)
            self.parent = None

    def end(self) -> None:
        if self.parent is not None:
            self.kill(self.parent, *self.workers())


class Disk:
    """A file system in memory, from which the room can be taken, and given back."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()
        self.mounted = self._mount("-t", "tmpfs", "-o", f"size={_ROOM},mode=0755", "none")

    def fill(self, *, leave: int) -> None:
        """Leave so many bytes at the most; less when the relay takes some at the same time."""
        while True:
            now = os.statvfs(self.place)
            used = (now.f_blocks - now.f_bfree) * now.f_frsize
            if self._mount("-o", f"remount,size={used + leave}"):
                return

    def clear(self) -> None:
        self._mount("-o", f"remount,size={_ROOM}")

    def unmount(self) -> None:
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.place)], check=True)

    def _mount(self, *arguments: str) -> bool:
        command = ["mount", *arguments, str(self.place)]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0


class Torture:
    """Loops on one relay."""

    def __init__(self, work: Path, *, engine: str, seed: int, port: int) -> None:
        self._random = Random(f"{engine} {seed}")
        self._disk = Disk(work / "disk")
        self._cluster = self._database(work) if engine == "postgresql" else None
        self._clock = Clock()
        data = work / "disk" / "relay"
        data.mkdir(mode=0o700)
        database = None if self._cluster is None else self._cluster.conninfo()
        self._relay = Process(data, port=port, clock=self._clock, database=database)
        self._kinds = [*KINDS]
        if self._cluster is not None:
            self._kinds += ["database", "database stopped"]
        if self._disk.mounted:
            self._kinds += ["full disk"]
        self.report = Report()

    @staticmethod
    def _database(work: Path) -> Cluster:
        """A server that keeps its data on the disk that gets full; root's folders it must be let
        through to."""
        if os.getuid() == 0:
            for folder in (work, work.parent):
                folder.chmod(0o711)
        return Cluster(durable=True, data=work / "disk" / "postgresql")

    def run(self, loops: range) -> Report:
        """Torture until the first loss, or until somebody interrupts it."""
        report = self.report
        at = ""
        people: People | None = None
        try:
            self._relay.start()
            world = World(
                send=http_send(self._relay.port, timeout=15), clock=self._clock,
                url=f"http://127.0.0.1:{self._relay.port}",
            )  # fmt: skip
            people = People(world, self._random, self._relay.port)
            report.acknowledged = people.acknowledged
            for loop in loops:
                kind = self._random.choice(self._kinds)
                at = f"loop {loop} ({kind}): "
                self._loop(people, kind)
                report.loops += 1
                report.kills[kind] += 1
                if report.loops % AUDIT_EVERY == 0 or loop == loops[-1]:
                    people.log.audit()
                report.in_doubt, report.checkpoints = people.in_doubt, len(people.log.notes)
                report.hung_up = people.hung_up
        except (Lost, *GONE) as error:
            report.losses.append(f"{at}{error!r}\n{self._relay.said()}")
        except KeyboardInterrupt:
            report.interrupted = True
            found = [self._relay.broken(), *(people.strange if people else [])]
            report.losses += [f"{at}{one}" for one in found if one is not None]
        finally:
            self._relay.end()
            if self._cluster is not None:
                self._cluster.close()
            self._disk.unmount()
        return report

    def _loop(self, people: People, kind: str) -> None:
        people.prepare()
        after, more = self._random.randint(1, 60), self._random.randint(10, 40)
        if kind in ("parent", "all"):
            more = 0
        people.work(lambda: self._disturb(people, kind), after=after, more=more)
        self._mend(kind)
        people.get("/readyz")
        people.check()
        if (broken := self._relay.broken()) is not None:
            fail(f"the relay said: {broken}")
        memory = self._relay.memory()
        self.report.most_memory = max(self.report.most_memory, memory)
        if memory > MOST_MEMORY:
            fail(f"a worker has taken {memory >> 20} MiB")

    def _disturb(self, people: People, kind: str) -> None:
        relay = self._relay
        workers = relay.workers()
        match kind:
            case "worker":
                relay.kill(self._random.choice(workers))
            case "parent":
                relay.kill(relay.parent or 0)
            case "all":
                everything = [relay.parent or 0, *workers]
                self._random.shuffle(everything)
                relay.kill(*everything)
            case "clock":
                people.jumped = True
                self._clock.jump(self._random)
            case "full disk":
                room = [0, 8192, 65_536, 262_144]
                if self._cluster is not None:
                    room += [1_048_576, 1_572_864, 2_097_152]
                self._disk.fill(leave=self._random.choice(room))
            case "database" if self._cluster is not None:
                self._cluster.kill()
                self._start_database(self._cluster)
            case "database stopped" if self._cluster is not None:
                self._cluster.stop()
                self._start_database(self._cluster)

    def _start_database(self, cluster: Cluster) -> None:
        """Start it until it lets somebody in, as whoever watches over it does: what was killed may
        still hold its memory, and a server that finds no room to recover in gives up a moment
        later."""
        until = time.monotonic() + 30
        while True:
            with suppress(Missing):
                if cluster.is_open():
                    return
                if not cluster.is_running():
                    self.report.restarts += 1
                    cluster.start()
            if time.monotonic() > until:
                fail("the database server does not start again")
            time.sleep(0.02)

    def _mend(self, kind: str) -> None:
        if kind in ("parent", "all"):
            self._relay.start()
        if kind == "full disk":
            self._disk.clear()
            if self._cluster is not None:
                self._start_database(self._cluster)


def torture(work: Path, *, engine: str, seed: int, loops: range, port: int) -> Report:
    """So many loops on one engine, ``sqlite`` or ``postgresql``, in a folder of their own."""
    place = work / engine
    place.mkdir()
    # Whoever ends this process by a signal leaves no relay and no database behind.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return Torture(place, engine=engine, seed=seed, port=port).run(loops)
    finally:
        shutil.rmtree(place, ignore_errors=True)
