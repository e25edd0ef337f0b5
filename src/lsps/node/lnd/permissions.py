"""The least that a macaroon must allow, for buying and for serving, and what on-chain payments need beyond that.

docs/lnd.md shows how to bake them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lsps.node.lnd import rpc
from lsps.node.lnd.rpc import Method

_EVERY = (
    rpc.GET_INFO,
    rpc.BLOCKS,
    rpc.LIST_PEERS,
    rpc.PEER_EVENTS,
    rpc.GET_NODE_INFO,
    rpc.CONNECT_PEER,
    rpc.SEND_CUSTOM_MESSAGE,
    rpc.CUSTOM_MESSAGES,
    rpc.LIST_CHANNELS,
    rpc.PENDING_CHANNELS,
    rpc.CHANNEL_EVENTS,
)


def _uris(methods: Sequence[Method[Any, Any]]) -> tuple[str, ...]:
    return tuple(f"uri:{method.path}" for method in methods)


BUYING = _uris((*_EVERY, rpc.DECODE_PAY_REQ, rpc.SEND_PAYMENT, rpc.TRACK_PAYMENT, rpc.CHANNEL_ACCEPTOR))
"""For info, leases, extend, buy: messages, channels, payments, and accepting a 0-conf channel."""

SERVING = _uris(
    (
        *_EVERY,
        rpc.ADD_HOLD_INVOICE,
        rpc.SETTLE_INVOICE,
        rpc.CANCEL_INVOICE,
        rpc.LOOKUP_INVOICE,
        rpc.SINGLE_INVOICE,
        rpc.OPEN_CHANNEL,
        rpc.DISCONNECT_PEER,
        rpc.CLOSED_CHANNELS,
        rpc.LIST_UNSPENT,
        rpc.ESTIMATE_FEE,
        rpc.GET_TRANSACTION,
        rpc.GET_TRANSACTIONS,
    )
)
"""For serve: messages, hold invoices, channels to open, and the wallet read, never spent but into channels."""

_WALLET = (
    rpc.LIST_UNSPENT,
    rpc.ESTIMATE_FEE,
    rpc.GET_TRANSACTION,
    rpc.GET_TRANSACTIONS,
    rpc.TRANSACTIONS,
    rpc.NEW_ADDRESS,
    rpc.FINALIZE_PSBT,
    rpc.PUBLISH_TRANSACTION,
)
"""All of the wallet. FINALIZE_PSBT alone is enough to spend it: what is signed can be published anywhere."""

BUYING_ONCHAIN = (*BUYING, *_uris(_WALLET))
"""To pay on-chain as well."""
SERVING_ONCHAIN = (*SERVING, *(uri for uri in _uris(_WALLET) if uri not in SERVING))
"""To be paid on-chain as well, and to refund."""


def bake_line(permissions: Sequence[str], path: str = "lsps.macaroon") -> str:
    """The shell command that bakes them."""
    return " \\\n    ".join((f"lncli bakemacaroon --save_to={path}", *permissions))
