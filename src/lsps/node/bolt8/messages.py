"""Custom messages 37913 and the connections that carry them (node contract: Messages).

A peer that `connect` reached is wanted: when its connection is lost it is made again, with backoff, until `disconnect`
or `close`. A peer that connected to us is not: it comes again by itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Set
from contextlib import aclosing
from dataclasses import dataclass, field
from random import Random

from lsps.clock import Clock, timeout
from lsps.errors import LspsError
from lsps.lightning.bolt1 import Connection
from lsps.lightning.bolt8 import Initiator, Responder
from lsps.lightning.keys import SecretKey
from lsps.lightning.messages import CustomMessage
from lsps.lightning.transport import MessageTooLong
from lsps.logs import event
from lsps.node.bolt8.dialing import Dialer
from lsps.node.bolt8.limits import Limits
from lsps.node.bolt8.link import Link, LinkEnded
from lsps.node.bolt8.peers import Peers
from lsps.node.contract import (
    Message,
    NodeUnreachable,
    Peer,
    PeerNotConnected,
    PeerOffline,
    PeerOnline,
    Refused,
    Resumed,
)
from lsps.protocol.jsonrpc import MESSAGE_TYPE
from lsps.units import Network, NodeId

CONNECT_SECONDS = 15.0
"""For name, proxy, TCP, handshake and init."""
FIRST_PAUSE_SECONDS = 0.25
LONGEST_PAUSE_SECONDS = 30.0

_log = logging.getLogger("lsps.node")


@dataclass(slots=True)
class _Wish:
    """A peer to stay connected with."""

    address: str | None = None
    pause: float = FIRST_PAUSE_SECONDS
    dialing: asyncio.Lock = field(default_factory=asyncio.Lock)
    reconnecting: asyncio.Task[None] | None = None


class Bolt8Messages:
    """Make it inside the running event loop, and close it.

    `features`: what our init says. `networks`: peers on none of these are refused; none: any will do. `secret`: so many
    bytes of a cryptographically secure source. `random` spreads the pauses before reconnecting.
    """

    def __init__(
        self,
        key: SecretKey,
        *,
        features: int,
        networks: Set[Network],
        clock: Clock,
        random: Random,
        secret: Callable[[int], bytes],
        limits: Limits | None = None,
        dialer: Dialer | None = None,
    ) -> None:
        self._key = key
        self._features = features
        self._networks = networks
        self._clock = clock
        self._random = random
        self._secret = secret
        self._limits = limits or Limits()
        self._dialer = dialer or Dialer()
        self._peers = Peers(key.node_id, self._limits, clock, self._on_offline)
        self._wishes: dict[NodeId, _Wish] = {}
        self._closed = False
        self._timekeeper = asyncio.get_running_loop().create_task(self._peers.keep_time())

    async def send(self, peer: NodeId, payload: bytes) -> None:
        """As the contract says. Raises Refused for more than 65,533 bytes."""
        self._check_open()
        link = self._peers.connected(peer)
        if link is None:
            raise PeerNotConnected(f"{peer} is not connected: connect it first, by its HOST:PORT")
        try:
            link.send(CustomMessage(MESSAGE_TYPE, payload))
        except LinkEnded as ended:
            raise PeerNotConnected(f"{peer} was disconnected: {ended}") from ended
        except MessageTooLong as error:
            raise Refused(str(error)) from error
        await asyncio.sleep(0)  # who sends much lets others run

    async def received(self) -> AsyncIterator[Resumed | Message]:
        async with aclosing(self._peers.arrivals.stream()) as arrivals:
            async for item in arrivals:
                if isinstance(item, Resumed):
                    yield item
                elif item.link.peer is not None:
                    yield Message(item.link.peer, item.message.payload)

    async def connect(self, peer: NodeId, address: str | None = None) -> None:
        self._check_open()
        if peer == self._key.node_id:
            raise PeerNotConnected(f"{peer} is our own identity, with which there is nothing to talk about")
        if self._peers.connected(peer) is not None:
            return
        wish = self._wishes.setdefault(peer, _Wish())
        try:
            async with wish.dialing:
                if self._peers.connected(peer) is None:
                    await self._dial(peer, address or wish.address)
                    wish.address = address or wish.address
                    self._wishes[peer] = wish
        finally:
            if wish.address is None and not wish.dialing.locked():
                self._forget(peer, wish)

    async def peer(self, peer: NodeId) -> Peer | None:
        self._check_open()
        link = self._peers.connected(peer)
        if link is None:
            return None
        return Peer(peer, frozenset(bit for bit in range(link.features.bit_length()) if link.features >> bit & 1))

    def peer_events(self) -> AsyncIterator[Resumed | PeerOnline | PeerOffline]:
        return self._peers.events.stream()

    async def disconnect(self, peer: NodeId) -> None:
        """End the connection, whoever made it, and do not make it again."""
        wish = self._wishes.get(peer)
        if wish is not None:
            self._forget(peer, wish)
        link = self._peers.connected(peer)
        if link is not None:
            link.close(LinkEnded("we disconnected"))

    def accept(self) -> Link:
        """The protocol object of a connection that was made to us."""
        return self._link(Responder(self._key, SecretKey(self._secret(32))), outgoing=False)

    async def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        tasks = [self._timekeeper]
        for peer, wish in list(self._wishes.items()):
            if wish.reconnecting is not None:
                tasks.append(wish.reconnecting)
            self._forget(peer, wish)
        self._timekeeper.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._peers.close()

    # --- outgoing connections ---------------------------------------------------------------------------------------

    async def _dial(self, peer: NodeId, address: str | None) -> None:
        if address is None:
            raise PeerNotConnected(f"{peer} is not connected, and no address of it is known: give it as HOST:PORT")
        link: Link | None = None
        try:
            handshake = Initiator(self._key, peer, SecretKey(self._secret(32)))
            async with timeout(self._clock, CONNECT_SECONDS):
                link = await self._dialer.connect(address, lambda: self._link(handshake, outgoing=True))
                await self._peers.opened(link)
        except TimeoutError:
            reason = f"no answer within {CONNECT_SECONDS:g} seconds"
            raise PeerNotConnected(f"cannot connect to {peer} at {address}: {reason}") from None
        except LspsError as error:
            if self._peers.connected(peer) is not None:
                return  # it called us meanwhile
            reason = str(error) if link is None else link.reason
            raise PeerNotConnected(f"cannot connect to {peer} at {address}: {reason}") from error
        finally:
            if link is not None and link.is_half_open:
                link.abort(LinkEnded("connecting was given up"))

    def _link(self, handshake: Initiator | Responder, *, outgoing: bool) -> Link:
        connection = Connection(
            handshake, features=self._features, networks=self._networks, custom_types={MESSAGE_TYPE}
        )
        return Link(connection, self._peers, self._limits, outgoing=outgoing)

    def _on_offline(self, peer: NodeId, lasted: float) -> None:
        wish = self._wishes.get(peer)
        if wish is None or wish.address is None:
            return
        if lasted >= LONGEST_PAUSE_SECONDS:
            wish.pause = FIRST_PAUSE_SECONDS
        if wish.reconnecting is None:
            wish.reconnecting = asyncio.get_running_loop().create_task(self._reconnect(peer, wish))

    async def _reconnect(self, peer: NodeId, wish: _Wish) -> None:
        """The pause grows also when connections are made but do not last: a peer may drop each one at once, or another
        program with our key may take its place."""
        try:
            while self._peers.connected(peer) is None:
                await self._clock.sleep(wish.pause * (0.5 + self._random.random()))
                wish.pause = min(wish.pause * 2, LONGEST_PAUSE_SECONDS)
                try:
                    await self.connect(peer)
                except PeerNotConnected as error:
                    event(_log, logging.INFO, "reconnecting_failed", peer=peer, reason=str(error))
        finally:
            wish.reconnecting = None

    def _forget(self, peer: NodeId, wish: _Wish) -> None:
        if self._wishes.get(peer) is wish:
            del self._wishes[peer]
        if wish.reconnecting is not None:
            wish.reconnecting.cancel()

    def _check_open(self) -> None:
        if self._closed:
            raise NodeUnreachable("these connections were closed: open the node again")
