"""The process beside the workers: it shows what they counted, and has the log cosigned."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from flask import Flask, Response

from pds.db import DbError
from pds.relay.app import open_relay
from pds.relay.cosigning import Cosigner, Post, WitnessPlace
from pds.relay.store import log


def create_beside(
    data: Path,
    *,
    url: str,
    database: str | None,
    upgrade: bool = True,
    counters: Path | None,
    cosigners: Sequence[WitnessPlace],
    post: Post,
) -> Flask:
    """An application with ``/metrics`` and ``/healthz``; rounds with ``cosigners`` run beside it.

    ``post`` sends to a witness. Meant for loopback, or a network of the operator's own: numbers
    of requests are nobody else's business.
    """
    relay = open_relay(data, url=url, database=database, upgrade=upgrade)
    if cosigners:
        Cosigner(relay, cosigners, post).start()
    app = Flask(__name__, static_folder=None)
    app.extensions["relay"] = relay

    @app.get("/metrics")
    def show() -> Response:
        from pds.relay import metrics

        octets, kind = (b"", "text/plain") if counters is None else metrics.shown(counters)
        ours = ""
        # The counters are wanted most while the database is away.
        with suppress(DbError), relay.store.read() as conn:
            ours = (
                "# HELP pds_relay_log_entries Entries of the log that is written.\n"
                "# TYPE pds_relay_log_entries gauge\n"
                f"pds_relay_log_entries {log.current(conn).size}\n"
            )
        return Response(octets + ours.encode(), content_type=kind)

    @app.get("/healthz")
    def healthz() -> Response:
        return Response('{"status":"ok"}', content_type="application/json")

    return app
