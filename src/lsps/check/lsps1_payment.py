"""bLIP-51 §3: the ways to pay an order."""

from __future__ import annotations

from collections.abc import Callable

from lsps.check import payment_rules as rules
from lsps.check.lsps1 import orders
from lsps.check.model import CheckFunction, Clauses
from lsps.check.payment_rules import Payments
from lsps.check.subject import Subject

clauses = Clauses("lsps1-payment")

_PAYMENT = "bLIP-51 §3"
_BOLT11 = "bLIP-51 §3.1"
_BOLT12 = "bLIP-51 §3.2"
_ONCHAIN = "bLIP-51 §3.3"
_ALL = "bLIP-51 §3.1, §3.2, §3.3"
_MEASURE = "lsps's own measure"


def _on(rule: Callable[[Payments], None]) -> CheckFunction:
    async def check(lsp: Subject) -> None:
        rule(await orders(lsp))

    return check


clauses.must("L1-80", _PAYMENT, "payment is an object, and so is each option in it")(_on(rules.is_object))
clauses.should("L1-81", _PAYMENT, "an option that is not offered is left out, rather than null")(
    _on(rules.no_null_options)
)
clauses.must("L1-82", _ALL, "each option of a new order has the state EXPECT_PAYMENT")(_on(rules.awaits_payment))
clauses.must("L1-83", _ALL, "each option's expires_at is a moment after the order's creation")(_on(rules.expires_later))
clauses.must("L1-84", _ALL, "order_total_sat is fee_total_sat and client_balance_sat")(
    _on(rules.total_is_fee_and_balance)
)
clauses.must("L1-85", _BOLT11, "bolt11.invoice has at most 2048 characters")(
    _on(lambda made: rules.short_enough(made, "bolt11", "invoice"))
)
clauses.must("L1-86", _BOLT11, "bolt11.invoice is a BOLT 11 invoice")(_on(rules.invoice_is_valid))
clauses.must("L1-87", _BOLT11, "the invoice is for order_total_sat")(_on(rules.invoice_amount))
clauses.should("L1-88", _MEASURE, "the invoice can be paid until bolt11.expires_at")(_on(rules.invoice_outlives_option))
clauses.should("L1-89", _MEASURE, "the invoice's final CLTV lets it be held, for two days at most (19 to 288 blocks)")(
    _on(rules.invoice_can_be_held)
)
clauses.must("L1-92", _BOLT12, "bolt12.offer has at most 2048 characters")(
    _on(lambda made: rules.short_enough(made, "bolt12", "offer"))
)
clauses.must("L1-93", _ONCHAIN, "on-chain payment is not offered without a refund address")(
    _on(rules.onchain_needs_refund_address)
)
clauses.must("L1-95", _ONCHAIN, "onchain.min_onchain_payment_confirmations is a uint16")(
    _on(rules.onchain_confirmations)
)
clauses.must("L1-96", _ONCHAIN, "onchain.min_fee_for_0conf is null or absent if confirmations are asked for")(
    _on(rules.onchain_no_zero_conf_fee)
)
clauses.should("L1-97", _ONCHAIN, "onchain.refund_onchain_address, where it is, mirrors the request's")(
    _on(rules.onchain_refund_address)
)


@clauses.must("L1-90", "BOLT 11", "the invoice is for the network that our node is on")
async def invoice_network(lsp: Subject) -> None:
    rules.invoice_network(await orders(lsp), lsp.network)


@clauses.should("L1-91", _MEASURE, "the invoice pays the LSP's own node")
async def invoice_payee(lsp: Subject) -> None:
    rules.invoice_payee(await orders(lsp), lsp.lsp)


@clauses.must(
    "L1-94", "bLIP-51 §3.3; bLIP-50, LSPS0.onchain_address", "onchain.address is a SegWit address of our network"
)
async def onchain_address(lsp: Subject) -> None:
    rules.onchain_address(await orders(lsp), lsp.network)


CHECKS = tuple(sorted(clauses.all(), key=lambda check: check.id))
