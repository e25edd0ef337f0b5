"""What strangers on the network may take of us, and that none of it holds up anybody else."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from lsps.config.tables import ListenTable
from lsps.lightning.bolt1 import Closed
from lsps.lightning.features import CLIENT_INIT
from lsps.lightning.messages import CustomMessage, Init, Ping, Pong
from lsps.node.bolt8.limits import Limits
from lsps.node.bolt8.peers import source_of
from lsps.node.contract import Message, PeerOffline, PeerOnline
from lsps.protocol.jsonrpc import MESSAGE_TYPE
from lsps.testing import ManualClock
from tests.node.bolt8.environment import Host, RawPeer, connected, host, new_key
from tests.node.bolt8.memory import a_connection_costs
from tests.node.contract.environment import eventually, listening

SMALL = Limits(connections=3, connections_per_source=3, half_open=3, buffered_bytes=2**17)


async def silent(to: Host, host: str = "127.0.0.1") -> RawPeer:
    """Connected by TCP, and nothing more."""
    return await RawPeer.connect(to, host=host)


async def serves(to: Host, **options: str) -> None:
    """Another peer gets through: handshake, init, and a message is heard."""
    key = new_key()
    async with listening(to.messages.received()) as heard:
        peer = await RawPeer.connect(to, key, **options)
        await peer.until(Init)
        peer.connection.send(CustomMessage(MESSAGE_TYPE, b"served"))
        await peer.flush()
        await heard.until(lambda items: Message(key.node_id, b"served") in items)
        await peer.close()


# --- connections ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "limits",
    [replace(SMALL, connections_per_source=100), replace(SMALL, connections=100)],
    ids=["in all", "of one source"],
)
async def test_connections_beyond_the_limit_are_closed(limits: Limits, caplog: pytest.LogCaptureFixture) -> None:
    """With as many connections as are allowed the next is closed at once, which is logged once, and once one has gone
    there is room again."""
    clock = ManualClock()
    async with host(limits=limits, clock=clock) as lsp:
        peers = [await silent(lsp) for _ in range(3)]
        for peer in peers:
            await peer.until(Init)
        refused = await silent(lsp)
        assert await refused.until_closed() == b""
        await clock.advance(2)
        assert [vars(line)["lsps_fields"]["count"] for line in caplog.records if "refused" in line.message] == [1]
        await peers[0].close()

        async def room() -> bool:
            try:
                await serves_once(lsp)
            except (AssertionError, ConnectionError):
                return False
            return True

        await eventually("there is room again", room)
        for peer in (*peers, refused):
            await peer.close()


async def serves_once(to: Host) -> None:
    peer = await silent(to)
    try:
        await peer.until(Init)
    finally:
        await peer.close()


async def test_sources_are_counted_each() -> None:
    """One source at its limit takes nothing from another, an IPv6 one here."""
    async with (
        host(limits=replace(SMALL, connections_per_source=1), address="127.0.0.1:0") as lsp,
        host(limits=replace(SMALL, connections_per_source=1), address="[::1]:0") as six,
    ):
        one = await silent(lsp)
        await one.until(Init)
        another = await RawPeer.connect(lsp, host="127.0.0.1")
        assert await another.until_closed() == b""
        await serves(six, host="::1")
        for peer in (one, another):
            await peer.close()


async def test_sources_that_are_gone_are_forgotten() -> None:
    """Who comes under ever new addresses leaves nothing behind."""
    async with host() as lsp:
        peers = [await RawPeer.connect(lsp, source=f"127.0.0.{number}") for number in range(2, 8)]
        await accepted(lsp, 6)
        for peer in peers:
            await peer.close()
        await accepted(lsp, 0)
        assert not lsp.messages._peers._incoming


async def test_the_oldest_half_open_connection_makes_room() -> None:
    """Peers that say nothing cannot keep others out: the oldest half-open connection is closed for a new one."""
    limits = replace(SMALL, connections=100, connections_per_source=100, half_open=2)
    async with host(limits=limits) as lsp:
        quiet = [await silent(lsp) for _ in range(2)]
        await serves(lsp)
        assert await quiet[0].until_closed() == b""
        await quiet[1].until(Init)
        for peer in quiet:
            await peer.close()


async def test_room_is_made_by_the_source_with_most_half_open_connections() -> None:
    """Who calls a hundred times and says nothing does not drive out somebody else, who called before and is slow."""
    limits = replace(SMALL, connections=100, connections_per_source=100, half_open=3)
    async with host(limits=limits) as lsp:
        slow = await silent(lsp)
        crowd = [await RawPeer.connect(lsp, source="127.0.0.2") for _ in range(5)]
        assert [await peer.until_closed() for peer in crowd[:3]] == [b"", b"", b""]
        await slow.until(Init)
        for peer in (slow, *crowd):
            await peer.close()


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "somewhere", False),
    ],
)
def test_what_is_one_source(one: str, other: str, same: bool) -> None:
    """An IPv4 address is one source, and so is an IPv6 /64, of which anybody has as many addresses as they like."""
    assert (source_of(one) == source_of(other)) is same


def test_the_limits_of_lsps_toml_are_the_limits() -> None:
    """[listen] has a key for each limit, with the same default."""
    table = ListenTable(address="127.0.0.1:0", key="k")
    assert Limits(**{field.name: getattr(table, field.name) for field in fields(Limits)}) == Limits()


async def test_what_an_idle_connection_costs() -> None:
    """The figure of docs/bolt8.md: an open, idle connection is a few kB of Python's objects, and no task or timer."""
    assert 1_000 < await a_connection_costs(50, objects=True) < 5_000


