"""Scenario 1: our client and LDK's LSPS0 and LSPS1 service, method by method, over TCP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from interop.ldk.node import Event
from lsps.client.errors import ClientRejected, LspRefused, OptionMismatch, OrderNotFound, TokenRefused
from lsps.lightning import bolt11
from lsps.protocol.fields import OnchainAddress, write_datetime
from lsps.protocol.lsps1 import ChannelOrder, CreateOrderParams
from lsps.protocol.payment import OrderState, PaymentState
from lsps.units import OrderId, Outpoint, Sat
from tests.ldk.ldk_lsp import ADDRESS, FEE, OPTIONS, ORDER, LdkLsp, channel, ldk_lsp
from tests.node.contract.environment import eventually

FUNDING = Outpoint.parse(f"{'ab' * 32}:1")
LDK_PENDING = 10
"""MAX_PENDING_REQUESTS_PER_PEER of LDK: of orders unanswered and unpaid."""


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[LdkLsp]:
    async with ldk_lsp(tmp_path) as running:
        yield running


async def asked(shop: LdkLsp, params: CreateOrderParams) -> tuple[asyncio.Task[ChannelOrder], Event]:
    """create_order on its way, and LDK's question to its owner."""
    ordering = asyncio.create_task(shop.lsp.lsps1.create_order(params))
    return ordering, await shop.ldk.requested()


async def ordered(shop: LdkLsp, params: CreateOrderParams = ORDER) -> ChannelOrder:
    """An order with an invoice, answered by LDK's owner."""
    ordering, request = await asked(shop, params)
    await shop.ldk.send_payment_details(request, bolt11=(await shop.owner.invoice(request)).option)
    return await ordering


async def refusal(answer: Awaitable[object]) -> LspRefused:
    with pytest.raises(LspRefused) as refused:
        await answer
    return refused.value


def states(order: ChannelOrder) -> tuple[OrderState, dict[str, PaymentState]]:
    return order.order_state, {name: option.state for name, option in order.payment.options()}


# --- what is sold ---------------------------------------------------------------------------------------------------


async def test_the_protocols(shop: LdkLsp) -> None:
    """bLIP-50, lsps0.list_protocols: LDK with LSPS1 alone answers [1]."""
    assert await shop.lsp.lsps0.list_protocols() == (1,)


async def test_the_feature_bit(shop: LdkLsp) -> None:
    """bLIP-50, Features: LDK's init has bit 729, and our transport shows it."""
    await shop.lsp.lsps0.list_protocols()
    peer = await shop.transport.peer(shop.net.lsp.node_id)
    assert peer is not None
    assert 729 in peer.features


async def test_what_is_sold(shop: LdkLsp) -> None:
    """bLIP-51 §1: every option arrives as LDK was given it."""
    options = await shop.lsp.lsps1.get_info()
    assert {name: getattr(options, name) for name in OPTIONS} == {
        name: Sat(int(value)) if isinstance(value, str) else value for name, value in OPTIONS.items()
    }


# --- orders, and what becomes of them -------------------------------------------------------------------------------


async def test_an_order_with_an_invoice(shop: LdkLsp) -> None:
    """bLIP-51 §2, §3.1: LDK's owner sees what we ordered; we see it mirrored, with the invoice that is to be paid."""
    ordering, request = await asked(shop, ORDER)
    assert request["order"] == {
        "lsp_balance_sat": "1000000",
        "client_balance_sat": "20000",
        "required_channel_confirmations": 1,
        "funding_confirms_within_blocks": 6,
        "channel_expiry_blocks": 1_000,
        "token": None,
        "announce_channel": False,
    }
    assert request["refund_onchain_address"] is None
    invoiced = await shop.owner.invoice(request)
    order_id = await shop.ldk.send_payment_details(request, bolt11=invoiced.option)
    order = await ordering
    assert order.order_id == order_id
    assert (order.lsp_balance_sat, order.client_balance_sat) == (Sat(1_000_000), Sat(20_000))
    assert (order.channel_expiry_blocks, order.announce_channel, order.token) == (1_000, False, "")
    assert order.channel is None
    assert states(order) == (OrderState.CREATED, {"bolt11": PaymentState.EXPECT_PAYMENT})
    option = order.payment.bolt11
    assert option is not None
    assert (option.fee_total_sat, option.order_total_sat) == (Sat(FEE), Sat(FEE + 20_000))
    assert option.invoice == invoiced.option["invoice"]
    assert bolt11.decode(option.invoice).payment_hash == invoiced.payment_hash


