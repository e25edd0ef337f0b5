"""Every JSON example of the bLIPs is read, and a table says which of our further checks each one breaks."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from lsps.lightning import bolt11
from lsps.protocol import jsonrpc, lsps0, lsps1, lsps1_rules, lsps7, lsps7_rules
from lsps.protocol.errors import InvalidParams
from lsps.protocol.fields import read_outpoint
from lsps.protocol.invoice_rules import check_invoice
from lsps.protocol.message import Message, read
from lsps.protocol.methods import decode_params, decode_result
from lsps.protocol.payment import Bolt11Payment, Bolt12Payment, OnchainPayment, Payment
from lsps.protocol.rules import RuleViolation, check_payment, check_payment_address, check_refund_address
from lsps.units import BlockHeight, Network, NodeId, Outpoint, Sat
from tests.protocol.examples import example, names

READERS: dict[tuple[int, str], Callable[[bytes], object]] = {
    (50, "unrecognized-request"): jsonrpc.decode,
    (50, "unrecognized-response"): jsonrpc.decode,
    (50, "list_protocols-result"): lambda raw: decode_result(lsps0.LIST_PROTOCOLS, raw),
    (50, "list_protocols-request"): jsonrpc.decode,
    (50, "list_protocols-response"): jsonrpc.decode,
    # bLIP-50 shows these two outside any message; together they are the third.
    (50, "txid"): lambda raw: read_outpoint(json.loads(raw)["txid"] + ":0"),
    (50, "output_index"): lambda raw: Outpoint("00" * 32, json.loads(raw)["output_index"]),
    (50, "outpoint"): lambda raw: read_outpoint(json.loads(raw)["funding_outpoint"]),
    (51, "get_info-result"): lambda raw: decode_result(lsps1.GET_INFO, raw),
    (51, "create_order-params"): lambda raw: decode_params(lsps1.CREATE_ORDER, raw),
    (51, "create_order-result"): lambda raw: decode_result(lsps1.CREATE_ORDER, raw),
    (51, "get_order-params"): lambda raw: decode_params(lsps1.GET_ORDER, raw),
    (51, "payment"): lambda raw: read(raw, Payment),
    (51, "payment-bolt11"): lambda raw: read(raw, Bolt11Payment),
    (51, "payment-bolt12"): lambda raw: read(raw, Bolt12Payment),
    (51, "payment-onchain"): lambda raw: read(raw, OnchainPayment),
    (51, "channel"): lambda raw: read(raw, lsps1.Channel),
    (57, "get_extendable_channels-result"): lambda raw: decode_result(lsps7.GET_EXTENDABLE_CHANNELS, raw),
    (57, "create_order-params"): lambda raw: decode_params(lsps7.CREATE_ORDER, raw),
    (57, "create_order-result"): lambda raw: decode_result(lsps7.CREATE_ORDER, raw),
    (57, "get_order-params"): lambda raw: decode_params(lsps7.GET_ORDER, raw),
}


def found(violations: object) -> set[tuple[str, str]]:
    """Rule and path of each violation."""
    assert hasattr(violations, "__iter__")
    collected = list(violations)
    assert all(isinstance(violation, RuleViolation) for violation in collected)
    return {(violation.rule, violation.path) for violation in collected}


def test_every_example_has_a_reader() -> None:
    """No example of the bLIPs is left out of the table above."""
    assert set(READERS) == names()


@pytest.mark.parametrize(("blip", "name"), sorted(READERS))
def test_example_is_read(blip: int, name: str) -> None:
    """An example of a bLIP is read without an error, and what we write of it is read back as the same."""
    message = READERS[blip, name](example(blip, name))
    if isinstance(message, Message):
        written = jsonrpc.encode_response("1", message)
        assert READERS[blip, name](json.dumps(json.loads(written)["result"]).encode()) == message


@pytest.mark.parametrize(
    ("blip", "name", "kind"),
    [
        (51, "get_info-result", lsps1.Options),
        (51, "create_order-result", lsps1.ChannelOrder),
        (51, "payment-onchain", OnchainPayment),
        (57, "get_extendable_channels-result", lsps7.ExtendableChannels),
        (57, "create_order-result", lsps7.ExtensionOrder),
    ],
)
def test_example_keys_are_all_known(blip: int, name: str, kind: type[Message]) -> None:
    """Every key of an example is a field of ours, so that none is ignored by a misspelt name."""
    assert set(json.loads(example(blip, name))) <= set(kind.__struct_fields__)


def test_lsps1_options_break_nothing() -> None:
    """bLIP-51 §1's example keeps its own rules: min <= max in each pair, bounds of 1."""
    options = decode_result(lsps1.GET_INFO, example(51, "get_info-result"))
    assert found(lsps1_rules.check_options(options)) == set()


