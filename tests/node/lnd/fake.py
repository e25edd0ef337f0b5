"""A gRPC server of ours in lnd's place: each method answers as the test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import grpc
import grpc.aio

from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.connection import Connection
from lsps.node.lnd.node import LndNode
from lsps.node.lnd.rpc import BidirectionalStream, Method, ServerStream, Unary
from lsps.units import NodeId

MACAROON = b"\xc0\xff\xee secret"
US = NodeId("02" + "11" * 32)
PEER = NodeId("03" + "22" * 32)

Context = grpc.aio.ServicerContext
Handler = Callable[[Any, Any], Any]


class LndError(Exception):
    """Raised in a handler: the status lnd would give."""

    def __init__(self, detail: str, code: grpc.StatusCode = grpc.StatusCode.UNKNOWN) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


@dataclass
class ManualClock:
    """Sleeps pass at once, or when released; what was asked for is written down."""

    slept: list[float] = field(default_factory=list)
    time: datetime = field(default=datetime(2026, 1, 1, tzinfo=UTC))

    def now(self) -> datetime:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += timedelta(seconds=seconds)
        await asyncio.sleep(0.001)


class FakeLnd(grpc.GenericRpcHandler):
    """A handler is a coroutine function of the request, or an async generator for streams. `calls`: what came."""

    def __init__(self) -> None:
        self.on: dict[str, tuple[Method[Any, Any], Callable[..., Any]]] = {}
        self.calls: list[tuple[str, Any]] = []
        self.metadata: list[dict[str, str | bytes]] = []
        self.answer(rpc.GET_INFO, get_info())

    def answer(self, method: Method[Any, Any], *replies: Any) -> None:
        """Answer every request with these replies (one, or all of a stream, which then stays open)."""
        if isinstance(method, ServerStream):

            async def stream(_request: Any) -> AsyncIterator[Any]:
                for reply in replies:
                    yield reply
                await asyncio.Event().wait()

            self.handle(method, stream)
        else:

            async def unary(_request: Any) -> Any:
                return replies[0]

            self.handle(method, unary)

    def refuse(self, method: Method[Any, Any], detail: str, code: grpc.StatusCode = grpc.StatusCode.UNKNOWN) -> None:
        async def unary(_request: Any) -> Any:
            raise LndError(detail, code)

        async def stream(_request: Any) -> AsyncIterator[Any]:
            raise LndError(detail, code)
            yield

        self.handle(method, unary if isinstance(method, Unary) else stream)

    def handle(self, method: Method[Any, Any], handler: Callable[..., Any]) -> None:
        self.on[method.path] = (method, handler)

    def requests(self, method: Method[Any, Any]) -> list[Any]:
        return [request for path, request in self.calls if path == method.path]

    def service(self, call: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        if call.method not in self.on:
            return None
        method, _ = self.on[call.method]
        codec = {"request_deserializer": method.request.FromString, "response_serializer": _serialize}
        self.metadata.append(dict(call.invocation_metadata or ()))
        if isinstance(method, BidirectionalStream):
            return grpc.stream_stream_rpc_method_handler(self._stream(call.method), **codec)
        if isinstance(method, ServerStream):
            return grpc.unary_stream_rpc_method_handler(self._stream(call.method), **codec)
        return grpc.unary_unary_rpc_method_handler(self._unary(call.method), **codec)

    def _unary(self, path: str) -> Handler:
        async def run(request: Any, context: Context[Any, Any]) -> Any:
            self.calls.append((path, request))
            try:
                return await self.on[path][1](request)
            except LndError as error:
                await context.abort(error.code, error.detail)

        return run

    def _stream(self, path: str) -> Handler:
        async def run(request: Any, context: Context[Any, Any]) -> AsyncIterator[Any]:
            self.calls.append((path, request))
            try:
                async for reply in self.on[path][1](request):
                    yield reply
            except LndError as error:
                await context.abort(error.code, error.detail)

        return run


@dataclass
class Running:
    """The server, and a node and a connection to it."""

    lnd: FakeLnd
    clock: ManualClock
    connection: Connection
    node: LndNode
    stop: Callable[[], Awaitable[None]]
    start: Callable[[], Awaitable[None]]


@asynccontextmanager
async def running() -> AsyncIterator[Running]:
    lnd, clock = FakeLnd(), ManualClock()
    server, port = await _serve(lnd, 0)
    connection = Connection(f"127.0.0.1:{port}", MACAROON, None)
    servers = [server]

    async def stop() -> None:
        await servers.pop().stop(None)

    async def start() -> None:
        servers.append((await _serve(lnd, port))[0])

    node = LndNode(connection, clock, Random(1))
    try:
        yield Running(lnd, clock, connection, node, stop, start)
    finally:
        await node.close()
        for one in servers:
            await one.stop(None)


async def _serve(lnd: FakeLnd, port: int) -> tuple[grpc.aio.Server, int]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((lnd,))
    port = server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return server, port


def get_info(height: int = 100) -> pb.GetInfoResponse:
    return pb.GetInfoResponse(
        identity_pubkey=US.hex,
        alias="us",
        block_height=height,
        synced_to_chain=True,
        chains=[pb.Chain(network="regtest")],
        features={9: pb.Feature(name="tlv"), 729: pb.Feature()},
    )


def _serialize(message: Any) -> bytes:
    serialized: bytes = message.SerializeToString()
    return serialized
