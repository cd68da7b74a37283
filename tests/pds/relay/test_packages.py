"""Staging packages, versions, ending them, and their events."""

from datetime import timedelta

import pytest
from relay_world import World, close, make_world

from credentials.status import StatusEntry
from did.json import digest
from did.keys import SigningKey
from did.multikey import multihash_sha256
from pds.relay.limits import Limits
from pds.wire import new_id


def test_staging_gives_a_receipt_that_verifies(world: World) -> None:
    """The receipt names package, version, ticket, digest and size."""
    world.create()
    world.put_status()
    package = new_id()
    ticket = world.ticket(package)
    reply = world.stage(package, ticket=ticket, sealed=b"sealed")
    entry = world.verify(reply.json).receipt.entry
    assert entry == {
        "type": "staging",
        "relay": world.url,
        "at": "2026-05-04T10:20:30Z",
        "package": package,
        "seq": 1,
        "ticket": digest(ticket),
        "sha256": multihash_sha256(b"sealed"),
        "size": 6,
    }


def test_staging_the_same_again_gives_the_same_receipt(world: World) -> None:
    """An outbox may repeat a step; a proof made anew does not make another version."""
    world.create()
    world.put_status()
    package = new_id()
    ticket = world.ticket(package)
    first = world.stage(package, ticket=ticket)
    manifest = world.manifest(package, ticket, b"sealed bytes")
    assert world.stage(package, ticket=ticket, manifest=manifest).body == first.body


def test_a_version_is_exactly_one_more(world: World) -> None:
    """1 first, then 2; the same number with other content, or a gap, is refused."""
    world.create()
    world.put_status()
    package = new_id()
    ticket = world.ticket(package)
    assert world.stage(package, ticket=ticket, seq=2).code == "relay.seq"
    assert world.stage(package, ticket=ticket, seq=1).status == 200
    assert world.stage(package, ticket=ticket, seq=3).code == "relay.seq"
    assert world.stage(package, ticket=ticket, seq=1, sealed=b"x").code == "relay.seq"
    assert world.stage(package, ticket=ticket, seq=2, sealed=b"new").status == 200
    answer = world.redeem(ticket).json
    assert answer["manifest"]["seq"] == 2
    assert answer["receipt"]["entry"]["sha256"] == multihash_sha256(b"new")


def test_the_owner_sees_what_is_staged(world: World) -> None:
    """GET gives manifest and ticket back as they were signed, and nothing of them once ended."""
    package, ticket = world.ready()
    shown = world.call("GET", f"/v1/packages/{package}").json
    assert shown["ticket"] == ticket
    assert shown["manifest"]["ticket"] == digest(ticket)
    assert (shown["uses"], shown["ended"]) == (0, False)
    world.end(package)
    shown = world.call("GET", f"/v1/packages/{package}").json
    assert shown == {"manifest": None, "ticket": None, "uses": 0, "ended": True}


def test_ending_gives_one_receipt_and_is_for_good(world: World) -> None:
    """The end is in the log once; nothing is released or staged after it."""
    package, ticket = world.ready()
    first = world.end(package)
    assert world.verify(first.json).receipt.entry["type"] == "end"
    assert world.end(package).body == first.body
    assert (world.redeem(ticket).status, world.redeem(ticket).code) == (410, "relay.ended")
    assert world.stage(package, ticket=ticket, seq=2).code == "relay.ended"
    assert world.end(new_id()).code == "relay.not_found"


def test_ending_erases_ciphertext_ticket_and_answers(world: World) -> None:
    """A tombstone and the events are what stays."""
    package, ticket = world.ready()
    presentation = world.presentation(ticket)
    assert world.present(presentation).status == 200
    world.end(package)
    assert world.recover(presentation).code == "relay.not_found"
    with world.app.extensions["relay"].store.read() as conn:
        for rows in ("contents", "tickets", "events WHERE kept = 1"):
            assert conn.execute(f"SELECT count(*) FROM {rows}").fetchone()[0] == 0
    assert [event["ordinal"] for event in world.events(package)] == [1]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"size": 99}, "relay.malformed"),
        ({"sha256": multihash_sha256(b"other")}, "relay.malformed"),
        ({"ticket": multihash_sha256(b"other")}, "relay.malformed"),
        ({"package": new_id()}, "relay.malformed"),
        ({"key": SigningKey.generate()}, "relay.proof_invalid"),
    ],
)
def test_a_manifest_must_fit_ticket_and_bytes(world: World, changes: dict, code: str) -> None:
    """Another size, digest, ticket or package, or another signer, is refused."""
    world.create()
    world.put_status()
    assert world.stage(new_id(), **changes).code == code


def test_a_manifest_that_is_over_stages_nothing(world: World) -> None:
    """The end is exact: at ``notAfter`` the package is over."""
    world.create()
    world.put_status()
    assert world.stage(new_id(), not_after=world.clock()).code == "relay.expired"


def test_a_ticket_must_be_sound_and_of_this_package(world: World) -> None:
    """A changed ticket, one of another package, and one with a list elsewhere are refused."""
    world.create()
    world.put_status()
    package = new_id()
    changed = world.ticket(package)
    changed["credentialSubject"]["maxUses"] = 99
    assert world.stage(package, ticket=changed).code == "relay.proof_invalid"
    assert world.stage(package, ticket=world.ticket(new_id())).code == "relay.malformed"
    elsewhere = StatusEntry(f"https://other.example/v1/status/{world.list_id}", 7)
    ticket = world.ticket(package, status=elsewhere)
    assert world.stage(package, ticket=ticket).code == "relay.malformed"


