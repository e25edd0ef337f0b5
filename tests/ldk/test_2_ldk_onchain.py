"""Scenario 2: the on-chain option, which bLIP-51 §3.3 and LDK write differently: LDK needs a feerate always."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from interop.ldk.node import Event
from lsps.service.offer import Compat, Offer, PaymentTerms
from lsps.testing import OFFER
from lsps.units import Sat
from tests.ldk.ldk_customer import ORDER, LdkCustomer, ldk_customer
from tests.node.contract.environment import eventually

REFUND = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"


def offer(confirmations: int, compat: Compat | None = None) -> Offer:
    payment = PaymentTerms(onchain=True, min_onchain_payment_confirmations=confirmations)
    return replace(OFFER, payment=payment, compat=compat or Compat())


async def order(customer: LdkCustomer) -> Event:
    """With an address for refunds, without which no on-chain payment is offered."""
    return await customer.ldk.create_order(customer.peer, ORDER, REFUND)


async def until_onchain(customer: LdkCustomer, made: Event, state: str) -> Event:
    """Blocks and time pass until LDK's owner is told so."""

    async def check() -> Event | None:
        customer.lsp.net.mine()
        await customer.lsp.net.clock.advance(60)
        told = await customer.status(made)
        return told if told["payment"]["onchain"]["state"] == state else None

    return await eventually(f"on-chain it is {state}", check)


async def test_no_feerate_makes_ldk_deaf_and_is_learnt(tmp_path: Path) -> None:
    """bLIP-51 §3.3: with confirmations required min_fee_for_0conf MUST be null or absent: LDK drops the order, says
    that it could not parse it, and is deaf until it reconnects. From then on its orders are offered by BOLT11 alone."""
    async with ldk_customer(tmp_path, offer=offer(1)) as customer:
        lost = await customer.ldk.command(
            "lsps1_create_order", peer=customer.peer, order=ORDER, refund_onchain_address=REFUND
        )
        assert "Failed to deserialize" in (await customer.received(lost) or "")
        (reply,) = customer.lsp.tap.replies(lost)
        onchain = reply["result"]["payment"]["onchain"]
        assert (onchain["state"], onchain.get("min_fee_for_0conf")) == ("EXPECT_PAYMENT", None)
        await customer.lsp.heard(lambda: customer.lsp.tap.not_understood() == [customer.lsp.buyer.node_id])
        assert await customer.is_deaf()

        await customer.reconnect()
        made = await order(customer)
        assert made["payment"]["onchain"] is None
        paying = customer.lsp.pay(made["payment"]["bolt11"]["invoice"])
        await customer.until(made, "PAID")
        await paying
        assert customer.answers(lost) == []
        assert len(customer.lsp.tap.not_understood()) == 1


async def test_ldks_shape_has_no_onchain_option_with_confirmations(tmp_path: Path) -> None:
    """[compat] "ldk": the option is left out where confirmations are required, from the first order on."""
    async with ldk_customer(tmp_path, offer=offer(1, Compat("ldk"))) as customer:
        made = await order(customer)
        assert made["payment"]["onchain"] is None
        assert made["payment"]["bolt11"]["state"] == "EXPECT_PAYMENT"


@pytest.mark.parametrize("shape", ["spec", "ldk"])
async def test_a_channel_is_paid_on_chain(tmp_path: Path, shape: str) -> None:
    """Without required confirmations there is a feerate, and LDK reads the option in either shape: paid on-chain it is
    PAID and then delivered, and the invoice is REFUNDED so that nobody pays it."""
    compat = Compat("ldk") if shape == "ldk" else Compat("spec")
    async with ldk_customer(tmp_path, offer=offer(0, compat)) as customer:
        made = await order(customer)
        option = made["payment"]["onchain"]
        assert (option["state"], option["refund_onchain_address"]) == ("EXPECT_PAYMENT", REFUND)
        assert option["min_onchain_payment_confirmations"] == 0
        assert option["min_fee_for_0conf"] >= 253
        customer.lsp.net.pay(option["address"], Sat(int(option["order_total_sat"])))
        await until_onchain(customer, made, "PAID")

        async def delivered() -> Event | None:
            await customer.lsp.net.clock.advance(1)
            told = await customer.status(made)
            return told if told["channel"] is not None else None

        told = await eventually("the channel is there", delivered)
        assert customer.order_state(told) == "COMPLETED"
        await customer.until(made, "REFUNDED", passing=1)
        assert customer.lsp.tap.not_understood() == []


async def test_an_onchain_payment_is_given_back(tmp_path: Path) -> None:
    """bLIP-51 §3.3, §4.1: the channel is refused by the customer's node: the deposit goes back, and LDK's owner hears
    REFUNDED of both options, never HOLD of the on-chain one."""
    async with ldk_customer(tmp_path, offer=offer(0)) as customer:
        customer.lsp.net.world.faults.refuse_channels(customer.lsp.buyer.node_id)
        made = await order(customer)
        option = made["payment"]["onchain"]
        customer.lsp.net.pay(option["address"], Sat(int(option["order_total_sat"])))
        told = await until_onchain(customer, made, "REFUNDED")
        assert told["payment"]["bolt11"]["state"] == "REFUNDED"
        assert (customer.order_state(told), told["channel"]) == ("FAILED", None)
        states = [event["payment"]["onchain"]["state"] for event in customer.ldk.events if "payment" in event]
        assert "HOLD" not in states
