"""make simulate [SEED=n] [STEPS=n] [SECONDS=n]: stories of one seed, or of fresh ones until the time is over."""

# ruff: noqa: T201
from __future__ import annotations

import argparse
import secrets
import sys
import time

from tests.simulation.shrink import shrink
from tests.simulation.story import Ended, Story, play

STEPS = 300


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="the first story's; default: a fresh one")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"actions in each story (default {STEPS})")
    parser.add_argument("--stories", type=int, help="how many, of this seed and the following; default 1 with --seed")
    parser.add_argument("--seconds", type=float, help="go on until so much time is over")
    parser.add_argument("--trace", action="store_true", help="print everything that happened")
    parser.add_argument("--no-shrink", action="store_true", help="tell a failing story as it is")
    chosen = parser.parse_args()
    first = secrets.randbelow(2**32) if chosen.seed is None else chosen.seed
    wanted = chosen.stories or (1 if chosen.seed is not None and chosen.seconds is None else None)
    if wanted is None and chosen.seconds is None:
        chosen.seconds = 60.0
    print(f"seed {first}, {chosen.steps} steps a story", flush=True)
    began, stories, steps, turns = time.monotonic(), 0, 0, 0
    while (wanted is None or stories < wanted) and (
        chosen.seconds is None or time.monotonic() - began < chosen.seconds
    ):
        ended = play(Story.of(first + stories, chosen.steps), keep=chosen.trace)
        stories, steps, turns = stories + 1, steps + ended.steps, turns + ended.turns
        if chosen.trace:
            print(*ended.trace, sep="\n")
        if ended.verdict is not None:
            _tell(ended if chosen.no_shrink else shrink(ended), chosen.steps)
            return 1
    took = time.monotonic() - began
    print(
        f"{stories} stories, {steps} steps, {turns} turns of the event loop in {took:.0f} s "
        f"({steps / took:.0f} steps/s): nothing broke"
    )
    return 0


def _tell(ended: Ended, steps: int) -> None:
    """The story as numbered sentences, and how to see it again."""
    print(f"\nBROKEN: {ended.verdict.invariant if ended.verdict else ''}")
    for number, sentence in enumerate(ended.sentences, start=1):
        print(f"{number:4}. {sentence}")
    print(f"      {ended.verdict.text if ended.verdict else ''}")
    print(f"\nagain: make simulate SEED={ended.story.seed} STEPS={steps}")


if __name__ == "__main__":
    sys.exit(main())
