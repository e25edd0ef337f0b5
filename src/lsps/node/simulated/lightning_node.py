"""A Lightning node of the simulated world: what it owns and what it listens to. It lives on when its users go away."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from lsps.lightning.keys import SecretKey
from lsps.node.contract import (
    LARGE_CHANNEL_FEATURES,
    Channel,
    ChannelGone,
    Message,
    NodeUnreachable,
    PeerOffline,
    PeerOnline,
)
from lsps.node.simulated.faults import Fault
from lsps.node.simulated.invoices import InvoiceBook
from lsps.node.simulated.openings import Openings
from lsps.node.simulated.payments import PaymentBook
from lsps.node.simulated.streams import Feed
from lsps.node.simulated.wallet import WalletBook
from lsps.units import BlockHeight, ChannelId, Msat, NodeId, Sat

if TYPE_CHECKING:
    from lsps.node.simulated.channels import SimulatedChannel
    from lsps.node.simulated.network import World

T = TypeVar("T")

NO_FEE = Msat(0)

_FEATURES = frozenset({1, 9, 13, 15, 17, 23, 45, 47, 51, 729})
"""BOLT 9 bits that an LND with 0-conf channels and aliases sets, and bLIP-50's 729."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How a node treats others. `confirmations`: how deep a funding transaction must be before a channel that a peer
    opened is used. A forwarded payment costs `base_fee` and `fee_ppm` millionths of its amount. `sees_fees`: its wallet
    knows what an incoming transaction pays (LND's does not)."""

    max_pending_channels: int = 1
    confirmations: int = 1
    large_channels: bool = False
    base_fee: Msat = NO_FEE
    fee_ppm: int = 0
    sees_fees: bool = True


class LightningNode:
    """Made by World.add_node."""

    def __init__(self, world: World, key: SecretKey, alias: str, address: str, policy: Policy) -> None:
        self.world = world
        self.key = key
        self.node_id: NodeId = key.node_id
        self.alias = alias
        self.address = address
        self.policy = policy
        self.features = _FEATURES | LARGE_CHANNEL_FEATURES if policy.large_channels else _FEATURES
        self.running = True
        self.known_addresses: dict[NodeId, str] = {}
        self.channels: dict[ChannelId, SimulatedChannel] = {}
        self.zero_conf_offers: dict[object, tuple[NodeId, Sat]] = {}
        self.invoices = InvoiceBook(self)
        self.payments = PaymentBook(self)
        self.wallet = WalletBook(self)
        self.openings = Openings(self)
        self.messages_feed: Feed[Message] = Feed()
        self.peers_feed: Feed[PeerOnline | PeerOffline] = Feed()
        self.channels_feed: Feed[Channel | ChannelGone] = Feed()
        self.tips_feed: Feed[BlockHeight] = Feed()
        self._waiting: dict[asyncio.Future[Any], None] = {}
        self._tasks: dict[asyncio.Task[None], None] = {}

    def cut_streams(self) -> None:
        """Break every stream of this node until `mend_streams`; calls still work."""
        for feed in self._feeds():
            feed.cut()

    def mend_streams(self) -> None:
        for feed in self._feeds():
            feed.mend()

    def stop(self) -> None:
        """Crash: every call in work is unanswered, streams break, peers go, negotiations die. What it owns stays."""
        if not self.running:
            return
        self.running = False
        self.world.disconnect_all(self.node_id)
        self.cut_streams()
        for future in list(self._waiting):
            if not future.done():
                future.set_exception(NodeUnreachable(f"the simulated node {self.alias} was stopped"))

    def start(self) -> None:
        """Run again: reconnect to running peers with a channel, then let every stream resume."""
        if self.running:
            return
        self.running = True
        for peer in dict.fromkeys(channel.other(self.node_id) for channel in self.channels.values()):
            if self.world.nodes[peer].running:
                self.world.connect(self.node_id, peer)
        self.invoices.cancel_due(self.world.chain.height)
        self.wallet.rebroadcast()
        self.mend_streams()

    async def wait(self, future: asyncio.Future[T]) -> T:
        """Wait as a caller of this node does: NodeUnreachable when it is stopped meanwhile."""
        self._waiting[future] = None
        try:
            return await future
        finally:
            del self._waiting[future]

    async def strike(self, fault: Fault) -> None:
        """Suffer a fault. Raises its error, or NodeUnreachable when this node is stopped meanwhile."""
        if fault.seconds != 0:
            over: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            if fault.seconds is not None:
                self.world.timers.after(fault.seconds, lambda: None if over.done() else over.set_result(None))
            await self.wait(over)
        if fault.error is not None:
            raise fault.error

    def spawn(self, work: Coroutine[object, object, None]) -> None:
        """Run something that outlives its caller. It must look out for this node's being stopped."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = None
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    def require_running(self) -> None:
        if not self.running:
            raise NodeUnreachable(f"the simulated node {self.alias} is stopped; start it again")

    def _feeds(self) -> tuple[Feed[Any], ...]:
        return (
            self.messages_feed,
            self.peers_feed,
            self.channels_feed,
            self.tips_feed,
            self.invoices.feed,
            self.wallet.feed,
        )
