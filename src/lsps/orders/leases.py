"""The arithmetic of leases: how long the LSP keeps a channel. An expiration never decreases."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from lsps.orders.events import ChannelConfirmed, ChannelEnded, LeaseEvent, LeaseRecorded, Now
from lsps.orders.model import (
    NEWEST_EXTENSIONS,
    ChannelTerms,
    Extension,
    ExtensionTerms,
    Lease,
    Order,
    OriginalOrder,
    Service,
)
from lsps.units import BlockHeight, ChannelId, NodeId, Outpoint

BLOCK_TIME = timedelta(seconds=600)


def channel_expires_at(terms: ChannelTerms, funded_at: datetime) -> datetime:
    """LSPS1's channel.expires_at: late enough for every block the client paid for (bLIP-51 §4)."""
    return funded_at + (terms.funding_confirms_within_blocks + terms.channel_expiry_blocks) * BLOCK_TIME


def begin(order: Order, terms: ChannelTerms, funding: Outpoint, recorded: Lease | None, now: Now) -> Lease:
    """The lease of a channel just funded: counted from the tip until its confirmation height is known.

    `recorded`: one that there was before the opening's outcome was known; it is taken over, never lowered. Was it
    extended, both have been paid for, and their blocks add up.
    """
    expiration_block = now.tip + terms.channel_expiry_blocks
    begun = Lease(
        channel_id=funding.channel_id(),
        lsp=order.lsp,
        peer=order.principal,
        expiration_block=expiration_block,
        provisional_from=now.tip,
        expires_at=channel_expires_at(terms, now.time),
        original_order=OriginalOrder(order.id, Service.LSPS1),
    )
    if recorded is None:
        return begun
    until = max(recorded.expiration_block, expiration_block)
    if recorded.extension_order_ids:
        until = max(recorded.expiration_block, now.tip) + terms.channel_expiry_blocks
    return replace(
        begun,
        expiration_block=until,
        extension_order_ids=recorded.extension_order_ids,
        ended=recorded.ended,
        version=recorded.version,
    )


def blocks_left(lease: Lease | None, tip: BlockHeight) -> int:
    """What is left of a lease; 0 for none or a lapsed one."""
    return 0 if lease is None else max(0, lease.expiration_block.blocks_since(tip))


def max_extension(lease: Lease | None, tip: BlockHeight, configured: int) -> int:
    """max_channel_extension_expiry_blocks of bLIP-57 §3: the configured maximum less what is left, never negative."""
    return max(0, configured - blocks_left(lease, tip))


def extension_start(lease: Lease | None, terms: ExtensionTerms) -> BlockHeight:
    """Where the order's blocks are added now: the lease's present end or the promised start, whichever is later."""
    return terms.expiration_block if lease is None else max(lease.expiration_block, terms.expiration_block)


def blocks_after(lease: Lease | None, terms: ExtensionTerms, tip: BlockHeight) -> int:
    """How far ahead of the tip the extended lease would end; an int, for it may lie beyond any height."""
    return extension_start(lease, terms).blocks_since(tip) + terms.channel_extension_expiry_blocks


def extend(order: Order, terms: ExtensionTerms, lease: Lease | None, now: Now) -> tuple[Lease, Extension]:
    """The lease with the order's blocks added, and the row that says so once."""
    new = extension_start(lease, terms) + terms.channel_extension_expiry_blocks
    if lease is None:
        lease = Lease(channel_id=terms.channel_id, lsp=order.lsp, peer=order.principal, expiration_block=BlockHeight(0))
    expires_at = lease.expires_at
    if expires_at is not None:
        expires_at = max(expires_at, now.time + new.blocks_since(now.tip) * BLOCK_TIME)
    extended = replace(
        lease,
        expiration_block=new,
        expires_at=expires_at,
        extension_order_ids=(*lease.extension_order_ids, order.id)[-NEWEST_EXTENSIONS:],
    )
    return extended, Extension(order.id, terms.channel_id, lease.expiration_block, new)


def lease_step(lease: Lease, event: LeaseEvent) -> Lease:
    """The lease after an event of its channel; the same object when nothing changes."""
    match event:
        case ChannelConfirmed(height):
            # A reorganisation may confirm it later, and never takes blocks away that were told.
            counted_from = lease.provisional_from or lease.confirmed_at
            if counted_from is None or (lease.provisional_from is None and height <= counted_from):
                return lease
            counted_to = max(height, counted_from)
            expiration_block = lease.expiration_block + counted_to.blocks_since(counted_from)
            return replace(lease, expiration_block=expiration_block, provisional_from=None, confirmed_at=counted_to)
        case ChannelEnded():
            return lease if lease.ended else replace(lease, ended=True)
        case LeaseRecorded(expiration_block):
            if expiration_block <= lease.expiration_block:
                return lease
            return replace(lease, expiration_block=expiration_block)


def recorded(channel_id: ChannelId, lsp: NodeId, peer: NodeId, expiration_block: BlockHeight) -> Lease:
    """A lease that an operator records for a channel that was not sold here."""
    return Lease(channel_id=channel_id, lsp=lsp, peer=peer, expiration_block=expiration_block)
