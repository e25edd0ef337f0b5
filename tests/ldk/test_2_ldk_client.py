"""Scenario 2: LDK's client at our service, over TCP: an order's whole life, told to LDK."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from interop.ldk.node import Event
from lsps.node.contract import Channel, InvoiceState, PaymentStatus
from lsps.orders.model import State
from lsps.protocol.message import to_json
from lsps.service.offer import Token
from lsps.testing import OFFER
from lsps.units import OrderId, Sat
from tests.ldk.ldk_customer import ORDER, LdkCustomer, ldk_customer
from tests.node.contract.environment import eventually

TOKENS = (Token("FREE", discount_percent=100), Token("HALF", discount_percent=50))
EXPIRY_SECONDS = 3600


@pytest.fixture
async def customer(tmp_path: Path) -> AsyncIterator[LdkCustomer]:
    async with ldk_customer(tmp_path, offer=replace(OFFER, tokens=TOKENS)) as running:
        yield running


def bolt11_state(told: Event) -> str:
    state: str = told["payment"]["bolt11"]["state"]
    return state


async def sold(customer: LdkCustomer) -> list[Channel]:
    """Channels that our LSP opened."""
    return [channel for channel in await customer.lsp.net.lsp.channels.list() if channel.opener.value == "us"]


async def in_state(customer: LdkCustomer, order: Event, state: State) -> None:
    async def check() -> bool:
        stored = await customer.lsp.store.order(OrderId(order["order_id"]))
        return stored is not None and stored.state is state

    await eventually(f"the order is {state.value}", check)


# --- what is there --------------------------------------------------------------------------------------------------


async def test_the_protocols(customer: LdkCustomer) -> None:
    """bLIP-50, lsps0.list_protocols: LDK takes our list, a number that it does not know included."""
    assert await customer.ldk.list_protocols(customer.peer) == [1, 7]


async def test_what_is_sold(customer: LdkCustomer) -> None:
    """bLIP-51 §1: LDK reads every option of ours, and hands its owner the same values."""
    assert OFFER.lsps1 is not None
    assert await customer.ldk.get_info(customer.peer) == to_json(OFFER.lsps1.options)


# --- an order's life ------------------------------------------------------------------------------------------------


async def test_a_channel_is_bought(customer: LdkCustomer) -> None:
    """bLIP-51 §2 to §4 as LDK's owner sees it: EXPECT_PAYMENT, HOLD while the channel is negotiated, then PAID with
    the channel; paid once, and the channel is what was ordered."""
    lsp = customer.lsp
    lsp.net.world.faults.delay_next(lsp.node_id, "negotiation", 5)
    order = await customer.order(token="HALF")
    assert order["order"] == ORDER | {"token": "HALF"}
    assert (bolt11_state(order), order["channel"]) == ("EXPECT_PAYMENT", None)
    told = await customer.status(order)
    assert {**told, "event": "", "request_id": ""} == {**order, "event": "", "request_id": ""}

    paying = lsp.pay(order["payment"]["bolt11"]["invoice"])
    held = await customer.until(order, "HOLD")
    assert (customer.order_state(held), held["channel"]) == ("CREATED", None)

    paid = await customer.until(order, "PAID", passing=5)
    assert customer.order_state(paid) == "COMPLETED"
    (channel,) = await sold(customer)
    assert paid["channel"]["funding_outpoint"] == str(channel.funding)
    assert (channel.capacity, channel.peer) == (Sat(1_020_000), lsp.buyer.node_id)
    assert (await paying).status is PaymentStatus.SUCCEEDED


async def test_a_customer_who_is_away_when_it_is_paid(customer: LdkCustomer) -> None:
    """bLIP-51 §4.1: the LSP MUST wait for the peer before it opens: paid while LDK was away, the order is HOLD, and it
    goes on when LDK is back."""
    order = await customer.order()
    await customer.disconnect()
    paying = customer.lsp.pay(order["payment"]["bolt11"]["invoice"])
    await in_state(customer, order, State.PAID)
    await customer.lsp.net.clock.advance(60)
    await in_state(customer, order, State.PAID)
    assert await sold(customer) == []
    await customer.connect()
    await customer.until(order, "PAID", passing=1)
    assert (await paying).status is PaymentStatus.SUCCEEDED
    assert len(await sold(customer)) == 1


async def test_a_channel_that_cannot_be_opened(customer: LdkCustomer) -> None:
    """bLIP-51 §3.1, §4.1: the customer's node refuses the channel: LDK's owner hears REFUNDED, the order is FAILED, and
    the payment came back."""
    lsp = customer.lsp
    lsp.net.world.faults.refuse_channels(lsp.buyer.node_id)
    order = await customer.order()
    paying = lsp.pay(order["payment"]["bolt11"]["invoice"])
    told = await customer.until(order, "REFUNDED")
    assert (customer.order_state(told), told["channel"]) == ("FAILED", None)
    assert (await paying).status is PaymentStatus.FAILED
    assert await sold(customer) == []


async def test_an_order_that_nobody_pays(customer: LdkCustomer) -> None:
    """bLIP-51 §3.1: after expires_at the option is REFUNDED, the order FAILED, and the invoice cannot be paid."""
    order = await customer.order()
    told = await customer.until(order, "REFUNDED", passing=EXPIRY_SECONDS)
    assert customer.order_state(told) == "FAILED"
    stored = await customer.lsp.store.order(OrderId(order["order_id"]))
    assert stored is not None
    assert stored.bolt11 is not None
    invoice = await customer.lsp.net.lsp.invoices.lookup(stored.bolt11.payment_hash)
    assert invoice is None or invoice.state is InvoiceState.CANCELLED


async def test_a_free_order(customer: LdkCustomer) -> None:
    """With nothing to pay `payment` is an empty object: LDK takes it as no options, and learns of the channel."""
    order = await customer.order(token="FREE", client_balance_sat="0")
    assert order["payment"] == {"bolt11": None, "bolt12": None, "onchain": None}

    async def delivered() -> Event | None:
        told = await customer.status(order)
        return told if told["channel"] is not None else None

    told = await eventually("the channel is there", delivered)
    (channel,) = await sold(customer)
    assert told["channel"]["funding_outpoint"] == str(channel.funding)
    assert customer.order_state(told) == "COMPLETED"


async def test_every_request_of_ldks_has_one_reply(customer: LdkCustomer) -> None:
    """Ten questions at once, of all kinds: as many replies, each with the id of one, and LDK understands them all."""
    order = await customer.order()
    ids = []
    for _ in range(5):
        ids.append(await customer.ldk.command("lsps1_get_info", peer=customer.peer))
        ids.append(await customer.ldk.command("lsps1_get_order", peer=customer.peer, order_id=order["order_id"]))
    for request_id in ids:
        assert await customer.received(request_id) is None
    assert len(set(ids)) == 10
    assert [len(customer.lsp.tap.replies(request_id)) for request_id in ids] == [1] * 10
    assert customer.lsp.tap.not_understood() == []
