"""On-chain payments: what of them pays for an order, and what goes back, from which outpoint and how often."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsps.orders import deposits, pending
from lsps.orders.events import (
    ChannelChecked,
    ChannelStanding,
    Event,
    InputsChosen,
    InvoiceCancelled,
    InvoiceSettled,
    Now,
    RefundLeft,
    RefundPublished,
    RefundSigned,
    SeenDeposit,
    TimePassed,
)
from lsps.orders.ledger import Accounts, accounts
from lsps.orders.model import State
from lsps.orders.pending import EffectName
from lsps.orders.wire import bolt11_state, onchain_state, order_state
from lsps.protocol.payment import OrderState, PaymentState
from lsps.units import BlockHeight, Outpoint, Sat
from tests.orders import samples
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
from tests.orders.samples import INPUTS, TIP, later

# --- paying -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("listing", "state"),
    [
        ([], State.AWAITING_PAYMENT),
        ([seen(height=None)], State.AWAITING_PAYMENT),
        ([seen(amount=Sat(int(TOTAL) - 1))], State.AWAITING_PAYMENT),
        ([seen()], State.PAID),
        ([seen(amount=Sat(int(TOTAL) + 1))], State.PAID),
        ([seen(amount=Sat(100_000)), seen(TWO, Sat(int(TOTAL) - 100_000))], State.PAID),
        ([seen(amount=Sat(100_000)), seen(TWO, Sat(int(TOTAL) - 100_000), None)], State.AWAITING_PAYMENT),
    ],
    ids=["nothing", "unconfirmed", "short", "exact", "over", "in two parts", "one part unconfirmed"],
)
def test_an_order_is_paid_by_what_is_confirmed(listing: list[SeenDeposit], state: State) -> None:
    """bLIP-51 §3.3: PAID when the payment is confirmed; all deposits to the address count together."""
    paid = run(order(), listed(*listing))
    assert paid.state is state
    expected = PaymentState.PAID if state is State.PAID else PaymentState.EXPECT_PAYMENT
    assert (onchain_state(paid), order_state(paid)) == (expected, OrderState.CREATED)


@pytest.mark.parametrize("wanted", [1, 2, 6])
def test_confirmations_are_counted_from_the_tip(wanted: int) -> None:
    """bLIP-51 §3.3: confirmed after min_onchain_payment_confirmations; the block itself is the first."""
    early = run(order(min_confirmations=wanted), (listed(seen()), later(blocks=wanted - 2)))
    in_time = run(order(min_confirmations=wanted), (listed(seen()), later(blocks=wanted - 1)))
    assert early.state is (State.PAID if wanted == 1 else State.AWAITING_PAYMENT)
    assert in_time.state is State.PAID


@pytest.mark.parametrize(
    ("sat_per_kw", "height", "state"),
    [
        (1_001, None, State.PAID),
        (1_000, None, State.AWAITING_PAYMENT),
        (None, None, State.AWAITING_PAYMENT),
        (1_000, TIP, State.PAID),
    ],
    ids=["greater", "equal", "unknown", "in a block"],
)
def test_without_a_confirmation_the_fee_decides(
    sat_per_kw: int | None, height: BlockHeight | None, state: State
) -> None:
    """bLIP-51 §3.3: with 0 confirmations a fee greater than min_fee_for_0conf is enough, or a block."""
    event = listed(seen(height=height, sat_per_kw=sat_per_kw))
    assert run(order(min_confirmations=0), event).state is state


def test_an_order_paid_on_chain_takes_no_invoice_any_more() -> None:
    """The invoice beside it is cancelled, and what was held for it all the same goes back; the order is not harmed."""
    paid = run(order(), listed(seen()))
    assert EffectName.CANCEL_INVOICE in pending.effects(paid)
    cancelled = run(paid, InvoiceCancelled())
    assert cancelled.state is State.PAID
    assert cancelled.bolt11 is not None
    assert bolt11_state(cancelled, cancelled.bolt11) is PaymentState.REFUNDED
    again = run(cancelled, samples.HELD)
    assert EffectName.CANCEL_INVOICE in pending.effects(again)
    done = run(again, *DELIVERING)
    assert (done.state, set(pending.effects(done))) == (State.COMPLETED, {EffectName.CANCEL_INVOICE})
    ended = run(done, InvoiceCancelled())
    assert (ended.state, set(pending.effects(ended))) == (State.COMPLETED, set())


@pytest.mark.parametrize("lsps1", [True, False])
def test_what_is_paid_and_delivered_is_complete(lsps1: bool) -> None:
    """Nothing is left to settle: COMPLETED and PAID at once, and an LSPS7 order in the commit that sees the payment."""
    done = run(order(lsps1=lsps1), listed(seen()), *(DELIVERING if lsps1 else []))
    assert (done.state, order_state(done), onchain_state(done)) == (
        State.COMPLETED,
        OrderState.COMPLETED,
        PaymentState.PAID,
    )
    assert only(done).kept == TOTAL
    assert accounts(done).earned == int(samples.ONCHAIN.fee_total if lsps1 else TOTAL) * 1000


# --- expiry -----------------------------------------------------------------------------------------------------------

EXPIRED = later(seconds=86_400)
A_DAY_LATER = later(seconds=2 * 86_400)


def test_the_invoice_expires_before_the_address() -> None:
    """Each option has an expiry of its own (bLIP-51 §3); the order lives as long as its last one."""
    waiting = run(order(), (TimePassed(), later(seconds=3_600)))
    assert waiting.state is State.AWAITING_PAYMENT
    assert pending.effects(waiting) == {EffectName.CANCEL_INVOICE}
    waiting = run(waiting, (InvoiceCancelled(), later(seconds=3_601)))
    assert waiting.state is State.AWAITING_PAYMENT
    assert pending.due_at(waiting) == samples.ONCHAIN.expires_at
    assert run(waiting, (TimePassed(), EXPIRED)).state is State.FAILED


def test_what_was_sent_in_time_may_confirm_later() -> None:
    """Enough and unconfirmed at the expiry: the order waits a day for the block, and no longer."""
    sent = run(order(invoice=False), listed(seen(height=None)), (TimePassed(), EXPIRED))
    assert sent.state is State.AWAITING_PAYMENT
    assert run(sent, (listed(seen(height=TIP)), EXPIRED)).state is State.PAID
    assert run(sent, (TimePassed(), A_DAY_LATER)).state is State.FAILED


def test_what_was_sent_in_time_and_replaced_does_not_wait() -> None:
    """The order fails at its expiry when the payment it waits for is gone."""
    gone = run(order(invoice=False), listed(seen(height=None)), (listed(), EXPIRED))
    assert pending.due_at(gone) == samples.ONCHAIN.expires_at
    assert run(gone, (TimePassed(), EXPIRED)).state is State.FAILED


def test_what_is_sent_after_the_expiry_does_not_wait() -> None:
    """Seen for the first time after expires_at: late, and given back once it is in a block."""
    late = run(order(invoice=False), (listed(seen(height=None)), later(seconds=86_401)), (TimePassed(), A_DAY_LATER))
    assert late.state is State.FAILED
    assert pending.effects(run(late, (listed(seen()), A_DAY_LATER))) == {EffectName.SIGN_REFUND}


# --- giving back ------------------------------------------------------------------------------------------------------


def test_failed_is_told_only_when_the_refund_is_published() -> None:
    """Money rule 5: signed, stored, published, and then FAILED and REFUNDED."""
    closing = run(order(invoice=False), listed(seen()), *FAILING)
    assert (closing.state, set(pending.effects(closing))) == (State.CLOSING, {EffectName.SIGN_REFUND})
    assert (order_state(closing), onchain_state(closing)) == (OrderState.CREATED, PaymentState.PAID)
    signed = run(closing, RefundSigned(ONE, refund()))
    assert (signed.state, set(pending.effects(signed))) == (State.CLOSING, {EffectName.PUBLISH_REFUND})
    published = run(signed, RefundPublished(ONE, refund().txid))
    assert (published.state, set(pending.effects(published))) == (State.FAILED, set())
    assert (order_state(published), onchain_state(published)) == (OrderState.FAILED, PaymentState.REFUNDED)
    assert accounts(published) == Accounts(onchain=200_888_000, refunded=200_000_000, refund_fees=888_000)


def test_a_second_signature_changes_nothing() -> None:
    """An effect that ran twice does not replace what was stored, and publishing twice keeps the first time."""
    signed = run(order(invoice=False), listed(seen()), *FAILING, RefundSigned(ONE, refund()))
    assert run(signed, RefundSigned(ONE, refund("bb"))) == signed
    published = run(signed, RefundPublished(ONE, refund().txid))
    assert run(published, (RefundPublished(ONE, refund().txid), later(seconds=60))) == published


def test_a_refund_that_does_not_confirm_is_replaced_from_the_same_outpoint() -> None:
    """bLIP-51 §3.3: MUST bump the fee within six hours; the replacement is stored beside the first."""
    published = run(
        order(invoice=False), listed(seen()), *FAILING, RefundSigned(ONE, refund()), RefundPublished(ONE, "aa" * 32)
    )
    six_hours = later(seconds=6 * 3_600)
    assert pending.due_at(published) == six_hours.time
    assert run(published, (TimePassed(), later(seconds=6 * 3_600 - 1))) == published
    bumping = run(published, (TimePassed(), six_hours))
    assert pending.effects(bumping) == {EffectName.SIGN_REFUND}
    replaced = run(bumping, (RefundSigned(ONE, refund("bb", paid=199_000)), six_hours))
    assert pending.effects(replaced) == {EffectName.PUBLISH_REFUND}
    told = run(replaced, (RefundPublished(ONE, "bb" * 32), six_hours))
    assert told.state is State.FAILED
    assert pending.due_at(told) == later(seconds=12 * 3_600).time
    assert accounts(told).refunded == 199_000_000


@pytest.mark.parametrize("txid", ["aa", "bb"])
def test_whichever_refund_confirms_ends_it(txid: str) -> None:
    """The first may confirm after it was replaced: nothing more is signed or published."""
    bumped = run(
        order(invoice=False),
        listed(seen()),
        *FAILING,
        RefundSigned(ONE, refund()),
        RefundPublished(ONE, "aa" * 32),
        (TimePassed(), later(seconds=6 * 3_600)),
        (RefundSigned(ONE, refund("bb")), later(seconds=6 * 3_600)),
    )
    done = run(bumped, (listed(seen(spent_by=txid * 32, spent_at=TIP + 3)), later(seconds=6 * 3_600, blocks=3)))
    assert only(done).refunded_at == TIP + 3
    assert pending.effects(done) == frozenset()
    assert pending.due_at(done) is None


def test_a_refund_goes_with_its_deposit() -> None:
    """Reorganised away, a deposit is not given back; when it comes again, what was published stands."""
    published = run(
        order(invoice=False), listed(seen()), *FAILING, RefundSigned(ONE, refund()), RefundPublished(ONE, "aa" * 32)
    )
    gone = run(published, listed())
    assert only(gone).gone
    assert (pending.effects(gone), pending.due_at(gone), accounts(gone)) == (frozenset(), None, Accounts())
    back = run(gone, listed(seen(height=TIP + 1)))
    assert pending.effects(back) == frozenset()
    assert accounts(back).refunded == 200_000_000


@pytest.mark.parametrize(
    ("paid", "owed"), [(2_000, 0), (1_999, 1_999), (1, 1)], ids=["at the minimum", "below", "one sat"]
)
def test_what_is_too_little_is_left_and_shown(paid: int, owed: int) -> None:
    """Below min_refund nothing is signed, FAILED waits for nothing, and the ledger owes it."""
    failed = run(order(invoice=False), listed(seen(amount=Sat(paid))), (TimePassed(), EXPIRED))
    assert (failed.state is State.CLOSING) is (owed == 0)
    assert accounts(failed).owed == paid * 1000


def test_what_cannot_be_refunded_is_left_to_the_operator() -> None:
    """The order closes, nothing more is tried, and the ledger owes it with the reason."""
    left = run(order(invoice=False), listed(seen()), *FAILING, RefundLeft(ONE, "the fee would be most of it"))
    assert (left.state, set(pending.effects(left))) == (State.FAILED, set())
    assert accounts(left).owed == int(TOTAL) * 1000
    assert only(left).left == "the fee would be most of it"
    assert pending.deposits_until(left) == TIP


def test_what_the_operator_spent_is_left_to_the_operator() -> None:
    """A deposit to be given back that another transaction of the wallet spent: nothing else is tried."""
    closing = run(order(invoice=False), listed(seen()), *FAILING)
    spent = run(closing, listed(seen(spent_by=STRANGER)))
    assert EffectName.SIGN_REFUND in pending.effects(spent)  # it may yet be replaced
    spent = run(spent, listed(seen(spent_by=STRANGER, spent_at=TIP + 1)))
    assert (spent.state, set(pending.effects(spent))) == (State.FAILED, set())
    assert STRANGER in only(spent).left


@pytest.mark.parametrize("outcome", ["completed", "failed", "by invoice"])
def test_late_money_goes_back(outcome: str) -> None:
    """Money rule 4: a deposit after the order's end, or beside its invoice, goes back whole; what was told stays."""
    ends: dict[str, list[Event | tuple[Event, Now]]] = {
        "completed": [listed(seen()), *DELIVERING],
        "failed": [(TimePassed(), EXPIRED), (InvoiceCancelled(), EXPIRED)],
        "by invoice": [samples.HELD, *DELIVERING, InvoiceSettled()],
    }
    ended = run(order(), *ends[outcome])
    told = (order_state(ended), onchain_state(ended))
    first = [seen()] if outcome == "completed" else []
    late = run(ended, (listed(*first, seen(TWO, Sat(50_000), TIP + 5)), later(blocks=5)))
    assert EffectName.SIGN_REFUND in pending.effects(late)
    assert pending.refunds_to_sign(late) == late.onchain.deposits[-1:]  # type: ignore[union-attr]
    assert accounts(late).owed == 50_000_000
    assert (order_state(late), onchain_state(late)) == told


