"""A real PostgreSQL for the tests: a cluster of its own, in a folder of its own, on a socket only.

The server refuses to run as root; then it runs as the user ``postgres``.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

_SYSTEM_USER = "postgres"


class Missing(Exception):
    """There is no PostgreSQL on this machine; the message says what to install."""


def _programs() -> Path:
    """The folder that has ``postgres`` and ``initdb``: the newest where there are several."""
    on_path = shutil.which("postgres")
    if on_path is not None:
        return Path(on_path).resolve().parent
    found = [
        path.parent
        for path in Path("/usr/lib/postgresql").glob("*/bin/postgres")
        if (path.parent / "initdb").exists()
    ]
    if not found:
        raise Missing("PostgreSQL is needed. On Debian: apt-get install postgresql")
    return max(found, key=lambda folder: int(folder.parent.name.partition(".")[0]))


class Cluster:
    """One server. ``durable`` has it write through to the disk, as in earnest. ``data`` is a new
    folder for what it keeps, which its user must be able to reach; its write-ahead log is then in
    small pieces with none in reserve, so that a full disk stops it soon."""

    def __init__(self, *, durable: bool = False, data: Path | None = None) -> None:
        self._programs = _programs()
        # Not pytest's folder: that is closed to other users, and too long for a socket's address.
        self.folder = Path(tempfile.mkdtemp(prefix="pds-pg-", dir="/tmp"))
        self._log = self.folder / "log"
        self._data = data or self.folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        if os.getuid() == 0:
            shutil.chown(self.folder, _SYSTEM_USER)
        self._data.mkdir(mode=0o700)
        if os.getuid() == 0:
            shutil.chown(self._data, _SYSTEM_USER)
        small = [] if data is None else ["--wal-segsize=1"]
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", _SYSTEM_USER, "-E", "UTF8",
                  "--locale=C", "--no-sync", *small)  # fmt: skip
        self._options = [] if durable else ["-c", "fsync=off"]
        if small:
            for word in ("min_wal_size=2MB", "max_wal_size=8MB", "wal_recycle=off"):
                self._options += ["-c", word]
        self.start()

    def conninfo(self, **more: str) -> str:
        """How to reach it; ``more`` are further words of libpq."""
        words = {"host": str(self.folder), "user": _SYSTEM_USER, "dbname": "postgres"} | more
        return " ".join(f"{key}='{value}'" for key, value in words.items())

    def start(self) -> None:
        """Start, and wait until it lets somebody in."""
        arguments = [
            *self._as_user(), str(self._programs / "postgres"), "-D", str(self._data),
            "-k", str(self.folder), "-c", "listen_addresses=", "-c", "max_connections=100",
            *self._options,
        ]  # fmt: skip
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(arguments, stdout=log, stderr=log, cwd="/")
        while not self.is_open():
            if not self.is_running():
                raise Missing("PostgreSQL did not start: " + self._log.read_text())

    def is_open(self) -> bool:
        """Whether it lets somebody in."""
        try:
            psycopg.connect(self.conninfo(), connect_timeout=10).close()
        except psycopg.OperationalError:
            return False
        return True

    def is_running(self) -> bool:
        """Whether the server's parent process is there; it may be recovering, or ending."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End it at once and without a word, as a machine that loses its power does."""
        pid = int((self._data / "postmaster.pid").read_text().split()[0])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in [pid, *map(int, children)]:
            try:
                os.kill(each, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self._wait()

    def stop(self) -> None:
        """End it in good order, whoever is connected."""
        if self.is_running():
            pid = int((self._data / "postmaster.pid").read_text().split()[0])
            os.kill(pid, signal.SIGINT)
        self._wait()

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @contextmanager
    def schema(self) -> Iterator[str]:
        """An empty place for one test: the conninfo of a schema that goes when the test is over."""
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(self.conninfo(), autocommit=True) as conn:
            conn.execute(f"CREATE SCHEMA {name}")
            yield self.conninfo(options=f"-c search_path={name}")
            conn.execute(f"DROP SCHEMA {name} CASCADE")

    def _wait(self) -> None:
        if self._process is not None:
            self._process.wait(60)

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [*self._as_user(), str(self._programs / program), *arguments],
            capture_output=True, text=True, cwd="/", check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise Missing(f"{program} failed: {done.stderr}")

    def _as_user(self) -> list[str]:
        return ["runuser", "-u", _SYSTEM_USER, "--"] if os.getuid() == 0 else []
