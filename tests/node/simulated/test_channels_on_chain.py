"""Channels whose transactions are reorganised, double-spent, spliced, closed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from lsps.node.contract import (
    Channel,
    ChannelGone,
    ChannelState,
    NotOpened,
    Opened,
    Payment,
    PaymentStatus,
    Refused,
    Resumed,
)
from lsps.node.simulated.node import SimulatedNode
from lsps.testing import ManualClock, Policy, SimulatedNetwork, settle, simulated_network
from lsps.units import Msat, Outpoint, Sat, Scid
from tests.node.contract.environment import Side, listening, open_request, preimage_and_hash

CAPACITY = Sat(1_000_000)
Net = SimulatedNetwork[ManualClock]


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    async with simulated_network() as net:
        yield net


async def only(node: SimulatedNode) -> Channel:
    (channel,) = await node.channels.list()
    return channel


def changes(heard: list[Resumed | Channel | ChannelGone]) -> list[tuple[ChannelState, Scid | None]]:
    return [(event.state, event.scid) for event in heard if isinstance(event, Channel)]


async def wealth(net: Net) -> int:
    """Confirmed coins and channel balances of both nodes, in satoshi."""
    total = 0
    for node in (net.lsp, *net.clients):
        total += sum(utxo.amount.value for utxo in await node.wallet.inputs())
        total += sum(channel.local_balance.value for channel in await node.channels.list())
    return total


@pytest.mark.parametrize("zero_conf", [False, True])
async def test_a_reorganised_channel_gets_another_scid(net: Net, zero_conf: bool) -> None:
    """A channel whose funding is reorganised away stays OPEN without an SCID, and is told when it has a new one."""
    (client,) = net.clients
    async with client.channels.accept_zero_conf(net.lsp.node_id, CAPACITY):
        channel = await net.open_channel(net.lsp, client, CAPACITY, private=True, zero_conf=zero_conf)
    assert channel.scid is not None
    async with listening(client.channels.events()) as events:
        net.reorg(1)
        lost = await only(client)
        assert (lost.state, lost.scid, lost.confirmed_at()) == (ChannelState.OPEN, None, None)
        assert lost.channel_id == channel.channel_id
        net.mine()
        found = (await only(client)).scid
        heard = await events.until(lambda heard: len(heard) >= 3)
    assert found is not None
    assert found.block == channel.scid.block + 2
    assert changes(heard) == [(ChannelState.OPEN, None), (ChannelState.OPEN, found)]


async def test_a_pending_channel_waits_for_its_depth_again() -> None:
    """Confirmations that were reorganised away count no more; at the depth, the SCID is that of the last block."""
    async with simulated_network(policy=Policy(confirmations=3)) as net:
        source = (await net.lsp.wallet.inputs())[0].outpoint
        request = open_request(Side(net.clients[0], net.clients[0].node_id, ""), CAPACITY, [source])
        await net.lsp.channels.open(request)
        net.mine(2)
        net.reorg(2)
        mined_at = (await net.lsp.info()).height + 1
        net.mine(2)
        assert (await only(net.lsp)).state is ChannelState.PENDING
        net.mine()
        channel = await only(net.lsp)
    assert channel.state is ChannelState.OPEN
    assert channel.confirmed_at() == mined_at


async def test_a_shallow_reorganisation_leaves_a_channel_alone() -> None:
    """While the funding stays in the chain, fewer confirmations than at the opening change nothing."""
    async with simulated_network(policy=Policy(confirmations=3)) as net:
        channel = await net.open_channel(net.lsp, net.clients[0], CAPACITY)
        async with listening(net.lsp.channels.events()) as events:
            net.reorg(1)
            assert await only(net.lsp) == channel
            net.mine()
            assert events.heard == [Resumed()]


async def test_a_channel_whose_input_is_double_spent_is_gone(net: Net) -> None:
    """When another transaction takes the funding's input in the longer chain, the channel is gone on both sides, its
    opening is NotOpened, and nothing of it comes back."""
    (client,) = net.clients
    funds = net.pay(await net.lsp.wallet.new_address(), CAPACITY + Sat(50_000))
    net.mine()
    request = open_request(Side(client, client.node_id, ""), CAPACITY, [Outpoint(funds, 0)])
    funding = await net.lsp.channels.open(request)
    net.mine()
    since = (await net.lsp.info()).height
    assert await net.lsp.channels.fate(client.node_id, request.inputs, since) == Opened(funding)
    async with listening(client.channels.events()) as events:
        net.world.reorg(2, double_spent=[funds])
        await events.until(lambda heard: heard[-1] == ChannelGone(funding.channel_id()))
    net.mine(3)
    assert await net.lsp.channels.list() == await client.channels.list() == []
    assert net.world.chain.height_of(funding.txid) is None
    assert isinstance(await net.lsp.channels.fate(client.node_id, request.inputs, since), NotOpened)


async def test_an_evicted_funding_is_still_an_opening(net: Net) -> None:
    """A funding transaction that the mempool forgot is sent again: `fate` says Opened, and the input stays spent."""
    (client,) = net.clients
    source = (await net.lsp.wallet.inputs())[0].outpoint
    funding = await net.lsp.channels.open(open_request(Side(client, client.node_id, ""), CAPACITY, [source]))
    net.world.evict(funding.txid)
    assert await net.lsp.channels.fate(client.node_id, (source,), (await net.lsp.info()).height) == Opened(funding)
    assert source not in [utxo.outpoint for utxo in await net.lsp.wallet.inputs()]
    net.mine(2)
    assert (await only(client)).state is ChannelState.OPEN


async def test_a_reorganised_close_is_closing_again(net: Net) -> None:
    """A channel that is gone is CLOSING again when the block that closed it is taken away, and gone once more."""
    (client,) = net.clients
    channel = await net.open_channel(net.lsp, client, CAPACITY, push=Sat(300_000))
    net.world.graph.close(channel.channel_id)
    net.mine()
    owned = await wealth(net)
    async with listening(client.channels.events()) as events:
        net.reorg(1)
        assert (await only(client)).state is ChannelState.CLOSING
        net.mine()
        await events.until(lambda heard: len(heard) >= 3)
    assert events.heard[-1] == ChannelGone(channel.channel_id)
    assert await client.channels.list() == []
    assert await wealth(net) == owned


@pytest.mark.parametrize("sat", [400_000, -400_000])
async def test_a_splice_keeps_the_channel_id(net: Net, sat: int) -> None:
    """After a splice funding, capacity and SCID are new and the channel id is the old one (BOLT 2, splicing); both
    sides are told, and no satoshi is lost."""
    (client,) = net.clients
    before = await net.open_channel(net.lsp, client, CAPACITY)
    owned = await wealth(net)
    async with listening(client.channels.events()) as events:
        txid = net.world.graph.splice(before.channel_id, net.lsp.node_id, sat)
        assert await only(net.lsp) == before
        net.mine()
        await events.until(lambda heard: len(heard) >= 2)
    after = await only(net.lsp)
    assert after.channel_id == before.channel_id
    assert after.funding == Outpoint(txid, 0)
    assert (after.capacity.value, after.local_balance.value) == (CAPACITY.value + sat, CAPACITY.value + sat)
    assert after.confirmed_at() == (await net.lsp.info()).height
    assert (await only(client)).scid == after.scid != before.scid
    assert await wealth(net) == owned
    net.world.graph.close(after.channel_id)
    net.mine()
    assert await wealth(net) == owned


async def test_a_splice_waits_for_its_depth_and_may_be_reorganised() -> None:
    """A splice counts at the channel's depth; reorganised away, the channel has no SCID until it confirms again."""
    async with simulated_network(policy=Policy(confirmations=2)) as net:
        before = await net.open_channel(net.lsp, net.clients[0], CAPACITY)
        net.world.graph.splice(before.channel_id, net.lsp.node_id, 100_000)
        net.mine()
        assert await only(net.lsp) == before
        net.mine()
        spliced = await only(net.lsp)
        assert spliced.capacity == Sat(1_100_000)
        net.reorg(2)
        lost = await only(net.lsp)
        assert (lost.funding, lost.capacity, lost.scid) == (spliced.funding, spliced.capacity, None)
        net.mine(2)
        found = await only(net.lsp)
    assert spliced.scid is not None
    assert found.scid is not None
    assert found.scid.block == spliced.scid.block + 3


