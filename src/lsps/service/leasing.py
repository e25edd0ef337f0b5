"""Leases follow their channels: they begin to count at the confirmation, and end with the channel (money rule 8)."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import partial
from typing import Protocol

from lsps import logs
from lsps.clock import Clock
from lsps.node.contract import Channel
from lsps.orders import leases
from lsps.orders.events import ChannelConfirmed, ChannelEnded, LeaseEvent, LeaseRecorded
from lsps.orders.model import Lease
from lsps.service.offer import LeaseToRecord
from lsps.service.stored import until_stored
from lsps.store.orders import Change, OrderStore, VersionConflict
from lsps.units import BlockHeight, ChannelId, NodeId

_log = logging.getLogger("lsps.service")

PAGE = 100
_NAMES: dict[type[LeaseEvent], str] = {
    ChannelConfirmed: "lease_confirmed",
    ChannelEnded: "lease_ended",
    LeaseRecorded: "lease_recorded",
}


class KnownChannels(Protocol):
    """The channel mirror, as far as leases look at it."""

    def get(self, channel_id: ChannelId) -> Channel | None: ...


class Leasing:
    """Applies channels' events to leases. The channel mirror tells of them by the `on_…` methods."""

    def __init__(self, store: OrderStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._before_read: list[Lease] = []

    async def apply(self, channel_id: ChannelId, event: LeaseEvent) -> None:
        """Nothing happens to a channel without a lease. Raises StoreUnavailable."""
        while True:
            lease = await self._store.lease(channel_id)
            if lease is None:
                return
            stepped = leases.lease_step(lease, event)
            if stepped is lease:
                return
            try:
                await self._store.commit(Change(lease=stepped), self._clock.now())
            except VersionConflict:
                continue
            logs.event(
                _log,
                logging.INFO,
                _NAMES[type(event)],
                channel_id=channel_id,
                peer=lease.peer,
                expiration_block=stepped.expiration_block,
            )
            return

    async def confirm(self, lease: Lease, channels: KnownChannels) -> None:
        """A channel may have confirmed before its lease was known, or anew, after a reorganisation, while nobody
        listened. Raises StoreUnavailable."""
        channel = channels.get(lease.channel_id)
        height = None if channel is None else _confirmed_at(channel)
        if height is not None and leases.lease_step(lease, ChannelConfirmed(height)) is not lease:
            await self.apply(lease.channel_id, ChannelConfirmed(height))

    async def record(self, lsp: NodeId, granted: Iterable[LeaseToRecord], channels: KnownChannels) -> None:
        """The leases that the operator grants for channels not sold here. Raises StoreUnavailable."""
        for lease in granted:
            channel = channels.get(lease.outpoint.channel_id())
            if channel is None:
                logs.event(_log, logging.ERROR, "lease_without_channel", outpoint=lease.outpoint)
                continue
            try:
                if await self._store.lease(channel.channel_id) is None:
                    new = leases.recorded(channel.channel_id, lsp, channel.peer, lease.expiration_block)
                    await self._store.commit(Change(lease=new), self._clock.now())
            except VersionConflict:
                pass
            await self.apply(channel.channel_id, LeaseRecorded(lease.expiration_block))

    # --- what the channel mirror tells ----------------------------------------------------------------------------

    async def before_read(self) -> None:
        """Before the channels are read, so that a lease just begun is not missed in a list read before it."""
        await until_stored(self._clock, self._read_open)

    async def on_read(self, channels: KnownChannels) -> None:
        """What ended or confirmed while nobody listened."""
        known, self._before_read = self._before_read, []
        for lease in known:
            if channels.get(lease.channel_id) is None:
                await self.on_gone(lease.channel_id)
            else:
                await until_stored(self._clock, partial(self.confirm, lease, channels))

    async def on_channel(self, channel: Channel) -> None:
        height = _confirmed_at(channel)
        if height is not None:
            await until_stored(self._clock, partial(self.apply, channel.channel_id, ChannelConfirmed(height)))

    async def on_gone(self, channel_id: ChannelId) -> None:
        await until_stored(self._clock, partial(self.apply, channel_id, ChannelEnded()))

    async def _read_open(self) -> None:
        self._before_read = []
        after: ChannelId | None = None
        while page := await self._store.open_leases(after, PAGE):
            self._before_read += page
            after = page[-1].channel_id


def _confirmed_at(channel: Channel) -> BlockHeight | None:
    """Of the funding that the channel began with (its id is made of that, BOLT 2). A splice confirms the channel anew,
    under another SCID, and is no reason for a longer lease."""
    return channel.confirmed_at() if channel.funding.channel_id() == channel.channel_id else None
