"""The log of a relay, open to everybody: tiles, checkpoints, proofs, cosignatures."""

import sys
from pathlib import Path
from typing import Any

import pytest
from relay_world import ENGINE, URL, Clock, World, close, flask_send

from did.json import JsonObject
from did.multikey import b64url_decode
from pds.log.audit import audit_log
from pds.log.checkpoint import Checkpoint, open_checkpoint, sign_checkpoint
from pds.log.entry import Receipt, verify_receipt
from pds.log.tiles import Tile, TileNodes
from pds.log.tree import Tree, leaf_hash, verify_inclusion
from pds.relay.app import create_app
from pds.relay.restore import mark_restored
from pds.relay.store import log as table
from pds.relay.store import transparency

sys.path.insert(0, str(Path(__file__).parents[1] / "log"))

from log_world import W1, W2


def origin_of(world: World) -> str:
    return str(world.get("/v1/relay").json["logOrigin"])


def prefix_of(origin: str) -> str:
    """The path of a log: its origin, which is its address without the scheme, at this host."""
    assert origin.startswith(URL.partition("://")[2] + "/log/")
    return origin.removeprefix(URL.partition("://")[2])


def fetcher(world: World, prefix: str) -> Any:
    def fetch(tile: Tile) -> bytes:
        reply = world.get(f"{prefix}/tile/{tile.path}")
        if reply.status != 200:
            raise LookupError
        return reply.body

    return fetch


def grown(world: World, count: int) -> None:
    """So many entries in the log, without the acts that they would record."""
    relay = world.app.extensions["relay"]
    with relay.store.write() as conn:
        current = table.current(conn)
        tree = Tree(table.SqlNodes(conn, current.number), current.size)
        for n in range(count):
            tree.append(leaf_hash(f"entry {current.size + n}".encode()))
        note = sign_checkpoint(Checkpoint(current.origin, tree.size, tree.root()), relay.log_key)
        table.grow(conn, current.number, size=tree.size, checkpoint=note)


def checkpoint_of(world: World, prefix: str, origin: str) -> Checkpoint:
    key = world.app.extensions["relay"].log_key.verify_key
    return open_checkpoint(world.get(f"{prefix}/checkpoint").body.decode(), origin=origin, key=key)


