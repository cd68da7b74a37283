"""Redemption: the numbered checks, their order, the answer and its recovery."""

from datetime import timedelta
from pathlib import Path

import pytest
from relay_world import ENGINE, GRANT, World, close, make_world, reopen

from did.json import JsonObject, canonicalize, digest
from did.keys import SigningKey
from did.multikey import b64url_decode, b64url_encode, multihash_sha256
from pds.relay.limits import Limits
from pds.relay.restore import mark_restored
from pds.wire import new_id


def test_a_redemption_releases_and_proves(world: World) -> None:
    """The answer holds manifest, sealed bytes and a receipt of exactly this redemption."""
    package, ticket = world.ready()
    presentation = world.presentation(ticket)
    answer = world.present(presentation).json
    assert b64url_decode(answer["sealed"]) == b"sealed bytes"
    assert answer["manifest"]["package"] == package
    entry = world.verify(answer["receipt"]).receipt.entry
    assert entry == {
        "type": "redemption",
        "relay": world.url,
        "at": "2026-05-04T10:20:30Z",
        "package": package,
        "ordinal": 1,
        "redemption": digest(presentation),
        "seq": 1,
        "sha256": multihash_sha256(b"sealed bytes"),
    }


def _cases() -> list[tuple[str, JsonObject]]:
    return [
        ("an unknown member", {"purpose": "marketing"}),
        ("no urn", {"id": "1"}),
        ("another type", {"type": ["VerifiablePresentation"]}),
        ("no ticket", {"verifiableCredential": []}),
        ("a bare ticket", {"verifiableCredential": {}}),
        ("something else", {"verifiableCredential": [{"type": ["VerifiableCredential"]}]}),
        ("another context", {"@context": ["https://www.w3.org/ns/credentials/v2"]}),
        ("no digest", {"grantDigest": "uEi"}),
        ("no base64url", {"sealed": "=="}),
        ("a short leaf", {"lastReceipt": b64url_encode(bytes(31))}),
        ("a wrong leaf", {"lastReceipt": "=" * 43}),
    ]


@pytest.mark.parametrize("changes", [c for _, c in _cases()], ids=[name for name, _ in _cases()])
def test_check_1_structure(world: World, changes: JsonObject) -> None:
    """What has not the form of a redemption is malformed, and is no event."""
    package, ticket = world.ready()
    reply = world.redeem(ticket, **changes)
    assert (reply.status, reply.code) == (400, "relay.malformed")
    assert world.events(package) == []


def test_check_1_the_holder_is_a_text(world: World) -> None:
    """Not an object with its id, which other presentations may have."""
    package, ticket = world.ready()
    reply = world.redeem(ticket, holder={"id": world.company.did})
    assert (reply.status, reply.code) == (400, "relay.malformed")
    assert world.events(package) == []


def test_check_1_two_tickets(world: World) -> None:
    """A presentation carries one ticket."""
    _, ticket = world.ready()
    assert world.redeem(ticket, verifiableCredential=[ticket, ticket]).code == "relay.malformed"


def test_check_1_the_body(world: World) -> None:
    """Only one member, strict JSON, and not too large."""
    _, ticket = world.ready()
    good = canonicalize({"presentation": world.presentation(ticket)})
    for body, code in (
        (b"", "relay.malformed"),
        (b"[]", "relay.malformed"),
        (good[:-1] + b',"more":1}', "relay.malformed"),
        (good[:-1] + b',"presentation":1}', "relay.malformed"),
        (good + b" " * 65_536, "relay.too_large"),
    ):
        assert world.send("POST", "/v1/redemptions", {}, body).code == code
    assert world.send("POST", "/v1/redemptions", {}, good).status == 200


def test_check_1_far_too_many_parts(world: World) -> None:
    """What is not a redemption by far is not even read: those who are answered together wait for
    it. A strange ticket of a usual size is read, and is unknown."""
    package, ticket = world.ready()
    subject = ticket["credentialSubject"]
    some = ticket | {"credentialSubject": subject | {"more": [{}] * 20}}
    many = ticket | {"credentialSubject": subject | {"more": [{}] * 200}}
    assert world.redeem(some).code == "relay.ticket_unknown"
    assert world.redeem(many).code == "relay.malformed"
    assert len(world.events(package)) == 1


