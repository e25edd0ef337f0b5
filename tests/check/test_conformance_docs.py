"""That what the documents say of checks, and of LDK, is what was measured."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from lsps.check.catalogue import CHECKS
from lsps.check.model import Outcome, Severity

DOCS = Path(__file__).parents[2] / "docs"
SEVERITIES = {check.id: check.severity for check in CHECKS}
OUTCOMES = {
    check_id: Outcome(outcome)
    for check_id, outcome in json.loads((DOCS / "conformance.json").read_text())["outcomes"].items()
}
_ID = re.compile(r"\bL[017P]-\d\d\b")
_SPAN = re.compile(r"\b(L[017P]-)(\d\d) to L[017P]-(\d\d)\b")


def findings() -> str:
    """Of conformance.md, what LDK gets wrong."""
    text = (DOCS / "conformance.md").read_text()
    return text[text.index("## What it gets wrong") : text.index("## Where our reading")]


def named_in(text: str) -> set[str]:
    """The ids in a text; "L1-61 to L1-67" names all between, as far as there are such."""
    spans = [(kind, range(int(low), int(high) + 1)) for kind, low, high in _SPAN.findall(text)]
    between = {f"{kind}{number:02}" for kind, numbers in spans for number in numbers}
    return set(_ID.findall(text)) | (between & SEVERITIES.keys())


def failed(*severities: Severity) -> set[str]:
    return {one for one, outcome in OUTCOMES.items() if outcome is Outcome.FAIL and SEVERITIES[one] in severities}


@pytest.mark.parametrize("name", ["check.md", "conformance.md"])
def test_documented_checks_exist(name: str) -> None:
    """Each id of a check that a document names is one of the catalogue's."""
    named = set(_ID.findall((DOCS / name).read_text()))
    assert named
    assert named <= SEVERITIES.keys()


def test_every_check_was_measured() -> None:
    """The outcomes that are written down are of all checks, and of no others."""
    assert OUTCOMES.keys() == SEVERITIES.keys()


def test_every_failure_is_explained() -> None:
    """conformance.md has each failed check under what is wrong, and none that passed."""
    named = named_in(findings())
    assert failed(*Severity) <= named
    assert {one for one in named if OUTCOMES[one] not in {Outcome.FAIL, Outcome.UNTOLD}} == set()


def test_what_is_praised_passed() -> None:
    """conformance.md names no check under what is right that did not pass."""
    text = (DOCS / "conformance.md").read_text()
    praised = text[text.index("## What it gets right") : text.index("## What it gets wrong")]
    assert {one for one in named_in(praised) if OUTCOMES[one] is not Outcome.PASS} == set()


def test_the_table_counts_right() -> None:
    """conformance.md's row of LDK has the numbers that are written down."""
    row = re.search(r"(?m)^\| LDK .*\|$", (DOCS / "conformance.md").read_text())
    assert row is not None
    counted = Counter(OUTCOMES.values())
    not_offered = sum(check.group.startswith("lsps7") or check.id in {"LP-10", "LP-11", "LP-12"} for check in CHECKS)
    assert [int(number) for number in re.findall(r"\| (\d+)", row[0])] == [
        counted[Outcome.PASS],
        len(failed(Severity.MUST)),
        len(failed(Severity.SHOULD)),
        counted[Outcome.UNTOLD],
        not_offered,
        counted[Outcome.SKIPPED] - not_offered,
    ]
