"""What a hostile peer may say, by kind: each kind is an endless supply of payloads."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from random import Random

from tests.service.peers import CHANNEL_ORDER, Json

LARGEST = 65_533


def request(method: str, request_id: Json, params: Json = None) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "method": method, "params": params or {}, "id": request_id}).encode()


def flood(random: Random) -> Iterator[bytes]:
    """Good, cheap requests, faster than they can be answered."""
    for number in count():
        yield request("lsps0.list_protocols", f"flood-{number}")


def same_id(random: Random) -> Iterator[bytes]:
    """Every request with one and the same id."""
    methods = ("lsps1.get_info", "lsps7.get_extendable_channels", "lsps1.create_order", "nothing")
    while True:
        yield request(random.choice(methods), "1", CHANNEL_ORDER)


def order_spam(random: Random) -> Iterator[bytes]:
    """Orders that nobody means to pay."""
    for number in count():
        yield request("lsps1.create_order", f"spam-{number}", CHANNEL_ORDER)


def others_orders(random: Random) -> Iterator[bytes]:
    """Guessing order ids."""
    for number in count():
        order_id = str(uuid.UUID(bytes=random.randbytes(16), version=4))
        yield request(random.choice(("lsps1.get_order", "lsps7.get_order")), number, {"order_id": order_id})


def others_channels(random: Random) -> Iterator[bytes]:
    """Extending channels that are somebody else's, or nobody's."""
    for number in count():
        scid = f"{random.randrange(600, 700)}x{random.randrange(3)}x0"
        params = {"short_channel_id": scid, "channel_extension_expiry_blocks": 144}
        yield request("lsps7.create_order", number, params)


def deep(random: Random) -> Iterator[bytes]:
    """JSON nested as deep as a message holds."""
    while True:
        depth = random.choice((100, 1_000, 30_000))
        opening, closing = random.choice(((b"[", b"]"), (b'{"a":', b"}")))
        depth = min(depth, LARGEST // 8)
        yield b'{"method":"lsps1.create_order","id":"deep","params":' + opening * depth + b"1" + closing * depth + b"}"


def big(random: Random) -> Iterator[bytes]:
    """As large as a message can be: many keys, one long text, one long number."""
    shapes: tuple[Callable[[], Json], ...] = (
        lambda: {f"{number:05}": 1 for number in range(5_000)},
        lambda: CHANNEL_ORDER | {"token": "\u202e" * 10_000},
        lambda: CHANNEL_ORDER | {"lsp_balance_sat": "9" * 60_000},
        lambda: {"order_id": "x" * 60_000},
        lambda: {"client_info": [[]] * 15_000},
    )
    while True:
        yield request("lsps1.create_order", "big", random.choice(shapes)())[:LARGEST]


def garbage(random: Random) -> Iterator[bytes]:
    """Bytes, half a request, arrays, texts that are not UTF-8."""
    whole = request("lsps1.create_order", "x", CHANNEL_ORDER)
    while True:
        yield random.choice(
            (random.randbytes(300), whole[: random.randrange(len(whole))], b"[" + whole + b"]", b"\xff")
        )


def replies(random: Random) -> Iterator[bytes]:
    """What only an LSP may say; and "I could not parse that", which LDK says."""
    while True:
        yield random.choice(
            (
                b'{"jsonrpc":"2.0","id":"flood-1","result":{"protocols":[1]}}',
                b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}',
                b'{"jsonrpc":"2.0","method":"lsps5.webhook_registered","params":{}}',
            )
        )


KINDS: Mapping[str, Callable[[Random], Iterator[bytes]]] = {
    "flood": flood,
    "same id": same_id,
    "order spam": order_spam,
    "others' orders": others_orders,
    "others' channels": others_channels,
    "deep JSON": deep,
    "big JSON": big,
    "garbage": garbage,
    "replies": replies,
}
