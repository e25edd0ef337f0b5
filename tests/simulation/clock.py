"""The simulation's clocks. Each process reads its own, which can be wrong; sleeping is by the loop's time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from tests.simulation.loop import SimulatedLoop

START = datetime(2026, 1, 1, tzinfo=UTC)


class SimulatedClock:
    """`offset` is how wrong it is. A jump moves `now()` and wakes nobody, as on a machine whose clock is set."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self._loop = loop
        self.offset = timedelta()

    def now(self) -> datetime:
        return START + timedelta(microseconds=self._loop.micros) + self.offset

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))
