"""Refunds that do not go as they should: too small, too dear, stuck in the mempool, beaten by another spender."""

from __future__ import annotations

import pytest

from lsps.node.contract import Refused
from lsps.node.simulated.transactions import Output
from lsps.orders.model import State
from lsps.units import Sat
from tests.service.conftest import MakeWorld
from tests.service.onchain import DAY, HOUR, KINDS, OPEN, PAID, REFUNDED, Till, till
from tests.service.peers import quiet
from tests.service.world import LspWorld


async def failed(order: Till) -> Till:
    """Expired."""
    await order.world.pass_time(DAY)
    assert await order.told() == REFUNDED
    return order


def only_better(world: LspWorld, sat_per_kw: int) -> None:
    """Blocks take nothing that pays less."""
    world.net.world.chain.least_sat_per_kw = sat_per_kw


@pytest.mark.parametrize("kind", KINDS)
async def test_bumped_after_six_hours(make_world: MakeWorld, kind: str) -> None:
    """bLIP-51 §3.3: MUST bump the fee when the refund does not confirm within six hours, and not before; the new one
    replaces the old one in the mempool, and one of them is mined."""
    async with till(make_world, kind) as order:
        await failed(order)
        await order.pay_and_mine()
        only_better(order.world, 1_100)
        (first,) = order.waiting_refunds()
        await order.world.pass_time(6 * HOUR - 60)
        await order.mine()
        assert order.waiting_refunds() == [first]
        await order.world.pass_time(61)
        (second,) = order.waiting_refunds()
        assert second != first
        await order.refund_confirms()
        (deposit,) = await order.deposits()
        assert [refund.txid for refund in deposit.refunds] == [first, second]
        assert deposit.refunds[1].paid < deposit.refunds[0].paid
        await order.world.pass_time(DAY)
        assert (order.waiting_refunds(), len(order.came_back())) == ([], 1)


async def test_bumped_as_often_as_it_takes(make_world: MakeWorld) -> None:
    """Every six hours a quarter more, or what the market asks if that is more; always from the same outpoint."""
    async with till(make_world, "lsps7") as order:
        await failed(order)
        await order.pay_and_mine()
        chain = order.world.net.world.chain
        chain.least_sat_per_kw = 3_000
        for _ in range(3):
            await order.world.pass_time(6 * HOUR + 1)
        (deposit,) = await order.deposits()
        rates = [refund.sat_per_kw for refund in deposit.refunds]
        assert rates == [1_000, 1_300, 1_625, 2_031]
        chain.sat_per_kw = 3_500
        await order.world.pass_time(6 * HOUR + 1)
        await order.refund_confirms()
        (deposit,) = await order.deposits()
        assert [refund.height is not None for refund in deposit.refunds] == [False] * 4 + [True]
        assert deposit.refunds[-1].sat_per_kw == 3_500


@pytest.mark.parametrize("kind", KINDS)
async def test_the_old_refund_is_mined_all_the_same(make_world: MakeWorld, kind: str) -> None:
    """A miner took the first one: the second can never be mined, and the books say what the customer got."""
    async with till(make_world, kind) as order:
        await failed(order)
        await order.pay_and_mine()
        chain = order.world.net.world.chain
        first = chain.transaction(order.waiting_refunds()[0])
        assert first is not None
        await order.world.pass_time(6 * HOUR + 1)
        assert order.waiting_refunds() != [first.txid]
        chain.mine_only(first)
        await order.world.pass_time(DAY)
        await order.mine(2)
        (paid,) = order.came_back()
        (deposit,) = await order.deposits()
        assert paid == int(deposit.refunds[0].paid) > int(deposit.refunds[1].paid)
        assert (await order.books()).refunded == paid * 1000
        assert order.waiting_refunds() == []


async def test_a_refund_that_mempools_forgot(make_world: MakeWorld) -> None:
    """Evicted: the node sends it again with the next block."""
    async with till(make_world, "lsps7") as order:
        await failed(order)
        await order.pay_and_mine()
        only_better(order.world, 50_000)
        order.world.net.world.evict(order.waiting_refunds()[0])
        assert order.waiting_refunds() == []
        await order.mine()
        only_better(order.world, 0)
        await order.refund_confirms()


