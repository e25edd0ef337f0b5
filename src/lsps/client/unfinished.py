"""What the journal knows of the same wish: gone on with, dropped, or in the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic

from lsps.client.checks import order_violations, payable_option
from lsps.client.customer import Customer
from lsps.client.errors import (
    LspRefused,
    NotPayable,
    OrderFailed,
    OrderInFlight,
    OrderNotFound,
    RuleViolated,
    Unreachable,
)
from lsps.client.means import Means, NothingSent, Sent
from lsps.client.purchase import D, O, Purchase
from lsps.client.record import Record
from lsps.client.terms import Step, Terms
from lsps.node.contract import NodeError, NodeInfo
from lsps.protocol.payment import OrderState, PaymentOption, PaymentState
from lsps.protocol.rules import RuleViolation, Severity
from lsps.store.journal import Entry, EntryState

_UNANSWERED_FOR = timedelta(days=1)
"""After that an order whose reply was lost has long expired."""
_LOOKED_THROUGH = 1_000
"""Entries of the journal, the newest."""


@dataclass(frozen=True, slots=True)
class Standing(Generic[O]):
    """An order of ours. `option` is how it is to be paid; None: nothing (more) is. `sent` is what an earlier run paid
    for it."""

    record: Record
    order: O
    option: PaymentOption | None
    resumed: bool
    sent: Sent = field(default_factory=NothingSent)


class Unfinished(Generic[O, D]):
    """Looks through earlier orders of one purchase, which may have been paid by `every` means. `means` pays now."""

    def __init__(
        self,
        customer: Customer,
        purchase: Purchase[O, D],
        terms: Terms,
        info: NodeInfo,
        means: Means,
        every: Sequence[Means],
    ) -> None:
        self._customer = customer
        self._session = customer.session
        self._purchase = purchase
        self._terms = terms
        self._info = info
        self._means = means
        self._every = every

    async def paid(self) -> Standing[O] | None:
        """The order that an earlier run paid, or began to: it is gone on with, whatever the LSP sells now. Raises
        OrderInFlight if a new one is wanted in spite of it, and what asking the LSP and our own node raises."""
        for entry in await self.entries():
            standing = await self._if_paid(entry)
            if standing is not None and not self._terms.new:
                return self._resumed(standing)
            if standing is not None:
                await self._refuse_new_in_flight(standing.record, standing.sent)
        if self._terms.new or (lost := await self._undelivered()) is None:
            return None
        standing = await self._if_paid(lost)
        return None if standing is None else self._resumed(standing)

    async def _if_paid(self, entry: Entry) -> Standing[O] | None:
        if entry.order_id is None:
            return None
        record = Record(self._customer.journal, self._customer.clock, entry)
        ordered = self._purchase.read_order(entry.order)
        for means in self._every:
            if (sent := await means.sent(record, ordered.payment)) is not None:
                return Standing(record, ordered, None, True, sent)
        return None

    async def _undelivered(self) -> Entry | None:
        """What the same wish came to last, if that was NOT_DELIVERED: it may be there by now, and an LSP that took the
        money gets no more of it without being asked for a new order."""
        wish = (self._info.node_id, self._session.lsp, self._purchase.create.name)
        for entry in await self._customer.journal.newest(_LOOKED_THROUGH):
            if (entry.node, entry.lsp, entry.method) != wish or not self._purchase.is_wish(entry.parameters):
                continue
            if entry.state in {EntryState.COMPLETED, EntryState.NOT_DELIVERED}:
                return None if entry.state is EntryState.COMPLETED else entry
        return None

    async def paid_meanwhile(self, record: Record) -> Sent | None:
        """What another process has paid for this order, since this one looked."""
        for entry in await self._customer.journal.newest(_LOOKED_THROUGH):
            if entry.number == record.entry.number:
                standing = await self._if_paid(entry)
                return None if standing is None else standing.sent
        return None

    async def unpaid(self) -> Standing[O] | None:
        """The order to go on with when none is paid; None: order afresh. Raises what asking the LSP raises."""
        for entry in await self.entries():
            record = Record(self._customer.journal, self._customer.clock, entry)
            standing = None
            if entry.order_id is None:
                await self._unanswered(record)
            elif not self._terms.new:
                standing = await self._judge_unpaid(record)
            elif entry.state is EntryState.PAYING:
                await record.mark(EntryState.FAILED, "nothing was paid, and a new order was wanted")
            if standing is not None:
                return self._resumed(standing)
        return None

    def _resumed(self, standing: Standing[O]) -> Standing[O]:
        text = f"going on with the order of {_date(standing.record)} instead of ordering again"
        self._terms.tell(Step.RESUMED, text, standing.record.order_id)
        return standing

    async def entries(self) -> Sequence[Entry]:
        """Of the same wish: the newest first, but those for which money may be on its way before all others."""
        every = await self._customer.journal.unfinished(
            self._info.node_id, self._session.lsp, self._purchase.create.name
        )
        same = [entry for entry in every if self._purchase.is_wish(entry.parameters)]
        return sorted(same, key=lambda entry: (entry.state is not EntryState.PAYING, -entry.number))

    async def _unanswered(self, record: Record) -> None:
        if self._customer.clock.now() - record.entry.created_at > _UNANSWERED_FOR:
            await record.end_unpaid(EntryState.ABANDONED, "never answered, unpaid, expired")
            return
        text = "an earlier order was never answered: unknown, unpaid, it expires; ordering again"
        self._terms.tell(Step.UNANSWERED, text)

    async def _refuse_new_in_flight(self, record: Record, sent: Sent) -> None:
        """In flight is from paying to the LSP's final state. Raises OrderInFlight."""
        try:
            order = await self._ask(record)
            state = order.order_state
        except (LspRefused, Unreachable, RuleViolated, NodeError):
            state = OrderState.CREATED
        if sent.is_in_flight or state is OrderState.CREATED:
            raise OrderInFlight(record.order_id)
        final = EntryState.COMPLETED if state is OrderState.COMPLETED else EntryState.NOT_DELIVERED
        await record.mark(final, f"the LSP's last word, not verified: {state}", order)

    async def _judge_unpaid(self, record: Record) -> Standing[O] | None:
        """Nothing of ours is on its way for this order."""
        try:
            order = await self._ask(record)
        except OrderNotFound:
            await self._drop(record, EntryState.FAILED, "the LSP does not know it any more")
            return None
        try:
            option = payable_option(order, self._means)
        except OrderFailed:
            await self._drop(record, EntryState.FAILED, "it failed or expired, unpaid")
            return None
        except NotPayable as other:
            await self._drop(record, EntryState.ABANDONED, str(other))
            return None
        # HOLD or PAID though this node did not pay: somebody did (this node, before it lost its records?).
        taken = any(one.state in {PaymentState.HOLD, PaymentState.PAID} for _, one in order.payment.options())
        if option is None or taken:
            return Standing(record, order, None, True)
        if (objection := await self._objection(record, order, option)) is not None:
            await self._drop(record, EntryState.ABANDONED, objection)
            return None
        return Standing(record, order, option, True)

    async def _objection(self, record: Record, order: O, option: PaymentOption) -> str | None:
        """Why an unpaid order is not paid now. A fresh one takes its place, and is checked in full."""
        if not self._means.is_as_agreed(self._purchase.read_order(record.entry.order).payment, option):
            return "what it asks to be paid is not what it first did"
        asked = self._purchase.violations(order, record.entry.refund_address)
        found = list(order_violations(order, asked, self._terms))
        try:
            bill = await self._means.read(order.order_id, option, resumed=True)
        except RuleViolated as broken:
            return str(broken)
        found += bill.violations(self._customer.clock.now())
        texts = [violation.text for violation in found if violation.severity is Severity.MUST]
        return "; ".join(texts) or None

    async def _ask(self, record: Record) -> O:
        method, params = self._purchase.get_order(record.order_id)
        order = await self._session.call(method, params)
        if order.order_id != record.order_id:
            text = "the LSP answered about another order than it was asked about"
            raise RuleViolated([RuleViolation("mirror", "order_id", "bLIP-51 §2.1, bLIP-57 §2.1", text)])
        return order

    async def _drop(self, record: Record, state: EntryState, why: str) -> None:
        if record.entry.state is EntryState.PAYING:  # an earlier run came no further: our node knows no payment
            await record.mark(state, why)
        else:
            await record.end_unpaid(state, why)
        text = f"an unpaid order of {_date(record)} is not used any more: {why}"
        self._terms.tell(Step.DROPPED, text, record.order_id)


def _date(record: Record) -> str:
    return f"{record.entry.created_at:%Y-%m-%d %H:%M} UTC"
