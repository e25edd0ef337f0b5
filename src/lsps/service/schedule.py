"""Sees to it that what is due happens: effects at the node, expiries, pruning.

An effect stands in the store from the commit that caused it to the commit of its outcome, so a process that dies in
between leaves it to the next one.
"""

from __future__ import annotations

import asyncio
import logging
from datetime import datetime, timedelta

from lsps import logs
from lsps.clock import Clock, timeout
from lsps.failpoints import Failpoint
from lsps.node.contract import NodeError
from lsps.orders import pending
from lsps.orders.events import TimePassed
from lsps.orders.pending import EffectName
from lsps.orders.transitions import IllegalTransition
from lsps.protocol.errors import ClientRejected
from lsps.service.effects import Effects
from lsps.service.engine import PAGE, Engine
from lsps.service.offer import Limits
from lsps.service.putoff import LONGEST, PutOff, backoff
from lsps.service.stored import STORE_RETRY_SECONDS
from lsps.store.orders import DueEffect, OrderStore, StoreError
from lsps.units import OrderId

_log = logging.getLogger("lsps.service")

EFFECT_SECONDS = 60.0
"""A node that has not answered by then is asked again; an opening is left to its fate."""
MOST_REASONS = 1_000
PRUNE_EVERY = timedelta(hours=1)


class Schedule:
    def __init__(
        self,
        engine: Engine,
        store: OrderStore,
        clock: Clock,
        effects: Effects,
        *,
        limits: Limits,
        failpoint: Failpoint,
    ) -> None:
        self._engine = engine
        self._store = store
        self._clock = clock
        self._effects = effects
        self._prune_after = limits.prune_after
        self._most_running = limits.effects_at_once
        self._failpoint = failpoint
        self._put_off_for: dict[OrderId, str] = {}
        """Why a waiting order was put off last, the newest last; a new process learns it anew."""
        self._running: dict[tuple[OrderId, EffectName], asyncio.Task[None]] = {}
        self._latest: datetime | None = None
        """The latest time that was seen."""

    async def run_due(self) -> None:
        """Until cancelled: start what is due, sleep to the next due time or until something happens."""
        try:
            while True:
                self._engine.changed.clear()
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
        if self._latest is None or now < self._latest:
            # The clock was set back, or may have been while no service ran. A payment's timeout does not wait for it.
            await self._store.hasten_beyond(now + LONGEST, now)
        self._latest = max(now, self._latest or now)
        for order_id in await self._store.due_orders(now, PAGE):
            await self._engine.try_apply(order_id, TimePassed(self._put_off_for.get(order_id, "")))
        for effect in await self._store.due_effects(now, self._most_running):
            key = (effect.order_id, effect.name)
            if key not in self._running and len(self._running) < self._most_running:
                self._running[key] = asyncio.create_task(self._run_effect(effect), name=f"{effect.name} {key[0]}")
        # Each that ends sets `changed`, and makes room for those that are due already.
        next_due = await self._store.next_due(now)
        return None if next_due is None else (next_due - now).total_seconds()

    async def _sleep(self, seconds: float | None) -> None:
        woken = asyncio.create_task(self._engine.changed.wait())
        waits: set[asyncio.Task[object]] = {woken}
        if seconds is not None:
            waits.add(asyncio.create_task(self._clock.sleep(seconds)))
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
            self._engine.changed.set()

    async def _carry_out(self, effect: DueEffect) -> None:
        order = await self._store.order(effect.order_id)
        if order is None or effect.name not in pending.effects(order):
            return
        try:
            async with timeout(self._clock, EFFECT_SECONDS):
                outcome = await self._effects.carry_out(order, effect)
            if not isinstance(outcome, PutOff):
                changed = await self._engine.apply(order.id, outcome)
                self._put_off_for.pop(order.id, None)
                self._failpoint(f"{effect.name.name.lower()}.committed")
                if changed or not await self._stands(effect):
                    return
                # Whatever still stands then would be due at once, again and again.
                outcome = PutOff("its outcome changed nothing")
        except (NodeError, TimeoutError, IllegalTransition, StoreError, ClientRejected) as error:
            outcome = PutOff(str(error) or "the node did not answer in time")
        await self._put_off(effect, outcome)

    async def _stands(self, effect: DueEffect) -> bool:
        """Whether the effect is still wanted: the node's streams may have told its outcome before."""
        order = await self._store.order(effect.order_id)
        return order is not None and effect.name in pending.effects(order)

    async def _put_off(self, effect: DueEffect, why: PutOff) -> None:
        self._put_off_for.pop(effect.order_id, None)
        self._put_off_for[effect.order_id] = why.reason
        if len(self._put_off_for) > MOST_REASONS:
            del self._put_off_for[next(iter(self._put_off_for))]
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
                    pass
            except StoreError as error:
                logs.event(_log, logging.ERROR, "store_failed", reason=str(error))
            await self._clock.sleep(PRUNE_EVERY.total_seconds())
