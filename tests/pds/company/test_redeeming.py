"""Redemptions: lost answers, refusals, bad answers, and a relay that came back from a backup."""

import json
from collections.abc import Callable
from dataclasses import replace

import pytest
from company_world import CANARY, DELIVERY, URL, VALUES, Reply, World

from did.json import JsonObject
from pds.company.client import Company
from pds.company.erasure import end_grant
from pds.company.errors import CompanyError, NoBasis
from pds.errors import PdsError
from pds.log import Checkpoint, Receipt, leaf_of, sign_checkpoint
from pds.log.errors import LogError
from pds.mailbox import RelayError, RelayNonsense, RelayUnreachable
from pds.messages.errors import PackageRefused
from pds.messages.notices import PackageUpdated
from pds.relay.app import create_app
from pds.relay.restore import mark_restored

REDEEM = ("POST", "/v1/redemptions")


def test_lost_answer_is_recovered_uncounted(world: World) -> None:
    """The relay counted, the answer was lost: it comes again, and costs nothing."""
    granted = world.granted()
    world.wire.after.append(REDEEM)
    with pytest.raises(RelayUnreachable):
        world.shop.redeem("delivery")
    assert world.holder.uses(granted) == 1
    assert world.shop.register.data(world.holder.did, DELIVERY) == {}
    redeemed = world.shop.redeem("delivery")
    assert (redeemed.recovered, redeemed.ordinal) == (True, 1)
    assert world.holder.uses(granted) == 1
    assert world.shop.redeem("delivery").ordinal == 2


LONG = {**VALUES, "contact.telephone": "+36 1 555 0000 " * 160_000}


def test_a_package_of_several_mib_is_received(world: World) -> None:
    """A single value of more than 2 MiB is fetched in pieces, kept, and read again."""
    granted = world.granted()
    world.holder.update(granted, LONG)
    assert world.shop.redeem("delivery").seq == 2
    held = world.shop.register.data(world.holder.did, DELIVERY)
    assert held["contact.telephone"] == [LONG["contact.telephone"]]
    pieces = [path for _, path in world.wire.calls if "/sealed?after=" in path]
    assert len(pieces) == 3
    assert world.holder.uses(granted) == 1


def test_a_lost_piece_is_fetched_again_uncounted(world: World) -> None:
    """Whether it was lost or refused: what was counted is not given up."""
    granted = world.granted()
    world.holder.update(granted, LONG)
    world.wire.after.append(("GET", "/v1/redemptions/"))
    with pytest.raises(RelayUnreachable):
        world.shop.redeem("delivery")

    def refuse(_: str, path: str, reply: Reply) -> Reply:
        return Reply(503, {}, problem_of("relay.busy")) if "/sealed?" in path else reply

    world.wire.change = refuse
    with pytest.raises(RelayError):
        world.shop.redeem("delivery")
    world.wire.change = None
    redeemed = world.shop.redeem("delivery")
    assert (redeemed.recovered, redeemed.seq) == (True, 2)
    world.wire.change = refuse
    with pytest.raises(RelayUnreachable):
        world.shop.redeem("delivery")
    world.wire.change = None
    assert world.shop.collect().recovered == 1
    assert world.holder.uses(granted) == 2


def problem_of(code: str) -> bytes:
    return json.dumps({"code": code, "status": 503}).encode()


def test_a_lost_answer_is_of_the_version_of_its_time(world: World) -> None:
    """The holder has announced a newer version since: the relay that kept the answer has done no
    wrong, and the newer version is to be had as ever."""
    granted = world.granted()
    world.wire.after.append(REDEEM)
    with pytest.raises(RelayUnreachable):
        world.shop.redeem("delivery")
    world.holder.update(granted, {**VALUES, "contact.telephone": "+36 1 555 9999"})
    report = world.shop.collect()
    assert (report.recovered, report.problems, world.shop.problems()) == (1, [], [])
    assert world.shop.grants()[0].update_waiting
    assert world.shop.redeem("delivery").seq == 2


