"""What happens between nodes, and between a node and those who listen to it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Self

from lsps.node.contract import PeerNotConnected
from tests.simulation.actions.action import Action, among, some_seconds
from tests.simulation.weather import Doom, Fate

if TYPE_CHECKING:
    from tests.simulation.stage import Stage


@dataclass(frozen=True)
class MessageDoomed(Action):
    """The next message between the LSP and a customer."""

    customer: int
    from_lsp: bool
    fate: Fate
    seconds: float

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        fate = random.choice(tuple(Fate))
        return cls(turns, random.randrange(60), random.random() < 0.5, fate, some_seconds(random, 0.1, 90))

    def play(self, stage: Stage) -> str:
        customer = among(self.customer, stage.customers)
        ends = (stage.lsp_node, customer) if self.from_lsp else (customer, stage.lsp_node)
        stage.world.doom(ends[0].node_id, ends[1].node_id, Doom(self.fate, self.seconds))
        return f"the next message from {ends[0].alias} to {ends[1].alias} {self.fate.value} ({self.seconds} s)"


@dataclass(frozen=True)
class Disconnects(Action):
    customer: int
    seconds: float

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.randrange(60), some_seconds(random, 0.1, 2000))

    def play(self, stage: Stage) -> str:
        customer = among(self.customer, stage.customers)
        stage.world.disconnect(stage.lsp_node.node_id, customer.node_id)
        stage.later(self.seconds, lambda: connect(stage, customer.node_id))
        return f"{customer.alias} is disconnected for {self.seconds} s"


def connect(stage: Stage, customer: object) -> None:
    for node in stage.customers:
        if node.node_id == customer:
            try:
                stage.world.connect(stage.lsp_node.node_id, node.node_id)
            except PeerNotConnected:
                return  # a node that is stopped connects when it starts


@dataclass(frozen=True)
class StreamsBreak(Action):
    """The LSP's node answers calls, and tells nothing by itself."""

    seconds: float

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, some_seconds(random, 0.1, 600))

    def play(self, stage: Stage) -> str:
        stage.lsp_node.cut_streams()
        stage.judge.streams_cut = True
        stage.later(self.seconds, lambda: mend(stage))
        return f"the LSP's node tells nothing for {self.seconds} s"


def mend(stage: Stage) -> None:
    if stage.lsp_node.running:
        stage.lsp_node.mend_streams()
        stage.judge.streams_cut = False
