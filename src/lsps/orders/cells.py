"""What the cells of the transition table do: order and event to outcome. Pure; the table is in transitions.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from lsps.errors import LspsError
from lsps.orders import deposits, leases
from lsps.orders.events import (
    ChannelChecked,
    ChannelOpened,
    ChannelStanding,
    Event,
    InputsChosen,
    Now,
    OpenFailed,
    PaymentHeld,
    Rules,
    TimePassed,
)
from lsps.orders.model import (
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


def same(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    return Outcome(order)


def held(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    """A payment arrived for an order that waits for one."""
    if not isinstance(event, PaymentHeld) or order.bolt11 is None:
        raise IllegalTransition(order, event)
    if order.bolt11.cancelled or order.bolt11.cancelling:
        return held_too_late(order, lease, event, now, rules)
    order_total = order.bolt11.order_total
    order = replace(_noted(order, event), paid_by=PaymentMethod.BOLT11)
    if event.held < order_total.to_msat():
        return _give_back(order, "less was paid than the order costs", now)
    if _too_near_timeout(order, now, rules):
        return _give_back(order, "the payment would time out too soon", now)
    return paid(order, lease, event.channel, now, rules)


def paid(order: Order, lease: Lease | None, standing: ChannelStanding, now: Now, rules: Rules) -> Outcome:
    """Paid, or free. An extension is no effect at the node, so it is fulfilled in this very commit."""
    # Nothing times out on-chain, a refund costs the customer fees, and a phone that paid may be off for the night.
    wait = rules.confirm_within if order.paid_by is PaymentMethod.ONCHAIN else rules.give_up_after
    order = replace(order, state=State.PAID, give_up_at=now.time + wait)
    if isinstance(order.terms, ChannelTerms):
        return Outcome(order)
    return _decide_extension(order, order.terms, lease, standing, now, rules)


def checked(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    if not isinstance(event, ChannelChecked) or not isinstance(order.terms, ExtensionTerms):
        raise IllegalTransition(order, event)
    return _decide_extension(order, order.terms, lease, event.channel, now, rules)


def _decide_extension(
    order: Order, terms: ExtensionTerms, lease: Lease | None, standing: ChannelStanding, now: Now, rules: Rules
) -> Outcome:
    """Re-checked at completion: the channel is there, and the lease within the maximum with these blocks added."""
    if standing is ChannelStanding.UNKNOWN or not deposits.is_covered(order):
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
    """Delivered: what is held is taken, what slipped away is a loss, what is paid already or free is complete."""
    if order.is_free or order.paid_by is PaymentMethod.ONCHAIN:
        return replace(order, state=State.COMPLETED, closed_at=now.time, give_up_at=None)
    if order.bolt11 is not None and order.bolt11.cancelled:
        return _loss(order, now)
    return replace(order, state=State.FULFILLED, give_up_at=None)


def _loss(order: Order, now: Now) -> Order:
    reason = "delivered, but the payment slipped away before it was settled"
    return replace(order, state=State.UNPAID, closed_at=now.time, reason=reason)


def _give_back(order: Order, reason: str, now: Now) -> Outcome:
    """Everything goes back first; FAILED and REFUNDED are told only after the node confirmed it (money rule 5), which
    `deposits.settle` sees."""
    return Outcome(replace(invoice_closed(order), state=State.CLOSING, reason=reason, give_up_at=None))


def invoice_closed(order: Order) -> Order:
    """The order, whose invoice takes no more: it is to be cancelled at the node, unless it is."""
    if order.bolt11 is None or order.bolt11.cancelled:
        return order
    return replace(order, bolt11=replace(order.bolt11, cancelling=True))


def _too_near_timeout(order: Order, now: Now, rules: Rules) -> bool:
    if order.paid_by is not PaymentMethod.BOLT11 or order.bolt11 is None or order.bolt11.earliest_expiry is None:
        return False
    return order.bolt11.earliest_expiry.blocks_since(now.tip) < rules.hold_margin_blocks


def held_again(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    """The same payment seen once more; its first timeout may have changed while more parts came."""
    if not isinstance(event, PaymentHeld) or order.bolt11 is None:
        raise IllegalTransition(order, event)
    if order.bolt11.cancelled or order.paid_by is not PaymentMethod.BOLT11:
        return held_too_late(order, lease, event, now, rules)
    return Outcome(_noted(order, event))


def held_too_late(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    """Money for an invoice that is not wanted any more: given back, and what was told stays told."""
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


def cancelled_unpaid(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    return _unless_payable(_cancelled(order), now)


def cancelled_paid(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    """The held payment went back before anything irrevocable was begun."""
    if order.paid_by is not PaymentMethod.BOLT11:
        return Outcome(_cancelled(order))
    return _give_back(_cancelled(order), "the held payment went back", now)


def cancelled_noted(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    """Noted; in fulfilling the opening's outcome is awaited all the same, in closing everything else that goes back."""
    return Outcome(_cancelled(order))


