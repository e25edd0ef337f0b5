"""The rules behind the table: money, deadlines, re-checks and tokens, each with the clause it holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lsps.orders.events import (
    ChannelChecked,
    ChannelOpened,
    ChannelStanding,
    InputsChosen,
    InvoiceCancelled,
    InvoiceSettled,
    Now,
    OpenFailed,
    PaymentHeld,
    TimePassed,
)
from lsps.orders.model import FINAL, Extension, Funding, Lease, Order, PaymentMethod, State, TokenChange
from lsps.orders.pending import EffectName, effects
from lsps.orders.transitions import IllegalTransition, Outcome, place, step
from lsps.units import MAX_UINT32, BlockHeight, Msat, OrderId, Outpoint
from tests.orders import samples
from tests.orders.samples import (
    CHANNEL_TERMS,
    EXTENSION_TERMS,
    FUNDING_OUTPOINT,
    HELD,
    HELD_GOOD,
    INPUTS,
    LEASE,
    NOW,
    RULES,
    START,
    TIP,
    later,
    order_in,
)
from tests.orders.strategies import Step, walks

GOOD = ChannelChecked(ChannelStanding.GOOD)


def extension(state: State = State.AWAITING_PAYMENT, order_id: str = "order") -> Order:
    return replace(order_in(state, EXTENSION_TERMS), id=OrderId(order_id))


def channel(state: State = State.AWAITING_PAYMENT, *, free: bool = False) -> Order:
    return order_in(state, CHANNEL_TERMS, free=free)


def gives_back(outcome: Outcome, why: str) -> bool:
    """Whether nothing but a cancellation at the node follows, with that reason for the operator."""
    order = outcome.order
    return (
        outcome == Outcome(order)
        and order.state is State.CLOSING
        and effects(order) == {EffectName.CANCEL_INVOICE}
        and why in order.reason
    )


# --- payment --------------------------------------------------------------------------------------------------------


def test_a_placed_order_waits_for_its_payment() -> None:
    """A new order is what was ordered, from that moment on (bLIP-51 §2), and has nothing to be done."""
    outcome = place(samples.placed(CHANNEL_TERMS), None, NOW, RULES)
    assert outcome == Outcome(replace(channel(), version=0))
    assert effects(outcome.order) == frozenset()


def test_a_held_payment_is_recorded() -> None:
    """bLIP-51 §3.1: the state changes to HOLD when the payment arrived; and it may wait for `give_up_after`."""
    order = step(channel(), None, HELD, NOW, RULES).order
    assert order == channel(State.PAID)
    assert order.bolt11 is not None
    assert (order.paid_by, order.bolt11.held) == (PaymentMethod.BOLT11, HELD.held)
    assert order.bolt11.earliest_expiry == TIP + 144
    assert order.give_up_at == START + timedelta(minutes=30)


@pytest.mark.parametrize("order", [channel(), extension()], ids=["lsps1", "lsps7"])
@pytest.mark.parametrize("msat", [0, 200_887_000, 200_887_999])
def test_an_underpayment_is_given_back(order: Order, msat: int) -> None:
    """Less than order_total_sat, even by one millisatoshi, buys nothing (money rule 4)."""
    assert gives_back(step(order, LEASE, replace(HELD_GOOD, held=Msat(msat)), NOW, RULES), "less was paid")


def test_an_overpayment_is_a_payment() -> None:
    """More than order_total_sat pays the order: BOLT 4 lets a payer send up to twice the amount."""
    assert step(channel(), None, replace(HELD, held=Msat(400_000_000)), NOW, RULES).order.state is State.PAID


def test_a_payment_in_parts_renews_its_timeout() -> None:
    """The node tells the earliest timeout once more as parts come; it is what deadlines count from then on."""
    order = step(channel(State.PAID), None, replace(HELD, earliest_expiry=TIP + 90), NOW, RULES).order
    assert order.bolt11 is not None
    assert order.bolt11.earliest_expiry == TIP + 90
    assert gives_back(step(order, None, TimePassed(), later(blocks=51), RULES), "time out too soon")


@pytest.mark.parametrize("order", [channel(), extension()], ids=["lsps1", "lsps7"])
def test_expiry(order: Order) -> None:
    """An order expires with its last option, not a moment earlier, and is cancelled first (bLIP-51 §3.1)."""
    assert step(order, LEASE, TimePassed(), later(seconds=3_599.999), RULES) == Outcome(order)
    assert gives_back(step(order, LEASE, TimePassed(), later(seconds=3_600), RULES), "not paid in time")


@pytest.mark.parametrize("order", [channel(State.PAID), extension(State.PAID)], ids=["lsps1", "lsps7"])
def test_give_up(order: Order) -> None:
    """A paid order waits for peer, funds or channel list until `give_up_after`, then gives the payment back."""
    assert step(order, LEASE, TimePassed(), later(seconds=1_799.999), RULES) == Outcome(order)
    assert gives_back(step(order, LEASE, TimePassed(), later(seconds=1_800), RULES), "fulfilled in time")


@pytest.mark.parametrize("order", [channel(State.PAID), extension(State.PAID)], ids=["lsps1", "lsps7"])
def test_a_hold_too_near_its_timeout(order: Order) -> None:
    """bLIP-51 §3.1: a payment is rejected shortly before it times out: with fewer than 40 blocks left."""
    assert step(order, LEASE, TimePassed(), later(blocks=104), RULES) == Outcome(order)
    assert gives_back(step(order, LEASE, TimePassed(), later(blocks=105), RULES), "time out too soon")


@pytest.mark.parametrize("order", [channel(), extension()], ids=["lsps1", "lsps7"])
def test_a_payment_that_comes_too_near_its_timeout(order: Order) -> None:
    """A payment that arrives with fewer than 40 blocks to its timeout is given back, with 40 it is taken."""
    short = replace(HELD_GOOD, earliest_expiry=TIP + 39)
    assert gives_back(step(order, LEASE, short, NOW, RULES), "time out too soon")
    enough = replace(HELD_GOOD, earliest_expiry=TIP + 40)
    assert step(order, LEASE, enough, NOW, RULES).order.state in (State.PAID, State.FULFILLED)


@pytest.mark.parametrize("now", [later(seconds=1_800), later(blocks=105)], ids=["give-up", "timeout"])
def test_inputs_chosen_too_late_open_nothing(now: Now) -> None:
    """Choosing inputs is the step to the irrevocable: after the deadline it leads to giving back instead."""
    outcome = step(channel(State.PAID), None, InputsChosen(INPUTS, 1_000), now, RULES)
    assert outcome.order.state is State.CLOSING
    assert outcome.order.funding is None


def test_an_extension_checked_too_late_is_given_back() -> None:
    """A payment near its timeout is not taken for an extension either: LND would cancel it before it is settled."""
    assert gives_back(step(extension(State.PAID), LEASE, GOOD, later(blocks=105), RULES), "time out too soon")


@pytest.mark.parametrize("order", [channel(State.CLOSING), extension(State.CLOSING)], ids=["lsps1", "lsps7"])
def test_failed_only_after_the_node_confirmed(order: Order) -> None:
    """FAILED, with REFUNDED, comes from the node's confirmation alone (money rule 5)."""
    outcome = step(order, LEASE, InvoiceCancelled(), later(seconds=10), RULES)
    failed = outcome.order
    assert failed.bolt11 is not None
    assert (failed.state, failed.bolt11.cancelled, failed.bolt11.cancelling) == (State.FAILED, True, False)
    assert failed.closed_at == later(seconds=10).time
    assert failed.reason == order.reason
    assert effects(failed) == frozenset()


