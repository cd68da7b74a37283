"""Identities: logs of did:webvh that a relay hosts, and that only ever grow."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from relay_world import ENGINE, Clock, Reply, World, close, flask_send, make_world

from credentials.webvh import PROOFS
from did.identifier import Did
from did.json import JsonObject, parse_object
from did.keys import SigningKey
from did.methods import webvh
from did.methods.webvh import Log
from did.multikey import multihash_sha256
from did.resolve import Resolver
from pds.mailbox import RelayClient, RelayError
from pds.relay.app import create_app
from pds.relay.limits import Limits
from pds.relay.restore import mark_restored
from pds.wire import RelayCode, new_id

URL = "https://relay.example"
HOST = "relay.example"


def make(data: Path, *, clock: Clock | None = None, **settings: Any) -> World:
    clock = clock or Clock()
    app = create_app(data, url=URL, clock=clock, database=ENGINE.database, **settings)
    return World(send=flask_send(app), clock=clock, url=URL, app=app)


@pytest.fixture
def world(data: Path) -> Iterator[World]:
    """A relay with a name, and the mailbox of one owner."""
    made = make(data)
    assert made.create().status == 201
    yield made
    close(made)


@dataclass
class Person:
    """Somebody who keeps an identity, with a new key for every entry, announced before."""

    world: World
    id: str = field(default_factory=new_id)
    host: str = HOST
    folder: str = "identities"
    keys: list[SigningKey] = field(default_factory=lambda: [SigningKey.generate()])
    witness: SigningKey | None = None

    def _parameters(self) -> JsonObject:
        self.keys.append(SigningKey.generate())
        now, then = (key.verify_key.multikey for key in self.keys[-2:])
        return {"updateKeys": [now], "nextKeyHashes": [webvh.key_hash(then)]}

    def begin(self, **parameters: Any) -> Log:
        name = webvh.placeholder_of(self.host, path=[self.folder, self.id])
        return webvh.create(
            {"@context": ["https://www.w3.org/ns/did/v1"], "id": name},
            key=self.keys[-1],
            proofs=PROOFS,
            now=self.world.clock(),
            parameters=self._parameters() | parameters,
        )

    def go_on(self, log: Log) -> Log:
        self.world.clock.move(minutes=1)
        said = self._parameters()
        return webvh.update(
            log, key=self.keys[-2], proofs=PROOFS, now=self.world.clock(), parameters=said
        )

    def put(self, log: Log, *, raw: bytes | None = None, **more: Any) -> Reply:
        body: JsonObject = {
            "mailbox": more.pop("mailbox", self.world.mailbox),
            "did": more.pop("did", str(log.did)),
            "log": (log.raw if raw is None else raw).decode(),
        }
        if "witness" in more:
            body["witness"] = more.pop("witness").decode()
        return self.world.call("PUT", f"/v1/identities/{self.id}", body, **more)

    def get(self, name: str = "did.jsonl") -> Reply:
        return self.world.get(f"/identities/{self.id}/{name}")


def fetch_from(world: World) -> Any:
    def fetch(url: str) -> bytes:
        reply = world.get(url.removeprefix(URL))
        assert reply.status == 200
        return reply.body

    return fetch


def test_anyone_can_resolve_what_an_owner_published(world: World) -> None:
    """The log lies where the DID leads to, readable from any origin, and the receipt is for it."""
    person = Person(world)
    log = person.begin()
    receipt = person.put(log)
    assert world.verify(receipt.json).receipt.entry == {
        "type": "identity",
        "relay": URL,
        "at": "2026-05-04T10:20:30Z",
        "identity": person.id,
        "sha256": multihash_sha256(log.raw),
        "size": len(log.raw),
    }
    reply = person.get()
    assert (reply.status, reply.body) == (200, log.raw)
    assert reply.headers["content-type"] == "text/jsonl"
    assert reply.headers["access-control-allow-origin"] == "*"
    assert webvh.url_of(log.did) == f"{URL}/identities/{person.id}/did.jsonl"
    resolver = Resolver(fetch=fetch_from(world), webvh_proofs=PROOFS, clock=world.clock)
    assert resolver.resolve(log.did).id == log.did


def test_a_log_grows_and_the_same_again_is_no_mistake(world: World) -> None:
    """A longer log takes the place of the shorter; the same gives its receipt again."""
    person = Person(world)
    first = person.begin()
    receipt = person.put(first)
    assert person.put(first).body == receipt.body
    second = person.go_on(first)
    assert person.put(second).status == 200
    assert person.get().body == second.raw
    last = webvh.deactivate(
        second, key=person.keys[-1], proofs=PROOFS, now=world.clock() + timedelta(seconds=1)
    )
    assert person.put(last).status == 200
    assert person.get().body == last.raw


def test_a_log_is_never_cut_or_told_otherwise(world: World) -> None:
    """A shorter log, another history of the same DID and another DID are refused; all are valid."""
    person = Person(world)
    first = person.begin()
    keys = list(person.keys)
    second = person.go_on(first)
    assert person.put(second).status == 200
    cut = person.put(first)
    assert (cut.status, cut.code) == (409, "relay.history_cut")
    person.keys = keys
    other = person.go_on(first)
    assert other.raw != second.raw
    assert person.put(other).code == "relay.history_cut"
    assert person.put(Person(world, id=person.id).begin()).code == "relay.history_cut"
    assert person.get().body == second.raw


def test_only_its_owner_writes_an_identity(world: World) -> None:
    """For another mailbox's owner it is not there; nor does it move between mailboxes."""
    person = Person(world)
    log = person.begin()
    assert person.put(log).status == 200
    longer = person.go_on(log)
    stranger = world.sibling()
    assert stranger.create().status == 201
    for mailbox in (world.mailbox, stranger.mailbox):
        taken = person.put(longer, mailbox=mailbox, key=stranger.owner)
        assert (taken.status, taken.code) == (404, "relay.not_found")
    # Nor does the relay read a log for whoever has no mailbox.
    assert person.put(longer, raw=b"x", key=stranger.owner).code == "relay.not_found"
    path = f"/v1/identities/{person.id}"
    assert world.call("DELETE", path, key=stranger.owner).code == "relay.not_found"
    second = new_id()
    assert world.call("PUT", f"/v1/mailboxes/{second}", {}).status == 201
    assert person.put(longer, mailbox=second).code == "relay.conflict"
    assert person.put(longer, epoch=0).code == "relay.epoch_superseded"
    assert person.get().body == log.raw


