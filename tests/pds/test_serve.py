"""The HTTP front, as a real server in a child process spoken to over raw sockets."""

import json
import math
import os
import select
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.client import HTTPResponse
from pathlib import Path
from typing import Any

import pytest
import urllib3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pds.serve import ServeError, ServeSettings, serve

MAX_BODY = 100_000
BIG = 2 * 1024 * 1024
PATIENCE = 60.0  # only ever waited for by a test that fails

CHILD = """
import json, socket, sys
from pathlib import Path
from pds.serve import ServeSettings, ServeError, serve

calls = closed = 0

class Closing:
    def __iter__(self):
        yield b"closing"
    def close(self):
        global closed
        closed += 1

def app(environ, start_response):
    global calls
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    if path == "/calls":
        body = json.dumps([calls, closed]).encode()
        start_response("200 OK", [("Content-Type", "application/json")])
        return [body]
    calls += 1
    body = environ["wsgi.input"].read()
    if path == "/gate":
        with socket.create_connection(("127.0.0.1", int(query))) as gate:
            gate.recv(1)
            gate.sendall(b"done")
    elif path == "/environ":
        body = json.dumps({k: v for k, v in environ.items() if isinstance(v, str)}).encode()
    elif path == "/big":
        body = b"x" * 2097152
    elif path == "/boom":
        raise ValueError("canary-in-error")
    elif path == "/exit":
        sys.exit("canary-in-error")
    elif path == "/errors":
        environ["wsgi.errors"].write("canary-in-error")
    elif path == "/no-start":
        return [b""]
    elif path == "/two-starts":
        start_response("200 OK", [])
    elif path == "/split":
        start_response("200 OK", [("X-A", "b" + chr(13) + chr(10) + "X-Split: yes")])
        return [b""]
    elif path == "/name":
        start_response("200 OK", [("X A", "b")])
        return [b""]
    elif path == "/wrong-length":
        start_response("200 OK", [("Content-Length", "1")])
        return [b"abc"]
    elif path == "/status":
        start_response("100 Continue", [])
        return [b""]
    elif path == "/replaced":
        try:
            start_response("200 OK", [])
            raise KeyError
        except KeyError:
            start_response("409 Conflict", [], sys.exc_info())
        return [b""]
    elif path == "/written":
        start_response("200 OK", [])(b"wri")
        return [b"tten"]
    elif path == "/hop":
        start_response("200 OK", [("Connection", "close"), ("Upgrade", "h2c"), ("X-Kept", "1")])
        return [b""]
    elif path == "/closing":
        start_response("200 OK", [])
        return Closing()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

told = json.loads(sys.argv[1])
lock_dir = told.pop("lock_dir", None)
for name in ("tls_cert", "tls_key"):
    if name in told:
        told[name] = Path(told[name])
told["allowed_hosts"] = frozenset(told.get("allowed_hosts", ()))
try:
    serve(
        app,
        ServeSettings(**told),
        on_ready=lambda port: print(port, flush=True),
        lock_dir=Path(lock_dir) if lock_dir else None,
    )
except ServeError as error:
    print(error.code, bool(error.hint), flush=True)
    sys.exit(error.exit_code)
print("stopped", flush=True)
"""


@dataclass
class Server:
    """A running child; ``port`` is what ``on_ready`` was told."""

    process: subprocess.Popen[str]
    errors: Path
    first_line: str

    @property
    def port(self) -> int:
        return int(self.first_line)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)

    def ask(
        self, start: str, *headers: str, body: bytes = b"", half_close: bool = False
    ) -> "Reply":
        """One request on a connection of its own; ``Host: pds.example`` unless headers say."""
        lines = headers or ("Host: pds.example",)
        with self.connect() as connection:
            connection.sendall("\r\n".join([f"{start} HTTP/1.1", *lines, "", ""]).encode("latin-1"))
            connection.sendall(body)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            return reply(connection, head=start.startswith("HEAD "))

    def calls(self) -> int:
        """How often the application was called for anything else than this."""
        count: int = json.loads(self.ask("GET /calls").body)[0]
        return count

    def stderr(self) -> str:
        return self.errors.read_text()

    def wait(self) -> int:
        return self.process.wait(PATIENCE)


