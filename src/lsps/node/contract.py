"""What lsps needs of a Lightning node, and what every adapter owes.

Calls
  A call returns when the node has done it, or raises one of the errors below. `NodeUnreachable` means that the outcome
  is unknown: the node may or may not have done it, so the caller asks (`lookup`, `fate`) or repeats. Every call
  that changes something says how a repeat behaves; a repeat is never a second effect.

Streams
  A stream never ends by itself and never raises because the node is away: the adapter reconnects with backoff. It gives
  `Resumed()` first, and again after every interruption: what happened meanwhile was lost, so re-read the state.

An adapter without a capability has None in its place; `require` turns that into an error a person can act on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, TypeVar

from lsps.errors import LspsError
from lsps.units import BlockHeight, ChannelId, Msat, Network, NodeId, Outpoint, Sat, Scid

LARGE_CHANNEL_FEATURES = frozenset({18, 19})
"""BOLT 9 option_support_large_channel, either bit."""
LARGEST_ORDINARY_CHANNEL = Sat(16_777_215)
"""BOLT 2: more needs option_support_large_channel on both sides."""


T = TypeVar("T")


class NodeError(LspsError):
    """Anything a node adapter raises."""


class NodeUnreachable(NodeError):
    """The node does not answer. What the call would have done is unknown."""


class PermissionMissing(NodeError):
    """The node refuses this credential the call; the text names the permission. Nothing happened."""


class PeerNotConnected(NodeError):
    """The peer is not connected, and no address to connect to is known or none answered. Nothing happened."""


class NotSupported(NodeError):
    """This node, or this adapter, cannot do it; the text says what to change. Nothing happened."""


class Refused(NodeError):
    """The node said no, for certain; nothing happened. The text carries its reason."""


class InvoiceNotHeld(Refused):
    """Settling failed for certain: no payment is held for this invoice (cancelled, expired, never paid)."""


class InvoiceAlreadySettled(Refused):
    """Cancelling failed for certain: the invoice is settled."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """A stream's (re)start: events before this moment may have been lost."""


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """`alias` is the operator's text, unsanitized. `synced`: the node sees the chain's tip."""

    node_id: NodeId
    network: Network
    alias: str
    height: BlockHeight
    features: frozenset[int]
    synced: bool


# --- peers and messages ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Peer:
    """A connected peer and the feature bits of its init message."""

    node_id: NodeId
    features: frozenset[int]


@dataclass(frozen=True, slots=True)
class PeerOnline:
    node_id: NodeId


@dataclass(frozen=True, slots=True)
class PeerOffline:
    node_id: NodeId


@dataclass(frozen=True, slots=True)
class Message:
    """The payload of one custom message 37913 (bLIP-50), authenticated by the transport as the peer's."""

    peer: NodeId
    payload: bytes = field(repr=False)
    """May hold a token."""


class Messages(Protocol):
    """BOLT 8 custom messages of type 37913, and the connections that carry them."""

    async def send(self, peer: NodeId, payload: bytes) -> None:
        """Hand one message to the connection. Raises PeerNotConnected, NodeUnreachable (maybe sent)."""
        ...

    def received(self) -> AsyncIterator[Resumed | Message]:
        """Every incoming message. Each call is a stream of its own; all get every message."""
        ...

    async def connect(self, peer: NodeId, address: str | None = None) -> None:
        """Be connected to the peer: at once when it is; else by `address` (HOST:PORT) or one the node knows.

        Raises PeerNotConnected whose text says which address was tried, or that none is known.
        """
        ...

    async def peer(self, peer: NodeId) -> Peer | None:
        """The peer if it is connected now."""
        ...

    def peer_events(self) -> AsyncIterator[Resumed | PeerOnline | PeerOffline]: ...


# --- hold invoices (the seller's side) ------------------------------------------------------------------------------


class InvoiceState(Enum):
    OPEN = "open"
    HELD = "held"
    SETTLED = "settled"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class InvoiceStatus:
    """`held` is what is held now or was settled; `earliest_expiry` the lowest expiry height of the held HTLCs."""

    payment_hash: bytes
    state: InvoiceState
    held: Msat
    earliest_expiry: BlockHeight | None


