"""Orders and leases as rows, and back. What hangs on an order (`orders.pending`) becomes columns to query by."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from lsps.orders import pending
from lsps.orders.events import Rules
from lsps.orders.model import Lease, Order, OriginalOrder, Service, State
from lsps.store.orders import StoreUnavailable
from lsps.store.sqlite import body
from lsps.store.sqlite.times import from_micros, from_micros_or_none, to_micros, to_micros_or_none
from lsps.units import BlockHeight, ChannelId, NodeId, OrderId

Row = tuple[Any, ...]
T = TypeVar("T")
Parameters = dict[str, object]

DAMAGED = (msgspec.MsgspecError, ValueError, OverflowError, RecursionError)
"""What a damaged row raises: no JSON of its form, no value of its unit, a moment beyond what a datetime holds."""


def order_parameters(order: Order, rules: Rules) -> Parameters:
    """For INSERT_ORDER and UPDATE_ORDER; the version is the one the row gets."""
    due_height = pending.due_height(order, rules)
    deposits_until = pending.deposits_until(order)
    return {
        "lsp": order.lsp.hex,
        "id": order.id,
        "version": order.version + 1,
        "principal": order.principal.hex,
        "state": order.state.value,
        "created_at": to_micros(order.created_at),
        "closed_at": to_micros_or_none(order.closed_at),
        "payment_hash": None if order.bolt11 is None else order.bolt11.payment_hash,
        "address": None if order.onchain is None else order.onchain.address,
        "deposits_until": None if deposits_until is None else int(deposits_until),
        "due_at": to_micros_or_none(pending.due_at(order)),
        "due_height": None if due_height is None else int(due_height),
        "unpaid": int(pending.is_unpaid(order)),
        "watched": int(pending.watched_hash(order) is not None),
        "owes": int(pending.owes(order)),
        "prunable_since": to_micros_or_none(order.closed_at) if _is_prunable(order) else None,
        "body": body.encode(order),
    }


def _is_prunable(order: Order) -> bool:
    """Failed, no money was ever seen for it or can come, and nothing of it is left to do (money rule 4: no payment
    disappears). An address can be paid for ever."""
    if order.state is not State.FAILED or order.onchain is not None or pending.effects(order):
        return False
    return order.paid_by is None and not (order.bolt11 and order.bolt11.held)


def order_from_row(row: Row) -> Order:
    """Raises StoreUnavailable when the row is damaged."""
    order_id, lsp, version, principal, state, created_at, closed_at, payment_hash, address, text = row
    try:
        rest = body.decode(text)
        return Order(
            id=OrderId(order_id),
            lsp=NodeId(lsp),
            version=version,
            principal=NodeId(principal),
            state=State(state),
            created_at=from_micros(created_at),
            closed_at=from_micros_or_none(closed_at),
            terms=rest.terms.value(),
            token=rest.token,
            counts_token_use=rest.counts_token_use,
            bolt11=None if rest.bolt11 is None else rest.bolt11.value(_there(payment_hash)),
            onchain=None if rest.onchain is None else rest.onchain.value(_there(address)),
            paid_by=rest.paid_by,
            give_up_at=from_micros_or_none(rest.give_up_at),
            funding=None if rest.funding is None else rest.funding.value(),
            channel=None if rest.channel is None else rest.channel.value(),
            reason=rest.reason,
        )
    except DAMAGED as error:
        raise StoreUnavailable(f"the stored order {order_id} is damaged: put back a copy of the store") from error


def _there(column: T | None) -> T:
    """What the body speaks of must be in its column. Raises ValueError."""
    if column is None:
        raise ValueError("a column that the body needs is empty")
    return column


def lease_parameters(lease: Lease) -> Parameters:
    """For INSERT_LEASE and UPDATE_LEASE; the version is the one the row gets."""
    return {
        "lsp": lease.lsp.hex,
        "channel_id": lease.channel_id.hex,
        "version": lease.version + 1,
        "peer": lease.peer.hex,
        "expiration_block": int(lease.expiration_block),
        "provisional_from": None if lease.provisional_from is None else int(lease.provisional_from),
        "expires_at": to_micros_or_none(lease.expires_at),
        "original_order_id": None if lease.original_order is None else lease.original_order.id,
        "original_service": None if lease.original_order is None else lease.original_order.service.value,
        "extension_order_ids": msgspec.json.encode(lease.extension_order_ids).decode(),
        "ended": int(lease.ended),
        "confirmed_at": None if lease.confirmed_at is None else int(lease.confirmed_at),
    }


def lease_from_row(row: Row) -> Lease:
    """Raises StoreUnavailable when the row is damaged."""
    channel_id, lsp, version, peer, expires, provisional, confirmed, *rest = row
    expires_at, original_id, service, extensions, ended = rest
    try:
        return Lease(
            channel_id=ChannelId(channel_id),
            lsp=NodeId(lsp),
            version=version,
            peer=NodeId(peer),
            expiration_block=BlockHeight(expires),
            provisional_from=None if provisional is None else BlockHeight(provisional),
            confirmed_at=None if confirmed is None else BlockHeight(confirmed),
            expires_at=from_micros_or_none(expires_at),
            original_order=None if original_id is None else OriginalOrder(original_id, Service(service)),
            extension_order_ids=msgspec.json.decode(extensions, type=tuple[OrderId, ...]),
            ended=bool(ended),
        )
    except DAMAGED as error:
        raise StoreUnavailable(f"the stored lease of {channel_id} is damaged: put back a copy of the store") from error
