"""What must come of a paid order (bLIP-51 §3.1, §4.1; bLIP-57): only with `--pay`, only on a test network."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from lsps.check.model import Clauses, Skipped, Untold, expect
from lsps.check.subject import Subject
from lsps.check.values import OUTPOINT, as_amount, as_datetime, at, shown
from lsps.node.contract import Channel, NodeError, PaymentStatus
from lsps.protocol.errors import NOT_FOUND
from lsps.units import Network, Sat

clauses = Clauses("paid")

_BOLT11 = "bLIP-51 §3.1"
_OPEN = "bLIP-51 §4.1"
_CHANNEL = "bLIP-51 §4"
_ENDED = frozenset({"COMPLETED", "FAILED"})
_ORDER_OF_STATES = ("EXPECT_PAYMENT", "HOLD", "PAID")
_ROUTE_FEE_DIVISOR = 100
_ROUTE_FEE_LEAST = Sat(10)


@dataclass(slots=True)
class PaidOrder:
    """An order that was paid: the states that were seen, one after the other, and how it was told at last."""

    order: dict[str, Any]
    states: list[object] = field(default_factory=list)
    failure: str = ""


async def paid_order(lsp: Subject, service: str) -> PaidOrder:
    """The order without token and refund address, paid once. Raises Skipped when nothing may be paid."""
    if lsp.spending is None:
        raise Skipped("it pays an order: needs --pay")
    if lsp.network is not Network.REGTEST:
        raise Skipped(f"orders are paid on regtest alone, our node is on {lsp.network}")
    if service not in lsp.paid:
        order = await (lsp.channel_order() if service == "lsps1" else lsp.extension_order())
        lsp.paid[service] = await _pay(lsp, service, order, lsp.spending.max_fee)
    paid: PaidOrder = lsp.paid[service]
    if paid.failure:
        raise Untold(paid.failure)
    return paid


async def _pay(lsp: Subject, service: str, order: dict[str, Any], max_fee: Sat) -> PaidOrder:
    option = at(order, "payment.bolt11")
    fee, total = as_amount(at(option, "fee_total_sat")), as_amount(at(option, "order_total_sat"))
    invoice = at(option, "invoice")
    if lsp.node.payments is None:
        return PaidOrder(order, failure="our node cannot pay")
    if fee is None or total is None or not isinstance(invoice, str):
        return PaidOrder(order, failure="the order has no BOLT 11 invoice")
    balance = as_amount(order.get("client_balance_sat")) or 0
    if fee > int(max_fee) or total > fee + balance:
        return PaidOrder(order, failure=f"the order costs {fee} sat, more than --max-fee-sat allows")
    route_fee = Sat(max(total // _ROUTE_FEE_DIVISOR, int(_ROUTE_FEE_LEAST)))
    paying = asyncio.create_task(_settle(lsp, invoice, route_fee))
    try:
        return await _follow(lsp, service, order, paying)
    finally:
        paying.cancel()


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
        reply = await lsp.probe.request(f"{service}.get_order", {"order_id": order.get("order_id")})
        if isinstance(reply.result, dict):
            paid.order = reply.result
            state = at(reply.result, "payment.bolt11.state")
            if not paid.states or paid.states[-1] != state:
                paid.states.append(state)
        if paying.done() and paid.order.get("order_state") in _ENDED and paid.states[-1] in {"PAID", "REFUNDED"}:
            break
        if reply.code == NOT_FOUND:
            break
        await lsp.probe.sleep(lsp.probe.times.poll)
    if paying.done() and (failure := await paying) and "HOLD" not in paid.states and "PAID" not in paid.states:
        paid.failure = f"our node could not pay: {failure}"
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
    _expect_state(await paid_order(lsp, "lsps7"))


@clauses.must("LP-11", "bLIP-57 §2", "a paid extension's order_state becomes COMPLETED")
async def extension_is_completed(lsp: Subject) -> None:
    _expect_completed(await paid_order(lsp, "lsps7"))


@clauses.must("LP-12", "bLIP-57, Order Flow Overview", "a paid extension shows in the list: expiration_block has moved")
async def extension_is_delivered(lsp: Subject) -> None:
    paid = await paid_order(lsp, "lsps7")
    promised, scid = as_amount(paid.order.get("new_channel_expiry_block")), at(paid.order, "channel.short_channel_id")
    listed = at((await lsp.probe.request("lsps7.get_extendable_channels", {})).result, "extendable_channels")
    entries = [entry for entry in listed or () if at(entry, "short_channel_id") == scid]
    expect(bool(entries), f"{shown(scid)} is not in the list any more")
    expiration = as_amount(at(entries[0], "expiration_block"))
    kept = promised is not None and expiration is not None and expiration >= promised
    expect(kept, f"expiration_block is {shown(expiration)}, {shown(promised)} was promised")


CHECKS = clauses.all()
