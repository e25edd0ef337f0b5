"""Channels as both of their nodes share them, from funding to close."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lsps.node.contract import Channel, ChannelGone, ChannelState, Opener, Refused
from lsps.node.simulated.chain import Block, Output
from lsps.units import ChannelId, Msat, NodeId, Outpoint, Sat, Scid

if TYPE_CHECKING:
    from lsps.node.simulated.network import World

_FIRST_ALIAS_BLOCK = 16_000_000
"""LND takes its aliases from here on, where no confirmed channel can be."""

FUNDING_OUTPUT = 0


@dataclass(slots=True, eq=False)
class SimulatedChannel:
    """`balances` are each side's, in msat, without what is in flight; `aliases` what each side gave the other.

    `confirmations`: the depth at which it is open (or, 0-conf, at which its confirmed SCID is known).
    """

    funding: Outpoint
    opener: NodeId
    peer: NodeId
    capacity: Sat
    pushed: Sat
    private: bool
    zero_conf: bool
    confirmations: int
    balances: dict[NodeId, int]
    aliases: dict[NodeId, Scid]
    state: ChannelState = ChannelState.PENDING
    scid: Scid | None = None
    in_flight: int = 0

    def other(self, node_id: NodeId) -> NodeId:
        return self.peer if node_id == self.opener else self.opener

    @property
    def channel_id(self) -> ChannelId:
        return self.funding.channel_id()

    def seen_by(self, node_id: NodeId) -> Channel:
        other = self.other(node_id)
        negotiated = self.state is not ChannelState.PENDING
        return Channel(
            channel_id=self.channel_id,
            funding=self.funding,
            peer=other,
            state=self.state,
            opener=Opener.US if node_id == self.opener else Opener.PEER,
            capacity=self.capacity,
            local_balance=Msat(self.balances[node_id]).to_sat_floor(),
            remote_balance=Msat(self.balances[other]).to_sat_floor(),
            pushed=self.pushed,
            private=self.private,
            zero_conf=self.zero_conf,
            scid=self.scid,
            aliases=(self.aliases[node_id],) if negotiated else (),
            peer_alias=self.aliases[other] if negotiated else None,
        )


class ChannelGraph:
    """All channels of the world, and what blocks do to them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._aliases = 0
        self._unconfirmed: dict[str, SimulatedChannel] = {}
        self._ripening: dict[int, list[tuple[SimulatedChannel, Scid]]] = {}
        self._closing: dict[str, SimulatedChannel] = {}

    def add(self, channel: SimulatedChannel) -> None:
        """A channel whose funding transaction was broadcast."""
        self._unconfirmed[channel.funding.txid] = channel
        for node_id in (channel.opener, channel.peer):
            self._world.nodes[node_id].channels[channel.channel_id] = channel
        if channel.zero_conf:
            channel.state = ChannelState.OPEN
        self._tell(channel)

    def new_alias(self) -> Scid:
        self._aliases += 1
        return Scid(_FIRST_ALIAS_BLOCK + (self._aliases >> 24), self._aliases & 0xFFFFFF, 0)

    def close(self, channel_id: ChannelId) -> None:
        """Close a channel together: it is CLOSING until a block is mined. Raises Refused."""
        channel = self._find(channel_id)
        if channel.state is not ChannelState.OPEN or channel.in_flight:
            raise Refused(f"channel {channel_id} is not open, or has payments in flight")
        channel.state = ChannelState.CLOSING
        paid = {node_id: Msat(balance).to_sat_floor() for node_id, balance in channel.balances.items()}
        outputs = tuple(Output(amount, node_id) for node_id, amount in paid.items() if amount)
        transaction = self._world.chain.new_transaction((channel.funding,), outputs)
        self._world.chain.broadcast(transaction)
        self._closing[transaction.txid] = channel
        self._tell(channel)

    def usable(self, channel: SimulatedChannel) -> bool:
        return channel.state is ChannelState.OPEN and self._world.connected(channel.opener, channel.peer)

    def confirm(self, block: Block) -> None:
        """What a new block opens and closes."""
        for index, transaction in enumerate(block.transactions):
            if funded := self._unconfirmed.pop(transaction.txid, None):
                scid = Scid(block.height.value, block.position(index), FUNDING_OUTPUT)
                self._ripening.setdefault(block.height.value + funded.confirmations - 1, []).append((funded, scid))
            if closed := self._closing.pop(transaction.txid, None):
                self._forget(closed)
        for channel, scid in self._ripening.pop(block.height.value, ()):
            channel.scid = scid
            if channel.state is ChannelState.PENDING:
                channel.state = ChannelState.OPEN
            self._tell(channel)

    def _forget(self, channel: SimulatedChannel) -> None:
        for node_id in (channel.opener, channel.peer):
            node = self._world.nodes[node_id]
            del node.channels[channel.channel_id]
            node.channels_feed.publish(ChannelGone(channel.channel_id))

    def _tell(self, channel: SimulatedChannel) -> None:
        for node_id in (channel.opener, channel.peer):
            self._world.nodes[node_id].channels_feed.publish(channel.seen_by(node_id))

    def _find(self, channel_id: ChannelId) -> SimulatedChannel:
        for node in self._world.nodes.values():
            if channel_id in node.channels:
                return node.channels[channel_id]
        raise Refused(f"there is no channel {channel_id}")
