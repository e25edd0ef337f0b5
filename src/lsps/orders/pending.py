"""What hangs on an order: its effects, due times and reserved inputs are functions of the order itself.

A store writes them beside the order in the same commit, so they cannot drift apart from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from enum import StrEnum

from lsps.orders.deposits import OUTCOME_KNOWN, is_covered
from lsps.orders.events import Rules
from lsps.orders.model import FINAL, Deposit, Order, PaymentMethod, Service, State
from lsps.units import BlockHeight, Outpoint


class EffectName(StrEnum):
    """Something to be done at the node, at least once, until its outcome is an event."""

    CHECK_CHANNEL = "check channel"
    CHOOSE_INPUTS = "choose inputs"
    OPEN_CHANNEL = "open channel"
    SETTLE_INVOICE = "settle invoice"
    CANCEL_INVOICE = "cancel invoice"
    SIGN_REFUND = "sign refund"
    PUBLISH_REFUND = "publish refund"


def effects(order: Order) -> frozenset[EffectName]:
    """The effects an order in this state has."""
    names = set()
    if order.state is State.PAID and is_covered(order):
        lsps1 = order.service is Service.LSPS1
        names.add(EffectName.CHOOSE_INPUTS if lsps1 else EffectName.CHECK_CHANNEL)
    elif order.state is State.FULFILLING:
        names.add(EffectName.OPEN_CHANNEL)
    elif order.state is State.FULFILLED:
        names.add(EffectName.SETTLE_INVOICE)
    if order.bolt11 is not None and order.bolt11.cancelling:
        names.add(EffectName.CANCEL_INVOICE)
    if refunds_to_sign(order):
        names.add(EffectName.SIGN_REFUND)
    if refunds_to_publish(order):
        names.add(EffectName.PUBLISH_REFUND)
    return frozenset(names)


def refunds_to_sign(order: Order) -> tuple[Deposit, ...]:
    """Deposits that need a refund, or one that pays more."""
    return tuple(deposit for deposit in _returning(order) if not deposit.refunds or deposit.bump)


def refunds_to_publish(order: Order) -> tuple[Deposit, ...]:
    """Deposits whose newest refund is signed and stored, and not known to be in the network."""
    return tuple(d for d in _returning(order) if d.refunds and d.refunds[-1].published_at is None)


def _returning(order: Order) -> Iterator[Deposit]:
    for deposit in () if order.onchain is None else order.onchain.deposits:
        if deposit.refund_due and not (deposit.gone or deposit.left) and deposit.refunded_at is None:
            yield deposit


def due_at(order: Order) -> datetime | None:
    """When time alone moves the order on."""
    times: list[datetime | None] = []
    if order.state is State.AWAITING_PAYMENT:
        # The invoice is cancelled when it expires, the order closed when nothing is left. An address that expires
        # before its invoice is nothing to do by itself, and must not be due until then.
        if order.bolt11 is not None and not (order.bolt11.cancelled or order.bolt11.cancelling):
            times.append(order.bolt11.expires_at)
        elif order.onchain is not None:
            times.append(order.onchain.deadline)
    elif order.state is State.PAID:
        times.append(order.give_up_at)
    if order.onchain is not None:
        times.extend(deposit.bump_at for deposit in order.onchain.deposits)
    return min((time for time in times if time is not None), default=None)


def due_height(order: Order, rules: Rules) -> BlockHeight | None:
    """The tip from which a held payment comes too near its timeout to be kept waiting."""
    if order.state is not State.PAID or order.paid_by is not PaymentMethod.BOLT11:
        return None
    if order.bolt11 is None or order.bolt11.earliest_expiry is None:
        return None
    return BlockHeight(max(0, int(order.bolt11.earliest_expiry) - rules.hold_margin_blocks + 1))


def reserved_inputs(order: Order) -> tuple[Outpoint, ...]:
    """Wallet outputs that no other order may choose, until this one's opening is decided."""
    return order.funding.inputs if order.funding is not None and order.state is State.FULFILLING else ()


def watched_hash(order: Order) -> bytes | None:
    """The payment hash whose invoice the node is asked about, while it can still change."""
    if order.bolt11 is None or order.bolt11.cancelled:
        return None
    if order.state in FINAL and not order.bolt11.cancelling:
        return None
    return order.bolt11.payment_hash


NEVER = BlockHeight(2**32 - 1)


def deposits_until(order: Order) -> BlockHeight | None:
    """The last block that told something of the order's deposits, NEVER while one is under way; None without any.

    A reorganisation of that block may change them, so they are read again until it is buried.
    """
    deposits = () if order.onchain is None else order.onchain.deposits
    return max((until for until in map(deposit_until, deposits) if until is not None), default=None)


def deposit_until(deposit: Deposit) -> BlockHeight | None:
    """As `deposits_until`, of one; None when it is gone."""
    if deposit.gone:
        return None
    returning = deposit.refund_due and not deposit.left and deposit.refunded_at is None
    return NEVER if returning or deposit.height is None else deposit.refunded_at or deposit.height


def owes(order: Order) -> bool:
    """Whether something of its deposits is too little to go back by itself, under today's rules: other ones may say
    otherwise."""
    deposits = () if order.onchain is None or order.state not in OUTCOME_KNOWN else order.onchain.deposits
    here = (d for d in deposits if d.height is not None and not (d.gone or d.left or d.refund_due))
    return any(deposit.kept < deposit.amount for deposit in here)


def is_unpaid(order: Order) -> bool:
    """Whether the order counts against its principal's limit of unpaid orders."""
    return order.state is State.AWAITING_PAYMENT
