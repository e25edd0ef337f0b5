"""Scenario 6: tokens, and what is free."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from interop.lnd.node import Node
from interop.lnd.regtest import Regtest
from tests.e2e import truth
from tests.e2e.once import Ledger
from tests.e2e.shop import Customer, Shop, shop_on
from tests.e2e.wire import wire

pytestmark = pytest.mark.asyncio(loop_scope="session")

LSP_BALANCE = 200_000
FREE = "FREE FOR ALL"
HALF = "Fünfzig"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(net: Regtest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """An LSP with a token for half the price, and one that is good for two free orders."""
    tokens = [{"code": HALF, "discount_percent": 50}, {"code": FREE, "discount_percent": 100, "uses": 2}]
    async with shop_on(net["lsp"], tmp_path_factory.mktemp("shop"), token=tokens) as serving:
        yield serving


@pytest_asyncio.fixture
async def scid(alice: Node, alice_can_pay: str) -> str:
    """Alice's own channel to the LSP."""
    channel = await alice.channel(alice_can_pay)
    assert channel is not None
    return truth.scid(channel)


async def test_a_token_halves_the_price(shop: Shop, alice: Node, lsp: Node, alice_buys: Customer, scid: str) -> None:
    """With the token the LSP's lnd receives half of what the same order costs without it, rounded up (bLIP-57 §2)."""
    async with wire(alice) as line:
        params: dict[str, Any] = {"short_channel_id": scid, "channel_extension_expiry_blocks": 100}
        full = (await line.call(lsp, "lsps7.create_order", **params))["result"]
        price = int(full["payment"]["bolt11"]["order_total_sat"])
        ledger = await Ledger.opened(shop, alice)
        ran = await alice_buys.extend(shop, scid, 100, "--token", HALF)
        assert ran.code == 0, ran
        order_id = await ledger.check_sold_once()
        told = (await line.call(lsp, "lsps7.get_order", order_id=order_id))["result"]
    assert told["token"] == HALF
    assert [int(each["amt_paid_sat"]) for each in (await ledger.invoiced()).values()] == [(price + 1) // 2]


async def test_a_free_extension(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, alice_buys: Customer, scid: str
) -> None:
    """A free extension is COMPLETED at once, with an empty payment object; no lnd has an invoice or a payment for it,
    and the lease is longer all the same (design: free orders)."""
    ledger = await Ledger.opened(shop, alice)
    before = await alice_buys.leases(shop)
    (entry,) = (each for each in before.json["channels"] if each["short_channel_id"] == scid)
    ran = await alice_buys.extend(shop, scid, 30, "--token", FREE, max_fee=0)
    assert ran.code == 0, ran
    (order,) = await ledger.sold()
    assert (order["state"], order["payment_hash"]) == ("completed", None)
    assert not await ledger.invoiced()
    assert not await ledger.paid()
    async with wire(alice) as line:
        told = (await line.call(lsp, "lsps7.get_order", order_id=order["order_id"]))["result"]
    assert (told["order_state"], told["payment"]) == ("COMPLETED", {})
    after = await alice_buys.leases(shop)
    (extended,) = (each for each in after.json["channels"] if each["short_channel_id"] == scid)
    assert extended["expiration_block"] == max(entry["expiration_block"], await net.btcd.height()) + 30


async def test_a_free_channel_and_a_token_used_up(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, alice_buys: Customer, scid: str, alice_can_pay: str
) -> None:
    """A free channel is opened without any invoice or payment; the token's two uses are gone then, and it gets error
    102 like one that never was; nothing comes of that (bLIP-51 §2, bLIP-57 §2)."""
    ledger = await Ledger.opened(shop, alice)
    ran = await alice_buys.buy(shop, LSP_BALANCE, 144, "--token", FREE, max_fee=0)
    assert ran.code == 0, ran
    point = await ledger.check_one_channel(LSP_BALANCE)
    assert ran.json["order"]["channel"]["funding_outpoint"] == point
    assert not await ledger.invoiced()
    assert not await ledger.paid()
    await net.mine(1)
    await net.wait_active(point, lsp, alice)

    ledger = await Ledger.opened(shop, alice)
    for token in (FREE, "never was", HALF.upper()):
        for ran in (
            await alice_buys.extend(shop, scid, 31, "--token", token),
            await alice_buys.buy(shop, LSP_BALANCE, 145, "--token", token),
        ):
            assert (ran.code, ran.json["error"]["kind"]) == (1, "TokenRefused"), ran
            assert token not in ran.stderr
    async with wire(alice) as line:
        params = {"short_channel_id": scid, "channel_extension_expiry_blocks": 31, "token": "never was"}
        reply = await line.call(lsp, "lsps7.create_order", **params)
        assert reply["error"]["code"] == 102
    assert not await ledger.sold()
    assert not await ledger.invoiced()
    assert not await ledger.paid()
    await ledger.check_no_channel()
