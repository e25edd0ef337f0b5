"""One user's way to a node: every call and every stream passes here, and here faults strike."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from lsps.node.contract import NodeError, NodeUnreachable, Resumed
from lsps.node.simulated.lightning_node import LightningNode
from lsps.node.simulated.streams import ENDED, Ended, Feed, Subscription

T = TypeVar("T")


class Access:
    """A call gives way to others before and after it takes effect, as one over a network does."""

    def __init__(self, node: LightningNode) -> None:
        self.node = node
        self.closed = False
        self._subscriptions: dict[object, Callable[[], None]] = {}

    async def call(self, name: str, effect: Callable[[], T]) -> T:
        """Raises what the effect raises, the faults' errors, and NodeUnreachable when the node is or gets stopped."""
        async with self._crossing(name):
            return effect()

    async def call_and_wait(self, name: str, start: Callable[[], asyncio.Future[T]]) -> T:
        """The same for what takes time and goes on when its caller is gone."""
        async with self._crossing(name):
            return await self.node.wait(start())

    async def stream(self, feed: Feed[T], subscription: Subscription[T]) -> AsyncGenerator[Resumed | T]:
        """Everything from the feed, from now until the user goes or `close`."""
        self._subscriptions[subscription] = lambda: subscription.push(ENDED)
        feed.add(subscription)
        if self.closed:
            subscription.push(ENDED)
        try:
            while not isinstance(event := await subscription.take(), Ended):
                yield event
        finally:
            feed.remove(subscription)
            del self._subscriptions[subscription]

    def close(self) -> None:
        self.closed = True
        for end in self._subscriptions.values():
            end()

    @asynccontextmanager
    async def _crossing(self, name: str) -> AsyncIterator[None]:
        """The way there, and the way back for an answer or the node's own error. Who is cancelled does not wait."""
        await self._pass(name, before=True)
        try:
            yield
        except NodeError:
            await self._pass(name, before=False)
            raise
        await self._pass(name, before=False)

    async def _pass(self, name: str, *, before: bool) -> None:
        await asyncio.sleep(0)
        if self.closed:
            raise NodeUnreachable("this connection to the simulated node was closed; make a new SimulatedNode")
        self.node.require_running()
        fault = self.node.world.faults.take(self.node.node_id, name, before=before)
        if fault is not None:
            await self.node.strike(fault)
