"""The simulated world's own rules, where the contract leaves them open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from lsps.lightning import bolt11
from lsps.node.contract import NodeUnreachable, PaymentStatus, Refused
from lsps.node.simulated.chain import AlreadySpent, FeeTooLow, Output
from lsps.node.simulated.node import SimulatedNode
from lsps.testing import ManualClock, Policy, SimulatedNetwork, settle, simulated_network
from lsps.units import Msat, Sat
from tests.node.contract.environment import Side, open_request, preimage_and_hash

CAPACITY = Sat(1_000_000)
Net = SimulatedNetwork[ManualClock]


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    async with simulated_network(clients=2) as net:
        yield net


def side(node: SimulatedNode) -> Side:
    return Side(node, node.node_id, node.address)


async def wealth(net: Net) -> int:
    """Everything the nodes own, in sat: confirmed outputs and channel balances."""
    total = 0
    for node in (net.lsp, *net.clients):
        total += sum(utxo.amount.value for utxo in await node.wallet.inputs())
        total += sum(channel.local_balance.value for channel in await node.channels.list())
    return total


async def test_the_same_seed_gives_the_same_world() -> None:
    """Keys and transactions depend on the seed alone."""
    seen = []
    for seed in (1, 1, 2):
        async with simulated_network(seed=seed) as net:
            channel = await net.open_channel(net.lsp, net.clients[0], CAPACITY)
            seen.append((net.lsp.node_id, channel))
    assert seen[0] == seen[1]
    assert seen[0] != seen[2]


async def test_money_is_neither_made_nor_lost(net: Net) -> None:
    """Through opening, paying and closing, the nodes together lose the opening's miner fee and nothing else."""
    (client, _) = net.clients
    before = await wealth(net)
    channel = await net.open_channel(net.lsp, client, CAPACITY, push=Sat(400_000))
    opened = await wealth(net)
    assert 0 < before - opened < 10_000
    preimage, payment_hash = preimage_and_hash()
    invoice = await net.lsp.invoices.add_hold(payment_hash, Msat(150_000_000), "", 3600, 144)
    paying = asyncio.create_task(client.payments.pay(invoice, Msat(0)))
    await settle()
    assert await wealth(net) == opened - 150_000
    with pytest.raises(Refused, match="in flight"):
        net.world.graph.close(channel.channel_id)
    await net.lsp.invoices.settle(preimage)
    await paying
    assert await wealth(net) == opened
    balances = {node.node_id: (await node.channels.list())[0].local_balance for node in (net.lsp, client)}
    assert balances == {net.lsp.node_id: Sat(750_000), client.node_id: Sat(250_000)}
    net.world.graph.close(channel.channel_id)
    net.mine()
    assert await net.lsp.channels.list() == []
    assert await wealth(net) == opened


async def test_a_peer_takes_only_so_many_pending_channels(net: Net) -> None:
    """The peer's limit of pending channels holds (LND's default is 1), and a block makes room."""
    sources = [utxo.outpoint for utxo in await net.lsp.wallet.inputs()]
    await net.lsp.channels.open(open_request(side(net.clients[0]), CAPACITY, sources[:1]))
    second = open_request(side(net.clients[0]), CAPACITY, sources[1:2])
    with pytest.raises(Refused, match="Number of pending channels exceed maximum"):
        await net.lsp.channels.open(second)
    net.mine()
    await net.lsp.channels.open(second)


@pytest.mark.parametrize("large", [False, True])
async def test_large_channels_need_the_option_at_both(large: bool) -> None:
    """Above 16,777,215 sat both nodes need option_support_large_channel (BOLT 9)."""
    async with simulated_network(policy=Policy(large_channels=large)) as net:
        sources = [utxo.outpoint for utxo in await net.lsp.wallet.inputs()]
        request = open_request(side(net.clients[0]), Sat(16_777_216), sources)
        if large:
            await net.lsp.channels.open(request)
        else:
            with pytest.raises(Refused, match="funding amount is too large"):
                await net.lsp.channels.open(request)


