"""LSPS1 as a service: orders that cost nothing."""

from __future__ import annotations

from dataclasses import replace

from lsps.service.offer import Token
from tests.service.conftest import MakeWorld
from tests.service.peers import payment_hash, until
from tests.service.world import OFFER

FREE = Token("FREE", discount_percent=100, uses=1)


async def test_a_free_channel_is_created_then_opened(make_world: MakeWorld) -> None:
    """order_total_sat 0: payment is {}, the order CREATED, and the channel opened as if it were paid."""
    async with make_world(offer=replace(OFFER, tokens=(FREE,))) as world:
        (alice,) = world.peers
        order = await alice.order_channel(token="FREE", client_balance_sat="0")
        assert (order["order_state"], order["payment"], order["channel"]) == ("CREATED", {}, None)
        await until(lambda: "open_channel.committed" in world.passed)
        told = await alice.order(order)
        assert (told["order_state"], told["payment"]) == ("COMPLETED", {})
        assert len(await world.lsp_channels()) == 1


async def test_a_free_fee_with_a_client_balance_is_paid(make_world: MakeWorld) -> None:
    """bLIP-51 §3.1: fee 0 with a client balance is an ordinary order over that balance."""
    async with make_world(offer=replace(OFFER, tokens=(FREE,))) as world:
        order = await world.peers[0].order_channel(token="FREE")
        payment = order["payment"]["bolt11"]
        assert (payment["fee_total_sat"], payment["order_total_sat"]) == ("0", "20000")
        assert payment_hash(order)