@dataclass(frozen=True)
class Reply:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def code(self) -> str:
        """The code of a problem of the front's own, whose form is checked on the way."""
        assert self.headers["content-type"] == "application/problem+json"
        problem = json.loads(self.body)
        assert set(problem) == {"type", "title", "status", "code"}
        assert problem["status"] == self.status
        return str(problem["code"])


def reply(connection: socket.socket, *, head: bool = False) -> Reply:
    response = HTTPResponse(connection, method="HEAD" if head else "GET")
    response.begin()
    body = response.read()
    headers = {name.lower(): value for name, value in response.getheaders()}
    response.close()
    return Reply(response.status, headers, body)


@contextmanager
def running(folder: Path, **settings: Any) -> Iterator[Server]:
    """A server in a child process; it is killed at the end if a test has not stopped it."""
    errors = folder / f"stderr-{os.urandom(4).hex()}"
    told = json.dumps({"port": 0, "max_body": MAX_BODY, **settings})
    with (
        errors.open("w") as stderr,
        subprocess.Popen(
            [sys.executable, "-W", "error", "-c", CHILD, told],
            stdout=subprocess.PIPE,
            stderr=stderr,
            stdin=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "CANARY": "canary-in-environment"},
        ) as process,
    ):
        assert process.stdout is not None
        try:
            yield Server(process, errors, process.stdout.readline().strip())
        finally:
            process.kill()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("serve")
    hosts = ["127.0.0.1", "pds.example", "exact.example:8443", "[::1]"]
    with running(folder, allowed_hosts=hosts, threads=2, waiting=2, body_deadline=PATIENCE) as it:
        yield it


@contextmanager
def gate() -> Iterator[socket.socket]:
    """A listening socket that ``/gate?PORT`` connects to and waits at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        yield listener


def gated(listener: socket.socket) -> bytes:
    port = listener.getsockname()[1]
    return f"GET /gate?{port} HTTP/1.1\r\nHost: pds.example\r\n\r\n".encode()


# -- bodies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_body_arrives_whole(server: Server, method: str) -> None:
    """A body with a true length reaches the application byte for byte."""
    body = bytes(range(256)) * 300
    answer = server.ask(
        f"{method} /echo", "Host: pds.example", f"Content-Length: {len(body)}", body=body
    )
    assert (answer.status, answer.body) == (200, body)


def test_a_body_of_the_greatest_length_is_taken(server: Server) -> None:
    """The limit itself is allowed, one byte more is not."""
    body = b"x" * MAX_BODY
    answer = server.ask("POST /", "Host: pds.example", f"Content-Length: {MAX_BODY}", body=body)
    assert answer.body == body
    answer = server.ask("POST /", "Host: pds.example", f"Content-Length: {MAX_BODY + 1}")
    assert (answer.status, answer.code) == (413, "front.too_large")


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_length_is_required(server: Server, method: str) -> None:
    """Methods that carry a body need Content-Length, be it zero."""
    answer = server.ask(f"{method} /")
    assert (answer.status, answer.code) == (411, "front.length_required")
    assert server.ask(f"{method} /", "Host: pds.example", "Content-Length: 0").status == 200


@pytest.mark.parametrize("method", ["GET", "DELETE", "POST"])
def test_a_transfer_coding_is_refused(server: Server, method: str) -> None:
    """Not even a method that needs no body may come with a chunked one."""
    before = server.calls()
    chunked = b"3\r\nabc\r\n0\r\n\r\n"
    answer = server.ask(
        f"{method} /", "Host: pds.example", "Transfer-Encoding: chunked", body=chunked
    )
    assert (answer.status, answer.code) == (411, "front.length_required")
    assert server.calls() == before


@pytest.mark.parametrize("length", ["+3", "-3", "3, 4", "0x3", "3.0", "９", "1" * 16, "1" * 400])
def test_a_malformed_length_is_refused(server: Server, length: str) -> None:
    """Only plain ASCII digits are a length, and huge ones are not computed with."""
    before = server.calls()
    with server.connect() as connection:
        start = f"POST / HTTP/1.1\r\nHost: pds.example\r\nContent-Length: {length}\r\n\r\nabc"
        connection.sendall(start.encode())
        assert reply(connection).status in {400, 413}
    assert server.calls() == before


def test_a_slow_body_meets_its_deadline(tmp_path: Path) -> None:
    """A body that does not arrive in time is answered 408 and never reaches the application."""
    with running(tmp_path, body_deadline=0.2) as it:
        answer = it.ask("POST /", "Host: a", "Content-Length: 9", body=b"abc")
        assert (answer.status, answer.code) == (408, "front.body_timeout")
        assert it.calls() == 0


def test_a_silent_connection_is_closed(tmp_path: Path) -> None:
    """Headers have a deadline, and so has an idle connection."""
    with running(tmp_path, header_deadline=0.2) as it, it.connect() as slow, it.connect() as idle:
        slow.sendall(b"GET / HTTP/1.1\r\nHost:")
        idle.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert reply(idle).status == 200
        assert slow.recv(1) == b""
        assert idle.recv(1) == b""
        assert it.calls() == 1


def test_connections_are_bounded(tmp_path: Path) -> None:
    """One connection more than allowed waits until another has gone."""
    request = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    with running(tmp_path, connections=2, header_deadline=PATIENCE) as it, ExitStack() as stack:
        first, second, third = (stack.enter_context(it.connect()) for _ in range(3))
        for connection in (first, second):
            connection.sendall(request)
            assert reply(connection).status == 200
        third.sendall(request)
        assert select.select([third], [], [], 0.2)[0] == []
        first.close()
        assert reply(third).status == 200


def test_unfinished_bodies_share_a_bounded_memory(tmp_path: Path) -> None:
    """When unanswered bodies exceed the budget one is refused, and its share is given back."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n"
    with running(tmp_path, max_body=1000, bodies=1000, body_deadline=PATIENCE) as it:
        for _ in range(3):
            with it.connect() as one, it.connect() as two:
                one.sendall(head + b"x" * 600)
                two.sendall(head + b"x" * 600)
                (loser,) = select.select([one, two], [], [], PATIENCE)[0]
                answer = reply(loser)
                assert (answer.status, answer.code) == (503, "front.busy")
                assert answer.headers["retry-after"]
                winner = two if loser is one else one
                winner.sendall(b"x" * 400)
                assert reply(winner).body == b"x" * 1000


