"""The rules for an order's invoice, each broken once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest

from lsps.lightning.invoice import Invoice
from lsps.protocol.invoice_rules import check_invoice
from lsps.protocol.payment import Bolt11Payment, PaymentState
from lsps.protocol.rules import Severity
from lsps.units import Msat, Network, NodeId, Sat

LSP = NodeId("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
OTHER = NodeId("02c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5")
NOW = datetime(2025, 1, 1, tzinfo=UTC)
OPTION = Bolt11Payment(
    state=PaymentState.EXPECT_PAYMENT,
    expires_at=NOW + timedelta(hours=1),
    fee_total_sat=Sat(1_000),
    order_total_sat=Sat(1_200),
    invoice="lnbc1",
)
INVOICE = Invoice(
    network=Network.MAINNET,
    payee=LSP,
    timestamp=int(NOW.timestamp()),
    payment_hash=bytes(32),
    payment_secret=bytes(32),
    amount=Msat(1_200_000),
    description="channel",
    min_final_cltv_expiry=288,
    features=1 << 8 | 1 << 14,
)


def rules(invoice: Invoice = INVOICE, option: Bolt11Payment = OPTION, now: datetime = NOW) -> dict[str, Severity]:
    violations = check_invoice(option, invoice, lsp=LSP, network=Network.MAINNET, now=now)
    return {violation.rule: violation.severity for violation in violations}


def test_good_invoice() -> None:
    """An invoice of the LSP's for just the order's total, on this network, in time, has no violation."""
    assert rules() == {}
    assert rules(now=NOW + timedelta(minutes=59, seconds=59)) == {}


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"amount": Msat(1_200_001)}, "invoice_amount"),
        ({"amount": Msat(1_199_999)}, "invoice_amount"),
        ({"amount": None}, "invoice_amount"),
        ({"network": Network.REGTEST}, "invoice_network"),
        ({"expiry_seconds": 0}, "invoice_expired"),
        ({"min_final_cltv_expiry": 289}, "invoice_cltv"),
    ],
)
def test_broken(changes: dict[str, Any], rule: str) -> None:
    """bLIP-51 §3.1 and BOLT 11: an invoice of another amount or network, too late or locking too long, is a MUST."""
    assert rules(replace(INVOICE, **changes)) == {rule: Severity.MUST}


def test_another_payee_may_be_allowed() -> None:
    """An invoice that pays another node than the LSP is found, and a person may allow it."""
    assert rules(replace(INVOICE, payee=OTHER)) == {"payee": Severity.SHOULD}


def test_expired_option() -> None:
    """The option's own expires_at counts as well as the invoice's."""
    assert rules(now=NOW + timedelta(hours=1)) == {"invoice_expired": Severity.MUST}
    early = msgspec.structs.replace(OPTION, expires_at=NOW)
    assert rules(option=early) == {"invoice_expired": Severity.MUST}


def test_total_beyond_msat() -> None:
    """A total whose millisatoshi are more than 64 bits is a wrong amount, not an exception."""
    huge = msgspec.structs.replace(OPTION, order_total_sat=Sat(2**64 - 1))
    assert rules(option=huge) == {"invoice_amount": Severity.MUST}
