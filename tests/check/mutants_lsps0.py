"""Faults in what bLIP-50 asks for."""

from __future__ import annotations

from typing import Any

import msgspec

from lsps.check.bad_payloads import KINDS
from lsps.check.lsps0 import LONG_ID, NUMBER_ID, TEXT_ID, UNKNOWN_METHOD, UNKNOWN_PARAMETERS
from lsps.check.lsps1 import UNKNOWN_ORDER
from lsps.check.lsps1_refusals import NO_TOKEN
from lsps.check.probe import BAD_ID, PING
from tests.check.faults import (
    ALWAYS,
    CREATE7,
    GET1,
    GET_INFO,
    INVALID_REQUEST,
    ONE_UNKNOWN,
    TWO_UNKNOWN,
    WITHOUT_PARAMS,
    Edit,
    Mutants,
    When,
    after,
    code,
    data,
    drop,
    edits,
    instead,
    order1,
    put,
    result,
    swallowed,
    to,
    with_id,
)
from tests.check.faulty import Answer, Asked, Fault, World

mutant = Mutants()

mutant("protocols is no array", result(PING, put("protocols", {"1": True})), "L0-01")
mutant("protocols holds a text", result(PING, put("protocols", [1, 7, "9"])), "L0-02")
mutant("protocols holds 0", result(PING, put("protocols", [0, 1, 7])), "L0-03")
mutant("params are needed", instead(WITHOUT_PARAMS, error=INVALID_REQUEST), "L0-04")
mutant(
    "white space is refused", instead(lambda asked: asked.payload.startswith(b" \t"), error=INVALID_REQUEST), "L0-05"
)
mutant("a long id is not answered", swallowed(with_id(LONG_ID)), "L0-06")
mutant("a strange id is not answered", swallowed(with_id(TEXT_ID)), "L0-07")
mutant("a numeric id is not answered", swallowed(with_id(NUMBER_ID)), "L0-08")


def at_first(answer: dict[str, Any] | None) -> Fault:
    """Another answer to the first get_info of all, which is sent right after another request."""

    def fault(world: World, asked: Asked, message: dict[str, Any]) -> Answer | None:
        if asked.method != GET_INFO or next(world.count):
            return message
        return None if answer is None else {**message, **answer}

    return fault


mutant("answers to two requests are mixed up", at_first({"result": {"protocols": [1, 7]}}), "L0-09")
mutant("one of two requests is not answered", at_first(None), "L0-09")
# What an LSP says that takes the request for a bad payload: one fault, though the answer belongs to no request.
mutant("an unknown method is a bad payload", edits(to(UNKNOWN_METHOD, {}), put("id", None)), "L0-10")
mutant("an unknown method has another code", code(to(UNKNOWN_METHOD, {}), -32600), "L0-10")
mutant("an unknown parameter has another code", code(ONE_UNKNOWN, -32600), "L0-11")
mutant("unrecognized is empty", data(ONE_UNKNOWN, put("unrecognized", [])), "L0-12")
mutant("unrecognized names one of two", data(TWO_UNKNOWN, put("unrecognized", [UNKNOWN_PARAMETERS[0]])), "L0-13")


def is_bad(kind: str) -> When:
    return lambda asked: asked.payload == KINDS[kind][1]


for _id, (_what, _) in KINDS.items():
    mutant(f"no answer to {_what}", swallowed(is_bad(_id)), _id)
    mutant(f"another code for {_what}", code(is_bad(_id), -32600), _id)
mutant(
    "the first of two objects is answered",
    edits(
        is_bad("L0-23"),
        lambda message: message.update(id=BAD_ID, result={"protocols": [1]}, error=None),
    ),
    "L0-23",
    "L0-42",
)
mutant("an id that is none comes back", edits(is_bad("L0-30"), put("id", {"no": "id"})), "L0-30")
mutant("an id that is not UTF-8 comes back mended", edits(is_bad("L0-32"), put("id", f"{BAD_ID}-\ufffd")), "L0-32")
mutant("a parse error without id", edits(lambda asked: asked.payload == b"{}", drop("id")), "L0-28")


def deaf_after_a_batch() -> Fault:
    deaf: list[bool] = []

    def fault(_world: World, asked: Asked, message: dict[str, Any]) -> Answer | None:
        if deaf:
            return None
        if asked.payload == KINDS["L0-26"][1]:
            deaf.append(True)
        return message

    return fault


