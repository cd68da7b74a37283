"""Two programs on one vault at the same moment: they take turns, and nothing happens twice."""

import os
from collections.abc import Callable

from pds.errors import PdsError
from pds.vault.consent import Accept, Refuse
from pds.vault.service import ShownRequest, Vault

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
