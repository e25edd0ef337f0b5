"""The engine: applies events to orders and leases, and sees to it that every effect is carried out.

An event is applied by reading, stepping and committing; when somebody else committed in between, it is applied again to
what is there then. An effect stands in the store from the commit that caused it to the commit of its outcome, so a
process that dies in between leaves it to the next one.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace
from datetime import datetime, timedelta

from lsps import logs
from lsps.clock import Clock
from lsps.failpoints import Failpoint
from lsps.node.contract import InvoiceState, InvoiceStatus, NodeError
from lsps.orders import leases, pending
from lsps.orders.events import (
    ChannelConfirmed,
    Event,
    InvoiceCancelled,
    InvoiceSettled,
    LeaseEvent,
    Now,
    PaymentHeld,
    Placed,
    Rules,
    TimePassed,
)
from lsps.orders.model import ExtensionTerms, Lease, Order, State
from lsps.orders.pending import EffectName
from lsps.orders.transitions import IllegalTransition, Outcome, place, step
from lsps.protocol.errors import ClientRejected
from lsps.service.effects import Effects, standing
from lsps.service.putoff import PutOff, backoff
from lsps.store.orders import Change, DueEffect, InputTaken, OrderStore, StoreError, VersionConflict
from lsps.units import BlockHeight, ChannelId, NodeId, OrderId

_log = logging.getLogger("lsps.service")

PAGE = 100
STORE_RETRY_SECONDS = 1.0
PRUNE_EVERY = timedelta(hours=1)


class Engine:
    def __init__(
        self,
        store: OrderStore,
        clock: Clock,
        rules: Rules,
        effects: Effects,
        *,
        prune_after: timedelta,
        failpoint: Failpoint,
    ) -> None:
        self._store = store
        self._clock = clock
        self._rules = rules
        self._effects = effects
        self._invoices = effects.invoices
        self._mirror = effects.mirror
        self._prune_after = prune_after
        self._failpoint = failpoint
        self._wake = asyncio.Event()
        self._running: dict[tuple[OrderId, EffectName], asyncio.Task[None]] = {}
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
            lease = await self._lease_of(event.terms.channel_id) if isinstance(event.terms, ExtensionTerms) else None
            outcome = place(event, lease, now, self._rules)
            try:
                await self._commit(outcome, lease, now.time)
            except VersionConflict:
                continue
            return outcome.order

    async def apply(self, order_id: OrderId, event: Event) -> None:
        """Raises IllegalTransition, InputTaken, StoreUnavailable."""
        while True:
            order = await self._store.order(order_id)
            if order is None:
                return
            now = self.now()
            terms = order.terms
            lease = await self._lease_of(terms.channel_id) if isinstance(terms, ExtensionTerms) else None
            outcome = step(order, lease, event, now, self._rules)
            if outcome == Outcome(order):
                return
            try:
                await self._commit(outcome, lease, now.time)
            except VersionConflict:
                continue
            return

    async def _lease_of(self, channel_id: ChannelId) -> Lease | None:
        return await self._store.lease(channel_id)

    async def _commit(self, outcome: Outcome, lease: Lease | None, time: datetime) -> None:
        order = outcome.order
        await self._store.commit(Change(order, outcome.lease, outcome.extension, outcome.token), time)
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
        if outcome.lease is not None and lease is None:
            await self._check_confirmed(outcome.lease)

    def _follow(self, order: Order) -> None:
        """Watch the order's invoice as long as it can change, and see to its effects and due times."""
        payment_hash = pending.watched_hash(order)
        if payment_hash is not None:
            self._invoices.watch(payment_hash)
        elif order.bolt11 is not None:
            self._invoices.unwatch(order.bolt11.payment_hash)
        self._wake.set()

    async def apply_to_lease(self, channel_id: ChannelId, event: LeaseEvent) -> None:
        while True:
            lease = await self._store.lease(channel_id)
            if lease is None:
                return
            stepped = leases.lease_step(lease, event)
            if stepped is lease:
                return
            try:
                await self._store.commit(Change(lease=stepped), self._clock.now())
            except VersionConflict:
                continue
            logs.event(
                _log,
                logging.INFO,
                f"lease_{type(event).__name__}",
                channel_id=channel_id,
                peer=lease.peer,
                expiration_block=stepped.expiration_block,
            )
            return

    async def record_lease(self, lsp: NodeId, channel_id: ChannelId, peer: NodeId, until: BlockHeight) -> None:
        """A lease the operator grants for a channel not sold here; it never lowers one."""
        try:
            if await self._store.lease(channel_id) is None:
                change = Change(lease=leases.recorded(channel_id, lsp, peer, until))
                await self._store.commit(change, self._clock.now())
        except VersionConflict:
            pass
        await self.apply_to_lease(channel_id, leases.LeaseRecorded(until))

    async def _check_confirmed(self, lease: Lease) -> None:
        """A channel may have confirmed before its lease was known."""
        channel = self._mirror.get(lease.channel_id)
        height = None if channel is None else channel.confirmed_at()
        if height is not None and lease.provisional_from is not None:
            await self.apply_to_lease(lease.channel_id, ChannelConfirmed(height))

    # --- the node's streams ---------------------------------------------------------------------------------------

    async def watch_all(self) -> None:
        """At start: watch every invoice that can still change; the node tells their present state."""
        after: OrderId | None = None
        while page := await self._store.watched_orders(after, PAGE):
            for order in page:
                self._follow(order)
            after = page[-1].id

    async def on_invoice(self, status: InvoiceStatus) -> None:
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
        await self._try(order.id, event)

    async def on_tip(self, tip: BlockHeight) -> None:
        self._tip = tip
        while ids := await self._store.orders_due_at_height(tip, PAGE):
            for order_id in ids:
                if not await self._try(order_id, TimePassed()):
                    return

    async def on_peer_online(self, peer: NodeId) -> None:
        await self._store.hasten(peer, self._clock.now())
        self._wake.set()

    async def _try(self, order_id: OrderId, event: Event) -> bool:
        """Apply; what cannot be applied is logged for the operator and changes nothing."""
        try:
            await self.apply(order_id, event)
        except (IllegalTransition, StoreError) as error:
            logs.event(_log, logging.ERROR, "event_not_applied", order_id=order_id, reason=str(error))
            return False
        return True

    # --- effects and due times ------------------------------------------------------------------------------------

    async def run_due(self) -> None:
        """Until cancelled: start what is due, sleep to the next due time or until something happens."""
        try:
            while True:
                self._wake.clear()
                try:
                    wait = await self._start_due()
                except StoreError as error:
                    logs.event(_log, logging.ERROR, "store_failed", reason=str(error))
                    wait = STORE_RETRY_SECONDS
                await self._sleep(wait)
        finally:
            for task in self._running.values():
                task.cancel()
            await asyncio.gather(*self._running.values(), return_exceptions=True)

    async def _start_due(self) -> float | None:
        """Seconds until the next due time, None when nothing will be due by itself."""
        now = self._clock.now()
        for order_id in await self._store.due_orders(now, PAGE):
            await self._try(order_id, TimePassed())
        started = 0
        for effect in await self._store.due_effects(now, PAGE + len(self._running)):
            key = (effect.order_id, effect.name)
            if key not in self._running:
                self._running[key] = asyncio.create_task(self._run_effect(effect), name=f"{effect.name} {key[0]}")
                started += 1
        if started >= PAGE:
            return 0.0
        next_due = await self._store.next_due(now)
        return None if next_due is None else (next_due - now).total_seconds()

    async def _sleep(self, seconds: float | None) -> None:
        woken = asyncio.create_task(self._wake.wait())
        waits: set[asyncio.Task[object]] = {woken}  # type: ignore[arg-type]
        if seconds is not None:
            waits.add(asyncio.create_task(self._clock.sleep(seconds)))  # type: ignore[arg-type]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waits:
                task.cancel()

    async def _run_effect(self, effect: DueEffect) -> None:
        try:
            await self._carry_out(effect)
        except Exception as error:  # one order's trouble must not stop the others
            _log.exception("effect_failed", extra={logs.FIELDS: {"order_id": effect.order_id, "effect": effect.name}})
            await self._put_off(effect, PutOff(type(error).__name__))
        finally:
            del self._running[effect.order_id, effect.name]
            self._wake.set()

    async def _carry_out(self, effect: DueEffect) -> None:
        order = await self._store.order(effect.order_id)
        if order is None or effect.name not in pending.effects(order):
            return
        try:
            outcome = await self._effects.carry_out(order, effect)
            if not isinstance(outcome, PutOff):
                await self.apply(order.id, outcome)
                self._failpoint(f"{effect.name.name.lower()}.committed")
                return
        except (NodeError, InputTaken, IllegalTransition, StoreError, ClientRejected) as error:
            outcome = PutOff(str(error))
        await self._put_off(effect, outcome)

    async def _put_off(self, effect: DueEffect, why: PutOff) -> None:
        logs.event(
            _log,
            logging.WARNING,
            "effect_put_off",
            order_id=effect.order_id,
            effect=effect.name.value,
            attempt=effect.attempt,
            reason=why.reason,
        )
        try:
            await self._store.put_off(effect, self._clock.now() + backoff(effect.attempt))
        except StoreError:
            await self._clock.sleep(STORE_RETRY_SECONDS)

    async def run_pruning(self) -> None:
        """Until cancelled: orders that failed unpaid are kept for a time for get_order, then deleted."""
        while True:
            try:
                while await self._store.prune(self._clock.now() - self._prune_after, PAGE) == PAGE:
                    await asyncio.sleep(0)
            except StoreError as error:
                logs.event(_log, logging.ERROR, "store_failed", reason=str(error))
            await self._clock.sleep(PRUNE_EVERY.total_seconds())
