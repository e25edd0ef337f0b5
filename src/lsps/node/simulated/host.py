"""A simulated node on a local socket, for other processes: RemoteNode in remote.py is their end."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager, contextmanager, suppress
from pathlib import Path

from lsps.logs import event
from lsps.node.contract import NodeError
from lsps.node.simulated.lightning_node import LightningNode
from lsps.node.simulated.node import SimulatedNode
from lsps.node.simulated.wire import METHODS, BadFrame, Kind, Method, Request, failure, frame, read_request

_log = logging.getLogger("lsps.node")


class CannotHost(NodeError):
    """The socket cannot be made there; the text says why."""


@asynccontextmanager
async def hosting(node: LightningNode, path: Path) -> AsyncIterator[None]:
    """While entered, processes of this user reach the node as simulated://PATH. Raises CannotHost."""
    host = _Host(node)
    with _socket(path) as listening:
        server = await asyncio.start_unix_server(host.accept, sock=listening)
        try:
            yield
        finally:
            server.close()
            await host.close()


@contextmanager
def _socket(path: Path) -> Iterator[socket.socket]:
    """Nobody can connect before it listens, and by then it is its owner's alone."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        try:
            made.bind(str(path))
            path.chmod(0o600)
        except OSError as error:
            reason = error.strerror or "a socket's path may not be that long; choose a shorter directory (TMPDIR)"
            raise CannotHost(f"cannot make the socket {path}: {reason}") from error
        try:
            yield made
        finally:
            path.unlink(missing_ok=True)


class _Host:
    def __init__(self, node: LightningNode) -> None:
        self._node = node
        self._users: dict[asyncio.Task[None], None] = {}

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._users[task] = None
        task.add_done_callback(lambda done: self._users.pop(done, None))

    async def close(self) -> None:
        users = list(self._users)
        for task in users:
            task.cancel()
        await asyncio.gather(*users, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Until what was asked is done, or the user goes."""
        node = SimulatedNode(self._node)
        try:
            request = await read_request(reader)
            if request is not None:
                work = [
                    asyncio.create_task(_carry_out(node, request, writer)),
                    asyncio.create_task(_hear(node, reader)),
                ]
                try:
                    done, _ = await asyncio.wait(work, return_when=asyncio.FIRST_COMPLETED)
                    for task in done:
                        task.result()
                finally:
                    for task in work:
                        task.cancel()
                    await asyncio.gather(*work, return_exceptions=True)
        except OSError:
            pass  # the user is gone
        except Exception as error:  # a frame nobody should send, or a fault of ours: the user sees the connection end
            event(_log, logging.ERROR, "hosted_node_failed", error=f"{type(error).__name__}: {error}")
        finally:
            await node.close()
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def _carry_out(node: SimulatedNode, request: Request, writer: asyncio.StreamWriter) -> None:
    method = _method(request)
    arguments = method.arguments(request)
    try:
        if method.kind is Kind.CALL:
            writer.write(frame(method.value(await method.of(node)(*arguments))))
        elif method.kind is Kind.CONTEXT:
            async with method.of(node)(*arguments):
                writer.write(frame(method.value(None)))
                await asyncio.Event().wait()
        elif method.kind is Kind.STREAM:
            async with aclosing(method.of(node)(*arguments)) as given:
                async for value in given:
                    writer.write(frame(method.value(value)))
                    await writer.drain()
        else:
            raise BadFrame(f"{method.name} is no beginning")
    except BadFrame:
        raise
    except NodeError as error:
        writer.write(frame(failure(error)))


async def _hear(node: SimulatedNode, reader: asyncio.StreamReader) -> None:
    """What the user tells meanwhile, until its end of file."""
    while (request := await read_request(reader)) is not None:
        method = _method(request)
        if method.kind is not Kind.NOTE:
            raise BadFrame(f"{method.name} in the middle of something else")
        method.of(node)(*method.arguments(request))


def _method(request: Request) -> Method:
    if request.method not in METHODS:
        raise BadFrame(f"there is no method {request.method!r:.60}")
    return METHODS[request.method]
