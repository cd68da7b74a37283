"""The door: an RSGI application that admits a request, reads its body and hands both to the pool.

RSGI is granian's own interface. The door needs of it: ``scope`` (method, path, query_string,
headers, authority, http_version, client) and ``protocol`` (async iteration over the body, two ways
to respond). It runs in one event loop; nothing here blocks.
"""

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from pds.serve.batches import Batcher
from pds.serve.room import SLOWEST, Room
from pds.serve.settings import HOST, ServeSettings
from pds.serve.waiting import TURN, Turn, Waiters
from pds.serve.wsgi import Busy, Environ, Headers, Pool, Response, environ_of

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
_UNFIT = re.compile(r"[\x00-\x1f\x7f\ufffd]")
# granian refuses other lengths by itself; this rule is not left to it.
_LENGTH = re.compile(r"[0-9]{1,15}")
# Joining two of these into one value would let two readers see two different requests.
_ONCE = ("authorization", "content-type", "cookie", "origin")


class Refused(Exception):
    """A request that the front answers itself."""

    def __init__(self, status: int, code: str, title: str, *more: tuple[str, str]) -> None:
        super().__init__(code)
        self.status, self.code, self.title, self.more = status, code, title, more

    def response(self, *, close: bool = True) -> Response:
        """RFC 9457 problem details; nothing of the request is in it."""
        problem = {
            "type": "about:blank",
            "title": self.title,
            "status": self.status,
            "code": f"front.{self.code}",
        }
        headers: Headers = (
            ("content-type", "application/problem+json"),
            ("cache-control", "no-store"),
            *self.more,
        )
        if close:
            # The rest of a refused body must not be read as the next request.
            headers = (*headers, ("connection", "close"))
        return Response(self.status, headers, json.dumps(problem).encode())


