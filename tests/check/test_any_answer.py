"""Whatever an LSP answers, the checker comes to an end and says something of every check."""

from __future__ import annotations

from random import Random
from typing import Any

import msgspec
import pytest

from lsps.check.catalogue import CHECKS
from lsps.check.report import document, junit, text
from tests.check.faulty import Answer, Asked, Fault, World, check_faulty

JUNK: tuple[Any, ...] = (None, True, 0, -1, 2**63, 1.5, "", "x", "-1", "1" * 30, [], {}, [[]], [{}], {"a": [1]}, ["x"])


def garbled(random: Random, value: Any, chance: float) -> Any:
    """The value, of which some parts are left out, and others, or all of it, are something else."""
    if random.random() < chance:
        return random.choice(JUNK)
    if isinstance(value, dict):
        return {name: garbled(random, inner, chance) for name, inner in value.items() if random.random() >= chance / 2}
    return [garbled(random, inner, chance) for inner in value] if isinstance(value, list) else value


def nonsense(random: Random, chance: float) -> Fault:
    def fault(_world: World, _asked: Asked, message: dict[str, Any]) -> Answer | list[Answer] | None:
        lot = random.random()
        if lot < chance / 8:
            return None
        if lot < chance / 6:
            return [message, msgspec.json.encode(message)[: random.randrange(40)]]
        return {name: value if name == "id" else garbled(random, value, chance) for name, value in message.items()}

    return fault


@pytest.mark.parametrize("seed", range(8))
async def test_nonsense_ends_no_run(seed: int) -> None:
    """An LSP that answers anything at all, and pays no heed to types, breaks no check, and no form of the report."""
    random = Random(seed)
    report = await check_faulty(nonsense(random, (0.01, 0.03, 0.1)[seed % 3]), CHECKS, pay=True)
    assert [finding.check for finding in report.findings] == list(CHECKS)
    assert len(list(text(report))) > len(CHECKS)
    assert junit(report)
    assert len(msgspec.to_builtins(document(report)["checks"])) == len(CHECKS)
