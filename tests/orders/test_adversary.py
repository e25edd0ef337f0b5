"""Attacks on an order by who pays it, and by bad luck: what must hold all the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lsps.orders import deposits, pending
from lsps.orders.events import (
    RefundLeft,
    RefundPublished,
    RefundSigned,
    TimePassed,
)
from lsps.orders.ledger import accounts
from lsps.orders.model import State
from lsps.orders.pending import EffectName
from lsps.orders.transitions import place, step
from lsps.units import BlockHeight, Outpoint
from tests.orders import samples
from tests.orders.onchain import (
    DELIVERING,
    FAILING,
    ONE,
    STRANGER,
    TOTAL,
    listed,
    only,
    order,
    refund,
    run,
    seen,
)
from tests.orders.samples import CHANNEL_TERMS, NOW, RULES, TIP, later

ANOTHER_BLOCK = TIP + 1
SIX_HOURS = 6 * 3_600


# --- a store that is older than the node ------------------------------------------------------------------------------


@pytest.mark.parametrize("lsps1", [True, False])
@pytest.mark.parametrize("spent_at", [None, TIP], ids=["unconfirmed", "confirmed"])
def test_a_payment_that_is_spent_when_it_is_first_seen_pays_for_nothing(
    lsps1: bool, spent_at: BlockHeight | None
) -> None:
    """The copy of a store is put back that knows the order as not paid yet; since then its payment went back, or was
    earned and spent. Nothing is delivered for it (again): the operator decides."""
    restored = run(order(lsps1=lsps1), listed(seen(spent_by=STRANGER, spent_at=spent_at)))
    assert restored.state is State.AWAITING_PAYMENT
    assert STRANGER in only(restored).left
    assert not pending.effects(restored)
    assert restored.onchain is not None
    assert restored.onchain.waits_until is None


def test_a_payment_that_went_back_before_the_opening_pays_no_more() -> None:
    """A copy that knows the order as paid: its deposit was spent since by a transaction it does not know."""
    paid = run(order(invoice=False), listed(seen()))
    spent = run(paid, listed(seen(spent_by=STRANGER, spent_at=TIP + 1)))
    assert (spent.state, set(pending.effects(spent))) == (State.PAID, set())
    failed = run(spent, (TimePassed(), later(seconds=86_400)))
    assert (failed.state, set(pending.effects(failed))) == (State.FAILED, set())
    assert accounts(failed).owed == int(TOTAL) * 1000


# --- refunds ----------------------------------------------------------------------------------------------------------


def test_a_refund_left_while_its_deposit_was_reorganised_is_made_after_all() -> None:
    """The wallet cannot sign for a deposit that is in no block for the moment; once it is in one, it goes back."""
    closing = run(order(invoice=False), listed(seen()), *FAILING)
    left = run(closing, RefundLeft(ONE, "the node cannot sign its refund: no confirmed output of this wallet"))
    again = run(left, listed(seen(height=None)), (listed(seen(height=ANOTHER_BLOCK)), later(blocks=1)))
    assert EffectName.SIGN_REFUND in pending.effects(again)


def test_a_refund_that_the_network_never_took_is_replaced_too() -> None:
    """bLIP-51 §3.3: MUST bump within six hours. One signed for a feerate that is not relayed any more (a fee spike, a
    process that was off for days) would else be sent in vain for ever."""
    signed = run(order(invoice=False), listed(seen()), *FAILING, RefundSigned(ONE, refund()))
    assert pending.due_at(signed) == later(seconds=SIX_HOURS).time
    early = run(signed, (TimePassed(), later(seconds=SIX_HOURS - 1)))
    assert pending.effects(early) == {EffectName.PUBLISH_REFUND}
    late = run(signed, (TimePassed(), later(seconds=SIX_HOURS)))
    assert EffectName.SIGN_REFUND in pending.effects(late)
    assert pending.due_at(late) is None
    read = run(late, (listed(seen()), later(seconds=SIX_HOURS + 60)))
    assert EffectName.SIGN_REFUND in pending.effects(read)
    bumped = run(read, (RefundSigned(ONE, refund("bb", paid=199_000)), later(seconds=SIX_HOURS + 60)))
    assert pending.effects(bumped) == {EffectName.PUBLISH_REFUND}
    assert pending.due_at(bumped) == later(seconds=2 * SIX_HOURS + 60).time
    told = run(bumped, (RefundPublished(ONE, "bb" * 32), later(seconds=SIX_HOURS + 120)))
    assert told.state is State.FAILED


# --- other customers --------------------------------------------------------------------------------------------------


def test_what_was_earned_funds_no_channel_before_it_is_deep() -> None:
    """One confirmation sells a channel, and a reorganisation of one block can undo the payment. It must not undo the
    channel of another customer with it, who paid and was told COMPLETED."""
    done = run(order(invoice=False), listed(seen()), *DELIVERING)
    assert done.state is State.COMPLETED
    assert not deposits.free_to_spend(done, TIP)
    assert not deposits.free_to_spend(done, TIP + 4)
    assert deposits.free_to_spend(done, TIP + 5) == {ONE}


# --- time -------------------------------------------------------------------------------------------------------------


def test_an_address_that_expires_before_the_invoice_is_not_due_for_ever() -> None:
    """What is due and cannot be done would be tried at every turn, and keep others from their turn."""
    placed = samples.placed(CHANNEL_TERMS)
    onchain = replace(samples.ONCHAIN, expires_at=NOW.time + timedelta(minutes=10))
    waiting = place(replace(placed, onchain=onchain), None, NOW, RULES).order
    after = later(seconds=601)
    stepped = step(waiting, None, TimePassed(), after, RULES).order
    due = pending.due_at(stepped)
    assert due is not None
    assert due > after.time


# --- growth -----------------------------------------------------------------------------------------------------------


def test_payments_that_never_confirm_do_not_pile_up() -> None:
    """Replacing an unconfirmed payment costs next to nothing: what is gone and was never more is forgotten."""
    waiting = order()
    for number in range(200):
        waiting = run(waiting, listed(seen(Outpoint(f"{number + 1:064x}", 0), height=None)))
    assert waiting.onchain is not None
    assert len(waiting.onchain.deposits) <= 20
