"""What the service needs of a store: orders, leases and what hangs on them, committed together.

A commit writes an order, its lease and everything that is a function of the order (`orders.pending`: effects, due
times, reserved inputs) in one transaction. No call's cost may grow with the number of orders of a peer, or in all.

All methods are async; SQLite answers reads without suspending. Every row carries the LSP's node id: a store opened for
one LSP sees that LSP's rows alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from lsps.errors import LspsError
from lsps.orders.model import Extension, Lease, Order, TokenChange
from lsps.orders.pending import EffectName
from lsps.units import BlockHeight, ChannelId, NodeId, OrderId, Outpoint


class StoreError(LspsError):
    """Anything a store raises."""


class VersionConflict(StoreError):
    """A row moved on since it was read: read again and apply the event again. Nothing was written."""


class InputTaken(StoreError):
    """Another order has one of the inputs, for its channel or its payment: choose others. Nothing was written."""


class TokenUsedUp(StoreError):
    """Reserving would exceed the token's uses. Nothing was written."""


class StoreUnavailable(StoreError):
    """The store cannot write or read now (disk full, read-only, damaged); the text says which. Nothing was written."""


class StoreInUse(StoreError):
    """Another process serves this store; the text names the file."""


@dataclass(frozen=True, slots=True)
class Change:
    """One commit. An order or lease of version 0 is new; otherwise its version is the one that was read.

    `lease` None leaves leases alone. The stored rows get the version after theirs.
    """

    order: Order | None = None
    lease: Lease | None = None
    extension: Extension | None = None
    token: TokenChange | None = None


@dataclass(frozen=True, slots=True)
class DueEffect:
    """An effect whose time has come. `attempt` counts the times it was put off."""

    order_id: OrderId
    name: EffectName
    due: datetime
    attempt: int


@dataclass(frozen=True, slots=True)
class UnpaidCount:
    """Orders awaiting payment: of one principal, and in all."""

    of_principal: int
    in_all: int


@dataclass(frozen=True, slots=True)
class TokenCount:
    reserved: int
    consumed: int


class OrderStore(Protocol):
    """One LSP's orders. One process serves a store; others may open it for reading."""

    async def preimage_secret(self) -> bytes:
        """32 random bytes, made at the store's first use: preimages derive from them (money rule 6)."""
        ...

    async def commit(self, change: Change, now: datetime) -> None:
        """All of it, durably, or nothing. New effects are due `now`; ones that stay keep their due time and attempt.

        Raises VersionConflict, InputTaken, TokenUsedUp, StoreUnavailable.
        """
        ...

    async def order(self, order_id: OrderId) -> Order | None: ...

    async def order_of_hash(self, payment_hash: bytes) -> Order | None: ...

    async def order_of_address(self, address: str) -> Order | None:
        """The order this address was made for."""
        ...

    async def orders_with_deposits(self, since: BlockHeight, after: Order | None, limit: int) -> Sequence[Order]:
        """Orders whose deposits may still change (`pending.deposits_until` is at or above `since`), beginning after
        `after`: for a sweep in pages."""
        ...

    async def deposits_read_to(self) -> BlockHeight:
        """Up to which block the wallet's deposits were read; 0 before the first time."""
        ...

    async def set_deposits_read_to(self, height: BlockHeight) -> None: ...

    async def lease(self, channel_id: ChannelId) -> Lease | None: ...

    async def open_leases(self, after: ChannelId | None, limit: int) -> Sequence[Lease]:
        """Leases not ended, by channel id, beginning after `after`: for a sweep in pages."""
        ...

    async def due_effects(self, now: datetime, limit: int) -> Sequence[DueEffect]:
        """Effects due by now, longest due first."""
        ...

    async def put_off(self, effect: DueEffect, due: datetime) -> None:
        """Try the effect again at `due`; its attempt is counted. Gone already: fine."""
        ...

    async def hasten(self, principal: NodeId, now: datetime) -> None:
        """Make the waiting effects of this principal's orders due now: the peer is back."""
        ...

    async def hasten_beyond(self, latest: datetime, now: datetime) -> None:
        """Make effects that are due later than `latest` due now: nothing is put off for so long, so the clock they
        were put off by has been set back since."""
        ...

    async def due_orders(self, now: datetime, limit: int) -> Sequence[OrderId]:
        """Orders whose due time (`pending.due_at`) has come, longest due first."""
        ...

    async def orders_due_at_height(self, tip: BlockHeight, limit: int) -> Sequence[OrderId]:
        """Orders whose due height (`pending.due_height`) is at or below the tip."""
        ...

    async def next_due(self, after: datetime) -> datetime | None:
        """The earliest due time, later than `after`, of any effect or order."""
        ...

    async def watched_orders(self, after: OrderId | None, limit: int) -> Sequence[Order]:
        """Orders whose invoice can still change (`pending.watched_hash`), by id, beginning after `after`."""
        ...

    async def owing_orders(self, after: OrderId | None, limit: int) -> Sequence[OrderId]:
        """Orders that keep something which is too little to go back (`pending.owes`), by id, beginning after `after`:
        for a sweep in pages."""
        ...

    async def reserved_inputs(self) -> frozenset[Outpoint]: ...

    async def unpaid(self, principal: NodeId) -> UnpaidCount: ...

    async def token_count(self, code: str) -> TokenCount: ...

    async def newest_orders(self, before: OrderId | None, limit: int) -> Sequence[Order]:
        """Orders for people, the newest first, beginning below `before`."""
        ...

    async def prune(self, closed_before: datetime, limit: int) -> int:
        """Delete final orders that were never paid and closed before then; returns how many were deleted."""
        ...

    async def close(self) -> None: ...
