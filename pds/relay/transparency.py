"""The logs, open to everybody: checkpoints, proofs, and the tree in tiles (C2SP tlog-tiles).

A log's origin is its address without the scheme, so a tool for tiles finds all of it beneath
``https://{origin}/``: those that a restore has ended, too, and what is there never changes.
``/v1/log/…`` is the log that is written now. Nobody has to say who they are, for nothing is here
but salted hashes; that is why there are no entry bundles.
"""

from typing import Final

from flask import Flask, Response, request

from did.json import canonicalize
from did.multikey import b64url_encode
from pds.db import Sql
from pds.log.errors import TileInvalid
from pds.log.tiles import HEIGHT, WIDTH, Tile
from pds.log.tree import Tree
from pds.relay import forms, ledger
from pds.relay.errors import Refused
from pds.relay.relay import Relay
from pds.relay.store import log
from pds.relay.store import transparency as table
from pds.relay.store.log import LogRow
from pds.wire import RelayCode

_TEXT: Final = "text/plain; charset=utf-8"
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_MOMENT: Final = "public, max-age=2"


def checkpoint(conn: Sql, row: LogRow) -> str:
    """The newest checkpoint of a log, with all that witnesses have put under it."""
    return row.checkpoint + table.lines(conn, row.number, row.size)


def inclusion(conn: Sql, row: LogRow, leaf: int, size: int) -> list[bytes]:
    """The proof that leaf number ``leaf`` is in the tree of ``size``: it needs no entry, and goes
    on being given when the entry is erased. Raises ValueError for what the log never had."""
    return Tree(log.SqlNodes(conn, row.number), row.size).inclusion(leaf, size)


def tile(conn: Sql, row: LogRow, path: str) -> bytes:
    """The octets of a tile. Raises ``Refused`` ``relay.not_found`` where the tree has none."""
    try:
        asked = Tile.parse(path)
    except TileInvalid:
        raise Refused(RelayCode.NOT_FOUND) from None
    if not asked.within(row.size):
        raise Refused(RelayCode.NOT_FOUND)
    return b"".join(
        table.nodes(conn, row.number, HEIGHT * asked.level, asked.index * WIDTH, asked.width)
    )


def add_routes(app: Flask, relay: Relay) -> None:
    """The routes of this room."""
    authority = relay.url.partition("://")[2]

    def named(conn: Sql, name: str) -> LogRow:
        row = table.log_of(conn, f"{authority}/log/{name}")
        if row is None:
            raise Refused(RelayCode.NOT_FOUND)
        return row

    @app.get("/v1/log/checkpoint")
    def get_checkpoint() -> Response:
        with relay.store.read() as conn:
            return Response(checkpoint(conn, log.current(conn)), content_type=_TEXT)

    @app.get("/v1/log/cosigned")
    def get_cosigned() -> Response:
        with relay.store.read() as conn:
            notes = table.cosigned(conn, log.current(conn).number)
        return _json({"checkpoints": [*notes]})

    @app.get("/v1/log/keys")
    def get_keys() -> Response:
        with relay.store.read() as conn:
            receipts = ledger.successions(conn)
        body = ledger.successions_document(receipts)
        return _public(Response(body, content_type="application/json"), _MOMENT)

    @app.get("/v1/log/consistency")
    def get_consistency() -> Response:
        first, second = _numbers("first", "second")
        with relay.store.read() as conn:
            try:
                proof = ledger.consistency(conn, first, second)
            except ValueError:
                raise forms.malformed() from None
        return _json({"proof": [b64url_encode(hash_) for hash_ in proof]})

    @app.get("/v1/log/proof")
    def get_proof() -> Response:
        leaf, size = _numbers("leaf", "size")
        with relay.store.read() as conn:
            try:
                proof = inclusion(conn, log.current(conn), leaf, size)
            except ValueError:
                raise forms.malformed() from None
        return _json({"proof": [b64url_encode(hash_) for hash_ in proof]})

    @app.get("/log/<name>/checkpoint")
    def get_named_checkpoint(name: str) -> Response:
        with relay.store.read() as conn:
            note = checkpoint(conn, named(conn, name))
        return _public(Response(note, content_type=_TEXT), _MOMENT)

    @app.get("/log/<name>/tile/<path:path>")
    def get_tile(name: str, path: str) -> Response:
        with relay.store.read() as conn:
            octets = tile(conn, named(conn, name), path)
        return _public(Response(octets, content_type="application/octet-stream"), _FOR_EVER)


def _numbers(*names: str) -> list[int]:
    return forms.numbers(request.args.to_dict(flat=False), names)


def _json(value: dict[str, object]) -> Response:
    return Response(canonicalize(value), content_type="application/json")  # type: ignore[arg-type]


def _public(response: Response, caching: str) -> Response:
    response.headers["Cache-Control"] = caching
    # A verifier in a page of its own must be able to read it.
    response.headers["Access-Control-Allow-Origin"] = "*"
    return response
