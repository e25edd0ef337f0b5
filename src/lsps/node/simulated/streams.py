"""One node's events on their way to whoever listens, and what a listener misses while the node is away."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Final, Generic, TypeVar, final

from lsps.node.contract import Resumed

T = TypeVar("T")


@final
class Ended:
    """The listener's own connection to the node was closed."""


ENDED: Final = Ended()


class Subscription(Generic[T]):
    """One listener. `first` gives what follows each Resumed at once."""

    def __init__(self, first: Callable[[], Iterable[T]] = tuple) -> None:
        self._first = first
        self._events: deque[Resumed | T | Ended] = deque()
        self._arrived: asyncio.Future[None] | None = None

    def resume(self) -> None:
        self.push(Resumed())
        for event in self._first():
            self.push(event)

    def lose(self) -> None:
        """Forget what was not taken yet: the stream broke."""
        self._events.clear()

    def push(self, event: Resumed | T | Ended) -> None:
        self._events.append(event)
        if self._arrived is not None and not self._arrived.done():
            self._arrived.set_result(None)

    async def take(self) -> Resumed | T | Ended:
        while not self._events:
            self._arrived = asyncio.get_running_loop().create_future()
            await self._arrived
        return self._events.popleft()


class Feed(Generic[T]):
    """Everything of one kind that a node has to tell. While it is cut, nobody hears and nothing is kept."""

    def __init__(self) -> None:
        self._listeners: dict[Subscription[T], None] = {}
        self._cut = False

    def add(self, listener: Subscription[T]) -> None:
        self._listeners[listener] = None
        if not self._cut:
            listener.resume()

    def remove(self, listener: Subscription[T]) -> None:
        self._listeners.pop(listener, None)

    def publish(self, event: T) -> None:
        if not self._cut:
            for listener in self._listeners:
                listener.push(event)

    def push_to(self, listener: Subscription[T], event: T) -> None:
        """Tell one listener alone."""
        if not self._cut:
            listener.push(event)

    def cut(self) -> None:
        self._cut = True
        for listener in self._listeners:
            listener.lose()

    def mend(self) -> None:
        if self._cut:
            self._cut = False
            for listener in self._listeners:
                listener.resume()