async def test_an_order_with_an_address(shop: LdkLsp) -> None:
    """bLIP-51 §3.3: the refund address reaches LDK's owner, and its address and confirmations reach us."""
    ordering, request = await asked(shop, replace(ORDER, refund_onchain_address=OnchainAddress(ADDRESS)))
    assert request["refund_onchain_address"] == ADDRESS
    option = shop.owner.address(request)
    await shop.ldk.send_payment_details(request, onchain=option)
    order = await ordering
    assert states(order) == (OrderState.CREATED, {"onchain": PaymentState.EXPECT_PAYMENT})
    onchain = order.payment.onchain
    assert onchain is not None
    assert (onchain.address, onchain.refund_onchain_address) == (ADDRESS, ADDRESS)
    assert (onchain.min_onchain_payment_confirmations, onchain.min_fee_for_0conf) == (1, 253)


async def test_an_order_that_is_fulfilled(shop: LdkLsp) -> None:
    """bLIP-51 §2.1, §3.1, §4: get_order tells HOLD, then PAID and COMPLETED with the channel."""
    order = await ordered(shop)
    customer, order_id = shop.owner.customer, order.order_id
    assert await shop.lsp.lsps1.get_order(order_id) == order
    await shop.ldk.order_payment_received(customer, order_id, "bolt11")
    held = await shop.lsp.lsps1.get_order(order_id)
    assert states(held) == (OrderState.CREATED, {"bolt11": PaymentState.HOLD})
    assert held.channel is None
    opened = channel(shop.net.clock.now(), FUNDING)
    await shop.ldk.order_channel_opened(customer, order_id, opened)
    completed = await shop.lsp.lsps1.get_order(order_id)
    assert states(completed) == (OrderState.COMPLETED, {"bolt11": PaymentState.PAID})
    assert completed.channel is not None
    assert completed.channel.funding_outpoint == FUNDING
    assert completed.channel.expires_at > completed.channel.funded_at


@pytest.mark.parametrize("paid", [True, False])
async def test_an_order_that_fails(shop: LdkLsp, paid: bool) -> None:
    """bLIP-51 §2.1, §3.1: given up, paid before or not, it is FAILED and REFUNDED."""
    order = await ordered(shop)
    if paid:
        await shop.ldk.order_payment_received(shop.owner.customer, order.order_id, "bolt11")
    await shop.ldk.order_failed_and_refunded(shop.owner.customer, order.order_id)
    failed = await shop.lsp.lsps1.get_order(order.order_id)
    assert states(failed) == (OrderState.FAILED, {"bolt11": PaymentState.REFUNDED})
    assert failed.channel is None


async def test_two_ways_to_pay(shop: LdkLsp) -> None:
    """What LDK shows of an order with both ways: an on-chain payment is HOLD, a state that bLIP-51 §3.3 does not have,
    and the way that was not taken goes on expecting a payment when the order is COMPLETED. We can read all of it."""
    ordering, request = await asked(shop, replace(ORDER, refund_onchain_address=OnchainAddress(ADDRESS)))
    invoiced = await shop.owner.invoice(request)
    order_id = OrderId(
        await shop.ldk.send_payment_details(request, bolt11=invoiced.option, onchain=shop.owner.address(request))
    )
    await ordering
    await shop.ldk.order_payment_received(shop.owner.customer, order_id, "onchain")
    expecting = PaymentState.EXPECT_PAYMENT
    held = await shop.lsp.lsps1.get_order(order_id)
    assert states(held) == (OrderState.CREATED, {"bolt11": expecting, "onchain": PaymentState.HOLD})
    await shop.ldk.order_channel_opened(shop.owner.customer, order_id, channel(shop.net.clock.now(), FUNDING))
    completed = await shop.lsp.lsps1.get_order(order_id)
    assert states(completed) == (OrderState.COMPLETED, {"bolt11": expecting, "onchain": PaymentState.PAID})


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        replace(ORDER, lsp_balance_sat=Sat(10_000_001)),
        replace(ORDER, channel_expiry_blocks=52_561),
        replace(ORDER, funding_confirms_within_blocks=0),
        replace(ORDER, client_balance_sat=Sat(5_000_001)),
    ],
)
async def test_outside_the_options(shop: LdkLsp, params: CreateOrderParams) -> None:
    """bLIP-51 §2, error 100: LDK's `data` is debug text, and not the object that names the option; ours is an
    OptionMismatch without an option, whose words for a person are LDK's."""
    refused = await refusal(shop.lsp.lsps1.create_order(params))
    assert isinstance(refused, OptionMismatch)
    assert (refused.code, refused.option) == (100, None)
    assert refused.lsp_text.startswith("Supported options are LSPS1Options {")


