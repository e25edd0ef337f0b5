"""BOLT 8 after the handshake: frames that are really encrypted, then cut, changed, dropped or repeated.

The input is a program: each step is two bytes, what to do and how much of it.
"""

from __future__ import annotations

from functools import cache

from lsps.lightning.transport import HEADER_BYTES, MAX_MESSAGE_BYTES, MessageTooLong, Transport, TransportBroken
from tests.fuzz.target import Target, vectors

SEND, SEND_LARGE, DELIVER, FLIP, DROP, INSERT, REPEAT, SEND_TOO_LARGE = range(8)
A_FRAME = HEADER_BYTES + MAX_MESSAGE_BYTES + 16


@cache
def keys() -> dict[str, bytes]:
    found = vectors("bolt8")["messages"]
    return {name: bytes.fromhex(found[name]) for name in ("ck", "sk", "rk")}


def ends() -> tuple[Transport, Transport]:
    ours = keys()
    return (
        Transport(sending_key=ours["sk"], receiving_key=ours["rk"], chaining_key=ours["ck"]),
        Transport(sending_key=ours["rk"], receiving_key=ours["sk"], chaining_key=ours["ck"]),
    )


def check(data: bytes) -> None:
    """What is received is what was sent, in order, up to the first change; then TransportBroken, ever after."""
    one, other = ends()
    wire, sent, received = bytearray(), list[bytes](), list[bytes]()
    touched = broken = False
    for what, amount in zip(data[0:600:2], data[1:600:2], strict=False):
        step = what % 8
        if step in {SEND, SEND_LARGE}:
            sent.append(bytes([len(sent) & 255]) * (amount if step == SEND else min(amount * 257, MAX_MESSAGE_BYTES)))
            wire += one.encrypt(sent[-1])
        elif step == SEND_TOO_LARGE:
            try:
                one.encrypt(bytes(MAX_MESSAGE_BYTES + 1 + amount))
            except MessageTooLong:
                continue
            raise AssertionError("a message that no length can tell was encrypted")
        elif step == DELIVER:
            length = amount if amount < 200 else amount * 97
            chunk = bytes(wire[:length])
            del wire[:length]
            try:
                received += other.receive(chunk)
                assert not broken, "a broken stream was read on"
            except TransportBroken:
                assert touched, "an intact stream was called broken"
                broken = True
            assert other.buffered < A_FRAME
            assert received == sent[: len(received)]
        elif wire:
            touched = True
            place = amount % len(wire)
            if step == FLIP:
                wire[place] ^= 1 << amount % 8
            elif step == DROP:
                del wire[place]
            elif step == INSERT:
                wire.insert(place, amount)
            elif step == REPEAT and len(wire) < 4 * A_FRAME:
                wire += wire[place:]
    if not touched:
        received += other.receive(bytes(wire))
        assert received == sent


def program(*steps: tuple[int, int]) -> bytes:
    return bytes(value for step in steps for value in step)


TARGET = Target(
    check,
    (
        program((SEND, 5), (DELIVER, 255)),
        program((SEND, 0), (SEND_LARGE, 255), (DELIVER, 17), (DELIVER, 1), (DELIVER, 255), (SEND_TOO_LARGE, 0)),
        program((SEND, 9), (SEND, 9), (FLIP, 50), (DELIVER, 255), (DELIVER, 1)),
        program((SEND, 9), (DROP, 3), (DELIVER, 255)),
        program((SEND, 9), (INSERT, 20), (DELIVER, 255)),
        program((SEND, 9), (DELIVER, 43), (SEND, 1), (REPEAT, 0), (DELIVER, 255)),
    ),
    max_bytes=600,
)