def test_an_excess_goes_back_and_the_rest_stays() -> None:
    """Overpaid: once delivered, what is beyond the total goes back from the same outpoint."""
    done = run(order(invoice=False), listed(seen(amount=Sat(int(TOTAL) + 50_000))), *DELIVERING)
    assert done.state is State.COMPLETED
    (deposit,) = pending.refunds_to_sign(done)
    assert (deposit.kept, deposit.excess) == (TOTAL, Sat(50_000))
    assert not deposits.free_to_spend(done, TIP + 100)
    exact = run(order(invoice=False), listed(seen()), *DELIVERING)
    assert deposits.free_to_spend(exact, TIP + 100) == {ONE}


@pytest.mark.parametrize("events", [[], [InputsChosen(INPUTS, 1_000)], [*FAILING]], ids=["paid", "opening", "failed"])
def test_a_deposit_that_may_go_back_is_not_spent(events: list[Event]) -> None:
    """Until the order is delivered, its deposits fund no channel."""
    assert not deposits.free_to_spend(run(order(), listed(seen()), *events), TIP + 100)


# --- reorganisations --------------------------------------------------------------------------------------------------


def test_a_payment_taken_back_before_the_opening_is_waited_for() -> None:
    """Nothing is begun while the payment is not there; it goes on when it confirms again, and fails after a day."""
    paid = run(order(), listed(seen()))
    assert EffectName.CHOOSE_INPUTS in pending.effects(paid)
    away = run(paid, listed(seen(height=None)))
    assert (away.state, EffectName.CHOOSE_INPUTS in pending.effects(away)) == (State.PAID, False)
    assert onchain_state(away) is PaymentState.PAID
    assert run(away, InputsChosen(INPUTS, 1_000)) == away
    assert run(away, (TimePassed(), later(seconds=86_399))) == away
    assert run(away, (TimePassed(), later(seconds=86_400))).state is State.CLOSING
    back = run(away, (listed(seen(height=TIP + 2)), later(seconds=3_600, blocks=2)))
    assert EffectName.CHOOSE_INPUTS in pending.effects(back)
    assert back.give_up_at == later(seconds=3_600 + 86_400).time


