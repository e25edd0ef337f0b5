"""What a check is, and what can come of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from lsps.errors import LspsError
from lsps.protocol.rules import Severity
from lsps.units import NodeId

if TYPE_CHECKING:
    from lsps.check.subject import Subject

__all__ = [
    "Broken",
    "Check",
    "Clauses",
    "Exchange",
    "Finding",
    "Outcome",
    "Report",
    "Severity",
    "Skipped",
    "Untold",
    "expect",
]


class Outcome(StrEnum):
    """What came of a check."""

    PASS = "pass"  # noqa: S105  # an outcome, no secret
    FAIL = "fail"
    SKIPPED = "skipped"
    UNTOLD = "could not be told"


class Broken(LspsError):
    """The LSP does not do what the clause asks: the text says what came instead. `exchange` shows it, if one does."""

    def __init__(self, text: str, exchange: Exchange | None = None) -> None:
        super().__init__(text)
        self.exchange = exchange


class Skipped(LspsError):
    """The check does not apply to this LSP, or to this run; the text says why."""


class Untold(LspsError):
    """The check applies, but what it needs did not come; the text says what."""


@dataclass(slots=True, eq=False)
class Exchange:
    """What was sent (None: nothing, what came was not asked for), and everything that came as its answer."""

    sent: bytes | None
    received: list[bytes] = field(default_factory=list)


CheckFunction = Callable[["Subject"], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Check:
    """One clause. `section` is where it stands, `requirement` what it asks of an LSP, in our words.

    `run` returns when the LSP keeps it, else raises Broken, Skipped or Untold.
    """

    id: str
    group: str
    section: str
    severity: Severity
    requirement: str
    run: CheckFunction


@dataclass(frozen=True, slots=True)
class Finding:
    """`reason` says what is wrong, or why nothing could be said; `exchanges` are what the check looked at."""

    check: Check
    outcome: Outcome
    reason: str = ""
    exchanges: tuple[Exchange, ...] = ()


def expect(kept: bool, otherwise: str) -> None:
    """Raises Broken, with what came instead."""
    if not kept:
        raise Broken(otherwise)


@dataclass(frozen=True, slots=True)
class Report:
    lsp: NodeId
    findings: tuple[Finding, ...]

    def count(self, outcome: Outcome) -> int:
        return sum(finding.outcome is outcome for finding in self.findings)

    def failed(self, severity: Severity) -> tuple[Finding, ...]:
        return tuple(
            finding
            for finding in self.findings
            if finding.outcome is Outcome.FAIL and finding.check.severity is severity
        )


class Clauses:
    """Collects the checks of one group, in the order in which they are written; `all` is the table."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._checks: list[Check] = []

    def all(self) -> tuple[Check, ...]:
        return tuple(self._checks)

    def must(self, check_id: str, section: str, requirement: str) -> Callable[[CheckFunction], CheckFunction]:
        return self._add(check_id, section, Severity.MUST, requirement)

    def should(self, check_id: str, section: str, requirement: str) -> Callable[[CheckFunction], CheckFunction]:
        return self._add(check_id, section, Severity.SHOULD, requirement)

    def _add(
        self, check_id: str, section: str, severity: Severity, requirement: str
    ) -> Callable[[CheckFunction], CheckFunction]:
        def add(run: CheckFunction) -> CheckFunction:
            self._checks.append(Check(check_id, self._group, section, severity, requirement, run))
            return run

        return add
