"""What an LSP sells, on what terms and within what limits: plain values, read from lsps.toml or given by a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum

from lsps.protocol import lsps1
from lsps.protocol.jsonrpc import ErrorShape
from lsps.units import BlockHeight, NodeId, Outpoint, Sat


class Unleased(StrEnum):
    """Which channels that carry no lease from us may be extended (bLIP-57 §3: expiration_block 0)."""

    NONE = "none"
    PEER_OPENED = "peer-opened"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class ChannelOffer:
    """LSPS1. `options` is get_info's own answer (bLIP-51 §1)."""

    options: lsps1.Options
    reserve: Sat = Sat(0)
    """Never sold: stays in the wallet."""
    max_open_sat_per_vbyte: int = 200
    """Above this on-chain feerate nothing is opened."""


@dataclass(frozen=True, slots=True)
class ExtensionOffer:
    """LSPS7. An extension may move a lease's end at most so many blocks ahead of the tip."""

    max_channel_extension_expiry_blocks: int = 52_560
    extend_unleased_channels: Unleased = Unleased.NONE


@dataclass(frozen=True, slots=True)
class Token:
    """A code that customers may give. `uses` None: not counted. `expires`: the first day (UTC) it is stale."""

    code: str = field(repr=False)
    discount_percent: int = 0
    uses: int | None = None
    expires: date | None = None
    max_lsp_balance: Sat | None = None
    max_blocks: int | None = None


@dataclass(frozen=True, slots=True)
class LeaseToRecord:
    """A lease that the operator records for a channel not sold here."""

    outpoint: Outpoint
    expiration_block: BlockHeight


@dataclass(frozen=True, slots=True)
class PaymentTerms:
    """How orders are paid. The final CLTV leaves room to wait for a peer before an HTLC times out."""

    bolt11: bool = True
    bolt11_expiry: timedelta = timedelta(hours=1)
    min_final_cltv_expiry: int = 144
    give_up_after: timedelta = timedelta(minutes=30)
    hold_margin_blocks: int = 40
    onchain: bool = False
    onchain_expiry: timedelta = timedelta(days=1)
    min_onchain_payment_confirmations: int = 1
    min_onchain_payment: Sat = Sat(10_000)
    """An order that costs less cannot be paid on-chain."""
    min_refund: Sat = Sat(2_000)
    """What is less is not sent back by itself: the operator decides."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one peer, and all together, may ask of the service."""

    requests_per_peer: int = 10
    """Requests in work; for create_order, together with the peer's unpaid orders."""
    requests_in_all: int = 1_000
    unpaid_orders_in_all: int = 10_000
    """Half of them are kept for peers that have a channel."""
    refusals_per_peer: int = 100
    """Answers "too busy" waiting to be sent; beyond that a flood is ignored."""
    effects_at_once: int = 200
    """Calls to the node for orders under way: settling, cancelling, opening."""
    reply_bytes: int = 60_000
    node_seconds: float = 4.0
    """How long create_order may take at the node before it answers "try again"."""
    price_seconds: float = 1.0
    prune_after: timedelta = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Compat:
    """How errors are written for a peer, and for all others: as the bLIPs say, or as LDK's parser needs them."""

    default: ErrorShape = "spec"
    peers: Mapping[NodeId, ErrorShape] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Offer:
    """All of it. A part that is None is not offered."""

    lsps1: ChannelOffer | None = None
    lsps7: ExtensionOffer | None = None
    tokens: tuple[Token, ...] = ()
    leases: tuple[LeaseToRecord, ...] = ()
    payment: PaymentTerms = PaymentTerms()
    limits: Limits = Limits()
    compat: Compat = Compat()
