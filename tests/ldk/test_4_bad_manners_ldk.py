"""Scenario 4 with LDK: hung up on in mid-request, and answered twice, in both roles."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from interop.ldk.node import LdkError
from lsps.client.errors import OutcomeUnknown
from lsps.node.bolt8.messages import Bolt8Messages
from lsps.node.contract import PaymentStatus
from lsps.protocol.payment import OrderState
from lsps.units import OrderId, Sat
from tests.ldk.ldk_customer import ORDER, ldk_customer
from tests.ldk.ldk_lsp import FEE, LdkLsp, ldk_lsp
from tests.ldk.ldk_lsp import ORDER as LDK_LSP_ORDER
from tests.ldk.our_lsp import HeldPrice

Json = dict[str, Any]

# --- LDK's client, our service --------------------------------------------------------------------------------------


async def test_ldk_hangs_up_and_is_back_before_our_reply(tmp_path: Path) -> None:
    """LDK keeps its requests over a reconnection: our one reply, sent on the new connection, is its order."""
    price = HeldPrice()
    async with ldk_customer(tmp_path, price=price) as customer:
        request_id = await customer.ldk.command("lsps1_create_order", peer=customer.peer, order=ORDER)
        await price.asked_times(1)
        await customer.reconnect()
        assert await customer.ldk.list_protocols(customer.peer) == [1, 7]
        price.opened.set()
        order = await customer.ldk.event("order_created", request_id=request_id)
        paying = customer.lsp.pay(order["payment"]["bolt11"]["invoice"])
        await customer.until(order, "PAID")
        assert (await paying).status is PaymentStatus.SUCCEEDED
        assert len(customer.lsp.tap.replies(request_id)) == price.asked == 1


@pytest.mark.parametrize("who", ["LDK", "we"])
async def test_a_reply_that_ldk_is_not_there_to_hear(tmp_path: Path, who: str) -> None:
    """Whoever hangs up in mid-request: the reply is lost, the order stands unpaid, and LDK, back again, orders anew and
    is served. LDK itself neither asks again nor ever gives up on the first request: its owner hears nothing of it."""
    price = HeldPrice()
    async with ldk_customer(tmp_path, price=price) as customer:
        lost = await customer.ldk.command("lsps1_create_order", peer=customer.peer, order=ORDER)
        await price.asked_times(1)
        if who == "LDK":
            await customer.disconnect()
        else:
            await customer.lsp.disconnect(customer.lsp.buyer.node_id)
            await customer.ldk.event("disconnected", peer=customer.peer)
        price.opened.set()
        await customer.lsp.answered(lost)
        await customer.connect()
        order = await customer.order()
        paying = customer.lsp.pay(order["payment"]["bolt11"]["invoice"])
        await customer.until(order, "PAID")
        assert (await paying).status is PaymentStatus.SUCCEEDED
        assert await customer.lsp.unpaid(customer.lsp.buyer.node_id) == 1
        assert len(customer.lsp.tap.replies(lost)) == 1
        assert customer.answers(lost) == []
        assert len(customer.lsp.tap.requests("lsps1.create_order")) == 2


async def test_an_id_that_comes_twice_from_ldk(tmp_path: Path) -> None:
    """LDK's own create_order sent a second time, byte for byte, while it is in work: one order and one reply. Two
    replies would have made LDK deaf."""
    price = HeldPrice()
    async with ldk_customer(tmp_path, price=price) as customer:
        request_id = await customer.ldk.command("lsps1_create_order", peer=customer.peer, order=ORDER)
        await price.asked_times(1)
        (request,) = customer.lsp.tap.requests("lsps1.create_order")
        await customer.ldk.send(customer.peer, json.dumps(request))
        await customer.lsp.heard(lambda: len(customer.lsp.tap.requests("lsps1.create_order")) == 2)
        price.opened.set()
        await customer.ldk.event("order_created", request_id=request_id)
        assert not await customer.is_deaf()
        assert len(customer.lsp.tap.replies(request_id)) == price.asked == 1


# --- LDK's service, our client --------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["LDK", "we"])
async def test_our_order_is_cut_short_at_ldks_service(tmp_path: Path, who: str) -> None:
    """Hung up on in create_order our client says that the outcome is unknown and pays nothing; LDK forgets the request.
    Asked to buy once more our client is back by itself, orders anew, pays once, and has its channel."""
    async with ldk_lsp(tmp_path) as shop:
        buying = asyncio.create_task(buy(shop))
        cut = await shop.ldk.requested()
        if who == "LDK":
            await shop.ldk.disconnect(shop.owner.customer)
        else:
            assert isinstance(shop.transport, Bolt8Messages)
            await shop.transport.disconnect(shop.net.lsp.node_id)
        with pytest.raises(OutcomeUnknown, match="unpaid"):
            await buying
        if who == "we":
            await shop.ldk.event("disconnected", peer=shop.owner.customer)
        with pytest.raises(LdkError, match="send_payment_details"):
            await shop.ldk.send_payment_details(cut, bolt11=(await shop.owner.invoice(cut)).option)

        (paying_with,) = await shop.customer.channels.list()
        buying = asyncio.create_task(buy(shop))
        request = await shop.ldk.requested()
        invoiced = await shop.owner.invoice(request)
        order_id = await shop.ldk.send_payment_details(request, bolt11=invoiced.option)
        await shop.owner.held(invoiced)
        await shop.ldk.order_payment_received(shop.owner.customer, order_id, "bolt11")
        await shop.ldk.disconnect(shop.owner.customer)  # once more, while our client follows its paid order
        opened = await shop.owner.open_channel(request)
        await shop.ldk.order_channel_opened(shop.owner.customer, order_id, opened)
        await shop.owner.node.invoices.settle(invoiced.preimage)
        await buying
        bought = [channel for channel in await shop.customer.channels.list() if channel.funding != paying_with.funding]
        assert [str(channel.funding) for channel in bought] == [opened["funding_outpoint"]]


async def buy(shop: LdkLsp) -> None:
    await shop.lsp.lsps1.buy(lsp_balance=Sat(1_000_000), expiry_blocks=1_000, max_fee=Sat(FEE))


async def test_replies_of_ldks_that_come_twice_and_for_nobody(tmp_path: Path) -> None:
    """Through LDK's own connection come a duplicate of its last reply, a response for nobody and a notification: our
    client answers nothing, and goes on asking and understanding."""
    async with ldk_lsp(tmp_path) as shop:
        for _ in range(3):
            assert await shop.lsp.lsps0.list_protocols() == (1,)
            reply = (await shop.ldk.event("sent", peer=shop.owner.customer))["payload"]
            for payload in (reply, reply.replace("[1]", "[2]"), '{"jsonrpc":"2.0","id":"x","result":{}}'):
                await shop.ldk.send(shop.owner.customer, payload)
                await shop.ldk.event("sent", payload=payload)
            await shop.ldk.send(shop.owner.customer, '{"jsonrpc":"2.0","method":"lsps0.hello","params":{}}')
            await shop.ldk.event("sent", payload='{"jsonrpc":"2.0","method":"lsps0.hello","params":{}}')
        assert await shop.lsp.lsps0.list_protocols() == (1,)
        received = [json.loads(event["payload"]) for event in shop.ldk.events if event["event"] == "received"]
        assert [message["method"] for message in received] == ["lsps0.list_protocols"] * 4


async def test_ldk_answers_in_another_order(tmp_path: Path) -> None:
    """Two orders and a question in work at LDK's service, answered last first: each answer reaches who asked for it."""
    async with ldk_lsp(tmp_path) as shop:
        asked = []
        for balance in (1_000_000, 2_000_000):
            params = replace(LDK_LSP_ORDER, lsp_balance_sat=Sat(balance))
            ordering = asyncio.create_task(shop.lsp.lsps1.create_order(params))
            asked.append((balance, ordering, await shop.ldk.requested()))
        assert await shop.lsp.lsps0.list_protocols() == (1,)
        for balance, ordering, request in reversed(asked):
            assert not ordering.done()
            order_id = await shop.ldk.send_payment_details(request, bolt11=(await shop.owner.invoice(request)).option)
            order = await ordering
            assert (order.order_id, order.lsp_balance_sat) == (order_id, Sat(balance))


async def test_ldk_answers_too_late(tmp_path: Path) -> None:
    """The caller has given up before LDK's owner answers: the answer is for nobody, and the next question gets its
    own."""
    async with ldk_lsp(tmp_path) as shop:
        ordering = asyncio.create_task(shop.lsp.lsps1.create_order(LDK_LSP_ORDER))
        request = await shop.ldk.requested()
        ordering.cancel()
        await asyncio.gather(ordering, return_exceptions=True)
        order_id = await shop.ldk.send_payment_details(request, bolt11=(await shop.owner.invoice(request)).option)
        order = await shop.lsp.lsps1.get_order(OrderId(order_id))
        assert order.order_state is OrderState.CREATED
        received = [json.loads(event["payload"]) for event in shop.ldk.events if event["event"] == "received"]
        assert [message["method"] for message in received] == ["lsps1.create_order", "lsps1.get_order"]
