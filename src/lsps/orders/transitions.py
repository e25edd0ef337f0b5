"""The life of an order as a table: (state, event) to what happens. Pure; tests walk every state times every event.

    awaiting payment ──held──▶ paid ──inputs chosen──▶ fulfilling ──opened──▶ fulfilled ──settled──▶ completed
          │                     │ └──LSPS7: in the commit that sees the payment──▶ ┘ └──slipped away──▶ unpaid
          └──expired──▶ closing ◀──given up, failed for certain──┘
                          └──node confirmed──▶ failed

A pair that is not in the table is an IllegalTransition: the event contradicts what the order is, and nothing changes.
Events that bring money are legal in every state, final ones too, and lead to giving it back (money rule 4).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from lsps.errors import LspsError
from lsps.orders import leases
from lsps.orders.events import (
    ChannelChecked,
    ChannelOpened,
    ChannelStanding,
    Event,
    InputsChosen,
    InvoiceCancelled,
    InvoiceSettled,
    Now,
    OpenFailed,
    PaymentHeld,
    Placed,
    Rules,
    TimePassed,
)
from lsps.orders.model import (
    FINAL,
    ChannelTerms,
    Extension,
    ExtensionTerms,
    FundedChannel,
    Funding,
    Lease,
    Order,
    PaymentMethod,
    State,
    TokenChange,
)


class IllegalTransition(LspsError):
    """The event cannot happen to an order in this state: a contradiction to be looked at, not to be guessed around."""

    def __init__(self, order: Order, event: object) -> None:
        super().__init__(f"order {order.id} is {order.state.value}: {type(event).__name__} cannot happen to it")
        self.state = order.state
        self.event = event


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one commit stores: the order, and with it whatever else changed. `lease` None: unchanged."""

    order: Order
    lease: Lease | None = None
    extension: Extension | None = None
    token: TokenChange | None = None


Handler = Callable[[Order, Lease | None, Event, Now, Rules], Outcome]


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
    )
    outcome = Outcome(order)
    if order.is_free:
        outcome = _paid(order, lease, ChannelStanding.GOOD, now, rules)
    if event.token_uses is None or outcome.order.state is State.FAILED:
        return outcome
    consumed = outcome.order.state is State.COMPLETED
    return replace(outcome, token=TokenChange(event.token, int(not consumed), int(consumed), event.token_uses))


