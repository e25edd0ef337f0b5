"""The payment object of LSPS1 (bLIP-51 §3), which LSPS7 uses as it is (bLIP-57 §4)."""

from __future__ import annotations

from enum import StrEnum

from lsps.protocol.fields import JsonDatetime, JsonSat, OnchainAddress, OptionalAddress, SatPerKiloweight, Uint16
from lsps.protocol.message import Message


class OrderState(StrEnum):
    """bLIP-51 §2, bLIP-57 §2."""

    CREATED = "CREATED"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class PaymentState(StrEnum):
    """bLIP-51 §3.1 to §3.3. On-chain payments are never HOLD."""

    EXPECT_PAYMENT = "EXPECT_PAYMENT"
    HOLD = "HOLD"
    PAID = "PAID"
    REFUNDED = "REFUNDED"

    @classmethod
    def _missing_(cls, value: object) -> PaymentState | None:
        # bLIP-51 §3.1: deprecated, still to be understood; it means the same.
        return cls.REFUNDED if value == "CANCELLED" else None


class Bolt11Payment(Message, frozen=True, kw_only=True):
    """bLIP-51 §3.1."""

    state: PaymentState
    expires_at: JsonDatetime
    fee_total_sat: JsonSat
    order_total_sat: JsonSat
    invoice: str


class Bolt12Payment(Message, frozen=True, kw_only=True):
    """bLIP-51 §3.2."""

    state: PaymentState
    expires_at: JsonDatetime
    fee_total_sat: JsonSat
    order_total_sat: JsonSat
    offer: str


class OnchainPayment(Message, frozen=True, kw_only=True):
    """bLIP-51 §3.3."""

    state: PaymentState
    expires_at: JsonDatetime
    fee_total_sat: JsonSat
    order_total_sat: JsonSat
    address: OnchainAddress
    min_onchain_payment_confirmations: Uint16
    min_fee_for_0conf: SatPerKiloweight | None = None
    refund_onchain_address: OptionalAddress = None


PaymentOption = Bolt11Payment | Bolt12Payment | OnchainPayment


class Payment(Message, frozen=True, kw_only=True):
    """The ways to pay an order; none at all for a free one. Options we do not know are ignored, null ones absent."""

    bolt11: Bolt11Payment | None = None
    bolt12: Bolt12Payment | None = None
    onchain: OnchainPayment | None = None

    def options(self) -> tuple[tuple[str, PaymentOption], ...]:
        """The options that are there, each with its name."""
        named = (("bolt11", self.bolt11), ("bolt12", self.bolt12), ("onchain", self.onchain))
        return tuple((name, option) for name, option in named if option is not None)
