"""A client that does not trust its relay: honest answers, refusals, and nonsense of every kind."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from did.errors import DidError
from did.json import canonicalize, digest
from did.keys import SigningKey
from did.multikey import b64url_decode, b64url_encode, multihash_sha256
from pds.errors import PdsError
from pds.mailbox import OwnedMailbox, RelayClient, RelayError, RelayNonsense, RelayUnreachable
from pds.net import NetError, Transport
from pds.wire import (
    HTTP_STATUS,
    MAX_SEALED,
    TITLES,
    WHOLE,
    RelayCode,
    WireError,
    problem,
    verify_request,
)

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
RELAY = "https://relay.example"
KEY = SigningKey.from_seed(bytes(range(32)))
ID = "AAECAwQFBgcICQoLDA0ODw"
PACKAGE = "EBESExQVFhcYGRobHB0eHw"
SEALED = b"sealed bytes"
MANIFEST = {
    "type": "Manifest",
    "package": PACKAGE,
    "seq": 1,
    "ticket": multihash_sha256(b"ticket"),
    "sha256": multihash_sha256(SEALED),
    "size": len(SEALED),
    "notAfter": "2027-03-01T12:00:00Z",
    "proof": {},
}
PRESENTATION = {"type": ["VerifiablePresentation"], "holder": KEY.did, "proof": {}}
REDEMPTION = digest(PRESENTATION)
INFO = {
    "relay": RELAY,
    "logOrigin": "relay.example/log/0011223344556677",
    "logKey": KEY.verify_key.multikey,
    "registration": "open",
    "time": "2026-03-01T12:00:00Z",
}


def receipt(type_: str, **entry: object) -> dict[str, object]:
    return {
        "entry": {"type": type_, "relay": RELAY, "at": "2026-03-01T12:00:00Z", **entry},
        "salt": b64url_encode(bytes(32)),
        "leafIndex": 0,
        "inclusion": [b64url_encode(bytes(32))],
        "checkpoint": "note",
    }


DEPOSIT = receipt(
    "deposit", mailbox=ID, ordinal=1, sha256=multihash_sha256(SEALED), size=len(SEALED)
)
STAGING = receipt(
    "staging",
    package=PACKAGE,
    seq=1,
    ticket=MANIFEST["ticket"],
    sha256=MANIFEST["sha256"],
    size=len(SEALED),
)
CREDENTIAL = {"type": ["VerifiableCredential"], "proof": {}}
STATUS = receipt("status", list=ID, digest=digest(CREDENTIAL), sequence=1)
ANSWER = {
    "manifest": MANIFEST,
    "sealed": b64url_encode(SEALED),
    "receipt": receipt(
        "redemption",
        package=PACKAGE,
        ordinal=1,
        redemption=REDEMPTION,
        seq=1,
        sha256=MANIFEST["sha256"],
    ),
}
EVENT = {"ordinal": 1, "receipt": ANSWER["receipt"], "presentation": PRESENTATION}
REFUSAL = {
    "ordinal": 2,
    "receipt": receipt(
        "refusal", package=PACKAGE, ordinal=2, prev="x", redemption="y", code="relay.expired"
    ),
}


@dataclass
class Reply:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Sent:
    method: str
    url: str
    headers: dict[str, str]
    body: bytes


class Line:
    """A transport that gives one prepared reply, or raises, and keeps what was sent."""

    def __init__(self, reply: Reply | Exception) -> None:
        self.reply = reply
        self.sent: list[Sent] = []

    def request(self, method, url, *, headers, body) -> Reply:
        self.sent.append(Sent(method, url, dict(headers), body))
        if isinstance(self.reply, Exception):
            raise self.reply
        return self.reply


def client(reply: Reply | Exception) -> tuple[RelayClient, Line]:
    line = Line(reply)
    return RelayClient(RELAY, line, clock=lambda: NOW), line


def as_json(value: object, status: int = 200, **headers: str) -> Reply:
    return Reply(status, json.dumps(value).encode(), headers)


def owner(c: RelayClient) -> OwnedMailbox:
    return c.owner(ID, KEY, 3)


@dataclass
class Call:
    """One call: how it is made, how it looks on the wire, and an honest answer to it."""

    make: Callable[[RelayClient], object]
    method: str
    path: str
    status: int = 200
    answer: object = None
    signed: int | None = None


UNSIGNED = {
    "info": Call(lambda c: c.info(), "GET", "/v1/relay", answer=INFO),
    "deposit": Call(
        lambda c: c.deposit(ID, "secret", SEALED),
        "POST",
        f"/v1/mailboxes/{ID}/envelopes",
        201,
        DEPOSIT,
    ),
    "challenge": Call(
        lambda c: c.challenge(),
        "GET",
        "/v1/challenge",
        answer={"challenge": "x" * 43, "expires": "2026-03-01T12:02:00Z"},
    ),
    "redeem": Call(lambda c: c.redeem(PRESENTATION, KEY), "POST", "/v1/redemptions", answer=ANSWER),
    "consistency": Call(
        lambda c: c.consistency(3, 7),
        "GET",
        "/v1/log/consistency?first=3&second=7",
        answer={"proof": [b64url_encode(bytes(32))]},
    ),
}
OWNED = {
    "recover": Call(
        lambda c: c.recover(REDEMPTION, KEY),
        "GET",
        f"/v1/redemptions/{REDEMPTION}",
        answer=ANSWER,
        signed=0,
    ),
    "create": Call(
        lambda c: owner(c).create("token"),
        "PUT",
        f"/v1/mailboxes/{ID}",
        201,
        {"mailbox": ID},
        3,
    ),
    "mailbox": Call(
        lambda c: owner(c).info(),
        "GET",
        f"/v1/mailboxes/{ID}",
        answer={
            "mailbox": ID,
            "epoch": 3,
            "packages": [{"package": PACKAGE, "seq": 1, "uses": 0, "ended": False}],
            "lists": [{"list": ID, "sequence": 4}],
        },
        signed=3,
    ),
    "envelopes": Call(
        lambda c: owner(c).envelopes(4),
        "GET",
        f"/v1/mailboxes/{ID}/envelopes?after=4",
        answer={"envelopes": [{"ordinal": 5, "sealed": b64url_encode(SEALED)}], "more": True},
        signed=3,
    ),
    "put_package": Call(
        lambda c: owner(c).put_package(PACKAGE, ticket={}, manifest=MANIFEST, sealed=SEALED),
        "PUT",
        f"/v1/packages/{PACKAGE}",
        201,
        STAGING,
        3,
    ),
    "package": Call(
        lambda c: owner(c).package(PACKAGE),
        "GET",
        f"/v1/packages/{PACKAGE}",
        answer={"manifest": MANIFEST, "ticket": {}, "uses": 1, "ended": False},
        signed=3,
    ),
    "end_package": Call(
        lambda c: owner(c).end_package(PACKAGE),
        "DELETE",
        f"/v1/packages/{PACKAGE}",
        answer=receipt("end", package=PACKAGE),
        signed=3,
    ),
    "events": Call(
        lambda c: owner(c).events(PACKAGE),
        "GET",
        f"/v1/packages/{PACKAGE}/events?after=0",
        answer={"events": [EVENT, REFUSAL], "more": False},
        signed=3,
    ),
    "put_status": Call(
        lambda c: owner(c).put_status(ID, CREDENTIAL),
        "PUT",
        f"/v1/status/{ID}",
        answer=STATUS,
        signed=3,
    ),
}
SILENT = {
    "acknowledge": Call(
        lambda c: c.acknowledge(REDEMPTION, KEY),
        "DELETE",
        f"/v1/redemptions/{REDEMPTION}",
        204,
        signed=0,
    ),
    "delete": Call(lambda c: owner(c).delete(), "DELETE", f"/v1/mailboxes/{ID}", 204, signed=3),
    "put_capability": Call(
        lambda c: owner(c).put_capability(PACKAGE, "uEi", 1, 2, NOW),
        "PUT",
        f"/v1/mailboxes/{ID}/capabilities/{PACKAGE}",
        201,
        signed=3,
    ),
    "delete_capability": Call(
        lambda c: owner(c).delete_capability(PACKAGE),
        "DELETE",
        f"/v1/mailboxes/{ID}/capabilities/{PACKAGE}",
        204,
        signed=3,
    ),
    "delete_envelope": Call(
        lambda c: owner(c).delete_envelope(7),
        "DELETE",
        f"/v1/mailboxes/{ID}/envelopes/7",
        204,
        signed=3,
    ),
    "erase_presentations": Call(
        lambda c: owner(c).erase_presentations(PACKAGE, 9),
        "DELETE",
        f"/v1/packages/{PACKAGE}/events?through=9",
        204,
        signed=3,
    ),
    "put_request": Call(
        lambda c: owner(c).put_request(PACKAGE, SEALED, NOW),
        "PUT",
        f"/v1/requests/{PACKAGE}",
        201,
        signed=3,
    ),
    "delete_request": Call(
        lambda c: owner(c).delete_request(PACKAGE),
        "DELETE",
        f"/v1/requests/{PACKAGE}",
        204,
        signed=3,
    ),
}
READING = UNSIGNED | OWNED
ALL = READING | SILENT


def parameters(calls: dict[str, Call]):
    return pytest.mark.parametrize("call", calls.values(), ids=calls.keys())


@parameters(ALL)
def test_a_call_is_made_and_signed_as_the_protocol_says(call: Call) -> None:
    """Method, target and signature; the body is canonical JSON."""
    c, line = client(as_json(call.answer, call.status))
    call.make(c)
    (sent,) = line.sent
    assert (sent.method, sent.url) == (call.method, RELAY + call.path)
    if call.signed is None:
        assert "Signature" not in sent.headers
    else:
        signature = verify_request(
            method=sent.method, url=sent.url, headers=sent.headers, body=sent.body, now=NOW
        )
        assert (signature.did, signature.epoch) == (KEY.did, call.signed)
    if sent.headers.get("Content-Type") == "application/json":
        assert canonicalize(json.loads(sent.body)) == sent.body


def test_nonces_are_new_each_time() -> None:
    """Two calls never carry the same one."""
    c, line = client(Reply(204))
    for _ in range(2):
        owner(c).delete()
    one, two = (sent.headers["Signature-Input"] for sent in line.sent)
    assert one != two


def test_bodies_hold_what_the_protocol_names() -> None:
    """The members of each body, no more and no fewer."""

    def body_of(name: str) -> dict[str, object]:
        c, line = client(as_json(ALL[name].answer, ALL[name].status))
        ALL[name].make(c)
        body = json.loads(line.sent[0].body)
        assert isinstance(body, dict)
        return body

    assert body_of("create") == {"token": "token"}
    assert body_of("redeem") == {"presentation": PRESENTATION}
    assert body_of("put_capability") == {
        "hash": "uEi",
        "maxEnvelopes": 1,
        "maxBytes": 2,
        "expires": "2026-03-01T12:00:00Z",
    }
    assert body_of("put_package") == {
        "mailbox": ID,
        "ticket": {},
        "manifest": MANIFEST,
        "sealed": b64url_encode(SEALED),
        "uses": 0,
    }
    assert body_of("put_status") == {"mailbox": ID, "credential": CREDENTIAL}
    assert body_of("put_request") == {
        "mailbox": ID,
        "sealed": b64url_encode(SEALED),
        "expires": "2026-03-01T12:00:00Z",
    }


def test_a_deposit_carries_its_capability_and_the_octets() -> None:
    """Deposits are not signed."""
    c, line = client(as_json(DEPOSIT, 201))
    assert c.deposit(ID, "secret", SEALED) == DEPOSIT
    assert line.sent[0].headers["Authorization"] == "Bearer secret"
    assert line.sent[0].body == SEALED


def test_honest_answers_come_back_typed() -> None:
    """What each reading call returns."""
    results = {
        name: call.make(client(as_json(call.answer, call.status))[0])
        for name, call in READING.items()
    }
    assert results["info"].to_json() == INFO | {"maxSealed": WHOLE}
    assert results["challenge"] == "x" * 43
    assert results["redeem"].sealed == results["recover"].sealed == SEALED
    assert results["consistency"] == [bytes(32)]
    assert results["envelopes"] == ([(5, SEALED)], True)
    assert results["events"] == ([EVENT, REFUSAL], False)
    assert results["package"].manifest == MANIFEST
    assert results["mailbox"].packages[0].package == PACKAGE
    assert results["mailbox"].lists[0].sequence == 4
    assert results["put_package"] == STAGING


def test_an_ended_package_may_have_lost_its_contents() -> None:
    """Only an ended one."""
    for answer in (
        {"uses": 1, "ended": True},
        {"uses": 1, "ended": True, "manifest": None, "ticket": None},
    ):
        state = owner(client(as_json(answer))[0]).package(PACKAGE)
        assert (state.manifest, state.ticket, state.ended) == (None, None, True)
        with pytest.raises(RelayNonsense):
            owner(client(as_json(answer | {"ended": False}))[0]).package(PACKAGE)


def test_octets_and_notes_come_back_as_they_are() -> None:
    """A locked request, a checkpoint, a status list with and without its stamp."""
    assert client(Reply(200, b"\x00\xff"))[0].request(ID) == b"\x00\xff"
    assert client(Reply(200, "note — é".encode()))[0].checkpoint() == "note — é"
    url = f"{RELAY}/v1/status/{ID}"
    assert client(Reply(200, b"{}"))[0].status(url) == (b"{}", None)
    stamp = b64url_encode(b'{"type":"StatusStamp"}')
    found = client(Reply(200, b"{}", {"pds-stamp": stamp}))[0].status(url)
    assert found == (b"{}", {"type": "StatusStamp"})
    with pytest.raises(RelayNonsense):
        client(Reply(200, b"\xff"))[0].checkpoint()
    for bad in ("", "!", b64url_encode(b"[]"), b64url_encode(b'{"a":1,"a":2}')):
        with pytest.raises(RelayNonsense):
            client(Reply(200, b"{}", {"pds-stamp": bad}))[0].status(url)


def test_a_list_at_another_relay_is_not_asked_for_here() -> None:
    """Neither elsewhere nor outside the lists."""
    for url in (
        f"https://other.example/v1/status/{ID}",
        f"{RELAY}/v1/status/../requests/{ID}",
        f"{RELAY}.evil/v1/status/{ID}",
        f"{RELAY}/v1/status/{ID}?x=1",
    ):
        c, line = client(Reply(200, b"{}"))
        with pytest.raises(PdsError):
            c.status(url)
        assert line.sent == []


def test_ids_are_checked_before_they_become_paths() -> None:
    """Nothing that is not an id reaches a URL."""
    c, line = client(Reply(204))
    mine = owner(c)
    for call in (
        lambda: c.owner("../x", KEY, 0),
        lambda: c.deposit("a/b", "s", b""),
        lambda: c.request(".."),
        lambda: c.recover("../../x", KEY),
        lambda: c.acknowledge("x?y", KEY),
        lambda: mine.package("x/y"),
        lambda: mine.end_package(""),
        lambda: mine.delete_capability("%2e%2e"),
        lambda: mine.delete_request("x"),
        lambda: mine.put_status("x", {}),
    ):
        with pytest.raises((WireError, DidError)):
            call()
    assert line.sent == []


def test_a_package_that_does_not_fit_its_manifest_is_not_sent() -> None:
    """A mistake of ours is noticed here."""
    c, line = client(as_json(STAGING))
    with pytest.raises(WireError) as caught:
        owner(c).put_package(PACKAGE, ticket={}, manifest=MANIFEST, sealed=b"other")
    assert caught.value.code == "wire.manifest"
    assert line.sent == []


# --- refusals --------------------------------------------------------------------------------


@pytest.mark.parametrize("code", list(RelayCode))
def test_a_refusal_has_its_code_and_our_words(code: RelayCode) -> None:
    """The relay's own title is not passed on."""
    reply = as_json(problem(code, title="<script>"), HTTP_STATUS[code], **{"retry-after": "17"})
    with pytest.raises(RelayError) as caught:
        owner(client(reply)[0]).info()
    error = caught.value
    assert (error.code, error.reason, error.status) == (str(code), code, HTTP_STATUS[code])
    assert error.retry_after == 17
    assert str(error) == TITLES[code]
    later = {"relay.busy", "relay.rate", "relay.too_soon", "relay.quota", "relay.suspended"}
    assert error.exit_code == (4 if code in later else 1)


