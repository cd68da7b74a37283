"""The holder's verbs against a running relay and shop."""

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from did.json import JsonObject, parse_object
from did.time import utc_now
from pds.errors import PdsError
from pds.mailbox import RelayError
from pds.mailbox.owner import OwnedMailbox
from pds.messages.request import GDPR
from pds.vault.consent import Accept, Refuse
from pds.vault.errors import ClockWrong, ConsentError, VaultError
from pds.vault.service import ShownRequest, Vault

from .conftest import FIXTURES, PASSPHRASE, QUICK, Holder, Server, Shop, make_shop

ALL = {
    "delivery": Accept(follows_changes=True),
    "personalisation": Accept(),
    "marketing": Refuse(),
}


def decide(holder: Holder, asked: ShownRequest) -> None:
    with holder.open() as vault:
        vault.decide(asked.request.id, ALL)
        assert vault.push().complete


def test_what_is_shown_is_purpose_first_with_actual_values(asked: ShownRequest) -> None:
    """Purpose, who, each field with its value, how long, kept, passed on, notice: in this order."""
    text = asked.text("delivery")
    order = [
        "Delivery of Goods",
        "Tekerj Bringabolt Kft.",
        "contract",
        "Kovács-Őry Ilona Márta",
        "Tisza Lajos körút 47.",
        "365 days",
        "Courier Zrt.",
        "https://shop.example/privacy",
    ]
    places = [text.index(part) for part in order]
    assert places == sorted(places)
    assert "consent" not in text


def test_optional_items_are_off_unless_switched_on(holder: Holder, asked: ShownRequest) -> None:
    """A plain yes covers what is required and nothing else."""
    with holder.open() as vault:
        outcomes = {o.purpose: o for o in vault.decide(asked.request.id, ALL)}
    assert outcomes["personalisation"].fields == {"interests"}
    assert not outcomes["marketing"].granted


REFUSED = [
    ({"delivery": Accept()}, "consent.incomplete"),
    (ALL | {"delivery": Accept(including=frozenset({"contact.email"}))}, "consent.unknown_path"),
    (ALL | {"delivery": Accept(duration=timedelta(days=366))}, "consent.wider"),
    (ALL | {"delivery": Accept(max_uses=13)}, "consent.wider"),
    (ALL | {"delivery": Accept(max_uses=0)}, "consent.nothing"),
    (ALL | {"delivery": Accept(duration=timedelta(0))}, "consent.wider"),
]


@pytest.mark.parametrize(("answers", "code"), REFUSED[:5])
def test_an_answer_that_does_not_fit_changes_nothing(
    holder: Holder, asked: ShownRequest, answers: dict[str, Accept | Refuse], code: str
) -> None:
    """Every purpose is answered, none with more than was asked; otherwise nothing is written."""
    with holder.open() as vault:
        with pytest.raises(ConsentError) as refused:
            vault.decide(asked.request.id, answers)
        assert refused.value.code == code
        assert vault.status().waiting == 0
        assert vault.request(asked.request.id).state == "pending"
        assert vault.sharing() == []


def test_a_required_value_that_is_not_there_is_named(
    shop: Shop, relay: str, tmp_path: Path
) -> None:
    """An empty vault cannot grant; it says what is missing."""
    folder = tmp_path / "empty"
    Vault.create(
        folder,
        passphrase=PASSPHRASE,
        relay=relay,
        sandbox=True,
        dev_trust=[shop.dev_trust],
        params=QUICK,
    )
    with Vault.open(folder, passphrase=PASSPHRASE) as vault:
        shown = vault.open_link(shop.ask())
        with pytest.raises(ConsentError) as refused:
            vault.decide(shown.request.id, ALL)
    assert refused.value.code == "consent.nothing_to_send"
    assert "contact.name" in str(refused.value)


def test_a_decision_is_made_once(holder: Holder, asked: ShownRequest) -> None:
    """A second answer to the same request is refused."""
    decide(holder, asked)
    with holder.open() as vault, pytest.raises(ConsentError) as refused:
        vault.decide(asked.request.id, ALL)
    assert refused.value.code == "consent.decided"


