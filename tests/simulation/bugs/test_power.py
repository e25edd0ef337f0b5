"""Stories can find something: every kind of action happens in them, and one that broke is shortened.

Slow, so it is run with the bugs (`make simulate-bugs`), not with the fast tests.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.simulation.actions.action import Action
from tests.simulation.actions.catalogue import LIFE, SCENES, TROUBLE
from tests.simulation.bugs.catalogue import CATALOGUE
from tests.simulation.shrink import shrink
from tests.simulation.stage import Stage
from tests.simulation.story import Story, play


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
