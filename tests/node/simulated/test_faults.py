"""Calls that go wrong when they are told to: lost answers, slow calls, killed callers, refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from lsps.node.contract import (
    InvoiceNotHeld,
    NodeUnreachable,
    NotOpened,
    Opened,
    Refused,
    SignedTransaction,
    Spend,
    Undecided,
)
from lsps.node.simulated.chain import Output
from lsps.node.simulated.faults import CALLS, UnknownPlace
from lsps.node.simulated.node import SimulatedNode
from lsps.testing import ManualClock, SimulatedNetwork, settle, simulated_network
from lsps.units import BlockHeight, Msat, Outpoint, Sat
from tests.node.contract.environment import Side, open_request, preimage_and_hash

START = BlockHeight(0)
CAPACITY = Sat(1_000_000)
Net = SimulatedNetwork[ManualClock]


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    async with simulated_network() as net:
        yield net


def side(node: SimulatedNode) -> Side:
    return Side(node, node.node_id, node.address)


async def first_input(node: SimulatedNode) -> Outpoint:
    return (await node.wallet.inputs())[0].outpoint


async def test_a_call_that_fails_before_did_nothing(net: Net) -> None:
    """`fail_next(before=True)`: the call raises, nothing happened, and the next one works."""
    _, payment_hash = preimage_and_hash()
    net.world.faults.fail_next(net.lsp.node_id, "invoices.add_hold")
    with pytest.raises(NodeUnreachable):
        await net.lsp.invoices.add_hold(payment_hash, Msat(1000), "", 60, 40)
    assert await net.lsp.invoices.lookup(payment_hash) is None
    await net.lsp.invoices.add_hold(payment_hash, Msat(1000), "", 60, 40)


async def test_a_call_whose_answer_is_lost_took_effect(net: Net) -> None:
    """`fail_next(before=False)`: the call raises although it was done."""
    _, payment_hash = preimage_and_hash()
    net.world.faults.fail_next(net.lsp.node_id, "invoices.add_hold", before=False)
    with pytest.raises(NodeUnreachable):
        await net.lsp.invoices.add_hold(payment_hash, Msat(1000), "", 60, 40)
    assert await net.lsp.invoices.lookup(payment_hash) is not None


async def test_a_refusal_can_be_lost_as_well(net: Net) -> None:
    """`fail_next(before=False)` strikes on a refusal's way back too: the caller does not learn of it."""
    net.world.faults.fail_next(net.lsp.node_id, "invoices.settle", before=False)
    with pytest.raises(NodeUnreachable):
        await net.lsp.invoices.settle(bytes(32))
    with pytest.raises(InvoiceNotHeld):
        await net.lsp.invoices.settle(bytes(32))


async def test_faults_strike_as_often_as_asked_and_may_be_forgotten(net: Net) -> None:
    """`times` counts, an own error is raised as it is, other nodes are untouched, and `clear` ends what is left."""
    faults = net.world.faults
    faults.fail_next(net.lsp.node_id, "info", error=Refused("not today"), times=2)
    for _ in range(2):
        with pytest.raises(Refused, match="not today"):
            await net.lsp.info()
    await net.lsp.info()
    faults.fail_next(net.lsp.node_id, "info", times=9)
    await net.clients[0].info()
    faults.clear(net.lsp.node_id)
    await net.lsp.info()


