"""Connections that last, are lost, come back; which of two stays; and the object that has them."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from lsps.lightning.bolt1 import Closed
from lsps.lightning.messages import CustomMessage, Init
from lsps.node.bolt8.limits import Limits
from lsps.node.bolt8.messages import CONNECT_SECONDS, FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS
from lsps.node.contract import (
    Message,
    NodeUnreachable,
    NotSupported,
    PeerNotConnected,
    PeerOffline,
    PeerOnline,
    Refused,
    Resumed,
)
from lsps.protocol.jsonrpc import MESSAGE_TYPE
from lsps.testing import ManualClock
from lsps.units import Network
from tests.node.bolt8.environment import Gate, RawPeer, connected, host, new_key
from tests.node.contract.environment import eventually, listening

# --- lost and made again ----------------------------------------------------------------------------------------------


async def test_a_lost_connection_comes_back_by_itself() -> None:
    """A peer that we connected to is connected again after it was away, with backoff, by the clock."""
    clock, key = ManualClock(), new_key()
    async with host(clock=clock) as ours:
        async with host(key=key) as theirs:
            address = theirs.address
            await ours.messages.connect(theirs.node_id, address)
        async with listening(ours.messages.peer_events()) as events:

            async def offline() -> bool:
                return await ours.messages.peer(key.node_id) is None

            await eventually("the connection is lost", offline)
            await clock.advance(5)  # a few attempts in vain
            async with host(key=key, address=address) as theirs, listening(theirs.messages.received()) as received:

                async def back() -> bool:
                    await clock.advance(LONGEST_PAUSE_SECONDS)
                    return await ours.messages.peer(key.node_id) is not None

                await eventually("the connection is back", back)
                await events.until(lambda heard: PeerOnline(key.node_id) in heard)
                await ours.messages.send(key.node_id, b"again")
                await received.until(lambda heard: Message(ours.node_id, b"again") in heard)


async def test_a_peer_that_drops_us_is_not_called_again_and_again() -> None:
    """Connections that are made but do not last do not reset the backoff: pauses grow to half a minute."""
    clock, key = ManualClock(), new_key()
    async with host(clock=clock) as ours, host(key=key) as theirs, listening(theirs.messages.peer_events()) as events:
        await ours.messages.connect(key.node_id, theirs.address)
        for _ in range(600):
            await theirs.messages.disconnect(ours.node_id)
            await clock.advance(1)
        calls = events.heard.count(PeerOnline(ours.node_id))
        assert 5 < calls < 60


async def test_a_connection_that_lasted_is_made_again_soon() -> None:
    """After half a minute of connection the backoff begins anew, however long the pauses were before."""
    clock, key = ManualClock(), new_key()
    async with host(clock=clock) as ours, host(key=key) as theirs, listening(ours.messages.peer_events()) as events:

        async def dropped(times: int) -> None:
            await theirs.messages.disconnect(ours.node_id)
            await events.until(lambda heard: heard.count(PeerOffline(key.node_id)) == times)

        async def back() -> bool:
            await clock.advance(1)
            return await ours.messages.peer(key.node_id) is not None

        await ours.messages.connect(key.node_id, theirs.address)
        await connected(theirs.messages, ours.node_id)
        for times in range(1, 5):
            await dropped(times)
            await eventually("the connection is back", back)
            await connected(theirs.messages, ours.node_id)
        wish = ours.messages._wishes[key.node_id]
        before = wish.pause
        await clock.advance(LONGEST_PAUSE_SECONDS + 1)
        await dropped(5)
        assert (before > 1, wish.pause) == (True, FIRST_PAUSE_SECONDS)


async def test_pauses_are_spread() -> None:
    """Not all customers of an LSP that went away come back at once: each waits half to one and a half of the pause."""
    clock, gate = ManualClock(), Gate()
    gate.opened.set()
    async with (
        host(clock=clock, dialer=gate) as ours,
        host() as theirs,
        listening(ours.messages.peer_events()) as events,
    ):
        await ours.messages.connect(theirs.node_id, theirs.address)
        await connected(theirs.messages, ours.node_id)
        await theirs.messages.disconnect(ours.node_id)
        await events.until(lambda heard: PeerOffline(theirs.node_id) in heard)
        spread = FIRST_PAUSE_SECONDS * (0.5 + Random(0).random())  # as the host's own
        await clock.advance(spread - 0.01)
        assert gate.calls == 1
        await clock.advance(0.02)
        assert gate.calls == 2


async def test_a_peer_that_moved_is_called_where_it_is() -> None:
    """The address that a peer was last connected at is the one that is called again."""
    clock, key = ManualClock(), new_key()
    async with host(clock=clock) as ours:
        async with host(key=key) as before:
            await ours.messages.connect(key.node_id, before.address)
        async with host(key=key) as theirs, listening(ours.messages.peer_events()) as events:

            async def gone() -> bool:
                return await ours.messages.peer(key.node_id) is None

            await eventually("the old connection is lost", gone)
            await ours.messages.connect(key.node_id, theirs.address)
            await connected(theirs.messages, ours.node_id)
            await theirs.messages.disconnect(ours.node_id)
            await events.until(lambda heard: PeerOffline(key.node_id) in heard)

            async def back() -> bool:
                await clock.advance(1)
                return await ours.messages.peer(key.node_id) is not None

            await eventually("it is called at its new address", back)


async def test_disconnecting_is_for_good() -> None:
    """After `disconnect` the peer is gone, and is not called again."""
    clock = ManualClock()
    async with host(clock=clock) as ours, host() as theirs, listening(theirs.messages.peer_events()) as events:
        await ours.messages.connect(theirs.node_id, theirs.address)
        await events.until(lambda heard: PeerOnline(ours.node_id) in heard)
        await ours.messages.disconnect(theirs.node_id)
        await events.until(lambda heard: PeerOffline(ours.node_id) in heard)
        await clock.advance(LONGEST_PAUSE_SECONDS * 4)
        assert events.heard.count(PeerOnline(ours.node_id)) == 1
        with pytest.raises(PeerNotConnected, match="HOST:PORT"):
            await ours.messages.connect(theirs.node_id)


# --- one connection a peer --------------------------------------------------------------------------------------------


async def test_the_newer_connection_of_a_peer_stays() -> None:
    """A peer that connects again takes the place of its older connection, which may be dead: that one is closed, a
    reply to what came by it goes over the newer, and listeners are told in order."""
    key = new_key()
    async with (
        host() as lsp,
        listening(lsp.messages.peer_events()) as events,
        listening(lsp.messages.received()) as received,
    ):
        older = await RawPeer.connect(lsp, key)
        await older.until(Init)
        older.connection.send(CustomMessage(MESSAGE_TYPE, b"request"))
        await older.flush()
        await received.until(lambda heard: Message(key.node_id, b"request") in heard)
        newer = await RawPeer.connect(lsp, key)
        await newer.until(Init)
        await older.until_closed()
        await lsp.messages.send(key.node_id, b"reply")
        assert CustomMessage(MESSAGE_TYPE, b"reply") in await newer.until(CustomMessage)
        online, offline = PeerOnline(key.node_id), PeerOffline(key.node_id)
        assert events.heard == [Resumed(), online, offline, online]
        for peer in (older, newer):
            await peer.close()


async def test_two_that_call_each_other_at_once_end_with_one_connection() -> None:
    """When both sides call at the same time they keep the same one of the two connections, and both can send on it."""
    async with host() as one, host() as other:
        await asyncio.gather(
            one.messages.connect(other.node_id, other.address),
            other.messages.connect(one.node_id, one.address),
        )

        async def single() -> bool:
            counts = {len(side.messages._peers._links) for side in (one, other)}
            return counts == {1}

        await eventually("one connection is left", single)
        for sender, receiver in ((one, other), (other, one)):
            async with listening(receiver.messages.received()) as received:
                await sender.messages.send(receiver.node_id, b"here")
                await received.until(lambda heard, sender=sender: Message(sender.node_id, b"here") in heard)  # type: ignore[misc]


async def test_a_peer_that_calls_back_later_is_believed() -> None:
    """Only at the same time the smaller key's connection stays: who calls us long after we called it has lost that one,
    and its newer one stays."""
    clock, keys = ManualClock(), sorted((new_key() for _ in range(2)), key=lambda key: key.node_id)
    async with host(key=keys[0], clock=clock) as ours, host(key=keys[1]) as theirs:
        await ours.messages.connect(theirs.node_id, theirs.address)
        await clock.advance(Limits().handshake_seconds)
        again = await RawPeer.connect(ours, keys[1])
        await again.until(Init)
        await ours.messages.send(theirs.node_id, b"reply")
        assert CustomMessage(MESSAGE_TYPE, b"reply") in await again.until(CustomMessage)
        await again.close()


async def test_callers_share_one_attempt() -> None:
    """Several that want the same peer at once make one connection."""
    gate = Gate()
    gate.opened.set()
    async with host(dialer=gate) as ours, host() as theirs:
        await asyncio.gather(*(ours.messages.connect(theirs.node_id, theirs.address) for _ in range(5)))
        assert gate.calls == 1


async def test_the_address_that_answered_is_kept() -> None:
    """Of several addresses given at once the one that answered is called again, though another failed before it."""
    clock = ManualClock()
    async with host(clock=clock) as ours, host() as theirs, listening(ours.messages.peer_events()) as events:
        failed, done = await asyncio.gather(
            ours.messages.connect(theirs.node_id, "127.0.0.1:1"),
            ours.messages.connect(theirs.node_id, theirs.address),
            return_exceptions=True,
        )
        assert (type(failed), done) == (PeerNotConnected, None)
        await connected(theirs.messages, ours.node_id)
        await theirs.messages.disconnect(ours.node_id)
        await events.until(lambda heard: PeerOffline(theirs.node_id) in heard)

        async def back() -> bool:
            await clock.advance(1)
            return await ours.messages.peer(theirs.node_id) is not None

        await eventually("the connection is back", back)


async def test_calling_oneself() -> None:
    """Our own identity is nobody to connect to: it is refused before anything is dialled."""
    gate = Gate()
    async with host(dialer=gate) as ours:
        with pytest.raises(PeerNotConnected, match="our own"):
            await ours.messages.connect(ours.node_id, ours.address)
        assert gate.calls == 0


# --- the object itself ------------------------------------------------------------------------------------------------


async def test_a_message_that_is_too_long() -> None:
    """BOLT 8: 65,533 bytes of payload fit and no more; a longer one is refused and the connection lives."""
    async with host() as ours, host() as theirs:
        await ours.messages.connect(theirs.node_id, theirs.address)
        with pytest.raises(Refused, match="65535"):
            await ours.messages.send(theirs.node_id, bytes(65_534))
        await ours.messages.send(theirs.node_id, b"fits")


async def test_closing_ends_streams_and_connections() -> None:
    """`close` ends every stream and connection, may be repeated, and calls after it raise NodeUnreachable."""
    async with host() as theirs:
        async with host() as ours:
            await ours.messages.connect(theirs.node_id, theirs.address)
            received, events, tips = ours.messages.received(), ours.messages.peer_events(), ours.node.tips()
            for stream in (received, events, tips):
                assert isinstance(await anext(stream), Resumed)
            await ours.node.close()
            await ours.node.close()
            for stream in (received, events, tips):
                assert not [item async for item in stream if isinstance(item, Message)]
            with pytest.raises(NodeUnreachable):
                await ours.messages.send(theirs.node_id, b"too late")
            with pytest.raises(NodeUnreachable):
                await ours.messages.connect(theirs.node_id, theirs.address)

        async def gone() -> bool:
            return await theirs.messages.peer(ours.node_id) is None

        await eventually("the other side sees it", gone)


async def test_an_address_that_never_answers() -> None:
    """Name, proxy and TCP together are given up after a while, by the clock."""
    clock = ManualClock()
    async with host(clock=clock, dialer=Gate()) as ours:
        connecting = asyncio.create_task(ours.messages.connect(new_key().node_id, "192.0.2.1:9735"))
        await clock.advance(CONNECT_SECONDS - 1)
        assert not connecting.done()
        await clock.advance(1)
        assert connecting.done()
        with pytest.raises(PeerNotConnected, match=r"192\.0\.2\.1:9735: no answer within 15 seconds"):
            await connecting


async def test_closing_while_a_connection_is_being_made() -> None:
    """A connection that comes about after `close` is ended at once, and its caller told."""
    gate = Gate()
    async with host(dialer=gate) as ours, host() as theirs:
        connecting = asyncio.create_task(ours.messages.connect(theirs.node_id, theirs.address))
        await gate.reached.wait()
        await ours.node.close()
        gate.opened.set()
        with pytest.raises(PeerNotConnected, match="closed"):
            await connecting


async def test_what_there_is_without_a_node() -> None:
    """Identity and network are known; a chain, money and channels are not there; no network named is said so."""
    async with host() as ours, host(network=None) as anywhere:
        info = await ours.node.info()
        assert (info.node_id, info.network, info.synced) == (ours.node_id, Network.REGTEST, False)
        assert ours.node.invoices is ours.node.payments is ours.node.channels is ours.node.wallet is None
        with pytest.raises(NotSupported, match="network="):
            await anywhere.node.info()


async def test_a_warning_reaches_the_peer_that_broke_a_rule() -> None:
    """BOLT 1: what was wrong is told in a warning before the connection is closed."""
    async with host() as lsp:
        peer = await RawPeer.connect(lsp)
        await peer.until(Init)
        transport = peer.connection._below
        peer.writer.write(transport.encrypt(b"\x00\x64"))  # type: ignore[union-attr]  # type 100: even, unknown
        texts = [str(event) for event in await warned(peer)]
        assert any("even and unknown" in text for text in texts)
        await peer.close()


async def warned(peer: RawPeer) -> list[object]:
    events: list[object] = []
    async with asyncio.timeout(30):
        while not peer.reader.at_eof():
            events += await peer.read()
    return [event for event in events if not isinstance(event, Closed)]
