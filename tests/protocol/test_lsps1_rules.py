"""LSPS1's rules, each broken once."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given

from lsps.protocol import lsps1
from lsps.protocol.errors import InvalidParams, OptionMismatch
from lsps.protocol.fields import OnchainAddress
from lsps.protocol.lsps1_rules import check_create_order, check_options, check_order_reply
from lsps.protocol.payment import (
    Bolt11Payment,
    Bolt12Payment,
    OnchainPayment,
    OrderState,
    Payment,
    PaymentState,
)
from lsps.protocol.rules import Severity, check_payment_address, check_refund_address
from lsps.units import Network, OrderId, Outpoint, Sat
from tests.protocol import strategies

LSPS_OWN = OnchainAddress("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")
SEGWIT = OnchainAddress("bc1qvmsy0f3yyes6z9jvddk8xqwznndmdwapvrc0xrmhd3vqj5rhdrrq6hz49h")
NOW = datetime(2025, 1, 1, tzinfo=UTC)
OPTIONS = lsps1.Options(
    min_required_channel_confirmations=1,
    min_funding_confirms_within_blocks=6,
    supports_zero_channel_reserve=False,
    max_channel_expiry_blocks=20_160,
    min_initial_client_balance_sat=Sat(100),
    max_initial_client_balance_sat=Sat(1_000_000),
    min_initial_lsp_balance_sat=Sat(10_000),
    max_initial_lsp_balance_sat=Sat(2_000_000),
    min_channel_balance_sat=Sat(50_000),
    max_channel_balance_sat=Sat(2_500_000),
)
PARAMS = lsps1.CreateOrderParams(
    lsp_balance_sat=Sat(1_000_000),
    client_balance_sat=Sat(200),
    required_channel_confirmations=1,
    funding_confirms_within_blocks=6,
    channel_expiry_blocks=144,
    announce_channel=False,
    refund_onchain_address=SEGWIT,
)
BOLT11 = Bolt11Payment(
    state=PaymentState.EXPECT_PAYMENT,
    expires_at=NOW,
    fee_total_sat=Sat(1_000),
    order_total_sat=Sat(1_200),
    invoice="lnbc1",
)
BOLT12 = Bolt12Payment(
    state=PaymentState.EXPECT_PAYMENT,
    expires_at=NOW,
    fee_total_sat=Sat(1_000),
    order_total_sat=Sat(1_200),
    offer="lno1",
)
ONCHAIN = OnchainPayment(
    state=PaymentState.EXPECT_PAYMENT,
    expires_at=NOW,
    fee_total_sat=Sat(2_000),
    order_total_sat=Sat(2_200),
    address=LSPS_OWN,
    min_onchain_payment_confirmations=1,
    refund_onchain_address=SEGWIT,
)
CHANNEL = lsps1.Channel(funded_at=NOW, funding_outpoint=Outpoint("00" * 32, 0), expires_at=NOW)
ORDER = lsps1.ChannelOrder(
    order_id=OrderId("o"),
    lsp_balance_sat=Sat(1_000_000),
    client_balance_sat=Sat(200),
    required_channel_confirmations=1,
    funding_confirms_within_blocks=6,
    channel_expiry_blocks=144,
    created_at=NOW,
    announce_channel=False,
    order_state=OrderState.CREATED,
    payment=Payment(bolt11=BOLT11, bolt12=BOLT12, onchain=ONCHAIN),
)


BAD_OPTIONS: dict[str, dict[str, object]] = {
    "min_funding_confirms_within_blocks": {"min_funding_confirms_within_blocks": 0},
    "max_channel_expiry_blocks": {"max_channel_expiry_blocks": 0},
    "min_initial_client_balance_sat": {"max_initial_client_balance_sat": Sat(99)},
    "min_initial_lsp_balance_sat": {"min_initial_lsp_balance_sat": Sat(2_000_001)},
    "min_channel_balance_sat": {"min_channel_balance_sat": Sat(2_500_001)},
}


@pytest.mark.parametrize("option", BAD_OPTIONS)
def test_bad_options(option: str) -> None:
    """bLIP-51 §1: an option below its bound, or a min above its max, is a violation that names the option."""
    (violation,) = check_options(msgspec.structs.replace(OPTIONS, **BAD_OPTIONS[option]))
    assert (violation.path, violation.severity) == (option, Severity.MUST)
    assert option in violation.text


def test_good_options() -> None:
    """Options that keep every bound pass, also when min equals max and when 0 is allowed."""
    equal = {"min_initial_lsp_balance_sat": Sat(2_000_000), "min_required_channel_confirmations": 0}
    assert list(check_options(OPTIONS)) == []
    assert list(check_options(msgspec.structs.replace(OPTIONS, **equal))) == []


MISMATCHES: list[tuple[dict[str, object], str]] = [
    ({"required_channel_confirmations": 0}, "min_required_channel_confirmations"),
    ({"funding_confirms_within_blocks": 5}, "min_funding_confirms_within_blocks"),
    ({"channel_expiry_blocks": 20_161}, "max_channel_expiry_blocks"),
    ({"client_balance_sat": Sat(99)}, "min_initial_client_balance_sat"),
    ({"client_balance_sat": Sat(1_000_001)}, "max_initial_client_balance_sat"),
    ({"lsp_balance_sat": Sat(9_999)}, "min_initial_lsp_balance_sat"),
    ({"lsp_balance_sat": Sat(2_000_001)}, "max_initial_lsp_balance_sat"),
    ({"lsp_balance_sat": Sat(49_799)}, "min_channel_balance_sat"),
    ({"lsp_balance_sat": Sat(2_000_000), "client_balance_sat": Sat(500_001)}, "max_channel_balance_sat"),
]


@pytest.mark.parametrize(("changes", "option"), MISMATCHES)
def test_option_mismatch(changes: dict[str, object], option: str) -> None:
    """bLIP-51 §2: an order outside an option gets error 100 with that option's name."""
    with pytest.raises(OptionMismatch) as caught:
        check_create_order(msgspec.structs.replace(PARAMS, **changes), OPTIONS)
    assert caught.value.property_name == option


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"lsp_balance_sat": Sat(49_800)},
        {"lsp_balance_sat": Sat(2_000_000), "client_balance_sat": Sat(500_000)},
        {"channel_expiry_blocks": 20_160, "client_balance_sat": Sat(100)},
    ],
)
def test_order_within_the_options(changes: dict[str, object]) -> None:
    """An order at the very edge of every option is accepted."""
    check_create_order(msgspec.structs.replace(PARAMS, **changes), OPTIONS)


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"lsp_balance_sat": Sat(0)}, "lsp_balance_sat"), ({"channel_expiry_blocks": 0}, "channel_expiry_blocks")],
)
def test_absolute_bounds(changes: dict[str, object], field: str) -> None:
    """bLIP-51 §2: below 1 is -32602 with the field's name, not 100, whatever the options are."""
    zero = msgspec.structs.replace(OPTIONS, min_initial_lsp_balance_sat=Sat(0), min_channel_balance_sat=Sat(0))
    with pytest.raises(InvalidParams) as caught:
        check_create_order(msgspec.structs.replace(PARAMS, **changes), zero)
    assert caught.value.property_name == field


