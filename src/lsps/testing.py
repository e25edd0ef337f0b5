"""A simulated Lightning network, for tests of your own code: nothing of it leaves the process.

    async with lsps.testing.simulated_network(clients=1) as net:
        channel = await net.open_channel(net.lsp, net.clients[0], Sat(1_000_000), push=Sat(400_000))
        net.world.faults.fail_next(net.lsp.node_id, "channels.open", before=False)

Time stands still: `await net.clock.advance(60)` lets a minute pass. Blocks come when `net.mine()` says so. The same
seed gives the same keys, transactions and secrets.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from random import Random
from typing import Generic, TypeVar

from lsps.clock import Clock
from lsps.node.contract import Channel, OpenRequest
from lsps.node.simulated.clock import ManualClock, settle
from lsps.node.simulated.lightning_node import Policy
from lsps.node.simulated.network import World
from lsps.node.simulated.node import SimulatedNode
from lsps.units import Sat

__all__ = ["ManualClock", "Policy", "SimulatedNetwork", "create_network", "settle", "simulated_network"]

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