def test_a_refused_purpose_cannot_be_asked_again_unless_reopened(
    holder: Holder, asked: ShownRequest, shop: Shop
) -> None:
    """For six months a yes to the same purpose of the same company is not possible by accident."""
    decide(holder, asked)
    with holder.open() as vault:
        again = vault.open_link(shop.ask())
        blocked = {p.purpose.id for p in again.purposes if p.blocked_until is not None}
        assert blocked == {"marketing"}
        everything = ALL | {"marketing": Accept()}
        with pytest.raises(ConsentError) as refused:
            vault.decide(again.request.id, everything)
        assert refused.value.code == "consent.blocked"
        vault.reopen("did:web:shop.example", "https://w3id.org/dpv#DirectMarketing")
        vault.decide(again.request.id, everything)


def test_one_relationship_for_one_company_and_one_did(
    holder: Holder, asked: ShownRequest, shop: Shop, tmp_path: Path
) -> None:
    """A second request of the same company meets the same DID; another vault has another."""
    decide(holder, asked)
    with holder.open() as vault:
        second = vault.open_link(shop.ask("second-request.json"))
        vault.decide(second.request.id, {"support": Accept(), "analytics": Refuse()})
        issuers = {vault.grant(s.grant)["issuer"] for s in vault.sharing()}
    assert len(issuers) == 1


def test_a_change_is_staged_again_only_for_grants_that_follow(
    holder: Holder, asked: ShownRequest
) -> None:
    """The address goes on by itself; the interests do not, since that switch was off."""
    decide(holder, asked)
    with holder.open() as vault:
        contact = vault.records("contact")[0]
        interest = vault.records("interests")[0]
        vault.edit(interest.id, {"name": "tea"})
        assert vault.restage() == 0
        vault.edit(contact.id, {"address": {"streetAddress": "Kossuth Lajos sugárút 12."}})
        assert vault.restage() == 1
        assert vault.restage() == 0
        assert vault.push().complete
        assert vault.sync().problems == []


