"""What is paid to an order's address: what of it pays for the order, and what is to be given back. Pure.

Every event of an order ends with `settle`, which decides all of it anew from the deposits as they are. So an event
only has to say what it saw, and nothing here depends on the order in which things were seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from lsps.orders.events import DepositsSeen, Now, Rules, SeenDeposit
from lsps.orders.model import Deposit, OnchainOption, Order, PaymentMethod, Refund, State
from lsps.protocol.rules import MOST_CONFIRMATIONS
from lsps.units import BlockHeight, Outpoint, Sat

OUTCOME_KNOWN = frozenset({State.CLOSING, State.FAILED, State.COMPLETED, State.UNPAID})
"""Only now something is given back: what an order keeps of a deposit must not change once its refund is signed."""
_CLOSED = frozenset({State.CLOSING, State.FAILED})
_UNDECIDED = frozenset({State.AWAITING_PAYMENT, State.PAID})
_RELAYED = 253
"""Satoshi per 1000 weight: less is taken by no node."""
_REFUND_WEIGHT = 700
"""No less than a transaction with one input and two outputs weighs."""
_NEWEST_GONE = 10
"""How many payments that are gone, and of which nothing is left to do, an order remembers. Replacing one that is in no
block costs a customer next to nothing: they must not pile up."""


def merge(order: Order, option: OnchainOption, event: DepositsSeen, now: Now) -> OnchainOption:
    """The deposits after the wallet was read. What it should list and does not is gone, until it is listed again."""
    listed = {seen.outpoint: seen for seen in event.deposits}
    undecided = order.state in _UNDECIDED
    known = [_seen_again(d, listed.pop(d.outpoint, None), event.since, undecided) for d in option.deposits]
    new = [
        Deposit(seen.outpoint, seen.amount, now.time, seen.height, seen.sat_per_kw, left=_spent(seen))
        for seen in sorted(listed.values(), key=lambda seen: seen.outpoint)
    ]
    return replace(option, deposits=(*_remembered(known), *new))


def _seen_again(deposit: Deposit, seen: SeenDeposit | None, since: BlockHeight, undecided: bool) -> Deposit:
    if seen is None:
        if deposit.height is not None and deposit.height < since:
            return deposit
        return replace(deposit, gone=True, height=None, left="", refunds=_confirmed(deposit, None, None))
    # Why it was left may have been the reorganisation that moved it: in another block it is looked at anew.
    left = deposit.left if deposit.height == seen.height else ""
    refunds = _confirmed(deposit, seen.spent_by, seen.spent_at)
    deposit = replace(deposit, gone=False, height=seen.height, sat_per_kw=seen.sat_per_kw, refunds=refunds, left=left)
    if seen.spent_by is None or any(refund.txid == seen.spent_by for refund in deposit.refunds):
        return deposit
    if undecided:
        return replace(deposit, left=_spent(seen), kept=Sat(0))
    if deposit.refund_due and seen.spent_at is not None:
        return replace(deposit, left=_spent(seen))
    return deposit


def _spent(seen: SeenDeposit) -> str:
    """Before an order is decided nothing of it is spent by us. If it is, the store is older than the node
    (docs/backup.md): the payment went back, or was earned, and neither is to happen a second time."""
    return "" if seen.spent_by is None else f"the wallet spent it in {seen.spent_by}"


def _remembered(known: list[Deposit]) -> list[Deposit]:
    gone = [deposit.outpoint for deposit in known if deposit.gone and not deposit.refunds]
    forgotten = set(gone[:-_NEWEST_GONE])
    return [deposit for deposit in known if deposit.outpoint not in forgotten]


def _confirmed(deposit: Deposit, txid: str | None, height: BlockHeight | None) -> tuple[Refund, ...]:
    return tuple(replace(refund, height=height if refund.txid == txid else None) for refund in deposit.refunds)


def settle(order: Order, now: Now, rules: Rules) -> Order:
    """The order with everything decided that its deposits alone decide."""
    if order.onchain is not None:
        option = _allocate(order, order.onchain, now.tip)
        deposits = tuple(_with_refund(order, option, deposit, now, rules) for deposit in option.deposits)
        waits_until = option.expires_at + rules.confirm_within if _seen_in_time(option) else None
        order = replace(order, onchain=replace(option, deposits=deposits, waits_until=waits_until))
    if order.state is State.CLOSING and not _is_open(order, rules):
        return replace(order, state=State.FAILED, closed_at=now.time)
    return order


def is_covered(order: Order) -> bool:
    """Whether what pays for the order is there now; a reorganisation may take it back for a while."""
    if order.paid_by is not PaymentMethod.ONCHAIN or order.onchain is None:
        return True
    return kept(order.onchain) >= order.onchain.order_total


def kept(option: OnchainOption) -> Sat:
    """How much of the deposits that are there pays for the order."""
    return _sum(deposit.kept for deposit in option.deposits if not deposit.gone)


def free_to_spend(order: Order, tip: BlockHeight) -> frozenset[Outpoint]:
    """The outputs paid to the order's address that are the LSP's own by now, and of which nothing is to go back.

    Deep enough that no reorganisation takes them from under another customer's channel that they would fund.
    """
    if order.state is not State.COMPLETED or order.onchain is None:
        return frozenset()
    earned = (d for d in order.onchain.deposits if d.kept and not d.gone and not d.refund_due)
    return frozenset(deposit.outpoint for deposit in earned if _depth(deposit, tip) >= MOST_CONFIRMATIONS)


def confirmed(option: OnchainOption, tip: BlockHeight) -> Sat:
    """How much of what was paid counts as confirmed (bLIP-51 §3.3) and is not on its way back."""
    return _sum(deposit.amount for deposit in option.deposits if _may_pay(option, deposit, tip))


def _may_pay(option: OnchainOption, deposit: Deposit, tip: BlockHeight) -> bool:
    if deposit.gone or deposit.refunds or deposit.left:
        return False
    if _depth(deposit, tip) >= option.min_confirmations > 0:
        return True
    if option.min_confirmations > 0 or option.min_fee_for_0conf is None:
        return False
    # bLIP-51 §3.3: confirmed without a confirmation when it pays more than min_fee_for_0conf.
    fast = deposit.sat_per_kw is not None and deposit.sat_per_kw > option.min_fee_for_0conf
    return fast or deposit.height is not None


def _depth(deposit: Deposit, tip: BlockHeight) -> int:
    """Its confirmations. The wallet may know of a block that the tip does not show yet."""
    return 0 if deposit.height is None else max(1, tip.blocks_since(deposit.height) + 1)


def _allocate(order: Order, option: OnchainOption, tip: BlockHeight) -> OnchainOption:
    """How much of each deposit is kept: what is fixed, then what was kept before, then in the order of blocks."""
    wanted = int(option.order_total)
    if order.paid_by is not PaymentMethod.ONCHAIN or order.state in _CLOSED:
        wanted = 0
    shares: dict[int, Sat] = {}
    for index in sorted(range(len(option.deposits)), key=lambda index: _precedence(option.deposits[index], index)):
        deposit = option.deposits[index]
        if _is_fixed(deposit):
            shares[index] = deposit.kept
        elif _may_pay(option, deposit, tip):
            shares[index] = Sat(min(wanted, int(deposit.amount)))
        else:
            shares[index] = Sat(0)
        wanted -= 0 if deposit.gone else min(wanted, int(shares[index]))
    return replace(option, deposits=tuple(replace(d, kept=shares[index]) for index, d in enumerate(option.deposits)))


def _is_fixed(deposit: Deposit) -> bool:
    """A refund is signed for the rest, or the rest is the operator's to decide."""
    return bool(deposit.refunds or deposit.left)


