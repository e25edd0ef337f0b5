"""Paying an order's BOLT 11 invoice, and following it until the LSP's last word and the payment's end agree.

LSP says    payment           verdict
COMPLETED   taken, or failed  on to what was delivered
FAILED      came back         OrderFailed
FAILED      taken             NotDelivered
CREATED     came back         PaymentFailed, at once if it never arrived, else soon
CREATED     taken             wait `delivery`, then PaidNotDelivered
silent      taken             the same
anything    in flight         wait: the payment ends by itself, at the latest with its HTLCs
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from lsps.client import checks, paying
from lsps.client.customer import Customer
from lsps.client.errors import NotDelivered, PaymentFailed
from lsps.client.following import Follower
from lsps.client.means import Bill, Means, Sent
from lsps.client.purchase import D, O
from lsps.client.record import Record, payment_hash
from lsps.client.terms import LightningCost, PayWith, Step, Terms
from lsps.client.waiting import wait_until
from lsps.lightning.invoice import Invoice
from lsps.node.contract import NodeInfo, NodeUnreachable, Payment, Payments, PaymentStatus
from lsps.protocol.payment import Bolt11Payment, OrderState, PaymentOption, PaymentState
from lsps.protocol.payment import Payment as PaymentObject
from lsps.protocol.rules import RuleViolation
from lsps.protocol.sanitize import sanitize
from lsps.units import OrderId


class Lightning(Means):
    name = PayWith.BOLT11

    def __init__(self, customer: Customer, terms: Terms, info: NodeInfo, payments: Payments) -> None:
        self._customer = customer
        self._terms = terms
        self._info = info
        self._payments = payments

    def option(self, payment: PaymentObject) -> Bolt11Payment | None:
        return payment.bolt11

    def why_not(self, payment: PaymentObject) -> str:
        return "it gives no BOLT 11 invoice"

    async def refund_address(self, given: str | None) -> str:
        return ""

    def is_as_agreed(self, agreed: PaymentObject, option: PaymentOption) -> bool:
        if agreed.bolt11 is None or not isinstance(option, Bolt11Payment):
            return False
        return payment_hash(agreed.bolt11.invoice) == payment_hash(option.invoice)

    async def read(self, order_id: OrderId, option: PaymentOption, *, resumed: bool) -> Bill:
        if not isinstance(option, Bolt11Payment):
            raise TypeError("not an option of this way to pay")
        invoice = checks.read_invoice(order_id, option)
        reused = not resumed and await self._payments.lookup(invoice.payment_hash) is not None
        return _LightningBill(option, self._customer, self._terms, self._info, self._payments, invoice, reused)

    async def sent(self, record: Record, agreed: PaymentObject) -> Sent | None:
        payment_hash = record.entry.payment_hash
        payment = None if payment_hash is None else await self._payments.lookup(payment_hash)
        if payment is None or payment.status is PaymentStatus.FAILED:
            return None
        customer = self._customer
        ending = partial(paying.outcome, self._payments, customer.clock, customer.patience, payment.payment_hash)
        return _LightningSent(self._customer, ending, is_in_flight=payment.status is PaymentStatus.IN_FLIGHT)


@dataclass(frozen=True)
class _LightningBill(Bill):
    option: Bolt11Payment
    customer: Customer
    terms: Terms
    info: NodeInfo
    payments: Payments
    invoice: Invoice
    reused: bool

    def violations(self, now: datetime) -> Iterator[RuleViolation]:
        lsp = self.customer.session.lsp
        yield from checks.invoice_violations(self.option, self.invoice, lsp, self.info, now)
        if self.reused:
            text = "this node has tried to pay this invoice before"
            yield RuleViolation("invoice_reused", "payment.bolt11.invoice", "BOLT 11", text)

    async def price(self) -> LightningCost:
        return LightningCost(self.invoice.payee, self.terms.routing_limit(self.option.order_total_sat))

    async def check_still_payable(self) -> None:
        """That it has not expired, `violations` says."""

    async def pay(self, record: Record) -> Sent:
        ending = partial(
            paying.pay,
            self.payments,
            self.customer.clock,
            self.customer.patience,
            self.option.invoice,
            self.invoice.payment_hash,
            self.terms.routing_limit(self.option.order_total_sat),
        )
        return _LightningSent(self.customer, ending, is_in_flight=True)


class _LightningSent(Sent):
    """`ending` gives the payment's end."""

    def __init__(self, customer: Customer, ending: Callable[[], Awaitable[Payment]], *, is_in_flight: bool) -> None:
        self._customer = customer
        self._ending = ending
        self._is_in_flight = is_in_flight
        self._payment: Payment | None = None

    @property
    def is_in_flight(self) -> bool:
        return self._is_in_flight

    @property
    def payment(self) -> Payment | None:
        return self._payment

    async def follow(self, follower: Follower[O, D]) -> O:
        task = asyncio.ensure_future(self._end(follower))
        try:
            return await self._follow(follower, task)
        finally:
            task.cancel()  # the waiting only: a payment in flight goes on

    async def _end(self, follower: Follower[O, D]) -> Payment:
        ended = await self._ending()
        self._customer.failpoint("client_paid")
        if ended.status is PaymentStatus.SUCCEEDED:
            follower.tell(Step.PAID, f"paid; the route cost {ended.fee} msat")
        return ended

    async def _follow(self, follower: Follower[O, D], paying: asyncio.Task[Payment]) -> O:
        pauses, over_since, held = follower.pauses(), None, False
        while True:
            if not paying.done() and await wait_until(follower.clock, paying, pauses.seconds):
                pauses.begin_again()
            order = await follower.poll()
            if not paying.done():
                if not held and (held := _is_held(order)):
                    follower.tell(Step.HELD, "the LSP holds the payment until it has delivered")
                pauses.grow()
                continue
            payment = self._payment = _ended(paying, follower)
            over_since = over_since or follower.clock.now()
            if order is not None and order.order_state is OrderState.COMPLETED:
                return await _after_settling(follower, order, payment)
            _give_up(follower, order, payment, over_since)
            await pauses.sleep()


