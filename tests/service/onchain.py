"""Orders that are paid on-chain in the simulated world, and an audit: what the books say is what the chain says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

from lsps.node.contract import InvoiceState, Payment
from lsps.orders.ledger import Accounts, accounts
from lsps.orders.model import Deposit, ExtensionTerms, Order, State
from lsps.service.offer import Offer, PaymentTerms
from lsps.service.pricing import PriceRequest
from lsps.units import OrderId, Sat
from tests.service.conftest import MakeWorld
from tests.service.peers import Json, Peer, quiet
from tests.service.world import OFFER, LspWorld

KINDS = ("lsps1", "lsps7")
FEE = 50_000
"""What every order costs in these tests, in satoshi; a channel comes with a client balance besides."""
PAID = ("COMPLETED", "PAID")
OPEN = ("CREATED", "EXPECT_PAYMENT")
SEEN = ("CREATED", "PAID")
REFUNDED = ("FAILED", "REFUNDED")
DAY = 86_400.0
HOUR = 3_600.0


def price(_request: PriceRequest) -> Sat:
    return Sat(FEE)


def selling(**payment: Any) -> Offer:
    """What the LSP of these tests sells; `payment` are changes to its terms."""
    return replace(OFFER, payment=replace(PaymentTerms(onchain=True), **payment))


@dataclass
class Till:
    """One order and all that is known of its money, on the wire, in the books and on the chain."""

    world: LspWorld
    peer: Peer
    order: Json
    refund_address: str
    channels_before: int

    @property
    def id(self) -> OrderId:
        return OrderId(self.order["order_id"])

    @property
    def option(self) -> Json:
        return self.order["payment"]["onchain"]

    @property
    def total(self) -> int:
        return int(self.option["order_total_sat"])

    async def told(self) -> tuple[str, str]:
        """Order state and on-chain payment state."""
        now = await self.peer.order(self.order)
        return now["order_state"], now["payment"]["onchain"]["state"]

    async def told_bolt11(self) -> str:
        state: str = (await self.peer.order(self.order))["payment"]["bolt11"]["state"]
        return state

    # --- paying -----------------------------------------------------------------------------------------------------

    async def pay(self, sat: int | None = None, sat_per_kw: int | None = None) -> str:
        """Broadcast a payment, of the total unless told; returns its transaction's id."""
        txid = self.world.net.pay(self.option["address"], Sat(sat or self.total), sat_per_kw)
        await quiet()
        return txid

    async def pay_and_mine(self, sat: int | None = None, blocks: int = 1) -> str:
        txid = await self.pay(sat)
        await self.mine(blocks)
        return txid

    def pay_invoice(self) -> asyncio.Task[Payment]:
        return self.peer.pay(self.order)

    async def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.world.mine()
            await quiet()

    # --- looking ----------------------------------------------------------------------------------------------------

    async def stored(self) -> Order:
        order = await self.world.store.order(self.id)
        assert order is not None
        return order

    async def deposits(self) -> tuple[Deposit, ...]:
        order = await self.stored()
        assert order.onchain is not None
        return order.onchain.deposits

    async def books(self) -> Accounts:
        return accounts(await self.stored())

    def came_back(self) -> list[int]:
        """What blocks paid to the refund address, each."""
        return confirmed(self.world, self.refund_address)

    def waiting_refunds(self) -> list[str]:
        """Transactions in the mempool that pay to the refund address."""
        waiting = self.world.net.world.chain.waiting()
        return [tx.txid for tx in waiting if any(output.address == self.refund_address for output in tx.outputs)]

    async def delivered(self) -> bool:
        """Whether the node and the leases show it, once."""
        if "lsp_balance_sat" in self.order:
            opened = len(await self.world.lsp_channels()) - self.channels_before
            assert opened in (0, 1)
            return opened == 1
        stored = await self.stored()
        assert isinstance(stored.terms, ExtensionTerms)
        lease = await self.world.store.lease(stored.terms.channel_id)
        named = [] if lease is None else [order_id for order_id in lease.extension_order_ids if order_id == self.id]
        assert len(named) <= 1
        return named == [self.id]

    async def spoil(self) -> None:
        """Make it impossible to deliver: the peer takes no channels, or closes the one to be extended."""
        stored, world = await self.stored(), self.world
        if isinstance(stored.terms, ExtensionTerms):
            world.net.world.graph.close(stored.terms.channel_id)
        else:
            world.faults.refuse_channels(self.peer.node.node_id)
        await quiet()

    async def refund_confirms(self) -> int:
        """Mine the one refund that waits; what it paid."""
        assert len(self.waiting_refunds()) == 1
        before = len(self.came_back())
        await self.mine()
        (paid,) = self.came_back()[before:]
        return paid


