"""Stories end well, are the same each time, and can be shortened."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.simulation.actions.action import Action
from tests.simulation.actions.catalogue import LIFE, SCENES, TROUBLE, draw_story
from tests.simulation.bugs.catalogue import CATALOGUE
from tests.simulation.shrink import shrink
from tests.simulation.stage import Stage
from tests.simulation.story import Story, play

FIXED = tuple(range(1_000, 1_006))
"""A small set, the same each time. `make simulate SECONDS=300` draws fresh ones."""


@pytest.mark.parametrize("seed", FIXED)
def test_a_story_ends_well(seed: int) -> None:
    """Whatever its story does to them, service, clients and store break no rule, and at last every order ends."""
    ended = play(Story.of(seed, 150))
    assert ended.verdict is None, "\n".join(ended.sentences)


PLAY = "from tests.simulation.story import Story, play; print(*(play(Story.of(s, 80)).digest for s in (7, 8, 9)))"


def test_a_seed_is_the_same_story_everywhere() -> None:
    """Two processes that hash differently make the very same trace of a seed: every turn, message and commit."""
    digests = [
        subprocess.run(
            [sys.executable, "-c", PLAY],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            check=True,
            text=True,
        ).stdout.split()
        for hash_seed in ("1", "2")
    ]
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == 3


def test_a_story_begins_the_same_however_long_it_is() -> None:
    """The first steps do not hang on how many are wanted."""
    assert draw_story(5, 40) == draw_story(5, 400)[:40]


def test_every_kind_of_action_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each one that is listed finds something to happen to, within a few stories."""
    happened: set[type[Action]] = set()

    def watch(kind: type[Action]) -> None:
        real = kind.play

        def watched(self: Action, stage: Stage) -> str:
            sentence = real(self, stage)
            if sentence:
                happened.add(kind)
            return sentence

        monkeypatch.setattr(kind, "play", watched)

    kinds = {*LIFE, *TROUBLE, *SCENES}
    for kind in sorted(kinds, key=lambda kind: kind.__name__):
        watch(kind)
    for seed in range(30, 50):
        play(Story.of(seed, 150))
        if happened == kinds:
            return
    assert happened == kinds


def test_a_broken_story_is_shortened_to_what_matters() -> None:
    """A bug's story of hundreds of steps becomes a few sentences that break the same rule, again and again."""
    bug = CATALOGUE["a token's limit is not checked"]
    with bug.installed():
        found = next(ended for seed in range(60) if (ended := play(Story.of(seed, 120))).verdict)
        short = shrink(found, most_plays=60)
        again = play(short.story)
    assert found.verdict is not None
    assert short.verdict is not None
    assert short.verdict.invariant == found.verdict.invariant
    assert len(short.sentences) < len(found.sentences) / 2
    assert (again.verdict, again.digest) == (short.verdict, short.digest)
    assert play(replace(short.story, ends=True)).verdict is None  # without the bug the very same story ends well
