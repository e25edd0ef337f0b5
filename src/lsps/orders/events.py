"""What can happen to an order or a lease. Every fact a transition needs is in its event, in `Now` or in `Rules`."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from lsps.orders.model import Bolt11Option, ChannelTerms, ExtensionTerms, OnchainOption, Refund
from lsps.units import BlockHeight, Msat, NodeId, OrderId, Outpoint, Sat


@dataclass(frozen=True, slots=True)
class Now:
    time: datetime
    tip: BlockHeight


@dataclass(frozen=True, slots=True)
class Rules:
    """The operator's limits that decide transitions. Durations are time, margins are blocks."""

    max_extension_blocks: int
    """How far ahead of the tip an extension may move an expiration."""
    give_up_after: timedelta = timedelta(minutes=30)
    """How long a paid order waits for the peer, for funds or for the channel list before it gives the payment back."""
    hold_margin_blocks: int = 40
    """A held payment with fewer blocks to its first HTLC timeout is given back; LND does so itself at 18."""
    confirm_within: timedelta = timedelta(days=1)
    """How long on-chain payments are waited for: to confirm, when seen before the expiry; to confirm again, when a
    reorganisation took them back; and to be fulfilled, since no HTLC times out."""
    min_refund: Sat = Sat(2_000)
    """What is less is not sent back by itself: the operator decides."""
    bump_after: timedelta = timedelta(hours=6)
    """bLIP-51 §3.3: a refund that has not confirmed by then MUST be bumped."""


class ChannelStanding(Enum):
    """What the LSP's channel list says, at the moment of the event, about the channel of an LSPS7 order."""

    UNKNOWN = "unknown"
    """The list is being re-read: decide later."""
    GOOD = "good"
    """Open, not closing, and still the ordering peer's."""
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A valid order, priced. Without any payment option it is free."""

    id: OrderId
    lsp: NodeId
    principal: NodeId
    terms: ChannelTerms | ExtensionTerms
    bolt11: Bolt11Option | None
    onchain: OnchainOption | None = None
    token: str = field(default="", repr=False)
    token_uses: int | None = None
    """The limit of the token's uses when they are counted."""


@dataclass(frozen=True, slots=True)
class PaymentHeld:
    """The node holds a payment of the order's invoice."""

    held: Msat
    earliest_expiry: BlockHeight
    channel: ChannelStanding = ChannelStanding.UNKNOWN


@dataclass(frozen=True, slots=True)
class InvoiceCancelled:
    """The node confirmed that the invoice is cancelled, expired or unknown: nothing is held and nobody can pay it."""


@dataclass(frozen=True, slots=True)
class InvoiceSettled:
    """The node confirmed that the payment is ours."""


@dataclass(frozen=True, slots=True)
class SeenDeposit:
    """An output that pays to the order's address, as the wallet lists it now."""

    outpoint: Outpoint
    amount: Sat
    height: BlockHeight | None
    sat_per_kw: int | None
    spent_by: str | None
    """The id of the transaction that spends it."""
    spent_at: BlockHeight | None
    """Of that transaction's block."""


@dataclass(frozen=True, slots=True)
class DepositsSeen:
    """All that the wallet lists for the order's address: what waits for a block, or is in one at or above `since`."""

    deposits: tuple[SeenDeposit, ...]
    since: BlockHeight
    channel: ChannelStanding = ChannelStanding.UNKNOWN


@dataclass(frozen=True, slots=True)
class RefundSigned:
    """A transaction that gives this deposit back is made; to be stored before it is published."""

    outpoint: Outpoint
    refund: Refund


@dataclass(frozen=True, slots=True)
class RefundPublished:
    """The network has this deposit's refund."""

    outpoint: Outpoint
    txid: str


@dataclass(frozen=True, slots=True)
class RefundLeft:
    """This deposit cannot be given back by itself: the operator decides."""

    outpoint: Outpoint
    reason: str


@dataclass(frozen=True, slots=True)
class TimePassed:
    """A due time or height of the order has come; what it means is read from `Now`. `waits_for`: what it lacked so far,
    for the operator."""

    waits_for: str = ""


@dataclass(frozen=True, slots=True)
class ChannelChecked:
    """The channel list can be trusted again: what it says of a paid LSPS7 order's channel."""

    channel: ChannelStanding


@dataclass(frozen=True, slots=True)
class InputsChosen:
    """Unspent wallet outputs, reserved for this opening by the commit that records this event."""

    inputs: tuple[Outpoint, ...]
    sat_per_kw: int


@dataclass(frozen=True, slots=True)
class ChannelOpened:
    """The funding transaction is broadcast."""

    funding: Outpoint


@dataclass(frozen=True, slots=True)
class OpenFailed:
    """For certain no channel was made of the chosen inputs, and none will be."""

    reason: str


Event = (
    Placed
    | PaymentHeld
    | InvoiceCancelled
    | InvoiceSettled
    | DepositsSeen
    | RefundSigned
    | RefundPublished
    | RefundLeft
    | TimePassed
    | ChannelChecked
    | InputsChosen
    | ChannelOpened
    | OpenFailed
)


@dataclass(frozen=True, slots=True)
class ChannelConfirmed:
    """The leased channel's funding is confirmed at this height, maybe anew after a reorganisation."""

    height: BlockHeight


@dataclass(frozen=True, slots=True)
class ChannelEnded:
    """The leased channel is closed, or was never made."""


@dataclass(frozen=True, slots=True)
class LeaseRecorded:
    """The operator records a lease for a channel that was not sold here; it never lowers one."""

    expiration_block: BlockHeight


LeaseEvent = ChannelConfirmed | ChannelEnded | LeaseRecorded
