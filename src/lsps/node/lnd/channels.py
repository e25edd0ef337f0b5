"""Channels (node contract: Channels): listing here, the rest in the files that this one puts together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager

from lsps.clock import Clock
from lsps.node.contract import Channel, ChannelGone, NotOpened, Opened, OpenRequest, Resumed, Undecided
from lsps.node.lnd import channel_views as views
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.acceptor import accept_zero_conf
from lsps.node.lnd.channel_events import ChannelEvents
from lsps.node.lnd.connection import Connection
from lsps.node.lnd.openings import Openings
from lsps.node.lnd.streams import Reconnecting
from lsps.units import BlockHeight, NodeId, Outpoint, Sat


class LndChannels:
    def __init__(self, connection: Connection, streams: Reconnecting, clock: Clock) -> None:
        self._connection = connection
        self._streams = streams
        self._clock = clock
        self._openings = Openings(connection, clock)

    async def list(self) -> Sequence[Channel]:
        await self._openings.note_height()
        listed, pending = await asyncio.gather(
            self._connection.call(rpc.LIST_CHANNELS, pb.ListChannelsRequest()),
            self._connection.call(rpc.PENDING_CHANNELS, pb.PendingChannelsRequest()),
        )
        found = {channel.channel_id: channel for channel in views.opening(pending)}
        # One that moved from one answer to the other between the two calls is there once, in its later state.
        found |= {channel.channel_id: channel for channel in map(views.open_channel, listed.channels)}
        found |= {channel.channel_id: channel for channel in views.closing(pending)}
        return tuple(found.values())

    def events(self) -> AsyncIterator[Resumed | Channel | ChannelGone]:
        return self._streams.endless("channels", ChannelEvents(self._connection, self._clock).session)

    async def open(self, request: OpenRequest) -> Outpoint:
        return await self._openings.open(request)

    async def fate(
        self, peer: NodeId, inputs: tuple[Outpoint, ...], since: BlockHeight
    ) -> Opened | NotOpened | Undecided:
        return await self._openings.fate(peer, inputs, since)

    def accept_zero_conf(self, peer: NodeId, capacity: Sat) -> AbstractAsyncContextManager[None]:
        return accept_zero_conf(self._connection, self._streams, peer, capacity)
