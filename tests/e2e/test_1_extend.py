"""Scenario 1: a lease bought through our own LSPS1 service is extended, and extended again."""

from __future__ import annotations

from typing import Any

import pytest

from interop.lnd.node import Node
from interop.lnd.regtest import Regtest
from tests.e2e import truth
from tests.e2e.shop import Customer, Shop
from tests.e2e.wire import until_told

pytestmark = pytest.mark.asyncio(loop_scope="session")

BOUGHT = 500_000
BLOCKS = 1_008
YEAR = 52_560


def extension_price(capacity: int, blocks: int) -> int:
    """The documented price in sat with lsps.toml's defaults: 500 + 30,000 ppm a year, rounded up."""
    return 500 - (-30_000 * capacity * blocks // (YEAR * 1_000_000))


async def listed(customer: Customer, shop: Shop, scid: str) -> dict[str, Any]:
    """The one entry that `lsps leases` shows for this channel."""
    ran = await customer.leases(shop)
    assert ran.code == 0, ran
    (entry,) = (each for each in ran.json["channels"] if each["short_channel_id"] == scid)
    return dict(entry)


async def test_a_bought_lease_is_extended_twice(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, alice_buys: Customer, bob_buys: Customer, alice_can_pay: str
) -> None:
    """After buy, extend, extend: the lease ends at confirmation + bought + both extensions in the LSP's list; both
    nodes have the same channel; the LSP's lnd has settled exactly three new invoices, of the three orders' totals,
    which the payer's lnd paid, once each, and nothing else (bLIP-51 §3-4, bLIP-57 §1-4)."""
    settled_before, paid_before = await truth.settled(lsp), await truth.payments(alice)

    bought = await alice_buys.buy(shop, BOUGHT, BLOCKS)
    assert bought.code == 0, bought
    order = await until_told(alice, lsp, "lsps1", bought.json["order"]["order_id"], "PAID")
    assert (bought.json["order"]["order_state"], order["order_state"]) == ("COMPLETED", "COMPLETED")
    point = order["channel"]["funding_outpoint"]
    confirmed = await net.btcd.height() + 1
    await net.mine(1)
    await net.wait_active(point, alice, lsp)

    ours, theirs = await lsp.channel(point), await alice.channel(point)
    assert ours is not None
    assert theirs is not None
    scid = truth.scid(ours)
    assert truth.scid(theirs) == scid
    assert scid.startswith(f"{confirmed}x")
    expires = confirmed + BLOCKS
    entry = await listed(alice_buys, shop, scid)
    assert entry["expiration_block"] == expires
    assert entry["original_order"] == {"id": order["order_id"], "service": "LSPS1"}

    totals, order_ids = [int(order["payment"]["bolt11"]["order_total_sat"])], []
    for blocks in (144, 288):
        extended = await alice_buys.extend(shop, scid, blocks)
        assert extended.code == 0, extended
        order = await until_told(alice, lsp, "lsps7", extended.json["order"]["order_id"], "PAID")
        assert (extended.json["order"]["order_state"], order["order_state"]) == ("COMPLETED", "COMPLETED")
        assert (order["channel"]["expiration_block"], order["new_channel_expiry_block"]) == (expires, expires + blocks)
        expires += blocks
        totals.append(int(order["payment"]["bolt11"]["order_total_sat"]))
        order_ids.append(order["order_id"])
        entry = await listed(alice_buys, shop, scid)
        assert entry["expiration_block"] == expires
        assert entry["extension_order_ids"] == order_ids
    assert totals[1:] == [extension_price(BOUGHT, 144), extension_price(BOUGHT, 288)]

    new = {digest: sat for digest, sat in (await truth.settled(lsp)).items() if digest not in settled_before}
    assert list(new.values()) == totals
    paid = {digest: each for digest, each in (await truth.payments(alice)).items() if digest not in paid_before}
    assert {digest: int(each["value_sat"]) for digest, each in paid.items()} == new
    assert {each["status"] for each in paid.values()} == {"SUCCEEDED"}
    assert not await truth.invoices(lsp, "ACCEPTED")

    ours, theirs = await lsp.channel(point), await alice.channel(point)
    assert ours is not None
    assert theirs is not None
    assert (ours["capacity"], theirs["capacity"]) == (str(BOUGHT), str(BOUGHT))
    assert (ours["local_balance"], ours["remote_balance"]) == (theirs["remote_balance"], theirs["local_balance"])
    assert (ours["private"], theirs["private"], ours["initiator"], theirs["initiator"]) == (True, True, True, False)

    others = await bob_buys.leases(shop)
    assert others.code == 0, others
    assert scid not in [each["short_channel_id"] for each in others.json["channels"]]
