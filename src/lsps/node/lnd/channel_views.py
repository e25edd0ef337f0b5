"""LND's channels in the contract's words."""

from __future__ import annotations

from lsps.node.contract import Channel, ChannelState, Opener
from lsps.node.lnd import lnd_pb2 as pb
from lsps.units import NodeId, Outpoint, Sat, Scid


def open_channel(channel: pb.Channel) -> Channel:
    """From ListChannels or an open event. LND's chan_id of a 0-conf channel is for ever its first alias."""
    funding = Outpoint.parse(channel.channel_point)
    scid = channel.zero_conf_confirmed_scid if channel.zero_conf else channel.chan_id
    return Channel(
        channel_id=funding.channel_id(),
        funding=funding,
        peer=NodeId(channel.remote_pubkey),
        state=ChannelState.OPEN,
        opener=Opener.US if channel.initiator else Opener.PEER,
        capacity=Sat(channel.capacity),
        local_balance=Sat(channel.local_balance),
        remote_balance=Sat(channel.remote_balance),
        pushed=Sat(channel.push_amount_sat),
        private=channel.private,
        zero_conf=channel.zero_conf,
        scid=_scid(scid),
        aliases=tuple(Scid.from_int(alias) for alias in channel.alias_scids),
        peer_alias=_scid(channel.peer_scid_alias),
        memo=channel.memo,
    )


def pending_channel(pending: pb.PendingChannelsResponse.PendingChannel, state: ChannelState) -> Channel:
    """From PendingChannels, which tells neither SCIDs nor what was pushed; before it opens, that is the balance."""
    funding = Outpoint.parse(pending.channel_point)
    opener = Opener.PEER if pending.initiator == pb.INITIATOR_REMOTE else Opener.US
    pushed = pending.remote_balance if opener is Opener.US else pending.local_balance
    return Channel(
        channel_id=funding.channel_id(),
        funding=funding,
        peer=NodeId(pending.remote_node_pub),
        state=state,
        opener=opener,
        capacity=Sat(pending.capacity),
        local_balance=Sat(pending.local_balance),
        remote_balance=Sat(pending.remote_balance),
        pushed=Sat(pushed if state is ChannelState.PENDING else 0),
        private=pending.private,
        zero_conf=False,
        scid=None,
        aliases=(),
        peer_alias=None,
        memo=pending.memo,
    )


def opening(reply: pb.PendingChannelsResponse) -> list[Channel]:
    return [pending_channel(one.channel, ChannelState.PENDING) for one in reply.pending_open_channels]


def closing(reply: pb.PendingChannelsResponse) -> list[Channel]:
    waiting = [one.channel for one in reply.waiting_close_channels]
    forced = [one.channel for one in reply.pending_force_closing_channels]
    return [pending_channel(channel, ChannelState.CLOSING) for channel in waiting + forced]


def outpoint(update: pb.PendingUpdate) -> Outpoint:
    """LND gives this one's txid in bytes, in the order of the wire."""
    return Outpoint(update.txid[::-1].hex(), update.output_index)


def channel_point(point: pb.ChannelPoint) -> Outpoint:
    if point.WhichOneof("funding_txid") == "funding_txid_str":
        return Outpoint(point.funding_txid_str, point.output_index)
    return Outpoint(point.funding_txid_bytes[::-1].hex(), point.output_index)


def _scid(value: int) -> Scid | None:
    return Scid.from_int(value) if value else None
