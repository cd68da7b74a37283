"""Taking a request back."""

import pytest
from company_world import World

from pds.company.errors import CompanyError
from pds.links import RequestLink
from pds.mailbox import RelayError, RelayUnreachable


def _refused(world: World, name: str) -> str:
    with pytest.raises(CompanyError) as refused:
        world.shop.cancel(name)
    assert refused.value.hint or refused.value.code == "company.ended"
    return refused.value.code


def test_a_link_that_was_taken_back_leads_nowhere(world: World) -> None:
    """Nothing lies at the relay, the keys are gone, and an answer has no way in."""
    request = world.ask()
    view = world.shop.requests()[0]
    link = RequestLink.parse(view.link or "")
    assert world.shop.cancel(view.id)
    with pytest.raises(RelayError):
        world.holder.read(link, world.shop)
    with pytest.raises(RelayError):
        world.holder.decide(request, "delivery")
    view = world.shop.requests()[0]
    assert (view.state, view.link) == ("closed", None)
    assert world.shop.collect().problems == []
    assert _refused(world, view.id) == "company.ended"


def test_a_request_is_named_by_its_beginning(world: World) -> None:
    """With or without ``urn:uuid:``; too little, or of no request, is refused."""
    world.ask()
    request = world.shop.requests()[0].id
    for name in ("", "urn:uuid:", request[:11], "0000", "nothing"):
        assert _refused(world, name) == "company.not_found"
    assert world.shop.cancel(request.removeprefix("urn:uuid:")[:8])


def test_an_answer_that_came_first_counts(world: World) -> None:
    """Whether it was collected before or not: nobody's decision is lost."""
    world.holder.decide(world.ask(), "delivery")
    request = world.shop.requests()[0].id
    assert _refused(world, request) == "company.answered"
    assert [grant.purpose_id for grant in world.shop.grants()] == ["delivery"]
    assert _refused(world, request) == "company.answered"
    assert world.shop.collect().problems == []


def test_a_relay_that_is_away(world: World) -> None:
    """A published request stays as it was, to be taken back later; one that was never published
    never will be."""
    world.ask()
    published = world.shop.requests()[0].id
    world.wire.down = True
    with pytest.raises(RelayUnreachable):
        world.shop.cancel(published)
    assert world.shop.requests()[0].state == "published"
    pending = _ask_unheard(world)
    assert not world.shop.cancel(pending)
    world.wire.down = False
    assert world.shop.collect().problems == []
    states = {view.id: (view.state, view.problem) for view in world.shop.requests()}
    assert states[pending] == ("pending", "company.cancelled")
    assert world.shop.cancel(pending)
    assert world.shop.cancel(published)
    assert {view.state for view in world.shop.requests()} == {"closed"}


def _ask_unheard(world: World) -> str:
    with pytest.raises(RelayUnreachable):
        world.ask()
    (pending,) = [view.id for view in world.shop.requests() if view.state == "pending"]
    return pending


def test_a_link_is_taken_back_from_any_step(world: World) -> None:
    """Calls that break off leave something that can be taken back again."""
    for cut in ("/v1/requests/", "/v1/mailboxes/"):
        world.ask()
        (request,) = [view.id for view in world.shop.requests() if view.state == "published"]
        world.wire.after.append(("DELETE", cut))
        with pytest.raises(RelayUnreachable):
            world.shop.cancel(request)
        assert world.shop.cancel(request)
    assert {view.state for view in world.shop.requests()} == {"closed"}
