"""A relay in operation: settings, reloads, counters, logs, stops, backups, units, the guide."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import psycopg
import pytest
from leaving_out import left_out

from did.keys import SigningKey
from did.time import utc_now
from pds.cli.relay_serve import serve
from pds.company.tls import make_development_tls
from pds.db import open_plain
from pds.relay.limits import Limits
from pds.relay.move import back_up, move
from pds.relay.store.schema import MIGRATIONS

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "tests" / "pds" / "relay"))
from relay_world import World, http_send  # noqa: E402

GUIDE = (ROOT / "docs" / "operator.md").read_text(encoding="utf-8")
PASSWORD = "postgresql://me:hunter2@db.example/relay"


def options(*arguments: str) -> dict[str, Any]:
    """What the command understood, from its arguments, the environment and a file."""
    with serve.make_context("serve", list(arguments), auto_envvar_prefix="PDS_RELAY") as ctx:
        return dict(ctx.params)


def config(folder: Path, text: str) -> Path:
    path = folder / "relay.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


@dataclass
class Running:
    """A relay as a process of its own."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def world(self) -> World:
        return World(send=http_send(self.port), clock=utc_now, url=self.url)

    def reload(self, word: str) -> None:
        """SIGHUP, and wait until the log says how it ended."""
        before = self.log.read_text().count(word)
        self.process.send_signal(signal.SIGHUP)
        while self.log.read_text().count(word) == before:
            assert self.process.poll() is None, self.log.read_text()
            os.sched_yield()

    def registration(self) -> str:
        return str(json.loads(fetch(f"{self.url}/v1/relay"))["registration"])

    def until(self, holds: Callable[[], bool]) -> None:
        """Ask until it holds: a worker that leaves may still answer after the new ones took over,
        or drop what it has not begun to read."""
        for _ in range(10_000):
            try:
                if holds():
                    return
            except (OSError, http.client.HTTPException):
                continue
        pytest.fail(self.log.read_text())

    def stop(self) -> str:
        """Stop in good order; all that it said."""
        self.process.terminate()
        assert self.process.wait(30) == 0
        return self.log.read_text()


@pytest.fixture
def run(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[Callable[..., Running]]:
    """Starts a relay in a folder and waits until it listens."""
    with ExitStack() as stack:

        def begin(data: Path, *arguments: str, port: int | None = None) -> Running:
            port = port or free_port()
            log = tmp_path / f"stderr-{port}-{len(list(tmp_path.iterdir()))}"
            url = () if "--url" in arguments else ("--url", f"http://127.0.0.1:{port}")
            with log.open("wb") as err:
                process = subprocess.Popen(
                    [sys.executable, "-m", "pds.cli.main", "--json", "relay", "serve",
                     "--data", str(data), "--port", str(port), *url, *arguments],
                    stdout=subprocess.PIPE, stderr=err, cwd=ROOT,
                )  # fmt: skip
            assert process.stdout is not None
            stack.callback(process.stdout.close)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            assert process.stdout.readline(), log.read_text()
            return Running(process, port, log)

        yield begin


def fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=20) as answer:
        return str(answer.read().decode())


# settings


