"""Attacks on the change of a holder's DID: stolen keys, replays, forks, and a relay in between."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from credentials.proof import add_proof
from did.json import JsonObject
from did.keys import SigningKey
from pds.company.errors import NoBasis
from pds.messages.request import VerifiedRequest
from pds.messages.succession import Change, DidChange

_WORLD = Path(__file__).parents[1] / "pds" / "company"
sys.path.insert(0, str(_WORLD))

from company_world import (  # noqa: E402
    DELIVERY,
    START,
    Granted,
    Holder,
    World,
    close,
    make_world,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = make_world(tmp_path)
    yield made
    close(made)


def codes(world: World) -> list[str]:
    return [code for code, _ in world.shop.collect().problems]


def change(old: Holder, new: Holder, *, seq: int = 1) -> JsonObject:
    """The change from one to the other, signed by both."""
    said = Change(old=old.did, new=new.did, seq=seq, at=START)
    return said.sign(old=old.key, new=new.key)


def successor(world: World, old: Holder) -> Holder:
    """The holder under new keys, in the middle of the same threads."""
    new = Holder(world.wire, world.clock)
    new.sent = dict(old.sent)
    return new


def anew(new: Holder, granted: Granted, **changes: object) -> Granted:
    """The same grant under the new DID, its package staged."""
    terms = granted.verified.terms
    made = new.grant(
        granted.request,
        terms.request_purpose,
        fields=terms.fields,
        **{
            "valid_from": terms.valid_from,
            "valid_until": terms.valid_until,
            "max_uses": terms.max_uses,
            **changes,
        },  # type: ignore[arg-type]
    )
    new.stage(made)
    return made


def tell(
    new: Holder,
    request: VerifiedRequest,
    changes: list[JsonObject],
    *grants: Granted,
    **how: object,
) -> bytes:
    """Send a DidChange in a thread."""
    given = {g.verified.terms.request_purpose for g in grants}
    refused = frozenset(p.id for p in request.request.purposes) - given
    decision = new.decision(request, list(grants), refused).to_json()
    body = DidChange(tuple(changes), decision).to_json()
    return new.send(request, "DidChange", body, **how)


def unmoved(world: World, old: Holder) -> None:
    """The shop is with the old DID still, and uses its data as before."""
    assert {view.person for view in world.shop.requests()} == {old.did}
    assert world.shop.register.data(old.did, DELIVERY)


@pytest.fixture
def granted(world: World) -> Granted:
    """Delivery, redeemed once."""
    made = world.granted("delivery")
    world.shop.redeem("delivery")
    return made


def test_a_change_by_both_keys_moves_all_at_once(world: World, granted: Granted) -> None:
    """Data, grant and thread go on under the new DID; told twice it changes nothing more."""
    old, new = world.holder, successor(world, world.holder)
    data = world.shop.register.data(old.did, DELIVERY)
    made = anew(new, granted)
    sealed = tell(new, granted.request, [change(old, new)], made)
    report = world.shop.collect()
    assert (report.problems, report.moved) == ([], [granted.request.request.id])
    assert world.shop.register.data(new.did, DELIVERY) == data
    assert world.shop.register.data(old.did, DELIVERY) == data
    assert [h.person for h in world.shop.register.held()] == [new.did] * len(data)
    reply = granted.request.request.reply
    new.client.deposit(reply.mailbox, reply.capability, sealed)
    assert codes(world) == []
    assert len(world.shop.grants()) == 2
    assert world.shop.redeem("delivery", person=old.did).ordinal == 1
    new.withdraw(made)
    assert codes(world) == []
    with pytest.raises(NoBasis) as refused:
        world.shop.register.data(old.did, DELIVERY)
    assert refused.value.code == "register.withdrawn"


def by(*keys: SigningKey) -> Callable[[Holder, Holder], JsonObject]:
    """Makes a change that these keys sign, and no others."""

    def make(old: Holder, new: Holder) -> JsonObject:
        raw = Change(old=old.did, new=new.did, seq=1, at=START).to_json()
        for key in keys or (new.key,):
            raw = add_proof(raw, key, created=START)
        return raw

    return make


def test_attack_71_stolen_new_key_alone(world: World, granted: Granted) -> None:
    """Signed by the new key only, or twice by it: whoever made it is not who the thread is with."""
    old, new = world.holder, successor(world, world.holder)
    made = anew(new, granted)
    for proofs in ((new.key,), (new.key, new.key)):
        tell(new, granted.request, [by(*proofs)(old, new)], made, advance=False)
        assert codes(world) == ["change.proof"]
    unmoved(world, old)


def test_attack_71_stolen_old_key_alone(world: World, granted: Granted) -> None:
    """Signed by the old key only: it cannot speak for a key that it does not have."""
    old, new = world.holder, successor(world, world.holder)
    made = anew(new, granted)
    tell(new, granted.request, [by(old.key)(old, new)], made, advance=False)
    assert codes(world) == ["change.proof"]
    # The message itself by the old key, with a change that both signed once.
    tell(old, granted.request, [change(old, new)], made, advance=False)
    assert codes(world) == ["change.line"]
    unmoved(world, old)


def test_attack_71_a_third_proof_or_an_unknown_one(world: World, granted: Granted) -> None:
    """Exactly two sign; a proof that cannot be checked is none."""
    old, new = world.holder, successor(world, world.holder)
    raw = change(old, new)
    proofs = raw["proof"]
    assert isinstance(proofs, list)
    unknown = {**proofs[0], "cryptosuite": "unknown-2030"}  # type: ignore[dict-item]
    for more in (
        add_proof(raw, SigningKey.generate(), created=START),
        {**raw, "proof": [*proofs, unknown]},
        {**raw, "proof": proofs[:1]},
    ):
        tell(new, granted.request, [more], anew(new, granted), advance=False)
        assert codes(world) == ["change.proof"]
    unmoved(world, old)


def test_attack_13_what_the_old_key_says_afterwards(world: World, granted: Granted) -> None:
    """After the change its grants, updates, withdrawals and answers to new requests count for
    nothing, however early they say they were made."""
    old, new = world.holder, successor(world, world.holder)
    tell(new, granted.request, [change(old, new)], anew(new, granted))
    assert codes(world) == []
    old.notify_withdrawal(granted, verb="end", skip=5)
    assert codes(world) == ["message.wrong_sender"]
    request = world.ask()
    old.decide(request, "delivery")
    assert codes(world) == ["change.superseded"]
    assert [v.state for v in world.shop.requests() if v.id == request.request.id] == ["published"]
    assert world.shop.register.data(new.did, DELIVERY)
    new.decide(request, "delivery")  # the thread is open for who came after
    assert codes(world) == []


def test_attack_13_replayed_by_a_later_thief(world: World, granted: Granted) -> None:
    """Two changes on, the key in the middle is stolen: its own change again moves nothing back."""
    first, second = world.holder, successor(world, world.holder)
    made = anew(second, granted)
    tell(second, granted.request, [change(first, second)], made)
    assert codes(world) == []
    third = successor(world, second)
    changes = [change(first, second), change(second, third, seq=2)]
    tell(third, granted.request, changes, anew(third, granted))
    assert codes(world) == []
    thief = second
    tell(thief, granted.request, [change(first, second)], made, advance=False, skip=9)
    assert codes(world) == ["change.superseded"]
    assert world.shop.requests()[0].person == third.did
    assert world.shop.register.data(first.did, DELIVERY)


def test_attack_75_two_changes_in_the_other_order(world: World, granted: Granted) -> None:
    """Each message names every change so far: the later one alone is enough, and the earlier one
    then comes too late."""
    first, second = world.holder, successor(world, world.holder)
    reply = granted.request.request.reply
    earlier_grant = anew(second, granted)
    body = DidChange(
        (change(first, second),),
        second.decision(granted.request, [earlier_grant], _others(granted)).to_json(),
    ).to_json()
    earlier = second.seal(granted.request, "DidChange", body)
    third = successor(world, second)
    changes = [change(second, third, seq=2), change(first, second)]  # a set: any order
    tell(third, granted.request, changes, anew(third, granted))
    assert codes(world) == ["message.gap"]
    third.client.deposit(reply.mailbox, reply.capability, earlier)
    assert codes(world) == ["change.superseded"]
    assert world.shop.requests()[0].person == third.did
    assert world.shop.register.data(second.did, DELIVERY)


def _others(granted: Granted) -> frozenset[str]:
    purposes = granted.request.request.purposes
    return frozenset(p.id for p in purposes) - {granted.verified.terms.request_purpose}


def test_attack_12_changes_that_form_no_line(world: World, granted: Granted) -> None:
    """One is missing, out of number, comes back, or leads elsewhere."""
    first, second = world.holder, successor(world, world.holder)
    third = successor(world, second)
    for changes in (
        [],
        [change(first, second), change(second, third, seq=3)],
        [change(first, second), change(second, first, seq=2), change(first, third, seq=3)],
        [change(first, third), change(first, third)],
    ):
        tell(third, granted.request, changes, anew(third, granted), advance=False)
        assert codes(world) == ["change.line"]
    tell(third, granted.request, [change(second, third, seq=2)], anew(third, granted))
    assert codes(world) == ["change.stranger"]
    unmoved(world, first)


def test_attack_13_a_second_successor_is_kept_as_evidence(world: World, granted: Granted) -> None:
    """A thief of the old key makes a change of his own: too late it is refused, and both are
    kept."""
    old, new = world.holder, successor(world, world.holder)
    tell(new, granted.request, [change(old, new)], anew(new, granted))
    assert codes(world) == []
    thief = successor(world, new)
    tell(thief, granted.request, [change(old, thief)], anew(thief, granted), advance=False)
    assert codes(world) == ["change.stranger"]
    # In a thread that is with the old DID still, as told by nobody yet.
    request = world.ask()
    tell(thief, request, [change(old, thief)], advance=False)
    assert codes(world) == ["change.forked"]
    kept = [p.detail for p in world.shop.problems() if p.code == "change.forked"]
    assert {"kept": change(old, new), "refused": change(old, thief)} in kept
    assert world.shop.register.data(old.did, DELIVERY)


def test_attack_10_from_the_did_of_another_person(world: World, granted: Granted) -> None:
    """A change that another person made does not move this one's thread."""
    other = Holder(world.wire, world.clock)
    theirs = world.ask()
    other.decide(theirs, "delivery")
    assert codes(world) == []
    new = successor(world, other)
    tell(new, granted.request, [change(other, new)], anew(new, granted), advance=False)
    assert codes(world) == ["change.stranger"]
    assert world.shop.register.data(world.holder.did, DELIVERY)


