"""Watching requests from inside: counters for Prometheus, and a log of answers without people."""

import logging
import os
import time
from contextlib import suppress
from pathlib import Path

from flask import Flask, Response, g, request

from did.errors import DidError
from did.json import parse_object

_log = logging.getLogger("pds.relay.access")
_PROBLEM = "application/problem+json"


class Watch:
    """Counts answers and tells of them, as ``watch`` was told to."""

    def __init__(self, *, counters: Path | None, access_log: bool) -> None:
        if counters is not None:
            # The library reads this when it is imported; only processes that count do.
            os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(counters)
        self._counts = counters is not None
        self._tells = access_log

    def __call__(
        self, method: str, route: str, status: int, body: bytes | None, *, begun: float
    ) -> None:
        """One answer, to a request that ``begun`` then by ``time.perf_counter``. ``body`` is that
        of a problem, or of any answer that is no success."""
        seconds = time.perf_counter() - begun
        code = None if body is None or status < 400 else _code(body)
        if self._counts:
            from pds.relay import metrics

            # What is done is answered, counted or not. Of a full disk the database tells.
            with suppress(OSError):
                metrics.count(method=method, route=route, status=status, code=code, seconds=seconds)
        if self._tells:
            fields = {
                "method": method, "route": route, "status": status, "ms": round(1000 * seconds, 1),
            }  # fmt: skip
            _log.info("answered", extra={"fields": fields | ({"code": code} if code else {})})


def watch(app: Flask, *, counters: Path | None, access_log: bool) -> Watch | None:
    """Count every answer in the folder ``counters``, and tell of it with ``access_log``.

    Neither knows more than the route, the method, the status, a refusal's code and the time it
    took. Without either nothing is measured at all, and there is no ``Watch`` for what is answered
    beside the application.
    """
    if counters is None and not access_log:
        return None
    answered = Watch(counters=counters, access_log=access_log)

    @app.before_request
    def begin() -> None:
        g.begun = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule is not None else "none"
        body = response.get_data() if response.content_type == _PROBLEM else None
        begun = g.get("begun", time.perf_counter())
        answered(request.method, route, response.status_code, body, begun=begun)
        return response

    return answered


def _code(problem: bytes) -> str | None:
    """The code of a problem."""
    try:
        code = parse_object(problem).get("code")
    except DidError:
        return None
    return code if isinstance(code, str) else None
