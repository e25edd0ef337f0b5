"""A connection by BOLT 1: what it tells, answers, ignores and refuses."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsps.lightning.bolt1 import (
    MAX_UNSENT_BYTES,
    Authenticated,
    Closed,
    Connection,
    Event,
    NotOpen,
    PeerHungUp,
    ProtocolViolation,
)
from lsps.lightning.bolt8 import HandshakeFailed, Reason
from lsps.lightning.features import CLIENT_INIT, LSP_INIT
from lsps.lightning.messages import CustomMessage, Init, PeerError, PeerWarning, Ping, Pong
from lsps.lightning.reactions import State
from lsps.lightning.transport import MessageTooLong, TransportBroken
from lsps.units import ChannelId
from tests.lightning.peers import (
    INITIATOR,
    LSPS,
    PING,
    REGTEST,
    RESPONDER,
    Peer,
    client,
    exchange,
    lsp,
    message,
    opened,
    refused,
    responder,
    warning_in,
)


def test_two_of_ours() -> None:
    """Two connections of ours authenticate, say init and carry custom messages both ways; the client does not set
    bit 729, the LSP does."""
    wallet, shop = client(), lsp()
    of_wallet, of_shop = exchange(wallet, shop)
    assert of_wallet == [Authenticated(RESPONDER.node_id), Init(LSP_INIT, REGTEST)]
    assert of_shop == [Authenticated(INITIATOR.node_id), Init(CLIENT_INIT, REGTEST)]
    wallet.send(CustomMessage(LSPS, b"{}"))
    shop.send(CustomMessage(LSPS, b"[]"))
    assert exchange(wallet, shop) == ([CustomMessage(LSPS, b"[]")], [CustomMessage(LSPS, b"{}")])
    wallet.send(Ping(7))
    assert exchange(wallet, shop) == ([Pong(7)], [Ping(7)])


@pytest.mark.parametrize("num_pong_bytes", [0, 1, 1000, 65_531])
def test_pings_are_answered(num_pong_bytes: int) -> None:
    """BOLT 1: a ping that asks for fewer than 65,532 bytes MUST be answered by a pong of as many, zeros."""
    peer = opened()
    assert peer.says(message(18, num_pong_bytes.to_bytes(2, "big") + b"\0\3abc")) == [Ping(num_pong_bytes)]
    assert peer.hears() == [message(19, num_pong_bytes.to_bytes(2, "big") + bytes(num_pong_bytes))]


@pytest.mark.parametrize("num_pong_bytes", [65_532, 65_535])
def test_pings_that_must_be_ignored(num_pong_bytes: int) -> None:
    """BOLT 1: a ping that asks for 65,532 bytes or more MUST NOT be answered, and does no harm."""
    peer = opened()
    assert peer.says(message(18, num_pong_bytes.to_bytes(2, "big") + b"\0\0")) == [Ping(num_pong_bytes)]
    assert peer.hears() == []
    assert peer.ours.state is State.OPEN


def test_pongs() -> None:
    """A pong is told, asked for or not; it is not answered."""
    peer = opened()
    assert peer.says(message(19, b"\0\2\0\0")) == [Pong(2)]
    assert peer.hears() == []


def test_ping_flood() -> None:
    """BOLT 1, ping flooding: pongs that nobody reads are bounded: those that fit are there, then it closes."""
    peer = opened()
    events = peer.says(*[Ping(65_531).encode()] * 1000)
    assert isinstance(events[-1], Closed)
    unsent = peer.ours.bytes_to_send()
    assert MAX_UNSENT_BYTES - 66_000 < len(unsent) < MAX_UNSENT_BYTES + 1000
    *pongs, warning = peer.transport.receive(unsent)
    assert {len(pong) for pong in pongs} == {65_535}
    assert "faster than they are read" in warning_in([warning])


def test_pings_in_moderation() -> None:
    """The bound is on what waits, not on what was ever sent."""
    peer = opened()
    for _ in range(40):
        assert peer.says(Ping(65_531).encode()) == [Ping(65_531)]
        assert len(peer.hears()) == 1


@pytest.mark.parametrize("message_type", [3, 7, 9, 31, 257, 263, 265, 513, 32769, LSPS - 2, 65535])
def test_unknown_odd_types(message_type: int) -> None:
    """BOLT 1: a message of odd, unknown type is ignored, whatever is in it."""
    peer = opened()
    assert peer.says(message(message_type), message(message_type, b"\xff" * 1000), PING) == [Ping(1)]


@pytest.mark.parametrize("message_type", [0, 2, 20, 32, 136, 254, 260, 32768, LSPS - 1, 65534])
def test_unknown_even_types(message_type: int) -> None:
    """BOLT 1: a message of even, unknown type closes the connection, and what came before it is told."""
    peer = opened()
    assert peer.says(PING) == [Ping(1)]
    assert peer.hears() == [Pong(1).encode()]
    events = peer.says(message(19, b"\0\0"), message(message_type), PING)
    assert events[:-1] == [Pong(0)]
    refused(peer, events, ProtocolViolation, f"message type {message_type} is even")


@pytest.mark.parametrize("message_type", [256, 258])
def test_gossip(message_type: int) -> None:
    """BOLT 7: channel_announcement and channel_update come unasked, are even, and are known: ignored."""
    peer = opened()
    assert peer.says(message(message_type, bytes(300)), PING) == [Ping(1)]


@pytest.mark.parametrize(("message_type", "kind"), [(17, PeerError), (1, PeerWarning)])
def test_errors_and_warnings(message_type: int, kind: type[PeerError] | type[PeerWarning]) -> None:
    """BOLT 1: an error or a warning, for a channel or for all, is told; the connection stays as it is."""
    peer = opened()
    channel = ChannelId("ab" * 32)
    told = peer.says(
        message(message_type, bytes(32) + b"\0\2\x1b!"), message(message_type, bytes.fromhex(channel.hex) + b"\0\0")
    )
    assert told == [kind(None, "?!"), kind(channel, "")]
    assert peer.hears() == []
    assert peer.ours.state is State.OPEN


@pytest.mark.parametrize(
    "bad", [b"", b"\0", message(18), message(18, b"\0\0\0\1"), message(19, b"\0"), message(17, bytes(33)), message(1)]
)
def test_messages_that_are_too_short(bad: bytes) -> None:
    """BOLT 1: a known message of insufficient length, or one without a type, MUST close the connection."""
    peer = opened()
    refused(peer, peer.says(bad, PING), ProtocolViolation, "malformed")


@pytest.mark.parametrize("length", [0, 1, 65_532, 65_533])
def test_custom_messages(length: int) -> None:
    """bLIP-50: 37913 carries up to 65,533 bytes, both ways, as they are."""
    wallet, shop = client(), lsp()
    exchange(wallet, shop)
    wallet.send(CustomMessage(LSPS, b"a" * length))
    assert exchange(wallet, shop) == ([], [CustomMessage(LSPS, b"a" * length)])
    shop.send(CustomMessage(LSPS, b"b" * length))
    assert exchange(wallet, shop) == ([CustomMessage(LSPS, b"b" * length)], [])


def test_a_custom_message_that_is_too_long() -> None:
    """A payload above 65,533 bytes is refused, and the connection goes on."""
    wallet, shop = client(), lsp()
    exchange(wallet, shop)
    with pytest.raises(MessageTooLong):
        wallet.send(CustomMessage(LSPS, bytes(65_534)))
    wallet.send(CustomMessage(LSPS, b"{}"))
    assert exchange(wallet, shop) == ([], [CustomMessage(LSPS, b"{}")])


def test_even_custom_types() -> None:
    """An even type that the caller asked for is known: it is told and does not close."""
    wallet = client()
    shop = Connection(responder(), features=LSP_INIT, networks=REGTEST, custom_types={40_000})
    exchange(wallet, shop)
    wallet.send(CustomMessage(40_000, b"x"))
    assert exchange(wallet, shop) == ([], [CustomMessage(40_000, b"x")])


def test_a_broken_stream() -> None:
    """BOLT 8: a frame that does not authenticate closes without any further message, even one that was waiting."""
    peer = opened()
    events = peer.ours.receive(peer.transport.encrypt(PING) + bytes(18))
    assert events[0] == Ping(1)
    assert isinstance(events[1], Closed)
    assert isinstance(events[1].cause, TransportBroken)
    assert peer.ours.bytes_to_send() == b""
    assert peer.ours.receive(b"more") == []


def test_a_failed_handshake() -> None:
    """BOLT 8: a wrong act closes, with the act and the reason, without an answer."""
    shop = lsp()
    (closed,) = shop.receive(b"\0" * 50)
    assert isinstance(closed, Closed)
    assert isinstance(closed.cause, HandshakeFailed)
    assert (closed.cause.act, closed.cause.reason) == (1, Reason.BAD_PUBKEY)
    assert shop.bytes_to_send() == b""
    assert shop.receive(b"\0" * 50) == []


def test_speaking_http() -> None:
    """A peer that speaks something else is told apart by its first bytes, once there are enough of them."""
    shop = lsp()
    assert shop.receive(b"GET / HTTP/1.1\r\n") == []
    (closed,) = shop.receive(b"Host: example.com\r\nUser-Agent: a browser\r\n\r\n")
    assert isinstance(closed, Closed)
    assert "no Lightning at all" in str(closed.cause)


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (client, HandshakeFailed),
        (lsp, HandshakeFailed),
        (lambda: Peer().ours, PeerHungUp),
        (lambda: opened().ours, PeerHungUp),
    ],
)
def test_the_peer_hangs_up(make: Callable[[], Connection], cause: type[Exception]) -> None:
    """The end of the stream closes once, with its cause; nothing can be sent or received after it."""
    connection = make()
    (closed,) = connection.receive_eof()
    assert isinstance(closed, Closed)
    assert type(closed.cause) is cause
    assert connection.receive_eof() == []
    assert connection.receive(b"\0" * 100) == []
    with pytest.raises(NotOpen, match="ended"):
        connection.send(Ping())


@pytest.mark.parametrize("size", [1, 7, 64])
def test_chunks_make_no_difference(size: int) -> None:
    """From the handshake's first byte to the last message, chunks of any size give the same events."""
    wallet, shop = client(), lsp()
    of_shop: list[Event] = []

    def in_chunks(to: Connection, data: bytes) -> list[Event]:
        return [event for at in range(0, len(data), size) for event in to.receive(data[at : at + size])]

    of_shop += in_chunks(shop, wallet.bytes_to_send())
    of_wallet = in_chunks(wallet, shop.bytes_to_send())
    of_shop += in_chunks(shop, wallet.bytes_to_send())
    of_wallet += in_chunks(wallet, shop.bytes_to_send())
    wallet.send(CustomMessage(LSPS, b"1"))
    wallet.send(CustomMessage(LSPS, b"2" * 100))
    of_shop += in_chunks(shop, wallet.bytes_to_send())
    assert of_wallet == [Authenticated(RESPONDER.node_id), Init(LSP_INIT, REGTEST)]
    assert of_shop[:2] == [Authenticated(INITIATOR.node_id), Init(CLIENT_INIT, REGTEST)]
    assert of_shop[2:] == [CustomMessage(LSPS, b"1"), CustomMessage(LSPS, b"2" * 100)]


