"""A relationship goes on under new keys, between real processes: counts, withdrawal, restore."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from did.json import canonicalize, parse_object
from pds.company.errors import NoBasis
from pds.errors import PdsError
from pds.mailbox import RelayError
from pds.net import NetError, Response
from pds.vault.consent import Accept, Refuse
from pds.vault.service import ShownRequest, Vault

from .bent import Send, bend
from .conftest import Holder, Shop
from .test_vault_kill import run_and_kill

DELIVERY = "https://w3id.org/dpv#DeliveryOfGoods"
PERSONALISATION = "https://w3id.org/dpv#ServicePersonalisation"
SHOP = "did:web:shop.example"
ANSWERS = {"delivery": Accept(max_uses=3), "personalisation": Accept(), "marketing": Refuse()}


class Crash(BaseException):
    """The end of the process, as far as the vault is concerned."""


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
    with holder.open() as vault:
        second = vault.open_link(shop.ask("second-request.json"))  # and not decided yet
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
            company.register.data(new, PERSONALISATION)
    shutil.rmtree(holder.folder)
    with Vault.restore(backup, tmp_path / "new", kit=holder.kit) as restored:
        report_of_restore = restored.reconcile()
        assert (report_of_restore.mailboxes, report_of_restore.unknown) == (2, 0)
        assert restored.sync().problems == []
        assert restored.status().relationships == 1
        restored.decide(second.request.id, {"support": Accept(), "analytics": Refuse()})
        assert restored.push().complete
        assert str(restored.grant("support")["issuer"]) == new
        assert restored.withdraw("delivery")[1].complete
    with shop.open() as company:
        assert company.collect().problems == []
        # Those under the old DID are there too, in any order within a second.
        grants = [g for g in company.grants(person=new) if g.state != "superseded"]
        states = {g.purpose_id: g.state for g in grants}
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
        assert company.collect().problems == []
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


OLD_PAGES = (
    "DELETE FROM succession",
    "UPDATE succession SET state = 'moving'",
    "DELETE FROM access_grant WHERE ended IS NULL",
    "UPDATE access_grant SET ended = NULL",
)


@pytest.mark.parametrize("statement", OLD_PAGES)
def test_attack_48_an_old_page_brings_no_did_back(
    holder: Holder, asked: ShownRequest, shop: Shop, statement: str
) -> None:
    """What was given up, made anew or closed and is not so any more is named."""
    decide(holder, asked, shop)
    rotate(holder)
    with holder.open() as vault:
        vault._ctx.conn.execute("PRAGMA foreign_keys = OFF")
        vault._ctx.conn.execute(statement)
        assert vault.check() != []


def test_a_did_whose_list_is_closed_never_speaks_again(
    holder: Holder, asked: ShownRequest, shop: Shop, tmp_path: Path
) -> None:
    """Nothing was live when it was rotated, so no package names the new DID; a vault restored from
    before finds it by its anchor, and never speaks under the old one."""
    old = decide(holder, asked, shop)
    backup = tmp_path / "old.backup"
    with holder.open() as vault:
        vault.withdraw("personalisation")
        vault.withdraw("delivery")
        vault.backup(backup)
    rotate(holder)
    with Vault.restore(backup, tmp_path / "new", kit=holder.kit) as restored:
        assert restored.reconcile().unknown == 0
        second = restored.open_link(shop.ask("second-request.json"))
        restored.decide(second.request.id, {"support": Accept(), "analytics": Refuse()})
        assert restored.push().complete
        assert str(restored.grant("support")["issuer"]) != old


@pytest.mark.parametrize("answered", [False, True], ids=["before the call", "after the call"])
def test_a_crash_at_any_call_loses_and_refills_nothing(
    holder: Holder, asked: ShownRequest, shop: Shop, answered: bool
) -> None:
    """Rotated again and again, each time with the process gone one call later: the next process
    finishes it, each purpose is redeemable under one DID, and every use stays used."""
    first = decide(holder, asked, shop)
    with shop.open() as company:
        company.redeem("delivery", person=first)
    calls = 0
    while True:
        left = calls

        def hook(_method: str, _url: str, send: Send) -> Response:
            nonlocal left
            left -= 1
            if left >= 0:
                return send()
            if answered:
                send()
            raise Crash

        with holder.open() as vault:
            bend(vault, hook)
            try:
                vault.rotate_relationship(SHOP)
                whole = True
            except Crash:
                whole = False
        with holder.open() as vault:
            assert vault.check() == []
            for _ in range(3):
                assert vault.sync().problems == []
            assert vault.status().waiting == 0
            assert vault._ctx.successions.unfinished() == []
            rows = [s for s in vault.sharing() if s.state != "superseded"]
            assert {s.purpose: (s.state, s.uses) for s in rows} == {
                "delivery": ("active", 1),
                "personalisation": ("active", 0),
            }
            person = str(vault.grant("delivery")["issuer"])
            live = [
                package
                for known in vault._ctx.exchange.relationships()
                for package in vault._ctx.mailbox(known).info().packages
                if not package.ended
            ]
            assert sorted(package.uses for package in live) == [0, 1]
        with shop.open() as company:
            assert company.collect().problems == []
            states = [(g.purpose_id, g.person) for g in company.grants() if g.state == "live"]
            assert ("delivery", person) in states
            assert company.register.data(first, DELIVERY)
        if whole:
            break
        calls += 1
    assert calls > 10


def test_killed_while_rotating(holder: Holder, asked: ShownRequest, shop: Shop) -> None:
    """kill -9 of the process at a moment of nobody's choosing."""
    decide(holder, asked, shop)

    def work(acknowledge: object) -> None:
        with holder.open() as vault:
            acknowledge("open")  # type: ignore[operator]
            vault.rotate_relationship(SHOP)
            acknowledge("rotated")  # type: ignore[operator]

    for _ in range(4):
        run_and_kill(work, after=1)
        with holder.open() as vault:
            assert vault.check() == []
            for _round in range(3):
                assert vault.sync().problems == []
            assert vault._ctx.successions.unfinished() == []
        with shop.open() as company:
            assert company.collect().problems == []
    rotate(holder)


