"""Bugs in what becomes of payments on-chain: deposits, refunds, and which coins an opening may take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lsps.node import coins
from lsps.node.contract import SignedTransaction, Spend, Utxo
from lsps.orders import cells_onchain, deposits, pending, transitions
from lsps.orders.cells import Outcome
from lsps.orders.events import DepositsSeen, Event, Now, RefundPublished, RefundSigned, Rules, SeenDeposit
from lsps.orders.model import Deposit, Lease, OnchainOption, Order, Refund, State
from lsps.service.opening import Opening
from lsps.service.putoff import PutOff
from lsps.service.refunds import Refunds
from lsps.units import BlockHeight, Outpoint, Sat
from tests.simulation.bugs.bug import Patches

# --- refunds ----------------------------------------------------------------------------------------------------------


async def _sign_from_another_coin(refunds: Refunds, order: Order, deposit: Deposit) -> SignedTransaction | None:
    address = "" if order.onchain is None else order.onchain.refund_address
    for coin in await refunds.wallet.inputs():
        if coin.outpoint != deposit.outpoint and coin.amount > deposit.excess:
            return await refunds.wallet.sign(Spend((coin.outpoint,), address, deposit.excess, True, 1_000))
    return None


def bump_from_another_coin(patches: Patches) -> None:
    """So the refund and the one that should replace it can both confirm."""
    real = Refunds._sign

    async def sign(self: Refunds, order: Order, deposit: Deposit) -> Event | PutOff:
        signed = await _sign_from_another_coin(self, order, deposit) if deposit.refunds else None
        if signed is None:
            return await real(self, order, deposit)
        return RefundSigned(deposit.outpoint, Refund(signed.txid, signed.raw, signed.paid, signed.fee, 1_000))

    patches.replace(Refunds, "_sign", sign)


def refund_again_after_a_crash(patches: Patches) -> None:
    """A refund that was published, and not recorded as published, is taken for somebody else's spending."""
    real = Refunds.publish

    async def publish(self: Refunds, order: Order) -> Event | PutOff:
        listed = {seen.outpoint: seen for seen in await self.wallet.deposits(BlockHeight(0))}
        for deposit in pending.refunds_to_publish(order):
            seen = listed.get(deposit.outpoint)
            if seen is not None and seen.spent_by is not None:
                signed = await _sign_from_another_coin(self, order, deposit)
                if signed is not None:
                    await self.wallet.publish(signed)
                    return RefundPublished(deposit.outpoint, deposit.refunds[-1].txid)
        return await real(self, order)

    patches.replace(Refunds, "publish", publish)


def publish_before_storing(patches: Patches) -> None:
    real = Refunds._sign

    async def sign(self: Refunds, order: Order, deposit: Deposit) -> Event | PutOff:
        event = await real(self, order, deposit)
        if isinstance(event, RefundSigned):
            refund = event.refund
            await self.wallet.publish(SignedTransaction(refund.txid, refund.raw, refund.paid, refund.fee))
        return event

    patches.replace(Refunds, "_sign", sign)


def fail_before_it_went_back(patches: Patches) -> None:
    def is_open(order: Order, _rules: Rules) -> bool:
        return order.bolt11 is not None and (order.bolt11.cancelling or not order.bolt11.cancelled)

    patches.replace(deposits, "_is_open", is_open)


def give_everything_back_after_delivery(patches: Patches) -> None:
    patches.replace(deposits, "_CLOSED", frozenset({State.CLOSING, State.FAILED, State.COMPLETED}))


def forget_surplus(patches: Patches) -> None:
    real = deposits._with_refund

    def with_refund(order: Order, option: OnchainOption, deposit: Deposit, now: Now, rules: Rules) -> Deposit:
        after = real(order, option, deposit, now, rules)
        return replace(after, refund_due=False) if deposit.kept else after

    patches.replace(deposits, "_with_refund", with_refund)


# --- deposits ---------------------------------------------------------------------------------------------------------


def forget_late_deposits(patches: Patches) -> None:
    real = cells_onchain.deposits_noted

    def noted(order: Order, lease: Lease | None, event: Event, now: Now, rules: Rules) -> Outcome:
        if isinstance(event, DepositsSeen) and order.onchain is not None:
            known = {deposit.outpoint for deposit in order.onchain.deposits}
            event = replace(event, deposits=tuple(seen for seen in event.deposits if seen.outpoint in known))
        return real(order, lease, event, now, rules)

    patches.replace_item(transitions.TRANSITIONS, (State.FAILED, DepositsSeen), noted)


def open_though_taken_back(patches: Patches) -> None:
    """The books see what the reorganisation did, and nobody looks there before the opening."""

    def is_covered(_order: Order) -> bool:
        return True

    patches.replace(deposits, "is_covered", is_covered)
    patches.replace(pending, "is_covered", is_covered)


def overlook_reorganisations(patches: Patches) -> None:
    real = deposits._seen_again

    def seen_again(deposit: Deposit, seen: SeenDeposit | None, since: BlockHeight, undecided: bool) -> Deposit:
        return deposit if seen is None else real(deposit, seen, since, undecided)

    patches.replace(deposits, "_seen_again", seen_again)


def take_unconfirmed(patches: Patches) -> None:
    real = deposits._may_pay

    def may_pay(option: OnchainOption, deposit: Deposit, tip: BlockHeight) -> bool:
        return real(replace(option, min_confirmations=0, min_fee_for_0conf=-1), replace(deposit, sat_per_kw=0), tip)

    patches.replace(deposits, "_may_pay", may_pay)


# --- coins ------------------------------------------------------------------------------------------------------------


def spend_customers_deposits(patches: Patches) -> None:
    """The smallest first, so that an opening comes to them at all: what customers pay is small."""

    async def ours(_self: Opening, utxos: Iterable[Utxo], _enough: Sat, _sat_per_kw: int) -> list[Utxo]:
        return list(utxos)

    def choose(
        free: Iterable[Utxo], wanted: Sat, sat_per_kw: int, reserve: Sat = Sat(0)
    ) -> tuple[Outpoint, ...] | None:
        chosen: list[Outpoint] = []
        amount = 0
        for utxo in sorted(free, key=lambda utxo: (int(utxo.amount), utxo.outpoint)):
            chosen.append(utxo.outpoint)
            amount += int(utxo.amount)
            fee = -(-sat_per_kw * (coins.OTHER_WEIGHT + coins.INPUT_WEIGHT * len(chosen)) // 1000)
            if amount >= int(wanted) + fee + int(reserve):
                return tuple(chosen)
        return None

    patches.replace(Opening, "_ours", ours)
    patches.replace(coins, "choose", choose)
