"""What must come of a paid order (bLIP-51 §3.1, §4.1; bLIP-57): only with `--pay`, only on a test network."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from lsps.check.model import Broken, Clauses, Skipped, Untold, expect
from lsps.check.subject import Subject
from lsps.check.values import OUTPOINT, as_amount, as_datetime, at, shown
from lsps.lightning import bolt11
from lsps.node.contract import Channel, NodeError, PaymentStatus
from lsps.protocol.errors import NOT_FOUND
from lsps.units import Network, Sat

clauses = Clauses("paid")

_BOLT11 = "bLIP-51 §3.1"
_OPEN = "bLIP-51 §4.1"
_CHANNEL = "bLIP-51 §4"
_ENDED = ("COMPLETED", "FAILED")
_GIVEN_BACK = ("REFUNDED", "CANCELLED")
"""The second is what earlier versions of bLIP-51 say."""
_LAST_STATES = ("PAID", *_GIVEN_BACK)
_ORDER_OF_STATES = ("EXPECT_PAYMENT", "HOLD", "PAID")
_BLOCKS = "channel_extension_expiry_blocks"
_MAXIMUM = "max_channel_extension_expiry_blocks"
_LEAST_BLOCK = timedelta(minutes=9)
_ROUTE_FEE_DIVISOR = 100
_ROUTE_FEE_LEAST = Sat(10)


@dataclass(slots=True)
class PaidOrder:
    """An order that was paid: the states that were seen, one after the other, and how it was told at last.

    `failure` is why nothing can be said of it, `unanswered` a get_order that was not answered meanwhile, `unsettled`
    why our payment is not complete.
    """

    order: dict[str, Any]
    states: list[Any] = field(default_factory=list)
    failure: str = ""
    unanswered: Broken | None = None
    unsettled: str = ""


async def paid_order(lsp: Subject, service: str) -> PaidOrder:
    """The order without token and refund address, paid once. Raises Skipped when nothing may be paid."""
    paid = await _paid_once(lsp, service)
    if paid.unanswered is not None:
        raise Untold(f"get_order of a paid order: {paid.unanswered}")
    if paid.failure:
        raise Untold(paid.failure)
    return paid


async def _paid_once(lsp: Subject, service: str) -> PaidOrder:
    if lsp.spending is None:
        raise Skipped("it pays an order: needs --pay")
    if lsp.network is not Network.REGTEST:
        raise Skipped(f"orders are paid on regtest alone, our node is on {lsp.network}")
    if service not in lsp.paid:
        order = await (lsp.channel_order() if service == "lsps1" else lsp.extension_order())
        balance = int((await lsp.channel_request())["client_balance_sat"]) if service == "lsps1" else 0
        lsp.paid[service] = await _pay(lsp, service, order, balance, lsp.spending.max_fee)
    paid: PaidOrder = lsp.paid[service]
    return paid


async def _pay(lsp: Subject, service: str, order: dict[str, Any], balance: int, max_fee: Sat) -> PaidOrder:
    option = at(order, "payment.bolt11")
    fee, total = as_amount(at(option, "fee_total_sat")), as_amount(at(option, "order_total_sat"))
    invoice = at(option, "invoice")
    if lsp.node.payments is None:
        return PaidOrder(order, failure="our node cannot pay")
    if fee is None or total is None or not isinstance(invoice, str):
        return PaidOrder(order, failure="the order has no BOLT 11 invoice")
    if fee > int(max_fee) or total > fee + balance:
        return PaidOrder(order, failure=f"the order costs {total - balance} sat, more than --max-fee-sat allows")
    if not _asks_for(invoice, total):
        return PaidOrder(order, failure="the invoice is not for order_total_sat: see L1-87, L7-36")
    route_fee = Sat(max(total // _ROUTE_FEE_DIVISOR, int(_ROUTE_FEE_LEAST)))
    paying = asyncio.create_task(_settle(lsp, invoice, route_fee))
    try:
        return await _follow(lsp, service, order, paying)
    finally:
        paying.cancel()


def _asks_for(invoice: str, total: int) -> bool:
    """What is paid is what the invoice says, so it is read before: no more than the order's total."""
    try:
        amount = bolt11.decode(invoice).amount
    except bolt11.InvalidInvoice:
        return False
    return amount is not None and int(amount) == total * 1000


