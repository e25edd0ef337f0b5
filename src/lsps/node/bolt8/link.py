"""One TCP connection to one peer: carries bytes between its socket and a sans-IO `Connection`, and keeps it in bounds.

    made --init here--> open --Closed, or a limit--> closing --flushed, or too slow--> lost

1. While the peer does not read what we write, we do not read what it writes (BOLT 1: precautions against ping floods).
2. Nor do we while what it sent waits unread on our side, so a flood is held back by TCP and costs no memory.
3. Of what a peer sends a little is taken at a turn, so that a flood of small messages keeps nobody waiting for long.
4. Time is told by the owner, once a tick, to all links: a link has no task and no timer of its own.
"""

from __future__ import annotations

import asyncio
from typing import Protocol, cast

from lsps.errors import LspsError
from lsps.lightning.bolt1 import Authenticated, Closed, Connection, Event
from lsps.lightning.messages import CustomMessage, Init, PeerError, PeerWarning, Ping
from lsps.node.bolt8.limits import Limits
from lsps.units import NodeId

PING_SECONDS = 5.0
"""LDK takes a peer for dead of which it hears nothing in one of its 10-second ticks."""
CLOSING_SECONDS = 5.0
"""For a last warning to be taken."""
_MESSAGE_OVERHEAD = 256
"""What a waiting message costs beyond its payload; an empty one is no free one."""
_FEATURES_KEPT = (1 << 2048) - 1
"""A peer's init may set half a million bits; none this high means anything (BOLT 9, bLIP-50's is 729)."""


class LinkEnded(LspsError):
    """We ended the connection; the text says why."""


READ_BYTES = 2**14
"""Of one peer in one turn of the event loop: at most 455 messages, some 3 ms of work. asyncio takes 256 KiB: 50 ms."""


class Owner(Protocol):
    """Who is told; none of these may wait."""

    read_buffer: memoryview
    """READ_BYTES that all links read into, one at a time: the event loop hands them over at once."""

    def on_made(self, link: Link) -> None: ...
    def on_open(self, link: Link) -> None: ...
    def on_message(self, link: Link, message: CustomMessage) -> None: ...
    def on_complaint(self, link: Link, complaint: PeerError | PeerWarning) -> None: ...
    def on_lost(self, link: Link) -> None: ...


