"""Every state times every event, for LSPS1, LSPS7 and free orders, as the design's table of the life of an order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

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
    Placed,
    RefundLeft,
    RefundPublished,
    RefundSigned,
    SeenDeposit,
    TimePassed,
)
from lsps.orders.model import ChannelTerms, ExtensionTerms, Order, State
from lsps.orders.transitions import IllegalTransition, Outcome, step
from tests.orders import samples
from tests.orders.samples import CHANNEL_TERMS, EXTENSION_TERMS, FUNDING_OUTPOINT, INPUTS, LEASE, NOW, RULES

# "=" the order stays as it is, "-" illegal, "~" it stays in its state but something of it changes.
# A free LSPS7 order is complete in the commit that creates it; LSPS7 has no irrevocable call: it is never fulfilling.

LSPS1 = """
                   held     cancelled settled   early near    late    checked gone chosen     opened    unopened placed
awaiting_payment   paid     failed    -         =     =       closing -       -    -          -         -        -
paid               =        failed    -         =     closing closing -       -    fulfilling fulfilled -        -
fulfilling         =        ~         -         =     =       =       -       -    -          fulfilled closing  -
fulfilled          =        unpaid    completed =     =       =       -       -    -          =         -        -
completed          =        -         =         =     =       =       -       -    -          =         -        -
unpaid             ~        =         -         =     =       =       -       -    -          =         -        -
closing            =        failed    -         =     =       =       -       -    -          -         -        -
failed             ~        =         -         =     =       =       -       -    -          -         -        -
"""
LSPS1_CANCELLED = """
                   held     cancelled settled   early near    late    checked gone chosen     opened    unopened placed
fulfilling         ~        =         -         =     =       =       -       -    -          unpaid    failed   -
"""
LSPS1_FREE = """
                   held     cancelled settled   early near    late    checked gone chosen     opened    unopened placed
paid               -        -         -         =     =       failed  -       -    fulfilling completed -        -
fulfilling         -        -         -         =     =       =       -       -    -          completed failed   -
completed          -        -         -         =     =       =       -       -    -          =         -        -
failed             -        -         -         =     =       =       -       -    -          -         -        -
"""
LSPS7 = """
                   held     cancelled settled   early near    late    checked   gone    chosen opened unopened placed
awaiting_payment   paid     failed    -         =     =       closing -         -       -      -      -        -
paid               =        failed    -         =     closing closing fulfilled closing -      -      -        -
fulfilled          =        unpaid    completed =     =       =       =         =       -      -      -        -
completed          =        -         =         =     =       =       =         =       -      -      -        -
unpaid             ~        =         -         =     =       =       =         =       -      -      -        -
closing            =        failed    -         =     =       =       =         =       -      -      -        -
failed             ~        =         -         =     =       =       =         =       -      -      -        -
"""
LSPS7_FREE = """
                   held     cancelled settled   early near    late    checked   gone    chosen opened unopened placed
completed          -        -         -         =     =       =       =         =       -      -      -        -
failed             -        -         -         =     =       =       =         =       -      -      -        -
"""

# Payable on-chain alone. Fulfilled is no state of theirs: nothing is left to settle. DEPOSITS_SIGNED: stored alone.

LSPS1_ONCHAIN = """
                   held     cancelled settled   early near    late    checked gone chosen     opened    unopened placed
awaiting_payment   -        -         -         =     =       =       -       -    -          -         -        -
paid               -        -         -         =     =       =       -       -    fulfilling completed -        -
fulfilling         -        -         -         =     =       =       -       -    -          completed closing  -
completed          -        -         -         =     =       =       -       -    -          =         -        -
closing            -        -         -         =     =       =       -       -    -          -         -        -
failed             -        -         -         =     =       =       -       -    -          -         -        -
"""
LSPS7_ONCHAIN = """
                   held     cancelled settled   early near    late    checked   gone    chosen opened unopened placed
awaiting_payment   -        -         -         =     =       =       -         -       -      -      -        -
paid               -        -         -         =     =       =       completed closing -      -      -        -
completed          -        -         -         =     =       =       =         =       -      -      -        -
closing            -        -         -         =     =       =       =         =       -      -      -        -
failed             -        -         -         =     =       =       =         =       -      -      -        -
"""
LSPS1_DEPOSITS = """
                   seen       unseen     day        signed     published  left