def test_large_bodies_leave_half_of_the_memory_to_the_others(tmp_path: Path) -> None:
    """One that finds no room waits unread and is served when there is some; small ones pass."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    with running(
        tmp_path, max_body=1000, large=100, bodies=2000, body_deadline=PATIENCE
    ) as it, ExitStack() as stack:  # fmt: skip
        first, second, small = (stack.enter_context(it.connect()) for _ in range(3))
        first.sendall(head % 900 + b"x" * 899)
        # The small one is answered while the first holds the room, so the first has come in.
        second.sendall(head % 900 + b"y" * 900)
        small.sendall(head % 100 + b"z" * 100)
        assert reply(small).body == b"z" * 100
        assert select.select([second], [], [], 0)[0] == []
        first.sendall(b"x")
        assert reply(first).body == b"x" * 900
        assert reply(second).body == b"y" * 900


def test_a_large_body_that_does_not_come_gives_its_room_up(tmp_path: Path) -> None:
    """Who declares much and sends little is cut off, who waits behind is served or told to come
    again; and the room is free for the next."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n\r\n"
    with running(
        tmp_path, max_body=1000, large=100, bodies=2000, body_deadline=0.5
    ) as it, it.connect() as silent, it.connect() as waiting:  # fmt: skip
        silent.sendall(head + b"x")
        waiting.sendall(head + b"y" * 900)
        answers = [reply(silent), reply(waiting)]
        assert (answers[0].status, answers[0].code) == (408, "front.body_timeout")
        assert answers[1].status in (200, 503)
        assert it.ask("POST /", "Host: a", "Content-Length: 900", body=b"z" * 900).status == 200


