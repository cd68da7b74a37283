"""Requests: made, stored before they are sent, published until it is done."""

from datetime import timedelta

import pytest
from company_world import DEMO_TERMS, SHOP, URL, World, make_shop, read_terms

from did.json import JsonObject
from pds.company.client import Company
from pds.company.errors import CompanyError
from pds.errors import PdsError
from pds.links import RequestLink
from pds.messages.errors import MessageError

DAYS = timedelta(days=14)


def test_two_requests_share_nothing(world: World) -> None:
    """Mailbox, keys and capability are made for one request alone, so the relay cannot join."""
    one, other = world.ask().request, world.ask().request
    assert one.redemption_key != other.redemption_key
    assert one.sealing_key.id != other.sealing_key.id
    assert one.reply.sealing_key.id not in (one.sealing_key.id, other.reply.sealing_key.id)
    assert one.reply.mailbox != other.reply.mailbox
    assert one.reply.capability != other.reply.capability


def test_relay_cannot_read_the_request(world: World) -> None:
    """What lies at the relay holds neither the company's name nor the link's secret."""
    new = world.shop.request(read_terms(), valid_for=DAYS)
    locked = world.holder.client.request(new.link.id)
    assert SHOP.encode() not in locked
    assert new.link.secret not in locked
    assert str(new.link).partition("#")[2] not in repr(new)


def test_request_survives_a_relay_that_is_away(world: World) -> None:
    """It is stored first, so it can be published when the relay is back; the link is the same."""
    world.wire.down = True
    new = world.shop.request(read_terms(), valid_for=DAYS)
    assert not new.published
    assert world.shop.requests()[0].problem == "relay.unreachable"
    world.wire.down = False
    world.reopen()
    assert world.shop.publish_pending() == []
    assert world.shop.requests()[0].state == "published"
    link = RequestLink.parse(world.shop.requests()[0].link or "")
    assert world.holder.read(link, world.shop).request.id == new.id


@pytest.mark.parametrize(
    "path", ["/v1/mailboxes/", "/v1/mailboxes/{}/capabilities", "/v1/requests/"]
)
def test_publishing_can_be_repeated_from_any_step(world: World, path: str) -> None:
    """An answer lost at any step of publishing changes nothing: the step is done once more."""
    where = "/v1/requests/" if "requests" in path else "/v1/mailboxes/"
    cut = ("PUT", where)
    if "capabilities" in path:  # the second PUT below the mailbox
        world.wire.after.append(cut)
        world.shop.request(read_terms(), valid_for=DAYS)
    world.wire.after.append(cut)
    if "capabilities" in path:
        assert world.shop.publish_pending() != []
    else:
        world.shop.request(read_terms(), valid_for=DAYS)
    assert world.shop.requests()[0].state == "pending"
    assert world.shop.collect().problems == []
    assert world.shop.requests()[0].state == "published"


@pytest.mark.parametrize("days", [0, -1, 91])
def test_time_is_bounded(world: World, days: int) -> None:
    """A request is open for more than no time and at most 90 days."""
    with pytest.raises(CompanyError) as refused:
        world.shop.request(read_terms(), valid_for=timedelta(days=days))
    assert refused.value.code == "company.valid_for"


def test_terms_are_checked_before_anything_is_stored(world: World) -> None:
    """What a vault would refuse is refused here: an unknown property, an item without a reason."""
    bad: list[JsonObject] = [read_terms() | {"why": "not"}, {"purposes": []}]
    for terms in bad:
        with pytest.raises(MessageError):
            world.shop.request(terms, valid_for=DAYS)
    assert world.shop.requests() == []


def test_terms_of_the_demonstration_are_sound(world: World) -> None:
    """A holder can read them, answer them, and the shop takes the answer."""
    request = world.ask(read_terms(DEMO_TERMS))
    world.holder.decide(request)
    assert world.shop.collect().problems == []


def test_terms_cannot_speak_for_the_company(world: World) -> None:
    """Terms name no controller, keys or reply address: the company's own are put in."""
    terms = read_terms() | {"controller": {"id": "did:web:other.example"}, "audience": "c 4711"}
    request = world.ask(terms).request
    assert (request.controller.id, request.audience) == (SHOP, "c 4711")


def test_unanswered_thread_is_closed(world: World) -> None:
    """A request that nobody answered is forgotten: mailbox, link and keys go."""
    world.ask()
    world.clock.move(days=14 + 31)
    assert world.shop.collect().problems == []
    view = world.shop.requests()[0]
    assert (view.state, view.link) == ("closed", None)


def test_folder_holds_one_company(world: World) -> None:
    """Neither is one overwritten, nor is one found where there is none."""
    with pytest.raises(CompanyError) as refused:
        make_shop(world.folder, world.clock, world.wire)
    assert refused.value.code == "company.exists"
    with pytest.raises(CompanyError) as refused:
        Company.open(world.folder / "nowhere")
    assert refused.value.code == "company.missing"


@pytest.mark.parametrize("did", ["did:key:z6Mk", "did:web:10.0.0.1", "shop.example", "did:web:"])
def test_company_has_a_domain(world: World, did: str) -> None:
    """Only a did:web of a name is taken."""
    with pytest.raises(CompanyError) as refused:
        make_shop(world.folder.parent / "other", world.clock, world.wire, did=did)
    assert refused.value.code == "company.did"


def test_database_is_for_its_owner(world: World) -> None:
    """The folder and the file are closed to others: they hold keys and personal data."""
    assert world.folder.stat().st_mode & 0o777 == 0o700
    assert (world.folder / "company.db").stat().st_mode & 0o777 == 0o600


def test_real_transport_refuses_the_unreachable(world: World) -> None:
    """Without a transport of the caller's the network's rules hold, and nothing hangs."""
    with Company.create(
        world.folder.parent / "networked",
        did=SHOP,
        name="Shop",
        address="Budapest",
        contact="mailto:info@shop.example",
        data_protection_contact="mailto:privacy@shop.example",
        relay="http://127.0.0.1:9",
        sandbox=False,
        dev_trust=["shop.example=127.0.0.1:8443,ca.pem"],
        clock=world.clock,
    ) as shop:
        assert not shop.request(read_terms(), valid_for=DAYS).published
    with pytest.raises(PdsError):
        Company.create(
            world.folder.parent / "bad",
            did=SHOP,
            name="Shop",
            address="Budapest",
            contact="mailto:info@shop.example",
            data_protection_contact="mailto:privacy@shop.example",
            relay=URL,
            sandbox=False,
            dev_trust=["nonsense"],
        )
    assert not (world.folder.parent / "bad").exists()
