"""Reads what was paid to orders' addresses, and tells the orders (bLIP-51 §3.3: LSP MUST monitor the blockchain).

The wallet is read again at every block, whenever it hints at a change, and now and then: a replacement or an eviction
is told by nobody. What is read is everything since a block that is buried, so nothing depends on having seen it before.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator

from lsps import logs
from lsps.clock import Clock, timeout
from lsps.node.coins import BURIED
from lsps.node.contract import Deposit, NodeError, NodeInfo, Wallet
from lsps.orders import pending
from lsps.orders.events import DepositsSeen, SeenDeposit
from lsps.orders.model import Order
from lsps.service.channels import ChannelMirror, standing
from lsps.service.engine import PAGE, Engine
from lsps.store.orders import OrderStore, StoreError
from lsps.units import BlockHeight

_log = logging.getLogger("lsps.service")

AGAIN_SECONDS = 60.0
READ_SECONDS = 60.0


class DepositReader:
    def __init__(
        self,
        wallet: Wallet,
        info: Callable[[], Awaitable[NodeInfo]],
        store: OrderStore,
        engine: Engine,
        mirror: ChannelMirror,
        clock: Clock,
    ) -> None:
        self._wallet = wallet
        self._info = info
        self._store = store
        self._engine = engine
        self._mirror = mirror
        self._clock = clock
        self._wanted = asyncio.Event()

    def hasten(self) -> None:
        """Read again now."""
        self._wanted.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            await self._wait()
            await self.read()

    async def watch(self) -> None:
        """Until cancelled: the wallet's hints."""
        async for _ in self._wallet.changes():
            self.hasten()

    async def _wait(self) -> None:
        try:
            async with timeout(self._clock, AGAIN_SECONDS):
                await self._wanted.wait()
        except TimeoutError:
            pass
        self._wanted.clear()

    async def read(self) -> None:
        """Once. What cannot be read or stored now is logged, and read the next time."""
        try:
            await self._read()
        except (NodeError, StoreError, TimeoutError) as error:
            reason = str(error) or "the node did not answer in time"
            logs.event(_log, logging.WARNING, "deposits_not_read", reason=reason)

    async def _read(self) -> None:
        tip = self._engine.now().tip
        read_to = await self._store.deposits_read_to()
        reads_all = tip != read_to and await self._is_caught_up()
        buried = _below(min(tip, read_to), BURIED)
        changing = [order async for order in self._changing(buried)]
        since = min([buried, *_heights(changing, buried)])
        async with timeout(self._clock, READ_SECONDS):
            listed = await self._wallet.deposits(since)
        by_address: defaultdict[str, list[Deposit]] = defaultdict(list)
        for deposit in listed:
            by_address[deposit.address].append(deposit)
        for order in changing:
            await self._tell(order, by_address.pop(_address(order), []), since)
        for address, deposits in by_address.items():
            found = await self._store.order_of_address(address)
            if found is not None:
                await self._tell(found, deposits, since)
        if reads_all:
            await self._store.set_deposits_read_to(tip)

    async def _is_caught_up(self) -> bool:
        """After days off, a node knows the tip at once and its wallet sees the blocks before it later: until then they
        are to be read again. So this is asked before the wallet is read."""
        async with timeout(self._clock, READ_SECONDS):
            return (await self._info()).synced

    async def _changing(self, since: BlockHeight) -> AsyncIterator[Order]:
        after: Order | None = None
        while page := await self._store.orders_with_deposits(since, after, PAGE):
            for order in page:
                yield order
            after = page[-1]

    async def _tell(self, order: Order, deposits: Iterable[Deposit], since: BlockHeight) -> None:
        seen = tuple(_seen(deposit) for deposit in deposits)
        await self._engine.try_apply(order.id, DepositsSeen(seen, since, standing(self._mirror, order)))


def _below(height: BlockHeight, blocks: int) -> BlockHeight:
    return BlockHeight(max(0, int(height) - blocks))


def _heights(orders: Iterable[Order], buried: BlockHeight) -> Iterator[BlockHeight]:
    """Where the deposits are that may still change: not where others of the same orders are, which may be long ago."""
    for order in orders:
        for deposit in () if order.onchain is None else order.onchain.deposits:
            until = pending.deposit_until(deposit)
            if deposit.height is not None and until is not None and until >= buried:
                yield deposit.height


def _address(order: Order) -> str:
    return "" if order.onchain is None else order.onchain.address


def _seen(deposit: Deposit) -> SeenDeposit:
    spender = deposit.spent_by
    return SeenDeposit(
        outpoint=deposit.outpoint,
        amount=deposit.amount,
        height=deposit.height,
        sat_per_kw=deposit.sat_per_kw,
        spent_by=None if spender is None else spender.txid,
        spent_at=None if spender is None else spender.height,
    )
