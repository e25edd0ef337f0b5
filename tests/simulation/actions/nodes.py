"""What happens to nodes and their calls."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Self

from lsps.node.contract import Refused
from lsps.node.simulated.faults import ATTEMPT, CALLS, NEGOTIATION
from tests.simulation.actions.action import Action, among, some_seconds
from tests.simulation.actions.network import connect, mend

if TYPE_CHECKING:
    from tests.simulation.stage import Stage

OF_LSP = tuple(sorted(CALLS - {"payments.pay", "payments.lookup", "channels.accept_zero_conf"}))
OF_WALLET = (
    *("messages.send", "messages.connect", "payments.pay", "payments.lookup", "channels.list", "info", ATTEMPT),
    *("wallet.inputs", "wallet.new_address", "wallet.sign", "wallet.publish", "wallet.publish", "wallet.deposits"),
)
HOW = ("fails", "fails afterwards", "is refused", "is slow", "answers late", "hangs", "never answers")


@dataclass(frozen=True)
class CallGoesWrong(Action):
    """The next call of that name at the LSP's node, or at a customer's."""

    customer: int | None
    place: str
    how: str
    seconds: float

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        if random.random() < 0.7:
            return cls(turns, None, random.choice(OF_LSP), random.choice(HOW), some_seconds(random, 0.1, 200))
        return cls(
            turns, random.randrange(60), random.choice(OF_WALLET), random.choice(HOW), some_seconds(random, 0.1, 200)
        )

    def play(self, stage: Stage) -> str:
        node = stage.lsp_node if self.customer is None else among(self.customer, stage.customers)
        faults, who, before = stage.world.faults, node.node_id, self.how in ("fails", "is refused", "is slow", "hangs")
        if self.place == ATTEMPT and not before:
            return ""
        if self.how.startswith("fails"):
            faults.fail_next(who, self.place, before=before)
        elif self.how == "is refused":
            faults.fail_next(who, self.place, error=Refused("not now (which the simulation asked for)"))
        elif self.how in ("is slow", "answers late"):
            faults.delay_next(who, self.place, self.seconds, before=before)
        else:
            faults.hang_next(who, self.place, before=before)
        return f"the next {self.place} at {node.alias}'s node {self.how}"


@dataclass(frozen=True)
class NegotiationDrags(Action):
    """The next channel that the LSP opens is negotiated for a long time, whoever waits for it."""

    seconds: float

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, some_seconds(random, 1, 3000))

    def play(self, stage: Stage) -> str:
        stage.world.faults.delay_next(stage.lsp_node.node_id, NEGOTIATION, self.seconds)
        return f"the LSP's next channel is negotiated for {self.seconds} s"


@dataclass(frozen=True)
class NodeStops(Action):
    customer: int | None
    seconds: float

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        customer = None if random.random() < 0.6 else random.randrange(60)
        return cls(turns, customer, some_seconds(random, 0.1, 6000))

    def play(self, stage: Stage) -> str:
        node = stage.lsp_node if self.customer is None else among(self.customer, stage.customers)
        node.stop()

        def start() -> None:
            node.start()
            for customer in stage.customers:
                if stage.lsp_node.running and customer.running:
                    connect(stage, customer.node_id)
            mend(stage)

        stage.later(self.seconds, start)
        return f"{node.alias}'s node stops for {self.seconds} s"


@dataclass(frozen=True)
class ChannelsRefused(Action):
    customer: int
    seconds: float

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.randrange(60), some_seconds(random, 1, 1000))

    def play(self, stage: Stage) -> str:
        customer = among(self.customer, stage.customers)
        stage.world.faults.refuse_channels(customer.node_id)
        stage.later(self.seconds, lambda: stage.world.faults.clear(customer.node_id))
        return f"{customer.alias}'s node refuses channels for {self.seconds} s"
