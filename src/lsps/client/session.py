"""Requests to one LSP and their answers: ids, timeouts, repeats, and what a disconnection does to them.

An idempotent request that is not answered (timeout, disconnection, our node away) is sent again under a new id, a few
times. An error answer is an answer: it is not repeated, error 1 neither. create_order is sent once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import TypeVar

from lsps import logs
from lsps.client.errors import ConnectionLost, LspUnintelligible, NoReply, OutcomeUnknown, RuleViolated, Unreachable
from lsps.client.patience import Patience
from lsps.client.refusals import refusal
from lsps.client.waiting import wait_until
from lsps.clock import Clock
from lsps.node.contract import Messages, NodeUnreachable, PeerNotConnected
from lsps.protocol import jsonrpc
from lsps.protocol.errors import InvalidResult
from lsps.protocol.jsonrpc import BadMessageFormat, ErrorResponse, Notification, Response
from lsps.protocol.message import Message
from lsps.protocol.methods import Method, decode_result
from lsps.protocol.rules import RuleViolation
from lsps.protocol.sanitize import sanitize
from lsps.units import NodeId

_log = logging.getLogger("lsps.client")

ID_BYTES = 16
"""bLIP-50 asks for 80 bits of entropy at least; LDK's ids have 128 as well."""

Randomness = Callable[[int], bytes]
"""So many bytes of a cryptographically secure source, such as secrets.token_bytes."""

P = TypeVar("P", bound=Message)
R = TypeVar("R", bound=Message)


class Session:
    """The client's side of LSPS0 with one LSP. Attached to the router by its owner, who also tells it of peer events.

    `address` (HOST:PORT) is where to connect when the LSP is not connected; None: one that the node knows.
    `listening` is done once incoming messages reach the router.
    """

    def __init__(
        self,
        messages: Messages,
        listening: asyncio.Future[None],
        clock: Clock,
        randomness: Randomness,
        patience: Patience,
        lsp: NodeId,
        address: str | None,
    ) -> None:
        self._messages = messages
        self._listening = listening
        self._clock = clock
        self._randomness = randomness
        self._patience = patience
        self.lsp = lsp
        self.address = address
        self._waiting: dict[jsonrpc.RequestId, asyncio.Future[Response | ErrorResponse]] = {}
        self._bad_message: BadMessageFormat | None = None
        self._broken: Exception | None = None

    async def connect(self) -> None:
        """Be connected to the LSP. Raises PeerNotConnected, NodeUnreachable."""
        await self._messages.connect(self.lsp, self.address)

    async def call(
        self, method: Method[P, R], params: P, *, reply_seconds: float | None = None, attempts: int | None = None
    ) -> R:
        """One answer. Raises LspRefused, RuleViolated (an answer of the wrong shape), Unreachable, PeerNotConnected,
        NodeUnreachable; for create_order OutcomeUnknown in place of the last once the request may be on its way."""
        seconds = self._patience.reply if reply_seconds is None else reply_seconds
        left = (self._patience.attempts if attempts is None else attempts) if method.idempotent else 1
        pause = self._patience.backoff
        while True:
            left -= 1
            try:
                return self._result(method, await self._ask(method, params, seconds))
            except LspUnintelligible:
                raise
            except (Unreachable, NodeUnreachable, PeerNotConnected) as error:
                if left <= 0:
                    raise
                logs.event(_log, logging.INFO, "asking_again", lsp=self.lsp, method=method.name, reason=str(error))
            await self._clock.sleep(pause)
            pause *= 2

    async def _ask(self, method: Method[P, R], params: P, seconds: float) -> Response | ErrorResponse:
        await self.connect()
        await self._listen(seconds)
        self._check_usable()
        request_id = self._randomness(ID_BYTES).hex()
        reply: asyncio.Future[Response | ErrorResponse] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = reply
        try:
            return await self._send_and_wait(
                method, jsonrpc.encode_request(request_id, method.name, params), reply, seconds
            )
        except (Unreachable, NodeUnreachable) as error:
            if method.idempotent:
                raise
            raise OutcomeUnknown(
                f"{method.name} was sent, but no answer came: {error}. If there is an order, it is unpaid and expires"
            ) from error
        finally:
            self._waiting.pop(request_id, None)

    async def _send_and_wait(
        self,
        method: Method[P, R],
        payload: bytes,
        reply: asyncio.Future[Response | ErrorResponse],
        seconds: float,
    ) -> Response | ErrorResponse:
        await self._messages.send(self.lsp, payload)
        if not await wait_until(self._clock, reply, seconds):
            raise NoReply(
                f"the LSP {self.lsp} did not answer {method.name} within {seconds:g} seconds; try again later"
            )
        return await reply

    async def _listen(self, seconds: float) -> None:
        # An answer that comes before our node's message stream is up would be lost.
        if not await wait_until(self._clock, self._listening, seconds):
            raise NodeUnreachable("the node gives no stream of custom messages; is it running?")
        await self._listening

    def _check_usable(self) -> None:
        if self._broken is not None:
            raise self._broken
        if self._bad_message is not None:
            raise LspUnintelligible(
                f"the LSP {self.lsp} sent a message that is not LSPS0 ({self._bad_message}); nothing more is asked "
                "until it reconnects. Reconnect to it, or tell its operator"
            )

    def _result(self, method: Method[P, R], reply: Response | ErrorResponse) -> R:
        if isinstance(reply, ErrorResponse):
            raise refusal(method, reply.error)
        try:
            return decode_result(method, reply.result)
        except InvalidResult as invalid:
            shape = RuleViolation("shape", invalid.path, f"result of {method.name}", invalid.rule)
            raise RuleViolated([shape]) from None

    # --- what the router and the client tell ------------------------------------------------------------------------

    def on_reply(self, reply: Response | ErrorResponse) -> bool:
        """The first answer to an id counts; one to an id that was never used, or is forgotten, is not ours."""
        waiting = None if reply.id is None else self._waiting.get(reply.id)
        if waiting is None or waiting.done():
            return False
        waiting.set_result(reply)
        return True

    def on_notification(self, notification: Notification) -> None:
        method = sanitize(notification.method, limit=64)
        logs.event(_log, logging.INFO, "unknown_notification", lsp=self.lsp, method=method)

    def on_bad_message(self, error: BadMessageFormat) -> None:
        # bLIP-50: ignore the message (the answers that are awaited may still come), but send nothing more.
        self._bad_message = error

    def on_connection(self, *, online: bool) -> None:
        """The LSP connected, or disconnected: what it was asked before will not be answered."""
        self._bad_message = None
        if not online:
            self._fail(ConnectionLost(f"the LSP {self.lsp} disconnected"))

    def on_missed_events(self) -> None:
        """Our node was away: the LSP may have reconnected meanwhile."""
        self._bad_message = None

    def on_broken(self, error: Exception) -> None:
        """The node's message stream failed for good: no answer can come any more."""
        self._broken = error
        self._fail(error)

    def _fail(self, error: Exception) -> None:
        for waiting in list(self._waiting.values()):
            if not waiting.done():
                waiting.set_exception(error)
                waiting.exception()  # retrieved: whoever asked may be gone, or still sending
