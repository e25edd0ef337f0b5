"""The envelope: what is a message, what is not, and what we write."""

from __future__ import annotations

import json

import pytest

from lsps.protocol.errors import RpcError
from lsps.protocol.jsonrpc import (
    MAX_PAYLOAD_BYTES,
    BadMessageFormat,
    ErrorResponse,
    Notification,
    Request,
    Response,
    decode,
    encode_error,
    encode_request,
    encode_response,
)
from lsps.protocol.lsps1 import GetOrderParams
from lsps.protocol.methods import NoParams
from lsps.units import OrderId

BAD: dict[str, bytes] = {
    "empty": b"",
    "only space": b" \n",
    "array (a batch)": b'[{"jsonrpc":"2.0","id":"1","method":"a"}]',
    "array, as in bLIP-50": b" [ ] ",
    "unfinished, as in bLIP-50": b"{",
    "one and a half objects, as in bLIP-50": b" { } { ",
    "two objects, as in bLIP-50": b" { } { }",
    "empty object": b" { } ",
    "two requests": b'{"id":"1","method":"a"}{"id":"2","method":"a"}',
    "number": b"1",
    "text": b'"a"',
    "null": b"null",
    "zero byte after": b'{"id":"1","method":"a"}\0',
    "zero byte in a string": b'{"id":"1","method":"a\0"}',
    "zero byte in an ignored string": b'{"id":"1","method":"a","x":"\0"}',
    "control character in an ignored string": b'{"id":"1","method":"a","x":"\x01"}',
    "newline in a string": b'{"id":"1","method":"a","x":"\n"}',
    "NaN": b'{"id":"1","method":"a","params":{"x":NaN}}',
    "Infinity, ignored": b'{"id":"1","method":"a","x":-Infinity}',
    "comment": b'{"id":"1","method":"a"/**/}',
    "trailing comma": b'{"id":"1","method":"a",}',
    "single quotes": b"{'id':'1','method':'a'}",
    "leading zero": b'{"id":"1","method":"a","params":{"x":01}}',
    "byte order mark": b'\xef\xbb\xbf{"id":"1","method":"a"}',
    "form feed": b'\x0c{"id":"1","method":"a"}',
    "not UTF-8": b'{"id":"1","method":"\xff"}',
    "not UTF-8, in what is ignored": b'{"id":"1","method":"a","x":"\xc3("}',
    "not UTF-8, in params": b'{"id":"1","method":"a","params":{"x":"\xc0\x80"}}',
    "surrogate in UTF-8": b'{"id":"1","method":"a","x":"\xed\xa0\x80"}',
    "UTF-16": '{"id":"1","method":"a"}'.encode("utf-16"),
    "lone high surrogate": b'{"id":"1","method":"a","x":"\\ud800 and more text"}',
    "high surrogate and letter": b'{"id":"1","method":"a","x":"\\ud800\\u0041"}',
    "lone low surrogate": b'{"id":"1","method":"a","x":"\\udc00 and more text"}',
    "lone surrogate in a key": b'{"id":"1","method":"a","params":{"\\udfff":1}}',
    "lone surrogate in the id": b'{"id":"\\ud83d and more text","method":"a"}',
    "bad escape": b'{"id":"1","method":"a","x":"\\q"}',
    "deep arrays": b'{"id":"1","method":"a","params":' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    "deep objects, ignored": b'{"id":"1","method":"a","x":' + b'{"":' * 12_000 + b"1" + b"}" * 12_000 + b"}",
    "deep and unfinished": b'{"id":"1","method":"a","x":' + b"[" * 65_000,
    "one byte too long": b'{"id":"1","method":"a"}' + b" " * (MAX_PAYLOAD_BYTES + 1 - 23),
    "no method, result or error": b'{"jsonrpc":"2.0","id":"1"}',
    "id null with a method": b'{"id":null,"method":"a"}',
    "id true": b'{"id":true,"method":"a"}',
    "id array": b'{"id":["1"],"method":"a"}',
    "id object": b'{"id":{},"method":"a"}',
    "id fraction": b'{"id":1.0,"method":"a"}',
    "id exponent": b'{"id":1e3,"method":"a"}',
    "id minus zero": b'{"id":-0,"method":"a"}',
    "id of 21 digits": b'{"id":100000000000000000000,"method":"a"}',
    "id of 60,000 digits": b'{"id":' + b"1" * 60_000 + b',"method":"a"}',
    "id of 257 bytes": b'{"id":"' + b"a" * 257 + b'","method":"a"}',
    "id of 129 characters, 258 bytes": b'{"id":"' + "ä".encode() * 129 + b'","method":"a"}',
    "method number": b'{"id":"1","method":1}',
    "method null": b'{"id":"1","method":null}',
    "jsonrpc 1.0": b'{"jsonrpc":"1.0","id":"1","method":"a"}',
    "jsonrpc number": b'{"jsonrpc":2.0,"id":"1","method":"a"}',
    "jsonrpc null": b'{"jsonrpc":null,"id":"1","method":"a"}',
    "result without id": b'{"result":{}}',
    "result with id null": b'{"id":null,"result":{}}',
    "result and error": b'{"id":"1","result":{},"error":{"code":1,"message":"m"}}',
    "error null alone": b'{"id":"1","error":null}',
    "error a string": b'{"id":"1","error":"no"}',
    "error without code": b'{"id":"1","error":{"message":"no"}}',
    "error code a string": b'{"id":"1","error":{"code":"1"}}',
    "error code a fraction": b'{"id":"1","error":{"code":1.5}}',
    "error code huge": b'{"id":"1","error":{"code":' + b"9" * 60_000 + b"}}",
    "error code of 65 bits": b'{"id":"1","error":{"code":9223372036854775808}}',
    "error message a number": b'{"id":"1","error":{"code":1,"message":5}}',
}