@pytest.mark.parametrize("value", ["", "-1", "1.5", "soon", "9" * 20, "Sun, 01 Mar 2026"])
def test_another_retry_after_is_left_out(value: str) -> None:
    """Only seconds are read."""
    reply = as_json(problem(RelayCode.RATE), 429, **{"retry-after": value})
    with pytest.raises(RelayError) as caught:
        client(reply)[0].info()
    assert caught.value.retry_after is None


@pytest.mark.parametrize(
    "reply",
    [
        Reply(404),
        Reply(404, b"<html>"),
        Reply(404, b"[]"),
        as_json({}, 404),
        as_json({"code": "relay.unheard_of", "status": 404}, 404),
        as_json({"code": 7, "status": 404}, 404),
        as_json({"code": "relay.not_found"}, 404),
        as_json(problem(RelayCode.NOT_FOUND), 410),
        as_json(problem(RelayCode.NOT_FOUND) | {"status": 403}, 404),
        as_json(problem(RelayCode.NOT_FOUND) | {"status": 403}, 403),
        as_json(problem(RelayCode.NOT_FOUND) | {"x": "y" * 20_000}, 404),
        Reply(500, b"oops"),
        Reply(200 + 26),
        Reply(302),
        Reply(101),
    ],
)
def test_a_refusal_that_is_not_well_formed_is_nonsense(reply: Reply) -> None:
    """Only codes of the protocol count, with the status that goes with them."""
    with pytest.raises(RelayNonsense) as caught:
        client(reply)[0].info()
    assert (caught.value.code, caught.value.exit_code) == ("relay.nonsense", 1)


