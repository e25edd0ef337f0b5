"""BOLT 1's messages: init, error, warning, ping, pong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lsps.lightning.messages import Init, PeerError, PeerWarning, Ping, Pong, encode_warning, split_type
from lsps.lightning.wire import Malformed
from lsps.units import ChannelId, Network

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "bolt1.json").read_text("utf-8"))
REGTEST_HASH = bytes.fromhex("06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f")
MAINNET_HASH = bytes.fromhex("6fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000")
Decoder = type[Init] | type[PeerError] | type[PeerWarning] | type[Ping] | type[Pong]
DECODERS: list[Decoder] = [Init, PeerError, PeerWarning, Ping, Pong]
CHANNEL = bytes(range(32))


def body(message: bytes, message_type: int) -> bytes:
    """What follows the type, which is as expected."""
    found, payload = split_type(message)
    assert found == message_type
    return payload


@pytest.mark.parametrize("message", VECTORS["init_valid"])
def test_valid_init(message: str) -> None:
    """BOLT 1, Appendix C: without an extension, and with unknown odd records."""
    assert Init.decode(body(bytes.fromhex(message), 16)) == Init(0, None)


@pytest.mark.parametrize("message", VECTORS["init_invalid"])
def test_invalid_init(message: str) -> None:
    """BOLT 1, Appendix C: a truncated extension, an unknown even record, a record twice."""
    with pytest.raises(Malformed):
        Init.decode(body(bytes.fromhex(message), 16))


def test_init_combines_both_fields() -> None:
    """BOLT 1: the receiver MUST combine globalfeatures and features by OR."""
    assert Init.decode(bytes.fromhex("0002 2100 0001 82")).features == 0x2182


def test_init_as_we_write_it() -> None:
    """BOLT 1: features in their minimal length and in the second field alone, `networks` as the chains' hashes."""
    message = Init(1 << 729 | 1 << 9, frozenset({Network.REGTEST, Network.MAINNET})).encode()
    features = (1 << 729 | 1 << 9).to_bytes(92, "big")
    assert message == bytes.fromhex("0010 0000 005c") + features + b"\1\x40" + MAINNET_HASH + REGTEST_HASH
    assert Init(0, None).encode().hex() == "001000000000"


@given(st.integers(0, 1 << 800), st.none() | st.frozensets(st.sampled_from(Network)))
def test_init_round_trip(features: int, networks: frozenset[Network] | None) -> None:
    """An init is read as it was written."""
    init = Init(features, networks)
    assert Init.decode(body(init.encode(), Init.TYPE)) == init


def test_networks() -> None:
    """Networks that have no name here are left out, an empty list is no absent one, half a hash is malformed."""
    assert Init.decode(bytes(4) + b"\1\x40" + bytes(32) + REGTEST_HASH).networks == frozenset({Network.REGTEST})
    assert Init.decode(bytes(4) + b"\1\x20" + bytes(32)).networks == frozenset()
    assert Init.decode(bytes(4) + b"\1\0").networks == frozenset()
    with pytest.raises(Malformed, match="networks"):
        Init.decode(bytes(4) + b"\1\x1f" + REGTEST_HASH[:31])


def test_remote_addr() -> None:
    """A remote_addr, as an LND sends it, is read over."""
    assert Init.decode(bytes(4) + bytes.fromhex("03 07 01 7f000001 2607")) == Init(0)


def test_large_features_are_shown() -> None:
    """The largest feature vector does no harm to a repr, which Python would refuse to write in decimal."""
    assert "Init" in repr(Init.decode(b"\0\0\xff\xf0" + b"\xaa" * 0xFFF0))


@pytest.mark.parametrize("kind", [PeerError, PeerWarning])
def test_error_and_warning(kind: type[PeerError] | type[PeerWarning]) -> None:
    """BOLT 1: all zero is no channel; an empty text is fine; what is not printable ASCII is not shown verbatim."""
    assert kind.decode(bytes(32) + b"\0\5hello") == kind(None, "hello")
    assert kind.decode(CHANNEL + b"\0\0") == kind(ChannelId(CHANNEL.hex()), "")
    assert kind.decode(bytes(32) + b"\0\6\x1b[2J\xc3\xa4").text == "?[2J??"
    assert kind.decode(bytes(32) + b"\0\3\x1f ~ and an extension").text == "? ~"
    assert kind.decode(bytes(32) + b"\0\2\x7f\n").text == "??"
    assert kind.decode(bytes(32) + b"\xff\x00" + b"x" * 0xFF00).text == "x" * 500


def test_our_warning() -> None:
    """A warning of ours is about no channel, printable, and short."""
    assert PeerWarning.decode(body(encode_warning("what\u202e?"), PeerWarning.TYPE)) == PeerWarning(None, "what??")
    assert len(encode_warning("x" * 70_000)) == 2 + 32 + 2 + 500


def test_ping_and_pong() -> None:
    """BOLT 1: the layouts of ping and pong; `ignored` is zeros; an extension after them may be ignored."""
    assert Ping(3).encode().hex() == "001200030000"
    assert Pong(3).encode().hex() == "00130003000000"
    assert Ping.decode(bytes.fromhex("0102 0003 616263")) == Ping(0x0102)
    assert Ping.decode(bytes.fromhex("0000 0000 0100")) == Ping(0)
    assert Pong.decode(bytes.fromhex("0002 6162")) == Pong(2)


@pytest.mark.parametrize(
    ("asked", "answer"), [(0, Pong(0)), (1, Pong(1)), (65_531, Pong(65_531)), (65_532, None), (65_535, None)]
)
def test_which_pings_are_answered(asked: int, answer: Pong | None) -> None:
    """BOLT 1: below 65,532 a pong of that many bytes, which fits a message; from there on none."""
    assert Ping(asked).answer() == answer
    if answer is not None:
        assert len(answer.encode()) == 4 + asked <= 65_535


TOO_SHORT = [(kind, payload) for kind in DECODERS for payload in (b"", b"\0", b"\0\5abcd")]


@pytest.mark.parametrize(
    ("kind", "payload"), [*TOO_SHORT, (Init, bytes(3)), (PeerError, bytes(33)), (Ping, b"\0\0\0\1")]
)
def test_too_short(kind: Decoder, payload: bytes) -> None:
    """BOLT 1: a known message that is too short for its contents is malformed."""
    with pytest.raises(Malformed):
        kind.decode(payload)


@pytest.mark.parametrize("message", [b"", b"\0"])
def test_no_type(message: bytes) -> None:
    """A message too short to have a type is malformed."""
    with pytest.raises(Malformed):
        split_type(message)


@given(st.sampled_from(DECODERS), st.binary(max_size=120))
@example(Init, b"\0\0\0\0" + b"\xff" * 9)
def test_any_bytes(kind: Decoder, payload: bytes) -> None:
    """Every decoder takes any bytes: a message with a repr, or Malformed."""
    try:
        message = kind.decode(payload)
    except Malformed:
        return
    assert repr(message).startswith(kind.__name__)
