"""The application as a whole: every route, problems, headers, restart, and what it may know."""

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from relay_world import ENGINE, FILE_ONLY, URL, Clock, World, close, flask_send, make_world, reopen

from credentials.contexts import PDS_V1, context_bytes
from did.json import digest
from did.keys import SigningKey, VerifyKey
from did.multikey import b64url_decode, b64url_encode
from did.time import format_time
from pds.db import DbError
from pds.log import Monitor, open_checkpoint
from pds.mailbox import RelayClient
from pds.relay.app import create_app
from pds.relay.errors import RelayError
from pds.relay.limits import Limits
from pds.wire import HTTP_STATUS, WHOLE, RelayCode, WireError, new_id

DOCS = Path(__file__).parents[3] / "docs"

# Every row of the table in docs/protocol.md §7: method, path, whether it is signed.
ROUTES = [
    ("GET", "/v1/relay", False),
    ("GET", "/v1/openapi.json", False),
    ("PUT", "/v1/mailboxes/{id}", True),
    ("GET", "/v1/mailboxes/{id}", True),
    ("DELETE", "/v1/mailboxes/{id}", True),
    ("PUT", "/v1/mailboxes/{id}/capabilities/{id}", True),
    ("DELETE", "/v1/mailboxes/{id}/capabilities/{id}", True),
    ("POST", "/v1/mailboxes/{id}/envelopes", False),
    ("GET", "/v1/mailboxes/{id}/envelopes?after=0", True),
    ("GET", "/v1/mailboxes/{id}/envelopes/1?after=0", True),
    ("DELETE", "/v1/mailboxes/{id}/envelopes/1", True),
    ("PUT", "/v1/packages/{id}", True),
    ("GET", "/v1/packages/{id}", True),
    ("DELETE", "/v1/packages/{id}", True),
    ("GET", "/v1/packages/{id}/events?after=0", True),
    ("DELETE", "/v1/packages/{id}/events?through=1", True),
    ("GET", "/v1/challenge", False),
    ("POST", "/v1/redemptions", False),
    ("GET", "/v1/redemptions/{digest}", True),
    ("GET", "/v1/redemptions/{digest}/sealed?after=0", True),
    ("DELETE", "/v1/redemptions/{digest}", True),
    ("PUT", "/v1/status/{id}", True),
    ("GET", "/v1/status/{id}", False),
    ("PUT", "/v1/requests/{id}", True),
    ("GET", "/v1/requests/{id}", False),
    ("DELETE", "/v1/requests/{id}", True),
    ("GET", "/r/{link}", False),
    ("PUT", "/v1/identities/{id}", True),
    ("GET", "/v1/identities/{id}", True),
    ("DELETE", "/v1/identities/{id}", True),
    ("GET", "/identities/{id}/did.jsonl", False),
    ("GET", "/identities/{id}/did-witness.json", False),
    ("GET", "/v1/log/checkpoint", False),
    ("GET", "/v1/log/consistency?first=0&second=0", False),
    ("GET", "/.well-known/did.json", False),
    ("GET", "/contexts/v1", False),
    ("GET", "/healthz", False),
    ("GET", "/readyz", False),
]


def _path(template: str) -> str:
    return template.replace("{id}", new_id()).replace("{digest}", "uEi" + "A" * 44)


@pytest.mark.parametrize(("method", "template", "signed"), ROUTES)
def test_every_route_is_there_and_asks_for_a_signature_where_it_must(
    world: World, method: str, template: str, signed: bool
) -> None:
    """Unsigned owner calls are 401; all answers carry the security headers."""
    reply = world.send(method, _path(template), {}, b"")
    if signed:
        assert (reply.status, reply.code) == (401, "relay.unsigned")
    else:
        assert reply.status != 401
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["content-security-policy"].startswith("default-src 'none'")
    if template != "/contexts/v1":
        assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(("method", "template", "signed"), [r for r in ROUTES if r[2]])
def test_every_signed_route_refuses_a_damaged_signature(
    world: World, method: str, template: str, signed: bool
) -> None:
    """One changed character of the signature is 401 ``relay.signature``."""
    path = _path(template)
    headers = world.sign(method, path)
    value = headers["Signature"]
    headers["Signature"] = value.replace(value[10], "A" if value[10] != "A" else "B", 1)
    reply = world.call(method, path, headers=headers)
    assert (reply.status, reply.code) == (401, "relay.signature")