def test_what_the_server_in_front_says_is_understood() -> None:
    """Too large, busy, too many calls, and gateways without a relay behind them."""
    reply = as_json({"code": "front.too_large", "status": 413}, 413)
    with pytest.raises(RelayError) as caught:
        client(reply)[0].info()
    assert caught.value.reason is RelayCode.TOO_LARGE
    for status in (502, 503, 504):
        with pytest.raises(RelayUnreachable) as unreachable:
            client(Reply(status, b"<html>"))[0].info()
        assert (unreachable.value.code, unreachable.value.exit_code) == ("relay.unreachable", 4)
    with pytest.raises(RelayError) as caught:
        client(Reply(429, b"<html>", {"retry-after": "7"}))[0].info()
    assert (caught.value.reason, caught.value.exit_code) == (RelayCode.RATE, 4)
    assert caught.value.retry_after == 7


def test_no_connection_is_unreachable_and_worth_another_try() -> None:
    """Whatever the transport says; but what is not the relay's fault stays what it is."""
    again = NetError("x", code="net.timeout", exit_code=4)
    for error in (ConnectionRefusedError(), TimeoutError(), again):
        with pytest.raises(RelayUnreachable) as caught:
            client(error)[0].info()
        assert (caught.value.exit_code, bool(caught.value.hint)) == (4, True)
    for code in ("net.too_large", "net.redirect", "net.encoding"):
        with pytest.raises(RelayNonsense):
            client(NetError("x", code=code))[0].info()
    for code in ("net.tls", "net.address_refused", "net.url"):
        for call in (lambda c: c.info(), lambda c: c.checkpoint()):
            with pytest.raises(NetError) as kept:
                call(client(NetError("x", code=code))[0])
            assert kept.value.code == code