@pytest.mark.parametrize("state", [State.FAILED, State.UNPAID])
def test_a_late_payment_is_given_back(state: State) -> None:
    """Money for an ended order is recorded and cancelled at the node; the order stays as it was told (money rule 4)."""
    ended = channel(state)
    late = step(ended, None, HELD, NOW, RULES).order
    assert late.state is state
    assert effects(late) == {EffectName.CANCEL_INVOICE}
    assert ended.bolt11 is not None
    recorded = replace(ended.bolt11, held=HELD.held, earliest_expiry=HELD.earliest_expiry)
    assert step(late, None, InvoiceCancelled(), NOW, RULES).order == replace(ended, bolt11=recorded)


# --- opening a channel ----------------------------------------------------------------------------------------------


def test_an_opening_records_its_inputs() -> None:
    """The commit that makes an order irrevocable names the inputs, the fee rate and the tip (money rule 3)."""
    order = step(channel(State.PAID), None, InputsChosen(INPUTS, 777), later(blocks=2), RULES).order
    assert order.state is State.FULFILLING
    assert order.funding == Funding(INPUTS, 777, TIP + 2)
    assert order.give_up_at is None


def test_an_opening_without_inputs_is_refused() -> None:
    """No inputs, no identity: an opening that names none could happen twice (money rule 3)."""
    with pytest.raises(IllegalTransition):
        step(channel(State.PAID), None, InputsChosen((), 1_000), NOW, RULES)