def test_a_redemption_that_races_the_rotation_is_counted(
    holder: Holder, asked: ShownRequest, shop: Shop
) -> None:
    """The company takes once more in the moment before the old package ends, and is refused in the
    moment after it: three uses are three uses."""
    old = decide(holder, asked, shop)
    raced: list[str] = []

    def hook(method: str, url: str, send: Send) -> Response:
        if method != "DELETE" or "/v1/packages/" not in url or "/events" in url or len(raced) > 1:
            return send()
        with shop.open() as company:
            company.redeem("delivery", person=old)
            raced.append("taken")
            answer = send()
            try:
                company.redeem("delivery", person=old)
            except RelayError as error:
                raced.append(error.code)
        return answer

    with shop.open() as company:
        company.redeem("delivery", person=old)
    with holder.open() as vault:
        package = vault._ctx.exchange.grants()
        first = next(g for g in package if g.raw["id"] == vault.grant("delivery")["id"]).package

        def only_delivery(method: str, url: str, send: Send) -> Response:
            return hook(method, url, send) if first in url else send()

        bend(vault, only_delivery)
        rotation, report = vault.rotate_relationship(SHOP)
        assert (rotation.state, report.complete) == ("done", True)
    assert raced == ["taken", "relay.ended"]
    with shop.open() as company:
        assert company.collect().problems == []
        company.redeem("delivery", person=rotation.new)
        with pytest.raises(RelayError) as refused:
            company.redeem("delivery", person=rotation.new)
        assert refused.value.code == "relay.used_up"


def test_nothing_is_made_anew_before_the_old_package_has_ended(
    holder: Holder, asked: ShownRequest, shop: Shop
) -> None:
    """The relay does not take the end: the change waits, the company still takes, and that use is
    in the count when it goes on."""
    old = decide(holder, asked, shop)

    def hook(method: str, url: str, send: Send) -> Response:
        if method == "DELETE" and "/v1/packages/" in url:
            raise NetError("away", code="net.unreachable", exit_code=4)
        return send()

    with holder.open() as vault:
        bend(vault, hook)
        rotation, report = vault.rotate_relationship(SHOP)
        assert (rotation.state, report.complete) == ("moving", False)
        assert len(vault.sharing()) == 2
    with shop.open() as company:
        for _ in range(3):
            company.redeem("delivery", person=old)
    with holder.open() as vault:
        again, report = vault.rotate_relationship(SHOP)
        assert (again.new, again.state, report.complete) == (rotation.new, "done", True)
    with shop.open() as company:
        assert company.collect().problems == []
        with pytest.raises(RelayError) as refused:
            company.redeem("delivery", person=rotation.new)
        assert refused.value.code == "relay.used_up"


