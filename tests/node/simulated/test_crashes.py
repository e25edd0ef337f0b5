"""Nodes that stop, streams that break, payments whose parties go away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from lsps.node.contract import (
    ChannelState,
    InvoiceState,
    Message,
    NodeUnreachable,
    PaymentStatus,
    PeerNotConnected,
    Resumed,
)
from lsps.testing import ManualClock, SimulatedNetwork, settle, simulated_network
from lsps.units import BlockHeight, Msat, Sat
from tests.node.contract.environment import listening, preimage_and_hash

START = BlockHeight(0)
CAPACITY = Sat(1_000_000)
Net = SimulatedNetwork[ManualClock]


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    async with simulated_network() as net:
        yield net


async def test_a_stopped_node_hears_nothing(net: Net) -> None:
    """While a node is stopped its peers cannot reach it; what was on its way is lost, and streams resume once."""
    (client,) = net.clients
    async with listening(net.lsp.messages.received()) as heard:
        await client.messages.send(net.lsp.node_id, b"on its way")
        net.stop(net.lsp)
        with pytest.raises(PeerNotConnected):
            await client.messages.send(net.lsp.node_id, b"too late")
        with pytest.raises(PeerNotConnected, match="does not answer"):
            await client.messages.connect(net.lsp.node_id)
        await settle()
        net.start(net.lsp)
        await client.messages.connect(net.lsp.node_id)
        await client.messages.send(net.lsp.node_id, b"again")
        await heard.until(lambda events: Message(client.node_id, b"again") in events)
        assert heard.heard[-2:] == [Resumed(), Message(client.node_id, b"again")]
        assert Message(client.node_id, b"too late") not in heard.heard


async def test_what_is_on_its_way_is_lost_with_the_connection(net: Net) -> None:
    """A message that was sent but has not arrived does not survive its connection."""
    async with listening(net.lsp.messages.received()) as heard:
        net.world.send(net.clients[0].node_id, net.lsp.node_id, b"lost")
        net.disconnect(net.lsp, net.clients[0])
        net.connect(net.lsp, net.clients[0])
        net.world.send(net.clients[0].node_id, net.lsp.node_id, b"new")
        await heard.until(lambda events: len(events) > 1)
        assert heard.heard == [Resumed(), Message(net.clients[0].node_id, b"new")]


async def test_a_started_node_finds_its_channels_peers(net: Net) -> None:
    """A node that starts again is connected to running peers it has a channel with."""
    await net.open_channel(net.lsp, net.clients[0], CAPACITY)
    net.stop(net.lsp)
    net.start(net.lsp)
    assert await net.lsp.messages.peer(net.clients[0].node_id) is not None


async def test_streams_can_break_alone(net: Net) -> None:
    """`cut_streams`: calls work, events are lost, `mend_streams` resumes."""
    node = net.world.nodes[net.lsp.node_id]
    async with listening(net.lsp.messages.received()) as heard:
        node.messages_feed.publish(Message(net.clients[0].node_id, b"arrived, but not read"))
        node.cut_streams()
        await net.clients[0].messages.send(net.lsp.node_id, b"lost")
        await net.lsp.info()
        node.mend_streams()
        await heard.until(lambda events: len(events) == 2)
        assert heard.heard == [Resumed(), Resumed()]


async def test_a_payment_can_be_slow_to_leave(net: Net) -> None:
    """A delayed attempt is IN_FLIGHT though nothing is sent, survives its caller, and then arrives."""
    (client,) = net.clients
    await net.open_channel(client, net.lsp, CAPACITY)
    _, payment_hash = preimage_and_hash()
    invoice = await net.lsp.invoices.add_hold(payment_hash, Msat(1_000_000), "", 3600, 144)
    net.world.faults.delay_next(client.node_id, "attempt", 30)
    paying = asyncio.create_task(client.payments.pay(invoice, Msat(0)))
    await settle()
    paying.cancel()
    await asyncio.gather(paying, return_exceptions=True)
    payment = await client.payments.lookup(payment_hash)
    assert payment is not None
    assert payment.status is PaymentStatus.IN_FLIGHT
    status = await net.lsp.invoices.lookup(payment_hash)
    assert status is not None
    assert status.state is InvoiceState.OPEN
    await net.clock.advance(30)
    status = await net.lsp.invoices.lookup(payment_hash)
    assert status is not None
    assert status.state is InvoiceState.HELD


async def test_a_payer_stopped_before_sending_has_not_paid(net: Net) -> None:
    """A payment whose node is stopped before it left has FAILED, and can be tried again."""
    (client,) = net.clients
    await net.open_channel(client, net.lsp, CAPACITY)
    preimage, payment_hash = preimage_and_hash()
    invoice = await net.lsp.invoices.add_hold(payment_hash, Msat(1_000_000), "", 3600, 144)
    net.world.faults.hang_next(client.node_id, "attempt")
    paying = asyncio.create_task(client.payments.pay(invoice, Msat(0)))
    await settle()
    net.stop(client)
    with pytest.raises(NodeUnreachable):
        await paying
    net.start(client)
    payment = await client.payments.lookup(payment_hash)
    assert payment is not None
    assert payment.status is PaymentStatus.FAILED
    again = asyncio.create_task(client.payments.pay(invoice, Msat(0)))
    await settle()
    await net.lsp.invoices.settle(preimage)
    assert (await again).status is PaymentStatus.SUCCEEDED


async def test_a_payer_learns_of_the_end_once_it_is_connected_again(net: Net) -> None:
    """A payment settled while the payer is away ends for the payer, and in the balances, at the next connection."""
    (client,) = net.clients
    await net.open_channel(client, net.lsp, CAPACITY)
    preimage, payment_hash = preimage_and_hash()
    invoice = await net.lsp.invoices.add_hold(payment_hash, Msat(1_000_000), "", 3600, 144)
    paying = asyncio.create_task(client.payments.pay(invoice, Msat(0)))
    await settle()
    net.disconnect(net.lsp, client)
    await net.lsp.invoices.settle(preimage)
    await settle()
    assert not paying.done()
    assert (await net.lsp.channels.list())[0].local_balance == Sat(0)
    net.connect(net.lsp, client)
    assert (await paying).status is PaymentStatus.SUCCEEDED
    assert (await net.lsp.channels.list())[0].local_balance == Sat(1_000)


async def test_blocks_do_nothing_to_what_was_settled(net: Net) -> None:
    """The expiry height of a payment that was settled passes unnoticed."""
    (client,) = net.clients
    await net.open_channel(client, net.lsp, CAPACITY)
    preimage, payment_hash = preimage_and_hash()
    invoice = await net.lsp.invoices.add_hold(payment_hash, Msat(1_000_000), "", 3600, 40)
    paying = asyncio.create_task(client.payments.pay(invoice, Msat(0)))
    await settle()
    await net.lsp.invoices.settle(preimage)
    assert (await paying).status is PaymentStatus.SUCCEEDED
    net.mine(100)
    status = await net.lsp.invoices.lookup(payment_hash)
    assert status is not None
    assert status.state is InvoiceState.SETTLED


async def test_what_is_held_too_near_to_its_expiry_when_the_node_starts_is_given_back(net: Net) -> None:
    """Blocks that pass while the payee is stopped count: the payment is given back at its start."""
    (client,) = net.clients
    await net.open_channel(client, net.lsp, CAPACITY)
    _, payment_hash = preimage_and_hash()
    invoice = await net.lsp.invoices.add_hold(payment_hash, Msat(1_000_000), "", 3600, 40)
    paying = asyncio.create_task(client.payments.pay(invoice, Msat(0)))
    await settle()
    net.stop(net.lsp)
    net.mine(30)
    await settle()
    assert not paying.done()
    net.start(net.lsp)
    assert (await paying).status is PaymentStatus.FAILED
    assert (await client.channels.list())[0].state is ChannelState.OPEN
