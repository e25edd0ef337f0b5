"""A service that takes on-chain payments, and customers that pay it so, on simulated nodes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from lsps.client.client import Client
from lsps.client.lsp import Lsp
from lsps.client.patience import Patience
from lsps.client.terms import Progress, Step
from lsps.failpoints import Failpoint, none
from lsps.node.contract import Channel
from lsps.node.simulated.lightning_node import Policy
from lsps.node.simulated.node import SimulatedNode
from lsps.service.offer import ExtensionOffer, PaymentTerms, Unleased
from lsps.service.pricing import PriceRequest
from lsps.store.journal import EntryState, OnchainTransaction
from lsps.store.sqlite.journal import SqliteJournal, open_journal
from lsps.testing import OFFER, QUICK, LspNetwork, network
from lsps.units import BlockHeight, Sat

FEE = Sat(20_000)
LIMIT = Sat(50_000)
BALANCE = Sat(500_000)
BLOCKS = 4_320
POLICY = Policy(max_pending_channels=5)


def price(_: PriceRequest) -> Sat:
    return FEE


@dataclass
class Market:
    """`steps` is what all clients were told."""

    net: LspNetwork
    journal: SqliteJournal
    channel: Channel
    steps: list[Progress] = field(default_factory=list)

    @property
    def node(self) -> SimulatedNode:
        return self.net.nodes.clients[0]

    @asynccontextmanager
    async def client(self, failpoint: Failpoint = none, patience: Patience = QUICK) -> AsyncIterator[Lsp]:
        """A client process of its own; the journal stays."""
        nodes = self.net.nodes
        random = nodes.world.random.randbytes
        async with Client(self.node, self.journal, nodes.clock, random, patience=patience, failpoint=failpoint) as one:
            yield one.lsp(self.net.lsp_address)

    async def buy(self, failpoint: Failpoint = none, patience: Patience = QUICK, **wish: Any) -> Any:
        terms: dict[str, Any] = {"pay_with": "onchain", "max_fee": LIMIT, "on_progress": self.steps.append} | wish
        async with self.client(failpoint, patience) as lsp:
            return await lsp.lsps1.buy(lsp_balance=BALANCE, expiry_blocks=BLOCKS, **terms)

    async def extend(self, failpoint: Failpoint = none, **wish: Any) -> Any:
        terms: dict[str, Any] = {"pay_with": "onchain", "max_fee": LIMIT, "on_progress": self.steps.append}
        terms = {"blocks": BLOCKS, **terms, **wish}
        scid = self.channel.scid
        assert scid is not None
        async with self.client(failpoint) as lsp:
            return await lsp.lsps7.extend(scid, **terms)

    # --- what there is ----------------------------------------------------------------------------------------------

    async def states(self) -> list[EntryState]:
        return [entry.state for entry in reversed(await self.journal.newest(10))]

    def told(self) -> list[Step]:
        return [step.step for step in self.steps]

    async def until_told(self, step: Step, text: str = "") -> None:
        while not any(told.step is step and text in told.text for told in self.steps):  # noqa: ASYNC110
            await asyncio.sleep(0.005)  # a list tells nobody

    async def transaction(self) -> OnchainTransaction:
        """What pays for the newest order."""
        [entry] = await self.journal.newest(1)
        assert entry.transaction is not None
        return entry.transaction

    async def funds(self) -> Sat:
        """All that the customer's wallet has in blocks."""
        return sum((utxo.amount for utxo in await self.node.wallet.inputs()), Sat(0))

    async def paid_to_the_lsp(self) -> list[Sat]:
        """Every output, in a block or waiting for one, that the LSP's order addresses got."""
        addresses = {_address(entry.order) for entry in await self.journal.newest(10)}
        deposits = await self.net.nodes.lsp.wallet.deposits(self.channel_height())
        return [deposit.amount for deposit in deposits if deposit.address in addresses]

    def channel_height(self) -> BlockHeight:
        height = self.channel.confirmed_at()
        assert height is not None
        return height

    @asynccontextmanager
    async def blocks(self) -> AsyncIterator[None]:
        """Blocks come, a few a second."""

        async def mine() -> None:
            while True:
                await asyncio.sleep(0.03)
                self.net.nodes.mine()

        task = asyncio.create_task(mine())
        try:
            yield
        finally:
            task.cancel()


def _address(order: bytes) -> str:
    option = msgspec.json.decode(order)["payment"].get("onchain")
    return "" if option is None else str(option["address"])


@asynccontextmanager
async def market(directory: Path, **payment: Any) -> AsyncIterator[Market]:
    offer = replace(
        OFFER,
        lsps7=ExtensionOffer(extend_unleased_channels=Unleased.ALL),
        payment=PaymentTerms(onchain=True, **payment),
    )
    async with asyncio.timeout(30), AsyncExitStack() as stack:
        net = await stack.enter_async_context(network(offer=offer, price=price, directory=directory, policy=POLICY))
        nodes = net.nodes
        journal = open_journal(directory / "customer.db")
        stack.push_async_callback(journal.close)
        channel = await nodes.open_channel(nodes.lsp, nodes.clients[0], Sat(2_000_000), push=Sat(900_000))
        nodes.fund(nodes.lsp, Sat(20_000_000))
        [seen] = [one for one in await nodes.clients[0].channels.list() if one.funding == channel.funding]
        yield Market(net, journal, seen)
