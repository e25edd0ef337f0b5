"""Scenario 5: `lsps serve` is killed while its lnd still negotiates a channel, which goes on without it (money rule 3).

The buyer's lnd is frozen (SIGSTOP), so that it does not answer open_channel; then it goes on, or dies.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterator

import pytest

from interop.lnd.node import Node
from interop.lnd.regtest import Regtest, eventually
from tests.e2e.once import Ledger, dies
from tests.e2e.shop import Customer, Shop

pytestmark = pytest.mark.asyncio(loop_scope="session")

LSP_BALANCE = 275_000


@contextlib.contextmanager
def frozen(node: Node) -> Iterator[None]:
    """The node's process does not run during the block."""
    pid = node.process.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        if node.process.pid == pid:
            os.kill(pid, signal.SIGCONT)


async def free_outputs(node: Node) -> int:
    """How many outputs of its wallet can be spent: those of a channel in negotiation cannot."""
    return len((await node.lncli("listunspent"))["utxos"])


async def killed_while_negotiating(shop: Shop, ledger: Ledger) -> None:
    """With the buyer's lnd frozen: `lsps serve` is killed once its lnd has begun to open the channel; started again, it
    finds the outcome open, and waits."""
    free = await free_outputs(shop.node)
    shop.launch()

    async def begun() -> bool:
        return await free_outputs(shop.node) < free

    await eventually("the LSP's lnd negotiates", begun)
    await shop.kill()
    put_off = shop.logged("effect_put_off")
    await shop.start()
    await shop.until_logged("effect_put_off", put_off)
    await ledger.stands_at("ACCEPTED", "fulfilling")
    await ledger.check_no_channel()


async def test_a_negotiation_that_outlives_the_lsp(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, alice_buys: Customer, alice_can_pay: str
) -> None:
    """The buyer's lnd answers after all: the channel that the dead process asked for is the one, no second one is
    opened, and the invoice is settled once."""
    ledger = await Ledger.opened(shop, alice)
    await shop.stop()
    await shop.start(failpoint="open_channel.before")
    buying = asyncio.create_task(alice_buys.buy(shop, LSP_BALANCE, 1_008))
    try:
        await dies(shop, "open_channel.before")
        with frozen(alice):
            await killed_while_negotiating(shop, ledger)
        ran = await buying
    finally:
        buying.cancel()
    assert ran.code == 0, ran
    assert ran.json["order"]["order_id"] == await ledger.check_sold_once()
    point = await ledger.check_one_channel(LSP_BALANCE)
    await net.mine(1)
    await net.wait_active(point, lsp, alice)
    assert await ledger.check_one_channel(LSP_BALANCE) == point


async def test_a_negotiation_that_fails_while_the_lsp_is_dead(
    net: Regtest, shop: Shop, alice: Node, alice_buys: Customer, alice_can_pay: str
) -> None:
    """The buyer's lnd dies before it answered: the input is free again, so the opening has failed for certain, and the
    payment is given back; the wallet has nothing locked."""
    ledger = await Ledger.opened(shop, alice)
    await shop.stop()
    await shop.start(failpoint="open_channel.before")
    buying = asyncio.create_task(alice_buys.buy(shop, LSP_BALANCE, 2_016))
    try:
        await dies(shop, "open_channel.before")
        free = await free_outputs(shop.node)
        with frozen(alice):
            await killed_while_negotiating(shop, ledger)
            await alice.kill()
        await alice.start()
        await alice.wait_synced()
        await net.connect(alice, shop.node)
        ran = await buying
    finally:
        buying.cancel()
    assert (ran.code, ran.json["error"]["kind"]) == (1, "OrderFailed"), ran
    await ledger.check_given_back(ran.json["error"]["order_id"])
    assert await free_outputs(shop.node) == free
    await net.wait_active(alice_can_pay, alice, shop.node)
