"""Wallet calls whose answers are lost, whose callers are killed, and transactions that no wallet made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from lsps.node.contract import Deposit, NodeUnreachable, Refused, SignedTransaction, Spend
from lsps.testing import ManualClock, SimulatedNetwork, settle, simulated_network
from lsps.units import BlockHeight, Sat
from tests.node.contract.environment import Side, open_request

EVER = BlockHeight(0)
AMOUNT = Sat(500_000)
Net = SimulatedNetwork[ManualClock]


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    async with simulated_network() as net:
        yield net


async def sign(net: Net) -> SignedTransaction:
    """Of the first input."""
    source = (await net.lsp.wallet.inputs())[0].outpoint
    return await net.lsp.wallet.sign(Spend((source,), net.world.payer.new_address(), AMOUNT, True, 1_000))


async def spent(net: Net) -> list[Deposit]:
    return [deposit for deposit in await net.lsp.wallet.deposits(EVER) if deposit.spent_by is not None]


@pytest.mark.parametrize("before", [True, False])
async def test_a_lost_publication_is_repeated(net: Net, before: bool) -> None:
    """A `publish` that fails before it took effect did nothing, one that fails after it did all; a repeat ends both
    with one transaction."""
    transaction = await sign(net)
    net.world.faults.fail_next(net.lsp.node_id, "wallet.publish", before=before)
    with pytest.raises(NodeUnreachable):
        await net.lsp.wallet.publish(transaction)
    assert bool(await spent(net)) is not before
    await net.lsp.wallet.publish(transaction)
    (deposit,) = await spent(net)
    assert deposit.spent_by is not None
    assert deposit.spent_by.txid == transaction.txid


@pytest.mark.parametrize("before", [True, False])
async def test_a_lost_address_is_never_given_again(net: Net, before: bool) -> None:
    """After a `new_address` whose answer was lost, the next one is another."""
    first = await net.lsp.wallet.new_address()
    net.world.faults.fail_next(net.lsp.node_id, "wallet.new_address", before=before)
    with pytest.raises(NodeUnreachable):
        await net.lsp.wallet.new_address()
    assert await net.lsp.wallet.new_address() != first


@pytest.mark.parametrize("before", [True, False])
async def test_a_lost_signature_spends_nothing(net: Net, before: bool) -> None:
    """A `sign` whose answer was lost leaves the input as it was, and the next one signs."""
    net.world.faults.fail_next(net.lsp.node_id, "wallet.sign", before=before)
    with pytest.raises(NodeUnreachable):
        await sign(net)
    net.mine()
    assert await spent(net) == []
    await net.lsp.wallet.publish(await sign(net))
    assert len(await spent(net)) == 1


async def test_a_publication_repeated_while_the_first_is_slow_is_one(net: Net) -> None:
    """A second `publish` goes through while the first is on its way, and the first finds it done."""
    transaction = await sign(net)
    net.world.faults.delay_next(net.lsp.node_id, "wallet.publish", 30)
    first = asyncio.create_task(net.lsp.wallet.publish(transaction))
    await settle()
    await net.lsp.wallet.publish(transaction)
    net.mine()
    await net.clock.advance(30)
    await first
    assert len(await spent(net)) == 1


async def test_what_no_wallet_signed_is_not_published(net: Net) -> None:
    """Bytes that are no transaction, or another one than the id says, are refused."""
    transaction = await sign(net)
    for forged in (replace(transaction, raw=b"junk"), replace(transaction, txid="ab" * 32)):
        with pytest.raises(Refused):
            await net.lsp.wallet.publish(forged)
    assert await spent(net) == []


async def test_an_input_is_named_once(net: Net) -> None:
    """`sign` refuses no inputs at all, and one that is named twice."""
    source = (await net.lsp.wallet.inputs())[0].outpoint
    for inputs in ((), (source, source)):
        with pytest.raises(Refused, match="once each"):
            await net.lsp.wallet.sign(Spend(inputs, net.world.payer.new_address(), AMOUNT, True, 1_000))


@pytest.mark.parametrize(("left", "change"), [(329, 0), (330, 330)])
async def test_dust_goes_to_the_miner(net: Net, left: int, change: int) -> None:
    """What is left below the dust limit (330 sat for taproot) makes no output: the fee is higher by as much."""
    net.fund(net.lsp, AMOUNT)
    (source,) = [utxo.outpoint for utxo in await net.lsp.wallet.inputs() if utxo.amount == AMOUNT]
    asked = AMOUNT - Sat(left)
    transaction = await net.lsp.wallet.sign(Spend((source,), net.world.payer.new_address(), asked, True, 1_000))
    fee = 42 + 231 + 172 + (172 if change else 0)  # weight units at 1 sat each
    assert transaction.paid == asked - Sat(fee)
    assert transaction.fee == Sat(fee + left - change)


async def test_dust_is_not_paid(net: Net) -> None:
    """`sign` refuses to pay less than the dust limit of the address."""
    source = (await net.lsp.wallet.inputs())[0].outpoint
    spend = Spend((source,), net.world.payer.new_address(), Sat(330), False, 1_000)
    await net.lsp.wallet.sign(spend)
    with pytest.raises(Refused, match="too little"):
        await net.lsp.wallet.sign(replace(spend, amount=Sat(329)))


async def test_a_refund_takes_the_input_of_a_negotiation(net: Net) -> None:
    """`sign` reserves nothing and is not stopped by a channel's negotiation; whichever is broadcast first wins, and the
    opening that lost is refused."""
    source = (await net.lsp.wallet.inputs())[0].outpoint
    net.world.faults.delay_next(net.lsp.node_id, "negotiation", 30)
    client = Side(net.clients[0], net.clients[0].node_id, "")
    opening = asyncio.create_task(net.lsp.channels.open(open_request(client, AMOUNT, [source])))
    await settle()
    assert source not in [utxo.outpoint for utxo in await net.lsp.wallet.inputs()]
    high = Spend((source,), net.world.payer.new_address(), AMOUNT, True, 9_000)
    await net.lsp.wallet.publish(await net.lsp.wallet.sign(high))
    await net.clock.advance(30)
    with pytest.raises(Refused, match="insufficient fee"):
        await opening
    assert await net.lsp.channels.list() == []