def test_the_relay_describes_itself(world: World) -> None:
    """Address, log and registration are what receipts and tickets go by."""
    info = world.get("/v1/relay").json
    assert info["relay"] == URL
    assert info["logOrigin"].startswith("127.0.0.1:8080/log/")
    assert len(info["logOrigin"].rpartition("/")[2]) == 16
    assert info["registration"] == "open"
    assert info["time"] == "2026-05-04T10:20:30Z"
    VerifyKey.from_multikey(info["logKey"])


@FILE_ONLY
def test_the_protocol_names_the_limits_as_they_are() -> None:
    """How long things are kept, and how long they may be."""
    limits, text = Limits(), " ".join((DOCS / "protocol.md").read_text().split())
    kept = text.partition("**What is kept how long.**")[2].partition("PUTs are idempotent")[0]
    assert f"deleted, {limits.envelope_days} days at most" in kept
    assert f"again {limits.receipt_days} days longer" in kept
    assert f"at most {limits.request_days} days ahead" in kept
    assert f"erased, {limits.presentation_days} days at most" in kept
    assert f"relay.expired` for {limits.presentation_days} days more" in text
    assert f"`DELETE`, {limits.answer_hours} hours" in text
    assert f"more than {WHOLE:,} bytes" in text
    assert f"Presentations are at most {limits.presentation >> 10} KiB" in text
    assert f"a mailbox holds at most {limits.mailbox >> 20} MiB" in text


def test_a_mailbox_that_ended_leaves_its_lists(world: World) -> None:
    """What was withdrawn can be seen after it, and nothing is redeemed any more."""
    _, ticket = world.ready()
    assert world.call("DELETE", f"/v1/mailboxes/{world.mailbox}").status == 204
    assert world.get(f"/v1/status/{world.list_id}").status == 200
    assert world.redeem(ticket).code == "relay.ended"


def test_options_says_which_methods_there_are(world: World) -> None:
    """Unsigned, whatever the id, and of no address that is not there."""
    reply = world.send("OPTIONS", f"/v1/packages/{new_id()}", {}, b"")
    allowed = {one.strip() for one in reply.headers["allow"].split(",")}
    assert (reply.status, allowed) == (200, {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
    assert world.send("OPTIONS", "/v1/nothing", {}, b"").code == "relay.not_found"


def test_health_context_and_log_are_for_anyone(world: World) -> None:
    """The public routes answer with what they are for."""
    assert world.get("/healthz").json == {"status": "ok"}
    assert world.get("/readyz").json == {"status": "ready"}
    context = world.get("/contexts/v1")
    assert context.body == context_bytes(PDS_V1)
    assert context.headers["content-type"] == "application/ld+json"
    assert "max-age" in context.headers["cache-control"]


def test_a_monitor_can_follow_the_log(world: World) -> None:
    """Each checkpoint grows out of the one before, across a restart too."""
    info = world.get("/v1/relay").json
    origin, key = info["logOrigin"], VerifyKey.from_multikey(info["logKey"])
    monitor = Monitor(origin=origin, key=key)
    last = 0
    package, ticket = world.ready(max_uses=100)
    for _ in range(5):
        note = world.get("/v1/log/checkpoint").body.decode()
        size = open_checkpoint(note, origin=origin, key=key).size
        path = f"/v1/log/consistency?first={last}&second={size}"
        monitor.advance(note, [b64url_decode(one) for one in world.get(path).json["proof"]])
        last = size
        world.redeem(ticket)
        world.redeem(ticket)
    assert last == 10
    assert world.end(package).json["leafIndex"] == 12


@pytest.mark.parametrize(
    "query", ["", "?first=0", "?first=0&second=9", "?first=2&second=1", "?first=-1&second=0",
              "?first=0&second=0&x=1", "?first=0&first=0&second=0", "?first=00&second=0",
              "?first=%D9%A1&second=1"],
)  # fmt: skip
def test_numbers_in_a_query_have_one_spelling(world: World, query: str) -> None:
    """Missing, repeated, unknown, signed or foreign digits are malformed."""
    assert world.get(f"/v1/log/consistency{query}").code == "relay.malformed"


def test_problems_are_of_the_standard_form_and_hold_nothing_of_the_input(world: World) -> None:
    """RFC 9457, with our code; the same bytes whatever was sent."""
    world.create()
    secret = "planted-in-the-input"
    reply = world.call("PUT", f"/v1/mailboxes/{world.mailbox}", {secret: secret})
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.json == {
        "type": "about:blank",
        "title": "The request is not as the protocol says.",
        "status": 400,
        "code": "relay.malformed",
    }
    assert secret.encode() not in reply.body


def test_what_is_unknown_is_one_answer(world: World) -> None:
    """Unknown ids, impossible ids and unknown paths give the same 404."""
    world.create()
    bodies = {
        world.call("GET", f"/v1/mailboxes/{new_id()}").body,
        world.call("GET", "/v1/mailboxes/short").body,
        world.call("GET", f"/v1/packages/{new_id()}").body,
        world.call("GET", "/v1/redemptions/uEi", key=world.company).body,
        world.get(f"/v1/status/{new_id()}").body,
        world.get(f"/v1/requests/{new_id()}").body,
        world.get("/v1/elsewhere").body,
        world.get("//v1/relay").body,
    }
    assert len(bodies) == 1
    assert json.loads(bodies.pop())["code"] == "relay.not_found"


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"{", b'{"token":1,"token":2}', b'{"x":1}', b"\xff", b'{"token":1.5}'],
)
def test_bodies_are_read_strictly(world: World, body: bytes) -> None:
    """What is not one strict JSON object with the members agreed is malformed."""
    reply = world.call("PUT", f"/v1/mailboxes/{world.mailbox}", body)
    assert (reply.status, reply.code) == (400, "relay.malformed")