def test_no_secret_in_a_repr() -> None:
    """Neither keys nor what a customer said are in the text of an event."""
    assert "token" not in repr(CustomMessage(LSPS, b"token"))
    peer = opened()
    assert INITIATOR.to_bytes().hex() not in repr(vars(peer.ours))


TYPES = st.sampled_from([0, 1, 2, 7, 16, 17, 18, 19, 32, 256, 258, LSPS, 65_535]) | st.integers(0, 65_535)


@given(
    st.booleans(),
    st.lists(st.one_of(st.binary(max_size=100), st.builds(message, TYPES, st.binary(max_size=100))), max_size=8),
)
def test_any_messages(init_first: bool, said: list[bytes]) -> None:
    """Whatever an authenticated peer says: events, Closed at most once and last, custom messages exactly as they came,
    pongs and one warning in answer (none before its init), little kept."""
    peer = opened() if init_first else Peer()
    peer.hears()
    events = peer.says(*said)
    assert all(not isinstance(event, Closed) for event in events[:-1])
    custom = [event.payload for event in events if isinstance(event, CustomMessage)]
    assert custom == [text[2:] for text in said if text[:2] == message(LSPS)][: len(custom)]
    assert peer.ours.buffered == 0
    heard = peer.hears()
    pings = [event for event in events if isinstance(event, Ping) and event.num_pong_bytes < 65_532]
    spoke = init_first or any(text[:2] == message(16) for text in said[:1])
    assert len(heard) == len(pings) + (spoke and isinstance(events[-1] if events else None, Closed))
