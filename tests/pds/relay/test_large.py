"""Packages and envelopes of several MiB: staged whole, handed out in pieces."""

import pytest
from relay_world import URL, InProcess, World, close, make_world

from did.json import digest
from did.keys import SigningKey
from did.multikey import b64url_decode, multihash_sha256
from pds.mailbox import RelayClient, RelayError, RelayUnreachable
from pds.relay.limits import Limits
from pds.wire import MIB, SEAL, WHOLE, new_id

LONG = b"".join(bytes([n]) * MIB for n in range(1, 4)) + bytes(SEAL)


@pytest.fixture
def client(world: World) -> RelayClient:
    return RelayClient(URL, InProcess(world), clock=world.clock)


def test_the_limit_is_announced_and_exact(data) -> None:
    """A package and an envelope of as many bytes as the relay says are taken, of one more not."""
    world = make_world(data, limits=Limits(sealed=2 * MIB + SEAL))
    most = world.get("/v1/relay").json["maxSealed"]
    assert most == 2 * MIB + SEAL
    world.create()
    world.put_status()
    _, secret = world.capability(size=2**30)
    for octets, code in ((bytes(most), None), (bytes(most + 1), "relay.too_large")):
        for reply in (world.stage(new_id(), sealed=octets), world.deposit(secret, octets)):
            assert reply.status in (200, 201) if code is None else reply.code == code
    close(world)


def test_by_default_eight_mib_are_taken(world: World) -> None:
    """As the documentation says."""
    assert world.get("/v1/relay").json["maxSealed"] == 8 * MIB + SEAL


def test_a_long_package_is_released_in_pieces(world: World, client: RelayClient) -> None:
    """The answer says what it is, each piece is what follows, and the client puts them together;
    the same by the way of an answer that was lost."""
    world.create()
    world.put_status()
    package = new_id()
    ticket = world.ticket(package)
    assert world.stage(package, ticket=ticket, sealed=LONG).status == 200
    presentation = world.presentation(ticket)
    answer = world.present(presentation)
    assert (answer.status, answer.json["sealed"]) == (200, None)
    assert answer.json["manifest"]["sha256"] == multihash_sha256(LONG)
    path = f"/v1/redemptions/{digest(presentation)}/sealed"
    for after in (0, 1, WHOLE, len(LONG) - 1, len(LONG), 2**40):
        reply = world.call("GET", f"{path}?after={after}", key=world.company, epoch=0)
        assert (reply.status, reply.body) == (200, LONG[after : after + WHOLE]), after
    assert client.recover(digest(presentation), world.company).sealed == LONG
    again = client.redeem(world.presentation(ticket), world.company)
    assert again.sealed == LONG
    assert len(world.events(package)) == 2


def test_what_is_short_stands_in_the_answer(world: World, client: RelayClient) -> None:
    """Up to a whole MiB and its seal, and nothing is fetched besides; one byte more is."""
    world.create()
    world.put_status()
    for size in (WHOLE, WHOLE + 1):
        package = new_id()
        ticket = world.ticket(package)
        world.stage(package, ticket=ticket, sealed=bytes(size))
        stands = world.redeem(ticket).json["sealed"]
        assert (stands is not None) == (size == WHOLE)
        if stands is not None:
            assert b64url_decode(stands) == bytes(size)
        assert client.redeem(world.presentation(ticket), world.company).sealed == bytes(size)


