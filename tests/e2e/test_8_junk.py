"""Scenario 8: junk from a real peer: one answer where LSPS0 wants one, else none, and the next good request works."""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import Any

import pytest

from interop.lnd.node import Node
from interop.lnd.regtest import Regtest
from tests.e2e import truth
from tests.e2e.once import Ledger
from tests.e2e.shop import Shop
from tests.e2e.wire import Wire, wire

pytestmark = pytest.mark.asyncio(loop_scope="session")

LARGEST = 65_533
"""The bytes that a custom message carries at most (BOLT 1, BOLT 8)."""
OTHER_TYPE = 37_915
"""An odd custom message type that is not LSPS's."""


def request(request_id: str, method: str = "lsps0.list_protocols", /, **params: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": request_id, "method": method, "params": params}).encode()


def random_bytes(seed: int) -> bytes:
    random = Random(seed)
    return random.randbytes(random.randrange(1, 2_000))


MALFORMED = {
    "nothing": b"",
    "one zero byte": b"\0",
    "a request and a zero byte": request("z") + b"\0",
    "a zero byte within": b'{"jsonrpc":"2.0","method":"a\0b","id":"1"}',
    "no JSON": b"GET / HTTP/1.1\r\n\r\n",
    "half a request": request("h")[:-9],
    "an array": b"[]",
    "a batch": b"[" + request("b") + b"," + request("c") + b"]",
    "a text": b'"lsps0.list_protocols"',
    "a number": b"37913",
    "an empty object": b"{}",
    "two documents": request("t") + request("u"),
    "wrong UTF-8": request("w").replace(b'"w"', b'"\xff\xfe"'),
    "wrong UTF-8 where nobody looks": request("n", note="?").replace(b"?", b"\xc3\x28"),
    "a lone surrogate": request("?").replace(b"?", b"\\ud800"),
    "not a number": request("n").replace(b"{}", b'{"x":NaN}'),
    "an id of 257 bytes": request("x" * 257),
    "the largest message, of one letter": b"x" * LARGEST,
    "the largest message, of random bytes": Random(8).randbytes(LARGEST),
    "nested deeply, never closed": b"[" * LARGEST,
    "nested deeply": request("d").replace(b"{}", b"[" * 30_000 + b"]" * 30_000),
    "objects nested deeply": b'{"a":' * 10_000 + b"1" + b"}" * 10_000,
    **{f"random bytes {seed}": random_bytes(seed) for seed in range(12)},
}
"""Not one JSON-RPC object: bLIP-50, Message Payload Format."""

FOR_A_CLIENT = {
    "a response": b'{"jsonrpc":"2.0","id":"x","result":{}}',
    "an error": b'{"jsonrpc":"2.0","id":"x","error":{"code":1,"message":"no"}}',
    "an error without an id": b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}',
    "a notification": b'{"jsonrpc":"2.0","method":"lsps0.list_protocols","params":{}}',
}
"""What a service must not answer, or two of them would never end."""

MANY: dict[str, object] = {f"p{number}": number for number in range(3_000)}
REFUSED: dict[str, tuple[bytes, int]] = {
    "array params": (request("array params").replace(b"{}", b"[]"), -32602),
    "no such method": (request("no such method", "lsps99.dance"), -32601),
    "unknown parameters": (request("unknown parameters", "lsps0.list_protocols", **MANY), -32602),
    "wrong types": (request("wrong types", "lsps7.get_order", order_id=["a"]), -32602),
    "huge number": (request("huge number", "lsps7.create_order", short_channel_id=10**4_000), -32602),
}
"""Well-formed requests that cannot be served: (payload, error code), their id is the name."""


async def check_good(line: Wire, lsp: Node, shop: Shop) -> None:
    """A good request gets its answer, and `lsps serve` has met nothing that it did not expect."""
    reply = await line.call(lsp, "lsps0.list_protocols")
    assert reply["result"] == {"protocols": [1, 7]}
    assert shop.logged("handler_failed") == 0
    assert shop.process.running