# --- nonsense --------------------------------------------------------------------------------


@parameters(READING)
def test_bodies_that_are_not_the_answer_are_nonsense(call: Call) -> None:
    """Nothing, other JSON, repeated keys, floats, a member too many or too few."""
    honest = json.dumps(call.answer)
    assert isinstance(call.answer, dict)
    bodies = [
        b"",
        b"null",
        b"[]",
        b"{}",
        b"\xef\xbb\xbf" + honest.encode(),
        honest.encode("utf-16"),
        honest.encode()[:-1],
        (honest[:-1] + ', "extra": 1.5}').encode(),
        (honest[:-1] + ', "a": 1, "a": 2}').encode(),
        b'{"a":' * 50 + b"1" + b"}" * 50,
    ]
    for name in call.answer:
        bodies.append(json.dumps({k: v for k, v in call.answer.items() if k != name}).encode())
        for other in (None, 7, -1, True, "", "x", [], {}, [1], {"a": 1}, 2**53):
            if other != call.answer[name] or type(other) is not type(call.answer[name]):
                bodies.append(json.dumps(call.answer | {name: other}).encode())
    harmless = {
        # Lists may be empty, flags either way, counts any number, a ticket any object.
        "mailbox": {"packages", "lists", "epoch"},
        "envelopes": {"more", "envelopes"},
        "events": {"more", "events"},
        "package": {"uses", "ticket", "ended"},
        "consistency": {"proof"},
    }
    for body in bodies:
        c, _ = client(Reply(call.status, body))
        try:
            result = call.make(c)
        except RelayNonsense:
            continue
        # What is let through differs from the honest answer in a harmless place only.
        assert result is not None
        name = next(name for name, one in READING.items() if one is call)
        changed = {k for k, v in json.loads(body).items() if call.answer.get(k) != v}
        receipts = {"leafIndex", "inclusion", "checkpoint"}
        assert changed <= harmless.get(name, receipts), (name, changed)


