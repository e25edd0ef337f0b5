"""Mutations that keep JSON being JSON, so that a fuzzer gets past the parser: values, keys and places change."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import Any

from tests.fuzz.target import Mutator

VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, -0.0, 1, -1, 0.5, 1e308, 2**16, 2**31, 2**32, 2**53 + 1, 2**63, 2**64, 10**20, 10**400),
    *("", "0", "-1", "+1", "00", "1.0", "1e3", "9" * 21, "١", "²", " 1", "1_000", "\0", "\ud800", "\u202e", "\x1b[31m"),
    *("0x0x0", "16777215x16777215x65535", "16777216x0x0", "1x1", "a" * 64 + ":0", "a" * 64 + ":65536"),
    *("2025-01-01T00:00:00.000Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999-23:59", "2025-02-30T00:00:00Z"),
    *("CREATED", "HOLD", "CANCELLED", "x" * 3000, [], {}, [[]], [None] * 1100, {"": {}}),
)

MAX_PLACES = 5_000


def json_mutator(prefix: int = 0) -> Mutator:
    """For inputs that are `prefix` bytes of choice and then JSON. Half of the time nothing: then bytes are changed."""

    def mutate(data: bytes, max_bytes: int, seed: int) -> bytes | None:
        random = Random(seed)
        if random.random() < 0.5:
            return None
        try:
            tree = [json.loads(data[prefix:])]
            for _ in range(random.choice((1, 1, 2, 4))):
                _change(tree, random)
            text = json.dumps(tree[0], ensure_ascii=random.random() < 0.2)
        except (ValueError, RecursionError):  # no JSON, or too deep for Python's own reader and writer
            return None
        mutated = data[:prefix] + text.encode(errors="surrogatepass")
        return mutated if len(mutated) <= max_bytes else None

    return mutate


def _change(tree: list[Any], random: Random) -> None:
    places = list(islice(_places(tree), MAX_PLACES))
    if len(places) == MAX_PLACES:
        return
    holder, key = random.choice(places)
    match random.randrange(7):
        case 0 | 1:
            holder[key] = _copy(random.choice(VALUES))
        case 2 if isinstance(holder, dict):
            del holder[key]
        case 3 if isinstance(holder, dict):
            holder[random.choice((key + "x", "client_info", "token", "", "payment"))] = holder.pop(key)
        case 4 if isinstance(holder[key], list):
            holder[key] = [_copy(item) for item in holder[key] * random.choice((2, 3, 30))]
        case 5:
            other, its_key = random.choice(places)
            holder[key] = _copy(other[its_key])
        case _:
            for _ in range(random.choice((1, 1, 50, 600))):
                holder[key] = [holder[key]] if random.random() < 0.5 else {"a": holder[key]}


def _copy(value: Any) -> Any:
    """Nothing stands in two places: a change would else change both, and VALUES."""
    return json.loads(json.dumps(value))


def _places(holder: Any) -> Iterator[tuple[Any, Any]]:
    waiting = [holder]
    while waiting:
        inner = waiting.pop()
        for key in list(inner) if isinstance(inner, dict) else range(len(inner)):
            yield inner, key
            if isinstance(inner[key], dict | list):
                waiting.append(inner[key])
