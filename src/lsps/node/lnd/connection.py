"""One gRPC channel to LND: calls with deadlines, streams, and errors in the contract's words."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import grpc.aio

from lsps.logs import event
from lsps.node.contract import NodeUnreachable
from lsps.node.lnd import rpc
from lsps.node.lnd.address import LndAddress, read_certificate, read_file
from lsps.node.lnd.errors import translate
from lsps.node.lnd.rpc import BidirectionalStream, Method, ReplyT, RequestT, ServerStream, Unary
from lsps.paths import others_can_read

_log = logging.getLogger("lsps.node")

CALL_SECONDS = 30.0
"""Deadline of a call, unless it is one that waits for a peer."""

_OPTIONS = (
    # A big node's channel list is many MB; lnd's own lncli allows 200 MB.
    ("grpc.max_receive_message_length", 200 * 2**20),
    # A dead machine or a cut cable is noticed in half a minute, by every stream. lnd allows a ping every 5 s while a
    # call or a stream runs; without one it takes pings for abuse and ends the connection (too_many_pings).
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.http2.max_pings_without_data", 0),
    # After lnd's restart, be back soon: our streams have their own backoff on top.
    ("grpc.initial_reconnect_backoff_ms", 250),
    ("grpc.min_reconnect_backoff_ms", 250),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # Proxies of the environment are not meant for one's own node.
    ("grpc.enable_http_proxy", 0),
)


class _Macaroon:
    """The credential, kept out of every repr."""

    def __init__(self, raw: bytes) -> None:
        self._hex = raw.hex()

    def metadata(self) -> grpc.aio.Metadata:
        return grpc.aio.Metadata(("macaroon", self._hex))

    def __repr__(self) -> str:
        return "<macaroon>"


class Connection:
    """Calls to one node. Must be made inside the running event loop."""

    def __init__(self, target: str, macaroon: bytes, credentials: grpc.ChannelCredentials | None) -> None:
        """`target` is HOST:PORT; without credentials the connection is plain (tests alone)."""
        self.target = target
        self.closed = asyncio.Event()
        self._macaroon = _Macaroon(macaroon)
        if credentials is None:
            self._channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
        else:
            self._channel = grpc.aio.secure_channel(target, credentials, options=_OPTIONS)

    def __repr__(self) -> str:
        return f"<Connection to lnd at {self.target}>"

    async def call(self, method: Unary[RequestT, ReplyT], request: RequestT, seconds: float = CALL_SECONDS) -> ReplyT:
        """One call. Raises NodeUnreachable (outcome unknown), PermissionMissing, LndRefused."""
        self._require_open()
        stub: grpc.aio.UnaryUnaryMultiCallable[RequestT, ReplyT] = self._channel.unary_unary(
            method.path, request_serializer=_serialize, response_deserializer=method.reply.FromString
        )
        try:
            return await stub(request, timeout=seconds, metadata=self._macaroon.metadata())
        except grpc.aio.AioRpcError as error:
            raise translate(error, method, self.target) from None
        except asyncio.CancelledError:
            # grpc cancels its calls when the channel is closed under them; our own cancellation goes on as such.
            self._raise_if_closed()
            raise

    @asynccontextmanager
    async def stream(
        self, method: ServerStream[RequestT, ReplyT], request: RequestT, seconds: float | None = None
    ) -> AsyncIterator[AsyncIterator[ReplyT]]:
        """An open stream, ended with the context or the deadline. Once entered, the request is on its way.

        Iterating raises NodeUnreachable when the stream breaks, PermissionMissing, LndRefused; it ends when lnd ends
        the stream.
        """
        self._require_open()
        stub: grpc.aio.UnaryStreamMultiCallable[RequestT, ReplyT] = self._channel.unary_stream(
            method.path, request_serializer=_serialize, response_deserializer=method.reply.FromString
        )
        call = stub(request, timeout=seconds, metadata=self._macaroon.metadata())
        try:
            yield self._replies(call, method)
        finally:
            call.cancel()

    @asynccontextmanager
    async def conversation(
        self, method: BidirectionalStream[RequestT, ReplyT], answers: AsyncIterator[RequestT]
    ) -> AsyncIterator[AsyncIterator[ReplyT]]:
        """As `stream`, for a method to which we send `answers` as well."""
        self._require_open()
        stub: grpc.aio.StreamStreamMultiCallable[RequestT, ReplyT] = self._channel.stream_stream(
            method.path, request_serializer=_serialize, response_deserializer=method.reply.FromString
        )
        call = stub(answers, metadata=self._macaroon.metadata())
        try:
            yield self._replies(call, method)
        finally:
            call.cancel()

    async def barrier(self) -> None:
        """Return when lnd has had time to set up the streams opened before.

        LND acknowledges no subscription. It works on the calls of one connection as they come, and GetInfo takes it
        longer than any subscription does, so its answer is the best sign there is.
        """
        await self.call(rpc.GET_INFO, rpc.GET_INFO.request())

    async def close(self) -> None:
        """End every call and stream. A repeat is fine."""
        if not self.closed.is_set():
            self.closed.set()
            await self._channel.close()

    async def _replies(self, call: Any, method: Method[Any, Any]) -> AsyncIterator[Any]:
        try:
            async for reply in call:
                yield reply
        except grpc.aio.AioRpcError as error:
            raise translate(error, method, self.target) from None
        except asyncio.CancelledError:
            self._raise_if_closed()
            raise

    def _require_open(self) -> None:
        if self.closed.is_set():
            raise NodeUnreachable(f"the connection to lnd at {self.target} was closed by this program")

    def _raise_if_closed(self) -> None:
        task = asyncio.current_task()
        if self.closed.is_set() and (task is None or not task.cancelling()):
            self._require_open()


def open_connection(address: LndAddress) -> Connection:
    """Connect over TLS, trusting this node's own certificate alone. Raises InvalidNodeUrl when a file cannot be read;
    warns of a macaroon that others can read.

    Nothing is sent yet: whether the node answers shows at the first call.
    """
    certificate = read_certificate(address.tls_cert)
    macaroon = read_file(address.macaroon, "macaroon")
    if others_can_read(address.macaroon):
        event(
            _log,
            logging.WARNING,
            "readable_by_others",
            file=str(address.macaroon),
            advice="who has the macaroon can do what it allows: chmod 600 it",
        )
    return Connection(address.rpc, macaroon, grpc.ssl_channel_credentials(root_certificates=certificate))


def _serialize(message: Any) -> bytes:
    serialized: bytes = message.SerializeToString()
    return serialized
