"""One purchase from wish to delivery: order, check, ask the payer, pay, follow, verify. What is known at each step is
in the journal before the step is taken, so that the same call after a crash goes on, and never pays twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Generic

from lsps.client import checks, paying
from lsps.client.customer import Customer
from lsps.client.errors import (
    Declined,
    LspRefused,
    NotDelivered,
    OrderInFlight,
    OutcomeUnknown,
    PaidNotDelivered,
    PaymentNotMade,
    RuleViolated,
    StoppedBeforePaying,
)
from lsps.client.following import Follower
from lsps.client.purchase import D, O, Purchase
from lsps.client.record import Record
from lsps.client.terms import Offer, Step, Terms
from lsps.client.unfinished import Standing, Unfinished
from lsps.errors import LspsError
from lsps.lightning.invoice import Invoice
from lsps.node.contract import NodeInfo, Payment, Payments, PaymentStatus
from lsps.protocol.payment import Bolt11Payment
from lsps.protocol.rules import RuleViolation
from lsps.protocol.sanitize import sanitize
from lsps.store.journal import Entry, EntryState
from lsps.units import NodeId, OrderId


@dataclass(frozen=True, slots=True)
class Outcome(Generic[O, D]):
    """`delivered` is None when it was ordered only. `payment` is None when nothing was paid (by this node)."""

    order: O
    payment: Payment | None
    delivered: D | None
    resumed: bool


class Ordering(Generic[O, D]):
    """`info` is our own node's, asked just before the purchase was made up."""

    def __init__(
        self, customer: Customer, purchase: Purchase[O, D], terms: Terms, info: NodeInfo, payments: Payments
    ) -> None:
        self._customer = customer
        self._session = customer.session
        self._purchase = purchase
        self._terms = terms
        self._info = info
        self._payments = payments
        self._unfinished = Unfinished(customer, purchase, terms, info, payments)

    async def run(self) -> Outcome[O, D]:
        standing = await self._unfinished.find() or await self._order()
        record, option = standing.record, standing.option
        if option is None:
            return await self._finish(standing, self._outcome_of(standing))
        try:
            invoice, offer = await self._agree(standing, option)
            if not self._terms.pay:
                return Outcome(standing.order, None, None, standing.resumed)
            await self._claim(record)
        except StoppedBeforePaying as stopped:
            await record.mark(EntryState.ABANDONED, str(stopped))
            raise
        self._customer.failpoint("client_paying")
        self._terms.tell(Step.PAYING, f"paying {offer.order_total} sat", offer.order_id)
        payment = paying.pay(
            self._payments,
            self._customer.clock,
            self._customer.patience,
            option.invoice,
            invoice.payment_hash,
            offer.max_routing_fee,
        )
        return await self._finish(standing, payment)

    # --- ordering ---------------------------------------------------------------------------------------------------

    async def _order(self) -> Standing[O]:
        now = self._customer.clock.now()
        entry = Entry(
            node=self._info.node_id,
            lsp=self._session.lsp,
            lsp_address=self._session.address or "",
            method=self._purchase.create.name,
            parameters=self._purchase.keys[0],
            state=EntryState.ASKED,
            created_at=now,
            updated_at=now,
        )
        record = await Record.begin(self._customer.journal, self._customer.clock, entry)
        self._terms.tell(Step.ORDERING, "ordering from the LSP")
        try:
            order = await self._session.call(self._purchase.create, self._purchase.params)
        except OutcomeUnknown as lost:
            await record.mark(EntryState.ASKED, str(lost))
            raise
        except LspRefused as refused:
            await record.mark(EntryState.FAILED, str(refused))
            raise
        except LspsError as stopped:  # never sent, or answered in a way that nobody can read
            await record.mark(EntryState.ABANDONED, str(stopped))
            raise
        await record.ordered(order)
        self._customer.failpoint("client_ordered")
        self._terms.tell(Step.ORDERED, f"the LSP made order {sanitize(order.order_id, limit=64)}", order.order_id)
        try:
            option = self._how_to_pay(order)
        except (StoppedBeforePaying, PaymentNotMade) as stopped:
            final = EntryState.FAILED if isinstance(stopped, PaymentNotMade) else EntryState.ABANDONED
            await record.mark(final, str(stopped))
            raise
        return Standing(record, order, option, resumed=False)

    def _how_to_pay(self, order: O) -> Bolt11Payment | None:
        """None: it is free, or done already; it must still be what was asked for. Raises RuleViolated, OrderFailed,
        NotPayable."""
        option = checks.payable_option(order)
        if option is None:
            found = checks.order_violations(order, self._purchase.violations(order), self._terms)
            checks.left_to_the_payer(order, found, self._terms)
        return option

    # --- before paying ----------------------------------------------------------------------------------------------

    async def _agree(self, standing: Standing[O], option: Bolt11Payment) -> tuple[Invoice, Offer]:
        """Everything that must hold before paying, the payer's consent last. Raises StoppedBeforePaying."""
        order = standing.order
        found = list(checks.order_violations(order, self._purchase.violations(order), self._terms))
        # What makes an invoice unreadable (its length, say) is told with it.
        try:
            invoice = checks.read_invoice(order, option)
        except RuleViolated as unreadable:
            raise RuleViolated([*found, *unreadable.violations], order_id=order.order_id) from None
        found += self._invoice_violations(option, invoice)
        if not standing.resumed and await self._payments.lookup(invoice.payment_hash) is not None:
            text = "this node has tried to pay this invoice before"
            found.append(RuleViolation("invoice_reused", "payment.bolt11.invoice", "BOLT 11", text))
        left = checks.left_to_the_payer(order, found, self._terms)
        checks.check_fee(order, option, self._terms)
        offer = self._offer(standing, option, invoice.payee, left)
        if self._terms.pay and self._terms.confirm is not None:
            if not await self._terms.confirm(offer):
                raise Declined("you declined; nothing was paid", order_id=order.order_id)
            # A person may have taken their time.
            checks.left_to_the_payer(order, self._invoice_violations(option, invoice), self._terms)
        return invoice, offer

    def _invoice_violations(self, option: Bolt11Payment, invoice: Invoice) -> list[RuleViolation]:
        now = self._customer.clock.now()
        return list(checks.invoice_violations(option, invoice, self._session.lsp, self._info, now))

    def _offer(
        self, standing: Standing[O], option: Bolt11Payment, payee: NodeId, violations: tuple[RuleViolation, ...]
    ) -> Offer:
        return Offer(
            lsp=self._session.lsp,
            method=self._purchase.create.name,
            order_id=standing.order.order_id,
            fee=option.fee_total_sat,
            order_total=option.order_total_sat,
            max_routing_fee=self._terms.routing_limit(option.order_total_sat),
            blocks=self._purchase.blocks(),
            new_expiration=self._purchase.new_expiration(standing.order),
            payee=payee,
            expires_at=option.expires_at,
            violations=violations,
            resumed=standing.resumed,
            order=standing.order,
        )

    async def _claim(self, record: Record) -> None:
        """Say in the journal that this order is being paid, unless another one of the same is: two processes may have
        begun at once. Raises OrderInFlight."""
        await record.mark(EntryState.PAYING)
        if self._terms.new:
            return
        for other in await self._unfinished.entries():
            if other.state is EntryState.PAYING and other.number != record.entry.number:
                raise OrderInFlight(other.order_id or OrderId(""))

    # --- after paying -----------------------------------------------------------------------------------------------

    def _outcome_of(self, standing: Standing[O]) -> Awaitable[Payment] | None:
        """Of a payment that an earlier run sent; it is not sent again."""
        if standing.payment is None:
            return None
        return paying.outcome(
            self._payments, self._customer.clock, self._customer.patience, standing.payment.payment_hash
        )

    async def _finish(self, standing: Standing[O], payment: Awaitable[Payment] | None) -> Outcome[O, D]:
        record = standing.record
        follower = Follower(self._customer, self._purchase, self._terms, record.order_id)
        task = None if payment is None else asyncio.ensure_future(self._tell_paid(payment, record))
        try:
            completed, paid = await follower.follow(task)
            self._customer.failpoint("client_completed")
            delivered = await follower.verify(standing.order, completed)
        except PaymentNotMade as failed:
            await record.mark(EntryState.FAILED, str(failed))
            raise
        except PaidNotDelivered as waiting:
            await record.mark(record.entry.state, str(waiting))
            raise
        except NotDelivered as lost:
            await record.mark(EntryState.NOT_DELIVERED, str(lost))
            raise
        finally:
            if task is not None:
                task.cancel()  # the waiting only: a payment in flight goes on
        await record.mark(EntryState.COMPLETED, order=completed)
        self._terms.tell(Step.DELIVERED, "delivered, and seen to be so", record.order_id)
        return Outcome(completed, paid, delivered, standing.resumed)

    async def _tell_paid(self, payment: Awaitable[Payment], record: Record) -> Payment:
        ended = await payment
        self._customer.failpoint("client_paid")
        if ended.status is PaymentStatus.SUCCEEDED:
            self._terms.tell(Step.PAID, f"paid; the route cost {ended.fee} msat", record.order_id)
        return ended
