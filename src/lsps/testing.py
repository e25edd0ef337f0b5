"""A simulated Lightning network, for tests of your own code: nothing of it leaves the process.

With an LSP that sells and clients that buy, on the machine's clock:

    async with lsps.testing.network(clients=1) as net:
        await net.nodes.open_channel(net.nodes.clients[0], net.nodes.lsp, lsps.Sat(2_000_000))    # to pay with
        lsp = net.clients[0].lsp(net.lsp_address)
        bought = await lsp.lsps1.buy(lsp_balance=lsps.Sat(1_000_000), expiry_blocks=4320, max_fee=lsps.Sat(10_000))

Nodes alone, with time that stands still until `await net.clock.advance(60)` lets a minute pass:

    async with lsps.testing.simulated_network(clients=1) as net:
        channel = await net.open_channel(net.lsp, net.clients[0], lsps.Sat(1_000_000), push=lsps.Sat(400_000))
        net.world.faults.fail_next(net.lsp.node_id, "channels.open", before=False)

Blocks come when `mine()` says so. The same seed gives the same keys, transactions and secrets.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Generic, TypeVar

from lsps import failpoints
from lsps.client.client import Client
from lsps.client.patience import Patience
from lsps.clock import Clock, SystemClock
from lsps.failpoints import Failpoint
from lsps.node.contract import Channel, OpenRequest
from lsps.node.simulated.clock import ManualClock, settle
from lsps.node.simulated.host import hosting
from lsps.node.simulated.lightning_node import Policy
from lsps.node.simulated.network import World
from lsps.node.simulated.node import SimulatedNode
from lsps.protocol import lsps1
from lsps.service.offer import ChannelOffer, ExtensionOffer, Offer
from lsps.service.pricing import PriceFunction
from lsps.service.service import Service, rules_of
from lsps.store.sqlite.journal import open_journal
from lsps.store.sqlite.opening import open_order_store
from lsps.units import Sat

__all__ = [
    "LspNetwork",
    "ManualClock",
    "Policy",
    "SimulatedNetwork",
    "create_network",
    "network",
    "settle",
    "simulated_network",
]

C = TypeVar("C", bound=Clock)

SAT_PER_KW = 1000
_FUNDS = Sat(20_000_000)
_OUTPUTS = 10


@dataclass(frozen=True)
class SimulatedNetwork(Generic[C]):
    """An LSP's node and its clients', each funded and connected to the LSP. `world` is everything behind them."""

    world: World
    clock: C
    lsp: SimulatedNode
    clients: tuple[SimulatedNode, ...]

    def mine(self, blocks: int = 1) -> None:
        self.world.mine(blocks)

    def pay(self, address: str, amount: Sat, sat_per_kw: int | None = None) -> str:
        """Somebody outside pays on-chain; counts when a block is mined. Returns the transaction's id, with which
        `world.replace` and `world.evict` go on."""
        return self.world.pay(address, amount, sat_per_kw)

    def reorg(self, depth: int, *, empty: bool = True) -> None:
        """The newest `depth` blocks give way to one more; their transactions wait again, or `empty=False` confirm at
        other heights. `world.reorg` can also drop and double-spend."""
        self.world.reorg(depth, empty=empty)

    def fund(self, node: SimulatedNode, amount: Sat, outputs: int = 1) -> None:
        """Give a wallet so many confirmed outputs of this amount each."""
        self.world.fund(node.node_id, amount, outputs)
        self.mine()

    def connect(self, one: SimulatedNode, other: SimulatedNode) -> None:
        self.world.connect(one.node_id, other.node_id)

    def disconnect(self, one: SimulatedNode, other: SimulatedNode) -> None:
        self.world.disconnect(one.node_id, other.node_id)

    def stop(self, node: SimulatedNode) -> None:
        """Crash a node: its calls raise NodeUnreachable and its streams say nothing until `start`."""
        self.world.nodes[node.node_id].stop()

    def start(self, node: SimulatedNode) -> None:
        self.world.nodes[node.node_id].start()

    def another(self, node: SimulatedNode) -> SimulatedNode:
        """A second connection to the same node, as a restarted program makes one."""
        return SimulatedNode(self.world.nodes[node.node_id])

    def hosting(self, node: SimulatedNode, socket: Path) -> AbstractAsyncContextManager[None]:
        """While entered, other processes of this user reach the node by the URL simulated://SOCKET."""
        return hosting(self.world.nodes[node.node_id], socket)

    def keep_key(self, node: SimulatedNode, file: Path) -> None:
        """Write a node's own key as bolt8://?key=FILE and [listen] read it."""
        file.touch(mode=0o600)
        file.write_text(self.world.nodes[node.node_id].key.to_bytes().hex())

    async def open_channel(
        self,
        opener: SimulatedNode,
        peer: SimulatedNode,
        capacity: Sat,
        *,
        push: Sat | None = None,
        private: bool = False,
        zero_conf: bool = False,
    ) -> Channel:
        """Open a channel with the wallet's inputs and mine until it is usable; returns it as the opener sees it."""
        request = OpenRequest(
            peer=peer.node_id,
            capacity=capacity,
            push=push or Sat(0),
            private=private,
            zero_conf=zero_conf,
            inputs=tuple(utxo.outpoint for utxo in await opener.wallet.inputs()),
            sat_per_kw=SAT_PER_KW,
            memo="",
        )
        funding = await opener.channels.open(request)
        self.mine(self.world.nodes[peer.node_id].policy.confirmations)
        return next(channel for channel in await opener.channels.list() if channel.funding == funding)


