"""The vault's own mailbox as an anchor: what a stale backup does not know is found again there."""

import os
import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from credentials.proof import sign_object
from credentials.status import BitString
from did.json import canonicalize
from did.keys import SigningKey
from did.time import format_time
from pds.mailbox import MailboxInfo, RelayUnreachable
from pds.messages.message import LABEL
from pds.sealing import seal
from pds.vault import anchors, recovery
from pds.vault import backup as backups
from pds.vault.consent import Accept, Refuse
from pds.vault.errors import VaultError
from pds.vault.service import ShownRequest, Vault

from .conftest import Holder, Shop

ALL = {"delivery": Accept(), "personalisation": Accept(follows_changes=True), "marketing": Refuse()}


def _decide(holder: Holder, asked: ShownRequest) -> None:
    with holder.open() as vault:
        vault.decide(asked.request.id, ALL)
        assert vault.push().complete


def _anchor(vault: Vault) -> tuple[Any, int, bytes]:
    """The relationship, and the ordinal and octets of its anchor in the mailbox."""
    relationship = vault._ctx.exchange.relationships()[0]
    mailbox = vault._ctx.mailbox(relationship)
    envelopes, _ = mailbox.envelopes()
    assert len(envelopes) == 1
    return relationship, *envelopes[0]


def test_a_decision_made_after_the_backup_comes_back(
    holder: Holder, asked: ShownRequest, shop: Shop, tmp_path: Path
) -> None:
    """Backup, decision, withdrawal, machine lost: the grant is there again and can be withdrawn,
    what was withdrawn stays so, and the company's standing grant goes on."""
    backup = tmp_path / "old.backup"
    with holder.open() as vault:
        vault.backup(backup)
    _decide(holder, asked)
    with holder.open() as vault:
        vault.withdraw("personalisation")
        assert vault.push().complete
        issuer = vault.grant("delivery")["issuer"]
        lines = len(vault.activity(limit=1000))
    with Vault.restore(backup, tmp_path / "new", kit=holder.kit) as restored:
        old_lines = len(restored.activity(limit=1000))
        report = restored.reconcile()
        assert (report.unknown, report.recovered, report.diverged) == (0, 2, False)
        assert 0 < report.lost <= lines - old_lines
        states = {s.purpose: s.state for s in restored.sharing()}
        assert states == {"delivery": "active", "personalisation": "withdrawn"}
        assert restored.grant("delivery")["issuer"] == issuer
        assert restored.check() == []
        assert restored.sync().problems == []
        with shop.open() as company:
            company.collect()
            company.redeem("delivery", person=str(issuer))
        synced = restored.sync()
        assert synced.problems == []
        restored.withdraw("delivery")
        assert restored.push().complete
    with shop.open() as company:
        company.collect()
        with pytest.raises(Exception, match=r"."):
            company.redeem("delivery", person=str(issuer))


def test_the_newest_anchor_takes_the_place_of_the_one_before(
    holder: Holder, asked: ShownRequest
) -> None:
    """One lies in the mailbox, rounds leave it there, and nothing is put while nothing changes."""
    _decide(holder, asked)
    with holder.open() as vault:
        _, first, _ = _anchor(vault)
        assert vault.sync().problems == []
        assert _anchor(vault)[1] == first
        vault.add("note", {"title": "x", "text": "y"})
        assert vault.push().sent == 0
        vault.withdraw("delivery")
        assert vault.push().complete
        _, second, octets = _anchor(vault)
        assert second > first
        assert vault.sync().problems == []
        assert _anchor(vault)[1:] == (second, octets)
        assert vault.push().sent == 0


def test_it_says_nothing_to_the_relay(holder: Holder, asked: ShownRequest) -> None:
    """Sealed and padded like any message: no word of it is readable."""
    _decide(holder, asked)
    with holder.open() as vault:
        relationship, _, octets = _anchor(vault)
        for word in (relationship.company, relationship.did, "Anchor", "delivery", "grants"):
            assert word.encode() not in octets


