"""Every sat of an order, as a table: what came in, and what became of it."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest

from lsps.orders.ledger import Accounts, accounts
from lsps.orders.model import Bolt11Option, Deposit, Order, PaymentMethod, State
from lsps.units import Msat, Sat
from tests.orders import samples
from tests.orders.samples import CHANNEL_TERMS, DEPOSIT, EXTENSION_TERMS, NOW, REFUND, RETURNED, RETURNING, START

TOTAL = 200_888_000
FEE, PUSHED = 8_888_000, 192_000_000

# In millisatoshi, columns that are 0 left out.

LIGHTNING = {
    State.AWAITING_PAYMENT: {},
    State.PAID: {"lightning": TOTAL, "held": TOTAL},
    State.FULFILLING: {"lightning": TOTAL, "held": TOTAL},
    State.FULFILLED: {"lightning": TOTAL, "held": TOTAL},
    State.COMPLETED: {"lightning": TOTAL, "earned": FEE, "delivered": PUSHED},
    State.UNPAID: {"unpaid": TOTAL, "earned": FEE, "delivered": PUSHED},
    State.CLOSING: {"lightning": TOTAL, "owed": TOTAL},
    State.FAILED: {},
}
ONCHAIN = {
    State.AWAITING_PAYMENT: {},
    State.PAID: {"onchain": TOTAL, "held": TOTAL},
    State.FULFILLING: {"onchain": TOTAL, "held": TOTAL},
    State.COMPLETED: {"onchain": TOTAL, "earned": FEE, "delivered": PUSHED},
    State.CLOSING: {"onchain": TOTAL, "owed": TOTAL},
    State.FAILED: {"onchain": TOTAL, "refunded": 200_000_000, "refund_fees": 888_000},
}


def is_booked(order: Order, columns: dict[str, int]) -> bool:
    """Whether its accounts are these, and balance."""
    books = accounts(order)
    return books == Accounts(**columns) and books.balance == 0


@pytest.mark.parametrize("state", State)
def test_paid_by_lightning(state: State) -> None:
    """Held until it is decided, earned when delivered, owed while it goes back, nothing once it went back; delivered
    without payment it is a loss."""
    assert is_booked(samples.order_in(state, CHANNEL_TERMS), LIGHTNING[state])


@pytest.mark.parametrize("state", ONCHAIN)
def test_paid_on_chain(state: State) -> None:
    """A deposit is held until it is decided, earned when delivered, owed until its refund is published."""
    assert is_booked(samples.onchain_order_in(state, CHANNEL_TERMS), ONCHAIN[state])


def test_an_extension_gives_no_balance_on() -> None:
    """bLIP-57 has no client balance: all that an extension costs is earned."""
    option = replace(samples.OPTION, fee_total=samples.OPTION.order_total)
    order = samples.order_in(State.COMPLETED, EXTENSION_TERMS, option=option)
    assert is_booked(order, {"lightning": TOTAL, "earned": TOTAL})


@pytest.mark.parametrize("state", [State.PAID, State.COMPLETED, State.FAILED])
def test_a_free_order_has_no_books(state: State) -> None:
    """Nothing came in, nothing went out, whatever was delivered."""
    assert is_booked(samples.order_in(state, CHANNEL_TERMS, free=True), {})


def with_invoice(order: Order, **changes: object) -> Order:
    assert isinstance(order.bolt11, Bolt11Option)
    return replace(order, bolt11=replace(order.bolt11, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("parts", [1, 999, 200_888_000])
def test_what_is_overpaid_by_lightning_is_surplus(parts: int) -> None:
    """It cannot be given back apart: it is the LSP's, to the millisatoshi."""
    order = with_invoice(samples.order_in(State.COMPLETED, CHANNEL_TERMS), held=Msat(TOTAL + parts))
    assert is_booked(order, {"lightning": TOTAL + parts, "earned": FEE, "delivered": PUSHED, "surplus": parts})


def test_money_for_a_cancelled_invoice_is_owed() -> None:
    """Held again after the cancellation was confirmed, in any state: owed until that is confirmed, too."""
    for state in (State.FAILED, State.COMPLETED, State.PAID):
        onchain = samples.onchain_order_in(state, CHANNEL_TERMS)
        beside = replace(samples.OPTION, cancelled=True, cancelling=True, held=Msat(7_000))
        expected = ONCHAIN[state]
        owed = {"lightning": 7_000, "owed": 7_000}
        assert is_booked(replace(onchain, bolt11=beside), expected | owed)
        assert is_booked(replace(onchain, bolt11=replace(beside, cancelling=False)), expected)


def test_a_payment_short_of_the_total_is_owed() -> None:
    """Too little was held: it goes back."""
    order = with_invoice(samples.order_in(State.CLOSING, CHANNEL_TERMS), held=Msat(1_500))
    assert is_booked(order, {"lightning": 1_500, "owed": 1_500})


def with_deposits(state: State, *deposits: Deposit) -> Order:
    order = samples.onchain_order_in(state, CHANNEL_TERMS)
    assert order.onchain is not None
    return replace(order, onchain=replace(order.onchain, deposits=deposits))


SOLD = {"earned": FEE, "delivered": PUSHED}
OVER = replace(DEPOSIT, amount=DEPOSIT.amount + Sat(5_000))
PUBLISHED = replace(REFUND, paid=Sat(4_000), fee=Sat(1_000), published_at=START)
NEWER = replace(PUBLISHED, txid="bb" * 32, paid=Sat(3_500), fee=Sat(1_500))


