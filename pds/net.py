"""The only way out: HTTP requests to hosts that a stranger may have named.

Whoever writes a DID, a request or a relay's address chooses where this machine connects to. So
for every host that is not the user's own:

1. ``https``, port 443, a name with a dot in it; no addresses in numbers, no user, no fragment.
2. The name is resolved once. If *any* of its addresses is not a public one, nothing is sent.
3. The connection goes to exactly the address that was checked; TLS is verified for the name.
4. No redirects, proxies, cookies or compression; of the environment counts only where the
   system keeps its certificate authorities.
5. Size and time are bounded. The time is for the whole exchange, so a server that drips one byte
   after another gains nothing.

Two exceptions, both written down by the user: *trusted origins* (their own relay) may be plain
``http``, on this machine and on any port; *development trust* maps one name to one address and to
one certificate authority, which counts for that name alone.
"""

import ipaddress
import queue
import re
import socket
import ssl
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from time import monotonic
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self, TypeAlias

from pds.errors import PdsError

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection
    from urllib3.response import HTTPResponse

TIMEOUT = 5.0
MAX_BYTES = 8 * 1_048_576
MAX_DOCUMENT_BYTES = 65_536

_USER_AGENT = "personal-data-store"
_PIECE = 65_536
_ADDRESSES_TRIED = 4
_IDLE_CONNECTIONS = 4
_OURS = frozenset({"user-agent", "host", "accept-encoding", "content-length", "transfer-encoding"})
_REDIRECTS = frozenset({300, 301, 302, 303, 305, 307, 308})
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_URL = re.compile(
    r"(?P<scheme>https?)://"
    r"(?P<host>\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9.-]{1,253})"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?"
    r"(?P<target>/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*(?:\?[A-Za-z0-9._~!$&'()*+,;=:@%/?-]*)?)?"
)
_DEV_TRUST = re.compile(
    r"(?P<host>[^=]+)=(?P<address>\[[0-9a-fA-F:.]+\]|[0-9.]+):(?P<port>[0-9]{1,5}),(?P<ca>.+)"
)

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
GetAddrInfo: TypeAlias = Callable[..., Sequence[tuple[Any, ...]]]


class NetError(PdsError):
    """Nothing usable came back, or nothing was sent.

    Codes: ``net.url``, ``net.address_refused``, ``net.tls``, ``net.redirect``, ``net.status``,
    ``net.too_large``, ``net.encoding``; and, with exit code 4 because trying again may help,
    ``net.unreachable``, ``net.timeout`` and ``net.status`` of a server in trouble (5xx).
    """

    default_code = "net.unreachable"


# --- which addresses are public --------------------------------------------------------------

# The IANA special-purpose registries (RFC 6890 and successors), and what else is not a place on
# the public Internet. For IPv6 the rule is turned round: only 2000::/3 was ever given out, which
# leaves out ::1, mapped and compatible addresses, NAT64, fc00::/7, fe80::/10 and multicast.
_NOT_PUBLIC_4: Final = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8",  # this network
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "168.63.129.16/32",  # a cloud's host agent behind a public-looking address
        "169.254.0.0/16",  # link-local, metadata of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.31.196.0/24",  # AS112
        "192.52.193.0/24",  # AMT relays
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "192.175.48.0/24",  # AS112
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
_PUBLIC_6: Final = ipaddress.IPv6Network("2000::/3")
_NOT_PUBLIC_6: Final = tuple(
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # protocol assignments: Teredo, ORCHID, benchmarks, …
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4: an IPv4 address inside
        "2620:4f:8000::/48",  # AS112
        "3ffe::/16",  # returned (6bone)
        "3fff::/20",  # documentation
    )
)
_ISATAP: Final = (0x0000_5EFE, 0x0200_5EFE)


def is_public(address: Address) -> bool:
    """Whether an address is an ordinary unicast address of the public Internet.

    Addresses that carry another one inside (mapped, NAT64, 6to4, Teredo, ISATAP) are not.
    """
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _NOT_PUBLIC_4)
    return (
        address.scope_id is None
        and address in _PUBLIC_6
        and not any(address in network for network in _NOT_PUBLIC_6)
        and (int(address) >> 32) & 0xFFFF_FFFF not in _ISATAP
    )


# --- what a request goes to ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Response:
    """What came back. Header names are in lower case; repeated headers are joined by ``, ``."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class DevTrust:
    """For development: this name is at this address, with certificates of this authority."""

    host: str
    address: Address
    port: int
    ca_file: Path

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``shop.example=127.0.0.1:8443,ca.pem``. Raises ``net.url``."""
        found = _DEV_TRUST.fullmatch(text)
        try:
            if found is None or not 0 < (port := int(found["port"])) < 65536:
                raise ValueError
            address = ipaddress.ip_address(found["address"].strip("[]"))
        except ValueError:
            raise NetError(
                "development trust is a name, an address with a port, and a file",
                code="net.url",
                hint="Write it like shop.example=127.0.0.1:8443,ca.pem",
            ) from None
        return cls(_name(found["host"]), address, port, Path(found["ca"]))


