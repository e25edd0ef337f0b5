"""What may answer at the other end of a connection, and what may come to ours: all of it ends well."""

from __future__ import annotations

import asyncio

import pytest

from lsps.lightning.bolt8 import Responder
from lsps.lightning.messages import CustomMessage, Init, encode_warning
from lsps.node.contract import (
    PeerNotConnected,
    PeerOffline,
    Resumed,
)
from lsps.protocol.jsonrpc import MESSAGE_TYPE
from lsps.testing import ManualClock
from lsps.units import Network, NodeId
from tests.node.bolt8.environment import RawPeer, host, new_key, server
from tests.node.contract.environment import eventually, listening


@pytest.mark.parametrize("length", [0, 1, 49])
async def test_a_server_that_hangs_up_in_the_handshake(length: int) -> None:
    """An answer that ends within act two is told as such, with the address."""
    async with host() as ours, server(bytes(length), read=50) as address:
        with pytest.raises(PeerNotConnected, match=rf"{address}.*hung up"):
            await ours.messages.connect(new_key().node_id, address)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 2, "BAD_VERSION"), (bytes(50), "BAD_PUBKEY")],
    ids=["another protocol", "zeros"],
)
async def test_a_server_that_speaks_something_else(answer: bytes, reason: str) -> None:
    """An answer that is no act two is told with the reason's name, and ends the connection."""
    async with host() as ours, server(answer, read=50, hang_up=False) as address:
        with pytest.raises(PeerNotConnected, match=reason):
            await ours.messages.connect(new_key().node_id, address)


async def test_a_port_that_nobody_listens_at() -> None:
    """A closed port is told in the system's words, the address once; and nothing is kept of whom nobody reached."""
    async with host() as ours:
        with pytest.raises(PeerNotConnected, match=r" at 127\.0\.0\.1:1: Connection refused$"):
            await ours.messages.connect(new_key().node_id, "127.0.0.1:1")
        assert not ours.messages._wishes


async def test_a_server_that_says_nothing() -> None:
    """A server that takes the connection and is silent is given up after a while, by the clock."""
    clock = ManualClock()
    async with host(clock=clock) as ours, server(b"", hang_up=False) as address:
        connecting = asyncio.create_task(ours.messages.connect(new_key().node_id, address))

        async def given_up() -> bool:
            await clock.advance(1)
            return connecting.done()

        await eventually("connecting is given up", given_up)
        with pytest.raises(PeerNotConnected, match=rf"{address}: .* is it a Lightning node"):
            await connecting


async def test_another_node_than_the_one_called() -> None:
    """BOLT 8: a node at the address that holds another key than the one called cannot answer."""
    async with host() as ours, host() as theirs:
        with pytest.raises(PeerNotConnected, match="public key that is not its own"):
            await ours.messages.connect(new_key().node_id, theirs.address)
        assert await ours.messages.peer(theirs.node_id) is None


async def test_a_node_that_says_why_it_will_not_have_us() -> None:
    """BOLT 1, warning: what a node says before it hangs up is told to whoever wanted the connection."""
    key = new_key()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handshake = Responder(key, new_key())
        handshake.receive(await reader.readexactly(50))
        writer.write(handshake.bytes_to_send())
        done = handshake.receive(await reader.readexactly(66))
        if done is not None:
            writer.write(done.transport.encrypt(encode_warning("no room for strangers")))
        await reader.read(2**16)  # our init
        writer.close()

    node = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with node, host() as ours:
        address = f"127.0.0.1:{node.sockets[0].getsockname()[1]}"
        with pytest.raises(PeerNotConnected, match='it said: "no room for strangers"'):
            await ours.messages.connect(key.node_id, address)


async def test_what_peers_complain_of_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """BOLT 1, warning: SHOULD be logged; of one connection a few, however many come. It stays open."""
    async with host() as lsp, listening(lsp.messages.received()) as received:
        peer = await RawPeer.connect(lsp)
        await peer.until(Init)
        transport = peer.connection._below
        with caplog.at_level("INFO", "lsps.node"):
            for number in range(50):
                peer.writer.write(transport.encrypt(encode_warning(f"warning {number}")))  # type: ignore[union-attr]
            peer.connection.send(CustomMessage(MESSAGE_TYPE, b"still here"))
            await peer.flush()
            await received.until(lambda heard: len(heard) == 2)
        told = [vars(line)["lsps_fields"] for line in caplog.records if line.message == "peer_complains"]
        assert [(line["kind"], line["text"]) for line in told] == [("warning", f"warning {n}") for n in range(5)]
        await peer.close()


