"""A simulated LSP with one fault: our own service's answers, changed on their way."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from lsps.check.model import Check, Report
from lsps.check.probe import Times
from lsps.check.runner import run_checks
from lsps.check.subject import Spending
from lsps.clock import SystemClock
from lsps.lightning.keys import SecretKey
from lsps.node.contract import Channel, Message, Payment, Resumed
from lsps.node.simulated.node import SimulatedChannels, SimulatedNode, SimulatedPayments
from lsps.protocol.lsps1 import Options
from lsps.service.offer import ChannelOffer, ExtensionOffer, Offer, PaymentTerms, Unleased
from lsps.testing import network
from lsps.units import Msat, NodeId, Sat

SELLING = Offer(
    lsps1=ChannelOffer(
        Options(
            min_required_channel_confirmations=1,
            min_funding_confirms_within_blocks=2,
            supports_zero_channel_reserve=False,
            max_channel_expiry_blocks=52_560,
            min_initial_client_balance_sat=Sat(10_000),
            max_initial_client_balance_sat=Sat(2_000_000),
            min_initial_lsp_balance_sat=Sat(100_000),
            max_initial_lsp_balance_sat=Sat(3_000_000),
            min_channel_balance_sat=Sat(200_000),
            max_channel_balance_sat=Sat(4_000_000),
        )
    ),
    lsps7=ExtensionOffer(extend_unleased_channels=Unleased.ALL),
    payment=PaymentTerms(onchain=True, min_onchain_payment=Sat(1), min_onchain_payment_confirmations=0),
)
"""Every option can be missed by an order that keeps the others' own bounds."""

ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
TIMES = Times(answer=20, quiet=0.0, poll=0.01, polls=1_000)

Answer = dict[str, Any] | bytes


class Request(msgspec.Struct):
    """What a bad payload is not."""

    jsonrpc: Literal["2.0"]
    id: str | int
    method: str
    params: Any = None


@dataclass(frozen=True)
class Asked:
    """What an answer answers; `method` is "" for a payload that is no request."""

    payload: bytes
    method: str = ""
    params: Any = None


@dataclass
class World:
    """What a fault may use: the LSP's own key, the orders told so far, and a counter."""

    key: SecretKey
    orders: list[dict[str, Any]] = field(default_factory=list)
    count: Iterator[int] = field(default_factory=itertools.count)


Fault = Callable[[World, Asked, dict[str, Any]], Answer | list[Answer] | None]
"""The answers sent in place of the right one; None: nothing is sent."""


def no_fault(_world: World, _asked: Asked, message: dict[str, Any]) -> Answer:
    return message


class ImpatientClock(SystemClock):
    """Time passes at once where an answer was swallowed."""

    def __init__(self) -> None:
        self._hurry = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._hurry.wait()
        except TimeoutError:
            return
        self._hurry.clear()

    def hurry(self) -> None:
        self._hurry.set()


class FaultyMessages:
    """contract.Messages, seen from a client whose LSP has a fault."""

    def __init__(self, node: SimulatedNode, world: World, fault: Fault, clock: ImpatientClock) -> None:
        self._inner = node.messages
        self._world = world
        self._fault = fault
        self._clock = clock
        self._asked: dict[object, Asked] = {}
        self._bad = Asked(b"")
        self._refunds: dict[str, bool] = {}
        self.connect = self._inner.connect
        self.peer = self._inner.peer
        self.peer_events = self._inner.peer_events

    async def send(self, peer: NodeId, payload: bytes) -> None:
        try:
            request = msgspec.json.decode(payload, type=Request)
            self._asked[request.id] = Asked(payload, request.method, request.params)
        except ValueError:
            self._bad = Asked(payload)
        await self._inner.send(peer, payload)

    async def received(self) -> AsyncIterator[Resumed | Message]:
        async for event in self._inner.received():
            if not isinstance(event, Message):
                yield event
                continue
            message = msgspec.json.decode(event.payload)
            asked = self._bad if message["id"] is None else self._asked[message["id"]]
            self._offer_bolt12(asked, message)
            answers = self._fault(self._world, asked, message)
            if answers is None:
                self._clock.hurry()
                continue
            for answer in answers if isinstance(answers, list) else [answers]:
                yield Message(event.peer, answer if isinstance(answer, bytes) else msgspec.json.encode(answer))

    def _offer_bolt12(self, asked: Asked, message: dict[str, Any]) -> None:
        """What our service would answer if it took BOLT 12, to an order with a refund address."""
        order = message.get("result")
        if not isinstance(order, dict) or "order_id" not in order or not asked.method.startswith("lsps1."):
            return
        if asked.method == "lsps1.create_order":
            self._refunds[order["order_id"]] = "refund_onchain_address" in asked.params
        if self._refunds[order["order_id"]]:
            order["payment"]["bolt12"] = {**_terms(order), "offer": "lno1qgsqvgnwgcg35z6ee2h3yczraddm72xrfua9uve2rl"}


