"""Scenario 9, the customer's side: `lsps buy` and `lsps extend` with --pay onchain, from alice's lnd (bLIP-51 §3.3).

What was paid, and what came back, is read from both lnds.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import pytest
import pytest_asyncio

from interop.lnd.macaroons import bake
from interop.lnd.node import Node, NodeSpec
from interop.lnd.regtest import Regtest, eventually
from lsps.node.lnd.permissions import BUYING, BUYING_ONCHAIN
from tests.e2e import truth
from tests.e2e.once import KILLED, Ledger
from tests.e2e.onchain import PAYMENT, PRICE
from tests.e2e.shop import Customer, Ran, Shop, environment, run, shop_on

pytestmark = pytest.mark.asyncio(loop_scope="session")

LSP_BALANCE = 300_000
CLIENT_BALANCE = 50_000
CAPACITY = LSP_BALANCE + CLIENT_BALANCE
BLOCKS = 1_008
ONCHAIN = ("--pay", "onchain")
CHANNEL = ("--client-balance", CLIENT_BALANCE, *ONCHAIN)
FUNDS = 1_000_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(net: Regtest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """An LSP that takes on-chain payments, confirmed once."""
    await net.mine(1)  # what others left in the mempool
    async with shop_on(net["lsp"], tmp_path_factory.mktemp("shop"), payment=PAYMENT, price=PRICE) as serving:
        yield serving


async def payer_on(node: Node, tmp_path_factory: pytest.TempPathFactory) -> Customer:
    """The `lsps` commands on this node, with the macaroon for paying on-chain and a journal of their own."""
    macaroon = await bake(node, "buying-onchain", BUYING_ONCHAIN)
    return Customer(node, macaroon, tmp_path_factory.mktemp(node.name))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def alice_pays(net: Regtest, tmp_path_factory: pytest.TempPathFactory) -> Customer:
    return await payer_on(net["alice"], tmp_path_factory)


@pytest_asyncio.fixture(loop_scope="session")
async def scid(alice: Node, alice_can_pay: str) -> str:
    """Alice's own channel to the LSP."""
    channel = await alice.channel(alice_can_pay)
    assert channel is not None
    return truth.scid(channel)


async def journal(customer: Customer) -> list[dict[str, Any]]:
    """What `lsps orders --json` lists, newest first."""
    ran = await run(["orders", "--json"], environment(customer.directory))
    assert ran.code == 0, ran
    return list(ran.json["orders"])


async def confirmed(net: Regtest, command: Coroutine[Any, Any, Ran], blocks: int = 1) -> tuple[Ran, list[str]]:
    """The command to its end: `blocks` are mined, each once one new transaction waits for it; their ids."""
    txids: list[str] = []
    known = set(await net.btcd.mempool())
    async with asyncio.TaskGroup() as group:
        running = group.create_task(command)

        async def waits() -> bool:
            return bool(set(await net.btcd.mempool()) - known) or running.done()

        for _ in range(blocks):
            await eventually("a transaction waits for a block", waits, 60)
            assert not running.done(), running.result()
            (txid,) = set(await net.btcd.mempool()) - known
            txids.append(txid)
            await net.mine(1)
    return running.result(), txids


async def check_paid_once(before: Ledger, customer: Customer, txid: str) -> dict[str, Any]:
    """One new order, completed, to whose address one transaction ever paid, this one, the order's total exactly; the
    journal says the same, with the fee that lnd names; nothing went over Lightning. Returns the order in the book."""
    (order,) = await before.sold()
    assert order["state"] == "completed"
    total, address = int(order["onchain"]["order_total_sat"]), order["onchain"]["address"]
    (got,) = await truth.received(before.shop.node, address)
    assert (got.txid, got.amount) == (txid, total)
    assert got.confirmations > 0
    (paying,) = (
        tx
        for tx in await truth.transactions(customer.node)
        if address in {output["address"] for output in tx["output_details"]}
    )
    assert paying["tx_hash"] == txid
    (entry,) = (each for each in await journal(customer) if each["order_id"] == order["order_id"])
    assert entry["state"] == "completed"
    assert entry["transaction"] == {"txid": txid, "paid_sat": str(total), "fee_sat": str(paying["total_fees"])}
    assert int(paying["amount"]) == -(total + int(paying["total_fees"]))
    assert not await before.paid()
    return order


