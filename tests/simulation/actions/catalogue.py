"""All that can happen, and how often."""

from __future__ import annotations

from random import Random

from tests.simulation.actions.action import Action, turns_after
from tests.simulation.actions.chain import BlocksAreMined, ChannelCloses, FeesRise, WalletIsEmptied
from tests.simulation.actions.customers import (
    StrangerAsks,
    StrangerFloods,
    StrangerOrders,
    StrangerPays,
    StrangerSendsGarbage,
    WalletBuys,
    WalletExtends,
)
from tests.simulation.actions.network import Disconnects, MessageDoomed, StreamsBreak
from tests.simulation.actions.nodes import CallGoesWrong, ChannelsRefused, NegotiationDrags, NodeStops
from tests.simulation.actions.onchain import (
    BlocksGetExpensive,
    ChainIsReorganised,
    ChannelIsForceClosed,
    ChannelIsSpliced,
    OrderIsPaidOnchain,
    PaymentIsEvicted,
    PaymentIsReplaced,
)
from tests.simulation.actions.payers import PayerDies, PayerSpendsElsewhere, PaymentComesBack
from tests.simulation.actions.processes import (
    ClockJumps,
    DiskFills,
    DiskSlows,
    JournalFails,
    LspCrashes,
    TimePasses,
    TimersFire,
    WalletCrashes,
    WritesFail,
)
from tests.simulation.actions.quiet import HeldPaymentAges, PaidTogether, SettlingFails
from tests.simulation.actions.scenes import PaymentIsTakenBack, RefundWaits

LIFE: dict[type[Action], int] = {
    WalletExtends: 8,
    WalletBuys: 8,
    StrangerOrders: 10,
    StrangerPays: 10,
    StrangerAsks: 8,
    OrderIsPaidOnchain: 6,
    BlocksAreMined: 6,
    TimePasses: 14,
    TimersFire: 14,
}
"""What goes on in every story."""

TROUBLE: dict[type[Action], int] = {
    StrangerSendsGarbage: 3,
    StrangerFloods: 2,
    MessageDoomed: 8,
    Disconnects: 4,
    StreamsBreak: 3,
    CallGoesWrong: 16,
    NegotiationDrags: 2,
    NodeStops: 3,
    ChannelsRefused: 1,
    FeesRise: 3,
    WalletIsEmptied: 3,
    ChannelCloses: 4,
    ChannelIsForceClosed: 2,
    ChannelIsSpliced: 2,
    ChainIsReorganised: 4,
    PaymentIsReplaced: 3,
    PaymentIsEvicted: 2,
    BlocksGetExpensive: 2,
    LspCrashes: 6,
    WalletCrashes: 4,
    DiskFills: 1,
    WritesFail: 3,
    JournalFails: 2,
    DiskSlows: 1,
    ClockJumps: 1,
}
"""Of this, each story has its own selection, and of each kind its own share (Groce et al., "Swarm testing"): with
everything at once and evenly, little would ever get far enough to go wrong."""

SCENES: tuple[type[Action], ...] = (
    *(PaymentIsTakenBack, PaymentIsTakenBack, RefundWaits),
    *(PayerDies, PayerDies, PayerDies, PaymentComesBack, PayerSpendsElsewhere, PayerSpendsElsewhere),
    *(SettlingFails, PaidTogether, HeldPaymentAges),
)
"""Now and then, in every second story, one of these takes a step's place. Hours take long to play: not often."""


def draw_story(seed: int, steps: int) -> list[Action]:
    """The actions of a story: of the seed alone, and the first ones do not hang on how many are wanted."""
    random = Random(f"story {seed}")
    share = random.choice((0.1, 0.3, 0.6, 1.0))
    chosen = LIFE | {kind: weight for kind, weight in TROUBLE.items() if random.random() < share}
    weights = {kind: weight * random.choice((0.3, 1, 1, 1, 4)) for kind, weight in chosen.items()}
    kinds, shares = list(weights), list(weights.values())
    story = [random.choices(kinds, shares)[0].draw(random, turns_after(random)) for _ in range(steps)]
    scenes = Random(f"scenes {seed}")
    often = scenes.choice((0.0, 0.02))
    for step in range(steps):
        if scenes.random() < often:
            story[step] = scenes.choice(SCENES).draw(scenes, turns_after(scenes))
    return story
