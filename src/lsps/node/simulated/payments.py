"""Payments on their way: from the payer's attempt, through the payee's invoice, to settled or given back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lsps.lightning import bolt11
from lsps.node.contract import NodeError, Payment, PaymentStatus, Refused
from lsps.node.simulated.faults import ATTEMPT
from lsps.node.simulated.routing import Hop, Route, find_route
from lsps.units import BlockHeight, Msat, NodeId

if TYPE_CHECKING:
    from lsps.node.simulated.lightning_node import LightningNode
    from lsps.node.simulated.network import World

_EXTRA_FINAL_BLOCKS = 3
"""LND adds so many to the final CLTV, should a block come while the payment travels."""


NO_FEE = Msat(0)


class Htlc:
    """One payment's HTLCs along its route. The amounts leave the senders' balances when it is made; they reach the
    receivers, or come back, once every two neighbours are connected or their channel is on-chain."""

    def __init__(self, world: World, payment: _Outgoing, route: Route, expiry: BlockHeight) -> None:
        self.payment_hash = payment.payment_hash
        self.amount = route[-1].amount
        self.expiry = expiry
        self._world = world
        self._payment = payment
        self._route = route
        for hop in route:
            hop.channel.balances[hop.sender] -= hop.amount.value
            hop.channel.in_flight[self] = hop.amount

    def settle(self) -> None:
        def arrive() -> None:
            for hop in self._route:
                self._release(hop.channel.other(hop.sender), hop)
            fee = self._route[0].amount - self.amount
            self._payment.finish(PaymentStatus.SUCCEEDED, fee=fee)

        self._carry_back(arrive)

    def fail(self, reason: str) -> None:
        def arrive() -> None:
            for hop in self._route:
                self._release(hop.sender, hop)
            self._payment.finish(PaymentStatus.FAILED, failure=reason)

        self._carry_back(lambda: self._world.when_at(self._earliest_return(), arrive))

    def _release(self, receiver: NodeId, hop: Hop) -> None:
        del hop.channel.in_flight[self]
        if hop.channel.on_chain is None:
            hop.channel.balances[receiver] += hop.amount.value
        else:
            self._world.graph.claim(hop.channel, self, receiver)

    def _earliest_return(self) -> BlockHeight:
        """What is on-chain can be taken back only when it has expired (BOLT 5)."""
        on_chain = any(hop.channel.on_chain is not None for hop in self._route)
        return self.expiry if on_chain else BlockHeight(0)

    def _carry_back(self, arrive: Callable[[], None]) -> None:
        """Over connections, but for channels that are on-chain."""
        self._world.when_connected(
            lambda: [(hop.channel.opener, hop.channel.peer) for hop in self._route if hop.channel.on_chain is None],
            arrive,
        )


@dataclass(slots=True, eq=False)
class _Outgoing:
    """A payment as its payer remembers it, and the calls that wait for its end."""

    payment_hash: bytes
    status: PaymentStatus = PaymentStatus.IN_FLIGHT
    fee: Msat = NO_FEE
    failure: str = ""
    waiting: list[asyncio.Future[Payment]] = field(default_factory=list)

    def finish(self, status: PaymentStatus, *, fee: Msat = NO_FEE, failure: str = "") -> None:
        self.status, self.fee, self.failure = status, fee, failure
        for future in self.waiting:
            if not future.done():
                future.set_result(self.snapshot())
        self.waiting.clear()

    def snapshot(self) -> Payment:
        return Payment(self.payment_hash, self.status, self.fee, self.failure)


class PaymentBook:
    """What one node paid and pays."""

    def __init__(self, node: LightningNode) -> None:
        self._node = node
        self._payments: dict[bytes, _Outgoing] = {}

    def start(self, text: str, max_fee: Msat) -> asyncio.Future[Payment]:
        """Pay, unless it is in flight or paid already; the future has the final state. Raises Refused."""
        future: asyncio.Future[Payment] = asyncio.get_running_loop().create_future()
        invoice = self._read(text)
        payment = self._payments.get(invoice.payment_hash)
        if payment is None or payment.status is PaymentStatus.FAILED:
            amount = self._check(invoice)
            payment = self._payments[invoice.payment_hash] = _Outgoing(invoice.payment_hash)
            self._node.spawn(self._attempt(payment, invoice, amount, max_fee))
        if payment.status is PaymentStatus.SUCCEEDED:
            future.set_result(payment.snapshot())
        else:
            payment.waiting.append(future)
        return future

    def find(self, payment_hash: bytes) -> Payment | None:
        payment = self._payments.get(payment_hash)
        return None if payment is None else payment.snapshot()

    def _read(self, text: str) -> bolt11.Invoice:
        try:
            return bolt11.decode(text)
        except bolt11.InvalidInvoice as error:
            raise Refused(str(error)) from None

    def _check(self, invoice: bolt11.Invoice) -> Msat:
        """What LND refuses to try; returns the amount."""
        world = self._node.world
        if invoice.network is not world.network:
            raise Refused(f"the invoice is for {invoice.network.value}, this node for {world.network.value}")
        if invoice.expires_at <= world.clock.now().timestamp():
            raise Refused("the invoice expired: ask for a new one")
        if invoice.payee == self._node.node_id:
            raise Refused("self-payments not allowed")
        if invoice.amount is None:
            raise Refused("amount must be specified when paying a zero amount invoice")
        return invoice.amount

    async def _attempt(self, payment: _Outgoing, invoice: bolt11.Invoice, amount: Msat, max_fee: Msat) -> None:
        """Send it. A node that is stopped before this forgets to: the payment failed."""
        try:
            await asyncio.sleep(0)
            fault = self._node.world.faults.take(self._node.node_id, ATTEMPT)
            if fault is not None:
                await self._node.strike(fault)
        except NodeError as error:
            payment.finish(PaymentStatus.FAILED, failure=str(error))
            return
        failure = self._send(payment, invoice, amount, max_fee)
        if failure is not None:
            payment.finish(PaymentStatus.FAILED, failure=failure)

    def _send(self, payment: _Outgoing, invoice: bolt11.Invoice, amount: Msat, max_fee: Msat) -> str | None:
        """Returns why it could not be sent."""
        world, payer = self._node.world, self._node.node_id
        payee = world.nodes.get(invoice.payee)
        if sum(channel.balances[payer] for channel in self._node.channels.values()) < amount.value:
            return "insufficient balance"
        route = None if payee is None else find_route(world, payer, payee.node_id, amount)
        if payee is None or route is None:
            return "no route"
        if route[0].amount - amount > max_fee:
            return "no route within the fee limit"
        expiry = world.chain.height + (invoice.min_final_cltv_expiry + _EXTRA_FINAL_BLOCKS)
        htlc = Htlc(world, payment, route, expiry)
        if not payee.invoices.hold(htlc):
            htlc.fail("incorrect payment details")
        return None