@pytest.mark.parametrize("crash", ["before", "after"])
def test_a_crash_while_it_is_put(
    holder: Holder, asked: ShownRequest, crash: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the call or after it, the answer lost: the next round puts one, and one remains."""

    class Gone(Exception):
        pass

    real = anchors.keep_receipt

    def die(*arguments: Any, **more: Any) -> Any:
        if crash == "after":
            real(*arguments)
        raise Gone

    with holder.open() as vault:
        vault.decide(asked.request.id, ALL)
        with monkeypatch.context() as patch:
            patch.setattr(anchors, "keep_receipt" if crash == "after" else "sign_object", die)
            with pytest.raises(Gone):
                vault.push()
    with holder.open() as vault:
        assert vault.push().complete
        assert vault.sync().problems == []
        _anchor(vault)
        assert vault.sync().problems == []


def test_attack_69_an_old_folder_put_back_is_told_by_the_anchor(
    holder: Holder, asked: ShownRequest, tmp_path: Path
) -> None:
    """On a computer that remembers nothing: the anchor knows more of the history than the vault."""
    old = Holder(tmp_path / "old", holder.kit)
    with holder.open() as vault:
        vault.decide(asked.request.id, ALL)
        assert vault.push().complete
    shutil.copytree(holder.folder, old.folder)
    with holder.open() as vault:
        vault.withdraw("personalisation")
        assert vault.push().complete
    with old.open() as vault:
        assert ("vault.other_copy", asked.request.controller.id) in vault.sync().problems
        with pytest.raises(VaultError) as refused:
            vault.withdraw("delivery")
        assert refused.value.code == "vault.restoring"
        assert vault.reconcile().lost > 0
        states = {s.purpose: s.state for s in vault.sharing()}
        assert states == {"delivery": "active", "personalisation": "withdrawn"}
        vault.withdraw("delivery")
        assert vault.push().complete


def test_a_relay_that_drops_the_anchor_takes_help_away_and_no_more(
    holder: Holder, asked: ShownRequest, tmp_path: Path
) -> None:
    """Then a restored vault knows what its backup knew; nothing fails, and nothing is reused."""
    backup = tmp_path / "old.backup"
    with holder.open() as vault:
        vault.backup(backup)
    _decide(holder, asked)
    with holder.open() as vault:
        relationship, ordinal, _ = _anchor(vault)
        vault._ctx.mailbox(relationship).delete_envelope(ordinal)
        assert vault.sync().problems == []
    with Vault.restore(backup, tmp_path / "new", kit=holder.kit) as restored:
        report = restored.reconcile()
        assert (report.unknown, report.recovered, report.lost) == (1, 0, 0)
        assert restored.sharing() == []


def test_an_old_anchor_shown_again_brings_nothing_back_to_life(
    holder: Holder, asked: ShownRequest, tmp_path: Path
) -> None:
    """The relay keeps the first one and shows it after everything was withdrawn."""
    backup = tmp_path / "old.backup"
    with holder.open() as vault:
        vault.backup(backup)
    _decide(holder, asked)
    with holder.open() as vault:
        relationship, _, octets = _anchor(vault)
        vault.withdraw("delivery")
        vault.withdraw("personalisation")
        assert vault.push().complete
        _, newest, _ = _anchor(vault)
        client = vault._ctx.client(vault._ctx.setting("relay"))
        client.deposit(relationship.mailbox, relationship.capability, octets)
        vault._ctx.mailbox(relationship).delete_envelope(newest)
    with Vault.restore(backup, tmp_path / "new", kit=holder.kit) as restored:
        restored.reconcile()
        assert {s.state for s in restored.sharing()} <= {"ended"}
    with holder.open() as vault:  # and in everyday use it is taken away
        assert vault.sync().problems == []


def test_what_others_put_there_is_no_anchor(
    holder: Holder, asked: ShownRequest, tmp_path: Path
) -> None:
    """The company knows the sealing key and may write to the mailbox, but cannot sign for us; an
    anchor of another mailbox, a message, and noise are none either."""
    backup = tmp_path / "old.backup"
    with holder.open() as vault:
        vault.backup(backup)
    _decide(holder, asked)
    with holder.open() as vault:
        relationship, _, _ = _anchor(vault)
        keys = vault._ctx.keys(relationship)
        client = vault._ctx.client(vault._ctx.setting("relay"))

        def forge(key: SigningKey, label: str, mailbox: str) -> bytes:
            """One that says it is newer than all, and that there are no grants."""
            whole = anchors.signed_anchor(vault._ctx, relationship, key=keys.did_key)
            state = whole["state"]
            assert isinstance(state, dict)
            del whole["proof"]
            whole |= {"epoch": vault._ctx.epoch + 1000, "mailbox": mailbox}
            signed = sign_object(
                whole | {"state": state | {"grants": []}}, key, created=vault._ctx.now()
            )
            return seal(
                canonicalize(signed),
                to=keys.sealing_key.public,
                label=label,
                context=relationship.mailbox,
            )

        def forgeries() -> list[bytes]:
            return [
                forge(SigningKey.generate(), anchors.LABEL, relationship.mailbox),
                forge(keys.did_key, LABEL, relationship.mailbox),
                forge(keys.did_key, anchors.LABEL, "A" * 22),
                os.urandom(99),
            ]

        for octets in forgeries():
            client.deposit(relationship.mailbox, relationship.capability, octets)
        report = vault.sync()
        assert "vault.other_copy" not in {code for code, _ in report.problems}
        _anchor(vault)  # they were dropped, ours lies where it was
        for octets in forgeries():
            client.deposit(relationship.mailbox, relationship.capability, octets)
    with Vault.restore(backup, tmp_path / "new", kit=holder.kit) as restored:
        assert restored.reconcile().recovered == 2


def _restored(backup: Path, folder: Path, holder: Holder) -> Vault:
    return Vault.restore(backup, folder, kit=holder.kit)


@pytest.mark.parametrize("hidden", ["package", "list over"])
def test_attack_43_an_anchor_alone_proves_nothing_alive(
    holder: Holder, asked: ShownRequest, tmp_path: Path, hidden: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Where the relay hides the package, or shows only a list that has run out, what the anchor
    brings back is over."""
    backup = tmp_path / "old.backup"
    with holder.open() as vault:
        vault.backup(backup)
    _decide(holder, asked)
    with _restored(backup, tmp_path / "new", holder) as restored:
        if hidden == "package":
            real = MailboxInfo.parse
            monkeypatch.setattr(
                MailboxInfo,
                "parse",
                lambda *a, **k: replace(real(*a, **k), packages=()),
            )
        else:
            real_list = backups._relay_list
            monkeypatch.setattr(backups, "_relay_list", lambda *a: (*real_list(*a)[:2], False))
        assert restored.reconcile().recovered == 2
        assert {s.state for s in restored.sharing()} == {"ended"}


def test_an_anchor_is_renewed_before_the_relay_lets_go_of_it(
    holder: Holder, asked: ShownRequest
) -> None:
    """A month later, though nothing has changed."""
    _decide(holder, asked)
    with holder.open() as vault:
        _, first, _ = _anchor(vault)
        real = vault._ctx.clock
        ahead = anchors.RENEWED_AFTER + timedelta(days=1)
        relationship = vault._ctx.exchange.relationships()[0]
        name = f"anchor:{relationship.index}"
        words = str(vault._ctx.exchange.setting(name)).split(" ")
        words[3] = format_time(real().replace(microsecond=0) - ahead)
        with vault._ctx.transaction():  # as if it had been put then
            vault._ctx.exchange.set_setting(name, " ".join(words))
            vault._ctx.exchange.set_setting("anchors_at", "")
        assert vault.push().complete
        _, second, _ = _anchor(vault)
        assert second > first


def test_in_a_new_log_of_the_relay_no_number_means_what_it_did(
    holder: Holder, asked: ShownRequest
) -> None:
    """What lies there under the anchor's number is read like any other, and an anchor is put
    anew."""
    _decide(holder, asked)
    with holder.open() as vault:
        relationship = vault._ctx.exchange.relationships()[0]
        origin = vault._ctx.setting("log_origin")
        with vault._ctx.transaction():
            vault._ctx.exchange.set_setting("log_origin", "other.example/log/x")
        assert anchors.floor(vault._ctx, relationship) == 0
        assert [r.index for r in anchors.due(vault._ctx)] == [relationship.index]
        with vault._ctx.transaction():
            vault._ctx.exchange.set_setting("log_origin", origin)
        _, ordinal, octets = _anchor(vault)
        assert anchors.keep(vault._ctx, relationship, ordinal, octets) is True
        assert anchors.keep(vault._ctx, relationship, ordinal + 1, octets) is False
        assert anchors.keep(vault._ctx, relationship, ordinal, b"a message") is None


def _jobs(vault: Vault) -> set[str]:
    return {job.kind for job in vault._ctx.exchange.jobs()}


def test_a_withdrawal_that_the_relay_hides_is_carried_out(
    holder: Holder, asked: ShownRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """List and package are shown as before it: the anchor knows, and both are told again."""
    _decide(holder, asked)
    backup = tmp_path / "old.backup"
    with holder.open() as vault:
        vault.backup(backup)
        vault.withdraw("personalisation")
        assert vault.push().complete
    with _restored(backup, tmp_path / "new", holder) as restored:
        real, empty = MailboxInfo.parse, BitString.empty(131_072)

        def living(*arguments: Any, **more: Any) -> MailboxInfo:
            shown = real(*arguments, **more)
            return replace(shown, packages=tuple(replace(p, ended=False) for p in shown.packages))

        monkeypatch.setattr(MailboxInfo, "parse", living)
        monkeypatch.setattr(backups, "_relay_list", lambda *_: (empty, 1, True))
        restored.reconcile()
        states = {s.purpose: s.state for s in restored.sharing()}
        assert states == {"delivery": "active", "personalisation": "withdrawn"}
        assert {"status", "end"} <= _jobs(restored)


def test_what_ended_by_its_package_alone_is_in_the_list_at_once(
    holder: Holder, asked: ShownRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It need not wait for the weekly list."""
    _decide(holder, asked)
    backup = tmp_path / "old.backup"
    with holder.open() as vault:
        vault.backup(backup)
    with _restored(backup, tmp_path / "new", holder) as restored:
        real = MailboxInfo.parse

        def ended(*arguments: Any, **more: Any) -> MailboxInfo:
            shown = real(*arguments, **more)
            return replace(shown, packages=tuple(replace(p, ended=True) for p in shown.packages))

        monkeypatch.setattr(MailboxInfo, "parse", ended)
        assert restored.reconcile().ended == 2
        assert "status" in _jobs(restored)


@pytest.mark.parametrize(("in_force", "state"), [(False, "ended"), (True, "active")])
def test_attack_68_an_interrupted_restore_proves_nothing(
    holder: Holder, asked: ShownRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    in_force: bool, state: str,
) -> None:  # fmt: skip
    """Packages were seen, and the list was not: the next attempt asks for both again; and once
    proven, nothing is asked for any more."""
    backup = tmp_path / "old.backup"
    with holder.open() as vault:
        vault.backup(backup)
    _decide(holder, asked)
    real = backups._relay_list
    with _restored(backup, tmp_path / "new", holder) as restored:
        with monkeypatch.context() as patch:
            patch.setattr(backups, "_relay_list", _away)
            with pytest.raises(RelayUnreachable):
                restored.reconcile()
        monkeypatch.setattr(backups, "_relay_list", lambda *a: (*real(*a)[:2], in_force))
        restored.reconcile()
        assert {s.state for s in restored.sharing()} == {state}
        for grant in restored._ctx.exchange.grants():
            assert restored._ctx.exchange.setting(recovery.unproven(grant.digest)) is None


def _away(*_: Any) -> None:
    raise RelayUnreachable("the relay is away")
