"""``pds agent``: where its secret comes from, and the service unit that it prints."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from leaving_out import left_out

from pds.cli.notify import notify

from .conftest import PASSPHRASE, ROOT, Cli, call, environment


def start(vault: Path, *arguments: str, **more: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "pds.cli.main", "--vault", str(vault), "--no-input",
         "agent", "run", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
        env=environment(**more),
    )  # fmt: skip


def secret(folder: Path, text: str = PASSPHRASE, mode: int = 0o600) -> Path:
    file = folder / "pds-passphrase"
    file.write_text(text + "\n")
    file.chmod(mode)
    return file


def test_a_credential_of_the_service_manager(holder: Cli, tmp_path: Path) -> None:
    """The passphrase comes from its folder; it is told of readiness, of rounds and of the end."""
    secret(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        with start(
            holder.vault,
            CREDENTIALS_DIRECTORY=str(tmp_path),
            NOTIFY_SOCKET=str(tmp_path / "notify"),
        ) as agent:
            heard = manager.recv(4096).decode()
            assert heard == "READY=1"
            while "round at" not in heard:
                heard = manager.recv(4096).decode()
            assert "WATCHDOG=1" in heard
            agent.terminate()
            while heard != "STOPPING=1":
                heard = manager.recv(4096).decode()
            assert agent.communicate(timeout=60)[1] == ""
        assert agent.returncode == 0


@pytest.mark.parametrize(
    ("text", "mode", "code", "word"),
    [
        ("another passphrase", 0o600, 3, "vault.wrong_secret"),
        (PASSPHRASE, 0o644, 2, "chmod 600"),
    ],
)
def test_a_secret_that_will_not_do(
    holder: Cli, tmp_path: Path, text: str, mode: int, code: int, word: str
) -> None:
    """A wrong one ends the agent; one that others can read is not taken."""
    file = secret(tmp_path, text, mode)
    with start(holder.vault, "--passphrase-file", str(file)) as agent:
        _, said = agent.communicate(timeout=60)
    assert agent.returncode == code
    assert word in said
    assert text not in said


def test_no_relay_wants_a_person(cli: Cli, tmp_path: Path) -> None:
    """A vault without a relay has nothing to keep in step with: exit code 1, and what to do."""
    with start(cli.vault, PDS_PASSPHRASE=PASSPHRASE) as agent:
        said, complaint = agent.communicate(timeout=60)
    assert agent.returncode == 1
    assert '"code": "vault.no_relay"' in said
    assert "pds relay use" in complaint


def test_a_round_takes_a_second_or_more(cli: Cli) -> None:
    """An interval of nothing would be a flood."""
    assert "second" in cli.json("agent", "run", "--every", "0s", expect=2)["message"]


def test_outside_a_sandbox_a_round_takes_a_minute(tmp_path: Path) -> None:
    """A relay with many vaults would hear of each of them every few seconds."""
    vault = tmp_path / "real"
    call("--vault", str(vault), "init", "--kdf-memory", "64", PDS_PASSPHRASE=PASSPHRASE)
    ran = call("--vault", str(vault), "agent", "run", "--every", "5s", PDS_PASSPHRASE=PASSPHRASE)
    assert ran.code == 2
    assert "A round takes a minute or more" in ran.err


def test_the_unit_is_one_that_systemd_takes(pds: Callable[..., Any], tmp_path: Path) -> None:
    """It names this vault, whatever its path looks like, shuts out the rest, and verifies."""
    vault = tmp_path / "my vault 100%"
    text = pds("--vault", str(vault), "agent", "unit").out
    assert f'ReadWritePaths="{vault}%"' in text
    for line in ("ProtectSystem=strict", "NoNewPrivileges=yes", "Type=notify", "LimitCORE=0"):
        assert f"\n{line}\n" in text
    assert PASSPHRASE not in text
    if shutil.which("systemd-analyze") is None:
        left_out("systemd-analyze")
    unit = tmp_path / "pds-agent.service"
    unit.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False,
        env=os.environ | {"XDG_RUNTIME_DIR": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_path_cannot_smuggle_a_line(pds: Callable[..., Any]) -> None:
    """A line end in a path would be a setting of its own."""
    ran = pds("--vault", "/tmp/a\nExecStartPre=/bin/evil", "agent", "unit")
    assert ran.code == 2
    assert "evil" not in ran.out + ran.err


def test_without_a_manager_nothing_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No manager, one that is gone, an address of another kind: no failure."""
    for address in ("", str(tmp_path / "gone"), "@gone", "tcp://x"):
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        notify("READY=1")
