"""`lsps check`: whether an LSP keeps its specifications, clause by clause."""

from __future__ import annotations

import argparse
from pathlib import Path
from shutil import get_terminal_size
from typing import TYPE_CHECKING

from lsps.cli import arguments
from lsps.cli.shell import Shell

if TYPE_CHECKING:
    from lsps.check.model import Finding, Report
    from lsps.check.subject import Spending
    from lsps.client.client import Client

_DESCRIPTION = """Ask an LSP what bLIP-50, 51 and 57 (LSPS0, LSPS1, LSPS7) say it MUST or SHOULD do.

Nothing is paid. Up to four orders are created, and left to expire. Run nothing else against this LSP from the same node
meanwhile: its answers would be taken for unasked ones. Without any node it asks with an identity that is thrown away;
that has no channels, so of LSPS7 less can be told. --pay also pays an order of each service, on regtest alone.

  lsps check 02…@lsp.example:9735
  lsps check 02… --only lsps0 --only L1-84
  lsps check 02… --json | jq '.checks[] | select(.outcome == "fail")'
  lsps check 02… --junit report.xml
  lsps check 02…@lsp.example:9735 --node 'bolt8://?network=mainnet'
  lsps check 02… --pay --max-fee-sat 5000          on regtest
  lsps check --list

exit codes:
  0  every MUST that could be told is kept; a SHOULD that is not is only shown
  1  a MUST failed
  2  usage
  3  the node or the LSP cannot be reached
"""


def add(commands: arguments.Commands) -> None:
    parser = arguments.add_command(commands, "check", "test an LSP against its specifications", _DESCRIPTION)
    parser.add_argument("lsp", metavar="PUBKEY[@HOST:PORT]", nargs="?", help="the LSP to test")
    parser.add_argument(
        "--only", metavar="GROUP|ID", action="append", default=[], help="these checks alone; can be repeated"
    )
    parser.add_argument("--list", action="store_true", help="show all checks, and ask nobody")
    parser.add_argument("--junit", metavar="FILE", type=Path, help="write the report as JUnit XML, too")
    parser.add_argument("--pay", action="store_true", help="pay an order of each service, on regtest alone")
    parser.add_argument(
        "--max-fee-sat", metavar="SAT", type=arguments.sat, help="with --pay: the most an order's fee may be"
    )
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace, shell: Shell) -> int:
    from lsps.check import report as shown
    from lsps.check.catalogue import select
    from lsps.check.model import Severity
    from lsps.cli.failures import DONE, FAILED, UsageError
    from lsps.cli.output import print_json

    checks = select(args.only)
    if args.list:
        if args.json:
            rows = [{"id": c.id, "group": c.group, "severity": c.severity.value} for c in checks]
            texts = [{"section": c.section, "requirement": c.requirement} for c in checks]
            print_json(shell, {"checks": [{**row, **text} for row, text in zip(rows, texts, strict=True)]})
        else:
            for check in checks:
                shell.stdout.write(f"{check.id}  {check.severity:6}  {check.requirement}  ({check.section})\n")
        return DONE
    if args.lsp is None:
        raise UsageError("which LSP? lsps check PUBKEY[@HOST:PORT], or --list")
    if args.max_fee_sat is not None and not args.pay:
        raise UsageError("--max-fee-sat is for --pay: without that nothing is paid")
    junit = None if args.junit is None else _writable(shell.directory / args.junit)
    async with shell.client(args, nodeless=True) as client:
        report = await _check(args, shell, client)
    if junit is not None:
        junit.write_bytes(shown.junit(report))
    if args.json:
        print_json(shell, shown.document(report))
    else:
        width = get_terminal_size().columns if shell.stdout.isatty() else None
        shell.stdout.write("".join(f"{line}\n" for line in shown.text(report, width)))
    return FAILED if report.failed(Severity.MUST) else DONE


def _writable(file: Path) -> Path:
    """Found out before the LSP is asked for a minute. Raises UsageError."""
    from lsps.cli.failures import UsageError

    was_there = file.exists()
    try:
        file.open("ab").close()
        if not was_there:
            file.unlink()
    except OSError as error:
        raise UsageError(f"--junit: cannot write {file}: {error.strerror or error}") from error
    return file


async def _check(args: argparse.Namespace, shell: Shell, client: Client) -> Report:
    from lsps.check.catalogue import select
    from lsps.check.runner import run_checks
    from lsps.cli.output import Waiting

    spending = await _spending(args, client)
    lsp = client.lsp(args.lsp)
    waiting = Waiting(shell)
    groups: set[str] = set()

    def show_progress(finding: Finding) -> None:
        if shell.stderr.isatty() and finding.check.group not in groups:
            groups.add(finding.check.group)
            waiting.say(finding.check.group)

    with waiting.spinning():
        return await run_checks(
            client.node,
            lsp.node_id,
            lsp.address,
            checks=select(args.only),
            spending=spending,
            on_finding=show_progress,
        )


async def _spending(args: argparse.Namespace, client: Client) -> Spending | None:
    from lsps.check.subject import Spending
    from lsps.cli.failures import UsageError
    from lsps.units import Network

    if not args.pay:
        return None
    if args.max_fee_sat is None:
        raise UsageError("--pay needs --max-fee-sat: the most an order's fee may be")
    if client.node.payments is None:
        raise UsageError("--pay needs a node that can pay: name it with --node")
    network = (await client.node.info()).network
    if network is not Network.REGTEST:
        raise UsageError(f"--pay is for regtest and simulated nodes; this node is on {network}")
    return Spending(args.max_fee_sat)
