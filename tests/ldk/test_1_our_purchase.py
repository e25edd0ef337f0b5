"""Scenario 1: our client's whole `buy`, with all its checks, at LDK's service."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from interop.ldk.node import Event
from lsps.client.buying import Bought
from lsps.client.errors import FeeTooHigh, OptionMismatch, OrderFailed, TokenRefused
from lsps.client.terms import Step
from lsps.node.contract import ChannelState, InvoiceState, Opener, PaymentStatus
from lsps.protocol.payment import OrderState, PaymentState
from lsps.units import Sat
from tests.ldk.ldk_lsp import ADDRESS, FEE, Invoiced, LdkLsp, ldk_lsp


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[LdkLsp]:
    async with ldk_lsp(tmp_path) as running:
        yield running


class Purchase:
    """Our client buys; the test answers as LDK's owner."""

    def __init__(
        self, shop: LdkLsp, *, max_fee: int = FEE, token: str | None = None, refund: str | None = None
    ) -> None:
        self.shop = shop
        self.steps: list[Step] = []
        self.task: asyncio.Task[Bought] = asyncio.create_task(
            shop.lsp.lsps1.buy(
                lsp_balance=Sat(1_000_000),
                client_balance=Sat(20_000),
                expiry_blocks=1_000,
                max_fee=Sat(max_fee),
                token=token,
                refund_address=refund,
                on_progress=lambda progress: self.steps.append(progress.step),
            )
        )

    async def outcome(self) -> Bought:
        """A purchase that goes wrong may wait for money for hours; the test does not."""
        async with asyncio.timeout(30):
            return await self.task

    async def held(self) -> tuple[Event, str, Invoiced]:
        """Ordered and paid: the owner's node holds it, and LDK knows. The request, the order's id, the invoice."""
        request = await self.shop.ldk.requested()
        invoiced = await self.shop.owner.invoice(request)
        options = {"bolt11": invoiced.option}
        if request["refund_onchain_address"] is not None:
            options["onchain"] = self.shop.owner.address(request)
        order_id = await self.shop.ldk.send_payment_details(request, **options)
        await self.shop.owner.held(invoiced)
        await self.shop.ldk.order_payment_received(self.shop.owner.customer, order_id, "bolt11")
        return request, order_id, invoiced


@pytest.mark.parametrize("onchain_too", [False, True])
async def test_a_channel_is_bought(shop: LdkLsp, onchain_too: bool) -> None:
    """From get_info to a channel that our node lists: ordered, paid, held, opened, settled. What LDK says of an
    on-chain option (a feerate beside confirmations, bLIP-51 §3.3) is noticed, and stops no payment by invoice."""
    purchase = Purchase(shop, refund=ADDRESS if onchain_too else None)
    request, order_id, invoiced = await purchase.held()
    opened = await shop.owner.open_channel(request)
    await shop.ldk.order_channel_opened(shop.owner.customer, order_id, opened)
    await shop.owner.node.invoices.settle(invoiced.preimage)
    bought = await purchase.outcome()
    assert bought.order.order_id == order_id
    assert bought.order.order_state is OrderState.COMPLETED
    assert bought.order.payment.bolt11 is not None
    assert bought.order.payment.bolt11.state is PaymentState.PAID
    assert bought.payment is not None
    assert bought.payment.status is PaymentStatus.SUCCEEDED
    assert bought.channel is not None
    assert str(bought.channel.funding) == opened["funding_outpoint"]
    assert (bought.channel.peer, bought.channel.opener) == (shop.net.lsp.node_id, Opener.PEER)
    assert (bought.channel.capacity, bought.channel.state) == (Sat(1_020_000), ChannelState.PENDING)
    assert (Step.NOTICED in purchase.steps) is onchain_too
    assert purchase.steps[-1] is Step.DELIVERED


async def test_an_lsp_that_cannot_open(shop: LdkLsp) -> None:
    """The owner gives the payment back and tells LDK: our client says that the order failed, and no money is gone."""
    (paying,) = await shop.customer.channels.list()
    purchase = Purchase(shop)
    _, order_id, invoiced = await purchase.held()
    await shop.owner.node.invoices.cancel(invoiced.payment_hash)
    await shop.ldk.order_failed_and_refunded(shop.owner.customer, order_id)
    with pytest.raises(OrderFailed):
        await purchase.outcome()
    assert await shop.customer.channels.list() == [paying]


async def test_a_fee_above_the_limit(shop: LdkLsp) -> None:
    """Nothing is paid when LDK's owner asks for more than the limit."""
    purchase = Purchase(shop, max_fee=FEE - 1)
    request = await shop.ldk.requested()
    invoiced = await shop.owner.invoice(request)
    await shop.ldk.send_payment_details(request, bolt11=invoiced.option)
    with pytest.raises(FeeTooHigh):
        await purchase.outcome()
    status = await shop.owner.node.invoices.lookup(invoiced.payment_hash)
    assert status is not None
    assert status.state is InvoiceState.OPEN


async def test_what_is_not_sold_is_not_asked_for(shop: LdkLsp) -> None:
    """bLIP-51 §2: checked against LDK's options before anything is ordered, so the option has its name here."""
    with pytest.raises(OptionMismatch) as outside:
        await shop.lsp.lsps1.buy(lsp_balance=Sat(99_999), expiry_blocks=1_000, max_fee=Sat(FEE))
    assert outside.value.option == "min_initial_lsp_balance_sat"
    assert not [event for event in shop.ldk.events if event["event"] == "request_for_payment_details"]


async def test_a_token_that_is_not_taken(shop: LdkLsp) -> None:
    """Error 102 ends the purchase, with nothing ordered or paid."""
    purchase = Purchase(shop, token="stale")
    await shop.ldk.invalid_token(await shop.ldk.requested())
    with pytest.raises(TokenRefused):
        await purchase.outcome()
