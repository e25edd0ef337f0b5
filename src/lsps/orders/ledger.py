"""Every sat of an order: what came in, and what became of it. Pure.

What came in is read from the payments alone, what became of it from what was delivered and given back. That both sides
are equal is no definition but a check (`Accounts.balance`): a mistake in the life of an order shows as a difference.
Amounts are millisatoshi, since Lightning payments may have parts of a satoshi. What opening a channel costs the LSP in
on-chain fees is no customer's money and not in here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

from lsps.orders.model import ChannelTerms, Deposit, Order, PaymentMethod, Refund, State
from lsps.units import Sat

_MSAT = 1000
_DELIVERED = frozenset({State.COMPLETED, State.UNPAID})
_RETURNS = frozenset({State.COMPLETED, State.UNPAID, State.CLOSING, State.FAILED})


@dataclass(frozen=True, slots=True)
class Accounts:
    """All in millisatoshi. In: the first two. What became of it: the others; `unpaid` was delivered and is not paid
    for: a loss, or a payment without a confirmation yet."""

    lightning: int = 0
    """Held now, or settled."""
    onchain: int = 0
    """Deposits in a block."""
    earned: int = 0
    """Fees of what was delivered."""
    delivered: int = 0
    """Balance the customer bought and got in the channel."""
    surplus: int = 0
    """Lightning overpayment, which cannot be given back apart."""
    refunded: int = 0
    """Sent to refund addresses."""
    refund_fees: int = 0
    """Paid to miners for it, out of what was refunded (bLIP-51 §3.3)."""
    held: int = 0
    """Not decided yet."""
    owed: int = 0
    """To be given back: on its way to be, or left to the operator."""
    unpaid: int = 0

    @property
    def balance(self) -> int:
        """0, or there is a mistake."""
        came = self.lightning + self.onchain + self.unpaid
        went = self.earned + self.delivered + self.surplus + self.refunded + self.refund_fees + self.held + self.owed
        return came - went

    def __add__(self, other: Accounts) -> Accounts:
        return Accounts(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))


def accounts(order: Order) -> Accounts:
    return _by_lightning(order) + _onchain(order)


def _by_lightning(order: Order) -> Accounts:
    option = order.bolt11
    if option is None:
        return Accounts()
    total = int(option.order_total) * _MSAT
    if order.state is State.UNPAID:
        return Accounts(unpaid=total) + _sold(order, option.fee_total)
    if order.state is State.COMPLETED and order.paid_by is PaymentMethod.BOLT11:
        taken = int(option.held)
        return Accounts(lightning=taken, surplus=taken - total) + _sold(order, option.fee_total)
    if option.cancelled and not option.cancelling:
        return Accounts()  # it went back, whatever was held once
    here = int(option.held)
    if order.paid_by is PaymentMethod.BOLT11 and order.state is not State.CLOSING:
        return Accounts(lightning=here, held=here)
    return Accounts(lightning=here, owed=here)


def _onchain(order: Order) -> Accounts:
    option = order.onchain
    if option is None:
        return Accounts()
    total = Accounts()
    for deposit in option.deposits:
        if deposit.height is not None and not deposit.gone:
            total += _of_deposit(order, deposit)
    if order.state is State.COMPLETED and order.paid_by is PaymentMethod.ONCHAIN:
        kept = sum(int(deposit.kept) for deposit in option.deposits if deposit.height is not None)
        missing = (int(option.order_total) - kept) * _MSAT
        # More than the total is kept if a deposit comes back with its refund when another has taken its place.
        total += Accounts(unpaid=max(0, missing), owed=max(0, -missing)) + _sold(order, option.fee_total)
    return total


def _of_deposit(order: Order, deposit: Deposit) -> Accounts:
    kept_msat, excess = int(deposit.kept) * _MSAT, int(deposit.excess) * _MSAT
    amount = Accounts(onchain=int(deposit.amount) * _MSAT)
    if order.state not in _DELIVERED:
        amount += Accounts(held=kept_msat)
    refund = _effective(deposit)
    if refund is not None:
        paid = int(refund.paid) * _MSAT
        return amount + Accounts(refunded=paid, refund_fees=excess - paid)
    if order.state in _RETURNS:
        return amount + Accounts(owed=excess)
    return amount + Accounts(held=excess)


def _effective(deposit: Deposit) -> Refund | None:
    """The refund that confirmed; else the newest that was published, which replaced those before it. None when
    something else spent the deposit."""
    for refund in deposit.refunds:
        if refund.height is not None:
            return refund
    published = [refund for refund in deposit.refunds if refund.published_at is not None]
    return published[-1] if published and not deposit.left else None


def left_to_operator(order: Order, min_refund: Sat) -> Iterator[tuple[Deposit, str]]:
    """Deposits of which something is to go back that nobody sends by itself, and why. `min_refund` as in Rules."""
    for deposit in () if order.onchain is None else order.onchain.deposits:
        if deposit.gone or not deposit.excess or _effective(deposit) is not None:
            continue
        too_small = order.state in _RETURNS and deposit.height is not None and deposit.excess < min_refund
        if deposit.left:
            yield deposit, deposit.left
        elif too_small and not deposit.refunds:
            yield deposit, f"less than min_refund_sat ({min_refund} sat) goes back once you lower that"


def _sold(order: Order, fee_total: Sat) -> Accounts:
    pushed = order.terms.client_balance if isinstance(order.terms, ChannelTerms) else Sat(0)
    return Accounts(earned=int(fee_total) * _MSAT, delivered=int(pushed) * _MSAT)
