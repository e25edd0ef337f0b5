"""LSPS7's rules (bLIP-57) that message and offer decide; those that need state are the service's and the client's."""

from __future__ import annotations

from collections.abc import Iterator

from lsps.protocol.errors import InvalidParams, OptionMismatch
from lsps.protocol.lsps7 import CreateOrderParams, ExtendableChannel, ExtensionOrder
from lsps.protocol.rules import RuleViolation, Severity, check_order_id, check_payment, mirrored
from lsps.units import BlockHeight, Sat

TIP_TOLERANCE_BLOCKS = 2
"""The LSP's view of the chain may be this far behind the client's own."""


def check_bounds(params: CreateOrderParams) -> None:
    """bLIP-57 §2, before the channel is looked for. Raises InvalidParams."""
    if params.channel_extension_expiry_blocks < 1:
        raise InvalidParams("channel_extension_expiry_blocks", "channel_extension_expiry_blocks must be 1 or greater")


def check_create_order(params: CreateOrderParams, channel: ExtendableChannel) -> None:
    """That `channel` can be extended so far (bLIP-57 §2). Raises InvalidParams or OptionMismatch."""
    check_bounds(params)
    maximum, asked = channel.max_channel_extension_expiry_blocks, params.channel_extension_expiry_blocks
    if asked > maximum:
        text = f"at most {maximum} blocks can be added to this channel now, the order asks for {asked}"
        raise OptionMismatch("max_channel_extension_expiry_blocks", text)


def check_order_reply(
    params: CreateOrderParams, listed: ExtendableChannel | None, tip: BlockHeight, order: ExtensionOrder
) -> Iterator[RuleViolation]:
    """What is wrong with the order that answers `params`, without looking into its invoice.

    `listed` is the channel as the LSP's list had it; None when it was not in there, and the order's own snapshot is
    all there is. `tip` is the client's own, at the time the order was made.
    """
    clause = "bLIP-57 §2"
    blocks = params.channel_extension_expiry_blocks
    yield from check_order_id(order.order_id, clause)
    yield from mirrored("channel_extension_expiry_blocks", blocks, order.channel_extension_expiry_blocks, clause)
    yield from mirrored("channel.short_channel_id", params.short_channel_id, order.channel.short_channel_id, clause)
    yield from mirrored("token", params.token or "", order.token, clause)
    if listed is None and blocks > order.channel.max_channel_extension_expiry_blocks:
        text = "the order is for more blocks than its own channel allows"
        yield RuleViolation("maximum", "channel.max_channel_extension_expiry_blocks", clause, text)
    yield from _check_expiry(blocks, listed or order.channel, tip, order)
    yield from check_payment(order.payment, Sat(0), params.refund_onchain_address or None)


def _check_expiry(
    blocks: int, listed: ExtendableChannel, tip: BlockHeight, order: ExtensionOrder
) -> Iterator[RuleViolation]:
    # Plain ints: a peer's heights may add up to more than a height can be.
    path, promised = "new_channel_expiry_block", int(order.new_channel_expiry_block)
    start = int(order.channel.expiration_block)
    if start + blocks != promised:
        text = f"expiration_block {start} and {blocks} blocks are not {promised}"
        yield RuleViolation("sum", path, "bLIP-57 §2, Client", text, Severity.SHOULD)
    # A lapsed lease is extended from now on: what is bought counts from the later of lease and tip.
    least = max(int(listed.expiration_block), int(tip) - TIP_TOLERANCE_BLOCKS) + blocks
    if promised < least:
        text = f"the lease would end at {promised}, though {blocks} blocks more last until {least} at least"
        yield RuleViolation("too_short", path, "bLIP-57 §2", text)
