"""The register fails closed: data comes out under a grant that is proven live, and only then."""

from datetime import timedelta

import pytest
from company_world import (
    DELIVERY,
    DIRECT_MARKETING,
    MARKETING,
    START,
    VALUES,
    Holder,
    World,
)

from pds.company.errors import NoBasis


def refusal(world: World, purpose: str = DELIVERY, person: str | None = None) -> str:
    with pytest.raises(NoBasis) as refused:
        world.shop.register.data(person or world.holder.did, purpose)
    return refused.value.code


def test_no_grant_and_other_purpose(world: World) -> None:
    """A stranger's data is not here; a customer's is not for every purpose."""
    assert refusal(world) == "register.no_grant"
    world.granted()
    world.shop.redeem("delivery")
    assert refusal(world, MARKETING) == "register.purpose"
    assert refusal(world, person=Holder(world.wire, world.clock).did) == "register.no_grant"


def test_narrower_grant_serves_the_broader_purpose_only(world: World) -> None:
    """A grant for direct marketing is one for marketing; one for delivery is neither."""
    world.granted("newsletter")
    world.shop.redeem("newsletter")
    expected = {path: [VALUES[path]] for path in ("contact.email", "contact.name")}
    assert world.shop.register.data(world.holder.did, MARKETING) == expected
    assert world.shop.register.data(world.holder.did, DIRECT_MARKETING) == expected
    assert refusal(world) == "register.purpose"


def test_only_what_this_purpose_covers(world: World) -> None:
    """Two grants of one person are not mixed: the e-mail address is not for delivery."""
    world.holder.decide(world.ask(), "delivery", "newsletter")
    world.shop.collect()
    world.shop.redeem("delivery")
    world.shop.redeem("newsletter")
    assert "contact.email" not in world.shop.register.data(world.holder.did, DELIVERY)
    assert "contact.address" not in world.shop.register.data(world.holder.did, MARKETING)


def test_expired(world: World) -> None:
    """At the end of the window use ends exactly, also without any round in between."""
    granted = world.granted()
    world.shop.redeem("delivery")
    until = granted.verified.terms.valid_until
    world.clock.now = until - timedelta(seconds=1)
    world.holder.publish_status()
    assert world.shop.register.data(world.holder.did, DELIVERY) != {}
    world.clock.now = until
    assert refusal(world) == "register.expired"
    world.shop.expire()
    assert refusal(world) == "register.expired"


def test_clock_set_back_revives_nothing(world: World) -> None:
    """What was once ended by time stays ended."""
    granted = world.granted()
    world.shop.redeem("delivery")
    world.clock.now = granted.verified.terms.valid_until
    world.shop.expire()
    world.clock.now = START
    assert refusal(world) == "register.expired"


def test_not_yet_valid(world: World) -> None:
    """A grant that begins tomorrow serves nothing today."""
    start = world.clock() + timedelta(days=1)
    world.granted(valid_from=start, valid_until=start + timedelta(days=5))
    assert refusal(world) == "register.not_yet_valid"
    assert world.shop.grants()[0].state == "not yet"


def test_stamp_is_refreshed(world: World) -> None:
    """Within a day the kept list serves without the relay; after it a new one is fetched."""
    world.granted()
    world.shop.redeem("delivery")
    world.wire.calls.clear()
    world.shop.register.data(world.holder.did, DELIVERY)
    assert world.wire.calls == []
    world.clock.move(hours=25)
    world.shop.register.data(world.holder.did, DELIVERY)
    assert [path for _, path in world.wire.calls] == [f"/v1/status/{world.holder.list_id}"]


def test_stale_status_means_no(world: World) -> None:
    """Without a fresh stamp nothing is handed out, and trying again later is the advice."""
    world.granted()
    world.shop.redeem("delivery")
    world.clock.move(hours=25)
    world.wire.down = True
    with pytest.raises(NoBasis) as refused:
        world.shop.register.data(world.holder.did, DELIVERY)
    assert (refused.value.code, refused.value.exit_code) == ("register.status_stale", 4)
    world.wire.down = False
    assert world.shop.register.data(world.holder.did, DELIVERY) != {}


def test_list_that_is_over_means_no(world: World) -> None:
    """A holder who renews no more is not taken to agree."""
    world.granted()
    world.shop.redeem("delivery")
    world.clock.move(days=36)
    assert refusal(world) == "register.status_stale"


def test_withdrawal_shows_without_a_notice(world: World) -> None:
    """The list alone ends the grant: the values are erased when it is seen."""
    granted = world.granted()
    world.shop.redeem("delivery")
    world.holder.revoke(granted)
    world.clock.move(hours=25)
    assert refusal(world) == "register.withdrawn"
    paths = {one.path for one in world.shop.register.held()}
    assert paths == {"contact.name", "contact.address"}  # for the invoice
    assert world.shop.collect().push.sent == 1


def test_one_live_grant_is_enough(world: World) -> None:
    """A withdrawn grant beside a live one of the same purpose does no harm, and gives nothing."""
    first, second = world.granted(), world.granted()
    world.shop.redeem(first.verified.id)
    world.shop.redeem(second.verified.id)
    world.holder.withdraw(first, verb="end")
    world.shop.collect()
    assert world.shop.register.data(world.holder.did, DELIVERY)["contact.telephone"] == [
        VALUES["contact.telephone"]
    ]
    world.holder.withdraw(second, verb="end")
    world.shop.collect()
    assert refusal(world) == "register.withdrawn"


def test_held_names_the_basis_of_every_value(world: World) -> None:
    """Basis, purpose, grant, since and until stand beside each value."""
    granted = world.granted()
    assert world.shop.register.held(world.holder.did) == []
    world.shop.redeem("delivery")
    held = world.shop.register.held(world.holder.did)
    assert {one.path for one in held} == set(granted.verified.terms.fields)
    one = held[0]
    assert (one.basis, one.purpose) == (granted.verified.terms.basis, DELIVERY)
    assert (one.grant, one.since, one.usable) == (granted.verified.id, START, True)
    assert one.until == granted.verified.terms.valid_until + timedelta(days=30)
    assert world.shop.register.held("did:key:z6MkNobody") == []
