"""A relay and a shop as real processes, and vaults that talk to them over real HTTP."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from did.json import parse_object
from pds.company.client import Company
from pds.vault.keyslots import Argon2Params
from pds.vault.service import ShownRequest, Vault
from scripts.ports import free_port

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "scripts" / "fixtures"
PASSPHRASE = "four unrelated words here"
QUICK = Argon2Params(memory_kib=65_536)


@dataclass
class Server:
    """A running server of ours."""

    process: subprocess.Popen[bytes]
    port: int

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)
        if self.process.stdout is not None:
            self.process.stdout.close()


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Server]]:
    """Starts ``pds --json ARGUMENTS``, a server, and waits until it says that it listens."""
    with ExitStack() as stack:

        def begin(*arguments: str) -> Server:
            log = stack.enter_context((tmp_path_factory.mktemp("log") / "stderr").open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", "pds.cli.main", "--json", *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
            )
            server = Server(process, 0)
            stack.callback(server.stop)
            line = b"" if process.stdout is None else process.stdout.readline()
            if not line:
                pytest.fail(f"the server did not start: {Path(log.name).read_text()}")
            port = parse_object(line)["listening"]
            if not isinstance(port, int):
                pytest.fail("the server did not say its port")
            server.port = port
            return server

        yield begin


def start_relay(start: Callable[..., Server], data: Path, url: str) -> Server:
    return start(
        "relay", "serve", "--data", str(data), "--url", url, "--registrations-per-hour", "10000"
    )  # fmt: skip


@pytest.fixture(scope="session")
def relay(start: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a running relay."""
    url = f"http://127.0.0.1:{free_port()}"
    start_relay(start, tmp_path_factory.mktemp("relay"), url)
    return url


@dataclass(frozen=True)
class Shop:
    """A company in a folder, its DID document served over TLS."""

    folder: Path
    dev_trust: str

    def open(self, **more: object) -> Company:
        return Company.open(self.folder, **more)  # type: ignore[arg-type]

    def ask(self, name: str = "request.json") -> str:
        """Make the request of a fixture and return its link."""
        from datetime import timedelta

        terms = parse_object((FIXTURES / name).read_bytes())
        with self.open() as company:
            return str(company.request(terms, valid_for=timedelta(days=14)).link)


def make_shop(
    start: Callable[..., Server], folder: Path, relay: str, did: str = "did:web:shop.example"
) -> Shop:
    """Make a company in a folder and serve its DID document."""
    Company.create(
        folder,
        did=did,
        name="Tekerj Bringabolt Kft.",
        address="6720 Szeged, Kárász utca 1.",
        contact="mailto:info@shop.example",
        data_protection_contact="mailto:dpo@shop.example",
        relay=relay,
        sandbox=True,
    ).close()
    server = start("company", "--data", str(folder), "serve", "--port", "0", "--dev-tls")
    host = did.rpartition(":")[2]
    return Shop(folder, f"{host}=127.0.0.1:{server.port},{folder / 'tls' / 'ca.pem'}")


@pytest.fixture(scope="session")
def shop(
    relay: str, start: Callable[..., Server], tmp_path_factory: pytest.TempPathFactory
) -> Shop:
    """A running shop."""
    return make_shop(start, tmp_path_factory.mktemp("shop"), relay)


@dataclass
class Holder:
    """A person's vault, opened anew whenever it is needed."""

    folder: Path
    kit: str

    def open(self, **more: object) -> Vault:
        """By the kit, which costs no Argon2: half of the time of some tests, otherwise."""
        return Vault.open(self.folder, kit=self.kit, **more)  # type: ignore[arg-type]


def make_holder(folder: Path, relay: str, shop: Shop) -> Holder:
    """Make a vault with a contact card and purchases in it."""
    kit = Vault.create(
        folder,
        passphrase=PASSPHRASE,
        relay=relay,
        sandbox=True,
        dev_trust=[shop.dev_trust],
        params=QUICK,
    )
    made = Holder(folder, kit)
    with made.open() as vault:
        for name in ("contact.vcf", "purchases.csv"):
            vault.import_plan(vault.plan_import(FIXTURES / name))
    return made


@pytest.fixture
def holder(relay: str, shop: Shop, tmp_path: Path) -> Holder:
    """A vault with a contact card and purchases in it."""
    return make_holder(tmp_path / "vault", relay, shop)


@pytest.fixture
def asked(holder: Holder, shop: Shop) -> ShownRequest:
    """A request of the shop that the holder has opened."""
    with holder.open() as vault:
        return vault.open_link(shop.ask())
