"""The agent as a process of its own, beside other programs, a relay and a shop."""

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from did.time import utc_now
from pds.company.client import Company
from pds.vault.consent import Accept, Refuse
from pds.vault.service import ShownRequest
from scripts.ports import free_port

from .conftest import PASSPHRASE, Holder, Server, Shop, make_holder, make_shop, start_relay

ANSWERS = {
    "delivery": Accept(follows_changes=True, max_uses=5),
    "personalisation": Refuse(),
    "marketing": Refuse(),
}
Line = dict[str, Any]


class Running:
    """An agent that runs, and what it says line by line."""

    def __init__(self, folder: Path, secret: Path, log: Path) -> None:
        self._log = log.open("ab")
        self.process = subprocess.Popen(
            [
                sys.executable, "-m", "pds.cli.main", "--vault", str(folder), "--no-input",
                "agent", "run", "--every", "1s", "--passphrase-file", str(secret),
            ],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )  # fmt: skip

    def until(self, wanted: Callable[[Line], object]) -> list[Line]:
        """Read on until a line is as wanted."""
        assert self.process.stdout is not None
        seen: list[Line] = []
        for text in self.process.stdout:
            seen.append(json.loads(text))
            if wanted(seen[-1]):
                return seen
        pytest.fail(f"the agent ended: {seen[-3:]} {Path(self._log.name).read_text()}")

    def end(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        code = self.process.wait(30)
        self.close()
        return code

    def kill(self) -> None:
        """Whatever a test left."""
        if self.process.poll() is None:
            self.end(signal.SIGKILL)

    def close(self) -> None:
        if self.process.stdout is not None:
            self.process.stdout.close()
        self._log.close()


@pytest.fixture
def begin(holder: Holder, tmp_path: Path) -> Iterator[Callable[[], Running]]:
    """Starts an agent of the holder's vault."""
    secret = tmp_path / "secret"
    secret.touch(mode=0o600)
    secret.write_text(PASSPHRASE + "\n")
    with ExitStack() as stack:

        def start_one(folder: Path = holder.folder) -> Running:
            agent = Running(folder, secret, tmp_path / "agent.log")
            stack.callback(agent.kill)
            return agent

        yield start_one


def quiet_round(line: Line) -> bool:
    return line["event"] == "round" and not line["waiting"]


def collect(shop: Shop) -> Company:
    company = shop.open()
    company.collect()
    return company


def test_the_agent_keeps_a_decision_alive(
    holder: Holder, asked: ShownRequest, shop: Shop, begin: Callable[[], Running]
) -> None:
    """It sends what was decided beside it, collects the receipts of what the shop took, stages an
    edit anew, and renews a list that grew old; it ends at SIGTERM, and its log names nobody."""
    agent = begin()
    seen = agent.until(quiet_round)
    with holder.open() as vault:  # the agent is no hindrance, and this is none for the agent
        [outcome] = [o for o in vault.decide(asked.request.id, ANSWERS) if o.granted]
    seen += agent.until(lambda line: line.get("sent"))
    with collect(shop) as company:
        company.redeem(str(outcome.grant_id))
    seen += agent.until(lambda line: line.get("redemptions"))
    with holder.open() as vault:
        card = vault.records("contact")[0]
        vault.edit(card.id, {"name": "Kovács-Őry Ilona Júlia"})
    seen += agent.until(lambda line: line.get("restaged"))
    seen += agent.until(quiet_round)
    with collect(shop) as company:
        assert company.redeem(str(outcome.grant_id)).seq == 2
    with holder.open() as vault:
        ctx = vault._ctx
        [r] = ctx.exchange.relationships()
        [share] = vault.sharing()
        midnight = datetime.combine(utc_now().date() + timedelta(days=1), time(), UTC)
        times = (r.status_issued + timedelta(days=7), share.valid_until, midnight)
        assert vault.next_due() == min(times)  # other items may hold on a new day
        with ctx.transaction():
            ctx.exchange.set_status(
                r.index, bits=r.status_bits, sequence=r.status_sequence,
                issued=utc_now() - timedelta(days=6, hours=23, minutes=59, seconds=58),
            )  # fmt: skip
    seen += agent.until(lambda line: line.get("renewed"))
    seen += agent.until(quiet_round)
    assert agent.end() == 0
    said = json.dumps(seen)
    for secret in ("shop.example", "Ilona", "delivery", str(outcome.grant_id), str(r.did)):
        assert secret not in said
    with holder.open() as vault:
        assert vault.check() == []
        assert vault.status().waiting == 0
        assert [share.uses for share in vault.sharing()] == [2]


def test_the_agent_outlives_its_relay(
    start: Callable[..., Server], tmp_path: Path, begin: Callable[..., Running]
) -> None:
    """The relay goes away and comes back; what was decided meanwhile arrives by itself."""
    url = f"http://127.0.0.1:{free_port()}"
    server = start_relay(start, tmp_path / "relay", url)
    shop = make_shop(start, tmp_path / "shop", url)
    holder = make_holder(tmp_path / "own", url, shop)
    with holder.open() as vault:
        asked = vault.open_link(shop.ask())
    agent = begin(holder.folder)
    agent.until(quiet_round)
    server.stop()
    agent.until(lambda line: line["event"] == "failed" and line["code"] == "relay.unreachable")
    with holder.open() as vault:
        vault.decide(asked.request.id, ANSWERS)
    start_relay(start, tmp_path / "relay", url)
    agent.until(lambda line: line.get("sent"))
    agent.until(quiet_round)
    assert agent.end(signal.SIGINT) == 0
    with collect(shop) as company:
        assert company.redeem("delivery")


def test_signals_in_the_middle_lose_nothing(
    holder: Holder, asked: ShownRequest, shop: Shop, begin: Callable[[], Running]
) -> None:
    """Stopped and killed again and again as soon as it begins to work, and started anew: in the end
    the decision is with the shop, once."""
    with holder.open() as vault:
        [granted] = [o for o in vault.decide(asked.request.id, ANSWERS) if o.granted]
    for number in (signal.SIGTERM, signal.SIGKILL, signal.SIGTERM, signal.SIGKILL):
        agent = begin()
        agent.until(lambda line: line["event"] == "started")
        assert agent.end(number) == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    agent = begin()
    agent.until(quiet_round)
    assert agent.end() == 0
    with holder.open() as vault:
        assert vault.check() == []
        assert vault.status().waiting == 0
        assert [share.state for share in vault.sharing()] == ["active"]
    with collect(shop) as company:
        assert company.redeem(str(granted.grant_id))


def test_a_second_agent_is_refused(holder: Holder, begin: Callable[[], Running]) -> None:
    """Two agents of one vault would only be in each other's way."""
    agent = begin()
    agent.until(quiet_round)
    second = begin()
    assert second.process.wait(60) == 1
    second.close()
    assert agent.end() == 0
    third = begin()
    third.until(quiet_round)
    assert third.end() == 0
