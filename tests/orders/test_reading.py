"""What one reading of the wallet says of the deposits that an order knows, and what it does not say."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from lsps.orders import deposits, pending
from lsps.orders.events import ChannelChecked, ChannelStanding, RefundPublished, RefundSigned, TimePassed
from lsps.orders.model import Order, State
from lsps.orders.pending import EffectName
from lsps.units import BlockHeight, Sat
from tests.orders import samples
from tests.orders.onchain import DELIVERING, FAILING, ONE, STRANGER, TWO, listed, only, order, refund, run, seen
from tests.orders.samples import ONCHAIN, START, TIP, later


@pytest.mark.parametrize(("since", "gone"), [(-1, True), (0, True), (1, False)], ids=["below", "at it", "above"])
def test_silence_says_nothing_of_earlier_blocks(since: int, gone: bool) -> None:
    """A reading tells of blocks at or above `since`: a deposit below is not gone because it is not listed."""
    paid = run(order(invoice=False), listed(seen()), *DELIVERING)
    read = run(paid, listed(since=TIP + since))
    assert (only(read).gone, only(read).height) == (gone, None if gone else TIP)
    assert (read == paid) is not gone


def test_what_waits_is_gone_when_it_is_not_listed() -> None:
    """One that waited for a block is listed by every reading while it is there."""
    waiting = run(order(invoice=False), listed(seen(height=None)))
    assert only(run(waiting, listed(since=TIP + 1))).gone


@pytest.mark.parametrize("height", [None, TIP])
def test_what_comes_back_is_there(height: BlockHeight | None) -> None:
    """Evicted and seen again: as if it had never been away, and first seen when it was."""
    away = run(order(invoice=False), listed(seen(height=None)), (listed(), later(seconds=60)))
    back = run(away, (listed(seen(height=height)), later(seconds=120)))
    assert (only(back).gone, only(back).height, only(back).seen_at) == (False, height, START)


@pytest.mark.parametrize(("early", "waits"), [(timedelta(microseconds=1), True), (timedelta(0), False)])
def test_in_time_is_before_the_expiry(early: timedelta, waits: bool) -> None:
    """bLIP-51 §3: what is first seen at expires_at is late, a moment earlier is in time."""
    then = replace(later(), time=ONCHAIN.expires_at - early)
    read = run(order(invoice=False), (listed(seen(height=None)), then))
    assert waits_for_it(read) == waits


def test_what_comes_to_the_tip_before_the_tip_is_told_is_one_deep() -> None:
    """The wallet may know of a block before the service knows the new height."""
    read = run(order(invoice=False), listed(seen(height=TIP + 2)))
    assert only(read).kept == ONCHAIN.order_total


def test_a_refund_loses_its_block_with_its_deposit() -> None:
    """What confirmed is unconfirmed again when both are reorganised away."""
    signed = run(order(invoice=False), listed(seen()), *FAILING, RefundSigned(ONE, refund()))
    mined = run(signed, listed(seen(spent_by=refund().txid, spent_at=TIP + 1)))
    assert (only(mined).refunded_at, only(run(mined, listed())).refunded_at) == (TIP + 1, None)


@pytest.mark.parametrize("spent_at", [None, TIP + 1])
def test_what_was_earned_may_be_spent(spent_at: BlockHeight | None) -> None:
    """The deposit of a delivered order funds another's channel: nothing of it is left to be decided."""
    done = run(order(invoice=False), listed(seen()), *DELIVERING)
    assert run(done, listed(seen(spent_by=STRANGER, spent_at=spent_at))) == done


def test_what_pays_for_nothing_is_nobodys_coin() -> None:
    """A deposit beside the one that paid, too small to go back by itself: owed, so it funds nothing."""
    small = run(order(invoice=False), listed(seen()), *DELIVERING, listed(seen(), seen(TWO, Sat(1_999))))
    assert deposits.free_to_spend(small, TIP + 100) == {ONE}


def test_an_order_paid_by_its_invoice_is_not_in_need_of_deposits() -> None:
    """Nothing came on-chain to an order that could be paid so: it goes on all the same."""
    held = run(order(), samples.HELD)
    assert EffectName.CHOOSE_INPUTS in pending.effects(held)
    assert run(held, *DELIVERING[:1]).state is State.FULFILLING
    read = run(held, listed(seen(height=None)))
    assert read.give_up_at == held.give_up_at


