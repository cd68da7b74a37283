"""The company's public page for programs: its DID document, and nothing else."""

from pathlib import Path

from flask import Flask, Response

from did.json import canonicalize
from pds.company.context import DATABASE
from pds.company.errors import CompanyError
from pds.company.identity import document
from pds.company.store import Store
from pds.db import open_plain


def create_app(folder: Path) -> Flask:
    """A WSGI application that serves ``/.well-known/did.json`` of the company in ``folder``.

    It reads the database anew each time, read-only: a key that was rotated or revoked by another
    process shows at once.
    """
    app = Flask(__name__, static_folder=None)

    @app.get("/.well-known/did.json")
    def did_document() -> Response:
        conn = open_plain(folder / DATABASE, read_only=True)
        try:
            store = Store(conn)
            did = store.setting("did")
            if did is None:
                raise CompanyError("the folder holds no company", code="company.missing")
            body = canonicalize(document(did, store.signing_keys()))
        finally:
            conn.close()
        return Response(
            body,
            mimetype="application/json",
            headers={"Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff"},
        )

    return app
