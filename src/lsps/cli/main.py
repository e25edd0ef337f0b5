"""`lsps`: reads the command line, runs one command, and turns every outcome into an exit code."""

from __future__ import annotations

import argparse
import asyncio
import io
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from lsps.cli import arguments, backup, buy, check, extend, info, leases, ledger, orders, serve
from lsps.cli.log_lines import JsonFormatter, LineFormatter, SentenceFormatter, logging_to
from lsps.cli.shell import Shell
from lsps.errors import LspsError

_DESCRIPTION = """Buy, sell and extend Lightning channels: the LSP specifications LSPS0, LSPS1 and LSPS7."""

_EPILOG = """the node:
  LSPS_NODE, --node, or `node = "…"` in lsps.toml names it:
    lnd:///home/me/.lnd?network=regtest
    lnd://HOST:PORT?tls_cert=PATH&macaroon=PATH

to begin:
  lsps demo                              see it all on simulated nodes
  lsps info --lsp 02…@lsp.example:9735   what an LSP offers
  lsps leases                            your channels, until when they are kept
  lsps extend 850123x1x0 4320 --lsp 02…  30 days more
  lsps orders                            what you bought
  lsps serve                             be an LSP
  lsps ledger                            what customers paid, and where it is
  lsps backup FILE                       a copy of its store, while it serves
  lsps check 02…@lsp.example:9735        does it keep the specifications?

exit codes:
  0    done
  1    failed, or refused by the LSP; a payment that failed
  2    usage, configuration
  3    the node or the LSP cannot be reached
  4    stopped before paying: a fee limit, a rule the LSP broke, or you said no
  5    paid, and not (yet) delivered: `lsps orders` tells
  130  interrupted
"""

INTERRUPTED = 130
OUTPUT_CLOSED = 141
"""As a shell tells of a program that SIGPIPE ended."""
_ERROR_LENGTH = 4_000
_DEMO_DESCRIPTION = """The whole story in seconds, on simulated nodes: an LSP, a wallet, channels bought and extended, a
refusal, a crash in the middle of a paid order. Two processes, BOLT 8 between them; nothing of it leaves the machine."""
COMMANDS = (serve, info, leases, extend, buy, orders, ledger, backup, check)


class _Misused(SystemExit):
    """argparse has told on standard error what is wrong."""

    def __init__(self, text: str) -> None:
        super().__init__(2)
        self.text = text


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        sys.stderr.write(f"{self.prog}: error: {message}\n")
        raise _Misused(message)


def parser() -> argparse.ArgumentParser:
    root: argparse.ArgumentParser = _Parser(
        prog="lsps", description=_DESCRIPTION, epilog=_EPILOG, formatter_class=arguments.HelpFormatter
    )
    root.add_argument("--version", action=_Version)
    commands = root.add_subparsers(metavar="COMMAND", required=True)
    demo = arguments.add_command(
        commands, "demo", "the whole story on simulated nodes", _DEMO_DESCRIPTION, json=False, node=False
    )
    demo.set_defaults(run=_demo)
    for command in COMMANDS:
        command.add(commands)
    return root


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help="show the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        sys.stdout.write(f"lsps {version('lsps')}\n")
        parser.exit()


async def _demo(args: argparse.Namespace, shell: Shell) -> int:
    from lsps.cli import demo

    return await demo.run(args, shell)


def _make_streams_writable() -> None:
    """No word about a payment may end the command that makes it: not in an encoding that lacks a character, nor where
    the stream was closed from the first (`>&-`)."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115  # the process's own
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def main(argv: Sequence[str] | None = None, shell: Shell | None = None) -> int:
    """Runs a command; returns its exit code."""
    if shell is None:
        _make_streams_writable()
        shell = Shell()
    try:
        args = parser().parse_args(argv)
    except _Misused as misused:
        # Which command it was to be is not known for certain, but what it was to print is.
        if any(len(word) > len("--") and "--json".startswith(word) for word in argv or sys.argv[1:]):
            _print_failure(shell, "UsageError", misused.text, 2)
        return 2
    except SystemExit as stop:  # argparse has printed help
        return stop.code if isinstance(stop.code, int) else 0
    try:
        result = asyncio.run(execute(args, shell))
        shell.stdout.flush()
    except KeyboardInterrupt:
        return INTERRUPTED
    except (BrokenPipeError, SystemExit):  # rich makes the second of the first
        # `lsps orders | head`: nobody reads on. What is still buffered must not fail at the interpreter's end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OUTPUT_CLOSED
    return result


async def execute(args: argparse.Namespace, shell: Shell) -> int:
    """Runs a command; no error leaves it."""
    with logging_to(shell.stderr, *_log_of(args)):
        try:
            code: int = await args.run(args, shell)
        except asyncio.CancelledError:
            if getattr(args, "json", False):
                text = "interrupted; `lsps orders` tells whether a payment is in flight"
                _print_failure(shell, "Interrupted", text, INTERRUPTED)
            return INTERRUPTED
        except BrokenPipeError:
            raise
        except Exception as error:  # the last place that can tell it in words
            return _explain(error, args, shell)
    return code


def _log_of(args: argparse.Namespace) -> tuple[int, logging.Formatter]:
    """How much is logged, and how: the LSP's log for programs, a command's warnings for the person who runs it."""
    serves = args.run is serve.run
    usual = logging.INFO if serves else logging.WARNING
    level = logging.DEBUG if args.verbose else usual
    if serves and args.log_json:
        return level, JsonFormatter()
    return level, LineFormatter() if serves or args.verbose else SentenceFormatter()


def _explain(error: Exception, args: argparse.Namespace, shell: Shell) -> int:
    """One sentence on standard error, and what to do next; with --json a document, too."""
    from lsps.cli.failures import verdict
    from lsps.cli.output import note
    from lsps.protocol.sanitize import sanitize

    if isinstance(error, LspsError):
        found, text = verdict(error), sanitize(str(error), limit=_ERROR_LENGTH)
        code, advice = found.code, found.advice
    else:
        code, text = 1, f"unexpected {type(error).__name__}: {sanitize(str(error), limit=_ERROR_LENGTH)}"
        advice = "This is a bug: please report it." + ("" if args.verbose else " --verbose shows where it happened.")
    if args.verbose:
        lines = "".join(traceback.format_exception(error)).splitlines()
        note(shell, "\n".join("".join(filter(str.isprintable, line)) for line in lines))
    sentence = text if text.endswith((".", "!", "?")) else f"{text}."
    note(shell, f"lsps: {sentence} {advice}".rstrip())
    if getattr(args, "json", False):
        _print_failure(shell, type(error).__name__, text, code, getattr(error, "order_id", None))
    return code


def _print_failure(shell: Shell, kind: str, text: str, code: int, order_id: str | None = None) -> None:
    from lsps.cli.output import print_json

    print_json(shell, {"error": {"kind": kind, "message": text, "order_id": order_id, "exit_code": code}})
