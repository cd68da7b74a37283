"""Attacks on the relay: each is refused for its own reason."""

import base64
import json
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from http.client import HTTPResponse
from pathlib import Path

import pytest

from did.json import JsonObject, canonicalize, digest
from did.keys import SigningKey, VerifyKey
from did.multikey import b64url_encode
from did.time import format_time, utc_now
from pds.log import Monitor
from pds.mailbox import RelayClient
from pds.relay.limits import Limits
from pds.relay.restore import mark_restored
from pds.wire import MIB, SEAL, WHOLE, new_id

_WORLD = Path(__file__).parents[1] / "pds" / "relay"
sys.path.insert(0, str(_WORLD))

from relay_world import (  # noqa: E402
    ENGINE,
    FILE_ONLY,
    URL,
    InProcess,
    Reply,
    World,
    close,
    flask_send,
    http_send,
    make_world,
    on_engine,
    relay_process,
    reopen,
)


@pytest.fixture(params=["sqlite", "postgresql"], autouse=True)
def engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """Every attack is tried on both engines."""
    yield from on_engine(request)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "relay"


@pytest.fixture
def world(data: Path) -> Iterator[World]:
    made = make_world(data)
    yield made
    close(made)


def _at_once(*acts: Callable[[], Reply]) -> list[Reply]:
    """Run the acts at the same time; their replies in order."""
    start = threading.Barrier(len(acts))
    replies: list[Reply | None] = [None] * len(acts)

    def run(number: int, act: Callable[[], Reply]) -> None:
        start.wait(20)
        replies[number] = act()

    threads = [threading.Thread(target=run, args=(number, act)) for number, act in enumerate(acts)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert None not in replies
    return [reply for reply in replies if reply is not None]


def test_attack_52_sizes_that_lie(data: Path) -> None:
    """A package of another length than its manifest says, or of more than the relay announces,
    is not staged, whatever else is right; no more is an envelope that its capability allows."""
    world = make_world(data, limits=Limits(sealed=2 * MIB + SEAL))
    most = world.get("/v1/relay").json["maxSealed"]
    world.create()
    world.put_status()
    package = new_id()
    ticket = world.ticket(package)
    honest = bytes(most)
    for size in (1, WHOLE, most - 1, most + 1, 2**53 - 1):
        lie = world.manifest(package, ticket, honest, size=size)
        reply = world.stage(package, ticket=ticket, sealed=honest, manifest=lie)
        assert (reply.status, reply.code) == (400, "relay.malformed")
    for octets in (bytes(most + 1), bytes(most + MIB), bytes(4 * MIB)):
        small = world.manifest(package, ticket, octets, size=most)
        for manifest in (None, small):
            reply = world.stage(package, ticket=ticket, sealed=octets, manifest=manifest)
            assert (reply.status, reply.code) == (413, "relay.too_large")
        _, secret = world.capability(size=2**40)
        assert world.deposit(secret, octets).code == "relay.too_large"
    described = world.call("GET", f"/v1/mailboxes/{world.mailbox}").json
    assert described["packages"] == []
    assert world.stage(package, ticket=ticket, sealed=honest).status == 200
    close(world)


def test_attack_33_another_company_presents(world: World) -> None:
    """A company that got hold of another's ticket cannot redeem it."""
    package, ticket = world.ready()
    thief = SigningKey.generate()
    reply = world.redeem(ticket, key=thief)
    assert (reply.status, reply.code) == (403, "relay.wrong_key")
    stolen = world.presentation(ticket)
    stolen["holder"] = thief.did
    assert world.present(stolen).code == "relay.proof_invalid"
    assert world.call("GET", f"/v1/packages/{package}").json["uses"] == 0


def test_attack_34_wrong_domain_or_challenge(world: World) -> None:
    """A presentation made for another relay, or without our challenge, releases nothing."""
    _, ticket = world.ready()
    reply = world.redeem(ticket, domain="https://relay.example")
    assert (reply.status, reply.code) == (403, "relay.proof_invalid")
    # One that would be fresh, if the relay had made it.
    soon = int(world.clock().timestamp() + 60).to_bytes(8, "big")
    for foreign in (b64url_encode(soon + bytes(48)), b64url_encode(bytes(56)), "mine", new_id()):
        assert world.redeem(ticket, challenge=foreign).code == "relay.challenge"
    assert world.redeem(ticket).status == 200


def test_attack_36_withdrawn_during_release(world: World) -> None:
    """Whatever was released came before the end in the log; after it there is nothing."""
    for _ in range(4):
        package, ticket = world.ready(max_uses=100)
        presentations = [world.presentation(ticket) for _ in range(8)]
        acts: list[Callable[[], Reply]] = [partial(world.present, one) for one in presentations]
        acts.insert(4, partial(world.end, package))
        replies = _at_once(*acts)
        end = replies.pop(4)
        assert end.status == 200
        released = [reply for reply in replies if reply.status == 200]
        assert {reply.code for reply in replies if reply.status != 200} <= {"relay.ended"}
        for reply in released:
            assert reply.json["receipt"]["leafIndex"] < end.json["leafIndex"]
        assert len(world.events(package)) == len(released)
        # After the acknowledgment: no answer by any route.
        assert {world.recover(one).status for one in presentations} == {404}
        assert world.redeem(ticket).code == "relay.ended"
        world = world.sibling()


def test_attack_36_withdrawn_by_the_list_alone(world: World) -> None:
    """The bit is enough: nothing is released after it, and no answer given again, although the
    package has not been ended."""
    package, ticket = world.ready(max_uses=100)
    presentation = world.presentation(ticket)
    answer = world.present(presentation)
    assert (answer.status, world.recover(presentation).body) == (200, answer.body)
    revoked = world.status_list(sequence=2, bits=world.bits.with_bit(7))
    assert world.put_status(revoked).status == 200
    for reply in (world.redeem(ticket), world.recover(presentation)):
        assert (reply.status, reply.code) == (410, "relay.withdrawn")
    shown = world.call("GET", f"/v1/packages/{package}").json
    assert (shown["uses"], shown["ended"]) == (1, False)


def test_attack_37_two_redemptions_of_a_single_use_in_threads(world: World) -> None:
    """Exactly one of them wins."""
    for _ in range(3):
        package, ticket = world.ready(max_uses=1)
        acts = [partial(world.present, world.presentation(ticket)) for _ in range(6)]
        replies = _at_once(*acts)
        assert sorted(reply.status for reply in replies) == [200] + [403] * 5
        assert world.call("GET", f"/v1/packages/{package}").json["uses"] == 1
        ordinals = [event["ordinal"] for event in world.events(package)]
        assert ordinals == list(range(1, 7))
        world = world.sibling()


_REDEEMER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from relay_world import START, URL, Clock, create_app, flask_send
app = create_app(Path(sys.argv[2]), url=URL, clock=Clock(), database=sys.argv[3] or None)
send = flask_send(app)
print("ready", flush=True)
for line in sys.stdin:
    print(send("POST", "/v1/redemptions", {}, line.strip().encode()).status, flush=True)
"""


def test_attack_37_two_redemptions_of_a_single_use_in_processes(world: World, data: Path) -> None:
    """Exactly one wins, even if two relays were started on one folder by mistake."""
    world.create()
    world.put_status()
    children = [
        subprocess.Popen(
            [sys.executable, "-c", _REDEEMER, str(_WORLD), str(data), ENGINE.database or ""],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    try:
        for child in children:
            assert child.stdout.readline().strip() == "ready"
        for _ in range(10):
            _, ticket = world.another(max_uses=1)
            for child in children:
                body = canonicalize({"presentation": world.presentation(ticket)})
                child.stdin.write(body.decode() + "\n")
            for child in children:
                child.stdin.flush()
            statuses = sorted(int(child.stdout.readline()) for child in children)
            assert statuses == [200, 403]
    finally:
        for child in children:
            child.stdin.close()
            child.wait(20)
            child.stdout.close()
    note = world.get("/v1/log/checkpoint").body.decode()
    assert int(note.split("\n")[1]) == 1 + 10 * 3


def test_attack_35_clock_set_back_to_replay_a_call(world: World, data: Path) -> None:
    """A clock that ran ahead, so that marks were swept, and was put right: what was captured before
    is not carried out again, at no worker and after no restart; new calls soon are."""
    package, _ = world.ready()
    other = make_world(data, clock=world.clock)  # a worker that swept nothing
    other.send("GET", "/readyz", {}, b"")
    path = f"/v1/packages/{package}"
    body = canonicalize(world.staging(package, seq=2))
    captured = world.sign("PUT", path, body)
    assert world.call("PUT", path, body, headers=captured).status == 200
    right = world.clock.now
    world.clock.move(hours=1)
    assert world.create().status == 200
    world.clock.now = right + timedelta(seconds=5)
    for each in (world, other):
        reply = each.send("PUT", path, captured, body)
        assert (reply.status, reply.code) == (503, "relay.busy")
        assert reply.headers["retry-after"]
    close(other)
    reopen(world, data)
    assert world.call("PUT", path, body, headers=captured).code == "relay.busy"
    # Whoever signs anew has the end of another signature, later than all that was swept.
    world.clock.move(seconds=1)
    assert world.stage(package, seq=3).status == 200


def test_attack_35_clock_set_back_to_redeem_again(data: Path) -> None:
    """A presentation that was refused, and left no event, gets no second answer by a clock that
    ran ahead and was put right."""
    world = make_world(data, limits=Limits(refusals_per_day=0))
    _, ticket = world.ready(min_interval=60)
    assert world.redeem(ticket).status == 200
    early = world.presentation(ticket)
    assert world.present(early).code == "relay.too_soon"
    right = world.clock.now
    world.clock.move(hours=1)
    assert world.create().status == 200
    world.clock.now = right + timedelta(seconds=90)
    assert world.present(early).code == "relay.busy"
    # The challenge that is asked for now is good.
    assert world.redeem(ticket).status == 200
    close(world)


def test_attack_49_replayed_nonce(world: World, data: Path) -> None:
    """A captured write does nothing again, after a restart neither."""
    package, _ = world.ready()
    path = f"/v1/packages/{package}"
    body = canonicalize(world.staging(package, seq=2))
    captured = world.sign("PUT", path, body)
    assert world.call("PUT", path, body, headers=captured).status == 200
    for _ in range(2):
        reply = world.call("PUT", path, body, headers=captured)
        assert (reply.status, reply.code) == (409, "relay.replayed")
        reopen(world, data)


def test_attack_50_absent_nonce_or_tag(world: World) -> None:
    """A signature without nonce or tag, or no signature, is none of ours."""
    world.create()
    path = f"/v1/mailboxes/{world.mailbox}"
    assert world.call("DELETE", path, headers={}).code == "relay.unsigned"
    for parameter in ("nonce", "tag", "created", "expires"):
        headers = world.sign("DELETE", path)
        parts = headers["Signature-Input"].split(";")
        kept = [part for part in parts if not part.startswith(f"{parameter}=")]
        assert len(kept) == len(parts) - 1
        stripped = ";".join(kept)
        base = "\n".join(
            [
                '"@method": DELETE',
                f'"@target-uri": {URL}{path}',
                f'"content-digest": {headers["Content-Digest"]}',
                f'"pds-epoch": {headers["PDS-Epoch"]}',
                f'"@signature-params": {stripped.removeprefix("sig=")}',
            ]
        )
        # Signed properly over what is left: only the rule itself can refuse it.
        value = base64.b64encode(world.owner.sign(base.encode())).decode()
        headers |= {"Signature-Input": stripped, "Signature": f"sig=:{value}:"}
        reply = world.call("DELETE", path, headers=headers)
        assert (reply.status, reply.code) == (401, "relay.signature"), parameter
    assert world.create().status == 200


def test_attack_51_changed_body_or_query(world: World) -> None:
    """Body, query, path, method and epoch are what was signed, or nothing happens."""
    package, ticket = world.ready()
    world.redeem(ticket)
    path = f"/v1/packages/{package}"
    body = canonicalize(world.staging(package, seq=2))
    headers = world.sign("PUT", path, body)
    other = canonicalize(world.staging(package, seq=2, sealed=b"other"))
    assert world.call("PUT", path, other, headers=headers).code == "relay.signature"
    erase = world.sign("DELETE", f"{path}/events?through=0")
    reply = world.call("DELETE", f"{path}/events?through=1", headers=erase)
    assert reply.code == "relay.signature"
    read = world.sign("GET", path)
    assert world.call("DELETE", path, headers=read).code == "relay.signature"
    raised = world.sign("DELETE", path, epoch=1) | {"PDS-Epoch": "9"}
    assert world.call("DELETE", path, headers=raised).code == "relay.signature"
    assert "presentation" in world.events(package)[0]
    assert world.call("GET", path).json["ended"] is False


@FILE_ONLY
def test_attack_52_bodies_at_a_running_relay(tmp_path: Path) -> None:
    """Behind the server that is shipped: chunked, too large, short; at a call with a capability and
    at one for anybody. Nothing of them is taken, and others are served."""
    with relay_process(tmp_path / "relay") as port:
        world = World(send=http_send(port), clock=utc_now)
        package, ticket = world.ready()
        _, secret = world.capability(size=2**20)
        box = f"/v1/mailboxes/{world.mailbox}/envelopes"
        for path in (box, "/v1/redemptions"):
            head = f"POST {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {secret}\r\n"
            for header, body, answer in (
                ("Transfer-Encoding: chunked", b"3\r\nabc\r\n0\r\n\r\n", (411, "length_required")),
                ("X-Length: 3", b"abc", (411, "length_required")),
                ("Content-Length: 3000000", b"abc", (413, "too_large")),
                ("Content-Length: 100", b"abc", (400, "body_short")),
            ):
                with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
                    connection.sendall(f"{head}{header}\r\n\r\n".encode() + body)
                    if answer[1] == "body_short":
                        connection.shutdown(socket.SHUT_WR)
                    response = HTTPResponse(connection)
                    response.begin()
                    said = response.status, json.loads(response.read())["code"]
                    assert said == (answer[0], f"front.{answer[1]}")
        assert world.call("GET", f"{box}?after=0").json["envelopes"] == []
        assert world.call("GET", f"/v1/packages/{package}").json["uses"] == 0
        assert world.redeem(ticket).status == 200


def test_attack_54_a_mailbox_with_another_key(world: World) -> None:
    """B's good signature opens nothing of A's, and does not even say that it is there."""
    package, _ = world.ready()
    _, secret = world.capability()
    world.deposit(secret, b"for A")
    other = world.sibling()
    other.create()
    mine, other.mailbox = other.mailbox, world.mailbox
    unknown = other.call("GET", f"/v1/mailboxes/{new_id()}")
    base = f"/v1/mailboxes/{world.mailbox}"
    for reply in (
        other.call("GET", base),
        other.create(),
        other.call("DELETE", base),
        other.call("GET", f"{base}/envelopes?after=0"),
        other.call("DELETE", f"{base}/envelopes/1"),
        other.call("GET", f"/v1/packages/{package}/events?after=0"),
        other.end(package),
        other.put_status(),
    ):
        assert (reply.status, reply.body) == (404, unknown.body)
    other.mailbox = mine
    page = world.call("GET", f"{base}/envelopes?after=0").json
    assert len(page["envelopes"]) == 1
    assert world.call("GET", f"/v1/packages/{package}").json["ended"] is False


def test_attack_55_packages_swapped_between_grants(world: World) -> None:
    """Manifest, ticket and bytes of different packages do not go together."""
    first, ticket = world.ready()
    second = new_id()
    other = world.ticket(second)
    sealed = b"for another grant"
    swapped = world.manifest(second, other, sealed)
    for ticket_, manifest in (
        (ticket, swapped),  # another package's manifest under this ticket
        (other, world.manifest(first, other, sealed, seq=2)),  # another package's ticket
        (ticket, world.manifest(first, other, sealed, seq=2)),  # the manifest names that ticket
        (other, swapped),  # both, under this id
    ):
        reply = world.stage(first, ticket=ticket_, manifest=manifest, sealed=sealed)
        assert (reply.status, reply.code) == (400, "relay.malformed")
    assert world.stage(second, ticket=other, manifest=swapped, sealed=sealed).status == 200
    assert world.redeem(ticket).json["manifest"]["package"] == first


def test_attack_65_a_ticket_at_another_relay(world: World) -> None:
    """A ticket for another relay is neither staged nor redeemed here."""
    package, _ = world.ready()
    foreign = world.ticket(package, relay="https://relay.example")
    reply = world.redeem(foreign)
    assert (reply.status, reply.code) == (403, "relay.wrong_relay")
    reply = world.stage(package, ticket=foreign, seq=2)
    assert (reply.status, reply.code) == (403, "relay.wrong_relay")


def test_attack_66_the_holder_is_not_the_ticket_s_key(world: World) -> None:
    """The issuer himself, and the owner of the mailbox, cannot redeem either."""
    package, ticket = world.ready()
    for key in (world.holder, world.owner, SigningKey.generate()):
        assert world.redeem(ticket, key=key).code == "relay.wrong_key"
    assert world.call("GET", f"/v1/packages/{package}").json["uses"] == 0


def test_attack_67_a_count_refilled(world: World) -> None:
    """Neither a new version nor a new ticket gives uses back, or shortens the wait."""
    package, ticket = world.ready(max_uses=2, min_interval=60)
    assert world.redeem(ticket).status == 200
    assert world.stage(package, ticket=ticket, seq=2).status == 200
    assert world.redeem(ticket).code == "relay.too_soon"
    renewed = world.ticket(package, max_uses=2, min_interval=60)
    assert world.stage(package, ticket=renewed, seq=3).status == 200
    assert world.redeem(renewed).code == "relay.too_soon"
    assert world.redeem(ticket).code == "relay.ticket_unknown"
    world.clock.move(seconds=60)
    assert world.redeem(renewed).status == 200
    again = world.ticket(package, max_uses=2, min_interval=60)
    assert world.stage(package, ticket=again, seq=4).status == 200
    world.clock.move(seconds=60)
    assert world.redeem(again).code == "relay.used_up"
    shown = world.call("GET", f"/v1/packages/{package}").json
    assert shown["uses"] == 2
    # Ended and staged once more: the id does not come back.
    world.end(package)
    assert world.stage(package, seq=1).code == "relay.ended"


def test_attack_68_a_withdrawal_undone_by_a_later_list(world: World) -> None:
    """A bit that was set stays set, whatever the sequence."""
    _, ticket = world.ready()
    revoked = world.bits.with_bit(7)
    assert world.put_status(world.status_list(sequence=2, bits=revoked)).status == 200
    reply = world.put_status(world.status_list(sequence=3, bits=world.bits))
    assert (reply.status, reply.code) == (409, "relay.bits_cleared")
    swapped = world.bits.with_bit(8)
    assert world.put_status(world.status_list(sequence=3, bits=swapped)).code == (
        "relay.bits_cleared"
    )
    assert world.put_status(world.status_list(sequence=1, bits=world.bits)).code == (
        "relay.sequence"
    )
    assert world.redeem(ticket).code == "relay.withdrawn"
    assert world.put_status(world.status_list(sequence=3, bits=revoked.with_bit(8))).status == 200


@FILE_ONLY
def test_attack_69_a_relay_restored_from_an_old_backup(world: World, data: Path) -> None:
    """A new log, and nothing is released before its owner has staged it again."""
    package, ticket = world.ready(max_uses=2)
    ended, ended_ticket = world.another()
    presentation = world.presentation(ticket)
    assert world.present(presentation).status == 200
    old = world.get("/v1/relay").json
    challenge = world.challenge()
    close(world)
    backup = data.with_name("backup")
    shutil.copytree(data, backup)
    reopen_here = flask_send(reopen(world, data).app)
    assert reopen_here("GET", "/healthz", {}, b"").status == 200

    # What the backup does not know: a use, a newer version, a withdrawal.
    newer = world.ticket(package, max_uses=2)
    assert world.stage(package, ticket=newer, seq=2, sealed=b"two").status == 200
    assert world.stage(package, ticket=newer, seq=3, sealed=b"three").status == 200
    world.end(ended)
    last_note = world.get("/v1/log/checkpoint").body.decode()
    close(world)
    shutil.rmtree(data)
    backup.rename(data)

    origin = mark_restored(data)
    reopen(world, data)
    info = world.get("/v1/relay").json
    assert info["logOrigin"] == origin != old["logOrigin"]
    assert info["logKey"] == old["logKey"]
    # Its log can be told from the old one: nobody takes it for a shrunken log, or the same.
    key = VerifyKey.from_multikey(info["logKey"])
    Monitor(origin=old["logOrigin"], key=key).advance(last_note, [])
    Monitor(origin=origin, key=key).advance(world.get("/v1/log/checkpoint").body.decode(), [])
    # Nothing is released: no package, no answer of before, no old challenge.
    assert world.redeem(ticket).code == "relay.suspended"
    assert world.redeem(ended_ticket).code == "relay.suspended"
    assert world.recover(presentation).status == 404
    assert world.redeem(ticket, challenge=challenge).code == "relay.challenge"
    # Its owner, who knows more, goes on from where he was, and never back.
    assert world.stage(package, ticket=newer, seq=1, sealed=b"one").code == "relay.seq"
    assert world.stage(package, ticket=newer, seq=4, sealed=b"four").status == 200
    assert world.redeem(newer).code == "relay.suspended"  # the list may lack what was withdrawn
    assert world.put_status(world.status_list(sequence=2)).status == 200
    assert world.redeem(newer).json["manifest"]["seq"] == 4
    assert world.redeem(newer).code == "relay.used_up"
    assert world.end(ended).status == 200
    assert world.redeem(ended_ticket).code == "relay.ended"


def test_attack_69_the_same_version_may_be_staged_again(world: World, data: Path) -> None:
    """An owner with nothing newer stages what is there; the count is as the backup knew it."""
    world.create()
    status_list = world.status_list()
    world.put_status(status_list)
    package = new_id()
    ticket = world.ticket(package, max_uses=2)
    body = world.staging(package, ticket=ticket)
    world.call("PUT", f"/v1/packages/{package}", body)
    world.redeem(ticket)
    close(world)
    mark_restored(data, database=ENGINE.database)
    reopen(world, data)
    reply = world.call("PUT", f"/v1/packages/{package}", body)
    assert (reply.status, reply.json["leafIndex"]) == (200, 0)
    world.verify(reply.json)
    again = world.put_status(status_list)
    assert (again.status, again.json["leafIndex"]) == (200, 1)
    world.verify(again.json)
    assert world.put_status(status_list).body == again.body
    assert world.redeem(ticket).status == 200
    assert world.redeem(ticket).code == "relay.used_up"


@FILE_ONLY
def test_attack_69_an_old_status_list_is_not_stamped(world: World, data: Path) -> None:
    """What the backup shows as good may be withdrawn: nobody is told that the list is the newest,
    until its owner has published one again."""
    package, ticket = world.ready(max_uses=9)
    presentation = world.presentation(ticket)
    url = f"/v1/status/{world.list_id}"
    close(world)
    backup = data.with_name("backup")
    shutil.copytree(data, backup)
    reopen(world, data)
    revoked = world.status_list(sequence=2, bits=world.bits.with_bit(7))
    assert world.put_status(revoked).status == 200
    close(world)
    shutil.rmtree(data)
    backup.rename(data)
    mark_restored(data)
    reopen(world, data)

    reply = world.get(url)
    assert (reply.status, reply.code, reply.json["status"]) == (503, "relay.suspended", 503)
    assert int(reply.headers["retry-after"]) > 0
    assert "pds-stamp" not in reply.headers
    # Staging does not bring the list back, nor does a start without the backup.
    assert world.stage(package, ticket=ticket, seq=2).status == 200
    assert world.redeem(ticket).code == "relay.suspended"
    reopen(world, data)
    assert world.get(url).status == 503
    # Another list of the same sequence, or an older one, is not the owner's word on it.
    other = world.status_list(sequence=1, bits=world.bits.with_bit(8))
    assert world.put_status(other).code == "relay.sequence"
    assert world.put_status(revoked).status == 200
    reply = world.get(url)
    assert (reply.status, reply.body) == (200, canonicalize(revoked))
    assert "pds-stamp" in reply.headers
    assert world.present(presentation).code == "relay.challenge"
    assert world.redeem(ticket).code == "relay.withdrawn"


def _deep(levels: int) -> JsonObject:
    inner: JsonObject = {}
    for _ in range(levels):
        inner = {"a": inner}
    return inner


def _fake_tickets(world: World, package: str) -> dict[str, JsonObject]:
    """What a company could put in the place of its ticket."""
    bare: JsonObject = {
        "type": ["VerifiableCredential", "RedemptionTicket"],
        "credentialSubject": {"relay": URL, "package": package},
    }
    ticket = world.ticket(package)
    subject = ticket["credentialSubject"]
    return {
        "no members": bare,
        "deep": bare | {"x": _deep(24)},
        "unknown member": ticket | {"x": 1},
        "unknown member inside": ticket | {"credentialSubject": subject | {"x": 1}},
        "deep in its proof": ticket | {"proof": ticket["proof"] | {"x": _deep(3)}},
        "deeper in its proof": ticket | {"proof": ticket["proof"] | {"x": _deep(20)}},
    }


@pytest.mark.parametrize(
    "name",
    [
        "no members",
        "deep",
        "unknown member",
        "unknown member inside",
        "deep in its proof",
        "deeper in its proof",
    ],
)
def test_attack_66_a_ticket_that_blinds_the_owner(world: World, name: str) -> None:
    """Whatever stands in the place of a ticket, the owner can read the events of the package, and
    nothing of it is kept."""
    package, ticket = world.ready()
    reply = world.redeem(_fake_tickets(world, package)[name])
    assert reply.code in ("relay.malformed", "relay.ticket_unknown")
    assert world.redeem(ticket).status == 200
    client = RelayClient(URL, InProcess(world), clock=world.clock)
    events, more = client.owner(world.mailbox, world.owner, 1).events(package)
    assert not more
    assert ["presentation" in event for event in events][-1:] == [True]
    assert not any("presentation" in event for event in events[:-1])
    assert all("problem" not in event for event in events)


def test_attack_66_a_deep_presentation_of_before(world: World) -> None:
    """One that an earlier relay has stored is not handed out: the page can be read."""
    package, ticket = world.ready()
    assert world.redeem(ticket).status == 200
    with world.app.extensions["relay"].store.write() as conn:
        conn.execute("UPDATE events SET presentation = ?", (canonicalize(_deep(30)),))
    assert world.redeem(ticket).status == 200
    client = RelayClient(URL, InProcess(world), clock=world.clock)
    events, _ = client.owner(world.mailbox, world.owner, 1).events(package)
    assert ["presentation" in event for event in events] == [False, True]


def test_attack_66_a_ticket_that_nobody_registered_is_not_kept(world: World) -> None:
    """A presentation with another ticket is an event, but none of its content stays."""
    package, ticket = world.ready()
    assert world.redeem(world.ticket(package, max_uses=99)).code == "relay.ticket_unknown"
    assert world.redeem(ticket, key=SigningKey.generate()).code == "relay.wrong_key"
    shown = [(one["ordinal"], "presentation" in one) for one in world.events(package)]
    assert shown == [(1, False), (2, True)]


def test_attack_74_a_mailbox_filled_beyond_its_quota(data: Path) -> None:
    """A mailbox holds so many bytes, whoever brings them and in however many pieces."""
    world = make_world(data, limits=Limits(mailbox=40_000))
    package, ticket = world.ready()
    _, first = world.capability(envelopes=100, size=20_000)
    _, second = world.capability(envelopes=100, size=20_000)
    held = 0
    for number in range(100):
        secret = (first, second)[number % 2]
        reply = world.deposit(secret, number.to_bytes(2, "big") * 1000)
        if reply.status == 429:
            break
        held += 2000
    assert reply.code == "relay.quota"
    assert 0 < held < 40_000
    # Small ones take room too: their rows and receipts do.
    small = [world.deposit(first, b"%d" % number).status for number in range(20)]
    assert small[-1] == 429
    assert world.stage(new_id(), sealed=bytes(30_000)).code == "relay.quota"
    assert world.stage(package, ticket=ticket, seq=2, sealed=bytes(30_000)).code == "relay.quota"
    link: JsonObject = {
        "mailbox": world.mailbox,
        "sealed": b64url_encode(bytes(30_000)),
        "expires": format_time(world.clock() + timedelta(days=1)),
    }
    assert world.call("PUT", f"/v1/requests/{new_id()}", link).code == "relay.quota"
    # What was refused left nothing behind; what is erased gives its room back.
    assert world.call("GET", f"/v1/packages/{package}").json["manifest"]["seq"] == 1
    base = f"/v1/mailboxes/{world.mailbox}/envelopes"
    for envelope in world.call("GET", f"{base}?after=0").json["envelopes"]:
        assert world.call("DELETE", f"{base}/{envelope['ordinal']}").status == 204
    assert world.stage(package, ticket=ticket, seq=2, sealed=bytes(30_000)).status == 200
    assert world.end(package).status == 200
    assert world.call("PUT", f"/v1/requests/{new_id()}", link).status == 201
    close(world)


def test_attack_74_two_uses_of_a_capabilitys_last_slot(world: World) -> None:
    """Of many deposits at once exactly as many get in as there is room for."""
    world.create()
    _, secret = world.capability(envelopes=2)
    acts = [partial(world.deposit, secret, b"%d" % number) for number in range(6)]
    replies = _at_once(*acts)
    assert sorted(reply.status for reply in replies) == [201, 201, 429, 429, 429, 429]
    page = world.call("GET", f"/v1/mailboxes/{world.mailbox}/envelopes?after=0").json
    assert [one["ordinal"] for one in page["envelopes"]] == [1, 2]


def test_attack_76_an_older_package_served(world: World) -> None:
    """A version never goes back, and the receipt says which one was released."""
    package, ticket = world.ready()
    old = world.staging(package, ticket=ticket, seq=1)
    assert world.stage(package, ticket=ticket, seq=2, sealed=b"new address").status == 200
    reply = world.call("PUT", f"/v1/packages/{package}", old)
    assert (reply.status, reply.code) == (409, "relay.seq")
    answer = world.redeem(ticket).json
    entry = world.verify(answer["receipt"]).receipt.entry
    assert (answer["manifest"]["seq"], entry["seq"]) == (2, 2)
    assert entry["sha256"] == answer["manifest"]["sha256"]
    assert answer["manifest"]["ticket"] == digest(ticket)


def _mailboxes(world: World, peer: str, forwarded: str | None, *, count: int) -> list[int]:
    """Make so many mailboxes from a peer; the statuses."""
    statuses = []
    for _ in range(count):
        path = f"/v1/mailboxes/{new_id()}"
        headers = world.sign("PUT", path, b"{}")
        if forwarded is not None:
            headers["X-Forwarded-For"] = forwarded
            headers["Forwarded"] = f"for={forwarded}"
        answer = world.app.test_client().put(
            path, headers=headers, data=b"{}", environ_overrides={"REMOTE_ADDR": peer}
        )
        statuses.append(answer.status_code)
    return statuses


def test_attack_83_forged_address_past_the_proxy(data: Path) -> None:
    """Who reaches the relay without its proxy is counted as who it is, whatever it writes."""
    world = make_world(data, limits=Limits(registrations_per_hour=2), proxies=["127.0.0.1"])
    assert _mailboxes(world, "192.0.2.1", None, count=2) == [201, 201]
    for forged in ("198.51.100.1", "127.0.0.1", "127.0.0.1, 198.51.100.2", "nonsense"):
        assert _mailboxes(world, "192.0.2.1", forged, count=1) == [429], forged
    close(world)


def test_attack_83_forged_address_through_the_proxy(data: Path) -> None:
    """What a client wrote before the proxy's own word neither gives it a count of its own nor
    uses up that of another."""
    world = make_world(data, limits=Limits(registrations_per_hour=2), proxies=["127.0.0.1"])
    assert _mailboxes(world, "127.0.0.1", "192.0.2.1", count=2) == [201, 201]
    for forged in ("198.51.100.1", "127.0.0.1", "nonsense", ",", "198.51.100.2, 127.0.0.1"):
        said = f"{forged}, 192.0.2.1"
        assert _mailboxes(world, "127.0.0.1", said, count=1) == [429], forged
    assert _mailboxes(world, "127.0.0.1", "198.51.100.1", count=2) == [201, 201]
    close(world)


def test_attack_83_forged_address_where_no_proxy_is_trusted(data: Path) -> None:
    """Without the setting nobody is believed, a neighbour on loopback neither."""
    world = make_world(data, limits=Limits(registrations_per_hour=2))
    assert _mailboxes(world, "127.0.0.1", "198.51.100.1", count=3) == [201, 201, 429]
    close(world)
