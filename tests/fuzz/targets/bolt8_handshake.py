"""The handshake of BOLT 8, both roles, any bytes in any chunks. The first byte chooses role and chunks."""

from __future__ import annotations

from lsps.lightning.bolt8 import Completed, HandshakeFailed, Initiator, Responder
from lsps.units import NodeId
from tests.fuzz.target import Target, vectors
from tests.lightning.peers import INITIATOR, initiator, responder


def check(data: bytes) -> None:
    """Completed, only with a peer whose key is on the curve, or HandshakeFailed for good; little is ever buffered."""
    if not data:
        return
    for size in (len(data), 1 + data[0] // 2):
        side = initiator() if data[0] % 2 else responder()
        outcome = feed(side, data[1:], size)
        if size == len(data):
            at_once = outcome
    assert outcome == at_once, "how the bytes were cut made a difference"


def feed(side: Initiator | Responder, data: bytes, size: int) -> object:
    said = side.bytes_to_send()
    unread = b""
    peer: NodeId | None = None
    try:
        for start in range(0, len(data), size):
            chunk = data[start : start + size]
            if peer is not None:
                unread += chunk
                continue
            completed = side.receive(chunk)
            said += side.bytes_to_send()
            assert side.buffered <= 65
            if isinstance(completed, Completed):
                peer, unread = completed.peer, completed.unread
    except HandshakeFailed as failed:
        assert side.bytes_to_send() == b"", "BOLT 8: terminate without any further messages"
        return failed.act, failed.reason
    return peer, unread, said


def acts(name: str) -> bytes:
    """The inputs of a test vector, as bytes of this target."""
    (found,) = (handshake for handshake in vectors("bolt8")["handshakes"] if handshake["name"] == name)
    fed = b"".join(bytes.fromhex(step["input"]) for step in found["steps"] if "input" in step)
    return bytes([name.startswith("transport-initiator")]) + fed


SEEDS = tuple(acts(handshake["name"]) for handshake in vectors("bolt8")["handshakes"])
TARGET = Target(
    check, (*SEEDS, SEEDS[5] + b"more", SEEDS[0] + bytes(100), b"\0" + bytes(INITIATOR.node_id)), max_bytes=400
)
