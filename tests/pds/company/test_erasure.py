"""What is erased, what stays and on which basis, and the attestation as the holder reads it."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from company_world import CANARY, LEGAL_OBLIGATION, START, Holder, Reply, World

from pds.messages.message import VerifiedMessage
from pds.messages.notices import ErasureAttestation


def attested(world: World, holder: Holder | None = None) -> list[ErasureAttestation]:
    """The attestations in the holder's mailbox, each opened and verified."""
    messages: list[VerifiedMessage] = (holder or world.holder).inbox(world.shop)
    return [ErasureAttestation.parse(message.message.body) for message in messages]


def test_withdrawn_consent_erases_everything(world: World) -> None:
    """Nothing was named to stay, so nothing does, in no file; the attestation says what went."""
    granted = world.granted("newsletter")
    world.shop.redeem("newsletter")
    assert world.on_disk("anna@canary.example")
    world.holder.withdraw(granted)
    report = world.shop.collect()
    assert (report.problems, report.ended) == ([], [granted.verified.id])
    for text in ("anna@canary.example", "Anna Kovács-Canary"):
        assert not world.on_disk(text)
    found = attested(world)[0]
    assert found.grant == granted.verified.digest
    assert found.erased == {"contact.email", "contact.name"}
    assert (set(found.seqs), found.retained, set(found.recipients_to_tell)) == ({1}, (), set())
    view = world.shop.grants()[0]
    assert (view.state, view.end_kind, view.attested) == ("withdrawn", "withdraw", START)


def test_contract_retention_is_named(world: World) -> None:
    """What stays for the invoice is named with basis, day and reason; the rest is erased."""
    granted = world.granted()
    world.shop.redeem("delivery")
    world.holder.withdraw(granted, verb="end")
    world.shop.collect()
    found = attested(world)[0]
    assert found.erased == {"contact.telephone"}
    assert found.recipients_to_tell == {"Courier Zrt."}
    (kept,) = found.retained
    assert kept.paths == {"contact.address", "contact.name"}
    assert (kept.basis, kept.until) == (LEGAL_OBLIGATION, START + timedelta(days=2920))
    assert "eight years" in kept.reason["en"]
    assert world.shop.attestations(granted.verified.id) == [found.to_json()]


def test_retention_ends_on_its_day(world: World) -> None:
    """What stayed is erased when its day comes, and a second attestation says so."""
    granted = world.granted()
    world.shop.redeem("delivery")
    world.holder.withdraw(granted, verb="end")
    world.shop.collect()
    (first,) = attested(world)
    world.clock.move(days=40)
    world.shop.collect()
    assert world.shop.requests()[0].state == "closed"  # the thread's keys are gone by then
    world.clock.move(days=2879)
    world.shop.expire()
    assert world.on_disk(CANARY)
    world.clock.move(days=1)
    assert world.shop.collect().erased == 1
    assert not world.on_disk(CANARY)
    second = attested(world)[-1]
    assert (set(second.erased), second.retained) == ({"contact.address", "contact.name"}, ())
    assert second.erased_at > first.erased_at
    assert world.shop.expire().erased == 0


def test_erasure_by_time_leaves_nothing_in_the_file(world: World) -> None:
    """Offline and without a round: the write-ahead log is emptied with the erasure."""
    world.granted("newsletter")
    world.shop.redeem("newsletter")
    world.clock.move(days=180)
    assert world.shop.expire().erased == 1
    assert not world.on_disk("anna@canary.example")


def test_nothing_taken_nothing_kept(world: World) -> None:
    """A grant that was never redeemed ends with an attestation that says just that."""
    granted = world.granted()
    world.holder.withdraw(granted, verb="end")
    world.shop.collect()
    found = attested(world)[0]
    assert (set(found.seqs), set(found.erased), found.retained) == (set(), set(), ())


def test_expired_grant_is_erased_after_its_retention(world: World) -> None:
    """Not used from the end, erased thirty days later, by the round itself."""
    granted = world.granted()
    world.shop.redeem("delivery")
    world.clock.now = granted.verified.terms.valid_until
    assert world.shop.expire().ended == 1
    assert world.on_disk("+36 1 555 0123")
    world.clock.move(days=30)
    assert world.shop.collect().erased == 1
    assert not world.on_disk("+36 1 555 0123")
    found = attested(world)[0]
    assert found.erased == {"contact.telephone"}
    assert found.retained[0].until == granted.verified.terms.valid_until + timedelta(days=2920)


