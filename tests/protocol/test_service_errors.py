"""The error answers of a service: codes, messages and data."""

from __future__ import annotations

import json

import pytest

from lsps.protocol import errors
from lsps.protocol.jsonrpc import encode_error

ROWS: list[tuple[errors.ServiceError, int, str, dict[str, object]]] = [
    (errors.ParseError("no"), -32700, "Parse error: no", {"message": "no"}),
    (
        errors.MethodNotFound("lsps9.x\x1b"),
        -32601,
        "Method not found: there is no method 'lsps9.x' here",
        {"message": "there is no method 'lsps9.x' here"},
    ),
    (
        errors.InvalidParams("a.b", "not a boolean", ["c"]),
        -32602,
        "Invalid params: not a boolean",
        {"property": "a.b", "unrecognized": ["c"], "message": "not a boolean"},
    ),
    (errors.InvalidParams(None, "no"), -32602, "Invalid params: no", {"unrecognized": [], "message": "no"}),
    (errors.InternalError("oh"), -32603, "Internal error: oh", {"message": "oh"}),
    (errors.ClientRejected("try again"), 1, "Client rejected: try again", {"message": "try again"}),
    (
        errors.OptionMismatch("max_channel_expiry_blocks", "at most 5"),
        100,
        "Option mismatch: at most 5",
        {"property": "max_channel_expiry_blocks", "message": "at most 5"},
    ),
    (errors.NotFound("no"), 101, "Not found: no", {"message": "no"}),
    (errors.TokenInvalid("no"), 102, "Unrecognized or stale token: no", {"message": "no"}),
]


@pytest.mark.parametrize(("error", "code", "message", "data"), ROWS, ids=lambda value: type(value).__name__)
def test_row(error: errors.ServiceError, code: int, message: str, data: dict[str, object]) -> None:
    """An error has its bLIP's code, starts with its bLIP's message, and says its human text in message and in data."""
    assert error.to_rpc() == errors.RpcError(code, message, data)
    assert error.to_rpc().human_message() == error.text == str(error)
    assert json.loads(encode_error("1", error.to_rpc()))["error"] == {"code": code, "message": message, "data": data}


@pytest.mark.parametrize("error", [row[0] for row in ROWS], ids=lambda value: type(value).__name__)
def test_ldk_shape(error: errors.ServiceError) -> None:
    """For LDK, data is a text, never an object: an object makes it drop the message and ignore the LSP."""
    assert json.loads(encode_error("1", error.to_rpc(), shape="ldk"))["error"]["data"] == error.text


def test_option() -> None:
    """The property that an error is about is read from an object, filtered, and None from anything else."""
    assert errors.RpcError(100, "m", {"property": "max\x1b_x"}).option() == "max_x"
    assert errors.RpcError(100, "m", {"property": 5}).option() is None
    assert errors.RpcError(100, "m", "text").option() is None
