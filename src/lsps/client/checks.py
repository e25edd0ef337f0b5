"""What must hold before anything is paid. The rules themselves are the protocol's; here is what they stop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from lsps.client.errors import FeeTooHigh, NotPayable, OrderFailed, RuleViolated
from lsps.client.terms import Step, Terms
from lsps.lightning import bolt11
from lsps.lightning.bolt11 import InvalidInvoice, Invoice
from lsps.node.contract import NodeInfo
from lsps.protocol.invoice_rules import check_invoice
from lsps.protocol.lsps1 import ChannelOrder
from lsps.protocol.lsps7 import ExtensionOrder
from lsps.protocol.payment import Bolt11Payment, OrderState, PaymentState
from lsps.protocol.rules import RuleViolation, Severity
from lsps.units import NodeId

_OTHER_WAYS = ("payment.onchain", "payment.bolt12")


def payable_option(order: ChannelOrder | ExtensionOrder) -> Bolt11Payment | None:
    """The way to pay; None when there is nothing (more) to pay. Raises OrderFailed, NotPayable."""
    if order.order_state is OrderState.FAILED:
        raise OrderFailed("the LSP says FAILED; nothing was paid", order_id=order.order_id)
    if order.order_state is OrderState.COMPLETED or not order.payment.options():
        return None
    if order.payment.bolt11 is None:
        names = ", ".join(name for name, _ in order.payment.options())
        text = f"the LSP takes only {names} for this order, and this client pays BOLT 11 invoices; nothing was paid"
        raise NotPayable(text, order_id=order.order_id)
    return order.payment.bolt11


def order_violations(
    order: ChannelOrder | ExtensionOrder, found: Iterator[RuleViolation], terms: Terms
) -> tuple[RuleViolation, ...]:
    """Those of `found` that touch this payment. Of a way to pay that is not used, the payer is told and that is all."""
    counted = []
    for violation in found:
        if violation.path.startswith(_OTHER_WAYS):
            terms.tell(Step.NOTICED, f"{violation.rule}: {violation.text} ({violation.clause})", order.order_id)
        else:
            counted.append(violation)
    return tuple(counted)


def read_invoice(order: ChannelOrder | ExtensionOrder, option: Bolt11Payment) -> Invoice:
    """Raises RuleViolated: bLIP-51 §3.1, MUST be a BOLT 11 invoice."""
    try:
        return bolt11.decode(option.invoice)
    except InvalidInvoice as invalid:
        broken = RuleViolation("invoice", "payment.bolt11.invoice", "bLIP-51 §3.1", str(invalid))
        raise RuleViolated([broken], order_id=order.order_id) from None


def invoice_violations(
    option: Bolt11Payment, invoice: Invoice, lsp: NodeId, info: NodeInfo, now: datetime
) -> Iterator[RuleViolation]:
    yield from check_invoice(option, invoice, lsp=lsp, network=info.network, now=now)
    if option.state is not PaymentState.EXPECT_PAYMENT:
        text = f"an order that waits for its payment says {option.state}"
        yield RuleViolation("payment_state", "payment.bolt11.state", "bLIP-51 §3.1", text)


def check_fee(order: ChannelOrder | ExtensionOrder, option: Bolt11Payment, terms: Terms) -> None:
    """Raises FeeTooHigh."""
    if option.fee_total_sat > terms.max_fee:
        raise FeeTooHigh(option.fee_total_sat, terms.max_fee, order_id=order.order_id)


def left_to_the_payer(
    order: ChannelOrder | ExtensionOrder, violations: Sequence[RuleViolation], terms: Terms
) -> tuple[RuleViolation, ...]:
    """What the payer, who is asked, may still let pass: another payee. Raises RuleViolated for all that nobody
    accepted; a MUST cannot be accepted."""
    may_ask = {"payee"} if terms.confirm is not None else set()
    refused = [
        broken
        for broken in violations
        if broken.severity is not Severity.SHOULD or broken.rule not in terms.accept_violation | may_ask
    ]
    if refused:
        raise RuleViolated(refused, order_id=order.order_id)
    return tuple(violations)