def test_the_command_line_goes_before_the_environment_before_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of the three says what the ones before it leave open."""
    path = config(tmp_path, 'url = "http://127.0.0.1:1"\nthreads = 2\nworkers = 2\nport = 2\n')
    monkeypatch.setenv("PDS_RELAY_THREADS", "3")
    monkeypatch.setenv("PDS_RELAY_WORKERS", "3")
    said = options("--config", str(path), "--data", str(tmp_path), "--workers", "4")
    assert (said["port"], said["threads"], said["workers"]) == (2, 3, 4)
    assert said["calls_per_hour"] == 6000


def test_a_name_that_is_no_setting_is_refused(tmp_path: Path) -> None:
    """A slip of the pen must not leave a limit where it was."""
    path = config(tmp_path, "thread = 2\n")
    with pytest.raises(click.UsageError, match="what no setting is: thread"):
        options("--config", str(path))


def test_every_setting_has_a_variable_of_its_own_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that the guide names, a list among them; and one that no setting has is refused."""
    monkeypatch.setenv("PDS_RELAY_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("PDS_RELAY_DATA", str(tmp_path))
    monkeypatch.setenv("PDS_RELAY_WITNESS", "https://w1.example=A https://w2.example=B")
    monkeypatch.setenv("PDS_RELAY_ACCESS_LOG", "1")
    said = options()
    assert (said["url"], said["data"]) == ("http://127.0.0.1:1", tmp_path)
    assert said["witnesses"] == ("https://w1.example=A", "https://w2.example=B")
    assert said["access_log"] is True
    monkeypatch.setenv("PDS_RELAY_THREAD", "2")
    with pytest.raises(click.UsageError, match="what no setting is: PDS_RELAY_THREAD"):
        options()


@pytest.mark.parametrize("by", ["file", "environment", "command"])
def test_what_works_on_a_relays_data_takes_the_relays_settings(
    by: str,
    run: Callable[..., Running],
    pds: Callable[..., Any],
    postgres: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Folder and database are said once, for serve, backup, migrate and restored alike."""
    data = tmp_path / "data"
    relay = run(data)
    relay.world().ready()
    relay.stop()
    with postgres.schema() as database:
        said: tuple[str, ...] = ()
        if by == "file":
            lines = f'url = "{relay.url}"\ndata = "{data}"\nworkers = 2\ndatabase = "{database}"\n'
            said = ("--config", str(config(tmp_path, lines)))
        elif by == "environment":
            monkeypatch.setenv("PDS_RELAY_DATA", str(data))
            monkeypatch.setenv("PDS_RELAY_DATABASE", database)
        else:
            said = ("--data", str(data), "--database", database)
        there = pds("--json", "relay", "migrate", *said, "--to", "--yes")
        assert there.json["rows"]["packages"] == 1
        copy = tmp_path / "copy"
        assert pds("--json", "relay", "backup", *said, str(copy)).json["rows"]["packages"] == 1
        assert pds("relay", "restored", *said, "--yes").code == 0
        # It was the database that was marked, not the file that it has left.
        with psycopg.connect(database) as conn:
            assert conn.execute("SELECT suspended FROM packages").fetchall() == [(1,)]


def test_a_database_that_was_left_is_neither_copied_nor_marked(
    pds: Callable[..., Any], run: Callable[..., Running], postgres: Any, tmp_path: Path
) -> None:
    """A backup without the settings must not be one of a relay that is no longer there."""
    data = tmp_path / "data"
    run(data).stop()
    with postgres.schema() as database:
        assert pds("relay", "migrate", "--data", str(data), "--to", database, "--yes").code == 0
    for command in (("backup", str(tmp_path / "b")), ("restored", "--yes")):
        ran = pds("--json", "relay", command[0], "--data", str(data), *command[1:])
        assert (ran.code, ran.error["code"]) == (2, "relay.moved")
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("option", ["--to", "--from"])
def test_a_move_to_a_database_that_nobody_named(
    option: str, pds: Callable[..., Any], tmp_path: Path
) -> None:
    """Neither after the option nor in the settings."""
    ran = pds("relay", "migrate", "--data", str(tmp_path), option, "--yes")
    assert (ran.code, "Say which PostgreSQL" in ran.err) == (2, True)


def test_a_password_where_others_read_it_is_refused(
    tmp_path: Path, pds: Callable[..., Any]
) -> None:
    """On the command line, of every command; and in a file of settings that is not closed."""
    data = str(tmp_path / "r")
    for command in (
        ("serve", "--url", "http://127.0.0.1:1", "--database", PASSWORD),
        ("backup", str(tmp_path / "b"), "--database", PASSWORD),
        ("restored", "--yes", "--database", PASSWORD),
        ("migrate", "--yes", "--to", PASSWORD),
        ("migrate", "--yes", "--to", "--database", PASSWORD),
    ):
        ran = pds("relay", command[0], "--data", data, *command[1:])
        assert ran.code == 2, command
        assert "A password has no place in a command" in ran.err
        assert "hunter2" not in ran.out + ran.err
    path = config(tmp_path, f'database = "{PASSWORD}"\n')
    for mode in (0o640, 0o604):
        path.chmod(mode)
        with pytest.raises(click.UsageError, match="readable by others"):
            options("--config", str(path))
    path.chmod(0o600)
    said = options("--config", str(path), "--data", data, "--url", "http://127.0.0.1:1")
    assert said["database"] == PASSWORD


@pytest.mark.parametrize("below", ["file", "file/deeper"])
def test_a_folder_that_cannot_be_made(below: str, tmp_path: Path, pds: Callable[..., Any]) -> None:
    """Says so in one sentence, without the path of a stack."""
    (tmp_path / "file").write_text("")
    for arguments in (("serve", "--url", "http://127.0.0.1:1"), ("restored", "--yes")):
        ran = pds("--json", "relay", arguments[0], "--data", str(tmp_path / below), *arguments[1:])
        assert ran.code in (1, 2)
        assert ran.error["hint"] or ran.code == 2
        assert "Traceback" not in ran.err


# reloading


def _certificate(port: int, ca: Path) -> bytes:
    context = ssl.create_default_context(cafile=str(ca))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=20) as raw,
        context.wrap_socket(raw, server_hostname="relay.example") as conn,
    ):
        return conn.getpeercert(binary_form=True) or b""


def test_a_reload_takes_a_new_certificate(
    run: Callable[..., Running], free_port: Callable[[], int], tmp_path: Path
) -> None:
    """A connection after it sees the new one; the port was open all the while."""
    tls, new = tmp_path / "tls", tmp_path / "new"
    now = utc_now()
    made = make_development_tls(tls, ["relay.example"], now=now)
    port = free_port()
    relay = run(
        tmp_path / "data", "--url", f"https://relay.example:{port}", "--tls-cert",
        str(made.certificate), "--tls-key", str(made.key), port=port,
    )  # fmt: skip
    ca = tls / "ca.pem"
    first = _certificate(port, ca)
    other = make_development_tls(new, ["relay.example"], now=now)
    shutil.copy(other.certificate, made.certificate)
    shutil.copy(other.key, made.key)
    relay.reload("reloaded")
    relay.until(lambda: _certificate(port, new / "ca.pem") != first)


def test_a_reload_takes_limits_and_token_and_no_other_place(
    run: Callable[..., Running], tmp_path: Path
) -> None:
    """What changed in the file holds; data, url and database cannot change, and all goes on."""
    path = config(tmp_path, "")
    relay = run(tmp_path / "data", "--config", str(path), "--workers", "2")
    assert relay.world().create().status == 201
    path.write_text('registration = "token"\ncalls-per-hour = 2\n')
    relay.reload("reloaded")
    relay.until(lambda: relay.registration() == "token")
    # Whoever is leaving may answer once more, after another has told of the new way.
    relay.until(lambda: relay.world().create().json.get("code") == "relay.token")
    assert (tmp_path / "data" / "registration-token").stat().st_mode & 0o777 == 0o600
    token = "a token of the operator's own"
    (tmp_path / "data" / "registration-token").write_text(token)
    relay.reload("reloaded")
    world = relay.world()
    body = {"token": token}
    relay.until(
        lambda: world.call("PUT", f"/v1/mailboxes/{world.mailbox}", body).status in (200, 201)
    )
    codes = [world.call("PUT", f"/v1/mailboxes/{world.mailbox}", {}).status for _ in range(3)]
    assert 429 in codes
    path.write_text('database = "host=/nowhere"\n')
    relay.reload("the reload failed")
    assert relay.registration() == "token"
    path.write_text("")
    relay.reload("reloaded")
    relay.until(lambda: relay.registration() == "open")


def test_a_reload_opens_what_began_with_a_token(
    run: Callable[..., Running], tmp_path: Path
) -> None:
    """And the other way round; the token stays what it was."""
    path = config(tmp_path, 'registration = "token"\n')
    relay = run(tmp_path / "data", "--config", str(path))
    token = (tmp_path / "data" / "registration-token").read_text()
    for registration in ("open", "token"):
        path.write_text(f'registration = "{registration}"\n')
        relay.reload("reloaded")
        relay.until(lambda now=registration: relay.registration() == now)
    assert (tmp_path / "data" / "registration-token").read_text() == token


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('database = "host=/nowhere"', "Data, address and database change only with a restart."),
        ("threads = 0", "Invalid value for '--threads'"),
        ("thread = 2", "what no setting is: thread"),
        ("threads", "cannot be read"),
        ('proxy = ["everybody"]', "A trusted proxy is written as an address or a network."),
    ],
)
def test_a_reload_that_fails_says_why(
    text: str, told: str, run: Callable[..., Running], tmp_path: Path
) -> None:
    """Its operator reads in the log what to mend, and nothing has changed."""
    path = config(tmp_path, "")
    relay = run(tmp_path / "data", "--config", str(path))
    path.write_text(text + "\n")
    relay.reload("the reload failed")
    line = next(x for x in relay.log.read_text().splitlines() if "the reload failed" in x)
    assert told in line
    assert relay.registration() == "open"


def test_a_reload_changes_no_tables_under_the_others(
    run: Callable[..., Running], tmp_path: Path
) -> None:
    """After an upgrade of the program a worker is of the new release, and those that go on are not:
    the tables wait for a restart."""
    data = tmp_path / "data"
    relay = run(data, "--config", str(config(tmp_path, "")))
    conn = open_plain(data / "relay.db")
    conn.execute(f"PRAGMA user_version = {MIGRATIONS[-1].version - 1}")
    conn.close()
    relay.reload("the reload failed")
    line = next(x for x in relay.log.read_text().splitlines() if "the reload failed" in x)
    assert "(db.outdated)" in line
    assert relay.registration() == "open"


def test_a_reload_refuses_another_folder_or_address(
    run: Callable[..., Running], free_port: Callable[[], int], tmp_path: Path
) -> None:
    """Both stand in the file here, so that the file can change them."""
    port = free_port()
    lines = {"data": str(tmp_path / "data"), "url": f"http://127.0.0.1:{port}"}

    def write(**changes: str) -> Path:
        both = (lines | changes).items()
        return config(tmp_path, "".join(f'{name} = "{value}"\n' for name, value in both))

    path = write()
    log = tmp_path / "stderr"
    with log.open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "pds.cli.main", "--json", "relay", "serve", "--config",
             str(path)], stdout=subprocess.PIPE, stderr=err, cwd=ROOT,
        )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline()
        relay = Running(process, port, log)
        for name, value in (("data", str(tmp_path / "other")), ("url", "http://127.0.0.1:9")):
            write(**{name: value})
            relay.reload("the reload failed")
            assert json.loads(fetch(f"{relay.url}/v1/relay"))["relay"] == relay.url
        assert not (tmp_path / "other").exists()
    finally:
        process.terminate()
        process.communicate(timeout=30)


def test_a_call_through_a_proxy_counts_for_its_caller(
    run: Callable[..., Running], tmp_path: Path
) -> None:
    """The setting reaches the workers, a reload takes it, and a network that is none is refused."""
    path = config(tmp_path, "registrations-per-hour = 1\n")
    relay = run(tmp_path / "data", "--config", str(path))

    def register(caller: str) -> int:
        world = relay.world()
        headers = world.sign("PUT", f"/v1/mailboxes/{world.mailbox}", b"{}")
        headers["X-Forwarded-For"] = f"198.51.100.1, {caller}"
        return world.send("PUT", f"/v1/mailboxes/{world.mailbox}", headers, b"{}").status

    assert [register("192.0.2.1"), register("203.0.113.1")] == [201, 429]
    path.write_text('registrations-per-hour = 1\nproxy = ["127.0.0.0/8"]\n')
    relay.reload("reloaded")
    relay.until(lambda: register("192.0.2.1") == 201)
    assert register("192.0.2.1") == 429
    relay.until(lambda: register("203.0.113.1") == 201)
    path.write_text('proxy = ["everybody"]\n')
    relay.reload("the reload failed")


# counters and logs


def test_counters_are_whole_and_hold_nobody(
    run: Callable[..., Running], free_port: Callable[[], int], tmp_path: Path
) -> None:
    """Two workers' counters are added up, on a port of their own; a whole exchange leaves no id,
    address or key in them, nor in either log."""
    counters = free_port()
    relay = run(
        tmp_path / "data", "--workers", "2", "--metrics", str(counters), "--log", "json",
        "--access-log",
    )  # fmt: skip
    with pytest.raises(urllib.error.HTTPError, match="404"):
        fetch(f"{relay.url}/metrics")
    world = relay.world()
    package, ticket = world.ready(min_interval=0)
    cid, secret = world.capability()
    assert world.deposit(secret, b"canary-envelope").status == 201
    done = world.presentation(ticket)
    assert world.present(done).status == 200
    assert world.recover(done).status == 200
    assert world.redeem(ticket, key=SigningKey.generate()).code == "relay.wrong_key"
    assert world.get("/v1/canary-path/canary-id?canary=query").status == 404
    assert world.get(f"/r/{'C' * 22}").status in (200, 404)
    for _ in range(50):
        fetch(f"{relay.url}/healthz")
    shown = fetch(f"http://127.0.0.1:{counters}/metrics")
    line = 'pds_relay_requests_total{method="GET",route="/healthz",status="200"} '
    assert f"{line}50.0" in shown
    assert 'pds_relay_refusals_total{code="relay.wrong_key"} 1.0' in shown
    entries = re.search(r"^pds_relay_log_entries (\d+)$", shown, re.MULTILINE)
    assert entries is not None
    assert int(entries[1]) >= 3
    second = subprocess.run(
        [sys.executable, "-m", "pds.cli.main", "--json", "relay", "serve", "--data",
         str(tmp_path / "data"), "--url", relay.url, "--port", "0", "--metrics", "0"],
        capture_output=True, cwd=ROOT, check=False, timeout=60,
    )  # fmt: skip
    assert json.loads(second.stderr.splitlines()[-1])["error"]["code"] == "serve.data_in_use"
    # The one that was refused has not wiped what the running one counts.
    assert f"{line}50.0" in fetch(f"http://127.0.0.1:{counters}/metrics")
    told = relay.stop()
    records = [json.loads(one) for one in told.splitlines() if one.startswith("{")]
    answers = [one for one in records if one.get("logger") == "pds.relay.access"]
    assert len(answers) > 50
    allowed = {"time", "level", "logger", "message", "method", "route", "status", "ms", "code"}
    assert {name for one in answers for name in one} <= allowed
    canaries = [
        package, cid, secret, world.mailbox, world.list_id, str(done["id"]), "canary",
        world.owner.did, world.company.did, world.holder.did, "C" * 22,
        world.owner.verify_key.multikey, world.company.verify_key.multikey,
    ]  # fmt: skip
    for text in (shown, "\n".join(map(json.dumps, answers))):
        assert not [one for one in [*canaries, "127.0.0.1"] if one in text]
    assert not [one for one in canaries if one in told]


def test_what_libraries_say_is_not_in_the_log() -> None:
    """Their texts name servers and users, and are no JSON."""
    program = (
        "import logging\n"
        "from pds.cli.logs import begin_logging\n"
        "begin_logging(as_json=True)\n"
        "logging.getLogger('psycopg.pool').warning('canary')\n"
        "logging.getLogger('pds.relay').warning('ours')\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert [json.loads(line)["message"] for line in ran.stderr.splitlines()] == ["ours"]


def test_a_stop_under_load_finishes_what_runs(run: Callable[..., Running], tmp_path: Path) -> None:
    """Each call that was answered counts; none is answered in part, and the end is in order."""
    relay = run(tmp_path / "data", "--workers", "2")
    world = relay.world()
    world.ready()
    done: list[str] = []
    strange: list[object] = []
    begun = threading.Barrier(5)

    def load() -> None:
        begun.wait()
        while True:
            try:
                package, _ = world.another()
            except (OSError, http.client.HTTPException):
                return  # the port is closed
            except AssertionError as error:
                if "503" not in str(error) and "relay.busy" not in str(error):
                    strange.append(error)
                return
            done.append(package)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    begun.wait()
    while len(done) < 20 and any(thread.is_alive() for thread in threads):
        os.sched_yield()
    relay.stop()
    for thread in threads:
        thread.join(30)
    assert len(done) >= 20
    assert not strange
    again = run(tmp_path / "data", port=relay.port).world()
    # What was answered is there: it is known as what it is.
    for package in done:
        assert again.get(f"/v1/packages/{package}").code == "relay.unsigned"
        assert world.end(package).status in (200, 204)


# backups


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest) -> Iterator[str | None]:
    """The conninfo of an empty PostgreSQL, or None for the file."""
    if request.param == "sqlite":
        yield None
        return
    with request.getfixturevalue("postgres").schema() as conninfo:
        yield conninfo


def test_a_backup_under_load_is_a_relay(
    database: str | None, run: Callable[..., Running], pds: Callable[..., Any], tmp_path: Path
) -> None:
    """Copied while others stage; marked, started from its folder: what was there before the copy
    is there, and is not released before its owner staged it again."""
    data, copy = tmp_path / "data", tmp_path / "copy"
    engine = () if database is None else ("--database", database)
    relay = run(data, "--registration", "token", "--workers", "2", *engine)
    token = (data / "registration-token").read_text().strip()
    world = relay.world()
    body = {"token": token}
    assert world.call("PUT", f"/v1/mailboxes/{world.mailbox}", body).status == 201
    assert world.put_status().status == 200
    package, ticket = world.another()
    over = threading.Event()

    def load() -> None:
        while not over.is_set():
            world.another()

    thread = threading.Thread(target=load)
    thread.start()
    try:
        rows = back_up(data, copy, database=database)
    finally:
        over.set()
        thread.join(30)
    assert rows["packages"] >= 1
    assert world.redeem(ticket).status == 200
    relay.stop()
    assert {one.name for one in copy.iterdir()} >= {"relay.db", "log-key", "registration-token"}
    assert (copy / "log-key").stat().st_mode & 0o777 == 0o600
    assert pds("relay", "restored", "--data", str(copy), "--yes").code == 0
    run(copy, "--registration", "token", port=relay.port)
    assert world.put_status(world.status_list(sequence=2)).status == 200
    assert world.redeem(ticket).code == "relay.suspended"
    assert world.stage(package, ticket=ticket, seq=2).status == 200
    assert world.redeem(ticket).status == 200


def test_a_backup_goes_back_into_a_postgresql(
    postgres: Any, run: Callable[..., Running], pds: Callable[..., Any], tmp_path: Path
) -> None:
    """As the guide says: the folder, marked, then moved to an empty database."""
    data, copy = tmp_path / "data", tmp_path / "copy"
    with postgres.schema() as old, postgres.schema() as new:
        relay = run(data, "--database", old)
        relay.world().ready()
        back_up(data, copy, database=old)
        relay.stop()
        assert pds("relay", "restored", "--data", str(copy), "--yes").code == 0
        assert move(copy, source=None, target=new)["packages"] == 1
        again = run(copy, "--database", new, port=relay.port)
        assert again.world().get("/readyz").status == 200
        assert again.world().get("/v1/relay").status == 200


# the units and the guide


@pytest.mark.parametrize(
    ("kind", "lines"),
    [
        ("service", ["Type=notify", "ExecReload=kill -HUP $MAINPID", "ProtectSystem=strict"]),
        ("backup", ["Type=oneshot", "ProtectSystem=strict", "NoNewPrivileges=yes"]),
        ("timer", ["Persistent=yes"]),
    ],
)
def test_the_units_are_ones_that_systemd_takes(
    kind: str, lines: list[str], pds: Callable[..., Any], tmp_path: Path
) -> None:
    """They name the relay's own folders, shut out the rest, and verify."""
    names = {"service": "pds-relay.service", "backup": "pds-relay-backup.service",
             "timer": "pds-relay-backup.timer"}  # fmt: skip
    for each, name in names.items():
        text = pds("relay", "unit", each, "--data", "/srv/my relay 100%").out
        (tmp_path / name).write_text(text)
    text = (tmp_path / names[kind]).read_text()
    assert not [line for line in lines if f"\n{line}\n" not in text]
    assert kind == "timer" or '"/srv/my relay 100%%"' in text
    assert pds("relay", "unit", kind, "--user", "a\nExecStartPre=/x").code == 2
    assert kind == "timer" or pds("relay", "unit", kind, "--data", "/a\nB=c").code == 2
    path = config(tmp_path, 'data = "/srv/of the file"\n')
    said = pds("relay", "unit", kind, "--config", str(path)).out
    assert kind == "timer" or f'--config "{path}" --data "/srv/of the file"' in said
    if shutil.which("systemd-analyze") is None:
        left_out("systemd-analyze")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / names[kind])],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_of_a_witness_is_one_that_systemd_takes(
    pds: Callable[..., Any], tmp_path: Path
) -> None:
    """It runs 'pds witness serve' with the same options, and is shut in as a relay is."""
    said = ("witness", "unit", "--port", "8090", "--data")
    text = pds(*said, "/srv/my witness", "--url", "https://w.example").out
    assert '"serve" "--data" "/srv/my witness" "--host" "127.0.0.1" "--port" "8090"' in text
    assert '"--url" "https://w.example"' in text
    assert "\nProtectSystem=strict\n" in text
    assert pds(*said, "/a\nB=c").code == pds(*said, "/a", "--user", "a\nB=c").code == 2
    if shutil.which("systemd-analyze") is None:
        left_out("systemd-analyze")
    unit = tmp_path / "pds-witness.service"
    unit.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_service_manager_hears_when_the_relay_is_ready(
    run: Callable[..., Running], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Type=notify in the unit needs it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        run(tmp_path / "data")
        assert manager.recv(100) == b"READY=1"


def test_the_proxies_of_the_guide_let_through_what_a_relay_takes() -> None:
    """The largest package, as text in a call."""
    said = re.findall(r"client_max_body_size (\d+)m;|max_size (\d+)MB", GUIDE)
    sizes = [int(one or other) * 1_000_000 for one, other in said]
    assert len(sizes) == 2
    assert min(sizes) > Limits().largest_body


def test_the_guide_names_every_setting() -> None:
    """The table has a row for each option of the command and for nothing else, with its default."""
    table = GUIDE.partition("| setting |")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| ([^|]+) \|", table, re.MULTILINE))
    params = {
        option.lstrip("-"): one
        for one in serve.params
        for option in one.opts
        if option.startswith("--") and option != "--json"
    }
    assert set(rows) == set(params)
    for name, param in params.items():
        default = param.to_info_dict()["default"]
        if isinstance(default, int | str) and not isinstance(default, bool):
            assert rows[name].strip("`") == str(default), name


def test_the_guide_names_the_limits_as_they_are() -> None:
    """Numbers of the table are those of the program."""
    limits = Limits()
    table = GUIDE.partition("## Limits")[2].partition("## What is kept")[0]
    lists = (
        f"{limits.packages_per_mailbox:,}, {limits.lists_per_mailbox},"
        f" {limits.requests_per_mailbox}, {limits.identities_per_mailbox}"
    )
    for text in (
        f"| {limits.body >> 20} MiB;", f"| {limits.link >> 20} MiB |",
        f"| {limits.sealed >> 20} MiB |", f"| {limits.presentation >> 10} KiB |",
        f"| {limits.identity_log >> 10} KiB |", f"| {limits.mailbox >> 20} MiB,",
        f"| {limits.capabilities_per_mailbox} |", f"| {limits.envelopes_per_capability:,},", lists,
        f"| {limits.refusals_per_day} a day |",
    ):  # fmt: skip
        assert text in table
    kept = GUIDE.partition("## What is kept how long")[2].partition("\n## ")[0]
    for days in (limits.envelope_days, limits.receipt_days, limits.presentation_days):
        assert f"{days} days" in kept
    assert f"{limits.answer_hours} hours" in kept
    assert timedelta(hours=limits.answer_hours) == timedelta(days=3)


# what it is made of


def test_the_list_of_parts_names_what_is_depended_on(tmp_path: Path) -> None:
    """Every direct dependency, with the version that is installed."""
    import importlib.metadata
    import tomllib

    maker = os.environ.get("PDS_SBOM_PYTHON", sys.executable)
    there = subprocess.run(
        [maker, "-c", "import cyclonedx_py"], capture_output=True, check=False
    ).returncode
    if there != 0:
        left_out("cyclonedx-bom")
    out = tmp_path / "sbom.json"
    subprocess.run(
        [str(ROOT / "scripts" / "sbom"), str(out), sys.executable], check=True,
        env=os.environ | {"PDS_SBOM_PYTHON": maker},
    )  # fmt: skip
    made = json.loads(out.read_text())
    assert made["bomFormat"] == "CycloneDX"
    found = {
        re.sub("[-_.]+", "-", one["name"].lower()): one.get("version") for one in made["components"]
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for words in project["dependencies"]:
        name = re.split(r"[^A-Za-z0-9-]", words)[0].lower()
        assert found.get(name) == importlib.metadata.version(name)
