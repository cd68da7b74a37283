"""Receipts belong to one log that only grows; a log that is begun anew takes nothing away."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from company_world import DELIVERY, URL, VALUES, Granted, Reply, World

from did.json import JsonObject
from pds.errors import PdsError
from pds.log import Checkpoint, Receipt, sign_checkpoint
from pds.log.evidence import LogEvidence
from pds.mailbox import RelayError, RelayUnreachable
from pds.relay.app import create_app
from pds.relay.restore import mark_restored

CONSISTENCY = ("GET", "/v1/log/consistency")


def codes(world: World) -> list[str]:
    return [problem.code for problem in world.shop.problems()]


def alone(world: World, receipt: JsonObject) -> JsonObject:
    """The same entry in a tree of its own, signed by the relay's log key."""
    found = Receipt.parse(receipt)
    origin = found.checkpoint.partition("\n")[0]
    note = sign_checkpoint(
        Checkpoint(origin, 1, found.leaf), world.wire.app.extensions["relay"].log_key
    )
    return replace(found, leaf_index=0, inclusion=(), checkpoint=note).to_json()


def forging(world: World, place: Callable[[str, str], bool]) -> Callable[[str, str, Reply], Reply]:
    def change(method: str, path: str, reply: Reply) -> Reply:
        if not place(method, path) or reply.status not in (200, 201):
            return reply
        raw = json.loads(reply.body)
        raw = (
            {**raw, "receipt": alone(world, raw["receipt"])}
            if "receipt" in raw
            else alone(world, raw)
        )
        return replace(reply, body=json.dumps(raw).encode())

    return change


def redeemed(method: str, path: str) -> bool:
    return (method, path) == ("POST", "/v1/redemptions") or path.startswith("/v1/redemptions/")


def test_attack_45_receipt_on_a_tree_of_its_own(world: World) -> None:
    """A receipt whose log is not the one seen before proves nothing; what the holder signed is
    kept, both checkpoints are evidence, and the next good receipt still follows."""
    granted = world.granted()
    assert world.shop.redeem("delivery").logged
    world.holder.update(granted, {**VALUES, "contact.telephone": "+36 1 555 9999"})
    world.wire.change = forging(world, redeemed)
    second = world.shop.redeem("delivery")
    assert (second.logged, second.seq) == (False, 2)
    data = world.shop.register.data(world.holder.did, DELIVERY)
    assert data["contact.telephone"] == ["+36 1 555 9999"]
    problem = world.shop.problems()[-1]
    assert (problem.code, problem.subject) == ("log.forked", granted.verified.id)
    assert LogEvidence.parse(problem.detail).before != LogEvidence.parse(problem.detail).now
    world.wire.change = None
    assert (world.shop.redeem("delivery").logged, codes(world)) == (True, ["log.forked"])


def test_attack_45_two_trees_of_one_size(world: World) -> None:
    """Throwaway trees from the first receipt on: already the second one contradicts it."""
    world.granted()
    world.wire.change = forging(world, redeemed)
    assert world.shop.redeem("delivery").logged
    assert not world.shop.redeem("delivery").logged
    assert codes(world) == ["log.forked"]
    world.wire.change = None  # the monitored log never held the first
    assert not world.shop.redeem("delivery").logged


def test_fork_in_a_recovered_answer_is_in_the_report(world: World) -> None:
    """A round says it too."""
    granted = world.granted()
    world.shop.redeem("delivery")
    world.wire.after.append(("POST", "/v1/redemptions"))
    with pytest.raises(RelayUnreachable):
        world.shop.redeem("delivery")
    world.wire.change = forging(world, redeemed)
    report = world.shop.collect()
    assert report.recovered == 1
    assert report.problems == [("log.forked", granted.verified.digest)]


def test_fork_in_a_receipt_of_a_deposit(world: World) -> None:
    """The message is delivered all the same: to hold it back would only harm the holder."""
    granted = world.granted()
    world.shop.redeem("delivery")
    world.holder.withdraw(granted, verb="end")
    world.wire.change = forging(world, lambda method, path: path.endswith("/envelopes"))
    assert world.shop.collect().push.sent == 1
    assert codes(world) == ["log.forked"]
    assert world.shop.problems()[-1].subject == granted.request.request.id


def test_log_that_gives_no_proof(world: World) -> None:
    """A relay that does not show that its log only grew is not believed, and it is noted."""
    world.granted()
    world.shop.redeem("delivery")

    def refuse(method: str, path: str, reply: Reply) -> Reply:
        return replace(reply, body=b"[]") if path.startswith(CONSISTENCY[1]) else reply

    world.wire.change = refuse
    assert not world.shop.redeem("delivery").logged
    assert codes(world) == ["log.unproven"]


