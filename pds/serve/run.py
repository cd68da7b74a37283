"""Starting and stopping: the lock, the port, the server, the signals.

One process. granian's embedded server runs in it, so there is no worker that could outlive a
killed parent.
"""

import asyncio
import errno
import fcntl
import logging
import os
import signal
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from pds.serve.batches import Batcher, batched_of
from pds.serve.door import Door
from pds.serve.settings import ServeError, ServeSettings
from pds.serve.wsgi import Pool, WsgiApp, describe

_BACKLOG = 1024
_GOODBYE = 2.0
_log = logging.getLogger("pds.serve")


def serve(
    wsgi_app: WsgiApp,
    settings: ServeSettings,
    *,
    on_ready: Callable[[int], None] | None = None,
    lock_dir: Path | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then stop gracefully and return.

    Guarantees: nothing starts unless the port is ours alone and, with ``lock_dir``, the lock file
    in that folder too; both are free again when the process ends in whatever way. A stop closes
    the port, answers 503 to bodies that are still on their way, and lets running requests finish
    for at most ``grace`` seconds; if something still runs then, the process ends there and then
    with status 0, and this function does not return. ``on_ready`` gets the port when connections
    are taken.

    Call it in the main thread: it handles the two signals.
    Raises ``ServeError``: ``serve.port_in_use``, ``serve.data_in_use``, ``serve.data_folder``,
    ``serve.cannot_listen``, ``serve.tls``, ``serve.failed``.
    """
    if threading.current_thread() is not threading.main_thread():
        raise ServeError("A server must be run in the main thread.", code="serve.failed")
    with nullcontext() if lock_dir is None else locked(lock_dir):
        check_tls(settings)
        before = _foreign_threads()
        try:
            with listening(settings) as listener:
                asyncio.run(run(wsgi_app, settings, listener, on_ready))
        finally:
            # granian's threads say goodbye to Python a moment after the server has ended. If the
            # interpreter goes down under them they panic, which may abort the process.
            until = time.monotonic() + _GOODBYE
            while _foreign_threads() - before and time.monotonic() < until:
                time.sleep(0.001)


async def run(
    wsgi_app: WsgiApp,
    settings: ServeSettings,
    listener: socket.socket,
    on_ready: Callable[[int], None] | None,
) -> None:
    """Serve on ``listener`` until SIGTERM or SIGINT; ``serve`` says what holds meanwhile."""
    loop = asyncio.get_running_loop()
    port: int = listener.getsockname()[1]
    started, stop = asyncio.Event(), asyncio.Event()

    def report(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        # asyncio itself would print the error's text, which may hold personal data.
        if (error := context.get("exception")) is not None:
            _log.error("server error: %s", describe(error))

    loop.set_exception_handler(report)
    pool = Pool(wsgi_app, threads=settings.threads, waiting=settings.waiting)
    batchers = {
        route: Batcher(batched, waiting=settings.waiting)
        for route, batched in batched_of(wsgi_app).items()
    }
    door = Door(settings, pool, batchers, port=port, started=started.set)
    server = _granian(door, settings, listener)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    serving = asyncio.create_task(server.serve())
    try:
        await _first(serving, started)
        if not serving.done():
            if on_ready is not None:
                on_ready(port)
            await _first(serving, stop)
        if serving.done():
            raise _broken(serving)
    except BaseException:
        await _stop(server, serving, door, [pool, *batchers.values()], settings.grace, status=1)
        raise
    await _stop(server, serving, door, [pool, *batchers.values()], settings.grace, status=0)


async def _stop(
    server: Any,
    serving: "asyncio.Task[None]",
    door: Door,
    workers: Sequence[Pool | Batcher],
    grace: float,
    *,
    status: int,
) -> None:
    """Let running requests finish; end the process with ``status`` if one does not in time."""
    until = time.monotonic() + grace
    server.stop()
    door.stop()
    # Connections end by themselves, idle ones at once, others with their answer.
    _, left = await asyncio.wait({serving}, timeout=grace)
    idle = [await asyncio.to_thread(each.close, until=until) for each in workers]
    if left or not all(idle):
        # Neither a thread of the application nor a connection whose client does not read can be
        # ended from here, and both would go on while the interpreter is taken down around them.
        logging.shutdown()
        with suppress(OSError, ValueError):
            sys.stdout.flush()
        os._exit(status)


async def _first(serving: "asyncio.Task[None]", event: asyncio.Event) -> None:
    """Wait until the event is set or the server has ended."""
    waiting = asyncio.create_task(event.wait())
    try:
        await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()


def _broken(serving: "asyncio.Task[None]") -> ServeError:
    error = None if serving.cancelled() else serving.exception()
    reason = f": {describe(error)}" if error else ""
    return ServeError(f"The server broke down{reason}.", code="serve.failed")


def _granian(door: Door, settings: ServeSettings, listener: socket.socket) -> Any:
    # Here and not above: the import takes a while, and most commands serve nothing.
    from granian._granian import SocketHolder
    from granian.constants import HTTPModes, SSLProtocols
    from granian.http import HTTP1Settings
    from granian.server.embed import Server

    server = Server(
        door,
        address=settings.host,
        port=listener.getsockname()[1],
        http=HTTPModes.http1,  # HTTP/2 takes bodies without a length
        websockets=False,
        backlog=_BACKLOG,
        backpressure=settings.connections,
        http1_settings=HTTP1Settings(
            header_read_timeout=max(1, int(settings.header_deadline * 1000)),
            max_buffer_size=65_536,
        ),
        ssl_cert=settings.tls_cert,
        ssl_key=settings.tls_key,
        ssl_protocol_min=SSLProtocols.tls12,  # rustls speaks only its forward-secret suites
        log_enabled=False,
        # Left to itself granian replaces the logging set-up of the whole process.
        log_dictconfig={"incremental": True, "handlers": {}, "loggers": {}},
    )
    # granian would open the port itself, with SO_REUSEPORT: a second server could share it
    # unnoticed. It gets our socket instead, owns it from here on, and closes it when it stops.
    holder: Any = SocketHolder
    backlog = (_BACKLOG,) if sys.platform.startswith(("linux", "freebsd")) else ()
    server._shd = holder(listener.detach(), False, *backlog)
    server._init_shared_socket = lambda: None
    return server


def _foreign_threads() -> set[int]:
    """Threads of this process that Python did not start; empty where the system does not tell."""
    try:
        threads = {int(number) for number in os.listdir("/proc/self/task")}
    except FileNotFoundError:
        return set()
    return threads - {thread.native_id for thread in threading.enumerate()}


@contextmanager
def listening(settings: ServeSettings) -> Iterator[socket.socket]:
    """A listening socket on a port that nobody else listens on, and nobody else can join."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        # create_server sets SO_REUSEADDR, so that a restart need not wait, and never SO_REUSEPORT.
        listener = socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ServeError(
                f"Port {settings.port} is in use by another program.",
                code="serve.port_in_use",
                hint="Stop the other server, or choose another port.",
            ) from None
        raise ServeError(
            f"Cannot listen on port {settings.port}: {os.strerror(error.errno or 0)}.",
            code="serve.cannot_listen",
            hint="The address must be one of this machine's; ports below 1024 need a privilege.",
        ) from None
    with listener:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield listener


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold ``folder/lock``. The system lets go of it when the process ends, however it ends."""
    try:
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ServeError(
            f"Cannot open the lock in the data folder: {os.strerror(error.errno or 0)}.",
            code="serve.data_folder",
            hint="The folder must exist and be writable by this user.",
        ) from None
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ServeError(
                "Another process is using this data folder.",
                code="serve.data_in_use",
                hint="Stop the other server first; one process serves a data folder.",
            ) from None
        yield
    finally:
        os.close(lock)


def check_tls(settings: ServeSettings) -> None:
    """Return if the certificate and the key can be used. Raises ``ServeError`` ``serve.tls``."""
    if settings.tls_cert is None or settings.tls_key is None:
        return
    try:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # Without a password callback OpenSSL would ask at the terminal for an encrypted key's.
        context.load_cert_chain(settings.tls_cert, settings.tls_key, password=lambda: "")
    except (OSError, ValueError):  # ssl.SSLError is an OSError
        raise ServeError(
            "The TLS certificate and key cannot be used.",
            code="serve.tls",
            hint="Both must be PEM files that belong together; the key must not be encrypted.",
        ) from None
