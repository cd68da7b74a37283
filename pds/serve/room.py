"""The memory that large bodies share: taken before the first byte is read, in order of coming."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

SLOWEST: Final = 262_144
"""Bytes a second at which a large body has to come."""


class Room:
    """So many bytes for all together. Used from one event loop."""

    def __init__(self, size: int) -> None:
        self._free = size
        self._waiting: deque[tuple[int, asyncio.Future[bool]]] = deque()

    @asynccontextmanager
    async def of(self, size: int, *, within: float) -> AsyncIterator[bool]:
        """So many bytes for the block, once those who came before have theirs; whether they could
        be had within so many seconds."""
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((size, turn))
        self._go_on()
        try:
            await asyncio.wait({turn}, timeout=within)
            yield turn.done() and turn.result()
        finally:
            if not turn.done():
                turn.cancel()
            elif turn.result():
                self._free += size
            self._go_on()

    def close(self) -> None:
        """Whoever waits has waited in vain."""
        for _, turn in self._waiting:
            if not turn.done():
                turn.set_result(False)

    def _go_on(self) -> None:
        while self._waiting:
            size, turn = self._waiting[0]
            if not turn.done():
                if size > self._free:
                    return
                self._free -= size
                turn.set_result(True)
            self._waiting.popleft()
