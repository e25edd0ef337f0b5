"""The simulation finds what it is there to find."""

from __future__ import annotations

import pytest

from tests.simulation.bugs.bug import find
from tests.simulation.bugs.catalogue import CATALOGUE


@pytest.mark.parametrize("what", CATALOGUE)
def test_a_bug_is_found(what: str) -> None:
    """Each bug of the catalogue breaks the rule that it should break, within a bounded number of stories."""
    bug = CATALOGUE[what]
    found = find(bug)
    assert found is not None
    assert found.verdict.invariant in bug.breaks, found.verdict


def test_there_are_enough_of_them() -> None:
    """At least twenty, each of its own."""
    assert len({bug.install for bug in CATALOGUE.values()}) >= 20
