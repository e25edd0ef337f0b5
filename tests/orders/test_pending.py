"""What hangs on an order: effects, due times, reserved inputs, the watched invoice."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsps.orders import pending
from lsps.orders.events import Now, Rules, TimePassed
from lsps.orders.model import FINAL, ChannelTerms, Deposit, ExtensionTerms, Order, State
from lsps.orders.transitions import step
from lsps.units import BlockHeight, Sat
from tests.orders import samples, strategies
from tests.orders.samples import (
    CHANNEL_TERMS,
    EXTENSION_TERMS,
    INPUTS,
    LEASE,
    NOW,
    RULES,
    later,
    onchain_order_in,
    order_in,
)

# Due: what brings TimePassed, "expiry" of the invoice or "give-up" with the height 105 blocks on. Inputs: reserved.

LSPS1 = """
                   effects         due     inputs watched unpaid
awaiting_payment   -               expiry  -      yes     yes
paid               choose_inputs   give-up -      yes     -
fulfilling         open_channel    -       yes    yes     -
fulfilled          settle_invoice  -       -      yes     -
completed          -               -       -      -       -
unpaid             -               -       -      -       -
closing            cancel_invoice  -       -      yes     -
failed             -               -       -      -       -
"""
LSPS1_FREE = """
                   effects         due     inputs watched unpaid
paid               choose_inputs   free    -      -       -
fulfilling         open_channel    -       yes    -       -
completed          -               -       -      -       -
failed             -               -       -      -       -
"""
LSPS7 = """
                   effects         due     inputs watched unpaid
awaiting_payment   -               expiry  -      yes     yes
paid               check_channel   give-up -      yes     -
fulfilled          settle_invoice  -       -      yes     -
completed          -               -       -      -       -
unpaid             -               -       -      -       -
closing            cancel_invoice  -       -      yes     -
failed             -               -       -      -       -
"""
ONCHAIN = """
                   effects         due     inputs watched unpaid
