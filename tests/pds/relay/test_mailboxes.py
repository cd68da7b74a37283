"""Mailboxes, capabilities and envelopes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from relay_world import World, close, make_world, reopen

from did.keys import SigningKey
from did.multikey import b64url_encode
from did.time import format_time
from pds.wire import capability_hash, new_capability, new_id


def test_a_mailbox_is_made_once_and_found_again(world: World) -> None:
    """PUT answers 201, then 200, and GET shows an empty mailbox with its epoch."""
    assert (world.create().status, world.create().status) == (201, 200)
    found = world.call("GET", f"/v1/mailboxes/{world.mailbox}")
    assert found.json == {"mailbox": world.mailbox, "epoch": 1, "packages": [], "lists": []}


def test_a_mailbox_lists_its_packages_and_status_lists(world: World) -> None:
    """GET shows what a vault that came back from a backup needs to merge."""
    package, ticket = world.ready()
    world.redeem(ticket)
    shown = world.call("GET", f"/v1/mailboxes/{world.mailbox}").json
    assert shown["packages"] == [{"package": package, "seq": 1, "uses": 1, "ended": False}]
    assert shown["lists"] == [{"list": world.list_id, "sequence": 1}]
    world.end(package)
    shown = world.call("GET", f"/v1/mailboxes/{world.mailbox}").json
    assert shown["packages"] == [{"package": package, "seq": 1, "uses": 1, "ended": True}]


def test_ending_a_mailbox_ends_all_in_it_for_good(world: World) -> None:
    """Packages, envelopes, capabilities and links end; the id is never given again."""
    package, ticket = world.ready()
    _, secret = world.capability()
    world.deposit(secret, b"an envelope")
    path = f"/v1/mailboxes/{world.mailbox}"
    assert world.call("DELETE", path).status == 204
    assert world.call("DELETE", path).status == 204
    assert world.call("GET", path).code == "relay.ended"
    assert world.create().code == "relay.ended"
    assert world.deposit(secret, b"another").code == "relay.capability"
    assert world.redeem(ticket).code == "relay.ended"
    assert world.stage(package).code == "relay.ended"
    assert world.end(package).json["entry"]["type"] == "end"
    assert world.events(package) == []


def test_registration_by_token(data) -> None:
    """Only who brings the token makes a mailbox; who has one needs it no longer."""
    world = make_world(data, registration="token", token="a long token")
    path = f"/v1/mailboxes/{world.mailbox}"
    assert world.get("/v1/relay").json["registration"] == "token"
    assert world.create().code == "relay.token"
    assert world.call("PUT", path, {"token": "another"}).code == "relay.token"
    assert world.call("PUT", path, {"token": "a long token"}).status == 201
    assert world.create().status == 200
    close(world)


def test_a_superseded_writer_is_refused_but_may_look(world: World) -> None:
    """A lower epoch writes nothing; reading shows it the epoch that it must pass."""
    package, _ = world.ready()
    assert world.create(epoch=5).status == 200
    for reply in (
        world.create(epoch=4),
        world.put_status(world.status_list(sequence=2), epoch=4),
        world.call("PUT", f"/v1/packages/{package}", world.staging(package, seq=2), epoch=4),
        world.call("DELETE", f"/v1/packages/{package}", epoch=4),
        world.call("DELETE", f"/v1/packages/{package}/events?through=1", epoch=4),
        world.call("DELETE", f"/v1/mailboxes/{world.mailbox}", epoch=4),
        world.call("DELETE", f"/v1/mailboxes/{world.mailbox}/envelopes/1", epoch=4),
    ):
        assert (reply.status, reply.code) == (409, "relay.epoch_superseded")
    assert world.call("GET", f"/v1/mailboxes/{world.mailbox}", epoch=4).json["epoch"] == 5


def test_a_deposit_gives_a_receipt_that_verifies(world: World) -> None:
    """The receipt names mailbox, ordinal, digest and size, and its time is the hour only."""
    world.create()
    _, secret = world.capability()
    reply = world.deposit(secret, b"sealed")
    assert reply.status == 201
    entry = world.verify(reply.json).receipt.entry
    assert entry["type"] == "deposit"
    assert (entry["mailbox"], entry["ordinal"], entry["size"]) == (world.mailbox, 1, 6)
    assert entry["at"] == "2026-05-04T10:00:00Z"


def test_the_same_octets_again_give_the_same_receipt_and_count_once(world: World) -> None:
    """A sender that lost the answer asks again, also after the owner has fetched the envelope."""
    world.create()
    _, secret = world.capability(envelopes=1)
    first = world.deposit(secret, b"sealed")
    assert world.deposit(secret, b"sealed").body == first.body
    world.call("DELETE", f"/v1/mailboxes/{world.mailbox}/envelopes/1")
    assert world.deposit(secret, b"sealed").body == first.body
    assert world.deposit(secret, b"other").code == "relay.quota"
    page = world.call("GET", f"/v1/mailboxes/{world.mailbox}/envelopes?after=0").json
    assert page == {"envelopes": [], "more": False}


def test_envelopes_come_in_order_and_in_pages(world: World) -> None:
    """At most 50 at a time; what was deleted is gone, and deleting again is no mistake."""
    world.create()
    _, secret = world.capability(envelopes=60)
    for number in range(53):
        world.deposit(secret, b"%d" % number)
    path = f"/v1/mailboxes/{world.mailbox}/envelopes"
    first = world.call("GET", f"{path}?after=0").json
    assert [one["ordinal"] for one in first["envelopes"]] == list(range(1, 51))
    assert first["more"] is True
    rest = world.call("GET", f"{path}?after=50").json
    assert [one["sealed"] for one in rest["envelopes"]] == [
        b64url_encode(b"%d" % number) for number in (50, 51, 52)
    ]
    assert rest["more"] is False
    assert [world.call("DELETE", f"{path}/51").status for _ in range(2)] == [204, 204]
    rest = world.call("GET", f"{path}?after=50").json
    assert [one["ordinal"] for one in rest["envelopes"]] == [52, 53]


def test_a_page_of_large_envelopes_stays_below_four_mebibytes(world: World) -> None:
    """Size ends a page as well as number does."""
    world.create()
    _, secret = world.capability(envelopes=9, size=2**20)
    for number in range(5):
        assert world.deposit(secret, bytes([number]) * 2**20).status == 201
    path = f"/v1/mailboxes/{world.mailbox}/envelopes"
    page = world.call("GET", f"{path}?after=0").json
    assert (len(page["envelopes"]), page["more"]) == (4, True)


def test_a_capability_has_a_size_an_end_and_can_be_taken_back(world: World) -> None:
    """Too large, too late and revoked are refused; nothing else is told."""
    world.create()
    cid, secret = world.capability(size=8, days=1)
    assert world.deposit(secret, b"123456789").code == "relay.too_large"
    assert world.deposit(secret, b"12345678").status == 201
    path = f"/v1/mailboxes/{world.mailbox}/capabilities/{cid}"
    assert world.call("DELETE", path).status == 204
    assert world.call("DELETE", path).status == 204
    assert world.deposit(secret, b"1").code == "relay.capability"
    _, secret = world.capability(days=1)
    world.clock.move(days=1)
    assert world.deposit(secret, b"1").code == "relay.capability"


def test_putting_a_capability_is_idempotent_and_never_changes_one(world: World) -> None:
    """The same again is 201, other terms or the same secret twice a conflict, a dead id stays."""
    world.create()
    cid, secret = new_id(), new_capability()
    path = f"/v1/mailboxes/{world.mailbox}/capabilities"
    body = {
        "hash": capability_hash(secret),
        "maxEnvelopes": 2,
        "maxBytes": 100,
        "expires": format_time(world.clock()),
    }
    assert [world.call("PUT", f"{path}/{cid}", body).status for _ in range(2)] == [201, 201]
    changed = world.call("PUT", f"{path}/{cid}", body | {"maxEnvelopes": 3})
    assert changed.code == "relay.conflict"
    assert world.call("PUT", f"{path}/{new_id()}", body).code == "relay.conflict"
    world.call("DELETE", f"{path}/{cid}")
    assert world.call("PUT", f"{path}/{cid}", body).code == "relay.ended"
    assert world.call("DELETE", f"{path}/{new_id()}").code == "relay.not_found"


@pytest.mark.parametrize(
    "secret",
    ["", "short", "é" * 43, pytest.param(new_capability(), id="of another mailbox")],
)
def test_a_capability_that_is_not_there_says_nothing_about_the_mailbox(
    world: World, secret: str
) -> None:
    """A wrong secret at a mailbox looks like one at a mailbox that does not exist."""
    world.create()
    secret = secret.encode().decode("latin-1")
    here = world.deposit(secret, b"x")
    world.mailbox = new_id()
    there = world.deposit(secret, b"x")
    assert here.code == "relay.capability"
    assert (here.status, here.body) == (there.status, there.body)


def test_a_deposit_needs_the_bearer_scheme(world: World) -> None:
    """No Authorization, or another scheme, is refused like a wrong capability."""
    world.create()
    _, secret = world.capability()
    path = f"/v1/mailboxes/{world.mailbox}/envelopes"
    for headers in ({}, {"Authorization": secret}, {"Authorization": f"Basic {secret}"}):
        assert world.send("POST", path, headers, b"x").code == "relay.capability"
    assert world.deposit(secret, b"").code == "relay.malformed"


def test_a_mailbox_survives_a_restart(world: World, data) -> None:
    """What was answered is there when the relay starts again."""
    world.create()
    _, secret = world.capability()
    receipt = world.deposit(secret, b"sealed").json
    reopen(world, data)
    page = world.call("GET", f"/v1/mailboxes/{world.mailbox}/envelopes?after=0").json
    assert page["envelopes"] == [{"ordinal": 1, "sealed": b64url_encode(b"sealed")}]
    world.verify(receipt)


def test_nobody_else_reaches_a_mailbox(world: World) -> None:
    """For another key everything in the mailbox is the same 404 as what was never there."""
    package, _ = world.ready()
    cid, _ = world.capability()
    stranger = SigningKey.generate()
    base = f"/v1/mailboxes/{world.mailbox}"
    unknown = world.call("GET", f"/v1/mailboxes/{new_id()}", key=stranger)
    for method, path in (
        ("GET", base),
        ("DELETE", base),
        ("DELETE", f"{base}/capabilities/{cid}"),
        ("GET", f"{base}/envelopes?after=0"),
        ("DELETE", f"{base}/envelopes/1"),
        ("GET", f"/v1/packages/{package}"),
        ("DELETE", f"/v1/packages/{package}"),
        ("GET", f"/v1/packages/{package}/events?after=0"),
        ("DELETE", f"/v1/packages/{package}/events?through=1"),
    ):
        reply = world.call(method, path, key=stranger)
        assert (reply.status, reply.body) == (404, unknown.body), (method, path)


def test_the_last_place_of_a_capability_is_taken_once(data: Path) -> None:
    """Sixteen deposits at the same moment for three places: three are in, and the rest is told
    that the quota is used up."""
    world = make_world(data)
    world.create()
    _, secret = world.capability(envelopes=3)
    together = threading.Barrier(16)

    def one(number: int) -> int:
        together.wait(60)
        return world.deposit(secret, b"%d" % number).status

    with ThreadPoolExecutor(16) as pool:
        statuses = sorted(pool.map(one, range(16)))
    assert statuses == [201] * 3 + [429] * 13
    page = world.call("GET", f"/v1/mailboxes/{world.mailbox}/envelopes?after=0").json
    assert [found["ordinal"] for found in page["envelopes"]] == [1, 2, 3]
    close(world)
