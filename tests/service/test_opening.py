"""The life of an LSPS1 order, from its payment to its channel (bLIP-51 §4.1)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from lsps.node.contract import InvoiceState, PaymentStatus, PeerNotConnected
from lsps.orders.model import ChannelTerms, State
from lsps.service.offer import PaymentTerms
from lsps.service.opening import Opening
from lsps.units import Outpoint, Sat
from tests.service.conftest import MakeWorld
from tests.service.ends import DELIVERED, REFUNDED, WAITING, nothing_opened
from tests.service.peers import CHANNEL_ORDER, Json, Peer, payment_hash, quiet, until
from tests.service.world import OFFER, LspWorld

# --- delivered ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("announced", [False, True])
async def test_a_channel_is_opened_as_ordered(world: LspWorld, alice: Peer, announced: bool) -> None:
    """bLIP-51 §4.1: capacity of both balances, client_balance pushed, announce_channel respected; then the preimage is
    released and the order COMPLETED, PAID."""
    order = await alice.order_channel(announce_channel=announced)
    payment = alice.pay(order)
    await until(payment.done)
    await quiet()
    assert payment.result().status is PaymentStatus.SUCCEEDED
    assert await alice.told(order) == DELIVERED
    (channel,) = await world.lsp_channels()
    assert (channel.capacity, channel.pushed) == (Sat(1_020_000), Sat(20_000))
    assert channel.remote_balance == Sat(20_000)
    assert (channel.private, channel.zero_conf) == (not announced, False)


async def test_another_orders_channel_is_nobodys_second(
    world: LspWorld, alice: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Inputs that were chosen before another order of the same peer reserved them, and recorded after they were spent
    for that one's channel, deliver nothing: the second payment goes back (money rule 2)."""
    first, second = await alice.order_channel(), await alice.order_channel()
    real, chosen = Opening.inputs_for, list[tuple[Outpoint, ...] | None]()

    async def stale(self: Opening, terms: ChannelTerms, sat_per_kw: int) -> tuple[Outpoint, ...] | None:
        chosen.append(await real(self, terms, sat_per_kw))
        return chosen[0]

    monkeypatch.setattr(Opening, "inputs_for", stale)
    await until(alice.pay(first).done)
    payment = alice.pay(second)
    await until(payment.done)
    assert payment.result().status is PaymentStatus.FAILED
    assert (await alice.told(first), await alice.told(second)) == (DELIVERED, REFUNDED)
    assert len(await world.lsp_channels()) == 1


async def test_a_zero_conf_order_opens_a_zero_conf_channel(world: LspWorld, alice: Peer) -> None:
    """bLIP-51 §4.1: with required_channel_confirmations 0 the channel is usable at once."""
    order = await alice.order_channel(required_channel_confirmations=0)
    async with alice.node.channels.accept_zero_conf(world.lsp.node_id, Sat(1_020_000)):
        await until(alice.pay(order).done)
    await quiet()
    assert await alice.told(order) == DELIVERED
    (channel,) = await world.lsp_channels()
    assert channel.zero_conf


async def test_the_lease_counts_from_the_confirmation(world: LspWorld, alice: Peer) -> None:
    """expiration_block is tip + channel_expiry_blocks, provisional, then confirmation height + channel_expiry_blocks;
    it never goes down."""
    order = await alice.order_channel(required_channel_confirmations=0)
    async with alice.node.channels.accept_zero_conf(world.lsp.node_id, Sat(1_020_000)):
        await until(alice.pay(order).done)
    await quiet()
    opened_at = world.tip
    (channel,) = await world.lsp_channels()
    lease = await world.store.lease(channel.channel_id)
    assert lease is not None
    assert (int(lease.expiration_block), lease.provisional_from) == (opened_at + 1000, world.net.world.chain.height)
    world.mine()
    await quiet()
    lease = await world.store.lease(channel.channel_id)
    assert lease is not None
    assert (int(lease.expiration_block), lease.provisional_from) == (opened_at + 1 + 1000, None)
    world.mine(5)
    await quiet()
    assert await world.store.lease(channel.channel_id) == lease


async def test_a_confirmation_while_nobody_looked_is_counted(world: LspWorld, alice: Peer) -> None:
    """A channel that confirmed while the service was down has its lease fixed at the next start."""
    await until(alice.pay(await alice.order_channel()).done)
    await quiet()
    await world.kill()
    world.mine(3)
    height = world.tip - 2
    await world.start()
    await quiet()
    (channel,) = await world.lsp_channels()
    lease = await world.store.lease(channel.channel_id)
    assert lease is not None
    assert (int(lease.expiration_block), lease.provisional_from) == (height + 1000, None)


async def test_a_confirmation_before_the_lease_is_known_is_counted(world: LspWorld, alice: Peer) -> None:
    """A channel may confirm before the answer to its opening arrives: its lease counts from there at once."""
    order = await alice.order_channel()
    world.faults.delay_next(world.lsp.node_id, "channels.open", 5, before=False)
    payment = alice.pay(order)
    await world.pass_time(1)
    world.mine()
    height = world.tip
    await quiet()
    world.mine(3)
    await world.pass_time(10)
    assert payment.done()
    (channel,) = await world.lsp_channels()
    lease = await world.store.lease(channel.channel_id)
    assert lease is not None
    assert lease.provisional_from is None
    assert int(lease.expiration_block) >= height + 1000


