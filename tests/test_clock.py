"""Limits of time on the clock that is passed in."""

from __future__ import annotations

import asyncio

import pytest

from lsps.clock import SystemClock, timeout
from lsps.testing import ManualClock, settle


async def limited(clock: ManualClock, work: asyncio.Future[int]) -> int:
    async with timeout(clock, 5):
        return await work


async def test_a_block_that_takes_longer_is_cancelled_and_raises() -> None:
    """The clock decides: nothing before the limit, TimeoutError at it, and what was awaited is cancelled."""
    clock, work = ManualClock(), asyncio.get_running_loop().create_future()
    task = asyncio.create_task(limited(clock, work))
    await clock.advance(4.9)
    assert not task.done()
    await clock.advance(0.2)
    with pytest.raises(TimeoutError):
        await task
    assert work.cancelled()


async def test_a_block_in_time_gives_its_value_and_nothing_comes_later() -> None:
    """In time, the limit is gone with the block."""
    clock, work = ManualClock(), asyncio.get_running_loop().create_future()
    work.set_result(7)
    assert await limited(clock, work) == 7
    await clock.advance(10)


async def test_what_the_block_raises_passes() -> None:
    """Its own errors pass as they are."""
    clock, work = ManualClock(), asyncio.get_running_loop().create_future()
    work.set_exception(ValueError("mine"))
    with pytest.raises(ValueError, match="mine"):
        await limited(clock, work)


async def test_cancelling_from_outside_stays_a_cancellation() -> None:
    """Who is cancelled by somebody else is not told of a timeout."""
    clock = ManualClock()
    task = asyncio.create_task(limited(clock, asyncio.get_running_loop().create_future()))
    await settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_works_on_the_machines_clock() -> None:
    """With the system's clock it is asyncio.timeout."""
    with pytest.raises(TimeoutError):
        async with timeout(SystemClock(), 0):
            await asyncio.Event().wait()