def test_check_2_the_proof(world: World) -> None:
    """A changed presentation, a proof of the future and one for another purpose are refused."""
    package, ticket = world.ready()
    changed = world.presentation(ticket)
    changed["sealed"] = b64url_encode(b"something else")
    assert world.present(changed).code == "relay.proof_invalid"
    ahead = world.clock() + timedelta(seconds=61)
    assert world.redeem(ticket, created=ahead).code == "relay.proof_invalid"
    ahead = world.clock() + timedelta(seconds=60)
    assert world.redeem(ticket, created=ahead).status == 200
    assert len(world.events(package)) == 1


def test_check_2_a_challenge_is_fresh_for_two_minutes(world: World) -> None:
    """Exactly at its end it is over."""
    _, ticket = world.ready()
    answer = world.get("/v1/challenge").json
    assert answer["expires"] == "2026-05-04T10:22:30Z"
    world.clock.move(seconds=119)
    assert world.redeem(ticket, challenge=answer["challenge"]).status == 200
    challenge = world.challenge()
    world.clock.move(seconds=120)
    reply = world.redeem(ticket, challenge=challenge)
    assert (reply.status, reply.code) == (403, "relay.challenge")


def test_check_4_a_redemption_is_presented_once(world: World) -> None:
    """The same bytes, the same challenge, and the same document with a new challenge: replayed."""
    package, ticket = world.ready()
    presentation = world.presentation(ticket)
    assert world.present(presentation).status == 200
    assert world.present(presentation).code == "relay.replayed"
    challenge = presentation["proof"]["challenge"]
    assert world.redeem(ticket, challenge=challenge).code == "relay.replayed"
    document = {name: value for name, value in presentation.items() if name != "proof"}
    again = world.redeem(ticket, **document)
    assert (again.status, again.code) == (409, "relay.replayed")
    assert len(world.events(package)) == 1


def test_check_4_a_refused_redemption_is_used_up_too(world: World) -> None:
    """Otherwise one presentation could fill the owner's events."""
    package, ticket = world.ready(max_uses=1)
    world.redeem(ticket)
    presentation = world.presentation(ticket)
    assert world.present(presentation).code == "relay.used_up"
    assert world.present(presentation).code == "relay.replayed"
    assert len(world.events(package)) == 2


def test_check_5_the_package(world: World) -> None:
    """Never staged is not found, ended is ended; neither is an event."""
    package, ticket = world.ready()
    reply = world.redeem(world.ticket(new_id()))
    assert (reply.status, reply.code) == (404, "relay.not_found")
    world.end(package)
    assert world.redeem(ticket).code == "relay.ended"
    assert world.events(package) == []


def test_check_6_exactly_the_registered_ticket(world: World) -> None:
    """A second ticket that the issuer signed, or the same with another proof, does not redeem."""
    package, ticket = world.ready()
    other = world.ticket(package, max_uses=99)
    reply = world.redeem(other)
    assert (reply.status, reply.code) == (403, "relay.ticket_unknown")
    resigned = world.ticket(package, id=ticket["id"], now=world.clock() - timedelta(days=1))
    assert world.redeem(resigned).code == "relay.ticket_unknown"
    entries = [event["receipt"]["entry"] for event in world.events(package)]
    assert [entry["code"] for entry in entries] == ["relay.ticket_unknown"] * 2


def test_check_7_key_and_grant(world: World) -> None:
    """Another key is refused, and another grant than the ticket's."""
    package, ticket = world.ready()
    reply = world.redeem(ticket, key=SigningKey.generate())
    assert (reply.status, reply.code) == (403, "relay.wrong_key")
    reply = world.redeem(ticket, grantDigest=multihash_sha256(b"another"))
    assert (reply.status, reply.code) == (403, "relay.grant_mismatch")
    assert ticket["credentialSubject"]["grantDigest"] == GRANT
    assert len(world.events(package)) == 2


def test_check_8_the_window(world: World) -> None:
    """Skew before it, none at its end."""
    start = world.clock()
    _, ticket = world.ready(
        valid_from=start + timedelta(seconds=120), valid_until=start + timedelta(seconds=300)
    )
    world.clock.move(seconds=59)
    reply = world.redeem(ticket)
    assert (reply.status, reply.code) == (403, "relay.not_yet_valid")
    world.clock.move(seconds=1)
    assert world.redeem(ticket).status == 200
    world.clock.move(seconds=239)
    assert world.redeem(ticket).status == 200
    world.clock.move(seconds=1)
    reply = world.redeem(ticket)
    assert (reply.status, reply.code) == (403, "relay.expired")