@pytest.mark.parametrize(
    ("state", "deposits", "columns"),
    [
        (State.PAID, [OVER], {"onchain": TOTAL + 5_000_000, "held": TOTAL + 5_000_000}),
        (State.COMPLETED, [OVER], {"onchain": TOTAL + 5_000_000, "owed": 5_000_000, **SOLD}),
        (
            State.COMPLETED,
            [replace(OVER, refunds=(replace(PUBLISHED, published_at=None),))],
            {"onchain": TOTAL + 5_000_000, "owed": 5_000_000, **SOLD},
        ),
        (
            State.COMPLETED,
            [replace(OVER, refunds=(PUBLISHED,))],
            {"onchain": TOTAL + 5_000_000, "refunded": 4_000_000, "refund_fees": 1_000_000, **SOLD},
        ),
        (
            State.COMPLETED,
            [replace(OVER, refunds=(PUBLISHED, NEWER))],
            {"onchain": TOTAL + 5_000_000, "refunded": 3_500_000, "refund_fees": 1_500_000, **SOLD},
        ),
        (
            State.COMPLETED,
            [replace(OVER, refunds=(PUBLISHED, replace(NEWER, published_at=None)))],
            {"onchain": TOTAL + 5_000_000, "refunded": 4_000_000, "refund_fees": 1_000_000, **SOLD},
        ),
        (
            State.COMPLETED,
            [replace(OVER, refunds=(replace(PUBLISHED, height=NOW.tip), NEWER))],
            {"onchain": TOTAL + 5_000_000, "refunded": 4_000_000, "refund_fees": 1_000_000, **SOLD},
        ),
        (
            State.COMPLETED,
            [replace(OVER, refunds=(PUBLISHED,), left="the wallet spent it")],
            {"onchain": TOTAL + 5_000_000, "owed": 5_000_000, **SOLD},
        ),
        (State.COMPLETED, [replace(DEPOSIT, height=None)], {"unpaid": TOTAL, **SOLD}),
        (State.COMPLETED, [replace(DEPOSIT, height=None, gone=True)], {"unpaid": TOTAL, **SOLD}),
        (State.COMPLETED, [], {"unpaid": TOTAL, **SOLD}),
        (
            State.COMPLETED,
            [replace(DEPOSIT, amount=Sat(100_000), kept=Sat(100_000))],
            {"onchain": 100_000_000, "unpaid": TOTAL - 100_000_000, **SOLD},
        ),
        (State.COMPLETED, [DEPOSIT, OVER], {"onchain": 2 * TOTAL + 5_000_000, "owed": TOTAL + 5_000_000, **SOLD}),
        (State.AWAITING_PAYMENT, [replace(DEPOSIT, kept=Sat(0))], {"onchain": TOTAL, "held": TOTAL}),
        (State.FAILED, [RETURNING], {"onchain": TOTAL, "owed": TOTAL}),
        (State.FAILED, [replace(RETURNED, gone=True, height=None)], {}),
        (State.FAILED, [replace(RETURNED, height=None)], {}),
        (
            State.FAILED,
            [RETURNED, RETURNING],
            {"onchain": 2 * TOTAL, "owed": TOTAL, **{k: v for k, v in ONCHAIN[State.FAILED].items() if k != "onchain"}},
        ),
    ],
    ids=[
        "over, paid",
        "over, delivered",
        "over, refund signed",
        "over, refund published",
        "over, refund replaced",
        "over, replacement signed",
        "over, the older refund mined",
        "over, spent otherwise",
        "not in a block",
        "gone",
        "nothing",
        "a part",
        "kept twice",
        "not enough yet",
        "failed, to go back",
        "failed, gone",
        "failed, not in a block",
        "failed, two",
    ],
)
def test_deposits(state: State, deposits: list[Deposit], columns: dict[str, int]) -> None:
    """Only what is in a block came in; what is published went out, and which of two refunds it was is known once one is
    mined; what is neither kept nor published is owed."""
    assert is_booked(with_deposits(state, *deposits), columns)


@pytest.mark.parametrize("state", [State.FULFILLED, State.UNPAID, State.COMPLETED])
def test_a_deposit_beside_the_invoice(state: State) -> None:
    """Held while the invoice is not settled, then owed; it is never what the order is paid with."""
    beside = replace(samples.ONCHAIN, deposits=(replace(DEPOSIT, kept=Sat(0)),))
    order = replace(samples.order_in(state, CHANNEL_TERMS), onchain=beside)
    assert order.paid_by is PaymentMethod.BOLT11
    books = accounts(order)
    came = {"onchain": TOTAL, "held" if state is State.FULFILLED else "owed": TOTAL}
    assert books == Accounts(**LIGHTNING[state]) + Accounts(**came)
    assert books.balance == 0


def test_every_column_counts() -> None:
    """Each column is in the balance, on its side, and in a sum."""
    sides = {"lightning": 1, "onchain": 1, "unpaid": 1}
    for field in fields(Accounts):
        assert Accounts(**{field.name: 5}).balance == 5 * sides.get(field.name, -1)
        assert getattr(Accounts(**{field.name: 5}) + Accounts(**{field.name: 2}), field.name) == 7
