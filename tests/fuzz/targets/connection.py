"""A whole connection, after its handshake: an authenticated peer that says anything.

The input is messages, each after two bytes of length; the first byte says in what chunks their frames arrive.
"""

from __future__ import annotations

from lsps.lightning.bolt1 import MAX_UNSENT_BYTES, Closed
from lsps.lightning.messages import CustomMessage, Init
from lsps.lightning.reactions import State
from lsps.lightning.transport import MAX_MESSAGE_BYTES
from tests.fuzz.target import Target
from tests.lightning.peers import GOOD_INIT, LSPS, PING, Peer, message

A_FRAME = MAX_MESSAGE_BYTES + 34


def check(data: bytes) -> None:
    """It raises nothing; Closed comes last and once; a custom message is told as it was sent, and only after init."""
    if not data:
        return
    peer = Peer()
    said = split(data[1:])
    stream = b"".join(peer.transport.encrypt(message) for message in said)
    size = 1 + data[0] * 13
    told: list[object] = []
    for start in range(0, len(stream), size):
        told += peer.ours.receive(stream[start : start + size])
        assert peer.ours.buffered < A_FRAME
    assert len(peer.ours.bytes_to_send()) <= MAX_UNSENT_BYTES + 2 * A_FRAME
    closed = [event for event in told if isinstance(event, Closed)]
    assert closed == told[len(told) - len(closed) :]
    assert len(closed) == (peer.ours.state is State.CLOSED)
    custom = [event for event in told if isinstance(event, CustomMessage)]
    sent = [given[2:] for given in said if given[:2] == LSPS.to_bytes(2, "big")]
    assert [event.payload for event in custom] == sent[: len(custom)]
    if custom:
        assert isinstance(told[0], Init)


def split(data: bytes) -> list[bytes]:
    said: list[bytes] = []
    place = 0
    while place + 2 <= len(data) and len(said) < 200:
        length = int.from_bytes(data[place : place + 2], "big")
        said.append(data[place + 2 : place + 2 + length])
        place += 2 + length
    return said


def joined(chunks: int, *messages: bytes) -> bytes:
    return bytes([chunks]) + b"".join(len(given).to_bytes(2, "big") + given for given in messages)


TARGET = Target(
    check,
    (
        joined(255, GOOD_INIT, message(LSPS, b"{}"), PING, message(LSPS, b"")),
        joined(0, GOOD_INIT, message(19, b"\0\1a"), message(1, bytes(32) + b"\0\2hi"), message(17, bytes(34))),
        joined(3, message(17, bytes(34))),
        joined(3, message(LSPS, b"too early")),
        joined(9, GOOD_INIT, GOOD_INIT),
        joined(9, GOOD_INIT, message(777), message(776)),
        joined(255, GOOD_INIT, *[message(18, b"\xff\xfb\0\0")] * 20),
        joined(20, GOOD_INIT, b"\0"),
    ),
    words=(),
)