@given(strategies.channel_order_params, strategies.options)
def test_any_order_is_judged(params: lsps1.CreateOrderParams, options: lsps1.Options) -> None:
    """Whatever the amounts, an order passes or gets -32602 or 100: nothing else is raised."""
    with contextlib.suppress(OptionMismatch, InvalidParams):
        check_create_order(params, options)


def pay(**changes: object) -> dict[str, object]:
    return {"payment": msgspec.structs.replace(ORDER.payment, **changes)}


BROKEN: list[tuple[dict[str, object], str, str]] = [
    ({"order_id": ""}, "order_id", "order_id"),
    ({"order_id": "x" * 65}, "order_id", "order_id"),
    ({"lsp_balance_sat": Sat(999_999)}, "mirror", "lsp_balance_sat"),
    ({"client_balance_sat": Sat(0)}, "mirror", "client_balance_sat"),
    ({"required_channel_confirmations": 2}, "mirror", "required_channel_confirmations"),
    ({"funding_confirms_within_blocks": 7}, "mirror", "funding_confirms_within_blocks"),
    ({"channel_expiry_blocks": 143}, "mirror", "channel_expiry_blocks"),
    ({"announce_channel": True}, "mirror", "announce_channel"),
    ({"token": "x"}, "mirror", "token"),
    ({"order_state": OrderState.COMPLETED}, "channel", "channel"),
    ({"channel": CHANNEL}, "channel", "channel"),
    (
        pay(bolt11=msgspec.structs.replace(BOLT11, order_total_sat=Sat(1_201))),
        "order_total",
        "payment.bolt11.order_total_sat",
    ),
    (
        pay(bolt12=msgspec.structs.replace(BOLT12, fee_total_sat=Sat(2**64 - 1))),
        "order_total",
        "payment.bolt12.order_total_sat",
    ),
    (
        pay(onchain=msgspec.structs.replace(ONCHAIN, fee_total_sat=Sat(0))),
        "order_total",
        "payment.onchain.order_total_sat",
    ),
    (pay(bolt11=msgspec.structs.replace(BOLT11, invoice="l" * 2049)), "invoice_length", "payment.bolt11.invoice"),
    (pay(bolt11=msgspec.structs.replace(BOLT11, invoice="")), "invoice_length", "payment.bolt11.invoice"),
    (pay(bolt12=msgspec.structs.replace(BOLT12, offer="l" * 2049)), "invoice_length", "payment.bolt12.offer"),
    (
        pay(onchain=msgspec.structs.replace(ONCHAIN, min_fee_for_0conf=253)),
        "min_fee_for_0conf",
        "payment.onchain.min_fee_for_0conf",
    ),
    (pay(onchain=msgspec.structs.replace(ONCHAIN, state=PaymentState.HOLD)), "onchain_state", "payment.onchain.state"),
    (
        pay(onchain=msgspec.structs.replace(ONCHAIN, refund_onchain_address="bc1q")),
        "mirror",
        "payment.onchain.refund_onchain_address",
    ),
    (pay(onchain=msgspec.structs.replace(ONCHAIN, address=SEGWIT)), "own_address", "payment.onchain.address"),
]