@dataclass(frozen=True, slots=True)
class _Url:
    scheme: str
    host: str
    port: int
    target: str

    @property
    def origin(self) -> str:
        return f"{self.scheme}://{self.authority}"

    @property
    def authority(self) -> str:
        return self.host if self.port == _default_port(self.scheme) else f"{self.host}:{self.port}"

    @classmethod
    def parse(cls, text: str) -> Self:
        found = _URL.fullmatch(text)
        if found is None:
            _url_refused("the address is not a plain http or https URL")
        port = int(found["port"] or _default_port(found["scheme"]))
        if port > 65535:
            _url_refused("the port does not exist")
        return cls(found["scheme"], found["host"].lower(), port, found["target"] or "/")


@dataclass(frozen=True, slots=True)
class _Route:
    """Where to connect to, and by what name the other side must prove itself (``None``: http)."""

    addresses: tuple[str, ...]
    port: int
    tls_name: str | None
    context: ssl.SSLContext | None


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80


def _url_refused(message: str) -> NoReturn:
    raise NetError(message, code="net.url", hint="It must look like https://name/path.")


def _name(host: str) -> str:
    """A DNS name of two labels or more, in lower case; else ``net.address_refused``."""
    labels = host.lower().split(".")
    # A last label in digits is what some resolvers take for an address: 127.1, 0x7f.1, 2130706433.
    numeric = labels[-1][:1].isdigit()
    if len(labels) < 2 or numeric or not all(_LABEL.fullmatch(label) for label in labels):
        raise NetError(
            "the host must be a name on the public Internet, not an address or a local name",
            code="net.address_refused",
        )
    return host.lower()


# --- the transport ---------------------------------------------------------------------------


class Transport:
    """Makes requests under the rules at the head of this module. Safe to share between threads.

    ``trusted_origins`` are exact origins, such as ``http://127.0.0.1:8080``; connections to them
    are kept open for the next request. ``timeout`` is in seconds, for a whole exchange; of a
    trusted origin the lookup of its name comes on top.
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
        self._trusted = frozenset(_Url.parse(origin).origin for origin in trusted_origins)
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
        asked = _Url.parse(url)
        limit = self._max_bytes if max_bytes is None else max_bytes
        deadline = monotonic() + (self._timeout if timeout is None else timeout)
        with _as_net_errors():
            connection = self._take_idle(asked.origin)
            if connection is None:
                connection = _connect(self._route(asked, deadline), deadline)
            kept = False
            try:
                with _watched(connection, deadline):
                    response = _exchange(
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
        """The body of a public document (a did:web document): at most 64 KiB, status 200.

        Raises ``NetError``. The form in which a resolver of DIDs takes its network.
        """
        response = self.request(
            "GET", url, headers={"Accept": "application/json"}, max_bytes=MAX_DOCUMENT_BYTES
        )
        if response.status != 200:
            raise NetError(
                f"the server answered with status {response.status}",
                code="net.status",
                exit_code=4 if response.status >= 500 else 1,
            )
        return response.body

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

    def _route(self, asked: _Url, deadline: float) -> _Route:
        trust = self._dev_trust.get(asked.host)
        if trust is not None and asked.scheme == "https" and asked.port == 443:
            context = _context_of_ca(trust.ca_file)
            return _Route((str(trust.address),), trust.port, asked.host, context)
        if asked.origin in self._trusted:
            host = asked.host.strip("[]")
            if asked.scheme == "http":
                return _Route((host,), asked.port, None, None)
            return _Route((host,), asked.port, host, _public_context())
        if asked.scheme != "https":
            _url_refused("only https is used towards others")
        if asked.port != 443:
            _url_refused("only port 443 is used towards others")
        name = _name(asked.host)
        return _Route(self._resolve(name, deadline), 443, name, _public_context())

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


# --- one exchange ----------------------------------------------------------------------------


def _connect(route: _Route, deadline: float) -> "HTTPConnection":
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
def _watched(connection: "HTTPConnection", deadline: float) -> Iterator[None]:
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


def _exchange(
    connection: "HTTPConnection",
    asked: _Url,
    *,
    method: str,
    headers: Mapping[str, str],
    body: bytes,
    limit: int,
    deadline: float,
) -> Response:
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


@contextmanager
def _as_net_errors() -> Iterator[None]:
    """Turn what the layers beneath raise into our errors, which hold nothing of the input."""
    from http.client import HTTPException

    from urllib3 import exceptions as theirs

    try:
        yield
    except theirs.NewConnectionError as error:  # theirs is a timeout too, by inheritance
        raise _unreachable() from error
    except (TimeoutError, theirs.TimeoutError) as error:
        raise NetError(
            "the server took too long",
            code="net.timeout",
            hint="Try again later.",
            exit_code=4,
        ) from error
    except (ssl.SSLError, theirs.SSLError) as error:
        raise NetError(
            "the server could not prove that it is who it should be",
            code="net.tls",
            hint="Its certificate is not valid for this name, or the connection was tampered with.",
        ) from error
    except (OSError, HTTPException, theirs.HTTPError, ValueError) as error:
        raise _unreachable() from error


def _unreachable() -> NetError:
    return NetError(
        "the server could not be reached, or broke off",
        hint="Is it running, and is this machine online? Try again later.",
        exit_code=4,
    )


@lru_cache(maxsize=1)
def _public_context() -> ssl.SSLContext:
    return _hardened(ssl.create_default_context())


def _context_of_ca(ca_file: Path) -> ssl.SSLContext:
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