def test_a_lost_answer_is_no_older_than_what_was_known_at_its_time(world: World) -> None:
    """A relay that goes on with an old version is noticed, even if the answer comes late."""
    granted = world.granted()
    notice = PackageUpdated(granted.verified.digest, granted.package, granted.seq + 1)
    world.holder.send(granted.request, "PackageUpdated", notice.to_json())
    world.shop.collect()
    world.wire.after.append(REDEEM)
    with pytest.raises(RelayUnreachable):
        world.shop.redeem("delivery")
    world.reopen()
    report = world.shop.collect()
    assert (report.recovered, [problem.code for problem in world.shop.problems()]) == (
        0,
        ["package.older"],
    )
    assert world.shop.register.data(world.holder.did, DELIVERY) == {}


def test_lost_answer_after_a_crash(world: World) -> None:
    """What was stored before sending is enough to recover in another process, by the round."""
    granted = world.granted()
    world.wire.after.append(REDEEM)
    with pytest.raises(RelayUnreachable):
        world.shop.redeem("delivery")
    world.reopen()
    assert world.shop.collect().recovered == 1
    assert world.shop.register.data(world.holder.did, DELIVERY) != {}
    assert world.holder.uses(granted) == 1


def test_crash_between_storing_and_sending(world: World) -> None:
    """The relay never heard of it: nothing was counted, and a fresh redemption is made."""
    granted = world.granted()
    world.wire.before.append(REDEEM)
    with pytest.raises(RelayUnreachable):
        world.shop.redeem("delivery")
    world.reopen()
    assert world.shop.recover() == ()
    assert world.holder.uses(granted) == 0
    redeemed = world.shop.redeem("delivery")
    assert (redeemed.recovered, world.holder.uses(granted)) == (False, 1)


def test_recovery_needs_the_relay(world: World) -> None:
    """While the relay is away an unfinished redemption stays: a second use is never spent."""
    granted = world.granted()
    world.wire.after.append(REDEEM)
    with pytest.raises(RelayUnreachable):
        world.shop.redeem("delivery")
    world.wire.before.append(("GET", "/v1/redemptions/"))
    with pytest.raises(RelayUnreachable):
        world.shop.redeem("delivery")
    assert world.shop.redeem("delivery").recovered
    assert world.holder.uses(granted) == 1


def test_answer_is_acknowledged(world: World) -> None:
    """An answer that arrived is forgotten by the relay; if that call fails, it is made again."""
    world.granted()
    world.wire.before.append(("DELETE", "/v1/redemptions/"))
    world.shop.redeem("delivery")
    before = len([call for call in world.wire.calls if call[0] == "DELETE"])
    world.shop.collect()
    assert len([call for call in world.wire.calls if call[0] == "DELETE"]) == before + 1
    world.shop.collect()
    assert len([call for call in world.wire.calls if call[0] == "DELETE"]) == before + 1


def test_refusal_is_said_and_recorded(world: World) -> None:
    """The relay's reason reaches the caller by its code, and the company's events."""
    world.granted("newsletter", max_uses=1)
    world.shop.redeem("newsletter")
    with pytest.raises(RelayError) as refused:
        world.shop.redeem("newsletter")
    assert refused.value.code == "relay.used_up"
    assert ("refused", {"code": "relay.used_up"}) in [
        (event.kind, event.detail) for event in world.shop.events()
    ]


def test_chain_passes_over_refusals(world: World) -> None:
    """A refusal in between is an event of the package too; the next receipt still fits."""
    world.granted("delivery", min_interval=3600)
    world.shop.redeem("delivery")
    with pytest.raises(RelayError) as refused:
        world.shop.redeem("delivery")
    assert (refused.value.code, refused.value.exit_code) == ("relay.too_soon", 4)
    world.clock.move(hours=2)
    assert world.shop.redeem("delivery").ordinal == 3


def test_withdrawn_while_the_answer_travels(world: World) -> None:
    """The relay released, then the holder withdrew: the values are not kept."""
    granted = world.granted()

    def withdraw(method: str, path: str, reply: Reply) -> Reply:
        if (method, path) == REDEEM:
            world.wire.change = None
            world.holder.revoke(granted)
        return reply

    world.wire.change = withdraw
    with pytest.raises(NoBasis) as refused:
        world.shop.redeem("delivery")
    assert refused.value.code == "register.withdrawn"
    assert world.shop.register.held() == []
    assert not world.on_disk(CANARY)
    assert world.shop.grants()[0].state == "withdrawn"


