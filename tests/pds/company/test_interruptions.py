"""Whatever call is cut off, whether its request or its answer is lost: in the end all is well."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from company_world import (
    DELIVERY,
    LEGAL_OBLIGATION,
    Reply,
    Wire,
    World,
    close,
    make_world,
    read_terms,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from did.json import Json, JsonObject
from pds.company.errors import NoBasis
from pds.errors import PdsError
from pds.links import RequestLink
from pds.messages.notices import ErasureAttestation


class CutOnce(Wire):
    """Cuts the n-th call of its owner, before or after the relay has carried it out."""

    cut_at: int = -1
    lose: str = "answer"

    def request(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes) -> Reply:
        here = len(self.calls) == self.cut_at
        if here and self.lose == "request":
            self.calls.append((method, "cut"))
            raise ConnectionResetError
        reply = super().request(method, url, headers=headers, body=body)
        if here:
            raise TimeoutError
        return reply


def _story(world: World) -> None:
    """A whole thread, in which the shop starts again and tries again until it has no error."""
    shop = world.shop
    new = shop.request(read_terms(), valid_for=timedelta(days=14))
    shop = world.reopen()
    shop.collect()
    link = RequestLink.parse(shop.requests()[0].link or "")
    assert link == new.link
    granted = world.holder.decide(world.holder.read(link, shop), "delivery")[0]
    _until_quiet(world)
    for _ in range(3):
        try:
            world.shop.redeem("delivery")
            break
        except (PdsError, NoBasis):
            world.reopen()
    assert world.shop.register.data(world.holder.did, DELIVERY) != {}
    assert world.holder.uses(granted) == 1
    world.holder.withdraw(granted, verb="end")
    _until_quiet(world)
    (attested,) = (
        ErasureAttestation.parse(message.message.body) for message in world.holder.inbox(world.shop)
    )
    assert (attested.seqs, attested.erased) == (frozenset({1}), frozenset({"contact.telephone"}))
    assert not world.on_disk("+36 1 555 0123")
    assert isinstance(world.wire, CutOnce)
    world.wire.cut_at = -1
    assert world.shop.collect().problems == []


def _until_quiet(world: World) -> None:
    for _ in range(3):
        report = world.reopen().collect()
        if not report.problems and not report.push.waiting:
            return


def _world(folder: Path, cut_at: int, lose: str) -> World:
    world = make_world(folder)
    world.shop.close()
    wire = CutOnce(world.wire.app)
    wire.cut_at, wire.lose = cut_at, lose
    world.wire = wire  # the holder keeps the old one, which nobody cuts
    world.reopen()
    return world


def test_story_without_interruption(tmp_path: Path) -> None:
    """The story makes as many calls as the sweep below cuts."""
    world = _world(tmp_path, -1, "answer")
    _story(world)
    assert len(world.wire.calls) <= CALLS
    close(world)


CALLS = 18


@pytest.mark.parametrize("lose", ["request", "answer"])
@pytest.mark.parametrize("cut_at", range(CALLS))
def test_any_call_may_be_cut(tmp_path: Path, cut_at: int, lose: str) -> None:
    """One use is spent, one attestation arrives, nothing erased comes back."""
    world = _world(tmp_path, cut_at, lose)
    _story(world)
    close(world)


PATHS = ("contact.name", "contact.address", "contact.telephone")
RETAINED = st.lists(
    st.tuples(st.sets(st.sampled_from(PATHS), min_size=1), st.integers(1, 5)), max_size=3
)


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(retained=RETAINED)
def test_attestation_divides_what_was_received(
    world: World, retained: list[tuple[set[str], int]]
) -> None:
    """Every path received is either erased or retained, none both; what is held is what is said."""
    entries: list[Json] = [
        {
            "paths": list[Json](sorted(paths)),
            "basis": LEGAL_OBLIGATION,
            "days": days,
            "reason": {"en": "The law says so."},
        }
        for paths, days in retained
    ]
    delivery: JsonObject = read_terms()["purposes"][0]  # type: ignore[index, assignment]
    del delivery["retained"]
    if entries:
        delivery["retained"] = entries
    granted = world.holder.decide(world.ask({"purposes": [delivery]}), "delivery")[0]
    world.shop.collect()
    world.shop.redeem(granted.verified.id)
    world.holder.withdraw(granted, verb="end")
    world.shop.collect()
    (body,) = world.shop.attestations(granted.verified.id)
    said = ErasureAttestation.parse(body)
    stays = {path for kept in said.retained for path in kept.paths}
    assert stays == {path for paths, _ in retained for path in paths}
    assert said.erased == set(PATHS) - stays
    held = [one for one in world.shop.register.held() if one.grant == granted.verified.id]
    assert {one.path for one in held} == stays
    for kept in said.retained:
        assert {(one.path, one.until) for one in held} >= {(p, kept.until) for p in kept.paths}