class Link(asyncio.BufferedProtocol):
    """`outgoing`: we made the connection. `now` is the owner's count of seconds."""

    __slots__ = (
        "_closing_since", "_connection", "_heard", "_limits", "_owner", "_pinged", "_said", "_transport",
        "_unread", "_writable", "cause", "complaints", "features", "is_open", "made", "now", "outgoing", "peer", "said",
        "source",
    )  # fmt: skip

    def __init__(self, connection: Connection, owner: Owner, limits: Limits, *, outgoing: bool) -> None:
        self.outgoing = outgoing
        self.peer: NodeId | None = None
        """Who it is, once that is proven."""
        self.features = 0
        self.is_open = False
        """Messages can be sent: the handshake is done, and the peer's init is here."""
        self.cause: LspsError | None = None
        """Why it ended."""
        self.said = ""
        """The peer's last error or warning."""
        self.complaints = 0
        """How many there were."""
        self.source = ""
        """The peer's IP address."""
        self.now = self.made = 0.0
        self._connection = connection
        self._owner = owner
        self._limits = limits
        self._transport: asyncio.Transport | None = None
        self._writable = True
        self._unread = 0
        self._heard = self._said = self._pinged = 0.0
        self._closing_since: float | None = None

    def begin(self, now: float) -> None:
        """The owner's time when the connection was made."""
        self.now = self.made = self._heard = self._said = self._pinged = now

    @property
    def reason(self) -> str:
        """Why it ended, and what the peer said about that: many a node warns and then just hangs up."""
        return f'{self.cause}; it said: "{self.said}"' if self.said else str(self.cause)

    @property
    def is_half_open(self) -> bool:
        return not self.is_open and self.cause is None

    def send(self, message: CustomMessage) -> None:
        """Raises MessageTooLong, and LinkEnded when it is over or the peer does not read."""
        if not self.is_open or self._transport is None:
            raise LinkEnded("the connection has ended")
        if self._transport.get_write_buffer_size() + len(message.payload) > self._limits.buffered_bytes:
            ended = LinkEnded("the peer does not read what it is sent")
            self.abort(ended)
            raise ended
        self._connection.send(message)
        self._flush()

    def close(self, cause: LspsError) -> None:
        """End it; what is on its way still goes out."""
        if self.cause is None:
            self.cause = cause
            self.is_open = False
            self._closing_since = self.now
        if self._transport is not None:
            self._transport.close()

    def abort(self, cause: LspsError) -> None:
        """End it at once."""
        self.close(cause)
        if self._transport is not None:
            self._transport.abort()

    def queued(self, message: CustomMessage) -> None:
        """A message of this peer waits to be taken by a listener."""
        self._unread += len(message.payload) + _MESSAGE_OVERHEAD
        self._read_or_not()

    def taken(self, message: CustomMessage) -> None:
        """It does not wait any more."""
        self._unread -= len(message.payload) + _MESSAGE_OVERHEAD
        self._read_or_not()

    def on_tick(self, now: float) -> None:
        self.now = now
        if self._closing_since is not None:
            if now - self._closing_since >= CLOSING_SECONDS and self._transport is not None:
                self._transport.abort()
            return
        if self._is_flooded:
            self._heard = now  # it may well have said something: we do not read it
        if not self.is_open:
            if now - self.made >= self._limits.handshake_seconds:
                self.abort(
                    LinkEnded(
                        f"no handshake within {self._limits.handshake_seconds:g} seconds; is it a Lightning node?"
                    )
                )
        elif now - self._heard >= self._limits.idle_seconds:
            self.abort(LinkEnded(f"nothing was heard of the peer for {self._limits.idle_seconds:g} seconds"))
        elif now - max(self._pinged, min(self._heard, self._said)) >= PING_SECONDS and self._writable:
            self._pinged = now
            self._connection.send(Ping())
            self._flush()

    # --- what the event loop tells ----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        name = transport.get_extra_info("peername")
        self.source = str(name[0]) if isinstance(name, tuple) else ""
        self._owner.on_made(self)
        if self.cause is None:
            self._flush()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._owner.read_buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self.cause is not None:
            return
        self._heard = self.now
        events = self._connection.receive(bytes(self._owner.read_buffer[:nbytes]))
        self._flush()
        self._tell(events)

    def eof_received(self) -> None:
        if self.cause is None:
            self._tell(self._connection.receive_eof())

    def connection_lost(self, exc: Exception | None) -> None:
        if self.cause is None:
            self.cause = LinkEnded(f"the connection broke: {exc}" if exc else "the connection was closed")
        self.is_open = False
        self._transport = None
        self._owner.on_lost(self)

    def pause_writing(self) -> None:
        self._writable = False
        self._read_or_not()

    def resume_writing(self) -> None:
        self._writable = True
        self._read_or_not()

    # ----------------------------------------------------------------------------------------------------------------

    @property
    def _is_flooded(self) -> bool:
        return self._unread >= self._limits.buffered_bytes

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            match event:
                case Authenticated():
                    self.peer = event.peer
                case Init():
                    self.features = event.features & _FEATURES_KEPT
                    self.is_open = True
                    self._owner.on_open(self)
                case CustomMessage() if self.is_open:
                    self._owner.on_message(self, event)
                case PeerError() | PeerWarning():
                    self.said = event.text
                    self.complaints += 1
                    self._owner.on_complaint(self, event)
                case Closed():
                    self.close(event.cause)

    def _flush(self) -> None:
        unsent = self._connection.bytes_to_send()
        if unsent and self._transport is not None and not self._transport.is_closing():
            self._said = self.now
            self._transport.write(unsent)

    def _read_or_not(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if self._writable and not self._is_flooded:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()
