"""Customers that talk to the LSP in raw bytes, so that every malformed thing can be sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sized
from dataclasses import dataclass, field
from typing import Any

from lsps.lightning import bolt11
from lsps.node.contract import Message, Payment
from lsps.node.simulated.node import SimulatedNode
from lsps.units import Msat, NodeId

Json = Any

CHANNEL_ORDER = {
    "lsp_balance_sat": "1000000",
    "client_balance_sat": "20000",
    "required_channel_confirmations": 1,
    "funding_confirms_within_blocks": 6,
    "channel_expiry_blocks": 1000,
    "announce_channel": False,
}
TURNS = 3000
IDLE_TURNS = 5
"""So often the loop looks for what came over a socket or from a thread before `quiet` believes that nothing will."""


async def until(what: Callable[[], bool]) -> None:
    """Let the event loop turn until it is so."""
    for _ in range(TURNS):
        if what():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not happen")


async def quiet(turns: int = 200) -> None:
    """Let everything happen that can happen without time going on; ends when nobody else has had a turn for a while."""
    waiting: Sized = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]  # asyncio tells it no other way
    idle = 0
    for _ in range(turns):
        await asyncio.sleep(0)
        idle = 0 if waiting else idle + 1
        if idle == IDLE_TURNS:
            return


@dataclass
class Peer:
    """A customer's node that speaks raw bytes with the LSP. `replies` by id; `others` are what has no known id."""

    lsp: NodeId
    node: SimulatedNode
    replies: dict[object, list[Json]] = field(default_factory=dict)
    others: list[Json] = field(default_factory=list)
    asked: int = 0

    async def listen(self) -> None:
        async for message in self.node.messages.received():
            if isinstance(message, Message):
                reply = json.loads(message.payload)
                known = self.replies.get(reply.get("id"))
                (self.others if known is None else known).append(reply)

    async def send(self, payload: bytes) -> None:
        await self.node.messages.send(self.lsp, payload)

    async def send_request(self, method: str, params: Json = None, request_id: Json = None) -> Json:
        """Send it, wait for nothing; returns the id."""
        if request_id is None:
            self.asked += 1
            request_id = f"{id(self):x}-{self.asked}"
        self.replies.setdefault(request_id, [])
        request = {"jsonrpc": "2.0", "method": method, "params": params or {}, "id": request_id}
        await self.send(json.dumps(request).encode())
        return request_id

    async def ask(self, method: str, params: Json = None, request_id: Json = None) -> Json:
        """The whole reply."""
        before = len(self.replies.get(request_id, []))
        request_id = await self.send_request(method, params, request_id)
        await until(lambda: len(self.replies[request_id]) > before)
        return self.replies[request_id][-1]

    async def call(self, method: str, params: Json = None) -> Json:
        """The result of a request that must succeed."""
        reply = await self.ask(method, params)
        assert "result" in reply, reply
        return reply["result"]

    async def refused(self, method: str, params: Json = None) -> Json:
        """The error of a request that must be refused."""
        reply = await self.ask(method, params)
        assert "error" in reply, reply
        return reply["error"]

    async def answer_to(self, payload: bytes) -> Json:
        """The one message, whatever its id, that comes back for these bytes."""
        seen = len(self.others)
        await self.send(payload)
        await until(lambda: len(self.others) > seen)
        await quiet(20)
        (reply,) = self.others[seen:]
        return reply

    # --- orders -----------------------------------------------------------------------------------------------------

    async def extendable(self) -> list[Json]:
        result = await self.call("lsps7.get_extendable_channels")
        channels: list[Json] = result["extendable_channels"]
        return channels

    async def order_extension(self, blocks: int = 144, scid: object = None, **more: Json) -> Json:
        scid = scid or (await self.extendable())[0]["short_channel_id"]
        params = {"short_channel_id": str(scid), "channel_extension_expiry_blocks": blocks, **more}
        return await self.call("lsps7.create_order", params)

    async def order_channel(self, **changes: Json) -> Json:
        return await self.call("lsps1.create_order", CHANNEL_ORDER | changes)

    async def order(self, order: Json) -> Json:
        """What the LSP tells of it now."""
        service = "lsps1" if "lsp_balance_sat" in order else "lsps7"
        return await self.call(f"{service}.get_order", {"order_id": order["order_id"]})

    async def told(self, order: Json) -> tuple[str, str]:
        """Order state and payment state, as told now."""
        now = await self.order(order)
        return now["order_state"], now["payment"]["bolt11"]["state"]

    def pay(self, order: Json) -> asyncio.Task[Payment]:
        invoice = order["payment"]["bolt11"]["invoice"]
        return asyncio.create_task(self.node.payments.pay(invoice, Msat(0)))


def payment_hash(order: Json) -> bytes:
    return bolt11.decode(order["payment"]["bolt11"]["invoice"]).payment_hash
