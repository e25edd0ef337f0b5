"""Params and results by method: what is refused, what is tolerated."""

from __future__ import annotations

import json

import pytest

from lsps.protocol import lsps0, lsps1, lsps7
from lsps.protocol.errors import InvalidParams, InvalidResult
from lsps.protocol.jsonrpc import encode_response
from lsps.protocol.message import Message
from lsps.protocol.methods import Method, NoParams, decode_params, decode_result
from lsps.protocol.payment import OrderState, Payment, PaymentState
from lsps.units import BlockHeight, OrderId, Sat, Scid
from tests.protocol.examples import example

ALL = (*lsps0.METHODS, *lsps1.METHODS, *lsps7.METHODS)
LSPS1_PARAMS = json.loads(example(51, "create_order-params"))
LSPS1_ORDER = json.loads(example(51, "create_order-result"))
LSPS7_PARAMS = json.loads(example(57, "create_order-params"))
LSPS7_ORDER = json.loads(example(57, "create_order-result"))
LISTED = json.loads(example(57, "get_extendable_channels-result"))["extendable_channels"][0]


def dump(value: object) -> bytes:
    return json.dumps(value).encode()


def test_rows() -> None:
    """The table of methods is the bLIPs' own: names, which are idempotent, which errors each has."""
    assert {(row.name, row.idempotent, row.errors) for row in ALL} == {
        ("lsps0.list_protocols", True, ()),
        ("lsps1.get_info", True, ()),
        ("lsps1.create_order", False, (-32602, 1, 100, 102)),
        ("lsps1.get_order", True, (101,)),
        ("lsps7.get_extendable_channels", True, ()),
        ("lsps7.create_order", False, (-32602, 1, 100, 102)),
        ("lsps7.get_order", True, (101,)),
    }


@pytest.mark.parametrize("raw", [None, b"null", b"{}", b" {} "])
def test_absent_params_are_empty(raw: bytes | None) -> None:
    """Params absent or null are as {}."""
    assert decode_params(lsps1.GET_INFO, raw) == NoParams()


@pytest.mark.parametrize("raw", [b"[]", b'["561x1x0",4380]', b"5", b'"a"', b"true", b'{"a":', b""])
@pytest.mark.parametrize("method", ALL, ids=lambda row: row.name)
def test_params_must_be_an_object(method: Method[Message, Message], raw: bytes) -> None:
    """Params by position, or of any other type, are invalid (bLIP-50: by-name only)."""
    with pytest.raises(InvalidParams) as caught:
        decode_params(method, raw)
    assert caught.value.to_rpc().data == {"unrecognized": [], "message": caught.value.text}


