"""No check passes by what it did not see, and nobody is blamed for what they may do."""

from __future__ import annotations

import pytest

from lsps.check.catalogue import CHECKS, select
from lsps.check.model import Outcome, Report
from lsps.protocol.errors import INVALID_PARAMS, OPTION_MISMATCH
from tests.check.faults import CREATE1, CREATE7, REJECTED, code, instead, to
from tests.check.faulty import Answer, Asked, Fault, World, check_faulty, no_fault


def outcome(report: Report, outcome: Outcome) -> set[str]:
    return {finding.check.id for finding in report.findings if finding.outcome is outcome}


@pytest.mark.parametrize("number", [OPTION_MISMATCH, INVALID_PARAMS])
async def test_an_error_that_never_came_is_not_praised(number: int) -> None:
    """What looks into an error, where there is none of its code, could not be told."""

    def fault(world: World, asked: Asked, message: dict[str, object]) -> Answer | list[Answer] | None:
        error = message.get("error")
        if isinstance(error, dict) and error["code"] == number and asked.method in {CREATE1, CREATE7}:
            return code(to(asked.method), -32603)(world, asked, message)
        return message

    report = await check_faulty(fault, select(["L1-59", "L1-70", "L7-42", "L7-46"]))
    expected = {"L1-59", "L7-42"} if number == OPTION_MISMATCH else {"L1-70", "L7-46"}
    assert outcome(report, Outcome.UNTOLD) == expected
    assert len(outcome(report, Outcome.PASS)) == 2


@pytest.mark.parametrize(
    ("checks", "fault", "expected"),
    [
        (["L0-47", "L0-48", "L0-49", "L0-50"], no_fault, Outcome.UNTOLD),
        (["L0-52", "L0-53", "L0-54"], no_fault, Outcome.SKIPPED),
    ],
)
async def test_a_message_that_never_came_is_not_praised(checks: list[str], fault: Fault, expected: Outcome) -> None:
    """Asked alone, what looks at all messages sees one answer, without an error, an amount or a time in it."""
    report = await check_faulty(fault, select(checks))
    assert outcome(report, expected) == set(checks)


async def test_an_lsp_that_rejects_us_is_not_blamed() -> None:
    """bLIP-50, 001 Client rejected: an LSP MAY do so, whatever is ordered; a good order is tried once more, no more."""
    tried: list[bytes] = []

    def fault(world: World, asked: Asked, message: dict[str, object]) -> Answer | list[Answer] | None:
        if asked.method == CREATE1:
            tried.append(asked.payload.partition(b'"id"')[0])
        return instead(lambda asked: asked.method in {CREATE1, CREATE7}, error=REJECTED)(world, asked, message)

    report = await check_faulty(fault, CHECKS)
    assert outcome(report, Outcome.FAIL) == set()
    assert {"L1-10", "L1-52", "L1-61", "L1-72", "L7-20", "L7-40", "L7-47"} <= outcome(report, Outcome.UNTOLD)
    assert sorted(tried.count(payload) for payload in set(tried))[-2:] == [1, 2]


async def test_error_1_for_a_bad_order_alone_is_a_fault() -> None:
    """An LSP that takes our good orders rejects nobody: for an order outside its options 100 is due."""
    fault = code(lambda asked: asked.method == CREATE1 and asked.params.get("channel_expiry_blocks") == 52_561, 1)
    report = await check_faulty(fault, select(["lsps1-refusals"]))
    assert outcome(report, Outcome.FAIL) == {"L1-52"}