async def test_a_channel_opens_at_the_peers_depth() -> None:
    """A channel stays pending until as many confirmations as the peer wants; its SCID is where it was mined."""
    async with simulated_network(policy=Policy(confirmations=3)) as net:
        source = (await net.lsp.wallet.inputs())[0].outpoint
        await net.lsp.channels.open(open_request(side(net.clients[0]), CAPACITY, [source]))
        height = (await net.lsp.info()).height
        net.mine(2)
        (pending,) = await net.lsp.channels.list()
        net.mine()
        (opened,) = await net.lsp.channels.list()
    assert pending.scid is None
    assert opened.confirmed_at() == height + 1


async def test_private_channels_are_hinted_and_forward_for_nobody(net: Net) -> None:
    """An invoice names private channels by the peer's alias (BOLT 11, field r), so that a stranger can pay through
    the hint's node; but a private channel between others carries no payment."""
    payer, payee = net.clients
    await net.open_channel(payer, net.lsp, CAPACITY)
    private = await net.open_channel(net.lsp, payee, CAPACITY, private=True)
    await net.open_channel(net.lsp, payee, Sat(50_000))
    preimage, payment_hash = preimage_and_hash()
    text = await payee.invoices.add_hold(payment_hash, Msat(5_000), "", 3600, 144)
    ((hop,),) = bolt11.decode(text).route_hints
    assert hop.node_id == net.lsp.node_id
    assert (hop.short_channel_id,) == private.aliases
    paying = asyncio.create_task(payer.payments.pay(text, Msat(0)))
    await settle()
    await payee.invoices.settle(preimage)
    assert (await paying).status is PaymentStatus.SUCCEEDED


async def test_a_private_channel_of_strangers_is_no_way(net: Net) -> None:
    """A route whose middle is a private channel of two others is not found."""
    payer, middle = net.clients
    last = SimulatedNode(net.world.add_node("last"))
    net.connect(middle, last)
    await net.open_channel(payer, net.lsp, CAPACITY)
    await net.open_channel(net.lsp, middle, CAPACITY, private=True)
    await net.open_channel(middle, last, CAPACITY)
    text = await last.invoices.add_hold(preimage_and_hash()[1], Msat(5_000), "", 3600, 144)
    assert (await payer.payments.pay(text, Msat(0))).failure == "no route"


async def test_fees_add_up_along_the_route() -> None:
    """Each forwarding node takes its own base and proportional fee of what it passes on."""
    async with simulated_network(clients=2, policy=Policy(base_fee=Msat(1_000), fee_ppm=10_000)) as net:
        payer, payee = net.clients
        last = SimulatedNode(net.world.add_node("last"))
        net.connect(payee, last)
        await net.open_channel(payer, net.lsp, CAPACITY)
        await net.open_channel(net.lsp, payee, CAPACITY)
        await net.open_channel(payee, last, CAPACITY)
        preimage, payment_hash = preimage_and_hash()
        text = await last.invoices.add_hold(payment_hash, Msat(1_000_000), "", 3600, 144)
        paying = asyncio.create_task(payer.payments.pay(text, Msat(30_000)))
        await settle()
        await last.invoices.settle(preimage)
        # payee: 1,000 + 1% of 1,000,000; lsp: 1,000 + 1% of 1,011,000
        assert (await paying).fee == Msat(11_000 + 11_110)
        balances = [channel.balances for channel in net.world.nodes[net.lsp.node_id].channels.values()]
        earned = sum(balance[net.lsp.node_id] for balance in balances) - CAPACITY.to_msat().value
        assert earned == 11_110
        for node in net.world.nodes.values():
            for channel in node.channels.values():
                assert sum(channel.balances.values()) == CAPACITY.to_msat().value


async def test_a_route_has_the_balance_on_every_channel(net: Net) -> None:
    """A channel on the way whose balance is too small makes no route, and nothing moves."""
    payer, payee = net.clients
    await net.open_channel(payer, net.lsp, CAPACITY)
    await net.open_channel(payee, net.lsp, CAPACITY, push=Sat(10))
    text = await payee.invoices.add_hold(preimage_and_hash()[1], Msat(10_001), "", 3600, 144)
    assert (await payer.payments.pay(text, Msat(0))).failure == "no route"
    assert (await payer.channels.list())[0].local_balance == CAPACITY