async def test_peers_of_another_network() -> None:
    """BOLT 1: two on different networks do not stay connected; one that names no network takes any."""
    async with (
        host(network=Network.MAINNET) as mainnet,
        host(network=Network.REGTEST) as regtest,
        host(network=None) as any_network,
    ):
        with pytest.raises(PeerNotConnected, match="network"):
            await mainnet.messages.connect(regtest.node_id, regtest.address)
        for other in (mainnet, regtest):
            await any_network.messages.connect(other.node_id, other.address)


@pytest.mark.parametrize("address", ["", "host", "host:", ":1", "host:99999", "[::1]", "a\ud800b:1", "x" * 70 + ".y:1"])
async def test_addresses_that_are_none(address: str) -> None:
    """An address that is none, or a name that cannot be one, is PeerNotConnected and nothing worse."""
    async with host() as ours:
        with pytest.raises(PeerNotConnected):
            await ours.messages.connect(new_key().node_id, address)


async def test_a_key_that_is_no_point() -> None:
    """A node id that is no public key is told before anything is sent."""
    async with host() as ours, server(b"") as address:
        with pytest.raises(PeerNotConnected, match="no public key"):
            await ours.messages.connect(NodeId("02" + "05" * 32), address)


async def test_ipv6() -> None:
    """An IPv6 address is dialled with or without brackets."""
    async with host(address="[::1]:0") as theirs:
        for address in (f"[::1]:{theirs.port}", f"::1:{theirs.port}", theirs.address):
            async with host() as ours:
                await ours.messages.connect(theirs.node_id, address)


async def test_a_name() -> None:
    """A host's name is looked up."""
    async with host() as ours, host() as theirs:
        await ours.messages.connect(theirs.node_id, f"localhost:{theirs.port}")


@pytest.mark.parametrize("junk", [b"\xff" * 5_000, b"GET / HTTP/1.1\r\n\r\n" + bytes(100), bytes(50)])
async def test_junk_sent_to_the_listener(junk: bytes) -> None:
    """BOLT 8: whoever sends no act one is closed without a word, and others are served."""
    async with host() as lsp, host() as other:
        peer = await RawPeer.connect(lsp)
        peer.writer.write(junk)
        assert await peer.until_closed() == b""
        await other.messages.connect(lsp.node_id, lsp.address)
        await peer.close()


async def test_ephemeral_keys_are_fresh() -> None:
    """BOLT 8: for each session a node MUST generate a new ephemeral key, whether it calls or is called."""
    acts_one: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        acts_one.append(await reader.readexactly(50))
        writer.close()

    node = await asyncio.start_server(serve, "127.0.0.1", 0)
    peer, acts_two = new_key().node_id, []
    async with node, host() as ours:
        for _ in range(2):
            with pytest.raises(PeerNotConnected):
                await ours.messages.connect(peer, f"127.0.0.1:{node.sockets[0].getsockname()[1]}")
            caller = await RawPeer.connect(ours)
            await caller.flush()
            acts_two.append(await caller.reader.readexactly(50))
            await caller.close()
    assert acts_one[0][:34] != acts_one[1][:34]
    assert acts_two[0][:34] != acts_two[1][:34]


async def test_junk_after_the_handshake() -> None:
    """Bytes that do not decrypt end the connection, deliver nothing, and are told as PeerOffline."""
    key = new_key()
    async with (
        host() as lsp,
        listening(lsp.messages.received()) as received,
        listening(lsp.messages.peer_events()) as events,
    ):
        peer = await RawPeer.connect(lsp, key)
        await peer.until(Init)
        peer.writer.write(b"\x55" * 1_000)
        await events.until(lambda heard: PeerOffline(key.node_id) in heard)
        assert received.heard == [Resumed()]
        await peer.close()
