"""Scenario 5: the customer's command is killed before, while and after it pays; run again, it never pays twice."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from interop.lnd.node import Node
from interop.lnd.regtest import Regtest
from tests.e2e import truth
from tests.e2e.once import KILLED, Ledger, dies
from tests.e2e.shop import Customer, Ran, Shop

pytestmark = pytest.mark.asyncio(loop_scope="session")

LSP_BALANCE = 250_000


@pytest_asyncio.fixture
async def scid(alice: Node, alice_can_pay: str) -> str:
    """Alice's own channel to the LSP."""
    channel = await alice.channel(alice_can_pay)
    assert channel is not None
    return truth.scid(channel)


async def killed(shop: Shop, wish: asyncio.Task[Ran]) -> None:
    """The command is killed while its payment is held: the LSP has died at the moment it saw it."""
    try:
        await dies(shop, "invoice.held")
    finally:
        wish.cancel()
    await asyncio.gather(wish, return_exceptions=True)


def resumed(ran: Ran) -> dict[str, Any]:
    """The order that the command went on with to its end."""
    assert ran.code == 0, ran
    assert ran.json["resumed"] is True
    assert ran.json["delivered"] is True
    order: dict[str, Any] = ran.json["order"]
    assert order["order_state"] == "COMPLETED"
    return order


async def test_an_extension_whose_buyer_dies_at_every_step(
    net: Regtest, shop: Shop, alice: Node, alice_buys: Customer, scid: str
) -> None:
    """Killed with the order made, on the brink of paying, while the payment is held, once it is paid and once it is
    delivered, the same command goes on with the same order; the buyer's lnd has exactly one payment, the lease one
    extension."""
    ledger = await Ledger.opened(shop, alice)
    tip = await net.btcd.height()
    for failpoint in ("client_ordered", "client_paying"):
        ran = await alice_buys.extend(shop, scid, 300, failpoint=failpoint)
        assert ran.code == KILLED, ran
        assert not await ledger.paid()
        await ledger.stands_at("OPEN", "awaiting payment")

    await shop.stop()
    await shop.start(failpoint="invoice.held")
    await killed(shop, asyncio.create_task(alice_buys.extend(shop, scid, 300)))
    await ledger.stands_at("ACCEPTED", "awaiting payment")
    assert [each["status"] for each in (await ledger.paid()).values()] == ["IN_FLIGHT"]
    await shop.start()
    for failpoint in ("client_paid", "client_completed"):
        ran = await alice_buys.extend(shop, scid, 300, failpoint=failpoint)
        assert ran.code == KILLED, ran
        assert len(await ledger.paid()) == 1
    order = resumed(await alice_buys.extend(shop, scid, 300))
    assert order["order_id"] == await ledger.check_sold_once()
    listed = await alice_buys.leases(shop)
    (entry,) = (each for each in listed.json["channels"] if each["short_channel_id"] == scid)
    assert (entry["expiration_block"], entry["extension_order_ids"]) == (tip + 300, [order["order_id"]])


async def test_a_channel_whose_buyer_dies_while_paying(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, alice_buys: Customer, alice_can_pay: str
) -> None:
    """Killed while its payment is held, and again once it is paid, the same command goes on with the same order: one
    payment, one channel."""
    ledger = await Ledger.opened(shop, alice)
    await shop.stop()
    await shop.start(failpoint="invoice.held")
    await killed(shop, asyncio.create_task(alice_buys.buy(shop, LSP_BALANCE, 1_008)))
    await ledger.stands_at("ACCEPTED", "awaiting payment")
    await shop.start()
    ran = await alice_buys.buy(shop, LSP_BALANCE, 1_008, failpoint="client_paid")
    assert ran.code == KILLED, ran
    order = resumed(await alice_buys.buy(shop, LSP_BALANCE, 1_008))
    assert order["order_id"] == await ledger.check_sold_once()
    point = await ledger.check_one_channel(LSP_BALANCE)
    assert order["channel"]["funding_outpoint"] == point
    await net.mine(1)
    await net.wait_active(point, lsp, alice)
    assert await ledger.check_one_channel(LSP_BALANCE) == point
