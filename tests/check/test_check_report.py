"""The report's three forms, and which checks run."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest

from lsps.check.catalogue import CHECKS, GROUPS, UnknownCheck, select
from lsps.check.model import Exchange, Finding, Outcome, Report
from lsps.check.report import details, document, junit, text
from lsps.protocol.message import to_json
from lsps.units import NodeId

LSP = NodeId("02" + "11" * 32)
MUST, SHOULD = select(["L0-01"])[0], select(["L0-04"])[0]
NASTY = "\x1b[31m<b>\x00\u202e]]>"


def report() -> Report:
    """One finding of each kind, with texts that an LSP made up to do harm."""
    exchange = Exchange(b'{"id":"1"}', [NASTY.encode() + b"\xff"])
    return Report(
        LSP,
        (
            Finding(MUST, Outcome.FAIL, f"result is {NASTY}", (exchange,)),
            Finding(SHOULD, Outcome.FAIL, "no answer", (Exchange(b"{}"),)),
            Finding(MUST, Outcome.PASS, "", (exchange,)),
            Finding(MUST, Outcome.SKIPPED, "needs --pay"),
            Finding(SHOULD, Outcome.UNTOLD, "it takes no order"),
        ),
    )


def test_every_check_has_its_own_id() -> None:
    """Ids are unique, of one form, and there are at least sixty of them."""
    ids = [check.id for check in CHECKS]
    assert len(set(ids)) == len(ids) >= 60
    assert all(re.fullmatch(r"L[017P]-\d\d", check_id) for check_id in ids)


def test_checks_are_picked_by_group_and_by_id() -> None:
    """A name picks a check or a whole group; none picks all; an unknown one is an error that names the groups."""
    assert {check.id for check in select(["L1-84", "L0-01"])} == {"L1-84", "L0-01"}
    assert {check.group for check in select(["lsps7"])} == {"lsps7"}
    assert select([]) == CHECKS
    with pytest.raises(UnknownCheck, match=GROUPS[0]):
        select(["lsps9"])


def test_the_text_shows_a_failure_whole() -> None:
    """A failure shows its clause, what was due, what came instead and the messages; no control character gets out."""
    lines = list(text(report()))
    shown = "\n".join(lines)
    assert MUST.section in shown
    assert 'sent: {"id":"1"}' in shown
    assert "came: no answer" in shown
    assert lines[-1] == "5 checks: 1 passed, 1 MUST and 1 SHOULD failed, 1 skipped, 1 could not be told"
    assert not any(character in shown for character in ("\x1b", "\x00", "\u202e"))


def test_a_narrow_terminal_breaks_no_word() -> None:
    """Folded to a width, the report has the same words, its messages whole, and no other line is longer."""
    for width in (80, 60):
        lines = "\n".join(text(report(), width)).split("\n")
        assert " ".join("\n".join(lines).split()) == " ".join("\n".join(text(report())).split())
        assert all(len(line) < width for line in lines if not line.startswith(("  sent: ", "  came: ")))
    folded = [line.split("\n") for line in text(report(), 60) if "\n" in line]
    assert folded[0][1].startswith(" " * 14)
    assert {line[1][:9].count(" ") for line in folded if line[0].startswith("  due: ")} == {8}
    assert not folded[-1][1].startswith(" ")


def test_the_json_document_has_every_check() -> None:
    """Each check is there with its outcome; messages are there for failures alone."""
    made = document(report())
    decoded = msgspec.json.decode(msgspec.json.encode({**made, "lsp": to_json(made["lsp"])}))
    assert [check["outcome"] for check in decoded["checks"]] == [
        "fail",
        "fail",
        "pass",
        "skipped",
        "could not be told",
    ]
    assert decoded["checks"][0]["exchanges"][0]["sent"] == '{"id":"1"}'
    assert "exchanges" not in decoded["checks"][2]
    assert (decoded["passed"], decoded["failed_must"], decoded["failed_should"]) == (1, 1, 1)


def test_junit_is_valid_and_fails_for_a_must_alone() -> None:
    """The XML parses; a failed MUST is a failure, a failed SHOULD is skipped with its reason; the counts are right."""
    suites = ET.fromstring(junit(report()))  # noqa: S314  # our own
    suite = suites[0]
    assert (suites.tag, suite.tag, len(suites)) == ("testsuites", "testsuite", 1)
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["5", "1", "0", "3"]
    cases = suite.findall("testcase")
    assert [[child.tag for child in case] for case in cases] == [["failure"], ["skipped"], [], ["skipped"], ["skipped"]]
    reasons = [child.get("message") or "" for case in cases for child in case]
    assert reasons[1] == "SHOULD failed: no answer"
    assert "".join(case.findtext("failure", "") for case in cases) == "\n".join(details(report().findings[0]))


def test_the_documented_report_is_of_these_checks() -> None:
    """docs/check.md shows a report that has every check, in order, with its present words."""
    shown = (Path(__file__).parents[2] / "docs" / "check.md").read_text()
    listed = re.findall(r"(?m)^      (?:ok  |skip) (L.-\d\d)  (.*)$", shown)
    assert [check_id for check_id, _ in listed] == [check.id for check in CHECKS]
    for check, (_, words) in zip(CHECKS, listed, strict=True):
        assert words.startswith(check.requirement)
