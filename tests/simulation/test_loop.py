"""The simulation's event loop keeps asyncio's promises, and the seed decides the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator
from typing import Any

import pytest

from tests.simulation.loop import MICRO, Livelock, SimulatedLoop


@pytest.fixture
def loop() -> Iterator[SimulatedLoop]:
    made = SimulatedLoop()  # type: ignore[abstract]
    with made.running():
        yield made


def test_time_jumps_to_the_next_timer(loop: SimulatedLoop) -> None:
    """Nothing sleeps: an hour passes when it is told to, and timers run in the order of their times."""
    ran: list[tuple[str, float]] = []
    for name, delay in (("late", 3000.0), ("soon", 0.5), ("same", 0.5)):
        loop.call_later(delay, lambda name: ran.append((name, loop.time())), name)
    loop.advance(3600 * MICRO)
    assert ran == [("soon", 0.5), ("same", 0.5), ("late", 3000.0)]
    assert loop.time() == 3600


def test_what_is_due_at_the_end_of_an_advance_has_not_begun(loop: SimulatedLoop) -> None:
    """So that something else can happen just before it."""
    ran: list[float] = []
    loop.call_later(60, lambda: ran.append(loop.time()))
    loop.advance(60 * MICRO)
    assert ran == []
    loop.settle()
    assert ran == [60]


@pytest.mark.parametrize("seed", range(5))
def test_callbacks_keep_their_order(loop: SimulatedLoop, seed: int) -> None:
    """asyncio promises that callbacks run in the order in which they were registered, whatever tasks do between."""
    loop.reseed(seed)
    loop.disorder = 1.0
    ran: list[int] = []
    for number in range(20):
        loop.call_soon(ran.append, number)
        loop.create_task(asyncio.sleep(0))
    loop.settle()
    assert ran == list(range(20))


def _order_of_tasks(seed: int, disorder: float) -> list[int]:
    loop = SimulatedLoop()  # type: ignore[abstract]
    loop.reseed(seed)
    loop.disorder = disorder
    ran: list[int] = []

    async def work(number: int) -> None:
        await asyncio.sleep(0)
        ran.append(number)

    with loop.running():
        for number in range(10):
            loop.create_task(work(number))
        loop.settle()
    return ran


def test_the_seed_decides_between_tasks() -> None:
    """Without disorder first come, first served as in asyncio; with it, each seed has an order, and keeps it."""
    assert _order_of_tasks(1, 0.0) == list(range(10))
    assert _order_of_tasks(1, 1.0) == _order_of_tasks(1, 1.0)
    assert len({tuple(_order_of_tasks(seed, 1.0)) for seed in range(10)}) > 5


def test_asyncio_works_on_it(loop: SimulatedLoop) -> None:
    """Task groups, timeouts, events, gather and wait behave as they do on asyncio's own loop, in any order."""

    async def slow() -> str:
        await asyncio.sleep(10)
        return "slow"

    async def story() -> list[object]:
        told: list[object] = []
        try:
            async with asyncio.timeout(5):
                await slow()
        except TimeoutError:
            told.append(loop.time())
        done, pending = await asyncio.wait(
            {asyncio.create_task(slow()), asyncio.create_task(asyncio.sleep(1))}, return_when=asyncio.FIRST_COMPLETED
        )
        told.append((len(done), len(pending)))
        told.append(await asyncio.gather(slow(), *pending))
        event = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(event.wait())
            loop.call_later(1, event.set)
        told.append(loop.time())
        return told

    loop.disorder = 1.0
    task = loop.create_task(story())
    loop.advance(100 * MICRO)
    assert task.result() == [5.0, (1, 1), ["slow", "slow"], 17.0]


def test_a_busy_loop_without_end_is_told(loop: SimulatedLoop) -> None:
    """Whatever never lets time pass is an error, not a test that hangs."""

    def spin() -> None:
        loop.call_soon(spin)

    spin()
    with pytest.raises(Livelock):
        loop.settle()
    loop.drop_everything()


async def _threads() -> None:
    await asyncio.to_thread(print)


async def _connections() -> None:
    await asyncio.open_connection("127.0.0.1", 1)


@pytest.mark.parametrize("work", [_threads(), _connections()], ids=["threads", "connections"])
def test_what_cannot_be_repeated_is_refused(loop: SimulatedLoop, work: Coroutine[Any, Any, None]) -> None:
    """No threads and no sockets: what depends on them fails at once instead of making two runs differ."""
    task = loop.create_task(work)
    loop.settle()
    assert isinstance(task.exception(), NotImplementedError)
