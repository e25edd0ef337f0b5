"""Time that moves only when it is told to."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from functools import partial

from lsps.node.simulated.clock import ManualClock, settle
from lsps.node.simulated.timers import Timers


async def test_sleepers_wake_in_the_order_of_time() -> None:
    """`advance` wakes each sleeper at its own moment, the earliest first, and none that is not due."""
    clock = ManualClock()
    start, woken = clock.now(), []

    async def sleep(seconds: float) -> None:
        await clock.sleep(seconds)
        woken.append((seconds, (clock.now() - start).total_seconds()))

    tasks = [asyncio.create_task(sleep(seconds)) for seconds in (30, 10, 20, 40)]
    await clock.advance(35)
    assert woken == [(10, 10), (20, 20), (30, 30)]
    assert clock.now() == start + timedelta(seconds=35)
    assert not tasks[3].done()
    await clock.advance(5)
    assert tasks[3].done()


async def test_one_who_sleeps_again_wakes_again() -> None:
    """A periodic sleeper wakes as often as fits into one `advance`."""
    clock = ManualClock()
    woken = 0

    async def tick() -> None:
        nonlocal woken
        while True:
            await clock.sleep(1)
            woken += 1

    task = asyncio.create_task(tick())
    await clock.advance(10)
    task.cancel()
    assert woken == 10


async def test_time_stands_still_by_itself() -> None:
    """Nobody wakes while nobody advances the clock, and sleeping for nothing returns at once."""
    clock = ManualClock()
    sleeper = asyncio.create_task(clock.sleep(0.001))
    await clock.sleep(0)
    await settle()
    assert not sleeper.done()
    clock.set(clock.now() + timedelta(seconds=1))
    await sleeper


async def test_a_cancelled_sleeper_disturbs_nobody() -> None:
    """A sleeper that was cancelled is passed over."""
    clock = ManualClock()
    gone = asyncio.create_task(clock.sleep(1))
    there = asyncio.create_task(clock.sleep(2))
    await settle()
    gone.cancel()
    await clock.advance(2)
    assert there.done()


async def test_timers_act_when_due() -> None:
    """Timers act in the order of time, whatever the order they were set in; a cancelled one never."""
    clock, acted = ManualClock(), list[int]()
    timers = Timers(clock)
    for seconds in (30, 10, 20):
        timers.after(seconds, partial(acted.append, seconds))
    timers.after(15, lambda: acted.append(15)).cancel()
    await clock.advance(20)
    assert acted == [10, 20]
    await clock.advance(10)
    assert acted == [10, 20, 30]


async def test_a_timer_set_after_all_others_acted_acts_too() -> None:
    """Timers go on after a time without any, and one may set the next."""
    clock, acted = ManualClock(), list[str]()
    timers = Timers(clock)

    def set_another() -> None:
        timers.after(1, lambda: acted.append("second"))

    timers.after(1, set_another)
    await clock.advance(5)
    timers.after(1, lambda: acted.append("third"))
    await clock.advance(1)
    assert acted == ["second", "third"]
