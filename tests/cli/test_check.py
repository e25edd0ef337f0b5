"""`lsps check`: reports, exit codes, and what it refuses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from lsps.check import runner
from lsps.check.catalogue import CHECKS
from lsps.check.probe import PING, Times
from lsps.units import Network
from tests.check.faulty import Answer, Asked, Fault, World, faulty_lsp, no_fault
from tests.cli.terminal import Result, Terminal, person


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command knows no other times than the usual ones: for a simulated LSP they are short."""
    monkeypatch.setattr(runner, "Times", lambda: Times(answer=20, quiet=0.0, poll=0.01, polls=1_000))


async def run(directory: Path, fault: Fault, *argv: str, network: Network = Network.REGTEST) -> Result:
    """`lsps check` of an LSP with a fault; the LSP's key comes first on the command line."""
    async with faulty_lsp(fault) as (node, lsp, _):
        terminal = Terminal(directory, node)
        told = node.info

        async def info() -> Any:
            return replace(await told(), network=network)

        node.info = info
        return await terminal.run("check", str(lsp), *argv)


def zero_is_listed(_world: World, asked: Asked, message: dict[str, Any]) -> Answer:
    if asked.method == PING and "result" in message:
        message["result"]["protocols"] = [0, 1, 7]
    return message


def params_are_needed(_world: World, asked: Asked, message: dict[str, Any]) -> Answer:
    if asked.method == PING and asked.params is None:
        return {"jsonrpc": "2.0", "id": message["id"], "error": {"code": -32600, "message": "no"}}
    return message


async def test_an_lsp_that_keeps_all_passes(tmp_path: Path) -> None:
    """All checks run, paying included; the exit code is 0, the report says how many passed."""
    result = await run(tmp_path, no_fault, "--pay", "--max-fee-sat", "100_000")
    assert result.code == 0
    assert f"{len(CHECKS)} checks: {len(CHECKS)} passed, 0 MUST and 0 SHOULD failed" in result.out


async def test_a_failed_must_is_exit_code_1(tmp_path: Path) -> None:
    """A MUST that is broken is 1; the report shows the clause and the messages, and JUnit has one failure."""
    result = await run(tmp_path, zero_is_listed, "--only", "lsps0", "--junit", "report.xml")
    assert result.code == 1
    assert "FAIL L0-03" in result.out
    assert "LSPS Specification Support Query" in result.out
    assert '"protocols":[0,1,7]' in result.out
    assert len(ET.parse(tmp_path / "report.xml").findall(".//failure")) == 1  # noqa: S314  # our own


async def test_a_failed_should_is_exit_code_0(tmp_path: Path) -> None:
    """A SHOULD that is broken is shown, and the exit code stays 0."""
    result = await run(tmp_path, params_are_needed, "--only", "lsps0")
    assert result.code == 0
    assert "0 MUST and 1 SHOULD failed" in result.out


async def test_json_is_one_document(tmp_path: Path) -> None:
    """--json prints one document with the checks that were asked for, and nothing else."""
    result = await run(tmp_path, no_fault, "--json", "--only", "L0-01", "--only", "L1-01")
    assert [(check["id"], check["outcome"]) for check in result.json["checks"]] == [
        ("L0-01", "pass"),
        ("L1-01", "pass"),
    ]


async def test_without_pay_nothing_is_paid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --pay the node is never asked to pay, and the checks that need it say so."""

    async def pay(*_: object) -> None:
        raise AssertionError("paid")

    async with faulty_lsp() as (node, lsp, _):
        monkeypatch.setattr(node.payments, "pay", pay)
        result = await Terminal(tmp_path, node).run("check", str(lsp))
    assert result.code == 0
    assert "skip LP-01" in result.out
    assert "needs --pay" in result.out


async def test_a_fee_above_the_limit_is_not_paid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An order that costs more than --max-fee-sat is left unpaid: those checks could not be told."""

    async def pay(*_: object) -> None:
        raise AssertionError("paid")

    async with faulty_lsp() as (node, lsp, _):
        monkeypatch.setattr(node.payments, "pay", pay)
        result = await Terminal(tmp_path, node).run("check", str(lsp), "--pay", "--max-fee-sat", "1", "--only", "paid")
    assert result.code == 0
    assert "more than --max-fee-sat allows" in result.out


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (("--pay",), "--max-fee-sat"),
        (("--only", "lsps9"), "the groups are lsps0"),
        (("--max-fee-sat", "9"), "--pay"),
        (("--junit", "no/such/directory.xml"), "cannot write"),
    ],
)
async def test_usage_errors(tmp_path: Path, argv: tuple[str, ...], says: str) -> None:
    """What cannot be done is refused with 2, and the text says what is missing."""
    result = await run(tmp_path, no_fault, *argv)
    assert result.code == 2
    assert says in result.err


async def test_paying_is_for_test_networks(tmp_path: Path) -> None:
    """On any other network than regtest --pay is refused before the LSP is asked anything."""
    result = await run(tmp_path, no_fault, "--pay", "--max-fee-sat", "9", network=Network.MAINNET)
    assert result.code == 2
    assert "mainnet" in result.err


async def test_an_lsp_that_is_not_there_is_exit_code_3(tmp_path: Path) -> None:
    """A peer that answers nothing is 3."""
    async with faulty_lsp(lambda _, __, ___: None) as (node, lsp, clock):
        clock.hurry()
        probing = replace(Times(), answer=0.05)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(runner, "Times", lambda: probing)
            result = await Terminal(tmp_path, node).run("check", str(lsp))
    assert result.code == 3
    assert "did not answer" in result.err


async def test_the_list_needs_no_node(terminal: Terminal) -> None:
    """--list shows every check with its clause, asks nobody, and has a JSON form."""
    listed = await terminal.run("check", "--list")
    assert listed.code == 0
    assert len(listed.out.splitlines()) == len(CHECKS)
    assert len((await terminal.run("check", "--list", "--json")).json["checks"]) == len(CHECKS)
    assert (await terminal.run("check")).code == 2


async def test_a_person_sees_how_far_it_is(tmp_path: Path) -> None:
    """At a terminal each group is named once it has begun; into a pipe goes the report alone."""
    async with faulty_lsp() as (node, lsp, _):
        with person("") as stdin:
            seen = await Terminal(tmp_path, node).run("check", str(lsp), "--only", "lsps0", stdin=stdin)
        piped = await Terminal(tmp_path, node).run("check", str(lsp), "--only", "lsps0")
    assert "lsps0" in seen.err
    assert piped.err == ""


def there(path: Path) -> bool:
    return path.exists()


async def test_a_report_file_that_is_not_written_is_not_there(tmp_path: Path) -> None:
    """--junit of a run that never came about leaves no empty file for another program to trip over."""
    result = await run(tmp_path, no_fault, "--pay", "--max-fee-sat", "9", "--junit", "a.xml", network=Network.MAINNET)
    assert result.code == 2
    assert not there(tmp_path / "a.xml")
