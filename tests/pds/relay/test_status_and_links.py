"""Status lists and request links."""

from datetime import timedelta

import pytest
from relay_world import World, close, make_world

from credentials.status import BitString, verify_stamp, verify_status_list
from did.json import digest, parse_object
from did.keys import SigningKey, VerifyKey
from did.multikey import b64url_decode, b64url_encode
from did.time import format_time
from pds.relay.limits import Limits
from pds.wire import new_id


def test_a_list_is_given_out_with_a_stamp(world: World) -> None:
    """Anyone gets the credential as it was signed, and the log key says that it is the newest."""
    world.create()
    credential = world.status_list()
    receipt = world.put_status(credential)
    assert world.verify(receipt.json).receipt.entry == {
        "type": "status",
        "relay": world.url,
        "at": "2026-05-04T10:20:30Z",
        "list": world.list_id,
        "digest": digest(credential),
        "sequence": 1,
    }
    reply = world.get(f"/v1/status/{world.list_id}")
    assert reply.headers["content-type"] == "application/vc"
    found = verify_status_list(
        reply.body,
        now=world.clock(),
        expected_issuer=world.holder.did,
        expected_url=f"{world.url}/v1/status/{world.list_id}",
    )
    log_key = VerifyKey.from_multikey(world.get("/v1/relay").json["logKey"])
    stamp = verify_stamp(
        parse_object(b64url_decode(reply.headers["pds-stamp"])),
        log_key=log_key,
        expected_digest=found.digest,
        now=world.clock(),
    )
    assert (stamp.relay, stamp.list_id, stamp.sequence) == (world.url, world.list_id, 1)
    assert stamp.expires - stamp.at == timedelta(hours=24)


def test_the_sequence_rises_and_the_same_list_is_no_mistake(world: World) -> None:
    """The list that is there gives its receipt again; an equal or lower sequence is refused."""
    world.create()
    credential = world.status_list(sequence=5)
    first = world.put_status(credential)
    assert world.put_status(credential).body == first.body
    other = world.status_list(sequence=5, bits=world.bits.with_bit(1))
    assert world.put_status(other).code == "relay.sequence"
    older = world.put_status(world.status_list(sequence=4))
    assert (older.status, older.code) == (409, "relay.sequence")
    assert world.put_status(world.status_list(sequence=6)).status == 200


def test_a_list_must_be_sound_and_for_this_address(world: World) -> None:
    """A changed list, one for another address, and one that is over are refused."""
    world.create()
    changed = world.status_list()
    changed["credentialSubject"]["sequence"] = 2
    assert world.put_status(changed).code == "relay.proof_invalid"
    elsewhere = world.status_list(list_url=f"{world.url}/v1/status/{new_id()}")
    assert world.put_status(elsewhere).code == "relay.malformed"
    over = world.status_list(now=world.clock() - timedelta(days=35))
    assert world.put_status(over).code == "relay.status_stale"
    assert world.get(f"/v1/status/{world.list_id}").code == "relay.not_found"


def test_a_list_keeps_its_mailbox_and_issuer(world: World) -> None:
    """Nobody else writes to it, and its owner does not hand it on."""
    world.ready()
    other = SigningKey.generate()
    assert world.put_status(world.status_list(sequence=2, key=other)).code == "relay.conflict"
    stranger = world.sibling()
    stranger.create()
    stranger.list_id = world.list_id
    assert stranger.put_status(world.status_list(sequence=2)).code == "relay.not_found"
    world.mailbox = new_id()
    world.create()
    assert world.put_status(world.status_list(sequence=2)).code == "relay.conflict"


def test_a_list_of_another_length_covers_nothing(world: World) -> None:
    """Fewer or more entries would be a way to lose bits."""
    world.ready()
    longer = world.status_list(sequence=2, bits=BitString.empty(262_144))
    assert world.put_status(longer).code == "relay.bits_cleared"


def test_a_mailbox_has_so_many_lists(data) -> None:
    """The fifth is one too many."""
    world = make_world(data)
    world.create()
    for _ in range(4):
        world.list_id = new_id()
        assert world.put_status().status == 200
    world.list_id = new_id()
    reply = world.put_status()
    assert (reply.status, reply.code) == (429, "relay.quota")
    close(world)


def _link(world: World, *, days: float = 1, sealed: bytes = b"locked request") -> dict[str, str]:
    return {
        "mailbox": world.mailbox,
        "sealed": b64url_encode(sealed),
        "expires": format_time(world.clock() + timedelta(days=days)),
    }


def test_a_request_is_there_for_anyone_until_it_expires(world: World) -> None:
    """GET gives the octets and no more; at its end it is gone."""
    world.create()
    path = f"/v1/requests/{new_id()}"
    body = _link(world)
    assert [world.call("PUT", path, body).status for _ in range(2)] == [201, 201]
    reply = world.get(path)
    assert (reply.status, reply.body) == (200, b"locked request")
    assert reply.headers["content-type"] == "application/octet-stream"
    world.clock.move(days=1)
    assert world.get(path).code == "relay.not_found"


def test_a_request_can_be_taken_back_for_good(world: World) -> None:
    """Its id is not given again, and nobody else can take it."""
    world.create()
    path = f"/v1/requests/{new_id()}"
    body = _link(world)
    world.call("PUT", path, body)
    assert world.call("PUT", path, _link(world, sealed=b"other")).code == "relay.conflict"
    stranger = world.sibling()
    stranger.create()
    assert stranger.call("DELETE", path).code == "relay.not_found"
    assert stranger.call("PUT", path, _link(stranger)).code == "relay.not_found"
    assert [world.call("DELETE", path).status for _ in range(2)] == [204, 204]
    assert world.get(path).code == "relay.not_found"
    assert world.call("PUT", path, body).code == "relay.ended"


def test_requests_have_limits(data) -> None:
    """So many at a time, not for ever, and not in the past."""
    world = make_world(data, limits=Limits(requests_per_mailbox=2))
    world.create()
    for _ in range(2):
        assert world.call("PUT", f"/v1/requests/{new_id()}", _link(world)).status == 201
    assert world.call("PUT", f"/v1/requests/{new_id()}", _link(world)).code == "relay.quota"
    world.clock.move(days=2)
    assert world.call("PUT", f"/v1/requests/{new_id()}", _link(world)).status == 201
    late = _link(world, days=91)
    assert world.call("PUT", f"/v1/requests/{new_id()}", late).code == "relay.quota"
    past = _link(world, days=0)
    assert world.call("PUT", f"/v1/requests/{new_id()}", past).code == "relay.expired"
    close(world)


@pytest.mark.parametrize("path", ["/r/", "/r/not-an-id", "/r/" + "A" * 22])
def test_the_page_of_a_link_is_the_same_whatever_the_id(world: World, path: str) -> None:
    """It has no script, loads nothing, and does not say whether there is a request."""
    reply = world.get(path)
    if path == "/r/":
        assert reply.status == 404
        return
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")
    assert b"<script" not in reply.body
    assert reply.body == world.get(f"/r/{new_id()}").body