def test_check_8_says_over_before_and_after_the_sweep(world: World) -> None:
    """That contents were erased in between does not change the reason."""
    package, ticket = world.ready(valid_until=world.clock() + timedelta(hours=1))
    world.clock.move(hours=1)
    shown = world.call("GET", f"/v1/packages/{package}").json
    assert (shown["ended"], shown["manifest"]) == (True, None)
    codes = []
    for _ in range(3):
        codes.append(world.redeem(ticket).code)
        world.clock.move(hours=2)
    assert codes == ["relay.expired"] * 3


def test_check_9_the_status_list(world: World) -> None:
    """A set bit is a withdrawal; a list that is over releases nothing."""
    _, ticket = world.ready(valid_until=world.clock() + timedelta(days=90))
    world.clock.move(days=28)
    world.put_status(world.status_list(sequence=2, valid_for=timedelta(seconds=60)))
    world.clock.move(seconds=60)
    reply = world.redeem(ticket)
    assert (reply.status, reply.code) == (403, "relay.status_stale")
    world.put_status(world.status_list(sequence=3, bits=world.bits.with_bit(7)))
    reply = world.redeem(ticket)
    assert (reply.status, reply.code) == (410, "relay.withdrawn")


def test_check_11_no_interval_is_none_whatever_the_clock_says(world: World) -> None:
    """A ticket without an interval asks for no wait, also when the clock was set back since the
    last use, or another worker's is a little behind."""
    _, ticket = world.ready(max_uses=3, valid_from=world.clock() - timedelta(hours=2))
    assert world.redeem(ticket).status == 200
    world.clock.move(seconds=-1)
    assert world.redeem(ticket).status == 200
    world.clock.move(hours=-1)
    assert world.redeem(ticket).status == 200


def test_check_11_uses_and_interval(world: World) -> None:
    """The interval says how long to wait, and refusals do not count as uses."""
    package, ticket = world.ready(max_uses=2, min_interval=100)
    assert world.redeem(ticket).status == 200
    world.clock.move(seconds=40)
    reply = world.redeem(ticket)
    assert (reply.status, reply.code, reply.headers["retry-after"]) == (429, "relay.too_soon", "60")
    world.clock.move(seconds=60)
    assert world.redeem(ticket).status == 200
    reply = world.redeem(ticket)
    assert (reply.status, reply.code) == (403, "relay.used_up")
    entries = [event["receipt"]["entry"] for event in world.events(package)]
    assert [entry["type"] for entry in entries] == [
        "redemption",
        "refusal",
        "redemption",
        "refusal",
    ]
    assert world.call("GET", f"/v1/packages/{package}").json["uses"] == 2


def test_the_checks_are_made_in_their_order(world: World) -> None:
    """Of several reasons the first in the list is given."""
    package, ticket = world.ready(max_uses=1, valid_until=world.clock() + timedelta(days=1))
    world.redeem(ticket)
    world.put_status(world.status_list(sequence=2, bits=world.bits.with_bit(7)))
    stranger = SigningKey.generate()
    assert world.redeem(ticket).code == "relay.withdrawn"
    world.clock.move(days=1)
    assert world.redeem(ticket).code == "relay.expired"
    assert world.redeem(ticket, key=stranger).code == "relay.wrong_key"
    other = world.ticket(package)
    assert world.redeem(other, key=stranger).code == "relay.ticket_unknown"
    world.end(package)
    assert world.redeem(other, key=stranger).code == "relay.ended"


def test_refusals_are_events_up_to_a_daily_limit(data) -> None:
    """A stranger cannot fill the log of a package; redemptions are always recorded."""
    world = make_world(data, limits=Limits(refusals_per_day=3))
    package, ticket = world.ready()
    stranger = SigningKey.generate()
    for _ in range(5):
        assert world.redeem(ticket, key=stranger).code == "relay.wrong_key"
    assert len(world.events(package)) == 3
    assert world.redeem(ticket).status == 200
    assert len(world.events(package)) == 4
    world.clock.move(days=1)
    world.redeem(ticket, key=stranger)
    assert len(world.events(package)) == 5
    close(world)


