"""On-chain payments under anything that can happen, in any order."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from lsps.orders import pending
from lsps.orders.events import (
    ChannelChecked,
    ChannelOpened,
    ChannelStanding,
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
from lsps.orders.model import Deposit, PaymentMethod, Refund, State
from lsps.orders.transitions import IllegalTransition, step
from lsps.orders.wire import onchain_state, order_state
from lsps.protocol.payment import OrderState, PaymentState
from lsps.units import BlockHeight, Msat, Outpoint, Sat
from tests.orders.onchain import (
    TOTAL,
    listed,
    order,
    seen,
)
from tests.orders.samples import FUNDING_OUTPOINT, INPUTS, LEASE, NOW, RULES, TIP


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
