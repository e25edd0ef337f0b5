"""What can happen in a story. An action is data: drawn from a seed before the story plays, it plays the same whether
the actions around it are there or not, so that a story can be shortened to those that matter.

It names customers, orders and channels by a number, taken modulo what is there when it plays. A new kind of action is a
new class, listed in `actions/catalogue.py`. Whatever an action breaks, it also mends, some seconds later.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Self, TypeVar

if TYPE_CHECKING:
    from tests.simulation.stage import Stage

T = TypeVar("T")


@dataclass(frozen=True)
class Action(ABC):
    """One thing that happens, after which the event loop makes at most `turns` turns before the next one does."""

    turns: int

    @classmethod
    @abstractmethod
    def draw(cls, random: Random, turns: int) -> Self: ...

    @abstractmethod
    def play(self, stage: Stage) -> str:
        """Let it happen; returns the sentence that tells of it, "" when there is nothing it could happen to."""


def among(number: int, things: Sequence[T]) -> T:
    return things[number % len(things)]


def some_seconds(random: Random, least: float, most: float) -> float:
    """Short ones as often as long ones, whatever the scale."""
    return float(round(least * (most / least) ** random.random(), 3))


def turns_after(random: Random) -> int:
    """Mostly few, so that the next action comes in the middle of what this one began."""
    return random.choice((0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 200))
