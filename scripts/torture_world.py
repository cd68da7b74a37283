"""A vault to be tortured: some data, and requests that wait for an answer; its relay is gone.

Made once, with a relay and a shop as real processes, then only copied. Decisions and withdrawals
are made and queued without a relay, as on a machine that is offline.
"""

import json
import shutil
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from ports import free_port

from did.json import parse_object
from pds.company.client import Company
from pds.vault import files
from pds.vault.keyslots import Argon2Params, DataKey
from pds.vault.service import Vault

FIXTURES = Path(__file__).parent / "fixtures"
REQUESTS = 6
WAIT = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Template:
    """A vault's folder, the words that open it, and the requests that wait in it."""

    folder: Path
    kit: str
    requests: tuple[str, ...]

    def copy_to(self, place: Path) -> None:
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(self.folder, place)


def open_quickly(folder: Path, kit: str) -> Vault:
    """Open with the kit, which costs no Argon2."""
    return Vault.open(folder, kit=kit)


def data_key(folder: Path, kit: str) -> DataKey:
    return files.unlock(folder, kit=kit)


def open_with(folder: Path, key: DataKey) -> Vault:
    """Open whatever the slots say."""
    return Vault.open(folder, data_key=key)


def make_template(folder: Path, *, requests: int = REQUESTS) -> Template:
    """Make the vault in ``folder / "vault"``. Starts and ends a relay and a shop."""
    with ExitStack() as stack:
        relay = f"http://127.0.0.1:{free_port()}"
        _serve(stack, "relay", "serve", "--data", str(folder / "relay"), "--url", relay)
        shop = folder / "shop"
        company = Company.create(
            shop,
            did="did:web:shop.example",
            name="Tekerj Bringabolt Kft.",
            address="6720 Szeged, Kárász utca 1.",
            contact="mailto:info@shop.example",
            data_protection_contact="mailto:dpo@shop.example",
            relay=relay,
            sandbox=True,
        )
        port = _serve(stack, "company", "--data", str(shop), "serve", "--port", "0", "--dev-tls")
        kit = Vault.create(
            folder / "vault",
            passphrase="four unrelated words here",
            relay=relay,
            sandbox=True,
            dev_trust=[f"shop.example=127.0.0.1:{port},{shop / 'tls' / 'ca.pem'}"],
            params=Argon2Params(memory_kib=65_536),
        )
        terms = parse_object((FIXTURES / "request.json").read_bytes())
        with company, Vault.open(folder / "vault", kit=kit) as vault:
            for name in ("contact.vcf", "purchases.csv"):
                vault.import_plan(vault.plan_import(FIXTURES / name))
            opened = [
                vault.open_link(str(company.request(terms, valid_for=WAIT).link))
                for _ in range(requests)
            ]
            vault.sync()  # pins the relay's key, without which nothing can be decided
    return Template(folder / "vault", kit, tuple(one.request.id for one in opened))


def _serve(stack: ExitStack, *arguments: str) -> int:
    server = subprocess.Popen(
        [sys.executable, "-m", "pds.cli.main", "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[1],
    )
    stack.callback(server.wait, 30)
    stack.callback(server.terminate)
    if server.stdout is None:
        raise RuntimeError("no pipe")
    stack.callback(server.stdout.close)
    line = server.stdout.readline()
    if not line:
        raise RuntimeError("a server did not start: " + " ".join(arguments))
    return int(json.loads(line)["listening"])