def test_an_opened_channel_is_recorded_with_its_lease() -> None:
    """Funding broadcast: outpoint and lease are in the commit that lets the invoice be settled (money rule 1)."""
    outcome = step(channel(State.FULFILLING), None, ChannelOpened(FUNDING_OUTPOINT), later(seconds=60, blocks=1), RULES)
    order, lease = outcome.order, outcome.lease
    assert order.state is State.FULFILLED
    assert effects(order) == {EffectName.SETTLE_INVOICE}
    assert order.channel is not None
    assert (order.channel.funding_outpoint, order.channel.funded_at) == (FUNDING_OUTPOINT, START + timedelta(minutes=1))
    assert lease is not None
    assert (lease.channel_id, lease.peer) == (FUNDING_OUTPOINT.channel_id(), order.principal)
    assert lease.expires_at == order.channel.expires_at


def test_another_channel_for_the_same_order_is_a_contradiction() -> None:
    """One order has one channel: a second outpoint is refused, the same one again changes nothing."""
    order = channel(State.FULFILLED)
    assert step(order, None, ChannelOpened(FUNDING_OUTPOINT), NOW, RULES) == Outcome(order)
    with pytest.raises(IllegalTransition):
        step(order, None, ChannelOpened(Outpoint("ee" * 32, 0)), NOW, RULES)


def test_a_failed_opening_is_given_back() -> None:
    """bLIP-51 §4.1: when the opening failed the LSP issues a refund; there is one attempt an order."""
    assert gives_back(step(channel(State.FULFILLING), None, OpenFailed("the peer refused"), NOW, RULES), "peer refused")


def test_fulfilling_is_not_cancelled_by_deadlines() -> None:
    """After an irrevocable call neither time nor height gives back: its outcome must be known first."""
    order = channel(State.FULFILLING)
    assert step(order, None, TimePassed(), later(seconds=999_999, blocks=1_000), RULES) == Outcome(order)


def test_cancelled_while_fulfilling_then_opened() -> None:
    """The payment slipped away and the channel was made all the same: UNPAID, a loss, nothing to settle (rule 1)."""
    order = step(channel(State.FULFILLING), None, InvoiceCancelled(), NOW, RULES).order
    assert order.state is State.FULFILLING
    assert effects(order) == {EffectName.OPEN_CHANNEL}
    outcome = step(order, None, ChannelOpened(FUNDING_OUTPOINT), NOW, RULES)
    assert (outcome.order.state, outcome.order.closed_at) == (State.UNPAID, START)
    assert "slipped away" in outcome.order.reason
    assert outcome.lease is not None
    assert effects(outcome.order) == frozenset()


def test_cancelled_while_fulfilling_then_failed() -> None:
    """The payment slipped away and no channel was made: FAILED at once, for the node confirmed already."""
    order = step(channel(State.FULFILLING), None, InvoiceCancelled(), NOW, RULES).order
    outcome = step(order, None, OpenFailed("the peer refused"), NOW, RULES)
    assert (outcome.order.state, outcome.order.reason) == (State.FAILED, "the peer refused")


