"""What an import brings, against what is shared: days on which it holds, and withdrawals."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from pds.vault import staging
from pds.vault.agent import one_round
from pds.vault.consent import Accept, Refuse
from pds.vault.context import Context
from pds.vault.records import Validity, bulk
from pds.vault.service import ShownRequest, Vault

from .conftest import PASSPHRASE, QUICK, Holder

ANSWERS = {
    "delivery": Accept(follows_changes=True),
    "personalisation": Accept(follows_changes=True),
    "marketing": Refuse(),
}
TOMORROW = timedelta(days=1)


def archive(folder: Path, *, start: date | None, end: date | None) -> Path:
    """An archive of ours with one interest that holds between two days."""
    Vault.create(folder / "other", passphrase=PASSPHRASE, params=QUICK)
    with Vault.open(folder / "other", passphrase=PASSPHRASE) as other:
        other.add("interests", {"name": "gliding"}, validity=Validity(start, end))
        other.export(folder / "other.zip")
    return folder / "other.zip"


def shared(vault: Vault) -> str:
    """What the grants that live now cover at this moment."""
    ctx = vault._ctx
    return str(
        [staging.items_for(ctx, grant.terms.fields) for _, grant in staging.live_grants(ctx)]
    )


def today() -> date:
    return datetime.now(UTC).date()


@pytest.fixture
def decided(holder: Holder, asked: ShownRequest) -> Holder:
    with holder.open() as vault:
        vault.decide(asked.request.id, ANSWERS)
        assert vault.push().complete
    return holder


def test_attack_96_what_holds_from_tomorrow_is_not_shared_today(
    decided: Holder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An imported item that begins to hold tomorrow goes into no package today; tomorrow's round of
    the agent shares it, and the one after that has nothing to do."""
    start = today() + TOMORROW
    file = archive(tmp_path, start=start, end=None)
    with decided.open() as vault:
        assert vault.import_export(file).added == 1
        assert "gliding" not in shared(vault)
        assert vault.sync().restaged == 0
    # A day goes by for the vault; the relay's clock is not asked, and it cannot be reached.
    monkeypatch.setattr(Context, "compare_clocks", lambda self, theirs: None)
    later = datetime(start.year, start.month, start.day, 0, 0, 1, tzinfo=UTC)
    with decided.open(clock=lambda: later) as vault:
        assert "gliding" in shared(vault)
    assert one_round(lambda: decided.open(clock=lambda: later)).report.restaged == 1
    assert one_round(lambda: decided.open(clock=lambda: later)).report.restaged == 0


def test_attack_96_what_held_until_yesterday_is_not_shared(decided: Holder, tmp_path: Path) -> None:
    """An imported item that is over is kept and shared with nobody."""
    file = archive(tmp_path, start=None, end=today() - TOMORROW)
    with decided.open() as vault:
        assert vault.import_export(file).added == 1
        assert "gliding" not in shared(vault)
        assert vault.sync().restaged == 0


def withdraw_all(holder: Holder) -> None:
    with holder.open() as other:
        for share in other.sharing():
            if share.state == "active":
                other.withdraw(share.grant)


def test_attack_97_a_withdrawal_during_an_import_wins(
    decided: Holder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program withdraws between two slices: the import goes on, and nothing of it is
    staged for the company."""
    monkeypatch.setattr(bulk, "AT_ONCE", 5)
    file = tmp_path / "me.vcf"
    file.write_text(
        "BEGIN:VCARD\nVERSION:4.0\nFN:Me\n"
        + "".join(f"INTEREST:thing {n}\n" for n in range(30))
        + "END:VCARD\n"
    )
    with decided.open() as vault:
        staged = len(vault._ctx.exchange.jobs())
        plan = vault.plan_import(file, about="self")
        read = plan.read

        def reading(findings: Any) -> None:
            passed, seen = findings._take, []

            def counting(draft: Any) -> None:
                seen.append(draft)
                if len(seen) == 12:
                    withdraw_all(decided)
                passed(draft)

            findings._take = counting
            read(findings)

        assert vault.import_plan(replace(plan, read=reading)).added > 12
        assert vault.restage() == 0
        assert vault.sync().restaged == 0
        assert [j for j in vault._ctx.exchange.jobs() if j.kind == "package"] == []
        assert len(vault._ctx.exchange.jobs()) == staged
        assert {share.state for share in vault.sharing()} <= {"ended", "withdrawn"}


def test_attack_97_a_withdrawal_while_a_package_is_made_wins(
    decided: Holder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another program withdraws after the items were read and before they are staged."""
    with decided.open() as vault:
        vault.add("interests", {"name": "gliding"})
        items, calls = staging.items_for, []

        def slowly(ctx: Context, fields: frozenset[str]) -> Any:
            found = items(ctx, fields)
            if not calls:
                calls.append(1)
                withdraw_all(decided)
            return found

        monkeypatch.setattr(staging, "items_for", slowly)
        assert vault.restage() == 0
        assert calls
        assert [j for j in vault._ctx.exchange.jobs() if j.kind == "package"] == []
