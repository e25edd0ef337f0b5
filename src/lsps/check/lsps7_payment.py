"""bLIP-57 §4: the ways to pay an extension; they are bLIP-51's."""

from __future__ import annotations

from collections.abc import Callable

from lsps.check import payment_rules as rules
from lsps.check.lsps7_order import orders
from lsps.check.model import CheckFunction, Clauses
from lsps.check.payment_rules import Payments
from lsps.check.subject import Subject

clauses = Clauses("lsps7-payment")

_PAYMENT = "bLIP-57 §4; bLIP-51 §3"


def _on(rule: Callable[[Payments], None]) -> CheckFunction:
    async def check(lsp: Subject) -> None:
        rule(await orders(lsp))

    return check


for _id, _rule, _requirement in (
    ("L7-32", rules.is_object, "payment is an object, and so is each option in it"),
    ("L7-33", rules.awaits_payment, "each option of a new order has the state EXPECT_PAYMENT"),
    ("L7-35", rules.invoice_is_valid, "bolt11.invoice is a BOLT 11 invoice"),
    ("L7-36", rules.invoice_amount, "the invoice is for order_total_sat"),
    ("L7-37", rules.onchain_needs_refund_address, "on-chain payment is not offered without a refund address"),
    ("L7-51", rules.expires_later, "each option's expires_at is a moment after the order's creation"),
    ("L7-54", rules.onchain_confirmations, "onchain.min_onchain_payment_confirmations is a uint16"),
    (
        "L7-55",
        rules.onchain_no_zero_conf_fee,
        "onchain.min_fee_for_0conf is null or absent if confirmations are asked for",
    ),
):
    clauses.must(_id, _PAYMENT, _requirement)(_on(_rule))
clauses.must("L7-52", _PAYMENT, "bolt11.invoice has at most 2048 characters")(
    _on(lambda made: rules.short_enough(made, "bolt11", "invoice"))
)
# bLIP-57 does not say it, and its own example does not keep it.
clauses.should("L7-34", _PAYMENT, "order_total_sat is fee_total_sat: there is no client balance")(
    _on(rules.total_is_fee_and_balance)
)
clauses.should("L7-50", _PAYMENT, "an option that is not offered is left out, rather than null")(
    _on(rules.no_null_options)
)
clauses.should("L7-56", _PAYMENT, "onchain.refund_onchain_address, where it is, mirrors the request's")(
    _on(rules.onchain_refund_address)
)


@clauses.must(
    "L7-53", f"{_PAYMENT}; bLIP-50, LSPS0.onchain_address", "onchain.address is a SegWit address of our network"
)
async def onchain_address(lsp: Subject) -> None:
    rules.onchain_address(await orders(lsp), lsp.network)


@clauses.must("L7-57", "BOLT 11", "the invoice is for the network that our node is on")
async def invoice_network(lsp: Subject) -> None:
    rules.invoice_network(await orders(lsp), lsp.network)


CHECKS = tuple(sorted(clauses.all(), key=lambda check: check.id))