def test_only_identities_of_this_place_are_hosted(world: World) -> None:
    """A sound log for another host, folder or id, and one that says it is for another DID."""
    elsewhere = Person(world, host="other.example")
    assert elsewhere.put(elsewhere.begin()).code == "relay.history"
    folder = Person(world, folder="people")
    assert folder.put(folder.begin()).code == "relay.history"
    person, other = Person(world), Person(world)
    log = person.begin()
    other.keys = person.keys
    assert other.put(log).code == "relay.history"
    assert person.put(log, did=str(other.begin().did)).code == "relay.history"
    for did in ("did:web:relay.example", "did:webvh:relay.example", "x"):
        refused = person.put(log, did=did)
        assert (refused.status, refused.code) == (403, "relay.history")
    assert person.get().status == other.get().status == 404


def test_a_relay_without_a_name_hosts_none(data: Path) -> None:
    """A did:webvh leads to https and a name; a relay at an address has neither."""
    world = make_world(data)
    world.create()
    person = Person(world)
    assert person.put(person.begin()).code == "relay.history"
    close(world)


def test_only_a_whole_and_faultless_history_is_hosted(world: World) -> None:
    """A changed byte in any entry, a line without its end, rubbish behind, an entry of tomorrow."""
    person = Person(world)
    first = person.begin()
    log = person.go_on(first)
    for raw in (
        log.raw.replace(b"assertionMethod", b"authentication", 1),
        log.raw[:-20] + b"A" + log.raw[-19:],
        log.raw.removesuffix(b"\n"),
        log.raw + b"\n",
        log.raw + b"{}\n",
        log.raw.split(b"\n")[1] + b"\n",
        b"",
    ):
        refused = person.put(log, raw=raw)
        assert (refused.status, refused.code) == (403, "relay.history"), raw
    assert person.get().status == 404
    person.put(log)
    world.clock.move(minutes=3)
    ahead = person.go_on(log)
    world.clock.move(minutes=-2)
    assert person.put(ahead).code == "relay.history"
    world.clock.move(minutes=1)  # as far as any caller's clock may be ahead
    assert person.put(ahead).status == 200


