"""One thread from the question to the erasure, at a real relay."""

from company_world import CANARY, DELIVERY, LEGAL_OBLIGATION, VALUES, World


def test_whole_thread(world: World) -> None:
    """Asked, granted, redeemed, used, updated, ended: at each step both sides agree."""
    holder, shop = world.holder, world.shop
    request = world.ask()
    assert [view.state for view in shop.requests()] == ["published"]
    granted = holder.decide(request, "delivery")[0]
    report = shop.collect()
    assert (report.problems, report.decided) == ([], [request.request.id])
    view = shop.requests()[0]
    assert (view.state, view.person) == ("decided", holder.did)
    assert (view.granted, view.refused, view.link) == (("delivery",), ("newsletter",), None)
    redeemed = shop.redeem("delivery")
    assert (redeemed.seq, redeemed.ordinal, redeemed.recovered) == (1, 1, False)
    assert holder.uses(granted) == 1
    fields = granted.verified.terms.fields
    expected = {path: [VALUES[path]] for path in fields}
    assert shop.register.data(holder.did, DELIVERY) == expected
    changed = {**VALUES, "contact.telephone": "+36 1 555 9999"}
    holder.update(granted, changed)
    report = shop.collect()
    assert (report.problems, report.updated) == ([], [granted.verified.id])
    assert shop.grants()[0].update_waiting
    assert shop.redeem("delivery", person=holder.did).seq == 2
    assert shop.register.data(holder.did, DELIVERY)["contact.telephone"] == ["+36 1 555 9999"]
    assert not world.on_disk("+36 1 555 0123")
    holder.withdraw(granted, verb="end")
    report = shop.collect()
    assert (report.problems, report.ended) == ([], [granted.verified.id])
    assert report.push.sent == 1
    assert [message.message.type for message in holder.inbox(shop)] == ["ErasureAttestation"]
    assert not world.on_disk("+36 1 555 9999")
    assert world.on_disk(CANARY)  # kept for the invoice, which the request had named
    kept = shop.register.held(holder.did)
    assert {(one.path, one.basis, one.usable) for one in kept} == {
        ("contact.name", LEGAL_OBLIGATION, False),
        ("contact.address", LEGAL_OBLIGATION, False),
    }


def test_all_refused(world: World) -> None:
    """A refusal arrives as such: nothing is granted, nothing can be redeemed."""
    world.holder.decide(world.ask())
    report = world.shop.collect()
    assert report.problems == []
    view = world.shop.requests()[0]
    assert (view.granted, view.refused) == ((), ("delivery", "newsletter"))
