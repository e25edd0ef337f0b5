"""Leases and the chain: confirmations that a reorganisation moves, splices, closes, and the names a channel goes by."""

from __future__ import annotations

import pytest

from lsps.node.contract import Channel, PaymentStatus
from lsps.units import Sat
from tests.service.conftest import MakeWorld
from tests.service.onchain import audit, price, selling, take_order
from tests.service.peers import Json, Peer, quiet, until
from tests.service.world import LspWorld, scid_of

BLOCKS = 1_000
"""channel_expiry_blocks of the channels sold here."""


async def sold(world: LspWorld, peer: Peer, **changes: Json) -> Channel:
    """A channel bought by LSPS1, its funding in the newest block."""
    await world.sell_channel(peer, **changes)
    (channel,) = await world.lsp_channels()
    return channel


async def listed(peer: Peer, channel: Channel) -> Json:
    """The channel as get_extendable_channels tells it now."""
    names = {str(channel.scid), str(channel.peer_alias), *map(str, channel.aliases)}
    (entry,) = (entry for entry in await peer.extendable() if entry["short_channel_id"] in names)
    return entry


async def now(world: LspWorld, channel: Channel) -> Channel:
    """The channel as the node shows it now."""
    return next(c for c in await world.lsp.channels.list() if c.channel_id == channel.channel_id)


async def reorg(world: LspWorld, depth: int, *, empty: bool = True) -> None:
    world.net.reorg(depth, empty=empty)
    await quiet()


# --- confirmations ------------------------------------------------------------------------------------------------


async def test_a_later_confirmation_is_told(world: LspWorld, alice: Peer) -> None:
    """The channel confirms again in a later block: its lease ends as much later, and that is what the list tells."""
    channel = await sold(world, alice)
    confirmed = scid_of(channel).block
    assert (await listed(alice, channel))["expiration_block"] == confirmed + BLOCKS
    await reorg(world, 1)
    assert (await now(world, channel)).scid is None
    assert (await listed(alice, channel))["expiration_block"] == confirmed + BLOCKS
    for _ in range(3):
        world.mine()
        await quiet()
    again = await now(world, channel)
    assert scid_of(again).block == confirmed + 2
    entry = await listed(alice, again)
    assert (entry["short_channel_id"], entry["expiration_block"]) == (str(again.scid), confirmed + 2 + BLOCKS)


async def test_an_earlier_confirmation_takes_nothing(world: LspWorld, alice: Peer) -> None:
    """Money rule 5: told is told. A reorganisation that confirms the channel in an earlier block than before does not
    lower the expiration, and a still later one counts from the highest."""
    channel = await sold(world, alice)
    first = scid_of(channel).block
    await reorg(world, 1)  # two blocks instead of one, both empty
    for _ in range(4):
        world.mine()
        await quiet()
    high = scid_of(await now(world, channel)).block
    assert high == first + 2
    chain = world.net.world.chain
    funding = chain.transaction(channel.funding.txid)
    assert funding is not None
    chain.disconnect(world.tip - first + 1)
    chain.mine_only(funding)
    chain.mine(10)
    await quiet()
    again = await now(world, channel)
    assert scid_of(again).block == first < high
    assert (await listed(alice, again))["expiration_block"] == high + BLOCKS


async def test_a_reorganisation_while_no_service_ran(world: LspWorld, alice: Peer) -> None:
    """The next start finds the channel in its new block."""
    channel = await sold(world, alice)
    first = scid_of(channel).block
    await world.kill()
    world.net.reorg(1)
    world.mine(5)
    await world.start()
    await quiet()
    again = await now(world, channel)
    assert scid_of(again).block > first
    assert (await listed(alice, again))["expiration_block"] == scid_of(again).block + BLOCKS


async def test_extensions_survive_reorganisations(world: LspWorld, alice: Peer) -> None:
    """What was bought on top stays on top, wherever the channel confirms."""
    channel = await sold(world, alice)
    order = await alice.order_extension(144, scid_of(channel))
    await until(alice.pay(order).done)
    await reorg(world, 1)
    for _ in range(3):
        world.mine()
        await quiet()
    again = await now(world, channel)
    entry = await listed(alice, again)
    assert entry["expiration_block"] == scid_of(again).block + BLOCKS + 144
    assert entry["extension_order_ids"] == [order["order_id"]]


# --- splices ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sat", [200_000, -200_000], ids=["in", "out"])
async def test_a_splice_keeps_the_lease(world: LspWorld, alice: Peer, sat: int) -> None:
    """A lease belongs to the channel id: neither longer nor shorter for a splice; the list shows the new SCID."""
    channel = await sold(world, alice)
    before = await listed(alice, channel)
    world.mine(20)
    world.net.world.graph.splice(channel.channel_id, world.lsp.node_id, sat)
    world.mine()
    await quiet()
    after = await now(world, channel)
    assert (after.channel_id, int(after.capacity)) == (channel.channel_id, int(channel.capacity) + sat)
    assert after.scid != channel.scid
    entry = await listed(alice, after)
    assert entry["short_channel_id"] == str(after.scid)
    assert entry["expiration_block"] == before["expiration_block"]
    assert entry["original_order"] == before["original_order"]


async def test_a_splice_while_no_service_ran_keeps_the_lease(world: LspWorld, alice: Peer) -> None:
    """Found at the next start under its new SCID: the lease is the same."""
    channel = await sold(world, alice)
    before = await listed(alice, channel)
    await world.kill()
    world.mine(20)
    world.net.world.graph.splice(channel.channel_id, world.lsp.node_id, 200_000)
    world.mine()
    await world.start()
    await quiet()
    assert (await listed(alice, await now(world, channel)))["expiration_block"] == before["expiration_block"]


