"""Arguments that several commands share, and how their texts are read."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lsps.units import InvalidUnit, Sat, Scid

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

T = TypeVar("T")


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Prose is filled to the terminal's width; a paragraph with indented lines, examples or a table, stays as it is."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        paragraphs = text.strip("\n").split("\n\n")
        return "\n\n".join(
            paragraph if "\n  " in paragraph or paragraph.startswith("  ") else textwrap.fill(paragraph, width)
            for paragraph in paragraphs
        )


def add_command(
    commands: Commands, name: str, summary: str, description: str, *, json: bool = True, node: bool = True
) -> argparse.ArgumentParser:
    """A command's parser with what every command takes. `description` may go over lines and hold examples."""
    parser = commands.add_parser(name, help=summary, description=description, formatter_class=HelpFormatter)
    if node:
        parser.add_argument(
            "--node", metavar="URL", help='the Lightning node; else LSPS_NODE, else `node = "…"` in lsps.toml'
        )
    if json:
        parser.add_argument("--json", action="store_true", help="one JSON document on standard output, nothing else")
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="log details, and show a traceback if it comes to it"
    )
    return parser


def add_lsp(parser: argparse.ArgumentParser, *, required: bool, text: str) -> None:
    parser.add_argument("--lsp", metavar="PUBKEY[@HOST:PORT]", required=required, help=text)


def add_config(parser: argparse._ActionsContainer) -> None:
    parser.add_argument(
        "--config", metavar="FILE", type=Path, help="default: ./lsps.toml, then $XDG_CONFIG_HOME/lsps/lsps.toml"
    )


def _read(parse: Callable[[str], T]) -> Callable[[str], T]:
    def read(text: str) -> T:
        try:
            return parse(text)
        except InvalidUnit as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return read


def _sat(text: str) -> Sat:
    return Sat(_integer(text, "an amount in whole sat"))


def _integer(text: str, what: str) -> int:
    digits = text.replace("_", "")
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 20):
        raise argparse.ArgumentTypeError(f"{text!r:.40} is not {what}")
    return int(digits)


sat = _read(_sat)
"""A whole number of sat; 1_000_000 may be written so."""
scid = _read(Scid.parse)


def count(text: str) -> int:
    """A number from 1 on."""
    number = _integer(text, "a number from 1 on")
    if not 1 <= number < 2**32:
        raise argparse.ArgumentTypeError("must be 1 or greater, and fit into 32 bits")
    return number


def uint16(text: str) -> int:
    number = _integer(text, "a number from 0 to 65535")
    if number >= 2**16:
        raise argparse.ArgumentTypeError("must be at most 65535")
    return number


def add_purchase(parser: argparse.ArgumentParser) -> None:
    """What `buy` and `extend` share."""
    add_lsp(parser, required=True, text="the LSP; the address is needed if the node does not know it")
    limits = parser.add_argument_group("what it may cost")
    limits.add_argument("--max-fee-sat", metavar="SAT", type=sat, help="the most the LSP may ask as its fee")
    limits.add_argument(
        "--max-routing-fee-sat",
        metavar="SAT",
        type=sat,
        help="the most the payment's route may cost (default: 1 %% of the payment and 10 sat)",
    )
    limits.add_argument(
        "--max-onchain-fee-sat",
        metavar="SAT",
        type=sat,
        help="with --pay onchain, the most the transaction may cost (default: 1 %% of the payment and 5,000 sat)",
    )
    limits.add_argument("--token", help="a discount or access code from the LSP")
    parser.add_argument(
        "--pay",
        choices=["bolt11", "onchain"],
        default="bolt11",
        help="over Lightning (the default), or on-chain from the node's wallet, which takes hours",
    )
    parser.add_argument(
        "--refund-address",
        metavar="ADDRESS",
        help="where an on-chain refund would go (default with --pay onchain: a new address of the node's wallet)",
    )
    parser.add_argument(
        "--accept-violation",
        metavar="RULE",
        action="append",
        default=[],
        choices=["sum"],
        help="pay though the LSP breaks this rule: sum (its new expiry is not the old one and the blocks)",
    )
    parser.add_argument("--new", action="store_true", help="order again, in spite of an unfinished order for the same")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--no-pay", action="store_true", help="order only; the same command without it pays")
    how.add_argument("--yes", action="store_true", help="pay without asking, up to --max-fee-sat")
