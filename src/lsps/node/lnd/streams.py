"""Streams that outlive their node: reconnect with backoff, and say where something may have been missed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from random import Random
from typing import TypeVar

from lsps.clock import Clock
from lsps.logs import event
from lsps.node.contract import NodeUnreachable, PermissionMissing, Refused, Resumed
from lsps.node.lnd.connection import Connection

FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 5.0
GRACE_SECONDS = 0.02
"""A refusal that came together with the barrier's answer is seen within that time."""

_logger = logging.getLogger("lsps.node")

EventT = TypeVar("EventT")


class Reconnecting:
    """Makes endless streams on one connection. The clock sleeps the pauses; random spreads them."""

    def __init__(self, connection: Connection, clock: Clock, random: Random) -> None:
        self._connection = connection
        self._clock = clock
        self._random = random

    async def endless(
        self, name: str, session: Callable[[], AbstractAsyncContextManager[AsyncIterator[EventT]]]
    ) -> AsyncIterator[Resumed | EventT]:
        """The events of one session after another, Resumed before each; ends when the connection is closed.

        Entering a session subscribes; Resumed is given once lnd has taken the subscription, so that a state read after
        it misses nothing. Raises PermissionMissing: waiting would not mend that.
        """
        pause = FIRST_PAUSE_SECONDS
        while not self._connection.closed.is_set():
            reason = "lnd ended the stream"
            try:
                async with session() as events, _first_of(events) as first:
                    await self._connection.barrier()
                    await asyncio.wait((first,), timeout=GRACE_SECONDS)
                    if first.done():
                        first.result()  # refused at once: not begun
                    yield Resumed()
                    for item in await first:
                        pause = FIRST_PAUSE_SECONDS
                        yield item
                    async for item in events:
                        yield item
            except PermissionMissing:
                raise
            except (NodeUnreachable, Refused) as error:
                reason = str(error)
            if self._connection.closed.is_set():
                return
            event(_logger, logging.WARNING, "stream_interrupted", stream=name, reason=reason, pause_seconds=pause)
            await self.pause(pause * (0.5 + self._random.random()))
            pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    async def pause(self, seconds: float) -> None:
        """Sleep by the clock, or until the connection is closed."""
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        closing = asyncio.ensure_future(self._connection.closed.wait())
        try:
            await asyncio.wait((sleeping, closing), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            closing.cancel()


@asynccontextmanager
async def _first_of(events: AsyncIterator[EventT]) -> AsyncIterator[asyncio.Task[list[EventT]]]:
    """Its first event, waited for from now on; none when it ends without any."""

    async def wait() -> list[EventT]:
        try:
            return [await anext(events)]
        except StopAsyncIteration:
            return []

    first = asyncio.create_task(wait())
    try:
        yield first
    finally:
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)


async def merge(*sources: AsyncIterator[EventT]) -> AsyncIterator[EventT]:
    """The items of all sources as they come. Ends, or raises, as soon as one of them does, and stops the others."""
    items: asyncio.Queue[tuple[EventT] | BaseException | None] = asyncio.Queue()

    async def pump(source: AsyncIterator[EventT]) -> None:
        try:
            async for item in source:
                items.put_nowait((item,))
        except Exception as error:
            items.put_nowait(error)
        else:
            items.put_nowait(None)

    pumps = [asyncio.create_task(pump(source)) for source in sources]
    try:
        while True:
            item = await items.get()
            if item is None:
                return
            if isinstance(item, BaseException):
                raise item
            yield item[0]
    finally:
        for task in pumps:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*pumps, return_exceptions=True)
