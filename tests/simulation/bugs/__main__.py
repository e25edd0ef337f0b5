"""The table of docs/reliability.md: each bug of the catalogue, and what it took to find it."""
# ruff: noqa: T201

from __future__ import annotations

import sys

from tests.simulation.bugs.bug import MOST_STORIES, STEPS, find
from tests.simulation.bugs.catalogue import CATALOGUE

print(f"| bug (up to {MOST_STORIES} stories of {STEPS} steps) | stories | steps | found by |\n|---|---|---|---|")
for bug in CATALOGUE.values():
    if len(sys.argv) > 1 and not any(part in bug.what for part in sys.argv[1:]):
        continue
    found = find(bug)
    cells = ("-", "-", "nothing") if found is None else (found.stories, found.steps, found.verdict.invariant)
    unexpected = " (!)" if found is not None and found.verdict.invariant not in bug.breaks else ""
    print(f"| {bug.what} | {cells[0]} | {cells[1]} | {cells[2]}{unexpected} |", flush=True)
