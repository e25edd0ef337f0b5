"""A bug put in on purpose, to prove that the simulation finds its like."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from tests.simulation.invariants.verdict import Verdict
from tests.simulation.story import Story, play

STEPS = 300
MOST_STORIES = 60
"""Within so many stories every bug of the catalogue is found."""

Install = Callable[["Patches"], None]


class Patches:
    """Replaces parts of the real code until the block is left."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack

    def replace(self, owner: object, name: str, other: object) -> None:
        """Raises AttributeError when the code has changed and there is nothing of that name any more."""
        self._stack.enter_context(patch.object(owner, name, other))

    def replace_item(self, table: MutableMapping[Any, Any], key: object, other: object) -> None:
        if key not in table:
            raise KeyError(key)
        self._stack.enter_context(patch.dict(table, {key: other}))


@dataclass(frozen=True, slots=True)
class Bug:
    """`breaks` names the invariants by which it may be found: one that is found by another one was not understood."""

    what: str
    breaks: frozenset[str]
    install: Install

    @contextmanager
    def installed(self) -> Iterator[None]:
        with ExitStack() as stack:
            self.install(Patches(stack))
            yield


@dataclass(frozen=True, slots=True)
class Found:
    """`stories` were played until it was found, the last one included, and `steps` in all of them."""

    stories: int
    steps: int
    verdict: Verdict


def find(bug: Bug, first_seed: int = 0) -> Found | None:
    """Play stories with the bug until something breaks; None when nothing does within MOST_STORIES."""
    steps = 0
    with bug.installed():
        for number in range(MOST_STORIES):
            ended = play(Story.of(first_seed + number, STEPS))
            steps += ended.steps
            if ended.verdict is not None:
                return Found(number + 1, steps, ended.verdict)
    return None
