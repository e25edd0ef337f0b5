"""A payment that was confirmed is reorganised away: before the delivery, after it, for ever or for a while."""

from __future__ import annotations

import pytest

from lsps.orders.model import State
from lsps.units import Sat
from tests.service.conftest import MakeWorld
from tests.service.onchain import DAY, HOUR, KINDS, OPEN, PAID, REFUNDED, SEEN, Till, audit, take_order, till
from tests.service.peers import quiet


async def reorg(order: Till, depth: int, **how: object) -> None:
    order.world.net.world.reorg(depth, **how)  # type: ignore[arg-type]
    await quiet()


async def cannot_open_yet(order: Till) -> None:
    """An LSPS1 order waits for funds; LSPS7 has no such time between payment and delivery."""
    order.world.net.world.take_funds(order.world.lsp.node_id)
    order.world.mine()
    await quiet()


async def funds_come(order: Till) -> None:
    order.world.net.world.fund(order.world.lsp.node_id, Sat(3_000_000))
    order.world.net.world.chain.mine()
    await quiet()
    await order.world.pass_time(61)


@pytest.mark.parametrize("kind", KINDS)
async def test_before_it_counts(make_world: MakeWorld, kind: str) -> None:
    """With three confirmations wanted, a reorganisation sets the count back, and it starts anew."""
    async with till(make_world, kind, min_onchain_payment_confirmations=3) as order:
        await order.pay_and_mine(blocks=2)
        await reorg(order, 2)
        assert await order.told() == OPEN
        await order.mine(2)
        assert (await order.told(), await order.delivered()) == (OPEN, False)
        await order.mine()
        assert (await order.told(), await order.delivered()) == (PAID, True)


async def test_paid_and_taken_back_before_the_opening(make_world: MakeWorld) -> None:
    """Nothing is opened for a payment that is not there: the order waits for it. PAID stays told."""
    async with till(make_world, "lsps1") as order:
        await cannot_open_yet(order)
        await order.pay_and_mine()
        assert await order.told() == SEEN
        await reorg(order, 1)
        await funds_come_without_the_payment(order)
        assert (await order.told(), await order.delivered()) == (SEEN, False)
        await order.mine()
        assert (await order.told(), await order.delivered()) == (PAID, True)


async def funds_come_without_the_payment(order: Till) -> None:
    """The LSP could open now, if it were paid."""
    chain = order.world.net.world.chain
    before = {transaction.txid for transaction in chain.waiting()}
    order.world.net.world.fund(order.world.lsp.node_id, Sat(3_000_000))
    chain.mine_only(*(transaction for transaction in chain.waiting() if transaction.txid not in before))
    await quiet()
    await order.world.pass_time(61)


async def test_paid_and_double_spent_before_the_opening(make_world: MakeWorld) -> None:
    """Gone for good: the order waits a day for it, fails, and owes nobody anything."""
    async with till(make_world, "lsps1") as order:
        await cannot_open_yet(order)
        txid = await order.pay_and_mine()
        await reorg(order, 1, double_spent=[txid])
        await order.world.pass_time(HOUR)
        assert (await order.stored()).state is State.PAID
        await order.world.pass_time(DAY)
        assert (await order.told(), await order.delivered()) == (REFUNDED, False)
        assert order.waiting_refunds() == []
        await order.mine(2)
        assert (await order.books()).onchain == 0


async def test_taken_back_and_paid_by_another(make_world: MakeWorld) -> None:
    """Another payment to the address takes the place of the one that is gone."""
    async with till(make_world, "lsps1") as order:
        await cannot_open_yet(order)
        txid = await order.pay_and_mine()
        await reorg(order, 1, double_spent=[txid])
        await order.pay_and_mine()
        await funds_come(order)
        assert (await order.told(), await order.delivered()) == (PAID, True)
        assert order.waiting_refunds() == []


@pytest.mark.parametrize("kind", KINDS)
async def test_taken_back_after_the_delivery(make_world: MakeWorld, kind: str) -> None:
    """Money rule 5: COMPLETED stays; the ledger shows the loss until the payment is in a block again."""
    async with till(make_world, kind) as order:
        await order.pay_and_mine()
        await reorg(order, 1)
        assert (await order.told(), await order.delivered()) == (PAID, True)
        assert (await order.books()).unpaid == order.total * 1000
        await order.mine()
        assert (await order.books()).unpaid == 0
        assert (await order.told(), order.came_back()) == (PAID, [])


