"""Refunds that something comes in between: a reorganisation, another spender, an older refund, the operator."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lsps.orders import deposits, pending
from lsps.orders.events import RefundLeft, RefundPublished, RefundSigned, TimePassed
from lsps.orders.ledger import Accounts, accounts
from lsps.orders.model import Order, State
from lsps.orders.pending import EffectName
from lsps.units import Sat
from tests.orders.onchain import (
    DELIVERING,
    FAILING,
    ONE,
    STRANGER,
    TOTAL,
    TWO,
    listed,
    only,
    order,
    refund,
    run,
    seen,
)
from tests.orders.samples import TIP, later

EXCESS = Sat(50_000)
OVER = TOTAL + EXCESS
REST = replace(refund(), paid=Sat(49_000), fee=Sat(1_000))
"""A refund of what was overpaid."""
SIX_HOURS = later(seconds=6 * 3_600)


def overpaid() -> Order:
    """Delivered, and more was paid than it cost."""
    return run(order(invoice=False), listed(seen(amount=OVER)), *DELIVERING)


def refunded() -> Order:
    """Failed, and all of it published."""
    failing = [listed(seen()), *FAILING, RefundSigned(ONE, refund()), RefundPublished(ONE, "aa" * 32)]
    return run(order(invoice=False), *failing)


def test_what_is_left_is_the_rest_and_not_the_payment() -> None:
    """An overpayment that is not worth its refund is the operator's to decide; the order stays paid for."""
    left = run(overpaid(), RefundLeft(ONE, "its fee would be most of it"))
    assert (only(left).kept, only(left).excess) == (TOTAL, EXCESS)
    assert accounts(left) == replace(accounts(overpaid()), owed=50_000_000)
    assert accounts(left).unpaid == 0
    assert deposits.free_to_spend(left, TIP + 100) == {ONE}


def test_a_deposit_that_comes_back_with_its_refund_still_pays() -> None:
    """Reorganised away and mined again together with the refund of the rest: what was kept of it is kept."""
    sent = run(overpaid(), RefundSigned(ONE, REST), RefundPublished(ONE, REST.txid))
    away = run(sent, listed())
    assert (deposits.kept(away.onchain), accounts(away).unpaid) == (Sat(0), int(TOTAL) * 1000)  # type: ignore[arg-type]
    again = seen(amount=OVER, height=TIP + 2, spent_by=REST.txid, spent_at=TIP + 2)
    back = run(away, listed(again))
    assert accounts(back) == replace(accounts(sent), held=0)
    assert (accounts(back).unpaid, accounts(back).refunded, accounts(back).refund_fees) == (0, 49_000_000, 1_000_000)


def test_a_deposit_that_comes_back_when_another_took_its_place() -> None:
    """The other one goes back, for the first has a refund that leaves what the order costs."""
    sent = run(overpaid(), RefundSigned(ONE, REST), RefundPublished(ONE, REST.txid))
    instead = run(sent, listed(seen(TWO, TOTAL, TIP + 1)))
    assert accounts(instead).unpaid == 0
    both = run(instead, listed(seen(amount=OVER, height=TIP + 2), seen(TWO, TOTAL, TIP + 1)))
    assert [deposit.outpoint for deposit in pending.refunds_to_sign(both)] == [TWO]
    assert (accounts(both).owed, accounts(both).refunded, accounts(both).balance) == (int(TOTAL) * 1000, 49_000_000, 0)


def test_two_that_are_both_kept_are_owed_once() -> None:
    """Both have refunds that leave the price: what is kept twice is shown as owed, for no refund can give it back."""
    sent = run(overpaid(), RefundSigned(ONE, REST), RefundPublished(ONE, REST.txid))
    rest = replace(REST, txid="bb" * 32)
    instead = run(sent, listed(seen(TWO, OVER, TIP + 1)), RefundSigned(TWO, rest), RefundPublished(TWO, "bb" * 32))
    both = accounts(run(instead, listed(seen(amount=OVER, height=TIP + 2), seen(TWO, OVER, TIP + 1))))
    assert (both.unpaid, both.owed, both.balance) == (0, int(TOTAL) * 1000, 0)


