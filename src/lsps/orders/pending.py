"""What hangs on an order: its effects, due times and reserved inputs are functions of the order itself.

A store writes them beside the order in the same commit, so they cannot drift apart from it.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from lsps.orders.events import Rules
from lsps.orders.model import FINAL, Order, Service, State
from lsps.units import BlockHeight, Outpoint


class EffectName(StrEnum):
    """Something to be done at the node, at least once, until its outcome is an event."""

    CHECK_CHANNEL = "check channel"
    CHOOSE_INPUTS = "choose inputs"
    OPEN_CHANNEL = "open channel"
    SETTLE_INVOICE = "settle invoice"
    CANCEL_INVOICE = "cancel invoice"


def effects(order: Order) -> frozenset[EffectName]:
    """The effects an order in this state has."""
    names = set()
    if order.state is State.PAID:
        lsps1 = order.service is Service.LSPS1
        names.add(EffectName.CHOOSE_INPUTS if lsps1 else EffectName.CHECK_CHANNEL)
    elif order.state is State.FULFILLING:
        names.add(EffectName.OPEN_CHANNEL)
    elif order.state is State.FULFILLED:
        names.add(EffectName.SETTLE_INVOICE)
    if order.bolt11 is not None and order.bolt11.cancelling:
        names.add(EffectName.CANCEL_INVOICE)
    return frozenset(names)


def due_at(order: Order) -> datetime | None:
    """When time alone moves the order on."""
    if order.state is State.AWAITING_PAYMENT and order.bolt11 is not None:
        return order.bolt11.expires_at
    return order.give_up_at if order.state is State.PAID else None


def due_height(order: Order, rules: Rules) -> BlockHeight | None:
    """The tip from which a held payment comes too near its timeout to be kept waiting."""
    if order.state is not State.PAID or order.bolt11 is None or order.bolt11.earliest_expiry is None:
        return None
    return BlockHeight(max(0, int(order.bolt11.earliest_expiry) - rules.hold_margin_blocks + 1))


def reserved_inputs(order: Order) -> tuple[Outpoint, ...]:
    """Wallet outputs that no other order may choose, until this one's opening is decided."""
    return order.funding.inputs if order.funding is not None and order.state is State.FULFILLING else ()


def watched_hash(order: Order) -> bytes | None:
    """The payment hash whose invoice the node is asked about, while it can still change."""
    if order.bolt11 is None or order.bolt11.cancelled or order.state in FINAL:
        return None
    return order.bolt11.payment_hash


def is_unpaid(order: Order) -> bool:
    """Whether the order counts against its principal's limit of unpaid orders."""
    return order.state is State.AWAITING_PAYMENT