def test_a_piece_is_given_on_the_terms_of_the_answer(world: World, client: RelayClient) -> None:
    """To the redemption key alone, until the grant is withdrawn, the answer acknowledged or the
    package ended; never for what was not redeemed."""
    package, ticket = world.ready(max_uses=9)
    assert world.stage(package, ticket=ticket, sealed=LONG, seq=2).status == 200

    def piece(presentation, key: SigningKey | None = None):
        path = f"/v1/redemptions/{digest(presentation)}/sealed?after=0"
        return world.call("GET", path, key=key or world.company, epoch=0)

    shown = [world.presentation(ticket) for _ in range(3)]
    assert [world.present(one).status for one in shown] == [200] * 3
    assert piece(shown[0], SigningKey.generate()).code == "relay.not_found"
    assert piece(world.presentation(ticket)).code == "relay.not_found"
    bare = f"/v1/redemptions/{digest(shown[0])}/sealed?after=0"
    assert world.get(bare).code == "relay.unsigned"
    assert world.call("GET", bare[:-8], key=world.company, epoch=0).code == "relay.malformed"
    # A version that was released is still to be had after the next one.
    assert world.stage(package, ticket=ticket, seq=3).status == 200
    assert piece(shown[0]).body == LONG[:WHOLE]
    assert world.acknowledge(shown[0]).status == 204
    assert piece(shown[0]).code == "relay.not_found"
    world.put_status(world.status_list(sequence=2, bits=world.bits.with_bit(7)))
    assert piece(shown[1]).code == "relay.withdrawn"
    with pytest.raises(RelayError) as caught:
        client.recover(digest(shown[1]), world.company)
    assert caught.value.code == "relay.withdrawn"
    world.end(package)
    assert piece(shown[2]).code == "relay.not_found"


def test_a_release_that_breaks_off_can_be_recovered(world: World) -> None:
    """A piece that is refused does not make a refusal of what was carried out and counted."""
    package, ticket = world.ready(max_uses=1)
    assert world.stage(package, ticket=ticket, sealed=LONG, seq=2).status == 200

    class Flaky(InProcess):
        def request(self, method, url, *, headers, body):
            if "after=1049713" in url and not broken:
                broken.append(url)
                world.clock.move(minutes=5)  # beyond the signature
            return super().request(method, url, headers=headers, body=body)

    broken: list[str] = []
    client = RelayClient(URL, Flaky(world), clock=world.clock)
    presentation = world.presentation(ticket)
    with pytest.raises(RelayUnreachable):
        client.redeem(presentation, world.company)
    assert client.recover(digest(presentation), world.company).sealed == LONG


def test_long_envelopes_are_named_and_fetched(world: World, client: RelayClient) -> None:
    """A page names what is long, in its place; the client gets all, in order, over pages."""
    world.create()
    _, secret = world.capability(envelopes=9, size=2**30)
    sent = [b"one", LONG, b"three", bytes(WHOLE), LONG[1:], b"six"]
    assert [world.deposit(secret, one).status for one in sent] == [201] * 6
    path = f"/v1/mailboxes/{world.mailbox}/envelopes"
    page = world.call("GET", f"{path}?after=0").json
    assert page["envelopes"][1] == {"ordinal": 2, "size": len(LONG)}
    assert page["more"] is True
    for after in (0, 3 * MIB, len(LONG), 2**50):
        reply = world.call("GET", f"{path}/2?after={after}")
        assert (reply.status, reply.body) == (200, LONG[after : after + WHOLE])
    assert world.call("GET", f"{path}/1?after=1").body == b"ne"
    mailbox = client.owner(world.mailbox, world.owner, 1)
    found: list[tuple[int, bytes]] = []
    more = True
    while more:
        envelopes, more = mailbox.envelopes(found[-1][0] if found else 0)
        found += envelopes
    assert found == list(enumerate(sent, 1))


def test_an_envelope_is_its_owners(world: World) -> None:
    """To others, and when it is gone, it is as unknown as one that never was."""
    world.create()
    _, secret = world.capability()
    world.deposit(secret, b"x")
    path = f"/v1/mailboxes/{world.mailbox}/envelopes"
    assert world.call("GET", f"{path}/1?after=0", key=SigningKey.generate()).status == 404
    assert world.call("GET", f"{path}/2?after=0").code == "relay.not_found"
    assert world.call("GET", f"{path}/1").code == "relay.malformed"
    world.call("DELETE", f"{path}/1")
    assert world.call("GET", f"{path}/1?after=0").code == "relay.not_found"