awaiting_payment   -               day     -      -       yes
paid               choose_inputs   day     -      -       -
fulfilling         open_channel    -       yes    -       -
completed          -               -       -      -       -
closing            sign_refund     -       -      -       -
failed             -               bump    -      -       -
"""
DUE = {
    "day": (later(seconds=86_400).time, None),
    "bump": (later(seconds=6 * 3_600).time, None),
    "-": (None, None),
    "expiry": (later(seconds=3_600).time, None),
    "give-up": (later(seconds=1_800).time, later(blocks=105).tip),
    "free": (later(seconds=1_800).time, None),
}


def lines(table: str) -> list[list[str]]:
    return [line.split() for line in table.strip().splitlines()[1:]]


@pytest.mark.parametrize(
    ("order", "row"),
    [
        *((order_in(State[row[0].upper()], CHANNEL_TERMS), row) for row in lines(LSPS1)),
        *((order_in(State[row[0].upper()], CHANNEL_TERMS, free=True), row) for row in lines(LSPS1_FREE)),
        *((order_in(State[row[0].upper()], EXTENSION_TERMS), row) for row in lines(LSPS7)),
        *((onchain_order_in(State[row[0].upper()], CHANNEL_TERMS), row) for row in lines(ONCHAIN)),
    ],
)
def test_what_hangs_on_each_state(order: Order, row: list[str]) -> None:
    """Effects, due times, reserved inputs, the watched invoice and the unpaid count are as the table says."""
    _, names, due, inputs, watched, unpaid = row
    assert {name.name.lower() for name in pending.effects(order)} == ({names} - {"-"})
    assert (pending.due_at(order), pending.due_height(order, RULES)) == DUE[due]
    assert pending.reserved_inputs(order) == (INPUTS if inputs == "yes" else ())
    assert pending.watched_hash(order) == (samples.OPTION.payment_hash if watched == "yes" else None)
    assert pending.is_unpaid(order) == (unpaid == "yes")


def test_every_state_has_a_line() -> None:
    """A state added to the code has to be added to the table."""
    assert [State[row[0].upper()] for row in lines(LSPS1)] == list(State)


def test_a_cancelled_invoice_is_not_watched() -> None:
    """Once the node confirmed the cancellation there is nothing left to hear, though the opening goes on."""
    order = order_in(State.FULFILLING, CHANNEL_TERMS)
    assert order.bolt11 is not None
    cancelled = replace(order, bolt11=replace(order.bolt11, cancelled=True))
    assert pending.watched_hash(cancelled) is None
    assert pending.reserved_inputs(cancelled) == INPUTS


@given(strategies.orders(), strategies.rules)
def test_what_ended_keeps_nothing(order: Order, rules: Rules) -> None:
    """An ended order has no effect, due time or input of its own accord; a living one has a way to move on."""
    moves = (pending.effects(order), pending.due_at(order))
    assert (moves == (frozenset(), None)) == (order.state in FINAL)
    if order.state in FINAL:
        assert (pending.due_height(order, rules), pending.reserved_inputs(order)) == (None, ())


@given(st.integers(0, 400), st.integers(0, 144))
def test_the_due_height_is_where_time_gives_back(blocks: int, margin: int) -> None:
    """At the due height TimePassed gives the payment back, and one block earlier it does not: else the engine would
    ask for the same order again and again, or too late."""
    rules = replace(RULES, hold_margin_blocks=margin)
    order = order_in(State.PAID, CHANNEL_TERMS)
    assert order.bolt11 is not None
    order = replace(order, bolt11=replace(order.bolt11, earliest_expiry=NOW.tip + blocks))
    due = pending.due_height(order, rules)
    assert due is not None
    assert step(order, None, TimePassed(), replace(NOW, tip=due), rules).order.state is State.CLOSING
    assert step(order, None, TimePassed(), replace(NOW, tip=due + -1), rules).order is order


def test_a_timeout_near_the_first_block_is_due_at_once() -> None:
    """On a young chain, as in tests, a due height below zero is zero."""
    order = order_in(State.PAID, CHANNEL_TERMS)
    assert order.bolt11 is not None
    young = replace(order, bolt11=replace(order.bolt11, earliest_expiry=BlockHeight(5)))
    assert pending.due_height(young, RULES) == BlockHeight(0)


@given(strategies.orders(frozenset({State.AWAITING_PAYMENT, State.PAID})), strategies.rules)
def test_the_due_time_is_where_time_moves_on(order: Order, rules: Rules) -> None:
    """At its due time TimePassed moves an order out of its state, so that it is due no more."""
    due = pending.due_at(order)
    assert due is not None
    assert step(order, LEASE, TimePassed(), Now(due, BlockHeight(0)), rules).order.state is not order.state


# --- paid on-chain ----------------------------------------------------------------------------------------------------

PAID_ONCHAIN = onchain_order_in(State.PAID, CHANNEL_TERMS)


def with_deposits(order: Order, *deposits: Deposit, **changes: object) -> Order:
    assert order.onchain is not None
    return replace(order, onchain=replace(order.onchain, deposits=deposits, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("terms", [CHANNEL_TERMS, EXTENSION_TERMS], ids=["lsps1", "lsps7"])
@pytest.mark.parametrize("change", [{"kept": Sat(0)}, {"gone": True}, {"kept": samples.ONCHAIN.order_total - Sat(1)}])
def test_nothing_is_begun_for_a_payment_that_is_not_there(
    terms: ChannelTerms | ExtensionTerms, change: dict[str, Any]
) -> None:
    """A reorganisation took it back: neither inputs are chosen nor is the channel to extend checked."""
    order = onchain_order_in(State.PAID, terms)
    assert pending.effects(order) != frozenset()
    assert pending.effects(with_deposits(order, replace(samples.DEPOSIT, **change))) == frozenset()


@pytest.mark.parametrize(
    ("deposit", "until"),
    [
        (samples.DEPOSIT, NOW.tip),
        (replace(samples.DEPOSIT, height=None), pending.NEVER),
        (replace(samples.DEPOSIT, height=None, gone=True), None),
        (samples.RETURNING, pending.NEVER),
        (samples.RETURNED, pending.NEVER),
        (replace(samples.RETURNED, refunds=(replace(samples.REFUND, height=NOW.tip + 7),)), NOW.tip + 7),
        (replace(samples.RETURNING, left="too dear"), NOW.tip),
    ],
    ids=["in a block", "waiting", "gone", "to go back", "on its way back", "gone back", "left"],
)
def test_how_long_deposits_are_read_again(deposit: Deposit, until: BlockHeight | None) -> None:
    """For ever while one is under way; else until the last block that tells of it is buried."""
    order = onchain_order_in(State.FAILED, CHANNEL_TERMS)
    assert pending.deposits_until(with_deposits(order, deposit)) == until
    earlier = replace(samples.DEPOSIT, height=NOW.tip + -500)
    assert pending.deposits_until(with_deposits(order, earlier, deposit)) == (until or NOW.tip + -500)


@pytest.mark.parametrize("change", [{"gone": True}, {"left": "too dear"}])
def test_what_is_gone_or_left_is_not_given_back(change: dict[str, Any]) -> None:
    """Neither signed nor published."""
    for deposit in (samples.RETURNING, replace(samples.RETURNING, refunds=(samples.REFUND,))):
        order = onchain_order_in(State.CLOSING, CHANNEL_TERMS)
        assert pending.effects(with_deposits(order, deposit)) != frozenset()
        assert pending.effects(with_deposits(order, replace(deposit, **change))) == frozenset()


def test_what_was_seen_in_time_moves_the_due_time() -> None:
    """An order that waits for a block is due a day after its expiry; an invoice beside it when that expires."""
    waits_until = later(seconds=2 * 86_400).time
    order = with_deposits(onchain_order_in(State.AWAITING_PAYMENT, CHANNEL_TERMS), waits_until=waits_until)
    assert pending.due_at(order) == waits_until
    both = replace(order, bolt11=samples.OPTION)
    assert pending.due_at(both) == samples.OPTION.expires_at
    for ended in (replace(samples.OPTION, cancelled=True), replace(samples.OPTION, cancelling=True)):
        assert pending.due_at(replace(both, bolt11=ended)) == waits_until


@settings(max_examples=200)
@given(strategies.walks())
def test_time_settles_what_is_due(walk: list[strategies.Step]) -> None:
    """At its due time TimePassed changes an order, and it is not due at that moment any more: else it would be told
    again and again."""
    order = walk[-1].order
    due = pending.due_at(order)
    if due is None or due < walk[-1].now.time:
        return
    outcome = step(order, LEASE, TimePassed(), Now(due, walk[-1].now.tip), RULES)
    after = pending.due_at(outcome.order)
    assert after is None or after > due


def test_what_hangs_on_an_order_that_keeps_more_than_came() -> None:
    """A row that says so is written as any other: it owes nothing, and takes nobody's commit down with it."""
    order = onchain_order_in(State.COMPLETED, EXTENSION_TERMS)
    assert order.onchain is not None
    more = replace(samples.DEPOSIT, amount=samples.DEPOSIT.kept - Sat(1))
    assert not pending.owes(replace(order, onchain=replace(order.onchain, deposits=(more,))))
    less = replace(samples.DEPOSIT, amount=samples.DEPOSIT.kept + Sat(1))
    assert pending.owes(replace(order, onchain=replace(order.onchain, deposits=(more, less))))
