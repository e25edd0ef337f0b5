"""How a connection opens by BOLT 1: init comes first, and is compatible or refused."""

from __future__ import annotations

import pytest

from lsps.lightning.bolt1 import (
    Incompatible,
    NotOpen,
    ProtocolViolation,
)
from lsps.lightning.features import CLIENT_INIT, LSP_INIT
from lsps.lightning.messages import CustomMessage, Init, PeerError, PeerWarning, Ping
from lsps.lightning.reactions import State
from lsps.units import Network
from tests.lightning.peers import (
    GOOD_INIT,
    LSPS,
    PING,
    REGTEST,
    Peer,
    client,
    message,
    opened,
    refused,
)

MAINNET = frozenset({Network.MAINNET})


def test_init_goes_out_first() -> None:
    """BOLT 1: init MUST be the first message, and before the peer's init is here nothing else may be sent."""
    peer = Peer()
    with pytest.raises(NotOpen, match="init"):
        peer.ours.send(CustomMessage(LSPS, b"{}"))
    with pytest.raises(NotOpen, match="init"):
        peer.ours.send(Ping())
    assert peer.hears() == [GOOD_INIT]
    peer.says(GOOD_INIT)
    peer.ours.send(CustomMessage(LSPS, b"{}"))
    assert peer.hears() == [message(LSPS, b"{}")]


def test_nothing_is_sent_during_the_handshake() -> None:
    """Before the handshake is done nothing can be sent."""
    with pytest.raises(NotOpen):
        client().send(Ping())


@pytest.mark.parametrize(
    "first", [PING, message(LSPS, b"{}"), message(19, b"\0\0"), message(101), message(100), message(256)]
)
def test_anything_before_init(first: bytes) -> None:
    """BOLT 1: init comes first; whatever else does, a custom, an odd or a gossip message too, closes; and without a
    word: until the peer's init is here nothing may be sent but ours."""
    peer = Peer()
    peer.hears()
    refused(peer, peer.says(first, GOOD_INIT), ProtocolViolation, "the first message is init", told=False)


@pytest.mark.parametrize("bad", [b"", b"\0"])
def test_no_message_at_all_before_init(bad: bytes) -> None:
    """What is too short for a type is no init: it closes, without a word."""
    peer = Peer()
    peer.hears()
    refused(peer, peer.says(bad, GOOD_INIT), ProtocolViolation, "malformed", told=False)


@pytest.mark.parametrize(("message_type", "kind"), [(17, PeerError), (1, PeerWarning)])
def test_why_a_peer_will_not_have_us(message_type: int, kind: type[PeerError] | type[PeerWarning]) -> None:
    """An error or a warning in place of init is told to our user, and closes."""
    peer = Peer()
    peer.hears()
    events = peer.says(message(message_type, bytes(32) + b"\0\4full"))
    assert events[0] == kind(None, "full")
    refused(peer, events, ProtocolViolation, "the first message is init", told=False)


def test_a_second_init() -> None:
    """Init comes once: a second one closes."""
    peer = opened()
    refused(peer, peer.says(GOOD_INIT), ProtocolViolation, "init comes once")


@pytest.mark.parametrize("bit", [2, 728, 1000])
def test_unknown_even_features(bit: int) -> None:
    """BOLT 1: unknown even feature bits MUST close the connection; the init is not told, so nothing was opened."""
    peer = Peer()
    peer.hears()
    events = peer.says(Init(LSP_INIT | 1 << bit, REGTEST).encode())
    assert len(events) == 1
    refused(peer, events, Incompatible, f"unknown feature bit {bit}")


def test_missing_dependency() -> None:
    """BOLT 1: a feature without those it needs MUST close the connection."""
    peer = Peer()
    peer.hears()
    refused(peer, peer.says(Init(1 << 51).encode()), Incompatible, "needs bit 46 or 47")


def test_odd_features_and_globalfeatures() -> None:
    """BOLT 1: unknown odd bits are ignored; the two fields are one."""
    peer = Peer()
    assert peer.says(message(16, bytes.fromhex("0002 8000 0001 02"))) == [Init(0x8002, None)]
    assert peer.ours.state is State.OPEN


@pytest.mark.parametrize(
    ("ours", "theirs", "accepted"),
    [
        (REGTEST, REGTEST, True),
        (REGTEST, REGTEST | MAINNET, True),
        (REGTEST, None, True),
        (frozenset(), MAINNET, True),
        (frozenset(), None, True),
        (REGTEST, MAINNET, False),
        (REGTEST, frozenset(), False),
    ],
)
def test_networks(ours: frozenset[Network], theirs: frozenset[Network] | None, accepted: bool) -> None:
    """BOLT 1: a peer that names networks, none of them ours, is refused; one that names none is not; and who was told
    no network names none and takes any."""
    peer = Peer(ours)
    assert peer.hears() == [Init(LSP_INIT, ours or None).encode()]
    events = peer.says(Init(CLIENT_INIT, theirs).encode())
    if accepted:
        assert events == [Init(CLIENT_INIT, theirs)]
    else:
        refused(peer, events, Incompatible, "networks are none of ours (regtest)")


@pytest.mark.parametrize("extension", ["01", "ca012a", "c90101c90102", "0120", "0200", "01020000"])
def test_malformed_init(extension: str) -> None:
    """BOLT 1, TLV: a truncated record, an unknown even one, one that comes twice, half a hash: the init is refused."""
    peer = Peer()
    peer.hears()
    refused(peer, peer.says(message(16, bytes(4) + bytes.fromhex(extension))), ProtocolViolation, "malformed")
