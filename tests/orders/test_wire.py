"""What a client is told, over every walk of an order: it never goes back (money rules 1, 4 and 5)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings

from lsps.orders import wire
from lsps.orders.events import InvoiceCancelled, PaymentHeld
from lsps.orders.ledger import accounts
from lsps.orders.model import ExtensionTerms, Service, State
from lsps.orders.pending import EffectName, effects, refunds_to_sign
from lsps.orders.transitions import step
from lsps.protocol.payment import OrderState, PaymentState
from tests.orders import samples
from tests.orders.samples import CHANNEL_TERMS
from tests.orders.strategies import Step, walks

EXPECT, HOLD, PAID, REFUNDED = (
    PaymentState.EXPECT_PAYMENT,
    PaymentState.HOLD,
    PaymentState.PAID,
    PaymentState.REFUNDED,
)
MAY_FOLLOW = {
    EXPECT: {EXPECT, HOLD, REFUNDED},
    HOLD: {HOLD, PAID, REFUNDED},
    PAID: {PAID},
    REFUNDED: {REFUNDED},
}


def payment_state(taken: Step) -> PaymentState:
    assert taken.order.bolt11 is not None
    return wire.bolt11_state(taken.order, taken.order.bolt11)


@pytest.mark.parametrize(
    ("state", "told", "payment"),
    [
        (State.AWAITING_PAYMENT, OrderState.CREATED, EXPECT),
        (State.PAID, OrderState.CREATED, HOLD),
        (State.FULFILLING, OrderState.CREATED, HOLD),
        (State.FULFILLED, OrderState.COMPLETED, HOLD),
        (State.COMPLETED, OrderState.COMPLETED, PAID),
        (State.UNPAID, OrderState.COMPLETED, REFUNDED),
        (State.CLOSING, OrderState.CREATED, EXPECT),
        (State.FAILED, OrderState.FAILED, REFUNDED),
    ],
)
def test_each_state_has_the_specifications_words(state: State, told: OrderState, payment: PaymentState) -> None:
    """A state is told as the design's table says (bLIP-51 §2 order_state, §3.1 state)."""
    order = samples.order_in(state, CHANNEL_TERMS)
    assert order.bolt11 is not None
    assert wire.order_state(order) is told
    assert wire.bolt11_state(order, order.bolt11) is payment


def test_a_cancellation_is_told_while_the_opening_goes_on() -> None:
    """REFUNDED is told as soon as the node confirmed it, in fulfilling too, and stays when money comes again."""
    order = samples.order_in(State.FULFILLING, CHANNEL_TERMS)
    for event in (InvoiceCancelled(), samples.HELD):
        order = step(order, None, event, samples.NOW, samples.RULES).order
        assert order.bolt11 is not None
        assert wire.bolt11_state(order, order.bolt11) is REFUNDED
        assert wire.order_state(order) is OrderState.CREATED


@settings(max_examples=200)
@given(walks())
def test_order_state_never_goes_back(walk: list[Step]) -> None:
    """COMPLETED and FAILED are final, and only CREATED leads anywhere (bLIP-51 §2; money rule 5)."""
    told = [wire.order_state(taken.order) for taken in walk]
    for before, after in pairwise(told):
        assert before in (OrderState.CREATED, after)


@settings(max_examples=200)
@given(walks())
def test_payment_state_never_goes_back(walk: list[Step]) -> None:
    """PAID and REFUNDED are final, HOLD never turns back to EXPECT_PAYMENT, and PAID comes from HOLD (bLIP-51 §3.1)."""
    if walk[0].order.is_free:
        return
    told = [payment_state(taken) for taken in walk]
    assert told[0] is EXPECT
    for before, after in pairwise(told):
        assert after in MAY_FOLLOW[before]


@settings(max_examples=200)
@given(walks())
def test_failed_and_refunded_follow_the_nodes_confirmation(walk: list[Step]) -> None:
    """A client reads REFUNDED only after the node confirmed the cancellation, and an order ends as FAILED only
    when nothing arrived since (money rule 5)."""
    confirmed = held_since = False
    for taken in walk:
        if isinstance(taken.event, InvoiceCancelled):
            confirmed, held_since = True, False
        elif isinstance(taken.event, PaymentHeld):
            held_since = True
        if taken.order.is_free:
            continue
        if payment_state(taken) is REFUNDED:
            assert confirmed
        if taken.order.state is State.FAILED and taken.before is not None and taken.before.state is not State.FAILED:
            assert confirmed
            assert not held_since


