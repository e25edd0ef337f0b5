"""Takes requests from the router, holds the limits, calls the method's handler and sends exactly one reply.

The method table says how params are read and results written; a handler is (principal, params) to result, or raises a
ServiceError. The principal is the peer's key, authenticated by the transport.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from lsps import logs
from lsps.clock import Clock, timeout
from lsps.failpoints import Failpoint
from lsps.node.contract import Messages, NodeError
from lsps.protocol import jsonrpc
from lsps.protocol.errors import ClientRejected, InternalError, MethodNotFound, ParseError, ServiceError
from lsps.protocol.jsonrpc import BadMessageFormat, ErrorShape, Request
from lsps.protocol.message import Message
from lsps.protocol.methods import Method, decode_params
from lsps.service.limits import TRY_AGAIN, InWork
from lsps.service.offer import Compat, Limits
from lsps.store.orders import StoreUnavailable
from lsps.units import NodeId

_log = logging.getLogger("lsps.service")

Handler = Callable[[NodeId, Any], Awaitable[Message]]
LEARNT_PEERS = 10_000
SEND_SECONDS = 10.0
BUSY = "too many requests at once; wait for the answers, then try again"


@dataclass(frozen=True, slots=True)
class Route:
    """A method and what answers it."""

    method: Method[Any, Any]
    handler: Handler


class Shapes:
    """How errors are written for each peer: configured, or learnt from a peer that could not parse a reply of ours."""

    def __init__(self, compat: Compat) -> None:
        self._compat = compat
        self._learnt: OrderedDict[NodeId, ErrorShape] = OrderedDict()

    def of(self, peer: NodeId) -> ErrorShape:
        configured = self._compat.peers.get(peer)
        return configured or self._learnt.get(peer, self._compat.default)

    def could_not_parse(self, peer: NodeId) -> None:
        """LDK needs error.data as text, and after one message it cannot read it listens again only when reconnected."""
        self._learnt[peer] = "ldk"
        if len(self._learnt) > LEARNT_PEERS:
            self._learnt.popitem(last=False)


class Dispatcher:
    """The router's RequestReceiver. `run` answers until cancelled."""

    def __init__(
        self,
        messages: Messages,
        routes: tuple[Route, ...],
        in_work: InWork,
        limits: Limits,
        shapes: Shapes,
        is_customer: Callable[[NodeId], bool],
        clock: Clock,
        failpoint: Failpoint,
    ) -> None:
        """`is_customer`: whether the peer has a channel with us."""
        self._messages = messages
        self._routes = {route.method.name: route for route in routes}
        self._in_work = in_work
        self._limits = limits
        self._shapes = shapes
        self._is_customer = is_customer
        self._clock = clock
        self._failpoint = failpoint
        self._tasks: set[asyncio.Task[None]] = set()
        self._refusals: Counter[NodeId] = Counter()
        self._refusals_in_all = 0

    async def close(self) -> None:
        """Stop what is in work; its clients ask again."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- the router's calls ---------------------------------------------------------------------------------------

    def on_request(self, peer: NodeId, request: Request) -> None:
        if self._in_work.has(peer, request.id):
            # Not run again: the reply in work answers both.
            return
        if self._in_work.is_full(peer, customer=self._is_customer(peer)):
            self._refuse(peer, request.id, ClientRejected(BUSY))
            return
        self._in_work.begin(peer, request.id)
        self._start(self._answer(peer, request))

    def on_bad_message(self, peer: NodeId, error: BadMessageFormat) -> None:
        """bLIP-50, Message Payload Format: answered with a parse error and id null."""
        self._refuse(peer, None, ParseError(str(error)))

    def on_reply_not_understood(self, peer: NodeId) -> None:
        logs.event(_log, logging.WARNING, "peer_could_not_parse", peer=peer)
        self._shapes.could_not_parse(peer)

    # --- answering ------------------------------------------------------------------------------------------------

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _refuse(self, peer: NodeId, request_id: jsonrpc.RequestId | None, error: ServiceError) -> None:
        """An answer that costs no work. So many may wait to be sent to a peer, and to all; a flood beyond that is
        ignored, but who asks one thing at a time is always answered."""
        of_peer, in_all = self._refusals.get(peer, 0), self._refusals_in_all
        if of_peer >= self._limits.refusals_per_peer or (of_peer and in_all >= self._limits.requests_in_all):
            return
        self._refusals[peer] += 1
        self._refusals_in_all += 1
        self._start(self._send_refusal(peer, request_id, error))

    async def _send_refusal(self, peer: NodeId, request_id: jsonrpc.RequestId | None, error: ServiceError) -> None:
        try:
            await self._send(peer, jsonrpc.encode_error(request_id, error.to_rpc(), shape=self._shapes.of(peer)))
        finally:
            self._refusals_in_all -= 1
            self._refusals[peer] -= 1
            if not self._refusals[peer]:
                del self._refusals[peer]

    async def _answer(self, peer: NodeId, request: Request) -> None:
        try:
            reply = await self._reply(peer, request)
            await self._send(peer, reply)
            if request.method.endswith(".create_order"):
                self._failpoint("create_order.replied")
        finally:
            self._in_work.end(peer, request.id)

    async def _reply(self, peer: NodeId, request: Request) -> bytes:
        try:
            route = self._routes.get(request.method)
            if route is None:
                raise MethodNotFound(request.method)
            params = decode_params(route.method, request.params)
            return jsonrpc.encode_response(request.id, await route.handler(peer, params))
        except ServiceError as error:
            logs.event(_log, logging.INFO, "refused", peer=peer, code=error.code, reason=str(error))
            answer: ServiceError = error
        except StoreUnavailable as error:
            logs.event(_log, logging.ERROR, "store_failed", reason=str(error))
            answer = ClientRejected(TRY_AGAIN)
        except Exception:  # whatever a handler does, the request gets its one reply
            _log.exception("handler_failed", extra={logs.FIELDS: {"peer": peer}})
            answer = InternalError()
        return jsonrpc.encode_error(request.id, answer.to_rpc(), shape=self._shapes.of(peer))

    async def _send(self, peer: NodeId, payload: bytes) -> None:
        """A reply that cannot be delivered is no different from one that was, and was not followed up (bLIP-50). A node
        that does not get it out holds up nobody else."""
        try:
            async with timeout(self._clock, SEND_SECONDS):
                await self._messages.send(peer, payload)
        except (NodeError, TimeoutError) as error:
            reason = str(error) or "the node did not send it in time"
            logs.event(_log, logging.INFO, "reply_not_delivered", peer=peer, reason=reason)