# --- time -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [0, 1, 49], ids=["nothing", "one byte of act one", "act one but a byte"])
async def test_a_handshake_takes_only_so_long(sent: int) -> None:
    """A peer that does not get on with the handshake is closed after handshake_seconds, whatever of it there is."""
    clock = ManualClock()
    async with host(clock=clock) as lsp:
        peer = await silent(lsp)
        peer.writer.write(peer.connection.bytes_to_send()[:sent])
        await peer.writer.drain()
        await accepted(lsp, 1)
        await clock.advance(Limits().handshake_seconds)
        assert await peer.until_closed() == b""
        await peer.close()


async def test_init_belongs_to_the_handshakes_time() -> None:
    """A peer that proves its key and then never sends init is closed like any other half-open one."""
    clock = ManualClock()
    async with host(clock=clock) as lsp:
        peer = await silent(lsp)
        await peer.flush()
        peer.connection.receive(await peer.reader.readexactly(50))
        peer.writer.write(peer.connection.bytes_to_send()[:66])  # act three, without the init that follows
        await peer.reader.readexactly(18)  # the LSP's init begins
        await clock.advance(Limits().handshake_seconds)
        await peer.until_closed()
        assert await lsp.messages.peer(new_key().node_id) is None
        await peer.close()


async def test_a_peer_that_falls_silent_is_dropped() -> None:
    """A peer that does not even answer pings for idle_seconds is disconnected, and that is told."""
    clock = ManualClock()
    key = new_key()
    async with host(clock=clock) as lsp, listening(lsp.messages.peer_events()) as events:
        peer = await RawPeer.connect(lsp, key)
        await peer.until(Init)
        await events.until(lambda heard: PeerOnline(key.node_id) in heard)
        await clock.advance(Limits().idle_seconds - 2)
        assert PeerOffline(key.node_id) not in events.heard
        await clock.advance(4)
        await events.until(lambda heard: PeerOffline(key.node_id) in heard)
        await peer.close()


async def test_a_peer_that_answers_pings_stays() -> None:
    """We ping at least every 10 seconds (LDK's patience), and who answers stays connected however quiet it is."""
    clock = ManualClock()
    key = new_key()
    async with host(clock=clock) as lsp:
        peer = await RawPeer.connect(lsp, key)
        await peer.until(Init)
        await connected(lsp.messages, key.node_id)
        for _ in range(20):
            await clock.advance(10)
            assert [event for event in await peer.until(Ping) if isinstance(event, Closed)] == []
        assert await lsp.messages.peer(key.node_id) is not None
        await peer.close()


async def test_a_peer_that_only_listens_to_us_is_pinged() -> None:
    """However much we say, a peer that is quiet is asked whether it is there, and stays while it answers."""
    clock, key = ManualClock(), new_key()
    async with host(clock=clock) as lsp:
        peer = await RawPeer.connect(lsp, key)
        await peer.until(Init)
        await connected(lsp.messages, key.node_id)
        for _ in range(8):
            for _ in range(10):
                await clock.advance(1)
                await lsp.messages.send(key.node_id, b"more")
            await peer.until(Ping)
        assert await lsp.messages.peer(key.node_id) is not None
        await peer.close()


async def test_a_peer_that_only_talks_hears_of_us() -> None:
    """However much a peer says, it hears a ping every 10 seconds at least (LDK's patience with who says nothing)."""
    clock, key = ManualClock(), new_key()
    async with host(clock=clock) as lsp, listening(lsp.messages.received()) as received:
        peer = await RawPeer.connect(lsp, key)
        await peer.until(Init)
        for second in range(1, 11):
            peer.connection.send(CustomMessage(MESSAGE_TYPE, b"more"))
            await peer.flush()
            await received.until(lambda heard, second=second: len(heard) == 1 + second)  # type: ignore[misc]
            await clock.advance(1)
        await peer.until(Ping)
        await peer.close()


async def test_features_without_a_meaning_are_not_kept() -> None:
    """An init of half a million bits costs no memory that stays: what may mean something is kept, bit 729 among it."""
    async with host() as lsp, host(features=CLIENT_INIT | 1 << 729 | 1 << 500_001) as peer:
        await peer.messages.connect(lsp.node_id, lsp.address)
        await connected(lsp.messages, peer.node_id)
        known = await lsp.messages.peer(peer.node_id)
        assert known is not None
        assert known.features == {1, 9, 13, 15, 45, 729}
        (link,) = lsp.messages._peers._links
        assert link.features.bit_length() == 730


async def test_pings_are_answered() -> None:
    """BOLT 1: a ping gets a pong of the length it asks for."""
    async with host() as lsp:
        peer = await silent(lsp)
        await peer.until(Init)
        peer.connection.send(Ping(1234))
        assert Pong(1234) in await peer.until(Pong)
        await peer.close()


async def accepted(to: Host, connections: int) -> None:
    """So many connections are known to the listener's side."""

    async def known() -> bool:
        return len(to.messages._peers._links) == connections

    await eventually("the connection is accepted", known)
