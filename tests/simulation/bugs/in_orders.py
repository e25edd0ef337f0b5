"""Bugs in the table of an order's life, and in what hangs on an order."""

from __future__ import annotations

from dataclasses import replace

from lsps.orders import cells, leases, pending, transitions, wire
from lsps.orders.cells import Outcome
from lsps.orders.events import ChannelConfirmed, Event, LeaseEvent, Now, PaymentHeld, Rules
from lsps.orders.model import Bolt11Option, ExtensionTerms, Lease, Order, Service, State
from lsps.orders.pending import EffectName
from lsps.protocol.payment import PaymentState
from lsps.service import desk
from lsps.units import BlockHeight, Msat, Outpoint
from tests.simulation.bugs.bug import Patches


def settle_when_paid(patches: Patches) -> None:
    real = pending.effects

    def effects(order: Order) -> frozenset[EffectName]:
        paid = order.state is State.PAID and order.service is Service.LSPS1 and not order.is_free
        return real(order) | ({EffectName.SETTLE_INVOICE} if paid else frozenset())

    patches.replace(pending, "effects", effects)


def take_short_payments(patches: Patches) -> None:
    real = cells.held

    def held(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
        if isinstance(event, PaymentHeld):
            event = replace(event, held=Msat(2**60))
        return real(order, lease, event, now, rules)

    patches.replace_item(transitions.TRANSITIONS, (State.AWAITING_PAYMENT, PaymentHeld), held)


def fail_before_the_node_confirmed(patches: Patches) -> None:
    def give_back(order: Order, reason: str, now: Now) -> Outcome:
        bolt11 = None if order.bolt11 is None else replace(order.bolt11, cancelling=True)
        return Outcome(replace(order, state=State.FAILED, reason=reason, bolt11=bolt11, closed_at=now.time))

    patches.replace(cells, "_give_back", give_back)


def tell_refunded_early(patches: Patches) -> None:
    real = wire.bolt11_state

    def bolt11_state(order: Order, option: Bolt11Option) -> PaymentState:
        return PaymentState.REFUNDED if order.state is State.CLOSING else real(order, option)

    patches.replace(desk, "bolt11_state", bolt11_state)


def reserve_nothing(patches: Patches) -> None:
    def reserved_inputs(_order: Order) -> tuple[Outpoint, ...]:
        return ()

    patches.replace(pending, "reserved_inputs", reserved_inputs)


def hold_for_ever(patches: Patches) -> None:
    def due_height(_order: Order, _rules: Rules) -> None:
        return None

    def too_near_timeout(_order: Order, _now: Now, _rules: Rules) -> bool:
        return False

    patches.replace(pending, "due_height", due_height)
    patches.replace(cells, "_too_near_timeout", too_near_timeout)


def extend_from_the_old_end(patches: Patches) -> None:
    def extension_start(lease: Lease | None, terms: ExtensionTerms) -> BlockHeight:
        return terms.expiration_block if lease is None else lease.expiration_block

    patches.replace(leases, "extension_start", extension_start)


def extend_to_the_promise(patches: Patches) -> None:
    def extension_start(lease: Lease | None, terms: ExtensionTerms) -> BlockHeight:
        return terms.expiration_block

    patches.replace(leases, "extension_start", extension_start)


def count_anew_at_confirmation(patches: Patches) -> None:
    real = leases.lease_step

    def lease_step(lease: Lease, event: LeaseEvent) -> Lease:
        if isinstance(event, ChannelConfirmed) and lease.provisional_from is not None and lease.extension_order_ids:
            return replace(lease, expiration_block=event.height + 10, provisional_from=None)
        return real(lease, event)

    patches.replace(leases, "lease_step", lease_step)


def confirm_again_and_again(patches: Patches) -> None:
    real = leases.lease_step

    def lease_step(lease: Lease, event: LeaseEvent) -> Lease:
        stepped = real(lease, event)
        if isinstance(event, ChannelConfirmed) and stepped is not lease:
            return replace(stepped, provisional_from=lease.provisional_from)
        return stepped

    patches.replace(leases, "lease_step", lease_step)


def keep_token_uses(patches: Patches) -> None:
    real = transitions._with_token

    def with_token(before: Order, outcome: Outcome) -> Outcome:
        after = real(before, outcome)
        return replace(after, token=None) if after.order.state is State.FAILED else after

    patches.replace(transitions, "_with_token", with_token)
