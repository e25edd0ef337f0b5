"""The command line itself: help, usage, exit codes, errors in words, ^C."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from lsps.cli import main as cli
from lsps.cli.failures import USAGE, verdict
from lsps.cli.main import COMMANDS, main
from lsps.client import errors
from lsps.client.client import InvalidLspAddress
from lsps.compose import AdapterMissing, InvalidUrl
from lsps.config.errors import ConfigError
from lsps.errors import LspsError
from lsps.node import contract
from lsps.node.lnd.address import InvalidNodeUrl
from lsps.service.startup import CannotDeliver
from lsps.store.orders import StoreInUse, StoreUnavailable
from lsps.units import NodeId, OrderId, Sat
from tests.cli.terminal import PATIENCE, Terminal, Town, person

LSP = "02" + "11" * 32
EXTEND = ("extend", "1x1x1", "144", "--lsp", LSP)
BUY = ("buy", "--lsp-balance", "100000", "--expiry-blocks", "144", "--lsp", LSP)
NAMES = ("demo", *(command.__name__.rpartition(".")[2] for command in COMMANDS))
ORDER = OrderId("order-1")


# --- pipes -----------------------------------------------------------------------------------------------------------


def test_a_reader_that_has_enough_is_no_error() -> None:
    """`lsps … | head -1`: the command ends without a word, with the exit code of a closed pipe."""
    piped = f"({sys.executable} -m lsps check --list; echo exit $? >&2) | head -n 1"
    done = subprocess.run(["/bin/sh", "-c", piped], capture_output=True, text=True, check=False)
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr in {"exit 141\n", "exit 0\n"}  # 0: it had written everything before the reader left


# --- help and usage ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """--help must exit with 0, explain, and (but for demo) show an example and the common options."""
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: lsps {name}")
    if name != "demo":
        assert ("--node URL" in text) == (name not in {"backup", "ledger"})  # which read a file
        assert ("--json" in text) == (name != "serve")
        assert re.search(r"^  (lsps|node) ", text, re.MULTILINE), "no example"


def test_help_lists_commands_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    """`lsps --help` must show every command and every exit code."""
    assert main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in NAMES:
        assert f"\n    {name}" in text
    for code in (0, 1, 2, 3, 4, 5, 130):
        assert re.search(rf"^  {code} ", text, re.MULTILINE)


def test_python_m_lsps_is_the_same_program() -> None:
    """`python -m lsps` must run the command line and hand its exit code on; nothing heavy is imported for help."""
    code = "import sys, runpy; sys.argv = ['lsps', '--version']\ntry: runpy.run_module('lsps', run_name='__main__')\n"
    code += "finally: print([m for m in ('rich', 'grpc', 'msgspec', 'sqlite3') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert re.fullmatch(r"lsps \d+\.\d+\.\d+\S*\n\[\]\n", done.stdout)
    assert subprocess.run([sys.executable, "-m", "lsps"], capture_output=True, check=False).returncode == 2


@pytest.mark.parametrize(
    "argv",
    [
        (),
        ("nothing",),
        ("info",),
        ("extend", "1x1", "144", "--lsp", LSP),
        ("extend", "1x1x1", "0", "--lsp", LSP),
        ("extend", "1x1x1", "-5", "--lsp", LSP),
        ("extend", "1x1x1", str(2**32), "--lsp", LSP),
        (*EXTEND, "--max-fee-sat", "1.5"),
        (*EXTEND, "--max-fee-sat", "9" * 21),
        (*EXTEND, "--max-fee-sat", str(2**64)),
        (*EXTEND, "--accept-violation", "mirror"),
        (*EXTEND, "--yes", "--no-pay"),
        (*BUY, "--zero-conf", "--confirmations", "1"),
        (*BUY, "--confirmations", "65536"),
        ("orders", "--limit", "0"),
    ],
)
def test_a_wrong_command_line_exits_with_2(argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """Usage errors must exit with 2, on standard error, without a traceback."""
    assert main(argv) == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "usage: lsps" in shown.err


@pytest.mark.parametrize("command", [EXTEND, BUY])
async def test_consent_is_checked_before_anything_else(terminal: Terminal, command: tuple[str, ...]) -> None:
    """--yes without --max-fee-sat, and no terminal without --yes, must exit with 2 before a node is even looked for."""
    unlimited = await terminal.run(*command, "--yes")
    assert (unlimited.code, unlimited.out) == (2, "")
    assert "--yes needs --max-fee-sat" in unlimited.err
    with person("yes\n") as stdin:
        assert (await terminal.run(*command, "--yes", stdin=stdin)).code == 2
    for limits in ((), ("--max-fee-sat", "10")):
        unasked = await terminal.run(*command, *limits)
        assert unasked.code == 2
        assert "no terminal to ask you at" in unasked.err
    assert "no node is named" in (await terminal.run(*command, "--yes", "--max-fee-sat", "10")).err
    assert "no node is named" in (await terminal.run(*command, "--no-pay")).err


async def test_options_of_the_order_book_need_service(terminal: Terminal) -> None:
    """--before, --lsp and --config mean nothing for what was bought."""
    for option in (("--before", "x"), ("--lsp", LSP), ("--config", "x")):
        assert (await terminal.run("orders", *option)).code == 2
    wrong = await terminal.run("orders", "--service", "--lsp", "xyz")
    assert wrong.code == 2
    assert "66 hex digits" in wrong.err


async def test_no_orders_yet(terminal: Terminal) -> None:
    """An empty journal is no error; a missing order book is one, and looking does not make it."""
    assert (await terminal.run("orders")).err == "Nothing was ordered from this machine yet.\n"
    assert (await terminal.run("orders", "--json")).json == {"orders": []}
    book = await terminal.run("orders", "--service")
    assert book.code == 1
    assert "`lsps serve` makes it" in book.err


# --- which node -------------------------------------------------------------------------------------------------------


async def test_where_the_node_comes_from(terminal: Terminal) -> None:
    """--node comes before LSPS_NODE, which comes before lsps.toml; a broken file is looked at only if it is needed."""
    toml = terminal.directory / "lsps.toml"
    toml.write_text('node = "lnd://file-host:1?tls_cert=tls.cert&macaroon=m"')
    assert str(terminal.directory / "tls.cert") in (await terminal.run("leases")).err
    toml.write_text("node = 5")
    assert "node: expected str" in (await terminal.run("leases")).err
    terminal.environment["LSPS_NODE"] = "lnd:///from/environment"
    assert "/from/environment/tls.cert" in (await terminal.run("leases")).err
    assert "/from/option/tls.cert" in (await terminal.run("leases", "--node", "lnd:///from/option")).err


async def test_a_wrong_lsp_is_usage(shop: Town) -> None:
    """An --lsp that is no public key must exit with 2."""
    result = await shop.run("info", "--lsp", "me@example.com")
    assert result.code == 2
    assert "PUBKEY@HOST:PORT" in result.err


async def test_an_lsp_that_cannot_be_reached(shop: Town) -> None:
    """An LSP that is not connected, or does not answer, must exit with 3 and say what to do."""
    shop.terminal.patience = PATIENCE
    unknown = await shop.run("info", "--lsp", str(shop.net.nodes.world.add_node("stranger", None).node_id))
    assert unknown.code == 3
    assert "--lsp PUBKEY@HOST:PORT" in unknown.err
    shop.net.nodes.stop(shop.net.nodes.clients[0])
    away = await shop.run("info", "--lsp", shop.lsp, "--json")
    assert (away.code, away.json["error"]["exit_code"]) == (3, 3)
    assert "Is the node running" in away.err


# --- every error's exit code ------------------------------------------------------------------------------------------

CODES: list[tuple[LspsError, int]] = [
    (errors.LspRefused("no", code=1), 1),
    (errors.TokenRefused("no", code=102), 1),
    (errors.PaymentFailed("no", order_id=ORDER), 1),
    (errors.OrderFailed("no", order_id=ORDER), 1),
    (contract.Refused("no"), 1),
    (contract.PermissionMissing("no"), 1),
    (contract.NotSupported("no"), 1),
    (StoreInUse("no"), 1),
    (StoreUnavailable("no"), 1),
    (LspsError("anything else"), 1),
    (ConfigError("no", key="k"), 2),
    (CannotDeliver("k", "no"), 2),
    (InvalidUrl("no"), 2),
    (InvalidNodeUrl("no"), 2),
    (InvalidLspAddress("no"), 2),
    (AdapterMissing("no"), 2),
    (contract.NodeUnreachable("no"), 3),
    (contract.PeerNotConnected("no"), 3),
    (errors.NoReply("no"), 3),
    (errors.ConnectionLost("no"), 3),
    (errors.LspUnintelligible("no"), 3),
    (errors.OutcomeUnknown("no"), 3),
    (errors.FeeTooHigh(Sat(2), Sat(1), order_id=ORDER), 4),
    (errors.RuleViolated([], order_id=ORDER), 4),
    (errors.NotPayable("no", order_id=ORDER), 4),
    (errors.Declined("no", order_id=ORDER), 4),
    (errors.OrderInFlight(ORDER), 4),
    (errors.NotDelivered("no", lsp=NodeId(LSP), order_id=ORDER), 5),
    (errors.PaidNotDelivered("no", lsp=NodeId(LSP), order_id=ORDER), 5),
]


@pytest.mark.parametrize(("error", "code"), CODES, ids=[type(error).__name__ for error, _ in CODES])
async def test_each_error_has_its_exit_code(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, error: LspsError, code: int
) -> None:
    """Whatever a command raises must become its exit code and one line of words, on standard error."""

    async def fail(*_: object) -> int:
        raise error

    args = cli.parser().parse_args(["info", "--lsp", LSP, "--json"])
    args.run = fail
    shell = terminal.shell()
    assert await cli.execute(args, shell) == code
    shown = shell.stderr.getvalue()  # type: ignore[attr-defined]
    assert shown.startswith("lsps: ")
    assert shown.count("\n") == 1
    assert f'"exit_code": {code}' in shell.stdout.getvalue()  # type: ignore[attr-defined]


def test_every_client_error_has_an_exit_code_of_its_own_kind() -> None:
    """An error class of the client that somebody adds must be covered by the table, or have a parent that is."""
    bases = (errors.Unreachable, errors.LspRefused, errors.StoppedBeforePaying, errors.PaymentNotMade)
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, LspsError)]
    for kind in kinds:
        if kind is not LspsError:
            assert issubclass(kind, (*bases, errors.NotDelivered)), f"{kind.__name__} has no exit code"
    assert verdict(InvalidUrl("x")).code == USAGE


async def test_an_unexpected_exception(terminal: Terminal) -> None:
    """A bug must exit with 1 and a sentence; its traceback is shown with --verbose alone, control characters never."""

    async def fail(*_: object) -> int:
        raise ValueError("\x1b[31mkey")

    for verbose in ((), ("--verbose",)):
        args = cli.parser().parse_args(["info", "--lsp", LSP, *verbose])
        args.run = fail
        shell = terminal.shell()
        assert await cli.execute(args, shell) == 1
        shown = shell.stderr.getvalue()  # type: ignore[attr-defined]
        assert "unexpected ValueError: key" in shown
        assert "\x1b" not in shown
        assert ("Traceback" in shown) == bool(verbose)


@pytest.mark.parametrize("argv", [("nonsense", "--json"), (*EXTEND[:2], "0", *EXTEND[3:], "--json"), ("buy", "--js")])
def test_misuse_with_json(argv: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    """A program that asked for JSON must get a document on standard output even when its arguments are wrong."""
    assert main(argv) == 2
    out, err = capsys.readouterr()
    error = json.loads(out)["error"]
    assert (error["kind"], error["exit_code"]) == ("UsageError", 2)
    assert error["message"] in err
    assert err.startswith("usage: lsps")


@pytest.mark.parametrize("name", ["", *NAMES])
def test_help_fits_a_narrow_terminal(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At 80 columns no line of help is torn by the terminal, but for an example that is longer than that."""
    monkeypatch.setenv("COLUMNS", "80")
    assert main([name, "--help"] if name else ["--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if len(line) > 80 and not line.startswith("  lsps ")] == []
    assert not name or all(len(line) <= 110 for line in lines)


# --- ^C ---------------------------------------------------------------------------------------------------------------


def test_a_real_interrupt_exits_with_130(tmp_path: Path) -> None:
    """SIGINT while the LSP holds the payment must print what is in flight and exit with 130, promptly."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(
            f"""
            import asyncio, os, signal, sys
            from dataclasses import replace
            from pathlib import Path
            from lsps.cli.main import execute, parser
            from tests.cli.terminal import PATIENCE, town

            async def main():
                async with town(Path({str(tmp_path)!r})) as shop:
                    payments = shop.terminal.node.payments
                    pay = payments.pay
                    async def interrupted(invoice, max_fee):
                        os.kill(os.getpid(), signal.SIGINT)
                        await asyncio.sleep(3600)
                    payments.pay = interrupted
                    shell = replace(shop.terminal.shell(), stderr=sys.stderr)
                    argv = ["extend", shop.scid, "144", "--lsp", shop.lsp, "--yes", "--max-fee-sat", "9999"]
                    return await execute(parser().parse_args(argv), shell)

            sys.exit(asyncio.run(main()))
            """
        )
    )
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=60, check=False, cwd=root,
        env={"PYTHONPATH": str(root), "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 130, done.stderr
    assert "still in flight: lsps7.create_order" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_interrupt_that_is_no_cancellation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A KeyboardInterrupt that nobody turned into a cancellation must exit with 130, too."""

    async def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr("lsps.cli.demo.run", interrupted)
    assert main(["demo"]) == 130


@pytest.mark.parametrize("code", [0, 7])
def test_demo_is_run(monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """`lsps demo` must run the demo and hand on its exit code."""

    async def run(*_: object) -> int:
        return code

    monkeypatch.setattr("lsps.cli.demo.run", run)
    assert main(["demo"]) == code


def test_main_runs_a_command_to_its_end(terminal: Terminal) -> None:
    """main must run an asynchronous command and return its exit code."""
    shell = terminal.shell()
    assert main(["orders"], shell) == 0
    assert "Nothing was ordered" in shell.stderr.getvalue()  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("encoding", "closed"), [("ascii", ""), ("latin-1", ""), ("utf-8", ">&-"), ("utf-8", ">&- 2>&-")]
)
def test_streams_that_take_not_every_word(encoding: str, closed: str) -> None:
    """A terminal without our characters, or none at all, keeps no command from its work, and shows no traceback."""
    command = f"exec {sys.executable} -m lsps info --help {closed}"
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    result = subprocess.run(
        ["/bin/sh", "-c", command], capture_output=True, encoding=encoding, env=environment, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert ("usage: lsps info" in result.stdout) is (not closed)
