"""An order and a lease: what is known of them, as immutable values. Pure data, no behaviour but reading itself.

`version` is the number a row had when it was read, 0 for one that was never stored; a commit is refused when the row
has moved on. The specification's words for an order's state are in `wire.py`; these are ours, finer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, StrEnum

from lsps.units import BlockHeight, ChannelId, Msat, NodeId, OrderId, Outpoint, Sat, Scid

NEWEST_EXTENSIONS = 10
"""How many extension_order_ids a lease keeps and a reply lists: the list must not grow with history."""


class State(Enum):
    """Where an order is. The table in docs/architecture.md says what leaves each state."""

    AWAITING_PAYMENT = "awaiting payment"
    PAID = "paid"
    """A payment is held and may still be given back; waits for what fulfilling needs."""
    FULFILLING = "fulfilling"
    """An irrevocable call is recorded; never cancelled until its outcome is known."""
    FULFILLED = "fulfilled"
    """The channel's funding is broadcast, or the lease is extended: durable, and to be settled."""
    COMPLETED = "completed"
    UNPAID = "unpaid"
    """Fulfilled, but the payment slipped away: a loss, recorded."""
    CLOSING = "closing"
    """Being given back at the node."""
    FAILED = "failed"


FINAL = frozenset({State.COMPLETED, State.UNPAID, State.FAILED})


class Service(StrEnum):
    """Which specification an order belongs to; the value is bLIP-57's original_order.service."""

    LSPS1 = "LSPS1"
    LSPS7 = "LSPS7"


class PaymentMethod(StrEnum):
    BOLT11 = "bolt11"
    ONCHAIN = "onchain"


@dataclass(frozen=True, slots=True)
class OriginalOrder:
    """The order a lease began with (bLIP-57 §3)."""

    id: OrderId
    service: Service


@dataclass(frozen=True, slots=True)
class ChannelTerms:
    """What an LSPS1 order asks for (bLIP-51 §2)."""

    lsp_balance: Sat
    client_balance: Sat
    required_channel_confirmations: int
    funding_confirms_within_blocks: int
    channel_expiry_blocks: int
    announce_channel: bool


@dataclass(frozen=True, slots=True)
class ExtensionTerms:
    """What an LSPS7 order asks for (bLIP-57 §2), with the channel as it was at the order's creation (bLIP-57 §3)."""

    short_channel_id: Scid
    channel_id: ChannelId
    channel_extension_expiry_blocks: int
    original_order: OriginalOrder | None
    extension_order_ids: tuple[OrderId, ...]
    max_channel_extension_expiry_blocks: int
    expiration_block: BlockHeight
    """The lease's at creation; the tip then, when the lease had lapsed or was 0."""

    @property
    def new_channel_expiry_block(self) -> BlockHeight:
        """A promise of "at least": other open orders on the channel add up."""
        return self.expiration_block + self.channel_extension_expiry_blocks


@dataclass(frozen=True, slots=True)
class Bolt11Option:
    """The order's hold invoice (bLIP-51 §3.1). `cancelled`: the node confirmed it once, and it stays told."""

    payment_hash: bytes
    invoice: str
    expires_at: datetime
    fee_total: Sat
    order_total: Sat
    cancelled: bool = False
    cancelling: bool = False
    """To be cancelled at the node: given back, expired while the order lives, or paid beside another option."""
    held: Msat = Msat(0)
    """What was last seen held for it: money that came late, short or over stays on record (money rule 4)."""
    earliest_expiry: BlockHeight | None = None
    """The lowest height at which an HTLC held for it times out."""


@dataclass(frozen=True, slots=True)
class Refund:
    """A signed transaction that spends a deposit's outpoint and pays it back. Stored before it is published."""

    txid: str
    raw: bytes = field(repr=False)
    paid: Sat
    """What the refund address gets."""
    fee: Sat
    sat_per_kw: int
    published_at: datetime | None = None
    height: BlockHeight | None = None
    """Of its block; None while it has none."""