def test_proof_that_does_not_arrive(world: World) -> None:
    """Nothing is known then: the answer is fetched again, and costs no use."""
    granted = world.granted()
    world.shop.redeem("delivery")
    world.wire.before.append(CONSISTENCY)
    with pytest.raises(RelayUnreachable):
        world.shop.redeem("delivery")
    again = world.shop.redeem("delivery")
    assert (again.recovered, again.logged, world.holder.uses(granted)) == (True, True, 2)
    assert codes(world) == []


def test_older_receipt_of_the_same_log(world: World) -> None:
    """An answer fetched later has an older checkpoint than one seen in between; both fit."""
    world.granted()
    other = world.granted()
    world.wire.after.append(("POST", "/v1/redemptions"))
    first = world.shop.grants()[0].id
    with pytest.raises(RelayUnreachable):
        world.shop.redeem(first)
    second = next(grant.id for grant in world.shop.grants() if grant.id != first)
    assert other.verified.id in (first, second)
    assert world.shop.redeem(second).logged
    assert world.shop.redeem(first).logged
    assert codes(world) == []


def test_newest_checkpoint_survives_a_restart(world: World) -> None:
    """What was seen of a log is not forgotten with the process."""
    world.granted()
    world.shop.redeem("delivery")
    world.reopen()
    world.wire.change = forging(world, redeemed)
    assert not world.shop.redeem("delivery").logged


def restore(world: World, copy: Path, granted: Granted) -> None:
    """The relay comes back from a copy of its folder; its holder, who knows more, goes on."""
    folder = world.folder.parent / "relay"
    world.wire.app.extensions["relay"].store.close()
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)
    mark_restored(folder)
    world.wire.app = create_app(folder, url=URL, clock=world.clock)
    world.holder.publish_status()
    world.holder.stage(granted)


def test_restored_relay_counts_on_from_its_backup(world: World) -> None:
    """After a restore the ordinals begin anew from the backup, in the new log; nothing that the
    relay counts there is lost to the company."""
    granted = world.granted()
    world.shop.redeem("delivery")
    copy = world.folder.parent / "copy"
    relay = world.wire.app.extensions["relay"]
    relay.store.close()
    shutil.copytree(world.folder.parent / "relay", copy)
    world.wire.app = create_app(world.folder.parent / "relay", url=URL, clock=world.clock)
    for ordinal in (2, 3, 4):
        assert world.shop.redeem("delivery").ordinal == ordinal
    restore(world, copy, granted)
    after = world.shop.redeem("delivery")
    assert (after.ordinal, after.recovered, after.logged) == (2, False, True)
    assert world.shop.redeem("delivery").ordinal == 3
    assert codes(world) == ["relay.new_log"]


def test_receipt_that_is_refused_loses_no_use(world: World) -> None:
    """A counted redemption whose receipt does not hold is fetched again, until it does."""
    granted = world.granted()

    def other(method: str, path: str, reply: Reply) -> Reply:
        if not redeemed(method, path) or reply.status != 200:
            return reply
        raw = json.loads(reply.body)
        raw["receipt"]["entry"]["at"] = "2026-05-04T09:00:00Z"
        return replace(reply, body=json.dumps(raw).encode())

    world.wire.change = other
    for _ in range(2):
        with pytest.raises(PdsError) as refused:
            world.shop.redeem("delivery")
        assert refused.value.code == "log.inclusion"
    assert codes(world) == ["log.inclusion"]  # the very same is noted once
    world.wire.change = None
    assert world.shop.redeem("delivery").recovered
    assert world.holder.uses(granted) == 1


def test_answer_that_never_comes_good_ends_with_the_relay(world: World) -> None:
    """When the relay has forgotten it, a fresh redemption is made."""
    world.granted()
    world.wire.change = lambda method, path, reply: (
        replace(reply, status=404, body=_PROBLEM)
        if method == "GET" and path.startswith("/v1/redemptions/")
        else reply
    )
    world.wire.after.append(("POST", "/v1/redemptions"))
    with pytest.raises(RelayUnreachable):
        world.shop.redeem("delivery")
    assert not world.shop.redeem("delivery").recovered


_PROBLEM = json.dumps(
    {"type": "about:blank", "title": "x", "status": 404, "code": "relay.not_found"}
).encode()


def test_relay_too_busy_for_a_proof(world: World) -> None:
    """That is no contradiction: the answer waits to be fetched again."""
    granted = world.granted()
    world.shop.redeem("delivery")
    busy = json.dumps({"type": "about:blank", "title": "x", "status": 503, "code": "relay.busy"})

    def change(_method: str, path: str, reply: Reply) -> Reply:
        if not path.startswith(CONSISTENCY[1]):
            return reply
        return replace(reply, status=503, body=busy.encode())

    world.wire.change = change
    with pytest.raises(RelayError):
        world.shop.redeem("delivery")
    assert codes(world) == []
    world.wire.change = None
    again = world.shop.redeem("delivery")
    assert (again.recovered, again.logged, world.holder.uses(granted)) == (True, True, 2)
