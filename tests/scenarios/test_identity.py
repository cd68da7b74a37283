"""A public identity from its beginning to its end: a relay by https, a vault, and who resolves."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from credentials.errors import ControllerUnresolved, ProofInvalid
from credentials.proof import verify_object
from credentials.webvh import PROOFS
from did.errors import DidNotFound
from did.json import JsonObject
from did.resolve import Resolver
from did.time import utc_now
from pds.log import open_checkpoint
from pds.mailbox import RelayClient
from pds.net import DevTrust, Transport
from scripts.ports import free_port

from .conftest import PASSPHRASE, Server

URL = "https://relay.example"


@dataclass
class Cli:
    """``pds`` as a process of its own for each command, with one vault."""

    vault: Path
    kit: str = ""

    def __call__(self, *arguments: str, stdin: str = "", expect: int = 0) -> Any:
        secret = {"PDS_KIT": self.kit} if self.kit else {"PDS_PASSPHRASE": PASSPHRASE}
        how = ("--kit",) if self.kit else ()
        ran = subprocess.run(
            [sys.executable, "-m", "pds.cli.main", "--json", *how, *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env={**os.environ, "PDS_VAULT": str(self.vault), **secret},
            timeout=60,
            check=False,
        )
        assert ran.returncode == expect, ran.stderr
        return json.loads(ran.stdout or ran.stderr)


@pytest.fixture
def trust(start: Callable[..., Server], tmp_path: Path) -> str:
    """A relay with a name, by https; how a sandbox finds it on this machine."""
    data, port = tmp_path / "relay", free_port()
    start(
        "relay", "serve", "--data", str(data), "--url", URL, "--port", str(port), "--dev-tls"
    )  # fmt: skip
    return f"relay.example=127.0.0.1:{port},{data / 'tls' / 'ca.pem'}"


def verified_by(trust: str, signed: JsonObject, did: str) -> str:
    """What somebody who knows nobody makes of a signature: its verification method."""
    with Transport(dev_trust=[DevTrust.parse(trust)]) as transport:
        return verify_object(
            signed,
            resolver=Resolver(fetch=transport.fetch_did, webvh_proofs=PROOFS),
            now=utc_now(),
            expected_controller=did,
            exact_context=(),
        ).verification_method


def test_an_identity_from_its_beginning_to_its_end(trust: str, tmp_path: Path) -> None:
    """Created, resolved by others, rotated, restored from backup and kit, rotated again, ended."""
    holder, note = Cli(tmp_path / "vault"), json.dumps({"type": "Note", "text": "hello"})
    made = holder("init", "--sandbox", "--relay", URL, "--dev-trust", trust, "--kdf-memory", "64")
    holder.kit = made["recoveryKit"]
    created = holder("identity", "create")
    did = created["did"]
    assert (created["version"], created["waiting"]) == (1, False)
    first = holder("identity", "sign", "-", stdin=note)
    assert verified_by(trust, first, did) == created["key"]

    # A thief copies the vault as it is, keys and all; its owner rotates.
    shutil.copytree(holder.vault, tmp_path / "stolen")
    holder("backup", str(tmp_path / "backup"))
    rotated = holder("identity", "rotate", "--yes")
    assert (rotated["did"], rotated["version"]) == (did, 2)
    thief = Cli(tmp_path / "stolen", holder.kit)
    forged = thief("identity", "sign", "-", stdin=note)
    with pytest.raises(ProofInvalid) as refused:
        verified_by(trust, forged, did)
    assert refused.value.code == "key.unknown"
    second = holder("identity", "sign", "-", stdin=note)
    assert verified_by(trust, second, did) == rotated["key"] != created["key"]

    # The vault is lost. Its backup knows version 1 alone; the root gives every key again.
    shutil.rmtree(holder.vault)
    restored = Cli(tmp_path / "restored", holder.kit)
    restored("restore", str(tmp_path / "backup"))
    assert restored("identity", "show") == rotated
    third = restored("identity", "rotate", "--yes")
    assert (third["did"], third["version"]) == (did, 3)
    signed = restored("identity", "sign", "-", stdin=note)
    assert verified_by(trust, signed, did) == third["key"]

    # The copy of before has been fenced off.
    ran = thief("identity", "rotate", "--yes", expect=4)
    assert ran["waiting"] is True
    assert verified_by(trust, signed, did) == third["key"]

    # The end: the log stays, nobody signs.
    ended = restored("identity", "deactivate", "--yes")
    assert (ended["version"], ended["deactivated"], ended["waiting"]) == (4, True, False)
    assert restored("identity", "sign", "-", stdin=note, expect=1)["error"]["code"] == (
        "identity.deactivated"
    )
    with pytest.raises((DidNotFound, ControllerUnresolved, ProofInvalid)) as over:
        verified_by(trust, signed, did)
    assert over.value.code == "did.deactivated"
    exported = restored("identity", "export", str(tmp_path / "did.jsonl"))
    with Transport(dev_trust=[DevTrust.parse(trust)]) as transport:
        assert transport.fetch(exported["url"]) == (tmp_path / "did.jsonl").read_bytes()


def test_a_relay_is_found_by_its_own_did(trust: str) -> None:
    """Over TLS, by the resolver that finds companies: the key in it has signed the log."""
    with Transport(dev_trust=[DevTrust.parse(trust)]) as transport:
        document = Resolver(fetch=transport.fetch_did).resolve("did:web:relay.example")
        client = RelayClient(URL, transport, clock=utc_now)
        info, note = client.info(), client.checkpoint()
    method = document.method_for(
        f"did:web:relay.example#{info.log_key.multikey}",
        relationship="assertionMethod",
        now=info.time,
    )
    assert open_checkpoint(note, origin=info.log_origin, key=method.ed25519()).size == 0
