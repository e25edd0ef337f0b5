"""Before an LSP starts: whether its node can deliver what is offered."""

from __future__ import annotations

from lsps.errors import LspsError
from lsps.node.contract import LARGE_CHANNEL_FEATURES, LARGEST_ORDINARY_CHANNEL, NodeInfo
from lsps.service.offer import Offer

SCID_ALIAS_FEATURES = frozenset({46, 47})
"""BOLT 9 option_scid_alias, either bit."""
ZERO_CONF_FEATURES = frozenset({50, 51})
"""BOLT 9 option_zeroconf, either bit."""
MAX_LEASE_BLOCKS = 5_256_000
"""A hundred years. The end of a much longer lease is a date that cannot be told (channel.expires_at, bLIP-51 §4)."""


class CannotDeliver(LspsError):
    """The offer is more than the node can do. `key` is the option's dotted name in lsps.toml."""

    def __init__(self, key: str, text: str) -> None:
        super().__init__(f"{key}: {text}")
        self.key = key


def check_offer(offer: Offer, info: NodeInfo, *, sees_fees: bool) -> None:
    """Raises CannotDeliver for the first thing that customers would pay for in vain."""
    _check_leases(offer)
    if offer.payment.onchain and offer.payment.min_onchain_payment_confirmations == 0 and not sees_fees:
        raise CannotDeliver(
            "payment.min_onchain_payment_confirmations",
            "0 needs a node that knows what an incoming transaction pays in fees, which this one does not; set 1",
        )
    if offer.lsps1 is None:
        if offer.lsps7 is None:
            raise CannotDeliver("lsps1", "nothing is offered: add a table [lsps1], [lsps7] or both")
        return
    options, features = offer.lsps1.options, info.features
    if options.max_channel_balance_sat > LARGEST_ORDINARY_CHANNEL and not features & LARGE_CHANNEL_FEATURES:
        raise CannotDeliver(
            "lsps1.max_channel_balance_sat",
            f"this node opens no channel above {LARGEST_ORDINARY_CHANNEL} sat; lower it, or switch large channels on "
            "(lnd: protocol.wumbo-channels=true)",
        )
    zero_conf = features & SCID_ALIAS_FEATURES and features & ZERO_CONF_FEATURES
    if options.min_required_channel_confirmations == 0 and not zero_conf:
        raise CannotDeliver(
            "lsps1.min_required_channel_confirmations",
            "0 needs a node with zero-conf channels and aliases; set 1, or switch them on "
            "(lnd: protocol.option-scid-alias=true and protocol.zero-conf=true)",
        )
    if options.supports_zero_channel_reserve:
        raise CannotDeliver(
            "lsps1.supports_zero_channel_reserve", "no node that lsps knows can open such a channel; set false"
        )


def _check_leases(offer: Offer) -> None:
    longest = {
        "lsps1.max_channel_expiry_blocks": 0 if offer.lsps1 is None else offer.lsps1.options.max_channel_expiry_blocks,
        "lsps7.max_channel_extension_expiry_blocks": (
            0 if offer.lsps7 is None else offer.lsps7.max_channel_extension_expiry_blocks
        ),
    }
    for key, blocks in longest.items():
        if blocks > MAX_LEASE_BLOCKS:
            raise CannotDeliver(key, f"no lease is longer than {MAX_LEASE_BLOCKS} blocks, a hundred years")
