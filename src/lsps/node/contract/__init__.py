"""What lsps needs of a Lightning node, and what every adapter owes.

Calls
  A call returns when the node has done it, or raises one of errors.py. `NodeUnreachable` means that the outcome
  is unknown: the node may or may not have done it, so the caller asks (`lookup`, `fate`) or repeats. Every call
  that changes something says how a repeat behaves; a repeat is never a second effect.

Streams
  A stream never ends by itself and never raises because the node is away: the adapter reconnects with backoff. It gives
  `Resumed()` first, and again after every interruption: what happened meanwhile was lost, so re-read the state.

An adapter without a capability has None in its place; `require` turns that into an error a person can act on.

Files
  node.py is the whole; errors.py and streams.py are what all share. Messages, invoices, payments, channels and wallet
  are the capabilities, a file each; so are the tests that hold an adapter to them (tests/node/contract).
"""

from __future__ import annotations

from lsps.node.contract.channels import (
    LARGE_CHANNEL_FEATURES,
    LARGEST_ORDINARY_CHANNEL,
    Channel,
    ChannelGone,
    Channels,
    ChannelState,
    NotOpened,
    Opened,
    Opener,
    OpenRequest,
    Undecided,
)
from lsps.node.contract.errors import (
    InvoiceAlreadySettled,
    InvoiceNotHeld,
    NodeError,
    NodeUnreachable,
    NotSupported,
    PeerNotConnected,
    PermissionMissing,
    Refused,
    require,
)
from lsps.node.contract.invoices import Invoices, InvoiceState, InvoiceStatus
from lsps.node.contract.messages import Message, Messages, Peer, PeerOffline, PeerOnline
from lsps.node.contract.node import Node, NodeInfo
from lsps.node.contract.payments import Payment, Payments, PaymentStatus
from lsps.node.contract.streams import Resumed
from lsps.node.contract.wallet import Deposit, SignedTransaction, Spend, Spender, Utxo, Wallet, WalletChanged

__all__ = [
    "LARGEST_ORDINARY_CHANNEL",
    "LARGE_CHANNEL_FEATURES",
    "Channel",
    "ChannelGone",
    "ChannelState",
    "Channels",
    "Deposit",
    "InvoiceAlreadySettled",
    "InvoiceNotHeld",
    "InvoiceState",
    "InvoiceStatus",
    "Invoices",
    "Message",
    "Messages",
    "Node",
    "NodeError",
    "NodeInfo",
    "NodeUnreachable",
    "NotOpened",
    "NotSupported",
    "OpenRequest",
    "Opened",
    "Opener",
    "Payment",
    "PaymentStatus",
    "Payments",
    "Peer",
    "PeerNotConnected",
    "PeerOffline",
    "PeerOnline",
    "PermissionMissing",
    "Refused",
    "Resumed",
    "SignedTransaction",
    "Spend",
    "Spender",
    "Undecided",
    "Utxo",
    "Wallet",
    "WalletChanged",
    "require",
]
