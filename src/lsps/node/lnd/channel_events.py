"""The stream of channel changes: lnd's own events, and what lnd has no event for, looked for after every block.

LND says nothing when a 0-conf channel confirms, nor when a close is broadcast (it only says that the channel became
inactive, as it does when the peer goes away). It tells of a block before it has worked on it, hence the several looks.
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
from lsps.units import ChannelId, Outpoint

Change = Channel | ChannelGone

LOOKS_AFTER_A_BLOCK = 5
LOOK_SECONDS = 2.0


class _Look:
    """A moment to look."""


class ChannelEvents:
    """One consumer's session."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._looks_due = 0
        self._unconfirmed: set[ChannelId] = set()  # 0-conf channels in use
        self._closing: set[ChannelId] = set()  # told already

    @asynccontextmanager
    async def session(self) -> AsyncIterator[AsyncIterator[Change]]:
        channel_events = self._connection.stream(rpc.CHANNEL_EVENTS, pb.ChannelEventSubscription())
        blocks = self._connection.stream(rpc.BLOCKS, pb.BlockEpoch())
        async with channel_events as updates, blocks as epochs:
            # The consumer reads the state after Resumed, so only what changes from here on is told.
            listed = await self._connection.call(rpc.LIST_CHANNELS, pb.ListChannelsRequest())
            self._note([views.open_channel(channel) for channel in listed.channels])
            self._closing = {channel.channel_id for channel in views.closing(await self._pending())}
            yield self._changes(updates, epochs)

    async def _changes(
        self, updates: AsyncIterator[pb.ChannelEventUpdate], epochs: AsyncIterator[pb.BlockEpoch]
    ) -> AsyncIterator[Change]:
        async for item in merge(updates, epochs, self._looks()):
            if isinstance(item, pb.BlockEpoch):
                self._looks_due = LOOKS_AFTER_A_BLOCK
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
            self._note([channel])
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
        if not self._unconfirmed:
            return
        listed = await self._connection.call(rpc.LIST_CHANNELS, pb.ListChannelsRequest())
        for channel in map(views.open_channel, listed.channels):
            if channel.channel_id in self._unconfirmed and channel.scid is not None:
                self._unconfirmed.discard(channel.channel_id)
                yield channel

    async def _newly_closing(self) -> list[Channel]:
        new = [one for one in views.closing(await self._pending()) if one.channel_id not in self._closing]
        self._closing.update(channel.channel_id for channel in new)
        return new

    def _note(self, channels: list[Channel]) -> None:
        for channel in channels:
            if channel.zero_conf and channel.scid is None:
                self._unconfirmed.add(channel.channel_id)

    def _gone(self, funding: Outpoint) -> ChannelGone:
        channel_id = funding.channel_id()
        self._unconfirmed.discard(channel_id)
        self._closing.discard(channel_id)
        return ChannelGone(channel_id)

    async def _pending(self) -> pb.PendingChannelsResponse:
        return await self._connection.call(rpc.PENDING_CHANNELS, pb.PendingChannelsRequest())
