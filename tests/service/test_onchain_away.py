"""Payments that come while the service, the wallet or the disk is away: none is lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lsps.service.offer import Limits
from lsps.units import Sat
from tests.service.conftest import MakeWorld
from tests.service.onchain import (
    DAY,
    KINDS,
    OPEN,
    PAID,
    REFUNDED,
    Till,
    audit,
    every_order,
    price,
    selling,
    take_order,
    till,
)
from tests.service.peers import quiet


async def while_down(order: Till, *, blocks: int, seconds: float = 0, sat: int | None = None) -> None:
    """The service is killed; a payment comes, is mined, more blocks and time pass; it is started again."""
    world = order.world
    await world.kill()
    world.net.pay(order.option["address"], Sat(sat or order.total))
    world.mine(blocks)
    world.clock.set(world.clock.now() + timedelta(seconds=seconds))
    await world.start()
    await quiet()
    world.net.connect(world.lsp, order.peer.node)


@pytest.mark.parametrize("blocks", [1, 143, 144, 145, 300])
@pytest.mark.parametrize("kind", KINDS)
async def test_paid_while_no_service_ran(make_world: MakeWorld, kind: str, blocks: int) -> None:
    """However many blocks ago: what was paid in time buys, at the next start."""
    async with till(make_world, kind) as order:
        await while_down(order, blocks=blocks)
        assert (await order.told(), await order.delivered()) == (PAID, True)


@pytest.mark.parametrize("kind", KINDS)
async def test_paid_and_expired_while_no_service_ran(make_world: MakeWorld, kind: str) -> None:
    """The wallet is read before anything expires: a confirmed payment buys though the order's time is over."""
    async with till(make_world, kind) as order:
        await while_down(order, blocks=3, seconds=3 * DAY)
        assert (await order.told(), await order.delivered()) == (PAID, True)


@pytest.mark.parametrize("kind", KINDS)
async def test_expired_while_no_service_ran_and_the_wallet_is_away(make_world: MakeWorld, kind: str) -> None:
    """If the wallet cannot be read at that start the order expires; the payment goes back when it is seen."""
    async with till(make_world, kind) as order:
        order.world.faults.fail_next(order.world.lsp.node_id, "wallet.deposits", times=2)
        await while_down(order, blocks=3, seconds=3 * DAY)
        await order.world.pass_time(121)
        assert await order.told() == REFUNDED
        await order.refund_confirms()
        assert not await order.delivered()


@pytest.mark.parametrize("kind", KINDS)
async def test_blocks_while_no_service_ran_are_read_once_more(make_world: MakeWorld, kind: str) -> None:
    """Seen unconfirmed, then mined while the service was down for 300 blocks."""
    async with till(make_world, kind) as order:
        await order.pay()
        await order.world.kill()
        order.world.mine(300)
        await order.world.start()
        await quiet()
        assert (await order.told(), await order.delivered()) == (PAID, True)


async def test_a_refund_is_mined_while_no_service_ran(make_world: MakeWorld) -> None:
    """Published, and mined long ago: noted at the next start, and nothing is bumped."""
    async with till(make_world, "lsps7") as order:
        await order.world.pass_time(DAY)
        await order.pay_and_mine()
        await order.world.kill()
        order.world.mine(300)
        order.world.clock.set(order.world.clock.now() + timedelta(days=3))
        await order.world.start()
        await quiet()
        (deposit,) = await order.deposits()
        assert (len(deposit.refunds), deposit.refunded_at is not None) == (1, True)
        assert order.waiting_refunds() == []


async def test_how_far_was_read_is_kept(make_world: MakeWorld) -> None:
    """From the first start that takes such payments on, and with every block; it is what the next start reads from."""
    async with make_world(offer=selling(onchain=False), price=price) as world:
        assert int(await world.store.deposits_read_to()) == 0
        await world.restart(payment=selling().payment)
        first = world.tip
        assert int(await world.store.deposits_read_to()) == first
        world.mine(5)
        await quiet()
        assert int(await world.store.deposits_read_to()) == first + 5
        world.faults.fail_next(world.lsp.node_id, "wallet.deposits")
        world.mine()
        await quiet()
        assert int(await world.store.deposits_read_to()) == first + 5
        world.net.reorg(3)
        await quiet()
        assert int(await world.store.deposits_read_to()) == world.tip


