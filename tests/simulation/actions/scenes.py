"""Several things that follow one another, and that would hardly meet by chance."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Self

from lsps.node.contract import Refused
from lsps.node.simulated.chain import TooDeep
from lsps.orders.model import State
from lsps.units import OrderId, Sat
from tests.simulation.actions.action import Action, among, some_seconds
from tests.simulation.actions.customers import channel_of, scid_of
from tests.simulation.loop import MICRO
from tests.simulation.strangers import CHANNEL_ORDER, Known

if TYPE_CHECKING:
    from tests.simulation.stage import Stage

_CONFIRMS = 5_000
"""Satoshi per 1000 weight: what these payments pay."""


def ordered(stage: Stage, order: int, service: str = "") -> Known | None:
    """One that waits for its payment, which may come on-chain; when there is none, a stranger orders now."""
    found = _payable(stage, order, service)
    if found is not None:
        return found
    stranger = among(order, stage.strangers)
    channel = None if service == "lsps1" else channel_of(stranger.node, order)
    params: dict[str, object] = {**CHANNEL_ORDER, "channel_expiry_blocks": stage.some_blocks()}
    if channel is not None:
        scid = str(scid_of(channel, stranger.node, order))
        params = {"short_channel_id": scid, "channel_extension_expiry_blocks": stage.some_blocks()}
    method = "lsps1.create_order" if channel is None else "lsps7.create_order"
    stranger.request(method, {**params, "refund_onchain_address": stage.world.payer.new_address()})
    stage.loop.advance(10 * MICRO)
    return _payable(stage, order, service)


def _payable(stage: Stage, order: int, service: str) -> Known | None:
    books = stage.books.orders
    waiting = [
        known
        for known in stage.strangers[0].known
        if known.address is not None
        and service in known.service
        and OrderId(known.order_id) in books
        and books[OrderId(known.order_id)].state is State.AWAITING_PAYMENT
    ]
    return among(order, waiting) if waiting else None


def _pay(stage: Stage, order: Known, percent: int) -> str:
    assert order.address is not None
    txid = stage.world.pay(order.address, Sat(order.total * percent // 100), _CONFIRMS)
    stage.payments.append(txid)
    stage.world.mine(2)
    return txid


DEEPEST = 100
"""Blocks of a reorganisation. The LSP reckons with none of 144 or more (node/coins.py, BURIED)."""


@dataclass(frozen=True)
class PaymentIsTakenBack(Action):
    """An order is paid on-chain while fees are too high to open; a reorganisation takes the payment; fees fall."""

    order: int
    seconds: float
    double_spent: bool

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.randrange(4), some_seconds(random, 1, 300), random.random() < 0.5)

    def play(self, stage: Stage) -> str:
        order = ordered(stage, self.order, "lsps1")
        if order is None:
            return ""
        chain = stage.world.chain
        chain.sat_per_kw = 30_000
        txid = _pay(stage, order, 100)
        stage.later(self.seconds, lambda: self._take_back(stage, txid))
        stage.later(2 * self.seconds, lambda: setattr(chain, "sat_per_kw", 1000))
        how = ", and double-spent" if self.double_spent else ""
        return f"order {order.order_id} is paid on-chain; in {self.seconds} s this is reorganised away{how}"

    def _take_back(self, stage: Stage, txid: str) -> None:
        height = stage.world.chain.height_of(txid)
        if height is not None:
            depth = stage.world.chain.height.blocks_since(height) + 1
            if depth > DEEPEST:
                return
            with suppress(Refused, TooDeep):
                stage.world.reorg(depth, double_spent=[txid] if self.double_spent else [], empty=True)
                for wallet in stage.wallets:
                    wallet.closings += 1


@dataclass(frozen=True)
class RefundWaits(Action):
    """An order is paid too much or too little, and for some hours no block takes what goes back."""

    order: int
    percent: int
    hours: int

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.randrange(4), random.choice((60, 400)), random.choice((7, 7, 7, 14)))

    def play(self, stage: Stage) -> str:
        order = ordered(stage, self.order)
        if order is None:
            return ""
        chain = stage.world.chain
        _pay(stage, order, self.percent)
        stage.loop.advance(60 * MICRO)
        chain.least_sat_per_kw = 1_100
        for _ in range(self.hours):
            stage.loop.advance(3600 * MICRO)
            stage.world.mine()
            stage.judge.on_step()
        chain.least_sat_per_kw = 0
        return (
            f"{self.percent} % are paid on-chain for order {order.order_id}; for {self.hours} hours blocks leave out"
            " what pays less than 1100 sat per kw"
        )
