"""LSPS7 as a service: get_extendable_channels, create_order, get_order (bLIP-57)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from lsps import logs
from lsps.node.contract import Channel, ChannelState, Opener
from lsps.orders import leases
from lsps.orders.events import Now
from lsps.orders.model import ExtensionTerms, Lease, Order, OriginalOrder, Service
from lsps.orders.wire import order_state
from lsps.protocol import lsps7, lsps7_rules
from lsps.protocol.errors import ClientRejected, OptionMismatch
from lsps.protocol.message import to_json
from lsps.protocol.methods import NoParams
from lsps.protocol.rules import check_refund_address
from lsps.service.channels import listed_scid
from lsps.service.desk import OrderDesk, Wanted, payment
from lsps.service.limits import TRY_AGAIN
from lsps.service.offer import ExtensionOffer, Unleased
from lsps.units import BlockHeight, NodeId, Sat, Scid

_log = logging.getLogger("lsps.service")

NOT_EXTENDABLE = "no channel of yours that can be extended goes by this short channel id"
"""One text for unknown, foreign, closing, ambiguous and unleased: it tells nothing about other peers' channels."""


@dataclass(frozen=True, slots=True)
class Lsps7:
    offer: ExtensionOffer
    desk: OrderDesk

    async def get_extendable_channels(self, peer: NodeId, _params: NoParams) -> lsps7.ExtendableChannels:
        now = self._now()
        listed = []
        for channel in self.desk.mirror.of_peer(peer):
            scid = listed_scid(channel)
            if scid is None or channel.state is not ChannelState.OPEN:
                continue
            lease = await self.desk.store.lease(channel.channel_id)
            entry = self._entry(channel, lease, scid, now)
            # A wallet hides 0 and an LSP's negative number made another drop the whole list.
            if entry is not None and entry.max_channel_extension_expiry_blocks >= 1:
                listed.append(entry)
        return lsps7.ExtendableChannels(extendable_channels=self._fitting(peer, listed))

    async def create_order(self, peer: NodeId, params: lsps7.CreateOrderParams) -> lsps7.ExtensionOrder:
        desk = self.desk
        lsps7_rules.check_bounds(params)
        check_refund_address(params.refund_onchain_address, desk.network)
        now = self._now()
        channel = desk.mirror.open_channel(peer, params.short_channel_id)
        lease = None if channel is None else await desk.store.lease(channel.channel_id)
        entry = None if channel is None else self._entry(channel, lease, params.short_channel_id, now)
        if channel is None or entry is None:
            raise OptionMismatch("short_channel_id", NOT_EXTENDABLE)
        lsps7_rules.check_create_order(params, entry)
        token = desk.tokens.check(
            params.token, lsp_balance=None, blocks=params.channel_extension_expiry_blocks, now=now.time
        )
        terms = ExtensionTerms(
            short_channel_id=params.short_channel_id,
            channel_id=channel.channel_id,
            channel_extension_expiry_blocks=params.channel_extension_expiry_blocks,
            original_order=None if lease is None else lease.original_order,
            extension_order_ids=() if lease is None else lease.extension_order_ids,
            max_channel_extension_expiry_blocks=entry.max_channel_extension_expiry_blocks,
            # So that expiration_block + blocks is the new expiry for a lapsed or absent lease too (bLIP-57 §2).
            expiration_block=max(entry.expiration_block, now.tip),
        )
        async with desk.admitted(peer):
            order = await desk.place(
                Wanted(
                    principal=peer,
                    terms=terms,
                    size=channel.capacity,
                    blocks=terms.channel_extension_expiry_blocks,
                    sat_per_kw=None,
                    client_balance=Sat(0),
                    token=token,
                    refund_address=params.refund_onchain_address,
                    description="LSPS7 channel lease extension",
                )
            )
        return _told(order, terms)

    async def get_order(self, peer: NodeId, params: lsps7.GetOrderParams) -> lsps7.ExtensionOrder:
        order = await self.desk.find(peer, params.order_id, Service.LSPS7)
        if not isinstance(order.terms, ExtensionTerms):
            raise TypeError("an LSPS7 order has extension terms")
        return _told(order, order.terms)

    def _now(self) -> Now:
        """Raises ClientRejected until the tip and the channels are known."""
        if not self.desk.mirror.ready.is_set():
            raise ClientRejected(TRY_AGAIN)
        return self.desk.engine.now()

    def _entry(self, channel: Channel, lease: Lease | None, scid: Scid, now: Now) -> lsps7.ExtendableChannel | None:
        """The channel as bLIP-57 §3 shows it; None when it cannot be extended."""
        if lease is None and not self._extends_unleased(channel):
            return None
        if lease is not None and (lease.ended or lease.peer != channel.peer):
            return None
        return lsps7.ExtendableChannel(
            original_order=None if lease is None else _original(lease.original_order),
            extension_order_ids=None if lease is None else tuple(lease.extension_order_ids),
            short_channel_id=scid,
            max_channel_extension_expiry_blocks=leases.max_extension(
                lease, now.tip, self.offer.max_channel_extension_expiry_blocks
            ),
            expiration_block=BlockHeight(0) if lease is None else lease.expiration_block,
        )

    def _extends_unleased(self, channel: Channel) -> bool:
        match self.offer.extend_unleased_channels:
            case Unleased.ALL:
                return True
            case Unleased.PEER_OPENED:
                return channel.opener is Opener.PEER
            case Unleased.NONE:
                return False

    def _fitting(self, peer: NodeId, listed: list[lsps7.ExtendableChannel]) -> tuple[lsps7.ExtendableChannel, ...]:
        """The soonest-expiring first; where the message would not hold all: without the optional fields, then fewer."""
        # expiration_block 0 is no lease: nothing of it expires.
        listed.sort(key=lambda entry: (int(entry.expiration_block) == 0, entry.expiration_block))
        room = self.desk.limits.reply_bytes
        if _size(listed) <= room:
            return tuple(listed)
        bare = [msgspec.structs.replace(entry, original_order=None, extension_order_ids=None) for entry in listed]
        fitting = len(bare)
        while _size(bare[:fitting]) > room:
            fitting = fitting * room // _size(bare[:fitting]) if fitting > 1 else 0
        logs.event(_log, logging.WARNING, "list_cut", peer=peer, channels=len(listed), listed=fitting)
        return tuple(bare[:fitting])


def _size(entries: Sequence[lsps7.ExtendableChannel]) -> int:
    return sum(len(msgspec.json.encode(to_json(entry))) + 1 for entry in entries)


def _original(order: OriginalOrder | None) -> lsps7.OriginalOrder | None:
    return None if order is None else lsps7.OriginalOrder(id=order.id, service=order.service.value)


def _told(order: Order, terms: ExtensionTerms) -> lsps7.ExtensionOrder:
    """`channel` is the snapshot of the order's creation; the list shows the present."""
    return lsps7.ExtensionOrder(
        order_id=order.id,
        channel_extension_expiry_blocks=terms.channel_extension_expiry_blocks,
        new_channel_expiry_block=terms.new_channel_expiry_block,
        token=order.token,
        created_at=order.created_at,
        order_state=order_state(order),
        payment=payment(order),
        channel=lsps7.ExtendableChannel(
            original_order=_original(terms.original_order),
            extension_order_ids=tuple(terms.extension_order_ids),
            short_channel_id=terms.short_channel_id,
            max_channel_extension_expiry_blocks=terms.max_channel_extension_expiry_blocks,
            expiration_block=terms.expiration_block,
        ),
    )
