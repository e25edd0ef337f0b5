"""Channels: those there are, and one to be opened at most once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from lsps.node.contract.streams import Resumed
from lsps.units import BlockHeight, ChannelId, NodeId, Outpoint, Sat, Scid

LARGE_CHANNEL_FEATURES = frozenset({18, 19})
"""BOLT 9 option_support_large_channel, either bit."""
LARGEST_ORDINARY_CHANNEL = Sat(16_777_215)
"""BOLT 2: more needs option_support_large_channel on both sides."""


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
