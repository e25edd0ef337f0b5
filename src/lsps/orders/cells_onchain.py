"""What the cells of the transition table do with on-chain payments (bLIP-51 §3.3). Pure; see cells.py."""

from __future__ import annotations

from dataclasses import replace

from lsps.orders import deposits
from lsps.orders.cells import IllegalTransition, Outcome, invoice_closed, paid
from lsps.orders.events import DepositsSeen, Event, Now, RefundLeft, RefundPublished, RefundSigned, Rules
from lsps.orders.model import Deposit, Lease, OnchainOption, Order, PaymentMethod, State
from lsps.units import Outpoint


def deposited(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    """bLIP-51 §3.3: PAID when the payment is confirmed. The invoice beside it takes no more from then on."""
    order, option = _merged(order, event, now)
    if not isinstance(event, DepositsSeen) or deposits.confirmed(option, now.tip) < option.order_total:
        return Outcome(order)
    order = replace(invoice_closed(order), paid_by=PaymentMethod.ONCHAIN, state=State.PAID)
    return paid(deposits.settle(order, now, rules), lease, event.channel, now, rules)


def deposits_while_paid(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    """A reorganisation may take the payment back, and bring it again: what is not begun waits for it."""
    covered = deposits.is_covered(order)
    order = deposits.settle(_merged(order, event, now)[0], now, rules)
    if deposits.is_covered(order) is not covered:
        order = replace(order, give_up_at=now.time + rules.confirm_within)
    return Outcome(order)


def deposits_noted(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    return Outcome(_merged(order, event, now)[0])


def refund_signed(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    """Stored before it is published. One that is not wanted any more, or for another amount since a reorganisation
    came in between, is forgotten: nobody else has it."""
    if not isinstance(event, RefundSigned):
        raise IllegalTransition(order, event)
    deposit = _deposit(order, event, event.outpoint)
    if not deposit.refund_due or deposit.refunded_at is not None or (deposit.refunds and not deposit.bump):
        return Outcome(order)
    if not event.refund.paid <= deposit.excess <= event.refund.paid + event.refund.fee:
        return Outcome(order)
    return Outcome(_with_deposit(order, replace(deposit, refunds=(*deposit.refunds, event.refund), bump=False)))


def refund_published(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    if not isinstance(event, RefundPublished):
        raise IllegalTransition(order, event)
    deposit = _deposit(order, event, event.outpoint)
    if all(refund.txid != event.txid for refund in deposit.refunds):
        raise IllegalTransition(order, event)
    refunds = tuple(
        replace(refund, published_at=now.time) if refund.txid == event.txid and refund.published_at is None else refund
        for refund in deposit.refunds
    )
    return Outcome(_with_deposit(order, replace(deposit, refunds=refunds)))


def refund_left(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    if not isinstance(event, RefundLeft):
        raise IllegalTransition(order, event)
    deposit = _deposit(order, event, event.outpoint)
    if deposit.refunds or not deposit.refund_due:
        return Outcome(order)
    return Outcome(_with_deposit(order, replace(deposit, left=event.reason, refund_due=False)))


def _merged(order: Order, event: Event, now: Now) -> tuple[Order, OnchainOption]:
    if not isinstance(event, DepositsSeen) or order.onchain is None:
        raise IllegalTransition(order, event)
    option = deposits.merge(order, order.onchain, event, now)
    return replace(order, onchain=option), option


def _deposit(order: Order, event: Event, outpoint: Outpoint) -> Deposit:
    for deposit in () if order.onchain is None else order.onchain.deposits:
        if deposit.outpoint == outpoint:
            return deposit
    raise IllegalTransition(order, event)


def _with_deposit(order: Order, changed: Deposit) -> Order:
    if order.onchain is None:
        return order
    all_of_them = tuple(
        changed if deposit.outpoint == changed.outpoint else deposit for deposit in order.onchain.deposits
    )
    return replace(order, onchain=replace(order.onchain, deposits=all_of_them))
