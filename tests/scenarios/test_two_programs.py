"""Two programs on one vault at the same moment: they take turns, and nothing happens twice."""

import os
from collections.abc import Callable
from datetime import timedelta

import pytest

from did.time import utc_now
from pds.errors import PdsError
from pds.net import NetError, Response
from pds.vault.consent import Accept, Refuse
from pds.vault.errors import ConsentError
from pds.vault.service import ShownRequest, Vault
from pds.vault.withdraw import find_grant, withdraw

from .bent import Hook, Send, bend
from .conftest import Holder, Shop

ANSWERS = {"delivery": Accept(), "personalisation": Accept(), "marketing": Refuse()}


def together(holder: Holder, act: Callable[[Vault], str], *, programs: int = 3) -> list[str]:
    """Run ``act`` in so many processes, released at once, and return what each one said."""
    gate_read, gate_write = os.pipe()
    said_read, said_write = os.pipe()
    children = []
    for _ in range(programs):
        child = os.fork()
        if child == 0:
            os.close(gate_write)
            try:
                with holder.open() as vault:
                    os.read(gate_read, 1)  # until all stand ready
                    try:
                        line = act(vault)
                    except PdsError as error:
                        line = error.code
                os.write(said_write, line.encode() + b"\n")
            finally:
                os._exit(0)
        children.append(child)
    os.close(said_write)
    os.close(gate_read)
    os.close(gate_write)  # end of file releases everyone
    with os.fdopen(said_read) as lines:
        said = [line.strip() for line in lines]
    for child in children:
        os.waitpid(child, 0)
    return sorted(said)


def test_one_of_several_decisions_wins(holder: Holder, asked: ShownRequest) -> None:
    """The others are told that it was decided before; there is one set of grants."""

    def decide(vault: Vault) -> str:
        vault.decide(asked.request.id, ANSWERS)
        return "decided"

    assert together(holder, decide) == ["consent.decided", "consent.decided", "decided"]
    with holder.open() as vault:
        assert len(vault.sharing()) == 2
        assert vault.push().complete


def test_everything_at_once(holder: Holder, asked: ShownRequest, shop: Shop) -> None:
    """Sending, syncing, staging and withdrawing side by side leave one consistent vault."""
    with holder.open() as vault:
        vault.decide(asked.request.id, ANSWERS)

    def send(vault: Vault) -> str:
        vault.push()
        report = vault.sync()
        return "fine" if not report.problems else str(report.problems)

    assert together(holder, send) == ["fine"] * 3
    with shop.open() as company:
        company.collect()
        with holder.open() as vault:
            person = str(vault.grant("delivery")["issuer"])
        company.redeem("delivery", person=person)

    def withdraw(vault: Vault) -> str:
        vault.sync()
        return vault.withdraw("delivery")[0]

    assert together(holder, withdraw) == ["end"] * 3
    with holder.open() as vault:
        assert vault.push().complete
        assert vault.sync().problems == []
        rows = {row.purpose: row for row in vault.sharing()}
        assert (rows["delivery"].state, rows["delivery"].uses) == ("ended", 1)
        assert [line.kind for line in vault.activity()].count("ended") == 1
        assert vault.check() == []


def meanwhile(act: Callable[[], object], *, method: str, path: str, before: bool = True) -> Hook:
    """Do something else once, right before (or after) a call reaches the relay."""
    left = [act]

    def hook(asked: str, url: str, send: Send) -> Response:
        if asked != method or path not in url or not left:
            return send()
        now = left.pop()
        if before:
            now()
            return send()
        response = send()
        now()
        return response

    return hook


def lost(method: str, path: str) -> Hook:
    """The relay does what it is asked, and its first answer is lost."""

    def fail() -> None:
        raise NetError("lost", code="net.timeout", exit_code=4)

    return meanwhile(fail, method=method, path=path, before=False)


def test_a_lost_answer_to_a_list_is_no_other_copy(holder: Holder, asked: ShownRequest) -> None:
    """The list is signed again, later and so with other bytes; it must be a newer one."""
    now = [utc_now()]
    with holder.open(clock=lambda: now[0]) as vault:
        vault.decide(asked.request.id, ANSWERS)
        bend(vault, lost("PUT", "/v1/status/"))
        assert ("status", "relay.unreachable") in vault.push().waiting
        now[0] += timedelta(seconds=7)
        assert vault.push().complete
        assert vault.sync().problems == []


def test_two_programs_publish_a_list_at_once(holder: Holder, asked: ShownRequest) -> None:
    """Whoever comes second signs a newer one; neither is taken for a copy of the vault."""
    later = utc_now() + timedelta(seconds=7)
    with holder.open() as vault, holder.open(clock=lambda: later) as other:
        vault.decide(asked.request.id, ANSWERS)
        bend(vault, meanwhile(other.push, method="PUT", path="/v1/status/"))
        assert vault.push().complete
        assert not vault.status().restoring
        assert vault.sync().problems == []


@pytest.mark.parametrize("before", [True, False])
def test_what_is_withdrawn_while_a_list_is_sent_goes_out(
    holder: Holder, asked: ShownRequest, before: bool
) -> None:
    """The list on its way does not have it; it must not count as sent with that one."""
    with holder.open() as vault, holder.open() as other:
        vault.decide(asked.request.id, ANSWERS)

        def end() -> None:
            withdraw(other._ctx, find_grant(other._ctx, "delivery"))

        bend(vault, meanwhile(end, method="PUT", path="/v1/status/", before=before))
        vault.push()
        assert "status" in {job.kind for job in other._ctx.exchange.jobs()}
        assert other.push().complete
        assert other.sync().problems == []


def test_two_programs_decide_at_once(holder: Holder, asked: ShownRequest) -> None:
    """The keys that the relay knows already are those of the one that was quicker."""
    with holder.open() as vault, holder.open() as other:

        def decide() -> None:
            other.decide(asked.request.id, ANSWERS)
            assert other.push().complete

        bend(vault, meanwhile(decide, method="GET", path="/v1/mailboxes/"))
        with pytest.raises(ConsentError) as late:
            vault.decide(asked.request.id, ANSWERS)
        assert late.value.code == "consent.decided"
        assert not vault.status().restoring