@pytest.mark.parametrize("name", BAD)
def test_bad_message_format(name: str) -> None:
    """What is not one JSON-RPC object in UTF-8 is refused, typed (bLIP-50, Message Payload Format)."""
    with pytest.raises(BadMessageFormat):
        decode(BAD[name])


REQUESTS: dict[str, tuple[bytes, str | int]] = {
    "space around, as in bLIP-50": (b' \t\r\n{"jsonrpc":"2.0","id":"1","method":"a"} \n', "1"),
    "no jsonrpc": (b'{"id":"1","method":"a"}', "1"),
    "jsonrpc escaped": (b'{"jsonrpc":"2\\u002e0","id":"1","method":"a"}', "1"),
    "unknown keys": (b'{"x":{"method":5},"id":"1","method":"a"}', "1"),
    "key and method escaped": (b'{"\\u0069d":"1","method":"\\u0061"}', "1"),
    "duplicate keys, the last wins": (b'{"id":"0","method":5,"id":"1","method":"a"}', "1"),
    "duplicate id of a bad type": (b'{"id":[],"id":"1","method":"a"}', "1"),
    "huge integer elsewhere": (b'{"id":"1","method":"a","x":' + b"9" * 60_000 + b"}", "1"),
    "huge exponent elsewhere": (b'{"id":"1","method":"a","params":{"x":1e99999}}', "1"),
    "surrogate pair": (b'{"id":"\\ud83d\\ude00","method":"a"}', "\U0001f600"),
    "escaped zero character": (b'{"id":"\\u0000","method":"a"}', "\0"),
    "integer id": (b'{"id":7,"method":"a"}', 7),
    "id zero": (b'{"id":0,"method":"a"}', 0),
    "negative id": (b'{"id":-7,"method":"a"}', -7),
    "id of 20 digits": (b'{"id":99999999999999999999,"method":"a"}', 99999999999999999999),
    "id of 256 bytes": (b'{"id":"' + b"a" * 256 + b'","method":"a"}', "a" * 256),
    "empty id": (b'{"id":"","method":"a"}', ""),
    "result beside a method": (b'{"id":"1","method":"a","result":{},"error":{"code":1}}', "1"),
    "as long as it may be": (b'{"id":"1","method":"a"}' + b" " * (MAX_PAYLOAD_BYTES - 23), "1"),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_request(name: str) -> None:
    """A method with an id is a request, whatever else is there, and the id comes out as it came in."""
    payload, request_id = REQUESTS[name]
    message = decode(payload)
    assert isinstance(message, Request)
    assert (message.id, message.method) == (request_id, "a")


def test_request_id_is_echoed_in_its_own_type() -> None:
    """An id is echoed as it came: a text stays a text, a number a number, also beyond 64 bits."""
    assert json.loads(encode_response("7", NoParams()))["id"] == "7"
    for number in (7, -7, 99999999999999999999, -99999999999999999999):
        assert f'"id":{number},'.encode() in encode_response(number, NoParams())


@pytest.mark.parametrize("params", [b"{}", b"[1]", b"5", b"null", b'"x"'])
def test_params_are_left_to_the_method(params: bytes) -> None:
    """Params of any JSON type leave the envelope whole: the answer is -32602 with the request's own id."""
    message = decode(b'{"id":"1","method":"a","params": ' + params + b" }")
    assert isinstance(message, Request)
    assert message.params is not None
    assert bytes(message.params) == params


def test_notification() -> None:
    """A method without an id is a notification (bLIP-50: only LSPs send them)."""
    message = decode(b'{"jsonrpc":"2.0","method":"lsps5.webhook_registered","params":{"a":1}}')
    assert isinstance(message, Notification)
    assert message.method == "lsps5.webhook_registered"
    assert message.params is not None
    assert bytes(message.params) == b'{"a":1}'


@pytest.mark.parametrize("extra", [b"", b',"error":null', b',"x":1'])
def test_response(extra: bytes) -> None:
    """A result makes a response; an error null beside it is tolerated."""
    message = decode(b'{"jsonrpc":"2.0","id":"1","result":{"a":1}' + extra + b"}")
    assert isinstance(message, Response)
    assert (message.id, bytes(message.result)) == ("1", b'{"a":1}')


DATA: dict[bytes, tuple[dict[str, object] | str | None, str]] = {
    b'{"code":100,"message":"m","data":{"property":"p","message":"d"}}': ({"property": "p", "message": "d"}, "d"),
    b'{"code":100,"message":"m","data":"d"}': ("d", "d"),
    b'{"code":100,"message":"m","data":null}': (None, "m"),
    b'{"code":100,"message":"m"}': (None, "m"),
    b'{"code":100,"message":"m","data":{}}': ({}, "m"),
    b'{"code":100,"message":"m","data":""}': ("", "m"),
    b'{"code":100,"message":"m","data":{"message":5}}': ({"message": 5}, "m"),
    b'{"code":100,"message":"m","data":[1,2]}': (None, "m"),
    b'{"code":100,"message":"m","data":5}': (None, "m"),
    b'{"code":100,"message":"m","data":{"x":' + b"9" * 5_000 + b"}}": (None, "m"),
    b'{"code":100,"data":{"message":"d"}}': ({"message": "d"}, "d"),
    b'{"code":100}': (None, ""),
    b'{"code":100,"message":"a\\u001b[31mb\\u202e<c"}': (None, "ab‹c"),
}


@pytest.mark.parametrize("error", DATA, ids=lambda error: error[:60].decode())
def test_error_response(error: bytes) -> None:
    """error.data may be an object, a text, null or absent; the human text is the first there is, and is filtered."""
    message = decode(b'{"id":"1","result":null,"error":' + error + b"}")
    assert isinstance(message, ErrorResponse)
    data, human = DATA[error]
    assert (message.id, message.error.code, message.error.data) == ("1", 100, data)
    assert message.error.human_message() == human


@pytest.mark.parametrize("start", [b'{"id":null,', b"{"])
def test_error_without_an_id(start: bytes) -> None:
    """An error that names no request (LDK's -32700) is read, with id None."""
    message = decode(start + b'"error":{"code":-32700,"message":"parse error"}}')
    assert isinstance(message, ErrorResponse)
    assert (message.id, message.error.code) == (None, -32700)


def test_written_request() -> None:
    """A request has jsonrpc, method, params by name and id (bLIP-50); nothing that needs no escape is escaped."""
    written = encode_request("i/ä", "lsps1.get_order", GetOrderParams(order_id=OrderId('é/\x7f"\\\n')))
    assert (
        written
        == '{"jsonrpc":"2.0","method":"lsps1.get_order","params":{"order_id":"é/\x7f\\"\\\\\\n"},"id":"i/ä"}'.encode()
    )


def test_written_error_shapes() -> None:
    """The spec shape has data as an object; LDK's has it as a text, and both carry the human text in message."""
    error = RpcError(100, "Option mismatch: too much", {"property": "p", "message": "too much"})
    assert json.loads(encode_error("1", error)) == {
        "jsonrpc": "2.0",
        "id": "1",
        "error": {
            "code": 100,
            "message": "Option mismatch: too much",
            "data": {"property": "p", "message": "too much"},
        },
    }
    assert json.loads(encode_error("1", error, shape="ldk"))["error"] == {
        "code": 100,
        "message": "Option mismatch: too much",
        "data": "too much",
    }


def test_written_parse_error_has_id_null() -> None:
    """An answer to what could not be read has id null, not no id (bLIP-50, Message Payload Format)."""
    written = json.loads(encode_error(None, RpcError(-32700, "Parse error"), shape="ldk"))
    assert written == {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "Parse error"}}
