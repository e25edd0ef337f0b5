"""An LSP on the simulated network that can be killed and started again, and its peers.

Nothing here waits for the machine's clock: time is the world's, and `until` lets the event loop turn.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from lsps.node.contract import Channel
from lsps.node.simulated.clock import ManualClock
from lsps.node.simulated.lightning_node import Policy
from lsps.node.simulated.node import SimulatedNode
from lsps.orders.model import Order
from lsps.protocol import lsps1
from lsps.service.offer import ChannelOffer, ExtensionOffer, Offer, Unleased
from lsps.service.pricing import PriceFunction
from lsps.service.service import Service, rules_of
from lsps.store.orders import StoreUnavailable
from lsps.store.sqlite.opening import open_order_store
from lsps.store.sqlite.orders import SqliteOrderStore
from lsps.store.sqlite.writer import InlineWriter, Job
from lsps.testing import SimulatedNetwork, create_network
from lsps.units import OrderId, Sat, Scid
from tests.service.peers import Json, Peer, quiet, until

T = TypeVar("T")

OPTIONS = lsps1.Options(
    min_required_channel_confirmations=0,
    min_funding_confirms_within_blocks=2,
    supports_zero_channel_reserve=False,
    max_channel_expiry_blocks=50_000,
    min_initial_client_balance_sat=Sat(0),
    max_initial_client_balance_sat=Sat(1_000_000),
    min_initial_lsp_balance_sat=Sat(100_000),
    max_initial_lsp_balance_sat=Sat(10_000_000),
    min_channel_balance_sat=Sat(150_000),
    max_channel_balance_sat=Sat(10_500_000),
)
MAX_EXTENSION = 10_000
OFFER = Offer(lsps1=ChannelOffer(OPTIONS), lsps7=ExtensionOffer(MAX_EXTENSION, Unleased.PEER_OPENED))
"""What the LSP of these tests sells unless a test says otherwise."""

POLICY = Policy(max_pending_channels=5)


class MortalWriter(InlineWriter):
    """Writes until it is `dead`, as a process that was killed. While `full`, the disk is. While it `lies`, it reports
    what it has written as lost."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        super().__init__(connection, path)
        self.dead = False
        self.full = False
        self.lies = False

    async def run(self, job: Job[T]) -> T:
        if self.dead or self.full:
            raise StoreUnavailable("the disk is full")
        result = await super().run(job)
        if self.lies:
            raise StoreUnavailable("the disk reports an error")
        return result


class Crash(BaseException):
    """What the failpoint of `LspWorld.die_at` raises: nothing in the service may catch it."""


