"""What the service does while its node, its streams or its disk are away, and when they are back."""

from __future__ import annotations

from lsps.node.contract import PaymentStatus
from lsps.orders.model import State
from tests.service.ends import DELIVERED
from tests.service.peers import Peer, payment_hash, quiet, until
from tests.service.world import LspWorld


async def test_a_payment_made_while_the_streams_were_down_is_seen_when_they_resume(
    world: LspWorld, alice: Peer
) -> None:
    """Events of an interruption are lost: after each Resumed the invoices' state is read again."""
    order = await alice.order_extension(144)
    node = world.net.world.nodes[world.lsp.node_id]
    node.cut_streams()
    payment = alice.pay(order)
    await quiet()
    assert not payment.done()
    node.mend_streams()
    await until(payment.done)
    await quiet()
    assert await alice.told(order) == DELIVERED


async def test_a_payment_made_while_the_service_was_down_is_seen_at_its_start(world: LspWorld, alice: Peer) -> None:
    """At start every invoice that can still change is watched, and its present state told."""
    order = await alice.order_extension(144)
    await world.kill()
    payment = alice.pay(order)
    await quiet()
    assert not payment.done()
    await world.start()
    await until(payment.done)
    await quiet()
    assert await alice.told(order) == DELIVERED


async def test_a_node_that_restarts_costs_no_order_anything(world: LspWorld, alice: Peer) -> None:
    """Node away and back: what was paid is delivered once, and new orders are taken again."""
    before, held = await alice.order_extension(10), await alice.order_channel()
    world.faults.fail_next(world.lsp.node_id, "invoices.settle", times=2)
    extension = alice.pay(before)
    await quiet()
    assert (await world.stored(before)).state is State.FULFILLED
    world.net.stop(world.lsp)
    await world.pass_time(120)
    world.mine()
    world.net.start(world.lsp)
    await quiet()
    await world.pass_time(60)
    await until(extension.done)
    assert extension.result().status is PaymentStatus.SUCCEEDED
    await until(alice.pay(held).done)
    await quiet()
    for order in (before, held):
        assert await alice.told(order) == DELIVERED
    assert len(await world.lsp_channels()) == 1


async def test_a_full_disk_loses_no_payment(world: LspWorld, alice: Peer) -> None:
    """A payment held while the store could not be written is taken up once it can, and the service goes on serving."""
    order = await alice.order_extension(144)
    world.disk.full = True
    payment = alice.pay(order)
    await quiet()
    world.mine()
    await quiet()
    assert (await alice.call("lsps0.list_protocols"))["protocols"]
    assert await alice.told(order) == ("CREATED", "EXPECT_PAYMENT")
    world.disk.full = False
    await world.pass_time(2)
    await until(payment.done)
    assert await alice.told(order) == DELIVERED


async def test_a_full_disk_loses_no_channel_event(world: LspWorld, alice: Peer) -> None:
    """A channel that closes while the store cannot be written ends its lease afterwards."""
    await until(alice.pay(await alice.order_extension(144)).done)
    await quiet()
    (channel,) = await world.lsp.channels.list()
    world.disk.full = True
    await world.close_channel(channel)
    world.disk.full = False
    await world.pass_time(2)
    lease = await world.store.lease(channel.channel_id)
    assert lease is not None
    assert lease.ended


async def test_effects_wait_for_a_disk_that_is_full(world: LspWorld, alice: Peer) -> None:
    """The outcome of a channel opened while the store fails is recorded later, and the channel is opened once."""
    order = await alice.order_channel()
    world.faults.delay_next(world.lsp.node_id, "channels.open", 5, before=False)
    payment = alice.pay(order)
    await world.pass_time(1)
    assert (await world.stored(order)).state is State.FULFILLING
    world.disk.full = True
    await world.pass_time(10)
    assert (await alice.order(order))["order_state"] == "CREATED"
    world.disk.full = False
    await world.pass_time(30)
    await until(payment.done)
    assert await alice.told(order) == DELIVERED
    assert len(await world.lsp_channels()) == 1


async def test_a_payment_that_slipped_away_unseen_is_a_loss_not_a_sale(world: LspWorld, alice: Peer) -> None:
    """Delivered, and the node says that nothing is held any more: COMPLETED and REFUNDED, never PAID."""
    order = await alice.order_extension(144)
    world.faults.fail_next(world.lsp.node_id, "invoices.settle", times=2)
    alice.pay(order)
    await quiet()
    node = world.net.world.nodes[world.lsp.node_id]
    node.invoices.feed.cut()
    await world.lsp.invoices.cancel(payment_hash(order))
    await world.pass_time(10)
    assert await alice.told(order) == ("COMPLETED", "REFUNDED")
    assert (await world.stored(order)).state is State.UNPAID
