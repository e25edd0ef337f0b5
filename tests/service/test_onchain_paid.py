"""Paid on-chain: how much, in how many payments, how deep (bLIP-51 §3.3)."""

from __future__ import annotations

import pytest

from lsps.units import Sat
from tests.service.conftest import MakeWorld
from tests.service.onchain import KINDS, OPEN, PAID, REFUNDED, SEEN, audit, price, selling, take_order, till
from tests.service.peers import quiet


@pytest.mark.parametrize("kind", KINDS)
async def test_the_exact_amount_buys_it(make_world: MakeWorld, kind: str) -> None:
    """bLIP-51 §3.3: PAID with the confirmation, never before; then delivered, complete, and nothing goes back."""
    async with till(make_world, kind) as order:
        await order.pay()
        assert (await order.told(), await order.delivered()) == (OPEN, False)
        await order.mine()
        assert (await order.told(), await order.delivered()) == (PAID, True)
        assert await order.told_bolt11() == "REFUNDED"
        await order.mine(3)
        assert order.came_back() == []
        books = await order.books()
        assert (books.onchain, books.owed, books.unpaid) == (order.total * 1000, 0, 0)
        assert books.earned + books.delivered == order.total * 1000


@pytest.mark.parametrize("kind", KINDS)
async def test_the_excess_goes_back(make_world: MakeWorld, kind: str) -> None:
    """Overpaid: delivered, and what is beyond the total comes back, less the fee of sending it."""
    async with till(make_world, kind) as order:
        await order.pay_and_mine(order.total + 30_000)
        assert (await order.told(), await order.delivered()) == (PAID, True)
        paid = await order.refund_confirms()
        assert 28_000 < paid < 30_000
        await order.mine(3)
        assert order.came_back() == [paid]
        books = await order.books()
        assert (books.refunded, books.refund_fees, books.owed) == (paid * 1000, (30_000 - paid) * 1000, 0)


@pytest.mark.parametrize("kind", KINDS)
async def test_too_little_buys_nothing_and_goes_back_at_the_expiry(make_world: MakeWorld, kind: str) -> None:
    """A sat short is not paid; it stays until the order expires, and goes back then."""
    async with till(make_world, kind) as order:
        await order.pay_and_mine(order.total - 1)
        await order.mine(7)
        assert (await order.told(), order.waiting_refunds()) == (OPEN, [])
        await order.world.pass_time(86_400)
        assert await order.told() == REFUNDED
        await order.refund_confirms()
        assert (await order.books()).refunded > 0
        assert not await order.delivered()


@pytest.mark.parametrize("kind", KINDS)
async def test_several_payments_add_up(make_world: MakeWorld, kind: str) -> None:
    """Payments to the one address count together, in whatever blocks; the last one's excess goes back."""
    async with till(make_world, kind) as order:
        half = order.total // 2
        await order.pay_and_mine(half)
        await order.pay_and_mine(half - 1_000)
        assert await order.told() == OPEN
        await order.pay_and_mine(half)
        assert (await order.told(), await order.delivered()) == (PAID, True)
        await order.refund_confirms()
        kept = [int(deposit.kept) for deposit in await order.deposits()]
        assert (sum(kept), kept[:2]) == (order.total, [half, half - 1_000])
        assert len(order.came_back()) == 1


async def test_one_transaction_may_pay_twice(make_world: MakeWorld) -> None:
    """Two outputs of a transaction are two deposits."""
    async with till(make_world, "lsps7") as order:
        half = order.total // 2
        first = await order.pay(half)
        chain = order.world.net.world.chain
        paid = chain.transaction(first)
        assert paid is not None
        order.world.net.world.payer.replace(first, [paid.outputs[0], paid.outputs[0]], 5_000)
        await quiet()
        await order.mine()
        assert await order.told() == PAID
        assert [int(deposit.amount) for deposit in await order.deposits() if not deposit.gone] == [half, half]


@pytest.mark.parametrize("confirmations", [1, 2, 3, 4, 5, 6])
async def test_confirmations_are_counted(make_world: MakeWorld, confirmations: int) -> None:
    """bLIP-51 §3.3: confirmed after min_onchain_payment_confirmations, neither earlier nor later; each order says how
    many; 6 is the most there can be."""
    async with make_world(
        offer=selling(min_onchain_payment_confirmations=confirmations), price=price, clients=2
    ) as world:
        orders = [await take_order(world, kind, peer) for kind, peer in zip(KINDS, world.peers, strict=True)]
        for order in orders:
            assert order.option["min_onchain_payment_confirmations"] == confirmations
            assert order.option.get("min_fee_for_0conf") is None
            await order.pay()
        for _ in range(confirmations):
            assert [await order.told() for order in orders] == [OPEN, OPEN]
            await orders[0].mine()
        assert [await order.told() for order in orders] == [PAID, PAID]
        assert [await order.delivered() for order in orders] == [True, True]
        await audit(world)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("more", "paid"), [(0, False), (1, True)], ids=["equal", "greater"])
async def test_without_a_confirmation_the_fee_decides(make_world: MakeWorld, kind: str, more: int, paid: bool) -> None:
    """bLIP-51 §3.3: with 0 confirmations a fee greater than min_fee_for_0conf is enough; else a block is."""
    async with till(make_world, kind, min_onchain_payment_confirmations=0) as order:
        assert order.option["min_onchain_payment_confirmations"] == 0
        least = int(order.option["min_fee_for_0conf"])
        assert least >= 253
        await order.pay(sat_per_kw=least + more)
        assert await order.told() == (PAID if paid else OPEN)
        assert await order.delivered() == paid
        if paid:  # delivered and not in a block yet: that is a risk, and shown as one
            assert (await order.books()).unpaid == order.total * 1000
        await order.mine()
        assert (await order.told(), await order.delivered()) == (PAID, True)
        assert (await order.books()).unpaid == 0


async def test_an_opening_that_waits_is_told_as_paid(make_world: MakeWorld) -> None:
    """bLIP-51 §3.3 knows no HOLD: PAID from the confirmation on, CREATED until there is a channel."""
    async with till(make_world, "lsps1") as order:
        order.world.net.world.take_funds(order.world.lsp.node_id)
        await order.pay_and_mine()
        assert (await order.told(), await order.delivered()) == (SEEN, False)
        order.world.net.fund(order.world.lsp, Sat(2_000_000))
        await order.world.pass_time(31)
        assert (await order.told(), await order.delivered()) == (PAID, True)
