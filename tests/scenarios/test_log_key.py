"""The log of a relay gets another key, and everybody who knows it goes on, over real HTTP."""

from collections.abc import Callable
from pathlib import Path

from pds.relay.rotation import rotate_log_key
from pds.vault.consent import Accept, Refuse

from .conftest import Server, free_port, make_holder, make_shop, start_relay

ANSWER = {
    "delivery": Accept(follows_changes=True),
    "personalisation": Accept(max_uses=9),
    "marketing": Refuse(),
}


def test_everybody_goes_on(start: Callable[..., Server], tmp_path: Path) -> None:
    """Vault and company take up two changes of the key by themselves, and say so."""
    url, data = f"http://127.0.0.1:{free_port()}", tmp_path / "relay"
    server = start_relay(start, data, url)
    shop = make_shop(start, tmp_path / "shop", url)
    holder = make_holder(tmp_path / "vault", url, shop)
    with holder.open() as vault:
        vault.decide(vault.open_link(shop.ask()).request.id, ANSWER)
        assert vault.push().complete
        assert vault.sync().problems == []
    with shop.open() as company:
        company.collect()
        assert company.redeem("personalisation").logged

    for changes in (1, 2):
        server.stop()
        made = rotate_log_key(data)
        server = start_relay(start, data, url)
        with shop.open() as company:  # before the vault has met the relay again
            assert company.redeem("personalisation").logged
            assert company.problems() == []
        with holder.open() as vault:
            assert vault.sync().problems == []
            home, known = vault.relay_keys()
            assert (home.log_key, len(known)) == (made.new, changes)
            assert [line.kind for line in vault.activity()].count("relay key") == changes
            assert vault.evidence() == []

    # What is begun under the new key goes on beside what was begun under the old one.
    with holder.open() as vault:
        vault.withdraw("delivery")
        vault.decide(vault.open_link(shop.ask()).request.id, ANSWER)
        new = next(
            row.grant
            for row in vault.sharing()
            if row.purpose == "delivery" and row.state != "ended"
        )
        assert vault.push().complete
        assert vault.sync().problems == []
    with shop.open() as company:
        company.collect()
        assert company.redeem(new).logged
        assert company.problems() == []
    with holder.open() as vault:
        report = vault.sync()
        assert (report.problems, report.redemptions) == ([], 1)
    server.stop()
