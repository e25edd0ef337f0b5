"""Hold invoices: the seller's side of a payment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from lsps.node.contract.streams import Resumed
from lsps.units import BlockHeight, Msat


class InvoiceState(Enum):
    OPEN = "open"
    HELD = "held"
    SETTLED = "settled"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class InvoiceStatus:
    """`held` is what is held now or was settled; `earliest_expiry` the lowest expiry height of the held HTLCs."""

    payment_hash: bytes
    state: InvoiceState
    held: Msat
    earliest_expiry: BlockHeight | None


class Invoices(Protocol):
    """Hold invoices: the node knows the hash when they are made, and the preimage only to settle."""

    async def add_hold(
        self, payment_hash: bytes, amount: Msat, description: str, expiry_seconds: int, min_final_cltv_expiry: int
    ) -> str:
        """Make a hold invoice; returns its BOLT 11 text. Private channels are hinted. A repeat for the same hash
        gives the invoice that is there. Raises Refused, NodeUnreachable."""
        ...

    async def settle(self, preimage: bytes) -> None:
        """Take the held payment. Settled already: fine. Raises InvoiceNotHeld for certain, NodeUnreachable."""
        ...

    async def cancel(self, payment_hash: bytes) -> None:
        """Give the held payment back and take no more. Cancelled already, or unknown: fine.
        Raises InvoiceAlreadySettled for certain, NodeUnreachable."""
        ...

    async def lookup(self, payment_hash: bytes) -> InvoiceStatus | None:
        """The invoice's present state; None when the node does not know it."""
        ...

    def watch(self, payment_hash: bytes) -> None:
        """From now on `updates` tells of this invoice's changes, its present state first, until it is final."""
        ...

    def unwatch(self, payment_hash: bytes) -> None: ...

    def updates(self) -> AsyncIterator[Resumed | InvoiceStatus]:
        """Changes of the watched invoices; one consumer. After each Resumed the present state of every watched invoice
        comes again. An invoice the node does not know (any more) is told as CANCELLED with nothing held: nobody can
        pay it. The same state may come more than once."""
        ...
