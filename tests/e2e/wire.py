"""LSPS messages (custom type 37913, bLIP-50) as bare bytes: what a node hears, and what a customer of bad manners says.

    async with wire(alice) as line:
        reply = await line.call(lsp, "lsps1.get_order", order_id="…")   # a dict with result or error
        reply = await line.ask(lsp, b'{"jsonrpc":"2.0", …')             # the next bytes that come back
        await line.say(lsp, b"[]")
        await line.hears(3)                                             # waits for that many in all
        line.heard                                                      # (sender's node id, payload) each

It listens with a subscription of its own, so that it sees all that arrives, whoever else listens on the same node.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
from collections.abc import AsyncIterator
from random import Random
from typing import Any

from interop.lnd.node import Node
from interop.lnd.regtest import eventually
from lsps.clock import SystemClock
from lsps.node.contract import Resumed
from lsps.node.lnd.messages import LndMessages
from lsps.node.lnd.node import open_node
from lsps.units import NodeId


class Wire:
    """One node's LSPS messages."""

    def __init__(self, messages: LndMessages) -> None:
        self.heard: list[tuple[str, bytes]] = []
        self._messages = messages

    async def say(self, peer: Node, payload: bytes) -> None:
        """Sends one message of these bytes to a connected peer."""
        await self._messages.send(NodeId(peer.node_id), payload)

    async def ask(self, peer: Node, payload: bytes, timeout: float = 30) -> bytes:
        """Sends one message and returns the next one that comes from that peer."""
        seen = len(self.heard)
        await self.say(peer, payload)

        async def answered() -> bool:
            return bool(self.of(peer, seen))

        await eventually(f"{peer.name} answers", answered, timeout)
        return self.of(peer, seen)[0]

    async def call(self, peer: Node, method: str, /, **params: object) -> dict[str, Any]:
        """The peer's reply to this request, by its id: a dict with `result` or `error`."""
        request_id = f"wire-{secrets.token_hex(8)}"
        request = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        seen = len(self.heard)
        await self.say(peer, json.dumps(request).encode())
        found: list[dict[str, Any]] = []

        async def answered() -> bool:
            replies = [json.loads(payload) for payload in self.of(peer, seen) if request_id.encode() in payload]
            found.extend(reply for reply in replies if reply["id"] == request_id)
            return bool(found)

        await eventually(f"{peer.name} answers {method}", answered)
        return found[0]

    async def hears(self, count: int, timeout: float = 30) -> None:
        """Waits until `count` messages in all have come."""

        async def enough() -> bool:
            return len(self.heard) >= count

        await eventually(f"{count} messages have come", enough, timeout)

    def of(self, peer: Node, since: int = 0) -> list[bytes]:
        """What came from this peer, without the first `since` of all messages."""
        return [payload for sender, payload in self.heard[since:] if sender == peer.node_id]

    async def listen(self, ready: asyncio.Event) -> None:
        """Until cancelled."""
        async for received in self._messages.received():
            if isinstance(received, Resumed):
                ready.set()
            else:
                self.heard.append((received.peer.hex, received.payload))


@contextlib.asynccontextmanager
async def wire(node: Node) -> AsyncIterator[Wire]:
    """The line of this node; nothing is missed from the moment the block is entered."""
    lnd = open_node(node.url(), clock=SystemClock(), random=Random(0))
    line, ready = Wire(lnd.messages), asyncio.Event()
    task = asyncio.create_task(line.listen(ready))
    try:
        async with asyncio.timeout(60):
            await ready.wait()
        yield line
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await lnd.close()


async def until_answering(lsp: Node, buyer: Node) -> None:
    """Waits until the service on this node answers the buyer: after its lnd has started again, for instance."""
    request = b'{"jsonrpc":"2.0","id":"there?","method":"lsps0.list_protocols","params":{}}'
    async with wire(buyer) as line:

        async def answers() -> bool:
            await line.say(lsp, request)  # one that comes before the service listens is lost (bLIP-50)
            return any(b'"there?"' in payload for payload in line.of(lsp))

        await eventually("the service listens again", answers, 60)


async def until_told(buyer: Node, lsp: Node, service: str, order_id: str, payment_state: str) -> dict[str, Any]:
    """The order as get_order of `service` ("lsps1", "lsps7") tells it to the buyer, once its payment has this state.

    What completes an order is told before its invoice is settled: COMPLETED and HOLD, and PAID a moment later.
    """
    told: dict[str, Any] = {}
    async with wire(buyer) as line:

        async def reached() -> bool:
            told.update((await line.call(lsp, f"{service}.get_order", order_id=order_id))["result"])
            return bool(told["payment"]["bolt11"]["state"] == payment_state)

        await eventually(f"order {order_id} is told as {payment_state}", reached)
    return told