def _terms(order: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in order["payment"]["bolt11"].items() if name != "invoice"}


def add_onchain(order: dict[str, Any]) -> None:
    order["payment"]["onchain"] = {**_terms(order), "address": ADDRESS, "min_onchain_payment_confirmations": 1}


class FaultyChannels(SimulatedChannels):
    """The client's channels, changed as a fault of the LSP would change them."""

    change: Callable[[Channel], Channel]

    async def list(self) -> tuple[Channel, ...]:
        return tuple(self.change(channel) for channel in await super().list())


class FaultyPayments(SimulatedPayments):
    """The client's payments, whose outcome is what a fault of the LSP would make of it."""

    outcome: Callable[[Payment], Payment]

    async def pay(self, invoice: str, max_fee: Msat) -> Payment:
        return self.outcome(await super().pay(invoice, max_fee))


class FaultyNode:
    """contract.Node with the faulty messages; everything else is the client's own node. `key` is the LSP's."""

    def __init__(
        self,
        node: SimulatedNode,
        messages: FaultyMessages,
        key: SecretKey,
        change: Callable[[Channel], Channel] | None = None,
        outcome: Callable[[Payment], Payment] | None = None,
    ) -> None:
        self.node = node
        self.key = key
        self.messages = messages
        self.invoices = node.invoices
        self.payments: SimulatedPayments | None = node.payments
        self.channels = node.channels
        self.wallet = node.wallet
        self.info = node.info
        self.tips = node.tips
        self.close = node.close
        if change is not None:
            self.channels = FaultyChannels(node._access)
            self.channels.change = change
        if outcome is not None:
            self.payments = payments = FaultyPayments(node._access)
            payments.outcome = outcome


@asynccontextmanager
async def faulty_lsp(
    fault: Fault = no_fault,
    change: Callable[[Channel], Channel] | None = None,
    outcome: Callable[[Payment], Payment] | None = None,
    offer: Offer = SELLING,
) -> AsyncIterator[tuple[FaultyNode, NodeId, ImpatientClock]]:
    """A client's node, connected to an LSP with a fault and a channel; the LSP's id; the clock to check with."""
    async with network(offer=offer) as net:
        nodes = net.nodes
        await nodes.open_channel(nodes.lsp, nodes.clients[0], Sat(2_000_000), push=Sat(900_000))
        clock = ImpatientClock()
        world = World(nodes.world.nodes[nodes.lsp.node_id].key)

        def remembering(world: World, asked: Asked, message: dict[str, Any]) -> Answer | list[Answer] | None:
            told = deepcopy(message.get("result"))
            answer = fault(world, asked, message)
            if asked.method.endswith(".create_order") and isinstance(told, dict):
                world.orders.append(told)
            return answer

        node = nodes.another(nodes.clients[0])
        messages = FaultyMessages(node, world, remembering, clock)
        yield FaultyNode(node, messages, world.key, change, outcome), nodes.lsp.node_id, clock
        await node.close()


async def check_faulty(
    fault: Fault,
    checks: tuple[Check, ...],
    change: Callable[[Channel], Channel] | None = None,
    outcome: Callable[[Payment], Payment] | None = None,
    *,
    pay: bool = False,
) -> Report:
    async with faulty_lsp(fault, change, outcome) as (node, lsp, clock):
        spending = Spending(Sat(100_000)) if pay else None
        return await run_checks(node, lsp, checks=checks, spending=spending, clock=clock, times=TIMES)