def test_paid_again_while_fulfilling() -> None:
    """Money that comes after a confirmed cancellation is given back too, and FAILED waits for that (rules 4, 5)."""
    order = step(channel(State.FULFILLING), None, InvoiceCancelled(), NOW, RULES).order
    order = step(order, None, HELD, NOW, RULES).order
    assert effects(order) == {EffectName.OPEN_CHANNEL, EffectName.CANCEL_INVOICE}
    failed = step(order, None, OpenFailed("the peer refused"), NOW, RULES).order
    assert failed.state is State.CLOSING
    assert step(failed, None, InvoiceCancelled(), NOW, RULES).order.state is State.FAILED
    lost = step(order, None, ChannelOpened(FUNDING_OUTPOINT), NOW, RULES).order
    assert lost.state is State.UNPAID
    assert effects(lost) == {EffectName.CANCEL_INVOICE}


@pytest.mark.parametrize("order", [channel(State.FULFILLED), extension(State.FULFILLED)], ids=["lsps1", "lsps7"])
def test_the_end_of_a_fulfilled_order(order: Order) -> None:
    """Settled: completed, closed then. Slipped away: a loss that says so, closed then (money rule 1)."""
    completed = step(order, LEASE, InvoiceSettled(), later(seconds=5), RULES).order
    assert completed == replace(order, state=State.COMPLETED, closed_at=later(seconds=5).time)
    lost = step(order, LEASE, InvoiceCancelled(), later(seconds=5), RULES).order
    assert (lost.state, lost.closed_at) == (State.UNPAID, later(seconds=5).time)
    assert "slipped away" in lost.reason


# --- free orders ----------------------------------------------------------------------------------------------------


def test_a_free_extension_is_complete_at_once() -> None:
    """A free LSPS7 order is extended in its first commit and COMPLETED in the first reply."""
    outcome = place(samples.placed(EXTENSION_TERMS, free=True), LEASE, NOW, RULES)
    assert (outcome.order.state, outcome.order.closed_at, outcome.order.give_up_at) == (State.COMPLETED, START, None)
    assert outcome.extension == Extension(OrderId("order"), LEASE.channel_id, TIP + 1_000, TIP + 1_144)
    assert outcome.lease is not None
    assert outcome.lease.expiration_block == TIP + 1_144
    assert effects(outcome.order) == frozenset()


def test_a_free_extension_is_rechecked_as_well() -> None:
    """A free order that cannot be fulfilled fails at once: there is nothing to give back."""
    outcome = place(samples.placed(EXTENSION_TERMS, free=True), replace(LEASE, ended=True), NOW, RULES)
    assert (outcome.order.state, outcome.lease, outcome.extension) == (State.FAILED, None, None)


def test_a_free_channel_is_opened_as_if_paid() -> None:
    """A free LSPS1 order is CREATED, waits and opens as a paid one, and is complete when the funding is broadcast."""
    order = place(samples.placed(CHANNEL_TERMS, free=True), None, NOW, RULES).order
    assert order == replace(channel(State.PAID, free=True), version=0)
    assert effects(order) == {EffectName.CHOOSE_INPUTS}
    order = step(order, None, InputsChosen(INPUTS, 1_000), NOW, RULES).order
    outcome = step(order, None, ChannelOpened(FUNDING_OUTPOINT), NOW, RULES)
    assert (outcome.order.state, outcome.order.closed_at) == (State.COMPLETED, START)
    assert outcome.lease is not None


# --- extending ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("order", "event"),
    [(extension(), HELD_GOOD), (extension(State.PAID), GOOD)],
    ids=["as-the-payment-comes", "once-the-list-is-read"],
)
def test_an_extension_is_one_commit(order: Order, event: PaymentHeld | ChannelChecked) -> None:
    """Order, lease and the extension's row change together, before anything is settled (money rules 1 and 2)."""
    outcome = step(order, LEASE, event, NOW, RULES)
    assert (outcome.order.state, outcome.order.give_up_at) == (State.FULFILLED, None)
    assert effects(outcome.order) == {EffectName.SETTLE_INVOICE}
    assert outcome.extension == Extension(order.id, LEASE.channel_id, TIP + 1_000, TIP + 1_144)
    assert outcome.lease is not None
    assert (outcome.lease.expiration_block, outcome.lease.version) == (TIP + 1_144, LEASE.version)


