"""bLIP-50, the good cases: ids, methods, parameters, and which specifications are spoken."""

from __future__ import annotations

from typing import Any

import msgspec

from lsps.check.model import Clauses, Untold, expect
from lsps.check.probe import PING, read_json
from lsps.check.reply import Reply
from lsps.check.subject import Subject
from lsps.check.values import is_uint, shown
from lsps.protocol.errors import INVALID_PARAMS, METHOD_NOT_FOUND

clauses = Clauses("lsps0")

_PROTOCOLS = "bLIP-50, LSPS Specification Support Query"
_VERSIONING = "bLIP-50, LSPS Extension And Versioning"
_INVALID_PARAMS = "bLIP-50, -32602 Invalid Parameters Error"
_FORMAT = "bLIP-50, Message Payload Format"
_RESPONSE = "bLIP-50, Message Payload Format; JSON-RPC 2.0 §5"

UNKNOWN_PARAMETERS = ("lsps_check_one", "lsps_check_two")
UNKNOWN_METHOD = "lsps0.lsps_check_unknown"
LONG_ID = "lsps-check-long-id-" + "0123456789abcdef" * 6
TEXT_ID = 'example#é漢"\\/ 7'
NUMBER_ID = 72_057_594
FIRST_METHODS = {1: "lsps1.get_info", 7: "lsps7.get_extendable_channels"}
"""What takes no parameters, of each specification."""
_PADDING = b" \t\r\n"


async def _protocols(lsp: Subject) -> list[Any]:
    listed = (await lsp.result(PING, {})).get("protocols")
    return listed if isinstance(listed, list) else []


@clauses.must("L0-01", _PROTOCOLS, "lsps0.list_protocols answers with an object whose `protocols` is an array")
async def lists_protocols(lsp: Subject) -> None:
    reply = await lsp.ask(PING, {})
    expect(isinstance(reply.result, dict), f"result is {shown(reply.result)}, error {shown(reply.error)}")
    listed = reply.result.get("protocols")
    expect(isinstance(listed, list), f"protocols is {shown(listed)}, no array")


@clauses.must("L0-02", _PROTOCOLS, "`protocols` holds numbers of specifications")
async def protocols_are_numbers(lsp: Subject) -> None:
    for entry in await _protocols(lsp):
        expect(is_uint(entry, 16), f"protocols holds {shown(entry)}")


@clauses.must("L0-03", _PROTOCOLS, "0 is not in `protocols`")
async def zero_is_not_listed(lsp: Subject) -> None:
    listed = await _protocols(lsp)
    expect(0 not in listed, f"protocols is {shown(listed)}")


@clauses.should("L0-04", "JSON-RPC 2.0 §4", "a method without parameters is answered when `params` is left out")
async def params_may_be_absent(lsp: Subject) -> None:
    request_id = lsp.probe.fresh_id()
    payload = msgspec.json.encode({"jsonrpc": "2.0", "method": PING, "id": request_id})
    reply = await lsp.probe.send_request(payload, request_id)
    expect(reply.code is None, f"error {shown(reply.error)}")


@clauses.must("L0-05", _FORMAT, "white space before and after the JSON object does no harm")
async def whitespace_is_allowed(lsp: Subject) -> None:
    request_id = lsp.probe.fresh_id()
    payload = msgspec.json.encode({"jsonrpc": "2.0", "method": PING, "params": {}, "id": request_id})
    reply = await lsp.probe.send_request(_PADDING + payload + _PADDING, request_id)
    expect(reply.code is None, f"error {shown(reply.error)}")


@clauses.must("L0-06", _RESPONSE, "a response has the request's id, also when that is long (115 characters)")
async def long_id(lsp: Subject) -> None:
    await lsp.probe.request(PING, {}, LONG_ID)


@clauses.must(
    "L0-07", _RESPONSE, "a response has the request's id, also with quotes, backslashes and letters beyond ASCII"
)
async def any_text_as_id(lsp: Subject) -> None:
    await lsp.probe.request(PING, {}, TEXT_ID)


@clauses.should("L0-08", "JSON-RPC 2.0 §4, §5", "a response has the request's id, also when that is a number")
async def number_as_id(lsp: Subject) -> None:
    # JSON-RPC allows numbers; bLIP-50's own clients use text alone, so an LSP that knows only those harms nobody.
    await lsp.probe.request(PING, {}, NUMBER_ID)


@clauses.must("L0-09", _FORMAT, "two requests sent at once are each answered, with their own results")
async def two_at_once(lsp: Subject) -> None:
    # Two that it knows: what it does with others is a check of its own.
    known = [method for number, method in FIRST_METHODS.items() if number in await _protocols(lsp)]
    exchanges = await lsp.probe.request_together([(PING, {}), (known[0] if known else PING, {})])
    for exchange in exchanges:
        expect(bool(exchange.received), "one of the two was not answered")
    first, second = (read_json(exchange.received[0]).get("result") for exchange in exchanges)
    told = isinstance(first, dict) and "protocols" in first
    mixed_up = bool(known) and isinstance(second, dict) and "protocols" in second
    expect(told and not mixed_up, "the answers are those of each other's requests")


@clauses.must("L0-10", _VERSIONING, "a method that it does not know is answered with -32601")
async def unknown_method(lsp: Subject) -> None:
    _expect_code(await lsp.ask(UNKNOWN_METHOD, {}), METHOD_NOT_FOUND)


@clauses.must("L0-11", _VERSIONING, "a parameter that it does not know is answered with -32602")
async def unknown_parameter(lsp: Subject) -> None:
    _expect_code(await lsp.ask(PING, {UNKNOWN_PARAMETERS[0]: 1}), INVALID_PARAMS)


@clauses.must("L0-12", _INVALID_PARAMS, "error.data.unrecognized names exactly the one parameter that is unknown")
async def unrecognized_names_it(lsp: Subject) -> None:
    reply = await _refusal(lsp, {UNKNOWN_PARAMETERS[0]: 1})
    expect(reply.data.get("unrecognized") == [UNKNOWN_PARAMETERS[0]], f"error is {shown(reply.error)}")


@clauses.must("L0-13", _INVALID_PARAMS, "error.data.unrecognized names both of two unknown parameters")
async def unrecognized_names_both(lsp: Subject) -> None:
    reply = await _refusal(lsp, {name: {"nested": True} for name in UNKNOWN_PARAMETERS})
    named = reply.data.get("unrecognized")
    kept = isinstance(named, list) and sorted(map(str, named)) == sorted(UNKNOWN_PARAMETERS)
    expect(kept, f"error is {shown(reply.error)}")


async def _refusal(lsp: Subject, params: dict[str, Any]) -> Reply:
    """The -32602 that answers unknown parameters; that it comes at all is a check of its own."""
    reply = await lsp.ask(PING, params)
    if reply.code != INVALID_PARAMS:
        raise Untold(f"there was no error {INVALID_PARAMS} to look into: see L0-11")
    reply.require_data()
    return reply


def _expect_code(reply: Reply, code: int) -> None:
    expect(reply.code == code, f"error {code} was due; it is {shown(reply.error or reply.result)}")


CHECKS = clauses.all()
