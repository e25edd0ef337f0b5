"""Our service over TCP on a simulated node: the listener has the node's own key, and every message is written down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lsps.lightning.keys import SecretKey
from lsps.node.bolt8.messages import Bolt8Messages
from lsps.node.contract import Message, Payment, Peer, PeerOffline, PeerOnline, Resumed
from lsps.node.overlay import WithMessages
from lsps.node.simulated.lightning_node import Policy
from lsps.node.simulated.node import SimulatedNode
from lsps.service.offer import Offer
from lsps.service.pricing import PriceFunction, PriceRequest, PriceTable
from lsps.service.service import Service, rules_of
from lsps.store.sqlite.opening import open_order_store
from lsps.store.sqlite.orders import SqliteOrderStore
from lsps.testing import OFFER, ManualClock, SimulatedNetwork, create_network
from lsps.units import Msat, NodeId, Sat
from tests.node.bolt8.environment import Host, host
from tests.node.contract.environment import eventually

Json = Any


class Wiretap:
    """Messages as they are. `heard` is what came, `said` what was given to be sent, whether it arrived or not."""

    def __init__(self, messages: Bolt8Messages) -> None:
        self.messages = messages
        self.heard: list[tuple[NodeId, Json]] = []
        self.said: list[tuple[NodeId, Json]] = []

    async def send(self, peer: NodeId, payload: bytes) -> None:
        self.said.append((peer, json.loads(payload)))
        await self.messages.send(peer, payload)

    async def received(self) -> AsyncIterator[Resumed | Message]:
        async for item in self.messages.received():
            if isinstance(item, Message):
                self.heard.append((item.peer, json.loads(item.payload)))
            yield item

    async def connect(self, peer: NodeId, address: str | None = None) -> None:
        await self.messages.connect(peer, address)

    async def peer(self, peer: NodeId) -> Peer | None:
        return await self.messages.peer(peer)

    def peer_events(self) -> AsyncIterator[Resumed | PeerOnline | PeerOffline]:
        return self.messages.peer_events()

    # --- what the tests look at -------------------------------------------------------------------------------------

    def requests(self, method: str) -> list[Json]:
        """The requests with this method that came, of any peer."""
        return [message for _, message in self.heard if message.get("method") == method]

    def replies(self, request_id: object) -> list[Json]:
        """What was said with this id."""
        return [message for _, message in self.said if message["id"] == request_id]

    def not_understood(self) -> list[NodeId]:
        """Who said that it could not parse a message of ours (-32700 with id null), each time."""
        return [
            peer
            for peer, message in self.heard
            if message.get("id", "") is None and message.get("error", {}).get("code") == -32700
        ]


class HeldPrice:
    """A price function that keeps create_order in work until `opened` is set; the operator's table otherwise."""

    def __init__(self) -> None:
        self.asked = 0
        self.opened = asyncio.Event()

    async def __call__(self, request: PriceRequest) -> Sat:
        self.asked += 1
        await self.opened.wait()
        return PriceTable()(request)

    async def asked_times(self, times: int) -> None:
        async def check() -> bool:
            return self.asked >= times

        await eventually(f"{times} orders in work", check)


@dataclass(frozen=True)
class OurLsp:
    """Time stands still but for `net.clock.advance`; blocks come by `net.mine`."""

    net: SimulatedNetwork[ManualClock]
    host: Host
    tap: Wiretap
    store: SqliteOrderStore

    @property
    def node_id(self) -> NodeId:
        return self.host.node_id

    @property
    def address(self) -> str:
        """HOST:PORT."""
        return self.host.address

    @property
    def buyer(self) -> SimulatedNode:
        """The customer's wallet node in the simulated world; it has a channel to the LSP and can pay."""
        return self.net.clients[0]

    @property
    def buyer_key(self) -> SecretKey:
        """That node's key: whoever speaks with it over TCP is that node to the LSP."""
        return self.net.world.nodes[self.buyer.node_id].key

    def pay(self, invoice: str) -> asyncio.Task[Payment]:
        return asyncio.create_task(self.buyer.payments.pay(invoice, Msat(0)))

    async def disconnect(self, peer: NodeId) -> None:
        """Hang up on the peer over TCP; what was sent before still goes out."""
        await self.host.messages.disconnect(peer)
        await self.offline(peer)

    async def offline(self, peer: NodeId) -> None:
        async def check() -> bool:
            return await self.tap.peer(peer) is None

        await eventually("the peer is offline", check)

    async def online(self, peer: NodeId) -> None:
        async def check() -> bool:
            return await self.tap.peer(peer) is not None

        await eventually("the peer is online", check)

    async def answered(self, request_id: object, times: int = 1) -> list[Json]:
        """The replies to this id, once there are so many."""

        async def check() -> bool:
            return len(self.tap.replies(request_id)) >= times

        await eventually(f"{times} replies to {request_id!r}", check)
        return self.tap.replies(request_id)

    async def heard(self, enough: Callable[[], bool]) -> None:
        """Wait until what the peers said is enough."""

        async def check() -> bool:
            return enough()

        await eventually("the peers said it", check)

    async def unpaid(self, peer: NodeId) -> int:
        return (await self.store.unpaid(peer)).of_principal


@asynccontextmanager
async def our_lsp(
    directory: Path,
    *,
    offer: Offer = OFFER,
    price: PriceFunction | None = None,
    tap: Callable[[Bolt8Messages], Wiretap] = Wiretap,
) -> AsyncIterator[OurLsp]:
    """The service, ready, and its customer's node with a channel to pay by."""
    async with AsyncExitStack() as stack:
        # From the present on: an invoice of the past would be no good to a customer, whose time goes on.
        net = create_network(ManualClock(datetime.now(UTC)), policy=Policy(max_pending_channels=5))
        stack.callback(net.world.close)
        await net.open_channel(net.clients[0], net.lsp, Sat(5_000_000), push=Sat(1_000_000))
        ours = await stack.enter_async_context(host(key=net.world.nodes[net.lsp.node_id].key))
        tapped = tap(ours.messages)
        store = open_order_store(directory / "lsp.db", net.lsp.node_id, rules_of(offer))
        stack.push_async_callback(store.close)
        service = Service(WithMessages(net.lsp, tapped), store, offer, price=price, clock=net.clock)
        await stack.enter_async_context(service.running())
        yield OurLsp(net, ours, tapped, store)
