"""What is meant by a name."""

from datetime import timedelta
from typing import Any

import pytest
from company_world import DELIVERY, MARKETING, World, read_terms

from pds.company.errors import CompanyError, NoBasis


def _code(call: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(CompanyError) as refused:
        call(*arguments, **named)
    return refused.value.code


def test_a_grant_by_its_names(world: World) -> None:
    """Id, digest, the purpose's name, and the beginning of the id: the same grant."""
    granted = world.granted()
    (view,) = world.shop.grants()
    for name in (view.id, view.digest, "delivery", view.id[9:17], view.id[:20]):
        assert world.shop.grant(name, person=view.person) == granted.raw
    for name in ("", view.id[9:12], "urn:uuid:", "newsletter"):
        assert _code(world.shop.grant, name) == "company.not_found"
    assert _code(world.shop.grant, "delivery", person="did:key:z6Mk") == "company.not_found"
    world.granted()
    assert _code(world.shop.grant, "delivery") == "company.ambiguous"


def test_a_purpose_by_its_names(world: World) -> None:
    """An IRI, a term, a name in a request; a name of two purposes is not guessed at."""
    assert world.shop.purpose(MARKETING) == MARKETING
    assert world.shop.purpose("Marketing") == MARKETING
    assert _code(world.shop.purpose, "delivery") == "company.no_purpose"
    granted = world.granted()
    assert world.shop.purpose("delivery") == DELIVERY
    terms: Any = read_terms()
    terms["purposes"][0]["purpose"] = MARKETING
    new = world.shop.request(terms, valid_for=timedelta(days=3))
    request = world.holder.read(new.link, world.shop)
    other = world.holder.decide(request, "delivery")[0]
    world.shop.collect()
    assert {other.verified.terms.purpose, granted.verified.terms.purpose} == {MARKETING, DELIVERY}
    assert _code(world.shop.purpose, "delivery") == "company.ambiguous"


def test_a_status_list_that_cannot_be_had(world: World) -> None:
    """It is not given out old; when the relay is back, it is."""
    world.granted()
    world.wire.down = True
    with pytest.raises(Exception, match="cannot be checked now") as refused:
        world.shop.status_list("delivery")
    assert getattr(refused.value, "exit_code", None) == 4
    world.wire.down = False
    assert world.holder.list_url.encode() in world.shop.status_list("delivery")


def test_a_name_of_grants_that_are_all_over(world: World) -> None:
    """It is said that they are over, not that there are several; a new one is then meant."""
    for granted in (world.granted(), world.granted()):
        world.holder.withdraw(granted, verb="end")
    world.shop.collect()
    assert _code(world.shop.redeem, "delivery") == "company.ended"
    assert _code(world.shop.grant, "delivery") == "company.ended"
    new = world.granted()
    assert world.shop.grant("delivery") == new.raw
    world.clock.now = new.verified.terms.valid_until
    assert _code(world.shop.grant, "delivery") == "company.ended"


def test_a_person_by_what_the_company_calls_them(world: World) -> None:
    """By the words of the request, by a name that is held, by the DID: whole, begun, or a part."""
    terms: Any = read_terms() | {"audience": "Customer 4711"}
    new = world.shop.request(terms, valid_for=timedelta(days=3))
    world.holder.decide(world.holder.read(new.link, world.shop), "delivery")
    world.shop.collect()
    world.shop.redeem("delivery")
    (person,) = world.shop.people()
    assert person.did == world.holder.did
    assert person.names[0] == "Customer 4711"
    for text in (person.did, person.did[:20], person.did[8:20], "customer 4711", "4711"):
        assert world.shop.people(text) == [person], text
    for text in ("", " ", "z6M", "nobody", "did:key:"):
        assert world.shop.people(text) == [], text


def test_a_purpose_of_somebody_unknown(world: World) -> None:
    """It is the person who is not known, not the purpose."""
    world.granted()
    with pytest.raises(NoBasis) as refused:
        world.shop.purpose("delivery", person="did:key:z6MkNobody")
    assert refused.value.code == "register.no_grant"
