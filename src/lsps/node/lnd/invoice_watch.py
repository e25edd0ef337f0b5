"""Following many hold invoices at once.

LND reports that a payment is held only on a stream of that one invoice, or when it is looked up (SubscribeInvoices is
silent about it). A stream an invoice for thousands of open orders would weigh on lnd, so the newest have streams, most
likely to be paid next, and the others are looked up in turn. As a stream ends, the next newest gets one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from itertools import islice

from lsps.clock import Clock
from lsps.node.contract import InvoiceState, InvoiceStatus, NodeError, NodeUnreachable
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.connection import Connection
from lsps.units import Msat

MAX_STREAMS = 200
SWEEP_SECONDS = 5.0
SWEEP_LOOKUPS_AT_ONCE = 8

_FINAL = (InvoiceState.SETTLED, InvoiceState.CANCELLED)

Found = InvoiceStatus | NodeError | None
"""What wakes a session: news, a failure, or only that the set of watched invoices changed."""


class InvoiceWatch:
    """The set of watched invoices, which outlives sessions, and one session at a time that follows them."""

    def __init__(
        self,
        connection: Connection,
        clock: Clock,
        lookup: Callable[[bytes], Awaitable[InvoiceStatus | None]],
        status: Callable[[pb.Invoice], InvoiceStatus],
        *,
        max_streams: int = MAX_STREAMS,
    ) -> None:
        self._connection = connection
        self._clock = clock
        self._lookup = lookup
        self._status = status
        self._max_streams = max_streams
        self._watched: dict[bytes, InvoiceStatus | None] = {}  # oldest first; the value is what was told last
        self._news: asyncio.Queue[Found] = asyncio.Queue()

    def add(self, payment_hash: bytes) -> None:
        self._watched.setdefault(payment_hash, None)
        self._news.put_nowait(None)

    def discard(self, payment_hash: bytes) -> None:
        self._watched.pop(payment_hash, None)
        self._news.put_nowait(None)

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncIterator[InvoiceStatus]]:
        """Follow until something breaks. The present state of every watched invoice comes first, so none is missed."""
        self._news = asyncio.Queue()
        self._watched = dict.fromkeys(self._watched)
        followers: dict[bytes, asyncio.Task[None]] = {}
        sweeper = asyncio.create_task(self._sweep(followers))
        try:
            yield self._changes(followers)
        finally:
            tasks = [sweeper, *followers.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _changes(self, followers: dict[bytes, asyncio.Task[None]]) -> AsyncIterator[InvoiceStatus]:
        while True:
            self._assign(followers)
            news = await self._news.get()
            if isinstance(news, NodeError):
                raise news
            if news is None or news.payment_hash not in self._watched or self._watched[news.payment_hash] == news:
                continue
            if news.state in _FINAL:
                del self._watched[news.payment_hash]
            else:
                self._watched[news.payment_hash] = news
            yield news

    def _assign(self, followers: dict[bytes, asyncio.Task[None]]) -> None:
        """Streams for the newest, none for the others."""
        newest = set(islice(reversed(self._watched), self._max_streams))
        for payment_hash in [other for other in followers if other not in newest]:
            followers.pop(payment_hash).cancel()
        for payment_hash in newest - followers.keys():
            followers[payment_hash] = asyncio.create_task(self._follow(payment_hash))

    async def _follow(self, payment_hash: bytes) -> None:
        request = pb.SubscribeSingleInvoiceRequest(r_hash=payment_hash)
        try:
            async with self._connection.stream(rpc.SINGLE_INVOICE, request) as replies:
                # The stream begins with the present state, but for an invoice that lnd does not know it is silent.
                if await self._lookup(payment_hash) is None:
                    self._news.put_nowait(_unknown(payment_hash))
                async for reply in replies:
                    status = self._status(reply)
                    self._news.put_nowait(status)
                    if status.state in _FINAL:
                        return
            self._news.put_nowait(NodeUnreachable("lnd ended the stream of an invoice that is not final"))
        except NodeError as error:
            self._news.put_nowait(error)

    async def _sweep(self, followers: dict[bytes, asyncio.Task[None]]) -> None:
        while True:
            await self._clock.sleep(SWEEP_SECONDS)
            alone = [
                payment_hash
                for payment_hash in self._watched
                if payment_hash not in followers or followers[payment_hash].done()
            ]
            try:
                await self._look_up(alone)
            except NodeError as error:
                self._news.put_nowait(error)

    async def _look_up(self, payment_hashes: Iterable[bytes]) -> None:
        remaining = iter(payment_hashes)

        async def worker() -> None:
            for payment_hash in remaining:
                self._news.put_nowait(await self._lookup(payment_hash) or _unknown(payment_hash))

        await asyncio.gather(*(worker() for _ in range(SWEEP_LOOKUPS_AT_ONCE)))


def _unknown(payment_hash: bytes) -> InvoiceStatus:
    """An invoice that lnd does not know can be paid by nobody, as a cancelled one."""
    return InvoiceStatus(payment_hash, InvoiceState.CANCELLED, Msat(0), None)
