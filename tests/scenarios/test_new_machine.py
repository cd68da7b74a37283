"""The machine is lost: a backup and two sheets of the kit give everything back, and all of it
works."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pds.errors import PdsError
from pds.mailbox import RelayError
from pds.vault.consent import Accept, Refuse
from pds.vault.kit import kit_secret
from pds.vault.service import ShownRequest, Vault
from pds.vault.shares import split

from .conftest import PASSPHRASE, QUICK, Holder, Server, Shop, make_shop

ANSWERS = {"delivery": Accept(), "personalisation": Accept(), "marketing": Refuse()}


def test_relationships_go_on_on_a_new_machine(
    holder: Holder,
    asked: ShownRequest,
    shop: Shop,
    relay: str,
    start: Callable[..., Server],
    tmp_path: Path,
) -> None:
    """After the data key was rotated and the kit divided: the company takes what is granted, a
    withdrawal reaches it, and the next company meets a DID that was never used."""
    backup = tmp_path / "vault.backup"
    with holder.open() as vault:
        vault.decide(asked.request.id, ANSWERS)
        assert vault.push().complete
        shown: list[str] = []
        vault.rotate_key(passphrase=PASSPHRASE, params=QUICK, keep=shown.append)
        sheets = split(kit_secret(shown[0]))
        vault.backup(backup)
        found = vault.rehearse(backup, kit=f"{sheets[0]} {sheets[1]}")
        assert (found.relationships, found.grants) == (1, 2)
        assert vault.sync().problems == []  # the rehearsal fenced nobody off
        person = vault._ctx.exchange.relationships()[0].did
        used = {r.did for r in vault._ctx.exchange.relationships()}
    shutil.rmtree(holder.folder)

    with Vault.restore(backup, tmp_path / "new", kit=f"{sheets[2]}\n{sheets[0]}") as restored:
        report = restored.reconcile()
        assert (report.mailboxes, report.ended) == (1, 0)
        assert restored.sync().problems == []
        with shop.open() as company:
            company.collect()
            assert company.redeem("delivery", person=person).items
        verb, sent = restored.withdraw("personalisation")
        assert (verb, sent.complete) == ("withdraw", True)
        with shop.open() as company:
            company.collect()
            with pytest.raises((RelayError, PdsError)):
                company.redeem("personalisation", person=person)
        assert restored.sync().problems == []

        other = make_shop(start, tmp_path / "other-shop", relay, did="did:web:other.example")
        restored.trust_dev_host(other.dev_trust)
        request = restored.open_link(other.ask())
        restored.decide(request.request.id, ANSWERS)
        assert restored.push().complete
        fresh = {r.did for r in restored._ctx.exchange.relationships()} - used
        assert len(fresh) == 1
        assert restored.check() == []