MISTAKES: dict[str, tuple[Method[lsps1.CreateOrderParams, lsps1.ChannelOrder], str, object, str]] = {
    "sat as a number": (lsps1.CREATE_ORDER, "lsp_balance_sat", 5_000_000, "string of decimal digits"),
    "negative sat": (lsps1.CREATE_ORDER, "client_balance_sat", "-1", "string of decimal digits"),
    "sat null": (lsps1.CREATE_ORDER, "client_balance_sat", None, "string of decimal digits"),
    "17 bits": (lsps1.CREATE_ORDER, "required_channel_confirmations", 65536, "65535"),
    "below 0": (lsps1.CREATE_ORDER, "funding_confirms_within_blocks", -1, ">= 0"),
    "33 bits": (lsps1.CREATE_ORDER, "channel_expiry_blocks", 2**32, "4294967295"),
    "huge": (lsps1.CREATE_ORDER, "channel_expiry_blocks", 10**4_000, ""),
    "number as text": (lsps1.CREATE_ORDER, "channel_expiry_blocks", "144", "int"),
    "fraction": (lsps1.CREATE_ORDER, "channel_expiry_blocks", 144.0, "int"),
    "boolean for a number": (lsps1.CREATE_ORDER, "channel_expiry_blocks", True, "int"),
    "number for a boolean": (lsps1.CREATE_ORDER, "announce_channel", 1, "bool"),
    "token a number": (lsps1.CREATE_ORDER, "token", 5, "string"),
    "address an object": (lsps1.CREATE_ORDER, "refund_onchain_address", {}, "string"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_wrong_field(name: str) -> None:
    """A field of the wrong type or out of its bounds is named, with what was expected (bLIP-51 §2, -32602)."""
    method, field, value, expected = MISTAKES[name]
    with pytest.raises(InvalidParams) as caught:
        decode_params(method, dump({**LSPS1_PARAMS, field: value}))
    data = caught.value.to_rpc().data
    assert isinstance(data, dict)
    assert (data["property"], data["unrecognized"]) == (field, [])
    assert str(data["message"]).startswith(f"{field}: ")
    assert expected in str(data["message"])


@pytest.mark.parametrize("field", sorted(set(LSPS1_PARAMS) - {"token", "refund_onchain_address"}))
def test_missing_field(field: str) -> None:
    """A required field that is missing is named."""
    with pytest.raises(InvalidParams) as caught:
        decode_params(lsps1.CREATE_ORDER, dump({key: LSPS1_PARAMS[key] for key in LSPS1_PARAMS if key != field}))
    assert caught.value.property_name == field
    assert "missing" in caught.value.text


def test_unrecognized_params() -> None:
    """Unknown parameters are refused by name, all of them (bLIP-50, -32602 `unrecognized`)."""
    with pytest.raises(InvalidParams) as caught:
        decode_params(lsps7.CREATE_ORDER, dump({"future1": 1, **LSPS7_PARAMS, "future2": None}))
    assert caught.value.to_rpc().data == {
        "property": "future1",
        "unrecognized": ["future1", "future2"],
        "message": caught.value.text,
    }


def test_unrecognized_beside_a_wrong_field() -> None:
    """A wrong field is what the error is about, and unknown parameters are listed beside it."""
    with pytest.raises(InvalidParams) as caught:
        decode_params(lsps7.CREATE_ORDER, dump({**LSPS7_PARAMS, "short_channel_id": "x", "future": 1}))
    assert (caught.value.property_name, caught.value.unrecognized) == ("short_channel_id", ("future",))


def test_unrecognized_is_bounded() -> None:
    """At most 32 names of at most 64 characters are sent back, however many came."""
    with pytest.raises(InvalidParams) as caught:
        decode_params(lsps1.GET_INFO, dump({f"{number:05}" + "x" * 100: 1 for number in range(500)}))
    assert len(caught.value.unrecognized) == 32
    assert {len(name) for name in caught.value.unrecognized} == {64}
    assert len(str(caught.value.to_rpc())) < 3_000


def test_zeus_params() -> None:
    """ZEUS's create_order is read as it is sent: token and refund address "" are absent, client_info is ignored."""
    client_info = {"app": "ZEUS", "app_version": "13.2.0-rc1", "node": "LND", "node_version": "0.21.2-beta commit="}
    extension = {"token": "", "refund_onchain_address": "", "client_info": client_info}
    params = decode_params(
        lsps7.CREATE_ORDER, dump({"short_channel_id": "561x1x0", "channel_extension_expiry_blocks": 4380, **extension})
    )
    assert params == lsps7.CreateOrderParams(short_channel_id=Scid(561, 1, 0), channel_extension_expiry_blocks=4380)
    bought = decode_params(lsps1.CREATE_ORDER, dump({**LSPS1_PARAMS, **extension}))
    assert (bought.token, bought.refund_onchain_address) == (None, None)


def test_ldk_params() -> None:
    """LDK's create_order is read as it is sent: token null, no refund address."""
    sent = {key: LSPS1_PARAMS[key] for key in LSPS1_PARAMS if key != "refund_onchain_address"} | {"token": None}
    params = decode_params(lsps1.CREATE_ORDER, dump(sent))
    assert (params.token, params.refund_onchain_address) == (None, None)


def test_last_duplicate_parameter_wins() -> None:
    """Of duplicate keys the last counts, when both have the field's type."""
    params = decode_params(lsps1.GET_ORDER, b'{"order_id":"a","order_id":"b"}')
    assert params.order_id == "b"


def test_huge_integer_in_a_tolerated_parameter() -> None:
    """A number that no one reads may be as large as it likes."""
    raw = b'{"order_id":"a","client_info":' + b"9" * 60_000 + b"}"
    assert decode_params(lsps1.GET_ORDER, raw).order_id == "a"


def test_ldk_order() -> None:
    """LDK's order is read: token null, absent options null, dates with nine digits, min_fee_for_0conf always there."""
    payment = {**LSPS1_ORDER["payment"], "bolt12": None}
    sent = {**LSPS1_ORDER, "token": None, "created_at": "2012-04-23T18:25:43.511123456Z", "payment": payment}
    order = decode_result(lsps1.CREATE_ORDER, dump(sent))
    assert (order.token, order.payment.bolt12, order.created_at.microsecond) == ("", None, 511_123)


def test_unknown_keys_and_options_are_ignored() -> None:
    """Unknown keys are ignored at every depth (bLIP-50), unknown payment options too (bLIP-51 §3)."""
    order = json.loads(dump(LSPS7_ORDER))
    order["future"] = order["channel"]["future"] = order["payment"]["bolt11"]["future"] = {"a": [1]}
    order["payment"]["lightspeed"] = {"state": "BEAMING"}
    plain = decode_result(lsps7.CREATE_ORDER, dump(LSPS7_ORDER))
    assert decode_result(lsps7.CREATE_ORDER, dump(order)) == plain


def test_optional_fields_may_be_null() -> None:
    """null for an optional field is as if absent."""
    sent = {**LISTED, "original_order": None, "extension_order_ids": None}
    (channel,) = decode_result(lsps7.GET_EXTENDABLE_CHANNELS, dump({"extendable_channels": [sent]})).extendable_channels
    assert (channel.original_order, channel.extension_order_ids) == (None, None)


def test_free_order() -> None:
    """An order without any payment option is read, and written, with an empty payment object."""
    order = decode_result(lsps7.CREATE_ORDER, dump({**LSPS7_ORDER, "payment": {}, "order_state": "COMPLETED"}))
    assert (order.payment, order.order_state) == (Payment(), OrderState.COMPLETED)
    assert json.loads(encode_response("1", order))["result"]["payment"] == {}


@pytest.mark.parametrize("option", ["bolt11", "bolt12", "onchain"])
def test_cancelled_is_refunded(option: str) -> None:
    """The deprecated CANCELLED is read as REFUNDED (bLIP-51 §3.1), and never written."""
    order = json.loads(dump(LSPS1_ORDER))
    order["payment"][option]["state"] = "CANCELLED"
    read = decode_result(lsps1.GET_ORDER, dump(order))
    assert dict(read.payment.options())[option].state is PaymentState.REFUNDED
    assert b"CANCELLED" not in encode_response("1", read)


def test_bad_entries_are_reported_and_skipped() -> None:
    """One bad entry in the list (a negative maximum, as one LSP sends) is reported, and the good ones are used."""
    entries = [{**LISTED, "max_channel_extension_expiry_blocks": -5}, LISTED, None, {**LISTED, "short_channel_id": "x"}]
    listed = decode_result(lsps7.GET_EXTENDABLE_CHANNELS, dump({"extendable_channels": entries}))
    assert [channel.expiration_block for channel in listed.extendable_channels] == [BlockHeight(839_230)]
    assert [(bad.index, bad.path) for bad in listed.rejected] == [
        (0, "max_channel_extension_expiry_blocks"),
        (2, ""),
        (3, "short_channel_id"),
    ]
    assert "rejected" not in json.loads(encode_response("1", listed))["result"]


def test_too_many_bad_entries() -> None:
    """A thousand bad entries are skipped, a list with more of them is refused as a whole."""
    listed = decode_result(lsps7.GET_EXTENDABLE_CHANNELS, dump({"extendable_channels": [*[{}] * 1_000, LISTED]}))
    assert (len(listed.rejected), len(listed.extendable_channels)) == (1_000, 1)
    with pytest.raises(InvalidResult) as caught:
        decode_result(lsps7.GET_EXTENDABLE_CHANNELS, dump({"extendable_channels": [*[{}] * 1_001, LISTED]}))
    assert caught.value.path == "extendable_channels"


WRONG_RESULTS = {
    "not an object": (b"[]", ""),
    "null": (b"null", ""),
    "state unknown": (dump({**LSPS1_ORDER, "order_state": "PENDING"}), "order_state"),
    "nested state unknown": (
        dump({**LSPS1_ORDER, "payment": {"bolt11": {**LSPS1_ORDER["payment"]["bolt11"], "state": "- at `$.x`"}}}),
        "payment.bolt11.state",
    ),
    "nested field missing": (
        dump({**LSPS1_ORDER, "payment": {"bolt11": {"state": "PAID"}}}),
        "payment.bolt11.expires_at",
    ),
    "payment null": (dump({**LSPS1_ORDER, "payment": None}), "payment"),
    "channel without outpoint": (
        dump({**LSPS1_ORDER, "channel": {"funded_at": "2012-04-23T18:25:43Z"}}),
        "channel.funding_outpoint",
    ),
    "outpoint": (dump({**LSPS1_ORDER, "channel": {"funding_outpoint": "x"}}), "channel.funding_outpoint"),
    "date": (dump({**LSPS1_ORDER, "created_at": "yesterday"}), "created_at"),
    "deep": (b'{"order_id":' + b"[" * 30_000 + b"]" * 30_000 + b"}", "order_id"),
}


@pytest.mark.parametrize("name", WRONG_RESULTS)
def test_wrong_result(name: str) -> None:
    """A result that breaks its shape is refused, with the path of what breaks it."""
    raw, path = WRONG_RESULTS[name]
    with pytest.raises(InvalidResult) as caught:
        decode_result(lsps1.CREATE_ORDER, raw)
    assert caught.value.path == path
    assert caught.value.method == "lsps1.create_order"


def test_error_texts_are_safe() -> None:
    """What an error quotes of the peer's is filtered and cut."""
    with pytest.raises(InvalidResult) as caught:
        decode_result(lsps1.CREATE_ORDER, dump({**LSPS1_ORDER, "order_state": "\x1b[31m\u202e" + "A" * 10_000}))
    assert "\x1b" not in str(caught.value)
    assert "\u202e" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_channel_null_is_written() -> None:
    """Before publication the channel is written as null (bLIP-51 §4), other absent values are left out."""
    order = decode_result(lsps1.CREATE_ORDER, dump({**LSPS1_ORDER, "payment": {}}))
    written = json.loads(encode_response("1", order))["result"]
    assert written["channel"] is None
    assert written == {**LSPS1_ORDER, "payment": {}}


def test_tokens_are_in_no_repr() -> None:
    """A token is a secret: no repr of params or order shows it."""
    params = decode_params(lsps1.CREATE_ORDER, dump({**LSPS1_PARAMS, "token": "WELCOME"}))
    order = decode_result(lsps7.CREATE_ORDER, dump({**LSPS7_ORDER, "token": "WELCOME"}))
    assert params.token == order.token == "WELCOME"
    assert "WELCOME" not in repr(params) + repr(order) + repr((params, order))
    assert repr(params.lsp_balance_sat) in repr(params)
    assert params.lsp_balance_sat == Sat(5_000_000)
    assert order.order_id == OrderId("bb4b5d0a-8334-49d8-9463-90a6d413af7c")