def test_withdrawing_is_pending_until_the_relay_has_confirmed(
    holder: Holder, asked: ShownRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the relay is away the grant is ended here, shown as pending, and sent later."""
    decide(holder, asked)
    with holder.open() as vault:
        real = vault._ctx.transport.request

        def away(*_args: object, **_more: object) -> object:
            from pds.net import NetError

            raise NetError("away", code="net.unreachable", exit_code=4)

        monkeypatch.setattr(type(vault._ctx.transport), "request", away)
        verb, report = vault.withdraw("personalisation")
        assert verb == "withdraw"
        assert not report.complete
        row = {s.purpose: s for s in vault.sharing()}["personalisation"]
        assert (row.state, row.pending) == ("withdrawn", True)
        monkeypatch.undo()
        assert vault._ctx.transport.request == real
        assert vault.push().complete
        row = {s.purpose: s for s in vault.sharing()}["personalisation"]
        assert (row.state, row.pending) == ("withdrawn", False)


def test_the_verb_follows_the_basis(holder: Holder, asked: ShownRequest) -> None:
    """Consent is withdrawn, a contract's sharing ended; repeating it changes nothing."""
    decide(holder, asked)
    with holder.open() as vault:
        assert vault.withdraw("delivery")[0] == "end"
        assert vault.withdraw("delivery")[0] == "end"
        states = {s.purpose: s.state for s in vault.sharing()}
    assert states == {"delivery": "ended", "personalisation": "active"}


def test_a_company_cannot_choose_a_basis_that_forbids_ending(holder: Holder, shop: Shop) -> None:
    """Where the law leaves no choice, the sharing from this vault ends all the same."""
    terms = parse_object((FIXTURES / "second-request.json").read_bytes())
    purposes = terms["purposes"]
    assert isinstance(purposes, list)
    bound = [p | {"basis": GDPR + "A6-1-c"} for p in purposes if isinstance(p, dict)]
    with shop.open() as company:
        link = company.request({"purposes": [*bound]}, valid_for=timedelta(days=1)).link
    with holder.open() as vault:
        shown = vault.open_link(str(link))
        with pytest.raises(ConsentError) as refused:
            vault.decide(
                shown.request.id, {"support": Accept(), "analytics": Refuse()}, language="tlh"
            )
        assert refused.value.code == "consent.language"
        vault.decide(shown.request.id, {"support": Accept(), "analytics": Refuse()})
        verb, report = vault.withdraw("support")
        assert (verb, report.complete) == ("end", True)
        assert [s.state for s in vault.sharing()] == ["ended"]


def test_a_live_vault_refuses_a_sandbox_request(shop: Shop, relay: str, tmp_path: Path) -> None:
    """Development hosts are for sandboxes, whose grants can never be live."""
    folder = tmp_path / "live"
    with pytest.raises(VaultError) as refused:
        Vault.create(folder, passphrase=PASSPHRASE, dev_trust=[shop.dev_trust], params=QUICK)
    assert refused.value.code == "vault.dev_trust"
    assert not folder.exists()
    Vault.create(folder, passphrase=PASSPHRASE, relay=relay, params=QUICK)
    with Vault.open(folder, passphrase=PASSPHRASE) as vault:
        with pytest.raises(VaultError) as refused:
            vault.trust_dev_host(shop.dev_trust)
        assert refused.value.code == "vault.dev_trust"
        with pytest.raises((PdsError, Exception)) as unresolved:
            vault.open_link(shop.ask())
        assert getattr(unresolved.value, "code", "")


def test_attack_35_a_clock_set_back_signs_nothing(
    holder: Holder, asked: ShownRequest, shop: Shop
) -> None:
    """The vault's time never runs backwards, nor far from its relay's; ending is never refused."""
    decide(holder, asked)
    with holder.open() as vault:
        second = vault.open_link(shop.ask("second-request.json"))
    answers = {"support": Accept(), "analytics": Refuse()}
    back, off = datetime.now(UTC) - timedelta(minutes=5), datetime.now(UTC) + timedelta(hours=2)
    with holder.open(clock=lambda: back) as vault:
        with pytest.raises(ClockWrong) as refused:
            vault.decide(second.request.id, answers)
        assert refused.value.code == "vault.clock_back"
    with holder.open(clock=lambda: off) as vault:
        for act in (
            lambda: vault.decide(second.request.id, answers),
            vault.sync,
            vault.restage,
        ):
            with pytest.raises(ClockWrong) as refused:
                act()
            assert refused.value.code == "vault.clock_off"
        verb, report = vault.withdraw("delivery")
        assert (verb, report.complete) == ("end", False)
    with holder.open() as vault:
        assert vault.request(second.request.id).state == "pending"
        assert vault.push().complete  # with the clock right again, it goes out
        assert vault.sync().problems == []
        states = {s.purpose: s.state for s in vault.sharing()}
        assert states == {"delivery": "ended", "personalisation": "active"}


def test_attack_69_a_vault_restored_from_an_old_backup(
    holder: Holder, asked: ShownRequest, shop: Shop, tmp_path: Path
) -> None:
    """A stale backup un-withdraws nothing, reuses no DID, and fences off the copy it replaces."""
    decide(holder, asked)
    backup = tmp_path / "old.backup"
    with holder.open() as vault:
        vault.backup(backup)
        contact = vault.records("contact")[0]
        vault.edit(contact.id, {"address": {"streetAddress": "Kossuth Lajos sugárút 12."}})
        vault.restage()
        vault.withdraw("personalisation")
        index_before = int(vault._ctx.setting("next_index"))
    folder = tmp_path / "restored"
    with Vault.restore(backup, folder, kit=holder.kit) as restored:
        with pytest.raises(VaultError) as refused:
            restored.sync()
        assert refused.value.code == "vault.restoring"
        report = restored.reconcile()
        assert (report.ended, report.mailboxes) == (1, 1)
        states = {s.purpose: s.state for s in restored.sharing()}
        assert states == {"delivery": "active", "personalisation": "withdrawn"}
        assert restored.check() == []
        assert any(r.category == "contact" for r in restored.search("kovacs ory"))
        assert int(restored._ctx.setting("next_index")) >= index_before + 999
        contact = restored.records("contact")[0]
        restored.edit(contact.id, {"address": {"streetAddress": "Harmadik utca 3."}})
        assert restored.restage() == 1
        assert restored.push().complete
        assert restored.sync().problems == []
    with holder.open() as old:
        old.edit(old.records("contact")[0].id, {"address": {"streetAddress": "Régi utca 1."}})
        old.restage()
        report_of_old = old.push()
        assert ("package", "relay.epoch_superseded") in report_of_old.waiting
    with shop.open() as company:
        company.collect()
        redeemed = company.redeem("delivery", person=_person(holder))
        with pytest.raises((RelayError, PdsError)):
            company.redeem("personalisation", person=_person(holder))
    address = next(i for i in redeemed.items if i.path == "contact.address")
    assert isinstance(address.value, dict)
    assert address.value["streetAddress"] == "Harmadik utca 3."


def test_two_restores_of_one_second(holder: Holder, asked: ShownRequest, tmp_path: Path) -> None:
    """Of two vaults from one backup, restored in the same second and by the same chance, the last
    one writes, and the other is told that it is over."""
    decide(holder, asked)
    backup, second = tmp_path / "old.backup", utc_now().replace(microsecond=0)
    with holder.open() as vault:
        vault.backup(backup)
    made = []
    for name in ("first", "last"):
        with Vault.restore(backup, tmp_path / name, kit=holder.kit, clock=lambda: second) as one:
            one._ctx.random = lambda n: bytes(4) if n == 4 else os.urandom(n)
            one.reconcile()
            made.append(one._ctx.epoch)
    assert made[1] == made[0] + 1
    for name, complete in (("first", False), ("last", True)):
        with Vault.open(tmp_path / name, kit=holder.kit) as one:
            address: JsonObject = {"streetAddress": f"{name} utca 1."}
            one.edit(one.records("contact")[0].id, {"address": address})
            assert one.restage() == 1
            report = one.push()
            assert report.complete == complete
            assert complete or ("package", "relay.epoch_superseded") in report.waiting


def test_restores_that_no_relay_tells_apart(
    holder: Holder, asked: ShownRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where there is no mailbox yet chance alone keeps two apart; and a relay that claims a writer
    from beyond every clock uses no numbers up."""
    backup, second = tmp_path / "empty.backup", utc_now().replace(microsecond=0)
    with holder.open() as vault:
        vault.backup(backup)
    made = set()
    for name in ("first", "last"):
        with Vault.restore(backup, tmp_path / name, kit=holder.kit, clock=lambda: second) as one:
            assert one.reconcile().mailboxes == 0
            made.add(one._ctx.epoch)
    assert len(made) == 2
    decide(holder, asked)
    with holder.open() as vault:
        vault.backup(tmp_path / "old.backup")
    real = OwnedMailbox.info
    monkeypatch.setattr(OwnedMailbox, "info", lambda it: replace(real(it), epoch=2**53 - 1))
    with Vault.restore(tmp_path / "old.backup", tmp_path / "lied", kit=holder.kit) as one:
        one.reconcile()
        assert one._ctx.epoch < 2**52


def test_an_old_folder_put_back_gives_no_keys_away_twice(
    holder: Holder, shop: Shop, relay: str, start: Callable[..., Server], tmp_path: Path
) -> None:
    """A copy of the folder from before the first relationship would derive its keys again; the
    relay knows them, so nothing is signed until the vault has looked there."""
    old = Holder(tmp_path / "old", holder.kit)
    shutil.copytree(holder.folder, old.folder)
    with holder.open() as vault:
        shown = vault.open_link(shop.ask())
        vault.decide(shown.request.id, ALL)
        assert vault.push().complete
        first = {str(vault.grant(s.grant)["issuer"]) for s in vault.sharing()}
    other = make_shop(start, tmp_path / "other-shop", relay, did="did:web:other.example")
    with old.open() as vault:
        vault.trust_dev_host(other.dev_trust)
        shown = vault.open_link(other.ask())
        with pytest.raises(VaultError) as refused:
            vault.decide(shown.request.id, ALL)
        assert refused.value.code == "vault.other_copy"
        assert vault.sharing() == []
        with pytest.raises(VaultError) as refused:
            vault.decide(shown.request.id, ALL)
        assert refused.value.code == "vault.restoring"
        report = vault.reconcile()
        # What the other copy had decided is known from its own mailbox by now.
        assert (report.unknown, report.recovered) == (0, len(vault.sharing()))
        before = {s.grant for s in vault.sharing()}
        vault.decide(shown.request.id, ALL)
        assert vault.push().complete
        made = {s.grant for s in vault.sharing()} - before
        second = {str(vault.grant(grant)["issuer"]) for grant in made}
    assert second
    assert not first & second


def _person(holder: Holder) -> str:
    with holder.open() as vault:
        return str(vault.grant("delivery")["issuer"])


def test_attack_79_a_request_naming_a_hostile_relay_address(holder: Holder, shop: Shop) -> None:
    """A link or a reply address inside the holder's network is never called."""
    with holder.open() as vault:
        for link in (
            "http://127.0.0.1:22/r/AAAAAAAAAAAAAAAAAAAAAA#" + "A" * 43,
            "https://169.254.169.254/r/AAAAAAAAAAAAAAAAAAAAAA#" + "A" * 43,
            "https://10.0.0.1/r/AAAAAAAAAAAAAAAAAAAAAA#" + "A" * 43,
        ):
            with pytest.raises(PdsError):
                vault.open_link(link)
        shown = vault.open_link(shop.ask())
        vault.decide(shown.request.id, ALL)
        jobs = [job for job in vault._ctx.exchange.jobs() if job.kind == "deposit"]
        with vault._ctx.transaction():
            for job in jobs:
                vault._ctx.conn.execute(
                    "UPDATE outbox SET payload = json_patch(payload, json(?)) WHERE n = ?",
                    ('{"relay": "http://127.0.0.1:22"}', job.n),
                )
        report = vault.push()
        assert [kind for kind, _ in report.waiting] == ["deposit"]
        assert report.waiting[0][1].startswith("net.")
        assert vault.status().waiting == len(jobs)


def test_a_category_of_ones_own_is_shared_like_any_other(holder: Holder, shop: Shop) -> None:
    """A company asks for an own path by its name, and gets its values with the IRI of its schema;
    a restage after the category is gone does not stumble."""
    terms = parse_object((FIXTURES / "second-request.json").read_bytes())
    support = terms["purposes"][0]  # type: ignore[index,call-overload]
    support["items"][0]["path"] = "own-bikes.frame"
    with shop.open() as company:
        asked = company.request({"purposes": [support]}, valid_for=timedelta(days=14))
    with holder.open() as vault:
        made = vault.add_category(
            "bikes", {"title": "Bike", "properties": {"frame": {"title": "Frame"}}}
        )
        bike = vault.add("own-bikes", {"frame": "58 cm"})
        shown = vault.open_link(str(asked.link))
        assert "own-bikes.frame" in shown.text("support")
        assert "58 cm" in shown.text("support")
        vault.decide(shown.request.id, {"support": Accept(follows_changes=True)})
        assert vault.push().complete
        person = str(vault.grant("support")["issuer"])
    with shop.open() as company:
        company.collect()
        redeemed = company.redeem("support", person=person)
    (item,) = redeemed.items
    assert (item.path, item.value, item.schema) == ("own-bikes.frame", "58 cm", made.schema)
    with holder.open() as vault:
        vault.delete(bike.id)
        vault.remove_category("bikes")
        vault.restage()
        assert vault.push().complete