WIDER = [
    ({"max_uses": 11}, "change.terms"),
    ({"valid_until": START + timedelta(days=20)}, "change.terms"),
    ({"retention_days": 1}, "change.terms"),
]


@pytest.mark.parametrize(("changes", "code"), WIDER)
def test_attack_32_a_change_is_no_new_grant(
    world: World, changes: dict[str, object], code: str
) -> None:
    """Not a use, not a day, not a field may differ from the grant in whose place it stands."""
    granted = world.granted("delivery", max_uses=10)
    world.shop.redeem("delivery")
    old, new = world.holder, successor(world, world.holder)
    tell(new, granted.request, [change(old, new)], anew(new, granted, **changes), advance=False)
    assert codes(world) == [code]
    unmoved(world, old)


def test_attack_32_a_change_grants_nothing_that_was_refused(world: World, granted: Granted) -> None:
    """A purpose that was refused stays so."""
    old, new = world.holder, successor(world, world.holder)
    letter = new.grant(granted.request, "newsletter")
    new.stage(letter)
    tell(new, granted.request, [change(old, new)], anew(new, granted), letter, advance=False)
    assert codes(world) == ["change.wider"]
    unmoved(world, old)


def test_attack_79_a_change_does_not_change_the_relay(world: World, granted: Granted) -> None:
    """The log key that was pinned at first stays the one that counts."""
    old, new = world.holder, successor(world, world.holder)
    new.info = replace(new.info, log_key=SigningKey.generate().verify_key)
    tell(new, granted.request, [change(old, new)], anew(new, granted), advance=False)
    assert codes(world) == ["change.relay"]
    unmoved(world, old)