async def take_order(world: LspWorld, kind: str, peer: Peer | None = None, **changes: Json) -> Till:
    """A new order that can be paid on-chain."""
    peer = peer or world.peers[0]
    address = world.net.world.payer.new_address()
    ask = peer.order_channel if kind == "lsps1" else peer.order_extension
    before = len(await world.lsp_channels())
    order = await ask(refund_onchain_address=address, **changes)
    return Till(world, peer, order, address, before)


@asynccontextmanager
async def till(make_world: MakeWorld, kind: str, **payment: Any) -> AsyncIterator[Till]:
    """A world with one order in it; audited at the end."""
    async with make_world(offer=selling(**payment), price=price) as world:
        made = await take_order(world, kind)
        yield made
        await audit(world)


# --- the audit --------------------------------------------------------------------------------------------------------


def confirmed(world: LspWorld, address: str) -> list[int]:
    """What blocks paid to this address."""
    outputs = [
        output
        for block in world.net.world.chain.blocks()
        for transaction in block.transactions
        for output in transaction.outputs
    ]
    return [int(output.amount) for output in outputs if output.address == address]


async def every_order(world: LspWorld) -> list[Order]:
    orders: list[Order] = []
    while page := await world.store.newest_orders(orders[-1].id if orders else None, 50):
        orders += page
    return orders


async def audit(world: LspWorld) -> None:
    """Every order's sums balance, and are what the chain and the node know."""
    orders = await every_order(world)
    for order in orders:
        books = accounts(order)
        assert books.balance == 0, (order, books)
        assert min(getattr(books, name) for name in Accounts.__slots__) >= 0, books
        _audit_chain(world, order, books)
        _audit_invoice(world, order, books)
    await _audit_channels(world, orders)


def _audit_chain(world: LspWorld, order: Order, books: Accounts) -> None:
    option, chain = order.onchain, world.net.world.chain
    if option is None:
        return
    assert books.onchain == 1000 * sum(confirmed(world, option.address))
    mined = [refund.paid for d in option.deposits for refund in d.refunds if refund.height is not None]
    assert sorted(confirmed(world, option.refund_address)) == sorted(map(int, mined))
    for deposit in option.deposits:
        # Nothing is spent that is not earned, but to give it back or by the operator's own hand.
        spender = None if deposit.gone else chain.spent_by(deposit.outpoint)
        if spender is not None and not deposit.left and order.state is not State.COMPLETED:
            assert spender in {refund.txid for refund in deposit.refunds}
        # At most one refund of an outpoint is in the chain.
        assert sum(chain.height_of(refund.txid) is not None for refund in deposit.refunds) <= 1


def _audit_invoice(world: LspWorld, order: Order, books: Accounts) -> None:
    if order.bolt11 is None:
        return
    status = world.net.world.nodes[world.lsp.node_id].invoices.status(order.bolt11.payment_hash)
    assert status is not None
    there = status.state in (InvoiceState.HELD, InvoiceState.SETTLED)
    assert books.lightning == (int(status.held) if there else 0)
    settled = order.paid_by == "bolt11" and order.state is State.COMPLETED
    assert (status.state is InvoiceState.SETTLED) == settled


async def _audit_channels(world: LspWorld, orders: list[Order]) -> None:
    """A channel an order that was delivered, and no other."""
    funded = {order.channel.funding_outpoint for order in orders if order.channel is not None}
    assert {channel.funding for channel in await world.lsp_channels()} <= funded