def test_ended_by_another_process_while_the_answer_travels(world: World) -> None:
    """An end that was stored after the redemption was sent is seen before anything is kept."""
    granted = world.granted()

    def end(method: str, path: str, reply: Reply) -> Reply:
        if (method, path) == REDEEM:
            with Company.open(world.folder, clock=world.clock, transport=world.wire) as other:
                row = other._ctx.store.grant(granted.verified.digest)
                assert row is not None
                end_grant(other._ctx, row, kind="end")
        return reply

    world.wire.change = end
    with pytest.raises(NoBasis) as refused:
        world.shop.redeem("delivery")
    assert refused.value.code == "register.withdrawn"
    assert world.shop.register.held() == []


def test_status_out_of_reach_keeps_the_answer_waiting(world: World) -> None:
    """An answer is not taken in before the status is known; it is fetched again, uncounted."""
    granted = world.granted()
    world.wire.before.append(("GET", "/v1/status/"))
    with pytest.raises(NoBasis) as refused:
        world.shop.redeem("delivery")
    assert refused.value.code == "register.status_stale"
    assert world.shop.register.held() == []
    assert world.shop.redeem("delivery").recovered
    assert world.holder.uses(granted) == 1


def _forge(world: World, name: str, member: str, value: object) -> None:
    def change(method: str, path: str, reply: Reply) -> Reply:
        if (method, path) != REDEEM:
            return reply
        answer = json.loads(reply.body)
        place = answer[name]["entry"] if name == "receipt" else answer[name]
        place[member] = value
        return replace(reply, body=json.dumps(answer).encode())

    world.wire.change = change


def test_forged_receipt_is_refused(world: World) -> None:
    """A receipt whose entry is not in the log yields nothing, and is kept as evidence."""
    world.granted()
    _forge(world, "receipt", "at", "2026-05-04T09:00:00Z")
    with pytest.raises(LogError):
        world.shop.redeem("delivery")
    world.wire.change = None
    assert world.shop.register.held() == []
    assert [problem.code for problem in world.shop.problems()] == ["log.inclusion"]


def _sign_another(world: World, entry: JsonObject) -> Callable[[str, str, Reply], Reply]:
    """A relay that lies: a receipt with a proof that holds, in a log of one entry."""
    relay = world.wire.app.extensions["relay"]

    def change(method: str, path: str, reply: Reply) -> Reply:
        if (method, path) != REDEEM:
            return reply
        answer = json.loads(reply.body)
        forged = answer["receipt"]["entry"] | entry
        forged = {name: value for name, value in forged.items() if value is not None}
        leaf = leaf_of(bytes(32), forged)
        origin = answer["receipt"]["checkpoint"].partition("\n")[0]
        receipt = Receipt(
            entry=forged,
            salt=bytes(32),
            leaf_index=0,
            inclusion=(),
            checkpoint=sign_checkpoint(Checkpoint(origin, 1, leaf), relay.log_key),
        )
        answer["receipt"] = receipt.to_json()
        return replace(reply, body=json.dumps(answer).encode())

    return change


@pytest.mark.parametrize(
    "entry",
    [
        {"ordinal": 1, "prev": None},
        {"ordinal": 2, "prev": "A" * 43},
        {"ordinal": 2, "prev": None},
        {"ordinal": 9, "prev": None},
        {"ordinal": 0},
        {"ordinal": "2"},
        {"ordinal": True},
    ],
)
def test_events_of_a_package_form_a_chain(world: World, entry: JsonObject) -> None:
    """A receipt that the log signed, but that does not follow the one before, is evidence."""
    world.granted()
    world.shop.redeem("delivery")
    world.wire.change = _sign_another(world, entry)
    with pytest.raises(CompanyError) as refused:
        world.shop.redeem("delivery")
    assert refused.value.code == "company.receipt"
    problem = world.shop.problems()[-1]
    assert problem.code == "company.receipt"
    assert "receipt" in problem.detail
    # It was counted, so it is not given up: the answer can be fetched again.
    world.wire.change = None
    redeemed = world.shop.redeem("delivery")
    assert (redeemed.ordinal, redeemed.recovered) == (2, True)