def test_attack_68_a_change_does_not_undo_a_withdrawal(world: World, granted: Granted) -> None:
    """What had ended stays ended under the new DID."""
    old, new = world.holder, successor(world, world.holder)
    old.withdraw(granted, verb="end")
    assert codes(world) == []
    new.sent = dict(old.sent)
    tell(new, granted.request, [change(old, new)], anew(new, granted))
    assert codes(world) == ["change.ended"]
    for person in (old.did, new.did):
        with pytest.raises(NoBasis) as refused:
            world.shop.register.data(person, DELIVERY)
        assert refused.value.code == "register.withdrawn"


def test_attack_68_a_grant_left_out_of_the_change_is_over(world: World, granted: Granted) -> None:
    """The old DID counts for nothing, so neither does a grant by it that nothing stands for."""
    old, new = world.holder, successor(world, world.holder)
    tell(new, granted.request, [change(old, new)])
    report = world.shop.collect()
    assert report.ended == [granted.verified.id]
    with pytest.raises(NoBasis):
        world.shop.register.data(new.did, DELIVERY)


def test_attack_75_the_change_is_dropped_by_the_relay(world: World, granted: Granted) -> None:
    """What follows it is of a stranger then, and the closed list ends the old grant: it fails on
    the side of the person. The next change names both, and the person is known again."""
    old, new = world.holder, successor(world, world.holder)
    made = anew(new, granted)
    new.sent[granted.request.request.id] = (2, "uEi" + "A" * 43 + "A")
    new.notify_withdrawal(made, verb="end", advance=False, skip=1)
    assert codes(world) == ["message.wrong_sender"]
    unmoved(world, old)
    old.revoke(granted)
    assert world.shop.collect().ended == [granted.verified.id]
    with pytest.raises(NoBasis):
        world.shop.register.data(old.did, DELIVERY)


