"""On-chain payments: what of them pays for an order, and what goes back, from which outpoint and how often."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lsps.orders import deposits, pending
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
    PaymentHeld,
    RefundLeft,
    RefundPublished,
    RefundSigned,
    SeenDeposit,
    TimePassed,
)
from lsps.orders.ledger import Accounts, accounts
from lsps.orders.model import Deposit, Order, PaymentMethod, Refund, State
from lsps.orders.pending import EffectName
from lsps.orders.transitions import IllegalTransition, place, step
from lsps.orders.wire import bolt11_state, onchain_state, order_state
from lsps.protocol.payment import OrderState, PaymentState
from lsps.units import BlockHeight, Msat, Outpoint, Sat
from tests.orders import samples
from tests.orders.samples import CHANNEL_TERMS, EXTENSION_TERMS, FUNDING_OUTPOINT, INPUTS, LEASE, NOW, RULES, TIP, later

TOTAL = samples.ONCHAIN.order_total
ONE, TWO = Outpoint("e1" * 32, 0), Outpoint("e2" * 32, 1)
STRANGER = "f0" * 32
SINCE = BlockHeight(int(TIP) - 144)


def order(*, lsps1: bool = True, invoice: bool = True, min_confirmations: int = 1) -> Order:
    """Just placed, payable on-chain and, with `invoice`, by Lightning."""
    placed = samples.placed(CHANNEL_TERMS if lsps1 else EXTENSION_TERMS)
    onchain, bolt11 = replace(samples.ONCHAIN, min_confirmations=min_confirmations), placed.bolt11
    if not lsps1:  # bLIP-57 has no client balance: the total is the fee
        onchain, bolt11 = replace(onchain, fee_total=TOTAL), replace(samples.OPTION, fee_total=TOTAL)
    if min_confirmations == 0:
        onchain = replace(onchain, min_fee_for_0conf=1_000)
    event = replace(placed, bolt11=bolt11 if invoice else None, onchain=onchain)
    return place(event, None, NOW, RULES).order


def seen(
    outpoint: Outpoint = ONE,
    amount: Sat = TOTAL,
    height: BlockHeight | None = TIP,
    *,
    sat_per_kw: int | None = None,
    spent_by: str | None = None,
    spent_at: BlockHeight | None = None,
) -> SeenDeposit:
    return SeenDeposit(outpoint, amount, height, sat_per_kw, spent_by, spent_at)


def listed(*listing: SeenDeposit, since: BlockHeight = SINCE) -> DepositsSeen:
    return DepositsSeen(listing, since, ChannelStanding.GOOD)


def refund(name: str = "aa", *, paid: int = 200_000, sat_per_kw: int = 1_000) -> Refund:
    return Refund(name * 32, b"raw " + name.encode(), Sat(paid), Sat(int(TOTAL) - paid), sat_per_kw)


def run(start: Order, *events: Event | tuple[Event, Now]) -> Order:
    lease = LEASE if start.service.value == "LSPS7" else None
    for item in events:
        event, now = item if isinstance(item, tuple) else (item, NOW)
        start = step(start, lease, event, now, RULES).order
    return start


def only(order: Order) -> Deposit:
    assert order.onchain is not None
    (deposit,) = order.onchain.deposits
    return deposit


FAILING: list[Event] = [InputsChosen(INPUTS, 1_000), OpenFailed("the peer refused")]
DELIVERING: list[Event] = [InputsChosen(INPUTS, 1_000), ChannelOpened(FUNDING_OUTPOINT)]


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


# --- anything, in any order -------------------------------------------------------------------------------------------


class Anything(RuleBasedStateMachine):
    """One order, a wallet whose list changes at will, and a service that carries out what is due, or is late."""

    @initialize(lsps1=st.booleans(), invoice=st.booleans(), min_confirmations=st.integers(0, 3))
    def begin(self, lsps1: bool, invoice: bool, min_confirmations: int) -> None:
        self.order = order(lsps1=lsps1, invoice=invoice, min_confirmations=min_confirmations)
        self.lease = None if lsps1 else LEASE
        self.now = NOW
        self.listing: dict[Outpoint, SeenDeposit] = {}
        self.made = 0
        self.failed = False
        self.told: list[tuple[OrderState, PaymentState]] = []
        self.published: dict[Outpoint, list[str]] = {}

    def happens(self, event: Event) -> None:
        try:
            outcome = step(self.order, self.lease, event, self.now, RULES)
        except IllegalTransition:
            return
        self.order, self.lease = outcome.order, outcome.lease or self.lease

    @rule(
        amount=st.sampled_from([1, 1_999, 2_000, 100_444, 200_888, 250_000]), rate=st.sampled_from([None, 999, 1_001])
    )
    def pay(self, amount: int, rate: int | None) -> None:
        self.made += 1
        outpoint = Outpoint(f"{self.made:064x}", 0)
        self.listing[outpoint] = seen(outpoint, Sat(amount), None, sat_per_kw=rate)

    @precondition(lambda self: self.listing)
    @rule(pick=st.integers(0), how=st.sampled_from(["confirm", "confirm", "unconfirm", "lose"]))
    def move(self, pick: int, how: str) -> None:
        outpoint = sorted(self.listing)[pick % len(self.listing)]
        if how == "lose":
            del self.listing[outpoint]
        else:
            height = self.now.tip if how == "confirm" else None
            self.listing[outpoint] = replace(self.listing[outpoint], height=height)

    @rule()
    def deliver(self) -> None:
        """What usually comes, so that much happens after it as well."""
        for outpoint, item in self.listing.items():
            self.listing[outpoint] = replace(item, height=item.height or self.now.tip)
        self.read()
        self.happens(InputsChosen(INPUTS, 1_000))
        self.happens(ChannelOpened(FUNDING_OUTPOINT))

    @rule()
    def read(self) -> None:
        published = {outpoint: txids[-1] for outpoint, txids in self.published.items()}
        listing = [
            replace(item, spent_by=published.get(outpoint), spent_at=None) for outpoint, item in self.listing.items()
        ]
        self.happens(listed(*listing, since=BlockHeight(0)))

    @precondition(lambda self: self.published)
    @rule(pick=st.integers(0), oldest=st.booleans())
    def refund_confirms(self, pick: int, oldest: bool) -> None:
        outpoint = sorted(self.published)[pick % len(self.published)]
        if outpoint in self.listing and self.listing[outpoint].height is not None:
            txid = self.published[outpoint][0 if oldest else -1]
            listing = [
                replace(item, spent_by=txid, spent_at=self.now.tip) if known == outpoint else item
                for known, item in self.listing.items()
            ]
            self.happens(listed(*listing, since=BlockHeight(0)))

    @rule(seconds=st.sampled_from([1, 1_800, 21_600, 86_400]), blocks=st.integers(0, 3))
    def wait(self, seconds: int, blocks: int) -> None:
        self.now = Now(self.now.time + timedelta(seconds=seconds), self.now.tip + blocks)
        self.happens(TimePassed())

    @rule(
        event=st.sampled_from(
            [
                PaymentHeld(Msat(200_888_000), TIP + 10_000, ChannelStanding.GOOD),
                InvoiceCancelled(),
                InvoiceSettled(),
                InputsChosen(INPUTS, 1_000),
                ChannelOpened(FUNDING_OUTPOINT),
                OpenFailed("the peer refused"),
                ChannelChecked(ChannelStanding.GOOD),
                ChannelChecked(ChannelStanding.GONE),
            ]
        )
    )
    def other(self, event: Event) -> None:
        self.happens(event)

    @rule(late=st.booleans())
    def sign(self, late: bool) -> None:
        for deposit in pending.refunds_to_sign(self.order)[:1]:
            self.made += 1
            signed = Refund(f"{self.made:064x}", b"", deposit.excess - Sat(500), Sat(500), 1_000)
            if late:
                self.read()
            self.happens(RefundSigned(deposit.outpoint, signed))

    @rule(recorded=st.booleans())
    def publish(self, recorded: bool) -> None:
        for deposit in pending.refunds_to_publish(self.order)[:1]:
            txid = deposit.refunds[-1].txid
            self.published.setdefault(deposit.outpoint, []).append(txid)
            if recorded:  # else the process died in between
                self.happens(RefundPublished(deposit.outpoint, txid))

    @rule()
    def leave(self) -> None:
        for deposit in pending.refunds_to_sign(self.order)[:1]:
            self.happens(RefundLeft(deposit.outpoint, "for the test"))

    # --- what must hold, always -----------------------------------------------------------------------------------

    def all(self) -> Iterable[Deposit]:
        return () if self.order.onchain is None else self.order.onchain.deposits

    @invariant()
    def the_ledger_balances(self) -> None:
        """Every sat that came in has a place (design: sums that balance, checked)."""
        assert accounts(self.order).balance == 0
        assert min(getattr(accounts(self.order), name) for name in Accounts.__slots__) >= 0

    @invariant()
    def no_more_is_kept_than_the_order_costs(self) -> None:
        kept = sum(int(deposit.kept) for deposit in self.all() if not deposit.gone)
        assert kept <= int(TOTAL)
        if self.order.paid_by is not PaymentMethod.ONCHAIN:
            assert kept == 0

    @invariant()
    def what_is_kept_and_what_goes_back_are_one_deposit(self) -> None:
        """A refund never pays out what is kept of its outpoint."""
        for deposit in self.all():
            for signed in deposit.refunds:
                assert int(signed.paid) + int(signed.fee) == int(deposit.excess)

    @invariant()
    def what_was_told_stays(self) -> None:
        """COMPLETED and FAILED are final, PAID and REFUNDED never go back to EXPECT_PAYMENT (money rule 5)."""
        now = (order_state(self.order), onchain_state(self.order))
        if self.told and self.told[-1] != now:
            before = self.told[-1]
            assert before[0] is OrderState.CREATED
            assert before[1] is not PaymentState.REFUNDED
            assert before[1] is PaymentState.EXPECT_PAYMENT or now[1] is not PaymentState.EXPECT_PAYMENT
        self.told.append(now)

    @invariant()
    def what_closes_goes_on(self) -> None:
        """A closing order has something to do, or waits for a deposit to be deep enough for its refund."""
        if self.order.state is State.CLOSING and not pending.effects(self.order):
            told = self.order.paid_by is PaymentMethod.ONCHAIN
            there = [d for d in self.all() if d.height is not None or told]
            assert any(not (d.gone or d.left) and (d.height is None or not d.refund_due) for d in there)

    @invariant()
    def what_failed_has_gone_back(self) -> None:
        """At the moment FAILED is told, all that is in a block and large enough was published or left."""
        if self.order.state is State.FAILED and not self.failed:
            self.failed = True
            for deposit in self.all():
                small = deposit.amount < RULES.min_refund
                assert deposit.gone or deposit.height is None or deposit.is_returned or deposit.left or small


TestAnything = Anything.TestCase
TestAnything.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


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
