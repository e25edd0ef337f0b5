"""Scenario 9: orders paid on-chain (bLIP-51 §3.3), in every amount, at any time, on a chain that changes its mind.

What was paid, delivered and given back is read from the customer's and the LSP's lnd.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from interop.lnd.macaroons import bake
from interop.lnd.node import Node
from interop.lnd.regtest import Regtest, eventually
from lsps.clock import SystemClock
from lsps.compose import open_service
from lsps.config.file import load_config
from lsps.node.contract import Spend
from lsps.node.lnd.node import open_node
from lsps.node.lnd.permissions import SERVING
from lsps.units import Sat
from tests.e2e import truth
from tests.e2e.onchain import (
    PAYMENT,
    PRICE,
    MovableClock,
    OnchainOrder,
    nudge,
    place,
    send,
    until_received,
)
from tests.e2e.shop import Shop, closed_shop, shop_on
from tests.e2e.wire import Wire, wire

pytestmark = pytest.mark.asyncio(loop_scope="session")

CHANNEL = {
    "lsp_balance_sat": "300000",
    "client_balance_sat": "50000",
    "required_channel_confirmations": 1,
    "funding_confirms_within_blocks": 6,
    "channel_expiry_blocks": 144,
    "announce_channel": False,
}
BLOCKS = 100


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(net: Regtest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    async with shop_on(net["lsp"], tmp_path_factory.mktemp("shop"), payment=PAYMENT, price=PRICE) as serving:
        yield serving


@pytest_asyncio.fixture(loop_scope="session")
async def line(net: Regtest, alice: Node, lsp: Node) -> AsyncIterator[Wire]:
    await net.connect(alice, lsp)
    async with wire(alice) as listening:
        yield listening


@pytest_asyncio.fixture(loop_scope="session")
async def refund(alice: Node) -> str:
    """A new address of alice's."""
    return await alice.new_address()


@pytest_asyncio.fixture(loop_scope="session")
async def extension(alice: Node, alice_can_pay: str) -> dict[str, Any]:
    """What alice asks for when she extends her own channel."""
    channel = await alice.channel(alice_can_pay)
    assert channel is not None
    return {"short_channel_id": truth.scid(channel), "channel_extension_expiry_blocks": BLOCKS}


