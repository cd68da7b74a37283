"""Runs of the command line: in this process where that is enough, as processes where it is not."""

import contextlib
import http.server
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pds.cli import main as entry
from pds.cli import process

ROOT = Path(__file__).parents[3]
FIXTURES = ROOT / "scripts" / "fixtures"
PASSPHRASE = "four unrelated words here"
CLEAN = dict.fromkeys(
    f"PDS_{name}" for name in ("VAULT", "COMPANY", "JSON", "NO_INPUT", "KIT", "DEBUG", "PASSPHRASE")
)


@dataclass(frozen=True)
class Ran:
    """What a run left: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def error(self) -> Any:
        """The error of a run with ``--json``."""
        return json.loads(self.err)["error"]


@pytest.fixture(scope="session", autouse=True)
def _this_process_stays_as_it_is(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("CONFIG", "DATA"):  # never the tester's own
            patch.setenv(f"XDG_{name}_HOME", str(tmp_path_factory.mktemp("home")))
        patch.setattr(process, "harden", lambda: None)
        yield


def call(*arguments: str, stdin: bytes = b"", **environment: str) -> Ran:
    """Run ``pds ARGUMENTS`` in this process through its entry point."""
    with (
        pytest.MonkeyPatch.context() as patch,
        CliRunner().isolation(input=stdin, env=CLEAN | environment) as (out, err, _),
    ):
        patch.setattr(sys, "argv", ["pds", *arguments])
        try:
            entry.main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0
        sys.stdout.flush()
        sys.stderr.flush()
        return Ran(code, out.getvalue().decode(), err.getvalue().decode())


@dataclass
class Cli:
    """One vault (or none) and the command line in front of it."""

    vault: Path
    kit: str = ""
    company: Path | None = None
    seen: list[Ran] = field(default_factory=list)

    def __call__(
        self, *arguments: str, expect: int = 0, stdin: bytes = b"", **environment: str
    ) -> Ran:
        """Run with the kit as the secret: it opens without the cost of a passphrase."""
        env = {"PDS_VAULT": str(self.vault)} | environment
        if self.company is not None:
            env = {"PDS_COMPANY": str(self.company)} | env
        if self.kit and "PDS_PASSPHRASE" not in env:
            env = {"PDS_KIT": self.kit} | env
            arguments = ("--kit", *arguments)
        ran = call(*arguments, stdin=stdin, **env)
        self.seen.append(ran)
        assert ran.code == expect, (arguments, ran)
        return ran

    def json(self, *arguments: str, **more: Any) -> Any:
        """The answer of a run with ``--json``; of one that is expected to fail, its error."""
        ran = self("--json", *arguments, **more)
        if ran.out:
            return ran.json
        return ran.error if more.get("expect") else None


def make_vault(folder: Path, *options: str) -> Cli:
    """A sandbox vault with a card and purchases."""
    cli = Cli(folder)
    made = cli.json("init", "--sandbox", "--kdf-memory", "64", *options, PDS_PASSPHRASE=PASSPHRASE)
    cli.kit = made["recoveryKit"]
    for name in ("contact.vcf", "purchases.csv"):
        cli("data", "import", str(FIXTURES / name))
    return cli


def environment(**more: str) -> dict[str, str]:
    """The environment of a process: nothing of ours but what is given."""
    return {k: v for k, v in os.environ.items() if k not in CLEAN} | more


def spawn(*arguments: str, stdin: bytes = b"", pass_fds: tuple[int, ...] = (), **more: str) -> Ran:
    """Run ``pds ARGUMENTS`` as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "pds.cli.main", *arguments],
        input=stdin,
        capture_output=True,
        env=environment(**more),
        pass_fds=pass_fds,
        timeout=60,
        check=False,
        cwd=ROOT,
    )
    return Ran(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture(scope="session")
def pds() -> Callable[..., Ran]:
    """``pds ARGUMENTS`` in this process, without vault or secrets."""
    return call


@pytest.fixture(scope="session")
def pds_process() -> Callable[..., Ran]:
    """``pds ARGUMENTS`` as a process."""
    return spawn


@pytest.fixture(scope="session")
def passphrase() -> str:
    return PASSPHRASE


@pytest.fixture(scope="session")
def fixtures() -> Path:
    """The card, purchases and requests that the story uses."""
    return FIXTURES


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A sandbox vault with a card and purchases; never changed, only copied."""
    return make_vault(tmp_path_factory.mktemp("template") / "vault")


@pytest.fixture
def cli(template: Cli, tmp_path: Path) -> Cli:
    """A copy of the vault, for one test to do with as it likes."""
    shutil.copytree(template.vault, tmp_path / "vault")
    return Cli(tmp_path / "vault", kit=template.kit)


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """Finds a port for a server of ours."""
    from scripts.ports import free_port

    return free_port


@dataclass
class Server:
    """A server of ours as a process."""

    process: "subprocess.Popen[bytes]"
    port: int


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Starts ``pds --json ARGUMENTS``, a server, and waits until it listens."""
    with ExitStack() as stack:

        def begin(*arguments: str) -> Server:
            log = stack.enter_context((tmp_path_factory.mktemp("log") / "stderr").open("wb"))
            server = subprocess.Popen(
                [sys.executable, "-m", "pds.cli.main", "--json", *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment(),
                cwd=ROOT,
            )
            stack.callback(server.wait, 30)
            stack.callback(server.terminate)
            assert server.stdout is not None
            stack.callback(server.stdout.close)
            line = server.stdout.readline()
            assert line, Path(log.name).read_text()
            return Server(server, json.loads(line)["listening"])

        yield begin


@pytest.fixture(scope="session")
def relay(
    start: Callable[..., Server],
    free_port: Callable[[], int],
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """The address of a running relay."""
    url = f"http://127.0.0.1:{free_port()}"
    folder = str(tmp_path_factory.mktemp("relay"))
    start(
        "relay", "serve", "--data", folder, "--url", url, "--registrations-per-hour", "10000"
    )  # fmt: skip
    return url


@dataclass(frozen=True)
class Shop:
    """A company, its DID document served over TLS."""

    folder: Path
    trust: str

    def __call__(self, *arguments: str, expect: int = 0) -> Any:
        ran = call("--json", "company", "--data", str(self.folder), *arguments)
        assert ran.code == expect, (arguments, ran)
        return ran.json if ran.out else ran.error


@pytest.fixture(scope="session")
def shop(
    relay: str, start: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory
) -> Shop:
    """A running shop."""
    folder = tmp_path_factory.mktemp("shop") / "shop"
    ran = call(
        "company", "--data", str(folder), "init", "--did", "did:web:shop.example", "--name",
        "Tekerj Kft.", "--address", "6720 Szeged, Kárász utca 1.", "--contact",
        "mailto:info@shop.example", "--data-protection-contact", "mailto:dpo@shop.example",
        "--relay", relay, "--sandbox",
    )  # fmt: skip
    assert ran.code == 0, ran
    port = start("company", "--data", str(folder), "serve", "--port", "0", "--dev-tls").port
    return Shop(folder, f"shop.example=127.0.0.1:{port},{folder / 'tls' / 'ca.pem'}")


@pytest.fixture
def holder(relay: str, tmp_path: Path) -> Cli:
    """A vault with a running relay; its own root, because copies would share their mailboxes."""
    return make_vault(tmp_path / "holder", "--relay", relay)


Answer = tuple[int, str, bytes]


@pytest.fixture
def fake_relay() -> Iterator[Callable[[Callable[[str], Answer]], str]]:
    """Starts a relay that answers as it is told: path -> (status, content type, body)."""
    with ExitStack() as stack:

        def begin(answer: Callable[[str], Answer]) -> str:
            class Handler(http.server.BaseHTTPRequestHandler):
                def _answer(self) -> None:
                    status, kind, body = answer(self.path)
                    self.send_response(status)
                    self.send_header("Content-Type", kind)
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    # An impatient client hangs up in the middle of a long answer.
                    with contextlib.suppress(OSError):
                        self.wfile.write(body)

                do_GET = do_PUT = do_POST = do_DELETE = _answer  # noqa: N815

                def log_message(self, *_: object) -> None:
                    pass

            server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
            thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
            thread.start()
            stack.callback(thread.join, 10)
            stack.callback(server.server_close)
            stack.callback(server.shutdown)
            return f"http://127.0.0.1:{server.server_address[1]}"

        yield begin
