"""Scenes of a customer who pays on-chain with our client: it dies in the middle, is given its money back, or spends
what should have paid."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Self

from lsps.client.terms import PayWith
from lsps.node.contract import Refused
from lsps.node.simulated.chain import AlreadySpent, Output, TooDeep, Transaction
from lsps.units import Sat
from tests.simulation.actions.action import Action, among, some_seconds
from tests.simulation.actions.customers import channel_of, scid_of
from tests.simulation.actions.scenes import DEEPEST
from tests.simulation.loop import MICRO
from tests.simulation.wallets import Extension, Purchase, Wallet, Wish

if TYPE_CHECKING:
    from tests.simulation.stage import Stage

_LONG_ENOUGH = 600
"""Turns in which a purchase that meets no trouble is ordered and paid."""


def _wish(stage: Stage, wallet: Wallet, channel: int | None) -> Wish:
    """To be paid on-chain: an extension of that channel, if there is one, else a new one."""
    found = None if channel is None else channel_of(wallet.node, channel)
    if found is None or channel is None:
        return Purchase(Sat(1_000_000), Sat(20_000), stage.some_blocks(), False, None, PayWith.ONCHAIN)
    return Extension(scid_of(found, wallet.node, channel), stage.some_blocks(), None, PayWith.ONCHAIN)


@dataclass(frozen=True)
class PayerDies(Action):
    """Its process is killed some turns after it began to buy, and back a while later."""

    wallet: int
    channel: int | None
    after: int
    seconds: float

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        channel = None if random.random() < 0.5 else random.randrange(60)
        return cls(turns, random.randrange(60), channel, random.randrange(_LONG_ENOUGH), some_seconds(random, 1, 9000))

    def play(self, stage: Stage) -> str:
        wallet = among(self.wallet, stage.wallets)
        wish = _wish(stage, wallet, self.channel)
        wallet.wish_for(wish)
        stage.loop.run(self.after)
        wallet.kill()
        stage.later(self.seconds, wallet.start)
        return f"{wallet.name} wants to {wish}, is killed {self.after} turns later, and started after {self.seconds} s"


@dataclass(frozen=True)
class PaymentComesBack(Action):
    """What is paid on-chain cannot be delivered: the node refuses the channel, or the one to extend is closed. Blocks
    come, and the wallet may die while it waits for its refund."""

    wallet: int
    channel: int | None
    dies: bool

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.randrange(60), random.choice((None, 0, 1, 2)), random.random() < 0.5)

    def play(self, stage: Stage) -> str:
        wallet, world = among(self.wallet, stage.wallets), stage.world
        channel = None if self.channel is None else channel_of(wallet.node, self.channel)
        wish = _wish(stage, wallet, self.channel)
        if channel is None:
            world.faults.refuse_channels(wallet.node.node_id)
        wallet.wish_for(wish)
        stage.loop.advance(20 * MICRO)
        if channel is not None:
            with suppress(Refused):
                world.graph.close(channel.channel_id)
            for one in stage.wallets:
                one.closings += one is wallet
        for block in range(6):
            world.mine()
            stage.loop.advance(60 * MICRO)
            stage.judge.on_step()
            if self.dies and block == 2:
                wallet.kill()
                stage.later(90, wallet.start)
        world.faults.clear(wallet.node.node_id)
        dies = ", dies while it waits" if self.dies else ""
        return f"{wallet.name} wants to {wish}, which is made impossible{dies}, and six blocks come"


@dataclass(frozen=True)
class PayerSpendsElsewhere(Action):
    """The owner's other program spends what was to pay, at a higher fee; if that is in a block already, by a
    reorganisation."""

    payment: int

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.randrange(3))

    def play(self, stage: Stage) -> str:
        sent = stage.judge.payers.sent
        if not sent:
            return ""
        txid = sent[max(-len(sent), -1 - self.payment)]
        chain, payment = stage.world.chain, stage.world.chain.transaction(txid)
        height = chain.height_of(txid)
        depth = 0 if height is None else chain.height.blocks_since(height) + 1
        if payment is None or depth > min(DEEPEST, int(chain.height) - stage.first_height):
            return ""
        rival = _rival(stage, payment)
        try:
            chain.disconnect(depth)
            chain.mine_only(rival)
            for _ in range(depth):
                chain.mine_only()
        except (AlreadySpent, TooDeep):
            return ""
        for wallet in stage.wallets:
            wallet.closings += 1
        return (
            f"its owner spends what paid in {txid[:8]} elsewhere, {depth} blocks are reorganised away: {chain.height}"
        )


def _rival(stage: Stage, payment: Transaction) -> Transaction:
    spent = [stage.world.chain.output(outpoint) for outpoint in payment.inputs]
    amount = sum(int(output.amount) for output in spent if output is not None)
    elsewhere = Output(Sat(amount - 20_000), stage.world.payer.new_address())
    return stage.world.chain.new_transaction(payment.inputs, (elsewhere,))