def test_an_unknown_channel_list_is_waited_for() -> None:
    """What is decided while the channel list is being re-read waits in paid."""
    order = step(extension(), LEASE, HELD, NOW, RULES).order
    assert order.state is State.PAID
    assert effects(order) == {EffectName.CHECK_CHANNEL}
    assert step(order, LEASE, ChannelChecked(ChannelStanding.UNKNOWN), NOW, RULES) == Outcome(order)


@pytest.mark.parametrize("order", [extension(), extension(State.PAID)], ids=["awaiting", "paid"])
@pytest.mark.parametrize(
    ("lease", "standing"),
    [(LEASE, ChannelStanding.GONE), (replace(LEASE, ended=True), ChannelStanding.GOOD), (None, ChannelStanding.GONE)],
    ids=["gone", "ended", "gone-unleased"],
)
def test_a_channel_that_is_gone_gives_back(order: Order, lease: Lease | None, standing: ChannelStanding) -> None:
    """Re-checked at completion: a channel closing, closed or another peer's, or an ended lease, is not extended."""
    event = replace(HELD, channel=standing) if order.state is State.AWAITING_PAYMENT else ChannelChecked(standing)
    assert gives_back(step(order, lease, event, NOW, RULES), "closed")


def test_an_extension_beyond_the_maximum_gives_back() -> None:
    """max_channel_extension_expiry_blocks holds at completion too: exactly to it is extended, a block more is not."""
    full = replace(LEASE, expiration_block=TIP + (52_560 - 144))
    assert step(extension(), full, HELD_GOOD, NOW, RULES).order.state is State.FULFILLED
    beyond = replace(LEASE, expiration_block=TIP + (52_560 - 143))
    assert gives_back(step(extension(), beyond, HELD_GOOD, NOW, RULES), "beyond the maximum")


def test_a_lease_without_end_gives_back() -> None:
    """A lease recorded up to the last height there is cannot be extended; the payment is given back, not lost."""
    forever = replace(LEASE, expiration_block=BlockHeight(MAX_UINT32))
    assert gives_back(step(extension(), forever, HELD_GOOD, NOW, RULES), "beyond the maximum")


def test_two_open_orders_on_one_channel_add_up() -> None:
    """Each settled payment has its blocks: the second adds to what the first made, and both ids are listed."""
    first = step(extension(order_id="one"), LEASE, HELD_GOOD, NOW, RULES)
    second = step(extension(order_id="two"), first.lease, HELD_GOOD, NOW, RULES)
    assert second.lease is not None
    assert second.lease.expiration_block == LEASE.expiration_block + 2 * 144
    assert second.lease.extension_order_ids == ("one", "two")
    assert second.extension == Extension(OrderId("two"), LEASE.channel_id, TIP + 1_144, TIP + 1_288)


@pytest.mark.parametrize(
    "lease",
    [None, replace(LEASE, expiration_block=BlockHeight(0)), replace(LEASE, expiration_block=TIP + -50)],
    ids=["none", "zero", "lapsed"],
)
def test_a_lapsed_lease_is_extended_from_the_tip_at_ordering(lease: Lease | None) -> None:
    """Lapsed, 0 or no lease: counted from channel.expiration_block, the tip when ordered, however late the payment."""
    terms = replace(EXTENSION_TERMS, expiration_block=TIP)
    outcome = step(order_in(State.AWAITING_PAYMENT, terms), lease, HELD_GOOD, later(blocks=5), RULES)
    assert outcome.lease is not None
    assert outcome.lease.expiration_block == TIP + 144 == terms.new_channel_expiry_block
    assert outcome.lease.channel_id == terms.channel_id
    assert outcome.extension is not None
    assert outcome.extension.previous == (BlockHeight(0) if lease is None else lease.expiration_block)