@pytest.mark.parametrize(("short", "left"), [(0, False), (1, True)], ids=["the minimum", "below"])
async def test_the_smallest_refund(make_world: MakeWorld, short: int, left: bool) -> None:
    """What is below min_refund_sat is not sent by itself: it is owed, and the operator decides."""
    async with till(make_world, "lsps7") as order:
        await failed(order)
        await order.pay_and_mine(2_000 - short)
        assert bool(order.waiting_refunds()) != left
        await order.mine(2)
        assert ((await order.books()).owed > 0) == left
        assert await order.told() == REFUNDED


@pytest.mark.parametrize("kind", KINDS)
async def test_a_fee_spike_takes_half_at_most(make_world: MakeWorld, kind: str) -> None:
    """bLIP-51 §3.3: MUST refund. When blocks cost more than half of what goes back, the refund pays half in fees, and
    waits in the mempool for them to be cheaper; it is not left to the operator."""
    async with till(make_world, kind) as order:
        await failed(order)
        order.world.net.world.chain.sat_per_kw = 40_000
        only_better(order.world, 40_000)
        await order.pay(FIFTY, sat_per_kw=40_000)
        await order.mine()
        assert len(order.waiting_refunds()) == 1
        await order.world.pass_time(DAY)
        await order.mine(2)
        (deposit,) = await order.deposits()
        assert (len(order.waiting_refunds()), len(deposit.refunds), deposit.left) == (1, 1, "")
        only_better(order.world, 30_000)
        assert FIFTY // 2 <= await order.refund_confirms() < 35_000
        assert (await order.books()).owed == 0


FIFTY = 50_000


@pytest.mark.parametrize("kind", KINDS)
async def test_a_fee_spike_does_not_unpay_an_order(make_world: MakeWorld, kind: str) -> None:
    """Half of an overpayment goes back though the market asks more; the order is paid for, the rest is the LSP's."""
    async with till(make_world, kind) as order:
        await order.pay(order.total + 2_500)
        order.world.net.world.chain.sat_per_kw = 2_000
        await order.mine()
        assert (await order.told(), await order.delivered()) == (PAID, True)
        assert 1_250 <= await order.refund_confirms() < 2_000
        books = await order.books()
        assert (books.owed, books.unpaid, books.refunded + books.refund_fees) == (0, 0, 2_500_000)


async def test_a_fee_spike_at_the_end_of_an_order(make_world: MakeWorld) -> None:
    """REFUNDED is told only once the refund is out, though it pays less than the market asks."""
    async with till(make_world, "lsps7") as order:
        await order.pay_and_mine(20_000)
        order.world.net.world.chain.sat_per_kw = 20_000
        refused = Refused("mempool min fee not met")
        order.world.faults.fail_next(order.world.lsp.node_id, "wallet.publish", error=refused, times=2)
        await order.world.pass_time(DAY)
        assert (await order.told(), order.waiting_refunds()) == (OPEN, [])
        await order.world.pass_time(60)
        assert await order.told() == REFUNDED
        assert await order.refund_confirms() >= 10_000


@pytest.mark.parametrize("kind", KINDS)
async def test_what_no_fee_is_worth_is_left_to_the_operator(make_world: MakeWorld, kind: str) -> None:
    """A minimum that is set lower than twice the least fee that is relayed: shown, with the reason, and not FAILED for
    ever waiting."""
    async with till(make_world, kind, min_refund=Sat(1)) as order:
        await failed(order)
        await order.pay_and_mine(354)
        (deposit,) = await order.deposits()
        assert "more than half of the 354 sat" in deposit.left
        assert (order.waiting_refunds(), (await order.books()).owed) == ([], 354_000)


async def spend_by_hand(order: Till) -> None:
    """The operator sends the deposit somewhere with the node's own wallet."""
    world = order.world.net.world
    wallet = world.nodes[order.world.lsp.node_id].wallet
    outpoint = (await order.deposits())[0].outpoint
    amount = wallet.spendable(outpoint)
    assert amount is not None
    elsewhere = Output(amount, world.payer.new_address())
    wallet.send(world.chain.new_transaction((outpoint,), (elsewhere,), bumped=True))