def test_an_interval_goes_on_over_the_rotation(
    holder: Holder, asked: ShownRequest, shop: Shop
) -> None:
    """Once in a day stays once in a day; what was taken may be used all the while."""
    with holder.open() as vault:
        vault.decide(asked.request.id, ANSWERS | {"delivery": Accept(min_interval=86_400)})
        assert vault.push().complete
        old = str(vault.grant("delivery")["issuer"])
    with shop.open() as company:
        company.collect()
        company.redeem("delivery", person=old)
        data = company.register.data(old, DELIVERY)
    for _ in range(2):
        new = rotate(holder)
        with shop.open() as company:
            assert company.collect().problems == []
            assert company.register.data(new, DELIVERY) == data
            with pytest.raises(RelayError) as refused:
                company.redeem("delivery", person=new)
            assert refused.value.code == "relay.not_yet_valid"


@pytest.mark.parametrize("step", ["DELETE", "POST"])
def test_a_withdrawal_in_the_middle_of_a_rotation_wins(
    holder: Holder, asked: ShownRequest, shop: Shop, step: str
) -> None:
    """Withdrawn while the old package is being ended, or while the company is being told: named by
    the old grant's id, it ends whatever stands in its place by then."""
    old = decide(holder, asked, shop)
    with shop.open() as company:
        company.redeem("personalisation", person=old)
    with holder.open() as vault:
        grant_id = str(vault.grant("personalisation")["id"])

        def hook(method: str, url: str, send: Send) -> Response:
            if method == step and ("/v1/packages/" in url or "/envelopes" in url):
                raise Crash
            return send()

        bend(vault, hook)
        with pytest.raises(Crash):
            vault.rotate_relationship(SHOP)
    with holder.open() as vault:
        verb, report = vault.withdraw(grant_id)
        assert (verb, report.complete) == ("withdraw", True)
        for _ in range(3):
            assert vault.sync().problems == []
        rows = {s.purpose: s.state for s in vault.sharing() if s.state != "superseded"}
        assert rows == {"delivery": "active", "personalisation": "withdrawn"}
        person = str(vault.grant("delivery")["issuer"])
    with shop.open() as company:
        company.collect()
        with pytest.raises(NoBasis):
            company.register.data(person, PERSONALISATION)
        assert company.register.held(old) == []
        assert company.redeem("delivery", person=person).items
        with pytest.raises(PdsError):
            company.redeem("personalisation", person=person)


def test_a_relay_whose_account_does_not_hold_refills_nothing(
    holder: Holder, asked: ShownRequest, shop: Shop
) -> None:
    """Its events form no chain: they are kept as evidence, and the grant counts as used up."""
    old = decide(holder, asked, shop)
    with shop.open() as company:
        for _ in range(2):
            company.redeem("delivery", person=old)

    def hook(method: str, url: str, send: Send) -> Response:
        answer = send()
        if method == "GET" and "/events" in url:
            shown = parse_object(answer.body)
            events = shown["events"]
            assert isinstance(events, list)
            return replace(answer, body=canonicalize({**shown, "events": events[1:]}))
        return answer

    with holder.open() as vault:
        bend(vault, hook)
        rotation, report = vault.rotate_relationship(SHOP)
        assert (rotation.state, report.complete) == ("done", True)
        assert "relay.broken_chain" in {code for _, code, _ in vault.evidence()}
    with shop.open() as company:
        assert company.collect().problems == []
        with pytest.raises(RelayError) as refused:
            company.redeem("delivery", person=rotation.new)
        assert refused.value.code == "relay.used_up"
        assert company.register.data(rotation.new, DELIVERY)
