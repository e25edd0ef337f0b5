"""Rules of the chain that hold whatever happens to it."""

from __future__ import annotations

from contextlib import suppress
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from lsps.node.contract import Refused, Spend
from lsps.node.simulated.chain import TooDeep
from lsps.node.simulated.lightning_node import LightningNode
from lsps.node.simulated.network import World
from lsps.testing import ManualClock
from lsps.units import BlockHeight, Sat

AMOUNT = Sat(100_000)
STEPS = ("pay", "replace", "evict", "spend", "take", "mine", "leave out", "reorg", "reorg full", "drop", "double-spend")


class Story:
    """Random events; the wallet spends what it has been paid, its own change and refunds included."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.world = World(ManualClock(), self.random)
        self.node: LightningNode = self.world.add_node("lsp")
        self.payments: list[str] = []
        self.ours: list[str] = []

    def do(self, step: str) -> None:
        with suppress(Refused, TooDeep):
            self._do(step)

    def _do(self, step: str) -> None:
        world, rate = self.world, self.random.randrange(250, 5_000)
        world.chain.least_sat_per_kw = 2_000 if step == "leave out" else 0
        match step:
            case "pay":
                self.payments.append(world.pay(self.node.wallet.new_address(), AMOUNT, rate))
            case "replace" if self.payments:
                self.payments.append(world.replace(self.random.choice(self.payments), rate))
            case "evict" if self.payments:
                world.evict(self.random.choice(self.payments + self.ours))
            case "spend":
                deposits = self.node.wallet.deposits(BlockHeight(0))
                chosen = self.random.sample(deposits, min(len(deposits), 2))
                total = sum(one.amount.value for one in chosen)
                inputs = tuple(one.outpoint for one in chosen)
                spend = Spend(inputs, self.node.wallet.new_address(), Sat(total // 2), True, rate)
                signed = self.node.wallet.sign(spend)
                self.ours.append(signed.txid)
                self.node.wallet.publish(signed)
            case "take":
                world.take_funds(self.node.node_id)
            case "mine" | "leave out":
                world.mine()
            case "reorg" | "reorg full":
                world.reorg(self.random.randrange(1, 4), empty=step == "reorg")
            case "drop" if self.payments:
                world.reorg(2, dropped=[self.random.choice(self.payments + self.ours)])
            case "double-spend" if self.payments:
                world.reorg(2, double_spent=[self.random.choice(self.payments)])

    def check(self) -> None:
        chain = self.world.chain
        spent: set[str] = set()
        known: set[str] = set()
        for transaction in (*(t for block in chain.blocks() for t in block.transactions), *chain.waiting()):
            assert transaction.txid not in known
            known.add(transaction.txid)
            assert chain.knows(transaction.txid)
            assert chain.fee(transaction) >= 0
            for outpoint in transaction.inputs:
                assert str(outpoint) not in spent
                spent.add(str(outpoint))
                assert outpoint.txid in known or chain.height_of(outpoint.txid) == BlockHeight(0)
                assert chain.spent_by(outpoint) == transaction.txid
        for deposit in self.node.wallet.deposits(BlockHeight(0)):
            assert deposit.outpoint.txid in known
            assert deposit.height == chain.height_of(deposit.outpoint.txid)
        for coin in self.node.wallet.coins():
            assert str(coin.outpoint) not in spent
            assert chain.height_of(coin.outpoint.txid) is not None


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32), st.lists(st.sampled_from(STEPS), min_size=20, max_size=60))
def test_no_output_is_spent_twice_and_no_parent_is_missing(seed: int, steps: list[str]) -> None:
    """Through payments, replacements, evictions and reorganisations: of all that is in blocks or waits, nothing spends
    what something else spends, parents come before children, and the wallet shows exactly what is there."""
    story = Story(seed)
    for step in steps:
        story.do(step)
        story.check()


def test_the_same_story_gives_the_same_chain() -> None:
    """Transactions and blocks depend on the seed alone."""
    seen = []
    for seed in (1, 1, 2):
        story = Story(seed)
        for step in STEPS * 5:
            story.do(step)
        seen.append((story.payments, story.ours, story.node.wallet.deposits(BlockHeight(0))))
    assert seen[0] == seen[1]
    assert seen[0] != seen[2]
