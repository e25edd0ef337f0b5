"""The chain changes its mind after delivery: a payment is spent elsewhere, or a channel is confirmed later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random

import pytest
import pytest_asyncio

from interop.lnd.node import Node, NodeSpec
from interop.lnd.regtest import Regtest, eventually
from lsps.clock import SystemClock
from lsps.node.contract import Spend
from lsps.node.lnd.node import open_node
from lsps.units import Sat
from tests.e2e import truth
from tests.e2e.onchain import PAYMENT, PRICE
from tests.e2e.shop import Shop, shop_on
from tests.e2e.till import CHANNEL, Till
from tests.e2e.wire import wire

pytestmark = pytest.mark.asyncio(loop_scope="session")

BLOCKS = int(CHANNEL["channel_expiry_blocks"])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(net: Regtest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """An LSP that takes on-chain payments, confirmed once."""
    await net.mine(1)  # what others left in the mempool
    async with shop_on(net["lsp"], tmp_path_factory.mktemp("shop"), payment=PAYMENT, price=PRICE) as serving:
        yield serving


async def expiration(shop: Shop, buyer: Node, point: str) -> int:
    """The end of the lease of this channel, as its peer is told."""
    channel = await buyer.channel(point)
    assert channel is not None
    async with wire(buyer) as line:
        listed = (await line.call(shop.node, "lsps7.get_extendable_channels"))["result"]["extendable_channels"]
    (found,) = (each for each in listed if each["short_channel_id"] in truth.scids(channel))
    return int(found["expiration_block"])


async def until_expiration(shop: Shop, buyer: Node, point: str, block: int) -> None:
    async def reached() -> bool:
        return await expiration(shop, buyer, point) == block

    await eventually(f"the lease of {point} ends at {block}", reached)


async def test_payments_are_spent_elsewhere_after_delivery(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, alice_can_pay: str
) -> None:
    """A customer whose payments for a channel and an extension lost their block spends them elsewhere: what was told
    stays told, nothing is given back, and the ledger shows both as delivered and not paid for (money rule 5)."""
    mine = await alice.channel(alice_can_pay)
    assert mine is not None
    wish = {"short_channel_id": truth.scid(mine), "channel_extension_expiry_blocks": 100}
    extension = await Till.ordered(shop, alice, "lsps7", **wish)
    channel = await Till.ordered(shop, alice, "lsps1", **CHANNEL)
    payer = open_node(alice.url(), clock=SystemClock(), random=Random(5))
    try:
        coins = [each for each in await payer.wallet.inputs() if int(each.amount) > 1_000_000][:2]
        for till, coin in zip((extension, channel), coins, strict=True):
            spend = Spend((coin.outpoint,), till.order.address, Sat(till.order.total), False, 1_000)
            paid = await payer.wallet.sign(spend)
            await payer.wallet.publish(paid)
            await net.in_mempool(paid.txid)
        await net.mine(1)
        await extension.until("completed")
        await channel.until("completed")
        (point,) = await channel.before.opened_channels()

        await net.take_back(1)
        elsewhere = await alice.new_address()
        taken = await payer.wallet.sign(
            Spend((coins[0].outpoint, coins[1].outpoint), elsewhere, Sat(500_000), False, 9_000)
        )
        await payer.wallet.publish(taken)
    finally:
        await payer.close()
    await net.in_mempool(taken.txid)
    assert set(await net.btcd.mempool()) == {point.split(":")[0], taken.txid}
    await net.mine(1)
    assert [each.confirmations for each in await truth.received(alice, elsewhere)] == [1]

    for till in (extension, channel):

        async def unpaid(till: Till = till) -> bool:
            return (await till.accounts()).get("unpaid") == till.order.total

        await eventually(f"order {till.order.order_id} is unpaid in the ledger", unpaid)
        accounts = await till.check_books()
        assert accounts.pop("unpaid") == accounts.pop("earned") + accounts.pop("delivered", 0) == till.order.total
        assert not accounts
        assert await till.told() == ("COMPLETED", "PAID")
        assert not await till.refunds()
    await net.wait_active(point, lsp, alice)
    await net.mine(5)
    assert (await extension.accounts())["unpaid"] == extension.order.total


async def test_a_channel_that_confirms_again_in_a_later_block(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, alice_can_pay: str
) -> None:
    """A channel's lease counts from the block that lnd names, and never gets shorter. lnd (v0.21.2-beta) names the
    first block for ever, once the channel is open; docs/lnd.md says so."""
    till = await Till.ordered(shop, alice, "lsps1", **CHANNEL)
    paid = await till.pay(net)
    await net.mine(1)
    point = await till.check_delivered(paid)
    height = await net.mine(1)
    await net.wait_active(point, lsp, alice)
    await until_expiration(shop, alice, point, height + BLOCKS)
    await net.take_back(1)
    await net.btcd.generate_empty()
    await net.mine(1)
    ours = await lsp.channel(point)
    assert ours is not None
    assert truth.scid(ours).startswith(f"{height}x")
    (funding,) = (tx for tx in await truth.transactions(lsp) if tx["tx_hash"] == point.split(":")[0])
    assert funding["block_height"] == height + 1
    assert await expiration(shop, alice, point) == height + BLOCKS


async def test_a_channel_that_waits_for_more_confirmations_moves(net: Regtest, shop: Shop, lsp: Node) -> None:
    """While a channel waits for its confirmations, a reorganisation puts its funding in a later block: the lease
    counts from that one (bLIP-51 §4: channel_expiry_blocks from the confirmation)."""
    patient = await net.add(NodeSpec("patient", ("--bitcoin.defaultchanconfs=3",)), funds=1_000_000)
    await net.connect(patient, lsp)
    till = await Till.ordered(shop, patient, "lsps1", **CHANNEL)
    paid = await till.pay(net)
    await net.mine(1)
    point = await till.check_delivered(paid)
    height = await net.mine(2) - 1
    await net.take_back(2)
    await net.btcd.generate_empty()
    await net.btcd.generate_empty()
    await net.mine(3)
    await net.wait_active(point, lsp, patient)
    ours = await lsp.channel(point)
    assert ours is not None
    assert truth.scid(ours).startswith(f"{height + 2}x")
    await until_expiration(shop, patient, point, height + 2 + BLOCKS)
    await till.check_delivered(paid)
    await net.remove(patient)
