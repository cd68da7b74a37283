"""A relay that came back from an old backup: nothing is used twice, and its owners notice."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pds.mailbox import RelayError
from pds.relay.restore import mark_restored
from pds.vault.consent import Accept, Refuse
from scripts.ports import free_port

from .conftest import Server, make_holder, make_shop, start_relay


def test_attack_69_a_relay_restored_from_an_old_backup(
    start: Callable[..., Server], tmp_path: Path
) -> None:
    """Counted tickets are suspended until their owner has staged again; the new log is shown."""
    url, data = f"http://127.0.0.1:{free_port()}", tmp_path / "relay"
    server = start_relay(start, data, url)
    shop = make_shop(start, tmp_path / "shop", url)
    holder = make_holder(tmp_path / "vault", url, shop)
    with holder.open() as vault:
        shown = vault.open_link(shop.ask())
        vault.decide(
            shown.request.id,
            {
                "delivery": Accept(),
                "personalisation": Accept(max_uses=2),
                "marketing": Refuse(),
            },
        )
        assert vault.push().complete
    server.stop()
    shutil.copytree(data, tmp_path / "copy")
    server = start_relay(start, data, url)
    with shop.open() as company:
        company.collect()
        company.redeem("personalisation")
        company.redeem("personalisation")
    with holder.open() as vault:
        assert vault.sync().problems == []
        vault.withdraw("delivery")
    server.stop()

    shutil.rmtree(data)
    shutil.copytree(tmp_path / "copy", data)
    mark_restored(data)
    server = start_relay(start, data, url)
    with shop.open() as company:
        with pytest.raises(RelayError) as refused:
            company.redeem("personalisation")
        assert refused.value.code == "relay.suspended"
    with holder.open() as vault:
        first = vault.sync()
        assert ("relay.new_log", url) in first.problems
        assert first.restaged == 1
        assert first.push.complete
        states = {s.purpose: s.state for s in vault.sharing()}
        assert states == {"delivery": "ended", "personalisation": "used up"}
    with shop.open() as company:
        with pytest.raises(RelayError) as refused:  # its owner said how often it had been used
            company.redeem("personalisation")
        assert refused.value.code == "relay.used_up"
    server.stop()
