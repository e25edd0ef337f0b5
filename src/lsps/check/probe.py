"""Sends anything to the LSP, and keeps everything that comes back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import msgspec

from lsps.check.model import Broken, Exchange, Untold
from lsps.check.reply import Reply
from lsps.check.values import shown
from lsps.clock import Clock, timeout
from lsps.errors import LspsError
from lsps.node.contract import Message, Messages
from lsps.units import NodeId

ID_BYTES = 16
MOST_KEPT = 1_000
"""Messages of one exchange: an LSP that floods us is caught by then."""
BAD_ID = "lsps-check"
"""The id in every bad payload that has one."""
PING = "lsps0.list_protocols"
"""What every LSP must answer, always: whether it still listens is asked with it."""


class Unreachable(LspsError):
    """The LSP answers nothing at all."""


@dataclass(frozen=True, slots=True)
class Times:
    """In seconds: how long an answer may take, how long to listen for what should not come, and between two looks at a
    paid order; `polls` is how often it is looked at."""

    answer: float = 15.0
    quiet: float = 2.0
    poll: float = 1.0
    polls: int = 120


@runtime_checkable
class CanDisconnect(Protocol):
    """What our own BOLT 8 connections can, and a node's cannot."""

    async def disconnect(self, peer: NodeId) -> None: ...


def read_json(payload: bytes) -> Any:
    """The payload's JSON value. Raises ValueError: not UTF-8, not JSON, more than one value."""
    payload.decode()
    try:
        return msgspec.json.decode(payload)
    except RecursionError:
        raise ValueError("nested too deeply") from None