async def _settle(lsp: Subject, invoice: str, route_fee: Sat) -> str:
    """Why the payment failed; "" when it did not."""
    if lsp.node.payments is None:
        return "our node cannot pay"
    try:
        payment = await lsp.node.payments.pay(invoice, route_fee.to_msat())
    except NodeError as error:
        return str(error)
    return "" if payment.status is PaymentStatus.SUCCEEDED else payment.failure or "the payment failed"


async def _follow(lsp: Subject, service: str, order: dict[str, Any], paying: asyncio.Task[str]) -> PaidOrder:
    paid = PaidOrder(order)
    for _ in range(lsp.probe.times.polls):
        try:
            reply = await lsp.probe.request(f"{service}.get_order", {"order_id": order.get("order_id")})
        except Broken as unanswered:
            paid.unanswered = unanswered
            return paid
        if isinstance(reply.result, dict):
            paid.order = reply.result
            state = at(reply.result, "payment.bolt11.state")
            if paid.states[-1:] != [state]:
                paid.states.append(state)
        told_all = paid.order.get("order_state") in _ENDED and bool(paid.states) and paid.states[-1] in _LAST_STATES
        if (paying.done() and told_all) or reply.code == NOT_FOUND:
            break
        await lsp.probe.sleep(lsp.probe.times.poll)
    paid.unsettled = await paying if paying.done() else "it is still on its way"
    if paying.done() and paid.unsettled:
        if "HOLD" not in paid.states and "PAID" not in paid.states:
            paid.failure = f"our node could not pay: {paid.unsettled}"
        elif paid.order.get("order_state") == "FAILED" and paid.states[-1] in _GIVEN_BACK:
            paid.failure = "it could not deliver, and gave the payment back, as it must"
    return paid


async def _channel(lsp: Subject) -> tuple[PaidOrder, Channel]:
    """The channel as our own node has it."""
    paid = await paid_order(lsp, "lsps1")
    if lsp.node.channels is None:
        raise Skipped("our node lists no channels")
    outpoint = str(at(paid.order, "channel.funding_outpoint")).lower()
    for channel in await lsp.node.channels.list():
        if str(channel.funding) == outpoint:
            return paid, channel
    raise Untold(f"our node has no channel with the funding outpoint {shown(outpoint)}")


@clauses.must("LP-01", _BOLT11, "a paid order's bolt11.state goes forward: EXPECT_PAYMENT, HOLD, PAID, and no other")
async def states_go_forward(lsp: Subject) -> None:
    if (unanswered := (await _paid_once(lsp, "lsps1")).unanswered) is not None:
        raise unanswered
    paid = await paid_order(lsp, "lsps1")
    steps = [_ORDER_OF_STATES.index(state) for state in paid.states if state in _ORDER_OF_STATES]
    kept = len(steps) == len(paid.states) and steps == sorted(steps)
    expect(kept, f"the states were {shown(paid.states)}")


@clauses.must("LP-02", _BOLT11, "once the channel is open, the payment is taken, and bolt11.state is PAID")
async def is_paid(lsp: Subject) -> None:
    _expect_state(await paid_order(lsp, "lsps1"))


def _expect_state(paid: PaidOrder) -> None:
    state = at(paid.order, "payment.bolt11.state")
    expect(state == "PAID", f"bolt11.state is {shown(state)}")
    expect(not paid.unsettled, f"bolt11.state is PAID, but our payment is not complete: {shown(paid.unsettled)}")


@clauses.must("LP-03", _OPEN, "once the channel is open, order_state is COMPLETED")
async def is_completed(lsp: Subject) -> None:
    _expect_completed(await paid_order(lsp, "lsps1"))


def _expect_completed(paid: PaidOrder) -> None:
    state = paid.order.get("order_state")
    expect(state == "COMPLETED", f"order_state is {shown(state)}")


@clauses.must(
    "LP-04", f"{_CHANNEL}; bLIP-50, LSPS0.outpoint", "a completed order has a channel with its funding_outpoint"
)
async def has_an_outpoint(lsp: Subject) -> None:
    outpoint = at((await paid_order(lsp, "lsps1")).order, "channel.funding_outpoint")
    expect(isinstance(outpoint, str) and OUTPOINT.fullmatch(outpoint) is not None, f"it is {shown(outpoint)}")


