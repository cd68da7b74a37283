"""The only way out, against real servers on this machine."""

import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from credentials.webvh import PROOFS
from did.errors import DidError
from did.resolution import resolve
from did.resolve import Resolver
from pds.net import DevTrust, NetError, Transport, is_public
from pds.net.connection import public_context

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.9.9.9",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.1",
    "126.255.255.255",
    "128.0.0.1",
    "11.0.0.1",
    "169.253.255.255",
    "169.255.0.1",
    "172.15.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "192.1.0.1",
    "192.167.255.255",
    "192.169.0.1",
    "198.17.255.255",
    "198.20.0.1",
    "223.255.255.255",
    "168.63.129.15",
    "2606:4700:4700::1111",
    "2a00:1450:4001::200e",
    "2001:4860:4860::8888",
    "2001:200::1",
    "2003::1",
    "2620:fe::fe",
    "2400:cb00::1",
]

NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.127.255.254",
    "100.100.100.200",
    "127.0.0.1",
    "127.1.2.3",
    "127.255.255.255",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.8",
    "192.0.0.9",
    "192.0.0.10",
    "192.0.0.170",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.88.99.2",
    "192.168.0.1",
    "192.168.255.255",
    "192.175.48.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "224.0.1.1",
    "232.1.1.1",
    "233.252.0.1",
    "239.255.255.255",
    "240.0.0.1",
    "255.255.255.255",
    "168.63.129.16",
    "::",
    "::1",
    "::2",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "64:ff9b:1:ffff::808:808",
    "100::1",
    "100:0:0:1::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:1::1",
    "2001:1::2",
    "2001:2::1",
    "2001:3::1",
    "2001:4:112::1",
    "2001:10::1",
    "2001:1f::1",
    "2001:20::1",
    "2001:2f:ffff::1",
    "2001:30::1",
    "2001:1ff:ffff::1",
    "2001:db8::1",
    "2001:db8:ffff::1",
    "2002::1",
    "2002:7f00:1::1",
    "2002:808:808::1",
    "2620:4f:8000::1",
    "3ffe::1",
    "3fff::1",
    "3fff:fff::1",
    "4000::1",
    "5f00::1",
    "8000::1",
    "fc00::1",
    "fd00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%1",
    "febf::1",
    "fec0::1",
    "ff01::1",
    "ff02::1",
    "ff05::2",
    "ff0e::1",
    "2606:4700::5efe:7f00:1",
    "2606:4700::200:5efe:a00:1",
    "2606:4700::1%eth0",
]


@pytest.mark.parametrize("text", PUBLIC)
def test_ordinary_addresses_are_public(text: str) -> None:
    """Neighbours of the special ranges among them."""
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_special_addresses_are_not_public(text: str) -> None:
    """Both ends of every range, and every form that carries another address inside."""
    assert not is_public(ipaddress.ip_address(text))


# --- servers ---------------------------------------------------------------------------------


class Script:
    """A server that does what it is told with each connection, and keeps what it was sent."""

    def __init__(self, act: Callable[["Script", socket.socket], None]) -> None:
        self.act = act
        self.requests: list[bytes] = []
        self.connections = 0
        self.names: list[str | None] = []
        self.over = threading.Event()

    @contextmanager
    def serving(self, context: ssl.SSLContext | None = None) -> Iterator[int]:
        listener = socket.create_server(("127.0.0.1", 0))
        workers: list[threading.Thread] = []

        def serve(connection: socket.socket) -> None:
            with suppress(OSError), connection:
                connection.settimeout(20)
                if context is None:
                    self.act(self, connection)
                else:
                    with context.wrap_socket(connection, server_side=True) as wrapped:
                        self.act(self, wrapped)

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                if self.over.is_set():
                    connection.close()
                    return
                self.connections += 1
                worker = threading.Thread(target=serve, args=(connection,))
                workers.append(worker)
                worker.start()

        acceptor = threading.Thread(target=accept)
        acceptor.start()
        try:
            yield listener.getsockname()[1]
        finally:
            self.over.set()
            with suppress(OSError):
                socket.create_connection(listener.getsockname()).close()
            acceptor.join()
            listener.close()
            for worker in workers:
                worker.join()

    def read(self, connection: socket.socket) -> bytes:
        """One request, head and body."""
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(4096)
            if not piece:
                return b""
            data += piece
        head, _, body = data.partition(b"\r\n\r\n")
        for line in head.split(b"\r\n"):
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                while len(body) < int(value):
                    body += connection.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return self.requests[-1]