def test_a_body_is_read_strictly(world: World) -> None:
    """Members missing, unknown or of another kind are malformed."""
    person = Person(world)
    log = person.begin()
    whole: JsonObject = {
        "mailbox": world.mailbox,
        "did": str(log.did),
        "log": log.raw.decode(),
    }
    for change in ({"log": 1}, {"did": None}, {"mailbox": "x"}, {"more": ""}, {"witness": []}):
        reply = world.call("PUT", f"/v1/identities/{person.id}", whole | change)
        assert reply.code == "relay.malformed"
    assert world.call("PUT", "/v1/identities/short", whole).code == "relay.not_found"


def test_size_number_and_room_are_limited(data: Path) -> None:
    """A log, its witnesses' file, the number of identities and the mailbox have their limits."""
    limits = Limits(identity_log=4096, identities_per_mailbox=2)
    world = make(data, limits=limits)
    world.create()
    person = Person(world)
    log = person.begin()
    assert person.put(log).status == 200
    while len(log.raw) <= limits.identity_log:
        log = person.go_on(log)
    for reply in (person.put(log), person.put(log, raw=b"x", witness=b"x" * 4097)):
        assert (reply.status, reply.code) == (413, "relay.too_large")
    second, third = Person(world), Person(world)
    assert second.put(second.begin()).status == 200
    assert third.put(third.begin()).code == "relay.quota"
    world.call("DELETE", f"/v1/identities/{second.id}")
    assert third.put(third.begin()).status == 200
    close(world)
    world = make(data, limits=Limits(mailbox=5_000), clock=world.clock)
    world.create()
    person = Person(world)
    assert person.put(person.begin()).status == 200
    assert Person(world).put(Person(world).begin()).status != 200
    another = Person(world)
    assert another.put(another.begin()).code == "relay.quota"
    assert another.get().status == 404
    close(world)


def test_what_a_mailbox_holds_is_counted(world: World) -> None:
    """Logs and witnesses' files count as they come, grow and go."""

    def held() -> int:
        with world.app.extensions["relay"].store.read() as conn:
            return int(conn.execute("SELECT held FROM mailboxes").fetchone()[0])

    person = Person(world)
    log = person.begin()
    person.put(log)
    assert held() == len(log.raw) + 2048
    log = person.go_on(log)
    person.put(log, witness=b"[]")
    assert held() == len(log.raw) + 2 + 2048
    world.call("DELETE", f"/v1/identities/{person.id}")
    assert held() == 0


def test_witnesses_of_a_log_are_shown_beside_it(world: World) -> None:
    """A log that needs witnesses is refused without their proofs, and shown with them."""
    person = Person(world)
    witness = SigningKey.generate()
    log = person.begin(witness={"threshold": 1, "witnesses": [{"id": witness.did}]})
    assert person.put(log).code == "relay.history"
    proof = webvh.sign_witness(log.last.version_id, witness, proofs=PROOFS, now=world.clock())
    file = webvh.witness_file({log.last.version_id: [proof]})
    assert person.put(log, witness=b"not JSON").code == "relay.history"
    assert person.put(log, witness=file).status == 200
    shown = person.get("did-witness.json")
    assert (shown.status, shown.body) == (200, file)
    assert shown.headers["content-type"] == "application/json"
    assert shown.headers["access-control-allow-origin"] == "*"
    found = webvh.resolve(log.did, fetch_from(world), proofs=PROOFS, now=world.clock())
    assert found.document.id == log.did
    plain = Person(world)
    plain.put(plain.begin())
    assert plain.get("did-witness.json").code == "relay.not_found"


