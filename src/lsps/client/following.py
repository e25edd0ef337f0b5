"""An order that is paid, or is being paid: asked about until its end, and looked at when it is done."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Generic

from lsps import logs
from lsps.client.customer import Customer
from lsps.client.errors import LspRefused, NotDelivered, OrderFailed, PaidNotDelivered, RuleViolated, Unreachable
from lsps.client.purchase import D, NotThere, O, Purchase
from lsps.client.terms import Step, Terms
from lsps.node.contract import NodeError
from lsps.protocol.payment import OrderState
from lsps.units import OrderId

_log = logging.getLogger("lsps.client")

_ASKED_IN_VAIN = (LspRefused, Unreachable, RuleViolated, NodeError)
_GROWTH = 1.5


class Pauses:
    """Between two looks: short at first, then longer."""

    def __init__(self, customer: Customer) -> None:
        self._clock = customer.clock
        self._first = customer.patience.first_poll
        self._longest = customer.patience.longest_poll
        self.seconds = self._first

    def begin_again(self) -> None:
        self.seconds = self._first

    def grow(self) -> None:
        self.seconds = min(self.seconds * _GROWTH, self._longest)

    async def sleep(self) -> None:
        await self._clock.sleep(self.seconds)
        self.grow()


class Follower(Generic[O, D]):
    """Follows one order of one purchase. How it is paid, it does not know (client.means)."""

    def __init__(self, customer: Customer, purchase: Purchase[O, D], terms: Terms, order_id: OrderId) -> None:
        self.clock = customer.clock
        self.patience = customer.patience
        self.order_id = order_id
        self._customer = customer
        self._session = customer.session
        self._purchase = purchase
        self._terms = terms

    def tell(self, step: Step, text: str) -> None:
        self._terms.tell(step, text, self.order_id)

    def pauses(self) -> Pauses:
        return Pauses(self._customer)

    async def completed(self) -> O:
        """The order once it is completed, when nothing is on its way to pay for it. Raises OrderFailed,
        PaidNotDelivered."""
        pauses, since = self.pauses(), self.clock.now()
        while True:
            order = await self.poll()
            if order is not None and order.order_state is OrderState.COMPLETED:
                return order
            if order is not None and order.order_state is OrderState.FAILED:
                raise self.failed()
            self.check_delivery(since)
            await pauses.sleep()

    async def verify(self, promised: O, completed: O) -> D:
        """What was delivered, once our own node or the LSP's list shows it. Raises NotDelivered; PaidNotDelivered when
        neither could be asked."""
        self.tell(Step.VERIFYING, "the LSP says that it is done; looking for what was bought")
        pauses, since = self.pauses(), self.clock.now()
        while True:
            kind, last = NotDelivered, False
            try:
                return await self._purchase.find(promised, completed)
            except NotThere as missing:
                text, last = f"the LSP says COMPLETED, but {missing}", missing.final
            except _ASKED_IN_VAIN as error:
                kind, text = PaidNotDelivered, f"the LSP says COMPLETED, which could not be verified: {error}"
            if last or self.clock.now() - since >= timedelta(seconds=self.patience.verify):
                raise self.undelivered(text, kind)
            await pauses.sleep()

    async def poll(self) -> O | None:
        """The order now; None when the LSP does not say."""
        method, params = self._purchase.get_order(self.order_id)
        try:
            order = await self._session.call(method, params, reply_seconds=self.patience.poll_reply, attempts=1)
        except _ASKED_IN_VAIN as error:
            logs.event(_log, logging.INFO, "poll_unanswered", lsp=self._session.lsp, reason=str(error))
            return None
        if order.order_id != self.order_id:
            logs.event(_log, logging.WARNING, "answer_about_another_order", lsp=self._session.lsp)
            return None
        return order

    def check_delivery(self, since: datetime) -> None:
        """Raises PaidNotDelivered when the LSP had its time."""
        if self.clock.now() - since >= timedelta(seconds=self.patience.delivery):
            raise self.undelivered(
                f"there is nothing (more) to pay, but the LSP has not completed the order within "
                f"{self.patience.delivery:g} seconds; the same call again goes on waiting"
            )

    def failed(self) -> OrderFailed:
        text = "the LSP could not deliver; the payment was given back, or not taken"
        return OrderFailed(text, order_id=self.order_id)

    def undelivered(self, text: str, kind: type[NotDelivered] = PaidNotDelivered) -> NotDelivered:
        return kind(text, lsp=self._session.lsp, order_id=self.order_id)
