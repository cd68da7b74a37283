"""What a server is told, and how it fails to start."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pds.errors import PdsError

# RFC 9110 section 7.2: uri-host [ ":" port ], without the user information that RFC 3986 allows.
HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?")


class ServeError(PdsError):
    """The server cannot start, or broke down.

    ``serve.settings``, ``serve.tls``, ``serve.cannot_listen``, ``serve.port_in_use``,
    ``serve.data_in_use``, ``serve.data_folder``, ``serve.failed``.
    """

    default_code: ClassVar[str] = "serve.failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    """How to listen and what to let in. Lengths are bytes, times seconds.

    ``port`` 0 takes a free one. An entry of ``allowed_hosts`` without a port stands for the host on
    every port, one with a port for exactly that; empty lets every host name in. ``waiting`` is how
    many complete requests may queue for a thread, ``connections`` how many clients are served
    at once, ``bodies`` how much of unanswered requests is kept in memory. Half of that is for
    requests of more than ``large``, if there may be any: each waits until there is room for all of
    it. ``body_deadline`` is what the first bytes of a body may take, and a large one 4 seconds more
    for each MiB that arrived: who sends more slowly gives the room up. ``header_deadline`` is
    also how long an idle connection is kept; ``grace`` is how long a stop waits for answers.
    ``waiters`` is how many of the connections may wait for something to happen (``ask_again``);
    every ``recheck`` the application looks whether it happened in another process.
    TLS needs both PEM files; the key must not be encrypted.

    Raises ``ServeError`` ``serve.settings``.
    """

    host: str = "127.0.0.1"
    port: int
    max_body: int = 2_097_152
    large: int = 2_097_152
    body_deadline: float = 10.0
    threads: int = 4
    tls_cert: Path | None = None
    tls_key: Path | None = None
    allowed_hosts: frozenset[str] = frozenset()
    pass_address: bool = False
    waiting: int = 64
    connections: int = 1024
    waiters: int = 512
    recheck: float = 5.0
    bodies: int = 67_108_864
    header_deadline: float = 15.0
    grace: float = 10.0

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65535:
            raise _wrong("port", "0 to 65535")
        for name in ("max_body", "threads", "connections", "bodies"):
            if getattr(self, name) < 1:
                raise _wrong(name, "at least 1")
        for name in ("body_deadline", "header_deadline", "recheck"):
            if not getattr(self, name) > 0:
                raise _wrong(name, "more than 0 seconds")
        for name in ("waiting", "grace", "waiters"):
            if not getattr(self, name) >= 0:
                raise _wrong(name, "0 or more")
        if self.bodies < self.max_body * (2 if self.max_body > self.large else 1):
            raise _wrong("bodies", "at least max_body, and twice as much where that is large")
        if not all(HOST.fullmatch(entry) for entry in self.allowed_hosts):
            raise _wrong("allowed_hosts", "host names, each with a port or without")
        if (self.tls_cert is None) != (self.tls_key is None):
            raise _wrong("tls_cert and tls_key", "both or neither")

    @property
    def room(self) -> int:
        """What large bodies may take together of the memory for all."""
        return self.bodies // 2

    @property
    def scheme(self) -> str:
        """``https`` with a certificate, else ``http``."""
        return "http" if self.tls_cert is None else "https"


def _wrong(name: str, expected: str) -> ServeError:
    return ServeError(
        f"The setting {name} is out of range.",
        code="serve.settings",
        exit_code=2,
        hint=f"Allowed: {expected}.",
    )