def test_a_large_body_has_time_for_its_length(tmp_path: Path) -> None:
    """What comes steadily is read to its end, also when others who began with it are cut off."""
    much = 2**20
    head = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n"
    with running(
        tmp_path, max_body=much, large=100, bodies=2 * much, body_deadline=0.5
    ) as it, it.connect() as steady, it.connect() as silent:  # fmt: skip
        steady.sendall(head % much + b"x" * (much - 1))
        silent.sendall(head % 100 + b"y")
        assert reply(silent).status == 408
        steady.sendall(b"x")
        assert reply(steady).body == b"x" * much


def test_large_bodies_need_twice_their_memory() -> None:
    """With less, one of them would leave nothing to the others; small ones need it once."""
    with pytest.raises(ServeError) as caught:
        ServeSettings(port=0, max_body=1000, large=100, bodies=1999)
    assert caught.value.code == "serve.settings"
    assert ServeSettings(port=0, max_body=1000, large=100, bodies=2000).room == 1000
    assert ServeSettings(port=0, max_body=1000, bodies=1000).max_body == 1000


def test_slow_bodies_occupy_no_thread(server: Server) -> None:
    """With 64 bodies on their way and 2 threads, a quick request is answered before any of them."""
    head = (
        b"POST / HTTP/1.1\r\nHost: pds.example\r\nContent-Length: 6\r\nExpect: 100-continue\r\n\r\n"
    )
    with ExitStack() as stack:
        slow = [stack.enter_context(server.connect()) for _ in range(64)]
        for connection in slow:
            connection.sendall(head)
        for connection in slow:  # the front says so when it begins to read the body
            assert connection.recv(99).startswith(b"HTTP/1.1 100")
            connection.sendall(b"abc")
        assert server.ask("GET /quick").status == 200
        assert select.select(slow, [], [], 0)[0] == []
        for connection in slow[4:]:
            connection.close()
        for connection in slow[:4]:
            connection.sendall(b"def")
            assert reply(connection).body == b"abcdef"


# -- the request head -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["pds.example", "PDS.Example", "pds.example:99", "127.0.0.1:1", "exact.example:8443", "[::1]"],
)
def test_a_host_of_ours_is_let_in(server: Server, host: str) -> None:
    """A name without port in the settings stands for every port, without regard to case."""
    assert server.ask("GET /", f"Host: {host}").status == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "exact.example", "exact.example:1", "pds.example.", "[::2]", "localhost"],
)
def test_a_foreign_host_is_refused(server: Server, host: str) -> None:
    """A Host that is not in the settings is answered 421."""
    answer = server.ask("GET /", f"Host: {host}")
    assert (answer.status, answer.code) == (421, "front.host_unknown")


@pytest.mark.parametrize(
    "headers",
    [
        ("X-A: b",),
        ("Host: pds.example", "Host: pds.example"),
        ("Host: pds.example", "Host: evil.example"),
        ("Host:",),
        ("Host: pds.example, evil.example",),
        ("Host: user@pds.example",),
        ("Host: pds.example:",),
        ("Host: pds.example/x",),
    ],
)
def test_exactly_one_well_formed_host(server: Server, headers: tuple[str, ...]) -> None:
    """No Host, two of them, or one that is no host is answered 400."""
    answer = server.ask("GET /", *headers)
    assert (answer.status, answer.code) == (400, "front.host")


def test_an_absolute_target_must_agree_with_host(server: Server) -> None:
    """The authority of an absolute target may not differ from the Host header."""
    assert server.ask("GET http://pds.example/environ").status == 200
    answer = server.ask("GET http://evil.example/environ")
    assert (answer.status, answer.code) == (400, "front.host")


@pytest.mark.parametrize("target", ["/%ff", "/%00", "/a%0d%0ab", "*", "/%ed%a0%80"])
def test_a_target_that_is_no_text_is_refused(server: Server, target: str) -> None:
    """Paths that are not UTF-8, hold control characters or are no path are refused."""
    answer = server.ask(f"OPTIONS {target}")
    assert (answer.status, answer.code) == (400, "front.target")


