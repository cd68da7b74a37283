"""Which connection a request takes: the rules at the head of ``pds.net``, applied."""

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from time import monotonic
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

from did.errors import DidNotFound, DidResolutionError
from pds.net.addresses import DevTrust, Url, is_public, public_name, url_refused
from pds.net.connection import (
    Response,
    Route,
    connect,
    context_of_ca,
    exchange,
    public_context,
    watched,
)
from pds.net.errors import NetError, as_net_errors

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection

TIMEOUT = 5.0
MAX_BYTES = 8 * 1_048_576
MAX_DOCUMENT_BYTES = 65_536
MAX_HISTORY_BYTES = 2 * 1_048_576

_HISTORY = ("/did.jsonl", "/did-witness.json")
_ADDRESSES_TRIED = 4
_NOT_THERE = (404, 410)
_IDLE_CONNECTIONS = 4
_SLOWEST = 262_144  # bytes a second at which a line has to take what we send

GetAddrInfo: TypeAlias = Callable[..., Sequence[tuple[Any, ...]]]


class Transport:
    """Makes requests under the rules at the head of ``pds.net``. Safe to share between threads.

    ``trusted_origins`` are exact origins, such as ``http://127.0.0.1:8080``; connections to them
    are kept open for the next request. ``timeout`` is in seconds, for a whole exchange; what comes
    on top is 4 seconds for each MiB that is sent, and of a trusted origin the lookup of its name.
    """

    def __init__(
        self,
        *,
        trusted_origins: Collection[str] = (),
        dev_trust: Sequence[DevTrust] = (),
        getaddrinfo: GetAddrInfo = socket.getaddrinfo,
        timeout: float = TIMEOUT,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self._trusted = frozenset(Url.parse(origin).origin for origin in trusted_origins)
        self._dev_trust = {trust.host: trust for trust in dev_trust}
        self._getaddrinfo = getaddrinfo
        self._timeout = timeout
        self._max_bytes = max_bytes
        self._idle: dict[str, list[HTTPConnection]] = {}
        self._lock = threading.Lock()

    def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = MappingProxyType({}),
        body: bytes = b"",
        max_bytes: int | None = None,
        timeout: float | None = None,
    ) -> Response:
        """Send one request and return what came back, whatever its status but a redirect.

        ``max_bytes`` bounds the body of the response, ``timeout`` (seconds) the whole exchange.
        Raises ``NetError``. A request that fails is never sent a second time.
        """
        asked = Url.parse(url)
        limit = self._max_bytes if max_bytes is None else max_bytes
        deadline = monotonic() + (self._timeout if timeout is None else timeout)
        deadline += len(body) / _SLOWEST
        with as_net_errors():
            connection = self._take_idle(asked.origin)
            if connection is None:
                connection = connect(self._route(asked, deadline), deadline)
            kept = False
            try:
                with watched(connection, deadline):
                    response = exchange(
                        connection,
                        asked,
                        method=method,
                        headers=headers,
                        body=body,
                        limit=limit,
                        deadline=deadline,
                    )
                kept = self._keep(asked.origin, connection)
            finally:
                if not kept:
                    connection.close()
        return response

    def fetch(self, url: str) -> bytes:
        """The body of a public document (a did:web document): at most 64 KiB, status 200. The
        history of a did:webvh, known by the name of its files, may have 2 MiB.

        Raises ``NetError``; its ``status`` is the server's, when it answered with another.
        """
        history = url.endswith(_HISTORY)
        response = self.request(
            "GET",
            url,
            headers={"Accept": "*/*" if history else "application/json"},
            max_bytes=MAX_HISTORY_BYTES if history else MAX_DOCUMENT_BYTES,
        )
        if response.status != 200:
            raise NetError(
                f"the server answered with status {response.status}",
                code="net.status",
                exit_code=4 if response.status >= 500 else 1,
                status=response.status,
            )
        return response.body

    def fetch_did(self, url: str) -> bytes:
        """The same for a resolver of DIDs (``did.resolve.Fetch``).

        Raises ``DidNotFound`` when the server says that there is none (404, 410), and else
        ``DidResolutionError`` with the code of the ``NetError``.
        """
        try:
            return self.fetch(url)
        except NetError as error:
            if error.status in _NOT_THERE:
                raise DidNotFound("there is no document at the address of this DID") from error
            raise DidResolutionError(str(error), code=error.code, hint=error.hint) from error

    def close(self) -> None:
        """Close the connections that were kept open."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.close()

    def _route(self, asked: Url, deadline: float) -> Route:
        trust = self._dev_trust.get(asked.host)
        if trust is not None and asked.scheme == "https" and asked.port == 443:
            context = context_of_ca(trust.ca_file)
            return Route((str(trust.address),), trust.port, asked.host, context)
        if asked.origin in self._trusted:
            host = asked.host.strip("[]")
            if asked.scheme == "http":
                return Route((host,), asked.port, None, None)
            return Route((host,), asked.port, host, public_context())
        if asked.scheme != "https":
            url_refused("only https is used towards others")
        if asked.port != 443:
            url_refused("only port 443 is used towards others")
        name = public_name(asked.host)
        return Route(self._resolve(name, deadline), 443, name, public_context())

    def _resolve(self, name: str, deadline: float) -> tuple[str, ...]:
        """The addresses of a name, all of them public."""
        answers: queue.SimpleQueue[Sequence[tuple[Any, ...]] | Exception] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._getaddrinfo(name, 443, type=socket.SOCK_STREAM))
            except Exception as error:  # noqa: BLE001  handed to the thread that waits
                answers.put(error)

        # The system's resolver knows no deadline; a name server could hold it for a minute.
        threading.Thread(target=ask, daemon=True).start()
        try:
            answer = answers.get(timeout=max(deadline - monotonic(), 0.001))
        except queue.Empty:
            raise TimeoutError from None
        if isinstance(answer, Exception):
            raise NetError(
                "the name of the server could not be resolved",
                hint="Is this machine online, and is the name right?",
                exit_code=4,
            ) from answer
        checked: dict[str, None] = {}
        for *_, sockaddr in answer:
            try:
                address = ipaddress.ip_address(sockaddr[0])
            except (ValueError, IndexError, TypeError):
                address = None
            if address is None or not is_public(address):
                raise NetError(
                    "the name leads to an address that is not public",
                    code="net.address_refused",
                    hint="A server inside a private network cannot be used here.",
                )
            checked[str(address)] = None
        if not checked:
            raise NetError("the name of the server has no address", exit_code=4)
        return tuple(checked)[:_ADDRESSES_TRIED]

    def _take_idle(self, origin: str) -> "HTTPConnection | None":
        while True:
            with self._lock:
                connections = self._idle.get(origin)
                if not connections:
                    return None
                connection = connections.pop()
            if connection.is_connected:
                return connection
            connection.close()

    def _keep(self, origin: str, connection: "HTTPConnection") -> bool:
        if origin not in self._trusted or connection.sock is None:
            return False
        with self._lock:
            connections = self._idle.setdefault(origin, [])
            if len(connections) >= _IDLE_CONNECTIONS:
                return False
            connections.append(connection)
        return True
