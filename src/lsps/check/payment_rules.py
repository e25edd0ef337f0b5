"""bLIP-51 §3, which bLIP-57 §4 takes over: what an order's payment object must be, as functions that raise Broken."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from lsps.check.model import Skipped, Untold, expect
from lsps.check.values import as_amount, as_datetime, at, is_uint, shown
from lsps.lightning import bolt11
from lsps.lightning.bech32 import InvalidAddress, decode_address
from lsps.lightning.invoice import Invoice
from lsps.protocol.invoice_rules import MAX_FINAL_CLTV_BLOCKS
from lsps.protocol.rules import MAX_INVOICE_LENGTH
from lsps.units import Network, NodeId

Payments = list[tuple[dict[str, Any], dict[str, Any]]]
"""Request and order, each order's payment being an object."""

OPTIONS = ("bolt11", "bolt12", "onchain")
CANCELLED_BY_NODES = 18
"""An HTLC so near to its expiry is given back by the node itself (LND): it cannot be held."""
_CLOCKS_DIFFER_SECONDS = 60


def payable(made: Payments) -> Payments:
    """Those whose payment can be looked into."""
    found = [(params, order) for params, order in made if isinstance(order.get("payment"), dict)]
    if not found:
        raise Untold("no order has a payment object")
    return found


def options(made: Payments, *names: str) -> Iterator[tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]]:
    """Name, option, request and order of each option that is there. Raises Skipped when there is none."""
    found = [
        (name, option, params, order)
        for params, order in payable(made)
        for name in names
        if isinstance(option := order["payment"].get(name), dict)
    ]
    if not found:
        raise Skipped(f"no order can be paid by {' or '.join(names)}")
    return iter(found)


def is_object(made: Payments) -> None:
    for _, order in made:
        payment = order.get("payment")
        expect(isinstance(payment, dict), f"payment is {shown(payment)}")
        for name in OPTIONS:
            option = at(payment, name)
            expect(option is None or isinstance(option, dict), f"payment.{name} is {shown(option)}")


def no_null_options(made: Payments) -> None:
    for _, order in payable(made):
        for name in OPTIONS:
            expect(order["payment"].get(name, {}) is not None, f"payment.{name} is null")


def awaits_payment(made: Payments) -> None:
    for name, option, _, _ in options(made, *OPTIONS):
        state = option.get("state")
        expect(state == "EXPECT_PAYMENT", f"payment.{name}.state is {shown(state)}")


def expires_later(made: Payments) -> None:
    for name, option, _, order in options(made, *OPTIONS):
        created, expires = as_datetime(order.get("created_at")), as_datetime(option.get("expires_at"))
        expect(expires is not None, f"payment.{name}.expires_at is {shown(option.get('expires_at'))}")
        if created is not None and expires is not None:
            expect(expires > created, f"it expires at {expires}, and was created at {created}")


def total_is_fee_and_balance(made: Payments) -> None:
    for name, option, params, _ in options(made, *OPTIONS):
        fee, total = as_amount(option.get("fee_total_sat")), as_amount(option.get("order_total_sat"))
        balance = int(params.get("client_balance_sat", "0"))
        where = f"payment.{name}: fee_total_sat {shown(option.get('fee_total_sat'))}, client balance {balance}"
        kept = fee is not None and total is not None and fee + balance == total
        expect(kept, f"{where}, order_total_sat {shown(option.get('order_total_sat'))}")


def short_enough(made: Payments, name: str, key: str) -> None:
    for _, option, _, _ in options(made, name):
        text = option.get(key)
        kept = isinstance(text, str) and 1 <= len(text) <= MAX_INVOICE_LENGTH
        expect(kept, f"payment.{name}.{key} is {shown(text)}")


def _invoices(made: Payments) -> Iterable[tuple[Invoice, dict[str, Any]]]:
    found = []
    for _, option, _, _ in options(made, "bolt11"):
        try:
            found.append((bolt11.decode(str(option.get("invoice"))), option))
        except bolt11.InvalidInvoice:
            continue
    if not found:
        raise Untold("no invoice could be read")
    return found


def invoice_is_valid(made: Payments) -> None:
    for _, option, _, _ in options(made, "bolt11"):
        try:
            bolt11.decode(str(option.get("invoice")))
        except bolt11.InvalidInvoice as invalid:
            expect(False, str(invalid))


def invoice_amount(made: Payments) -> None:
    for invoice, option in _invoices(made):
        total = as_amount(option.get("order_total_sat"))
        kept = total is not None and invoice.amount is not None and int(invoice.amount) == total * 1000
        expect(kept, f"the invoice asks for {invoice.amount} msat, order_total_sat is {shown(total)}")


def invoice_network(made: Payments, network: Network) -> None:
    for invoice, _ in _invoices(made):
        expect(invoice.network is network, f"the invoice is for {invoice.network}, our node is on {network}")


def invoice_payee(made: Payments, lsp: NodeId) -> None:
    for invoice, _ in _invoices(made):
        expect(invoice.payee == lsp, f"the invoice pays {invoice.payee}")


def invoice_outlives_option(made: Payments) -> None:
    for invoice, option in _invoices(made):
        expires = as_datetime(option.get("expires_at"))
        if expires is not None:
            late = expires.timestamp() - invoice.expires_at
            expect(late <= _CLOCKS_DIFFER_SECONDS, f"the invoice expires {late:.0f} seconds before the option")


def invoice_can_be_held(made: Payments) -> None:
    for invoice, _ in _invoices(made):
        blocks = invoice.min_final_cltv_expiry
        kept = CANCELLED_BY_NODES < blocks <= MAX_FINAL_CLTV_BLOCKS
        expect(kept, f"the final CLTV is {blocks} blocks")


# --- on-chain ---------------------------------------------------------------------------------------------------------


def onchain_needs_refund_address(made: Payments) -> None:
    for params, order in payable(made):
        offered = order["payment"].get("onchain") is not None
        expect("refund_onchain_address" in params or not offered, "on-chain payment is offered without one")


def onchain_address(made: Payments, network: Network) -> None:
    for _, option, _, _ in options(made, "onchain"):
        try:
            decode_address(str(option.get("address")), network)
        except InvalidAddress as invalid:
            expect(False, f"address is {shown(option.get('address'))}: {invalid}")


def onchain_confirmations(made: Payments) -> None:
    for _, option, _, _ in options(made, "onchain"):
        value = option.get("min_onchain_payment_confirmations")
        expect(is_uint(value, 16), f"min_onchain_payment_confirmations is {shown(value)}")


def onchain_no_zero_conf_fee(made: Payments) -> None:
    for _, option, _, _ in options(made, "onchain"):
        confirmations, fee = option.get("min_onchain_payment_confirmations"), option.get("min_fee_for_0conf")
        kept = not confirmations or fee is None
        expect(kept, f"it is {shown(fee)}, though {shown(confirmations)} confirmations are asked for")


def onchain_refund_address(made: Payments) -> None:
    for _, option, params, _ in options(made, "onchain"):
        asked, told = params.get("refund_onchain_address"), option.get("refund_onchain_address")
        expect(told is None or told == asked, f"it is {shown(told)}, {shown(asked)} was given")