@pytest.mark.parametrize("method", ["CONNECT", "TRACE", "PROPFIND", "get"])
def test_other_methods_are_refused(server: Server, method: str) -> None:
    """Methods that no application here speaks do not reach one."""
    answer = server.ask(f"{method} pds.example:80" if method == "CONNECT" else f"{method} /")
    assert answer.status == 405
    assert "GET" in answer.headers["allow"]


@pytest.mark.parametrize("name", ["Authorization", "Content-Type", "Cookie", "Origin"])
def test_single_headers_come_once(server: Server, name: str) -> None:
    """A header that means one thing may not come with two values."""
    answer = server.ask("GET /", "Host: pds.example", f"{name}: a", f"{name.lower()}: b")
    assert (answer.status, answer.code) == (400, "front.header_repeated")


def test_the_environ_is_clean(server: Server) -> None:
    """Nothing of the process, no address, no smuggled header; the rest as PEP 3333 says."""
    answer = server.ask(
        "GET /environ?q=%C3%A9&r",
        "Host: pds.example",
        "X-Forwarded-For: honest",
        "X_Forwarded_For: smuggled",
        "Proxy: http://evil.example",
        "Accept: a",
        "Accept: b",
        "Content-Type: text/plain",
    )
    environ = json.loads(answer.body)
    assert environ == {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/environ",
        "QUERY_STRING": "q=%C3%A9&r",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": str(server.port),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "text/plain",
        "HTTP_HOST": "pds.example",
        "HTTP_X_FORWARDED_FOR": "honest",
        "HTTP_ACCEPT": "a,b",
        "wsgi.url_scheme": "http",
    }


def test_the_address_is_passed_only_on_request(tmp_path: Path) -> None:
    """REMOTE_ADDR is there when the settings ask for it."""
    with running(tmp_path, pass_address=True) as it:
        assert json.loads(it.ask("GET /environ").body)["REMOTE_ADDR"] == "127.0.0.1"


# -- the pool and the answers ---------------------------------------------------------------------


def test_beyond_the_queue_is_503(server: Server) -> None:
    """Two requests run, two wait, the fifth is sent away and told when to come again."""
    with gate() as listener, ExitStack() as stack:
        five = [stack.enter_context(server.connect()) for _ in range(5)]
        inside = []
        for connection in five[:2]:
            connection.sendall(gated(listener))
            inside.append(stack.enter_context(listener.accept()[0]))
        for connection in five[2:]:
            connection.sendall(gated(listener))
        (sent_away,) = select.select(five, [], [], PATIENCE)[0]
        answer = reply(sent_away)
        assert (answer.status, answer.code) == (503, "front.busy")
        assert answer.headers["retry-after"] == "1"
        for held in inside:
            held.sendall(b"x")
        for _ in range(2):
            stack.enter_context(listener.accept()[0]).sendall(b"x")
        for connection in five:
            if connection is not sent_away:
                assert reply(connection).status == 200
    assert server.ask("GET /").status == 200


def test_large_answers_and_head(server: Server) -> None:
    """2 MiB arrive whole; HEAD has the same length and no body, and the connection goes on."""
    assert server.ask("GET /big").body == b"x" * BIG
    with server.connect() as connection:
        for _ in range(2):
            connection.sendall(b"HEAD /big HTTP/1.1\r\nHost: pds.example\r\n\r\n")
            answer = reply(connection, head=True)
            assert (answer.status, answer.body) == (200, b"")
            assert answer.headers["content-length"] == str(BIG)
        connection.sendall(b"GET /after HTTP/1.1\r\nHost: pds.example\r\n\r\n")
        assert reply(connection).status == 200