@given(st.integers(-5_000, 45_000), st.integers(0, 45_000), st.integers(1, 5_000))
def test_the_promise_is_kept(now_left: int, promised_left: int, blocks: int) -> None:
    """new_channel_expiry_block is a promise of at least, whatever became of the lease meanwhile."""
    terms = replace(EXTENSION_TERMS, expiration_block=TIP + promised_left, channel_extension_expiry_blocks=blocks)
    lease = replace(LEASE, expiration_block=TIP + now_left)
    outcome = step(order_in(State.AWAITING_PAYMENT, terms), lease, HELD_GOOD, NOW, RULES)
    assert outcome.lease is not None
    assert outcome.lease.expiration_block >= terms.new_channel_expiry_block
    assert outcome.lease.expiration_block >= lease.expiration_block + blocks
    assert outcome.lease.expiration_block <= TIP + RULES.max_extension_blocks


# --- tokens ---------------------------------------------------------------------------------------------------------


def test_a_counted_token_is_reserved_with_its_order() -> None:
    """A use is reserved in the commit that stores the order, with the limit the store has to hold."""
    outcome = place(samples.placed(CHANNEL_TERMS, token="WELCOME", token_uses=50), None, NOW, RULES)
    assert outcome.token == TokenChange("WELCOME", reserved=1, consumed=0, uses=50)


def test_a_free_extension_consumes_its_token_at_once() -> None:
    """Delivered in the first commit: a use is consumed, none is left reserved."""
    outcome = place(samples.placed(EXTENSION_TERMS, free=True, token="WELCOME", token_uses=50), LEASE, NOW, RULES)
    assert outcome.token == TokenChange("WELCOME", reserved=0, consumed=1, uses=50)


def test_a_free_extension_that_fails_uses_no_token() -> None:
    """Failed in the first commit: nothing is reserved that no later commit would release."""
    placed = samples.placed(EXTENSION_TERMS, free=True, token="WELCOME", token_uses=50)
    outcome = place(placed, replace(LEASE, ended=True), NOW, RULES)
    assert (outcome.order.state, outcome.token) == (State.FAILED, None)


@pytest.mark.parametrize(("event", "state"), [(InvoiceSettled(), State.COMPLETED), (InvoiceCancelled(), State.UNPAID)])
def test_a_delivered_order_consumes_its_token(event: InvoiceSettled | InvoiceCancelled, state: State) -> None:
    """Delivered is delivered, though the payment slipped away: the use is consumed."""
    order = replace(channel(State.FULFILLED), token="WELCOME", counts_token_use=True)
    outcome = step(order, None, event, NOW, RULES)
    assert (outcome.order.state, outcome.token) == (state, TokenChange("WELCOME", reserved=-1, consumed=1))


@settings(max_examples=200)
@given(walks())
def test_a_token_is_counted_exactly_once(walk: list[Step]) -> None:
    """Whatever the path: one use reserved while the order lives, consumed when it was delivered, released when it
    failed; none at all for a token that is not counted."""
    reserved = consumed = 0
    for taken in walk:
        if taken.outcome.token is not None:
            reserved += taken.outcome.token.reserved
            consumed += taken.outcome.token.consumed
        order = taken.order
        if not order.counts_token_use:
            assert (reserved, consumed) == (0, 0)
        else:
            delivered = order.state in (State.COMPLETED, State.UNPAID)
            assert (reserved, consumed) == (int(order.state not in FINAL), int(delivered))


@settings(max_examples=200)
@given(walks())
def test_ends_are_dated(walk: list[Step]) -> None:
    """An order has closed_at exactly when it ended, and the time never changes afterwards: pruning counts from it."""
    closed = None
    for taken in walk:
        order = taken.order
        if order.state in FINAL and closed is None:
            closed = taken.now.time
        assert order.closed_at == closed


def test_an_illegal_transition_says_what_contradicts() -> None:
    """The error names the order, its state and the event, and carries them for the caller."""
    event = InvoiceSettled()
    with pytest.raises(IllegalTransition, match="order order is awaiting payment: InvoiceSettled cannot happen") as e:
        step(channel(), None, event, NOW, RULES)
    assert (e.value.state, e.value.event) == (State.AWAITING_PAYMENT, event)
