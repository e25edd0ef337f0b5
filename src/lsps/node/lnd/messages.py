"""Custom messages 37913 and the connections that carry them (node contract: Messages).

LND passes custom messages of odd types as they are, without an option.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lsps.node.contract import (
    Message,
    Peer,
    PeerNotConnected,
    PeerOffline,
    PeerOnline,
    Refused,
    Resumed,
)
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.connection import Connection
from lsps.node.lnd.errors import NOT_FOUND, LndRefused
from lsps.node.lnd.streams import Reconnecting
from lsps.protocol.jsonrpc import MESSAGE_TYPE
from lsps.units import NodeId

CONNECT_SECONDS = 15
"""How long lnd may try one address."""
_SETTLE_TRIES = 50
_SETTLE_SECONDS = 0.1


class LndMessages:
    def __init__(self, connection: Connection, streams: Reconnecting) -> None:
        self._connection = connection
        self._streams = streams

    async def send(self, peer: NodeId, payload: bytes) -> None:
        request = pb.SendCustomMessageRequest(peer=bytes(peer), type=MESSAGE_TYPE, data=payload)
        try:
            await self._connection.call(rpc.SEND_CUSTOM_MESSAGE, request)
        except LndRefused as refusal:
            # NOT_FOUND before it is handed over; the text when the peer goes while lnd waits for it to become ready.
            if refusal.code is NOT_FOUND or "disconnected" in refusal.detail or "peer exiting" in refusal.detail:
                raise PeerNotConnected(f"{peer} is not connected: connect it first, by its HOST:PORT") from None
            raise

    def received(self) -> AsyncIterator[Resumed | Message]:
        @asynccontextmanager
        async def session() -> AsyncIterator[AsyncIterator[Message]]:
            request = pb.SubscribeCustomMessagesRequest()
            async with self._connection.stream(rpc.CUSTOM_MESSAGES, request) as replies:
                yield _ours(replies)

        return self._streams.endless("received", session)

    async def connect(self, peer: NodeId, address: str | None = None) -> None:
        if await self.peer(peer) is not None:
            return
        addresses = [address] if address is not None else await self._known_addresses(peer)
        if not addresses:
            raise PeerNotConnected(
                f"{peer} is not connected, and this node knows no address of it: give it as PUBKEY@HOST:PORT"
            )
        refusals = []
        for candidate in addresses:
            try:
                await self._connect(peer, candidate)
            except (Refused, PeerNotConnected) as refusal:
                refusals.append(f"{candidate} ({refusal})")
            else:
                return
        raise PeerNotConnected(f"cannot connect to {peer}; tried {', '.join(refusals)}")

    async def peer(self, peer: NodeId) -> Peer | None:
        found = await self.listed(peer)
        return None if found is None else Peer(peer, frozenset(found.features))

    async def listed(self, peer: NodeId) -> pb.Peer | None:
        """The peer as lnd lists it, once both sides have said their features; lnd can only list all."""
        reply = await self._connection.call(rpc.LIST_PEERS, pb.ListPeersRequest())
        return next((found for found in reply.peers if found.pub_key == peer.hex and found.features), None)

    def peer_events(self) -> AsyncIterator[Resumed | PeerOnline | PeerOffline]:
        @asynccontextmanager
        async def session() -> AsyncIterator[AsyncIterator[PeerOnline | PeerOffline]]:
            async with self._connection.stream(rpc.PEER_EVENTS, pb.PeerEventSubscription()) as replies:
                yield (_peer_event(reply) async for reply in replies)

        return self._streams.endless("peer_events", session)

    async def _known_addresses(self, peer: NodeId) -> list[str]:
        """What the peer's node_announcement says; nodes with private channels alone have none."""
        try:
            reply = await self._connection.call(rpc.GET_NODE_INFO, pb.NodeInfoRequest(pub_key=peer.hex))
        except LndRefused as refusal:
            if refusal.code is NOT_FOUND:
                return []
            raise
        return [known.addr for known in reply.node.addresses]

    async def _connect(self, peer: NodeId, address: str) -> None:
        request = pb.ConnectPeerRequest(
            addr=pb.LightningAddress(pubkey=peer.hex, host=address), perm=False, timeout=CONNECT_SECONDS
        )
        try:
            await self._connection.call(rpc.CONNECT_PEER, request, seconds=CONNECT_SECONDS + 10)
        except LndRefused as refusal:
            if "already connected to peer" not in refusal.detail:
                raise
        # lnd answers after the handshake; the peer is of use when both sides have sent init.
        for _ in range(_SETTLE_TRIES):
            if await self.listed(peer) is not None:
                return
            await self._streams.pause(_SETTLE_SECONDS)
        raise PeerNotConnected("it took the connection and dropped it, or is too slow")


async def _ours(replies: AsyncIterator[pb.CustomMessage]) -> AsyncIterator[Message]:
    async for reply in replies:
        if reply.type == MESSAGE_TYPE:
            yield Message(NodeId(reply.peer.hex()), reply.data)


def _peer_event(reply: pb.PeerEvent) -> PeerOnline | PeerOffline:
    peer = NodeId(reply.pub_key)
    return PeerOnline(peer) if reply.type == pb.PeerEvent.PEER_ONLINE else PeerOffline(peer)
