"""The LSP's channels, mirrored in memory, so that lists, SCID matching and re-checks ask no node.

Read in full at start and whenever the stream was interrupted; kept by the stream in between. Until a full read is done
the mirror is not ready, and what depends on it waits.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from lsps import logs
from lsps.clock import Clock, timeout
from lsps.node.contract import Channel, ChannelGone, Channels, ChannelState, NodeError, Resumed
from lsps.orders.events import ChannelStanding
from lsps.orders.model import ExtensionTerms, Order
from lsps.service.leasing import Leasing
from lsps.units import ChannelId, NodeId, Scid

_log = logging.getLogger("lsps.service")

RETRY_SECONDS = 1.0
LIST_SECONDS = 60.0


class ChannelMirror:
    """`leasing` is told of every change: leases follow their channels."""

    def __init__(
        self,
        channels: Channels,
        clock: Clock,
        leasing: Leasing,
    ) -> None:
        self._channels = channels
        self._clock = clock
        self._leasing = leasing
        self._by_id: dict[ChannelId, Channel] = {}
        self._by_peer: dict[NodeId, dict[ChannelId, Channel]] = {}
        self.ready = asyncio.Event()

    async def run(self) -> None:
        async for event in self._channels.events():
            if isinstance(event, Resumed):
                self.ready.clear()
                await self._read()
            elif isinstance(event, ChannelGone):
                self._forget(event.channel_id)
                await self._leasing.on_gone(event.channel_id)
            else:
                self._keep(event)
                await self._leasing.on_channel(event)

    async def _read(self) -> None:
        """Events that come meanwhile wait in the stream, so none is lost."""
        while True:
            try:
                await self._leasing.before_read()
                async with timeout(self._clock, LIST_SECONDS):
                    channels = await self._channels.list()
                break
            except (NodeError, TimeoutError) as error:
                reason = str(error) or "the node did not answer in time"
                logs.event(_log, logging.WARNING, "channel_list_failed", reason=reason)
                await self._clock.sleep(RETRY_SECONDS)
        self._by_id.clear()
        self._by_peer.clear()
        for channel in channels:
            self._keep(channel)
        self.ready.set()
        await self._leasing.on_read(self)

    def _keep(self, channel: Channel) -> None:
        self._by_id[channel.channel_id] = channel
        self._by_peer.setdefault(channel.peer, {})[channel.channel_id] = channel

    def _forget(self, channel_id: ChannelId) -> None:
        channel = self._by_id.pop(channel_id, None)
        if channel is not None:
            of_peer = self._by_peer[channel.peer]
            del of_peer[channel_id]
            if not of_peer:
                del self._by_peer[channel.peer]

    def get(self, channel_id: ChannelId) -> Channel | None:
        return self._by_id.get(channel_id)

    def of_peer(self, peer: NodeId) -> Sequence[Channel]:
        return tuple(self._by_peer.get(peer, {}).values())

    def open_channel(self, peer: NodeId, scid: Scid) -> Channel | None:
        """The peer's one open channel that goes by this SCID: confirmed, any of our aliases, or the peer's own.

        None when there is none, when it is closing, and when two go by it.
        """
        matches = [channel for channel in self.of_peer(peer) if scid in scids(channel)]
        if len(matches) != 1 or matches[0].state is not ChannelState.OPEN:
            return None
        return matches[0]


def scids(channel: Channel) -> frozenset[Scid]:
    """Every SCID the channel goes by."""
    named = (channel.scid, channel.peer_alias, *channel.aliases)
    return frozenset(scid for scid in named if scid is not None)


def listed_scid(channel: Channel) -> Scid | None:
    """The SCID a list shows: the confirmed one, else the one the peer gave, else ours."""
    ours = channel.aliases[0] if channel.aliases else None
    return channel.scid or channel.peer_alias or ours


def standing(mirror: ChannelMirror, order: Order) -> ChannelStanding:
    """What the mirror says now about the channel of an LSPS7 order."""
    if not isinstance(order.terms, ExtensionTerms) or not mirror.ready.is_set():
        return ChannelStanding.UNKNOWN
    channel = mirror.get(order.terms.channel_id)
    if channel is None or channel.state is not ChannelState.OPEN or channel.peer != order.principal:
        return ChannelStanding.GONE
    return ChannelStanding.GOOD
