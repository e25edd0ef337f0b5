"""`lsps extend`: more blocks for a channel's lease."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lsps.cli import arguments
from lsps.cli.shell import Shell

if TYPE_CHECKING:
    from lsps.client.client import Client
    from lsps.units import BlockHeight

_DESCRIPTION = """Extend the lease of a channel by so many blocks (144 are about a day), and pay for it over Lightning,
or on-chain with --pay onchain.

Before anything is paid, the LSP's answer is checked against its specification, and you are asked. --yes asks nothing,
and therefore needs --max-fee-sat. An unfinished order for the same is gone on with, also after a crash; ^C loses no
payment. Exit codes: `lsps --help`.

  lsps extend 850123x1x0 4320 --lsp 02…@lsp.example:9735
  lsps extend 850123x1x0 4320 --lsp 02… --max-fee-sat 5000 --yes --json
  lsps extend 850123x1x0 52560 --lsp 02… --pay onchain
"""


def add(commands: arguments.Commands) -> None:
    parser = arguments.add_command(commands, "extend", "extend a channel's lease", _DESCRIPTION)
    parser.add_argument(
        "scid", metavar="SCID", type=arguments.scid, help="the channel, as in `lsps leases`: 850123x1x0"
    )
    parser.add_argument("blocks", metavar="BLOCKS", type=arguments.count, help="how many blocks to add")
    arguments.add_purchase(parser)
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace, shell: Shell) -> int:
    from msgspec.structs import replace

    from lsps.cli import words
    from lsps.cli.failures import DONE
    from lsps.cli.output import Waiting, print_json, print_pairs
    from lsps.cli.purchase import Till, check_consent, paid_rows, payment_json, transaction_json

    check_consent(args, shell)
    async with shell.client(args) as client:
        what = f"Extend the lease of channel {args.scid} by {words.blocks(args.blocks)}:"
        till = Till(shell, args, client, what, Waiting(shell))
        async with till.interruptible():
            extended = await client.lsp(args.lsp).lsps7.extend(
                args.scid,
                blocks=args.blocks,
                max_fee=till.max_fee,
                token=args.token,
                refund_address=args.refund_address,
                pay_with=args.pay,
                max_routing_fee=args.max_routing_fee_sat,
                max_onchain_fee=args.max_onchain_fee_sat,
                accept_violation=frozenset(args.accept_violation),
                new=args.new,
                pay=not args.no_pay,
                confirm=None if args.yes else till.confirm,
                on_progress=till.waiting.tell,
            )
        tip = await _tip(client)
    order = replace(extended.order, token="")
    if args.json:
        print_json(
            shell,
            {
                "order": order,
                "delivered": extended.delivered,
                "expiration_block": extended.expiration_block if extended.delivered else None,
                "resumed": extended.resumed,
                "payment": payment_json(extended.payment),
                "transaction": transaction_json(extended.transaction),
            },
        )
        return DONE
    rows = [
        ("channel", str(order.channel.short_channel_id)),
        ("lease ends" if extended.delivered else "lease would end", words.expiry(extended.expiration_block, tip)),
    ]
    print_pairs(shell, [*rows, *paid_rows(order, extended, args.pay)])
    return DONE


async def _tip(client: Client) -> BlockHeight | None:
    """None when our own node went away: what was delivered is told all the same."""
    from lsps.node.contract import NodeError

    try:
        return (await client.node.info()).height
    except NodeError:
        return None
