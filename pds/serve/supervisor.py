"""Several processes behind one port: a parent that starts them, watches over them, renews them.

The parent holds the port and the lock and loads nothing of the application, so that a fork of it
is cheap and clean. Workers are forks that load everything themselves. When the parent ends, in
whatever way, so do they; when one of them ends, another takes its place.
"""

import asyncio
import json
import logging
import os
import selectors
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

from pds.serve.run import check_tls, listening, locked, run
from pds.serve.settings import ServeError, ServeSettings
from pds.serve.wsgi import WsgiApp, describe

Load = Callable[[], tuple[Callable[[], WsgiApp], ServeSettings]]
"""Reads the settings; gives them with a function that makes the application."""

_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_AGAIN_AFTER: Final = 1.0
_BEYOND_GRACE: Final = 5.0
_MOST_SAID: Final = 4096
_log = logging.getLogger("pds.serve")


@dataclass(frozen=True, slots=True)
class Service:
    """What is served at one address by so many processes."""

    load: Load
    workers: int = 1


@dataclass(frozen=True, slots=True)
class _Post:
    """A place for one worker: what it loads, and where it listens."""

    load: Load
    listener: socket.socket


@dataclass(slots=True)
class _Worker:
    """A process, and the pipe on which it says that it is ready, or why it is not."""

    post: _Post
    pid: int
    pipe: int
    said: bytes = b""
    ready: bool = False


@dataclass(slots=True)
class _State:
    workers: list[_Worker] = field(default_factory=list)
    coming: list[_Worker] = field(default_factory=list)
    """The next set, while a reload is under way."""
    leaving: list[_Worker] = field(default_factory=list)
    vacant: list[_Post] = field(default_factory=list)
    announced: bool = False
    asked: bool = False
    """A reload is asked for and has not begun."""
    missing_since: float | None = None