def test_a_payment_taken_back_after_delivery_is_a_loss_until_it_is_there_again() -> None:
    """COMPLETED stays told; the ledger shows it unpaid, and another deposit to the address takes its place."""
    done = run(order(invoice=False), listed(seen()), *DELIVERING)
    away = run(done, listed())
    assert (away.state, accounts(away).unpaid) == (State.COMPLETED, int(TOTAL) * 1000)
    assert accounts(run(away, listed(seen(height=TIP + 1)))).unpaid == 0
    replaced = run(away, listed(seen(TWO, TOTAL, TIP + 1)))
    assert accounts(replaced).unpaid == 0
    both = run(replaced, listed(seen(ONE, TOTAL, TIP + 2), seen(TWO, TOTAL, TIP + 1)))
    assert accounts(both).owed == int(TOTAL) * 1000


def test_a_lease_is_not_taken_back_by_a_reorganisation() -> None:
    """What was extended stays extended (money rule 5), though the payment is gone."""
    done = run(order(lsps1=False), listed(seen()))
    assert run(done, listed(), ChannelChecked(ChannelStanding.GOOD)).state is State.COMPLETED


@given(st.lists(st.tuples(st.sampled_from([1_000, 60_000, 100_444, 200_888]), st.integers(0, 9)), max_size=5))
def test_what_is_kept_does_not_depend_on_what_was_seen_first(paid: list[tuple[int, int]]) -> None:
    """The same deposits in the same blocks, read one by one or at once, pay for an order alike."""
    listing = [
        seen(Outpoint(f"{index + 1:064x}", 0), Sat(amount), BlockHeight(int(TIP) - 10 + block))
        for index, (amount, block) in enumerate(paid)
    ]
    listing.sort(key=lambda item: int(item.height or 0))
    at_once = run(order(invoice=False), listed(*listing))
    one_by_one = order(invoice=False)
    for count in range(1, len(listing) + 1):
        one_by_one = run(one_by_one, listed(*listing[:count]))
    assert at_once.state is one_by_one.state
    assert accounts(at_once) == accounts(one_by_one)
