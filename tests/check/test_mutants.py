"""That each check can fail: an LSP with one fault is caught by exactly the checks meant for it."""

from __future__ import annotations

import pytest

from lsps.check.catalogue import CHECKS
from lsps.check.model import Outcome
from tests.check.faults import Mutant
from tests.check.faulty import check_faulty, no_fault
from tests.check.mutants import MUTANTS

UNPAID = tuple(check for check in CHECKS if check.group != "paid")


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
async def test_a_fault_is_caught_by_its_checks_alone(mutant: Mutant) -> None:
    """The checks that a fault is meant for must fail, and no other check."""
    checks = CHECKS if mutant.pays else UNPAID
    report = await check_faulty(mutant.fault, checks, mutant.change, mutant.outcome, pay=mutant.pays)
    failed = {finding.check.id: finding.reason for finding in report.findings if finding.outcome is Outcome.FAIL}
    assert set(failed) == mutant.caught_by, failed


def test_every_check_has_a_mutant() -> None:
    """A check that no mutant fails could be one that never fails."""
    assert {check.id for check in CHECKS} == frozenset().union(*(mutant.caught_by for mutant in MUTANTS))


async def test_an_lsp_without_a_fault_passes_everything() -> None:
    """Our own service, with every way to pay added, must pass each check; none is skipped."""
    report = await check_faulty(no_fault, CHECKS, pay=True)
    others = {f.check.id: (f.outcome, f.reason) for f in report.findings if f.outcome is not Outcome.PASS}
    assert others == {}