def saying(answer: bytes) -> Script:
    """A server that gives the same answer to every request, and then hangs up."""

    def act(script: Script, connection: socket.socket) -> None:
        script.read(connection)
        connection.sendall(answer)

    return Script(act)


def plain(body: bytes, *more: bytes, status: bytes = b"200 OK") -> bytes:
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *more]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def ask(script: Script, *, method: str = "GET", path: str = "/x", **options):
    """One request to a trusted origin."""
    settings = {name: options.pop(name) for name in ("timeout", "max_bytes") if name in options}
    with script.serving() as port:
        origin = f"http://127.0.0.1:{port}"
        with Transport(trusted_origins=[origin], **settings) as transport:
            return transport.request(method, origin + path, **options)


def refusal(script: Script, **options) -> NetError:
    with pytest.raises(NetError) as caught:
        ask(script, **options)
    return caught.value


# --- requests and answers --------------------------------------------------------------------


def test_a_request_arrives_as_it_was_given() -> None:
    """Method, target, headers and body; one Host, no compression, no cookies."""
    script = saying(plain(b"hello", b"X-One: 1", b"X-One: 2", b"Set-Cookie: a=b"))
    response = ask(
        script,
        method="PUT",
        path="/v1/a?after=1",
        headers={"X-Mine": "yes", "host": "evil", "accept-encoding": "gzip"},
        body=b"body",
    )
    assert (response.status, response.body) == (200, b"hello")
    assert response.headers["x-one"] == "1, 2"
    head, _, body = script.requests[0].partition(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    assert lines[0] == b"put /v1/a?after=1 http/1.1"
    assert body == b"body"
    assert b"x-mine: yes" in lines
    assert b"content-length: 4" in lines
    assert b"accept-encoding: identity" in lines
    assert sum(line.startswith(b"accept-encoding:") for line in lines) == 1
    hosts = [line for line in lines if line.startswith(b"host:")]
    assert len(hosts) == 1
    assert hosts[0].startswith(b"host: 127.0.0.1:")
    assert not any(line.startswith((b"cookie:", b"transfer-encoding:")) for line in lines)


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_an_empty_body_has_a_length(method: str) -> None:
    """Content-Length is sent even for nothing."""
    script = saying(plain(b""))
    ask(script, method=method)
    assert b"content-length: 0" in script.requests[0].lower()


def test_other_statuses_come_back() -> None:
    """What a status means is for the caller to say."""
    for status in (b"404 Not Found", b"500 No", b"204 No Content"):
        body = b"" if status.startswith(b"204") else b"{}"
        response = ask(saying(plain(body, status=status)))
        assert (response.status, response.body) == (int(status[:3]), body)


@pytest.mark.parametrize("status", [b"301 A", b"302 B", b"303 C", b"307 D", b"308 E"])
def test_redirects_are_errors(status: bytes) -> None:
    """Wherever they lead."""
    error = refusal(saying(plain(b"", b"Location: /y", status=status)))
    assert error.code == "net.redirect"


def test_chunked_answers_are_read() -> None:
    """A server may not know the length beforehand."""
    answer = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
    )
    assert ask(saying(answer)).body == b"abcde"


def test_too_much_is_refused_by_its_length_and_as_it_comes() -> None:
    """Announced or not, no more than the limit is taken."""
    chunk = b"3e8\r\n" + b"x" * 1000 + b"\r\n"
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk * 3 + b"0\r\n\r\n"
    for answer in (plain(b"x" * 2001), chunked):
        assert refusal(saying(answer), max_bytes=2000).code == "net.too_large"
    announced = b"HTTP/1.1 200 OK\r\nContent-Length: 2001\r\n\r\n"
    assert refusal(saying(announced), max_bytes=2000).code == "net.too_large"
    assert len(ask(saying(plain(b"x" * 2000)), max_bytes=2000).body) == 2000
    assert len(ask(saying(chunked), max_bytes=3000).body) == 3000


