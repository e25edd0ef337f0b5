"""The life of an order as a table: (state, event) to what happens. Pure; tests walk every state times every event.

    awaiting payment ──held──▶ paid ──inputs chosen──▶ fulfilling ──opened──▶ fulfilled ──settled──▶ completed
          │                     │ └──LSPS7: in the commit that sees the payment──▶ ┘ └──slipped away──▶ unpaid
          └──expired──▶ closing ◀──given up, failed for certain──┘
                          └──node confirmed──▶ failed

A pair that is not in the table is an IllegalTransition: the event contradicts what the order is, and nothing changes.
Events that bring money are legal in every state, final ones too, and lead to giving it back (money rule 4). An order
paid on-chain is completed as soon as it is fulfilled, since nothing is left to settle. Every step ends with
`deposits.settle`: it decides what is to be given back, and when a closing order has failed.
"""

from __future__ import annotations

from dataclasses import replace

from lsps.orders import cells, cells_onchain, deposits
from lsps.orders.cells import Handler, IllegalTransition, Outcome
from lsps.orders.events import (
    ChannelChecked,
    ChannelOpened,
    ChannelStanding,
    DepositsSeen,
    Event,
    InputsChosen,
    InvoiceCancelled,
    InvoiceSettled,
    Now,
    OpenFailed,
    PaymentHeld,
    Placed,
    RefundLeft,
    RefundPublished,
    RefundSigned,
    Rules,
    TimePassed,
)
from lsps.orders.model import FINAL, ChannelTerms, ExtensionTerms, Lease, Order, State, TokenChange

__all__ = ["TRANSITIONS", "IllegalTransition", "Outcome", "place", "step"]

S = State
TRANSITIONS: dict[tuple[State, type[Event]], Handler] = {
    (S.AWAITING_PAYMENT, PaymentHeld): cells.held,
    (S.AWAITING_PAYMENT, InvoiceCancelled): cells.cancelled_unpaid,
    (S.AWAITING_PAYMENT, TimePassed): cells.expire,
    (S.PAID, PaymentHeld): cells.held_again,
    (S.PAID, InvoiceCancelled): cells.cancelled_paid,
    (S.PAID, TimePassed): cells.give_up,
    (S.PAID, ChannelChecked): cells.checked,
    (S.PAID, InputsChosen): cells.choose,
    (S.PAID, ChannelOpened): cells.opened,
    (S.FULFILLING, PaymentHeld): cells.held_again,
    (S.FULFILLING, InvoiceCancelled): cells.cancelled_noted,
    (S.FULFILLING, TimePassed): cells.same,
    (S.FULFILLING, ChannelOpened): cells.opened,
    (S.FULFILLING, OpenFailed): cells.open_failed,
    (S.FULFILLED, PaymentHeld): cells.held_again,
    (S.FULFILLED, InvoiceCancelled): cells.cancelled_fulfilled,
    (S.FULFILLED, InvoiceSettled): cells.settled,
    (S.FULFILLED, TimePassed): cells.same,
    (S.FULFILLED, ChannelChecked): cells.same,
    (S.FULFILLED, ChannelOpened): cells.opened_again,
    (S.COMPLETED, PaymentHeld): cells.held_completed,
    (S.COMPLETED, InvoiceCancelled): cells.cancelled_completed,
    (S.COMPLETED, InvoiceSettled): cells.same,
    (S.COMPLETED, TimePassed): cells.same,
    (S.COMPLETED, ChannelChecked): cells.same,
    (S.COMPLETED, ChannelOpened): cells.opened_again,
    (S.UNPAID, PaymentHeld): cells.held_too_late,
    (S.UNPAID, InvoiceCancelled): cells.cancelled_noted,
    (S.UNPAID, TimePassed): cells.same,
    (S.UNPAID, ChannelChecked): cells.same,
    (S.UNPAID, ChannelOpened): cells.opened_again,
    (S.CLOSING, PaymentHeld): cells.held_again,
    (S.CLOSING, InvoiceCancelled): cells.cancelled_noted,
    (S.CLOSING, TimePassed): cells.same,
    (S.CLOSING, ChannelChecked): cells.same,
    (S.FAILED, PaymentHeld): cells.held_too_late,
    (S.FAILED, InvoiceCancelled): cells.cancelled_noted,
    (S.FAILED, TimePassed): cells.same,
    (S.FAILED, ChannelChecked): cells.same,
    (S.AWAITING_PAYMENT, DepositsSeen): cells_onchain.deposited,
    (S.PAID, DepositsSeen): cells_onchain.deposits_while_paid,
    **{(state, DepositsSeen): cells_onchain.deposits_noted for state in set(S) - {S.AWAITING_PAYMENT, S.PAID}},
    **{(state, RefundSigned): cells_onchain.refund_signed for state in S},
    **{(state, RefundPublished): cells_onchain.refund_published for state in S},
    **{(state, RefundLeft): cells_onchain.refund_left for state in S},
}


def place(event: Placed, lease: Lease | None, now: Now, rules: Rules) -> Outcome:
    """A new order. A free one is fulfilled as if paid: an extension at once (one commit), a channel by the engine."""
    order = Order(
        id=event.id,
        lsp=event.lsp,
        principal=event.principal,
        terms=event.terms,
        state=State.AWAITING_PAYMENT,
        created_at=now.time,
        token=event.token,
        counts_token_use=event.token_uses is not None,
        bolt11=event.bolt11,
        onchain=event.onchain,
    )
    outcome = Outcome(order)
    if order.is_free:
        outcome = cells.paid(order, lease, ChannelStanding.GOOD, now, rules)
        outcome = replace(outcome, order=deposits.settle(outcome.order, now, rules))
    if event.token_uses is None or outcome.order.state is State.FAILED:
        return outcome
    consumed = outcome.order.state is State.COMPLETED
    return replace(outcome, token=TokenChange(event.token, int(not consumed), int(consumed), event.token_uses))


def step(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    """The order and the lease after the event. Raises IllegalTransition."""
    handler = TRANSITIONS.get((order.state, type(event)))
    if handler is None or not _concerns(order, event):
        raise IllegalTransition(order, event)
    outcome = handler(order, lease, event, now, rules)
    return _with_token(order, replace(outcome, order=deposits.settle(outcome.order, now, rules)))


def _concerns(order: Order, event: Event) -> bool:
    """Whether such an order can have such an event at all: a free one has no invoice, an extension opens nothing."""
    match event:
        case PaymentHeld() | InvoiceCancelled() | InvoiceSettled():
            return order.bolt11 is not None
        case DepositsSeen() | RefundSigned() | RefundPublished() | RefundLeft():
            return order.onchain is not None
        case ChannelChecked():
            return isinstance(order.terms, ExtensionTerms)
        case InputsChosen() | ChannelOpened() | OpenFailed():
            return isinstance(order.terms, ChannelTerms)
        case TimePassed() | Placed():
            return True


def _with_token(before: Order, outcome: Outcome) -> Outcome:
    """A use reserved with the order is released when it fails and consumed when it was delivered."""
    after = outcome.order
    if not after.counts_token_use or before.state in FINAL or after.state not in FINAL:
        return outcome
    consumed = 0 if after.state is State.FAILED else 1
    return replace(outcome, token=TokenChange(after.token, -1, consumed))
