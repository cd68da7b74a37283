"""Running a WSGI application (PEP 3333) in a bounded pool of threads.

The pool takes only requests whose body is complete, so a thread is held for as long as the
application computes and never for as long as a client types.
"""

import asyncio
import io
import logging
import queue
import re
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeAlias

Environ: TypeAlias = dict[str, Any]
WsgiApp: TypeAlias = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]
Headers: TypeAlias = tuple[tuple[str, str], ...]
_ExcInfo: TypeAlias = tuple[type[BaseException], BaseException, TracebackType]

_log = logging.getLogger("pds.serve")

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VALUE = re.compile(r"[\t\x20-\x7e]*")
# RFC 9110 section 7.6.1: these belong to the connection, which is the server's.
_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_NOT_IN_ENVIRON = frozenset({"content-type", "content-length", "proxy"})


class Busy(Exception):
    """Every thread works and the queue is full."""


@dataclass(frozen=True, slots=True)
class Response:
    """A complete answer; ``headers`` are checked, so the server can send them as they are."""

    status: int
    headers: Headers
    body: bytes


class _Malformed(Exception):
    """The application broke PEP 3333; the message names the rule and no data."""


class _Discard(io.TextIOBase):
    """``wsgi.errors``: frameworks write tracebacks and paths there, which may be personal."""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        return len(text)


def environ_of(
    *,
    method: str,
    path: str,
    query: str,
    version: str,
    headers: Iterable[tuple[str, str]],
    body: bytes,
    base: Mapping[str, Any],
) -> Environ:
    """Build a clean environ: ``base`` plus the request, nothing of the process's environment.

    ``headers`` have lower-case names. Names with an underscore are dropped, because the environ
    writes ``-`` as ``_`` and could not tell ``X_Forwarded_For`` from ``X-Forwarded-For``;
    ``Proxy`` is dropped, because ``HTTP_PROXY`` means something else to many HTTP clients.
    """
    environ: Environ = {
        **base,
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path.encode().decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_PROTOCOL": "HTTP/1.0" if version == "1" else "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": _Discard(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers:
        if name == "content-type":
            environ["CONTENT_TYPE"] = value
        elif name == "content-length":
            environ["CONTENT_LENGTH"] = value
        elif "_" not in name and name not in _NOT_IN_ENVIRON:
            key = "HTTP_" + name.upper().replace("-", "_")
            between = "; " if name == "cookie" else ","
            environ[key] = environ[key] + between + value if key in environ else value
    return environ


def run(app: WsgiApp, environ: Environ) -> Response:
    """Call the application and gather its whole answer. Raises whatever it raises."""
    started: list[tuple[str, list[tuple[str, str]]]] = []
    written: list[bytes] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: _ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        # Nothing is sent before the whole answer is there, so exc_info may always replace it.
        if started and exc_info is None:
            raise _Malformed("start_response was called twice")
        started[:] = [(status, list(headers))]
        return written.append

    chunks = app(environ, start_response)
    try:
        written.extend(chunks)
    finally:
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
    if not started:
        raise _Malformed("start_response was not called")
    return _checked(*started[0], b"".join(written), head=environ["REQUEST_METHOD"] == "HEAD")


def _checked(status_line: str, raw: list[tuple[str, str]], body: bytes, *, head: bool) -> Response:
    digits = status_line[:3]
    if not re.fullmatch(r"[2-5][0-9]{2}", digits) or status_line[3:4] not in {"", " "}:
        raise _Malformed("the status line is not a final status")
    status = int(digits)
    headers: list[tuple[str, str]] = []
    for name, value in raw:
        # The server would panic on these, and a line break would let the application be used
        # to split the response.
        if not _TOKEN.fullmatch(name) or not _VALUE.fullmatch(value):
            raise _Malformed("a response header has a character that HTTP does not allow")
        lowered = name.lower()
        if lowered in _HOP_BY_HOP:
            continue
        if lowered == "content-length" and not head and value != str(len(body)):
            raise _Malformed("Content-Length differs from the length of the body")
        headers.append((lowered, value))
    bodiless = head or status in {204, 304}
    return Response(status, tuple(headers), b"" if bodiless else body)


def describe(error: BaseException) -> str:
    """Type and code location of an error; never its text, which may hold personal data."""
    where = "an unknown place"
    for frame, line in traceback.walk_tb(error.__traceback__):
        where = f"{frame.f_globals.get('__name__', '?')}:{line} in {frame.f_code.co_name}"
    reason = f" ({error})" if isinstance(error, _Malformed) else ""
    return f"{type(error).__name__}{reason} at {where}"


class Pool:
    """``threads`` threads and a queue of ``waiting`` requests. Used from one event loop.

    The threads are daemons, so that a server that fails to start does not wait for them.
    """

    def __init__(self, app: WsgiApp, *, threads: int, waiting: int) -> None:
        self._app = app
        self._limit = threads + waiting
        self._taken = 0
        self._jobs: queue.SimpleQueue[tuple[Environ, asyncio.Future[Response | None]] | None]
        self._jobs = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"pds-serve-{number}", daemon=True)
            for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    async def answer(self, environ: Environ) -> Response | None:
        """Let the application answer; ``None`` when it failed. Raises ``Busy`` when full."""
        if self._taken >= self._limit:
            raise Busy
        future: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(self._give_back)
        self._taken += 1
        self._jobs.put((environ, future))
        # Shielded: the place is given back when the thread is done, not when the client has gone.
        return await asyncio.shield(future)

    def close(self, *, until: float) -> bool:
        """Wait for running and queued requests until this monotonic time; say whether all ended."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _give_back(self, _: object) -> None:
        self._taken -= 1

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            environ, future = job
            response = None
            try:
                response = run(self._app, environ)
            except BaseException as error:  # noqa: BLE001 - even SystemExit must not end a worker
                _log.error("application error: %s", describe(error))
            settle([future], [response])


def settle(
    futures: "Sequence[asyncio.Future[Response | None]]", responses: Sequence[Response | None]
) -> None:
    """Give each its answer, from another thread than that of their event loop."""
    try:
        futures[0].get_loop().call_soon_threadsafe(_settle, futures, responses)
    except RuntimeError:  # the loop is closed: the server stopped without waiting
        if not sys.is_finalizing():
            _log.warning("an answer came after the server had stopped")


def _settle(
    futures: "Sequence[asyncio.Future[Response | None]]", responses: Sequence[Response | None]
) -> None:
    for future, response in zip(futures, responses, strict=True):
        if not future.done():
            future.set_result(response)