class Invoices(Protocol):
    """Hold invoices: the node knows the hash when they are made, and the preimage only to settle."""

    async def add_hold(
        self, payment_hash: bytes, amount: Msat, description: str, expiry_seconds: int, min_final_cltv_expiry: int
    ) -> str:
        """Make a hold invoice; returns its BOLT 11 text. Private channels are hinted. A repeat for the same hash
        gives the invoice that is there. Raises Refused, NodeUnreachable."""
        ...

    async def settle(self, preimage: bytes) -> None:
        """Take the held payment. Settled already: fine. Raises InvoiceNotHeld for certain, NodeUnreachable."""
        ...

    async def cancel(self, payment_hash: bytes) -> None:
        """Give the held payment back and take no more. Cancelled already, or unknown: fine.
        Raises InvoiceAlreadySettled for certain, NodeUnreachable."""
        ...

    async def lookup(self, payment_hash: bytes) -> InvoiceStatus | None:
        """The invoice's present state; None when the node does not know it."""
        ...

    def watch(self, payment_hash: bytes) -> None:
        """From now on `updates` tells of this invoice's changes, its present state first, until it is final."""
        ...

    def unwatch(self, payment_hash: bytes) -> None: ...

    def updates(self) -> AsyncIterator[Resumed | InvoiceStatus]:
        """Changes of the watched invoices; one consumer. After each Resumed the present state of every watched invoice
        comes again. An invoice the node does not know (any more) is told as CANCELLED with nothing held: nobody can
        pay it. The same state may come more than once."""
        ...


# --- payments (the buyer's side) ------------------------------------------------------------------------------------


class PaymentStatus(Enum):
    IN_FLIGHT = "in flight"
    SUCCEEDED = "succeeded"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Payment:
    """`fee` is what the route cost beyond the invoice's amount; `failure` the node's reason when FAILED."""

    payment_hash: bytes
    status: PaymentStatus
    fee: Msat
    failure: str = ""


class Payments(Protocol):
    async def pay(self, invoice: str, max_fee: Msat) -> Payment:
        """Pay and wait for the final state: for a hold invoice, until the payee settles or gives back.

        A repeat for the same payment hash never pays twice: it waits for the payment in flight, or returns the one
        that succeeded; one that failed is tried again. Cancelling the wait does not stop the payment. Raises Refused
        (nothing sent), NodeUnreachable (unknown: look it up).
        """
        ...

    async def lookup(self, payment_hash: bytes) -> Payment | None:
        """The newest state of the payment with this hash; None when this node never sent one."""
        ...


# --- channels -------------------------------------------------------------------------------------------------------


class Opener(Enum):
    US = "us"
    PEER = "peer"


