"""Error answers as typed errors."""

from __future__ import annotations

from typing import Any

import pytest

from lsps.client.errors import (
    ClientRejected,
    LspInternalError,
    LspRefused,
    MethodNotOffered,
    OptionMismatch,
    OrderNotFound,
    ParamsRefused,
    TokenRefused,
    UnrecognizedError,
)
from lsps.client.refusals import refusal
from lsps.protocol import lsps1, lsps7
from lsps.protocol.errors import RpcError
from lsps.protocol.methods import Method


@pytest.mark.parametrize(
    ("method", "code", "data", "kind"),
    [
        (lsps1.CREATE_ORDER, 1, {"message": "no"}, ClientRejected),
        (lsps1.CREATE_ORDER, 100, {"property": "max_channel_expiry_blocks"}, OptionMismatch),
        (lsps1.CREATE_ORDER, 102, {}, TokenRefused),
        (lsps7.CREATE_ORDER, 102, {}, TokenRefused),
        (lsps1.GET_ORDER, 101, {}, OrderNotFound),
        (lsps7.GET_ORDER, 101, None, OrderNotFound),
        (lsps1.GET_INFO, -32601, None, MethodNotOffered),
        (lsps1.CREATE_ORDER, -32602, {"unrecognized": []}, ParamsRefused),
        (lsps1.CREATE_ORDER, -32603, None, LspInternalError),
        (lsps1.CREATE_ORDER, -32000, None, LspInternalError),
        (lsps1.CREATE_ORDER, -32099, None, LspInternalError),
        (lsps1.CREATE_ORDER, -32100, None, UnrecognizedError),
        (lsps1.CREATE_ORDER, -31999, None, UnrecognizedError),
        (lsps1.CREATE_ORDER, 101, None, UnrecognizedError),
        (lsps1.GET_INFO, 100, None, UnrecognizedError),
        (lsps1.GET_INFO, -32700, None, UnrecognizedError),
        (lsps7.CREATE_ORDER, 777, None, UnrecognizedError),
    ],
)
def test_a_code_means_what_its_method_says(
    method: Method[Any, Any], code: int, data: dict[str, object] | None, kind: type[LspRefused]
) -> None:
    """bLIP-50, Error Handling: a code that is not known for the method is an "unrecognized" error."""
    error = refusal(method, RpcError(code, "the LSP's text", data))
    assert type(error) is kind
    assert error.code == code


def test_our_words_come_first_and_the_lsps_are_made_safe() -> None:
    """bLIP-50: clients make their own messages, and filter the LSP's of escape, control and newline characters."""
    error = refusal(lsps1.CREATE_ORDER, RpcError(1, "\x1b[31mgo\naway\x00\u202e <b>", None))
    assert str(error).startswith("the LSP does not serve this node now")
    assert error.lsp_text == "go away ‹b>"
    assert str(error).endswith("'go away ‹b>'")


def test_a_refusal_without_a_text_does_not_quote_one() -> None:
    """An empty text of the LSP's is left out."""
    assert "own words" not in str(refusal(lsps1.GET_ORDER, RpcError(101)))


def test_unknown_parameters_are_named() -> None:
    """bLIP-50, -32602: `unrecognized` says which parameters the LSP does not know; what is no text there is skipped."""
    data: dict[str, object] = {"unrecognized": ["client\ninfo", 5, "x" * 100]}
    error = refusal(lsps1.CREATE_ORDER, RpcError(-32602, "Invalid params", data))
    assert isinstance(error, ParamsRefused)
    assert error.unrecognized == ("client info", "x" * 63 + "…")
    assert "client info" in str(error)


def test_at_most_32_unknown_parameters_are_named() -> None:
    """A long list is cut."""
    error = refusal(lsps1.CREATE_ORDER, RpcError(-32602, "", {"unrecognized": [f"p{n}" for n in range(1000)]}))
    assert isinstance(error, ParamsRefused)
    assert len(error.unrecognized) == 32


def test_the_bad_parameter_is_named() -> None:
    """bLIP-51 §2, -32602: `property` is the parameter."""
    data: dict[str, object] = {"property": "announce_channel", "message": "Not a boolean"}
    error = refusal(lsps1.CREATE_ORDER, RpcError(-32602, "Invalid params", data))
    assert isinstance(error, ParamsRefused)
    assert error.property_name == "announce_channel"
    assert "announce_channel" in str(error).split("own words")[0]
    assert error.lsp_text == "Not a boolean"


def test_an_option_mismatch_names_the_option() -> None:
    """bLIP-51 §2, error 100: `property` is the option."""
    error = refusal(lsps1.CREATE_ORDER, RpcError(100, "", {"property": "max_channel_expiry_blocks"}))
    assert isinstance(error, OptionMismatch)
    assert error.option == "max_channel_expiry_blocks"
    assert "max_channel_expiry_blocks" in str(error)


def test_ldks_option_mismatch_is_read_too() -> None:
    """LDK's service puts debug text where the object must be: unrecognized, and still an option mismatch."""
    error = refusal(lsps1.CREATE_ORDER, RpcError(100, "Option mismatch", 'Some("Order does not match options")'))
    assert isinstance(error, OptionMismatch)
    assert error.option is None
    assert "unrecognized" in str(error)
    assert error.lsp_text == 'Some("Order does not match options")'
