"""The holder's relay gets another log key: the company follows it, or says what does not fit."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace

import pytest
from company_world import URL, Granted, Reply, World

from did.json import JsonObject
from did.keys import SigningKey
from pds.errors import PdsError
from pds.log import Checkpoint, MemoryNodes, Receipt, Tree, sign_checkpoint
from pds.log.evidence import KeyEvidence, judge_key
from pds.log.tree import leaf_hash
from pds.mailbox import RelayUnreachable
from pds.relay.app import create_app
from pds.relay.restore import mark_restored
from pds.relay.rotation import rotate_log_key

KEYS = ("GET", "/v1/log/keys")


def rotate(world: World) -> SigningKey:
    """The relay gets another key; the old one."""
    folder = world.folder.parent / "relay"
    old = SigningKey.from_seed((folder / "log-key").read_bytes())
    world.wire.app.extensions["relay"].store.close()
    rotate_log_key(folder, clock=world.clock)
    world.wire.app = create_app(folder, url=URL, clock=world.clock)
    world.holder.info = world.holder.client.info()  # as a vault that meets its relay
    return old


def codes(world: World) -> list[str]:
    return [problem.code for problem in world.shop.problems()]


def hook(place: tuple[str, str], change: Callable[[Reply], Reply]) -> Callable[..., Reply]:
    def bent(method: str, path: str, reply: Reply) -> Reply:
        fits = method == place[0] and path.startswith(place[1]) and reply.status == 200
        return change(reply) if fits else reply

    return bent


def events(world: World) -> list[str]:
    return [event.kind for event in world.shop.events()]


def test_what_was_begun_before_and_after(world: World) -> None:
    """Receipts of before, of after, and of a later change; a restart; each is said once."""
    first = world.granted()
    world.shop.redeem(first.verified.id)
    for _ in range(2):
        rotate(world)
        world.reopen()
        assert world.shop.redeem(first.verified.id).logged
    second = world.granted()  # its decision names the newest key
    assert world.shop.redeem(second.verified.id).logged
    rotate(world)
    for granted in (second, first):
        assert world.shop.redeem(granted.verified.id).logged
    assert codes(world) == []
    assert events(world).count("relay key") == 3


def test_an_answer_of_before_arrives_after(world: World) -> None:
    """Its receipt is signed by the old key, at a size at which that was the log's."""
    granted = world.granted()
    other = world.granted()
    world.wire.after.append(("POST", "/v1/redemptions"))
    with pytest.raises(RelayUnreachable):
        world.shop.redeem(granted.verified.id)
    rotate(world)
    assert world.shop.redeem(other.verified.id).logged  # the new key is known now
    again = world.shop.redeem(granted.verified.id)
    assert (again.recovered, again.logged, codes(world)) == (True, True, [])


def test_a_decision_of_before_learns_after_a_decision_of_after(world: World) -> None:
    """Two decisions name two keys of one log: one memory, whichever asks first."""
    first = world.granted()
    world.shop.redeem(first.verified.id)
    rotate(world)
    second = world.granted()
    assert world.shop.redeem(second.verified.id).logged
    rotate(world)
    assert world.shop.redeem(second.verified.id).logged
    assert world.shop.redeem(first.verified.id).logged
    assert world.shop.redeem(second.verified.id).logged
    assert codes(world) == []


def test_a_status_list_is_stamped_by_the_new_key(world: World) -> None:
    """It alone makes the company look for the new key; and from then on the old key stamps
    nothing."""
    granted = world.granted()
    assert world.shop.collect().problems == []
    stamps: list[str] = []
    world.wire.change = hook(
        ("GET", "/v1/status/"), lambda reply: stamps.append(reply.headers["pds-stamp"]) or reply
    )
    assert world.shop.collect().problems == []
    rotate(world)
    assert world.shop.collect().problems == []
    assert events(world).count("relay key") == 1
    world.wire.change = hook(
        ("GET", "/v1/status/"),
        lambda reply: replace(reply, headers={**reply.headers, "pds-stamp": stamps[0]}),
    )
    assert world.shop.collect().problems == [("status.invalid", granted.verified.id)]
    assert codes(world) == ["proof.not_by_controller"]
    world.wire.change = None
    assert world.shop.redeem("delivery").logged


