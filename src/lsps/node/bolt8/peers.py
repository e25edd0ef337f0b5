"""All connections of one identity: who is connected, what they say, and what they may take of us.

One connection a peer. When a peer connects again, the newer one stays: the older may be dead without our knowing, and
the peer has just proven who it is. Only when both sides called each other at the same time, the one that the smaller
public key made stays, as LND decides it, so that both sides drop the same one.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address

from lsps.clock import Clock
from lsps.errors import LspsError
from lsps.lightning.messages import CustomMessage, PeerError, PeerWarning
from lsps.logs import event
from lsps.node.bolt8.feed import Feed
from lsps.node.bolt8.limits import Limits
from lsps.node.bolt8.link import READ_BYTES, Link, LinkEnded
from lsps.node.contract import PeerOffline, PeerOnline
from lsps.units import NodeId

TICK_SECONDS = 1.0
_LONGEST_QUEUE = 10_000
_COMPLAINTS_LOGGED = 5
"""Of one connection: who sends warnings without end fills no disk."""

_log = logging.getLogger("lsps.node")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A custom message, and the connection that it came by."""

    link: Link
    message: CustomMessage


class Peers:
    """Every Link's owner. `on_offline` is told who was connected, for how many seconds, and is not any more."""

    def __init__(
        self, local: NodeId, limits: Limits, clock: Clock, on_offline: Callable[[NodeId, float], None]
    ) -> None:
        self.arrivals: Feed[Arrival] = Feed(
            longest=_LONGEST_QUEUE,
            on_queued=lambda arrival: arrival.link.queued(arrival.message),
            on_gone=lambda arrival: arrival.link.taken(arrival.message),
            on_full=_drop_the_loudest,
        )
        self.events: Feed[PeerOnline | PeerOffline] = Feed(longest=_LONGEST_QUEUE)
        self.read_buffer = memoryview(bytearray(READ_BYTES))
        self._local = local
        self._limits = limits
        self._clock = clock
        self._on_offline = on_offline
        self._now = 0.0
        self._links: dict[Link, str] = {}
        """With their sources."""
        self._by_peer: dict[NodeId, Link] = {}
        self._incoming: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._outcomes: dict[Link, asyncio.Future[None]] = {}
        self._empty = asyncio.Event()
        self._closed = False

    def connected(self, peer: NodeId) -> Link | None:
        link = self._by_peer.get(peer)
        return link if link is not None and link.is_open else None

    async def opened(self, link: Link) -> None:
        """Return when messages can be sent on it. Raises its cause if it ends before."""
        if link.cause is not None:
            raise link.cause
        if link.is_open:
            return
        outcome = self._outcomes[link] = asyncio.get_running_loop().create_future()
        try:
            await outcome
        finally:
            del self._outcomes[link]

    async def keep_time(self) -> None:
        """Until cancelled: timeouts and pings."""
        while True:
            await self._clock.sleep(TICK_SECONDS)
            self._now += TICK_SECONDS
            for link in list(self._links):
                link.on_tick(self._now)
            for limit, count in self._refused.items():  # one line a tick, however many come
                event(_log, logging.WARNING, "connections_refused", limit=limit, count=count)
            self._refused.clear()

    async def close(self) -> None:
        """Returns when every connection is closed. Streams end."""
        self._closed = True
        self.arrivals.end()
        self.events.end()
        for link in list(self._links):
            link.abort(LinkEnded("we closed all connections"))
        while self._links:
            self._empty.clear()
            await self._empty.wait()

    # --- what the links tell ----------------------------------------------------------------------------------------

    def on_made(self, link: Link) -> None:
        source = self._links[link] = source_of(link.source)
        link.begin(self._now)
        if self._closed:
            link.abort(LinkEnded("we closed all connections"))
        if link.outgoing:
            return
        self._incoming[source] += 1
        if self._incoming.total() > self._limits.connections:
            self._refuse(link, "connections")
        elif self._incoming[source] > self._limits.connections_per_source:
            self._refuse(link, "connections_per_source")
        else:
            self._make_room()

    def on_open(self, link: Link) -> None:
        peer = _peer_of(link)
        other = self._by_peer.get(peer)
        if other is not None and other.is_open and self._stays(other, link):
            link.close(LinkEnded("both sides called at once, and the other connection stays"))
            return
        self._by_peer[peer] = link
        if other is not None:
            other.close(LinkEnded("the peer connected again"))
            self.events.publish(PeerOffline(peer))
        event(_log, logging.INFO, "peer_connected", peer=peer, outgoing=link.outgoing)
        self.events.publish(PeerOnline(peer))
        self._decide(link)

    def on_message(self, link: Link, message: CustomMessage) -> None:
        self.arrivals.publish(Arrival(link, message))

    def on_complaint(self, link: Link, complaint: PeerError | PeerWarning) -> None:
        if link.complaints <= _COMPLAINTS_LOGGED:  # BOLT 1, warning: SHOULD log it for later diagnosis
            kind = "error" if isinstance(complaint, PeerError) else "warning"
            event(_log, logging.INFO, "peer_complains", peer=link.peer, kind=kind, text=complaint.text)

    def on_lost(self, link: Link) -> None:
        source = self._links.pop(link)
        if not self._links:
            self._empty.set()
        if not link.outgoing:
            self._incoming[source] -= 1
            if not self._incoming[source]:
                del self._incoming[source]
        self._decide(link)
        if link.peer is None or self._by_peer.get(link.peer) is not link:
            event(_log, logging.DEBUG, "connection_ended", source=link.source, reason=link.reason)
            return
        del self._by_peer[link.peer]
        event(_log, logging.INFO, "peer_disconnected", peer=link.peer, reason=link.reason)
        self.events.publish(PeerOffline(link.peer))
        self._on_offline(link.peer, self._now - link.made)

    # ----------------------------------------------------------------------------------------------------------------

    def _refuse(self, link: Link, limit: str) -> None:
        self._refused[limit] += 1
        link.abort(LinkEnded(f"too many connections: {limit}"))

    def _make_room(self) -> None:
        """Too many half-open ones: the oldest goes, of the source that has most. Who only says nothing keeps nobody
        out, and neither does who comes again and again."""
        half_open = [link for link in self._links if link.is_half_open and not link.outgoing]
        if len(half_open) > self._limits.half_open:
            of_source = Counter(self._links[link] for link in half_open)
            goes = max(half_open, key=lambda link: of_source[self._links[link]])
            goes.abort(LinkEnded("others waited, and the handshake was not done: half_open"))

    def _stays(self, other: Link, newer: Link) -> bool:
        crossed = other.outgoing is not newer.outgoing and self._now - other.made < self._limits.handshake_seconds
        return crossed and self._caller(other) < self._caller(newer)

    def _caller(self, link: Link) -> NodeId:
        return self._local if link.outgoing else _peer_of(link)

    def _decide(self, link: Link) -> None:
        outcome = self._outcomes.get(link)
        if outcome is not None and not outcome.done():
            if link.is_open:
                outcome.set_result(None)
            else:
                outcome.set_exception(link.cause or LinkEnded("the connection was closed"))


def _peer_of(link: Link) -> NodeId:
    if link.peer is None:
        raise LspsError("an open connection has a proven peer")
    return link.peer


def _drop_the_loudest(waiting: Iterable[Arrival]) -> Callable[[Arrival], bool]:
    """Whose messages fill the queue loses them, and its connection: nobody's are lost for another's flood."""
    ((loudest, count),) = Counter(arrival.link for arrival in waiting).most_common(1)
    loudest.abort(LinkEnded(f"it sent faster than its messages were taken: {count} of them waited"))
    return lambda arrival: arrival.link is loudest


def source_of(address: str) -> str:
    """What is counted as one: an IPv4 address, however it is written, or an IPv6 /64."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Network((parsed, 64), strict=False))
    return str(parsed)