@pytest.mark.parametrize("encoding", [b"gzip", b"br", b"deflate, gzip"])
def test_compressed_answers_are_refused(encoding: bytes) -> None:
    """They were not asked for, and could unpack to anything."""
    error = refusal(saying(plain(b"\x1f\x8b", b"Content-Encoding: " + encoding)))
    assert error.code == "net.encoding"


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nab\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\nno length",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n",
    ],
    ids=["nothing", "garbage", "short", "lengths", "chunk", "size", "no-length", "line", "many"],
)
def test_broken_answers_are_refused(answer: bytes) -> None:
    """What was cut off or makes no sense is not taken for an answer."""
    error = refusal(saying(answer))
    assert (error.code, error.exit_code) == ("net.unreachable", 4)


def dripping(first: bytes, drop: bytes) -> Script:
    """A server that sends a little again and again until the client has gone."""

    def act(script: Script, connection: socket.socket) -> None:
        script.read(connection)
        connection.sendall(first)
        for _ in range(200):
            if script.over.wait(0.02):
                break
            connection.sendall(drop)

    return Script(act)


@pytest.mark.parametrize(
    ("first", "drop"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b"z"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\nz\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["status", "headers", "header", "body", "chunks", "interim"],
)
def test_a_server_that_drips_is_left_at_the_deadline(first: bytes, drop: bytes) -> None:
    """The time is for the whole exchange, not for each piece."""
    error = refusal(dripping(first, drop), timeout=0.5)
    # A line without end, or too many headers, may be noticed before the time is up.
    assert (error.code in {"net.timeout", "net.unreachable"}, error.exit_code) == (True, 4)
    if first.endswith(b"\r\n\r\n"):
        assert error.code == "net.timeout"


def test_a_silent_server_is_left_at_the_deadline() -> None:
    """Nothing at all is a timeout as well."""
    error = refusal(dripping(b"", b""), timeout=0.3)
    assert (error.code, error.exit_code) == ("net.timeout", 4)


def test_a_name_server_that_hangs_is_left_at_the_deadline() -> None:
    """The lookup counts towards the time."""
    release = threading.Event()

    def getaddrinfo(*_: object, **__: object):
        release.wait(20)
        return []

    with pytest.raises(NetError) as caught:
        Transport(getaddrinfo=getaddrinfo, timeout=0.2).fetch("https://shop.example/")
    release.set()
    assert (caught.value.code, caught.value.exit_code) == ("net.timeout", 4)


def test_names_that_do_not_resolve_are_unreachable() -> None:
    """Unknown names, and names without an address."""

    def unknown(*_: object, **__: object):
        raise socket.gaierror

    for getaddrinfo in (unknown, lambda *_, **__: []):
        with pytest.raises(NetError) as caught:
            Transport(getaddrinfo=getaddrinfo).fetch("https://shop.example/")
        assert (caught.value.code, caught.value.exit_code) == ("net.unreachable", 4)


def test_a_closed_port_is_unreachable() -> None:
    """Trying again later may help."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    origin = f"http://127.0.0.1:{port}"
    with pytest.raises(NetError) as caught:
        Transport(trusted_origins=[origin]).request("GET", origin)
    assert (caught.value.code, caught.value.exit_code) == ("net.unreachable", 4)


def staying(script: Script, connection: socket.socket) -> None:
    """Answer one request after another on the same connection, saying how many there were."""
    count = 0
    while script.read(connection):
        count += 1
        connection.sendall(plain(b"%d" % count, b"Set-Cookie: a=b"))


def test_connections_to_the_own_relay_are_used_again() -> None:
    """Two requests, one connection, no cookie carried from the first to the second."""
    script = Script(staying)
    with script.serving() as port:
        origin = f"http://127.0.0.1:{port}"
        with Transport(trusted_origins=[origin]) as transport:
            bodies = [transport.request("GET", f"{origin}/").body for _ in range(3)]
    assert bodies == [b"1", b"2", b"3"]
    assert script.connections == 1
    assert not any(b"cookie" in request.lower() for request in script.requests)


def test_a_connection_that_the_relay_closed_is_replaced() -> None:
    """An idle connection that has ended is noticed before it is used."""
    closed = threading.Semaphore(0)

    def once(script: Script, connection: socket.socket) -> None:
        script.read(connection)
        connection.sendall(plain(b"ok"))
        connection.close()
        closed.release()

    script = Script(once)
    with script.serving() as port:
        origin = f"http://127.0.0.1:{port}"
        with Transport(trusted_origins=[origin]) as transport:
            for _ in range(2):
                assert transport.request("GET", f"{origin}/").body == b"ok"
                assert closed.acquire(timeout=20)
    assert script.connections == 2


def test_threads_share_a_transport() -> None:
    """Each gets its own answer."""

    def echo(script: Script, connection: socket.socket) -> None:
        while request := script.read(connection):
            connection.sendall(plain(request.split(b" ")[1]))

    got: dict[int, bytes] = {}
    with Script(echo).serving() as port:
        origin = f"http://127.0.0.1:{port}"
        with Transport(trusted_origins=[origin]) as transport:

            def work(number: int) -> None:
                for _ in range(5):
                    got[number] = transport.request("GET", f"{origin}/{number}").body

            threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    assert got == {number: b"/%d" % number for number in range(8)}


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy would choose the address in our place."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert ask(saying(plain(b"direct"))).body == b"direct"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example",
        "ftp://shop.example/",
        "http://shop.example/",
        "https://shop.example:444/",
        "https://shop.example:99999/",
        "https://shop.example/a b",
        "https://shop.example/\r\nX: y",
        "https://shop.example/#x",
        "https://shop.example/\\x",
        "https://user:secret@shop.example/",
        "https://shöp.example/",
        "//shop.example/",
        "https:///x",
    ],
)
def test_other_urls_are_refused(url: str) -> None:
    """Before anything is looked up."""
    with pytest.raises(NetError) as caught:
        Transport(getaddrinfo=lambda *_, **__: pytest.fail("looked up")).request("GET", url)
    assert caught.value.code == "net.url"


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "intranet",
        "127.0.0.1",
        "8.8.8.8",
        "127.1",
        "1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "a.0x7f",
        "[::1]",
        "[2606:4700::1111]",
        "shop.example.",
        "-a.example",
        "a..example",
    ],
)
def test_other_hosts_are_refused(host: str) -> None:
    """A host is a name of two labels or more."""
    with pytest.raises(NetError) as caught:
        Transport(getaddrinfo=lambda *_, **__: pytest.fail("looked up")).fetch(f"https://{host}/")
    assert caught.value.code == "net.address_refused"


# --- TLS -------------------------------------------------------------------------------------


class Authority:
    """A certificate authority for one test."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        constraints = x509.BasicConstraints(ca=True, path_length=0)
        certificate = self._build(self._name, self._key, constraints, None)
        self.file = folder / f"{name}.pem"
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def _build(self, subject, key, constraints, host, *, days: int = 2):
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=10))
            .not_valid_after(now + timedelta(days=days))
            .add_extension(constraints, critical=True)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), False
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        )
        if host is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName([host]), False)
        else:
            usage = dict.fromkeys(
                (
                    "digital_signature",
                    "content_commitment",
                    "key_encipherment",
                    "data_encipherment",
                    "key_agreement",
                    "encipher_only",
                    "decipher_only",
                ),
                False,
            )
            builder = builder.add_extension(
                x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), True
            )
        return builder.sign(self._key, hashes.SHA256())

    def context(self, host: str, *, days: int = 2, script: Script | None = None) -> ssl.SSLContext:
        """A server's context with a certificate for one name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        constraints = x509.BasicConstraints(ca=False, path_length=None)
        certificate = self._build(subject, key, constraints, x509.DNSName(host), days=days)
        file = self._folder / f"{host}-{days}.pem"
        file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        if script is not None:
            context.sni_callback = lambda _socket, name, _context: script.names.append(name)
        return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def trust(port: int, authority: Authority, host: str = "shop.example") -> list[DevTrust]:
    return [DevTrust.parse(f"{host}=127.0.0.1:{port},{authority.file}")]


def test_development_trust_reads_a_did_document(authority: Authority) -> None:
    """The name goes into SNI and Host, the connection to the address."""
    script = saying(plain(b'{"id":"did:web:shop.example"}'))
    with script.serving(authority.context("shop.example", script=script)) as port:
        transport = Transport(dev_trust=trust(port, authority))
        body = transport.fetch("https://shop.example/.well-known/did.json")
    assert body == b'{"id":"did:web:shop.example"}'
    assert script.names == ["shop.example"]
    assert b"\r\nhost: shop.example\r\n" in script.requests[0].lower()


def test_a_certificate_for_another_name_is_refused(authority: Authority) -> None:
    """The right authority does not help the wrong name."""
    script = saying(plain(b"{}"))
    with (
        script.serving(authority.context("other.example")) as port,
        pytest.raises(NetError) as caught,
    ):
        Transport(dev_trust=trust(port, authority)).fetch("https://shop.example/")
    assert (caught.value.code, caught.value.exit_code) == ("net.tls", 1)
    assert script.requests == []


def test_a_certificate_that_is_over_is_refused(authority: Authority) -> None:
    """The dates of a certificate count."""
    script = saying(plain(b"{}"))
    with (
        script.serving(authority.context("shop.example", days=-1)) as port,
        pytest.raises(NetError) as caught,
    ):
        Transport(dev_trust=trust(port, authority)).fetch("https://shop.example/")
    assert caught.value.code == "net.tls"


def test_a_certificate_of_another_authority_is_refused(
    authority: Authority, tmp_path: Path
) -> None:
    """Only the named authority counts for a trusted name."""
    other = Authority(tmp_path, "other")
    script = saying(plain(b"{}"))
    with script.serving(other.context("shop.example")) as port, pytest.raises(NetError) as caught:
        Transport(dev_trust=trust(port, authority)).fetch("https://shop.example/")
    assert caught.value.code == "net.tls"


def test_plain_text_behind_https_is_refused(authority: Authority) -> None:
    """A server without TLS cannot prove anything."""

    def plainly(_script: Script, connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(plain(b"{}"))

    with Script(plainly).serving() as port, pytest.raises(NetError) as caught:
        Transport(dev_trust=trust(port, authority)).fetch("https://shop.example/")
    assert caught.value.code in {"net.tls", "net.unreachable"}


def test_a_silent_handshake_is_left_at_the_deadline(authority: Authority) -> None:
    """A server that accepts and says nothing costs no more than the time given."""

    def silent(script: Script, _connection: socket.socket) -> None:
        script.over.wait(20)

    with Script(silent).serving() as port, pytest.raises(NetError) as caught:
        Transport(dev_trust=trust(port, authority), timeout=0.3).fetch("https://shop.example/")
    assert caught.value.code == "net.timeout"


def test_fetch_wants_status_200_and_64_kib(authority: Authority) -> None:
    """A document is there, whole and small, or it is an error with a meaning."""
    cases = [
        (plain(b"{}", status=b"404 No"), "net.status", 1),
        (plain(b"{}", status=b"503 No"), "net.status", 4),
        (plain(b"x" * 65_537), "net.too_large", 1),
        (plain(b"", b"Location: https://x.example/", status=b"301 No"), "net.redirect", 1),
    ]
    for answer, code, exit_code in cases:
        with (
            saying(answer).serving(authority.context("shop.example")) as port,
            pytest.raises(NetError) as caught,
        ):
            Transport(dev_trust=trust(port, authority)).fetch("https://shop.example/")
        assert (caught.value.code, caught.value.exit_code) == (code, exit_code)


@pytest.mark.parametrize(
    ("answer", "keyword", "code"),
    [
        (plain(b"{}", status=b"404 No"), "notFound", "did.not_found"),
        (plain(b"{}", status=b"410 No"), "notFound", "did.not_found"),
        (plain(b"{}", status=b"403 No"), "internalError", "net.status"),
        (plain(b"{}", status=b"503 No"), "internalError", "net.status"),
        (plain(b"", b"Content-Encoding: gzip"), "internalError", "net.encoding"),
    ],
)
@pytest.mark.parametrize("did", ["did:web:shop.example", f"did:webvh:Q{'m' * 45}:shop.example"])
def test_a_did_without_a_document_is_told_from_one_not_had(
    authority: Authority, did: str, answer: bytes, keyword: str, code: str
) -> None:
    """DID Resolution §10: a server that says no is an answer; one that says nothing is none."""
    with saying(answer).serving(authority.context("shop.example")) as port:
        fetch = Transport(dev_trust=trust(port, authority)).fetch_did
        resolver = Resolver(fetch=fetch, webvh_proofs=PROOFS)
        found = resolve(did, resolver=resolver)
        assert found.error is not None
        assert found.error.keyword == keyword
        with pytest.raises(DidError) as caught:
            resolver.resolve(did)
        assert caught.value.code == code


@pytest.mark.parametrize("name", ["did.jsonl", "did-witness.json"])
def test_the_history_of_a_did_may_be_longer(authority: Authority, name: str) -> None:
    """2 MiB, which is what is read of a did:webvh; a byte more is too large."""
    url = f"https://shop.example/people/{name}"
    for size, fits in ((2 * 1_048_576, True), (2 * 1_048_576 + 1, False)):
        with saying(plain(b"x" * size)).serving(authority.context("shop.example")) as port:
            transport = Transport(dev_trust=trust(port, authority))
            if fits:
                assert len(transport.fetch(url)) == size
            else:
                with pytest.raises(NetError) as caught:
                    transport.fetch(url)
                assert caught.value.code == "net.too_large"


def public_name_leads_here(monkeypatch: pytest.MonkeyPatch, port: int) -> list[object]:
    """Lead connections to public addresses to a server here; what was asked for is kept."""
    asked: list[object] = []
    connect = socket.socket.connect

    def elsewhere(self: socket.socket, address: tuple[str, int]) -> None:
        asked.append(address)
        if address[0] == "8.8.4.4":
            raise ConnectionRefusedError
        connect(self, ("127.0.0.1", port))

    monkeypatch.setattr(socket.socket, "connect", elsewhere)
    return asked


def answers(*addresses: str):
    return lambda host, port, **_: [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses
    ]


@pytest.fixture
def system_authority(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[Authority]:
    """The system's authorities are this one."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    public_context.cache_clear()
    yield authority
    public_context.cache_clear()