def test_without_a_word_of_the_relay_nothing_is_lost(world: World) -> None:
    """The question for the keys gets no answer: the redemption is fetched again."""
    world.granted()
    world.shop.redeem("delivery")
    rotate(world)
    world.wire.before.append(KEYS)
    with pytest.raises(PdsError) as away:
        world.shop.redeem("delivery")
    assert away.value.exit_code == 4
    again = world.shop.redeem("delivery")
    assert again.logged
    assert codes(world) == []


@pytest.mark.parametrize("shown", [[], [{}]])
def test_attack_13_a_key_that_nobody_named(world: World, shown: list[JsonObject]) -> None:
    """A receipt by another key is what it was before: not the log's; so is a stamp."""
    world.granted()
    world.shop.redeem("delivery")
    rotate(world)
    body = json.dumps({"successions": shown}).encode()
    world.wire.change = hook(KEYS, lambda reply: replace(reply, body=body))
    with pytest.raises(PdsError) as refused:
        world.shop.redeem("delivery")
    assert refused.value.code == "log.signature"
    assert codes(world) == ["log.signature"]
    world.wire.change = None
    assert world.shop.redeem("delivery").logged


def stolen(world: World, key: SigningKey, size: int) -> Callable[..., Reply]:
    """Receipts of a tree of this size that the old key has signed; all of it invented."""

    def change(reply: Reply) -> Reply:
        raw = json.loads(reply.body)
        found = Receipt.parse(raw["receipt"])
        origin = found.checkpoint.partition("\n")[0]
        tree = Tree(MemoryNodes(), 0)
        tree.extend([found.leaf, *(leaf_hash(b"%d" % n) for n in range(1, size))])
        note = sign_checkpoint(Checkpoint(origin, size, tree.root()), key)
        path = tuple(tree.inclusion(0, size))
        forged = replace(found, leaf_index=0, inclusion=path, checkpoint=note)
        return replace(reply, body=json.dumps({**raw, "receipt": forged.to_json()}).encode())

    return hook(("POST", "/v1/redemptions"), change)


def test_attack_13_the_old_key_goes_on_signing(world: World) -> None:
    """Beyond the change it convicts; below it is held against what was seen, as ever."""
    granted: Granted = world.granted()
    world.shop.redeem("delivery")
    old = rotate(world)
    assert world.shop.redeem("delivery").logged
    world.wire.change = stolen(world, old, 1000)
    with pytest.raises(PdsError) as refused:
        world.shop.redeem("delivery")
    assert refused.value.code == "log.old_key"
    world.wire.change = None
    problem = next(one for one in world.shop.problems() if one.code == "log.old_key")
    assert judge_key(KeyEvidence.parse(problem.detail)).old == old.verify_key
    assert world.shop.redeem("delivery").recovered
    assert granted.verified.id


def test_attack_13_the_old_key_forges_what_it_could_have_signed(world: World) -> None:
    """From the moment on in which the change is known, even if nothing was seen under it yet."""
    world.granted()
    world.shop.redeem("delivery")
    old = rotate(world)
    assert world.shop.redeem("delivery").logged
    world.wire.change = stolen(world, old, 1)
    assert not world.shop.redeem("delivery").logged
    assert "log.forked" in codes(world)


def test_attack_13_two_successors(world: World) -> None:
    """The relay names another successor than before: both statements are kept."""
    world.granted()
    world.shop.redeem("delivery")
    folder = world.folder.parent / "relay"
    world.wire.app.extensions["relay"].store.close()
    first = folder.with_name("first")
    shutil.copytree(folder, first)
    rotate_log_key(first, clock=world.clock)
    world.wire.app = create_app(first, url=URL, clock=world.clock)
    assert world.shop.redeem("delivery").logged
    world.wire.app.extensions["relay"].store.close()
    rotate_log_key(folder, clock=world.clock)
    world.wire.app = create_app(folder, url=URL, clock=world.clock)
    with pytest.raises(PdsError) as refused:
        world.shop.redeem("delivery")
    assert refused.value.code == "log.signature"
    problem = next(one for one in world.shop.problems() if one.code == "log.two_successors")
    assert judge_key(KeyEvidence.parse(problem.detail)).origin


