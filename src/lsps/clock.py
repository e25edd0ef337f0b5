"""Time comes from outside: every part that needs it is given a Clock."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    def now(self) -> datetime:
        """The present, in UTC, timezone-aware."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Return when `now()` has moved on by that much (at once for zero or less)."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


@asynccontextmanager
async def timeout(clock: Clock, seconds: float) -> AsyncIterator[None]:
    """As asyncio.timeout, on `clock`: raises TimeoutError when the block takes longer, and cancels what it awaits."""
    async with asyncio.timeout(None) as limit:

        async def expire() -> None:
            await clock.sleep(seconds)
            limit.reschedule(asyncio.get_running_loop().time())

        timer = asyncio.create_task(expire())
        try:
            yield
        finally:
            timer.cancel()
