"""Waiting with a limit, on the clock that was passed in."""

from __future__ import annotations

import asyncio
from typing import Any

from lsps.clock import Clock


async def wait_until(clock: Clock, future: asyncio.Future[Any], seconds: float) -> bool:
    """Whether `future` (a task, too) is done before so many seconds have passed. It is neither cancelled nor read."""
    if future.done():
        return True
    timer: asyncio.Future[Any] = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait({future, timer}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        timer.cancel()
    return future.done()