def supervise(
    services: Sequence[Service],
    *,
    on_ready: Callable[[int], None] | None = None,
    lock_dir: Path | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT; then stop gracefully and return.

    ``load`` of each service is called here once, for its address, and once in each worker. SIGHUP
    reloads: new workers load everything anew, TLS certificates too, and take over once all of them
    are ready; if one cannot start, the old ones go on. One more reload follows on a SIGHUP during
    the start or a reload. The ports are open all the while, so
    addresses are what they were at the start. ``on_ready`` gets the port of the first service when
    all workers take connections.

    Guarantees of ``pds.serve.serve`` hold for each worker. Call it in the main thread of a process
    that has no other. Raises what ``serve`` raises, and ``ServeError`` with the code of the
    error that kept the first workers from starting.
    """
    if threading.current_thread() is not threading.main_thread():
        raise ServeError("A server must be run in the main thread.", code="serve.failed")
    with ExitStack() as stack:
        if lock_dir is not None:
            stack.enter_context(locked(lock_dir))
        posts: list[_Post] = []
        grace = 0.0
        for service in services:
            _, settings = service.load()
            check_tls(settings)
            listener = stack.enter_context(listening(settings))
            posts += [_Post(service.load, listener)] * service.workers
            grace = max(grace, settings.grace)
        _Supervisor(posts, grace, on_ready).run()


class _Supervisor:
    def __init__(
        self, posts: list[_Post], grace: float, on_ready: Callable[[int], None] | None
    ) -> None:
        self._posts = posts
        self._grace = grace
        self._on_ready = on_ready
        self._state = _State()
        self._selector = selectors.DefaultSelector()
        # Workers hold the reading end only: it ends when the parent does.
        self._alive, self._life = os.pipe()

    def run(self) -> None:
        with _woken_by_signals() as woken:
            self._selector.register(woken, selectors.EVENT_READ, None)
            try:
                self._state.workers = [self._start(post) for post in self._posts]
                while not self._turn(woken):
                    continue
            finally:
                self._stop()
                os.close(self._alive)
                os.close(self._life)

    def _turn(self, woken: int) -> bool:
        """Handle what happened; whether to stop."""
        state = self._state
        waiting = None if state.missing_since is None else _AGAIN_AFTER
        numbers: set[int] = set()
        for key, _ in self._selector.select(waiting):
            if key.data is None:
                with suppress(BlockingIOError):
                    numbers |= set(os.read(woken, 512))
            else:
                self._hear(key.data)
        if signal.SIGCHLD in numbers:
            self._reap()
        if signal.SIGHUP in numbers:
            state.asked = True
            if state.coming:
                _log.info("another reload is asked for; it comes after this one")
        self._take_over()
        self._fill_up()
        ready = not state.vacant and all(worker.ready for worker in state.workers)
        if ready and not state.announced:
            state.announced = True
            if self._on_ready is not None:
                self._on_ready(self._posts[0].listener.getsockname()[1])
        # What begins to load from here on sees all that was changed before the signal.
        if state.asked and state.announced and not state.coming:
            state.asked = False
            _log.info("reloading")
            state.coming = [self._start(post) for post in self._posts]
        return bool(numbers & {signal.SIGTERM, signal.SIGINT})

    # --- workers

    def _start(self, post: _Post) -> _Worker:
        reading, writing = os.pipe()
        # Until the worker has its own handlers, a signal to it would be told to its parent.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            os.close(self._life)
            _work(post, alive=self._alive, say=writing)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        os.close(writing)
        worker = _Worker(post, pid, reading)
        self._selector.register(reading, selectors.EVENT_READ, worker)
        return worker

    def _hear(self, worker: _Worker) -> None:
        data = os.read(worker.pipe, _MOST_SAID)
        worker.said = (worker.said + data)[:_MOST_SAID]
        worker.ready = worker.said.startswith(b"{}")

    def _reap(self) -> None:
        """Take note of the processes that have ended."""
        state = self._state
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            for group in (state.workers, state.coming, state.leaving):
                for worker in [worker for worker in group if worker.pid == pid]:
                    group.remove(worker)
                    self._ended(worker, group, _how(status))

    def _ended(self, worker: _Worker, group: list[_Worker], how: str) -> None:
        while (data := os.read(worker.pipe, _MOST_SAID)) and len(worker.said) < _MOST_SAID:
            worker.said += data
        self._selector.unregister(worker.pipe)
        os.close(worker.pipe)
        state = self._state
        if group is state.workers:
            if not state.announced:
                raise _failure(worker)
            _log.error("a worker ended (%s); another one takes its place", how)
            state.vacant.append(worker.post)
            state.missing_since = state.missing_since or time.monotonic()
        elif group is state.coming:
            failure = _failure(worker)
            _log.error("the reload failed: %s (%s); the old ones go on", failure, failure.code)
            for each in state.coming:
                _signal(each, signal.SIGTERM)
            state.leaving += state.coming
            state.coming = []

    def _take_over(self) -> None:
        """The new set works: the old one may go."""
        state = self._state
        if state.coming and all(worker.ready for worker in state.coming):
            for worker in state.workers:
                _signal(worker, signal.SIGTERM)
            state.leaving += state.workers
            state.workers, state.coming = state.coming, []
            state.vacant.clear()
            state.missing_since = None
            _log.info("reloaded")

    def _fill_up(self) -> None:
        state = self._state
        if state.missing_since is None or time.monotonic() < state.missing_since + _AGAIN_AFTER:
            return
        state.missing_since = None
        state.workers += [self._start(post) for post in state.vacant]
        state.vacant.clear()

    def _stop(self) -> None:
        """End every worker: in good order, and if that takes too long without."""
        state = self._state
        left = [*state.workers, *state.coming, *state.leaving]
        for worker in left:
            _signal(worker, signal.SIGTERM)
        until = time.monotonic() + self._grace + _BEYOND_GRACE
        while left:
            for worker in list(left):
                pid, _ = _wait(worker)
                if pid:
                    left.remove(worker)
            if left and time.monotonic() > until:
                for worker in left:
                    _signal(worker, signal.SIGKILL)
                until += _BEYOND_GRACE
            if left:
                time.sleep(0.005)


def _how(status: int) -> str:
    """How a process ended, for the log."""
    code = os.waitstatus_to_exitcode(status)
    return f"signal {-code}" if code < 0 else f"status {code}"


def _wait(worker: _Worker) -> tuple[int, int]:
    try:
        return os.waitpid(worker.pid, os.WNOHANG)
    except ChildProcessError:
        return worker.pid, 0


def _signal(worker: _Worker, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(worker.pid, number)


def _failure(worker: _Worker) -> ServeError:
    """What a worker said before it ended; it never says what the error was about."""
    try:
        said = json.loads(worker.said.rpartition(b"\n")[2] or worker.said)
        return ServeError(
            str(said["message"]),
            code=str(said["code"]),
            hint=str(said["hint"]),
            exit_code=int(said["exit"]),
        )
    except (ValueError, KeyError, TypeError):
        return ServeError("A worker ended before it was ready.", code="serve.failed")


@contextmanager
def _woken_by_signals() -> Iterator[int]:
    """A descriptor from which the numbers of arriving signals are read."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
    old = signal.set_wakeup_fd(writing)
    try:
        yield reading
    finally:
        signal.set_wakeup_fd(old)
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reading)
        os.close(writing)


# --- in a worker


def _work(post: _Post, *, alive: int, say: int) -> NoReturn:
    """The life of a worker, from the fork to its end."""
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        for number in _SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        # Not asked to reload: the parent answers that with new workers.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        threading.Thread(target=_end_with, args=(alive,), daemon=True).start()
        make, settings = post.load()
        check_tls(settings)
        app = make()
        asyncio.run(run(app, settings, post.listener, lambda _: _say(say, b"{}\n")))
        status = 0
    except BaseException as error:  # noqa: BLE001  a worker ends here, whatever happened
        _log.error("a worker failed: %s", describe(error))
        code = getattr(error, "code", None)
        if isinstance(code, str):
            said = {
                "message": str(error),
                "code": code,
                "hint": str(getattr(error, "hint", "")),
                "exit": int(getattr(error, "exit_code", 1)),
            }
            _say(say, json.dumps(said).encode())
    finally:
        logging.shutdown()
        os._exit(status)


def _say(pipe: int, words: bytes) -> None:
    with suppress(OSError):
        os.write(pipe, words)


def _end_with(alive: int) -> None:
    """End this process at once when its parent has ended."""
    with suppress(OSError):
        os.read(alive, 1)
    os._exit(1)