async def test_what_was_not_read_is_read_from_where_it_was_left(make_world: MakeWorld) -> None:
    """A wallet that cannot be read for 200 blocks hides nothing: reading goes on where it ended."""
    async with till(make_world, "lsps7") as order:
        order.world.faults.fail_next(order.world.lsp.node_id, "wallet.deposits", times=100_000)
        await order.pay_and_mine()
        for _ in range(200):
            order.world.mine()
        await quiet()
        assert await order.told() == OPEN
        order.world.faults.clear(order.world.lsp.node_id)
        await order.world.pass_time(61)
        assert (await order.told(), await order.delivered()) == (PAID, True)


@pytest.mark.parametrize("trouble", ["error", "hang", "disk"])
@pytest.mark.parametrize("kind", KINDS)
async def test_trouble_while_reading(make_world: MakeWorld, kind: str, trouble: str) -> None:
    """A wallet that errs or hangs, or a full disk, when the payment is to be read: it is read a minute later."""
    async with till(make_world, kind) as order:
        world = order.world
        match trouble:
            case "error":
                world.faults.fail_next(world.lsp.node_id, "wallet.deposits", times=2)
            case "hang":
                world.faults.hang_next(world.lsp.node_id, "wallet.deposits")
            case "disk":
                world.disk.full = True
        await order.pay_and_mine()
        assert not await order.delivered()
        world.disk.full = False
        await world.pass_time(130)
        assert (await order.told(), await order.delivered()) == (PAID, True)


@pytest.mark.parametrize("kind", KINDS)
async def test_no_hint_is_needed(make_world: MakeWorld, kind: str) -> None:
    """The wallet's hints may be lost: each block, and each minute, is a reason to read."""
    async with till(make_world, kind, min_onchain_payment_confirmations=0) as order:
        order.world.net.world.nodes[order.world.lsp.node_id].wallet.feed.cut()
        await order.pay(sat_per_kw=5_000)
        assert await order.told() == OPEN
        await order.world.pass_time(60)
        assert (await order.told(), await order.delivered()) == (PAID, True)


@pytest.mark.parametrize("kind", KINDS)
async def test_addresses_that_were_given_are_watched_for_ever(make_world: MakeWorld, kind: str) -> None:
    """On-chain payment is not offered any more: what is paid to the addresses of before still buys, or goes back."""
    async with till(make_world, kind) as order:
        late = await take_order(order.world, kind)
        await order.world.restart(payment=replace(order.world.offer.payment, onchain=False))
        await order.pay_and_mine()
        assert (await order.told(), await order.delivered()) == (PAID, True)
        await order.world.pass_time(DAY)
        await late.pay_and_mine()
        await late.refund_confirms()


async def test_an_address_is_never_forgotten(make_world: MakeWorld) -> None:
    """Money rule 4: pruning takes orders that nobody can pay any more, and none with an address; a payment years later
    goes back."""
    async with till(make_world, "lsps7") as order:
        world = order.world
        await order.peer.order_extension()
        await world.pass_time(DAY)
        assert len(await every_order(world)) == 2
        world.clock.set(world.clock.now() + timedelta(days=1_000))
        await quiet()
        assert [stored.id for stored in await every_order(world)] == [order.id]
        await order.pay_and_mine()
        await order.refund_confirms()


async def test_more_orders_than_a_page(make_world: MakeWorld) -> None:
    """Each of 120 orders has a deposit that is replaced, told by nobody: every one of them is read again."""
    async with make_world(offer=replace(selling(), limits=Limits(requests_per_peer=1_000)), price=price) as world:
        orders = [await take_order(world, "lsps7", channel_extension_expiry_blocks=10) for _ in range(120)]
        txids = [world.net.pay(order.option["address"], Sat(order.total)) for order in orders]
        await quiet(3_000)
        assert [[d.gone for d in await order.deposits()] for order in orders] == [[False]] * 120
        for txid in txids:
            world.net.world.evict(txid)
        await world.pass_time(61)
        await quiet(3_000)
        assert [[d.gone for d in await order.deposits()] for order in orders] == [[True]] * 120
        await audit(world)


async def test_a_refund_that_waits_for_many_blocks(make_world: MakeWorld) -> None:
    """Its deposit is buried by then: it is read again all the same, until the refund is in a block."""
    async with till(make_world, "lsps7") as order:
        await order.world.pass_time(DAY)
        await order.pay_and_mine()
        order.world.net.world.chain.least_sat_per_kw = 50_000
        order.world.mine(200)
        await quiet()
        assert (await order.deposits())[0].refunded_at is None
        order.world.net.world.chain.least_sat_per_kw = 0
        await order.refund_confirms()
        assert (await order.deposits())[0].refunded_at is not None
