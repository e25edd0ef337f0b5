"""Connections to a hosted node: each carries one call, one stream, or one context (wire.py)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from lsps.clock import Clock, timeout
from lsps.node.contract import NodeUnreachable
from lsps.node.simulated.wire import ERRORS, METHODS, Failure, Method, frame, read_answer

P = ParamSpec("P")
T = TypeVar("T")

FIRST_PAUSE_SECONDS = 0.02
LONGEST_PAUSE_SECONDS = 1.0


class Talk:
    """One connection, its request sent."""

    def __init__(self, path: Path, method: Method, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._path = path
        self._method = method
        self._reader = reader
        self._writer = writer

    async def given(self) -> Any:
        """The next value. Raises what the node raised, NodeUnreachable when the connection ends, BadFrame."""
        try:
            answer = await read_answer(self._reader)
        except OSError:
            answer = None
        if answer is None:
            raise _unreachable(self._path)
        if isinstance(answer, Failure):
            raise ERRORS.get(answer.kind, NodeUnreachable)(answer.text)
        return self._method.given(answer)

    def tell(self, method: Callable[Concatenate[Any, P], None], *arguments: P.args, **_: P.kwargs) -> None:
        self._writer.write(frame(METHODS[method.__qualname__].request(arguments)))

    async def leave(self) -> None:
        """Returns when the host has left the context, too."""
        with suppress(OSError):
            self._writer.write_eof()
            await self._reader.read()

    def cut(self) -> None:
        self._writer.transport.abort()


class Line:
    """The way to one node. Methods are named by the contract's own functions, which also gives them their types."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self._clock = clock
        self._closing = asyncio.Event()
        self._talks: dict[Talk, None] = {}

    async def call(self, method: Callable[Concatenate[Any, P], Awaitable[T]], *arguments: P.args, **_: P.kwargs) -> T:
        async with self._talk(method, arguments) as talk:
            given: T = await talk.given()
        return given

    async def stream(
        self, method: Callable[[Any], AsyncIterator[T]], begin: Callable[[Talk], None] = lambda _talk: None
    ) -> AsyncGenerator[T]:
        """Until `close`; connected anew, with growing pauses, whenever the host went away. The host's own stream begins
        with Resumed each time. `begin` is told of each new connection."""
        pause = FIRST_PAUSE_SECONDS
        while not self._closing.is_set():
            try:
                async with self._talk(method, ()) as talk:
                    begin(talk)
                    while True:
                        given: T = await talk.given()
                        pause = FIRST_PAUSE_SECONDS
                        yield given
            except NodeUnreachable:
                with suppress(TimeoutError):
                    async with timeout(self._clock, pause):
                        await self._closing.wait()
                pause = min(pause * 2, LONGEST_PAUSE_SECONDS)

    @asynccontextmanager
    async def inside(
        self,
        method: Callable[Concatenate[Any, P], AbstractAsyncContextManager[None]],
        *arguments: P.args,
        **_: P.kwargs,
    ) -> AsyncIterator[None]:
        async with self._talk(method, arguments) as talk:
            await talk.given()
            try:
                yield
            finally:
                await talk.leave()

    def close(self) -> None:
        self._closing.set()
        for talk in self._talks:
            talk.cut()

    @asynccontextmanager
    async def _talk(self, function: Callable[..., Any], arguments: tuple[object, ...]) -> AsyncIterator[Talk]:
        if self._closing.is_set():
            raise NodeUnreachable("this connection to the simulated node was closed; open the node again")
        try:
            reader, writer = await asyncio.open_unix_connection(self.path)
        except OSError as error:
            raise _unreachable(self.path) from error
        method = METHODS[function.__qualname__]
        talk = Talk(self.path, method, reader, writer)
        self._talks[talk] = None
        try:
            writer.write(frame(method.request(arguments)))
            yield talk
        finally:
            del self._talks[talk]
            talk.cut()
            with suppress(OSError):
                await writer.wait_closed()


def _unreachable(path: Path) -> NodeUnreachable:
    return NodeUnreachable(f"no simulated node answers at {path}: the process that hosts it has ended, or ends")
