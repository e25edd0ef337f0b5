"""A story that breaks something, made as short as it can be: delta debugging over its actions."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from tests.simulation.actions.action import Action
from tests.simulation.story import Ended, Story, play

Numbered = tuple[int, Action]


def shrink(ended: Ended, most_plays: int = 600, seconds: float = 120.0) -> Ended:
    """The shortest story found in so many plays, or in so much time, that breaks the same invariant."""
    if ended.verdict is None:
        return ended
    broken = ended.verdict.invariant
    best = ended
    plays, over = 0, time.monotonic() + seconds

    def breaks(story: Story) -> bool:
        nonlocal best, plays
        if plays >= most_plays or time.monotonic() > over:
            return False
        plays += 1
        tried = play(story)
        if tried.verdict is None or tried.verdict.invariant != broken:
            return False
        best = tried
        return True

    # What came after the verdict was never played.
    played = best.story.actions[: best.steps]
    at_the_end = best.steps == len(best.story.actions) and not breaks(replace(best.story, ends=False))
    breaks(replace(best.story, actions=played, ends=at_the_end))
    breaks(replace(best.story, disorder=0.0, latency=0.0))
    _fewer(best.story.actions, lambda actions: breaks(replace(best.story, actions=actions)))
    breaks(replace(best.story, disorder=0.0))
    for position, (number, action) in enumerate(best.story.actions):
        # Let everything come to rest after an action, where that changes nothing.
        calmer = list(best.story.actions)
        calmer[position] = (number, replace(action, turns=5_000))
        breaks(replace(best.story, actions=tuple(calmer)))
    _fewer(best.story.actions, lambda actions: breaks(replace(best.story, actions=actions)))
    return best


def _fewer(actions: tuple[Numbered, ...], breaks: Callable[[tuple[Numbered, ...]], bool]) -> None:
    """Zeller's ddmin, by leaving out: first large parts, then smaller ones, until no single action can go."""
    size = max(1, len(actions) // 2)
    while actions:
        position, went = 0, False
        while position < len(actions):
            fewer = actions[:position] + actions[position + size :]
            if breaks(fewer):
                actions, went = fewer, True
            else:
                position += size
        if size == 1 and not went:
            return
        size = max(1, size // 2)
