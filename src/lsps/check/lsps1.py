"""bLIP-51 §2 and §2.1: the order that answers a good create_order, and get_order."""

from __future__ import annotations

from typing import Any

from lsps.check.model import Broken, CheckFunction, Clauses, Skipped, Untold, expect
from lsps.check.payment_rules import Payments
from lsps.check.reply import Reply
from lsps.check.subject import Subject
from lsps.check.values import UUID4, as_amount, at, shown
from lsps.protocol.errors import (
    INVALID_PARAMS,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    NOT_FOUND,
    OPTION_MISMATCH,
    PARSE_ERROR,
    UNRECOGNIZED_OR_STALE_TOKEN,
)
from lsps.protocol.rules import MAX_ORDER_ID_LENGTH

clauses = Clauses("lsps1-orders")

_ORDER = "bLIP-51 §2"
_GET_ORDER = "bLIP-51 §2.1"
UNKNOWN_ORDER = "00000000-0000-4000-8000-000000000000"
ORDER_FIELDS = (
    "order_id",
    "lsp_balance_sat",
    "client_balance_sat",
    "required_channel_confirmations",
    "funding_confirms_within_blocks",
    "channel_expiry_blocks",
    "token",
    "created_at",
    "announce_channel",
    "order_state",
    "channel",
)
MOVES_WHEN_FREE = ("order_state", "channel")
"""An order that costs nothing may be delivered at once."""
PAYMENT_FIELDS = tuple(
    f"payment.{option}.{name}"
    for option, own in (("bolt11", "invoice"), ("bolt12", "offer"), ("onchain", "address"))
    for name in ("state", "expires_at", "fee_total_sat", "order_total_sat", own)
)
"""Not how an on-chain payment is confirmed: "these estimates MAY change over time" (§3.3)."""
MIRRORED = {
    "L1-20": "lsp_balance_sat",
    "L1-21": "client_balance_sat",
    "L1-22": "required_channel_confirmations",
    "L1-23": "funding_confirms_within_blocks",
    "L1-24": "channel_expiry_blocks",
    "L1-25": "announce_channel",
}


async def orders(lsp: Subject) -> Payments:
    """Request and order of both orders, as far as the LSP takes them. Raises Untold when it takes neither."""
    await lsp.require_protocol(1)
    found: Payments = []
    refusal: Skipped | Untold = Untold("it takes no order")
    for full in (False, True):
        try:
            params = await lsp.channel_request(full=full)
            found.append((params, await lsp.order("lsps1", params)))
        except (Skipped, Untold) as refused:
            refusal = refused
    if not found:
        raise refusal
    return found


@clauses.must("L1-10", _ORDER, "an order within get_info's options is taken")
async def takes_an_order(lsp: Subject) -> None:
    await lsp.require_protocol(1)
    expect_taken(await lsp.ask("lsps1.create_order", await lsp.channel_request()))
    expect_taken(await lsp.ask("lsps1.create_order", await lsp.channel_request(full=True)))


_THE_ORDER_IS_BAD = (
    PARSE_ERROR,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    INVALID_PARAMS,
    OPTION_MISMATCH,
    UNRECOGNIZED_OR_STALE_TOKEN,
)


def expect_taken(reply: Reply) -> None:
    """An LSP may reject a client (error 1), be out of order (-32603) or out of funds; it may not blame a good order."""
    if isinstance(reply.code, int) and reply.code not in _THE_ORDER_IS_BAD:
        raise Untold(f"it takes no order now: {shown(reply.error)}")
    expect(isinstance(reply.result, dict), f"result is {shown(reply.result)}, error {shown(reply.error)}")


@clauses.must("L1-11", _ORDER, "order_id is a text of at most 64 characters")
async def order_id_length(lsp: Subject) -> None:
    check_order_id([order for _, order in await orders(lsp)])


def check_order_id(made: list[dict[str, Any]]) -> None:
    for order in made:
        order_id = order.get("order_id")
        kept = isinstance(order_id, str) and 1 <= len(order_id) <= MAX_ORDER_ID_LENGTH
        expect(kept, f"order_id is {shown(order_id)}")


@clauses.must("L1-12", _ORDER, "order_id is unique: two orders have two")
async def order_id_unique(lsp: Subject) -> None:
    check_unique([order for _, order in await orders(lsp)])


def check_unique(made: list[dict[str, Any]]) -> None:
    if len(made) < 2:
        raise Untold("it took one order alone")
    ids = [str(order.get("order_id")) for order in made]
    expect(len(set(ids)) == len(ids), f"both orders have the id {shown(ids[0])}")


