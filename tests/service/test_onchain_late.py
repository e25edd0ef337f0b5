"""Paid on-chain, but when: before the expiry, after it, after the order's end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.service.conftest import MakeWorld
from tests.service.onchain import DAY, KINDS, OPEN, PAID, REFUNDED, till
from tests.service.peers import quiet


@pytest.mark.parametrize("kind", KINDS)
async def test_sent_in_time_and_mined_after_the_expiry(make_world: MakeWorld, kind: str) -> None:
    """bLIP-51 §3.3: what was on its way when the option expired still buys, for a day."""
    async with till(make_world, kind) as order:
        await order.world.pass_time(DAY - 60)
        await order.pay()
        await order.world.pass_time(DAY - 60)
        assert await order.told() == OPEN
        await order.mine()
        assert (await order.told(), await order.delivered()) == (PAID, True)


@pytest.mark.parametrize("kind", KINDS)
async def test_sent_in_time_and_mined_far_too_late(make_world: MakeWorld, kind: str) -> None:
    """After that day the order fails; the payment goes back when it is mined at last."""
    async with till(make_world, kind) as order:
        await order.pay()
        await order.world.pass_time(2 * DAY + 1)
        assert await order.told() == REFUNDED
        await order.mine()
        await order.refund_confirms()
        assert (await order.told(), await order.delivered()) == (REFUNDED, False)


@pytest.mark.parametrize("kind", KINDS)
async def test_after_failed(make_world: MakeWorld, kind: str) -> None:
    """Money rule 4: a payment to an order that failed goes back whole, each one, however long ago that was."""
    async with till(make_world, kind) as order:
        await order.world.pass_time(DAY)
        assert await order.told() == REFUNDED
        for days in (0, 100):
            order.world.clock.set(order.world.clock.now() + timedelta(days=days))
            await quiet()
            await order.pay_and_mine()
            await order.refund_confirms()
            assert (await order.told(), await order.delivered()) == (REFUNDED, False)
        assert len(order.came_back()) == 2


@pytest.mark.parametrize("kind", KINDS)
async def test_after_completed(make_world: MakeWorld, kind: str) -> None:
    """Paid a second time after the delivery: given back, and nothing is delivered twice."""
    async with till(make_world, kind) as order:
        await order.pay_and_mine()
        for _ in range(2):
            await order.pay_and_mine(40_000)
            assert 38_000 < await order.refund_confirms() < 40_000
        assert (await order.told(), await order.delivered()) == (PAID, True)
        assert (await order.books()).onchain == (order.total + 80_000) * 1000


@pytest.mark.parametrize("kind", KINDS)
async def test_paid_and_then_it_cannot_be_delivered(make_world: MakeWorld, kind: str) -> None:
    """bLIP-51 §3.3: the opening failed, or the channel to extend is closing: all goes back, and FAILED and REFUNDED are
    told only when the refund is in the network."""
    async with till(make_world, kind) as order:
        await order.pay()
        await order.spoil()
        hold = order.world.faults
        hold.delay_next(order.world.lsp.node_id, "wallet.publish", 20)
        await order.mine()
        await quiet()
        assert await order.told() == ("CREATED", "PAID")
        await order.world.pass_time(21)
        assert await order.told() == REFUNDED
        paid = await order.refund_confirms()
        assert order.total - 1_000 < paid < order.total
        assert not await order.delivered()


async def test_a_deposit_is_deep_before_it_goes_back(make_world: MakeWorld) -> None:
    """With three confirmations wanted, a refund waits for three as well, and FAILED waits for the refund."""
    async with till(make_world, "lsps7", min_onchain_payment_confirmations=3) as order:
        await order.pay_and_mine(20_000)
        await order.world.pass_time(DAY)
        assert ((await order.told())[0], order.waiting_refunds()) == ("CREATED", [])
        await order.mine(2)
        assert await order.told() == REFUNDED
        await order.refund_confirms()
