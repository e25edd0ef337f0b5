"""bLIP-57 §2, §2.1, §3: the order that answers a good create_order, and get_order."""

from __future__ import annotations

from typing import Any

from lsps.check import lsps1
from lsps.check.lsps1 import expect_code, expect_same, expect_taken
from lsps.check.model import Clauses, Skipped, Untold, expect
from lsps.check.payment_rules import Payments
from lsps.check.subject import Subject
from lsps.check.values import as_amount, at, shown
from lsps.protocol.errors import NOT_FOUND

clauses = Clauses("lsps7-orders")

_ORDER = "bLIP-57 §2"
_GET_ORDER = "bLIP-57 §2.1"
_METHOD = "lsps7.create_order"
_BLOCKS = "channel_extension_expiry_blocks"
_MAXIMUM = "max_channel_extension_expiry_blocks"
CHANNEL_FIELDS = ("short_channel_id", _MAXIMUM, "expiration_block")
ORDER_FIELDS = (
    "order_id",
    _BLOCKS,
    "new_channel_expiry_block",
    "token",
    "created_at",
    "order_state",
    "channel.short_channel_id",
)
"""What the channel's lease is, and how far it can be extended, may move with each block."""


async def orders(lsp: Subject) -> Payments:
    found: Payments = []
    refusal: Skipped | Untold = Untold("it takes no order")
    for full in (False, True):
        try:
            params = await lsp.extension_request(full=full)
            found.append((params, await lsp.order("lsps7", params)))
        except (Skipped, Untold) as refused:
            refusal = refused
    if not found:
        raise refusal
    return found


async def _made(lsp: Subject) -> list[dict[str, Any]]:
    return [order for _, order in await orders(lsp)]


@clauses.must("L7-20", _ORDER, "an order within the list's maximum is taken")
async def takes_an_order(lsp: Subject) -> None:
    expect_taken(await lsp.ask(_METHOD, await lsp.extension_request()))
    expect_taken(await lsp.ask(_METHOD, await lsp.extension_request(full=True)))


@clauses.must("L7-21", _ORDER, "order_id is a text of at most 64 characters")
async def order_id_length(lsp: Subject) -> None:
    lsps1.check_order_id(await _made(lsp))


@clauses.must("L7-22", _ORDER, "order_id is unique: two orders have two")
async def order_id_unique(lsp: Subject) -> None:
    lsps1.check_unique(await _made(lsp))


@clauses.should("L7-23", _ORDER, "order_id is a UUID version 4")
async def order_id_is_uuid(lsp: Subject) -> None:
    lsps1.check_uuid(await _made(lsp))


@clauses.must("L7-24", _ORDER, f"{_BLOCKS} is mirrored from the request")
async def blocks_are_mirrored(lsp: Subject) -> None:
    for params, order in await orders(lsp):
        expect(order.get(_BLOCKS) == params[_BLOCKS], f"it is {shown(order.get(_BLOCKS))}, not {params[_BLOCKS]}")


@clauses.must("L7-25", _ORDER, "channel.short_channel_id is the channel that was asked for")
async def channel_is_the_one(lsp: Subject) -> None:
    for params, order in await orders(lsp):
        told = at(order, "channel.short_channel_id")
        expect(told == params["short_channel_id"], f"it is {shown(told)}, not {params['short_channel_id']}")


@clauses.must("L7-26", "bLIP-57 §2, §3", "the order's channel has short_channel_id, its maximum and expiration_block")
async def channel_is_whole(lsp: Subject) -> None:
    for order in await _made(lsp):
        for name in CHANNEL_FIELDS:
            expect(at(order, f"channel.{name}") is not None, f"channel.{name} is missing")


@clauses.should("L7-27", "bLIP-57 §2, Client", f"channel.expiration_block and {_BLOCKS} are new_channel_expiry_block")
async def sum_rule(lsp: Subject) -> None:
    for params, order in await orders(lsp):
        start, end = as_amount(at(order, "channel.expiration_block")), order.get("new_channel_expiry_block")
        if start is None:
            raise Untold("the order's channel has no expiration_block")
        expect(start + params[_BLOCKS] == end, f"{start} and {params[_BLOCKS]} are not {shown(end)}")


@clauses.must("L7-28", _ORDER, f"the lease ends {_BLOCKS} later than the list says now, or still later")
async def extends_the_lease(lsp: Subject) -> None:
    listed = as_amount((await lsp.channel()).get("expiration_block"))
    for params, order in await orders(lsp):
        end = as_amount(order.get("new_channel_expiry_block"))
        if listed is None:
            raise Untold("the list has no expiration_block")
        expect(end is not None, f"new_channel_expiry_block is {shown(order.get('new_channel_expiry_block'))}")
        expect(
            (end or 0) >= listed + params[_BLOCKS], f"it would end at {end}; {listed} and {params[_BLOCKS]} were due"
        )


@clauses.must("L7-29", _ORDER, "token is an empty text when none was given")
async def token_is_empty(lsp: Subject) -> None:
    token = (await lsp.extension_order()).get("token")
    expect(token == "", f"token is {shown(token)}")


@clauses.must("L7-30", _ORDER, "a new order's order_state is CREATED")
async def is_created(lsp: Subject) -> None:
    lsps1.check_created(await _made(lsp))


@clauses.must("L7-31", _ORDER, "an order has created_at")
async def has_created_at(lsp: Subject) -> None:
    for order in await _made(lsp):
        expect(order.get("created_at") is not None, "created_at is missing")


# --- get_order --------------------------------------------------------------------------------------------------------


@clauses.must("L7-38", _GET_ORDER, "get_order tells an order as create_order did")
async def get_order_is_the_same(lsp: Subject) -> None:
    created = await lsp.extension_order()
    expect_same(created, await lsp.ask("lsps7.get_order", {"order_id": created.get("order_id")}), ORDER_FIELDS)


@clauses.must("L7-39", _GET_ORDER, "an order that does not exist is answered with 101")
async def unknown_order(lsp: Subject) -> None:
    await lsp.require_protocol(7)
    expect_code(await lsp.ask("lsps7.get_order", {"order_id": lsps1.UNKNOWN_ORDER}), NOT_FOUND)


CHECKS = clauses.all()