def test_wrong_values_are_malformed(world: World) -> None:
    """Types, ids, digests and times are looked at before anything happens."""
    world.create()
    for token in (5, None, ["a"]):
        box = f"/v1/mailboxes/{new_id()}"
        assert world.call("PUT", box, {"token": token}).code == "relay.malformed"
    path = f"/v1/mailboxes/{world.mailbox}/capabilities/{new_id()}"
    good = {
        "hash": "uEi" + "A" * 44,
        "maxEnvelopes": 1,
        "maxBytes": 1,
        "expires": format_time(world.clock()),
    }
    for changes in (
        {"hash": "uEi"},
        {"maxEnvelopes": True},
        {"maxEnvelopes": 0},
        {"maxBytes": "1"},
        {"expires": "2026-05-04"},
    ):
        assert world.call("PUT", path, good | changes).code == "relay.malformed", changes
    request = {"mailbox": world.mailbox, "sealed": "", "expires": format_time(world.clock())}
    for changes in ({}, {"mailbox": "short"}, {"sealed": "a="}, {"sealed": 1}):
        reply = world.call("PUT", f"/v1/requests/{new_id()}", request | changes)
        assert reply.code == "relay.malformed", changes
    big = request | {"sealed": b64url_encode(bytes(1_049_714))}
    assert world.call("PUT", f"/v1/requests/{new_id()}", big).code == "relay.too_large"


def test_a_body_has_a_size(world: World) -> None:
    """Beyond what the largest package takes it is refused unread, signed or not; where no package
    comes, beyond 2 MiB."""
    world.create()
    _, secret = world.capability(size=2**30)
    reply = world.deposit(secret, bytes(Limits().largest_body + 1))
    assert (reply.status, reply.code) == (413, "relay.too_large")
    for path in (f"/v1/mailboxes/{world.mailbox}", f"/v1/status/{world.list_id}"):
        reply = world.call("PUT", path, bytes(2_097_153))
        assert (reply.status, reply.code) == (413, "relay.too_large")