awaiting_payment   paid       =          failed     -          -          -
paid               =          ~          closing    =          -          =
fulfilling         =          ~          =          =          -          =
completed          =          ~          =          =          -          =
closing            =          failed     =          ~          -          failed
failed             =          ~          ~          =          =          =
"""
LSPS7_DEPOSITS = """
                   seen       unseen     day        signed     published  left
awaiting_payment   completed  =          failed     -          -          -
paid               =          ~          closing    =          -          =
completed          =          ~          =          =          -          =
closing            =          failed     =          ~          -          failed
failed             =          ~          ~          =          =          =
"""
DEPOSITS_SIGNED = """
                   seen       unseen     day        signed     published  left
closing            =          failed     ~          =          failed     =
"""

EVENTS: dict[str, tuple[Event, Now]] = {
    "held": (samples.HELD, NOW),
    "cancelled": (InvoiceCancelled(), NOW),
    "settled": (InvoiceSettled(), NOW),
    "early": (TimePassed(), NOW),
    "near": (TimePassed(), samples.later(blocks=105)),
    "late": (TimePassed(), samples.later(seconds=3_600)),
    "checked": (ChannelChecked(ChannelStanding.GOOD), NOW),
    "gone": (ChannelChecked(ChannelStanding.GONE), NOW),
    "chosen": (InputsChosen(INPUTS, 1_000), NOW),
    "opened": (ChannelOpened(FUNDING_OUTPOINT), NOW),
    "unopened": (OpenFailed("the peer refused"), NOW),
    "placed": (samples.placed(CHANNEL_TERMS), NOW),
}
ONE = samples.DEPOSIT.outpoint
SEEN = SeenDeposit(ONE, samples.DEPOSIT.amount, samples.TIP, None, None, None)
DEPOSIT_EVENTS: dict[str, tuple[Event, Now]] = {
    "seen": (DepositsSeen((SEEN,), samples.TIP + -144, ChannelStanding.GOOD), NOW),
    "unseen": (DepositsSeen((), samples.TIP + -144, ChannelStanding.GOOD), NOW),
    "day": (TimePassed(), samples.later(seconds=86_400)),
    "signed": (RefundSigned(ONE, samples.REFUND), NOW),
    "published": (RefundPublished(ONE, samples.REFUND.txid), NOW),
    "left": (RefundLeft(ONE, "the fee would be most of it"), NOW),
}
ALL_EVENTS = EVENTS | DEPOSIT_EVENTS


def cancelled(order: Order) -> Order:
    """The order, its payment having gone back while the opening's outcome is awaited."""
    assert order.bolt11 is not None
    return replace(order, bolt11=replace(order.bolt11, cancelled=True))


def rows(table: str) -> Iterator[tuple[State, str, str]]:
    """(state, event, expected) of a table."""
    header, *lines = table.strip().splitlines()
    columns = header.split()
    for line in lines:
        state, *cells = line.split()
        for column, cell in zip(columns, cells, strict=True):
            yield State[state.upper()], column, cell


def orders(terms: ChannelTerms | ExtensionTerms, table: str, *, free: bool = False) -> Iterator[tuple[Order, str, str]]:
    for state, event, expected in rows(table):
        yield samples.order_in(state, terms, free=free), event, expected


def onchain(terms: ChannelTerms | ExtensionTerms, *tables: str) -> Iterator[tuple[Order, str, str]]:
    for table in tables:
        for state, event, expected in rows(table):
            yield samples.onchain_order_in(state, terms), event, expected


def signed(order: Order) -> Order:
    """The order, the refund of its deposit being stored."""
    assert order.onchain is not None
    stored = replace(samples.RETURNING, refunds=(samples.REFUND,), bump_at=samples.START + RULES.bump_after)
    return replace(order, onchain=replace(order.onchain, deposits=(stored,), waits_until=None))


