"""LSPS7 as a service: which of a peer's channels a short channel id means."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lsps.node.contract import Channel, ChannelState
from lsps.service.channels import ChannelMirror, listed_scid
from lsps.service.leasing import Leasing
from lsps.units import Sat, Scid
from tests.service.conftest import MakeWorld
from tests.service.peers import Peer, quiet, until
from tests.service.world import LspWorld


async def refused(peer: Peer, scid: object) -> Any:
    params = {"short_channel_id": str(scid), "channel_extension_expiry_blocks": 144}
    return await peer.refused("lsps7.create_order", params)


async def test_unknown_foreign_closing_and_pending_are_refused_in_the_same_words(make_world: MakeWorld) -> None:
    """100 with property short_channel_id and one text, which tells nothing of other peers' channels (bLIP-57 §2)."""
    async with make_world(clients=2) as world:
        alice, bob = world.peers
        of_bob = next(c for c in await world.lsp.channels.list() if c.peer == bob.node.node_id)
        closing = await world.open_channel(alice, 200_000, 50_000)
        world.net.world.graph.close(closing.channel_id)
        await quiet(20)
        answers = [await refused(alice, scid) for scid in ("1x1x1", of_bob.scid, of_bob.peer_alias, closing.scid)]
    assert (answers[0]["code"], answers[0]["data"]["property"]) == (100, "short_channel_id")
    assert all(answer == answers[0] for answer in answers)


async def test_a_channel_goes_by_each_of_its_scids_and_the_answer_echoes_the_one_asked(
    world: LspWorld, alice: Peer
) -> None:
    """A wallet finds its lease by exact text: confirmed SCID, our alias or its own alias all mean the channel."""
    (channel,) = await world.lsp.channels.list()
    for scid in (channel.scid, channel.peer_alias, *channel.aliases):
        order = await alice.order_extension(1, scid)
        assert order["channel"]["short_channel_id"] == str(scid)
        assert (await alice.order(order))["channel"]["short_channel_id"] == str(scid)


async def test_a_zero_conf_channel_is_listed_by_the_peers_alias_then_by_its_confirmed_scid(
    world: LspWorld, alice: Peer
) -> None:
    """Before confirmation the list gives the alias that the peer gave us, afterwards the confirmed SCID; the alias goes
    on being understood, and the lease stays the channel's."""
    order = await alice.order_channel(required_channel_confirmations=0)
    async with alice.node.channels.accept_zero_conf(world.lsp.node_id, channel_capacity(order)):
        await until(alice.pay(order).done)
    (channel,) = await world.lsp_channels()
    assert channel.scid is None
    before = next(entry for entry in await alice.extendable() if "original_order" in entry)
    assert before["short_channel_id"] == str(channel.peer_alias)
    world.mine(1)
    await quiet(50)
    (channel,) = await world.lsp_channels()
    after = next(entry for entry in await alice.extendable() if "original_order" in entry)
    assert after["short_channel_id"] == str(channel.scid)
    assert after["original_order"] == before["original_order"]
    assert (await alice.order_extension(1, channel.peer_alias))["order_state"] == "CREATED"


def channel_capacity(order: Any) -> Sat:
    from lsps.units import Sat

    return Sat(int(order["lsp_balance_sat"]) + int(order["client_balance_sat"]))


class TestMirror:
    """Two channels by one SCID cannot be made on the simulated network: the mirror is asked itself."""

    def matched(self, world: LspWorld, channels: list[Channel], scid: Scid) -> Channel | None:
        mirror = ChannelMirror(world.lsp.channels, world.clock, Leasing(world.store, world.clock))
        for channel in channels:
            mirror._keep(channel)
        return mirror.open_channel(channels[0].peer, scid)

    async def test_two_matches_are_none(self, world: LspWorld, alice: Peer) -> None:
        """A SCID that means two of the peer's channels means none; and a closing twin counts as one of the two."""
        (one,) = await world.lsp.channels.list()
        other = await world.open_channel(alice, 200_000, 50_000)
        assert one.peer_alias is not None
        twin = replace(other, aliases=(one.peer_alias,))
        assert self.matched(world, [one, other], one.peer_alias) == one
        assert self.matched(world, [one, twin], one.peer_alias) is None
        assert self.matched(world, [one, replace(twin, state=ChannelState.CLOSING)], one.peer_alias) is None

    async def test_the_listed_scid_prefers_confirmed_then_the_peers_alias_then_ours(
        self, world: LspWorld, alice: Peer
    ) -> None:
        """The list's SCID: the confirmed one, else the peer's alias, else ours, else the channel is not listed."""
        (channel,) = await world.lsp.channels.list()
        assert listed_scid(channel) == channel.scid
        assert listed_scid(replace(channel, scid=None)) == channel.peer_alias
        assert listed_scid(replace(channel, scid=None, peer_alias=None)) == channel.aliases[0]
        assert listed_scid(replace(channel, scid=None, peer_alias=None, aliases=())) is None