async def test_a_splice_that_cannot_be_leaves_the_channel_as_it_was(net: Net) -> None:
    """When what a splice adds is double-spent, the channel goes on as before, and can be spliced again."""
    (client,) = net.clients
    channel = await net.open_channel(net.lsp, client, CAPACITY)
    net.world.take_funds(client.node_id)
    funds = net.pay(await client.wallet.new_address(), CAPACITY)
    net.mine()
    splice = net.world.graph.splice(channel.channel_id, client.node_id, 200_000)
    net.world.reorg(1, double_spent=[funds])
    net.mine()
    assert await net.lsp.channels.list() == [channel]
    assert net.world.chain.height_of(splice) is None
    again = net.world.graph.splice(channel.channel_id, net.lsp.node_id, 200_000)
    net.mine()
    assert (await only(net.lsp)).funding == Outpoint(again, 0)


async def test_a_splice_without_money_is_refused(net: Net) -> None:
    """A side cannot add more than its wallet has, take out more than its balance, or splice twice at once."""
    channel = await net.open_channel(net.lsp, net.clients[0], CAPACITY)
    graph, client = net.world.graph, net.clients[0].node_id
    for side, sat in ((client, 10**10), (client, -1), (net.lsp.node_id, -1_000_000)):
        with pytest.raises(Refused):
            graph.splice(channel.channel_id, side, sat)
    graph.splice(channel.channel_id, client, 1_000)
    with pytest.raises(Refused, match="spliced already"):
        graph.splice(channel.channel_id, client, 1_000)


