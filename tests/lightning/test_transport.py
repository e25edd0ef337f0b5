"""BOLT 8 after the handshake: frames, key rotation, broken streams."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsps.lightning.transport import MAX_MESSAGE_BYTES, MessageTooLong, Transport, TransportBroken
from tests.lightning.peers import transports

VECTOR: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "bolt8.json").read_text("utf-8"))[
    "messages"
]
SENDING, RECEIVING, CHAINING = (bytes.fromhex(VECTOR[name]) for name in ("sk", "rk", "ck"))
HELLO = bytes.fromhex(VECTOR["message"])


def sender() -> Transport:
    return Transport(sending_key=SENDING, receiving_key=RECEIVING, chaining_key=CHAINING)


def receiver() -> Transport:
    return Transport(sending_key=RECEIVING, receiving_key=SENDING, chaining_key=CHAINING)


def test_vectors() -> None:
    """BOLT 8, message encryption tests: frames 0, 1, 500, 501, 1000 and 1001 are those of the vector, so the key
    rotates after each 500 messages; and they are read back."""
    one, other = sender(), receiver()
    frames = [one.encrypt(HELLO) for _ in range(1002)]
    assert {n: frames[int(n)].hex() for n in VECTOR["outputs"]} == VECTOR["outputs"]
    assert list(other.receive(b"".join(frames))) == [HELLO] * 1002


def test_each_direction_rotates_by_itself() -> None:
    """BOLT 8, key rotation: over thousands of messages, far more one way than the other, all are read."""
    one, other = transports()
    for n in range(3100):
        message = n.to_bytes(2, "big")
        assert list(other.receive(one.encrypt(message))) == [message]
        if n % 5 == 0:
            assert list(one.receive(other.encrypt(message))) == [message]


@pytest.mark.parametrize("length", [0, 1, 2, 65_534, MAX_MESSAGE_BYTES])
def test_sizes(length: int) -> None:
    """A message of 0 to 65,535 bytes is carried, in a frame of its length and 34 bytes (at most 65,569)."""
    one, other = transports()
    frame = one.encrypt(b"x" * length)
    assert len(frame) == length + 34
    assert list(other.receive(frame)) == [b"x" * length]


def test_too_long() -> None:
    """BOLT 8: no message exceeds 65,535 bytes; the refused one uses up no nonce."""
    one, other = transports()
    with pytest.raises(MessageTooLong, match="65536"):
        one.encrypt(bytes(65_536))
    assert list(other.receive(one.encrypt(b"next"))) == [b"next"]


@given(st.lists(st.binary(max_size=200), max_size=6), st.data())
def test_chunks_make_no_difference(messages: list[bytes], data: st.DataObject) -> None:
    """Cut into any chunks, a stream gives the same messages; no more is kept than one frame that is not complete."""
    one, other = sender(), receiver()
    stream = b"".join(one.encrypt(message) for message in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    received: list[bytes] = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        received += other.receive(stream[start:end])
        assert other.buffered < 200 + 16
    assert received == messages
    assert other.buffered == 0


def test_buffer_is_bounded() -> None:
    """Of the largest message, byte for byte, never more than its ciphertext is kept."""
    one, other = transports()
    frame = one.encrypt(bytes(MAX_MESSAGE_BYTES))
    largest = 0
    for start in range(0, len(frame) - 1, 997):
        assert not list(other.receive(frame[start : min(start + 997, len(frame) - 1)]))
        largest = max(largest, other.buffered)
    assert largest == MAX_MESSAGE_BYTES + 15
    assert list(other.receive(frame[-1:])) == [bytes(MAX_MESSAGE_BYTES)]


def test_changed_at_every_byte() -> None:
    """Any changed byte of a frame breaks the stream: what came before is given, nothing after it, ever."""
    for place in range(34 + len(HELLO)):
        one, other = sender(), receiver()
        good, bad, later = one.encrypt(b"good"), bytearray(one.encrypt(HELLO)), one.encrypt(b"later")
        bad[place] ^= 0x40
        received: list[bytes] = []
        with pytest.raises(TransportBroken):
            received.extend(other.receive(good + bytes(bad) + later))
        assert received == [b"good"]
        assert other.buffered == 0
        for again in (later, b""):
            with pytest.raises(TransportBroken):
                list(other.receive(again))
            assert other.buffered == 0


@pytest.mark.parametrize("tamper", ["lost", "twice", "swapped", "reflected", "byte lost", "byte added"])
def test_order_of_frames(tamper: str) -> None:
    """A frame lost, repeated, out of order or sent back to its sender breaks the stream; so does a byte too few or too
    many."""
    one, other = sender(), receiver()
    first, second, third = (one.encrypt(text) for text in (b"first", b"second", b"third"))
    stream = {
        "lost": second + third,
        "twice": first + first,
        "swapped": second + first,
        "reflected": other.encrypt(b"mine"),
        "byte lost": first[:-1] + second,
        "byte added": first + b"\0" + second,
    }[tamper]
    received: list[bytes] = []
    with pytest.raises(TransportBroken):
        received.extend(other.receive(stream))
    assert received == ([b"first"] if tamper in {"twice", "byte added"} else [])


def test_lengths_are_read_from_authenticated_headers_only() -> None:
    """BOLT 8: the length is authenticated, so a forged header is refused as soon as its 18 bytes are there."""
    other = receiver()
    assert not list(other.receive(bytes(17)))
    with pytest.raises(TransportBroken):
        list(other.receive(b"\0"))


def test_messages_left_unread_are_kept() -> None:
    """Messages that the caller did not ask for come with the next call, in order."""
    one, other = sender(), receiver()
    messages = other.receive(one.encrypt(b"one") + one.encrypt(b"two"))
    assert next(messages) == b"one"
    assert list(other.receive(one.encrypt(b"three"))) == [b"two", b"three"]


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes(chunks: list[bytes]) -> None:
    """Bytes that were not encrypted with the key never become a message: a typed error, or a wait for more."""
    other = receiver()
    try:
        for chunk in chunks:
            assert not list(other.receive(chunk))
            assert other.buffered < 18
    except TransportBroken:
        assert other.buffered == 0
