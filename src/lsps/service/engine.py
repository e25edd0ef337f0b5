"""The engine: applies events to orders, and with them to the leases they buy.

An event is applied by reading, stepping and committing; when somebody else committed in between, it is applied again to
what is there then.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import datetime

from lsps import logs
from lsps.clock import Clock, timeout
from lsps.failpoints import Failpoint
from lsps.node.contract import Invoices, InvoiceState, InvoiceStatus, NodeError
from lsps.orders import pending
from lsps.orders.events import (
    ChannelOpened,
    Event,
    InvoiceCancelled,
    InvoiceSettled,
    Now,
    PaymentHeld,
    Placed,
    Rules,
    TimePassed,
)
from lsps.orders.model import ChannelTerms, ExtensionTerms, Lease, Order, State
from lsps.orders.transitions import IllegalTransition, Outcome, place, step
from lsps.protocol.errors import ClientRejected
from lsps.service.channels import ChannelMirror, standing
from lsps.service.leasing import Leasing
from lsps.service.opening import opened_before
from lsps.store.orders import Change, OrderStore, StoreError, StoreUnavailable, VersionConflict
from lsps.units import BlockHeight, NodeId, OrderId

_log = logging.getLogger("lsps.service")

PAGE = 100
LOOKUP_SECONDS = 5.0


class Engine:
    def __init__(
        self,
        store: OrderStore,
        clock: Clock,
        rules: Rules,
        invoices: Invoices,
        mirror: ChannelMirror,
        leasing: Leasing,
        failpoint: Failpoint,
    ) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._invoices = invoices
        self._mirror = mirror
        self._leasing = leasing
        self._failpoint = failpoint
        self.changed = asyncio.Event()
        """Set whenever something may have become due."""
        self._tip: BlockHeight | None = None

    # --- events ---------------------------------------------------------------------------------------------------

    def now(self) -> Now:
        """Time and tip. Raises ClientRejected until the tip is known."""
        if self._tip is None:
            raise ClientRejected("the LSP is starting; try again in a minute")
        return Now(self._clock.now(), self._tip)

    async def place(self, event: Placed) -> Order:
        """Take in a new order: durable when this returns. Raises StoreError."""
        now = self.now()
        # The wire has milliseconds (bLIP-50 LSPS0.datetime): what is told is what is kept.
        now = replace(now, time=now.time.replace(microsecond=now.time.microsecond // 1000 * 1000))
        while True:
            outcome = place(event, await self._lease(event.terms, event), now, self._rules)
            try:
                await self._commit(outcome, now.time)
            except VersionConflict:
                continue
            self._failpoint("create_order.committed")
            return outcome.order

    async def apply(self, order_id: OrderId, event: Event) -> bool:
        """Whether it changed anything. Raises IllegalTransition, InputTaken, StoreUnavailable."""
        while True:
            order = await self._store.order(order_id)
            if order is None:
                return False
            now = self.now()
            outcome = step(order, await self._lease(order.terms, event), event, now, self._rules)
            if order.state is State.PAID and outcome.order.state in (State.CLOSING, State.FAILED):
                # A copy of the store that was put back may be older than the channel: nothing is given back for that.
                opened = opened_before(self._mirror, order)
                if opened is not None:
                    outcome = step(order, await self._lease(order.terms, opened), opened, now, self._rules)
            if outcome == Outcome(order):
                return False
            try:
                await self._commit(outcome, now.time)
            except VersionConflict:
                continue
            return True

    async def _lease(self, terms: ChannelTerms | ExtensionTerms, event: Event) -> Lease | None:
        """The lease that the event may change: of the channel to extend, or of the one just opened."""
        if isinstance(terms, ExtensionTerms):
            return await self._store.lease(terms.channel_id)
        return await self._store.lease(event.funding.channel_id()) if isinstance(event, ChannelOpened) else None

    async def _commit(self, outcome: Outcome, time: datetime) -> None:
        order = outcome.order
        try:
            await self._store.commit(Change(order, outcome.lease, outcome.extension, outcome.token), time)
        except StoreUnavailable:
            # A failing disk may have kept what it reports as lost: then what follows from it must not wait.
            if await self._store.order(order.id) != replace(order, version=order.version + 1):
                raise
        level = logging.ERROR if order.state is State.UNPAID else logging.INFO
        logs.event(
            _log,
            level,
            f"order_{order.state.name.lower()}",
            order_id=order.id,
            service=order.service.value,
            peer=order.principal,
            **({"reason": order.reason} if order.reason else {}),
        )
        self._follow(order)
        if outcome.lease is not None:
            await self._leasing.confirm(outcome.lease, self._mirror)

    def _follow(self, order: Order) -> None:
        """Watch the order's invoice as long as it can change, and see to its effects and due times."""
        payment_hash = pending.watched_hash(order)
        if payment_hash is not None:
            self._invoices.watch(payment_hash)
        elif order.bolt11 is not None:
            self._invoices.unwatch(order.bolt11.payment_hash)
        self.changed.set()

    # --- the node's streams ---------------------------------------------------------------------------------------

    async def watch_all(self) -> None:
        """At start: watch every invoice that can still change; the node tells their present state.

        An order that expired while no service ran may have been paid in time: the node is asked before it expires.
        """
        after: OrderId | None = None
        while page := await self._store.watched_orders(after, PAGE):
            for order in page:
                self._follow(order)
                due_at = pending.due_at(order)
                if due_at is not None and due_at <= self._clock.now():
                    await self._ask(order)
            after = page[-1].id

    async def decide_anew(self) -> None:
        """At start, under today's rules: what was too little to be sent back may not be any more."""
        after: OrderId | None = None
        while page := await self._store.owing_orders(after, PAGE):
            for order_id in page:
                await self.try_apply(order_id, TimePassed())
            after = page[-1]

    async def _ask(self, order: Order) -> None:
        payment_hash = pending.watched_hash(order)
        if payment_hash is None:
            return
        try:
            async with timeout(self._clock, LOOKUP_SECONDS):
                status = await self._invoices.lookup(payment_hash)
        except (NodeError, TimeoutError) as error:
            logs.event(_log, logging.WARNING, "lookup_failed", order_id=order.id, reason=str(error))
            return
        if status is not None:
            await self.on_invoice(status)

    async def on_invoice(self, status: InvoiceStatus) -> None:
        """Raises StoreUnavailable."""
        order = await self._store.order_of_hash(status.payment_hash)
        if order is None:
            return
        event: Event
        match status.state:
            case InvoiceState.OPEN:
                return
            case InvoiceState.HELD:
                self._failpoint("invoice.held")
                expiry = status.earliest_expiry or self.now().tip
                event = PaymentHeld(status.held, expiry, standing(self._mirror, order))
            case InvoiceState.SETTLED:
                event = InvoiceSettled()
            case InvoiceState.CANCELLED:
                event = InvoiceCancelled()
        await self.try_apply(order.id, event)
        if status.state is InvoiceState.HELD:
            self._failpoint("invoice.held.committed")

    async def on_tip(self, tip: BlockHeight) -> None:
        """Raises StoreUnavailable."""
        self._tip = tip
        while self._tip == tip and (ids := await self._store.orders_due_at_height(tip, PAGE)):
            if not all([await self.try_apply(order_id, TimePassed()) for order_id in ids]):
                return

    async def on_peer_online(self, peer: NodeId) -> None:
        await self._store.hasten(peer, self._clock.now())
        self.changed.set()

    async def try_apply(self, order_id: OrderId, event: Event) -> bool:
        """Apply; a contradiction is logged for the operator and changes nothing. Raises StoreUnavailable."""
        try:
            await self.apply(order_id, event)
        except StoreUnavailable:
            raise
        except (IllegalTransition, StoreError) as error:
            logs.event(_log, logging.ERROR, "event_not_applied", order_id=order_id, reason=str(error))
            return False
        return True