def test_lsps1_params_fit_the_options() -> None:
    """bLIP-51 §2's request is within the options of §1, and its refund address is valid on mainnet."""
    options = decode_result(lsps1.GET_INFO, example(51, "get_info-result"))
    params = decode_params(lsps1.CREATE_ORDER, example(51, "create_order-params"))
    lsps1_rules.check_create_order(params, options)
    check_refund_address(params.refund_onchain_address, Network.MAINNET)
    with pytest.raises(InvalidParams):
        check_refund_address(params.refund_onchain_address, Network.REGTEST)


def test_lsps1_order_breaks() -> None:
    """bLIP-51 §2's order does not mirror its request in two fields, and its bolt12 total is not fee plus balance."""
    params = decode_params(lsps1.CREATE_ORDER, example(51, "create_order-params"))
    order = decode_result(lsps1.CREATE_ORDER, example(51, "create_order-result"))
    assert found(lsps1_rules.check_order_reply(params, order)) == {
        ("mirror", "funding_confirms_within_blocks"),
        ("mirror", "channel_expiry_blocks"),
        ("order_total", "payment.bolt12.order_total_sat"),
    }


def test_lsps1_payment_breaks() -> None:
    """bLIP-51 §3's options disagree about the client balance, and have a 0-conf feerate despite a confirmation."""
    payment = read(example(51, "payment"), Payment)
    assert payment.onchain is not None
    refund = payment.onchain.refund_onchain_address
    assert found(check_payment(payment, Sat(192_000), refund)) == {
        ("order_total", "payment.onchain.order_total_sat"),
        ("min_fee_for_0conf", "payment.onchain.min_fee_for_0conf"),
    }
    assert found(check_payment_address(payment.onchain, Network.MAINNET)) == set()


def test_lsps7_order_breaks() -> None:
    """bLIP-57 §2's order keeps every rule but one: its totals are more than its fees, though nothing else is bought."""
    params = decode_params(lsps7.CREATE_ORDER, example(57, "create_order-params"))
    order = decode_result(lsps7.CREATE_ORDER, example(57, "create_order-result"))
    listed = decode_result(lsps7.GET_EXTENDABLE_CHANNELS, example(57, "get_extendable_channels-result"))
    lsps7_rules.check_create_order(params, listed.extendable_channels[0])
    tip = BlockHeight(839_000)
    assert found(lsps7_rules.check_order_reply(params, listed.extendable_channels[0], tip, order)) == {
        ("order_total", "payment.bolt11.order_total_sat"),
        ("order_total", "payment.onchain.order_total_sat"),
    }


def test_example_invoice_breaks() -> None:
    """The one invoice of all examples is valid, but of another amount, long expired, and of some other node."""
    order = decode_result(lsps1.CREATE_ORDER, example(51, "create_order-result"))
    assert order.payment.bolt11 is not None
    lsp = NodeId("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
    violations = check_invoice(
        order.payment.bolt11,
        bolt11.decode(order.payment.bolt11.invoice),
        lsp=lsp,
        network=Network.MAINNET,
        now=order.created_at.replace(year=2026),
    )
    assert {violation.rule for violation in violations} == {"invoice_amount", "invoice_expired", "payee"}
