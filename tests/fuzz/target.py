"""A fuzz target: a function that takes any bytes and must return, and what a fuzzer may begin with.

Each file of `targets/` has one, named TARGET. Its `check` lets pass the one typed error that the code under it promises
for bad input; whatever else it raises is a finding. The same functions serve the fuzzer (`make fuzz`) and the fast
tests, which replay seeds and corpus.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CORPUS = HERE / "corpus"
"""By target: inputs that reached something the seeds do not, and those that once failed."""
VECTORS = HERE.parent / "vectors"

Check = Callable[[bytes], None]
Mutator = Callable[[bytes, int, int], bytes | None]
"""(input, longest output, seed) to another input, or None: then the fuzzer's own way is taken."""


@dataclass(frozen=True)
class Target:
    check: Check
    seeds: tuple[bytes, ...]
    words: tuple[str, ...] = ()
    """What the fuzzer may put in: a dictionary."""
    mutate: Mutator | None = None
    max_bytes: int = 4096


def names() -> list[str]:
    return sorted(path.stem for path in (HERE / "targets").glob("[a-z]*.py"))


def load(name: str) -> Target:
    target: Target = importlib.import_module(f"tests.fuzz.targets.{name}").TARGET
    return target


def inputs(name: str) -> Iterable[tuple[str, bytes]]:
    """Seeds and corpus, each with a name."""
    for number, seed in enumerate(load(name).seeds):
        yield f"seed-{number}", seed
    for path in sorted((CORPUS / name).glob("*")):
        yield path.name, path.read_bytes()


def vectors(name: str) -> Any:
    """tests/vectors/NAME.json."""
    return json.loads((VECTORS / f"{name}.json").read_text("utf-8"))
