"""kill -9 of the vault's process in the middle of writes: nothing acknowledged is lost."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

from pds.vault.consent import Accept, Refuse
from pds.vault.service import ShownRequest, Vault

from .conftest import PASSPHRASE, QUICK, Holder

LOOPS = 8


def run_and_kill(work: Callable[[Callable[[str], None]], None], *, after: int) -> list[str]:
    """Fork, let the child acknowledge lines on a pipe, and kill it after so many of them."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read_end)
        try:
            work(lambda line: os.write(write_end, line.encode() + b"\n") and None)
        finally:
            os._exit(0)
    os.close(write_end)
    acknowledged: list[str] = []
    with os.fdopen(read_end) as lines:
        for line in lines:
            if line.endswith("\n"):
                acknowledged.append(line.strip())
            if len(acknowledged) == after:
                os.kill(child, signal.SIGKILL)
                break
        acknowledged += [line.strip() for line in lines if line.endswith("\n")]
    os.waitpid(child, 0)
    return acknowledged


def test_acknowledged_writes_survive_kill_9(tmp_path: Path) -> None:
    """Whatever was acknowledged is there, whole, and the history fits its log."""
    folder = tmp_path / "vault"
    Vault.create(folder, passphrase=PASSPHRASE, params=QUICK)
    names: list[str] = []

    def work(acknowledge: Callable[[str], None]) -> None:
        with Vault.open(folder, passphrase=PASSPHRASE) as vault:
            for n in range(10_000):
                record = vault.add("interests", {"name": f"interest {n}"})
                vault.edit(record.id, {"name": f"interest {n} corrected"})
                acknowledge(record.id)

    for loop in range(LOOPS):
        names += run_and_kill(work, after=3 + 5 * loop)
        with Vault.open(folder, passphrase=PASSPHRASE) as vault:
            assert vault.check() == []
            for name in names:
                assert str(vault.record(name).fields["name"]).endswith("corrected")
                assert len(vault.history(name)) == 2
    assert len(names) >= sum(3 + 5 * loop for loop in range(LOOPS))


def test_a_killed_decision_is_whole_or_not_made(holder: Holder, asked: ShownRequest) -> None:
    """Killed while deciding and sending: a decision exists with all its parts, or not at all;
    what was not sent is sent afterwards, and the relay holds each package once."""
    answers = {"delivery": Accept(), "personalisation": Accept(), "marketing": Refuse()}

    def work(acknowledge: Callable[[str], None]) -> None:
        with holder.open() as vault:
            acknowledge("open")
            vault.decide(asked.request.id, answers)
            acknowledge("decided")
            vault.push()
            acknowledge("sent")

    acknowledged = run_and_kill(work, after=1)
    with holder.open() as vault:
        assert vault.check() == []
        state = vault.request(asked.request.id).state
        if "decided" in acknowledged:
            assert state == "decided"
        if state == "pending":
            assert vault.sharing() == []
            assert vault.status().waiting == 0
            vault.decide(asked.request.id, answers)
        assert len(vault.sharing()) == 2
        assert vault.push().complete
        assert vault.sync().problems == []