async def test_orders_by_the_old_scid(world: LspWorld, alice: Peer) -> None:
    """An order made before a splice is fulfilled after it and keeps the SCID that was asked; a new order by the old
    SCID is refused as one for an unknown channel, by the new one it is taken."""
    channel = await sold(world, alice)
    until_before = (await listed(alice, channel))["expiration_block"]
    order = await alice.order_extension(144, scid_of(channel))
    world.net.world.graph.splice(channel.channel_id, world.lsp.node_id, 200_000)
    world.mine()
    await quiet()
    payment = alice.pay(order)
    await until(payment.done)
    assert payment.result().status is PaymentStatus.SUCCEEDED
    told = await alice.order(order)
    assert (told["order_state"], told["channel"]["short_channel_id"]) == ("COMPLETED", str(channel.scid))
    after = await now(world, channel)
    assert (await listed(alice, after))["expiration_block"] == until_before + 144
    params = {"short_channel_id": str(channel.scid), "channel_extension_expiry_blocks": 144}
    refused = await alice.refused("lsps7.create_order", params)
    assert (refused["code"], refused["data"]["property"]) == (100, "short_channel_id")
    assert (await alice.order_extension(144, scid_of(after)))["order_state"] == "CREATED"


# --- closes -------------------------------------------------------------------------------------------------------


async def test_a_close_ends_the_lease_and_gives_everything_back(make_world: MakeWorld) -> None:
    """Open extension orders of a channel that closes: what is held for one goes back, what another is paid on-chain
    goes back, and so does what is paid for a third when the channel is gone. The lease has ended."""
    async with make_world(offer=selling(), price=price) as world:
        (alice,) = world.peers
        channel = await sold(world, alice)
        scid = scid_of(channel)
        waiting, onchain, late, unpaid = [await take_order(world, "lsps7", scid=scid) for _ in range(4)]
        await onchain.pay()
        feed = world.net.world.nodes[world.lsp.node_id].channels_feed
        feed.cut()
        world.faults.fail_next(world.lsp.node_id, "channels.list", times=4)
        feed.mend()
        held = waiting.pay_invoice()
        await quiet()
        assert await waiting.told_bolt11() == "HOLD"
        world.net.world.graph.force_close(channel.channel_id, alice.node.node_id)
        await onchain.mine()
        await world.pass_time(10)
        await until(held.done)
        assert held.result().status is PaymentStatus.FAILED
        assert (await waiting.told_bolt11(), await onchain.told()) == ("REFUNDED", ("FAILED", "REFUNDED"))
        await onchain.refund_confirms()
        lease = await world.store.lease(channel.channel_id)
        assert lease is not None
        assert lease.ended
        assert [e for e in await alice.extendable() if e["short_channel_id"] == str(scid)] == []
        await late.pay_and_mine()
        await late.refund_confirms()
        assert await late.told() == ("FAILED", "REFUNDED")
        payment = unpaid.pay_invoice()
        await until(payment.done)
        assert payment.result().status is PaymentStatus.FAILED
        assert (await world.stored(unpaid.order)).closed_at is not None
        assert lease.extension_order_ids == ()
        await audit(world)


async def test_a_channel_that_never_was_has_no_lease(make_world: MakeWorld) -> None:
    """Its funding was double-spent in a reorganisation: the lease ends with the channel."""
    async with make_world(offer=selling(), price=price) as world:
        (alice,) = world.peers
        coins = {utxo.outpoint for utxo in await world.lsp.wallet.inputs()}
        channel = await sold(world, alice)
        chain = world.net.world.chain
        funding = chain.transaction(channel.funding.txid)
        assert funding is not None
        assert coins.issuperset(funding.inputs)
        chain.disconnect(1, {funding.txid})
        elsewhere = chain.output(funding.inputs[0])
        assert elsewhere is not None
        chain.mine_only(chain.new_transaction(funding.inputs, (elsewhere,), bumped=True))
        chain.mine(2)
        await quiet()
        assert await world.lsp_channels() == []
        lease = await world.store.lease(channel.channel_id)
        assert lease is not None
        assert lease.ended


# --- names --------------------------------------------------------------------------------------------------------


async def test_the_confirmed_scid_replaces_the_alias(world: LspWorld, alice: Peer) -> None:
    """A 0-conf channel is listed by its alias, then by its confirmed SCID; an order answers with the name it was asked
    by, before and after; the alias still finds the channel."""
    order = await alice.order_channel(required_channel_confirmations=0)
    async with alice.node.channels.accept_zero_conf(world.lsp.node_id, Sat(1_020_000)):
        await until(alice.pay(order).done)
    await quiet()
    (channel,) = await world.lsp_channels()
    alias = channel.peer_alias
    assert channel.scid is None
    assert alias is not None
    assert (await listed(alice, channel))["short_channel_id"] == str(alias)
    extension = await alice.order_extension(144, alias)
    world.mine()
    await quiet()
    confirmed = await now(world, channel)
    assert (await listed(alice, confirmed))["short_channel_id"] == str(confirmed.scid)
    assert (await alice.order(extension))["channel"]["short_channel_id"] == str(alias)
    await until(alice.pay(extension).done)
    told = await alice.order(extension)
    assert (told["order_state"], told["channel"]["short_channel_id"]) == ("COMPLETED", str(alias))
    for name in (alias, *confirmed.aliases, scid_of(confirmed)):
        again = await alice.order_extension(144, name)
        assert again["channel"]["short_channel_id"] == str(name)
