"""The LSP: wires dispatcher, handlers, engine and mirror to one node and one store, and runs them."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import TypeVar

from lsps import failpoints, logs
from lsps.clock import Clock, SystemClock
from lsps.failpoints import Failpoint
from lsps.node.contract import Invoices, Node, NodeInfo, PeerOnline, Resumed, Wallet, require
from lsps.node.router import Router
from lsps.orders.events import Rules
from lsps.protocol import lsps0, lsps1, lsps7
from lsps.service.channels import ChannelMirror
from lsps.service.deposits import DepositReader
from lsps.service.desk import OrderDesk
from lsps.service.dispatcher import Dispatcher, Route, Shapes
from lsps.service.effects import Effects
from lsps.service.engine import Engine
from lsps.service.leasing import Leasing
from lsps.service.limits import InWork
from lsps.service.lsps0 import Lsps0
from lsps.service.lsps1 import Lsps1
from lsps.service.lsps7 import Lsps7
from lsps.service.offer import ExtensionOffer, Offer
from lsps.service.opening import Opening
from lsps.service.preimages import Preimages
from lsps.service.pricing import PriceFunction, PriceTable
from lsps.service.refunds import Refunds
from lsps.service.schedule import Schedule
from lsps.service.startup import check_offer
from lsps.service.stored import until_stored
from lsps.service.tokens import Tokens
from lsps.store.orders import OrderStore
from lsps.units import BlockHeight, NodeId

_log = logging.getLogger("lsps.service")
T = TypeVar("T")


def rules_of(offer: Offer) -> Rules:
    """The limits that decide transitions; the store needs them too, to know when an order is due."""
    lsps7_offer = offer.lsps7 or ExtensionOffer()
    return Rules(
        max_extension_blocks=lsps7_offer.max_channel_extension_expiry_blocks,
        give_up_after=offer.payment.give_up_after,
        hold_margin_blocks=offer.payment.hold_margin_blocks,
        min_refund=offer.payment.min_refund,
    )


class Service:
    """An LSP on `node`, durable in `store`.

    Raises NotSupported when the node lacks what the offer needs. One service a store and a node; `running()` runs it,
    and a client in the same process shares its router.
    """

    def __init__(
        self,
        node: Node,
        store: OrderStore,
        offer: Offer,
        *,
        price: PriceFunction | None = None,
        router: Router | None = None,
        clock: Clock | None = None,
        token_bytes: Callable[[int], bytes] = secrets.token_bytes,
        failpoint: Failpoint = failpoints.none,
    ) -> None:
        self.ready = asyncio.Event()
        """Set when orders can be taken and all that was left by an earlier process is in work."""
        self._node = node
        self._store = store
        self._offer = offer
        self._price = price or PriceTable()
        self._router = router
        self._clock = clock or SystemClock()
        self._token_bytes = token_bytes
        self._failpoint = failpoint
        self._in_work = InWork(offer.limits)
        self._deposits: DepositReader | None = None
        self._invoices: Invoices = require(node.invoices, "hold invoices")
        self._leasing = Leasing(store, self._clock)
        self._mirror = ChannelMirror(require(node.channels, "channels"), self._clock, self._leasing)
        self._engine = Engine(
            store, self._clock, rules_of(offer), self._invoices, self._mirror, self._leasing, failpoint
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Service]:
        """The service, ready; stopped at the end of the block."""
        task = asyncio.create_task(self.run())
        ready = asyncio.create_task(self.ready.wait())
        try:
            await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
            yield self
            if task.done():
                await task
        finally:
            ready.cancel()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def run(self) -> None:
        """Until cancelled. Raises NodeError when the node cannot be asked who it is, and CannotDeliver."""
        info = await self._node.info()
        wallet = require(self._node.wallet, "on-chain funds")
        check_offer(self._offer, info, sees_fees=wallet.sees_fees)
        dispatcher, schedule = await self._assemble(info)
        router = self._router or Router(self._node.messages)
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._mirror.run())
                tasks.create_task(self._each(self._invoices.updates(), self._engine.on_invoice))
                tasks.create_task(self._each(self._node.messages.peer_events(), self._on_peer))
                # The channels first: what is given back depends on them.
                await self._mirror.ready.wait()
                await self._engine.on_tip(info.height)
                tasks.create_task(self._each(self._node.tips(), self._on_tip))
                await self._leasing.record(info.node_id, self._offer.leases, self._mirror)
                await self._follow_deposits(wallet, tasks)
                await self._engine.decide_anew()
                await self._engine.watch_all()
                tasks.create_task(schedule.run_due())
                tasks.create_task(schedule.run_pruning())
                router.serve(dispatcher)
                if self._router is None:
                    tasks.create_task(router.run())
                await router.listening()
                logs.event(_log, logging.INFO, "serving", lsp=info.node_id, network=info.network.value)
                self.ready.set()
        finally:
            self.ready.clear()
            router.serve(None)
            await dispatcher.close()

    async def _assemble(self, info: NodeInfo) -> tuple[Dispatcher, Schedule]:
        node, offer = self._node, self._offer
        preimages = Preimages(await self._store.preimage_secret())
        wallet = require(node.wallet, "on-chain funds")
        shapes = Shapes(offer.compat)
        desk = OrderDesk(
            lsp=info.node_id,
            network=info.network,
            invoices=self._invoices,
            wallet=wallet,
            mirror=self._mirror,
            store=self._store,
            engine=self._engine,
            clock=self._clock,
            token_bytes=self._token_bytes,
            preimages=preimages,
            price=self._price,
            tokens=Tokens(offer.tokens),
            payment=offer.payment,
            limits=offer.limits,
            in_work=self._in_work,
            shapes=shapes,
        )
        opening = Opening(
            node.messages,
            require(node.channels, "channels"),
            wallet,
            self._store,
            offer.lsps1,
            self._failpoint,
        )
        dispatcher = Dispatcher(
            node.messages,
            self._routes(desk, opening),
            self._in_work,
            offer.limits,
            shapes,
            self._has_channel,
            self._clock,
            self._failpoint,
        )
        refunds = Refunds(wallet, self._store, self._failpoint)
        effects = Effects(self._invoices, self._mirror, opening, refunds, preimages, self._failpoint)
        schedule = Schedule(
            self._engine,
            self._store,
            self._clock,
            effects,
            limits=offer.limits,
            failpoint=self._failpoint,
        )
        return dispatcher, schedule

    def _routes(self, desk: OrderDesk, opening: Opening) -> tuple[Route, ...]:
        """What is offered, method by method."""
        offer = self._offer
        routes: list[Route] = []
        if offer.lsps1 is not None:
            channel_shop = Lsps1(offer.lsps1, desk, opening, self._node.messages)
            routes += [
                Route(lsps1.GET_INFO, channel_shop.get_info),
                Route(lsps1.CREATE_ORDER, channel_shop.create_order),
                Route(lsps1.GET_ORDER, channel_shop.get_order),
            ]
        if offer.lsps7 is not None:
            extension_shop = Lsps7(offer.lsps7, desk)
            routes += [
                Route(lsps7.GET_EXTENDABLE_CHANNELS, extension_shop.get_extendable_channels),
                Route(lsps7.CREATE_ORDER, extension_shop.create_order),
                Route(lsps7.GET_ORDER, extension_shop.get_order),
            ]
        protocols = tuple(number for number, part in ((1, offer.lsps1), (7, offer.lsps7)) if part is not None)
        routes.append(Route(lsps0.LIST_PROTOCOLS, Lsps0(protocols).list_protocols))
        return tuple(routes)

    def _has_channel(self, peer: NodeId) -> bool:
        return bool(self._mirror.of_peer(peer))

    async def _follow_deposits(self, wallet: Wallet, tasks: asyncio.TaskGroup) -> None:
        """As soon as addresses were ever given, for ever: they can be paid when nothing is offered any more."""
        if self._offer.payment.onchain and not int(await self._store.deposits_read_to()):
            await self._store.set_deposits_read_to(self._engine.now().tip)
        if int(await self._store.deposits_read_to()):
            self._deposits = DepositReader(
                wallet, self._node.info, self._store, self._engine, self._mirror, self._clock
            )
            # Before anything expires: it may have been paid while no service ran.
            await self._deposits.read()
            tasks.create_task(self._deposits.run())
            tasks.create_task(self._deposits.watch())

    async def _on_tip(self, tip: BlockHeight) -> None:
        await self._engine.on_tip(tip)
        if self._deposits is not None:
            self._deposits.hasten()

    async def _each(self, stream: AsyncIterator[Resumed | T], handle: Callable[[T], Awaitable[None]]) -> None:
        async for item in stream:
            if not isinstance(item, Resumed):
                await until_stored(self._clock, partial(handle, item))

    async def _on_peer(self, event: object) -> None:
        if isinstance(event, PeerOnline):
            await self._engine.on_peer_online(event.node_id)
