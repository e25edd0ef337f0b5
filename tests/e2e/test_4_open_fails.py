"""Scenario 4: the channel cannot be opened: the held payment is given back, the order is FAILED and REFUNDED."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from interop.lnd.node import LSP_FLAGS, Node, NodeSpec
from interop.lnd.regtest import Regtest
from tests.e2e import truth
from tests.e2e.shop import Customer, Ran, Shop, shop_on
from tests.e2e.wire import until_told

pytestmark = pytest.mark.asyncio(loop_scope="session")

LSP_BALANCE = 300_000
BLOCKS = 1_008
GIVE_UP_AFTER = 6
"""Seconds that a paid order waits for funds or the peer."""
MAX_PENDING = 5
"""How many channels an lnd of the harness lets one peer have pending."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(net: Regtest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """An LSP that gives up soon."""
    patience = {"give_up_after_seconds": GIVE_UP_AFTER}
    async with shop_on(net["lsp"], tmp_path_factory.mktemp("shop"), payment=patience) as serving:
        yield serving


async def check_given_back(shop: Shop, buyer: Node, order_id: str) -> None:
    """The LSP's lnd has cancelled the invoice, the payer's lnd says FAILED, no channel came into being, and the LSP
    tells the customer FAILED and REFUNDED (bLIP-51 §3: only once the payment is back)."""
    (sold,) = (each for each in await shop.book() if each["order_id"] == order_id)
    await truth.until_state(shop.node, sold["payment_hash"], "CANCELED")
    await truth.until_payment(buyer, sold["payment_hash"], "FAILED")
    order = await until_told(buyer, shop.node, "lsps1", order_id, "REFUNDED")
    assert (order["order_state"], order["channel"]) == ("FAILED", None)
    assert await truth.hash_of(buyer, order["payment"]["bolt11"]["invoice"]) == sold["payment_hash"]


async def check_refused(ran: Ran) -> str:
    """The command failed with exit code 1 because the order did; its order id."""
    assert (ran.code, ran.json["error"]["kind"]) == (1, "OrderFailed"), ran
    return str(ran.json["error"]["order_id"])


async def test_no_funds(
    net: Regtest, alice: Node, alice_buys: Customer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """An LSP whose funds went after the order waits for give_up_after, then gives the payment back; a new order is
    refused before anything is paid (error 1, bLIP-50)."""
    pauper = await net.add(NodeSpec("pauper", LSP_FLAGS), funds=1_000_000)
    await net.open_channel(alice, pauper, 500_000)
    patience = {"give_up_after_seconds": GIVE_UP_AFTER}
    async with shop_on(pauper, tmp_path_factory.mktemp("pauper"), payment=patience) as poor:
        ordered = await alice_buys.buy(poor, LSP_BALANCE, BLOCKS, "--no-pay")
        assert ordered.code == 0, ordered
        await pauper.lncli("sendcoins", "--force", "--sweepall", f"--addr={await alice.new_address()}")
        paid_before = await truth.payments(alice)
        order_id = await check_refused(await alice_buys.buy(poor, LSP_BALANCE, BLOCKS))
        assert order_id == ordered.json["order"]["order_id"]
        assert poor.logged("effect_put_off") > 0
        await check_given_back(poor, alice, order_id)
        assert not await truth.pending_channels(alice, pauper)
        assert not await truth.settled(pauper)

        refused = await alice_buys.buy(poor, LSP_BALANCE, BLOCKS)
        assert (refused.code, refused.json["error"]["kind"]) == (1, "ClientRejected"), refused
        assert len(await truth.payments(alice)) == len(paid_before) + 1
    await net.remove(pauper)


async def test_the_peer_is_gone(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, alice_buys: Customer, alice_can_pay: str
) -> None:
    """The buyer's lnd goes away once its payment is held (and `lsps serve` dies and starts again meanwhile): the LSP
    waits for it, then gives the payment back; the buyer's command, which lived through it all, says so."""
    settled = await truth.settled(lsp)
    await shop.stop()
    await shop.start(failpoint="invoice.held")
    buying = asyncio.create_task(alice_buys.buy(shop, LSP_BALANCE, BLOCKS))
    try:
        assert await shop.ended() == -9
        (digest,) = await truth.invoices(lsp, "ACCEPTED")
        await alice.stop()
        await shop.start()
        await truth.until_state(lsp, digest, "CANCELED")
        assert shop.logged("effect_put_off") > 0
        await alice.start()
        await alice.wait_synced()
        await net.connect(alice, lsp)
        order_id = await check_refused(await buying)
    finally:
        buying.cancel()
        if not alice.process.running:
            await alice.restart()
    (sold,) = (each for each in await shop.book() if each["order_id"] == order_id)
    assert sold["payment_hash"] == digest
    await check_given_back(shop, alice, order_id)
    assert not await truth.pending_channels(lsp, alice)
    assert await truth.settled(lsp) == settled
    await net.wait_active(alice_can_pay, alice, lsp)


async def test_the_peer_refuses(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, alice_buys: Customer, alice_can_pay: str
) -> None:
    """A buyer's lnd that takes no more pending channels refuses the opening: the payment comes back at once. When it
    has room again the same purchase works: nothing stayed locked (bLIP-51 §4.1)."""
    for _ in range(MAX_PENDING):
        await lsp.lncli("openchannel", f"--node_key={alice.node_id}", "--local_amt=20000", "--private")
    pending = await truth.pending_channels(lsp, alice)
    assert len(pending) == MAX_PENDING
    order_id = await check_refused(await alice_buys.buy(shop, LSP_BALANCE, BLOCKS))
    await check_given_back(shop, alice, order_id)
    (sold,) = (each for each in await shop.book() if each["order_id"] == order_id)
    assert "pending channels exceed maximum" in sold["reason"]
    assert len(await truth.pending_channels(lsp, alice)) == MAX_PENDING

    await net.mine(1)
    await net.wait_active(pending[-1]["channel_point"], alice, lsp)
    again = await alice_buys.buy(shop, LSP_BALANCE, BLOCKS)
    assert again.code == 0, again
    assert again.json["order"]["order_id"] != order_id
    (opened,) = await truth.pending_channels(lsp, alice)
    assert opened["channel_point"] == again.json["order"]["channel"]["funding_outpoint"]
    await net.mine(1)


async def test_a_channel_without_confirmation_is_refused(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, alice_buys: Customer, alice_can_pay: str
) -> None:
    """A 0-conf order that is paid by hand, with nobody there to accept the channel, is refused by the buyer's lnd: the
    payment comes back."""
    before = await truth.channels_between(lsp, alice)
    ordered = await alice_buys.buy(shop, LSP_BALANCE, BLOCKS, "--zero-conf", "--no-pay")
    assert ordered.code == 0, ordered
    order = ordered.json["order"]
    payment = await net.pay(alice, order["payment"]["bolt11"]["invoice"])
    assert payment["status"] == "FAILED"
    await check_given_back(shop, alice, order["order_id"])
    assert not await truth.pending_channels(lsp, alice)
    assert (await truth.channels_between(lsp, alice)).keys() == before.keys()
