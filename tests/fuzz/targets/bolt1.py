"""BOLT 1's own messages and its TLV stream, decoded from any bytes. The first byte chooses which."""

from __future__ import annotations

from collections.abc import Callable

from lsps.lightning import features
from lsps.lightning.messages import Init, PeerError, PeerWarning, Ping, Pong, encode_warning, split_type
from lsps.lightning.wire import Malformed, Reader, decode_tlv_stream, encode_bigsize, encode_tlv_stream
from lsps.units import ChannelId
from tests.fuzz.target import Target, vectors


def init(payload: bytes) -> None:
    message = Init.decode(payload)
    assert split_type(message.encode())[0] == Init.TYPE
    if message.features < 1 << 8 * 60_000:  # what fits our own single field
        assert Init.decode(message.encode()[2:]) == message
    features.init_objection(message.features)
    repr(message)


def text(payload: bytes) -> None:
    for kind in (PeerError, PeerWarning):
        message = kind.decode(payload)
        assert len(message.text) <= 500
        assert message.text.isprintable()
        assert message.channel_id is None or isinstance(message.channel_id, ChannelId)
        again = PeerWarning.decode(encode_warning(message.text)[2:])
        assert again.text == message.text


def ping(payload: bytes) -> None:
    message = Ping.decode(payload)
    assert Ping.decode(message.encode()[2:]) == message
    answer = message.answer()
    assert answer is None or len(answer.encode()) <= 65_535


def pong(payload: bytes) -> None:
    message = Pong.decode(payload)
    assert Pong.decode(message.encode()[2:]) == message


def tlv_stream(payload: bytes) -> None:
    known = {1, 2, 3, 254}
    records = decode_tlv_stream(payload, known)
    assert decode_tlv_stream(encode_tlv_stream(records), known) == records


def bigsize(payload: bytes) -> None:
    reader = Reader(payload)
    value = reader.bigsize()
    assert encode_bigsize(value) + reader.rest() == payload


DECODERS: tuple[Callable[[bytes], None], ...] = (init, text, ping, pong, tlv_stream, bigsize)


def check(data: bytes) -> None:
    """A message or Malformed; written again it reads the same."""
    if not data:
        return
    try:
        DECODERS[data[0] % len(DECODERS)](data[1:])
    except Malformed as error:
        assert str(error)


def of(decoder: Callable[[bytes], None], payload: str | bytes) -> bytes:
    return bytes([DECODERS.index(decoder)]) + (bytes.fromhex(payload) if isinstance(payload, str) else payload)


BOLT1 = vectors("bolt1")
TARGET = Target(
    check,
    (
        *(of(init, message[4:]) for message in (*BOLT1["init_valid"], *BOLT1["init_invalid"])),
        of(text, bytes(32) + b"\0\4\x1b[3m"),
        of(ping, b"\0\1\0\2ab"),
        of(ping, b"\xff\xfc\0\0"),
        of(pong, b"\0\1a"),
        *(of(tlv_stream, case["stream"]) for case in (*BOLT1["tlv_valid_in_n1"], *BOLT1["tlv_invalid_in_n1"])),
        *(of(bigsize, case["bytes"]) for case in BOLT1["bigsize_decoding"]),
    ),
    max_bytes=70_000,
)
