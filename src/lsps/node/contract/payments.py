"""Payments over Lightning: the buyer's side."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from lsps.units import Msat


class PaymentStatus(Enum):
    IN_FLIGHT = "in flight"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Payment:
    """`fee` is what the route cost beyond the invoice's amount; `failure` the node's reason when FAILED."""

    payment_hash: bytes
    status: PaymentStatus
    fee: Msat
    failure: str = ""


class Payments(Protocol):
    async def pay(self, invoice: str, max_fee: Msat) -> Payment:
        """Pay and wait for the final state: for a hold invoice, until the payee settles or gives back.

        A repeat for the same payment hash never pays twice: it waits for the payment in flight, or returns the one
        that succeeded; one that failed is tried again. Cancelling the wait does not stop the payment. Raises Refused
        (nothing sent), NodeUnreachable (unknown: look it up).
        """
        ...

    async def lookup(self, payment_hash: bytes) -> Payment | None:
        """The newest state of the payment with this hash; None when this node never sent one."""
        ...