async def replies(line: Wire, lsp: Node, payloads: list[bytes]) -> list[dict[str, Any]]:
    """Sends all without waiting, and a good request when so many answers have come: those answers. If one had two, or
    one came that must not, it is among them or right behind."""
    seen = len(line.heard)
    for payload in payloads:
        await line.say(lsp, payload)
    await line.hears(seen + len(payloads), 60)
    return [json.loads(payload) for payload in line.of(lsp, seen)]


async def test_every_malformed_message_gets_one_parse_error(shop: Shop, alice: Node, lsp: Node, net: Regtest) -> None:
    """Each gets exactly one -32700 with id null (bLIP-50, Message Payload Format), the good request after them its own
    answer; the peers stay connected and no order, invoice or channel comes of it."""
    await net.connect(alice, lsp)
    ledger = await Ledger.opened(shop, alice)
    bad = shop.logged("bad_message")
    async with wire(alice) as line:
        told = await replies(line, lsp, list(MALFORMED.values()))
        assert Counter((each["id"], each["error"]["code"]) for each in told) == {(None, -32700): len(MALFORMED)}
        assert all(each["error"]["message"] for each in told)
        await check_good(line, lsp, shop)
        assert len(line.heard) == len(MALFORMED) + 1
    assert shop.logged("bad_message") == bad + len(MALFORMED)
    assert not await ledger.sold()
    assert not await ledger.invoiced()
    await ledger.check_no_channel()
    assert lsp.node_id in await alice.peers()


async def test_what_is_for_a_client_is_not_answered(shop: Shop, alice: Node, lsp: Node, net: Regtest) -> None:
    """Responses, notifications, and messages of another type get no answer: after all of them, a good request's reply
    is the only message that comes (bLIP-50)."""
    await net.connect(alice, lsp)
    async with wire(alice) as line:
        for payload in FOR_A_CLIENT.values():
            await line.say(lsp, payload)
        for data in (request("other"), b"\xff\0"):
            await alice.lncli("sendcustom", f"--peer={lsp.node_id}", f"--type={OTHER_TYPE}", f"--data={data.hex()}")
        for _ in range(2):
            await check_good(line, lsp, shop)
        assert len(line.heard) == 2


async def test_requests_that_cannot_be_served_are_told_why(shop: Shop, alice: Node, lsp: Node, net: Regtest) -> None:
    """Each gets one error with its own id and the code that bLIP-50 gives it, whatever its size; a request padded
    to the largest message there is works like any other."""
    await net.connect(alice, lsp)
    padded = request("padded").ljust(LARGEST)
    async with wire(alice) as line:
        told = await replies(line, lsp, [*(payload for payload, _ in REFUSED.values()), padded])
        codes = {each["id"]: each.get("error", {}).get("code") for each in told}
        assert codes == {name: code for name, (_, code) in REFUSED.items()} | {"padded": None}
        await check_good(line, lsp, shop)
        assert len(line.heard) == len(REFUSED) + 2


async def test_junk_amid_a_purchase(shop: Shop, alice: Node, lsp: Node, net: Regtest, alice_can_pay: str) -> None:
    """Junk before and after create_order and while its payment is made harms nothing: the order completes, with one
    settled invoice."""
    channel = await alice.channel(alice_can_pay)
    assert channel is not None
    ledger = await Ledger.opened(shop, alice)
    async with wire(alice) as line:
        await line.say(lsp, MALFORMED["random bytes 1"])
        wish = {"short_channel_id": truth.scid(channel), "channel_extension_expiry_blocks": 8}
        order = (await line.call(lsp, "lsps7.create_order", **wish))["result"]
        await line.say(lsp, MALFORMED["nested deeply"])
        payment = await net.pay(alice, order["payment"]["bolt11"]["invoice"])
        assert payment["status"] == "SUCCEEDED"
        assert await ledger.check_sold_once() == order["order_id"]
        await check_good(line, lsp, shop)
        assert len(line.heard) == 4