async def test_every_call_can_be_struck(net: Net) -> None:
    """Each name in CALLS is the name of a call, and every call of the contract has one."""
    node, peer = net.lsp, net.clients[0].node_id
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "info": node.info,
        "messages.send": lambda: node.messages.send(peer, b""),
        "messages.connect": lambda: node.messages.connect(peer),
        "messages.peer": lambda: node.messages.peer(peer),
        "invoices.add_hold": lambda: node.invoices.add_hold(bytes(32), Msat(1), "", 60, 40),
        "invoices.settle": lambda: node.invoices.settle(bytes(32)),
        "invoices.cancel": lambda: node.invoices.cancel(bytes(32)),
        "invoices.lookup": lambda: node.invoices.lookup(bytes(32)),
        "payments.pay": lambda: node.payments.pay("", Msat(0)),
        "payments.lookup": lambda: node.payments.lookup(bytes(32)),
        "channels.list": node.channels.list,
        "channels.open": lambda: node.channels.open(open_request(side(net.clients[0]), CAPACITY, ())),
        "channels.fate": lambda: node.channels.fate(peer, (), START),
        "channels.accept_zero_conf": lambda: node.channels.accept_zero_conf(peer, CAPACITY).__aenter__(),
        "wallet.inputs": node.wallet.inputs,
        "wallet.feerate": lambda: node.wallet.feerate(6),
        "wallet.new_address": node.wallet.new_address,
        "wallet.deposits": lambda: node.wallet.deposits(START),
        "wallet.sign": lambda: node.wallet.sign(Spend((), "", Sat(0), False, 253)),
        "wallet.publish": lambda: node.wallet.publish(SignedTransaction("", b"", Sat(0), Sat(0))),
    }
    assert calls.keys() == CALLS
    for name, call in calls.items():
        net.world.faults.fail_next(node.node_id, name)
        with pytest.raises(NodeUnreachable, match="fault"):
            await call()


def test_a_fault_at_no_call_is_an_error(net: Net) -> None:
    """A misspelt call, or the way back from a moment inside a call, is refused when it is asked for."""
    with pytest.raises(UnknownPlace, match=r"channels\.opne"):
        net.world.faults.fail_next(net.lsp.node_id, "channels.opne")
    with pytest.raises(UnknownPlace, match="before=True"):
        net.world.faults.hang_next(net.lsp.node_id, "negotiation", before=False)


async def test_a_delayed_call_takes_the_clocks_time(net: Net) -> None:
    """`delay_next`: the call returns when the clock has moved on, not sooner."""
    net.world.faults.delay_next(net.lsp.node_id, "info", 5)
    asking = asyncio.create_task(net.lsp.info())
    await net.clock.advance(4)
    assert not asking.done()
    await net.clock.advance(1)
    assert (await asking).node_id == net.lsp.node_id


async def test_a_hanging_call_ends_with_the_node(net: Net) -> None:
    """`hang_next`: the call never returns, until the node is stopped: then it raises NodeUnreachable."""
    net.world.faults.hang_next(net.lsp.node_id, "info")
    asking = asyncio.create_task(net.lsp.info())
    await net.clock.advance(100_000)
    assert not asking.done()
    net.stop(net.lsp)
    with pytest.raises(NodeUnreachable, match="stopped"):
        await asking


async def test_a_slow_negotiation_outlives_its_caller(net: Net) -> None:
    """Called, slow, its caller killed, repeated while in flight: Undecided and refused; then Opened, one channel."""
    source = await first_input(net.lsp)
    request = open_request(side(net.clients[0]), CAPACITY, [source])
    net.world.faults.delay_next(net.lsp.node_id, "negotiation", 60)
    opening = asyncio.create_task(net.lsp.channels.open(request))
    await settle()
    opening.cancel()
    await asyncio.gather(opening, return_exceptions=True)
    assert await net.lsp.channels.fate(request.peer, request.inputs, START) == Undecided()
    assert source not in [utxo.outpoint for utxo in await net.lsp.wallet.inputs()]
    with pytest.raises(Refused, match="already spent or locked"):
        await net.lsp.channels.open(request)
    await net.clock.advance(60)
    (channel,) = await net.lsp.channels.list()
    assert await net.lsp.channels.fate(request.peer, request.inputs, START) == Opened(channel.funding)


async def test_a_fate_is_that_of_all_inputs_with_this_peer(net: Net) -> None:
    """Inputs of which only some were spent, or that opened a channel with another peer, are NotOpened."""
    used, free = (utxo.outpoint for utxo in (await net.lsp.wallet.inputs())[:2])
    peer = net.clients[0].node_id
    funding = await net.lsp.channels.open(open_request(side(net.clients[0]), CAPACITY, [used]))
    assert await net.lsp.channels.fate(peer, (used,), START) == Opened(funding)
    assert isinstance(await net.lsp.channels.fate(peer, (used, free), START), NotOpened)
    assert isinstance(await net.lsp.channels.fate(peer, (free, used), START), NotOpened)
    assert isinstance(await net.lsp.channels.fate(net.lsp.node_id, (used,), START), NotOpened)