def test_what_is_taken_away_is_as_if_it_had_never_been(world: World) -> None:
    """Deleted, ended with its mailbox and unknown look the same to anyone; the id stays used."""
    person, other = Person(world), Person(world)
    log = person.begin()
    person.put(log)
    other.put(other.begin())
    path = f"/v1/identities/{person.id}"
    assert world.call("DELETE", path).status == 204
    assert world.call("DELETE", path).status == 204
    assert person.put(log).code == "relay.ended"
    assert world.call("DELETE", f"/v1/mailboxes/{world.mailbox}").status == 204
    never = Person(world).get()
    for reply in (person.get(), other.get(), world.get("/identities/x/did.jsonl")):
        assert (reply.status, reply.body) == (404, never.body)
        assert reply.headers == never.headers
    with world.app.extensions["relay"].store.read() as conn:
        rows = conn.execute("SELECT log, witness, entry FROM identities").fetchall()
        assert [tuple(row) for row in rows] == [(None, None, None)] * 2
        assert conn.execute("SELECT count(*) FROM log_entries").fetchone()[0] == 0


def test_a_relay_from_a_backup_waits_for_the_owner(world: World, data: Path) -> None:
    """An older log may list keys that were given up since: it is not shown before its owner has
    published it, or a longer one, again."""
    person, other = Person(world), Person(world)
    log, same = person.begin(), other.begin()
    person.put(log)
    other.put(same)
    close(world)
    mark_restored(data, database=ENGINE.database)
    app = create_app(data, url=URL, clock=world.clock, database=ENGINE.database)
    world.app, world.send = app, flask_send(app)
    waiting = person.get()
    assert (waiting.status, waiting.code) == (503, "relay.suspended")
    assert waiting.headers["retry-after"] == "3600"
    path = f"/v1/identities/{person.id}"
    assert world.call("GET", path).body == log.raw  # its owner sees from what to go on
    assert world.call("GET", path, key=world.holder).code == "relay.not_found"
    assert person.put(person.go_on(log)).status == 200
    assert other.put(same).status == 200
    assert (person.get().status, other.get().status) == (200, 200)


def test_the_client_of_this_project_publishes_and_reads(world: World) -> None:
    """``pds.mailbox`` speaks to these routes."""

    class Here:
        def request(self, method: str, url: str, *, headers: Any, body: bytes) -> Reply:
            return world.send(method, url.removeprefix(URL), headers, body)

    client = RelayClient(URL, Here(), clock=world.clock)
    owner = client.owner(world.mailbox, world.owner, world.epoch)
    person = Person(world)
    log = person.begin()
    receipt = owner.put_identity(person.id, did=str(log.did), log=log.raw)
    assert parse_object(str(receipt["entry"]).replace("'", '"').encode())["type"] == "identity"
    assert client.identity(person.id) == log.raw
    owner.put_identity(person.id, did=str(log.did), log=log.raw, witness=b"[]")
    owner.delete_identity(person.id)
    with pytest.raises(RelayError) as refused:
        client.identity(person.id)
    assert refused.value.reason is RelayCode.NOT_FOUND


def test_a_moved_identity_is_hosted_at_its_new_place(world: World) -> None:
    """A portable DID comes with its whole history; at its old place it grows no further."""
    person = Person(world)
    log = person.begin(portable=True)
    person.put(log)
    old, moved = log.did, Did.parse(str(log.did).replace(HOST, "other.example"))
    world.clock.move(minutes=1)
    state = {**log.last.state, "id": str(moved), "alsoKnownAs": [str(old)]}
    said = person._parameters()
    gone = webvh.update(
        log,
        key=person.keys[-2],
        proofs=PROOFS,
        now=world.clock(),
        document=state,
        parameters=said,
    )
    for did in (old, moved):
        assert person.put(gone, did=str(did)).code == "relay.history"
    came = Person(world, host="other.example")
    begun = came.begin(portable=True)
    here = Did.parse(str(begun.did).replace("other.example", HOST))
    world.clock.move(minutes=1)
    state = {**begun.last.state, "id": str(here), "alsoKnownAs": [str(begun.did)]}
    back = webvh.update(
        begun,
        key=came.keys[-1],
        proofs=PROOFS,
        now=world.clock(),
        document=state,
        parameters=came._parameters(),
    )
    assert came.put(back).status == 200