async def test_a_channel_is_bought(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, alice_pays: Customer, alice_can_pay: str
) -> None:
    """One command pays from the wallet, waits for the block, sees COMPLETED and the channel, and names the transaction;
    so does the journal."""
    before = await Ledger.opened(shop, alice)
    ran, (txid,) = await confirmed(net, alice_pays.buy(shop, LSP_BALANCE, BLOCKS, *CHANNEL))
    assert ran.code == 0, ran
    sold = await check_paid_once(before, alice_pays, txid)
    point = await before.check_one_channel(CAPACITY)
    order = ran.json["order"]
    assert (order["order_id"], order["order_state"]) == (sold["order_id"], "COMPLETED")
    assert order["payment"]["onchain"]["state"] == "PAID"
    assert order["channel"]["funding_outpoint"] == ran.json["channel"]["funding_outpoint"] == point
    assert (ran.json["resumed"], ran.json["delivered"], ran.json["payment"]) == (False, True, None)
    assert ran.json["transaction"] == (await journal(alice_pays))[0]["transaction"]
    await net.mine(1)
    await net.wait_active(point, lsp, alice)


async def test_a_lease_is_extended(net: Regtest, shop: Shop, alice: Node, alice_pays: Customer, scid: str) -> None:
    """Paid from the wallet, the extension is in the LSP's list."""
    before = await Ledger.opened(shop, alice)
    ran, (txid,) = await confirmed(net, alice_pays.extend(shop, scid, BLOCKS, *ONCHAIN))
    assert ran.code == 0, ran
    sold = await check_paid_once(before, alice_pays, txid)
    assert (ran.json["order"]["order_state"], ran.json["delivered"]) == ("COMPLETED", True)
    assert ran.json["transaction"]["txid"] == txid
    listed = await alice_pays.leases(shop)
    (lease,) = (each for each in listed.json["channels"] if each["short_channel_id"] == scid)
    assert lease["expiration_block"] == sold["new_channel_expiry_block"]
    assert sold["order_id"] in lease["extension_order_ids"]


async def test_an_extension_whose_buyer_dies_before_it_publishes(
    net: Regtest, shop: Shop, alice: Node, alice_pays: Customer, scid: str
) -> None:
    """Killed with the order made, on the brink of paying, with the transaction signed, once it counts and once all is
    done, the same command goes on: the very transaction that was signed first pays, and no other."""
    before, known = await Ledger.opened(shop, alice), await truth.transactions(alice)
    wish = (shop, scid, 300, *ONCHAIN)
    for failpoint in ("client_ordered", "client_paying", "client_signed"):
        ran = await alice_pays.extend(*wish, failpoint=failpoint)
        assert ran.code == KILLED, ran
        assert not await net.btcd.mempool()
        assert await truth.transactions(alice) == known
        (entry, *_) = await journal(alice_pays)
        assert (entry["transaction"] is not None) == (failpoint == "client_signed")
    ran, (txid,) = await confirmed(net, alice_pays.extend(*wish, failpoint="client_paid"))
    assert ran.code == KILLED, ran
    assert txid == entry["transaction"]["txid"]
    ran = await alice_pays.extend(*wish, failpoint="client_completed")
    assert ran.code == KILLED, ran
    ran = await alice_pays.extend(*wish)
    assert (ran.code, ran.json["resumed"], ran.json["delivered"]) == (0, True, True), ran
    await check_paid_once(before, alice_pays, txid)


