"""What an LSP answers to create_order, as the client judges it before it pays: LSPS1 or LSPS7, by the first byte."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from lsps.cli import words
from lsps.client import checks
from lsps.client.errors import LspRefused, OrderFailed, StoppedBeforePaying
from lsps.client.purchase import stored
from lsps.client.terms import PayWith, Progress, Terms
from lsps.lightning import bolt11
from lsps.lightning.invoice import Invoice
from lsps.node.contract import NodeInfo
from lsps.protocol import lsps1, lsps1_rules, lsps7, lsps7_rules
from lsps.protocol.errors import InvalidResult
from lsps.protocol.lsps1 import ChannelOrder
from lsps.protocol.lsps7 import ExtensionOrder
from lsps.protocol.message import read
from lsps.protocol.methods import decode_params, decode_result
from lsps.protocol.payment import Bolt11Payment, OnchainPayment
from lsps.protocol.rules import RuleViolation
from lsps.units import BlockHeight, Network, Sat
from tests.fuzz.json_mutator import json_mutator
from tests.fuzz.target import Target
from tests.lightning.peers import RESPONDER
from tests.protocol.examples import example

LSP = RESPONDER.node_id
TIP = BlockHeight(839_000)
NOW = datetime(2025, 1, 1, tzinfo=UTC)
OURS = NodeInfo(LSP, Network.MAINNET, "", TIP, frozenset(), synced=True)
CHANNEL = decode_params(lsps1.CREATE_ORDER, example(51, "create_order-params"))
EXTENSION = decode_params(lsps7.CREATE_ORDER, example(57, "create_order-params"))
MAX_FEE = Sat(10_000)


def check(data: bytes) -> None:
    """It is found to break rules, each told in a short line, or none; and nothing dearer than the limit is let pass."""
    if not data:
        return
    try:
        order = decode_order(data)
    except InvalidResult:
        return
    assert read(stored(order), type(order)) is not None
    for pay_with in PayWith:
        told: list[Progress] = []
        terms = Terms(MAX_FEE, pay_with, None, None, frozenset(), False, True, None, told.append)
        try:
            judge(order, terms)
        except (StoppedBeforePaying, OrderFailed, LspRefused) as error:
            assert len(str(error)) < 20_000
        assert all(step.text.isprintable() and len(step.text) < 1_000 for step in told)


def decode_order(data: bytes) -> ChannelOrder | ExtensionOrder:
    if data[0] % 2:
        return decode_result(lsps7.CREATE_ORDER, data[1:])
    return decode_result(lsps1.CREATE_ORDER, data[1:])


def judge(order: ChannelOrder | ExtensionOrder, terms: Terms) -> None:
    """As client.ordering does. Raises StoppedBeforePaying, OrderFailed."""
    found = list(checks.order_violations(order, rules_broken(order), terms))
    option = order.payment.bolt11 if terms.pay_with is PayWith.BOLT11 else order.payment.onchain
    if isinstance(option, Bolt11Payment):
        invoice = checks.read_invoice(order.order_id, option)
        found += checks.invoice_violations(option, invoice, LSP, OURS, NOW)
    elif isinstance(option, OnchainPayment):
        found += checks.onchain_violations(option, OURS, NOW)
    for broken in found:
        assert broken.text.isprintable(), "an LSP's text in a terminal"
        assert len(broken.text) < 500
    checks.left_to_the_payer(order, found, terms)
    if option is not None:
        checks.check_fee(order, option, terms)
        assert option.fee_total_sat <= MAX_FEE
        assert words.moment(option.expires_at)
        assert terms.routing_limit(option.order_total_sat)
        assert terms.onchain_limit(option.order_total_sat)


def rules_broken(order: ChannelOrder | ExtensionOrder) -> list[RuleViolation]:
    if isinstance(order, ChannelOrder):
        return list(lsps1_rules.check_order_reply(CHANNEL, order))
    listed = order.channel if len(order.order_id) % 2 else None  # half of them are of a channel in the LSP's list
    return list(lsps7_rules.check_order_reply(EXTENSION, listed, TIP, order))


def invoice(amount: Sat) -> str:
    made = Invoice(
        network=Network.MAINNET,
        payee=LSP,
        timestamp=int(NOW.timestamp()),
        payment_hash=bytes(32),
        payment_secret=bytes(32),
        amount=amount.to_msat(),
        description="LSPS1 channel",
        features=1 << 8 | 1 << 14,
    )
    return bolt11.encode(made, RESPONDER)


def order(blip: int, fee: int, balance: int, **changes: object) -> bytes:
    """The bLIP's own example, made such that the client would pay it."""
    told = json.loads(example(blip, "create_order-result"))
    money = {"state": "EXPECT_PAYMENT", "expires_at": LATER, "fee_total_sat": str(fee)}
    money["order_total_sat"] = str(fee + balance)
    told["payment"] = {
        "bolt11": {**money, "invoice": invoice(Sat(fee + balance))},
        "onchain": {**told["payment"]["onchain"], **money},
    }
    return json.dumps(told | changes).encode()


LATER = "2025-02-01T00:00:00.000Z"
LENGTHS = {"funding_confirms_within_blocks": 6, "channel_expiry_blocks": 144}
TARGET = Target(
    check,
    (
        b"\0" + example(51, "create_order-result"),
        b"\0" + order(51, 5_000, 2_000_000, **LENGTHS),
        b"\0" + order(51, int(MAX_FEE) + 1, 2_000_000, **LENGTHS),
        b"\1" + example(57, "create_order-result"),
        b"\1" + order(57, 5_000, 0),
        b"\1" + order(57, int(MAX_FEE) + 1, 0),
    ),
    words=('"CREATED"', '"COMPLETED"', '"HOLD"', '"EXPECT_PAYMENT"', '"bolt11":', '"onchain":', '"bolt12":'),
    mutate=json_mutator(prefix=1),
    max_bytes=8_000,
)