def test_many_requests_on_kept_connections(server: Server) -> None:
    """Connections are kept, and answers never change places between parallel clients."""
    wrong: list[int] = []

    def client(number: int) -> None:
        with urllib3.HTTPConnectionPool("127.0.0.1", server.port, maxsize=1) as pool:
            for turn in range(50):
                body = b"%d-%d" % (number, turn)
                if pool.request("POST", "/", body=body, retries=False).data != body:
                    wrong.append(number)
            if pool.num_connections != 1:
                wrong.append(-number)

    clients = [threading.Thread(target=client, args=(number,)) for number in range(1, 5)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    assert wrong == []


def test_a_failing_application_tells_the_client_nothing(server: Server) -> None:
    """The client gets a bare 500; stderr gets the type and the place, not the text."""
    answer = server.ask("GET /boom")
    assert (answer.status, answer.code) == (500, "front.application_failed")
    assert b"canary" not in answer.body
    line = server.stderr().splitlines()[-1]
    assert line.startswith("application error: ValueError at __main__:")
    assert line.endswith(" in app")
    assert "canary" not in server.stderr()


def test_no_application_error_ends_a_thread(server: Server) -> None:
    """An application that calls sys.exit, more often than there are threads, is only a 500."""
    for _ in range(3):
        assert server.ask("GET /exit").status == 500
    assert server.ask("GET /").status == 200


@pytest.mark.parametrize(
    "path", ["no-start", "two-starts", "split", "name", "wrong-length", "status"]
)
def test_a_malformed_answer_is_a_500(server: Server, path: str) -> None:
    """What breaks PEP 3333 or would split the response is not sent on."""
    answer = server.ask(f"GET /{path}")
    assert (answer.status, answer.code) == (500, "front.application_failed")
    assert "x-split" not in answer.headers
    assert "_Malformed" in server.stderr().splitlines()[-1]


def test_what_wsgi_allows_works(server: Server) -> None:
    """A replaced start, the write callable, close() and connection headers behave as specified."""
    assert server.ask("GET /replaced").status == 409
    assert server.ask("GET /written").body == b"written"
    assert server.ask("GET /closing").body == b"closing"
    assert json.loads(server.ask("GET /calls").body)[1] == 1
    headers = server.ask("GET /hop").headers
    assert headers["x-kept"] == "1"
    assert not {"connection", "upgrade"} & headers.keys()


def test_nothing_is_logged(server: Server) -> None:
    """No access log, and what frameworks write to wsgi.errors stays out too."""
    before = server.stderr()
    server.ask("GET /errors?canary-in-query")
    server.ask("GET /canary-in-path", "Host: canary.example")
    assert server.stderr() == before
    assert "canary" not in before
    assert "127.0.0.1" not in before


def test_refusals_repeat_nothing(server: Server) -> None:
    """A problem of the front's own never contains a piece of the request."""
    for start, *headers in (
        ("CANARY /canary", "Host: pds.example"),
        ("GET /canary%ff", "Host: pds.example"),
        ("GET /canary", "Host: canary@"),
        ("GET /canary", "Host: canary"),
        ("POST /canary", "Host: pds.example", "Content-Length: 999999999", "X-Canary: canary"),
    ):
        answer = server.ask(start, *headers)
        assert answer.code.startswith("front.")
        assert b"canary" not in answer.body.lower()
        assert answer.headers["connection"] == "close"


# -- starting and stopping ------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_graceful(tmp_path: Path, number: signal.Signals) -> None:
    """The port closes, a hung body gets 503, idle connections end, a running request finishes."""
    with (
        running(tmp_path, body_deadline=PATIENCE, grace=PATIENCE) as it,
        gate() as listener,
        it.connect() as idle,
        it.connect() as hung,
        it.connect() as busy,
    ):
        idle.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert reply(idle).status == 200
        hung.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n")
        hung.sendall(b"Expect: 100-continue\r\n\r\n")
        assert hung.recv(99).startswith(b"HTTP/1.1 100")
        hung.sendall(b"abc")
        busy.sendall(gated(listener))
        with listener.accept()[0] as inside:
            it.process.send_signal(number)
            answer = reply(hung)
            assert (answer.status, answer.code) == (503, "front.stopping")
            assert idle.recv(1) == b""
            wait_until_closed(it.port)
            assert it.process.poll() is None
            inside.sendall(b"x")
            assert reply(busy).status == 200
        assert it.wait() == 0
        assert it.process.stdout is not None
        assert it.process.stdout.read() == "stopped\n"
        assert it.stderr() == ""


def test_a_request_whose_client_has_gone_is_finished(tmp_path: Path) -> None:
    """A stop waits for the application even where nobody waits for the answer."""
    with running(tmp_path, grace=PATIENCE) as it, gate() as listener:
        with it.connect() as gone:
            gone.sendall(gated(listener))
            inside = listener.accept()[0]
        with inside:
            it.process.send_signal(signal.SIGTERM)
            wait_until_closed(it.port)
            assert select.select([inside], [], [], 0.2)[0] == []  # a premature end would show here
            inside.sendall(b"x")
            inside.settimeout(PATIENCE)
            assert inside.recv(99) == b"done"
        assert it.wait() == 0
        assert it.stderr() == ""


def wait_until_closed(port: int) -> None:
    """Connect until the port refuses; a connection that the closing overtakes is reset."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            continue


def test_a_hanging_application_cannot_hold_a_stop(tmp_path: Path) -> None:
    """After the grace the process ends with 0, without a word, though a request still runs."""
    with running(tmp_path, grace=0.2) as it, gate() as listener, it.connect() as busy:
        busy.sendall(gated(listener))
        with listener.accept()[0]:
            it.process.send_signal(signal.SIGTERM)
            assert it.wait() == 0
        assert it.stderr() == ""


def test_a_client_that_does_not_read_cannot_hold_a_stop(tmp_path: Path) -> None:
    """The grace also bounds an answer that nobody takes."""
    with running(tmp_path, grace=0.2) as it, it.connect() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        for _ in range(20):  # more than the buffers of both sides hold
            deaf.sendall(b"GET /big HTTP/1.1\r\nHost: a\r\n\r\n")
        assert deaf.recv(9)
        it.process.send_signal(signal.SIGTERM)
        assert it.wait() == 0
        assert it.stderr() == ""


def test_a_port_has_one_server(tmp_path: Path) -> None:
    """A second server is told that the port is in use, before anything starts."""
    with running(tmp_path) as first:
        with running(tmp_path, port=first.port) as second:
            assert second.first_line == "serve.port_in_use True"
            assert second.wait() != 0
        # Not even a program that offers to share can have the port beside us.
        with socket.socket() as sharing:
            sharing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            with pytest.raises(OSError, match="in use"):
                sharing.bind(("127.0.0.1", first.port))
        assert first.ask("GET /", "Host: a").status == 200


def test_a_sharing_server_is_noticed(tmp_path: Path) -> None:
    """A port whose owner would share it counts as in use too."""
    with socket.socket() as sharing:
        sharing.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sharing.bind(("127.0.0.1", 0))
        sharing.listen()
        with running(tmp_path, port=sharing.getsockname()[1]) as it:
            assert it.first_line == "serve.port_in_use True"


def test_a_data_folder_has_one_server(tmp_path: Path) -> None:
    """The lock refuses a second server on another port, and is free when the first is killed."""
    folder = str(tmp_path)
    with running(tmp_path, lock_dir=folder) as first:
        with running(tmp_path, lock_dir=folder) as second:
            assert second.first_line == "serve.data_in_use True"
        first.process.kill()
        first.wait()
        with running(tmp_path, lock_dir=folder) as third:
            assert third.ask("GET /", "Host: a").status == 200
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600


def test_a_missing_data_folder_is_said(tmp_path: Path) -> None:
    """A lock that cannot be made is an error of its own."""
    with running(tmp_path, lock_dir=str(tmp_path / "missing")) as it:
        assert it.first_line == "serve.data_folder True"


def test_an_address_that_is_not_ours_is_said(tmp_path: Path) -> None:
    """Neither a foreign address nor a name that cannot be is a traceback."""
    for host in ("192.0.2.1", "no name"):
        with running(tmp_path, host=host) as it:
            assert it.first_line == "serve.cannot_listen True"
            assert it.stderr() == ""


def test_a_killed_server_leaves_nothing_behind(tmp_path: Path) -> None:
    """After kill -9 the same port serves again at once, though a client's connection is open."""
    with running(tmp_path) as first, first.connect() as open_still:
        open_still.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert reply(open_still).status == 200
        children = Path(f"/proc/{first.process.pid}/task/{first.process.pid}/children")
        if children.exists():
            assert children.read_text() == ""
        first.process.kill()
        first.wait()
        with running(tmp_path, port=first.port) as second:
            assert second.port == first.port
            assert second.ask("GET /", "Host: a").status == 200


# -- TLS ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A self-signed certificate for localhost and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate, private = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    private.write_bytes(key.private_bytes(*pem, serialization.NoEncryption()))
    locked = serialization.BestAvailableEncryption(b"secret")
    (folder / "locked.pem").write_bytes(key.private_bytes(*pem, locked))
    return certificate, private


def test_tls(tmp_path: Path, certificate: tuple[Path, Path]) -> None:
    """Over TLS: verified by an ordinary client, scheme https, large answers, a graceful stop."""
    cert, key = map(str, certificate)
    with running(tmp_path, tls_cert=cert, tls_key=key, body_deadline=PATIENCE) as it:
        with urllib3.HTTPSConnectionPool("localhost", it.port, ca_certs=cert) as pool:
            environ = pool.request("GET", "/environ", retries=False).json()
            assert environ["wsgi.url_scheme"] == "https"
            assert pool.request("GET", "/big", retries=False).data == b"x" * BIG
            body = os.urandom(MAX_BODY)
            assert pool.request("POST", "/", body=body, retries=False).data == body
        context = ssl.create_default_context(cafile=cert)
        context.set_alpn_protocols(["h2", "http/1.1"])
        with context.wrap_socket(it.connect(), server_hostname="localhost") as offered:
            assert offered.selected_alpn_protocol() == "http/1.1"
        with (
            it.connect() as half_shaken,
            it.connect() as plain,
            context.wrap_socket(it.connect(), server_hostname="localhost") as idle,
            context.wrap_socket(it.connect(), server_hostname="localhost") as hung,
        ):
            half_shaken.sendall(b"\x16\x03\x01")
            plain.sendall(b"GET /environ HTTP/1.1\r\nHost: a\r\n\r\n")
            assert not plain.recv(99).startswith(b"HTTP")
            idle.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert reply(idle).status == 200
            hung.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n")
            hung.sendall(b"Expect: 100-continue\r\n\r\n")
            assert hung.recv(99).startswith(b"HTTP/1.1 100")
            it.process.send_signal(signal.SIGTERM)
            assert reply(hung).status == 503
            assert it.wait() == 0
        assert it.stderr() == ""


@pytest.mark.parametrize("case", ["missing", "swapped", "locked"])
def test_an_unusable_certificate_is_said(
    tmp_path: Path, certificate: tuple[Path, Path], case: str
) -> None:
    """A missing file, a key that is none, and an encrypted key are refused without asking."""
    cert, key = certificate
    pair = {
        "missing": (cert, tmp_path / "missing.pem"),
        "swapped": (key, cert),
        "locked": (cert, cert.with_name("locked.pem")),
    }[case]
    with running(tmp_path, tls_cert=str(pair[0]), tls_key=str(pair[1])) as it:
        assert it.first_line == "serve.tls True"
        assert it.stderr() == ""


# -- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wrong",
    [
        {"port": -1},
        {"port": 65536},
        {"max_body": 0},
        {"threads": 0},
        {"connections": 0},
        {"bodies": 5},
        {"waiting": -1},
        {"grace": -0.1},
        {"grace": math.nan},
        {"body_deadline": 0},
        {"body_deadline": math.nan},
        {"header_deadline": -1},
        {"allowed_hosts": frozenset({"http://pds.example"})},
        {"tls_cert": Path("cert.pem")},
        {"tls_key": Path("key.pem")},
    ],
)
def test_settings_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    """Each setting has a range, and the hint says it."""
    with pytest.raises(ServeError) as caught:
        ServeSettings(**{"port": 0, **wrong})
    assert caught.value.code == "serve.settings"
    assert caught.value.hint


def test_a_server_needs_the_main_thread() -> None:
    """Elsewhere the signals would not reach it, so it does not start."""
    codes: list[str] = []

    def attempt() -> None:
        try:
            serve(lambda environ, start: [], ServeSettings(port=0))
        except ServeError as error:
            codes.append(error.code)

    thread = threading.Thread(target=attempt)
    thread.start()
    thread.join()
    assert codes == ["serve.failed"]
