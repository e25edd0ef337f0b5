"""Bugs in the service: engine, schedule, opening, dispatcher, desk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from lsps.node.contract import ChannelGone, NodeError, Resumed
from lsps.orders import pending
from lsps.orders.cells import Outcome
from lsps.orders.events import ChannelOpened, Event, OpenFailed, Placed
from lsps.orders.model import Order, Service
from lsps.orders.transitions import place, step
from lsps.protocol.errors import ClientRejected, NotFound
from lsps.protocol.jsonrpc import Request
from lsps.service import opening
from lsps.service.channels import ChannelMirror
from lsps.service.desk import OrderDesk
from lsps.service.dispatcher import Dispatcher
from lsps.service.engine import Engine
from lsps.service.leasing import Leasing
from lsps.service.limits import TRY_AGAIN, InWork
from lsps.service.opening import Opening
from lsps.service.putoff import PutOff
from lsps.service.schedule import Schedule
from lsps.store.orders import DueEffect, VersionConflict
from lsps.units import ChannelId, NodeId, OrderId
from tests.simulation.bugs.bug import Patches

# --- opening ----------------------------------------------------------------------------------------------------------


def undecided_is_failed(patches: Patches) -> None:
    real = Opening.open_channel

    async def open_channel(self: Opening, order: Order, effect: DueEffect) -> Event | PutOff:
        outcome = await real(self, order, effect)
        return OpenFailed("nothing came of it") if isinstance(outcome, PutOff) else outcome

    patches.replace(Opening, "open_channel", open_channel)


def unreachable_is_failed(patches: Patches) -> None:
    real = Opening.open_channel

    async def open_channel(self: Opening, order: Order, effect: DueEffect) -> Event | PutOff:
        try:
            return await real(self, order, effect)
        except NodeError as error:
            return OpenFailed(str(error))

    patches.replace(Opening, "open_channel", open_channel)


def choose_again(patches: Patches) -> None:
    async def open_channel(self: Opening, order: Order, effect: DueEffect) -> Event | PutOff:
        chosen = await self.choose_inputs(order)
        if isinstance(chosen, PutOff):
            return chosen
        terms, funding = opening._terms(order), opening._funding(order)
        if effect.attempt:
            funding = replace(funding, inputs=getattr(chosen, "inputs", funding.inputs))
        try:
            return ChannelOpened(await self.channels.open(opening._request(order, terms, funding)))
        except NodeError as error:
            return PutOff(str(error))

    patches.replace(Opening, "open_channel", open_channel)


# --- leases and the mirror --------------------------------------------------------------------------------------------


def never_end_leases(patches: Patches) -> None:
    async def on_gone(_self: Leasing, _channel_id: ChannelId) -> None:
        pass

    patches.replace(Leasing, "on_gone", on_gone)


def never_read_again(patches: Patches) -> None:
    async def run(self: ChannelMirror) -> None:
        async for event in self._channels.events():
            if isinstance(event, Resumed):
                if not self.ready.is_set():
                    await self._read()
            elif isinstance(event, ChannelGone):
                self._forget(event.channel_id)
                await self._leasing.on_gone(event.channel_id)
            else:
                self._keep(event)
                await self._leasing.on_channel(event)

    patches.replace(ChannelMirror, "run", run)


# --- engine and schedule ----------------------------------------------------------------------------------------------


def give_up_on_conflict(patches: Patches) -> None:
    async def apply(self: Engine, order_id: OrderId, event: Event) -> bool:
        order = await self._store.order(order_id)
        if order is None:
            return False
        now = self.now()
        outcome = step(order, await self._lease(order.terms, event), event, now, self._rules)
        if outcome == Outcome(order):
            return False
        try:
            await self._commit(outcome, now.time)
        except VersionConflict:
            return False
        return True

    patches.replace(Engine, "apply", apply)


def commit_silently(patches: Patches) -> None:
    def follow(self: Engine, order: Order) -> None:
        payment_hash = pending.watched_hash(order)
        if payment_hash is not None:
            self._invoices.watch(payment_hash)
        elif order.bolt11 is not None:
            self._invoices.unwatch(order.bolt11.payment_hash)

    patches.replace(Engine, "_follow", follow)


def put_off_silently(patches: Patches) -> None:
    async def run_effect(self: Schedule, effect: DueEffect) -> None:
        try:
            await self._carry_out(effect)
        finally:
            del self._running[effect.order_id, effect.name]

    patches.replace(Schedule, "_run_effect", run_effect)


def watch_nothing_after_restart(patches: Patches) -> None:
    async def watch_all(_self: Engine) -> None:
        pass

    patches.replace(Engine, "watch_all", watch_all)


def tell_before_storing(patches: Patches) -> None:
    async def place_later(self: Engine, event: Placed) -> Order:
        now = self.now()
        outcome = place(event, await self._lease(event.terms, event), now, self._rules)
        self._stored = asyncio.create_task(self._commit(outcome, now.time))  # type: ignore[attr-defined]
        return outcome.order

    patches.replace(Engine, "place", place_later)


# --- dispatcher and desk ----------------------------------------------------------------------------------------------


def reply_again(patches: Patches) -> None:
    async def send(self: Dispatcher, peer: NodeId, payload: bytes) -> None:
        for _ in range(2):
            try:
                await self._messages.send(peer, payload)
            except NodeError:
                continue
            return

    patches.replace(Dispatcher, "_send", send)


def run_repeats(patches: Patches) -> None:
    def has(_self: InWork, _peer: NodeId, _request_id: object) -> bool:
        return False

    patches.replace(InWork, "has", has)


def no_reply_on_store_errors(patches: Patches) -> None:
    async def answer(self: Dispatcher, peer: NodeId, request: Request) -> None:
        try:
            reply = await self._reply(peer, request)
            if TRY_AGAIN.encode() not in reply:
                await self._send(peer, reply)
        finally:
            self._in_work.end(peer, request.id)

    patches.replace(Dispatcher, "_answer", answer)


def leak_at_disconnect(patches: Patches) -> None:
    async def answer(self: Dispatcher, peer: NodeId, request: Request) -> None:
        reply = await self._reply(peer, request)
        try:
            await self._messages.send(peer, reply)
        except NodeError:
            return
        self._in_work.end(peer, request.id)

    patches.replace(Dispatcher, "_answer", answer)


def count_stored_orders_only(patches: Patches) -> None:
    @asynccontextmanager
    async def admitted(self: OrderDesk, principal: NodeId) -> AsyncIterator[None]:
        unpaid = await self.store.unpaid(principal)
        if unpaid.of_principal >= self.limits.requests_per_peer:
            raise ClientRejected("you have too many unpaid orders; pay one, or wait until one expires")
        yield

    patches.replace(OrderDesk, "admitted", admitted)


def leak_when_refused(patches: Patches) -> None:
    @asynccontextmanager
    async def admitted(self: OrderDesk, principal: NodeId) -> AsyncIterator[None]:
        self.in_work.creating(principal, +1)
        unpaid = await self.store.unpaid(principal)
        if unpaid.of_principal + self.in_work.orders_in_creation(principal) > self.limits.requests_per_peer:
            raise ClientRejected("you have too many unpaid orders; pay one, or wait until one expires")
        yield
        self.in_work.creating(principal, -1)

    patches.replace(OrderDesk, "admitted", admitted)


def find_any_order(patches: Patches) -> None:
    async def find(self: OrderDesk, principal: NodeId, order_id: OrderId, service: Service) -> Order:
        order = await self.store.order(order_id)
        if order is None or order.service is not service:
            raise NotFound
        return order

    patches.replace(OrderDesk, "find", find)
