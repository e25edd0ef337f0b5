"""`lsps info`: what an LSP offers."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from lsps.cli import arguments
from lsps.cli.shell import Shell

if TYPE_CHECKING:
    from lsps.node.contract import Messages
    from lsps.protocol.lsps1 import Options
    from lsps.units import NodeId

_DESCRIPTION = """What an LSP offers: the specifications it speaks, and what channels it sells.

  lsps info --lsp 02…@lsp.example:9735
  lsps info --lsp 02… --json | jq .lsps1.max_channel_expiry_blocks

No node is needed: where none is named, an identity is made for this question and thrown away. It needs the address.
"""


QUIET_SECONDS = 5.0
"""Before a person is told that an answer is being waited for."""


def add(commands: arguments.Commands) -> None:
    parser = arguments.add_command(commands, "info", "what an LSP offers", _DESCRIPTION)
    arguments.add_lsp(parser, required=True, text="the LSP; the address is needed if the node does not know it")
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace, shell: Shell) -> int:
    from lsps.cli.failures import DONE
    from lsps.cli.output import note, print_json, print_pairs
    from lsps.protocol.lsps1_rules import check_options

    async with shell.client(args, nodeless=True) as client:
        lsp = client.lsp(args.lsp)
        async with _patience_asked(shell, client.node.messages, lsp.node_id):
            protocols = await lsp.lsps0.list_protocols()
            options = await lsp.lsps1.get_info() if 1 in protocols else None
    if options is not None:
        for broken in check_options(options):
            note(shell, f"warning: the LSP breaks {broken.clause}: {broken.text}")
    if args.json:
        document = {"lsp": lsp.node_id, "protocols": list(protocols)}
        print_json(shell, document if options is None else {**document, "lsps1": options})
        return DONE
    spoken = ", ".join(f"LSPS{number}" for number in (0, *protocols))
    rows = [("LSP", str(lsp.node_id)), ("speaks", spoken)]
    if options is not None:
        rows += _option_rows(options)
    if 7 in protocols:
        rows.append(("extensions", "yes: `lsps leases` shows which of your channels, and by how much"))
    print_pairs(shell, rows)
    return DONE


@asynccontextmanager
async def _patience_asked(shell: Shell, messages: Messages, lsp: NodeId) -> AsyncIterator[None]:
    """Who asks a node that is no LSP is not left alone with a silence of minutes, which bLIP-50 asks to wait."""
    from lsps.cli.output import note
    from lsps.lightning.features import OPTION_SUPPORTS_LSPS

    async def tell() -> None:
        peer = None
        while peer is None:
            await asyncio.sleep(QUIET_SECONDS)
            peer = await messages.peer(lsp)
        is_lsp = OPTION_SUPPORTS_LSPS in peer.features
        doubt = "" if is_lsp else "; nor does this node say that it is an LSP (feature bit 729, which is optional)"
        note(shell, f"Connected, and no answer yet{doubt}. It is waited for some minutes; ^C ends that.")

    telling = asyncio.create_task(tell())
    try:
        yield
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)


def _option_rows(options: Options) -> Iterator[tuple[str, str]]:
    from lsps.cli.words import blocks, number

    confirmations = options.min_required_channel_confirmations
    yield "lease", f"up to {blocks(options.max_channel_expiry_blocks)}"
    for name, kind in (("LSP balance", "initial_lsp"), ("client balance", "initial_client"), ("channel", "channel")):
        low, high = (int(getattr(options, f"{end}_{kind}_balance_sat")) for end in ("min", "max"))
        yield name, f"{number(low)} to {number(high)} sat"
    yield "confirmations", f"{confirmations} at least" if confirmations else "0: zero-conf channels, too"
    yield "funding confirms within", f"{blocks(options.min_funding_confirms_within_blocks)} at the soonest"
    yield "zero reserve", "yes" if options.supports_zero_channel_reserve else "no"
