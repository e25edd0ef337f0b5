"""What is due is done, in time and within bounds, also after the service was away."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lsps.node.contract import PaymentStatus
from tests.service.conftest import MakeWorld
from tests.service.ends import DELIVERED, REFUNDED
from tests.service.peers import Peer, quiet, until
from tests.service.world import OFFER, LspWorld

HOUR = 3_600


async def test_what_was_paid_while_the_service_was_away_is_delivered(world: LspWorld, alice: Peer) -> None:
    """Paid in time, the order's expiry passes while no service runs: the node is asked before the order expires."""
    order = await alice.order_extension(144)
    await world.kill()
    payment = alice.pay(order)
    await quiet()
    await world.pass_time(2 * HOUR)
    feed = world.net.world.nodes[world.lsp.node_id].invoices.feed
    feed.cut()  # the stream of invoices is slower than the clock
    await world.restart()
    feed.mend()
    await until(payment.done)
    assert payment.result().status is PaymentStatus.SUCCEEDED
    await quiet()
    assert await alice.told(order) == DELIVERED


async def test_a_node_that_cannot_be_asked_does_not_stop_the_start(world: LspWorld, alice: Peer) -> None:
    """The look-up of an expired order fails: the service starts all the same, and the order expires."""
    order = await alice.order_extension(144)
    await world.kill()
    await world.pass_time(2 * HOUR)
    world.faults.fail_next(world.lsp.node_id, "invoices.lookup")
    await world.restart()
    await quiet()
    assert await alice.told(order) == REFUNDED


async def test_effects_at_once_are_bounded_and_all_come_to_their_turn(make_world: MakeWorld) -> None:
    """More orders than `effects_at_once` end together, and the first calls hang: the others wait, and all get done."""
    offer = replace(OFFER, limits=replace(OFFER.limits, effects_at_once=2))
    async with make_world(offer=offer) as world:
        alice = world.peers[0]
        orders = [await alice.order_extension(100 + number) for number in range(5)]
        world.net.world.timers.close()  # the node does not cancel by itself
        world.faults.hang_next(world.lsp.node_id, "invoices.cancel", times=2)
        await world.pass_time(HOUR + 1)
        told = [await alice.told(order) for order in orders]
        assert told.count(REFUNDED) == 0
        await world.pass_time(120)
        assert [await alice.told(order) for order in orders] == [REFUNDED] * 5


@pytest.mark.parametrize("restarted", [False, True])
async def test_a_clock_that_is_set_back_does_not_make_payments_wait(
    world: LspWorld, alice: Peer, restarted: bool
) -> None:
    """A settlement is put off, then the clock is set back by an hour: it is tried again at the next occasion, for the
    payment times out all the same."""
    order = await alice.order_extension(144)
    world.faults.fail_next(world.lsp.node_id, "invoices.settle", times=3)
    payment = alice.pay(order)
    await world.pass_time(3)
    assert not payment.done()
    world.clock.set(world.clock.now() - timedelta(seconds=HOUR))
    if restarted:
        await world.restart()
    else:
        await alice.order_extension(100)
    await until(payment.done)
    assert await alice.told(order) == DELIVERED