def test_attack_13_the_old_key_was_quicker(world: World) -> None:
    """What it signed beyond the change was believed before the change was known: then the change
    is evidence, and not followed."""
    world.granted()
    old = rotate(world)
    world.wire.change = stolen(world, old, 1000)
    with pytest.raises(PdsError) as refused:  # the stamp of the list is by a key that is not known
        world.shop.redeem("delivery")
    assert refused.value.code == "register.status_stale"
    problem = next(one for one in world.shop.problems() if one.code == "log.old_key")
    assert problem.subject == URL
    assert judge_key(KeyEvidence.parse(problem.detail)).old == old.verify_key
    assert "relay key" not in events(world)


def test_attack_45_the_new_key_begins_another_history(world: World) -> None:
    """What it signed first does not continue what the old one had shown: a fork, as ever."""
    world.granted()
    old = rotate(world)
    world.wire.change = stolen(world, old, 1)
    with pytest.raises(PdsError) as refused:  # the stamp of the list is by a key that is not known
        world.shop.redeem("delivery")
    assert refused.value.code == "register.status_stale"
    problem = next(one for one in world.shop.problems() if one.code == "log.forked")
    assert problem.subject == URL
    assert "relay key" not in events(world)


def test_a_log_that_begins_anew_is_the_newest_key_s(world: World) -> None:
    """A restore after a change; and a thief of the old key cannot begin one."""
    granted = world.granted()
    assert world.shop.redeem("delivery").logged
    old = rotate(world)
    assert world.shop.redeem("delivery").logged
    folder = world.folder.parent / "relay"
    world.wire.app.extensions["relay"].store.close()
    mark_restored(folder)
    world.wire.app = create_app(folder, url=URL, clock=world.clock)
    world.holder.publish_status()
    world.holder.stage(granted)
    forged = stolen(world, old, 1)
    world.wire.change = forged
    with pytest.raises(PdsError) as refused:
        world.shop.redeem("delivery")
    assert refused.value.code == "log.signature"
    world.wire.change = None
    assert world.shop.redeem("delivery").logged
    assert set(codes(world)) == {"log.signature", "relay.new_log"}


def test_a_log_that_ended_before_a_change_stays_the_old_key_s(world: World) -> None:
    """An answer of a log that a restore ended, fetched after the key has changed in the next."""
    granted = world.granted()
    assert world.shop.redeem("delivery").logged
    world.wire.after.append(("POST", "/v1/redemptions"))
    with pytest.raises(RelayUnreachable):
        world.shop.redeem("delivery")
    folder = world.folder.parent / "relay"
    world.wire.app.extensions["relay"].store.close()
    mark_restored(folder)
    rotate_log_key(folder, clock=world.clock)
    world.wire.app = create_app(folder, url=URL, clock=world.clock)
    world.holder.publish_status()
    other = world.granted()
    assert world.shop.redeem(other.verified.id).logged
    for problem in world.shop.problems():
        assert problem.code == "relay.new_log"
    world.holder.stage(granted)
    assert world.shop.redeem(granted.verified.id).logged


def test_attack_13_the_old_key_was_believed_in_another_thread(world: World) -> None:
    """One decision names the old key, a later one the new: what the old one signed beyond is found
    when the two come together, though the newest checkpoint is a good one."""
    first = world.granted()
    old = rotate(world)
    nothing = hook(KEYS, lambda reply: replace(reply, body=b'{"successions":[]}'))
    forged = stolen(world, old, 1000)
    world.wire.change = lambda method, path, reply: nothing(
        method, path, forged(method, path, reply)
    )
    with pytest.raises(PdsError):
        world.shop.redeem(first.verified.id)
    world.wire.change = nothing
    world.holder.decide(world.ask(), "delivery")
    world.shop.collect()
    second = next(one.id for one in world.shop.grants() if one.id != first.verified.id)
    assert world.shop.redeem(second).logged
    world.wire.change = None
    world.shop.collect()
    problem = next(one for one in world.shop.problems() if one.code == "log.old_key")
    assert judge_key(KeyEvidence.parse(problem.detail)).old == old.verify_key
    assert "relay key" not in events(world)
