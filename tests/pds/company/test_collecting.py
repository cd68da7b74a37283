"""Answers and notices: what is taken in, what is dropped, and that nothing is lost between."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from company_world import DELIVERY, Granted, Holder, Reply, World

from did.json import JsonObject, canonicalize
from did.keys import SigningKey
from did.multikey import b64url_encode, multihash_sha256
from pds.company.errors import NoBasis
from pds.messages.notices import PackageUpdated, Withdrawal


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
    """Once decided, only the holder who decided is heard; that another answered is said so."""
    granted = world.granted()
    other = Holder(world.wire, world.clock)
    body = other.decision(granted.request, [other.grant(granted.request, "delivery")]).to_json()
    other.send(granted.request, "Decision", body)
    report = world.shop.collect()
    assert [code for code, _ in report.problems] == ["company.already_answered"]
    assert len(world.shop.grants()) == 1


def test_other_holder_cannot_withdraw(world: World) -> None:
    """A notice in another thread of the shop does not reach this grant."""
    granted = world.granted()
    other = Holder(world.wire, world.clock)
    theirs = other.decide(world.ask(), "delivery")[0]
    world.shop.collect()
    theirs.verified, mine = granted.verified, theirs.verified
    other.notify_withdrawal(theirs, verb="end")
    assert [code for code, _ in world.shop.collect().problems] == ["message.unexpected"]
    assert all(grant.state == "live" for grant in world.shop.grants())
    # The message was theirs and in order, so the next one still follows.
    theirs.verified = mine
    other.withdraw(theirs, verb="end")
    assert world.shop.collect().problems == []


def update_of(granted: Granted, seq: int) -> JsonObject:
    return PackageUpdated(granted.verified.digest, granted.package, seq).to_json()


def test_thread_goes_on_after_a_gap(world: World) -> None:
    """A message after a lost one is taken in, the loss is noted once, and the next one follows."""
    granted = world.granted()
    world.holder.send(granted.request, "PackageUpdated", update_of(granted, 9), skip=1)
    report = world.shop.collect()
    assert report.problems == [("message.gap", granted.request.request.id)]
    assert report.updated == [granted.verified.id]
    problem = world.shop.problems()[-1]
    assert (problem.code, problem.detail["after"], problem.detail["seq"]) == ("message.gap", 1, 3)
    world.holder.withdraw(granted, verb="end")
    report = world.shop.collect()
    assert (report.problems, report.ended) == ([], [granted.verified.id])


def test_restored_holder_goes_on(world: World) -> None:
    """A holder that came back from a backup says so: it is kept by that name, and no problem."""
    granted = world.granted()
    world.holder.send(
        granted.request, "PackageUpdated", update_of(granted, 2), skip=1000, restored=True
    )
    report = world.shop.collect()
    assert (report.problems, report.resumed) == ([], [granted.request.request.id])
    assert report.updated == [granted.verified.id]
    assert codes(world) == ["message.resumed"]


@pytest.mark.parametrize("known", [True, False])
def test_withdrawal_counts_in_any_order(world: World, known: bool) -> None:
    """One that comes after a later message, or with a number that was used, ends the grant."""
    granted = world.granted()
    world.shop.redeem("delivery")
    at_first = dict(world.holder.sent)
    world.holder.revoke(granted)
    notice = world.holder.seal(granted.request, "Withdrawal", withdrawal_of(world, granted))
    if known:  # the holder's other copy used the same number for something else
        world.holder.sent = at_first
    world.holder.send(granted.request, "PackageUpdated", update_of(granted, 2))
    world.wire.change = without_lists
    assert [code for code, _ in world.shop.collect().problems][: not known] == (
        [] if known else ["message.gap"]
    )
    assert world.shop.grants()[0].state == "live"
    reply = granted.request.request.reply
    for ended in ([granted.verified.id], []):
        world.holder.client.deposit(reply.mailbox, reply.capability, notice)
        assert world.shop.collect().ended == ended
    assert world.shop.grants()[0].end_kind == "end"
    assert len(world.shop.attestations(granted.verified.id)) == 1


def withdrawal_of(world: World, granted: Granted) -> JsonObject:
    now = world.clock()
    notice = Withdrawal(granted.verified.digest, "end", world.holder.sequence, now, now)
    return notice.to_json()


def without_lists(_method: str, path: str, reply: Reply) -> Reply:
    """A relay that shows nobody a status list."""
    return replace(reply, status=502) if path.startswith("/v1/status/") else reply


def test_first_message_of_anybody_with_a_gap(world: World) -> None:
    """Before the decision anybody may write: what decides nothing leaves no thread behind."""
    request, holder = world.ask(), world.holder
    holder.send(request, "PackageUpdated", {"grant": "x"}, skip=4)
    assert [code for code, _ in world.shop.collect().problems] == ["message.malformed"]
    holder.sent.clear()
    holder.decide(request, "delivery")
    assert world.shop.collect().problems == []


def envelopes(ordinal: int, sealed: bytes, *, more: bool) -> bytes:
    one = {"ordinal": ordinal, "sealed": b64url_encode(sealed)}
    return canonicalize({"envelopes": [one], "more": more})


def test_ordinals_that_jump_hide_no_later_message(world: World) -> None:
    """Whatever number a relay gives to rubbish once, what comes later is read."""
    granted = world.granted()
    listing = "/v1/mailboxes/" + granted.request.request.reply.mailbox + "/envelopes?"

    def junk(method: str, path: str, reply: Reply) -> Reply:
        if method == "GET" and path.startswith(listing):
            return replace(reply, body=envelopes(2**53 - 1, b"junk", more=False))
        return reply

    world.wire.change = junk
    assert [code for code, _ in world.shop.collect().problems] == ["sealing.cannot_open"]
    world.wire.change = None
    world.holder.withdraw(granted, verb="end")
    report = world.shop.collect()
    assert (report.problems, report.ended) == ([], [granted.verified.id])
    assert report.messages == 1


def test_mailbox_without_end(world: World) -> None:
    """A relay that invents envelopes for ever is listened to for one round's worth."""
    granted = world.granted()
    listing = "/v1/mailboxes/" + granted.request.request.reply.mailbox + "/envelopes?after="

    def endless(method: str, path: str, reply: Reply) -> Reply:
        if method == "GET" and path.startswith(listing):
            after = int(path.removeprefix(listing))
            return replace(reply, body=envelopes(after + 1, b"junk", more=True))
        return replace(reply, status=204) if method == "DELETE" else reply

    world.wire.change = endless
    problems = world.shop.collect().problems
    assert problems[-1] == ("company.too_many_envelopes", granted.request.request.id)
    assert codes(world) == ["sealing.cannot_open"]  # the very same octets are noted once