def text_as_data(message: dict[str, Any]) -> None:
    if "data" in message.get("error", {}):
        message["error"]["data"] = "no"


def escaped(method: str, plain: bytes, escape: bytes) -> Fault:
    """An answer with a needless escape in it."""
    return lambda _, asked, message: (
        msgspec.json.encode(message).replace(plain, escape) if asked.method == method else message
    )


def cut_created_at(end: str) -> Edit:
    return lambda order: order.update(created_at=order["created_at"][:19] + end)


mutant("it is deaf after a batch", deaf_after_a_batch(), "L0-33")
mutant("a payload that is no object", after(to(GET_INFO), b"[]"), "L0-40")
mutant("a payload with a 0 byte", after(to(GET_INFO), b"{}\0"), "L0-40")
mutant("a payload that is not UTF-8", after(to(GET_INFO), b'{"a":"\xff"}'), "L0-40")
mutant("another version", edits(ALWAYS, put("jsonrpc", "1.0")), "L0-41")
mutant(
    "a result beside an error",
    edits(ALWAYS, lambda message: message.update(result=None) if "error" in message else None),
    "L0-42",
)
mutant("it sends a request", after(to(GET_INFO), {"jsonrpc": "2.0", "method": "lsps0.hello", "id": "1"}), "L0-43")
mutant("it notifies", after(to(GET_INFO), {"jsonrpc": "2.0", "method": "lsps0.news", "params": {}}), "L0-44")
mutant(
    "it notifies by position", after(to(GET_INFO), {"jsonrpc": "2.0", "method": "a", "params": []}), "L0-44", "L0-55"
)
mutant("it notifies of a number", after(to(GET_INFO), {"jsonrpc": "2.0", "method": 1, "params": {}}), "L0-44", "L0-55")
mutant("an answer to nothing", after(to(GET_INFO), {"jsonrpc": "2.0", "id": "?", "result": {}}), "L0-45")
mutant("every answer twice", lambda _, asked, message: [message, message] if asked.method == PING else message, "L0-45")
mutant("a result is an array", edits(WITHOUT_PARAMS, put("result", [])), "L0-46")
mutant("an error without message", edits(to(UNKNOWN_METHOD, {}), drop("error.message")), "L0-47")
mutant("an error is a text", edits(to(UNKNOWN_METHOD, {}), put("error", "no")), "L0-10", "L0-47")
mutant("error.data is a text", edits(to(GET1, {"order_id": UNKNOWN_ORDER}), put("error.data", "no")), "L0-48")
mutant("every error.data is a text", edits(ALWAYS, text_as_data), "L0-48")
mutant("-32602 without unrecognized", data(to(GET1, {}), drop("unrecognized")), "L0-49")
mutant("-32602 without data", edits(to(GET1, {}), drop("error.data")), "L0-49")
mutant(
    "a code of another specification",
    code(lambda asked: asked.method == CREATE7 and asked.params.get("token") == NO_TOKEN, 250),
    "L0-50",
)
mutant("needless escapes", escaped(GET_INFO, b'"10000"', b'"\\u00310000"'), "L0-51")
mutant(
    "an amount is a number",
    result(GET_INFO, lambda info: info.update(max_channel_balance_sat=int(info["max_channel_balance_sat"]))),
    "L0-52",
)
mutant("a datetime with nanoseconds", order1(cut_created_at(".123456789Z")), "L0-53")
mutant("a datetime with an offset", order1(cut_created_at("+00:00")), "L0-53")
mutant("a datetime that there is not", order1(put("created_at", "2026-02-30T00:00:00.000Z")), "L0-53")
mutant(
    "a feerate with a fraction",
    order1(
        lambda order: order["payment"]["onchain"].update(min_onchain_payment_confirmations=0, min_fee_for_0conf=253.5)
    ),
    "L0-54",
)


# --- what no clause forbids: these must be caught by nothing ----------------------------------------------------------

mutant("a field of its own is null", result(GET_INFO, put("promotion_sat", None)))
mutant("a datetime without milliseconds", order1(cut_created_at("Z")))
mutant("data of an unknown method is a text", edits(to(UNKNOWN_METHOD, {}), put("error.data", "no such method")))
mutant("data of an unknown order is null", edits(to(GET1, {"order_id": UNKNOWN_ORDER}), put("error.data", None)))
mutant("an escape in an error's words", escaped(UNKNOWN_METHOD, b"Method", b"\\u004dethod"))
