"""What one peer, and all of them together, may take of us."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """The first three hold for connections that others made to us, the rest for all. Times in seconds."""

    connections: int = 1_000
    """Of all sources; the next one is closed at once."""
    connections_per_source: int = 20
    """A source is an IPv4 address or an IPv6 /64, which is what one customer of a provider has."""
    half_open: int = 100
    """Connections whose peer has not finished handshake and init: the oldest makes room for a new one."""
    handshake_seconds: float = 10
    """For handshake and init together."""
    idle_seconds: float = 60
    """A peer of which nothing is heard for so long, though it is pinged, is gone."""
    buffered_bytes: int = 2**20
    """Of one peer. Unread by us: it is not read from until they are. Unread by it: the connection is closed."""