async def test_a_channel_whose_buyer_dies_once_it_is_published(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, alice_pays: Customer, alice_can_pay: str
) -> None:
    """Killed with the payment in the mempool, and away while it confirms and the channel is opened, the same command
    goes on with the same order: one payment, one channel."""
    before = await Ledger.opened(shop, alice)
    wish = (shop, LSP_BALANCE, BLOCKS, *CHANNEL)
    ran = await alice_pays.buy(*wish, failpoint="client_published")
    assert ran.code == KILLED, ran
    (txid,) = await net.btcd.mempool()
    await net.mine(1)

    async def opened() -> bool:
        return bool(await before.opened_channels())

    await eventually("the channel is opened", opened)
    ran = await alice_pays.buy(*wish)
    assert (ran.code, ran.json["resumed"], ran.json["delivered"]) == (0, True, True), ran
    assert ran.json["transaction"]["txid"] == txid
    await check_paid_once(before, alice_pays, txid)
    point = await before.check_one_channel(CAPACITY)
    await net.mine(1)
    await net.wait_active(point, lsp, alice)


async def test_what_cannot_be_opened_comes_back(
    net: Regtest, shop: Shop, lsp: Node, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A node that refuses the channel that it pays for: the command follows the refund into its block, ends with 1, and
    says what came back and what the two fees took, to the sat."""
    picky = await net.add(NodeSpec("picky", (f"--minchansize={CAPACITY + 1}",)), funds=FUNDS)
    payer = await payer_on(picky, tmp_path_factory)
    before = await Ledger.opened(shop, picky)
    buying = payer.buy(shop, LSP_BALANCE, BLOCKS, *CHANNEL)
    ran, (txid, refund) = await confirmed(net, buying, blocks=2)
    assert (ran.code, ran.json["error"]["kind"]) == (1, "OrderFailed"), ran
    (order,) = await before.sold()
    paid = int(order["onchain"]["order_total_sat"])
    assert [(one.txid, one.amount) for one in await truth.received(lsp, order["onchain"]["address"])] == [(txid, paid)]
    (back,) = await truth.received(picky, order["onchain"]["refund_onchain_address"])
    assert (back.txid, back.confirmations) == (refund, 1)
    (entry,) = await journal(payer)
    assert (entry["state"], entry["order_id"], entry["transaction"]["txid"]) == ("failed", order["order_id"], txid)
    lost, fee = paid - back.amount, int(entry["transaction"]["fee_sat"])
    assert 0 < lost < 1_000
    text = ran.json["error"]["message"]
    assert f"{back.amount} of the {paid} sat came back in {refund}:" in text
    assert f"Lost are {lost} sat" in text
    assert f"own fee of {fee} sat" in text
    assert await picky.confirmed_balance() == FUNDS - lost - fee
    await before.check_no_channel()
    await net.remove(picky)


async def test_a_transaction_that_costs_too_much(shop: Shop, alice: Node, alice_pays: Customer, scid: str) -> None:
    """Above --max-onchain-fee-sat it ends with 4: the order expires unpaid, and nothing is signed for it."""
    before, known = await Ledger.opened(shop, alice), await truth.transactions(alice)
    ran = await alice_pays.extend(shop, scid, 200, *ONCHAIN, "--max-onchain-fee-sat", 1)
    assert (ran.code, ran.json["error"]["kind"]) == (4, "OnchainFeeTooHigh"), ran
    assert "the limit of 1 sat: nothing was paid" in ran.json["error"]["message"]
    (order,) = await before.sold()
    (entry, *_) = await journal(alice_pays)
    assert (entry["order_id"], entry["state"]) == (order["order_id"], "abandoned")
    assert entry["transaction"] is None
    assert order["state"] == "awaiting payment"
    assert await truth.transactions(alice) == known
    assert not await before.paid()


@pytest.mark.parametrize("refund_elsewhere", [False, True])
async def test_a_macaroon_that_is_too_small(
    shop: Shop, alice: Node, alice_buys: Customer, scid: str, refund_elsewhere: bool
) -> None:
    """With the macaroon for buying over Lightning, the error names a call that it must allow; nothing is ordered."""
    before = await Ledger.opened(shop, alice)
    elsewhere = ("--refund-address", await alice.new_address()) if refund_elsewhere else ()
    ran = await alice_buys.extend(shop, scid, BLOCKS, *ONCHAIN, *elsewhere)
    assert (ran.code, ran.json["error"]["kind"]) == (1, "PermissionMissing"), ran
    missing = [uri for uri in BUYING_ONCHAIN if uri not in BUYING and uri in ran.json["error"]["message"]]
    assert len(missing) == 1, ran
    assert not await before.sold()
