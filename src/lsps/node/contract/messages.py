"""Peers, and the custom messages that they send (bLIP-50)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Protocol

from lsps.node.contract.streams import Resumed
from lsps.units import NodeId


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