RECEIPTS = {name: READING[name] for name in ("deposit", "put_package", "end_package", "put_status")}


@parameters(RECEIPTS)
def test_a_receipt_must_speak_of_what_was_done(call: Call) -> None:
    """Another relay, type, package, digest or size is not this receipt."""
    honest = call.answer
    assert isinstance(honest, dict)
    entry = honest["entry"]
    for name, value in entry.items():
        if name in {"ordinal", "at", "list", "sequence"}:
            continue
        for other in (None, "other", 99, True, [value]):
            changed = honest | {"entry": entry | {name: other}}
            with pytest.raises(RelayNonsense):
                call.make(client(as_json(changed, call.status))[0])
        absent = honest | {"entry": {k: v for k, v in entry.items() if k != name}}
        with pytest.raises(RelayNonsense):
            call.make(client(as_json(absent, call.status))[0])
    for name, bad in {
        "salt": "x",
        "leafIndex": -1,
        "inclusion": [b64url_encode(bytes(31))],
        "checkpoint": 5,
    }.items():
        with pytest.raises(RelayNonsense):
            call.make(client(as_json(honest | {name: bad}, call.status))[0])
    late = honest | {"entry": entry | {"at": "yesterday"}}
    with pytest.raises(RelayNonsense):
        call.make(client(as_json(late, call.status))[0])


