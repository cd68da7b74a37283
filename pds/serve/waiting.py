"""Requests that wait and hold no thread: the application says for what, the door does the waiting.

An application that has an answer which is not yet what its caller hopes for says ``ask_again``; one
that has done something which others may wait for says ``wake``. The door then runs the application
once more: when the topic was woken, and now and then besides, for what other processes did. Behind
another server both do nothing, and the answer goes out as it is.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

from pds.serve.wsgi import Busy, Environ, Response

TURN: Final = "pds.serve.turn"
# So that nobody takes all places with one topic; a client that lost its connection has some left.
_PER_TOPIC: Final = 4


@dataclass(slots=True, eq=False)
class Turn:
    """One run of the application: what it said, and what happened meanwhile."""

    topic: str | None = None
    """What it waits for; None where its answer is final."""
    seconds: float = 0.0
    wakes: list[str] = field(default_factory=list)
    missed: set[str] = field(default_factory=set)
    """Topics that were woken while it ran, maybe after it had looked."""


def ask_again(environ: Environ, topic: str, *, seconds: float) -> None:
    """Say that the answer of this run goes out only if ``topic`` stays asleep for so long.

    Of several runs for one request the first one's ``seconds`` count. The application must be as
    ready to answer the same request at the end of that time as it is now.
    """
    turn = environ.get(TURN)
    if isinstance(turn, Turn):
        turn.topic, turn.seconds = topic, seconds


def wake(environ: Environ, topic: str) -> None:
    """Say that those who wait for ``topic`` should look again, as soon as this run has ended."""
    turn = environ.get(TURN)
    if isinstance(turn, Turn):
        turn.wakes.append(topic)


class Waiters:
    """At most ``most`` waiting requests of one event loop; more of them are answered at once."""

    def __init__(self, *, most: int, recheck: float) -> None:
        self._most = most
        self._recheck = recheck
        self._running: set[Turn] = set()
        self._asleep: dict[str, set[asyncio.Future[Any]]] = {}
        self._count = 0
        self._stopped = False

    async def answer(
        self,
        run: Callable[[Turn], Awaitable[Response | None]],
        *,
        gone: Callable[[], Awaitable[None]],
        may_wait: bool,
    ) -> Response | None:
        """Let the application answer, as often as it takes. ``gone`` ends when the client has gone.
        Raises ``Busy`` if the first run finds no place; a later one leaves the answer before it."""
        clock = asyncio.get_running_loop().time
        until = 0.0
        response: Response | None = None
        while True:
            turn = Turn()
            try:
                latest = await self._run(run, turn)
            except Busy:
                if response is None:
                    raise
                return response
            response, first = latest, response is None
            if turn.topic is None or not may_wait:
                return response
            if first:
                until = clock() + turn.seconds
            left = until - clock()
            if left <= 0:
                return response
            if turn.topic in turn.missed:
                continue
            if not await self._sleep(turn.topic, min(left, self._recheck), gone):
                return response

    def stop(self) -> None:
        """End every wait, now and from now on: what there is goes out."""
        self._stopped = True
        for topic in list(self._asleep):
            self._wake(topic, again=False)

    async def _run(
        self, run: Callable[[Turn], Awaitable[Response | None]], turn: Turn
    ) -> Response | None:
        self._running.add(turn)
        try:
            return await run(turn)
        finally:
            self._running.discard(turn)
            for topic in turn.wakes:
                self._wake(topic)

    def _wake(self, topic: str, *, again: bool = True) -> None:
        for turn in self._running:
            turn.missed.add(topic)
        for sleeper in self._asleep.get(topic, ()):
            if not sleeper.done():
                sleeper.set_result(again)

    async def _sleep(self, topic: str, seconds: float, gone: Callable[[], Awaitable[None]]) -> bool:
        """Sleep until woken, for so long at most; whether asking again makes sense."""
        sleepers = self._asleep.get(topic, set())
        if self._stopped or self._count >= self._most or len(sleepers) >= _PER_TOPIC:
            return False
        woken: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        left: asyncio.Future[Any] = asyncio.ensure_future(gone())
        self._asleep.setdefault(topic, sleepers).add(woken)
        self._count += 1
        try:
            done, _ = await asyncio.wait(
                {woken, left}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED
            )
            return left not in done and (woken not in done or bool(woken.result()))
        finally:
            self._count -= 1
            sleepers.discard(woken)
            if not sleepers:
                del self._asleep[topic]
            left.cancel()
