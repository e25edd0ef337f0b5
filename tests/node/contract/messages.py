"""Messages and the connections that carry them."""

from __future__ import annotations

import pytest

from lsps.node.contract import Message, PeerNotConnected, PeerOffline, PeerOnline, Resumed
from tests.node.contract.environment import ContractEnvironment, eventually, listening

LARGEST = 65_533
"""BOLT 8 carries 65,535 bytes; two of them are the type (BOLT 1)."""


class MessagesContract:
    async def test_a_stream_begins_with_resumed(self, env: ContractEnvironment) -> None:
        """The first event of `received` and of `peer_events` is Resumed: what was before is lost."""
        async with (
            listening(env.seller.messages.received()) as messages,
            listening(env.seller.messages.peer_events()) as peers,
        ):
            assert isinstance(messages.heard[0], Resumed)
            assert isinstance(peers.heard[0], Resumed)

    async def test_messages_travel_both_ways(self, env: ContractEnvironment) -> None:
        """Each side hears what the other sent, named by the sender's key."""
        async with (
            listening(env.seller.messages.received()) as seller,
            listening(env.buyer.messages.received()) as buyer,
        ):
            await env.buyer.messages.send(env.seller.node_id, b"to the seller")
            await env.seller.messages.send(env.buyer.node_id, b"to the buyer")
            await seller.until(lambda heard: Message(env.buyer.node_id, b"to the seller") in heard)
            await buyer.until(lambda heard: Message(env.seller.node_id, b"to the buyer") in heard)

    @pytest.mark.parametrize(
        "payload",
        [b"\xff\xfe\x00 not UTF-8", bytes(range(256)) * 255 + b"\x80" * (LARGEST - 256 * 255), b""],
        ids=["not UTF-8", "65,533 bytes", "empty"],
    )
    async def test_a_payload_is_any_bytes(self, env: ContractEnvironment, payload: bytes) -> None:
        """Bytes arrive as they were sent, whatever they are, up to the largest payload."""
        async with listening(env.seller.messages.received()) as seller:
            await env.buyer.messages.send(env.seller.node_id, payload)
            await seller.until(lambda heard: Message(env.buyer.node_id, payload) in heard)

    async def test_messages_keep_their_order(self, env: ContractEnvironment) -> None:
        """Messages of one peer arrive in the order in which it sent them."""
        sent = [f"message {number}".encode() for number in range(20)]
        async with listening(env.seller.messages.received()) as seller:
            for payload in sent:
                await env.buyer.messages.send(env.seller.node_id, payload)
            heard = await seller.until(lambda heard: len(heard) > len(sent))
            assert [event.payload for event in heard if isinstance(event, Message)] == sent

    async def test_every_stream_gets_every_message(self, env: ContractEnvironment) -> None:
        """Two streams of one adapter, and one of another program on the same node, all hear it."""
        other = await env.another(env.seller)
        message = Message(env.buyer.node_id, b"for all of you")
        async with (
            listening(env.seller.messages.received()) as one,
            listening(env.seller.messages.received()) as two,
            listening(other.messages.received()) as three,
        ):
            await env.buyer.messages.send(env.seller.node_id, message.payload)
            for listener in (one, two, three):
                await listener.until(lambda heard: message in heard)

    async def test_what_comes_while_nobody_listens_is_lost(self, env: ContractEnvironment) -> None:
        """A stream gives no message from before it began."""
        async with listening(env.seller.messages.received()) as earlier:
            await env.buyer.messages.send(env.seller.node_id, b"too early")
            await earlier.until(lambda heard: Message(env.buyer.node_id, b"too early") in heard)
        async with listening(env.seller.messages.received()) as seller:
            await env.buyer.messages.send(env.seller.node_id, b"in time")
            heard = await seller.until(lambda heard: Message(env.buyer.node_id, b"in time") in heard)
            assert Message(env.buyer.node_id, b"too early") not in heard

    async def test_sending_to_one_who_is_not_connected_fails(self, env: ContractEnvironment) -> None:
        """`send` to a node that is not connected raises PeerNotConnected."""
        with pytest.raises(PeerNotConnected):
            await env.buyer.messages.send(env.stranger, b"hello?")

    async def test_connecting_to_a_connected_peer_is_done_at_once(self, env: ContractEnvironment) -> None:
        """`connect` to a connected peer needs no address and changes nothing."""
        await env.buyer.messages.connect(env.seller.node_id)
        await env.buyer.messages.connect(env.seller.node_id, env.seller.address)
        assert await env.buyer.messages.peer(env.seller.node_id) is not None

    async def test_connecting_without_any_address_says_so(self, env: ContractEnvironment) -> None:
        """`connect` to a node of unknown address raises PeerNotConnected."""
        with pytest.raises(PeerNotConnected):
            await env.buyer.messages.connect(env.stranger)

    async def test_connecting_in_vain_names_the_address(self, env: ContractEnvironment) -> None:
        """When nobody answers at the address, the error names it."""
        with pytest.raises(PeerNotConnected, match=r"127\.0\.0\.1:1\b"):
            await env.buyer.messages.connect(env.stranger, "127.0.0.1:1")

    async def test_a_connected_peer_shows_its_features(self, env: ContractEnvironment) -> None:
        """`peer` gives a connected peer with the feature bits of its init, and nothing for a stranger."""
        peer = await env.buyer.messages.peer(env.seller.node_id)
        assert peer is not None
        assert peer.node_id == env.seller.node_id
        assert peer.features & {12, 13}, "option_static_remotekey (BOLT 9) is in every node's init"
        assert await env.buyer.messages.peer(env.stranger) is None

    async def test_a_lost_connection_is_told_and_can_be_made_again(self, env: ContractEnvironment) -> None:
        """PeerOffline comes when the connection is cut, PeerOnline when it is back, and messages pass again."""
        async with listening(env.seller.messages.peer_events()) as peers:
            await env.disconnect()
            await peers.until(lambda heard: PeerOffline(env.buyer.node_id) in heard)

            async def connected() -> bool:
                try:
                    await env.buyer.messages.connect(env.seller.node_id, env.seller.address)
                except PeerNotConnected:
                    return False
                return await env.seller.messages.peer(env.buyer.node_id) is not None

            await eventually("the two are connected again", connected)
            await peers.until(lambda heard: PeerOnline(env.buyer.node_id) in heard)
        async with listening(env.buyer.messages.received()) as buyer:
            await env.seller.messages.send(env.buyer.node_id, b"back")
            await buyer.until(lambda heard: Message(env.seller.node_id, b"back") in heard)