def test_the_answer_must_be_to_this_redemption() -> None:
    """A receipt of another redemption, package or version, and bytes of another package."""
    entry = ANSWER["receipt"]["entry"]
    for name in ("redemption", "package", "seq", "sha256", "type", "relay"):
        other = ANSWER | {"receipt": ANSWER["receipt"] | {"entry": entry | {name: "other"}}}
        for call in (READING["redeem"], READING["recover"]):
            with pytest.raises(RelayNonsense):
                call.make(client(as_json(other))[0])
    with pytest.raises(RelayNonsense):
        client(as_json(ANSWER | {"sealed": b64url_encode(b"other")}))[0].redeem(PRESENTATION, KEY)


class Handing:
    """A relay with one long thing, of which it hands out what it likes."""

    def __init__(self, first: object, hand: Callable[[int], bytes]) -> None:
        self._first = first
        self._hand = hand
        self.asked: list[int] = []

    def request(self, method, url, *, headers, body) -> Reply:
        path, _, after = url.rpartition("?after=")
        if not path or path.endswith("/envelopes"):
            return as_json(self._first)
        assert "signature" in {name.lower() for name in headers}
        self.asked.append(int(after))
        return Reply(200, self._hand(int(after)))


LONG = bytes(range(256)) * 12_288 + b"end"
LONG_ANSWER = ANSWER | {
    "manifest": MANIFEST | {"sha256": multihash_sha256(LONG), "size": len(LONG)},
    "sealed": None,
    "receipt": ANSWER["receipt"]
    | {"entry": ANSWER["receipt"]["entry"] | {"sha256": multihash_sha256(LONG)}},
}


def envelopes_of(*sizes: int) -> dict[str, object]:
    return {
        "envelopes": [{"ordinal": n, "size": size} for n, size in enumerate(sizes, 1)],
        "more": False,
    }


def test_what_is_long_is_fetched_in_pieces() -> None:
    """A package and an envelope, in as many calls as there are pieces."""
    relay = Handing(LONG_ANSWER, lambda after: LONG[after : after + WHOLE])
    answer = RelayClient(RELAY, relay, clock=lambda: NOW).redeem(PRESENTATION, KEY)
    assert (answer.sealed, relay.asked) == (LONG, [0, WHOLE, 2 * WHOLE])
    relay = Handing(envelopes_of(len(LONG)), lambda after: LONG[after : after + WHOLE])
    mailbox = owner(RelayClient(RELAY, relay, clock=lambda: NOW))
    assert (mailbox.envelopes(0), len(relay.asked)) == (([(1, LONG)], False), 3)


@pytest.mark.parametrize(
    "hand",
    [
        lambda _: b"",
        lambda after: LONG[after : after + 1],
        lambda after: LONG[after : after + WHOLE + 1],
        lambda _: LONG,
        lambda after: (LONG + b"x")[after : after + WHOLE],
    ],
    ids=["nothing", "byte by byte", "more", "one piece", "another end"],
)
def test_attack_52_a_relay_that_lies_about_what_is_long(hand: Callable[[int], bytes]) -> None:
    """No relay can have a call made for each byte, or hand out more than it said."""
    for call in (
        lambda c: c.redeem(PRESENTATION, KEY),
        lambda c: c.recover(REDEMPTION, KEY),
    ):
        relay = Handing(LONG_ANSWER, hand)
        with pytest.raises(RelayNonsense):
            call(RelayClient(RELAY, relay, clock=lambda: NOW))
        assert len(relay.asked) <= 3
    relay = Handing(envelopes_of(len(LONG)), hand)
    with pytest.raises(RelayNonsense):
        owner(RelayClient(RELAY, relay, clock=lambda: NOW)).envelopes(0)