def test_open_registration_is_limited_by_address(data: Path) -> None:
    """The next prefix is free, the next hour too, and finding a mailbox costs nothing."""
    world = make_world(data, limits=Limits(registrations_per_hour=2))

    def register(address: str) -> tuple[int, str | None]:
        mailbox = new_id()
        path = f"/v1/mailboxes/{mailbox}"
        answer = world.app.test_client().put(
            path,
            headers=world.sign("PUT", path, b"{}"),
            data=b"{}",
            environ_overrides={"REMOTE_ADDR": address},
        )
        return answer.status_code, answer.headers.get("Retry-After")

    assert [register("192.0.2.1")[0], register("192.0.2.200")[0]] == [201, 201]
    assert register("192.0.2.77") == (429, "3601")
    assert register("192.0.3.1")[0] == 201
    assert [register(f"2001:db8:1:{n}::1")[0] for n in range(3)] == [201, 201, 429]
    assert register("2001:db8:2::1")[0] == 201
    assert [register("")[0] for _ in range(3)] == [201, 201, 429]
    world.clock.move(hours=1)
    assert register("192.0.2.77")[0] == 201
    close(world)


def test_every_code_has_a_status() -> None:
    """The codes that a relay gives are those of the protocol, each with one HTTP status."""
    assert set(HTTP_STATUS) == set(RelayCode)