async def test_a_node_pays_itself_nothing(net: Net) -> None:
    """Paying one's own invoice is refused."""
    text = await net.lsp.invoices.add_hold(preimage_and_hash()[1], Msat(1_000), "", 3600, 144)
    with pytest.raises(Refused, match="self-payments"):
        await net.lsp.payments.pay(text, Msat(0))


async def test_a_payment_beyond_the_balance_fails(net: Net) -> None:
    """More than the payer's channels hold: FAILED with insufficient balance, and nothing moved."""
    (client, _) = net.clients
    await net.open_channel(client, net.lsp, CAPACITY)
    text = await net.lsp.invoices.add_hold(preimage_and_hash()[1], Msat(1_000_000_001), "", 3600, 144)
    payment = await client.payments.pay(text, Msat(0))
    assert (payment.status, payment.failure) == (PaymentStatus.FAILED, "insufficient balance")


async def test_a_channel_carries_nothing_while_its_ends_are_apart(net: Net) -> None:
    """A payment over a channel whose nodes are not connected fails, and works once they are."""
    (client, _) = net.clients
    await net.open_channel(client, net.lsp, CAPACITY)
    text = await net.lsp.invoices.add_hold(preimage_and_hash()[1], Msat(5_000), "", 3600, 144)
    net.disconnect(client, net.lsp)
    assert (await client.payments.pay(text, Msat(0))).failure == "no route"
    net.connect(client, net.lsp)
    paying = asyncio.create_task(client.payments.pay(text, Msat(0)))
    await settle()
    assert not paying.done()


async def test_an_output_is_spent_once(net: Net) -> None:
    """The chain takes no second transaction that spends an output: while the first waits, unless it pays more; once
    the first is mined, never. The first itself may be repeated."""
    chain, (utxo, *_) = net.world.chain, await net.lsp.wallet.inputs()
    first, second = (
        chain.new_transaction((utxo.outpoint,), (Output(utxo.amount - Sat(fee), utxo.address),)) for fee in (1_000, 500)
    )
    chain.broadcast(first)
    with pytest.raises(FeeTooLow):
        chain.broadcast(second)
    net.mine()
    with pytest.raises(AlreadySpent):
        chain.broadcast(second)
    chain.broadcast(first)
    assert chain.spent_by(utxo.outpoint) == first.txid


async def test_an_invoice_is_held_for_one_payment(net: Net) -> None:
    """A second payer of an invoice that is held is turned away; the first is unharmed."""
    preimage, payment_hash = preimage_and_hash()
    text = await net.lsp.invoices.add_hold(payment_hash, Msat(5_000), "", 3600, 144)
    for client in net.clients:
        await net.open_channel(client, net.lsp, CAPACITY)
    first = asyncio.create_task(net.clients[0].payments.pay(text, Msat(0)))
    await settle()
    assert (await net.clients[1].payments.pay(text, Msat(0))).status is PaymentStatus.FAILED
    await net.lsp.invoices.settle(preimage)
    assert (await first).status is PaymentStatus.SUCCEEDED


async def test_a_message_has_a_largest_size(net: Net) -> None:
    """A payload over 65,533 bytes is refused and nothing is sent (BOLT 1, BOLT 8)."""
    with pytest.raises(Refused, match="65533"):
        await net.lsp.messages.send(net.clients[0].node_id, bytes(65_534))


async def test_a_closed_adapter_answers_for_nobody(net: Net) -> None:
    """After `close` this object's calls raise NodeUnreachable and its 0-conf consent is gone."""
    (client, _) = net.clients
    leaving = net.another(client)
    async with leaving.channels.accept_zero_conf(net.lsp.node_id, CAPACITY):
        await leaving.close()
        with pytest.raises(NodeUnreachable):
            await leaving.info()
        source = (await net.lsp.wallet.inputs())[0].outpoint
        with pytest.raises(Refused, match="zero conf"):
            await net.lsp.channels.open(open_request(side(client), CAPACITY, [source], private=True, zero_conf=True))