async def test_an_opening_whose_answer_is_lost_is_open(net: Net) -> None:
    """When only the answer of `open` is lost, the repeat is refused and `fate` names the channel."""
    request = open_request(side(net.clients[0]), CAPACITY, [await first_input(net.lsp)])
    net.world.faults.fail_next(net.lsp.node_id, "channels.open", before=False)
    with pytest.raises(NodeUnreachable):
        await net.lsp.channels.open(request)
    with pytest.raises(Refused):
        await net.lsp.channels.open(request)
    (channel,) = await net.lsp.channels.list()
    assert await net.lsp.channels.fate(request.peer, request.inputs, START) == Opened(channel.funding)


@pytest.mark.parametrize("how", ["peer gone", "node stopped", "fault"])
async def test_a_negotiation_that_dies_frees_its_inputs(net: Net, how: str) -> None:
    """A negotiation ended by its peer, its node or a fault makes no channel; the inputs can be used again."""
    request = open_request(side(net.clients[0]), CAPACITY, [await first_input(net.lsp)])
    if how == "fault":
        net.world.faults.fail_next(net.lsp.node_id, "negotiation", error=Refused("no"))
    else:
        net.world.faults.delay_next(net.lsp.node_id, "negotiation", 10)
    opening = asyncio.create_task(net.lsp.channels.open(request))
    await settle()
    if how == "peer gone":
        net.disconnect(net.lsp, net.clients[0])
        await net.clock.advance(10)
        net.connect(net.lsp, net.clients[0])
    if how == "node stopped":
        net.stop(net.lsp)
        await settle()
        net.start(net.lsp)
        net.connect(net.lsp, net.clients[0])
    with pytest.raises((Refused, NodeUnreachable)):
        await opening
    assert isinstance(await net.lsp.channels.fate(request.peer, request.inputs, START), NotOpened)
    await net.lsp.channels.open(request)


async def test_a_peer_may_refuse_channels(net: Net) -> None:
    """`refuse_channels`: openings with that node are refused with its reason until the refusal is cleared."""
    request = open_request(side(net.clients[0]), CAPACITY, [await first_input(net.lsp)])
    net.world.faults.refuse_channels(net.clients[0].node_id, "I have enough")
    with pytest.raises(Refused, match="I have enough"):
        await net.lsp.channels.open(request)
    net.world.faults.clear(net.clients[0].node_id)
    await net.lsp.channels.open(request)


async def test_a_wallet_may_be_emptied(net: Net) -> None:
    """`take_funds`: nothing is left to spend, and the outputs that were chosen open nothing."""
    request = open_request(side(net.clients[0]), CAPACITY, [await first_input(net.lsp)])
    net.world.take_funds(net.lsp.node_id)
    assert await net.lsp.wallet.inputs() == []
    with pytest.raises(Refused, match="already spent"):
        await net.lsp.channels.open(request)
    fate = await net.lsp.channels.fate(request.peer, request.inputs, START)
    assert isinstance(fate, NotOpened)
    assert "otherwise" in fate.reason


async def test_funds_that_something_unknown_spends_are_not_taken(net: Net) -> None:
    """`take_funds`: a coin that a waiting transaction spends, of which the wallet does not know, is left to that."""
    chain = net.world.chain
    net.world.fund(net.lsp.node_id, Sat(1_000_000), 2)
    net.world.mine()
    coin, *others = await net.lsp.wallet.inputs()
    elsewhere = Output(coin.amount - Sat(5_000), net.world.payer.new_address())
    waiting = chain.new_transaction((coin.outpoint,), (elsewhere,))
    chain.broadcast(waiting)
    net.world.take_funds(net.lsp.node_id)
    assert chain.spent_by(coin.outpoint) == waiting.txid
    assert others
    for other in others:
        assert chain.spent_by(other.outpoint) not in {None, waiting.txid}
