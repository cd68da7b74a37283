"""A relationship goes on under new keys, between real processes: counts, withdrawal, restore."""

import shutil
from pathlib import Path

import pytest

from pds.company.errors import NoBasis
from pds.errors import PdsError
from pds.mailbox import RelayError
from pds.vault.consent import Accept, Refuse
from pds.vault.service import ShownRequest, Vault

from .conftest import Holder, Shop

DELIVERY = "https://w3id.org/dpv#DeliveryOfGoods"
SHOP = "did:web:shop.example"
ANSWERS = {"delivery": Accept(max_uses=3), "personalisation": Accept(), "marketing": Refuse()}


def decide(holder: Holder, asked: ShownRequest, shop: Shop) -> str:
    """Grant delivery three times, and return the DID that the shop knows."""
    with holder.open() as vault:
        vault.decide(asked.request.id, ANSWERS)
        assert vault.push().complete
        person = str(vault.grant("delivery")["issuer"])
    with shop.open() as company:
        assert asked.request.id in company.collect().decided
    return person


def rotate(holder: Holder) -> str:
    """Rotate the relationship with the shop to its end, and return the new DID."""
    with holder.open() as vault:
        rotation, report = vault.rotate_relationship("shop.example")
        assert report.complete, report
        assert rotation.state == "done"
        assert vault.check() == []
        return rotation.new


def test_uses_withdrawal_and_restore_go_on_under_the_new_did(
    holder: Holder, asked: ShownRequest, shop: Shop, tmp_path: Path
) -> None:
    """Used twice of three times before: once more after, then never; the register answers for both
    DIDs; a withdrawal erases; a backup with the kit goes on from there."""
    old = decide(holder, asked, shop)
    with shop.open() as company:
        for _ in range(2):
            company.redeem("delivery", person=old)
        company.redeem("personalisation", person=old)
        data = company.register.data(old, DELIVERY)
    new = rotate(holder)
    assert new != old
    with shop.open() as company:
        report = company.collect()
        assert (report.problems, report.moved) == ([], [asked.request.id])
        assert company.register.data(new, DELIVERY) == data
        assert company.register.data(old, DELIVERY) == data
        assert {g.person for g in company.grants() if g.state == "live"} >= {new}
        assert {g.state for g in company.grants(person=old)} == {"live", "superseded"}
        assert company.redeem("delivery", person=new).items
        with pytest.raises(RelayError) as refused:
            company.redeem("delivery", person=new)
        assert refused.value.code == "relay.used_up"
    with holder.open() as vault:
        assert vault.sync().problems == []
        rows = {s.purpose: s for s in vault.sharing() if s.state != "superseded"}
        assert (rows["delivery"].uses, rows["delivery"].state) == (3, "used up")
        verb, sent = vault.withdraw("personalisation")
        assert (verb, sent.complete) == ("withdraw", True)
        backup = tmp_path / "vault.backup"
        vault.backup(backup)
    with shop.open() as company:
        assert company.collect().problems == []
        with pytest.raises((RelayError, PdsError)):
            company.redeem("personalisation", person=new)
        with pytest.raises(NoBasis):
            company.register.data(new, "https://w3id.org/dpv#ServicePersonalisation")
    shutil.rmtree(holder.folder)
    with Vault.restore(backup, tmp_path / "new", kit=holder.kit) as restored:
        report_of_restore = restored.reconcile()
        assert (report_of_restore.mailboxes, report_of_restore.unknown) == (2, 0)
        assert restored.sync().problems == []
        assert restored.status().relationships == 1
        second = restored.open_link(shop.ask("second-request.json"))
        restored.decide(second.request.id, {"support": Accept(), "analytics": Refuse()})
        assert restored.push().complete
        assert str(restored.grant("support")["issuer"]) == new
        assert restored.withdraw("delivery")[1].complete
    with shop.open() as company:
        assert {code for code, _ in company.collect().problems} <= {"message.resumed"}
        states = {g.purpose_id: g.state for g in company.grants(person=new)}
        assert states["support"] == "live"
        assert states["delivery"] == "withdrawn"


def test_a_backup_from_before_the_rotation_finds_the_new_relationship(
    holder: Holder, asked: ShownRequest, shop: Shop, tmp_path: Path
) -> None:
    """Rotated twice since the backup, used in between: the restored vault speaks under the newest
    DID, refills nothing, and never again under an old one."""
    old = decide(holder, asked, shop)
    backup = tmp_path / "old.backup"
    with holder.open() as vault:
        vault.backup(backup)
    middle = rotate(holder)
    with shop.open() as company:
        company.collect()
        company.redeem("delivery", person=middle)
    new = rotate(holder)
    with shop.open() as company:
        assert company.collect().problems == []
        company.redeem("delivery", person=new)
    with Vault.restore(backup, tmp_path / "new", kit=holder.kit) as restored:
        report = restored.reconcile()
        assert (report.mailboxes, report.unknown, report.ended) == (3, 0, 0)
        assert restored.sync().problems == []
        assert restored.sync().problems == []
        rows = {s.purpose: s for s in restored.sharing() if s.state != "superseded"}
        assert (rows["delivery"].state, rows["delivery"].uses) == ("active", 2)
        assert str(restored.grant("delivery")["issuer"]) == new
        living = restored._ctx.exchange.relationship_with(SHOP)
        assert living is not None
        assert living.did == new
        assert restored.check() == []
    with shop.open() as company:
        assert {code for code, _ in company.collect().problems} <= {"message.resumed"}
        assert company.redeem("delivery", person=old).ordinal == 2
        with pytest.raises(RelayError) as refused:
            company.redeem("delivery", person=new)
        assert refused.value.code == "relay.used_up"
    with Vault.open(tmp_path / "new", kit=holder.kit) as restored:
        assert restored.withdraw("personalisation")[1].complete
    with shop.open() as company:
        company.collect()
        states = {g.purpose_id: g.state for g in company.grants() if g.person == new}
        assert states == {"delivery": "live", "personalisation": "withdrawn"}


def test_a_did_whose_list_is_closed_never_speaks_again(
    holder: Holder, asked: ShownRequest, shop: Shop, tmp_path: Path
) -> None:
    """Nothing was live when it was rotated, so no package names the new DID; a vault restored from
    before begins anew, and not under the old one."""
    old = decide(holder, asked, shop)
    backup = tmp_path / "old.backup"
    with holder.open() as vault:
        vault.withdraw("personalisation")
        vault.withdraw("delivery")
        vault.backup(backup)
    rotate(holder)
    with Vault.restore(backup, tmp_path / "new", kit=holder.kit) as restored:
        assert restored.reconcile().unknown == 1
        second = restored.open_link(shop.ask("second-request.json"))
        restored.decide(second.request.id, {"support": Accept(), "analytics": Refuse()})
        assert restored.push().complete
        assert str(restored.grant("support")["issuer"]) != old