async def test_the_operator_spends_the_deposit_by_hand(make_world: MakeWorld) -> None:
    """Spent before it was to go back: no refund is possible; it is owed, with the reason, and the order can end."""
    async with till(make_world, "lsps7") as order:
        await order.pay_and_mine(20_000)
        await spend_by_hand(order)
        await order.mine()
        await order.world.pass_time(DAY)
        assert await order.told() == REFUNDED
        (deposit,) = await order.deposits()
        assert deposit.left
        assert ((await order.books()).owed, order.came_back()) == (20_000_000, [])


async def test_the_operator_beats_the_refund(make_world: MakeWorld) -> None:
    """A refund was published, and another transaction of the wallet was mined instead: owed again, not refunded."""
    async with till(make_world, "lsps7") as order:
        await failed(order)
        await order.pay_and_mine()
        (deposit,) = await order.deposits()
        world = order.world.net.world
        elsewhere = Output(deposit.amount, world.payer.new_address())
        world.chain.mine_only(world.chain.new_transaction((deposit.outpoint,), (elsewhere,), bumped=True))
        await quiet()
        books = await order.books()
        assert (books.owed, books.refunded) == (order.total * 1000, 0)
        assert (await order.stored()).state is State.FAILED
        await order.world.pass_time(DAY)
        assert order.waiting_refunds() == []


async def test_a_deposit_that_earned_is_the_operators(make_world: MakeWorld) -> None:
    """Spent by hand after the delivery: as it should be, and nothing is owed."""
    async with till(make_world, "lsps7") as order:
        await order.pay_and_mine()
        await spend_by_hand(order)
        await order.mine(2)
        books = await order.books()
        assert (books.owed, books.unpaid, books.earned) == (0, 0, order.total * 1000)


@pytest.mark.parametrize("call", ["sign", "publish", "feerate"])
@pytest.mark.parametrize("before", [True, False], ids=["unheard", "unanswered"])
async def test_a_wallet_that_fails_is_asked_again(make_world: MakeWorld, call: str, before: bool) -> None:
    """An error says nothing of what was done: asked again, one refund is mined."""
    async with till(make_world, "lsps7") as order:
        await failed(order)
        order.world.faults.fail_next(order.world.lsp.node_id, f"wallet.{call}", before=before, times=3)
        await order.pay_and_mine()
        await order.world.pass_time(30)
        await order.refund_confirms()
        await order.mine(2)
        assert len(order.came_back()) == 1


async def test_a_refund_that_the_network_refuses_is_tried_again(make_world: MakeWorld) -> None:
    """Refused now is not refused for ever; the order is not FAILED before."""
    async with till(make_world, "lsps7") as order:
        await order.pay_and_mine(20_000)
        refused = Refused("mempool min fee not met")
        order.world.faults.fail_next(order.world.lsp.node_id, "wallet.publish", error=refused, times=3)
        await order.world.pass_time(DAY)
        await order.world.pass_time(30)
        assert await order.told() == REFUNDED
        await order.refund_confirms()


async def test_one_that_the_network_refuses_keeps_no_other_waiting(make_world: MakeWorld) -> None:
    """Two refunds are to be published and the first is refused once: both go out at once, without a wait."""
    async with till(make_world, "lsps7") as order:
        await order.pay(20_000)
        await order.pay_and_mine(21_000)
        order.world.faults.hang_next(order.world.lsp.node_id, "wallet.publish")
        await order.world.pass_time(DAY)
        refused = Refused("mempool min fee not met")
        order.world.faults.fail_next(order.world.lsp.node_id, "wallet.publish", error=refused)
        await order.world.restart()
        await quiet()
        assert len(order.waiting_refunds()) == 2
        await order.mine()
        assert len(order.came_back()) == 2


async def test_one_that_cannot_be_bumped_keeps_no_other_waiting(make_world: MakeWorld) -> None:
    """A small refund is stuck, and too small for a higher fee; a large deposit that comes later goes back at once."""
    async with till(make_world, "lsps7") as order:
        await failed(order)
        await order.pay_and_mine(2_000)
        only_better(order.world, 9_000)
        order.world.net.world.chain.sat_per_kw = 9_000
        await order.world.pass_time(6 * HOUR + 31)
        stuck = order.waiting_refunds()
        await order.pay_and_mine(200_000)
        await order.world.pass_time(40)
        assert len(order.waiting_refunds()) == 2
        await order.mine()
        assert order.waiting_refunds() == stuck
        assert len(order.came_back()) == 1
        only_better(order.world, 0)
        await order.mine()
        assert len(order.came_back()) == 2