@pytest.mark.parametrize("kind", KINDS)
async def test_double_spent_after_the_delivery(make_world: MakeWorld, kind: str) -> None:
    """A loss, shown as such for ever, and no refund of what is not there."""
    async with till(make_world, kind) as order:
        txid = await order.pay_and_mine()
        await reorg(order, 1, double_spent=[txid])
        await order.mine(3)
        books = await order.books()
        assert (books.unpaid, books.onchain, books.owed) == (order.total * 1000, 0, 0)
        assert (await order.told(), order.waiting_refunds()) == (PAID, [])


@pytest.mark.parametrize("kind", KINDS)
async def test_mined_at_another_height(make_world: MakeWorld, kind: str) -> None:
    """A reorganisation that mines the payment again changes nothing but its height."""
    async with till(make_world, kind) as order:
        await order.pay_and_mine(blocks=2)
        before = (await order.deposits())[0].height
        assert before is not None
        await reorg(order, 2, empty=False)
        (after,) = await order.deposits()
        assert (after.height, int(after.kept)) == (before + 1, order.total)
        assert (await order.books()).unpaid == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refund_is_reorganised_away_and_comes_again(make_world: MakeWorld, kind: str) -> None:
    """Deposit and refund both lose their blocks, and get others: given back once."""
    async with till(make_world, kind) as order:
        await order.world.pass_time(DAY)
        await order.pay_and_mine()
        await order.refund_confirms()
        await reorg(order, 2)
        assert order.came_back() == []
        assert (await order.books()).onchain == 0
        await order.mine(2)
        assert len(order.came_back()) == 1
        assert (await order.books()).refunded == order.came_back()[0] * 1000


@pytest.mark.parametrize("kind", KINDS)
async def test_a_refund_dies_with_its_deposit(make_world: MakeWorld, kind: str) -> None:
    """The deposit is double-spent in a reorganisation: its refund can never be mined, nothing else is sent, and the
    books have neither."""
    async with till(make_world, kind) as order:
        await order.world.pass_time(DAY)
        txid = await order.pay_and_mine()
        await order.refund_confirms()
        await reorg(order, 2, double_spent=[txid])
        await order.world.pass_time(DAY)
        await order.mine(3)
        assert (order.came_back(), order.waiting_refunds()) == ([], [])
        books = await order.books()
        assert (books.onchain, books.refunded, books.owed) == (0, 0, 0)
        assert (await order.told()) == REFUNDED


@pytest.mark.parametrize("kind", KINDS)
async def test_an_overpayment_and_its_refund_lose_their_blocks(make_world: MakeWorld, kind: str) -> None:
    """What pays for the order is still paid when both are mined again, and the rest went back once."""
    async with till(make_world, kind) as order:
        await order.pay_and_mine(order.total + 30_000)
        paid = await order.refund_confirms()
        await reorg(order, 2, empty=False)
        await order.mine(2)
        books = await order.books()
        assert (books.unpaid, books.refunded, books.owed) == (0, paid * 1000, 0)
        assert order.came_back() == [paid]


@pytest.mark.parametrize("kind", KINDS)
async def test_a_reorganisation_while_nobody_served(make_world: MakeWorld, kind: str) -> None:
    """The next start reads what is there now."""
    async with till(make_world, kind) as order:
        txid = await order.pay_and_mine()
        await order.world.kill()
        await reorg(order, 1, double_spent=[txid])
        await order.world.start()
        await quiet()
        assert (await order.books()).unpaid == order.total * 1000
        assert await order.told() == PAID


async def test_orders_are_taken_back_one_by_one(make_world: MakeWorld) -> None:
    """A reorganisation of one order's payment leaves another's as it is."""
    async with till(make_world, "lsps7") as order:
        other = await take_order(order.world, "lsps7")
        txid = await order.pay()
        await other.pay_and_mine()
        await reorg(order, 1, double_spent=[txid])
        await order.mine(2)
        assert (await order.books()).unpaid == order.total * 1000
        assert (await other.books()).unpaid == 0
        await audit(order.world)
