"""Customers who send whatever they like: raw bytes, any id, any number of times, and pay or do not pay, for anybody."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from lsps.lightning import bolt11
from lsps.node.contract import Message, NodeError
from lsps.node.simulated.lightning_node import LightningNode
from lsps.node.simulated.node import SimulatedNode
from lsps.units import Msat, NodeId
from tests.simulation.loop import SimulatedLoop
from tests.simulation.process import Process

Json = Any


CHANNEL_ORDER: dict[str, object] = {
    "lsp_balance_sat": "200000",
    "client_balance_sat": "0",
    "required_channel_confirmations": 1,
    "funding_confirms_within_blocks": 6,
    "channel_expiry_blocks": 9,
    "announce_channel": False,
}


@dataclass(frozen=True, slots=True)
class Known:
    """An order somebody made, as its reply told it."""

    principal: NodeId
    service: str
    order_id: str
    invoice: str | None
    address: str | None
    total: int
    """In satoshi; 0 for a free one."""


@dataclass
class Stranger:
    """`known` is shared by all strangers: they tell one another of the orders they made."""

    loop: SimulatedLoop
    name: str
    node: LightningNode
    lsp: LightningNode
    known: list[Known]
    heard: list[Json] = field(default_factory=list)
    """Replies, the newest last."""
    asked: int = 0

    def start(self) -> None:
        self._process = Process(self.loop, self.name)
        self._way = SimulatedNode(self.node)
        self._process.start(self._listen(), self.name)

    def kill(self) -> None:
        self.loop.finish_now(self._way.close())
        self._process.kill()

    async def _listen(self) -> None:
        async for message in self._way.messages.received():
            if isinstance(message, Message):
                self._hear(json.loads(message.payload))

    def _hear(self, reply: Json) -> None:
        self.heard.append(reply)
        result = reply.get("result") or {}
        if "order_id" in result and not any(known.order_id == result["order_id"] for known in self.known):
            bolt11, onchain = result["payment"].get("bolt11") or {}, result["payment"].get("onchain") or {}
            self.known.append(
                Known(
                    principal=self.node.node_id,
                    service="lsps7" if "new_channel_expiry_block" in result else "lsps1",
                    order_id=result["order_id"],
                    invoice=bolt11.get("invoice"),
                    address=onchain.get("address"),
                    total=int((bolt11 or onchain).get("order_total_sat", 0)),
                )
            )

    def request(self, method: str, params: Json, *, request_id: object = None) -> object:
        """Send it, and wait for nothing; returns its id."""
        self.asked += 1
        request_id = f"{self.name}-{self.asked}" if request_id is None else request_id
        request = {"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}
        self.send(json.dumps(request).encode())
        return request_id

    def send(self, payload: bytes) -> None:
        self._process.start(self._send(payload), f"{self.name} sends")

    async def _send(self, payload: bytes) -> None:
        try:
            await self._way.messages.connect(self.lsp.node_id)
            await self._way.messages.send(self.lsp.node_id, payload)
        except NodeError:
            pass  # nobody promised to deliver it

    def pay(self, order: Known, *, percent: int = 100) -> None:
        """Pay an order's invoice, whoever ordered; with less than 100 percent of its amount, it is short."""
        if order.invoice is not None:
            self._process.start(self._pay(order.invoice, percent), f"{self.name} pays")

    async def _pay(self, text: str, percent: int) -> None:
        invoice = bolt11.decode(text)
        if percent != 100 and invoice.amount is not None:
            # A payer may pay less than the invoice says; our simulated one does so by an invoice that says less.
            short = replace(invoice, amount=Msat(invoice.amount.value * percent // 100 or 1))
            text = bolt11.encode(short, self.lsp.key)
        with suppress(NodeError):  # not sent, or its outcome unknown: the books of the world know
            await self._way.payments.pay(text, Msat(100_000))