async def test_inputs_of_an_undecided_opening_are_not_sold_again(world: LspWorld, alice: Peer) -> None:
    """What an opening may still spend is reserved: a new order that needs it is refused, until that is decided."""
    world.net.world.take_funds(world.lsp.node_id)
    world.net.fund(world.lsp, Sat(1_500_000))
    order = await alice.order_channel()
    world.faults.hang_next(world.lsp.node_id, "channels.open")
    payment = alice.pay(order)
    await quiet()
    assert (await world.stored(order)).state is State.FULFILLING
    assert (await alice.refused("lsps1.create_order", CHANNEL_ORDER))["code"] == 1
    await world.pass_time(90)
    await until(payment.done)
    assert (await alice.order_channel())["order_state"] == "CREATED"


async def test_two_orders_paid_at_once_open_two_channels_of_different_inputs(world: LspWorld, alice: Peer) -> None:
    """Inputs are reserved in the commit that chooses them, so no two openings share one."""
    orders = [await alice.order_channel() for _ in range(3)]
    payments = [alice.pay(order) for order in orders]
    await quiet()
    await world.pass_time(10)
    for order, payment in zip(orders, payments, strict=True):
        assert payment.done()
        assert await alice.told(order) == DELIVERED
    assert len({(await alice.order(order))["channel"]["funding_outpoint"] for order in orders}) == 3


# --- waiting --------------------------------------------------------------------------------------------------------


async def test_an_opening_waits_for_its_peer_and_its_coming_hastens_it(world: LspWorld, alice: Peer) -> None:
    """bLIP-51 §4.1: LSP MUST wait for a peer connection before attempting a channel open; a reconnect is noticed."""
    order = await alice.order_channel()
    world.faults.fail_next(world.lsp.node_id, "messages.connect", error=PeerNotConnected("no answer"), times=100)
    payment = await paid_then_gone(world, alice, order)
    assert (await world.stored(order)).state is State.PAID
    await world.pass_time(100)
    assert await world.lsp_channels() == []
    world.faults.clear(world.lsp.node_id)
    world.net.connect(world.lsp, alice.node)
    await quiet()  # no time passes: without the hint it would wait for half a minute
    await until(payment.done)
    assert payment.result().status is PaymentStatus.SUCCEEDED
    assert await alice.told(order) == DELIVERED


async def paid_then_gone(world: LspWorld, peer: Peer, order: Json) -> asyncio.Task[Any]:
    """The peer pays and is disconnected as soon as its payment is held."""
    payment = peer.pay(order)
    held = payment_hash(order)
    for _ in range(100):
        status = world.net.world.nodes[world.lsp.node_id].invoices.status(held)
        if status is not None and status.state is InvoiceState.HELD:
            break
        await asyncio.sleep(0)
    world.net.disconnect(world.lsp, peer.node)
    await quiet()
    return payment


async def test_a_peer_that_stays_away_gets_its_payment_back(world: LspWorld, alice: Peer) -> None:
    """After give_up_after of waiting for the peer the payment is given back, and the peer told so when it returns."""
    order = await alice.order_channel()
    world.faults.fail_next(world.lsp.node_id, "messages.connect", error=PeerNotConnected("no answer"), times=100)
    payment = await paid_then_gone(world, alice, order)
    await world.pass_time(1790)
    assert (await world.stored(order)).state is State.PAID
    await world.pass_time(20)
    assert (await world.stored(order)).state is State.FAILED
    world.faults.clear(world.lsp.node_id)
    world.net.connect(world.lsp, alice.node)
    await nothing_opened(world, alice, order, payment)


async def test_missing_funds_are_waited_for(world: LspWorld, alice: Peer) -> None:
    """A lack of funds after payment is waited for: when they come the channel is opened."""
    order = await alice.order_channel()
    world.net.world.take_funds(world.lsp.node_id)
    payment = alice.pay(order)
    await world.pass_time(600)
    assert await alice.told(order) == WAITING
    world.net.fund(world.lsp, Sat(2_000_000))
    await world.pass_time(31)
    assert payment.done()
    assert await alice.told(order) == DELIVERED


@pytest.mark.parametrize("lack", ["funds", "feerate"])
async def test_what_stays_missing_gives_the_payment_back(world: LspWorld, alice: Peer, lack: str) -> None:
    """Without funds, or with fees above the maximum, until give_up_after: given back, and the book says why."""
    order = await alice.order_channel()
    if lack == "funds":
        world.net.world.take_funds(world.lsp.node_id)
    else:
        world.net.world.chain.sat_per_kw = 1_000_000
    payment = alice.pay(order)
    await world.pass_time(1790)
    assert await alice.told(order) == WAITING
    await world.pass_time(20)
    await nothing_opened(world, alice, order, payment)
    assert lack in (await world.stored(order)).reason


async def test_a_payment_near_its_timeout_is_given_back(world: LspWorld, alice: Peer) -> None:
    """Fewer than 40 blocks to the earliest HTLC expiry: given back at once, long before the node would at 18."""
    order = await alice.order_channel()
    world.net.world.take_funds(world.lsp.node_id)
    payment = alice.pay(order)
    await quiet()
    stored = await world.stored(order)
    assert stored.bolt11 is not None
    assert stored.bolt11.earliest_expiry is not None
    expiry = int(stored.bolt11.earliest_expiry)
    world.mine(expiry - 40 - world.tip)
    await quiet()
    assert await alice.told(order) == WAITING
    world.mine()
    await nothing_opened(world, alice, order, payment)


async def test_a_payment_that_arrives_near_its_timeout_is_given_back(make_world: MakeWorld) -> None:
    """A payment with too few blocks from the start is never accepted."""
    offer = replace(OFFER, payment=PaymentTerms(min_final_cltv_expiry=36))
    async with make_world(offer=offer) as world:
        (alice,) = world.peers
        for order in (await alice.order_channel(), await alice.order_extension()):
            payment = alice.pay(order)
            await until(payment.done)
            await quiet()
            assert payment.result().status is PaymentStatus.FAILED
            assert await alice.told(order) == REFUNDED
