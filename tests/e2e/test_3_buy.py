"""Scenario 3: channels bought with a balance for the customer: private, announced, and without confirmation."""

from __future__ import annotations

from typing import Any

import pytest

from interop.lnd.node import Node
from interop.lnd.regtest import Regtest, eventually
from tests.e2e import truth
from tests.e2e.shop import Customer, Shop
from tests.e2e.wire import until_told

pytestmark = pytest.mark.asyncio(loop_scope="session")

LSP_BALANCE = 400_000
CLIENT_BALANCE = 150_000
BLOCKS = 2_016


async def buy(customer: Customer, shop: Shop, *wishes: str | int) -> dict[str, Any]:
    """Buys a channel and returns its completed order; the LSP's lnd has settled its invoice with the order's total."""
    before = await truth.settled(shop.node)
    ran = await customer.buy(shop, LSP_BALANCE, BLOCKS, "--client-balance", CLIENT_BALANCE, *wishes)
    assert ran.code == 0, ran
    order = await until_told(customer.node, shop.node, "lsps1", ran.json["order"]["order_id"], "PAID")
    option = order["payment"]["bolt11"]
    assert (ran.json["order"]["order_state"], order["order_state"]) == ("COMPLETED", "COMPLETED")
    total = int(option["order_total_sat"])
    assert total == int(option["fee_total_sat"]) + CLIENT_BALANCE  # bLIP-51 §3
    after = await truth.settled(shop.node)
    assert [sat for digest, sat in after.items() if digest not in before] == [total]
    return order


async def check_channel(net: Regtest, point: str, lsp: Node, buyer: Node, *, private: bool) -> None:
    """Both nodes list the channel with the funding outpoint of the order, of exactly the ordered size and push."""
    await net.wait_active(point, lsp, buyer)
    ours, theirs = await lsp.channel(point), await buyer.channel(point)
    assert ours is not None
    assert theirs is not None
    for view in (ours, theirs):
        assert view["capacity"] == str(LSP_BALANCE + CLIENT_BALANCE)
        assert view["push_amount_sat"] == str(CLIENT_BALANCE)
        assert view["private"] is private
    assert (ours["initiator"], theirs["initiator"]) == (True, False)
    assert theirs["local_balance"] == str(CLIENT_BALANCE)


async def expiration(customer: Customer, shop: Shop, point: str) -> int:
    """The end of the lease of this channel of ours, as `lsps leases` shows it."""
    channel = await customer.node.channel(point)
    assert channel is not None
    ran = await customer.leases(shop)
    assert ran.code == 0, ran
    names = truth.scids(channel)
    (entry,) = (each for each in ran.json["channels"] if each["short_channel_id"] in names)
    return int(entry["expiration_block"])


async def test_a_private_channel(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, alice_buys: Customer, alice_can_pay: str
) -> None:
    """A channel bought without --announce is private on both sides, funded in the transaction the order names, and is
    never announced; its lease ends channel_expiry_blocks after its confirmation (bLIP-51 §2, §4)."""
    order = await buy(alice_buys, shop)
    point = order["channel"]["funding_outpoint"]
    assert [each["channel_point"] for each in await truth.pending_channels(alice, lsp)] == [point]
    assert await net.btcd.mempool() == [point.split(":")[0]]
    height = await net.mine(1)
    await check_channel(net, point, lsp, alice, private=True)
    assert await expiration(alice_buys, shop, point) == height + BLOCKS
    assert order["announce_channel"] is False
    await net.mine(5)
    edges = (await lsp.lncli("describegraph"))["edges"]
    assert point not in [edge["chan_point"] for edge in edges]


async def test_an_announced_channel(
    net: Regtest, shop: Shop, alice: Node, bob: Node, lsp: Node, alice_buys: Customer, alice_can_pay: str
) -> None:
    """A channel bought with --announce is public on both sides, and a third node learns it by gossip (bLIP-51 §2)."""
    order = await buy(alice_buys, shop, "--announce")
    point = order["channel"]["funding_outpoint"]
    assert order["announce_channel"] is True
    height = await net.mine(1)
    await check_channel(net, point, lsp, alice, private=False)
    assert await expiration(alice_buys, shop, point) == height + BLOCKS
    await net.connect(bob, lsp)
    await net.mine(5)

    async def announced() -> bool:
        return await truth.in_graph(bob, point)

    await eventually("a third node knows the channel", announced, 60)


async def test_a_channel_without_confirmation(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, alice_buys: Customer, alice_can_pay: str
) -> None:
    """A channel bought with --zero-conf, accepted by our own acceptor, is usable before any block; its lease is counted
    from the tip until it confirms, then from there, and never ends earlier than it was told (bLIP-51 §2)."""
    tip = await net.btcd.height()
    order = await buy(alice_buys, shop, "--zero-conf")
    point = order["channel"]["funding_outpoint"]
    assert await net.btcd.height() == tip
    await check_channel(net, point, lsp, alice, private=True)
    theirs = await alice.channel(point)
    assert theirs is not None
    assert theirs["zero_conf"] is True
    assert await expiration(alice_buys, shop, point) == tip + BLOCKS

    await net.mine(1)
    await net.mine(5)  # lnd tells a 0-conf channel's confirmed SCID only when it is six blocks deep

    async def counted_from_its_block() -> bool:
        return await expiration(alice_buys, shop, point) == tip + 1 + BLOCKS

    await eventually("the lease is counted from the confirmation", counted_from_its_block, 60)
    theirs = await alice.channel(point)
    assert theirs is not None
    assert truth.scid(theirs).startswith(f"{tip + 1}x")
