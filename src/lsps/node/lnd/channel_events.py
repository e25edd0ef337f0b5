"""The stream of channel changes: lnd's own events, and what lnd has no event for, looked for after every block.

LND says nothing when a 0-conf channel confirms, when the peer's alias arrives shortly after the opening, nor when a
close is broadcast (it only says that the channel became inactive, as it does when the peer goes away). It tells of a
block before it has worked on it, hence the several looks.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lsps.clock import Clock
from lsps.node.contract import Channel, ChannelGone
from lsps.node.lnd import channel_views as views
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.connection import Connection
from lsps.node.lnd.streams import merge
from lsps.units import ChannelId, Outpoint, Scid

Change = Channel | ChannelGone

LOOKS = 5
LOOK_SECONDS = 2.0


_Names = tuple[Scid | None, tuple[Scid, ...], Scid | None]


def _names(channel: Channel) -> _Names:
    return channel.scid, channel.aliases, channel.peer_alias


class _Look:
    """A moment to look."""


class ChannelEvents:
    """One consumer's session."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._looks_due = 0
        self._unsettled: dict[ChannelId, _Names] = {}  # channels whose names may still change, and what was told
        self._closing: set[ChannelId] = set()  # told already

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncIterator[Change]]:
        channel_events = self._connection.stream(rpc.CHANNEL_EVENTS, pb.ChannelEventSubscription())
        blocks = self._connection.stream(rpc.BLOCKS, pb.BlockEpoch())
        async with channel_events as updates, blocks as epochs:
            # The consumer reads the state after Resumed, so only what changes from here on is told.
            listed = await self._connection.call(rpc.LIST_CHANNELS, pb.ListChannelsRequest())
            found = map(views.open_channel, listed.channels)
            self._unsettled = {channel.channel_id: _names(channel) for channel in found if channel.scid is None}
            self._closing = {channel.channel_id for channel in views.closing(await self._pending())}
            yield self._changes(updates, epochs)

    async def _changes(
        self, updates: AsyncIterator[pb.ChannelEventUpdate], epochs: AsyncIterator[pb.BlockEpoch]
    ) -> AsyncIterator[Change]:
        async for item in merge(updates, epochs, self._looks()):
            if isinstance(item, pb.BlockEpoch):
                self._looks_due = LOOKS
                continue
            found = self._of_event(item) if isinstance(item, pb.ChannelEventUpdate) else self._of_look()
            async for change in found:
                yield change

    async def _looks(self) -> AsyncIterator[_Look]:
        """Moments after a block; blocks that come together share them."""
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            if self._looks_due:
                self._looks_due -= 1
                yield _Look()

    async def _of_event(self, update: pb.ChannelEventUpdate) -> AsyncIterator[Change]:
        kind = update.WhichOneof("channel")
        if kind == "open_channel":
            channel = views.open_channel(update.open_channel)
            self._unsettled[channel.channel_id] = _names(channel)
            self._looks_due = LOOKS
            yield channel
        elif kind == "pending_open_channel":
            funding = views.outpoint(update.pending_open_channel)
            for channel in views.opening(await self._pending()):
                if channel.funding == funding:
                    yield channel
        elif kind == "inactive_channel":
            for channel in await self._newly_closing():
                yield channel
        elif kind == "closed_channel":
            yield self._gone(Outpoint.parse(update.closed_channel.channel_point))
        elif kind == "channel_funding_timeout":
            yield self._gone(views.channel_point(update.channel_funding_timeout))

    async def _of_look(self) -> AsyncIterator[Change]:
        for channel in await self._newly_closing():
            yield channel
        if not self._unsettled:
            return
        listed = await self._connection.call(rpc.LIST_CHANNELS, pb.ListChannelsRequest())
        for channel in map(views.open_channel, listed.channels):
            told = self._unsettled.get(channel.channel_id)
            if told is not None and told != _names(channel):
                self._unsettled[channel.channel_id] = _names(channel)
                yield channel
        if not self._looks_due:
            self._unsettled = {one: names for one, names in self._unsettled.items() if names[0] is None}

    async def _newly_closing(self) -> list[Channel]:
        new = [one for one in views.closing(await self._pending()) if one.channel_id not in self._closing]
        self._closing.update(channel.channel_id for channel in new)
        return new

    def _gone(self, funding: Outpoint) -> ChannelGone:
        channel_id = funding.channel_id()
        self._unsettled.pop(channel_id, None)
        self._closing.discard(channel_id)
        return ChannelGone(channel_id)

    async def _pending(self) -> pb.PendingChannelsResponse:
        return await self._connection.call(rpc.PENDING_CHANNELS, pb.PendingChannelsRequest())
