"""Payments that are replaced (BIP 125) or forgotten before they are in a block."""

from __future__ import annotations

import pytest

from lsps.units import Sat
from tests.service.conftest import MakeWorld
from tests.service.onchain import DAY, KINDS, OPEN, PAID, REFUNDED, Till, till
from tests.service.peers import quiet


async def read_again(order: Till) -> None:
    """Nobody tells of what is replaced or evicted: the wallet is read now and then."""
    await order.world.pass_time(61)


@pytest.mark.parametrize("kind", KINDS)
async def test_replaced_by_a_higher_fee(make_world: MakeWorld, kind: str) -> None:
    """The replacement buys, once; the payment it replaced counts for nothing."""
    async with till(make_world, kind) as order:
        first = await order.pay()
        order.world.net.world.replace(first, 5_000)
        await read_again(order)
        assert [deposit.gone for deposit in await order.deposits()] == [True, False]
        await order.mine()
        assert (await order.told(), await order.delivered()) == (PAID, True)
        assert (await order.books()).onchain == order.total * 1000


@pytest.mark.parametrize("kind", KINDS)
async def test_replaced_by_a_payment_elsewhere(make_world: MakeWorld, kind: str) -> None:
    """Taken back before its block: the order is unpaid, and expires with its options, not a day later."""
    async with till(make_world, kind) as order:
        first = await order.pay()
        elsewhere = order.world.net.world.payer.new_address()
        order.world.net.world.replace(first, 5_000, address=elsewhere)
        await read_again(order)
        await order.mine()
        assert (await order.told(), await order.delivered()) == (OPEN, False)
        await order.world.pass_time(DAY)
        assert await order.told() == REFUNDED


@pytest.mark.parametrize("kind", KINDS)
async def test_replaced_by_less(make_world: MakeWorld, kind: str) -> None:
    """The replacement alone counts: what is short of the total buys nothing."""
    async with till(make_world, kind) as order:
        first = await order.pay()
        order.world.net.world.replace(first, 5_000, amount=Sat(order.total - 1))
        await order.mine()
        assert await order.told() == OPEN


@pytest.mark.parametrize("kind", KINDS)
async def test_evicted_and_back(make_world: MakeWorld, kind: str) -> None:
    """What mempools forget waits for nothing; sent again and mined, it buys."""
    async with till(make_world, kind) as order:
        txid = await order.pay()
        chain = order.world.net.world.chain
        transaction = chain.transaction(txid)
        assert transaction is not None
        order.world.net.world.evict(txid)
        await read_again(order)
        assert [deposit.gone for deposit in await order.deposits()] == [True]
        chain.broadcast(transaction)
        await order.mine()
        await quiet()
        assert (await order.told(), await order.delivered()) == (PAID, True)


@pytest.mark.parametrize("kind", KINDS)
async def test_without_a_confirmation_and_then_it_fails(make_world: MakeWorld, kind: str) -> None:
    """Money rule 5: REFUNDED is told when the payment went back, for which it needs a block first."""
    async with till(make_world, kind, min_onchain_payment_confirmations=0) as order:
        await order.spoil()
        await order.pay(sat_per_kw=2_000)
        assert await order.told() == ("CREATED", "PAID")
        await order.mine()
        assert await order.told() == REFUNDED
        await order.refund_confirms()
        assert not await order.delivered()


@pytest.mark.parametrize("kind", KINDS)
async def test_without_a_confirmation_and_then_taken_back(make_world: MakeWorld, kind: str) -> None:
    """The risk of 0 confirmations: delivered, and the payment is double-spent. COMPLETED stays told, and the ledger
    shows what is missing."""
    async with till(make_world, kind, min_onchain_payment_confirmations=0) as order:
        txid = await order.pay(sat_per_kw=2_000)
        assert (await order.told(), await order.delivered()) == (PAID, True)
        order.world.net.world.replace(txid, 9_000, address=order.world.net.world.payer.new_address())
        await order.mine()
        assert await order.told() == PAID
        books = await order.books()
        assert (books.unpaid, books.onchain) == (order.total * 1000, 0)
        await order.pay_and_mine()  # the customer makes good
        assert (await order.books()).unpaid == 0
        assert order.waiting_refunds() == []
