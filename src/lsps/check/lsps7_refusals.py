"""bLIP-57 §2: what create_order must refuse, with which error, and what the error must name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from lsps.check.lsps1_refusals import NO_TOKEN, UNKNOWN_FIELD, expect_refused
from lsps.check.model import Broken, Clauses, Skipped, Untold, expect
from lsps.check.reply import Reply
from lsps.check.subject import Subject
from lsps.check.values import as_amount, shown
from lsps.protocol.errors import INVALID_PARAMS, OPTION_MISMATCH
from lsps.protocol.lsps7 import ExtendableChannel
from lsps.units import MAX_UINT32

clauses = Clauses("lsps7-refusals")

_ORDER = "bLIP-57 §2"
_ERRORS = "bLIP-57 §2, Errors"
_METHOD = "lsps7.create_order"
_BLOCKS = "channel_extension_expiry_blocks"
_MAXIMUM = "max_channel_extension_expiry_blocks"
LISTED_FIELDS = ExtendableChannel.__struct_fields__
UNKNOWN_SCID = "16777215x16777215x65535"


async def too_long(lsp: Subject) -> dict[str, Any]:
    request = await lsp.extension_request()
    maximum = as_amount((await lsp.channel())[_MAXIMUM]) or 0
    if maximum >= MAX_UINT32:
        raise Skipped("the channel can be extended by any number of blocks")
    return {**request, _BLOCKS: maximum + 1}


async def unknown_channel(lsp: Subject) -> dict[str, Any]:
    await lsp.require_protocol(7)
    return {"short_channel_id": UNKNOWN_SCID, _BLOCKS: 1}


@clauses.must("L7-40", _ERRORS, f"an order above {_MAXIMUM} is refused with 100")
async def more_than_maximum(lsp: Subject) -> None:
    await _expect_refused(lsp, await too_long(lsp), OPTION_MISMATCH)


async def _expect_refused(lsp: Subject, request: dict[str, Any], *codes: int) -> Reply:
    reply = await lsp.ask(_METHOD, request)
    await expect_refused(lsp, "lsps7", reply, *codes)
    return reply


@clauses.must("L7-41", _ERRORS, "an order for a channel that is not in the list is refused with 100 or -32602")
async def channel_not_listed(lsp: Subject) -> None:
    # Out of the options, or an invalid field: bLIP-57 does not say which a channel is that has no options.
    await _expect_refused(lsp, await unknown_channel(lsp), OPTION_MISMATCH, INVALID_PARAMS)


@clauses.must("L7-42", _ERRORS, "error 100's data.property is a field of the list's channel object")
async def names_a_field(lsp: Subject) -> None:
    for reply in (await _answered_with(lsp, OPTION_MISMATCH, unknown_channel, too_long)).values():
        named = reply.data.get("property")
        if named not in LISTED_FIELDS:
            raise Broken(f"data.property is {shown(named)}", reply.exchange)


Request = Callable[[Subject], Awaitable[dict[str, Any]]]


async def _answered_with(lsp: Subject, code: int, *requests: Request) -> dict[Request, Reply]:
    """The answers with this code, of those requests that can be made. Raises Untold when there is none."""
    await lsp.require_protocol(7)
    found = {}
    for request in requests:
        with suppress(Skipped):
            reply = await lsp.ask(_METHOD, await request(lsp))
            if reply.code == code:
                reply.require_data()
                found[request] = reply
    if not found:
        raise Untold(f"no error {code} came")
    return found


@clauses.must("L7-43", _ORDER, f"an order with {_BLOCKS} 0 is refused with -32602 or 100")
async def no_blocks(lsp: Subject) -> None:
    await _expect_refused(lsp, {**await lsp.extension_request(), _BLOCKS: 0}, INVALID_PARAMS, OPTION_MISMATCH)


async def _malformed_scid(lsp: Subject) -> dict[str, Any]:
    await lsp.require_protocol(7)
    return {"short_channel_id": "1:2:3", _BLOCKS: 1}


async def _no_blocks_field(lsp: Subject) -> dict[str, Any]:
    """Of a channel in the list: of another, an LSP may say first that it has it not."""
    return {"short_channel_id": (await lsp.channel())["short_channel_id"]}


@clauses.must("L7-44", _ERRORS, "an order whose short_channel_id is none is refused with -32602")
async def malformed_scid(lsp: Subject) -> None:
    await _expect_refused(lsp, await _malformed_scid(lsp), INVALID_PARAMS)


@clauses.must("L7-45", _ERRORS, f"an order without {_BLOCKS} is refused with -32602")
async def missing_field(lsp: Subject) -> None:
    await _expect_refused(lsp, await _no_blocks_field(lsp), INVALID_PARAMS)


@clauses.must("L7-46", _ERRORS, "-32602's data.property is the request's field that is invalid")
async def names_the_field(lsp: Subject) -> None:
    fields: dict[Request, str] = {_malformed_scid: "short_channel_id", _no_blocks_field: _BLOCKS}
    for request, reply in (await _answered_with(lsp, INVALID_PARAMS, *fields)).items():
        named = reply.data.get("property")
        if named != fields[request]:
            raise Broken(f"data.property is {shown(named)}; {fields[request]} is invalid", reply.exchange)


@clauses.must("L7-47", _ERRORS, "a token that nobody issued is refused")
async def unknown_token(lsp: Subject) -> None:
    reply = await lsp.ask(_METHOD, {**await lsp.extension_request(), "token": NO_TOKEN})
    expect(reply.code is not None, f"result is {shown(reply.result)}, error {shown(reply.error)}")
    await expect_refused(lsp, "lsps7", reply, reply.code)


@clauses.must(
    "L7-48", "bLIP-50, LSPS Extension And Versioning", "create_order with an unknown field is refused, naming it"
)
async def unknown_field(lsp: Subject) -> None:
    reply = await _expect_refused(lsp, {**await lsp.extension_request(), UNKNOWN_FIELD: 1}, INVALID_PARAMS)
    reply.require_data()
    expect(reply.data.get("unrecognized") == [UNKNOWN_FIELD], f"error is {shown(reply.error)}")


CHECKS = clauses.all()
