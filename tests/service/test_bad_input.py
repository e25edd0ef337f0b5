"""Whatever a peer sends gets exactly one answer, or none where the bLIP says so, and the next good request works."""

from __future__ import annotations

import json

import pytest

from lsps.node.contract import Message
from tests.service.peers import Json, Peer, quiet
from tests.service.world import LspWorld

PROTOCOLS = {"protocols": [1, 7]}


def request(**changes: Json) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "method": "lsps0.list_protocols", "params": {}, "id": "1"} | changes).encode()


NOT_A_REQUEST = {
    "nothing": b"",
    "blank": b"  ",
    "no JSON": b"hello",
    "random bytes": bytes(range(256)),
    "cut off": b'{"jsonrpc":"2.0"',
    "array": b"[]",
    "batch": b"[" + request() + b"]",
    "text": b'"request"',
    "number": b"7",
    "two documents": request() + request(),
    "zero byte within": b'{"jsonrpc":"2.0","method":"a\0b","id":"1"}',
    "zero byte behind": request() + b"\0",
    "not UTF-8": b'{"method":"\xff","id":"1"}',
    "not UTF-8 where nobody looks": b'{"method":"a","id":"1","params":{"x":"\xc3\x28"}}',
    "UTF-8 with a surrogate": b'{"method":"\xed\xa0\x80","id":"1"}',
    "lone surrogate": b'{"method":"\\ud800","id":"1"}',
    "NaN": b'{"method":"a","id":"1","params":{"x":NaN}}',
    "byte order mark": b"\xef\xbb\xbf" + request(),
    "deep": b'{"method":"a","id":"1","params":' + b"[" * 60_000,
    "deep and closed": b'{"method":"a","id":"1","params":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "65,533 bytes": b"x" * 65_533,
    "empty object": b"{}",
    "another version": request(jsonrpc="1.0"),
    "version as a number": request(jsonrpc=2.0),
    "method as a number": request(method=1),
    "id null": request(id=None),
    "id a fraction": request(id=1.5),
    "id a boolean": request(id=True),
    "id an object": request(id={}),
    "id of 257 bytes": request(id="x" * 257),
    "id of 21 digits": request(id=10**20),
}


@pytest.mark.parametrize("payload", NOT_A_REQUEST.values(), ids=NOT_A_REQUEST)
async def test_what_is_no_request_is_answered_with_a_parse_error_and_id_null(alice: Peer, payload: bytes) -> None:
    """bLIP-50, Message Payload Format: bad format MUST be answered with -32700 and id null; then all goes on."""
    reply = await alice.answer_to(payload)
    assert (reply["id"], reply["error"]["code"], reply["jsonrpc"]) == (None, -32700, "2.0")
    assert await alice.call("lsps0.list_protocols") == PROTOCOLS


NO_ANSWER = {
    "a response": b'{"jsonrpc":"2.0","id":"x","result":{}}',
    "an error": b'{"jsonrpc":"2.0","id":"x","error":{"code":1,"message":"no"}}',
    "a parse error": b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}',
    "another error with id null": b'{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no"}}',
    "a notification": b'{"jsonrpc":"2.0","method":"lsps5.payment_incoming","params":{}}',
}


@pytest.mark.parametrize("payload", NO_ANSWER.values(), ids=NO_ANSWER)
async def test_what_is_for_a_client_is_answered_by_nobody(alice: Peer, payload: bytes) -> None:
    """Responses and notifications are a client's: a service that answered them would never end an exchange."""
    await alice.send(payload)
    await quiet()
    assert alice.others == []
    assert await alice.call("lsps0.list_protocols") == PROTOCOLS


@pytest.mark.parametrize("request_id", ["", "x" * 256, "ä" * 128, 0, 7, -1, 10**20 - 1], ids=repr)
async def test_an_id_comes_back_as_it_came(alice: Peer, request_id: str | int) -> None:
    """JSON-RPC 2.0: the id is echoed, a string as a string and an integer as an integer."""
    reply = await alice.ask("lsps0.list_protocols", request_id=request_id)
    assert reply == {"jsonrpc": "2.0", "id": request_id, "result": PROTOCOLS}


