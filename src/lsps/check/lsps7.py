"""bLIP-57 §1 and §3: the list of channels that can be extended."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from lsps.check.model import Clauses, expect
from lsps.check.subject import Subject
from lsps.check.values import SCID, is_uint, shown
from lsps.units import InvalidUnit, Scid

clauses = Clauses("lsps7")

_LIST = "bLIP-57 §1"
_CHANNEL = "bLIP-57 §3"


async def _entries(lsp: Subject) -> Iterator[dict[str, Any]]:
    return (entry for entry in await lsp.channels() if isinstance(entry, dict))


@clauses.must("L7-01", _LIST, "get_extendable_channels answers with an object whose `extendable_channels` is an array")
async def lists_channels(lsp: Subject) -> None:
    await lsp.require_protocol(7)
    reply = await lsp.ask("lsps7.get_extendable_channels", {})
    expect(isinstance(reply.result, dict), f"result is {shown(reply.result)}, error {shown(reply.error)}")
    listed = reply.result.get("extendable_channels")
    expect(isinstance(listed, list), f"extendable_channels is {shown(listed)}")
    for entry in listed:
        expect(isinstance(entry, dict), f"an entry is {shown(entry)}")


@clauses.must("L7-02", "bLIP-57 §3; bLIP-50, LSPS0.scid", "short_channel_id is a text of the form BBBxTTTxOOO")
async def scid_form(lsp: Subject) -> None:
    for entry in await _entries(lsp):
        check_scid(entry.get("short_channel_id"))


def check_scid(scid: object) -> None:
    expect(isinstance(scid, str) and SCID.fullmatch(scid) is not None, f"short_channel_id is {shown(scid)}")
    try:
        Scid.parse(str(scid))
    except InvalidUnit as invalid:
        expect(False, f"short_channel_id is {shown(scid)}: {invalid}")


@clauses.must("L7-03", _CHANNEL, "max_channel_extension_expiry_blocks is a uint32")
async def maximum_type(lsp: Subject) -> None:
    for entry in await _entries(lsp):
        maximum = entry.get("max_channel_extension_expiry_blocks")
        expect(is_uint(maximum, 32), f"max_channel_extension_expiry_blocks is {shown(maximum)}")


@clauses.should("L7-04", _LIST, "what is listed can be extended: max_channel_extension_expiry_blocks is 1 or greater")
async def maximum_bound(lsp: Subject) -> None:
    for entry in await _entries(lsp):
        maximum = entry.get("max_channel_extension_expiry_blocks")
        expect(maximum != 0, f"max_channel_extension_expiry_blocks of {shown(entry.get('short_channel_id'))} is 0")


@clauses.must("L7-05", _CHANNEL, "expiration_block is a uint32")
async def expiration_type(lsp: Subject) -> None:
    for entry in await _entries(lsp):
        expiration = entry.get("expiration_block")
        expect(is_uint(expiration, 32), f"expiration_block is {shown(expiration)}")


@clauses.must("L7-06", _CHANNEL, "original_order, where it is, is an object with the texts id and service")
async def original_order_form(lsp: Subject) -> None:
    for entry in await _entries(lsp):
        if (original := entry.get("original_order")) is not None:
            kept = isinstance(original, dict) and all(isinstance(original.get(key), str) for key in ("id", "service"))
            expect(kept, f"original_order is {shown(original)}")


@clauses.must("L7-07", _CHANNEL, "extension_order_ids, where it is, is an array of texts")
async def extension_ids_form(lsp: Subject) -> None:
    for entry in await _entries(lsp):
        if (ids := entry.get("extension_order_ids")) is not None:
            kept = isinstance(ids, list) and all(isinstance(order_id, str) for order_id in ids)
            expect(kept, f"extension_order_ids is {shown(ids)}")


@clauses.should("L7-08", "lsps's own measure", "no channel is listed twice")
async def listed_once(lsp: Subject) -> None:
    scids = [str(entry.get("short_channel_id")) for entry in await _entries(lsp)]
    expect(len(set(scids)) == len(scids), f"the list is {shown(scids)}")


CHECKS = clauses.all()
