"""Whether the relay takes the company, asked before anything depends on it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from company_world import URL, Clock, Wire, read_terms

from pds.company.client import Company
from pds.company.errors import CompanyError
from pds.errors import PdsError
from pds.mailbox import RelayUnreachable
from pds.relay.app import create_app

TOKEN = "a-registration-token"


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Wire]:
    """The way to a relay that wants a token."""
    app = create_app(tmp_path / "relay", url=URL, clock=Clock(), registration="token", token=TOKEN)
    yield Wire(app)
    app.extensions["relay"].store.close()


def make(folder: Path, wire: Wire, token: str | None, away: list[RelayUnreachable]) -> Company:
    return Company.create(
        folder,
        did="did:web:shop.example",
        name="Shop Kft.",
        address="1011 Budapest, Fő utca 1.",
        contact="mailto:info@shop.example",
        data_protection_contact="mailto:privacy@shop.example",
        relay=URL,
        relay_token=token,
        sandbox=True,
        clock=Clock(),
        transport=wire,
        on_relay_away=away.append,
    )


@pytest.mark.parametrize("token", [None, "another"])
def test_a_relay_that_wants_another_token(tmp_path: Path, wire: Wire, token: str | None) -> None:
    """It is said at once what is wanted, and nothing is made."""
    with pytest.raises(CompanyError) as refused:
        make(tmp_path / "shop", wire, token, [])
    assert refused.value.code == "relay.token"
    assert "--token-file" in refused.value.hint
    assert not (tmp_path / "shop").exists()


def test_a_relay_that_takes_the_token(tmp_path: Path, wire: Wire) -> None:
    """The company is made, and can ask."""
    away: list[RelayUnreachable] = []
    with make(tmp_path / "shop", wire, TOKEN, away) as shop:
        assert shop.request(read_terms(), valid_for=timedelta(days=3)).published
        assert shop.check_relay() == "token"
    assert away == []


def test_a_relay_that_is_away_is_asked_later(tmp_path: Path, wire: Wire) -> None:
    """The company is made; the token can be given when the relay is there."""
    wire.down = True
    away: list[RelayUnreachable] = []
    with make(tmp_path / "shop", wire, None, away) as shop:
        assert [error.code for error in away] == ["relay.unreachable"]
        with pytest.raises(RelayUnreachable):
            shop.check_relay(TOKEN)
        wire.down = False
        new = shop.request(read_terms(), valid_for=timedelta(days=3))
        assert (new.published, new.problem) == (False, "relay.token")
        for token in (None, "another"):
            with pytest.raises(PdsError) as refused:
                shop.check_relay(token)
            assert refused.value.code == "relay.token"
        assert shop.check_relay(TOKEN) == "token"
        assert shop.publish_pending() == []
    with Company.open(tmp_path / "shop", clock=Clock(), transport=wire) as shop:
        assert shop.check_relay() == "token"