def test_a_public_host_is_reached_at_the_checked_address(
    system_authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resolved once, connected to that address, proved for the name."""
    script = saying(plain(b"{}"))
    with script.serving(system_authority.context("shop.example", script=script)) as port:
        asked = public_name_leads_here(monkeypatch, port)
        transport = Transport(getaddrinfo=answers("8.8.4.4", "8.8.8.8"))
        assert transport.fetch("https://Shop.example/did.json") == b"{}"
    assert asked == [("8.8.4.4", 443), ("8.8.8.8", 443), *asked[2:]]
    assert script.names == ["shop.example"]


def test_a_public_host_must_prove_its_name(
    system_authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A good certificate for another name is refused, whatever the address."""
    script = saying(plain(b"{}"))
    with script.serving(system_authority.context("other.example")) as port:
        public_name_leads_here(monkeypatch, port)
        with pytest.raises(NetError) as caught:
            Transport(getaddrinfo=answers("8.8.8.8")).fetch("https://shop.example/")
    assert caught.value.code == "net.tls"


def test_development_trust_is_for_its_name_alone(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its authority vouches for nobody else."""
    script = saying(plain(b"{}"))
    with script.serving(authority.context("other.example")) as port:
        public_name_leads_here(monkeypatch, port)
        transport = Transport(dev_trust=trust(port, authority), getaddrinfo=answers("8.8.8.8"))
        with pytest.raises(NetError) as caught:
            transport.fetch("https://other.example/")
    assert caught.value.code == "net.tls"


def test_development_trust_is_read_from_one_line() -> None:
    """Name, address, port and file."""
    one = DevTrust.parse("Shop.example=127.0.0.1:8443,some/ca.pem")
    assert (one.host, str(one.address), one.port) == ("shop.example", "127.0.0.1", 8443)
    assert one.ca_file == Path("some/ca.pem")
    assert str(DevTrust.parse("shop.example=[::1]:1,ca").address) == "::1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "shop.example",
        "shop.example=127.0.0.1",
        "shop.example=127.0.0.1:0,ca",
        "shop.example=127.0.0.1:70000,ca",
        "shop.example=localhost:1,ca",
        "shop.example=127.0.0.1:1",
        "shop.example=127.0.0.1:1,",
        "localhost=127.0.0.1:1,ca",
        "127.0.0.1=127.0.0.1:1,ca",
    ],
)
def test_other_development_trust_is_refused(text: str) -> None:
    """Half a line trusts nothing."""
    with pytest.raises(NetError):
        DevTrust.parse(text)


def test_a_missing_authority_is_said_plainly(tmp_path: Path) -> None:
    """The file is not there, or is not one."""
    broken = tmp_path / "broken.pem"
    broken.write_text("nothing")
    for file in (tmp_path / "absent.pem", broken):
        transport = Transport(dev_trust=[DevTrust.parse(f"shop.example=127.0.0.1:1,{file}")])
        with pytest.raises(NetError) as caught:
            transport.fetch("https://shop.example/")
        assert caught.value.code == "net.tls"