def test_what_was_replaced_does_not_pay_without_a_confirmation() -> None:
    """With 0 confirmations a payment that is gone counts no more, whatever fee it had."""
    first, second = (
        seen(amount=Sat(100_444), height=None, sat_per_kw=9_000),
        seen(TWO, Sat(100_444), None, sat_per_kw=9_000),
    )
    fast = order(invoice=False, min_confirmations=0)
    assert run(fast, listed(first), listed(second)).state is State.AWAITING_PAYMENT
    assert run(fast, listed(first), listed(first, second)).state is State.PAID


@pytest.mark.parametrize("turned", [False, True])
def test_the_first_block_pays(turned: bool) -> None:
    """Two payments of the whole, seen at once: the one in the earlier block pays, in whatever order they are listed."""
    both = [seen(height=TIP), seen(TWO, height=TIP + -1)]
    paid = run(order(invoice=False), listed(*(reversed(both) if turned else both)))
    assert paid.onchain is not None
    assert {d.outpoint: d.kept for d in paid.onchain.deposits} == {ONE: Sat(0), TWO: ONCHAIN.order_total}


def test_what_pays_goes_on_paying() -> None:
    """Another payment that shows up in an earlier block takes nobody's place: it is the one that goes back."""
    done = run(order(invoice=False), listed(seen()), *DELIVERING, listed(seen(), seen(TWO, height=TIP + -1)))
    assert [deposit.outpoint for deposit in pending.refunds_to_sign(done)] == [TWO]


def test_nothing_goes_back_before_the_outcome() -> None:
    """Overpaid, or paid beside the invoice: until it is known how the order ends, nothing is given back."""
    over = [listed(seen(), seen(TWO)), *DELIVERING[:1]]
    for waiting in (run(order(invoice=False), *over[:1]), run(order(invoice=False), *over)):
        assert pending.refunds_to_sign(waiting) == ()
    assert pending.refunds_to_sign(run(order(), samples.HELD, listed(seen()))) == ()


def test_what_goes_back_is_deep() -> None:
    """A refund waits for as many blocks as a payment; one that is on its way stays so when its deposit gets another
    block."""
    late = order(invoice=False, min_confirmations=3)
    failed = run(late, (TimePassed(), later(seconds=86_400)))
    early = run(failed, (listed(seen()), later(seconds=86_400, blocks=1)))
    assert pending.refunds_to_sign(early) == ()
    deep = run(early, (listed(seen()), later(seconds=86_400, blocks=2)))
    assert [deposit.outpoint for deposit in pending.refunds_to_sign(deep)] == [ONE]
    signed = run(deep, (RefundSigned(ONE, refund()), later(seconds=86_400, blocks=2)))
    moved = run(signed, (listed(seen(height=TIP + 2)), later(seconds=86_400, blocks=2)))
    assert [deposit.outpoint for deposit in pending.refunds_to_publish(moved)] == [ONE]


def test_what_was_paid_without_a_confirmation_goes_back_from_a_block() -> None:
    """PAID without a confirmation, and then it failed: a refund needs a block, and REFUNDED is told only after it
    (money rule 5); if the payment never gets one, there is nothing to refund."""
    paid = run(order(invoice=False, min_confirmations=0), listed(seen(height=None, sat_per_kw=9_000)), *FAILING)
    assert (paid.state, pending.effects(paid)) == (State.CLOSING, frozenset())
    mined = run(paid, listed(seen(sat_per_kw=9_000)))
    assert pending.effects(mined) == {EffectName.SIGN_REFUND}
    sent = run(mined, RefundSigned(ONE, refund()), RefundPublished(ONE, refund().txid))
    assert sent.state is State.FAILED
    assert run(paid, listed()).state is State.FAILED


def test_an_order_paid_on_chain_waits_a_day() -> None:
    """Nothing times out on-chain: peer and funds are waited for longer than with a held payment."""
    assert run(order(), listed(seen())).give_up_at == later(seconds=86_400).time
    assert run(order(), samples.HELD).give_up_at == later(seconds=1_800).time


def test_nothing_is_extended_for_a_payment_that_is_not_there() -> None:
    """The channel list comes back when the payment was reorganised away: the extension waits for the payment."""
    unknown = replace(listed(seen()), channel=ChannelStanding.UNKNOWN)
    away = run(order(lsps1=False), unknown, listed(seen(height=None)))
    assert away.state is State.PAID
    assert run(away, ChannelChecked(ChannelStanding.GOOD)) == away
    back = run(away, listed(seen()), ChannelChecked(ChannelStanding.GOOD))
    assert back.state is State.COMPLETED


def waits_for_it(read: Order) -> bool:
    at_expiry = run(read, (TimePassed(), later(seconds=86_400)))
    return at_expiry.state is read.state