@pytest.mark.parametrize(("changes", "rule", "path"), BROKEN)
def test_order_reply_breaks_one_rule(changes: dict[str, object], rule: str, path: str) -> None:
    """bLIP-51 §2 to §4: each broken rule of an order is found, alone, with its key and its clause."""
    (violation,) = check_order_reply(PARAMS, msgspec.structs.replace(ORDER, **changes))
    assert (violation.rule, violation.path) == (rule, path)
    assert violation.clause.startswith("bLIP-51 §")
    assert violation.text


def test_good_order_reply() -> None:
    """An order that keeps every rule has no violation: just created, completed, free of 0-conf, and free of charge."""
    assert list(check_order_reply(PARAMS, ORDER)) == []
    completed = msgspec.structs.replace(ORDER, order_state=OrderState.COMPLETED, channel=CHANNEL)
    assert list(check_order_reply(PARAMS, completed)) == []
    zero = msgspec.structs.replace(
        ONCHAIN, min_onchain_payment_confirmations=0, min_fee_for_0conf=253, refund_onchain_address=None
    )
    assert list(check_order_reply(PARAMS, msgspec.structs.replace(ORDER, payment=Payment(onchain=zero)))) == []
    assert list(check_order_reply(PARAMS, msgspec.structs.replace(ORDER, payment=Payment()))) == []


def test_onchain_without_refund_address() -> None:
    """bLIP-51 §3.3: on-chain payment MUST be left out when no refund address was given; "" is none."""
    for address in (None, ""):
        params = msgspec.structs.replace(PARAMS, refund_onchain_address=address)
        (violation,) = check_order_reply(params, ORDER)
        assert (violation.rule, violation.path) == ("refund_address", "payment.onchain")


def test_token_is_mirrored() -> None:
    """bLIP-51 §2: the token that was given comes back, and "" when there was none."""
    params = msgspec.structs.replace(PARAMS, token="WELCOME")
    (violation,) = check_order_reply(params, ORDER)
    assert (violation.rule, violation.path) == ("mirror", "token")
    assert list(check_order_reply(params, msgspec.structs.replace(ORDER, token="WELCOME"))) == []


@given(strategies.channel_order_params, strategies.channel_orders)
def test_any_order_reply_is_judged(params: lsps1.CreateOrderParams, order: lsps1.ChannelOrder) -> None:
    """Whatever an LSP answers, the check ends without an exception, and quotes nothing of a token."""
    for violation in check_order_reply(params, order):
        assert violation.text


@pytest.mark.parametrize(
    "address",
    [
        "",
        "x",
        "tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx",  # another network
        "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",  # not SegWit
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5",  # checksum
        "bc1sw50qgdz25j",  # witness version 16: no meaning yet
    ],
)
def test_refund_address_refused(address: str) -> None:
    """bLIP-50 LSPS0.onchain_address: a refund address must be a SegWit address of this network, of a known version."""
    with pytest.raises(InvalidParams) as caught:
        check_refund_address(address, Network.MAINNET)
    assert caught.value.property_name == "refund_onchain_address"
    broken = msgspec.structs.replace(ONCHAIN, address=address)
    (violation,) = check_payment_address(broken, Network.MAINNET)
    assert (violation.rule, violation.path) == ("address", "payment.onchain.address")


def test_refund_address_accepted() -> None:
    """P2WPKH, P2WSH and Taproot addresses of the network are accepted, in either case, and so is none at all."""
    check_refund_address(None, Network.MAINNET)
    for address in (
        SEGWIT,
        SEGWIT.upper(),
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "bc1p5uvtaxzkjwvey2tfy49k5vtqfpjmrgm09cvs88ezyy8h2zv7jhas9tu4yr",
    ):
        check_refund_address(address, Network.MAINNET)
    assert list(check_payment_address(ONCHAIN, Network.MAINNET)) == []
