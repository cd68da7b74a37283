"""The memory that large bodies share: who gets it, in which order, and that it is given back."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pds.serve.room import Room


async def ready(condition: Callable[[], bool]) -> None:
    """Let others go on until this holds."""
    for _ in range(1000):
        if condition():
            return
        await asyncio.sleep(0)
    pytest.fail("it never came to this")


class Guest:
    """One who takes room, and leaves when told."""

    def __init__(self, room: Room, size: int, *, within: float = 60) -> None:
        self.taken: bool | None = None
        self.leave = asyncio.Event()
        self.task = asyncio.create_task(self._stay(room, size, within))

    async def _stay(self, room: Room, size: int, within: float) -> None:
        async with room.of(size, within=within) as taken:
            self.taken = taken
            if taken:
                await self.leave.wait()

    async def go(self) -> None:
        self.leave.set()
        await self.task


def run(act: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        await act()

    asyncio.run(whole())


def test_who_comes_first_is_served_first() -> None:
    """A small one does not pass a large one that waits, or the large one would wait for ever."""

    async def act() -> None:
        room = Room(10)
        first, large, small = Guest(room, 6), Guest(room, 8), Guest(room, 1)
        await ready(lambda: first.taken is True)
        assert (large.taken, small.taken) == (None, None)
        await first.go()
        await ready(lambda: small.taken is True)
        assert large.taken is True
        await large.go()
        await small.go()

    run(act)


def test_who_is_not_served_in_time_holds_nobody_up() -> None:
    """The one behind gets the room, and so does the next after a stop has sent one away."""

    async def act() -> None:
        room = Room(10)
        first = Guest(room, 6)
        await ready(lambda: first.taken is True)
        large, small = Guest(room, 8, within=0), Guest(room, 4)
        await ready(lambda: small.taken is True)
        assert large.taken is False
        waiting = Guest(room, 10)
        await asyncio.sleep(0)
        room.close()
        await ready(lambda: waiting.taken is False)
        await first.go()
        await small.go()
        last = Guest(room, 10)
        await ready(lambda: last.taken is True)
        await last.go()

    run(act)


@settings(deadline=None, max_examples=50)
@given(
    sizes=st.lists(st.integers(1, 10), min_size=1, max_size=12),
    cancelled=st.sets(st.integers(0, 11)),
)
def test_all_room_is_given_back(sizes: list[int], cancelled: set[int]) -> None:
    """However they come, leave or are cut off: never more than there is, and all at the end."""

    async def act() -> None:
        room = Room(10)
        guests = [Guest(room, size) for size in sizes]
        for place, guest in enumerate(guests):
            await asyncio.sleep(0)
            inside = [one for one in guests if one.taken and not one.task.done()]
            assert sum(size for size, one in zip(sizes, guests, strict=True) if one in inside) <= 10
            if place in cancelled:
                guest.task.cancel()
            guest.leave.set()
        await asyncio.gather(*(one.task for one in guests), return_exceptions=True)
        everything = Guest(room, 10)
        await ready(lambda: everything.taken is True)
        await everything.go()

    run(act)
