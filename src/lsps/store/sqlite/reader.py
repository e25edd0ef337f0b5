"""An LSP's orders, read on the caller's thread: a read takes microseconds and waits for no write."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from lsps.orders import pending
from lsps.orders.model import Lease, Order
from lsps.orders.pending import EffectName
from lsps.store.orders import DueEffect, StoreUnavailable, TokenCount, UnpaidCount
from lsps.store.sqlite import statements as sql
from lsps.store.sqlite.failures import translated
from lsps.store.sqlite.rows import Row, lease_from_row, order_from_row
from lsps.store.sqlite.times import from_micros, to_micros
from lsps.units import BlockHeight, ChannelId, NodeId, OrderId, Outpoint

_ALL = ""
"""The principal under which unpaid_counts counts all orders."""


class SqliteOrderReader:
    """The reading half of OrderStore, whose docstrings hold. Every method may raise StoreUnavailable."""

    def __init__(self, path: Path, lsp: NodeId, reads: sqlite3.Connection) -> None:
        self.lsp = lsp
        self._path = path
        self._reads = reads

    def _rows(self, statement: str, **parameters: object) -> list[Row]:
        with translated(self._path):
            return self._reads.execute(statement, {"lsp": self.lsp.hex, **parameters}).fetchall()

    def _orders(self, statement: str, **parameters: object) -> list[Order]:
        return [order_from_row(row) for row in self._rows(statement, **parameters)]

    async def preimage_secret(self) -> bytes:
        for (secret,) in self._rows(sql.SECRET):
            return bytes(secret)
        raise StoreUnavailable(f"{self._path} has lost its secret: put back a copy of the store")

    async def order(self, order_id: OrderId) -> Order | None:
        return next(iter(self._orders(sql.ORDER, id=order_id)), None)

    async def order_of_hash(self, payment_hash: bytes) -> Order | None:
        return next(iter(self._orders(sql.ORDER_OF_HASH, payment_hash=payment_hash)), None)

    async def order_of_address(self, address: str) -> Order | None:
        return next(iter(self._orders(sql.ORDER_OF_ADDRESS, address=address)), None)

    async def orders_with_deposits(self, since: BlockHeight, after: Order | None, limit: int) -> Sequence[Order]:
        until = since if after is None else pending.deposits_until(after) or since
        after_id = "" if after is None else after.id
        return self._orders(sql.ORDERS_WITH_DEPOSITS, until=int(until), after=after_id, limit=limit)

    async def deposits_read_to(self) -> BlockHeight:
        ((height,),) = self._rows(sql.READ_TO)
        return BlockHeight(height)

    async def lease(self, channel_id: ChannelId) -> Lease | None:
        rows = self._rows(sql.LEASE, channel_id=channel_id.hex)
        return lease_from_row(rows[0]) if rows else None

    async def open_leases(self, after: ChannelId | None, limit: int) -> Sequence[Lease]:
        rows = self._rows(sql.OPEN_LEASES, after="" if after is None else after.hex, limit=limit)
        return [lease_from_row(row) for row in rows]

    async def due_effects(self, now: datetime, limit: int) -> Sequence[DueEffect]:
        rows = self._rows(sql.DUE_EFFECTS, now=to_micros(now), limit=limit)
        return [DueEffect(OrderId(row[0]), EffectName(row[1]), from_micros(row[2]), row[3]) for row in rows]

    async def due_orders(self, now: datetime, limit: int) -> Sequence[OrderId]:
        return [OrderId(row[0]) for row in self._rows(sql.DUE_ORDERS, now=to_micros(now), limit=limit)]

    async def orders_due_at_height(self, tip: BlockHeight, limit: int) -> Sequence[OrderId]:
        return [OrderId(row[0]) for row in self._rows(sql.ORDERS_DUE_AT_HEIGHT, tip=int(tip), limit=limit)]

    async def next_due(self, after: datetime) -> datetime | None:
        ((order,),) = self._rows(sql.NEXT_DUE_ORDER, after=to_micros(after))
        ((effect,),) = self._rows(sql.NEXT_DUE_EFFECT, after=to_micros(after))
        return min((from_micros(due) for due in (order, effect) if due is not None), default=None)

    async def watched_orders(self, after: OrderId | None, limit: int) -> Sequence[Order]:
        return self._orders(sql.WATCHED_ORDERS, after=after or "", limit=limit)

    async def owing_orders(self, after: OrderId | None, limit: int) -> Sequence[OrderId]:
        return [OrderId(row[0]) for row in self._rows(sql.OWING_ORDERS, after=after or "", limit=limit)]

    async def reserved_inputs(self) -> frozenset[Outpoint]:
        return frozenset(Outpoint.parse(row[0]) for row in self._rows(sql.RESERVED_INPUTS))

    async def unpaid(self, principal: NodeId) -> UnpaidCount:
        return UnpaidCount(self._unpaid(principal.hex), self._unpaid(_ALL))

    def _unpaid(self, principal: str) -> int:
        return sum(row[0] for row in self._rows(sql.UNPAID, principal=principal))

    async def token_count(self, code: str) -> TokenCount:
        rows = self._rows(sql.TOKEN, code=code)
        return TokenCount(*rows[0]) if rows else TokenCount(0, 0)

    async def newest_orders(self, before: OrderId | None, limit: int) -> Sequence[Order]:
        if before is None:
            return self._orders(sql.NEWEST_ORDERS, limit=limit)
        return self._orders(sql.NEWEST_ORDERS_BEFORE, before=before, limit=limit)

    async def close(self) -> None:
        with translated(self._path):
            self._reads.close()
