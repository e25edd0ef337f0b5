"""One purchase from wish to delivery: order, check, ask the payer, pay, follow, verify. What is known at each step is
in the journal before the step is taken, so that the same call after a crash goes on, and never pays twice."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic

from lsps import logs
from lsps.client import checks
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
from lsps.client.lightning import Lightning
from lsps.client.means import Bill, Means, Sent
from lsps.client.onchain import Onchain
from lsps.client.purchase import D, O, Purchase
from lsps.client.record import Record
from lsps.client.terms import LightningCost, Offer, OnchainCost, Step, Terms
from lsps.client.unfinished import Standing, Unfinished
from lsps.errors import LspsError
from lsps.node.contract import NodeInfo, Payment, Payments
from lsps.protocol.payment import PaymentOption
from lsps.protocol.rules import RuleViolation
from lsps.protocol.sanitize import sanitize
from lsps.store.journal import Entry, EntryState, OnchainTransaction
from lsps.store.orders import StoreUnavailable
from lsps.units import OrderId

_log = logging.getLogger("lsps.client")


@dataclass(frozen=True, slots=True)
class Outcome(Generic[O, D]):
    """`delivered` is None when it was ordered only. `payment` and `transaction` are None when nothing was paid so (by
    this node)."""

    order: O
    payment: Payment | None
    transaction: OnchainTransaction | None
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
        every = (Lightning(customer, terms, info, payments), Onchain(customer, terms, info))
        self._means: Means = next(means for means in every if means.name is terms.pay_with)
        self._unfinished = Unfinished(customer, purchase, terms, info, self._means, every)

    async def run(self) -> Outcome[O, D]:
        standing = await self._unfinished.paid()
        if standing is None:
            await self._purchase.prepare()
            standing = await self._unfinished.unpaid() or await self._order()
        record, option = standing.record, standing.option
        if option is None:
            return await self._finish(standing, standing.sent)
        try:
            bill = await self._agree(standing, option)
            if bill is None:
                return Outcome(standing.order, None, None, None, standing.resumed)
            sent = await self._claim(record) or await self._pay(record, bill)
        except StoppedBeforePaying as stopped:
            await record.end_unpaid(EntryState.ABANDONED, str(stopped))
            raise
        return await self._finish(standing, sent)

    # --- ordering ---------------------------------------------------------------------------------------------------

    async def _order(self) -> Standing[O]:
        refund_address = await self._means.refund_address(self._purchase.params.refund_onchain_address)
        now = self._customer.clock.now()
        entry = Entry(
            node=self._info.node_id,
            lsp=self._session.lsp,
            lsp_address=self._session.address or "",
            method=self._purchase.create.name,
            parameters=self._purchase.key(),
            state=EntryState.ASKED,
            created_at=now,
            updated_at=now,
            refund_address=refund_address,
        )
        record = await Record.begin(self._customer.journal, self._customer.clock, entry)
        self._terms.tell(Step.ORDERING, "ordering from the LSP")
        try:
            order = await self._session.call(self._purchase.create, self._purchase.params_with(refund_address))
        except OutcomeUnknown as lost:
            await record.mark(EntryState.ASKED, str(lost))
            raise
        except LspRefused as refused:
            await record.end_unpaid(EntryState.FAILED, str(refused))
            raise
        except LspsError as stopped:  # never sent, or answered in a way that nobody can read
            await record.end_unpaid(EntryState.ABANDONED, str(stopped))
            raise
        await record.ordered(order)
        self._customer.failpoint("client_ordered")
        self._terms.tell(Step.ORDERED, f"the LSP made order {sanitize(order.order_id, limit=64)}", order.order_id)
        try:
            option = self._how_to_pay(record, order)
        except (StoppedBeforePaying, PaymentNotMade) as stopped:
            final = EntryState.FAILED if isinstance(stopped, PaymentNotMade) else EntryState.ABANDONED
            await record.end_unpaid(final, str(stopped))
            raise
        return Standing(record, order, option, resumed=False)

    def _how_to_pay(self, record: Record, order: O) -> PaymentOption | None:
        """None: it is free, or done already; it must still be what was asked for. Raises RuleViolated, OrderFailed,
        NotPayable."""
        option = checks.payable_option(order, self._means)
        if option is None:
            found = checks.order_violations(order, self._violations(record, order), self._terms)
            checks.left_to_the_payer(order, found, self._terms)
        return option

    # --- before paying ----------------------------------------------------------------------------------------------

    async def _agree(self, standing: Standing[O], option: PaymentOption) -> Bill | None:
        """Everything that must hold before paying, the payer's consent last; None when it is to be ordered only. Raises
        StoppedBeforePaying."""
        order = standing.order
        found = list(checks.order_violations(order, self._violations(standing.record, order), self._terms))
        # What makes an option unreadable (an invoice's length, say) is told with it.
        try:
            bill = await self._means.read(order.order_id, option, resumed=standing.resumed)
        except RuleViolated as unreadable:
            raise RuleViolated([*found, *unreadable.violations], order_id=order.order_id) from None
        found += bill.violations(self._customer.clock.now())
        left = checks.left_to_the_payer(order, found, self._terms)
        checks.check_fee(order, option, self._terms)
        if not self._terms.pay:
            return None
        cost = await bill.price()
        if self._terms.confirm is not None:
            if not await self._terms.confirm(self._offer(standing, option, cost, left)):
                raise Declined("you declined; nothing was paid", order_id=order.order_id)
            # A person may have taken their time.
            checks.left_to_the_payer(order, list(bill.violations(self._customer.clock.now())), self._terms)
            await bill.check_still_payable()
        return bill

    def _violations(self, record: Record, order: O) -> Iterator[RuleViolation]:
        return self._purchase.violations(order, record.entry.refund_address)

    def _offer(
        self,
        standing: Standing[O],
        option: PaymentOption,
        cost: LightningCost | OnchainCost,
        violations: tuple[RuleViolation, ...],
    ) -> Offer:
        return Offer(
            lsp=self._session.lsp,
            method=self._purchase.create.name,
            order_id=standing.order.order_id,
            fee=option.fee_total_sat,
            order_total=option.order_total_sat,
            cost=cost,
            blocks=self._purchase.blocks(),
            new_expiration=self._purchase.new_expiration(standing.order),
            expires_at=option.expires_at,
            violations=violations,
            resumed=standing.resumed,
            order=standing.order,
        )

    async def _claim(self, record: Record) -> Sent | None:
        """Say in the journal that this order is being paid, unless another one of the same is: two processes may have
        begun at once. What another process paid for this very order meanwhile, in whatever way, is followed instead.
        Raises OrderInFlight."""
        await record.claim()
        if (sent := await self._unfinished.paid_meanwhile(record)) is not None or self._terms.new:
            return sent
        for other in await self._unfinished.entries():
            if other.state is EntryState.PAYING and other.number != record.entry.number:
                raise OrderInFlight(other.order_id or OrderId(""))
        return None

    async def _pay(self, record: Record, bill: Bill) -> Sent:
        self._customer.failpoint("client_paying")
        self._terms.tell(Step.PAYING, f"paying {bill.option.order_total_sat} sat", record.order_id)
        return await bill.pay(record)

    # --- after paying -----------------------------------------------------------------------------------------------

    async def _finish(self, standing: Standing[O], sent: Sent) -> Outcome[O, D]:
        record = standing.record
        follower = Follower(self._customer, self._purchase, self._terms, record.order_id)
        try:
            completed = await sent.follow(follower)
            self._customer.failpoint("client_completed")
            delivered = await follower.verify(standing.order, completed)
        except PaymentNotMade as failed:
            await self._note(record, EntryState.FAILED, str(failed))
            raise
        except PaidNotDelivered as waiting:
            await self._note(record, record.entry.state, str(waiting))
            raise
        except NotDelivered as lost:
            await self._note(record, EntryState.NOT_DELIVERED, str(lost))
            raise
        await self._note(record, EntryState.COMPLETED, order=completed)
        self._terms.tell(Step.DELIVERED, "delivered, and seen to be so", record.order_id)
        return Outcome(completed, sent.payment, sent.transaction, delivered, standing.resumed)

    async def _note(self, record: Record, state: EntryState, note: str = "", order: O | None = None) -> None:
        """How it ended. A disk that fails now must not hide that: who sees another error might buy the same again."""
        try:
            await record.mark(state, note, order)
        except StoreUnavailable as error:
            text = f"the journal could not be written, the same call again may come back to this order: {error}"
            logs.event(_log, logging.ERROR, "journal_failed", order_id=record.order_id, reason=str(error))
            self._terms.tell(Step.NOTICED, text, record.order_id)
