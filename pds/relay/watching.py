"""Watching requests from inside: counters for Prometheus, and a log of answers without people."""

import logging
import os
import time
from pathlib import Path

from flask import Flask, Response, g, request

from did.errors import DidError
from did.json import parse_object

_log = logging.getLogger("pds.relay.access")
_PROBLEM = "application/problem+json"


def watch(app: Flask, *, counters: Path | None, access_log: bool) -> None:
    """Count every answer in the folder ``counters``, and tell of it with ``access_log``.

    Neither knows more than the route, the method, the status, a refusal's code and the time it
    took. Without either nothing is measured at all.
    """
    if counters is None and not access_log:
        return
    if counters is not None:
        # The library reads this when it is imported; only processes that count do.
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(counters)

    @app.before_request
    def begin() -> None:
        g.begun = time.perf_counter()

    @app.after_request
    def end(response: Response) -> Response:
        seconds = time.perf_counter() - g.get("begun", time.perf_counter())
        route = request.url_rule.rule if request.url_rule is not None else "none"
        code = _code(response)
        if counters is not None:
            from pds.relay import metrics

            metrics.count(
                method=request.method,
                route=route,
                status=response.status_code,
                code=code,
                seconds=seconds,
            )
        if access_log:
            fields = {
                "method": request.method,
                "route": route,
                "status": response.status_code,
                "ms": round(1000 * seconds, 1),
            }
            _log.info("answered", extra={"fields": fields | ({"code": code} if code else {})})
        return response


def _code(response: Response) -> str | None:
    """The code of a problem."""
    if response.content_type != _PROBLEM:
        return None
    try:
        code = parse_object(response.get_data()).get("code")
    except DidError:
        return None
    return code if isinstance(code, str) else None
