"""The life of an LSPS7 order, from its payment to its lease."""

from __future__ import annotations

import asyncio
from typing import Any

from lsps.node.contract import InvoiceState, PaymentStatus
from lsps.orders.model import State
from lsps.units import BlockHeight
from tests.service.conftest import MakeWorld
from tests.service.ends import DELIVERED, REFUNDED
from tests.service.peers import Json, Peer, payment_hash, quiet, until
from tests.service.world import MAX_EXTENSION, LspWorld


async def expiration(peer: Peer) -> int:
    return int((await peer.extendable())[0]["expiration_block"])


async def given_back(world: LspWorld, peer: Peer, order: Json, payment: asyncio.Task[Any]) -> None:
    """The payment came back, and that is what is told."""
    await until(payment.done)
    assert payment.result().status is PaymentStatus.FAILED
    await quiet()
    assert await peer.told(order) == REFUNDED
    invoice = await world.lsp.invoices.lookup(payment_hash(order))
    assert invoice is not None
    assert invoice.state is InvoiceState.CANCELLED


async def test_a_paid_extension_is_delivered_and_then_settled(world: LspWorld, alice: Peer) -> None:
    """bLIP-51 §3.1: paid, the order is COMPLETED and PAID, the preimage released, and the list shows the new expiry."""
    order = await alice.order_extension(144)
    payment = alice.pay(order)
    await until(payment.done)
    assert payment.result().status is PaymentStatus.SUCCEEDED
    await quiet()
    assert await alice.told(order) == DELIVERED
    assert await expiration(alice) == order["new_channel_expiry_block"]


async def test_the_lease_is_durable_before_the_payment_is_taken(world: LspWorld, alice: Peer) -> None:
    """Money rule 1: while settling has not happened, the lease is stored already, told COMPLETED and HOLD."""
    world.faults.hang_next(world.lsp.node_id, "invoices.settle")
    order = await alice.order_extension(144)
    payment = alice.pay(order)
    await quiet()
    assert not payment.done()
    assert (await world.stored(order)).state is State.FULFILLED
    assert await alice.told(order) == ("COMPLETED", "HOLD")
    await world.restart()
    assert await expiration(alice) == order["new_channel_expiry_block"]
    await until(payment.done)
    assert payment.result().status is PaymentStatus.SUCCEEDED


async def test_open_orders_on_one_channel_add_up(world: LspWorld, alice: Peer) -> None:
    """Two orders made side by side promise the same block; paid, both count, for each promise is "at least"."""
    first, second = await alice.order_extension(100), await alice.order_extension(200)
    start = world.tip
    assert (first["new_channel_expiry_block"], second["new_channel_expiry_block"]) == (start + 100, start + 200)
    for order in (second, first):
        await until(alice.pay(order).done)
        await quiet()
        assert await alice.told(order) == DELIVERED
    assert await expiration(alice) == start + 300


async def test_orders_that_together_exceed_the_maximum_are_given_back(world: LspWorld, alice: Peer) -> None:
    """The maximum is checked again when the order is fulfilled: the second of two is given back, told only then."""
    first, second = await alice.order_extension(MAX_EXTENSION), await alice.order_extension(1)
    await until(alice.pay(first).done)
    await quiet()
    assert await alice.told(first) == DELIVERED
    await given_back(world, alice, second, alice.pay(second))


async def test_failed_is_told_only_after_the_node_gave_back(world: LspWorld, alice: Peer) -> None:
    """Money rule 5: until the node has confirmed the cancellation the order is CREATED and HOLD."""
    first, second = await alice.order_extension(MAX_EXTENSION), await alice.order_extension(1)
    await until(alice.pay(first).done)
    await quiet()
    world.faults.fail_next(world.lsp.node_id, "invoices.cancel")
    payment = alice.pay(second)
    await quiet()
    assert await alice.told(second) == ("CREATED", "HOLD")
    assert not payment.done()
    await world.pass_time(2)
    await given_back(world, alice, second, payment)


async def test_a_channel_closed_between_order_and_payment_gives_the_payment_back(make_world: MakeWorld) -> None:
    """Re-checked at completion: a channel that is closing, or closed, is not extended."""
    async with make_world() as world:
        (alice,) = world.peers
        doomed = await world.open_channel(alice, 500_000, 50_000)
        orders = [await alice.order_extension(1, doomed.scid) for _ in range(2)]
        world.net.world.graph.close(doomed.channel_id)
        await quiet()
        await given_back(world, alice, orders[0], alice.pay(orders[0]))
        world.mine()
        await quiet()
        await given_back(world, alice, orders[1], alice.pay(orders[1]))


async def test_a_payment_while_the_channels_are_being_read_waits_and_is_then_decided(make_world: MakeWorld) -> None:
    """What comes while the channel list is being read waits in paid (HOLD), and is decided when the list is there."""
    async with make_world() as world:
        (alice,) = world.peers
        order = await alice.order_extension(144)
        node = world.net.world.nodes[world.lsp.node_id]
        node.channels_feed.cut()
        world.faults.fail_next(world.lsp.node_id, "channels.list", times=3)
        node.channels_feed.mend()
        await quiet()
        payment = alice.pay(order)
        await quiet()
        assert (await world.stored(order)).state is State.PAID
        assert await alice.told(order) == ("CREATED", "HOLD")
        assert (await alice.refused("lsps7.get_extendable_channels"))["code"] == 1
        await world.pass_time(10)
        assert payment.done()
        assert await alice.told(order) == DELIVERED