def test_staging_wants_the_status_list_there_first(world: World) -> None:
    """No list, another mailbox's list, one that is over, or a set bit: refused, with the reason."""
    world.create()
    package = new_id()
    ticket = world.ticket(package)
    assert world.stage(package, ticket=ticket).code == "relay.status_stale"
    other = world.sibling()
    other.create()
    other.put_status()
    foreign = StatusEntry(f"{world.url}/v1/status/{other.list_id}", 7)
    borrowed = world.ticket(package, status=foreign)
    assert world.stage(package, ticket=borrowed).code == "relay.status_stale"
    # The same issuer's list in another mailbox, and another issuer's in the same.
    twin = world.sibling()
    twin.holder = world.holder
    twin.create()
    twin.put_status()
    moved = StatusEntry(f"{world.url}/v1/status/{twin.list_id}", 7)
    assert world.stage(package, ticket=world.ticket(package, status=moved)).code == (
        "relay.status_stale"
    )
    own, world.list_id = world.list_id, new_id()
    world.put_status(world.status_list(key=SigningKey.generate()))
    assert world.stage(package).code == "relay.status_stale"
    world.list_id = own
    world.put_status()
    far = StatusEntry(f"{world.url}/v1/status/{world.list_id}", 131_072)
    assert world.stage(package, ticket=world.ticket(package, status=far)).code == (
        "relay.status_stale"
    )
    world.put_status(world.status_list(sequence=2, bits=world.bits.with_bit(7)))
    assert world.stage(package, ticket=ticket).code == "relay.withdrawn"
    world.clock.move(days=35)
    assert world.stage(package, not_after=world.clock() + timedelta(1)).code == (
        "relay.status_stale"
    )


def test_a_package_keeps_its_mailbox_and_its_issuer(world: World) -> None:
    """Another issuer, or another mailbox of the same owner, cannot take a package over."""
    package, _ = world.ready()
    twin = world.sibling()
    twin.owner = world.owner
    twin.create()
    twin.put_status()
    assert twin.stage(package, seq=2).code == "relay.conflict"
    other = SigningKey.generate()
    world.list_id = new_id()
    world.put_status(world.status_list(key=other))
    world.holder = other
    assert world.stage(package, seq=2).code == "relay.conflict"


def test_a_stranger_cannot_stage_over_a_package(world: World) -> None:
    """Somebody else's package id is as unknown as any other."""
    package, _ = world.ready()
    other = world.sibling()
    other.create()
    other.put_status()
    reply = other.stage(package, seq=2)
    assert (reply.status, reply.body) == (404, other.end(new_id()).body)
    fresh = new_id()
    named = world.staging(fresh)
    assert other.call("PUT", f"/v1/packages/{fresh}", named).body == reply.body


def test_events_are_chained_and_in_pages(world: World) -> None:
    """Ordinals have no gaps, and each event names the leaf of the one before."""
    package, ticket = world.ready(max_uses=60)
    for _ in range(52):
        assert world.redeem(ticket).status == 200
    first = world.call("GET", f"/v1/packages/{package}/events?after=0").json
    assert (len(first["events"]), first["more"]) == (50, True)
    events = first["events"] + world.events(package, after=50)
    assert [event["ordinal"] for event in events] == list(range(1, 53))
    leaf = None
    for event in events:
        receipt = world.verify(event["receipt"]).receipt
        assert receipt.entry["ordinal"] == event["ordinal"]
        assert receipt.entry.get("prev") == leaf
        leaf = receipt.id


def test_presentations_are_erased_when_the_owner_has_them(world: World) -> None:
    """After the acknowledgment the event stays, without what the company sent."""
    package, ticket = world.ready()
    sent = [world.presentation(ticket) for _ in range(2)]
    for presentation in sent:
        world.present(presentation)
    assert [event["presentation"] for event in world.events(package)] == sent
    path = f"/v1/packages/{package}/events?through=1"
    assert [world.call("DELETE", path).status for _ in range(2)] == [204, 204]
    first, second = world.events(package)
    assert "presentation" not in first
    assert second["presentation"] == sent[1]


@pytest.mark.parametrize("first", ["acknowledged", "erased"])
def test_who_took_is_forgotten_with_answer_and_presentation(world: World, first: str) -> None:
    """While one of both is kept the relay knows whose it is, and an answer can be had again."""
    package, ticket = world.ready()
    presentation = world.presentation(ticket)
    world.present(presentation)
    erase = f"/v1/packages/{package}/events?through=1"

    def known() -> int:
        with world.app.extensions["relay"].store.read() as conn:
            return int(conn.execute("SELECT count(holder) FROM events").fetchone()[0])

    acts = {
        "acknowledged": lambda: world.acknowledge(presentation),
        "erased": lambda: world.call("DELETE", erase),
    }
    acts.pop(first)()
    assert world.recover(presentation).status == (404 if first == "acknowledged" else 200)
    assert known() == 1
    for act in acts.values():
        act()
    assert world.recover(presentation).status == 404
    assert known() == 0


def test_an_owner_has_so_many_packages(data) -> None:
    """The quota counts packages that have ended, too."""
    world = make_world(data, limits=Limits(packages_per_mailbox=2))
    world.ready()
    package, _ = world.another()
    world.end(package)
    assert world.stage(new_id()).code == "relay.quota"
    close(world)