def cancelled_fulfilled(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    return Outcome(_loss(_cancelled(order), now))


def cancelled_completed(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    """The invoice of an order that was paid on-chain. One that was settled cannot be cancelled."""
    if order.paid_by is PaymentMethod.BOLT11:
        raise IllegalTransition(order, event)
    return Outcome(_cancelled(order))


def held_completed(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    """Seen late, and settled; or paid beside the on-chain payment, and given back."""
    if order.paid_by is PaymentMethod.BOLT11:
        return Outcome(order)
    return held_too_late(order, lease, event, now, rules)


def settled(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    return Outcome(replace(order, state=State.COMPLETED, closed_at=now.time))


def expire(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    """An order expires with its last option (bLIP-51 §3: expiry is the option's)."""
    return _unless_payable(order, now)


def _unless_payable(order: Order, now: Now) -> Outcome:
    """Closes an order that can be paid no more; an invoice that alone has expired takes no more."""
    bolt11, onchain = order.bolt11, order.onchain
    by_invoice = bolt11 is not None and not (bolt11.cancelled or bolt11.cancelling) and now.time < bolt11.expires_at
    on_chain = onchain is not None and now.time < onchain.deadline
    if not by_invoice and not on_chain:
        return _give_back(order, "it was not paid in time", now)
    return Outcome(order if by_invoice else invoice_closed(order))


def give_up(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    if _too_near_timeout(order, now, rules):
        return _give_back(order, "the payment would time out too soon", now)
    if order.give_up_at is not None and now.time >= order.give_up_at:
        why = f": {event.waits_for}" if isinstance(event, TimePassed) and event.waits_for else ""
        return _give_back(order, f"it could not be fulfilled in time{why}", now)
    return Outcome(order)


def choose(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    if not isinstance(event, InputsChosen) or not isinstance(order.terms, ChannelTerms) or not event.inputs:
        raise IllegalTransition(order, event)
    given_up = give_up(order, lease, event, now, rules)
    if given_up.order is not order:
        return given_up
    if not deposits.is_covered(order):
        return Outcome(order)
    funding = Funding(event.inputs, event.sat_per_kw, now.tip)
    return Outcome(replace(order, state=State.FULFILLING, funding=funding, give_up_at=None))


def opened(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    """By this store's opening; or of an order that is paid only, by one that the store has lost (docs/backup.md)."""
    if not isinstance(event, ChannelOpened) or not isinstance(order.terms, ChannelTerms):
        raise IllegalTransition(order, event)
    lease = leases.begin(order, order.terms, event.funding, lease, now)
    channel = FundedChannel(event.funding, now.time, leases.channel_expires_at(order.terms, now.time))
    return Outcome(_fulfilled(replace(order, channel=channel), now), lease)


def opened_again(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    if not isinstance(event, ChannelOpened) or order.channel is None or order.channel.funding_outpoint != event.funding:
        raise IllegalTransition(order, event)
    return Outcome(order)


def open_failed(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
    if not isinstance(event, OpenFailed):
        raise IllegalTransition(order, event)
    return _give_back(order, event.reason, now)
