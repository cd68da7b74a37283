"""The witness over HTTP (C2SP tlog-witness): submission and monitoring under one prefix.

POST /add-checkpoint               → the cosignature line
POST /add-succession               → how many logs have another key now (not of tlog-witness)
GET  /<origin hash>/checkpoint     → the last checkpoint cosigned
GET  /                             → the name and key of the witness, to read
"""

from typing import Final

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from did.errors import DidError
from did.json import canonicalize, parse_object
from pds.db import DbError
from pds.log.submission import MAX_SUBMISSION, SIZE_TYPE
from pds.witness.errors import Declined
from pds.witness.witness import Witness

_TEXT: Final = "text/plain; charset=utf-8"


def create_app(witness: Witness) -> Flask:
    """The application of a witness. Nobody has to show who they are: the log's signature does."""
    app = Flask(__name__, static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_SUBMISSION
    app.config["PROPAGATE_EXCEPTIONS"] = True
    app.register_error_handler(Declined, _declined)
    app.register_error_handler(DbError, _busy)
    app.register_error_handler(HTTPException, _refused)
    app.after_request(_headers)

    @app.post("/add-checkpoint")
    def add_checkpoint() -> Response:
        return Response(witness.add_checkpoint(request.get_data()), content_type=_TEXT)

    @app.post("/add-succession")
    def add_succession() -> Response:
        try:
            document = parse_object(request.get_data(), max_bytes=MAX_SUBMISSION)
        except DidError:
            raise Declined("the successions are malformed", status=400) from None
        followed = witness.add_successions(document)
        return Response(canonicalize({"followed": followed}), content_type="application/json")

    @app.get("/<origin_hash>/checkpoint")
    def checkpoint(origin_hash: str) -> Response:
        note = witness.newest(origin_hash)
        return Response("" if note is None else note, 404 if note is None else 200,
                        content_type=_TEXT)  # fmt: skip

    @app.get("/")
    def name() -> Response:
        return Response(f"{witness.key.text}\n", content_type=_TEXT)

    return app


def _declined(error: Exception) -> Response:
    """The status, and with 409 the size; nothing of what was sent."""
    if not isinstance(error, Declined):
        raise error
    if error.size is not None:
        return Response(f"{error.size}\n", error.status, content_type=SIZE_TYPE)
    return Response("", error.status, content_type=_TEXT)


def _busy(error: Exception) -> Response:
    if not isinstance(error, DbError) or error.code not in ("db.busy", "db.full"):
        raise error
    return Response("", 503, content_type=_TEXT)


def _refused(error: Exception) -> Response:
    status = error.code if isinstance(error, HTTPException) and error.code else 400
    return Response("", status, content_type=_TEXT)


def _headers(response: Response) -> Response:
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Cache-Control"] = "no-store"
    return response