CELLS: list[tuple[str, Order, str, str]] = [
    *(("lsps1", *row) for row in orders(CHANNEL_TERMS, LSPS1)),
    *(("lsps1-cancelled", cancelled(row[0]), *row[1:]) for row in orders(CHANNEL_TERMS, LSPS1_CANCELLED)),
    *(("lsps1-free", *row) for row in orders(CHANNEL_TERMS, LSPS1_FREE, free=True)),
    *(("lsps7", *row) for row in orders(EXTENSION_TERMS, LSPS7)),
    *(("lsps7-free", *row) for row in orders(EXTENSION_TERMS, LSPS7_FREE, free=True)),
    *(("lsps1-onchain", *row) for row in onchain(CHANNEL_TERMS, LSPS1_ONCHAIN, LSPS1_DEPOSITS)),
    *(("lsps7-onchain", *row) for row in onchain(EXTENSION_TERMS, LSPS7_ONCHAIN, LSPS7_DEPOSITS)),
    *(("lsps1-signed", signed(row[0]), *row[1:]) for row in onchain(CHANNEL_TERMS, DEPOSITS_SIGNED)),
    *(("lsps7-signed", signed(row[0]), *row[1:]) for row in onchain(EXTENSION_TERMS, DEPOSITS_SIGNED)),
]


@pytest.mark.parametrize(
    ("order", "event", "expected"),
    [pytest.param(*cell[1:], id=f"{cell[0]}-{cell[1].state.name.lower()}-{cell[2]}") for cell in CELLS],
)
def test_each_pair_leads_where_the_design_says(order: Order, event: str, expected: str) -> None:
    """A state and an event lead to the state of the design's table, or are refused as a contradiction."""
    happened, now = ALL_EVENTS[event]
    lease = LEASE if isinstance(order.terms, ExtensionTerms) else None
    if expected == "-":
        with pytest.raises(IllegalTransition, match=f"order order is {order.state.value}: {type(happened).__name__}"):
            step(order, lease, happened, now, RULES)
        return
    outcome = step(order, lease, happened, now, RULES)
    if expected == "=":
        assert outcome == Outcome(order)
    elif expected == "~":
        assert outcome == replace(Outcome(order), order=outcome.order)
        assert outcome.order != order
        assert outcome.order.state is order.state
    else:
        assert outcome.order.state is State[expected.upper()]


@pytest.mark.parametrize(
    ("table", "unreachable", "events"),
    [
        (LSPS1, set(), EVENTS),
        (LSPS1_FREE, {State.AWAITING_PAYMENT, State.FULFILLED, State.UNPAID, State.CLOSING}, EVENTS),
        (LSPS7, {State.FULFILLING}, EVENTS),
        (LSPS7_FREE, set(State) - {State.COMPLETED, State.FAILED}, EVENTS),
        (LSPS1_ONCHAIN, {State.FULFILLED, State.UNPAID}, EVENTS),
        (LSPS1_DEPOSITS, {State.FULFILLED, State.UNPAID}, DEPOSIT_EVENTS),
        (LSPS7_ONCHAIN, {State.FULFILLING, State.FULFILLED, State.UNPAID}, EVENTS),
        (LSPS7_DEPOSITS, {State.FULFILLING, State.FULFILLED, State.UNPAID}, DEPOSIT_EVENTS),
    ],
    ids=["lsps1", "lsps1-free", "lsps7", "lsps7-free", "lsps1-onchain", "lsps1-deposits", "lsps7-onchain", "deposits"],
)
def test_no_pair_is_missing(table: str, unreachable: set[State], events: Mapping[str, object]) -> None:
    """The tables above name every state that such an order can be in, times every column."""
    assert {(state, event) for state, event, _ in rows(table)} == {
        (state, event) for state in set(State) - unreachable for event in events
    }


@pytest.mark.parametrize("event", sorted(set(DEPOSIT_EVENTS) - {"day"}))
@pytest.mark.parametrize("terms", [CHANNEL_TERMS, EXTENSION_TERMS], ids=["lsps1", "lsps7"])
@pytest.mark.parametrize("state", State)
def test_without_an_address_there_are_no_deposits(
    state: State, terms: ChannelTerms | ExtensionTerms, event: str
) -> None:
    """Whatever is told of deposits contradicts an order that cannot be paid on-chain."""
    happened, now = DEPOSIT_EVENTS[event]
    with pytest.raises(IllegalTransition):
        step(samples.order_in(state, terms), None, happened, now, RULES)


def test_every_kind_of_event_has_a_column() -> None:
    """An event added to the code has to be added to the tables."""
    assert {type(event) for event, _ in ALL_EVENTS.values()} == set(Event.__args__)
    assert any(type(event) is Placed for event, _ in EVENTS.values())