class ChannelState(Enum):
    PENDING = "pending"
    OPEN = "open"
    CLOSING = "closing"


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel. Balances are the sides' own, without what is in flight; `pushed`: what the opener gave at the start.

    `scid` is the confirmed one (None before confirmation); `aliases` are ours, `peer_alias` the one the peer gave us.
    A PENDING channel may lack everything but peer, funding, opener, capacity, balances and `private`.
    """

    channel_id: ChannelId
    funding: Outpoint
    peer: NodeId
    state: ChannelState
    opener: Opener
    capacity: Sat
    local_balance: Sat
    remote_balance: Sat
    pushed: Sat
    private: bool
    zero_conf: bool
    scid: Scid | None
    aliases: tuple[Scid, ...]
    peer_alias: Scid | None
    memo: str = ""
    """What its OpenRequest said, as long as the node remembers it: no longer than the channel lives."""

    def confirmed_at(self) -> BlockHeight | None:
        return None if self.scid is None else BlockHeight(self.scid.block)


@dataclass(frozen=True, slots=True)
class ChannelGone:
    """The channel is closed, or its opening was given up."""

    channel_id: ChannelId


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """A channel to open: `capacity` in all, of which `push` is the peer's. `inputs` are spent, all of them and no
    others, so none may be superfluous (Refused); change comes back to the wallet. `memo` is for people, and for a
    store that lost the opening (Channel). `zero_conf`: usable before it confirms."""

    peer: NodeId
    capacity: Sat
    push: Sat
    private: bool
    zero_conf: bool
    inputs: tuple[Outpoint, ...]
    sat_per_kw: int
    memo: str


@dataclass(frozen=True, slots=True)
class Opened:
    """A funding transaction that spends the inputs is broadcast."""

    funding: Outpoint


@dataclass(frozen=True, slots=True)
class NotOpened:
    """For certain no channel was and none will be made of these inputs by a call made before this answer."""

    reason: str


@dataclass(frozen=True, slots=True)
class Undecided:
    """A negotiation may still be running, or the wallet has not made up its mind: ask again later."""


class Channels(Protocol):
    async def list(self) -> Sequence[Channel]:
        """Pending, open and closing channels."""
        ...

    def events(self) -> AsyncIterator[Resumed | Channel | ChannelGone]:
        """A Channel whenever one appears or changes other than in balance (opened, confirmed, closing)."""
        ...

    async def open(self, request: OpenRequest) -> Outpoint:
        """Open a channel; returns when the funding transaction is broadcast. Made idempotent by its inputs: at most one
        channel can ever be made of them. Any error, Refused too, leaves the outcome to `fate`."""
        ...

    async def fate(
        self, peer: NodeId, inputs: tuple[Outpoint, ...], since: BlockHeight
    ) -> Opened | NotOpened | Undecided:
        """What became of an `open` with these inputs, asked at any later time; `since`: the tip when they were chosen.
        To be certain that nothing is being negotiated, it may cut the connection to the peer for a moment.
        Raises NodeUnreachable."""
        ...

    def accept_zero_conf(self, peer: NodeId, capacity: Sat) -> AbstractAsyncContextManager[None]:
        """While entered, a 0-conf channel of at least this capacity from this peer is accepted; all other incoming
        channels pass as if this were not here. Entering returns when the node will ask. Raises NotSupported,
        NodeUnreachable."""
        ...


# --- wallet ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Utxo:
    outpoint: Outpoint
    amount: Sat
    address: str


@dataclass(frozen=True, slots=True)
class Spender:
    """A transaction that spends an output; `height` of its block, None while it waits for one."""

    txid: str
    height: BlockHeight | None


@dataclass(frozen=True, slots=True)
class Deposit:
    """An output that pays to an address of this wallet, spent or not.

    `height` of its block, None while it waits for one. `sat_per_kw`: what its transaction pays, None when the wallet
    cannot know (`Wallet.sees_fees`).
    """

    outpoint: Outpoint
    address: str
    amount: Sat
    height: BlockHeight | None
    sat_per_kw: int | None
    spent_by: Spender | None


@dataclass(frozen=True, slots=True)
class WalletChanged:
    """Deposits came, confirmed, were spent or replaced: read them again."""


@dataclass(frozen=True, slots=True)
class Spend:
    """A transaction of the wallet: it spends all of `inputs` and no others, and pays to `address`; what is left comes
    back to the wallet, unless it is dust. The address gets `amount`, or `amount` less the fee with `fee_from_amount`.
    It can be replaced (BIP 125)."""

    inputs: tuple[Outpoint, ...]
    address: str
    amount: Sat
    fee_from_amount: bool
    sat_per_kw: int


@dataclass(frozen=True, slots=True)
class SignedTransaction:
    """`paid` is what the address gets."""

    txid: str
    raw: bytes
    paid: Sat
    fee: Sat


class Wallet(Protocol):
    @property
    def sees_fees(self) -> bool:
        """Whether a Deposit tells the feerate its transaction pays."""
        ...

    async def inputs(self) -> Sequence[Utxo]:
        """Confirmed outputs that can be spent now: neither locked nor used by a pending transaction."""
        ...

    async def feerate(self, target_blocks: int) -> int:
        """The feerate, in satoshi per 1000 weight, to confirm within so many blocks. Never under 253."""
        ...

    async def new_address(self) -> str:
        """A SegWit address that was never given before. Raises NodeUnreachable."""
        ...

    async def deposits(self, since: BlockHeight) -> Sequence[Deposit]:
        """All deposits that wait for a block or are in one at or above `since`, as of now. One that is missing here has
        been replaced, evicted or reorganised away, until it is listed again."""
        ...

    def changes(self) -> AsyncIterator[Resumed | WalletChanged]:
        """A hint that `deposits` would answer differently. It may come too often, and not for everything: a
        replacement, an eviction or a reorganisation is found by reading again."""
        ...

    async def sign(self, spend: Spend) -> SignedTransaction:
        """Make and sign a transaction, and send it nowhere. The inputs must be confirmed; they may be spent by an
        unconfirmed transaction of this wallet, which this one is to replace. Nothing is reserved. Raises Refused: an
        input is not the wallet's or is spent for good, or too little would be left to pay."""
        ...

    async def publish(self, transaction: SignedTransaction) -> None:
        """Send it to the network. A repeat is fine, also after it confirmed. Raises Refused for certain (an input is
        spent otherwise, or it pays too little to replace what spends it), NodeUnreachable."""
        ...


class Node(Protocol):
    """One Lightning node, as lsps sees it. Capabilities that an adapter lacks are None."""

    @property
    def messages(self) -> Messages: ...
    @property
    def invoices(self) -> Invoices | None: ...
    @property
    def payments(self) -> Payments | None: ...
    @property
    def channels(self) -> Channels | None: ...
    @property
    def wallet(self) -> Wallet | None: ...

    async def info(self) -> NodeInfo:
        """Identity, network and chain tip, asked now. Raises NodeUnreachable."""
        ...

    def tips(self) -> AsyncIterator[Resumed | BlockHeight]:
        """The best chain's height, now and at every change. It may go down for a moment in a reorganisation."""
        ...

    async def close(self) -> None:
        """End all streams and connections of this object; the node runs on. A repeat is fine."""
        ...


def require(capability: T | None, name: str) -> T:
    """The capability, or NotSupported that names what is missing."""
    if capability is None:
        raise NotSupported(
            f"this needs a node for {name}: an LSP knows its customer by the identity of the node that pays and holds"
            " the channels. Name that one, such as lnd://…"
        )
    return capability
