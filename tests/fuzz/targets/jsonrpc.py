"""The envelope: bytes of a message 37913."""

from __future__ import annotations

import msgspec

from lsps.protocol import jsonrpc
from lsps.protocol.jsonrpc import BadMessageFormat, ErrorResponse, Notification, Request, Response
from tests.fuzz.json_mutator import json_mutator
from tests.fuzz.target import Target
from tests.protocol.examples import example, names


def check(data: bytes) -> None:
    """A message or BadMessageFormat; written again it reads the same; its texts can be shown."""
    try:
        message = jsonrpc.decode(data)
    except BadMessageFormat as error:
        assert str(error)
        return
    assert plain(jsonrpc.decode(written(message))) == plain(message)
    if isinstance(message, ErrorResponse):
        for text in (message.error.human_message(), message.error.option() or ""):
            assert len(text) <= 500
            assert text.isprintable()


def written(message: Request | Response | ErrorResponse | Notification) -> bytes:
    if isinstance(message, ErrorResponse):
        return jsonrpc.encode_error(message.id, message.error)
    fields = {name: getattr(message, name) for name in message.__struct_fields__}
    return msgspec.json.encode({name: value for name, value in fields.items() if value is not None})


def plain(message: Request | Response | ErrorResponse | Notification) -> list[object]:
    values = [getattr(message, name) for name in message.__struct_fields__]
    return [type(message), *(bytes(value) if isinstance(value, msgspec.Raw) else value for value in values)]


ENVELOPES = (
    b'{"jsonrpc":"2.0","method":"lsps0.list_protocols","params":{},"id":"1"}',
    b'{"jsonrpc":"2.0","id":-7,"result":{"protocols":[1,7]}}',
    b'{"id":null,"error":{"code":-32700,"message":"Parse error","data":{"message":"no","property":"a.b"}}}',
    b'{"id":"a","error":{"code":100,"message":"\\u202eno","data":"text"},"result":null}',
    b'{"method":"lsps5.x","params":[1e5,null,{"a":[]}]}',
)
TARGET = Target(
    check,
    (*ENVELOPES, *(example(*name) for name in sorted(names()))),
    words=('"jsonrpc":"2.0"', '"id":', '"method":', '"params":', '"result":', '"error":', '"code":', '"data":', "\\u"),
    mutate=json_mutator(),
    max_bytes=70_000,
)
