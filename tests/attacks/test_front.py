"""Attacks on the HTTP front: each is a request that must not reach the application."""

import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from http.client import HTTPResponse

import pytest

MAX_BODY = 1000
PATIENCE = 60.0  # only ever waited for by a test that fails

CHILD = f"""
from pds.serve import ServeSettings, serve

calls = 0

def app(environ, start_response):
    global calls
    calls += environ["PATH_INFO"] != "/calls"
    start_response("200 OK", [])
    return [str(calls).encode()]

serve(
    app,
    ServeSettings(port=0, max_body={MAX_BODY}, allowed_hosts=frozenset({{"pds.example"}})),
    on_ready=lambda port: print(port, flush=True),
)
"""


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """A real server for pds.example in a child process."""
    command = [sys.executable, "-W", "error", "-c", CHILD]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.terminate()


def send(port: int, data: bytes, *, half_close: bool = False) -> bytes:
    """What comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(data)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


def refused(port: int, data: bytes, *, half_close: bool = False) -> tuple[int, str]:
    """Status and code of the front's own answer; the application must not have been called."""
    before = calls(port)
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as connection:
        connection.sendall(data)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        response = HTTPResponse(connection)
        response.begin()
        problem = json.loads(response.read())
        response.close()
        try:
            rest = connection.recv(1)
        except ConnectionResetError:
            rest = b""
        assert rest == b""  # nothing after it is taken for a request
    assert calls(port) == before
    return response.status, problem["code"]


def calls(port: int) -> int:
    answer = send(port, b"GET /calls HTTP/1.1\r\nHost: pds.example\r\nConnection: close\r\n\r\n")
    return int(answer.rpartition(b"\r\n\r\n")[2])


def post(*headers: str, body: bytes = b"") -> bytes:
    lines = ["POST / HTTP/1.1", "Host: pds.example", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def test_attack_52_chunked_body(port: int) -> None:
    """A chunked body is refused, whether or not a length hides beside it."""
    chunked = b"3\r\nabc\r\n0\r\n\r\n"
    for headers in (
        ["Transfer-Encoding: chunked"],
        ["Transfer-Encoding: Chunked", "Content-Length: 3"],
        ["Content-Length: 3", "Transfer-Encoding: gzip, chunked"],
    ):
        answer = refused(port, post(*headers, body=chunked))
        assert answer == (411, "front.length_required")


def test_attack_52_transfer_coding_without_a_body(port: int) -> None:
    """A transfer coding is refused with every method, also where no length is asked for: between
    a proxy and this server nobody could tell where the request ends."""
    for method in ("GET", "DELETE", "OPTIONS"):
        head = f"{method} /chunked HTTP/1.1\r\nHost: pds.example\r\nTransfer-Encoding: chunked"
        for body in (b"0\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n"):
            answer = refused(port, head.encode() + b"\r\n\r\n" + body)
            assert answer == (411, "front.length_required")


def test_attack_52_smuggled_request(port: int) -> None:
    """What follows a refused chunked body is never taken for a second request."""
    smuggled = b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: pds.example\r\n\r\n"
    headers = ["Transfer-Encoding: chunked", f"Content-Length: {len(smuggled)}"]
    assert refused(port, post(*headers, body=smuggled)) == (411, "front.length_required")


def test_attack_52_oversize_body(port: int) -> None:
    """A body beyond the limit is refused by its length alone, before a byte of it is sent."""
    for length in (str(MAX_BODY + 1), "9" * 15, "9" * 30):
        before = calls(port)
        answer = send(port, post(f"Content-Length: {length}"))
        assert calls(port) == before
        if len(length) <= 15:
            assert b"front.too_large" in answer
        assert answer.startswith((b"HTTP/1.1 413", b"HTTP/1.1 400"))


def test_attack_52_short_body(port: int) -> None:
    """A body that ends early is refused and never handed on as if it were whole."""
    for sent in (b"", b"abc", b"x" * 99):
        answer = refused(port, post("Content-Length: 100", body=sent), half_close=True)
        assert answer == (400, "front.body_short")


def test_attack_52_two_lengths(port: int) -> None:
    """Contradicting lengths are refused."""
    before = calls(port)
    answer = send(port, post("Content-Length: 3", "Content-Length: 4", body=b"abcd"))
    assert answer.startswith(b"HTTP/1.1 400")
    assert calls(port) == before


def test_attack_57_foreign_host(port: int) -> None:
    """A request for another host name, as DNS rebinding makes them, is refused."""
    for host in ("evil.example", "127.0.0.1", "pds.example.evil.example", "xpds.example"):
        request = f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
        assert refused(port, request) == (421, "front.host_unknown")


def test_attack_57_foreign_host_in_the_target(port: int) -> None:
    """Neither an absolute target nor a second Host header gets a foreign name past the check."""
    for request in (
        b"GET http://evil.example/ HTTP/1.1\r\nHost: pds.example\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: pds.example\r\nHost: evil.example\r\n\r\n",
        b"GET / HTTP/1.0\r\n\r\n",
    ):
        assert refused(port, request) == (400, "front.host")


def test_attack_80_body_without_length_over_http_2(port: int) -> None:
    """A POST without content-length in HTTP/2 frames is not even understood."""
    settings = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
    # HPACK: POST, http, /, and a literal :authority of pds.example; END_HEADERS
    block = b"\x83\x86\x84\x41\x0bpds.example"
    headers = len(block).to_bytes(3) + b"\x01\x04\x00\x00\x00\x01" + block
    data = b"\x00\x00\x03\x00\x01\x00\x00\x00\x01abc"
    before = calls(port)
    try:
        answer = send(port, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings + headers + data)
    except ConnectionResetError:
        answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
    assert calls(port) == before


def test_attack_80_upgrade_to_http_2(port: int) -> None:
    """An offer to change to HTTP/2 is answered in HTTP/1.1, as if it had not been made."""
    answer = send(
        port,
        b"GET /calls HTTP/1.1\r\nHost: pds.example\r\nUpgrade: h2c\r\n"
        b"Connection: Upgrade, HTTP2-Settings, close\r\n"
        b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n",
    )
    assert answer.startswith(b"HTTP/1.1 200")
