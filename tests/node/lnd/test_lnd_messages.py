"""Custom messages and connections, against a fake lnd."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from lsps.node.contract import Message, Peer, PeerNotConnected, PeerOffline, PeerOnline, Refused, Resumed
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from tests.node.contract.environment import listening
from tests.node.lnd.fake import PEER, LndError, running

NOT_FOUND = grpc.StatusCode.NOT_FOUND
CONNECTED = pb.ListPeersResponse(peers=[pb.Peer(pub_key=PEER.hex, features={9: pb.Feature(), 12: pb.Feature()})])
NOBODY = pb.ListPeersResponse()


async def test_a_message_is_sent_as_it_is() -> None:
    """The payload goes out unchanged, as type 37913 (bLIP-50), to the peer's raw key."""
    async with running() as at:
        at.lnd.answer(rpc.SEND_CUSTOM_MESSAGE, pb.SendCustomMessageResponse())
        await at.node.messages.send(PEER, b"\x00\xff")
        assert at.lnd.requests(rpc.SEND_CUSTOM_MESSAGE) == [
            pb.SendCustomMessageRequest(peer=bytes(PEER), type=37913, data=b"\x00\xff")
        ]


@pytest.mark.parametrize(
    ("detail", "code", "kind"),
    [
        ("peer is not connected", NOT_FOUND, PeerNotConnected),
        ("peer 0322 disconnected", grpc.StatusCode.UNKNOWN, PeerNotConnected),
        ("msg type is out of range", grpc.StatusCode.UNKNOWN, Refused),
    ],
)
async def test_sending_fails_by_kind(detail: str, code: grpc.StatusCode, kind: type[Exception]) -> None:
    """A peer that is away is PeerNotConnected; another refusal stays one."""
    async with running() as at:
        at.lnd.refuse(rpc.SEND_CUSTOM_MESSAGE, detail, code)
        with pytest.raises(kind):
            await at.node.messages.send(PEER, b"x")


async def test_other_types_are_not_ours() -> None:
    """Of the custom messages that lnd gives every subscriber, only type 37913 is passed on."""
    async with running() as at:
        at.lnd.answer(
            rpc.CUSTOM_MESSAGES,
            pb.CustomMessage(peer=bytes(PEER), type=40001, data=b"other"),
            pb.CustomMessage(peer=bytes(PEER), type=37913, data=b"ours"),
        )
        async with listening(at.node.messages.received()) as heard:
            await heard.until(lambda events: len(events) >= 2)
            assert heard.heard == [Resumed(), Message(PEER, b"ours")]


async def test_peers_come_and_go() -> None:
    """Peer events carry who, and which way."""
    async with running() as at:
        at.lnd.answer(
            rpc.PEER_EVENTS,
            pb.PeerEvent(pub_key=PEER.hex, type=pb.PeerEvent.PEER_OFFLINE),
            pb.PeerEvent(pub_key=PEER.hex, type=pb.PeerEvent.PEER_ONLINE),
        )
        async with listening(at.node.messages.peer_events()) as heard:
            await heard.until(lambda events: events == [Resumed(), PeerOffline(PEER), PeerOnline(PEER)])


async def test_a_peer_that_has_not_said_its_features_is_not_there_yet() -> None:
    """A connection whose init messages have not passed yet is no peer; then it is one, with its features."""
    async with running() as at:
        at.lnd.answer(rpc.LIST_PEERS, pb.ListPeersResponse(peers=[pb.Peer(pub_key=PEER.hex)]))
        assert await at.node.messages.peer(PEER) is None
        at.lnd.answer(rpc.LIST_PEERS, CONNECTED)
        assert await at.node.messages.peer(PEER) == Peer(PEER, frozenset({9, 12}))


async def test_a_connected_peer_is_left_alone() -> None:
    """`connect` dials nobody who is connected."""
    async with running() as at:
        at.lnd.answer(rpc.LIST_PEERS, CONNECTED)
        await at.node.messages.connect(PEER, "127.0.0.1:9735")
        assert at.lnd.requests(rpc.CONNECT_PEER) == []


async def test_addresses_that_the_graph_knows_are_tried_in_turn() -> None:
    """Without an address the announced ones are tried until one answers and the peer is there."""
    async with running() as at:
        listed = iter([NOBODY, NOBODY, CONNECTED])

        async def peers(_request: Any) -> Any:
            return next(listed)

        async def dial(request: Any) -> Any:
            if request.addr.host == "bad:1":
                raise LndError("dial tcp: connection refused")
            return pb.ConnectPeerResponse()

        at.lnd.handle(rpc.LIST_PEERS, peers)
        at.lnd.handle(rpc.CONNECT_PEER, dial)
        addresses = [pb.NodeAddress(addr="bad:1"), pb.NodeAddress(addr="good:2"), pb.NodeAddress(addr="never:3")]
        at.lnd.answer(rpc.GET_NODE_INFO, pb.NodeInfo(node=pb.LightningNode(addresses=addresses)))
        await at.node.messages.connect(PEER)
        assert [request.addr.host for request in at.lnd.requests(rpc.CONNECT_PEER)] == ["bad:1", "good:2"]


async def test_a_peer_of_unknown_address_is_asked_for() -> None:
    """Without any address the error says how to give one."""
    async with running() as at:
        at.lnd.answer(rpc.LIST_PEERS, NOBODY)
        at.lnd.refuse(rpc.GET_NODE_INFO, "unable to find node", NOT_FOUND)
        with pytest.raises(PeerNotConnected, match="PUBKEY@HOST:PORT"):
            await at.node.messages.connect(PEER)


async def test_a_peer_that_drops_the_connection_is_not_connected() -> None:
    """When lnd dials with success and the peer never becomes usable, the error names the address."""
    async with running() as at:
        at.lnd.answer(rpc.LIST_PEERS, NOBODY)
        at.lnd.answer(rpc.CONNECT_PEER, pb.ConnectPeerResponse())
        with pytest.raises(PeerNotConnected, match="host:1"):
            await at.node.messages.connect(PEER, "host:1")


async def test_already_connected_is_success() -> None:
    """The peer that connected to us while we dialled is connected."""
    async with running() as at:
        listed = iter([NOBODY, CONNECTED])

        async def peers(_request: Any) -> Any:
            return next(listed)

        at.lnd.handle(rpc.LIST_PEERS, peers)
        at.lnd.refuse(rpc.CONNECT_PEER, "already connected to peer: 0322@127.0.0.1:9735")
        await at.node.messages.connect(PEER, "127.0.0.1:9735")
        assert len(at.lnd.requests(rpc.CONNECT_PEER)) == 1