def create_network(clock: C, *, clients: int = 1, seed: int = 0, policy: Policy | None = None) -> SimulatedNetwork[C]:
    """A network on a clock of your own. Call `world.close()` when done. `policy` is every node's."""
    world = World(clock, Random(seed))  # noqa: S311  # a simulation that can be repeated
    lsp = world.add_node("lsp", policy)
    buyers = [world.add_node(f"client-{number}", policy) for number in range(1, clients + 1)]
    for node in (lsp, *buyers):
        world.fund(node.node_id, _FUNDS, _OUTPUTS)
    world.mine()
    for buyer in buyers:
        world.connect(lsp.node_id, buyer.node_id)
    return SimulatedNetwork(world, clock, SimulatedNode(lsp), tuple(SimulatedNode(buyer) for buyer in buyers))


@asynccontextmanager
async def simulated_network(
    *, clients: int = 1, seed: int = 0, policy: Policy | None = None
) -> AsyncIterator[SimulatedNetwork[ManualClock]]:
    """Nodes without any LSP software on them; time stands still."""
    net = create_network(ManualClock(), clients=clients, seed=seed, policy=policy)
    try:
        yield net
    finally:
        for node in (net.lsp, *net.clients):
            await node.close()
        net.world.close()


# --- with an LSP that sells, and clients that buy -------------------------------------------------------------------

OFFER = Offer(
    lsps1=ChannelOffer(
        lsps1.Options(
            min_required_channel_confirmations=0,
            min_funding_confirms_within_blocks=1,
            supports_zero_channel_reserve=False,
            max_channel_expiry_blocks=52_560,
            min_initial_client_balance_sat=Sat(0),
            max_initial_client_balance_sat=Sat(5_000_000),
            min_initial_lsp_balance_sat=Sat(100_000),
            max_initial_lsp_balance_sat=Sat(10_000_000),
            min_channel_balance_sat=Sat(100_000),
            max_channel_balance_sat=Sat(15_000_000),
        )
    ),
    lsps7=ExtensionOffer(),
)
"""What the simulated LSP sells unless told otherwise."""

QUICK = Patience(first_poll=0.01, longest_poll=0.05, backoff=0.05, given_back=1.0)
"""Simulated nodes answer at once, so clients need not wait long between two looks."""


class SimulatedLsp:
    """The LSP of the network: a node and a store that outlive the service that runs on them."""

    def __init__(self, net: SimulatedNetwork[Clock], store: Path, offer: Offer, price: PriceFunction | None) -> None:
        self._net = net
        self._path = store
        self._offer = offer
        self._price = price
        self._running: AsyncExitStack | None = None

    async def start(self, failpoint: Failpoint = failpoints.none) -> None:
        """A service process: it takes up what an earlier one left. Returns when it serves."""
        node = self._net.another(self._net.lsp)
        store = open_order_store(self._path, node.node_id, rules_of(self._offer))
        service = Service(node, store, self._offer, price=self._price, clock=self._net.clock, failpoint=failpoint)
        stack = AsyncExitStack()
        stack.push_async_callback(node.close)
        stack.push_async_callback(store.close)
        await stack.enter_async_context(service.running())
        self._running = stack

    async def stop(self) -> None:
        """The process ends, whatever is in work; the node and the store stay."""
        if self._running is not None:
            await self._running.aclose()
            self._running = None


@dataclass(frozen=True)
class LspNetwork:
    """`nodes` is the network underneath, `lsp` the service on its LSP, `clients` one customer a client node."""

    nodes: SimulatedNetwork[Clock]
    lsp: SimulatedLsp
    clients: tuple[Client, ...]

    @property
    def lsp_address(self) -> str:
        """PUBKEY@HOST:PORT, for `Client.lsp`."""
        return f"{self.nodes.lsp.node_id}@{self.nodes.lsp.address}"


@asynccontextmanager
async def network(
    *,
    clients: int = 1,
    seed: int = 0,
    offer: Offer = OFFER,
    price: PriceFunction | None = None,
    policy: Policy | None = None,
    directory: Path | None = None,
) -> AsyncIterator[LspNetwork]:
    """An LSP that serves `offer`, and clients connected to it. The SQLite files are kept in `directory`, if given."""
    async with AsyncExitStack() as stack:
        path = directory or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lsps-")))
        clock: Clock = SystemClock()
        net = create_network(clock, clients=clients, seed=seed, policy=policy)
        stack.callback(net.world.close)
        lsp = SimulatedLsp(net, path / "lsp.db", offer, price)
        stack.push_async_callback(lsp.stop)
        await lsp.start()
        buyers = []
        for number, node in enumerate(net.clients, start=1):
            journal = open_journal(path / f"client-{number}.db")
            stack.push_async_callback(journal.close)
            buyers.append(
                await stack.enter_async_context(
                    Client(node, journal, clock, net.world.random.randbytes, patience=QUICK)
                )
            )
        yield LspNetwork(net, lsp, tuple(buyers))