@pytest.mark.parametrize("lost", [0, 330], ids=["exact", "with change that is dust"])
@pytest.mark.parametrize("amount", [100_443, 100_444, 100_445], ids=["a sat less", "as signed", "a sat more"])
def test_a_refund_of_another_amount_is_forgotten(amount: int, lost: int) -> None:
    """A reorganisation between signing and storing may leave more or less to give back: then it is signed anew."""
    late = run(overpaid(), listed(seen(amount=OVER), seen(TWO, Sat(amount), TIP)))
    signed = RefundSigned(TWO, replace(refund("bb"), paid=Sat(100_000), fee=Sat(444 + lost)))
    stored = run(late, signed)
    fits = 100_000 <= amount <= 100_444 + lost
    assert [len(deposit.refunds) for deposit in stored.onchain.deposits] == [0, int(fits)]  # type: ignore[union-attr]
    too_much = replace(signed, refund=replace(signed.refund, paid=Sat(amount + 1)))
    assert run(late, too_much) == late


def test_what_is_kept_by_now_is_not_left() -> None:
    """A decision to leave a deposit that has since taken another's place comes too late, and changes nothing."""
    late = run(order(invoice=False), listed(seen()), *DELIVERING, listed(seen(), seen(TWO)))
    assert [deposit.outpoint for deposit in pending.refunds_to_sign(late)] == [TWO]
    needed = run(late, listed(seen(TWO)))
    assert run(needed, RefundLeft(TWO, "its fee would be most of it")) == needed


def test_the_refund_that_confirmed_is_the_one_in_the_ledger() -> None:
    """bLIP-51 §3.3: of two that spend the same outpoint the older may be mined; it pays more than the newer."""
    bumped = run(
        refunded(),
        (TimePassed(), SIX_HOURS),
        (RefundSigned(ONE, refund("bb", paid=199_000)), SIX_HOURS),
        (RefundPublished(ONE, "bb" * 32), SIX_HOURS),
    )
    assert accounts(bumped).refunded == 199_000_000
    mined = run(bumped, (listed(seen(spent_by="aa" * 32, spent_at=TIP + 3)), SIX_HOURS))
    assert accounts(mined) == Accounts(onchain=200_888_000, refunded=200_000_000, refund_fees=888_000)
    assert only(mined).refunded_at == TIP + 3
    back = run(mined, (listed(seen(spent_by="bb" * 32)), SIX_HOURS))
    assert (only(back).refunded_at, accounts(back).refunded) == (None, 199_000_000)


def test_a_published_refund_that_another_spender_beat_is_owed() -> None:
    """The operator's own transaction was mined instead: nothing went back, so it is not shown as refunded."""
    beaten = run(refunded(), listed(seen(spent_by=STRANGER, spent_at=TIP + 1)))
    assert (beaten.state, pending.effects(beaten)) == (State.FAILED, frozenset())
    assert accounts(beaten) == Accounts(onchain=int(TOTAL) * 1000, owed=int(TOTAL) * 1000)
    after_all = run(beaten, listed(seen(height=TIP + 2, spent_by="aa" * 32, spent_at=TIP + 2)))
    assert accounts(after_all).refunded == 200_000_000


def test_a_refund_to_be_bumped_keeps_no_other_waiting() -> None:
    """All deposits that need one are told, the ones to bump among them."""
    several = run(refunded(), (listed(seen(), seen(TWO)), SIX_HOURS))
    assert [deposit.outpoint for deposit in pending.refunds_to_sign(several)] == [ONE, TWO]
    signed = run(several, (RefundSigned(TWO, refund("bb")), SIX_HOURS))
    assert [deposit.outpoint for deposit in pending.refunds_to_publish(signed)] == [TWO]
    assert pending.effects(signed) == {EffectName.SIGN_REFUND, EffectName.PUBLISH_REFUND}


def test_a_refund_that_is_mined_is_published_no_more() -> None:
    """It may be mined before its publishing is on record, by a process that died: then nothing is left to do."""
    signed = run(order(invoice=False), listed(seen()), *FAILING, RefundSigned(ONE, refund()))
    mined = run(signed, listed(seen(spent_by="aa" * 32, spent_at=TIP + 1)))
    assert pending.effects(mined) == frozenset()
    assert (mined.state, accounts(mined).refunded) == (State.FAILED, 200_000_000)
    assert pending.deposits_until(mined) == TIP + 1
