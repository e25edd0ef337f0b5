"""Scenario 9: a leased channel is closed, and what was ordered for it before is paid after that (bLIP-57 §2)."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from interop.lnd.node import Node
from interop.lnd.regtest import Regtest
from tests.e2e import truth
from tests.e2e.once import Ledger
from tests.e2e.onchain import PAYMENT, PRICE
from tests.e2e.shop import Customer, Shop, shop_on
from tests.e2e.till import Till
from tests.e2e.wire import wire

pytestmark = pytest.mark.asyncio(loop_scope="session")

CAPACITY = 450_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(net: Regtest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """An LSP that takes on-chain payments, confirmed once."""
    async with shop_on(net["lsp"], tmp_path_factory.mktemp("shop"), payment=PAYMENT, price=PRICE) as serving:
        yield serving


async def listed(shop: Shop, buyer: Node) -> set[str]:
    """The channels that the LSP would extend."""
    async with wire(buyer) as line:
        reply = await line.call(shop.node, "lsps7.get_extendable_channels")
    return {each["short_channel_id"] for each in reply["result"]["extendable_channels"]}


async def test_what_is_paid_for_a_closed_channel_comes_back(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, alice_buys: Customer, alice_can_pay: str
) -> None:
    """The lease ends with its channel: an open order to extend it that is paid over another channel, and one that is
    paid on-chain, are both given back, and nothing can be ordered for it any more."""
    point = await net.open_channel(alice, lsp, CAPACITY, private=True)
    channel = await alice.channel(point)
    assert channel is not None
    scid = truth.scid(channel)
    wish: dict[str, object] = {"short_channel_id": scid, "channel_extension_expiry_blocks": 144}
    leased = await alice_buys.extend(shop, scid, 300)
    assert leased.code == 0, leased
    assert scid in await listed(shop, alice)

    by_onchain = await Till.ordered(shop, alice, "lsps7", **wish)
    ledger = await Ledger.opened(shop, alice)
    async with wire(alice) as line:
        by_lightning = (await line.call(lsp, "lsps7.create_order", **wish))["result"]
    await net.close_channel(alice, lsp, point)
    assert scid not in await listed(shop, alice)

    paid = await by_onchain.pay(net)
    await net.mine(1)
    await by_onchain.check_refunded(net, paid)
    payment = await net.pay(alice, by_lightning["payment"]["bolt11"]["invoice"])
    assert payment["status"] == "FAILED"
    await ledger.check_given_back(by_lightning["order_id"])
    async with wire(alice) as line:
        reply = await line.call(lsp, "lsps7.create_order", **wish)
        assert (reply["error"]["code"], reply["error"]["data"]["property"]) == (100, "short_channel_id")
