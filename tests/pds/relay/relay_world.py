"""A holder, a company and a relay, for the tests: real keys, real signatures, a clock by hand.

``World`` talks to the relay through ``send(method, path, headers, body)``, so the same steps run
against Flask's test client and against a relay that is a process of its own.
"""

import http.client
import json
import os
import subprocess
import sys
import threading
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from contract import check

from credentials.contexts import PROFILE_CONTEXT
from credentials.presentation import sign_presentation
from credentials.proof import sign_object
from credentials.status import BitString, StatusEntry, issue_status_list
from credentials.ticket import issue_ticket
from did.json import JsonObject, canonicalize, digest
from did.keys import SigningKey, VerifyKey
from did.multikey import b64url_encode, multihash_sha256
from did.time import format_time
from pds.log import VerifiedReceipt, verify_receipt
from pds.relay.app import create_app
from pds.relay.store import Store
from pds.wire import Manifest, capability_hash, new_capability, new_id, sign_request

URL = "http://127.0.0.1:8080"
START = datetime(2026, 5, 4, 10, 20, 30, tzinfo=UTC)
GRANT = multihash_sha256(b"a grant")


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = START) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, **by: float) -> None:
        self.now += timedelta(**by)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["code"])


Send = Callable[[str, str, Mapping[str, str], bytes], Reply]


