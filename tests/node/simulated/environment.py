"""The contract tests' environment on the simulated network, in this process or through sockets: new for each test."""

from __future__ import annotations

from collections.abc import Callable

from lsps.node.contract import Node
from lsps.node.simulated.node import SimulatedNode
from lsps.testing import ManualClock, Policy, SimulatedNetwork
from lsps.units import Msat, NodeId, Outpoint, Sat
from tests.node.contract.environment import SAT_PER_KW, ContractEnvironment, Side, open_request

POLICY = Policy(max_pending_channels=5, base_fee=Msat(1_000))


class SimulatedEnvironment(ContractEnvironment):
    """`reach` makes the adapter under test for a node of the network."""

    def __init__(
        self, net: SimulatedNetwork[ManualClock], reach: Callable[[SimulatedNode], Node] | None = None
    ) -> None:
        self.net = net
        self._reach = reach or net.another
        self._nodes = {node.node_id: node for node in (net.lsp, *net.clients)}
        self.seller = self._side(net.lsp)
        self.buyer = self._side(net.clients[0])
        self.stranger = NodeId("02" + "11" * 32)

    async def mine(self, blocks: int = 1) -> None:
        self.net.mine(blocks)

    async def pass_time(self, seconds: float) -> None:
        await self.net.clock.advance(seconds)

    async def fund(self, side: Side, amount: Sat) -> Outpoint:
        before = {utxo.outpoint for utxo in await side.wallet.inputs()}
        self.net.fund(self._node(side), amount)
        return next(utxo.outpoint for utxo in await side.wallet.inputs() if utxo.outpoint not in before)

    async def pay(self, address: str, amount: Sat) -> str:
        return self.net.pay(address, amount)

    async def foreign_address(self) -> str:
        return self.net.world.payer.new_address()

    async def open_channel(
        self, opener: Side, peer: Side, capacity: Sat, push: Sat, *, private: bool = False
    ) -> Outpoint:
        source = await self.fund(opener, capacity + Sat(SAT_PER_KW * 2))
        request = open_request(peer, capacity, [source], push=push.value, private=private)
        funding = await opener.channels.open(request)
        await self.mine()
        return funding

    async def close_channel(self, funding: Outpoint) -> None:
        self.net.world.graph.close(funding.channel_id())
        await self.mine()

    async def stop(self, side: Side) -> None:
        self.net.stop(self._node(side))

    async def start(self, side: Side) -> None:
        self.net.start(self._node(side))
        await self.connect()

    async def disconnect(self) -> None:
        self.net.world.disconnect(self.seller.node_id, self.buyer.node_id)

    async def connect(self) -> None:
        self.net.world.connect(self.seller.node_id, self.buyer.node_id)

    async def another(self, side: Side) -> Side:
        return self._side(self._node(side))

    async def far_payee(self) -> Side:
        payee = self._side(self.net.clients[1])
        await self.open_channel(self.buyer, self.seller, Sat(1_000_000), Sat(0))
        await self.open_channel(self.seller, payee, Sat(1_000_000), Sat(0))
        return payee

    def _side(self, node: SimulatedNode) -> Side:
        return Side(self._reach(node), node.node_id, node.address)

    def _node(self, side: Side) -> SimulatedNode:
        return self._nodes[side.node_id]
