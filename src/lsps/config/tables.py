"""The tables of lsps.toml as they are written: names, types, bounds and defaults. offer.py makes an Offer of them.

Amounts are whole sat. A table that is left out is None or has its defaults.
"""

from __future__ import annotations

from datetime import date
from typing import Annotated

from msgspec import Meta, Struct, field

Amount = Annotated[int, Meta(ge=0, le=2_100_000_000_000_000)]
Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Blocks = Annotated[int, Meta(ge=1, le=2**31 - 1)]
Uint16 = Annotated[int, Meta(ge=0, le=2**16 - 1)]
Rate = Annotated[int, Meta(ge=0, le=10**9)]
Seconds = Annotated[float, Meta(gt=0, le=600)]
Text = Annotated[str, Meta(min_length=1)]


class Table(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table with no key but these."""


class Lsps1Table(Table, frozen=True, kw_only=True):
    """bLIP-51 §1, and what an opening may cost us."""

    min_required_channel_confirmations: Uint16 = 1
    min_funding_confirms_within_blocks: Annotated[int, Meta(ge=1, le=2**16 - 1)] = 6
    supports_zero_channel_reserve: bool = False
    max_channel_expiry_blocks: Blocks = 52_560
    min_initial_client_balance_sat: Amount = 0
    max_initial_client_balance_sat: Amount = 1_000_000
    min_initial_lsp_balance_sat: Amount = 100_000
    max_initial_lsp_balance_sat: Amount = 16_000_000
    min_channel_balance_sat: Amount = 100_000
    max_channel_balance_sat: Amount = 16_777_215
    reserve_sat: Amount = 500_000
    max_open_sat_per_vbyte: Count = 50


class Lsps7Table(Table, frozen=True, kw_only=True):
    max_channel_extension_expiry_blocks: Blocks = 52_560
    extend_unleased_channels: bool | str = False


class PriceKeys(Table, frozen=True, kw_only=True):
    """Either `function` or amounts and rates; what is None has PriceTable's default."""

    function: Text | None = None
    open_base_sat: Amount | None = None
    open_rate_ppm_per_year: Rate | None = None
    extend_base_sat: Amount | None = None
    extend_rate_ppm_per_year: Rate | None = None


class TokenTable(Table, frozen=True, kw_only=True):
    code: Annotated[str, Meta(min_length=1, max_length=500)]
    discount_percent: Annotated[int, Meta(ge=0, le=100)] = 0
    uses: Count | None = None
    expires: date | None = None
    max_lsp_balance_sat: Amount | None = None
    max_blocks: Blocks | None = None

    def __repr__(self) -> str:
        return "TokenTable(…)"  # the code is a secret


class LeaseTable(Table, frozen=True, kw_only=True):
    outpoint: str
    expiration_block: Blocks


class PaymentTable(Table, frozen=True, kw_only=True):
    """`min_final_cltv_expiry` is at most 288: lsps' own client, for one, locks its money up no longer.

    `min_onchain_payment_confirmations` is at most 6: then a payment MUST count as confirmed (bLIP-51 §3.3).
    """

    bolt11: bool = True
    onchain: bool = False
    onchain_expiry_seconds: Annotated[int, Meta(ge=3_600, le=30 * 86_400)] = 86_400
    min_onchain_payment_confirmations: Annotated[int, Meta(ge=0, le=6)] = 1
    min_onchain_payment_sat: Annotated[int, Meta(ge=1_000, le=21_000_000 * 100_000_000)] = 10_000
    min_refund_sat: Annotated[int, Meta(ge=546, le=21_000_000 * 100_000_000)] = 2_000
    bolt11_expiry_seconds: Annotated[int, Meta(ge=60, le=7 * 86_400)] = 3_600
    min_final_cltv_expiry: Annotated[int, Meta(ge=19, le=288)] = 144
    give_up_after_seconds: Annotated[int, Meta(ge=1, le=7 * 86_400)] = 1_800
    hold_margin_blocks: Annotated[int, Meta(ge=18, le=287)] = 40


class LimitsTable(Table, frozen=True, kw_only=True):
    """`reply_bytes`: a custom message carries 65,533 bytes at most (BOLT 1)."""

    requests_per_peer: Count = 10
    requests_in_all: Count = 1_000
    unpaid_orders_in_all: Count = 10_000
    refusals_per_peer: Count = 100
    effects_at_once: Count = 200
    reply_bytes: Annotated[int, Meta(ge=1_000, le=65_533)] = 60_000
    node_seconds: Seconds = 4.0
    price_seconds: Seconds = 1.0
    prune_after_days: Annotated[int, Meta(ge=1, le=36_500)] = 30


class ListenTable(Table, frozen=True, kw_only=True):
    """Our own listener for customers; its limits are node.bolt8.limits' own."""

    address: Text
    key: Text
    connections: Count = 1_000
    connections_per_source: Count = 20
    half_open: Count = 100
    handshake_seconds: Seconds = 10.0
    idle_seconds: Annotated[float, Meta(ge=15, le=3_600)] = 60.0
    buffered_bytes: Annotated[int, Meta(ge=2**17, le=2**30)] = 2**20


class CompatTable(Table, frozen=True, kw_only=True):
    default: str = "spec"
    peers: dict[str, str] = field(default_factory=dict)


class File(Table, frozen=True, kw_only=True):
    """All of lsps.toml."""

    node: Text | None = None
    store: Text | None = None
    lsps1: Lsps1Table | None = None
    lsps7: Lsps7Table | None = None
    price: PriceKeys = PriceKeys()
    token: tuple[TokenTable, ...] = ()
    lease: tuple[LeaseTable, ...] = ()
    payment: PaymentTable = PaymentTable()
    limits: LimitsTable = LimitsTable()
    listen: ListenTable | None = None
    compat: CompatTable = CompatTable()