class Door:
    """Admits, reads, delegates, answers. ``pool`` runs the application, ``batchers`` those of its
    routes that are batched."""

    def __init__(
        self,
        settings: ServeSettings,
        pool: Pool,
        batchers: Mapping[tuple[str, str], Batcher],
        *,
        port: int,
        started: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._pool = pool
        self._batchers = batchers
        self._started = started
        self._hosts = frozenset(host.lower() for host in settings.allowed_hosts)
        self._base = {
            "SERVER_NAME": settings.host,
            "SERVER_PORT": str(port),
            "wsgi.url_scheme": settings.scheme,
        }
        self._held = 0
        self._room = Room(settings.room)
        self._reading: set[asyncio.Timeout] = set()
        self._waiters = Waiters(most=settings.waiters, recheck=settings.recheck)
        self._stopping = False

    def __rsgi_init__(self, _loop: asyncio.AbstractEventLoop) -> None:
        self._started()

    async def __rsgi__(self, scope: Any, protocol: Any) -> None:
        """Answer one request."""
        try:
            response = await self._respond(scope, protocol)
        except Refused as refusal:
            response = refusal.response()
        headers = [*response.headers, ("server", "pds")]
        if response.body:
            protocol.response_bytes(response.status, headers, response.body)
        else:
            protocol.response_empty(response.status, headers)

    def stop(self) -> None:
        """Give up every body that is still on its way. A request that is complete is answered, with
        what there is if it waits: the server closes its connection after it, and takes no new
        ones."""
        self._stopping = True
        self._waiters.stop()
        self._room.close()
        now = asyncio.get_running_loop().time()
        for timeout in self._reading:
            timeout.reschedule(now)

    async def _respond(self, scope: Any, protocol: Any) -> Response:
        length = self._admit(scope)
        if length <= self._settings.large:
            return await self._answer(scope, protocol, length)
        # Half of the memory is never theirs, however many large ones come.
        async with self._room.of(length, within=self._settings.body_deadline) as taken:
            if not taken:
                raise _stopping() if self._stopping else _busy()
            return await self._answer(scope, protocol, length)

    async def _answer(self, scope: Any, protocol: Any, length: int) -> Response:
        body, held = b"", 0
        try:
            if length:
                body, held = await self._read(protocol, length)
            batcher = self._batchers.get((scope.method, scope.path))
            try:
                if batcher is not None:
                    response = await batcher.answer(body)
                else:
                    response = await self._waiters.answer(
                        lambda turn: self._pool.answer(self._environ(scope, body, turn)),
                        gone=protocol.client_disconnect,
                        may_wait=not held,  # bodies share a bounded memory
                    )
            except Busy:
                raise _busy() from None
        finally:
            self._held -= held
        if response is None:
            failed = Refused(500, "application_failed", "The application failed.")
            return failed.response(close=False)
        return response

    def _environ(self, scope: Any, body: bytes, turn: Turn) -> Environ:
        environ = environ_of(
            method=scope.method,
            path=scope.path,
            query=scope.query_string,
            version=scope.http_version,
            headers=scope.headers.items(),
            body=body,
            base=self._base,
        )
        environ[TURN] = turn
        if self._settings.pass_address:
            environ["REMOTE_ADDR"] = scope.client.rpartition(":")[0].strip("[]")
        return environ

    def _admit(self, scope: Any) -> int:
        """Check everything that can be known before the body; return the body's length."""
        headers = scope.headers
        # 1. A method that we speak (RFC 9110 section 9.1); CONNECT and TRACE are none of ours.
        if scope.method not in _METHODS:
            allow = ("allow", ", ".join(sorted(_METHODS)))
            raise Refused(405, "method", "This method is not supported.", allow)
        # 2. A path that is text. The server decodes per cent signs and writes U+FFFD for what is
        #    not UTF-8, so two different targets would look alike to the application.
        path = scope.path
        if not path.startswith("/") or _UNFIT.search(path):
            raise Refused(400, "target", "The request target is not acceptable.")
        # 3. Exactly one Host (RFC 9112 section 3.2); an absolute target must say the same.
        hosts = headers.get_all("host")
        match = HOST.fullmatch(hosts[0]) if len(hosts) == 1 else None
        if match is None or (scope.authority or hosts[0]).lower() != hosts[0].lower():
            raise Refused(400, "host", "Exactly one well-formed Host header is needed.")
        # 4. A Host that is ours, against DNS rebinding and poisoned links.
        if self._hosts and self._hosts.isdisjoint({hosts[0].lower(), match["name"].lower()}):
            raise Refused(421, "host_unknown", "This server does not answer for that host.")
        # 5. Single-valued fields come once (RFC 9110 section 5.3).
        if any(len(headers.get_all(name)) > 1 for name in _ONCE):
            raise Refused(400, "header_repeated", "A header that may come once came twice.")
        # 6. A declared length, never a transfer coding (RFC 9110 section 15.5.12).
        if "transfer-encoding" in headers:
            raise _length_required()
        lengths = headers.get_all("content-length")
        if not lengths:
            if scope.method in _WITH_BODY:
                raise _length_required()
            return 0
        if len(lengths) > 1 or not _LENGTH.fullmatch(lengths[0]):
            raise Refused(400, "length", "The Content-Length header is malformed.")
        # 7. A length that we take, before the first byte of it is read.
        length = int(lengths[0])
        if length > self._settings.max_body:
            raise Refused(413, "too_large", "The body is larger than this server accepts.")
        return length

    async def _read(self, protocol: Any, length: int) -> tuple[bytes, int]:
        """Read exactly ``length`` bytes; the second value is what the caller must give back."""
        chunks: list[bytes] = []
        size = 0
        until = asyncio.get_running_loop().time() + self._settings.body_deadline
        try:
            async with asyncio.timeout(self._settings.body_deadline) as timeout:
                self._reading.add(timeout)
                try:
                    async for chunk in protocol:
                        # The server hides a broken connection behind an empty chunk.
                        if not chunk:
                            break
                        size += len(chunk)
                        self._held += len(chunk)
                        chunks.append(chunk)
                        if self._held > self._settings.bodies:
                            raise _busy()
                        if size >= length:
                            break
                        if length > self._settings.large and not self._stopping:
                            timeout.reschedule(until + size / SLOWEST)
                finally:
                    self._reading.discard(timeout)
            if size != length:
                raise Refused(400, "body_short", "The body is not as long as Content-Length says.")
        except TimeoutError:
            self._held -= size
            if self._stopping:
                raise _stopping() from None
            raise Refused(408, "body_timeout", "The body did not arrive in time.") from None
        except BaseException:
            self._held -= size
            raise
        return b"".join(chunks), size


def _busy() -> Refused:
    return Refused(503, "busy", "The server is busy.", ("retry-after", "1"))


def _stopping() -> Refused:
    return Refused(503, "stopping", "The server is stopping.", ("retry-after", "5"))


def _length_required() -> Refused:
    return Refused(411, "length_required", "A body needs a Content-Length header.")
