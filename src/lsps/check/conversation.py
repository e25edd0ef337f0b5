"""bLIP-50, what holds for every message that the LSP sends: checked on the whole conversation, at its end."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from lsps.check.model import Broken, Clauses, Exchange, Skipped, Untold
from lsps.check.probe import PING, read_json
from lsps.check.subject import Subject
from lsps.check.values import AMOUNT, DATETIME, as_datetime, at, fields, is_uint, shown
from lsps.protocol import lsps0, lsps1, lsps7
from lsps.protocol.errors import (
    CLIENT_REJECTED,
    INVALID_PARAMS,
    NOT_FOUND,
    OPTION_MISMATCH,
    UNRECOGNIZED_OR_STALE_TOKEN,
)

clauses = Clauses("messages")

_LSP = "bLIP-50, The LSP"
_RESPONSE = "bLIP-50, The LSP; JSON-RPC 2.0 §5"
_SCHEMAS = "bLIP-50, Common Schemas"

DATETIME_FIELDS = frozenset({"created_at", "expires_at", "funded_at"})
_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
_ESCAPED_ALWAYS = frozenset(b'"\\')
DATA_IS_DEFINED = (INVALID_PARAMS, CLIENT_REJECTED, OPTION_MISMATCH, NOT_FOUND, UNRECOGNIZED_OR_STALE_TOKEN)
"""Codes whose `data` a bLIP says; with others JSON-RPC 2.0 §5.1 leaves it open."""
_OWN_CODES = {method.name: method.errors for part in (lsps0, lsps1, lsps7) for method in part.METHODS}


async def _conversation(lsp: Subject) -> list[Exchange]:
    """All of it; at least one request, so that there is something to look at."""
    await lsp.ask(PING, {})
    lsp.probe.looked_at.clear()
    return [*lsp.probe.conversation, lsp.probe.unasked]


async def _payloads(lsp: Subject) -> Iterator[tuple[Exchange, bytes]]:
    conversation = await _conversation(lsp)
    return ((exchange, payload) for exchange in conversation for payload in exchange.received)


async def _messages(lsp: Subject) -> Iterator[tuple[Exchange, dict[str, Any]]]:
    """Those that are JSON objects at all; that all are is a check of its own."""
    found = []
    for exchange, payload in await _payloads(lsp):
        try:
            message = read_json(payload)
        except ValueError:
            continue
        if isinstance(message, dict):
            found.append((exchange, message))
    return iter(found)


async def _responses(lsp: Subject) -> Iterator[tuple[Exchange, dict[str, Any]]]:
    return ((exchange, message) for exchange, message in await _messages(lsp) if "method" not in message)


async def _errors(lsp: Subject) -> list[tuple[Exchange, Any]]:
    """Raises Untold when none came, so that nothing passes that was not seen."""
    responses = await _responses(lsp)
    errors = [(exchange, message["error"]) for exchange, message in responses if message.get("error") is not None]
    if not errors:
        raise Untold("no error came: more is seen beside checks of other groups")
    return errors


async def _error_objects(lsp: Subject) -> list[tuple[Exchange, dict[str, Any]]]:
    """Those that are objects; that all are is L0-47."""
    return [(exchange, error) for exchange, error in await _errors(lsp) if isinstance(error, dict)]


async def _results(lsp: Subject) -> Iterator[tuple[Exchange, Any]]:
    return (
        (exchange, message["result"])
        for exchange, message in await _responses(lsp)
        if message.get("result") is not None and message.get("error") is None
    )


async def _fields(lsp: Subject, what: str, wanted: Callable[[str], bool]) -> list[tuple[Exchange, str, object]]:
    """Every field of a result whose name is wanted, with its path. Raises Skipped when there is none of `what`.

    What is null is not looked at: whether it may be, is said where the field is defined.
    """
    found = [
        (exchange, path, value)
        for exchange, result in await _results(lsp)
        for path, name, value in fields(result)
        if wanted(name) and value is not None
    ]
    if not found:
        raise Skipped(f"no {what} came")
    return found


def _expect(kept: bool, otherwise: str, exchange: Exchange) -> None:
    if not kept:
        raise Broken(otherwise, exchange)


@clauses.must("L0-40", _LSP, "every payload is one JSON object in UTF-8, without 0 bytes")
async def one_object_each(lsp: Subject) -> None:
    for exchange, payload in await _payloads(lsp):
        try:
            message = read_json(payload)
        except ValueError as error:
            raise Broken(f"{shown(payload)}: {error}", exchange) from None
        _expect(isinstance(message, dict), f"{shown(message)} is no object", exchange)


@clauses.must("L0-41", _RESPONSE, 'every message has `"jsonrpc": "2.0"`')
async def version(lsp: Subject) -> None:
    for exchange, message in await _messages(lsp):
        _expect(message.get("jsonrpc") == "2.0", f"jsonrpc is {shown(message.get('jsonrpc'))}", exchange)


@clauses.must("L0-42", _RESPONSE, "every response has either a result or an error")
async def result_or_error(lsp: Subject) -> None:
    for exchange, message in await _responses(lsp):
        _expect(("result" in message) != ("error" in message), f"it has {shown(sorted(message))}", exchange)


@clauses.must("L0-43", _LSP, "it sends responses and notifications, never a request")
async def no_requests(lsp: Subject) -> None:
    for exchange, message in await _messages(lsp):
        _expect(not ("method" in message and "id" in message), f"it asks {shown(message.get('method'))}", exchange)


@clauses.should("L0-44", "bLIP-50, LSPS Extension And Versioning", "no notification comes that nobody asked for")
async def no_notifications(lsp: Subject) -> None:
    for exchange, message in await _messages(lsp):
        notified = "method" in message and "id" not in message
        _expect(not notified, f"it notifies of {shown(message.get('method'))}", exchange)


@clauses.must("L0-45", _RESPONSE, "every request is answered once, and nothing is answered that was not asked")
async def answered_once(lsp: Subject) -> None:
    await lsp.ask(PING, {})
    await lsp.probe.quiet()
    for exchange in await _conversation(lsp):
        if exchange.sent is not None:
            _expect(len(exchange.received) <= 1, f"{len(exchange.received)} answers came to one message", exchange)
    for exchange, message in await _responses(lsp):
        _expect(exchange.sent is not None, f"an answer came to the id {shown(message.get('id'))}", exchange)


@clauses.must("L0-46", "bLIP-50, LSPS Method And Notification Specifications", "every result is an object")
async def results_are_objects(lsp: Subject) -> None:
    for exchange, result in await _results(lsp):
        _expect(isinstance(result, dict), f"result is {shown(result)}", exchange)


@clauses.must("L0-47", "JSON-RPC 2.0 §5.1", "every error is an object with an integer `code` and a text as `message`")
async def errors_are_whole(lsp: Subject) -> None:
    for exchange, error in await _errors(lsp):
        _expect(isinstance(error, dict), f"error is {shown(error)}", exchange)
        code = error.get("code")
        _expect(isinstance(code, int) and not isinstance(code, bool), f"error.code is {shown(code)}", exchange)
        _expect(isinstance(error.get("message"), str), f"error.message is {shown(error.get('message'))}", exchange)


@clauses.must(
    "L0-48", "bLIP-50, LSPS Method And Notification Specifications", "error.data, where a bLIP defines it, is an object"
)
async def error_data_is_an_object(lsp: Subject) -> None:
    for exchange, error in await _error_objects(lsp):
        data = error.get("data")
        code = error.get("code")
        if isinstance(code, int) and code in DATA_IS_DEFINED and data is not None:
            _expect(isinstance(data, dict), f"it is {shown(data)}", exchange)


@clauses.must("L0-49", "bLIP-50, -32602 Invalid Parameters Error", "every -32602 has the array `unrecognized` of names")
async def unrecognized_is_always_there(lsp: Subject) -> None:
    invalid = [found for found in await _error_objects(lsp) if found[1].get("code") == INVALID_PARAMS]
    if not invalid:
        raise Untold(f"no error {INVALID_PARAMS} came")
    for exchange, error in invalid:
        data = error.get("data")
        if data is None or isinstance(data, dict):
            named = at(data, "unrecognized")
            kept = isinstance(named, list) and all(isinstance(name, str) for name in named)
            _expect(kept, f"unrecognized is {shown(named)}", exchange)


@clauses.must(
    "L0-50", "bLIP-50, Custom Errors", "every error code is one of JSON-RPC, of LSPS0 or of the method's own range"
)
async def codes_are_in_range(lsp: Subject) -> None:
    for exchange, error in await _error_objects(lsp):
        code = error.get("code")
        if isinstance(code, int):
            _expect(_code_fits(code, exchange.sent), f"error {code} in answer to this", exchange)


def _code_fits(code: int, sent: bytes | None) -> bool:
    if -32768 <= code <= 99:
        return True
    try:
        method = str(read_json(sent or b"{}").get("method", ""))
    except (ValueError, AttributeError):
        return False
    number = method.partition(".")[0].removeprefix("lsps")
    of_method = number.isascii() and number.isdecimal() and int(number) * 100 <= code <= int(number) * 100 + 99
    return of_method or code in _OWN_CODES.get(method, ())


@clauses.must("L0-51", _SCHEMAS, "in a result, no character is escaped in JSON that could stand there as it is")
async def no_needless_escapes(lsp: Subject) -> None:
    for exchange, payload in await _payloads(lsp):
        if not _is_of_schemas(payload):
            continue
        for escape in _ESCAPE.finditer(payload):
            point = int(escape[1], 16) if escape[1] else None
            needless = escape[2] == b"/" if point is None else point >= 0x20 and point not in _ESCAPED_ALWAYS
            _expect(not needless, f"{shown(escape[0].decode('ascii', 'replace'))} is an escape without need", exchange)


def _is_of_schemas(payload: bytes) -> bool:
    """The clause speaks of schemas' texts: errors are for people, and an id is the client's own."""
    try:
        message = read_json(payload)
    except ValueError:
        return False
    return isinstance(message, dict) and "result" in message and str(message.get("id")).isalnum()


@clauses.must("L0-52", f"{_SCHEMAS}, Monetary Amounts", "every amount (…_sat, …_msat) is a text of decimal digits")
async def amounts_are_texts(lsp: Subject) -> None:
    for exchange, path, value in await _fields(lsp, "amount", lambda name: name.endswith(("_sat", "_msat"))):
        kept = isinstance(value, str) and AMOUNT.fullmatch(value) is not None
        _expect(kept, f"{path} is {shown(value)}", exchange)


@clauses.must("L0-53", f"{_SCHEMAS}, Datetimes", "every datetime has the form YYYY-MM-DDThh:mm:ss.uuuZ")
async def datetimes_have_their_form(lsp: Subject) -> None:
    # Without milliseconds they stand in bLIP-51's own examples: who copies those, is right as well.
    for exchange, path, value in await _fields(lsp, "datetime", lambda name: name in DATETIME_FIELDS):
        kept = isinstance(value, str) and DATETIME.fullmatch(value) is not None and as_datetime(value) is not None
        _expect(kept, f"{path} is {shown(value)}", exchange)


@clauses.must("L0-54", f"{_SCHEMAS}, On-chain Feerates", "every feerate is an integer of satoshi per 1000 weight units")
async def feerates_are_integers(lsp: Subject) -> None:
    for exchange, path, value in await _fields(lsp, "feerate", lambda name: name == "min_fee_for_0conf"):
        _expect(is_uint(value, 32), f"{path} is {shown(value)}", exchange)


@clauses.must("L0-55", _LSP, "what it sends without an id is a notification: `method` a text, `params` an object")
async def notifications_are_whole(lsp: Subject) -> None:
    for exchange, message in await _messages(lsp):
        if "method" in message and "id" not in message:
            _expect(isinstance(message["method"], str), f"method is {shown(message['method'])}", exchange)
            _expect(isinstance(message.get("params"), dict), f"params is {shown(message.get('params'))}", exchange)


CHECKS = clauses.all()
