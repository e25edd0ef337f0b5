"""What happens on the chain and in wallets."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Self

from lsps.node.contract import Refused
from lsps.units import Sat
from tests.simulation.actions.action import Action, among, some_seconds
from tests.simulation.actions.customers import channel_of

if TYPE_CHECKING:
    from tests.simulation.stage import Stage


@dataclass(frozen=True)
class BlocksAreMined(Action):
    blocks: int

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.choice((1, 1, 1, 2, 3, 6, 20, 30, 39)))

    def play(self, stage: Stage) -> str:
        stage.world.mine(self.blocks)
        return f"{self.blocks} blocks are mined: {stage.world.chain.height}"


@dataclass(frozen=True)
class FeesRise(Action):
    sat_per_kw: int
    seconds: float

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.choice((253, 5_000, 24_000, 100_000)), some_seconds(random, 1, 9000))

    def play(self, stage: Stage) -> str:
        chain = stage.world.chain
        chain.sat_per_kw = self.sat_per_kw
        stage.later(self.seconds, lambda: setattr(chain, "sat_per_kw", 1000))
        return f"the feerate is {self.sat_per_kw} sat per kw for {self.seconds} s"


@dataclass(frozen=True)
class WalletIsEmptied(Action):
    """Another program that shares the LSP's wallet, or a customer's, spends everything that is not locked, and refills
    it later."""

    customer: int | None
    seconds: float

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        customer = None if random.random() < 0.6 else random.randrange(60)
        return cls(turns, customer, some_seconds(random, 1, 9000))

    def play(self, stage: Stage) -> str:
        node = stage.lsp_node if self.customer is None else among(self.customer, stage.wallets).node
        stage.judge.money.others_spend = True
        stage.world.take_funds(node.node_id)
        stage.judge.money.others_spend = False

        def refill() -> None:
            stage.world.fund(node.node_id, Sat(4_000_000), 4)
            stage.world.mine()

        stage.later(self.seconds, refill)
        return f"somebody empties {node.alias}'s wallet for {self.seconds} s"


@dataclass(frozen=True)
class ChannelCloses(Action):
    """Both sides close it; it is gone with the next block."""

    customer: int
    channel: int

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.randrange(60), random.randrange(60))

    def play(self, stage: Stage) -> str:
        customer = among(self.customer, stage.customers)
        channel = channel_of(customer, self.channel)
        if channel is None or sum(one.state.value == "open" for one in customer.channels.values()) < 2:
            return ""  # everybody keeps one, or the story would run dry
        try:
            stage.world.graph.close(channel.channel_id)
        except Refused:
            return ""
        for wallet in stage.wallets:
            wallet.closings += wallet.node is customer
        return f"channel {channel.scid or channel.funding} of {customer.alias} is being closed"
