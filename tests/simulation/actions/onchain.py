"""Payments on-chain, and what can become of them; reorganisations; channels that end or change on-chain."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Self

from lsps.node.contract import Refused
from lsps.node.simulated.chain import Rejected, TooDeep
from lsps.units import Sat
from tests.simulation.actions.action import Action, among, some_seconds
from tests.simulation.actions.customers import channel_of

if TYPE_CHECKING:
    from tests.simulation.stage import Stage


@dataclass(frozen=True)
class OrderIsPaidOnchain(Action):
    """From anybody's wallet, exactly, short, over, or again."""

    order: int
    percent: int
    sat_per_kw: int

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        percent = random.choice((100, 100, 100, 50, 50, 150, 400))
        return cls(turns, random.randrange(4), percent, random.choice((1000, 1000, 300, 5000)))

    def play(self, stage: Stage) -> str:
        payable = [known for known in stage.strangers[0].known if known.address is not None]
        if not payable:
            return ""
        order = payable[max(-len(payable), -1 - self.order)]
        assert order.address is not None
        amount = Sat(order.total * self.percent // 100)
        stage.payments.append(stage.world.pay(order.address, amount, self.sat_per_kw))
        return f"somebody pays {amount} sat ({self.percent} %) on-chain for order {order.order_id}"


@dataclass(frozen=True)
class PaymentIsReplaced(Action):
    """Its payer pays a higher fee (BIP 125), to the same address or to another."""

    payment: int
    elsewhere: bool

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.randrange(3), random.random() < 0.5)

    def play(self, stage: Stage) -> str:
        if not stage.payments:
            return ""
        txid = stage.payments[max(-len(stage.payments), -1 - self.payment)]
        address = stage.world.payer.new_address() if self.elsewhere else None
        try:
            stage.payments.append(stage.world.replace(txid, 12_000 + 1_000 * len(stage.payments), address=address))
        except (Refused, Rejected):
            return ""
        return f"payment {txid[:8]} is replaced{' by one to another address' if self.elsewhere else ''}"


@dataclass(frozen=True)
class PaymentIsEvicted(Action):
    payment: int

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.randrange(3))

    def play(self, stage: Stage) -> str:
        if not stage.payments:
            return ""
        txid = stage.payments[max(-len(stage.payments), -1 - self.payment)]
        stage.world.evict(txid)
        return f"the mempool forgets payment {txid[:8]}"


@dataclass(frozen=True)
class ChainIsReorganised(Action):
    """`double_spent`: the newest payments that were in those blocks never were."""

    depth: int
    empty: bool
    double_spent: int

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.choice((1, 1, 2, 3, 6)), random.random() < 0.5, random.choice((0, 0, 1, 2)))

    def play(self, stage: Stage) -> str:
        world = stage.world
        depth = min(self.depth, int(world.chain.height) - stage.first_height)
        if depth < 1:
            return ""
        chosen = [txid for txid in dict.fromkeys(stage.payments[-3:]) if self._is_within(stage, txid, depth)]
        double_spent = chosen[-self.double_spent :] if self.double_spent else []
        try:
            world.reorg(depth, double_spent=double_spent, empty=self.empty)
        except (Refused, TooDeep):
            return ""
        for wallet in stage.wallets:  # a channel may lose the short channel id that it was ordered for by
            wallet.closings += 1
        lost = f", {len(double_spent)} payments are double-spent" if double_spent else ""
        return f"{depth} blocks are reorganised away{lost}: {world.chain.height}"

    @staticmethod
    def _is_within(stage: Stage, txid: str, depth: int) -> bool:
        chain = stage.world.chain
        height = chain.height_of(txid)
        return height is not None and chain.height.blocks_since(height) < depth


@dataclass(frozen=True)
class BlocksGetExpensive(Action):
    """Miners leave out what pays less."""

    sat_per_kw: int
    seconds: float

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.choice((500, 1_100, 20_000)), some_seconds(random, 60, 30_000))

    def play(self, stage: Stage) -> str:
        chain = stage.world.chain
        chain.least_sat_per_kw = self.sat_per_kw
        stage.later(self.seconds, lambda: setattr(chain, "least_sat_per_kw", 0))
        return f"blocks leave out what pays less than {self.sat_per_kw} sat per kw for {self.seconds} s"


@dataclass(frozen=True)
class ChannelIsForceClosed(Action):
    customer: int
    channel: int
    by_lsp: bool

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.randrange(60), random.randrange(60), random.random() < 0.3)

    def play(self, stage: Stage) -> str:
        customer = among(self.customer, stage.customers)
        channel = channel_of(customer, self.channel)
        if channel is None or sum(one.state.value == "open" for one in customer.channels.values()) < 2:
            return ""
        side = stage.lsp_node if self.by_lsp else customer
        stage.judge.money.others_spend = True  # a close is the node's own affair
        try:
            stage.world.graph.force_close(channel.channel_id, side.node_id)
        except Refused:
            return ""
        finally:
            stage.judge.money.others_spend = False
        for wallet in stage.wallets:
            wallet.closings += wallet.node is customer
        return f"{side.alias} closes channel {channel.scid or channel.funding} of {customer.alias} by force"


@dataclass(frozen=True)
class ChannelIsSpliced(Action):
    """The customer takes money out to its wallet, or puts some in."""

    customer: int
    channel: int
    sat: int

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.randrange(60), random.randrange(60), random.choice((-50_000, 100_000)))

    def play(self, stage: Stage) -> str:
        customer = among(self.customer, stage.customers)
        channel = channel_of(customer, self.channel)
        if channel is None:
            return ""
        try:
            stage.world.graph.splice(channel.channel_id, customer.node_id, self.sat)
        except Refused:
            return ""
        if self.sat < 0:
            for wallet in stage.wallets:  # less than was bought, by its own hand
                wallet.closings += wallet.node is customer
        return f"{customer.alias} splices {self.sat} sat into channel {channel.scid}"
