"""LDK's client as a customer of ours: LDK speaks with the key of the simulated wallet node, which pays and is paid."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interop.ldk.node import Event, LdkAnswered, LdkNode, ldk_node
from lsps.service.offer import Offer
from lsps.service.pricing import PriceFunction
from lsps.testing import OFFER
from tests.ldk.our_lsp import OurLsp, our_lsp
from tests.node.contract.environment import eventually

Json = dict[str, Any]

ORDER: Json = {
    "lsp_balance_sat": "1000000",
    "client_balance_sat": "20000",
    "required_channel_confirmations": 1,
    "funding_confirms_within_blocks": 6,
    "channel_expiry_blocks": 1000,
    "token": None,
    "announce_channel": False,
}


@dataclass(frozen=True)
class LdkCustomer:
    """LDK's client, and the LSP of ours that it speaks with over TCP."""

    ldk: LdkNode
    lsp: OurLsp

    @property
    def peer(self) -> str:
        return str(self.lsp.node_id)

    async def connect(self) -> None:
        """Returns when both sides know."""
        await self.ldk.connect(self.peer, self.lsp.address)
        await self.lsp.online(self.lsp.buyer.node_id)

    async def disconnect(self) -> None:
        """LDK hangs up; returns when both sides know."""
        await self.ldk.disconnect(self.peer)
        await self.lsp.offline(self.lsp.buyer.node_id)

    async def reconnect(self) -> None:
        await self.disconnect()
        await self.connect()

    async def order(self, **changes: object) -> Event:
        return await self.ldk.create_order(self.peer, ORDER | changes)

    async def error(self, **changes: object) -> Json:
        """The error with which an order with these changes is refused, as LDK shows it to its owner."""
        try:
            created = await self.order(**changes)
        except LdkAnswered as answered:
            return answered.error
        raise AssertionError(f"the order was taken: {created}")

    async def status(self, order: Event) -> Event:
        return await self.ldk.get_order(self.peer, order["order_id"])

    async def until(self, order: Event, payment_state: str, *, passing: float = 0) -> Event:
        """LDK asks after its order until its payment is in this state; each time after `passing` seconds."""

        async def check() -> Event | None:
            await self.lsp.net.clock.advance(passing)
            told = await self.status(order)
            return told if told["payment"]["bolt11"]["state"] == payment_state else None

        return await eventually(f"the payment is {payment_state}", check)

    def order_state(self, told: Event) -> str:
        """LDK reads order_state, but does not hand it to its owner: as it was on the wire."""
        (reply,) = self.lsp.tap.replies(told["request_id"])
        state: str = reply["result"]["order_state"]
        return state

    async def received(self, request_id: str) -> str | None:
        """What LDK says of our reply to this request of its own, once it came: None, or why it did not take it."""
        while True:
            event = await self.ldk.event("received", peer=self.peer)
            if json.loads(event["payload"])["id"] == request_id:
                error: str | None = event["error"]
                return error

    def answers(self, request_id: str) -> list[str]:
        """The events that LDK gave its owner for this request."""
        return [event["event"] for event in self.ldk.events if event.get("request_id") == request_id]

    async def is_deaf(self) -> bool:
        """Whether LDK ignores us: it asks, we answer, and its owner hears nothing of that."""
        request_id = await self.ldk.command("lsps1_get_info", peer=self.peer)
        error = await self.received(request_id)
        return error is not None and "Ignoring message from peer" in error


@asynccontextmanager
async def ldk_customer(
    directory: Path, *, offer: Offer = OFFER, price: PriceFunction | None = None
) -> AsyncIterator[LdkCustomer]:
    """Connected over TCP."""
    async with (
        our_lsp(directory, offer=offer, price=price) as lsp,
        ldk_node(key=lsp.buyer_key.to_bytes(), client=True) as ldk,
    ):
        customer = LdkCustomer(ldk, lsp)
        await customer.connect()
        yield customer