def test_a_busy_database_is_503(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock that is not free in time says so, with a time to wait; nothing was done."""
    monkeypatch.setattr("pds.relay.store.connections._LOCK_SECONDS", 0.01)
    store = world.app.extensions["relay"].store
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with store.write():
            held.set()
            done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(20)
    try:
        reply = world.create()
        assert (reply.status, reply.code) == (503, "relay.busy")
        assert reply.headers["retry-after"] == "1"
        assert world.get("/readyz").status == 200
    finally:
        done.set()
        thread.join()
    assert world.create().status == 201


@FILE_ONLY
def test_the_data_folder_is_private_and_whole(world: World, data: Path) -> None:
    """Database and log key are readable by their owner only; no other file is left."""
    world.create()
    for name in ("relay.db", "log-key"):
        assert stat.S_IMODE((data / name).stat().st_mode) == 0o600
    assert {path.name for path in data.iterdir()} <= {
        "relay.db",
        "relay.db-wal",
        "relay.db-shm",
        "log-key",
    }


def test_a_restart_keeps_log_and_key(world: World, data: Path) -> None:
    """The same origin and key sign on."""
    before = world.get("/v1/relay").json
    reopen(world, data)
    assert world.get("/v1/relay").json == before


def test_a_folder_is_of_one_address_and_one_key(world: World, data: Path) -> None:
    """Another address, another key or none are refused, with a reason."""
    close(world)
    with pytest.raises(RelayError) as refused:
        create_app(data, url="https://other.example", database=ENGINE.database)
    assert refused.value.code == "relay.other_address"
    key = (data / "log-key").read_bytes()
    for content in (os.urandom(32), b"short", None):
        (data / "log-key").unlink()
        if content is not None:
            (data / "log-key").write_bytes(content)
        else:
            (data / "log-key").unlink(missing_ok=True)
        with pytest.raises(RelayError) as refused:
            create_app(data, url=URL, database=ENGINE.database)
        assert refused.value.code == "relay.log_key"
        (data / "log-key").write_bytes(key)


@FILE_ONLY
def test_another_programs_file_is_refused(world: World, data: Path) -> None:
    """What lies at relay.db and is no database of ours stays as it is."""
    close(world)
    (data / "relay.db").write_bytes(b"not a database at all" * 500)
    with pytest.raises(DbError):
        create_app(data, url=URL)


def test_settings_are_checked(tmp_path: Path) -> None:
    """Registration by token needs a token, open has none, and the address is an origin."""
    for registration, token in (("token", None), ("open", "x"), ("closed", None), ("token", "")):
        with pytest.raises(RelayError) as refused:
            create_app(tmp_path / "x", url=URL, registration=registration, token=token)
        assert refused.value.code == "relay.settings"
    with pytest.raises(WireError):
        create_app(tmp_path / "x", url="https://relay.example/")


def test_a_crash_while_the_folder_is_made_leaves_one_that_opens(tmp_path: Path) -> None:
    """The key is there first: a folder with a key and an empty database becomes a relay with that
    key."""
    folder = tmp_path / "relay"
    folder.mkdir()
    seed = os.urandom(32)
    (folder / "relay.db").touch()
    (folder / "log-key").write_bytes(seed)
    app = create_app(folder, url=URL)
    reply = flask_send(app)("GET", "/v1/relay", {}, b"")
    assert reply.json["logKey"] == SigningKey.from_seed(seed).verify_key.multikey
    app.extensions["relay"].store.close()


def test_a_relay_loads_nothing_that_could_read_a_grant() -> None:
    """That it is blind is a property of the program."""
    program = (
        "import sys, pds.relay.app, pds.relay.restore\n"
        "bad = ('credentials.grant', 'pds.messages', 'pds.vault', 'pds.company', 'pds.portal',"
        " 'pds.cli', 'pds.sealing', 'pds.mailbox', 'pds.links', 'pds.net', 'pyld')\n"
        "print([m for m in sys.modules if any(m == b or m.startswith(b + '.') for b in bad)])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_no_secret_and_no_content_is_in_the_data_folder(data: Path) -> None:
    """After a full exchange: no bearer secret, no token, no address, nothing that was sealed."""
    canary = b"canary-7f3a-name-and-street"
    world = make_world(data, registration="token", token="registration-token-canary")
    path = f"/v1/mailboxes/{world.mailbox}"
    world.call("PUT", path, {"token": "registration-token-canary"})
    world.put_status()
    package = new_id()
    ticket = world.ticket(package)
    sealed = bytes(byte ^ 0x5A for byte in canary)
    world.stage(package, ticket=ticket, sealed=sealed)
    _, secret = world.capability()
    assert world.deposit(secret, sealed).status == 201
    assert world.redeem(ticket).status == 200
    link = {"mailbox": world.mailbox, "sealed": b64url_encode(sealed),
            "expires": "2026-05-05T00:00:00Z"}  # fmt: skip
    assert world.call("PUT", f"/v1/requests/{new_id()}", link).status == 201
    seeds = [key.unsafe_export_seed() for key in (world.holder, world.owner, world.company)]
    forbidden = [
        canary,
        secret.encode(),
        b64url_decode(secret),
        b"registration-token-canary",
        b"127.0.0.1\x00",
        *seeds,
    ]
    world.end(package)
    close(world)
    for file in data.iterdir():
        content = file.read_bytes()
        for needle in forbidden:
            assert needle not in content, file.name


def test_the_clients_of_this_project_understand_the_relay(world: World) -> None:
    """The whole exchange through ``pds.mailbox``, which checks every answer."""

    class Through:
        def request(self, method, url, *, headers=None, body=b"", max_bytes=None, timeout=None):
            return world.send(method, url.removeprefix(URL), headers or {}, body)

    client = RelayClient(URL, Through(), clock=world.clock)
    assert client.info().relay == URL
    mailbox = client.owner(world.mailbox, world.owner, 1)
    mailbox.create()
    mailbox.create()
    mailbox.put_status(world.list_id, world.status_list())
    package = new_id()
    ticket = world.ticket(package)
    sealed = b"sealed"
    manifest = world.manifest(package, ticket, sealed)
    mailbox.put_package(package, ticket=ticket, manifest=manifest, sealed=sealed)
    presentation = world.presentation(ticket, challenge=client.challenge())
    answer = client.redeem(presentation, world.company)
    redemption = answer.receipt["entry"]["redemption"]
    assert client.recover(redemption, world.company).raw == answer.raw
    client.acknowledge(redemption, world.company)
    events, more = mailbox.events(package, after=0)
    assert (len(events), more) == (1, False)
    mailbox.erase_presentations(package, 1)
    assert mailbox.package(package).ticket == ticket
    cid, secret = world.capability()
    client.deposit(world.mailbox, secret, b"sealed message")
    assert mailbox.envelopes(0) == ([(1, b"sealed message")], False)
    mailbox.delete_envelope(1)
    mailbox.delete_capability(cid)
    octets, stamp = client.status(f"{URL}/v1/status/{world.list_id}")
    assert stamp is not None
    assert stamp["sequence"] == 1
    assert json.loads(octets)["issuer"] == world.holder.did
    link = new_id()
    mailbox.put_request(link, b"locked", Clock().now.replace(day=6))
    assert client.request(link) == b"locked"
    mailbox.delete_request(link)
    mailbox.end_package(package)
    mailbox.end_package(package)
    shown = mailbox.package(package)
    assert (shown.ended, shown.ticket) == (True, None)
    assert mailbox.info().packages[0].ended
    client.checkpoint()
    client.consistency(1, 2)
    mailbox.delete()


# --- what is not yours ----------------------------------------------------------------------------


@dataclass
class Counted:
    """A connection that remembers what it was told to do, without the values."""

    conn: Any
    statements: list[str]

    def execute(self, sql: str, *parameters: Any) -> Any:
        self.statements.append(sql)
        return self.conn.execute(sql, *parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.conn, name)


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/v1/mailboxes/{mailbox}"), ("DELETE", "/v1/mailboxes/{mailbox}"),
     ("GET", "/v1/mailboxes/{mailbox}/envelopes?after=0"),
     ("GET", "/v1/mailboxes/{mailbox}/envelopes?after=0&wait=30"),
     ("DELETE", "/v1/mailboxes/{mailbox}/envelopes/1"),
     ("DELETE", "/v1/mailboxes/{mailbox}/capabilities/{capability}"),
     ("GET", "/v1/packages/{package}"), ("DELETE", "/v1/packages/{package}"),
     ("GET", "/v1/packages/{package}/events?after=0"),
     ("DELETE", "/v1/packages/{package}/events?through=1"),
     ("GET", "/v1/redemptions/{redemption}"), ("DELETE", "/v1/redemptions/{redemption}"),
     ("DELETE", "/v1/requests/{request}")],
)  # fmt: skip
def test_what_is_unknown_and_what_is_not_yours_are_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch, method: str, path: str
) -> None:
    """Byte for byte, header for header, and in what is asked of the database: statement by
    statement, so that the time it takes tells no more than the answer."""
    package, ticket = world.ready()
    presentation = world.presentation(ticket)
    assert world.present(presentation).status == 200
    capability, secret = world.capability()
    world.deposit(secret, b"sealed")
    link = new_id()
    body = {"mailbox": world.mailbox, "sealed": "AAAA", "expires": "2026-05-05T00:00:00Z"}
    assert world.call("PUT", f"/v1/requests/{link}", body).status == 201
    theirs = {"mailbox": world.mailbox, "package": package, "capability": capability,
              "redemption": digest(presentation), "request": link}  # fmt: skip
    nothing = {name: new_id() for name in theirs} | {"redemption": digest({})}
    statements: list[str] = []
    store = world.app.extensions["relay"].store

    def counted(real: Any) -> Any:
        @contextmanager
        def scope(self: Any) -> Iterator[Any]:
            with real(self) as conn:
                yield Counted(conn, statements)

        return scope

    for name in ("read", "write"):
        monkeypatch.setattr(type(store), name, counted(getattr(type(store), name)))
    seen = []
    # A stranger who has called before, so that no counter of it begins just now.
    stranger = SigningKey.generate()
    for _ in range(2):
        for ids in (theirs, nothing):
            statements.clear()
            reply = world.call(method, path.format(**ids), key=stranger)
            assert (reply.status, reply.code) == (404, "relay.not_found")
            headers = {key: value for key, value in reply.headers.items() if key != "date"}
            seen.append((reply.status, headers, reply.body, tuple(statements)))
            assert statements
    assert seen[2] == seen[3]


def test_a_method_that_an_address_does_not_have_is_405(world: World) -> None:
    """With what it has in Allow (RFC 9110 section 15.5.6), whatever the id."""
    world.create()
    for id_ in (world.mailbox, new_id(), "short"):
        reply = world.send("POST", f"/v1/mailboxes/{id_}", {}, b"")
        assert (reply.status, reply.code) == (405, "relay.method")
        assert reply.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PUT"
        options = world.send("OPTIONS", f"/v1/mailboxes/{id_}", {}, b"")
        assert (options.status, options.body) == (200, b"")
        assert set(options.headers["allow"].split(", ")) == set(reply.headers["allow"].split(", "))
    assert world.send("OPTIONS", "/v1/elsewhere", {}, b"").code == "relay.not_found"


def test_head_is_get_without_its_body(world: World) -> None:
    """The same status and headers; a signed call must be signed as HEAD."""
    world.create()
    path = f"/v1/mailboxes/{world.mailbox}"
    asked, headed = world.call("GET", path), world.call("HEAD", path)
    assert (headed.status, headed.headers, headed.body) == (200, asked.headers, b"")
    wrong = world.send("HEAD", path, world.sign("GET", path), b"")
    assert (wrong.status, wrong.body) == (401, b"")
    assert world.send("HEAD", "/v1/relay", {}, b"").status == 200
