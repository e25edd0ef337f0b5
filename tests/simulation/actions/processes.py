"""What happens to programs, disks and clocks, and that time passes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from random import Random
from typing import TYPE_CHECKING, Self

from tests.simulation.actions.action import Action, among, some_seconds
from tests.simulation.loop import MICRO

if TYPE_CHECKING:
    from tests.simulation.stage import Stage


@dataclass(frozen=True)
class LspCrashes(Action):
    """Kill -9, at whatever await each of its tasks is. `written`: what waits for the disk gets there just before."""

    written: bool
    seconds: float

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.random() < 0.5, some_seconds(random, 0.01, 300))

    def play(self, stage: Stage) -> str:
        if not stage.lsp.running:
            return ""
        stage.lsp.kill(written=self.written)
        stage.later(self.seconds, stage.lsp.start)
        return f"the LSP's process is killed, and started again after {self.seconds} s"


@dataclass(frozen=True)
class WalletCrashes(Action):
    wallet: int
    seconds: float

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.randrange(60), some_seconds(random, 0.01, 600))

    def play(self, stage: Stage) -> str:
        wallet = among(self.wallet, stage.wallets)
        wallet.kill()
        stage.later(self.seconds, wallet.start)
        return f"{wallet.name}'s process is killed, and started again after {self.seconds} s"


@dataclass(frozen=True)
class DiskFills(Action):
    """SQLite may not grow its file: what fits is written, what does not is refused by SQLite itself."""

    seconds: float

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, some_seconds(random, 0.5, 600))

    def play(self, stage: Stage) -> str:
        stage.disk.full = True
        stage.later(self.seconds, stage.disk.empty)
        return f"the LSP's disk is full for {self.seconds} s"


@dataclass(frozen=True)
class WritesFail(Action):
    """`after`: they are durable, and reported as failed."""

    times: int
    after: bool

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.choice((1, 1, 2, 5)), random.random() < 0.5)

    def play(self, stage: Stage) -> str:
        if self.after:
            stage.disk.fail_after += self.times
        else:
            stage.disk.fail_before += self.times
        return f"the LSP's next {self.times} commits fail{' after they are durable' if self.after else ''}"


@dataclass(frozen=True)
class JournalFails(Action):
    """A wallet's disk. `after`: what is written is reported as lost."""

    wallet: int
    times: int
    after: bool

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.randrange(60), random.choice((1, 1, 1, 2, 3)), random.random() < 0.5)

    def play(self, stage: Stage) -> str:
        wallet = among(self.wallet, stage.wallets)
        if self.after:
            wallet.fail_after += self.times
        else:
            wallet.fail_before += self.times
        after = " after they are durable" if self.after else ""
        return f"the next {self.times} changes of {wallet.name}'s journal fail{after}"


@dataclass(frozen=True)
class DiskSlows(Action):
    latency: float

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.choice((0.0, 0.002, 0.1, 3.0)))

    def play(self, stage: Stage) -> str:
        stage.disk.latency = self.latency
        return f"the LSP's disk takes {self.latency} s for a commit"


@dataclass(frozen=True)
class ClockJumps(Action):
    """The clock of a machine is set; nobody's sleep ends earlier or later for it."""

    wallet: int | None
    seconds: int

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        wallet = None if random.random() < 0.7 else random.randrange(60)
        return cls(turns, wallet, random.choice((-3600, -600, -2, 2, 600, 3600)))

    def play(self, stage: Stage) -> str:
        owner = stage.lsp if self.wallet is None else among(self.wallet, stage.wallets)
        name = "the LSP" if self.wallet is None else among(self.wallet, stage.wallets).name
        owner.clock.offset += timedelta(seconds=self.seconds)
        return f"the clock of {name} jumps by {self.seconds} s"


@dataclass(frozen=True)
class TimePasses(Action):
    seconds: float

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, some_seconds(random, 0.01, 1500))

    def play(self, stage: Stage) -> str:
        stage.loop.advance(int(self.seconds * MICRO))
        return f"{self.seconds} s pass"


@dataclass(frozen=True)
class TimersFire(Action):
    """Time passes to the moment for which something waits, and stops there."""

    timers: int

    @classmethod
    def draw(cls, random: Random, turns: int) -> Self:
        return cls(turns, random.choice((1, 1, 1, 2, 3)))

    def play(self, stage: Stage) -> str:
        began = stage.loop.micros
        for _ in range(self.timers):
            stage.loop.settle()
            due = stage.loop.next_timer()
            if due is not None:
                stage.loop.advance(due - stage.loop.micros)
        return f"{(stage.loop.micros - began) / MICRO} s pass"
