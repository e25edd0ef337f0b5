"""Making sure that no channel negotiation with a peer is alive (openings.py says why)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

from lsps.logs import event
from lsps.node.contract import Refused
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.connection import Connection
from lsps.node.lnd.errors import LndRefused
from lsps.units import NodeId

OFFLINE_SECONDS = 10
RECONNECT_SECONDS = 10

_logger = logging.getLogger("lsps.node")


async def end_negotiations(connection: Connection, peer: NodeId) -> bool:
    """Disconnect the peer, so that lnd cancels what it negotiates with it. False: lnd did not tell that it is done.

    A peer that is offline has none. LND reconnects no peer that it disconnected itself, so one that we had dialled is
    dialled again; one that dialled us comes back by itself.
    """
    listed = await connection.call(rpc.LIST_PEERS, pb.ListPeersRequest())
    dialled = next((one.address for one in listed.peers if one.pub_key == peer.hex and not one.inbound), None)
    async with connection.stream(rpc.PEER_EVENTS, pb.PeerEventSubscription()) as events:
        await connection.barrier()
        try:
            await connection.call(rpc.DISCONNECT_PEER, pb.DisconnectPeerRequest(pub_key=peer.hex))
        except LndRefused as refusal:
            if "is not connected" in refusal.detail:
                return True
            raise
        event(_logger, logging.INFO, "peer_disconnected", peer=peer, reason="an opening with it must end for certain")
        try:
            async with asyncio.timeout(OFFLINE_SECONDS):
                await _offline(events, peer)
        except TimeoutError:
            return False
    if dialled is not None:
        request = pb.ConnectPeerRequest(
            addr=pb.LightningAddress(pubkey=peer.hex, host=dialled), timeout=RECONNECT_SECONDS
        )
        with suppress(Refused):
            await connection.call(rpc.CONNECT_PEER, request)
    return True


async def _offline(events: AsyncIterator[pb.PeerEvent], peer: NodeId) -> None:
    async for item in events:
        if item.pub_key == peer.hex and item.type == pb.PeerEvent.PEER_OFFLINE:
            return
    raise TimeoutError
