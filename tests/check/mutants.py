"""The mutants: each is one fault, and the checks that must catch it – those and no others. None, if it is no fault."""

from __future__ import annotations

from tests.check import mutants_lsps0, mutants_lsps1, mutants_lsps7, mutants_paid

MUTANTS = tuple(
    mutant for table in (mutants_lsps0, mutants_lsps1, mutants_lsps7, mutants_paid) for mutant in table.mutant.all
)