@clauses.should("L1-13", _ORDER, "order_id is a UUID version 4")
async def order_id_is_uuid(lsp: Subject) -> None:
    check_uuid([order for _, order in await orders(lsp)])


def check_uuid(made: list[dict[str, Any]]) -> None:
    for order in made:
        order_id = order.get("order_id")
        expect(bool(UUID4.fullmatch(str(order_id))), f"order_id is {shown(order_id)}")


@clauses.must("L1-14", _ORDER, "a new order's order_state is CREATED")
async def is_created(lsp: Subject) -> None:
    check_created([order for _, order in await orders(lsp)])


def check_created(made: list[dict[str, Any]]) -> None:
    for order in made:
        if order.get("payment") != {}:  # what costs nothing may be done at once
            expect(order.get("order_state") == "CREATED", f"order_state is {shown(order.get('order_state'))}")


@clauses.must("L1-15", _ORDER, "an order has created_at")
async def has_created_at(lsp: Subject) -> None:
    for _, order in await orders(lsp):
        expect(order.get("created_at") is not None, "created_at is missing")


@clauses.must("L1-16", "bLIP-51 §2, §4", "channel is null until a funding transaction is published")
async def channel_is_null(lsp: Subject) -> None:
    for _, order in await orders(lsp):
        # "null", where §3.3 has "null or absent" for another field: so it is there.
        expect("channel" in order, "channel is missing; it must be there, as null")
        if order.get("payment") != {}:  # what costs nothing may be opened at once
            expect(order["channel"] is None, f"channel is {shown(order['channel'])}")


@clauses.must("L1-17", _ORDER, "token is an empty text when none was given")
async def token_is_empty(lsp: Subject) -> None:
    token = (await lsp.channel_order()).get("token")
    expect(token == "", f"token is {shown(token)}")


@clauses.must("L1-18", _ORDER, "an empty token is mirrored")
async def empty_token_is_mirrored(lsp: Subject) -> None:
    token = (await lsp.channel_order(full=True)).get("token")
    expect(token == "", f"token is {shown(token)}")


def _is_mirrored(name: str) -> CheckFunction:
    async def check(lsp: Subject) -> None:
        for params, order in await orders(lsp):
            asked, answered = params[name], order.get(name)
            if name.endswith("_sat"):  # the form of amounts is a check of its own
                asked, answered = as_amount(asked), as_amount(answered)
            same = asked == answered and isinstance(answered, bool) == isinstance(asked, bool)
            expect(same, f"{name} is {shown(order.get(name))}, {shown(params[name])} was asked for")

    return check


for _id, _name in MIRRORED.items():
    clauses.must(_id, _ORDER, f"{_name} is mirrored from the request")(_is_mirrored(_name))


# --- get_order --------------------------------------------------------------------------------------------------------


@clauses.must("L1-30", _GET_ORDER, "get_order tells an order as create_order did")
async def get_order_is_the_same(lsp: Subject) -> None:
    created = await lsp.channel_order()
    reply = await lsp.ask("lsps1.get_order", {"order_id": created.get("order_id")})
    expect_same(created, reply, ORDER_FIELDS)


def expect_same(created: dict[str, Any], reply: Reply, paths: tuple[str, ...]) -> None:
    """Paid is nothing yet, so nothing that the bLIPs define has a reason to differ; what they do not define may."""
    told = reply.result
    if not isinstance(told, dict):
        raise Broken(f"result is {shown(told)}, error {shown(reply.error)}")
    for path in (*paths, *PAYMENT_FIELDS):
        if created.get("payment") == {} and path in MOVES_WHEN_FREE:
            continue
        was, now = at(created, path), at(told, path)
        expect(was == now, f"{path} was {shown(was)}, and is {shown(now)}")


@clauses.must("L1-31", _GET_ORDER, "an order that does not exist is answered with 101")
async def unknown_order(lsp: Subject) -> None:
    await lsp.require_protocol(1)
    expect_code(await lsp.ask("lsps1.get_order", {"order_id": UNKNOWN_ORDER}), NOT_FOUND)


@clauses.must("L1-32", "JSON-RPC 2.0 §5.1", "get_order without order_id is answered with -32602")
async def get_order_without_id(lsp: Subject) -> None:
    await lsp.require_protocol(1)
    expect_code(await lsp.ask("lsps1.get_order", {}), INVALID_PARAMS)


def expect_code(reply: Reply, *codes: int) -> None:
    due = " or ".join(map(str, codes))
    expect(reply.code in codes, f"error {due} was due; it is {shown(reply.error or reply.result)}")


CHECKS = clauses.all()
