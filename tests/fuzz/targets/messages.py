"""Every method's params and result, by the table that client and service read. The first byte chooses which."""

from __future__ import annotations

from typing import Any

import msgspec

from lsps.protocol import lsps0, lsps1, lsps7
from lsps.protocol.errors import InvalidParams, InvalidResult
from lsps.protocol.message import Message, to_json
from lsps.protocol.methods import Method, NoParams, decode_params, decode_result
from tests.fuzz.json_mutator import json_mutator
from tests.fuzz.target import Target
from tests.protocol.examples import example

METHODS: tuple[Method[Any, Any], ...] = (*lsps0.METHODS, *lsps1.METHODS, *lsps7.METHODS)
READERS = [(method, reader) for method in METHODS for reader in (decode_params, decode_result)]


def check(data: bytes) -> None:
    """A message or the typed error, whose text is short; written and read again it is written the same."""
    if not data:
        return
    method, read = READERS[data[0] % len(READERS)]
    try:
        message = read(method, data[1:])
    except InvalidParams as error:
        answer = msgspec.json.encode(error.to_rpc().data)
        assert len(answer) < 40_000, "an answer that grows with its request"
        return
    except InvalidResult as error:
        assert len(str(error)) < 1_000
        return
    text = written(message)
    again = read(method, text)
    assert written(again) == text
    repr(message)


def written(message: Message) -> bytes:
    return msgspec.json.encode(to_json(message))


def seed(method: Method[Any, Any], reader: Any, blip: int, name: str) -> bytes:
    return bytes([READERS.index((method, reader))]) + example(blip, name)


SEEDS = (
    *(bytes([number]) + b"{}" for number, (method, _) in enumerate(READERS) if method.params is NoParams),
    bytes([READERS.index((lsps0.LIST_PROTOCOLS, decode_result))]) + b'{"protocols":[1,7]}',
    seed(lsps1.GET_INFO, decode_result, 51, "get_info-result"),
    seed(lsps1.CREATE_ORDER, decode_params, 51, "create_order-params"),
    seed(lsps1.CREATE_ORDER, decode_result, 51, "create_order-result"),
    seed(lsps1.GET_ORDER, decode_params, 51, "get_order-params"),
    seed(lsps7.GET_EXTENDABLE_CHANNELS, decode_result, 57, "get_extendable_channels-result"),
    seed(lsps7.CREATE_ORDER, decode_params, 57, "create_order-params"),
    seed(lsps7.CREATE_ORDER, decode_result, 57, "create_order-result"),
)
FIELDS = sorted(
    {name for method in METHODS for kind in (method.params, method.result) for name in kind.__struct_fields__}
)
TARGET = Target(
    check, SEEDS, words=tuple(f'"{name}":' for name in FIELDS), mutate=json_mutator(prefix=1), max_bytes=20_000
)
