"""An order that is being paid, until the LSP's last word and the payment's end agree.

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
import logging
from datetime import datetime, timedelta
from typing import Generic

from lsps import logs
from lsps.client.customer import Customer
from lsps.client.errors import (
    LspRefused,
    NotDelivered,
    OrderFailed,
    PaidNotDelivered,
    PaymentFailed,
    RuleViolated,
    Unreachable,
)
from lsps.client.purchase import D, NotThere, O, Purchase
from lsps.client.terms import Step, Terms
from lsps.client.waiting import wait_until
from lsps.node.contract import NodeError, NodeUnreachable, Payment, PaymentStatus
from lsps.protocol.payment import OrderState, PaymentState
from lsps.protocol.sanitize import sanitize
from lsps.units import OrderId

_log = logging.getLogger("lsps.client")

_ASKED_IN_VAIN = (LspRefused, Unreachable, RuleViolated, NodeError)
_GROWTH = 1.5


class Follower(Generic[O, D]):
    """Follows one order of one purchase."""

    def __init__(self, customer: Customer, purchase: Purchase[O, D], terms: Terms, order_id: OrderId) -> None:
        self._session = customer.session
        self._clock = customer.clock
        self._patience = customer.patience
        self._purchase = purchase
        self._terms = terms
        self._order_id = order_id
        self._held = False

    async def follow(self, paying: asyncio.Task[Payment] | None) -> tuple[O, Payment | None]:
        """The completed order and its payment; `paying` is None when there is nothing (more) to pay.

        Raises OrderFailed, PaymentFailed, NotDelivered, PaidNotDelivered. Cancelling it does not cancel `paying`.
        """
        pause, over_since = self._patience.first_poll, None
        while True:
            if paying is not None and not paying.done() and await wait_until(self._clock, paying, pause):
                pause = self._patience.first_poll
            order = await self._poll()
            if order is not None and paying is not None and not paying.done():
                self._tell_held(order)
            if paying is None or paying.done():
                payment = None if paying is None else self._ended(paying)
                over_since = over_since or self._clock.now()
                if order is not None and order.order_state is OrderState.COMPLETED:
                    return await self._after_settling(order, payment), payment
                self._give_up(order, payment, over_since)
                await self._clock.sleep(pause)
            pause = min(pause * _GROWTH, self._patience.longest_poll)

    async def _after_settling(self, order: O, payment: Payment | None) -> O:
        """An LSP may note the settling a moment after its node: asked once more, so that PAID is shown and not HOLD."""
        option = order.payment.bolt11
        taken = payment is not None and payment.status is PaymentStatus.SUCCEEDED
        if not taken or option is None or option.state is not PaymentState.HOLD:
            return order
        await self._clock.sleep(self._patience.first_poll)
        again = await self._poll()
        return order if again is None or again.order_state is not OrderState.COMPLETED else again

    async def verify(self, promised: O, completed: O) -> D:
        """What was delivered, once our own node or the LSP's list shows it. Raises NotDelivered; PaidNotDelivered when
        neither could be asked."""
        self._terms.tell(Step.VERIFYING, "the LSP says that it is done; looking for what was bought", self._order_id)
        since, pause = self._clock.now(), self._patience.first_poll
        while True:
            kind, last = NotDelivered, False
            try:
                return await self._purchase.find(promised, completed)
            except NotThere as missing:
                text, last = f"the LSP says COMPLETED, but {missing}", missing.final
            except _ASKED_IN_VAIN as error:
                kind, text = PaidNotDelivered, f"the LSP says COMPLETED, which could not be verified: {error}"
            if last or self._clock.now() - since >= timedelta(seconds=self._patience.verify):
                raise kind(text, lsp=self._session.lsp, order_id=self._order_id)
            await self._clock.sleep(pause)
            pause = min(pause * _GROWTH, self._patience.longest_poll)

    async def _poll(self) -> O | None:
        """The order now; None when the LSP does not say."""
        method, params = self._purchase.get_order(self._order_id)
        try:
            order = await self._session.call(method, params, reply_seconds=self._patience.poll_reply, attempts=1)
        except _ASKED_IN_VAIN as error:
            logs.event(_log, logging.INFO, "poll_unanswered", lsp=self._session.lsp, reason=str(error))
            return None
        if order.order_id != self._order_id:
            logs.event(_log, logging.WARNING, "answer_about_another_order", lsp=self._session.lsp)
            return None
        return order

    def _tell_held(self, order: O) -> None:
        option = order.payment.bolt11
        if option is not None and option.state is PaymentState.HOLD and not self._held:
            self._held = True
            self._terms.tell(Step.HELD, "the LSP holds the payment until it has delivered", self._order_id)

    def _ended(self, paying: asyncio.Task[Payment]) -> Payment:
        try:
            return paying.result()
        except NodeUnreachable as away:
            raise PaidNotDelivered(
                f"our own node went away during the payment, whose outcome is unknown: {away}",
                lsp=self._session.lsp,
                order_id=self._order_id,
            ) from away

    def _give_up(self, order: O | None, payment: Payment | None, over_since: datetime) -> None:
        """Raise if nothing good can come any more, or not in time."""
        waited = self._clock.now() - over_since
        came_back = payment is not None and payment.status is PaymentStatus.FAILED
        if order is not None and order.order_state is OrderState.FAILED:
            if payment is not None and not came_back:
                raise self._undelivered("the LSP took the payment, and says that the order FAILED", final=True)
            raise OrderFailed(
                "the LSP could not deliver; the payment was given back, or not taken", order_id=self._order_id
            )
        if came_back and payment is not None:
            option = None if order is None else order.payment.bolt11
            arrived = option is None or option.state is not PaymentState.EXPECT_PAYMENT
            if not arrived or waited >= timedelta(seconds=self._patience.given_back):
                reason = sanitize(payment.failure) or "no reason given"
                raise PaymentFailed(f"the payment failed, or was given back: {reason}", order_id=self._order_id)
        elif waited >= timedelta(seconds=self._patience.delivery):
            raise self._undelivered(
                f"there is nothing (more) to pay, but the LSP has not completed the order within "
                f"{self._patience.delivery:g} seconds; the same call again goes on waiting"
            )

    def _undelivered(self, text: str, *, final: bool = False) -> NotDelivered:
        kind = NotDelivered if final else PaidNotDelivered
        return kind(text, lsp=self._session.lsp, order_id=self._order_id)
