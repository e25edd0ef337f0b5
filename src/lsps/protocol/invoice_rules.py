"""What must hold for the invoice of an order before it is paid: bLIP-51 §3.1, and what protects the payer."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from lsps.lightning.invoice import Invoice
from lsps.protocol.payment import Bolt11Payment
from lsps.protocol.rules import RuleViolation, Severity
from lsps.units import Network, NodeId

MAX_FINAL_CLTV_BLOCKS = 288
"""A held payment may lock the payer's funds for so long; two days leave an LSP time enough to open a channel."""

_PATH = "payment.bolt11.invoice"
_CLAUSE = "bLIP-51 §3.1"


def check_invoice(
    option: Bolt11Payment, invoice: Invoice, *, lsp: NodeId, network: Network, now: datetime
) -> Iterator[RuleViolation]:
    """`invoice` is `option.invoice`, decoded (and by that its signature checked). `now` has a time zone.

    Another payee than the LSP is a violation of SHOULD, rule "payee": no bLIP forbids it, so a person may allow it.
    """
    # Plain ints: order_total_sat is the peer's, and may be more than 64 bits of msat.
    if invoice.amount is None or int(invoice.amount) != int(option.order_total_sat) * 1000:
        text = f"the invoice asks for {_amount(invoice)}, order_total_sat is {option.order_total_sat}"
        yield RuleViolation("invoice_amount", _PATH, _CLAUSE, text)
    if invoice.network is not network:
        text = f"the invoice is for {invoice.network}, this node is on {network}"
        yield RuleViolation("invoice_network", _PATH, "BOLT 11", text)
    if now.timestamp() >= min(invoice.expires_at, option.expires_at.timestamp()):
        yield RuleViolation("invoice_expired", _PATH, "BOLT 11; bLIP-51 §3.1", "it is too late to pay this invoice")
    if invoice.min_final_cltv_expiry > MAX_FINAL_CLTV_BLOCKS:
        text = f"{invoice.min_final_cltv_expiry} blocks of final CLTV, more than {MAX_FINAL_CLTV_BLOCKS}"
        yield RuleViolation("invoice_cltv", _PATH, "lsps: final CLTV", text)
    if invoice.payee != lsp:
        text = f"the invoice pays {invoice.payee}, which is not the LSP"
        yield RuleViolation("payee", _PATH, "lsps: payee", text, Severity.SHOULD)


def _amount(invoice: Invoice) -> str:
    return "no amount" if invoice.amount is None else f"{invoice.amount} msat"