class LspWorld:
    """One LSP, one store, any number of peers. `start` and `kill` as often as a test likes."""

    def __init__(
        self, directory: Path, offer: Offer, price: PriceFunction | None, clients: int, policy: Policy
    ) -> None:
        self.clock = ManualClock()
        self.net: SimulatedNetwork[ManualClock] = create_network(self.clock, clients=clients, policy=policy)
        self.faults = self.net.world.faults
        self.peers = [Peer(self.net.lsp.node_id, node) for node in self.net.clients]
        self.offer = offer
        self.price = price
        self.passed: list[str] = []
        """The names of the failpoints that were passed, in order."""
        self._path = directory / "lsp.db"
        self.deaths = 0
        """How often it died at the place of `die_at`."""
        self._dies_at = ""
        self._lethal = False
        self.dead = asyncio.Event()
        self._listening = [asyncio.create_task(peer.listen()) for peer in self.peers]

    @property
    def lsp(self) -> SimulatedNode:
        """The test's own way to the LSP's node; the service has another."""
        return self.net.lsp

    # --- the process ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """A process that serves; returns when it does, or died at its failpoint before that."""
        self.dead.clear()
        self.node = self.net.another(self.lsp)
        self.writers: list[MortalWriter] = []
        self.store = self._open_store()
        self.service = Service(
            self.node,
            self.store,
            self.offer,
            price=self.price,
            clock=self.clock,
            token_bytes=self.net.world.random.randbytes,
            failpoint=self._failpoint,
        )
        self.process = asyncio.create_task(self.service.run())
        await quiet()
        for _ in range(60):
            if self.process.done() and not self.dead.is_set():
                await self.process
            if self.service.ready.is_set() or self.dead.is_set():
                return
            await self.pass_time(1)
        raise AssertionError("the service does not get ready")

    def _open_store(self) -> SqliteOrderStore:
        def writer(connection: sqlite3.Connection, path: Path) -> MortalWriter:
            self.writers.append(MortalWriter(connection, path))
            return self.writers[-1]

        return open_order_store(self._path, self.lsp.node_id, rules_of(self.offer), writer=writer)

    async def kill(self) -> None:
        """The process ends here: nothing of it reaches node or disk any more."""
        self._die()
        self.process.cancel()
        await asyncio.gather(self.process, return_exceptions=True)
        await self.store.close()

    def _die(self) -> None:
        for writer in self.writers:
            writer.dead = True
        self.node._access.closed = True  # a user's process that is killed says no goodbye
        self.dead.set()

    async def restart(self, *, again: bool = False, **offer: Any) -> None:
        """Kill it and start another, which dies where `die_at` says if `again`; `offer` are changes to what is sold."""
        await self.kill()
        await self.node.close()
        self._lethal = again
        self.offer = replace(self.offer, **offer)
        await self.start()

    def die_at(self, name: str) -> None:
        """Where a process dies that is started with `restart(again=True)`."""
        self._dies_at = name

    def _failpoint(self, name: str) -> None:
        self.passed.append(name)
        if self._lethal and name == self._dies_at:
            self.deaths += 1
            self._die()
            raise Crash(name)

    async def close(self) -> None:
        await self.kill()
        await self.node.close()
        for task in self._listening:
            task.cancel()
        await asyncio.gather(*self._listening, return_exceptions=True)
        for node in (self.lsp, *self.net.clients):
            await node.close()
        self.net.world.close()

    # --- the world --------------------------------------------------------------------------------------------------

    @property
    def disk(self) -> MortalWriter:
        return self.writers[-1]

    def mine(self, blocks: int = 1) -> None:
        self.net.mine(blocks)

    @property
    def tip(self) -> int:
        return int(self.net.world.chain.height)

    async def pass_time(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        await quiet()

    async def open_channel(self, peer: Peer, capacity: int = 3_000_000, push: int = 1_000_000, **how: Any) -> Channel:
        """A channel that the peer opens to the LSP; as the LSP sees it."""
        opened = await self.net.open_channel(peer.node, self.lsp, Sat(capacity), push=Sat(push), **how)
        await quiet(20)
        return next(channel for channel in await self.lsp.channels.list() if channel.funding == opened.funding)

    async def sell_channel(self, peer: Peer, **changes: Json) -> Json:
        """A channel bought by LSPS1, confirmed; the order as told then."""
        order = await peer.order_channel(**changes)
        payment = peer.pay(order)
        await until(payment.done)
        self.mine()
        await quiet(50)
        told = await peer.order(order)
        assert told["order_state"] == "COMPLETED", told
        return told

    async def close_channel(self, channel: Channel, blocks: int = 1) -> None:
        self.net.world.graph.close(channel.channel_id)
        self.mine(blocks)
        await quiet(50)

    async def stored(self, order: Json) -> Order:
        found = await self.store.order(OrderId(order["order_id"]))
        assert found is not None
        return found

    async def lsp_channels(self) -> list[Channel]:
        """Channels that the LSP opened."""
        return [channel for channel in await self.lsp.channels.list() if channel.opener.value == "us"]


def scid_of(channel: Channel) -> Scid:
    assert channel.scid is not None
    return channel.scid


@asynccontextmanager
async def lsp_world(
    directory: Path,
    *,
    offer: Offer = OFFER,
    price: PriceFunction | None = None,
    clients: int = 1,
    policy: Policy = POLICY,
    channels: bool = True,
) -> AsyncIterator[LspWorld]:
    """A world with a serving LSP; with `channels`, every peer has opened one to it and can pay."""
    world = LspWorld(directory, offer, price, clients, policy)
    if channels:
        for peer in world.peers:
            await world.open_channel(peer)
    await world.start()
    try:
        yield world
    finally:
        await world.close()