class Probe:
    """One conversation with the LSP. `conversation` is all of it; `looked_at` what the present check saw of it."""

    def __init__(
        self, messages: Messages, lsp: NodeId, clock: Clock, randomness: Callable[[int], bytes], times: Times
    ) -> None:
        self.lsp = lsp
        self.conversation: list[Exchange] = []
        self.looked_at: list[Exchange] = []
        self.unasked = Exchange(None)
        self.deaf_after: str | None = None
        self._messages = messages
        self._address: str | None = None
        self._clock = clock
        self._randomness = randomness
        self.times = times
        self._listening = asyncio.Event()
        self._came = asyncio.Event()
        self._by_id: dict[str | int, Exchange] = {}
        self._answers: dict[int, dict[str, Any]] = {}
        self._bad: Exchange | None = None
        self._asked: Exchange | None = None

    @asynccontextmanager
    async def running(self, address: str | None) -> AsyncIterator[None]:
        """Connected, and listening. Raises PeerNotConnected, NodeUnreachable, Unreachable."""
        self._address = address
        listener = asyncio.create_task(self._listen())
        try:
            await self._messages.connect(self.lsp, address)
            async with timeout(self._clock, self.times.answer):
                await self._listening.wait()
            yield
        except TimeoutError:
            raise Unreachable("the node gives no stream of custom messages; is it running?") from None
        finally:
            listener.cancel()
            await asyncio.gather(listener, return_exceptions=True)

    async def _listen(self) -> None:
        async for event in self._messages.received():
            if not isinstance(event, Message):
                self._listening.set()
            elif event.peer == self.lsp:
                self._sort(event.payload)

    def _sort(self, payload: bytes) -> None:
        """To the exchange it belongs to: by its id; without one, to what waits for an answer, as nothing else does."""
        try:
            message = read_json(payload)
        except ValueError:
            message = None
        is_answer = isinstance(message, dict) and "method" not in message
        answered = message.get("id") if is_answer else None
        exchange = self._by_id.get(answered) if isinstance(answered, str | int) else None
        if exchange is None and is_answer and _is_of_bad(answered):
            # With id null: what an LSP says to a request that it takes for a bad payload.
            exchange = self._bad or (self._asked if answered is None else None)
        if exchange is None:
            exchange = self.unasked
        elif is_answer:
            self._answers.setdefault(id(exchange), message)
        if len(exchange.received) < MOST_KEPT:
            exchange.received.append(payload)
        self._came.set()

    # --- asking -----------------------------------------------------------------------------------------------------

    def fresh_id(self) -> str:
        """bLIP-50, Disconnection Handling: 80 bits of entropy at least."""
        return self._randomness(ID_BYTES).hex()

    async def request(self, method: str, params: object, request_id: str | int | None = None) -> Reply:
        """The answer to one request. Raises Broken when none comes, or with id null; Untold once the LSP is deaf."""
        request_id = self.fresh_id() if request_id is None else request_id
        message = {"jsonrpc": "2.0", "method": method, "params": params, "id": request_id}
        return await self.send_request(msgspec.json.encode(message), request_id)

    async def send_request(self, payload: bytes, request_id: str | int) -> Reply:
        """As `request`, for a payload that is written already."""
        self._asked = exchange = Exchange(payload)
        try:
            await self._send(exchange, request_id)
            answered = await self._answered(exchange)
        finally:
            self._asked = None
        if answered and self._answers[id(exchange)].get("id") == request_id:
            return Reply(self._answers[id(exchange)], exchange)
        await self._still_listening("a request that it did not answer")
        if answered:
            raise Broken(f"the answer has not the request's id: {shown(self._answers[id(exchange)])}", exchange)
        raise Broken(f"no answer within {self.times.answer:g} seconds", exchange)

    async def send_bad(self, payload: bytes) -> tuple[Reply | None, bool]:
        """What comes as the answer to a bad payload, and whether a good request is answered after it."""
        self._bad = exchange = Exchange(payload)
        try:
            await self._send(exchange, None)
            answered = await self._answered(exchange)
        finally:
            self._bad = None
        listens = await self._still_listening("a bad payload")
        return (Reply(self._answers[id(exchange)], exchange) if answered else None), listens

    async def request_together(self, methods: list[tuple[str, object]]) -> list[Exchange]:
        """Several requests, all sent before any is answered."""
        exchanges = []
        for method, params in methods:
            request_id = self.fresh_id()
            message = {"jsonrpc": "2.0", "method": method, "params": params, "id": request_id}
            exchanges.append(await self._send(Exchange(msgspec.json.encode(message)), request_id))
        for exchange in exchanges:
            await self._answered(exchange)
        return exchanges

    async def open(self) -> None:
        """The first request of all. Raises Unreachable when nothing comes."""
        request_id = self.fresh_id()
        exchange = await self._send(Exchange(_ping(request_id)), request_id)
        if not await self._answered(exchange) and not self.unasked.received:
            raise Unreachable(
                f"{self.lsp} did not answer {PING} within {self.times.answer:g} seconds: it is no LSP, or does not run"
            )

    async def quiet(self) -> None:
        """Wait for what should not come."""
        await self._clock.sleep(self.times.quiet)

    async def sleep(self, seconds: float) -> None:
        await self._clock.sleep(seconds)

    async def _send(self, exchange: Exchange, request_id: str | int | None) -> Exchange:
        """What the answer is known by is set before: it may be here before the node says that it sent."""
        if self.deaf_after is not None:
            raise Untold(f"the LSP answers nothing any more, since {self.deaf_after}")
        self.conversation.append(exchange)
        self.looked_at.append(exchange)
        if request_id is not None:
            self._by_id[request_id] = exchange
        await self._messages.connect(self.lsp, self._address)  # it may have cut the connection
        await self._messages.send(self.lsp, exchange.sent or b"")
        return exchange

    async def _answered(self, exchange: Exchange) -> bool:
        try:
            async with timeout(self._clock, self.times.answer):
                while id(exchange) not in self._answers:
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            return False
        return True

    async def _still_listening(self, after: str) -> bool:
        """Whether a good request is answered. An LSP may go deaf until it is connected again: then it is, if we can."""
        if await self._pings():
            return True
        if isinstance(self._messages, CanDisconnect):
            await self._messages.disconnect(self.lsp)
            if await self._pings():
                return False
        self.deaf_after = after
        return False

    async def _pings(self) -> bool:
        request_id = self.fresh_id()
        seen = list(self.looked_at)
        answered = await self._answered(await self._send(Exchange(_ping(request_id)), request_id))
        if answered:
            self.looked_at = seen
        return answered


def _is_of_bad(answered: object) -> bool:
    """Whether an answer with this id may be one to a bad payload: null, as is due, or the payload's own, as read."""
    return not isinstance(answered, str | int) or str(answered).startswith(BAD_ID)


def _ping(request_id: str) -> bytes:
    return msgspec.json.encode({"jsonrpc": "2.0", "method": PING, "params": {}, "id": request_id})