@pytest.mark.parametrize("params", [b"", b',"params":null', b',"params":{}'], ids=["absent", "null", "empty"])
async def test_no_params_are_empty_params(alice: Peer, params: bytes) -> None:
    """Params that are absent or null are as {}."""
    alice.replies["i"] = []
    await alice.send(b'{"jsonrpc":"2.0","method":"lsps0.list_protocols","id":"i"' + params + b"}")
    await quiet()
    assert alice.replies["i"] == [{"jsonrpc": "2.0", "id": "i", "result": PROTOCOLS}]


@pytest.mark.parametrize("params", [[], ["x"], "x", 5], ids=repr)
async def test_params_by_position_are_32602(alice: Peer, params: Json) -> None:
    """bLIP-50: params are by name; anything but an object is -32602, with `unrecognized`."""
    error = (await alice.answer_to(request(params=params, id="p"))).get("error")
    assert (error["code"], error["data"]["unrecognized"]) == (-32602, [])


@pytest.mark.parametrize("method", ["lsps7.nothing", "lsps0", "", "lsps1.create_order ", "\u202eevil\x1b[31m" * 50])
async def test_an_unknown_method_is_32601(alice: Peer, method: str) -> None:
    """bLIP-50, Versioning: -32601; what we repeat of the name is short and without control characters."""
    error = await alice.refused(method)
    assert error["code"] == -32601
    assert len(error["message"]) < 200
    assert error["message"].isprintable()


async def test_unrecognized_names_are_cut(alice: Peer) -> None:
    """At most 32 unknown names of at most 64 characters are told: no answer grows with its request."""
    error = await alice.refused("lsps1.get_info", {f"{number:04}" + "x" * 1000: 1 for number in range(60)})
    names = error["data"]["unrecognized"]
    assert (len(names), {len(name) for name in names}) == (32, {64})


async def test_of_a_repeated_key_the_last_counts(alice: Peer) -> None:
    """Duplicate keys: the last wins, as in every common parser."""
    alice.replies["b"] = []
    await alice.send(b'{"jsonrpc":"2.0","id":"a","id":"b","method":"x","method":"lsps0.list_protocols"}')
    await quiet()
    assert [reply["result"] for reply in alice.replies["b"]] == [PROTOCOLS]


async def test_huge_numbers_are_refused_where_read_and_ignored_elsewhere(alice: Peer) -> None:
    """An integer of ten thousand digits is -32602 in a field we read, and nothing in one we ignore."""
    huge = b"9" * 10_000
    alice.replies |= {"read": [], "ignored": []}
    await alice.send(
        b'{"method":"lsps7.create_order","id":"read","params":{"channel_extension_expiry_blocks":' + huge + b"}}"
    )
    await alice.send(b'{"method":"lsps0.list_protocols","id":"ignored","params":{"client_info":' + huge + b"}}")
    await quiet()
    assert alice.replies["read"][0]["error"]["code"] == -32602
    assert alice.replies["ignored"][0]["result"] == PROTOCOLS


async def test_spaces_around_a_request_are_fine(alice: Peer) -> None:
    """bLIP-50: leading and trailing whitespace are allowed."""
    alice.replies["1"] = []
    await alice.send(b" \t\r\n" + request() + b" \t\r\n")
    await quiet()
    assert alice.replies["1"][0]["result"] == PROTOCOLS


async def test_a_message_of_more_than_65533_bytes_is_refused_before_it_is_parsed(world: LspWorld, alice: Peer) -> None:
    """BOLT 8 carries no more: an adapter that hands over more gets a parse error for it, whatever is in there."""
    alice.others.clear()
    message = Message(alice.node.node_id, request() + b" " * 65_533)
    world.net.world.nodes[world.lsp.node_id].messages_feed.publish(message)
    await quiet()
    assert [reply["error"]["code"] for reply in alice.others] == [-32700]
