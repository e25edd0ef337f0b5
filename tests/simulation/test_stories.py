"""Stories end well, and are the same each time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.actions.catalogue import draw_story
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
