"""Rules that LSPS1 and LSPS7 share, as functions: what a refund address, an order and its payment options must be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from lsps.lightning.bech32 import InvalidAddress, decode_address
from lsps.protocol.errors import InvalidParams
from lsps.protocol.payment import Bolt11Payment, Bolt12Payment, OnchainPayment, Payment, PaymentState
from lsps.units import Network, OrderId, Sat

MAX_ORDER_ID_LENGTH = 64
MAX_INVOICE_LENGTH = 2048
MOST_CONFIRMATIONS = 6
"""bLIP-51 §3.3: with so many the LSP MUST count an on-chain payment, whatever it says it wants."""
_BLOCK = timedelta(minutes=10)


class Severity(StrEnum):
    """How binding the clause is."""

    MUST = "MUST"
    SHOULD = "SHOULD"


@dataclass(frozen=True, slots=True)
class RuleViolation:
    """A rule that the LSP broke.

    `rule` is a stable id ("sum", "mirror", …), `path` the dotted key that broke it, `clause` where the rule stands,
    `text` our own words, without any text of the peer's.
    """

    rule: str
    path: str
    clause: str
    text: str
    severity: Severity = Severity.MUST


def check_refund_address(address: str | None, network: Network) -> None:
    """Raises InvalidParams unless the refund can be sent there (bLIP-50 LSPS0.onchain_address). None is fine.

    bLIP-50 lets readers take witness versions without a meaning yet; money sent to one could be anybody's.
    """
    if address is None:
        return
    try:
        decode_address(address, network, future_versions=False)
    except InvalidAddress as invalid:
        raise InvalidParams("refund_onchain_address", f"refund_onchain_address: {invalid}") from None


def check_order_id(order_id: OrderId, clause: str) -> Iterator[RuleViolation]:
    if not 1 <= len(order_id) <= MAX_ORDER_ID_LENGTH:
        yield RuleViolation("order_id", "order_id", clause, f"an order id has 1 to {MAX_ORDER_ID_LENGTH} characters")


def mirrored(path: str, asked: object, answered: object, clause: str) -> Iterator[RuleViolation]:
    if asked != answered:
        yield RuleViolation("mirror", path, clause, f"the order's {path} is not what was asked for")


def check_payment(payment: Payment, client_balance: Sat, refund_address: str | None) -> Iterator[RuleViolation]:
    """bLIP-51 §3, for the options of one order. In LSPS7 the client balance is 0 (bLIP-57 has none)."""
    for name, option in payment.options():
        path = f"payment.{name}"
        if int(option.fee_total_sat) + int(client_balance) != int(option.order_total_sat):
            text = f"fee {option.fee_total_sat} and client balance {client_balance} are not {option.order_total_sat}"
            yield RuleViolation("order_total", f"{path}.order_total_sat", "bLIP-51 §3.1, §3.2, §3.3", text)
        match option:
            case Bolt11Payment(invoice=text):
                yield from _bounded(f"{path}.invoice", text, "bLIP-51 §3.1")
            case Bolt12Payment(offer=text):
                yield from _bounded(f"{path}.offer", text, "bLIP-51 §3.2")
            case OnchainPayment():
                yield from _check_onchain(option, refund_address)


def _bounded(path: str, text: str, clause: str) -> Iterator[RuleViolation]:
    if not 1 <= len(text) <= MAX_INVOICE_LENGTH:
        yield RuleViolation("invoice_length", path, clause, f"it has 1 to {MAX_INVOICE_LENGTH} characters")


def _check_onchain(option: OnchainPayment, refund_address: str | None) -> Iterator[RuleViolation]:
    clause = "bLIP-51 §3.3"
    if refund_address is None:
        text = "on-chain payment is offered, but no refund address was given"
        yield RuleViolation("refund_address", "payment.onchain", clause, text)
    elif option.refund_onchain_address not in {None, refund_address}:
        # The LSP MAY leave it out: earlier versions of bLIP-51 had none.
        text = "a refund would go to another address than was given"
        yield RuleViolation("mirror", "payment.onchain.refund_onchain_address", clause, text, Severity.SHOULD)
    if refund_address is not None and option.address.lower() == refund_address.lower():
        text = "the address to pay is the one that a refund would go to"
        yield RuleViolation("own_address", "payment.onchain.address", clause, text)
    if option.min_onchain_payment_confirmations > 0 and option.min_fee_for_0conf is not None:
        text = "there is a feerate for 0-conf, though confirmations are required"
        yield RuleViolation("min_fee_for_0conf", "payment.onchain.min_fee_for_0conf", clause, text)
    if option.state is PaymentState.HOLD:
        text = "an on-chain payment is never on hold"
        yield RuleViolation("onchain_state", "payment.onchain.state", clause, text)


def check_payment_address(option: OnchainPayment, network: Network) -> Iterator[RuleViolation]:
    """That the address to pay to is one of `network`, before anything is sent there (bLIP-50 LSPS0.onchain_address)."""
    try:
        decode_address(option.address, network, future_versions=False)
    except InvalidAddress as invalid:
        yield RuleViolation(
            "address", "payment.onchain.address", "bLIP-51 §3.3, bLIP-50 LSPS0.onchain_address", str(invalid)
        )


def check_time_to_confirm(option: OnchainPayment, now: datetime) -> Iterator[RuleViolation]:
    """That a payment sent now can be expected to count in time: when the option expires first, the LSP gives the money
    back (bLIP-51 §3.3), less fees. Even without confirmations a block is allowed for."""
    blocks = min(max(option.min_onchain_payment_confirmations, 1), MOST_CONFIRMATIONS)
    if option.expires_at - now < blocks * _BLOCK:
        text = f"it is too late to pay on-chain: {blocks} confirmations take longer than the option lasts"
        yield RuleViolation("onchain_expired", "payment.onchain.expires_at", "lsps: time to confirm", text)