async def test_a_close_that_the_mempool_refuses_leaves_the_channel_open(net: Net) -> None:
    """What spends its funding already pays as much: the channel is not closing then, and closes when that is gone."""
    channel = await net.open_channel(net.lsp, net.clients[0], CAPACITY)
    graph = net.world.graph
    splice = graph.splice(channel.channel_id, net.lsp.node_id, 200_000)
    with pytest.raises(Refused, match="rejected"):
        graph.force_close(channel.channel_id, net.clients[0].node_id)
    assert (await only(net.lsp)).state is ChannelState.OPEN
    net.world.evict(splice)
    graph.force_close(channel.channel_id, net.clients[0].node_id)
    assert (await only(net.lsp)).state is ChannelState.CLOSING


async def held(net: Net, expiry: int = 144) -> tuple[bytes, bytes, asyncio.Task[Payment]]:
    """The client pays the LSP 150,000 sat, which are held: preimage, hash and the payment."""
    preimage, payment_hash = preimage_and_hash()
    invoice = await net.lsp.invoices.add_hold(payment_hash, Msat(150_000_000), "", 3600, expiry)
    paying = asyncio.create_task(net.clients[0].payments.pay(invoice, Msat(0)))
    await settle()
    return preimage, payment_hash, paying


@pytest.mark.parametrize("connected", [True, False])
async def test_what_is_held_over_a_closed_channel_can_be_taken(net: Net, connected: bool) -> None:
    """A payment in flight at a force-close is settled on-chain, whether the peers are connected or not; no satoshi is
    lost."""
    (client,) = net.clients
    channel = await net.open_channel(client, net.lsp, CAPACITY)
    owned = await wealth(net)
    preimage, _, paying = await held(net)
    if not connected:
        net.disconnect(client, net.lsp)
    net.world.graph.force_close(channel.channel_id, client.node_id)
    assert (await only(net.lsp)).state is ChannelState.CLOSING
    net.mine()
    assert await net.lsp.channels.list() == []
    assert await wealth(net) == owned - 150_000
    before = sum(utxo.amount.value for utxo in await net.lsp.wallet.inputs())
    await net.lsp.invoices.settle(preimage)
    assert (await paying).status is PaymentStatus.SUCCEEDED
    net.mine()
    assert sum(utxo.amount.value for utxo in await net.lsp.wallet.inputs()) == before + 150_000
    assert await wealth(net) == owned


async def test_what_was_settled_while_apart_is_taken_at_the_close(net: Net) -> None:
    """A settlement that waits for the peer to come back goes on-chain when the channel does."""
    (client,) = net.clients
    channel = await net.open_channel(client, net.lsp, CAPACITY)
    owned = await wealth(net)
    preimage, _, paying = await held(net)
    net.disconnect(client, net.lsp)
    await net.lsp.invoices.settle(preimage)
    await settle()
    assert not paying.done()
    net.world.graph.force_close(channel.channel_id, net.lsp.node_id)
    assert (await paying).status is PaymentStatus.SUCCEEDED
    net.mine()
    assert await wealth(net) == owned


async def test_what_is_given_back_over_a_closed_channel_comes_after_its_expiry(net: Net) -> None:
    """A payment in flight at a force-close that the payee gives back returns to the payer once it has expired."""
    (client,) = net.clients
    channel = await net.open_channel(client, net.lsp, CAPACITY)
    owned = await wealth(net)
    _, payment_hash, paying = await held(net, expiry=40)
    net.world.graph.force_close(channel.channel_id, net.lsp.node_id)
    await net.lsp.invoices.cancel(payment_hash)
    net.mine(42)
    await settle()
    assert not paying.done()
    net.mine(2)
    assert (await paying).status is PaymentStatus.FAILED
    assert await wealth(net) == owned


async def test_a_claim_waits_for_the_close_it_spends(net: Net) -> None:
    """A settlement on-chain survives that the mempool forgot the closing transaction."""
    (client,) = net.clients
    channel = await net.open_channel(client, net.lsp, CAPACITY)
    owned = await wealth(net)
    preimage, _, _ = await held(net)
    net.world.graph.force_close(channel.channel_id, client.node_id)
    net.world.evict(net.world.chain.waiting()[0].txid)
    await net.lsp.invoices.settle(preimage)
    net.mine(4)
    assert await net.lsp.channels.list() == []
    assert await wealth(net) == owned