@clauses.must("LP-05", _CHANNEL, "the channel has funded_at, and expires_at after it")
async def has_its_times(lsp: Subject) -> None:
    channel = at((await paid_order(lsp, "lsps1")).order, "channel")
    funded, expires = as_datetime(at(channel, "funded_at")), as_datetime(at(channel, "expires_at"))
    kept = funded is not None and expires is not None and expires > funded
    expect(kept, f"they are {shown(at(channel, 'funded_at'))} and {shown(at(channel, 'expires_at'))}")


@clauses.must("LP-08", _CHANNEL, "channel.expires_at respects channel_expiry_blocks, at nine minutes a block or more")
async def lasts_long_enough(lsp: Subject) -> None:
    order = (await paid_order(lsp, "lsps1")).order
    funded, expires = as_datetime(at(order, "channel.funded_at")), as_datetime(at(order, "channel.expires_at"))
    if funded is None or expires is None or expires <= funded:
        raise Untold("the channel has no such times: see LP-05")
    blocks = (await lsp.channel_request())["channel_expiry_blocks"]
    # A block is ten minutes in the mean. A tenth less passes: it may be reckoned from the order, or by past blocks.
    expect(expires - funded >= blocks * _LEAST_BLOCK, f"{blocks} blocks were ordered, it lasts {expires - funded}")


@clauses.must("LP-06", _OPEN, "the channel has at least the capacity of both balances, and client_balance_sat is ours")
async def channel_is_large_enough(lsp: Subject) -> None:
    _, channel = await _channel(lsp)
    request = await lsp.channel_request()
    ours, theirs = int(request["client_balance_sat"]), int(request["lsp_balance_sat"])
    expect(int(channel.capacity) >= ours + theirs, f"the capacity is {channel.capacity} sat, not {ours + theirs}")
    # A pending channel may not tell what was pushed; so far it is the whole of our balance.
    pushed = max(int(channel.pushed), int(channel.local_balance))
    expect(pushed >= ours, f"{pushed} sat were pushed to us, not {ours}")


@clauses.must("LP-07", _OPEN, "announce_channel is respected")
async def announcement_is_respected(lsp: Subject) -> None:
    _, channel = await _channel(lsp)
    announce = (await lsp.channel_request())["announce_channel"]
    expect(channel.private is not announce, f"the channel is {'private' if channel.private else 'announced'}")


@clauses.must("LP-10", "bLIP-57 §4; bLIP-51 §3.1", "a paid extension's bolt11.state becomes PAID")
async def extension_is_paid(lsp: Subject) -> None:
    if (unanswered := (await _paid_once(lsp, "lsps7")).unanswered) is not None:
        raise unanswered
    _expect_state(await paid_order(lsp, "lsps7"))


@clauses.must("LP-11", "bLIP-57 §2", "a paid extension's order_state becomes COMPLETED")
async def extension_is_completed(lsp: Subject) -> None:
    _expect_completed(await paid_order(lsp, "lsps7"))


@clauses.must("LP-12", "bLIP-57, Order Flow Overview", "a paid extension shows in the list: expiration_block has moved")
async def extension_is_delivered(lsp: Subject) -> None:
    paid = await paid_order(lsp, "lsps7")
    promised, scid = as_amount(paid.order.get("new_channel_expiry_block")), at(paid.order, "channel.short_channel_id")
    listed = at((await lsp.probe.request("lsps7.get_extendable_channels", {})).result, "extendable_channels")
    entries = [entry for entry in (listed if isinstance(listed, list) else []) if at(entry, "short_channel_id") == scid]
    if not entries and (await lsp.extension_request())[_BLOCKS] == (await lsp.channel())[_MAXIMUM]:
        raise Untold("it is extended as far as can be, and not in the list any more")
    expect(bool(entries), f"{shown(scid)} is not in the list any more")
    expiration = as_amount(at(entries[0], "expiration_block"))
    kept = promised is not None and expiration is not None and expiration >= promised
    expect(kept, f"expiration_block is {shown(expiration)}, {shown(promised)} was promised")


CHECKS = tuple(sorted(clauses.all(), key=lambda check: check.id))
