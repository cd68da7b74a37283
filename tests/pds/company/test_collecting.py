"""Answers and notices: what is taken in, what is dropped, and that nothing is lost between."""

from typing import Any

import pytest
from company_world import DELIVERY, Holder, World

from did.keys import SigningKey
from did.multikey import multihash_sha256
from pds.company.errors import NoBasis


def codes(world: World) -> list[str]:
    return [problem.code for problem in world.shop.problems()]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"company": "did:web:other.example"}, "decision.credential"),
        ({"purpose": "https://w3id.org/dpv#Marketing"}, "decision.purpose"),
        ({"basis": "https://w3id.org/dpv/legal/eu/gdpr#A6-1-a"}, "decision.basis"),
        ({"fields": frozenset({"contact.name"})}, "decision.fields"),
        ({"max_uses": 13}, "decision.limits"),
        ({"retention_days": 31}, "decision.retention"),
        ({"sandbox": False}, "decision.sandbox"),
        ({"ticket": {"max_uses": 11}}, "decision.ticket"),
        ({"ticket": {"redemption_key_did": SigningKey.generate().did}}, "decision.ticket"),
        ({"ticket": {"grant_digest": multihash_sha256(b"another")}}, "decision.ticket"),
    ],
)
def test_bad_decision_is_dropped(world: World, changes: dict[str, Any], code: str) -> None:
    """A decision that says something else than was asked decides nothing; a good one still can."""
    holder, request = world.holder, world.ask()
    granted = holder.grant(request, "delivery", **changes)
    body = holder.decision(request, [granted], frozenset({"newsletter"})).to_json()
    holder.send(request, "Decision", body, advance=False)
    assert world.shop.collect().problems == [(code, request.request.id)]
    assert codes(world) == [code]
    assert world.shop.grants() == []
    holder.decide(request, "delivery")
    assert world.shop.collect().problems == []
    assert len(world.shop.grants()) == 1


def test_decision_needs_its_status_list_at_its_relay(world: World) -> None:
    """A list elsewhere could not be checked before use, so the decision is not taken."""
    holder, request = world.holder, world.ask()
    real, holder.__class__ = holder.list_url, _Elsewhere
    granted = holder.grant(request, "delivery")
    holder.__class__ = Holder
    assert not str(granted.verified.status.list_url).startswith(real)
    body = holder.decision(request, [granted], frozenset({"newsletter"})).to_json()
    holder.send(request, "Decision", body)
    assert world.shop.collect().problems == [("company.status_elsewhere", request.request.id)]


class _Elsewhere(Holder):
    @property
    def list_url(self) -> str:
        return f"https://other.example/v1/status/{self.list_id}"


def test_incomplete_decision(world: World) -> None:
    """Every purpose is answered, each once."""
    holder, request = world.holder, world.ask()
    granted = holder.grant(request, "delivery")
    holder.send(request, "Decision", holder.decision(request, [granted]).to_json())
    assert [code for code, _ in world.shop.collect().problems] == ["decision.incomplete"]


def test_rubbish_does_not_stop_the_round(world: World) -> None:
    """Octets that are nothing are noted by their digest, dropped at the relay, and passed over."""
    holder, request = world.holder, world.ask()
    reply = request.request.reply
    holder.client.deposit(reply.mailbox, reply.capability, b"rubbish")
    holder.decide(request, "delivery")
    report = world.shop.collect()
    assert report.problems == [("sealing.cannot_open", request.request.id)]
    assert report.decided == [request.request.id]
    detail = world.shop.problems()[0].detail
    assert detail == {"sha256": multihash_sha256(b"rubbish"), "size": 7}
    assert world.shop.collect().problems == []


def test_second_holder_cannot_take_a_thread_over(world: World) -> None:
    """Once decided, only the holder who decided is heard; not even with the capability."""
    granted = world.granted()
    other = Holder(world.wire, world.clock)
    body = other.decision(granted.request, [other.grant(granted.request, "delivery")]).to_json()
    other.send(granted.request, "Decision", body)
    report = world.shop.collect()
    assert [code for code, _ in report.problems] == ["message.wrong_sender"]
    assert len(world.shop.grants()) == 1


def test_other_holder_cannot_withdraw(world: World) -> None:
    """A notice in another thread of the shop does not reach this grant."""
    granted = world.granted()
    other = Holder(world.wire, world.clock)
    theirs = other.decide(world.ask(), "delivery")[0]
    world.shop.collect()
    theirs.verified, mine = granted.verified, theirs.verified
    other.notify_withdrawal(theirs, multihash_sha256(b"list"), verb="end")
    assert [code for code, _ in world.shop.collect().problems] == ["message.unexpected"]
    assert all(grant.state == "live" for grant in world.shop.grants())
    # The message was theirs and in order, so the next one still follows.
    theirs.verified = mine
    other.withdraw(theirs, verb="end")
    assert world.shop.collect().problems == []


def test_gap_is_reported(world: World) -> None:
    """A message after a lost one is not taken; the status list tells of the end all the same."""
    granted = world.granted()
    world.shop.redeem("delivery")
    world.holder.revoke(granted)
    world.holder.send(
        granted.request,
        "PackageUpdated",
        {"grant": granted.verified.digest, "package": granted.package, "seq": 9},
        skip=1,
    )
    report = world.shop.collect()
    assert [code for code, _ in report.problems] == ["message.gap"]
    assert report.ended == [granted.verified.id]
    assert world.shop.grants()[0].end_kind == "status"


def test_repeated_message_is_ignored(world: World) -> None:
    """The same envelope once more changes nothing and is no problem."""
    holder, request = world.holder, world.ask()
    granted = holder.grant(request, "delivery")
    holder.stage(granted)
    body = holder.decision(request, [granted], frozenset({"newsletter"})).to_json()
    sealed = holder.send(request, "Decision", body)
    world.shop.collect()
    reply = request.request.reply
    holder.client.deposit(reply.mailbox, reply.capability, sealed)
    assert world.shop.collect().problems == []
    assert len(world.shop.grants()) == 1


def test_envelope_stays_until_it_is_stored(world: World) -> None:
    """If the deletion at the relay fails, the message is not carried out a second time."""
    world.holder.decide(world.ask(), "delivery")
    mailbox = "/v1/mailboxes/"
    world.wire.before.append(("DELETE", mailbox))
    assert [code for code, _ in world.shop.collect().problems] == ["relay.unreachable"]
    assert len(world.shop.grants()) == 1
    assert world.shop.collect().problems == []
    assert len(world.shop.grants()) == 1


def test_relay_away(world: World) -> None:
    """A round without the relay reports, and does not raise."""
    world.granted()
    world.wire.down = True
    report = world.shop.collect()
    assert {code for code, _ in report.problems} == {"relay.unreachable", "status.unavailable"}
    with pytest.raises(NoBasis):
        world.shop.register.data("did:key:z6Mk", DELIVERY)


def test_finished_thread_is_closed(world: World) -> None:
    """A month after the last erasure the mailbox goes, and the keys of the thread with it."""
    granted = world.granted("newsletter")
    world.holder.withdraw(granted)
    world.shop.collect()
    world.clock.move(days=31)
    assert world.shop.collect().problems == []
    assert world.shop.requests()[0].state == "closed"
    assert world.shop.collect().problems == []
