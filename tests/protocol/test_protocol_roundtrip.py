"""What we write we read back, and no bytes raise anything but a typed error."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsps.protocol import lsps0, lsps1, lsps7
from lsps.protocol.errors import InvalidParams, InvalidResult, RpcError
from lsps.protocol.jsonrpc import (
    BadMessageFormat,
    ErrorResponse,
    Request,
    Response,
    decode,
    encode_error,
    encode_request,
    encode_response,
)
from lsps.protocol.message import Message
from lsps.protocol.methods import Method, decode_params, decode_result
from tests.protocol import strategies
from tests.protocol.examples import example

METHODS: dict[str, Method[Message, Message]] = {
    row.name: row for row in (*lsps0.METHODS, *lsps1.METHODS, *lsps7.METHODS)
}
ids = st.text(st.characters(codec="utf-8"), max_size=64) | st.integers(-(10**20 - 1), 10**20 - 1)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | strategies.texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(strategies.texts, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize("name", METHODS)
@given(data=st.data(), request_id=ids)
def test_request_read_back(name: str, data: st.DataObject, request_id: str | int) -> None:
    """Every request we write is read back as the same id, method and params."""
    params = data.draw(strategies.PARAMS[name])
    message = decode(encode_request(request_id, name, params))
    assert isinstance(message, Request)
    assert (message.id, message.method) == (request_id, name)
    assert decode_params(METHODS[name], message.params) == params


@pytest.mark.parametrize("name", METHODS)
@given(data=st.data(), request_id=ids)
def test_response_read_back(name: str, data: st.DataObject, request_id: str | int) -> None:
    """Every result we write is read back as the same, and is whole JSON for others too."""
    result = data.draw(strategies.RESULTS[name])
    payload = encode_response(request_id, result)
    json.loads(payload)
    message = decode(payload)
    assert isinstance(message, Response)
    assert message.id == request_id
    assert decode_result(METHODS[name], message.result) == result


@given(
    request_id=ids | st.none(),
    error=st.builds(
        RpcError,
        code=st.integers(-(2**63), 2**63 - 1),
        message=strategies.texts,
        data=st.none() | strategies.texts | st.dictionaries(strategies.texts, strategies.texts, max_size=3),
    ),
)
def test_error_read_back(request_id: str | int | None, error: RpcError) -> None:
    """Every error we write is read back as the same."""
    assert decode(encode_error(request_id, error)) == ErrorResponse(request_id, error)


def read_all(payload: bytes) -> None:
    """Read `payload` in every way there is; only the errors that are promised may be raised."""
    with contextlib.suppress(BadMessageFormat):
        decode(payload)
    for method in METHODS.values():
        with contextlib.suppress(InvalidResult):
            encode_response("1", decode_result(method, payload))
        try:
            decode_params(method, payload)
        except InvalidParams as error:
            encode_error("1", error.to_rpc())


@given(st.binary(max_size=200))
def test_any_bytes(payload: bytes) -> None:
    """No bytes make a reader raise anything but its own typed error."""
    read_all(payload)


@given(json_values)
def test_any_json(value: object) -> None:
    """No JSON document makes a reader raise anything but its own typed error."""
    read_all(json.dumps(value).encode())


@given(
    st.fixed_dictionaries(
        {},
        optional=dict.fromkeys(("jsonrpc", "id", "method", "params", "result", "error", "code"), json_values),
    )
)
def test_any_envelope(value: object) -> None:
    """No values of an envelope's keys make a reader raise anything but its own typed error."""
    read_all(json.dumps(value).encode())


EXAMPLES = [
    example(50, "list_protocols-response"),
    example(50, "unrecognized-response"),
    example(51, "get_info-result"),
    example(51, "create_order-params"),
    example(51, "create_order-result"),
    example(57, "get_extendable_channels-result"),
    example(57, "create_order-params"),
    example(57, "create_order-result"),
]


@given(st.sampled_from(EXAMPLES), st.data())
def test_mutated_examples(payload: bytes, data: st.DataObject) -> None:
    """A valid message with some bytes replaced, removed or inserted raises nothing but a typed error."""
    mutated = bytearray(payload)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(mutated)))
        end = data.draw(st.integers(start, min(start + 4, len(mutated))))
        mutated[start:end] = data.draw(
            st.binary(max_size=4) | st.sampled_from([b"null", b"-1", b'""', b"[]", b"9" * 25])
        )
    read_all(bytes(mutated))


@given(st.sampled_from([example for example in EXAMPLES if b"jsonrpc" not in example]), st.data())
def test_replaced_values(payload: bytes, data: st.DataObject) -> None:
    """A valid message with one value, at any depth, replaced by any JSON raises nothing but a typed error."""
    message = json.loads(payload)
    place = message
    while True:
        key = data.draw(st.sampled_from(sorted(place) if isinstance(place, dict) else range(len(place))))
        if not (place[key] and isinstance(place[key], dict | list)) or data.draw(st.booleans()):
            break
        place = place[key]
    place[key] = data.draw(json_values)
    read_all(json.dumps(message).encode())