def _precedence(deposit: Deposit, index: int) -> tuple[bool, bool, bool, int, int]:
    return (not _is_fixed(deposit), not deposit.kept, deposit.height is None, int(deposit.height or 0), index)


def _with_refund(order: Order, option: OnchainOption, deposit: Deposit, now: Now, rules: Rules) -> Deposit:
    due = order.state in OUTCOME_KNOWN and _is_owed(deposit, rules) and _is_deep(option, deposit, now.tip)
    bump_at = _bump_at(deposit, now, rules)
    bump = bump_at is not None and now.time >= bump_at
    return replace(deposit, refund_due=due or bool(deposit.refunds), bump=bump, bump_at=None if bump else bump_at)


def _bump_at(deposit: Deposit, now: Now, rules: Rules) -> datetime | None:
    """When the newest refund is to be replaced if it has not confirmed (bLIP-51 §3.3). One that the network did not
    take is, too: it pays too little to be relayed by now. One that pays all it may stays: bumped for days it would turn
    what goes back into fees."""
    if not deposit.refunds or deposit.gone or deposit.refunded_at is not None:
        return None
    least, most = refund_feerates(deposit)
    if most < least:
        return None
    published_at = deposit.refunds[-1].published_at
    if published_at is not None:
        return published_at + rules.bump_after
    if deposit.bump:
        return now.time
    return deposit.bump_at or now.time + rules.bump_after


def refund_feerates(deposit: Deposit) -> tuple[int, int]:
    """The least and the most that its next refund may pay, in satoshi per 1000 weight.

    At most half of what goes back is paid in the customer's name, however dear blocks are: a refund that pays less than
    they cost waits for cheaper ones, rather than for the operator. BIP 125: a replacement pays more for itself and for
    what it replaces; a quarter more is enough for both.
    """
    last = deposit.refunds[-1].sat_per_kw if deposit.refunds else 0
    least = last + max(last // 4, 300) if deposit.refunds else _RELAYED
    return least, int(deposit.excess) * 1000 // (2 * _REFUND_WEIGHT)


def _is_owed(deposit: Deposit, rules: Rules) -> bool:
    return not deposit.gone and not deposit.left and deposit.excess >= max(rules.min_refund, Sat(1))


def _is_deep(option: OnchainOption, deposit: Deposit, tip: BlockHeight) -> bool:
    """A refund spends the deposit, so it must be in a block, whatever is enough to pay with."""
    return _depth(deposit, tip) >= max(1, option.min_confirmations)


def _is_open(order: Order, rules: Rules) -> bool:
    """FAILED and REFUNDED are told only after the node confirmed that all went back (money rule 5)."""
    if order.bolt11 is not None and (order.bolt11.cancelling or not order.bolt11.cancelled):
        return True
    # What was told as PAID is told as REFUNDED only once it went back, though it waits for its block still (or again).
    told = order.paid_by is PaymentMethod.ONCHAIN
    deposits = () if order.onchain is None else order.onchain.deposits
    there = (deposit for deposit in deposits if told or deposit.height is not None)
    return any(_is_owed(deposit, rules) and not deposit.is_returned for deposit in there)


def _seen_in_time(option: OnchainOption) -> bool:
    """Enough was paid before the option expired, and only its confirmations are missing."""
    there = (d for d in option.deposits if not d.gone and not _is_fixed(d))
    paid = (deposit.amount for deposit in there if deposit.seen_at < option.expires_at)
    return _sum(paid) >= option.order_total


def _sum(amounts: Iterator[Sat]) -> Sat:
    return sum(amounts, Sat(0))
