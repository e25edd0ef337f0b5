"""One story: the actions of a seed, played on a stage until something is broken or, faults over, everything ended well.

A step is one action with the turns of the event loop that follow it; the turns are counted as well.
"""

from __future__ import annotations

import gc
import logging
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.simulation.actions.action import Action
from tests.simulation.actions.catalogue import draw_story
from tests.simulation.invariants.judge import Judge
from tests.simulation.invariants.verdict import Verdict
from tests.simulation.loop import MICRO, Livelock
from tests.simulation.process import Undead
from tests.simulation.stage import Stage

CALM_HOURS_AT_LEAST, CALM_HOURS = 1, 48
"""After the last fault. An order paid on-chain may wait a day for its payment to come back after a reorganisation."""
MEMORY = Path("/dev/shm")  # noqa: S108
"""Where files live in memory, if the machine has such a place."""


@dataclass(frozen=True, slots=True)
class Story:
    """`actions` with their numbers in the whole story of the seed; what happens between two of them is drawn from the
    seed and the number, so that leaving some out changes little about the others. `ends`: whether, when all is played,
    faults stop and everything must end well."""

    seed: int
    actions: tuple[tuple[int, Action], ...]
    disorder: float
    latency: float
    ends: bool = True

    @classmethod
    def of(cls, seed: int, steps: int) -> Story:
        """The first so many steps of a seed's story."""
        ways = Random(f"ways {seed}")
        disorder, latency = ways.choice((0.0, 0.2, 0.6, 1.0)), ways.choice((0.0, 0.0, 0.002, 0.3, 2.0))
        return cls(seed, tuple(enumerate(draw_story(seed, steps), start=1)), disorder, latency)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a story ended. `sentences` tell it; `digest` is the hash of everything that happened."""

    story: Story
    verdict: Verdict | None
    sentences: tuple[str, ...]
    steps: int
    turns: int
    digest: str
    trace: tuple[str, ...]


def play(story: Story, *, keep: bool = False) -> Ended:
    """Until something is broken, or the story is over. `keep`: with the whole trace, to be read."""
    with _directory() as directory, _no_garbage_collection():
        stage = Stage(story.seed, directory, keep=keep)
        with _listening_to_logs(stage.judge, logging.INFO if keep else logging.ERROR):
            try:
                return _play(stage, story)
            finally:
                stage.close()


def _play(stage: Stage, story: Story) -> Ended:
    judge, loop, trace = stage.judge, stage.loop, stage.trace
    loop.disorder = story.disorder
    stage.disk.latency = story.latency
    sentences: list[str] = []
    steps = 0
    try:
        for number, action in story.actions:
            loop.reseed(hash((story.seed, number)))
            sentence = action.play(stage)
            trace.note(f"{number}. {sentence}")
            if sentence:
                sentences.append(f"{loop.time():10.3f} s  {sentence}")
            loop.run(action.turns)
            judge.on_step()
            steps += 1
            if judge.verdict is not None:
                break
        else:
            if story.ends:
                sentences.append(f"{loop.time():10.3f} s  faults are over, and time passes")
                _calm(stage)
    except (Livelock, Undead) as error:
        judge.fail(type(error).__name__.lower(), str(error))
    return Ended(story, judge.verdict, tuple(sentences), steps, loop.turns, trace.digest(), tuple(trace.lines))


def _calm(stage: Stage) -> None:
    """Faults are over, time passes; then everything must have ended well."""
    stage.heal()
    for hour in range(CALM_HOURS):
        if hour >= CALM_HOURS_AT_LEAST and stage.is_at_rest():
            break
        for _ in range(3):
            stage.world.mine(2)
            stage.loop.advance(1200 * MICRO)
            stage.judge.on_step()
            if stage.judge.verdict is not None:
                return
    stage.loop.settle()
    stage.judge.at_the_end()
    stage.say_goodbye()


@contextmanager
def _directory() -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="lsps-simulation-", dir=MEMORY if MEMORY.is_dir() else None))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """When the collector runs depends on everything the process did before; a story must not."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@contextmanager
def _listening_to_logs(judge: Judge, least: int) -> Iterator[None]:
    logger = logging.getLogger("lsps")
    handler = logging.Handler(least)
    setattr(handler, "emit", judge.on_log)  # noqa: B010  (mypy: a method is not to be assigned to)
    level, propagate, disabled = logger.level, logger.propagate, logger.disabled
    logger.addHandler(handler)
    logger.setLevel(least)
    logger.propagate = False
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        logger.propagate, logger.disabled = propagate, disabled
