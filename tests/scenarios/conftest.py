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

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "scripts" / "fixtures"
PASSPHRASE = "four unrelated words here"
QUICK = Argon2Params(memory_kib=65_536)


@pytest.fixture(scope="session")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., int]]:
    """Starts ``pds --json ARGUMENTS``, a server, and returns the port that it listens on."""
    with ExitStack() as stack:

        def begin(*arguments: str) -> int:
            log = stack.enter_context((tmp_path_factory.mktemp("log") / "stderr").open("wb"))
            process = subprocess.Popen(
                [sys.executable, "-m", "pds.cli.main", "--json", *arguments],
                stdout=subprocess.PIPE,
                stderr=log,
            )
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
            if process.stdout is None:
                pytest.fail("the server has no output")
            stack.callback(process.stdout.close)
            line = process.stdout.readline()
            if not line:
                pytest.fail(f"the server did not start: {Path(log.name).read_text()}")
            port = parse_object(line)["listening"]
            if not isinstance(port, int):
                pytest.fail("the server did not say its port")
            return port

        yield begin


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """A port that was free a moment ago."""
    import socket

    def find() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port

    return find


@pytest.fixture(scope="session")
def relay(
    start: Callable[..., int],
    free_port: Callable[[], int],
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """The URL of a running relay."""
    url = f"http://127.0.0.1:{free_port()}"
    start("relay", "serve", "--data", str(tmp_path_factory.mktemp("relay")), "--url", url)
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


@pytest.fixture(scope="session")
def shop(relay: str, start: Callable[..., int], tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A running shop."""
    folder = tmp_path_factory.mktemp("shop")
    Company.create(
        folder,
        did="did:web:shop.example",
        name="Tekerj Bringabolt Kft.",
        address="6720 Szeged, Kárász utca 1.",
        contact="mailto:info@shop.example",
        data_protection_contact="mailto:dpo@shop.example",
        relay=relay,
        sandbox=True,
    ).close()
    port = start("company", "--data", str(folder), "serve", "--port", "0", "--dev-tls")
    return Shop(folder, f"shop.example=127.0.0.1:{port},{folder / 'tls' / 'ca.pem'}")


@dataclass
class Holder:
    """A person's vault, opened anew whenever it is needed."""

    folder: Path
    kit: str

    def open(self, **more: object) -> Vault:
        return Vault.open(self.folder, passphrase=PASSPHRASE, **more)  # type: ignore[arg-type]


@pytest.fixture
def holder(relay: str, shop: Shop, tmp_path: Path) -> Holder:
    """A vault with a contact card and purchases in it."""
    folder = tmp_path / "vault"
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
def asked(holder: Holder, shop: Shop) -> ShownRequest:
    """A request of the shop that the holder has opened."""
    with holder.open() as vault:
        return vault.open_link(shop.ask())