async def in_ledger(shop: Shop, order: OnchainOrder) -> dict[str, int]:
    """What the ledger says of this order, in sat, without what is nothing. The whole ledger balances."""
    listed = (await shop.ledger())["orders"]
    (found,) = [each for each in listed if each["order_id"] == order.order_id]
    amounts = {name.removesuffix("_msat"): int(found[name]) // 1000 for name in found if name.endswith("_msat")}
    return {name: amount for name, amount in amounts.items() if amount}


async def until_in_ledger(shop: Shop, order: OnchainOrder, **expected: int) -> None:
    found: dict[str, int] = {}

    async def reached() -> bool:
        found.clear()
        found.update(await in_ledger(shop, order))
        return found == expected

    try:
        await eventually(f"the ledger says {expected} of order {order.order_id}", reached, 90)
    except Exception as error:
        raise AssertionError(f"{error}: {found}") from error


async def test_a_channel_is_bought(net: Regtest, shop: Shop, alice: Node, lsp: Node, line: Wire, refund: str) -> None:
    """The exact amount, confirmed once, buys the channel: not before; nothing goes back, the invoice beside it is
    cancelled, and what was paid is not among the coins that fund the channel."""
    order = await place(line, lsp, "lsps1", refund=refund, **CHANNEL)
    told = await order.told(line)
    txid = await send(net, alice, order.address, order.total)
    await order.until_deposits(shop, None)
    assert (await order.told(line))["payment"]["onchain"]["state"] == "EXPECT_PAYMENT"
    assert not await truth.pending_channels(lsp, alice)

    await net.mine(1)
    told = await order.until(line, "COMPLETED", "PAID")
    (pending,) = await truth.pending_channels(lsp, alice)
    assert pending["channel_point"] == told["channel"]["funding_outpoint"]
    assert (pending["capacity"], pending["remote_balance"]) == ("350000", "50000")
    (deposit,) = await order.deposits(shop)
    assert deposit["outpoint"].startswith(txid)
    assert not await truth.spenders(lsp, deposit["outpoint"])
    digest = await truth.hash_of(alice, told["payment"]["bolt11"]["invoice"])
    await truth.until_state(lsp, digest, "CANCELED")
    assert (await in_ledger(shop, order)) == {
        "onchain": order.total,
        "earned": order.total - 50_000,
        "delivered": 50_000,
    }
    await net.mine(1)
    await net.wait_active(pending["channel_point"], alice, lsp)
    assert not await truth.received(alice, refund)


async def test_too_much_comes_back(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, line: Wire, refund: str, extension: dict[str, Any]
) -> None:
    """An extension that is overpaid, in two payments, is delivered; the rest goes back to the refund address less the
    miners' fee, from the very coin that was too much (bLIP-51 §3.3)."""
    order = await place(line, lsp, "lsps7", refund=refund, **extension)
    await send(net, alice, order.address, order.total - 5_000)
    await net.mine(1)
    await order.until_deposits(shop, await net.btcd.height())
    assert (await order.told(line))["order_state"] == "CREATED"
    await send(net, alice, order.address, 45_000)
    await net.mine(1)
    await order.until(line, "COMPLETED", "PAID")
    back = await until_received(alice, refund, confirmed=False)
    await net.mine(1)
    assert (await until_received(alice, refund, confirmed=True)).txid == back.txid
    fee = 40_000 - back.amount
    assert 0 < fee < 1_000
    await until_in_ledger(
        shop, order, onchain=order.total + 40_000, earned=order.total, refunded=back.amount, refund_fees=fee
    )
    second = next(each for each in await order.deposits(shop) if each["amount_sat"] in (45_000, "45000"))
    assert await truth.spenders(lsp, second["outpoint"]) == {back.txid}


async def test_a_refused_opening_comes_back(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, line: Wire, refund: str
) -> None:
    """When the customer's lnd refuses the channel (a 0-conf one that nobody accepts), all that was paid goes back, less
    the miners' fee: FAILED and REFUNDED once that is published (bLIP-51 §3.3), and no channel."""
    order = await place(line, lsp, "lsps1", refund=refund, **CHANNEL | {"required_channel_confirmations": 0})
    await send(net, alice, order.address, order.total)
    await net.mine(1)
    await order.until(line, "FAILED", "REFUNDED")
    back = await until_received(alice, refund, confirmed=False)
    assert back.txid in await net.btcd.mempool()
    assert not await truth.pending_channels(lsp, alice)
    await net.mine(1)
    await until_received(alice, refund, confirmed=True)
    fee = order.total - back.amount
    assert 0 < fee < 1_000
    await until_in_ledger(shop, order, onchain=order.total, refunded=back.amount, refund_fees=fee)
    (deposit,) = await order.deposits(shop)
    assert await truth.spenders(lsp, deposit["outpoint"]) == {back.txid}


async def test_both_ways_at_once(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, line: Wire, refund: str, extension: dict[str, Any]
) -> None:
    """Paid by Lightning first, and then on-chain as well: delivered once, and all of the second payment comes back."""
    order = await place(line, lsp, "lsps7", refund=refund, **extension)
    await send(net, alice, order.address, order.total)
    invoice = (await order.told(line))["payment"]["bolt11"]["invoice"]
    assert (await net.pay(alice, invoice))["status"] == "SUCCEEDED"
    await net.mine(1)
    told = await order.until(line, "COMPLETED", "REFUNDED")
    assert told["payment"]["bolt11"]["state"] == "PAID"
    await net.mine(1)
    back = await until_received(alice, refund, confirmed=True)
    assert order.total - 1_000 < back.amount < order.total


async def test_a_payment_is_taken_back_and_comes_again(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, line: Wire, refund: str
) -> None:
    """A reorganisation takes a payment back before the channel is opened (its buyer is away): the LSP waits, also when
    the buyer comes back; in a block again, it buys the channel."""
    order = await place(line, lsp, "lsps1", refund=refund, **CHANNEL)
    await send(net, net["bob"], order.address, order.total)
    await alice.stop()
    await net.mine(1)

    async def paid() -> bool:
        return bool((await order.row(shop))["state"] == "paid")

    await eventually("the order is paid", paid)
    await net.take_back(1)
    await nudge(net, lsp)
    await order.until_deposits(shop, None)
    await alice.start()
    await net.connect(alice, lsp)
    async with wire(alice) as again:
        for _ in range(5):
            assert (await order.told(again))["order_state"] == "CREATED"
        assert not await truth.pending_channels(lsp, alice)
        assert await paid()
        await net.mine(1)
        told = await order.until(again, "COMPLETED", "PAID")
    (pending,) = await truth.pending_channels(lsp, alice)
    assert pending["channel_point"] == told["channel"]["funding_outpoint"]
    await net.mine(1)
    await net.wait_active(pending["channel_point"], alice, lsp)


async def test_a_payment_is_taken_back_after_delivery(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, line: Wire, refund: str, extension: dict[str, Any]
) -> None:
    """What is delivered stays delivered when its payment loses its block; the ledger shows it as unpaid until the
    payment is in a block again."""
    order = await place(line, lsp, "lsps7", refund=refund, **extension)
    await send(net, alice, order.address, order.total)
    await net.mine(1)
    await order.until(line, "COMPLETED", "PAID")
    await net.take_back(1)
    await nudge(net, lsp)
    await order.until_deposits(shop, None)
    assert (await order.told(line))["order_state"] == "COMPLETED"
    assert (await in_ledger(shop, order))["unpaid"] == order.total
    await net.mine(1)
    await order.until_deposits(shop, await net.btcd.height())
    assert await in_ledger(shop, order) == {"onchain": order.total, "earned": order.total}


async def test_a_payment_that_is_replaced_buys_once(
    net: Regtest, shop: Shop, bob: Node, lsp: Node, line: Wire, refund: str, extension: dict[str, Any]
) -> None:
    """A payment that loses its block and is replaced by another from the same coin (BIP 125) counts once."""
    order = await place(line, lsp, "lsps7", refund=refund, **extension)
    payer = open_node(bob.url(), clock=SystemClock(), random=Random(3))
    try:
        coin = next(utxo for utxo in await payer.wallet.inputs() if int(utxo.amount) > 2 * order.total)
        for rate in (1_000, 5_000):
            spend = Spend((coin.outpoint,), order.address, Sat(order.total - 2_000), False, rate)
            await payer.wallet.publish(await payer.wallet.sign(spend))
            await net.mine(1)
            await order.until_deposits(shop, await net.btcd.height())
            if rate == 1_000:
                await net.take_back(1)
        assert (await order.told(line))["order_state"] == "CREATED"
    finally:
        await payer.close()
    await send(net, bob, order.address, 2_000)
    await net.mine(1)
    await order.until(line, "COMPLETED", "PAID")
    assert await in_ledger(shop, order) == {"onchain": order.total, "earned": order.total}


# --- with a clock that can be moved -----------------------------------------------------------------------------------


@asynccontextmanager
async def serving_here(shop: Shop, clock: MovableClock) -> AsyncIterator[None]:
    """The shop's service in this process, on the same node and store."""
    await shop.stop()
    try:
        config = load_config(shop.directory / "lsps.toml")
        async with open_service(config, clock=clock, environment={}) as wired, wired.service.running():
            yield
    finally:
        await shop.start()


async def test_too_little_comes_back(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, line: Wire, refund: str, extension: dict[str, Any]
) -> None:
    """A payment that is short goes back once its order has expired; a refund that does not confirm within 6 hours is
    replaced by one that pays more from the same coin, so that one of them is paid (bLIP-51 §3.3); and what is paid
    after FAILED goes back as well."""
    clock = MovableClock()
    async with serving_here(shop, clock):
        order = await place(line, lsp, "lsps7", refund=refund, **extension)
        await send(net, alice, order.address, order.total - 1)
        await net.mine(1)
        await order.until_deposits(shop, await net.btcd.height())
        assert (await order.told(line))["order_state"] == "CREATED"
        clock.forward(hours=25)
        await order.until(line, "FAILED", "REFUNDED")
        first = await until_received(alice, refund, confirmed=False)

        clock.forward(hours=6.1)
        (deposit,) = await order.deposits(shop)

        async def replaced() -> bool:
            waiting = await truth.spenders(lsp, deposit["outpoint"]) & set(await net.btcd.mempool())
            return bool(waiting) and first.txid not in waiting

        await eventually("a new refund has replaced the first", replaced)
        assert len(await truth.spenders(lsp, deposit["outpoint"])) == 2
        await net.mine(1)
        back = await until_received(alice, refund, confirmed=True)
        assert back.txid != first.txid
        assert back.amount < first.amount
        assert await truth.spenders(lsp, deposit["outpoint"]) == {back.txid}
        short = order.total - 1
        await until_in_ledger(shop, order, onchain=short, refunded=back.amount, refund_fees=short - back.amount)

        await send(net, alice, order.address, order.total)
        await net.mine(1)

        async def both() -> bool:
            return len(await truth.received(alice, refund)) == 2

        await eventually("the late payment is on its way back", both)
        await net.mine(1)
        amounts = {one.amount for one in await truth.received(alice, refund) if one.confirmations}
        paid = order.total + short
        await until_in_ledger(shop, order, onchain=paid, refunded=sum(amounts), refund_fees=paid - sum(amounts))
        assert (await order.told(line))["order_state"] == "FAILED"


# --- the start --------------------------------------------------------------------------------------------------------


async def test_no_payment_without_a_confirmation(net: Regtest, tmp_path_factory: pytest.TempPathFactory) -> None:
    """LND does not know an incoming transaction's fee (bLIP-51 §3.3, min_fee_for_0conf), so the start is refused."""
    payment = PAYMENT | {"min_onchain_payment_confirmations": 0}
    shop = await closed_shop(net["bob"], tmp_path_factory.mktemp("hasty"), payment=payment)
    shop.launch()
    assert await shop.ended() == 2
    assert "payment.min_onchain_payment_confirmations" in shop.process.tail()
    assert not shop.logged("serving")


async def test_a_macaroon_that_is_too_small(net: Regtest, tmp_path_factory: pytest.TempPathFactory) -> None:
    """With the macaroon for serving without on-chain payments, a service that offers them ends, and names what the
    macaroon must allow."""
    bob = net["bob"]
    shop = Shop(bob, await bake(bob, "serving", SERVING), tmp_path_factory.mktemp("small"))
    shop.configure(payment=PAYMENT)
    shop.launch()
    assert await shop.ended() != 0
    assert "uri:/lnrpc.Lightning/SubscribeTransactions" in shop.process.tail()