def test_grant_with_dates_beyond_the_calendar_stops_no_other(world: World) -> None:
    """One row that cannot be reckoned with is left; those of everybody else go on."""
    odd, other = world.granted(), world.granted()
    far = "9999-12-31T23:59:58Z"
    conn = world.shop._ctx.conn
    conn.execute(
        "UPDATE access_grant SET valid_until = ? WHERE digest = ?", (far, odd.verified.digest)
    )
    world.holder.withdraw(other, verb="end")
    assert other.verified.id in world.shop.collect().ended
    assert world.shop.expire().problems == ()
    world.clock.now = other.verified.terms.valid_until + timedelta(days=31)
    world.shop.collect()
    states = {grant.id: grant.erased is not None for grant in world.shop.grants()}
    assert states == {odd.verified.id: False, other.verified.id: True}
    assert world.shop.register.held() == []


def test_one_damaged_grant_stops_no_expiry(world: World) -> None:
    """A grant whose request lost its purpose is reported; the others are erased in their time."""
    damaged, other = world.granted(), world.granted()
    conn = world.shop._ctx.conn
    conn.execute(
        "UPDATE access_grant SET purpose_id = 'gone' WHERE digest = ?", (damaged.verified.digest,)
    )
    world.clock.now = other.verified.terms.valid_until + timedelta(days=31)
    report = world.shop.expire()
    assert (report.problems, report.erased) == (
        (("company.damaged", damaged.verified.id),),
        1,
    )


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