def test_nonsense_is_not_acted_on(world: World) -> None:
    """An answer that is none stays unfinished, so that the real one can still be fetched."""
    granted = world.granted()
    _forge(world, "manifest", "seq", 2)
    with pytest.raises(RelayNonsense):
        world.shop.redeem("delivery")
    world.wire.change = None
    assert world.shop.redeem("delivery").recovered
    assert world.holder.uses(granted) == 1


def test_package_beyond_the_grant_is_not_kept(world: World) -> None:
    """A field that was not granted makes the package worthless: nothing of it is stored."""
    holder, request = world.holder, world.ask()
    granted = holder.grant(
        request, "delivery", fields=frozenset({"contact.name", "contact.address"})
    )
    holder.stage(granted, paths=frozenset({"contact.name", "contact.telephone"}))
    body = holder.decision(request, [granted], frozenset({"newsletter"})).to_json()
    holder.send(request, "Decision", body)
    world.shop.collect()
    with pytest.raises(PackageRefused) as refused:
        world.shop.redeem("delivery")
    assert refused.value.code == "package.fields"
    assert world.shop.register.held() == []
    assert not world.on_disk("Anna Kovács-Canary")


def test_restored_relay_goes_on_under_a_new_origin(world: World) -> None:
    """The same log key under a new origin is followed; the package waits for its holder."""
    granted = world.granted()
    world.shop.redeem("delivery")
    relay = world.wire.app.extensions["relay"]
    folder = world.folder.parent / "relay"
    relay.store.close()
    mark_restored(folder)
    world.wire.app = create_app(folder, url=URL, clock=world.clock)
    with pytest.raises(RelayError) as refused:
        world.shop.redeem("delivery")
    assert refused.value.code == "relay.suspended"
    world.holder.publish_status()
    world.holder.stage(granted)
    redeemed = world.shop.redeem("delivery")
    assert redeemed.seq == 2
    assert "relay restored" in [event.kind for event in world.shop.events()]
    # Nothing links the new log to the old one, and what was seen of that is kept.
    problem = world.shop.problems()[-1]
    assert problem.code == "relay.new_log"
    assert str(problem.detail["last"]).startswith(str(problem.detail["before"]))


def test_grants_are_named_without_doubt(world: World) -> None:
    """A name that is unknown or fits two grants is refused; a person or an id decides."""
    world.granted()
    second = world.granted()
    for name, person, code in (
        ("nothing", None, "company.not_found"),
        ("delivery", "did:key:z6MkOther", "company.not_found"),
        ("delivery", None, "company.ambiguous"),
    ):
        with pytest.raises(CompanyError) as refused:
            world.shop.redeem(name, person=person)
        assert refused.value.code == code
    assert world.shop.redeem(second.verified.id).grant == second.verified.digest
    assert world.shop.redeem(second.verified.digest).ordinal == 2


def test_errors_and_reprs_hold_no_personal_data(world: World) -> None:
    """Neither what is raised nor what is printed by mistake repeats a value."""
    world.granted()
    redeemed = world.shop.redeem("delivery")
    held = world.shop.register.held()
    events = world.shop.events()
    assert CANARY not in repr(redeemed) + repr(held) + repr(events)
    with pytest.raises(PdsError) as refused:
        world.shop.register.data(world.holder.did, "https://w3id.org/dpv#Marketing")
    assert CANARY not in str(refused.value) + refused.value.hint


def test_processes_take_turns(world: World) -> None:
    """While one process collects or redeems, another is told to wait, and spends no use."""
    granted = world.granted()
    with Company.open(world.folder, clock=world.clock, transport=world.wire) as other:
        other._ctx.patience = 0
        with world.shop._ctx.alone():
            for act in (
                other.collect,
                other.recover,
                other.expire,
                lambda: other.redeem("delivery"),
            ):
                with pytest.raises(CompanyError) as refused:
                    act()
                assert (refused.value.code, refused.value.exit_code) == ("company.busy", 4)
        assert other.redeem("delivery").ordinal == 1
    assert world.holder.uses(granted) == 1