def test_a_lost_answer_is_given_again_uncounted(world: World, data) -> None:
    """The same bytes for the same key, after a restart too, until they are acknowledged."""
    package, ticket = world.ready()
    presentation = world.presentation(ticket)
    answer = world.present(presentation)
    reopen(world, data)
    assert [world.recover(presentation).body for _ in range(2)] == [answer.body] * 2
    stranger = SigningKey.generate()
    assert world.recover(presentation, key=stranger).status == 404
    assert world.acknowledge(presentation, key=stranger).status == 404
    assert world.call("GET", f"/v1/packages/{package}").json["uses"] == 1
    assert world.acknowledge(presentation).status == 204
    assert world.recover(presentation).code == "relay.not_found"
    assert world.acknowledge(presentation).code == "relay.not_found"


def test_a_lost_answer_stays_the_same_when_the_package_is_staged_again(world: World) -> None:
    """The older version is kept for as long as an answer needs it, and not longer."""
    package, ticket = world.ready()
    presentation = world.presentation(ticket)
    answer = world.present(presentation)
    assert world.stage(package, ticket=ticket, seq=2, sealed=b"newer").status == 200
    assert world.recover(presentation).body == answer.body
    assert _versions(world, package) == [1, 2]
    world.acknowledge(presentation)
    assert _versions(world, package) == [2]


def test_a_lost_answer_ends_after_72_hours(world: World) -> None:
    """Later nobody can fetch it, and the sweep erases it."""
    _, ticket = world.ready()
    presentation = world.presentation(ticket)
    world.present(presentation)
    world.clock.move(hours=72, seconds=-1)
    assert world.recover(presentation).status == 200
    world.clock.move(seconds=1)
    assert world.recover(presentation).status == 404
    world.create()
    assert _kept(world) == 0


def test_no_answer_outlasts_a_restore(world: World, data: Path) -> None:
    """A relay that went back in time knows not what was withdrawn since: not even when list and
    package are there again; nor does the version that the answer needed stay."""
    package, ticket = world.ready()
    presentation = world.presentation(ticket)
    assert world.present(presentation).status == 200
    assert world.stage(package, ticket=ticket, seq=2).status == 200
    assert _versions(world, package) == [1, 2]
    close(world)
    mark_restored(data, database=ENGINE.database)
    reopen(world, data)
    assert _versions(world, package) == [2]
    world.clock.move(seconds=1)
    assert world.put_status(world.status_list(sequence=2)).status == 200
    assert world.stage(package, ticket=ticket, seq=3).status == 200
    assert world.recover(presentation).code == "relay.not_found"
    assert world.redeem(ticket).status == 200


def test_a_lost_answer_ends_with_the_package(world: World) -> None:
    """At the end of the window nothing is released, recovered answers included."""
    _, ticket = world.ready(valid_until=world.clock() + timedelta(hours=1))
    presentation = world.presentation(ticket)
    world.present(presentation)
    world.clock.move(hours=1)
    assert world.recover(presentation).status == 404
    world.create()
    assert _kept(world) == 0


def test_a_lost_answer_ends_with_its_own_version(world: World) -> None:
    """A later version that lasts longer does not keep the earlier one alive."""
    world.create()
    world.put_status()
    package = new_id()
    ticket = world.ticket(package)
    soon = world.clock() + timedelta(hours=1)
    assert world.stage(package, ticket=ticket, not_after=soon).status == 200
    presentation = world.presentation(ticket)
    world.present(presentation)
    assert world.stage(package, ticket=ticket, seq=2, sealed=b"newer").status == 200
    world.clock.move(hours=1, seconds=-1)
    assert world.recover(presentation).status == 200
    world.clock.move(seconds=1)
    assert world.recover(presentation).code == "relay.not_found"
    assert world.redeem(ticket).status == 200


def test_a_lost_answer_waits_for_a_status_list(world: World) -> None:
    """Without a list that is valid nobody knows whether the grant was withdrawn."""
    _, ticket = world.ready()
    presentation = world.presentation(ticket)
    world.present(presentation)
    short = world.status_list(sequence=2, valid_for=timedelta(hours=1))
    world.put_status(short)
    world.clock.move(hours=1)
    assert world.recover(presentation).code == "relay.status_stale"
    world.put_status(world.status_list(sequence=3))
    assert world.recover(presentation).status == 200


def _kept(world: World) -> int:
    """How many answers can be had again, by what is written."""
    with world.app.extensions["relay"].store.read() as conn:
        return int(conn.execute("SELECT sum(kept) FROM events").fetchone()[0])


def _versions(world: World, package: str) -> list[int]:
    with world.app.extensions["relay"].store.read() as conn:
        rows = conn.execute(
            "SELECT seq FROM contents WHERE package = ? ORDER BY seq", (package,)
        ).fetchall()
    return [row["seq"] for row in rows]