async def _after_settling(follower: Follower[O, D], order: O, payment: Payment) -> O:
    """An LSP may note the settling a moment after its node: asked once more, so that PAID is shown and not HOLD."""
    if payment.status is not PaymentStatus.SUCCEEDED or not _is_held(order):
        return order
    await follower.clock.sleep(follower.patience.first_poll)
    again = await follower.poll()
    return order if again is None or again.order_state is not OrderState.COMPLETED else again


def _is_held(order: O | None) -> bool:
    option = None if order is None else order.payment.bolt11
    return option is not None and option.state is PaymentState.HOLD


def _ended(paying: asyncio.Task[Payment], follower: Follower[O, D]) -> Payment:
    try:
        return paying.result()
    except NodeUnreachable as away:
        text = f"our own node went away during the payment, whose outcome is unknown: {away}"
        raise follower.undelivered(text) from away


def _give_up(follower: Follower[O, D], order: O | None, payment: Payment, over_since: datetime) -> None:
    """Raise if nothing good can come any more, or not in time."""
    came_back = payment.status is PaymentStatus.FAILED
    if order is not None and order.order_state is OrderState.FAILED:
        if not came_back:
            raise follower.undelivered("the LSP took the payment, and says that the order FAILED", NotDelivered)
        raise follower.failed()
    if not came_back:
        follower.check_delivery(over_since)
        return
    option = None if order is None else order.payment.bolt11
    arrived = option is None or option.state is not PaymentState.EXPECT_PAYMENT
    waited = follower.clock.now() - over_since
    if not arrived or waited >= timedelta(seconds=follower.patience.given_back):
        reason = sanitize(payment.failure) or "no reason given"
        raise PaymentFailed(f"the payment failed, or was given back: {reason}", order_id=follower.order_id)
