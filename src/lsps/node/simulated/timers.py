"""What is to happen at a later time, with one sleeping task however many timers there are."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from lsps.clock import Clock


@dataclass(slots=True, eq=False)
class Timer:
    action: Callable[[], None] | None

    def cancel(self) -> None:
        self.action = None


class Timers:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._due: list[tuple[datetime, int, Timer]] = []
        self._count = 0
        self._task: asyncio.Task[None] | None = None

    def after(self, seconds: float, action: Callable[[], None]) -> Timer:
        """Call `action` when so many seconds have passed."""
        timer = Timer(action)
        self._count += 1
        entry = (self._clock.now() + timedelta(seconds=seconds), self._count, timer)
        heapq.heappush(self._due, entry)
        if self._task is None or self._task.done() or self._due[0] is entry:
            self.close()
            self._task = asyncio.get_running_loop().create_task(self._run())
        return timer

    def close(self) -> None:
        """Stop waiting; the timers stay where they are until another is set."""
        if self._task is not None:
            self._task.cancel()
            self._task = None

    async def _run(self) -> None:
        while self._due:
            when, _, timer = self._due[0]
            seconds = (when - self._clock.now()).total_seconds()
            if timer.action is not None and seconds > 0:
                await self._clock.sleep(seconds)
                continue
            heapq.heappop(self._due)
            if timer.action is not None:
                timer.action()
