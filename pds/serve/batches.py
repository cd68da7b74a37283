"""Requests of one kind that are answered together, by one thread.

Where the answer is what takes long, a thread of its own for each request is right. Where it is a
commit that all can share, it is not: waking a thread for every request, and having them take turns
at the interpreter, costs more than the requests do.
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol, TypeAlias

from pds.serve.wsgi import Busy, Response, WsgiApp, describe, settle


class Batched(Protocol):
    """A route whose requests are answered together."""

    def read(self, body: bytes) -> Any:
        """What one request says, made out while others are on their way."""

    def answer(self, read: Sequence[Any]) -> Sequence[Response | Exception]:
        """An answer for each; for one that could not be answered, what was in its way. The answers
        are sent as they are, so their headers are in lower case and sound."""


MOST: Final = 32
# Who came in company waits so long for company: clients of one batch get their answers at once, and
# come again one after the other.
_LINGER: Final = 0.001
_log = logging.getLogger("pds.serve")

_Job: TypeAlias = "tuple[bytes, asyncio.Future[Response | None]]"
_Read: TypeAlias = "tuple[Any, asyncio.Future[Response | None]]"


class WithBatches(Protocol):
    """A WSGI application some of whose routes are batched too: the server calls these instead.
    Another server, which knows nothing of it, calls the application, and gets the same answers."""

    batched: Mapping[tuple[str, str], Batched]
    """By method and path."""


def batched_of(app: WsgiApp) -> Mapping[tuple[str, str], Batched]:
    """The batched routes of an application that has some."""
    found: Mapping[tuple[str, str], Batched] = getattr(app, "batched", {})
    return found


class Batcher:
    """The thread of one batched route, and the queue before it. Used from one event loop."""

    def __init__(self, batched: Batched, *, waiting: int) -> None:
        self._batched = batched
        self._limit = MOST + waiting
        self._taken = 0
        self._over = False
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="pds-serve-batch", daemon=True)
        self._thread.start()

    async def answer(self, body: bytes) -> Response | None:
        """The answer; ``None`` when the application failed. Raises ``Busy`` when full."""
        if self._taken >= self._limit:
            raise Busy
        future: asyncio.Future[Response | None] = asyncio.get_running_loop().create_future()
        future.add_done_callback(self._give_back)
        self._taken += 1
        self._jobs.put((body, future))
        # Shielded, as in Pool: the place is given back when the work is done.
        return await asyncio.shield(future)

    def close(self, *, until: float) -> bool:
        """Wait for what was taken until this monotonic time; say whether it ended."""
        self._jobs.put(None)
        self._thread.join(max(0.0, until - time.monotonic()))
        return not self._thread.is_alive()

    def _give_back(self, _: object) -> None:
        self._taken -= 1

    def _work(self) -> None:
        in_company = False
        while jobs := self._gather(in_company):
            in_company = len(jobs) > 1
            told: Sequence[Response | None]
            try:
                answers = self._batched.answer([read for read, _ in jobs])
                told = [_told(answer) for answer, _ in zip(answers, jobs, strict=True)]
            except BaseException as error:  # noqa: BLE001 - even SystemExit must not end the thread
                told = [_told(error)] * len(jobs)
            settle([future for _, future in jobs], told)

    def _gather(self, in_company: bool) -> list[_Read]:
        """The next requests, as they were read; none when it is over."""
        jobs: list[_Read] = []
        while not self._over and len(jobs) < MOST:
            try:
                if not jobs:
                    job = self._jobs.get()
                elif in_company:
                    job = self._jobs.get(timeout=_LINGER)
                else:
                    job = self._jobs.get_nowait()
            except queue.Empty:
                break
            if job is None:
                self._over = True
                break
            body, future = job
            try:
                jobs.append((self._batched.read(body), future))
            except BaseException as error:  # noqa: BLE001 - as above
                settle([future], [_told(error)])
        return jobs


def _told(answer: Response | BaseException) -> Response | None:
    if isinstance(answer, Response):
        return answer
    _log.error("application error: %s", describe(answer))
    return None