def test_attack_75_the_list_is_seen_before_the_change(world: World, granted: Granted) -> None:
    """The old list is closed and the change lies unread: whoever asks the register reads it first,
    and nothing is erased."""
    old, new = world.holder, successor(world, world.holder)
    data = world.shop.register.data(old.did, DELIVERY)
    tell(new, granted.request, [change(old, new)], anew(new, granted))
    old.revoke(granted)
    world.clock.move(hours=25)  # the stamp of the list that is kept is over
    new.publish_status()
    assert world.shop.register.data(old.did, DELIVERY) == data
    assert world.shop.register.data(new.did, DELIVERY) == data
    assert world.shop.events()[-1].kind != "erased"


def test_attack_75_the_decision_comes_after_the_change(world: World, granted: Granted) -> None:
    """A second thread was decided under the old DID, and the shop learns of the change in the first
    one before it reads that: the decision is refused, and the change in that thread is one."""
    old, new = world.holder, successor(world, world.holder)
    tell(new, granted.request, [change(old, new)], anew(new, granted))
    second = world.ask()
    theirs = old.decide(second, "delivery")[0]
    new.sent[second.request.id] = old.sent[second.request.id]
    tell(new, second, [change(old, new)], anew(new, theirs))
    report = world.shop.collect()
    assert {code for code, _ in report.problems} <= {"change.superseded", "message.gap"}
    assert report.decided == [second.request.id]
    persons = {view.person for view in world.shop.requests()}
    assert persons == {new.did}
