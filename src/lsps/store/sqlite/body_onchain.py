"""The on-chain part of an order's body (see `body.py`): its address, what was paid to it, what went back."""

from __future__ import annotations

from lsps.orders.model import Deposit, OnchainOption, Refund
from lsps.store.sqlite.stored import Stored
from lsps.store.sqlite.times import from_micros, from_micros_or_none, to_micros, to_micros_or_none
from lsps.units import BlockHeight, Outpoint, Sat


class RefundBody(Stored, frozen=True, omit_defaults=True):
    """The transaction is in base64."""

    txid: str
    raw: bytes
    paid: int
    fee: int
    sat_per_kw: int
    published_at: int | None = None
    height: int | None = None

    @classmethod
    def of(cls, refund: Refund) -> RefundBody:
        return cls(
            txid=refund.txid,
            raw=refund.raw,
            paid=int(refund.paid),
            fee=int(refund.fee),
            sat_per_kw=refund.sat_per_kw,
            published_at=to_micros_or_none(refund.published_at),
            height=None if refund.height is None else int(refund.height),
        )

    def value(self) -> Refund:
        return Refund(
            txid=self.txid,
            raw=self.raw,
            paid=Sat(self.paid),
            fee=Sat(self.fee),
            sat_per_kw=self.sat_per_kw,
            published_at=from_micros_or_none(self.published_at),
            height=None if self.height is None else BlockHeight(self.height),
        )


class DepositBody(Stored, frozen=True, omit_defaults=True):
    outpoint: str
    amount: int
    seen_at: int
    height: int | None = None
    sat_per_kw: int | None = None
    gone: bool = False
    kept: int = 0
    refund_due: bool = False
    refunds: tuple[RefundBody, ...] = ()
    bump: bool = False
    bump_at: int | None = None
    left: str = ""

    @classmethod
    def of(cls, deposit: Deposit) -> DepositBody:
        return cls(
            outpoint=str(deposit.outpoint),
            amount=int(deposit.amount),
            seen_at=to_micros(deposit.seen_at),
            height=None if deposit.height is None else int(deposit.height),
            sat_per_kw=deposit.sat_per_kw,
            gone=deposit.gone,
            kept=int(deposit.kept),
            refund_due=deposit.refund_due,
            refunds=tuple(map(RefundBody.of, deposit.refunds)),
            bump=deposit.bump,
            bump_at=to_micros_or_none(deposit.bump_at),
            left=deposit.left,
        )

    def value(self) -> Deposit:
        return Deposit(
            outpoint=Outpoint.parse(self.outpoint),
            amount=Sat(self.amount),
            seen_at=from_micros(self.seen_at),
            height=None if self.height is None else BlockHeight(self.height),
            sat_per_kw=self.sat_per_kw,
            gone=self.gone,
            kept=Sat(self.kept),
            refund_due=self.refund_due,
            refunds=tuple(refund.value() for refund in self.refunds),
            bump=self.bump,
            bump_at=from_micros_or_none(self.bump_at),
            left=self.left,
        )


class OnchainBody(Stored, frozen=True, omit_defaults=True):
    """The address is a column."""

    refund_address: str
    expires_at: int
    fee_total: int
    order_total: int
    min_confirmations: int
    min_fee_for_0conf: int | None = None
    deposits: tuple[DepositBody, ...] = ()
    waits_until: int | None = None

    @classmethod
    def of(cls, option: OnchainOption) -> OnchainBody:
        return cls(
            refund_address=option.refund_address,
            expires_at=to_micros(option.expires_at),
            fee_total=int(option.fee_total),
            order_total=int(option.order_total),
            min_confirmations=option.min_confirmations,
            min_fee_for_0conf=option.min_fee_for_0conf,
            deposits=tuple(map(DepositBody.of, option.deposits)),
            waits_until=to_micros_or_none(option.waits_until),
        )

    def value(self, address: str) -> OnchainOption:
        return OnchainOption(
            address=address,
            refund_address=self.refund_address,
            expires_at=from_micros(self.expires_at),
            fee_total=Sat(self.fee_total),
            order_total=Sat(self.order_total),
            min_confirmations=self.min_confirmations,
            min_fee_for_0conf=self.min_fee_for_0conf,
            deposits=tuple(deposit.value() for deposit in self.deposits),
            waits_until=from_micros_or_none(self.waits_until),
        )
