"""The node contract on real LND nodes, with the macaroons that docs/lnd.md tells users to bake."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

import pytest
import pytest_asyncio

from interop.lnd.macaroons import bake
from interop.lnd.node import LncliError, Node
from interop.lnd.regtest import Regtest, eventually
from lsps.clock import SystemClock
from lsps.lightning.keys import SecretKey
from lsps.node.lnd.node import LndNode, open_node
from lsps.node.lnd.permissions import BUYING, BUYING_ONCHAIN, SERVING, SERVING_ONCHAIN
from lsps.units import NodeId, Outpoint, Sat
from tests.node.contract.channels import ChannelsContract, ZeroConfContract
from tests.node.contract.environment import ContractEnvironment, Side
from tests.node.contract.invoices import InvoicesContract
from tests.node.contract.messages import MessagesContract
from tests.node.contract.node import NodeContract
from tests.node.contract.payments import PaymentsContract
from tests.node.contract.wallet import WalletContract

pytestmark = pytest.mark.asyncio(loop_scope="session")

STRANGER = SecretKey(b"\x07" * 32).node_id
FAR_FUNDS = 500_000


class LndEnvironment(ContractEnvironment):
    """The seller is the session's lsp, the buyer alice, bob the far payee and the bank."""

    def __init__(self, net: Regtest, serving: tuple[str, ...], buying: tuple[str, ...]) -> None:
        self.net = net
        self._serving = serving
        self._buying = buying
        self.stranger = STRANGER
        self.opened: list[LndNode] = []
        self._urls: dict[NodeId, str] = {}
        self._far: Side | None = None

    async def prepare(self) -> None:
        self.seller = await self._side(self.net["lsp"], self._serving)
        self.buyer = await self._side(self.net["alice"], self._buying)

    async def _side(self, node: Node, permissions: tuple[str, ...]) -> Side:
        self._urls[NodeId(node.node_id)] = node.url(await bake(node, "contract-test", permissions))
        return self._open(NodeId(node.node_id), node.address)

    def _open(self, node_id: NodeId, address: str) -> Side:
        node = open_node(self._urls[node_id], clock=SystemClock(), random=Random(7))
        self.opened.append(node)
        return Side(node, node_id, address)

    def lnd(self, side: Side) -> Node:
        return next(node for node in self.net.nodes.values() if node.node_id == side.node_id.hex)

    async def mine(self, blocks: int = 1) -> None:
        await self.net.mine(blocks)

    async def pass_time(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    async def fund(self, side: Side, amount: Sat) -> Outpoint:
        node = self.lnd(side)
        address = await node.new_address()
        sent = await self.net["bob"].lncli("sendcoins", "--force", f"--addr={address}", f"--amt={amount}")
        await self.net.in_mempool(sent["txid"])
        await self.mine()
        found: list[Outpoint] = []

        async def arrived() -> bool:
            listed = await node.lncli("listunspent", "--min_confs=1")
            found.extend(Outpoint.parse(one["outpoint"]) for one in listed["utxos"] if one["address"] == address)
            return bool(found)

        await eventually("the wallet has the new output", arrived)
        return found[0]

    async def pay(self, address: str, amount: Sat) -> str:
        sent = await self.net["bob"].lncli("sendcoins", "--force", f"--addr={address}", f"--amt={amount}")
        await self.net.in_mempool(sent["txid"])
        return str(sent["txid"])

    async def foreign_address(self) -> str:
        return await self.net["bob"].new_address()

    async def open_channel(
        self, opener: Side, peer: Side, capacity: Sat, push: Sat, *, private: bool = False
    ) -> Outpoint:
        one, other = self.lnd(opener), self.lnd(peer)
        return Outpoint.parse(await self.net.open_channel(one, other, int(capacity), int(push), private=private))

    async def close_channel(self, funding: Outpoint) -> None:
        async def active() -> bool:
            views = [await self.lnd(side).channel(str(funding)) for side in (self.seller, self.buyer)]
            return all(view is not None and view["active"] for view in views)

        await eventually("both can close it together", active)
        await self.net.close_channel(self.lnd(self.seller), self.lnd(self.buyer), str(funding))

    async def stop(self, side: Side) -> None:
        await self.lnd(side).stop()

    async def start(self, side: Side) -> None:
        await self.lnd(side).start()
        await self.lnd(side).wait_synced()
        await self.connect()

    async def disconnect(self) -> None:
        await self.lnd(self.buyer).lncli("disconnect", self.seller.node_id.hex)

    async def connect(self) -> None:
        await self.net.connect(self.lnd(self.buyer), self.lnd(self.seller))

    async def another(self, side: Side) -> Side:
        return self._open(side.node_id, side.address)

    async def far_payee(self) -> Side:
        if self._far is None:
            far = await self._side(self.net["bob"], self._serving)
            await self.open_channel(self.buyer, self.seller, Sat(FAR_FUNDS), Sat(0))
            hop = await self.open_channel(self.seller, far, Sat(FAR_FUNDS), Sat(0))

            async def known() -> bool:
                try:
                    edge = await self.lnd(self.buyer).lncli("getchaninfo", f"--chan_point={hop}")
                except LncliError:
                    return False
                return bool(edge["node1_policy"] and edge["node2_policy"])

            await eventually("the buyer knows the way", known)
            self._far = far
        return self._far


@asynccontextmanager
async def environment(net: Regtest, serving: tuple[str, ...], buying: tuple[str, ...]) -> AsyncIterator[LndEnvironment]:
    made = LndEnvironment(net, serving, buying)
    await made.prepare()
    try:
        yield made
    finally:
        for node in made.opened:
            await node.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def whole(net: Regtest) -> AsyncIterator[LndEnvironment]:
    """One environment for the whole suite, as a long-running program has one adapter."""
    async with environment(net, SERVING, BUYING) as made:
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def whole_onchain(net: Regtest) -> AsyncIterator[LndEnvironment]:
    """The same with the macaroons for on-chain payments."""
    async with environment(net, SERVING_ONCHAIN, BUYING_ONCHAIN) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def env(whole: LndEnvironment) -> AsyncIterator[ContractEnvironment]:
    await whole.connect()
    yield whole


class TestMessages(MessagesContract):
    pass


class TestInvoices(InvoicesContract):
    pass


class TestPayments(PaymentsContract):
    pass


class TestChannels(ChannelsContract):
    pass


class TestZeroConf(ZeroConfContract):
    pass


class WithOnchain:
    @pytest_asyncio.fixture(loop_scope="session")
    async def env(self, whole_onchain: LndEnvironment) -> AsyncIterator[ContractEnvironment]:
        await whole_onchain.connect()
        yield whole_onchain


class TestNode(WithOnchain, NodeContract):
    pass


class TestWallet(WithOnchain, WalletContract):
    pass