def step(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    """The order and the lease after the event. Raises IllegalTransition."""
    handler = TRANSITIONS.get((order.state, type(event)))
    if handler is None or not _concerns(order, event):
        raise IllegalTransition(order, event)
    return _with_token(order, handler(order, lease, event, now, rules))


def _concerns(order: Order, event: Event) -> bool:
    """Whether such an order can have such an event at all: a free one has no invoice, an extension opens nothing."""
    match event:
        case PaymentHeld() | InvoiceCancelled() | InvoiceSettled():
            return not order.is_free
        case ChannelChecked():
            return isinstance(order.terms, ExtensionTerms)
        case InputsChosen() | ChannelOpened() | OpenFailed():
            return isinstance(order.terms, ChannelTerms)
        case TimePassed() | Placed():
            return True


# --- what the table's cells do --------------------------------------------------------------------------------------


def _same(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    return Outcome(order)


def _held(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    """A payment arrived for an order that waits for one."""
    if not isinstance(event, PaymentHeld) or order.bolt11 is None:
        raise IllegalTransition(order, event)
    order_total = order.bolt11.order_total
    order = replace(_noted(order, event), paid_by=PaymentMethod.BOLT11)
    if event.held < order_total.to_msat():
        return _give_back(order, "less was paid than the order costs", now)
    if _too_near_timeout(order, now, rules):
        return _give_back(order, "the payment would time out too soon", now)
    return _paid(order, lease, event.channel, now, rules)


def _paid(order: Order, lease: Lease | None, standing: ChannelStanding, now: Now, rules: Rules) -> Outcome:
    """Paid, or free. An extension is no effect at the node, so it is fulfilled in this very commit."""
    order = replace(order, state=State.PAID, give_up_at=now.time + rules.give_up_after)
    if isinstance(order.terms, ChannelTerms):
        return Outcome(order)
    return _decide_extension(order, order.terms, lease, standing, now, rules)


def _checked(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    if not isinstance(event, ChannelChecked) or not isinstance(order.terms, ExtensionTerms):
        raise IllegalTransition(order, event)
    return _decide_extension(order, order.terms, lease, event.channel, now, rules)


def _decide_extension(
    order: Order, terms: ExtensionTerms, lease: Lease | None, standing: ChannelStanding, now: Now, rules: Rules
) -> Outcome:
    """Re-checked at completion: the channel is there, and the lease within the maximum with these blocks added."""
    if standing is ChannelStanding.UNKNOWN:
        return Outcome(order)
    if standing is ChannelStanding.GONE or (lease is not None and lease.ended):
        return _give_back(order, "the channel is closing, closed or no longer the peer's", now)
    if _too_near_timeout(order, now, rules):
        return _give_back(order, "the payment would time out too soon", now)
    if leases.blocks_after(lease, terms, now.tip) > rules.max_extension_blocks:
        return _give_back(order, "other extensions came first: the lease would end beyond the maximum", now)
    lease, extension = leases.extend(order, terms, lease, now)
    return Outcome(_fulfilled(order, now), lease, extension)


def _fulfilled(order: Order, now: Now) -> Order:
    """Delivered: what is held is taken, what slipped away is a loss, what was free is complete."""
    if order.is_free:
        return replace(order, state=State.COMPLETED, closed_at=now.time, give_up_at=None)
    if order.bolt11 is not None and order.bolt11.cancelled:
        return _loss(order, now)
    return replace(order, state=State.FULFILLED, give_up_at=None)


def _loss(order: Order, now: Now) -> Order:
    reason = "delivered, but the payment slipped away before it was settled"
    return replace(order, state=State.UNPAID, closed_at=now.time, reason=reason)


def _give_back(order: Order, reason: str, now: Now) -> Outcome:
    """Cancel at the node first; FAILED and REFUNDED are told only after it confirmed (money rule 5)."""
    if order.bolt11 is None or (order.bolt11.cancelled and not order.bolt11.cancelling):
        return Outcome(_failed(order, reason, now))
    bolt11 = replace(order.bolt11, cancelling=True)
    return Outcome(replace(order, state=State.CLOSING, bolt11=bolt11, reason=reason, give_up_at=None))


def _failed(order: Order, reason: str, now: Now) -> Order:
    return replace(order, state=State.FAILED, reason=reason, closed_at=now.time, give_up_at=None)


def _too_near_timeout(order: Order, now: Now, rules: Rules) -> bool:
    if order.bolt11 is None or order.bolt11.earliest_expiry is None:
        return False
    return order.bolt11.earliest_expiry.blocks_since(now.tip) < rules.hold_margin_blocks


def _held_again(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    """The same payment seen once more; its first timeout may have changed while more parts came."""
    if not isinstance(event, PaymentHeld) or order.bolt11 is None:
        raise IllegalTransition(order, event)
    if order.bolt11.cancelled:
        return _held_too_late(order, lease, event, now, rules)
    return Outcome(_noted(order, event))


def _held_too_late(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    """Money after the cancellation was confirmed and told: given back, and what was told stays told."""
    if not isinstance(event, PaymentHeld) or order.bolt11 is None:
        raise IllegalTransition(order, event)
    return Outcome(_noted(replace(order, bolt11=replace(order.bolt11, cancelling=True)), event))


def _noted(order: Order, event: PaymentHeld) -> Order:
    if order.bolt11 is None:
        return order
    return replace(order, bolt11=replace(order.bolt11, held=event.held, earliest_expiry=event.earliest_expiry))


def _cancelled(order: Order) -> Order:
    if order.bolt11 is None:
        return order
    return replace(order, bolt11=replace(order.bolt11, cancelled=True, cancelling=False))


def _cancelled_unpaid(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    return Outcome(_failed(_cancelled(order), "it was not paid in time", now))


def _cancelled_paid(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    """The held payment went back before anything irrevocable was begun."""
    return Outcome(_failed(_cancelled(order), "the held payment went back", now))


def _cancelled_noted(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    """Noted; in fulfilling the opening's outcome is awaited all the same."""
    return Outcome(_cancelled(order))


def _cancelled_fulfilled(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    return Outcome(_loss(_cancelled(order), now))


def _given_back(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    return Outcome(_failed(_cancelled(order), order.reason, now))


def _settled(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    return Outcome(replace(order, state=State.COMPLETED, closed_at=now.time))


def _expire(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    """An order expires with its last option (bLIP-51 §3: expiry is the option's)."""
    if order.bolt11 is None or now.time < order.bolt11.expires_at:
        return Outcome(order)
    return _give_back(order, "it was not paid in time", now)


def _give_up(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    if _too_near_timeout(order, now, rules):
        return _give_back(order, "the payment would time out too soon", now)
    if order.give_up_at is not None and now.time >= order.give_up_at:
        return _give_back(order, "it could not be fulfilled in time", now)
    return Outcome(order)


def _choose(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    if not isinstance(event, InputsChosen) or not isinstance(order.terms, ChannelTerms) or not event.inputs:
        raise IllegalTransition(order, event)
    given_up = _give_up(order, lease, event, now, rules)
    if given_up.order is not order:
        return given_up
    funding = Funding(event.inputs, event.sat_per_kw, now.tip)
    return Outcome(replace(order, state=State.FULFILLING, funding=funding, give_up_at=None))


def _opened(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    if not isinstance(event, ChannelOpened) or not isinstance(order.terms, ChannelTerms):
        raise IllegalTransition(order, event)
    lease = leases.begin(order, order.terms, event.funding, lease, now)
    channel = FundedChannel(event.funding, now.time, leases.channel_expires_at(order.terms, now.time))
    return Outcome(_fulfilled(replace(order, channel=channel), now), lease)


def _opened_again(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    if not isinstance(event, ChannelOpened) or order.channel is None or order.channel.funding_outpoint != event.funding:
        raise IllegalTransition(order, event)
    return Outcome(order)


def _open_failed(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    if not isinstance(event, OpenFailed):
        raise IllegalTransition(order, event)
    return _give_back(order, event.reason, now)


def _with_token(before: Order, outcome: Outcome) -> Outcome:
    """A use reserved with the order is released when it fails and consumed when it was delivered."""
    after = outcome.order
    if not after.counts_token_use or before.state in FINAL or after.state not in FINAL:
        return outcome
    consumed = 0 if after.state is State.FAILED else 1
    return replace(outcome, token=TokenChange(after.token, -1, consumed))


# --- the table ------------------------------------------------------------------------------------------------------

S = State
TRANSITIONS: dict[tuple[State, type[Event]], Handler] = {
    (S.AWAITING_PAYMENT, PaymentHeld): _held,
    (S.AWAITING_PAYMENT, InvoiceCancelled): _cancelled_unpaid,
    (S.AWAITING_PAYMENT, TimePassed): _expire,
    (S.PAID, PaymentHeld): _held_again,
    (S.PAID, InvoiceCancelled): _cancelled_paid,
    (S.PAID, TimePassed): _give_up,
    (S.PAID, ChannelChecked): _checked,
    (S.PAID, InputsChosen): _choose,
    (S.FULFILLING, PaymentHeld): _held_again,
    (S.FULFILLING, InvoiceCancelled): _cancelled_noted,
    (S.FULFILLING, TimePassed): _same,
    (S.FULFILLING, ChannelOpened): _opened,
    (S.FULFILLING, OpenFailed): _open_failed,
    (S.FULFILLED, PaymentHeld): _held_again,
    (S.FULFILLED, InvoiceCancelled): _cancelled_fulfilled,
    (S.FULFILLED, InvoiceSettled): _settled,
    (S.FULFILLED, TimePassed): _same,
    (S.FULFILLED, ChannelChecked): _same,
    (S.FULFILLED, ChannelOpened): _opened_again,
    (S.COMPLETED, PaymentHeld): _same,
    (S.COMPLETED, InvoiceSettled): _same,
    (S.COMPLETED, TimePassed): _same,
    (S.COMPLETED, ChannelChecked): _same,
    (S.COMPLETED, ChannelOpened): _opened_again,
    (S.UNPAID, PaymentHeld): _held_too_late,
    (S.UNPAID, InvoiceCancelled): _cancelled_noted,
    (S.UNPAID, TimePassed): _same,
    (S.UNPAID, ChannelChecked): _same,
    (S.UNPAID, ChannelOpened): _opened_again,
    (S.CLOSING, PaymentHeld): _held_again,
    (S.CLOSING, InvoiceCancelled): _given_back,
    (S.CLOSING, TimePassed): _same,
    (S.CLOSING, ChannelChecked): _same,
    (S.FAILED, PaymentHeld): _held_too_late,
    (S.FAILED, InvoiceCancelled): _cancelled_noted,
    (S.FAILED, TimePassed): _same,
    (S.FAILED, ChannelChecked): _same,
}