@dataclass(frozen=True, slots=True)
class Deposit:
    """An output that pays to the order's address. What is not `kept` is given back from this very outpoint, so it can
    be given back once at most, and not at all when a reorganisation takes the deposit away."""

    outpoint: Outpoint
    amount: Sat
    seen_at: datetime
    height: BlockHeight | None = None
    """Of its block; None while it waits for one."""
    sat_per_kw: int | None = None
    gone: bool = False
    """Replaced, evicted or reorganised away."""
    kept: Sat = Sat(0)
    """How much of it pays for the order. While it is gone: would pay, if it came back with the refund of the rest."""
    refund_due: bool = False
    """What is not kept is to be given back, now."""
    refunds: tuple[Refund, ...] = ()
    """The newest last. All spend the outpoint, so one of them confirms at most."""
    bump: bool = False
    """The newest refund did not confirm in time: to be replaced by one with a higher fee (bLIP-51 §3.3)."""
    bump_at: datetime | None = None
    """When that will be."""
    left: str = ""
    """Why it is for the operator to decide, if it is."""

    @property
    def excess(self) -> Sat:
        return self.amount - self.kept

    @property
    def is_returned(self) -> bool:
        """A refund of it was published. One may be mined before that is on record, when the process died in between."""
        return any(refund.published_at is not None or refund.height is not None for refund in self.refunds)

    @property
    def refunded_at(self) -> BlockHeight | None:
        """The height of the block in which a refund confirmed; maybe not the newest one."""
        return next((refund.height for refund in self.refunds if refund.height is not None), None)


@dataclass(frozen=True, slots=True)
class OnchainOption:
    """The order's own address, and what was paid to it (bLIP-51 §3.3)."""

    address: str
    refund_address: str
    expires_at: datetime
    fee_total: Sat
    order_total: Sat
    min_confirmations: int
    min_fee_for_0conf: int | None = None
    """In satoshi per 1000 weight; None unless `min_confirmations` is 0."""
    deposits: tuple[Deposit, ...] = ()
    waits_until: datetime | None = None
    """Enough was paid before `expires_at`, and may confirm until then."""

    @property
    def deadline(self) -> datetime:
        return self.waits_until or self.expires_at


@dataclass(frozen=True, slots=True)
class Funding:
    """The inputs an opening spends, chosen at tip `since`: the opening's identity (money rule 3)."""

    inputs: tuple[Outpoint, ...]
    sat_per_kw: int
    since: BlockHeight


@dataclass(frozen=True, slots=True)
class FundedChannel:
    """The channel of an LSPS1 order (bLIP-51 §4). `expires_at` as first published; a lease may move it later."""

    funding_outpoint: Outpoint
    funded_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    id: OrderId
    lsp: NodeId
    principal: NodeId
    """The peer that ordered, authenticated by the transport."""
    terms: ChannelTerms | ExtensionTerms
    state: State
    created_at: datetime
    token: str = field(default="", repr=False)
    counts_token_use: bool = False
    bolt11: Bolt11Option | None = None
    onchain: OnchainOption | None = None
    """Both None when the order is free."""
    paid_by: PaymentMethod | None = None
    give_up_at: datetime | None = None
    funding: Funding | None = None
    channel: FundedChannel | None = None
    reason: str = ""
    """Why it failed, waits, or is a loss; for the operator."""
    closed_at: datetime | None = None
    version: int = 0

    @property
    def service(self) -> Service:
        return Service.LSPS1 if isinstance(self.terms, ChannelTerms) else Service.LSPS7

    @property
    def is_free(self) -> bool:
        return self.bolt11 is None and self.onchain is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """Until when the LSP keeps a channel. It belongs to the channel id, so it outlives SCIDs and splices."""

    channel_id: ChannelId
    lsp: NodeId
    peer: NodeId
    expiration_block: BlockHeight
    """Never decreases."""
    provisional_from: BlockHeight | None = None
    """The tip the expiration was counted from while the channel has no confirmation; None once it has one."""
    confirmed_at: BlockHeight | None = None
    """The height the expiration was counted from since; a reorganisation may move it."""
    expires_at: datetime | None = None
    """LSPS1's channel.expires_at, only ever moved later; None when the lease began otherwise."""
    original_order: OriginalOrder | None = None
    extension_order_ids: tuple[OrderId, ...] = ()
    """The newest ten, oldest first."""
    ended: bool = False
    version: int = 0


@dataclass(frozen=True, slots=True)
class Extension:
    """One extension of a lease, a row with a unique order id: a settled payment has exactly one (money rule 2)."""

    order_id: OrderId
    channel_id: ChannelId
    previous: BlockHeight
    new: BlockHeight


@dataclass(frozen=True, slots=True)
class TokenChange:
    """How a commit changes the count of a token's uses; refused when reserved + consumed would exceed `uses`."""

    code: str = field(repr=False)
    reserved: int
    consumed: int
    uses: int | None = None
    """The limit, given when a use is reserved."""
