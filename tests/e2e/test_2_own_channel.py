"""Scenario 2: a channel that the customer opened itself, for which the LSP owes no lease yet, is extended."""

from __future__ import annotations

import pytest

from interop.lnd.node import Node
from interop.lnd.regtest import Regtest, eventually
from tests.e2e import truth
from tests.e2e.shop import Customer, Shop

pytestmark = pytest.mark.asyncio(loop_scope="session")

CAPACITY = 600_000
BLOCKS = 144


async def test_an_own_channel_gets_its_first_lease(
    net: Regtest, shop: Shop, bob: Node, lsp: Node, bob_buys: Customer
) -> None:
    """A channel opened by the customer is listed with expiration_block 0 and no original_order (bLIP-57 §1); extended,
    it ends at the tip of the order's creation + blocks, paid over that very channel, by one settled invoice."""
    point = await net.open_channel(bob, lsp, CAPACITY, private=True)
    opened = await bob.channel(point)
    assert opened is not None
    scid = truth.scid(opened)
    listed = await bob_buys.leases(shop)
    assert listed.code == 0, listed
    (entry,) = (each for each in listed.json["channels"] if each["short_channel_id"] == scid)
    assert entry["expiration_block"] == 0
    assert not entry.get("original_order")
    settled_before = await truth.settled(lsp)

    tip = await net.btcd.height()
    ran = await bob_buys.extend(shop, scid, BLOCKS)
    assert ran.code == 0, ran
    order = ran.json["order"]
    total = int(order["payment"]["bolt11"]["order_total_sat"])
    assert (order["order_state"], order["new_channel_expiry_block"]) == ("COMPLETED", tip + BLOCKS)

    again = await bob_buys.leases(shop)
    (entry,) = (each for each in again.json["channels"] if each["short_channel_id"] == scid)
    assert (entry["expiration_block"], entry["extension_order_ids"]) == (tip + BLOCKS, [order["order_id"]])
    new = {digest: sat for digest, sat in (await truth.settled(lsp)).items() if digest not in settled_before}
    assert list(new.values()) == [total]
    (digest,) = new
    payment = (await truth.payments(bob))[digest]
    assert (payment["status"], int(payment["value_sat"]), payment["fee_sat"]) == ("SUCCEEDED", total, "0")

    async def moved() -> bool:
        ours = await lsp.channel(point)
        return ours is not None and int(ours["local_balance"]) == total

    await eventually("the LSP's side of the channel holds what was paid", moved)