@pytest.mark.parametrize("count", [0, 1, 256, 700])
def test_anybody_builds_the_tree_anew(world: World, count: int) -> None:
    """From the tiles that are beneath the origin, with nothing but a client for static files."""
    if count:
        grown(world, count)
    origin = origin_of(world)
    prefix = prefix_of(origin)
    fetch = fetcher(world, prefix)
    note = world.get(f"{prefix}/checkpoint").body.decode()
    key = world.app.extensions["relay"].log_key.verify_key
    found = audit_log(fetch, note, origin=origin, key=key)
    assert found.checkpoint.size == count
    assert note == world.get("/v1/log/checkpoint").body.decode()
    if count:
        tiles = Tree(TileNodes(fetch, count), count)
        assert tiles.root(count) == found.checkpoint.root
        proof = world.get(f"/v1/log/proof?leaf={count // 2}&size={count}").json["proof"]
        assert [b64url_decode(one) for one in proof] == tiles.inclusion(count // 2, count)


def test_the_form_of_what_is_answered(world: World) -> None:
    """Types, lengths and caching of tlog-tiles; a full tile may be kept for ever."""
    grown(world, 300)
    prefix = prefix_of(origin_of(world))
    for path, length in (("0/000", 8192), ("0/001.p/44", 44 * 32), ("1/000.p/1", 32)):
        reply = world.get(f"{prefix}/tile/{path}")
        assert (reply.status, len(reply.body)) == (200, length)
        assert reply.headers["content-type"] == "application/octet-stream"
        assert reply.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert reply.headers["access-control-allow-origin"] == "*"
    shown = world.get(f"{prefix}/checkpoint")
    assert shown.headers["content-type"] == "text/plain; charset=utf-8"
    assert shown.headers["cache-control"] == "public, max-age=2"


@pytest.mark.parametrize(
    "path",
    [
        *("0/001", "0/001.p/45", "0/002", "0/002.p/1", "1/000", "1/000.p/2", "2/000.p/1"),
        *("0/0", "x", "entries/000", "0/000.p/0", "0/x000/000", "63/000", "64/000", ""),
    ],
)
def test_what_the_tree_has_not_is_not_there(world: World, path: str) -> None:
    """Beyond its end, no tile at all, or what a leaf stands for."""
    grown(world, 300)
    reply = world.get(f"{prefix_of(origin_of(world))}/tile/{path}")
    assert (reply.status, reply.code) == (404, "relay.not_found")


def test_a_log_of_another_name_is_not_there(world: World) -> None:
    grown(world, 3)
    for name in ("0" * 16, "..", "%2e%2e", "v1"):
        assert world.get(f"/log/{name}/checkpoint").status == 404
        assert world.get(f"/log/{name}/tile/0/000.p/3").status == 404


def test_an_older_log_stays_where_it_was(world: World, data: Path) -> None:
    """After a restore another log is written; the one of before is at its own address, whole."""
    grown(world, 300)
    old = origin_of(world)
    before = checkpoint_of(world, prefix_of(old), old)
    close(world)
    mark_restored(data, database=ENGINE.database)
    app = create_app(data, url=URL, clock=Clock(), database=ENGINE.database)
    after = World(send=flask_send(app), clock=Clock(), app=app)
    new = origin_of(after)
    assert new != old
    assert checkpoint_of(after, prefix_of(old), old) == before
    assert checkpoint_of(after, prefix_of(new), new).size == 0
    note = after.get(f"{prefix_of(old)}/checkpoint").body.decode()
    key = app.extensions["relay"].log_key.verify_key
    found = audit_log(fetcher(after, prefix_of(old)), note, origin=old, key=key)
    assert found.checkpoint == before
    close(after)


def test_a_leaf_survives_the_erasure_of_its_entry(world: World) -> None:
    """Inclusion is provable when the relay has deleted entry and salt, to who has the receipt."""
    receipt = staged(world)
    relay = world.app.extensions["relay"]
    grown(world, 20)
    with relay.store.write() as conn:
        for number in range(1, 30):
            table.erase_entry(conn, number)
    origin = origin_of(world)
    newest = checkpoint_of(world, prefix_of(origin), origin)
    index = receipt.leaf_index
    proof = world.get(f"/v1/log/proof?leaf={index}&size={newest.size}").json["proof"]
    verify_inclusion(
        leaf=receipt.leaf,
        index=index,
        size=newest.size,
        proof=[b64url_decode(one) for one in proof],
        root=newest.root,
    )
    fetch = fetcher(world, prefix_of(origin))
    note = world.get("/v1/log/checkpoint").body.decode()
    audit_log(fetch, note, origin=origin, key=relay.log_key.verify_key, others=[receipt.checkpoint])


def staged(world: World) -> Receipt:
    """A receipt of a real act."""
    world.create()
    raw: JsonObject = world.put_status().json
    key = world.app.extensions["relay"].log_key.verify_key
    return verify_receipt(raw, origin=origin_of(world), log_key=key).receipt


@pytest.mark.parametrize(
    "query", ["", "?leaf=0", "?leaf=0&size=4", "?leaf=3&size=3", "?leaf=-1&size=3",
              "?leaf=x&size=3", "?leaf=0&leaf=0&size=3", "?leaf=0&size=3&more=1"]
)  # fmt: skip
def test_a_proof_that_there_cannot_be(world: World, query: str) -> None:
    grown(world, 3)
    reply = world.get(f"/v1/log/proof{query}")
    assert (reply.status, reply.code) == (400, "relay.malformed")
    assert world.get("/v1/log/proof?leaf=0&size=3").status == 200


# cosignatures


def keep(world: World, size: int, *by: Any) -> None:
    relay = world.app.extensions["relay"]
    with relay.store.write() as conn:
        row = table.current(conn)
        for one in by:
            note = f"note of {size}\n\n"
            transparency.add_cosignature(
                conn, row.number, witness=one.name, size=size, note=note, line=f"{one.name}\n"
            )


def test_the_newest_checkpoint_carries_what_there_is_for_its_size(world: World) -> None:
    grown(world, 5)
    alone = world.get("/v1/log/checkpoint").body.decode()
    keep(world, 4, W1)
    assert world.get("/v1/log/checkpoint").body.decode() == alone
    keep(world, 5, W2, W1)
    shown = f"{alone}w1.example\nw2.example\n"
    assert world.get("/v1/log/checkpoint").body.decode() == shown
    assert world.get(f"{prefix_of(origin_of(world))}/checkpoint").body.decode() == shown


def test_cosigned_checkpoints_are_shown_newest_first(world: World) -> None:
    """Each with all its lines; of long ago only what nobody has surpassed."""
    grown(world, 5)
    assert world.get("/v1/log/cosigned").json == {"checkpoints": []}
    keep(world, 1, W2)
    for size in range(1, 20):
        keep(world, size, W1)
    keep(world, 19, W1)
    shown = world.get("/v1/log/cosigned").json["checkpoints"]
    assert shown == [f"note of {size}\n\nw1.example\n" for size in range(19, 11, -1)]
    relay = world.app.extensions["relay"]
    with relay.store.read() as conn:
        number = table.current(conn).number
        assert transparency.cosigned_size(conn, number, "w2.example") == 1
        assert transparency.cosigned_size(conn, number, "nobody") is None