async def test_a_paid_extension_that_cannot_be_decided_is_given_up(world: LspWorld, alice: Peer) -> None:
    """After give_up_after (30 minutes) of waiting, the payment is given back."""
    order = await alice.order_extension(144)
    node = world.net.world.nodes[world.lsp.node_id]
    node.channels_feed.cut()
    world.faults.hang_next(world.lsp.node_id, "channels.list", times=1000)
    node.channels_feed.mend()
    await quiet()
    payment = alice.pay(order)
    await world.pass_time(1799)
    assert await alice.told(order) == ("CREATED", "HOLD")
    await world.pass_time(2)
    await given_back(world, alice, order, payment)


async def test_an_unpaid_order_expires_and_takes_no_payment_more(world: LspWorld, alice: Peer) -> None:
    """Past its last option an order is FAILED and REFUNDED, its invoice cancelled; a late payment fails."""
    order = await alice.order_extension(144)
    await world.pass_time(3599)
    assert await alice.told(order) == ("CREATED", "EXPECT_PAYMENT")
    await world.pass_time(2)
    assert await alice.told(order) == REFUNDED
    invoice = await world.lsp.invoices.lookup(payment_hash(order))
    assert invoice is not None
    assert invoice.state is InvoiceState.CANCELLED


async def test_an_expired_order_is_failed_only_after_its_invoice_is_cancelled(world: LspWorld, alice: Peer) -> None:
    """Money rule 5 for expiry: while the node is away the order is not FAILED; a payment then goes back."""
    order = await alice.order_extension(144)
    world.faults.fail_next(world.lsp.node_id, "invoices.cancel", times=3)
    world.net.world.timers.close()  # the node forgets to expire the invoice by itself
    await world.pass_time(3601)
    assert (await alice.order(order))["order_state"] == "CREATED"
    await world.pass_time(60)
    assert await alice.told(order) == REFUNDED


async def test_unpaid_orders_are_deleted_after_a_time_and_paid_ones_are_not(world: LspWorld, alice: Peer) -> None:
    """An order that failed unpaid is told for 30 days, then unknown; one that was paid stays."""
    unpaid, paid = await alice.order_extension(1), await alice.order_extension(1)
    await until(alice.pay(paid).done)
    await world.pass_time(29 * 86_400)
    assert await alice.told(unpaid) == REFUNDED
    await world.pass_time(2 * 86_400)
    assert (await alice.refused("lsps7.get_order", {"order_id": unpaid["order_id"]}))["code"] == 101
    assert await alice.told(paid) == DELIVERED


async def test_an_invoice_that_the_node_cancels_by_itself_fails_the_order(world: LspWorld, alice: Peer) -> None:
    """bLIP-51 §3.1: a cancelled invoice is REFUNDED, whoever cancelled it."""
    order = await alice.order_extension(144)
    await world.lsp.invoices.cancel(payment_hash(order))
    await quiet()
    assert await alice.told(order) == REFUNDED


async def test_a_lease_ends_with_its_channel(world: LspWorld, alice: Peer) -> None:
    """A closed channel's lease is ended, and nothing else closes a channel."""
    await until(alice.pay(await alice.order_extension(144)).done)
    (channel,) = await world.lsp.channels.list()
    world.mine(200)
    await quiet()
    lease = await world.store.lease(channel.channel_id)
    assert lease is not None
    assert not lease.ended
    await world.close_channel(channel)
    lease = await world.store.lease(channel.channel_id)
    assert lease is not None
    assert lease.ended


async def test_a_lease_whose_channel_closed_while_nobody_looked_is_ended(world: LspWorld, alice: Peer) -> None:
    """At start and after an interrupted stream, leases are compared with the channels that are there."""
    for interrupted in (False, True):
        channel = await world.open_channel(alice, 500_000, 50_000)
        order = await alice.order_extension(144, channel.scid)
        await until(alice.pay(order).done)
        await quiet()
        node = world.net.world.nodes[world.lsp.node_id]
        if interrupted:
            node.cut_streams()
        else:
            await world.kill()
        await world.close_channel(channel)
        if interrupted:
            node.mend_streams()
        else:
            await world.start()
        await quiet()
        lease = await world.store.lease(channel.channel_id)
        assert lease is not None
        assert lease.ended


async def test_an_expiration_survives_a_reorganisation(world: LspWorld, alice: Peer) -> None:
    """Money rule 5: what was told never goes back; a tip that goes down lowers no lease and disturbs nothing."""
    await until(alice.pay(await alice.order_extension(144)).done)
    before = await expiration(alice)
    node = world.net.world.nodes[world.lsp.node_id]
    node.tips_feed.publish(BlockHeight(world.tip - 3))
    await quiet()
    assert await expiration(alice) == before
    await until(alice.pay(await alice.order_extension(10)).done)
    assert await expiration(alice) == before + 10
