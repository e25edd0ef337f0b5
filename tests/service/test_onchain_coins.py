"""What customers paid is not spent before it is earned (money rule 4): no channel is funded with it."""

from __future__ import annotations

import pytest

from lsps.node.contract import Refused
from lsps.service.pricing import PriceRequest
from lsps.units import Sat
from tests.service.conftest import MakeWorld
from tests.service.onchain import DAY, PAID, SEEN, Till, audit, selling, take_order
from tests.service.peers import CHANNEL_ORDER, quiet, until
from tests.service.world import LspWorld

LARGE = 5_000_000


def price(request: PriceRequest) -> Sat:
    """An extension costs a fortune, so that its payment could fund a channel."""
    return Sat(LARGE if request.service == "LSPS7" else 50_000)


async def poor(world: LspWorld) -> None:
    """The LSP's wallet is empty."""
    world.net.world.take_funds(world.lsp.node_id)
    world.mine()
    await quiet()


async def no_liquidity(order: Till) -> bool:
    reply = await order.peer.ask("lsps1.create_order", CHANNEL_ORDER)
    return "error" in reply and reply["error"]["code"] == 1


@pytest.mark.parametrize("more", [-1, 0, LARGE], ids=["short", "exact", "double"])
async def test_only_what_is_earned_funds_a_channel(make_world: MakeWorld, more: int) -> None:
    """A deposit that may go back, whole or in part, funds nothing, though it is the only coin there is; one that has
    bought what it was paid for does, when it is six blocks deep."""
    async with make_world(offer=selling(), price=price) as world:
        order = await take_order(world, "lsps7")
        await poor(world)
        await order.pay(LARGE + more)
        if more == LARGE:  # its refund waits for the network
            world.faults.hang_next(world.lsp.node_id, "wallet.publish")
        await order.mine()
        assert (await order.told() == PAID) == (more >= 0)
        await order.mine(4)
        assert await no_liquidity(order)
        await order.mine()
        assert await no_liquidity(order) == (more != 0)
        if more == 0:
            bought = await order.peer.order_channel()
            await until(order.peer.pay(bought).done)
            await order.mine()
            (channel,) = await world.lsp_channels()
            funding = world.net.world.chain.transaction(channel.funding.txid)
            assert funding is not None
            assert funding.inputs == ((await order.deposits())[0].outpoint,)
        await audit(world)


async def test_an_order_is_not_opened_with_its_own_payment(make_world: MakeWorld) -> None:
    """The payment of an order funds its channel no more than another's does: it waits for the LSP's own coins, and the
    payment goes back whole when they do not come."""
    async with make_world(offer=selling(), price=price) as world:
        order = await take_order(world, "lsps1", client_balance_sat="1000000", lsp_balance_sat="100000")
        await poor(world)
        await order.pay_and_mine(3_000_000)
        await world.pass_time(60)
        assert (await order.told(), await order.delivered()) == (SEEN, False)
        await world.pass_time(DAY)
        assert (await order.told())[0] == "FAILED"
        assert await order.refund_confirms() > 2_990_000
        await audit(world)


async def test_the_change_of_a_refund_is_the_lsps(make_world: MakeWorld) -> None:
    """What is left of an overpaid deposit after its refund is an ordinary coin."""
    async with make_world(offer=selling(), price=price) as world:
        order = await take_order(world, "lsps7")
        await poor(world)
        await order.pay_and_mine(LARGE + 100_000)
        assert await no_liquidity(order)
        await order.refund_confirms()
        assert not await no_liquidity(order)
        await audit(world)


async def test_a_late_payment_is_not_a_coin(make_world: MakeWorld) -> None:
    """Paid to an order that failed: neither while it waits for its refund, nor when that is stuck, nor when it is left
    to the operator."""
    async with make_world(offer=selling(), price=price) as world:
        order = await take_order(world, "lsps7")
        await poor(world)
        await world.pass_time(DAY)
        world.faults.fail_next(world.lsp.node_id, "wallet.sign", error=Refused("its keys are elsewhere"))
        await order.pay_and_mine(LARGE)
        (deposit,) = await order.deposits()
        assert deposit.left
        assert await no_liquidity(order)
        await order.pay_and_mine(LARGE)
        world.net.world.evict(order.waiting_refunds()[0])
        assert await no_liquidity(order)
        await audit(world)
