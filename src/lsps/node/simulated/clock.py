"""A clock that stands still until it is told to move."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime, timedelta

_TURNS = 25
"""Turns of the event loop that whatever was woken gets before time goes on."""


class ManualClock:
    """A Clock for tests: `now()` moves by `advance` and `set` alone; `sleep` waits until it has moved far enough."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = start
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._count = 0
        self._cancelled = 0

    def now(self) -> datetime:
        return self._now

    def set(self, moment: datetime) -> None:
        """Jump, also backwards. Whoever should have woken by then wakes, in order of time."""
        self._now = moment
        while self._sleepers and self._sleepers[0][0] <= moment:
            _wake(heapq.heappop(self._sleepers)[2])

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        awake = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._now + timedelta(seconds=seconds), self._count, awake))
        try:
            await awake
        finally:
            if awake.cancelled():
                self._forget()

    def _forget(self) -> None:
        """One more was cancelled: when most are, the heap is made anew, so that it does not grow for ever."""
        self._cancelled += 1
        if self._cancelled * 2 > len(self._sleepers):
            self._sleepers = [sleeper for sleeper in self._sleepers if not sleeper[2].done()]
            heapq.heapify(self._sleepers)
            self._cancelled = 0

    async def advance(self, seconds: float) -> None:
        """Let so many seconds pass: stop at each sleeper's moment, wake it and let it run (it may sleep again)."""
        end = self._now + timedelta(seconds=seconds)
        await settle()
        while self._sleepers and self._sleepers[0][0] <= end:
            self.set(max(self._now, self._sleepers[0][0]))
            await settle()
        self.set(end)
        await settle()


async def settle() -> None:
    """Give everything that can run now a few turns of the event loop."""
    for _ in range(_TURNS):
        await asyncio.sleep(0)


def _wake(sleeper: asyncio.Future[None]) -> None:
    if not sleeper.done():
        sleeper.set_result(None)
