"""What the payer decides, is asked and is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, StrEnum

from lsps.protocol.lsps1 import ChannelOrder
from lsps.protocol.lsps7 import ExtensionOrder
from lsps.protocol.rules import RuleViolation
from lsps.units import MAX_UINT64, BlockHeight, Msat, NodeId, OrderId, Sat

_FEE_DIVISOR = 100
_ROUTING_FEE_BASE = Sat(10)
_ONCHAIN_FEE_BASE = Sat(5_000)


class PayWith(StrEnum):
    """What an order is paid with, by the specifications' names."""

    BOLT11 = "bolt11"
    ONCHAIN = "onchain"


@dataclass(frozen=True, slots=True)
class LightningCost:
    """What an invoice of `payee` costs beside its amount: `max_routing_fee` at most."""

    payee: NodeId
    max_routing_fee: Msat


@dataclass(frozen=True, slots=True)
class OnchainCost:
    """What a transaction to `address` costs beside what it pays. It counts after so many confirmations."""

    address: str
    transaction_fee: Sat
    sat_per_kw: int
    confirmations: int


@dataclass(frozen=True, slots=True)
class Offer:
    """What is about to be paid: `order_total` is `fee` and what the LSP passes on to our side of the channel.

    `cost` is what comes on top of it, by the way it is paid. `violations` are those rules that the payer may let pass,
    by saying yes: another payee than the LSP is one.
    `new_expiration` is LSPS7's; `expires_at` is when it is too late to pay.
    """

    lsp: NodeId
    method: str
    order_id: OrderId
    fee: Sat
    order_total: Sat
    cost: LightningCost | OnchainCost
    blocks: int
    new_expiration: BlockHeight | None
    expires_at: datetime
    violations: tuple[RuleViolation, ...]
    resumed: bool
    order: ChannelOrder | ExtensionOrder


Ask = Callable[[Offer], Awaitable[bool]]


class Step(Enum):
    """Where a purchase stands."""

    UNANSWERED = "unanswered"
    """An earlier create_order was never answered: unknown, unpaid, expires."""
    RESUMED = "resumed"
    """An unfinished purchase of the same is gone on with."""
    DROPPED = "dropped"
    """An unfinished, unpaid order of the same is not gone on with; the text says why."""
    ORDERING = "ordering"
    ORDERED = "ordered"
    NOTICED = "noticed"
    """The LSP breaks a rule that does not touch this payment."""
    PAYING = "paying"
    PUBLISHED = "published"
    """The transaction that pays is sent to the network."""
    CONFIRMING = "confirming"
    """It has more confirmations than before, or fewer."""
    HELD = "held"
    """The LSP holds the payment, and can still give it back."""
    PAID = "paid"
    REFUNDING = "refunding"
    """The LSP gave up; its refund is waited for."""
    VERIFYING = "verifying"
    """The LSP says COMPLETED; our own node, or its list, is looked at."""
    DELIVERED = "delivered"


@dataclass(frozen=True, slots=True)
class Progress:
    """`text` is ours: one line for a person."""

    step: Step
    text: str
    order_id: OrderId | None = None


Tell = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Terms:
    """The same for every purchase; `Lsps1.buy` explains each."""

    max_fee: Sat
    pay_with: PayWith
    max_routing_fee: Sat | None
    max_onchain_fee: Sat | None
    accept_violation: frozenset[str]
    new: bool
    pay: bool
    confirm: Ask | None
    progress: Tell | None

    def tell(self, step: Step, text: str, order_id: OrderId | None = None) -> None:
        if self.progress is not None:
            self.progress(Progress(step, text, order_id))

    def routing_limit(self, order_total: Sat) -> Msat:
        if self.max_routing_fee is not None:
            return Msat(min(int(self.max_routing_fee) * 1000, MAX_UINT64))
        return Msat(int(order_total.to_msat()) // _FEE_DIVISOR) + _ROUTING_FEE_BASE.to_msat()

    def onchain_limit(self, order_total: Sat) -> Sat:
        if self.max_onchain_fee is not None:
            return self.max_onchain_fee
        return Sat(int(order_total) // _FEE_DIVISOR) + _ONCHAIN_FEE_BASE