def test_attack_52_a_page_of_long_envelopes_fills_no_memory() -> None:
    """Of a thousand that are named, no more are fetched at once than one of the largest has; and
    none that is too short to be named, or too long to be."""
    relay = Handing(envelopes_of(*[MAX_SEALED // 2] * 1000), lambda _: bytes(WHOLE))
    relay._hand = lambda after: bytes(min(WHOLE, MAX_SEALED // 2 - after))
    found, more = owner(RelayClient(RELAY, relay, clock=lambda: NOW)).envelopes(0)
    assert ([ordinal for ordinal, _ in found], more) == ([1, 2], True)
    for size in (0, WHOLE, MAX_SEALED + 1, 2**53 - 1):
        relay = Handing(envelopes_of(size), lambda _: bytes(WHOLE))
        with pytest.raises(RelayNonsense):
            owner(RelayClient(RELAY, relay, clock=lambda: NOW)).envelopes(0)
        assert relay.asked == []


def test_pages_rise_and_end() -> None:
    """Ordinals that stand still, fall or begin too low, and endless empty pages."""

    def page(*ordinals: int, more: bool = False) -> Reply:
        envelopes = [{"ordinal": n, "sealed": b64url_encode(SEALED)} for n in ordinals]
        return as_json({"envelopes": envelopes, "more": more})

    assert owner(client(page(5, 9))[0]).envelopes(4) == ([(5, SEALED), (9, SEALED)], False)
    for bad in (page(4), page(5, 5), page(6, 5), page(more=True), page(*range(5, 1006))):
        with pytest.raises(RelayNonsense):
            owner(client(bad)[0]).envelopes(4)
    without = {name: value for name, value in EVENT.items() if name != "ordinal"}
    for events in ([REFUSAL, EVENT], [EVENT, EVENT], [without], ["x"], [EVENT | {"ordinal": True}]):
        with pytest.raises(RelayNonsense):
            owner(client(as_json({"events": events, "more": False}))[0]).events(PACKAGE)
    with pytest.raises(RelayNonsense):
        owner(client(as_json({"events": [], "more": True}))[0]).events(PACKAGE)
    with pytest.raises(RelayNonsense):
        owner(client(as_json({"events": [EVENT], "more": False}))[0]).events(PACKAGE, 1)


def nested(levels: int) -> dict[str, object]:
    inner: dict[str, object] = {}
    for _ in range(levels - 1):
        inner = {"a": [inner]} if levels % 2 else {"a": inner}
    return inner


@pytest.mark.parametrize(
    "changes",
    [
        {"receipt": None},
        {"receipt": "x"},
        {"receipt": {}},
        {"receipt": receipt("staging", package=PACKAGE, ordinal=1)},
        {"receipt": receipt("redemption", package=ID, ordinal=1)},
        {"receipt": receipt("redemption", package=PACKAGE, ordinal=2)},
        {"receipt": receipt("redemption", package=PACKAGE, ordinal=1, x=nested(20))},
        {"ordinal": 2, "receipt": receipt("redemption", package=PACKAGE, ordinal=1)},
    ],
)
def test_an_event_with_a_bad_receipt_hides_no_other(changes: dict[str, object]) -> None:
    """It is named as that event's problem; the others are there."""
    bad = EVENT | changes
    after = REFUSAL | {
        "ordinal": 3,
        "receipt": receipt("refusal", package=PACKAGE, ordinal=3, code="relay.expired"),
    }
    c, _ = client(as_json({"events": [bad, after], "more": False}))
    assert owner(c).events(PACKAGE) == (
        [{"ordinal": bad["ordinal"], "receipt": None, "problem": "relay.bad_receipt"}, after],
        False,
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"presentation": None},
        {"presentation": "x"},
        {"presentation": [PRESENTATION]},
        {"presentation": PRESENTATION | {"verifiableCredential": [nested(24)]}},
        {"presentation": nested(9)},
        {"presentation": nested(10)},
    ],
)
def test_an_event_with_a_bad_presentation_hides_no_other(changes: dict[str, object]) -> None:
    """The event is there without it, and says what is wrong."""
    c, _ = client(as_json({"events": [EVENT | changes, REFUSAL], "more": True}))
    bad = {"ordinal": 1, "receipt": EVENT["receipt"], "problem": "relay.bad_presentation"}
    assert owner(c).events(PACKAGE) == ([bad, REFUSAL], True)


def test_an_event_with_an_unknown_member_says_so() -> None:
    """What it says beside that is there."""
    c, _ = client(as_json({"events": [EVENT | {"x": 1}, REFUSAL], "more": False}))
    bad = {"ordinal": 1, "receipt": EVENT["receipt"], "problem": "relay.bad_presentation"}
    assert owner(c).events(PACKAGE) == ([bad, REFUSAL], False)


def test_a_status_list_that_waits_for_its_owner() -> None:
    """A restored relay says ``relay.suspended`` with 503: it is a refusal, for later."""
    body = problem(RelayCode.SUSPENDED) | {"status": 503}
    c, _ = client(as_json(body, 503, **{"retry-after": "3600"}))
    with pytest.raises(RelayError) as caught:
        c.status(f"{RELAY}/v1/status/{ID}")
    found = caught.value
    assert (found.code, found.status, found.retry_after) == ("relay.suspended", 503, 3600)
    assert found.exit_code == 4


def test_answers_beyond_their_size_are_nonsense() -> None:
    """Each call has a limit, whatever the transport lets through."""
    large = b" " * 9_000_000
    for call in (READING | SILENT).values():
        with pytest.raises(RelayNonsense):
            call.make(client(Reply(call.status, large))[0])
    for read in (
        lambda c: c.request(ID),
        lambda c: c.checkpoint(),
        lambda c: c.status(f"{RELAY}/v1/status/{ID}"),
    ):
        with pytest.raises(RelayNonsense):
            read(client(Reply(200, large))[0])


@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    ),
    status=st.integers(100, 599),
)
@settings(deadline=None, max_examples=100)
def test_no_answer_raises_anything_else(body: object, status: int) -> None:
    """Whatever comes, it is an answer, a refusal, unreachable or nonsense."""
    for call in (READING["info"], READING["events"], READING["redeem"], READING["mailbox"]):
        with pytest.raises((RelayNonsense, RelayUnreachable, RelayError)):
            call.make(client(Reply(status, json.dumps(body).encode()))[0])


# --- over a real connection ------------------------------------------------------------------


@contextmanager
def small_relay() -> Iterator[tuple[str, list[str]]]:
    """A relay with one mailbox that takes signed calls only, on this machine."""
    nonces: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            origin = f"http://127.0.0.1:{self.server.server_address[1]}"
            if self.path == "/v1/relay":
                self.say(200, INFO | {"relay": origin})
                return
            try:
                signature = verify_request(
                    method=self.command,
                    url=origin + self.path,
                    headers=dict(self.headers),
                    body=body,
                    now=NOW,
                )
            except WireError as error:
                code = RelayCode(error.code)
                self.say(HTTP_STATUS[code], problem(code))
                return
            nonces.append(signature.nonce)
            if self.command == "PUT":
                self.say(201, {"mailbox": ID})
            else:
                self.say(404, problem(RelayCode.NOT_FOUND))

        def say(self, status: int, value: object) -> None:
            octets = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(octets)))
            self.end_headers()
            self.wfile.write(octets)

        do_GET = do_PUT = do_DELETE = answer  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", nonces
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_client_and_transport_speak_to_a_server() -> None:
    """Signatures survive the way: target, body and headers arrive as they were signed."""
    with small_relay() as (url, nonces), Transport(trusted_origins=[url]) as transport:
        c = RelayClient(url, transport, clock=lambda: NOW)
        assert c.info().relay == url
        mine = c.owner(ID, KEY, 3)
        mine.create()
        mine.create("token")
        with pytest.raises(RelayError) as caught:
            mine.envelopes(7)
        assert caught.value.reason is RelayCode.NOT_FOUND
        late = RelayClient(url, transport, clock=lambda: NOW.replace(minute=5))
        with pytest.raises(RelayError) as caught:
            late.owner(ID, KEY, 3).create()
        assert caught.value.reason is RelayCode.SIGNATURE
    assert len(set(nonces)) == 3
    with Transport(trusted_origins=[url]) as transport, pytest.raises(RelayUnreachable):
        RelayClient(url, transport, clock=lambda: NOW).info()


def test_a_relay_that_says_it_is_another_is_not_used() -> None:
    """Its description must be for the address that was asked."""
    c, _ = client(as_json(INFO | {"relay": "https://other.example"}))
    with pytest.raises(RelayNonsense):
        c.info()


def test_a_client_wants_a_canonical_address() -> None:
    """The address is part of what is signed, so it has one spelling."""
    with pytest.raises(WireError):
        RelayClient(f"{RELAY}/", Line(Reply()), clock=lambda: NOW)


def test_the_test_data_is_what_it_says() -> None:
    """The receipts above are well-formed."""
    assert len(b64url_decode(DEPOSIT["salt"])) == 32
