"""A relay that lies, as a process of its own would: real HTTP in front of a real relay.

It passes every call on and gives the answer back, but for what its ``lie`` makes of it: another
answer, or octets that are no HTTP at all, for as long as the other side listens.
"""

import http.client
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from did.json import Json, JsonObject, canonicalize, parse_object


@dataclass(frozen=True)
class Asked:
    """A call as it arrived."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Said:
    """An answer, as the relay gave it or as it was bent."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> JsonObject:
        return parse_object(self.body)

    def saying(self, value: Mapping[str, Json], *, status: int | None = None) -> "Said":
        """The same answer with another body."""
        return Said(status or self.status, self.headers, canonicalize(dict(value)))

    def octets(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} X"]
        kept = ("content-type", "retry-after", "pds-stamp", "location", "content-encoding")
        lines += [f"{name}: {self.headers[name]}" for name in kept if name in self.headers]
        length = self.headers.get("x-length", str(len(self.body)))
        lines += ["connection: close", f"content-length: {length}", "", ""]
        return "\r\n".join(lines).encode("latin-1") + self.body


Lie = Callable[[Asked, Said], "Said | Iterator[bytes]"]


def honest(_asked: Asked, said: Said) -> Said:
    return said


@dataclass
class Liar:
    """Listens on ``port`` for the relay at ``real``."""

    port: int
    real: int
    lie: Lie = honest
    told: int = 0
    """How many answers were not the relay's."""
    sent: int = 0
    """The most octets that one answer without end came to before the other side hung up."""
    open: int = 0
    """Connections that the other side has not closed."""
    _lock: threading.Condition = field(default_factory=threading.Condition)

    def begin(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._listen, daemon=True).start()

    def end(self) -> None:
        self._listener.close()

    def be(self, lie: Lie) -> None:
        """Lie like this from now on."""
        with self._lock:
            self.lie, self.told, self.sent = lie, 0, 0

    def wait_until_left(self) -> None:
        """Wait until nobody listens any more: who waits for ever for a liar fails here."""
        with self._lock:
            if not self._lock.wait_for(lambda: self.open == 0, timeout=30):
                raise TimeoutError("somebody still listens")

    def _listen(self) -> None:
        with suppress(OSError):
            while True:
                conn, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn: socket.socket) -> None:
        # Who has closed with a full buffer says so late: what nobody takes is not pressed on them.
        conn.settimeout(5)
        with self._lock:
            self.open += 1
        try:
            with conn, suppress(OSError, http.client.HTTPException):
                asked = _read(conn)
                if asked is not None:
                    self._answer(conn, asked)
        finally:
            with self._lock:
                self.open -= 1
                self._lock.notify_all()

    def _answer(self, conn: socket.socket, asked: Asked) -> None:
        said = self._pass_on(asked)
        bent = self.lie(asked, said)
        if bent is not said:
            with self._lock:
                self.told += 1
        if isinstance(bent, Said):
            conn.sendall(bent.octets())
            return
        sent = 0
        try:
            for piece in bent:
                conn.sendall(piece)
                sent += len(piece)
        finally:
            with self._lock:
                self.sent = max(self.sent, sent)

    def _pass_on(self, asked: Asked) -> Said:
        inner = http.client.HTTPConnection("127.0.0.1", self.real, timeout=20)
        try:
            inner.request(asked.method, asked.path, body=asked.body or None, headers=asked.headers)
            answer = inner.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return Said(answer.status, headers, answer.read())
        finally:
            inner.close()


def _read(conn: socket.socket) -> Asked | None:
    octets = b""
    while b"\r\n\r\n" not in octets:
        piece = conn.recv(65_536)
        if not piece:
            return None
        octets += piece
    head, _, body = octets.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ")
    headers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    lower = {name.lower(): value for name, value in headers.items()}
    while len(body) < int(lower.get("content-length", "0")):
        body += conn.recv(65_536)
    return Asked(method, path, headers, body)
