"""Who does not read, or sends more than is read: bytes are bounded, and others are served."""

from __future__ import annotations

import asyncio

import pytest

from lsps.lightning.bolt1 import Connection, Event
from lsps.lightning.messages import CustomMessage, Init, Ping
from lsps.node.bolt8.limits import Limits
from lsps.node.bolt8.link import CLOSING_SECONDS, Link
from lsps.node.contract import Message, PeerNotConnected, PeerOffline
from lsps.protocol.jsonrpc import MESSAGE_TYPE
from lsps.testing import ManualClock
from lsps.units import NodeId
from tests.node.bolt8.environment import Host, RawPeer, connected, host, new_key
from tests.node.bolt8.test_limits import SMALL, serves, silent
from tests.node.contract.environment import PATIENCE_SECONDS, eventually, listening


async def test_a_peer_that_does_not_read_is_cut_off() -> None:
    """When a peer leaves more than buffered_bytes unread, sending raises and it is disconnected; others are served."""
    key = new_key()
    async with host(limits=SMALL) as lsp, listening(lsp.messages.peer_events()) as events:
        slow = await RawPeer.connect(lsp, key)
        await slow.until(Init)
        await connected(lsp.messages, key.node_id)
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        with pytest.raises(PeerNotConnected, match="does not read"):
            await send_much(lsp, key.node_id)
        await events.until(lambda heard: PeerOffline(key.node_id) in heard)
        await serves(lsp)
        await slow.close()


async def test_a_peer_that_asks_for_pongs_and_does_not_read_gets_no_memory() -> None:
    """BOLT 1, ping flooding: while pongs wait unread no more pings are taken, so what waits does not grow."""
    async with host(limits=SMALL) as lsp:
        flooder = await silent(lsp)
        await flooder.until(Init)
        flooder.writer.transport.pause_reading()  # type: ignore[attr-defined]
        (link,) = lsp.messages._peers._links
        most = 0
        for _ in range(500):  # 30 MB of pongs: more than any socket's own buffers
            flooder.connection.send(Ping(60_000))
            await flooder.flush()
            await asyncio.sleep(0)
            most = max(most, unsent(link))
        assert 0 < most < 2**21
        await serves(lsp)
        await flooder.close()


async def test_last_words_wait_only_so_long() -> None:
    """A connection that we end is cut after a while though the peer does not take what was on its way."""
    clock, key = ManualClock(), new_key()
    async with host(limits=SMALL, clock=clock) as lsp, listening(lsp.messages.peer_events()) as events:
        slow = await RawPeer.connect(lsp, key)
        await slow.until(Init)
        await connected(lsp.messages, key.node_id)
        slow.writer.transport.pause_reading()  # type: ignore[attr-defined]
        (link,) = lsp.messages._peers._links
        while not unsent(link):
            await lsp.messages.send(key.node_id, bytes(60_000))
        await lsp.messages.disconnect(key.node_id)
        with pytest.raises(PeerNotConnected):
            await lsp.messages.send(key.node_id, b"")
        await clock.advance(CLOSING_SECONDS)
        await events.until(lambda heard: PeerOffline(key.node_id) in heard)
        await slow.close()


async def test_a_flood_is_held_back_while_nobody_takes_it() -> None:
    """While buffered_bytes of a peer wait for a listener it is not read from, nor taken for silent."""
    clock, key = ManualClock(), new_key()
    async with host(limits=SMALL, clock=clock) as lsp:
        stream = lsp.messages.received()
        await anext(stream)
        flooder = await RawPeer.connect(lsp, key)
        await flooder.until(Init)
        (link,) = lsp.messages._peers._links
        sent = await blocked(flooder, CustomMessage(MESSAGE_TYPE, bytes(60_000)))
        await clock.advance(Limits().idle_seconds * 2)
        await serves(lsp)
        assert SMALL.buffered_bytes <= link._unread < SMALL.buffered_bytes + 65_000 < sent * 60_000
        taken = 0
        async with asyncio.timeout(PATIENCE_SECONDS):
            while taken < sent:
                item = await anext(stream)
                taken += isinstance(item, Message) and item.peer == key.node_id
        await flooder.close()


async def test_a_flood_is_taken_in_small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much a peer sent, a turn of the event loop takes a little of it: others are served in between."""
    portions: list[int] = []
    receive = Connection.receive
    async with host() as lsp:
        flooder = await silent(lsp)
        await flooder.until(Init)

        def count(connection: Connection, data: bytes) -> list[Event]:
            portions.append(len(data))
            return receive(connection, data)

        monkeypatch.setattr(Connection, "receive", count)
        await says(flooder, *[bytes(60_000)] * 15)
        async with asyncio.timeout(PATIENCE_SECONDS):
            while sum(portions) < 15 * 60_000:  # noqa: ASYNC110  # nobody is told of portions
                await asyncio.sleep(0.001)
        assert 2**10 < max(portions) <= 2**14
        await flooder.close()


async def test_a_flood_costs_nobody_else_a_message() -> None:
    """When more messages wait than are kept, those of the peer that has most go, and its connection; nobody else's."""
    key, flooders = new_key(), []
    async with host() as lsp:
        stream = lsp.messages.received()
        await anext(stream)
        customer = await RawPeer.connect(lsp, key)
        await customer.until(Init)
        await says(customer, b"before")
        for _ in range(3):  # each stays below its own limit, and together they are over the limit of all
            flooder = await RawPeer.connect(lsp)
            await flooder.until(Init)
            await says(flooder, *[b""] * 4_000)
            flooders.append(flooder)
        await flooders[0].until_closed()
        await says(customer, b"after")
        heard: list[bytes] = []
        while b"after" not in heard:
            message = await anext(stream)
            assert isinstance(message, Message)
            if message.peer == key.node_id:
                heard.append(message.payload)
        assert heard == [b"before", b"after"]
        for peer in (customer, *flooders):
            await peer.close()


async def test_what_waits_is_counted() -> None:
    """What waits counts for more than its bytes, since an empty message is not free; what was taken does not count."""
    async with host() as lsp:
        stream = lsp.messages.received()
        await anext(stream)
        peer = await RawPeer.connect(lsp)
        await peer.until(Init)
        (link,) = lsp.messages._peers._links
        await says(peer, *[b""] * 1_000)
        for _ in range(1_000):
            assert isinstance(await anext(stream), Message)
        assert link._unread == 0
        await says(peer, *[b""] * 5_000)

        async def held_back() -> bool:
            return link._is_flooded

        await eventually("empty messages are held back", held_back)
        await peer.close()


async def says(peer: RawPeer, *payloads: bytes) -> None:
    for payload in payloads:
        peer.connection.send(CustomMessage(MESSAGE_TYPE, payload))
    await peer.flush()


async def blocked(peer: RawPeer, message: CustomMessage) -> int:
    """Send until the other side takes no more; returns how many."""
    peer.writer.transport.set_write_buffer_limits(0)
    for sent in range(1, 100_000):
        peer.connection.send(message)
        peer.writer.write(peer.connection.bytes_to_send())
        if peer.writer.transport.get_write_buffer_size() > 0:
            try:
                async with asyncio.timeout(0.2):
                    await peer.writer.drain()
            except TimeoutError:
                return sent
    raise AssertionError("everything was taken")


async def send_much(sender: Host, peer: NodeId) -> None:
    for _ in range(10_000):
        await sender.messages.send(peer, bytes(60_000))


def unsent(link: Link) -> int:
    return 0 if link._transport is None else link._transport.get_write_buffer_size()
