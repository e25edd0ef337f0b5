"""An order that can be paid on-chain, what its wallet lists, and what happens to it: for the tests beside."""

from __future__ import annotations

from dataclasses import replace

from lsps.orders.events import (
    ChannelOpened,
    ChannelStanding,
    DepositsSeen,
    Event,
    InputsChosen,
    Now,
    OpenFailed,
    SeenDeposit,
)
from lsps.orders.model import Deposit, Order, Refund
from lsps.orders.transitions import place, step
from lsps.units import BlockHeight, Outpoint, Sat
from tests.orders import samples
from tests.orders.samples import CHANNEL_TERMS, EXTENSION_TERMS, FUNDING_OUTPOINT, INPUTS, LEASE, NOW, RULES, TIP

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
