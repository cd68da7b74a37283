"""One connection, and one exchange on it: to the address that was checked, within its bounds."""

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn

from pds.net.addresses import Url
from pds.net.errors import NetError

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection
    from urllib3.response import HTTPResponse

_USER_AGENT = "personal-data-store"
_PIECE = 65_536
_OURS = frozenset({"user-agent", "host", "accept-encoding", "content-length", "transfer-encoding"})
_REDIRECTS = frozenset({300, 301, 302, 303, 305, 307, 308})


@dataclass(frozen=True, slots=True)
class Response:
    """What came back. Header names are in lower case; repeated headers are joined by ``, ``."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Route:
    """Where to connect to, and by what name the other side must prove itself (``None``: http)."""

    addresses: tuple[str, ...]
    port: int
    tls_name: str | None
    context: ssl.SSLContext | None


def connect(route: Route, deadline: float) -> "HTTPConnection":
    """A connection to the first of the addresses that takes one; TLS is verified by then."""
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

    for left, address in zip(range(len(route.addresses), 0, -1), route.addresses, strict=True):
        # Each of the remaining addresses gets its share of the time.
        timeout = max((deadline - monotonic()) / left, 0.001)
        connection: HTTPConnection
        if route.tls_name is None:
            connection = HTTPConnection(address, route.port, timeout=timeout)
        else:
            # The socket is for the address; SNI and the certificate are for the name. The
            # context checks the name itself, so assert_hostname stays unset: given, it would
            # turn that check off in favour of another.
            connection = HTTPSConnection(
                address,
                route.port,
                timeout=timeout,
                ssl_context=route.context,
                server_hostname=route.tls_name,
            )
        try:
            connection.connect()
        except (ConnectTimeoutError, NewConnectionError):
            connection.close()
            if left == 1:
                raise
        except BaseException:
            connection.close()
            raise
        else:
            return connection
    raise NetError("the name of the server has no address", exit_code=4)


@contextmanager
def watched(connection: "HTTPConnection", deadline: float) -> Iterator[None]:
    """End the exchange at the deadline, wherever it is. A timeout of the socket bounds one read
    only, and there may be one read for each byte."""
    sock = connection.sock
    expired = threading.Event()

    def end() -> None:
        expired.set()
        # Beneath TLS, which another thread may be using at this moment.
        with suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RDWR)

    watch = threading.Timer(max(deadline - monotonic(), 0.001), end)
    watch.daemon = True
    watch.start()
    try:
        yield
    finally:
        watch.cancel()
        if expired.is_set():
            raise TimeoutError


def exchange(
    connection: "HTTPConnection",
    asked: Url,
    *,
    method: str,
    headers: Mapping[str, str],
    body: bytes,
    limit: int,
    deadline: float,
) -> Response:
    """Send one request and read what comes back, at most ``limit`` bytes of body."""
    connection.timeout = max(deadline - monotonic(), 0.001)
    connection.request(
        method,
        asked.target,
        body=body or (b"" if method in ("POST", "PUT", "PATCH") else None),
        headers={
            **{name: headers[name] for name in headers if name.lower() not in _OURS},
            "User-Agent": _USER_AGENT,
            "Host": asked.authority,
            "Accept-Encoding": "identity",
        },
        preload_content=False,
        decode_content=False,
    )
    answer = connection.getresponse()
    try:
        return _read(answer, limit)
    except BaseException:
        # Half-read, it would hold the socket beyond the end of the connection.
        answer.close()
        raise


def _read(answer: "HTTPResponse", limit: int) -> Response:
    if answer.status in _REDIRECTS:
        raise NetError("the server points elsewhere, which is not followed", code="net.redirect")
    fields = {name.lower(): answer.headers[name] for name in answer.headers}
    if fields.get("content-encoding", "identity").lower() != "identity":
        raise NetError("the server compressed its answer unasked", code="net.encoding")
    # Without a length, an answer that was cut off looks whole.
    if answer.length_remaining is None and not answer.chunked:
        raise NetError("the server did not say how long its answer is", exit_code=4)
    if answer.length_remaining is not None and answer.length_remaining > limit:
        _too_large()
    pieces: list[bytes] = []
    size = 0
    while piece := answer.read(_PIECE, decode_content=False):
        size += len(piece)
        if size > limit:
            _too_large()
        pieces.append(piece)
    return Response(answer.status, MappingProxyType(fields), b"".join(pieces))


def _too_large() -> NoReturn:
    raise NetError("the answer is larger than allowed", code="net.too_large")


@lru_cache(maxsize=1)
def public_context() -> ssl.SSLContext:
    """A context in which the system's authorities count."""
    return _hardened(ssl.create_default_context())


def context_of_ca(ca_file: Path) -> ssl.SSLContext:
    """A context in which this one authority counts, and none of the system's."""
    try:
        return _hardened(ssl.create_default_context(cafile=str(ca_file)))
    except (OSError, ssl.SSLError):
        raise NetError(
            "the file of the development certificate authority cannot be read",
            code="net.tls",
            hint="Is it there, and is it in PEM form?",
        ) from None


def _hardened(context: ssl.SSLContext) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context