async def test_below_an_absolute_bound(shop: LdkLsp) -> None:
    """bLIP-51 §2 wants -32602 for a lease of 0 blocks; LDK answers 100, which is a refusal as well."""
    assert (await refusal(shop.lsp.lsps1.create_order(replace(ORDER, channel_expiry_blocks=0)))).code == 100


async def test_onchain_only(shop: LdkLsp) -> None:
    """An LSP that takes on-chain payments alone: LDK answers 100 without data where bLIP-51 §2 has -32602."""
    ordering, request = await asked(shop, ORDER)
    await shop.ldk.onchain_payments_required(request)
    refused = await refusal(ordering)
    assert isinstance(refused, OptionMismatch)
    assert (refused.code, refused.option) == (100, None)
    assert "refund_onchain_address" in refused.lsp_text


async def test_an_unknown_order(shop: LdkLsp) -> None:
    """bLIP-51 §2.1, error 101: before there is any order, and for a wrong id when there is one."""
    for _ in range(2):
        refused = await refusal(shop.lsp.lsps1.get_order(OrderId("unknown")))
        assert isinstance(refused, OrderNotFound)
        assert refused.code == 101
        await ordered(shop)


async def test_a_token_that_is_not_taken(shop: LdkLsp) -> None:
    """bLIP-51 §2, error 102: the token reaches LDK's owner, who refuses it."""
    ordering, request = await asked(shop, replace(ORDER, token="stale"))
    assert request["order"]["token"] == "stale"
    await shop.ldk.invalid_token(request)
    refused = await refusal(ordering)
    assert isinstance(refused, TokenRefused)
    assert refused.code == 102


async def test_too_many_unanswered(shop: LdkLsp) -> None:
    """bLIP-50, error 1: with ten orders that its owner has not answered, LDK refuses the next, and the ten live on."""
    waiting = [await asked(shop, ORDER) for _ in range(LDK_PENDING)]
    refused = await refusal(shop.lsp.lsps1.create_order(ORDER))
    assert isinstance(refused, ClientRejected)
    assert refused.code == 1
    for ordering, request in waiting:
        await shop.ldk.send_payment_details(request, bolt11=(await shop.owner.invoice(request)).option)
        assert (await ordering).order_state is OrderState.CREATED


async def test_what_counts_as_unpaid(shop: LdkLsp) -> None:
    """LDK counts orders that FAILED as unpaid, and paid ones not: with ten of them a customer is refused with error 1,
    with nine and one that is paid served."""
    first = await ordered(shop)
    for _ in range(LDK_PENDING - 1):
        order = await ordered(shop)
        await shop.ldk.order_failed_and_refunded(shop.owner.customer, order.order_id)
    assert isinstance(await refusal(shop.lsp.lsps1.create_order(ORDER)), ClientRejected)
    await shop.ldk.order_payment_received(shop.owner.customer, first.order_id, "bolt11")
    assert (await ordered(shop)).order_state is OrderState.CREATED


async def test_an_order_past_its_time(shop: LdkLsp) -> None:
    """LDK forgets an unpaid order whose ways to pay have expired: 101, and never FAILED."""
    ordering, request = await asked(shop, ORDER)
    option = (await shop.owner.invoice(request)).option
    past = write_datetime(shop.net.clock.now() - timedelta(minutes=1))
    await shop.ldk.send_payment_details(request, bolt11=option | {"expires_at": past})
    order = await ordering
    assert order.order_state is OrderState.CREATED

    async def forgotten() -> bool:
        try:
            found = await shop.lsp.lsps1.get_order(order.order_id)
        except OrderNotFound:
            return True
        assert found.order_state is OrderState.CREATED
        return False

    await eventually("LDK has forgotten the order", forgotten)
