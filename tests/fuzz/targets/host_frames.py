"""The socket on which a simulated node is used by another process. The first byte chooses: a call, or its answer.

A call is the index of a method and its arguments; an answer is the same index and what came.
"""

from __future__ import annotations

import asyncio

import msgspec

from lsps.node.simulated import wire
from lsps.node.simulated.wire import METHODS, BadFrame, Failure, Request, Value
from lsps.units import BlockHeight, Msat, NodeId
from tests.fuzz.target import Target

NAMES = sorted(METHODS)
CALL, ANSWER, FRAMES = range(3)


def check(data: bytes) -> None:
    """Values of the contract's types, which are written as they were read, or BadFrame."""
    if len(data) < 2:
        return
    kind, method, rest = data[0] % 3, METHODS[NAMES[data[1] % len(NAMES)]], data[2:]
    try:
        if kind == CALL:
            arguments = method.arguments(Request(method.name, msgspec.Raw(rest)))
            assert method.arguments(method.request(arguments)) == arguments
        elif kind == ANSWER:
            given = method.given(Value(rest[0] if rest else 0, msgspec.Raw(rest[1:])))
            assert method.given(method.value(given)) == given
            repr(given)
        else:
            asyncio.run(both_ways(rest))
    except BadFrame as error:
        assert len(str(error)) < 500


async def both_ways(data: bytes) -> None:
    """Frames, read as what a host reads and as what a user reads."""
    for read in (wire.read_request, wire.read_answer):
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        while (message := await read(reader)) is not None:
            wire.frame(message)


def call(name: str, *arguments: object) -> bytes:
    return bytes([CALL, NAMES.index(name)]) + bytes(METHODS[name].request(arguments).arguments)


def answer(name: str, given: object) -> bytes:
    value = METHODS[name].value(given)
    return bytes([ANSWER, NAMES.index(name), value.alternative]) + bytes(value.value)


PEER = NodeId("02" + "11" * 32)
TARGET = Target(
    check,
    (
        call("Messages.send", PEER, b"{}"),
        call("Messages.connect", PEER, "127.0.0.1:9735"),
        call("Payments.pay", "lnbcrt1", Msat(5)),
        call("Wallet.feerate", 6),
        call("Wallet.deposits", BlockHeight(7)),
        answer("Wallet.new_address", "bcrt1q"),
        answer("Wallet.feerate", 253),
        bytes([FRAMES, 0]) + wire.frame(Request("Node.info", msgspec.Raw(b"\x90"))),
        bytes([FRAMES, 0]) + wire.frame(Failure("NodeUnreachable", "away")) + b"\0\0",
        bytes([FRAMES, 0]) + b"\xff\xff\xff\xff",
    ),
    max_bytes=1_000,
)
