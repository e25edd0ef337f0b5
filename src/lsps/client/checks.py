"""What must hold before anything is paid. The rules themselves are the protocol's; here is what they stop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from lsps.client.errors import FeeTooHigh, NotPayable, OrderFailed, RuleViolated
from lsps.client.means import Means
from lsps.client.terms import Step, Terms
from lsps.lightning import bolt11
from lsps.lightning.bolt11 import InvalidInvoice, Invoice
from lsps.node.contract import NodeInfo
from lsps.protocol.invoice_rules import check_invoice
from lsps.protocol.lsps1 import ChannelOrder
from lsps.protocol.lsps7 import ExtensionOrder
from lsps.protocol.payment import Bolt11Payment, OnchainPayment, OrderState, PaymentOption, PaymentState
from lsps.protocol.rules import RuleViolation, Severity, check_payment_address, check_time_to_confirm
from lsps.units import NodeId, OrderId

_WAYS = ("bolt11", "bolt12", "onchain")


def payable_option(order: ChannelOrder | ExtensionOrder, means: Means) -> PaymentOption | None:
    """The option for this way to pay; None when there is nothing (more) to pay. Raises OrderFailed, NotPayable."""
    if order.order_state is OrderState.FAILED:
        raise OrderFailed("the LSP says FAILED; nothing was paid", order_id=order.order_id)
    if order.order_state is OrderState.COMPLETED or not order.payment.options():
        return None
    option = means.option(order.payment)
    if option is None:
        names = ", ".join(name for name, _ in order.payment.options())
        text = f"the LSP takes only {names} for this order: {means.why_not(order.payment)}; nothing was paid"
        raise NotPayable(text, order_id=order.order_id)
    return option


def order_violations(
    order: ChannelOrder | ExtensionOrder, found: Iterable[RuleViolation], terms: Terms
) -> tuple[RuleViolation, ...]:
    """Those of `found` that touch this payment. Of a way to pay that is not used, the payer is told and that is all."""
    counted = []
    other_ways = tuple(f"payment.{name}" for name in _WAYS if name != terms.pay_with.value)
    for violation in found:
        if violation.path.startswith(other_ways):
            terms.tell(Step.NOTICED, f"{violation.rule}: {violation.text} ({violation.clause})", order.order_id)
        else:
            counted.append(violation)
    return tuple(counted)


def read_invoice(order_id: OrderId, option: Bolt11Payment) -> Invoice:
    """Raises RuleViolated: bLIP-51 §3.1, MUST be a BOLT 11 invoice."""
    try:
        return bolt11.decode(option.invoice)
    except InvalidInvoice as invalid:
        broken = RuleViolation("invoice", "payment.bolt11.invoice", "bLIP-51 §3.1", str(invalid))
        raise RuleViolated([broken], order_id=order_id) from None


def invoice_violations(
    option: Bolt11Payment, invoice: Invoice, lsp: NodeId, info: NodeInfo, now: datetime
) -> Iterator[RuleViolation]:
    yield from check_invoice(option, invoice, lsp=lsp, network=info.network, now=now)
    yield from _expects_payment(option, "payment.bolt11.state", "bLIP-51 §3.1")


def onchain_violations(option: OnchainPayment, info: NodeInfo, now: datetime) -> Iterator[RuleViolation]:
    yield from check_payment_address(option, info.network)
    yield from check_time_to_confirm(option, now)
    if option.state is not PaymentState.HOLD:  # which is wrong by itself, and told of the order
        yield from _expects_payment(option, "payment.onchain.state", "bLIP-51 §3.3")


def _expects_payment(option: PaymentOption, path: str, clause: str) -> Iterator[RuleViolation]:
    if option.state is not PaymentState.EXPECT_PAYMENT:
        text = f"an order that waits for its payment says {option.state}"
        yield RuleViolation("payment_state", path, clause, text)


def check_fee(order: ChannelOrder | ExtensionOrder, option: PaymentOption, terms: Terms) -> None:
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