def test_withdrawal_of_an_expired_grant_erases_at_once(world: World) -> None:
    """The holder need not wait for the retention to run out."""
    granted = world.granted()
    world.shop.redeem("delivery")
    world.clock.now = granted.verified.terms.valid_until
    world.holder.publish_status()
    world.shop.collect()
    world.holder.revoke(granted)
    world.holder.notify_withdrawal(granted, verb="end")
    world.shop.collect()
    assert not world.on_disk("+36 1 555 0123")
    assert len(attested(world)) == 1


def test_withdrawal_that_the_list_does_not_show(world: World) -> None:
    """The holder's signed word is enough to erase; that the list disagrees is said."""
    granted = world.granted("newsletter")
    world.shop.redeem("newsletter")
    world.holder.notify_withdrawal(granted, verb="withdraw")
    report = world.shop.collect()
    assert report.problems == [("register.not_in_list", granted.verified.id)]
    assert world.shop.register.held() == []


def test_second_notice_changes_nothing(world: World) -> None:
    """Seen in the list first, told of later: erased once, attested once."""
    granted = world.granted()
    world.shop.redeem("delivery")
    world.holder.revoke(granted)
    world.shop.collect()
    world.holder.notify_withdrawal(granted, verb="end")
    assert world.shop.collect().problems == []
    assert len(attested(world)) == 1


@pytest.mark.parametrize("cut", ["before", "after"])
def test_attestation_is_not_lost(world: World, cut: str) -> None:
    """It waits in the outbox over an absent relay and a restart; the same octets count once."""
    granted = world.granted()
    world.shop.redeem("delivery")
    world.holder.withdraw(granted, verb="end")
    mailbox = f"/v1/mailboxes/{world.holder.mailbox_id}/envelopes"
    getattr(world.wire, cut).append(("POST", mailbox))
    report = world.shop.collect()
    assert report.push.waiting == ((granted.request.request.id, "relay.unreachable"),)
    assert not world.on_disk("+36 1 555 0123")
    assert world.shop.grants()[0].attested is None
    world.reopen()
    assert world.shop.collect().push.sent == 1
    assert len(attested(world)) == 1


def test_delivery_needs_a_receipt_that_holds(world: World) -> None:
    """Without a proof that the relay logged the deposit, the attestation is sent again."""
    granted = world.granted()
    world.shop.redeem("delivery")
    world.holder.withdraw(granted, verb="end")

    def forge(method: str, path: str, reply: Reply) -> Reply:
        if (method, path.endswith("/envelopes")) != ("POST", True):
            return reply
        receipt = json.loads(reply.body)
        receipt["entry"]["ordinal"] += 1
        return replace(reply, body=json.dumps(receipt).encode())

    world.wire.change = forge
    waiting = world.shop.collect().push.waiting
    assert waiting == ((granted.request.request.id, "log.inclusion"),)
    world.wire.change = None
    assert world.shop.collect().push.sent == 1
    assert len(attested(world)) == 1


def test_address_that_is_gone(world: World) -> None:
    """A holder whose mailbox is no more gets no attestation; it is a problem, not a loop."""
    granted = world.granted()
    world.shop.redeem("delivery")
    world.holder.revoke(granted)
    world.holder.mailbox.delete()
    assert world.shop.collect().push.waiting == ()
    assert [problem.code for problem in world.shop.problems()] == ["company.undeliverable"]
    assert world.shop.collect().push.waiting == ()
    assert world.shop.attestations(granted.verified.id) != []


def test_recovered_answer_after_the_end_is_not_taken_in(world: World) -> None:
    """A redemption that was unfinished at the withdrawal is given up."""
    granted = world.granted()
    world.wire.after.append(("POST", "/v1/redemptions"))
    with pytest.raises(Exception, match="did not arrive"):
        world.shop.redeem("delivery")
    # Only the notice: the relay would still give the answer, and its list shows no end.
    world.holder.notify_withdrawal(granted, verb="end")
    report = world.shop.collect()
    assert report.problems == [("register.not_in_list", granted.verified.id)]
    assert world.shop.recover() == ()
    assert world.shop.register.held() == []