def flask_send(app: Any) -> Send:
    """Through Flask's test client; one client for each call, so threads may share it."""

    def send(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        answer = app.test_client().open(path, method=method, headers=dict(headers), data=body)
        lower = {name.lower(): value for name, value in answer.headers.items()}
        return checked(method, path, Reply(answer.status_code, lower, answer.data))

    return send


def http_send(port: int, *, timeout: float = 20.0) -> Send:
    """Over a socket to a relay on this machine."""

    def send(method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        conn = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout)
        try:
            sent = dict(headers) | ({"Content-Length": str(len(body))} if body else {})
            conn.request(method, path, body=body or None, headers=sent)
            answer = conn.getresponse()
            lower = {name.lower(): value for name, value in answer.getheaders()}
            return checked(method, path, Reply(answer.status, lower, answer.read()))
        finally:
            conn.close()

    return send


def checked(method: str, path: str, reply: Reply) -> Reply:
    """A reply that is as the relay's OpenAPI document says."""
    check(method, path, status=reply.status, headers=reply.headers, body=reply.body)
    return reply


@dataclass
class World:
    """One holder towards one company at one relay."""

    send: Send
    clock: Callable[[], datetime]
    url: str = URL
    app: Any = None
    holder: SigningKey = field(default_factory=SigningKey.generate)
    owner: SigningKey = field(default_factory=SigningKey.generate)
    company: SigningKey = field(default_factory=SigningKey.generate)
    mailbox: str = field(default_factory=new_id)
    list_id: str = field(default_factory=new_id)
    epoch: int = 1
    bits: BitString = field(default_factory=BitString.empty)

    # --- calls

    def call(
        self,
        method: str,
        path: str,
        body: JsonObject | bytes | None = None,
        *,
        key: SigningKey | None = None,
        epoch: int | None = None,
        nonce: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Reply:
        """A call signed by the mailbox's owner, or by ``key``."""
        octets = b"" if body is None else body if isinstance(body, bytes) else canonicalize(body)
        if headers is None:
            headers = self.sign(method, path, octets, key=key, epoch=epoch, nonce=nonce)
        return self.send(method, path, headers, octets)

    def sign(
        self,
        method: str,
        path: str,
        octets: bytes = b"",
        *,
        key: SigningKey | None = None,
        epoch: int | None = None,
        nonce: str | None = None,
    ) -> dict[str, str]:
        return sign_request(
            key or self.owner,
            method=method,
            url=self.url + path,
            body=octets,
            epoch=self.epoch if epoch is None else epoch,
            created=self.clock(),
            nonce=nonce or new_id(),
        )

    def get(self, path: str) -> Reply:
        return self.send("GET", path, {}, b"")

    # --- the holder

    def create(self, **with_: Any) -> Reply:
        return self.call("PUT", f"/v1/mailboxes/{self.mailbox}", {}, **with_)

    def status_list(
        self, *, sequence: int = 1, bits: BitString | None = None, **more: Any
    ) -> JsonObject:
        return issue_status_list(
            key=more.pop("key", self.holder),
            url=more.pop("list_url", f"{self.url}/v1/status/{self.list_id}"),
            bits=bits or self.bits,
            sequence=sequence,
            now=more.pop("now", self.clock()),
            **more,
        )

    def put_status(self, credential: JsonObject | None = None, **with_: Any) -> Reply:
        body: JsonObject = {
            "mailbox": self.mailbox,
            "credential": credential or self.status_list(),
        }
        return self.call("PUT", f"/v1/status/{self.list_id}", body, **with_)

    def ticket(self, package: str, **changes: Any) -> JsonObject:
        now = self.clock()
        terms: dict[str, Any] = {
            "key": self.holder,
            "redemption_key_did": self.company.did,
            "relay": self.url,
            "package": package,
            "valid_from": now,
            "valid_until": now + timedelta(days=30),
            "max_uses": 3,
            "min_interval": 0,
            "grant_digest": GRANT,
            "status": StatusEntry(f"{self.url}/v1/status/{self.list_id}", 7),
            "now": now,
        }
        return issue_ticket(**(terms | changes))

    def manifest(
        self, package: str, ticket: JsonObject, sealed: bytes, /, *, seq: int = 1, **changes: Any
    ) -> JsonObject:
        key = changes.pop("key", self.holder)
        terms: dict[str, Any] = {
            "package": package,
            "seq": seq,
            "ticket": digest(ticket),
            "sha256": multihash_sha256(sealed),
            "size": len(sealed),
            "not_after": self.clock() + timedelta(days=29),
        }
        unsigned = Manifest(**(terms | changes)).to_json()
        return sign_object(unsigned, key, created=self.clock())

    def staging(
        self,
        package: str,
        /,
        *,
        ticket: JsonObject | None = None,
        sealed: bytes = b"sealed bytes",
        seq: int = 1,
        manifest: JsonObject | None = None,
        **changes: Any,
    ) -> JsonObject:
        """The body of a ``PUT /v1/packages/{id}``."""
        ticket = ticket or self.ticket(package)
        manifest = manifest or self.manifest(package, ticket, sealed, seq=seq, **changes)
        return {
            "mailbox": self.mailbox,
            "ticket": ticket,
            "manifest": manifest,
            "sealed": b64url_encode(sealed),
        }

    def stage(self, package: str, /, **how: Any) -> Reply:
        return self.call("PUT", f"/v1/packages/{package}", self.staging(package, **how))

    def ready(self, **terms: Any) -> tuple[str, JsonObject]:
        """Mailbox, status list and one staged package; its id and ticket."""
        assert self.create().status in (200, 201)
        assert self.put_status().status == 200
        return self.another(**terms)

    def another(self, **terms: Any) -> tuple[str, JsonObject]:
        package = new_id()
        ticket = self.ticket(package, **terms)
        reply = self.stage(package, ticket=ticket)
        assert reply.status == 200, reply.body
        return package, ticket

    def end(self, package: str) -> Reply:
        return self.call("DELETE", f"/v1/packages/{package}")

    def events(self, package: str, after: int = 0) -> list[dict[str, Any]]:
        reply = self.call("GET", f"/v1/packages/{package}/events?after={after}")
        assert reply.status == 200, reply.body
        return list(reply.json["events"])

    def capability(
        self, *, envelopes: int = 3, size: int = 4096, days: float = 1
    ) -> tuple[str, str]:
        """A capability at the mailbox: its id and its secret."""
        cid, secret = new_id(), new_capability()
        body: JsonObject = {
            "hash": capability_hash(secret),
            "maxEnvelopes": envelopes,
            "maxBytes": size,
            "expires": format_time(self.clock() + timedelta(days=days)),
        }
        reply = self.call("PUT", f"/v1/mailboxes/{self.mailbox}/capabilities/{cid}", body)
        assert reply.status == 201, reply.body
        return cid, secret

    # --- the company

    def deposit(self, secret: str, octets: bytes) -> Reply:
        path = f"/v1/mailboxes/{self.mailbox}/envelopes"
        return self.send("POST", path, {"Authorization": f"Bearer {secret}"}, octets)

    def challenge(self) -> str:
        return str(self.get("/v1/challenge").json["challenge"])

    def presentation(self, ticket: JsonObject, **changes: Any) -> JsonObject:
        """A redemption as it should be, but for ``changes``."""
        key = changes.pop("key", self.company)
        challenge = changes.pop("challenge", None) or self.challenge()
        domain = changes.pop("domain", self.url)
        created = changes.pop("created", self.clock())
        unsigned: JsonObject = {
            "@context": list(PROFILE_CONTEXT),
            "id": f"urn:uuid:{uuid.uuid4()}",
            "type": ["VerifiablePresentation", "Redemption"],
            "verifiableCredential": [ticket],
            "grantDigest": GRANT,
            "sealed": b64url_encode(os.urandom(64)),
        }
        return sign_presentation(
            holder_key=key,
            presentation=unsigned | changes,
            challenge=challenge,
            domain=domain,
            created=created,
        )

    def present(self, presentation: JsonObject) -> Reply:
        body = canonicalize({"presentation": presentation})
        return self.send("POST", "/v1/redemptions", {"Content-Type": "application/json"}, body)

    def redeem(self, ticket: JsonObject, **changes: Any) -> Reply:
        return self.present(self.presentation(ticket, **changes))

    def recover(self, presentation: JsonObject, **with_: Any) -> Reply:
        with_ = {"key": self.company, "epoch": 0} | with_
        return self.call("GET", f"/v1/redemptions/{digest(presentation)}", **with_)

    def acknowledge(self, presentation: JsonObject, **with_: Any) -> Reply:
        with_ = {"key": self.company, "epoch": 0} | with_
        return self.call("DELETE", f"/v1/redemptions/{digest(presentation)}", **with_)

    # --- anyone

    def verify(self, receipt: JsonObject) -> VerifiedReceipt:
        info = self.get("/v1/relay").json
        key = VerifyKey.from_multikey(info["logKey"])
        return verify_receipt(receipt, origin=info["logOrigin"], log_key=key)

    def sibling(self) -> "World":
        """Another holder, mailbox and company at the same relay."""
        return World(send=self.send, clock=self.clock, url=self.url, app=self.app)


@dataclass
class InProcess:
    """The world's relay as a transport of ``pds.mailbox``."""

    world: World

    def request(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes) -> Reply:
        return self.world.send(method, url.removeprefix(self.world.url), headers, body)


@dataclass
class Engine:
    """Where the relays of a test keep their rows: a PostgreSQL's conninfo, or None for a file."""

    database: str | None = None


ENGINE = Engine()


def on_engine(request: pytest.FixtureRequest) -> Iterator[str]:
    """What a fixture ``engine`` does: relays are on the engine that its parameter names."""
    if request.param == "sqlite":
        yield request.param
        return
    with request.getfixturevalue("postgres").schema() as conninfo:
        ENGINE.database = conninfo
        yield request.param
        ENGINE.database = None


FILE_ONLY = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
"""For what concerns the file and its folder."""


def make_world(data: Path, *, clock: Clock | None = None, **settings: Any) -> World:
    """A relay in this process, and a holder and a company at it."""
    clock = clock or Clock()
    app = create_app(data, url=URL, clock=clock, database=ENGINE.database, **settings)
    return World(send=flask_send(app), clock=clock, app=app)


_SERVER = """
import sys
from pathlib import Path
from pds.relay.app import create_app
from pds.relay.limits import Limits
from pds.serve import ServeSettings, serve
many = 10**9
limits = Limits(registrations_per_hour=many, calls_per_hour=many, deposits_per_hour=many)
serve(create_app(Path(sys.argv[1]), url=sys.argv[2], limits=limits),
      ServeSettings(port=0, pass_address=True), on_ready=lambda port: print(port, flush=True))
"""


@contextmanager
def relay_process(data: Path) -> Iterator[int]:
    """A relay as a process, for ``URL`` and without limits of rate; the port that it listens at."""
    with subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(data), URL], stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            yield int(process.stdout.readline())
        finally:
            process.kill()


class Queue(deque[Any]):
    """The queue of a store, in which arrivals are counted."""

    def __init__(self) -> None:
        super().__init__()
        self._arrivals = threading.Semaphore(0)

    def append(self, act: Any) -> None:
        super().append(act)
        self._arrivals.release()

    def wait_for(self, acts: int) -> None:
        for _ in range(acts):
            assert self._arrivals.acquire(timeout=20)


def watch_queue(store: Store) -> Queue:
    """Within an act: the queue of those who come from now on."""
    queue = store._waiting = Queue()
    return queue


def close(world: World) -> None:
    world.app.extensions["relay"].store.close()


def reopen(world: World, data: Path, **settings: Any) -> World:
    """The same people after the relay was stopped and started again."""
    close(world)
    app = create_app(data, url=URL, clock=world.clock, database=ENGINE.database, **settings)
    world.app, world.send = app, flask_send(app)
    return world
