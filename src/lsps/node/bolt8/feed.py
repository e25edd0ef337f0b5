"""What happens on all connections, on its way to whoever listens."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Final, Generic, TypeVar, final

from lsps.node.contract import Resumed

T = TypeVar("T")


@final
class _Ended:
    """The node object was closed."""


_ENDED: Final = _Ended()


class _Queue(Generic[T]):
    def __init__(self) -> None:
        self.items: deque[Resumed | T | _Ended] = deque([Resumed()])
        self._arrived = asyncio.Event()

    def push(self, item: T | _Ended) -> None:
        self.items.append(item)
        self._arrived.set()

    async def take(self) -> Resumed | T | _Ended:
        while not self.items:
            self._arrived.clear()
            await self._arrived.wait()
        return self.items.popleft()


class Feed(Generic[T]):
    """Every stream gets every item from its beginning on.

    `on_queued` and `on_gone` tell of each item once for every stream: when it waits there, and when it does not any
    more. In a stream with `longest` waiting, `on_full` decides what of it goes; without it all goes, and the stream is
    told by Resumed.
    """

    def __init__(
        self,
        *,
        longest: int,
        on_queued: Callable[[T], None] = lambda _: None,
        on_gone: Callable[[T], None] = lambda _: None,
        on_full: Callable[[Iterable[T]], Callable[[T], bool]] | None = None,
    ) -> None:
        self._longest = longest
        self._on_queued = on_queued
        self._on_gone = on_gone
        self._on_full = on_full
        self._queues: dict[_Queue[T], None] = {}
        self._ended = False

    def publish(self, item: T) -> None:
        if self._ended:
            return
        for queue in self._queues:
            if len(queue.items) >= self._longest:
                self._make_room(queue)
            self._on_queued(item)
            queue.push(item)

    async def stream(self) -> AsyncGenerator[Resumed | T]:
        queue: _Queue[T] = _Queue()
        self._queues[queue] = None
        if self._ended:
            queue.push(_ENDED)
        try:
            while not isinstance(item := await queue.take(), _Ended):
                if not isinstance(item, Resumed):
                    self._on_gone(item)
                yield item
        finally:
            del self._queues[queue]
            self._forget(queue)

    def end(self) -> None:
        self._ended = True
        for queue in self._queues:
            queue.push(_ENDED)

    def _make_room(self, queue: _Queue[T]) -> None:
        if self._on_full is None:
            self._forget(queue)
            queue.items.append(Resumed())
            return
        goes = self._on_full([item for item in queue.items if not isinstance(item, Resumed | _Ended)])
        waiting, queue.items = queue.items, deque()
        for item in waiting:
            if isinstance(item, Resumed | _Ended) or not goes(item):
                queue.items.append(item)
            else:
                self._on_gone(item)

    def _forget(self, queue: _Queue[T]) -> None:
        while queue.items:
            item = queue.items.popleft()
            if not isinstance(item, Resumed | _Ended):
                self._on_gone(item)
