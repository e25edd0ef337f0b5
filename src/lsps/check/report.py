"""A report for people, for programs, and as JUnit XML for what shows test results."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from lsps.check.model import Exchange, Finding, Outcome, Report, Severity
from lsps.protocol.sanitize import sanitize

_SHOWN = 400
_LAST_EXCHANGES = 3
_MESSAGES = ("  sent: ", "  came: ")
_DETAILS = ("  due:  ", "  but:  ")
_UNDER_DETAIL, _UNDER_CHECK = 8, 14
_NARROWEST = 40
_MARKS = {Outcome.PASS: "ok  ", Outcome.FAIL: "FAIL", Outcome.SKIPPED: "skip", Outcome.UNTOLD: "?   "}


def shown_payload(payload: bytes) -> str:
    """A payload as one line; what is not UTF-8 is escaped, what is long is cut."""
    return sanitize(payload.decode(errors="backslashreplace"), limit=_SHOWN) or "(nothing)"


def _reason(finding: Finding) -> str:
    """It may quote the LSP, or a node."""
    return sanitize(finding.reason, limit=_SHOWN)


def line(finding: Finding) -> str:
    """`ok   L0-01  requirement`; for what did not pass, with its reason."""
    check = finding.check
    head = f"{_MARKS[finding.outcome]} {check.id}  {check.requirement}"
    return head if finding.outcome in {Outcome.PASS, Outcome.FAIL} else f"{head}: {_reason(finding)}"


def details(finding: Finding) -> Iterator[str]:
    """Of a failure: the clause, what came instead, and the messages."""
    check = finding.check
    yield f"{check.id}  {check.severity}  {check.section}"
    yield f"  due:  {check.requirement}"
    yield f"  but:  {_reason(finding)}"
    for exchange in finding.exchanges[-_LAST_EXCHANGES:]:
        yield from _exchange(exchange)


def _exchange(exchange: Exchange) -> Iterator[str]:
    if exchange.sent is not None:
        yield f"  sent: {shown_payload(exchange.sent)}"
    if not exchange.received:
        yield "  came: no answer"
    for payload in exchange.received[-_LAST_EXCHANGES:]:
        yield f"  came: {shown_payload(payload)}"


def text(report: Report, width: int | None = None) -> Iterator[str]:
    """The whole report, line by line: one a check, or folded between words to `width`. Messages stay whole."""
    for written in _lines(report):
        if width is None or len(written) < width or written.startswith(_MESSAGES):
            yield written
        else:
            of_check = _UNDER_CHECK if written.startswith("  ") else 0
            indent = _UNDER_DETAIL if written.startswith(_DETAILS) else of_check
            yield textwrap.fill(
                written, max(width - 1, _NARROWEST), subsequent_indent=" " * indent, break_on_hyphens=False
            )


def _lines(report: Report) -> Iterator[str]:
    group = ""
    for finding in report.findings:
        if finding.check.group != group:
            group = finding.check.group
            yield f"{group}"
        yield f"  {line(finding)}"
    failures = (*report.failed(Severity.MUST), *report.failed(Severity.SHOULD))
    if failures:
        yield ""
        yield "what failed"
    for finding in failures:
        yield ""
        yield from details(finding)
    yield ""
    yield summary(report)


def summary(report: Report) -> str:
    must, should = len(report.failed(Severity.MUST)), len(report.failed(Severity.SHOULD))
    checks = "1 check" if len(report.findings) == 1 else f"{len(report.findings)} checks"
    return (
        f"{checks}: {report.count(Outcome.PASS)} passed, {must} MUST and {should} SHOULD failed, "
        f"{report.count(Outcome.SKIPPED)} skipped, {report.count(Outcome.UNTOLD)} could not be told"
    )


def document(report: Report) -> dict[str, object]:
    """For JSON: every check, with the messages of those that failed."""
    return {
        "lsp": report.lsp,
        "passed": report.count(Outcome.PASS),
        "failed_must": len(report.failed(Severity.MUST)),
        "failed_should": len(report.failed(Severity.SHOULD)),
        "skipped": report.count(Outcome.SKIPPED),
        "could_not_be_told": report.count(Outcome.UNTOLD),
        "checks": [_finding_document(finding) for finding in report.findings],
    }


def _finding_document(finding: Finding) -> dict[str, object]:
    check = finding.check
    found: dict[str, object] = {
        "id": check.id,
        "group": check.group,
        "section": check.section,
        "severity": check.severity.value,
        "requirement": check.requirement,
        "outcome": finding.outcome.value,
    }
    if finding.reason:
        found["reason"] = _reason(finding)
    if finding.outcome is Outcome.FAIL:
        found["exchanges"] = [
            {
                "sent": None if exchange.sent is None else shown_payload(exchange.sent),
                "received": [shown_payload(payload) for payload in exchange.received],
            }
            for exchange in finding.exchanges
        ]
    return found


def junit(report: Report) -> bytes:
    """One testsuite a group. A failed SHOULD is a test that was skipped, with its reason: it breaks no build."""
    suites = ET.Element("testsuites", name=f"lsps check {report.lsp}")
    groups: dict[str, list[Finding]] = {}
    for finding in report.findings:
        groups.setdefault(finding.check.group, []).append(finding)
    for group, findings in groups.items():
        failed = sum(_is_failure(finding) for finding in findings)
        passed = sum(finding.outcome is Outcome.PASS for finding in findings)
        counts = {"tests": len(findings), "failures": failed, "errors": 0, "skipped": len(findings) - failed - passed}
        attributes = {"name": group, **{name: str(number) for name, number in counts.items()}}
        suite = ET.SubElement(suites, "testsuite", attributes)
        for finding in findings:
            _case(suite, finding)
    ET.indent(suites)
    written: bytes = ET.tostring(suites, encoding="utf-8", xml_declaration=True)
    return written


def _is_failure(finding: Finding) -> bool:
    return finding.outcome is Outcome.FAIL and finding.check.severity is Severity.MUST


def _case(suite: ET.Element, finding: Finding) -> None:
    check = finding.check
    case = ET.SubElement(suite, "testcase", classname=check.group, name=f"{check.id} {check.requirement}", time="0")
    reason = _reason(finding)
    if _is_failure(finding):
        ET.SubElement(case, "failure", message=reason, type=check.severity.value).text = "\n".join(details(finding))
    elif finding.outcome is not Outcome.PASS:
        failed = "SHOULD failed" if finding.outcome is Outcome.FAIL else finding.outcome.value
        ET.SubElement(case, "skipped", message=f"{failed}: {reason}")