@settings(max_examples=200)
@given(walks())
def test_settled_only_when_delivered(walk: list[Step]) -> None:
    """The invoice is to be settled only when this commit or one before stored the channel or the extension
    (money rule 1)."""
    delivered = 0
    for taken in walk:
        if isinstance(taken.order.terms, ExtensionTerms):
            delivered += taken.outcome.extension is not None
            assert (taken.outcome.extension is None) == (taken.outcome.lease is None)
        else:
            delivered += taken.outcome.lease is not None
            assert (taken.order.channel is not None) == (delivered == 1)
        assert delivered <= 1
        settles = EffectName.SETTLE_INVOICE in effects(taken.order)
        assert (settles or wire.order_state(taken.order) is OrderState.COMPLETED) == (delivered == 1)


@settings(max_examples=200)
@given(walks())
def test_never_settled_and_cancelled(walk: list[Step]) -> None:
    """No commit leaves both a settlement and a cancellation to be carried out, nor any work beside a giving back."""
    for taken in walk:
        names = effects(taken.order)
        assert not names >= {EffectName.SETTLE_INVOICE, EffectName.CANCEL_INVOICE}
        if taken.order.state is State.CLOSING:
            assert names <= {EffectName.CANCEL_INVOICE, EffectName.SIGN_REFUND, EffectName.PUBLISH_REFUND}
            assert taken.order.onchain is not None or names == {EffectName.CANCEL_INVOICE}


@settings(max_examples=200)
@given(walks())
def test_money_that_comes_after_the_end_is_given_back(walk: list[Step]) -> None:
    """After a payment event a closed or failed order has a cancellation to carry out until the node confirms it
    (money rule 4)."""
    held = False
    for taken in walk:
        held = isinstance(taken.event, PaymentHeld) or (held and not isinstance(taken.event, InvoiceCancelled))
        if held and taken.order.state in (State.FAILED, State.UNPAID, State.CLOSING):
            assert EffectName.CANCEL_INVOICE in effects(taken.order)


@settings(max_examples=200)
@given(walks())
def test_the_lease_never_ends_earlier(walk: list[Step]) -> None:
    """Whatever happens to an order, the lease it stores keeps at least what the order was promised."""
    for taken in walk:
        if isinstance(taken.order.terms, ExtensionTerms) and taken.outcome.lease is not None:
            assert taken.outcome.lease.expiration_block >= taken.order.terms.new_channel_expiry_block


# --- paid on-chain ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "payment"),
    [
        (State.AWAITING_PAYMENT, EXPECT),
        (State.PAID, PAID),
        (State.FULFILLING, PAID),
        (State.COMPLETED, PAID),
        (State.CLOSING, PAID),
        (State.FAILED, REFUNDED),
    ],
)
def test_each_state_has_its_word_on_chain(state: State, payment: PaymentState) -> None:
    """bLIP-51 §3.3: PAID when confirmed, there is no HOLD; REFUNDED once it went back."""
    assert wire.onchain_state(samples.onchain_order_in(state, CHANNEL_TERMS)) is payment


@pytest.mark.parametrize(
    ("state", "payment"),
    [(State.AWAITING_PAYMENT, EXPECT), (State.PAID, EXPECT), (State.FULFILLED, REFUNDED), (State.COMPLETED, REFUNDED)],
)
def test_the_option_that_was_not_used(state: State, payment: PaymentState) -> None:
    """Paid by its invoice: once delivered the address is told as REFUNDED, so that nobody pays again."""
    order = replace(samples.order_in(state, CHANNEL_TERMS), onchain=samples.ONCHAIN)
    assert wire.onchain_state(order) is payment


@settings(max_examples=200)
@given(walks())
def test_onchain_state_never_goes_back(walk: list[Step]) -> None:
    """bLIP-51 §3.3: EXPECT_PAYMENT, PAID, REFUNDED in that order, and REFUNDED of what was PAID only by a failure."""
    if walk[0].order.onchain is None:
        return
    told = [wire.onchain_state(taken.order) for taken in walk]
    for before, after in pairwise(told):
        assert before is not REFUNDED or after is REFUNDED
        assert before is not PAID or after is not EXPECT
    if PAID in told and told[-1] is REFUNDED:
        assert walk[-1].order.state is State.FAILED


@settings(max_examples=200)
@given(walks())
def test_every_walk_balances(walk: list[Step]) -> None:
    """After every event, what came in is what went somewhere; and a refund is wanted only of what is not kept."""
    for taken in walk:
        if taken.order.service is Service.LSPS1:  # the sample extension's total is not its fee
            assert accounts(taken.order).balance == 0
        for deposit in refunds_to_sign(taken.order):
            assert int(deposit.excess) >= int(samples.RULES.min_refund)
            assert taken.order.state in (State.CLOSING, State.FAILED, State.COMPLETED, State.UNPAID)
