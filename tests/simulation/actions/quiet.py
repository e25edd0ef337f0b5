"""Scenes in which something goes wrong, and then nothing else happens that could set it right by chance."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Self

from lsps.client.terms import PayWith
from tests.simulation.actions.action import Action, among
from tests.simulation.actions.customers import channel_of, scid_of
from tests.simulation.actions.scenes import ordered
from tests.simulation.loop import MICRO
from tests.simulation.wallets import Extension

if TYPE_CHECKING:
    from tests.simulation.stage import Stage

_MOMENTS = 8
_MOMENT = 30 * MICRO
"""Longer, together, than a call is waited for and the LSP then has to do what is due."""


def _quiet(stage: Stage) -> None:
    for _ in range(_MOMENTS):
        stage.loop.advance(_MOMENT)
        stage.judge.on_step()


@dataclass(frozen=True)
class SettlingFails(Action):
    """Once, for one wallet's extension."""

    wallet: int
    channel: int

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.randrange(60), random.randrange(60))

    def play(self, stage: Stage) -> str:
        wallet = among(self.wallet, stage.wallets)
        channel = channel_of(wallet.node, self.channel)
        if channel is None:
            return ""
        scid = scid_of(channel, wallet.node, self.channel)
        wish = Extension(scid, stage.some_blocks(), None, PayWith.BOLT11)
        stage.world.faults.fail_next(stage.lsp_node.node_id, "invoices.settle")
        wallet.wish_for(wish)
        _quiet(stage)
        return f"{wallet.name} wants to {wish}, the next invoices.settle at lsp's node fails, and nothing else happens"


@dataclass(frozen=True)
class PaidTogether(Action):
    """Two extensions of one channel, one on-chain and one by Lightning, are paid at the same moment, while the LSP's
    disk is slow: two events meet at one lease."""

    wallet: int
    channel: int
    between: int
    """Turns from the Lightning order's commit to the block that confirms the other payment."""

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.randrange(60), random.randrange(60), random.choice((0, 5, 10, 20)))

    def play(self, stage: Stage) -> str:
        wallet = among(self.wallet, stage.wallets)
        channel = channel_of(wallet.node, self.channel)
        if channel is None:
            return ""
        scid = scid_of(channel, wallet.node, self.channel)
        first = Extension(scid, stage.some_blocks(), None, PayWith.ONCHAIN)
        second = Extension(scid, stage.some_blocks(), None, PayWith.BOLT11)
        wallet.wish_for(first)
        stage.loop.advance(20 * MICRO)
        before, stage.disk.latency = stage.disk.latency, 3.0
        wallet.wish_for(second)
        stage.loop.advance(3 * MICRO)
        stage.loop.run(self.between)
        stage.world.mine(2)
        stage.loop.advance(20 * MICRO)
        stage.disk.latency = before
        _quiet(stage)
        return f"{wallet.name} wants to {first}, and to {second}, both are paid at once, and nothing else happens"


@dataclass(frozen=True)
class HeldPaymentAges(Action):
    """A channel is paid for when fees are too high to open it, and block follows block: the payment's timeout nears."""

    order: int

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.randrange(4))

    def play(self, stage: Stage) -> str:
        order = ordered(stage, self.order, "lsps1")
        if order is None or order.invoice is None:
            return ""
        stage.world.chain.sat_per_kw = 100_000
        stage.strangers[0].pay(order)
        for _ in range(7):
            stage.loop.advance(130 * MICRO)
            stage.world.mine(10)
            stage.judge.on_step()
        stage.world.chain.sat_per_kw = 1000
        return f"fees are too high to open while order {order.order_id} is paid by Lightning, and 70 blocks come"
