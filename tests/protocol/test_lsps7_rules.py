"""LSPS7's rules, each broken once."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given

from lsps.protocol import lsps7
from lsps.protocol.errors import InvalidParams, OptionMismatch
from lsps.protocol.lsps7_rules import check_bounds, check_create_order, check_order_reply
from lsps.protocol.payment import Bolt11Payment, OrderState, Payment, PaymentState
from lsps.protocol.rules import Severity
from lsps.units import BlockHeight, OrderId, Sat, Scid
from tests.protocol import strategies

NOW = datetime(2025, 1, 1, tzinfo=UTC)
SCID = Scid(561, 1, 0)
LISTED = lsps7.ExtendableChannel(
    short_channel_id=SCID, max_channel_extension_expiry_blocks=300, expiration_block=BlockHeight(1_000)
)
PARAMS = lsps7.CreateOrderParams(short_channel_id=SCID, channel_extension_expiry_blocks=144)
TIP = BlockHeight(900)
BOLT11 = Bolt11Payment(
    state=PaymentState.EXPECT_PAYMENT,
    expires_at=NOW,
    fee_total_sat=Sat(1_000),
    order_total_sat=Sat(1_000),
    invoice="lnbc1",
)
ORDER = lsps7.ExtensionOrder(
    order_id=OrderId("o"),
    channel_extension_expiry_blocks=144,
    new_channel_expiry_block=BlockHeight(1_144),
    created_at=NOW,
    order_state=OrderState.CREATED,
    payment=Payment(bolt11=BOLT11),
    channel=LISTED,
)


@pytest.mark.parametrize("blocks", [1, 300])
def test_accepted(blocks: int) -> None:
    """bLIP-57 §2: from 1 to the channel's maximum, both included."""
    check_create_order(msgspec.structs.replace(PARAMS, channel_extension_expiry_blocks=blocks), LISTED)


def test_no_blocks() -> None:
    """bLIP-57 §2: 0 blocks are -32602, before any channel is looked for."""
    params = msgspec.structs.replace(PARAMS, channel_extension_expiry_blocks=0)
    for check in (check_bounds, lambda params: check_create_order(params, LISTED)):
        with pytest.raises(InvalidParams) as caught:
            check(params)
        assert caught.value.property_name == "channel_extension_expiry_blocks"


def test_more_than_the_maximum() -> None:
    """bLIP-57 §2: more than the channel's maximum is error 100 with the maximum's name."""
    with pytest.raises(OptionMismatch) as caught:
        check_create_order(msgspec.structs.replace(PARAMS, channel_extension_expiry_blocks=301), LISTED)
    assert caught.value.property_name == "max_channel_extension_expiry_blocks"
    assert "300" in caught.value.text


BROKEN: list[tuple[dict[str, object], set[str]]] = [
    ({"order_id": "x" * 65}, {"order_id"}),
    ({"channel_extension_expiry_blocks": 143}, {"mirror"}),
    ({"token": "x"}, {"mirror"}),
    ({"channel": msgspec.structs.replace(LISTED, short_channel_id=Scid(561, 1, 1))}, {"mirror"}),
    ({"new_channel_expiry_block": BlockHeight(1_145)}, {"sum"}),
    ({"new_channel_expiry_block": BlockHeight(1_143)}, {"sum", "too_short"}),
    (
        {
            "channel": msgspec.structs.replace(LISTED, expiration_block=BlockHeight(999)),
            "new_channel_expiry_block": BlockHeight(1_143),
        },
        {"too_short"},
    ),
    ({"channel": msgspec.structs.replace(LISTED, expiration_block=BlockHeight(2**32 - 1))}, {"sum"}),
    (
        {"payment": Payment(bolt11=msgspec.structs.replace(BOLT11, order_total_sat=Sat(1_001)))},
        {"order_total"},
    ),
]


@pytest.mark.parametrize(("changes", "rules"), BROKEN)
def test_order_reply_breaks_rules(changes: dict[str, object], rules: set[str]) -> None:
    """bLIP-57 §2: each broken rule of an order is found, and no other."""
    violations = list(check_order_reply(PARAMS, LISTED, TIP, msgspec.structs.replace(ORDER, **changes)))
    assert {violation.rule for violation in violations} == rules
    assert len(violations) == len(rules)


def test_only_the_sum_is_a_should() -> None:
    """The sum rule is a SHOULD of the client's (bLIP-57 §2), so a person may accept its violation."""
    order = msgspec.structs.replace(ORDER, new_channel_expiry_block=BlockHeight(1_143))
    severities = {violation.rule: violation.severity for violation in check_order_reply(PARAMS, LISTED, TIP, order)}
    assert severities == {"sum": Severity.SHOULD, "too_short": Severity.MUST}


@pytest.mark.parametrize(("start", "violated"), [(2_000, False), (1_998, False), (1_997, True)])
def test_lapsed_lease_counts_from_the_tip(start: int, violated: bool) -> None:
    """A lapsed lease is extended from the tip on, and the LSP's tip may be two blocks behind ours."""
    order = msgspec.structs.replace(
        ORDER,
        channel=msgspec.structs.replace(LISTED, expiration_block=BlockHeight(start)),
        new_channel_expiry_block=BlockHeight(start + 144),
    )
    rules = [violation.rule for violation in check_order_reply(PARAMS, LISTED, BlockHeight(2_000), order)]
    assert rules == (["too_short"] if violated else [])


def test_unlisted_channel_is_checked_against_the_order() -> None:
    """Without an entry in the list, the order's own snapshot says how long the lease was, and how much is allowed."""
    assert list(check_order_reply(PARAMS, None, TIP, ORDER)) == []
    params = msgspec.structs.replace(PARAMS, channel_extension_expiry_blocks=301)
    order = msgspec.structs.replace(
        ORDER, channel_extension_expiry_blocks=301, new_channel_expiry_block=BlockHeight(1_301)
    )
    assert [violation.rule for violation in check_order_reply(params, None, TIP, order)] == ["maximum"]


def test_good_order_reply() -> None:
    """An order that keeps every rule has no violation, also a free one, and one made at the start of a chain."""
    assert list(check_order_reply(PARAMS, LISTED, TIP, ORDER)) == []
    assert list(check_order_reply(PARAMS, LISTED, BlockHeight(0), ORDER)) == []
    assert list(check_order_reply(PARAMS, LISTED, TIP, msgspec.structs.replace(ORDER, payment=Payment()))) == []


@given(
    strategies.extension_order_params,
    strategies.extendable_channels,
    strategies.heights,
    strategies.extension_orders,
)
def test_any_order_reply_is_judged(
    params: lsps7.CreateOrderParams, listed: lsps7.ExtendableChannel, tip: BlockHeight, order: lsps7.ExtensionOrder
) -> None:
    """Whatever an LSP answers, the check ends without an exception."""
    for violation in check_order_reply(params, listed, tip, order):
        assert violation.clause.startswith("bLIP-5")
