"""`lsps buy`: a channel from an LSP."""

from __future__ import annotations

import argparse

from lsps.cli import arguments
from lsps.cli.shell import Shell
from lsps.units import Sat

_DESCRIPTION = """Buy a channel that the LSP opens to this node, leased for so many blocks (144 are about a day).

Before anything is paid, the LSP's answer is checked against its specification, and you are asked. --yes asks nothing,
and therefore needs --max-fee-sat. An unfinished order for the same is gone on with, also after a crash; ^C loses no
payment. Exit codes: `lsps --help`.

  lsps buy --lsp-balance 1_000_000 --expiry-blocks 4320 --lsp 02…@lsp.example:9735
  lsps buy --lsp-balance 5_000_000 --client-balance 500_000 --expiry-blocks 12960 --announce --lsp 02…
  lsps buy --lsp-balance 1_000_000 --expiry-blocks 4320 --zero-conf --lsp 02… --max-fee-sat 8000 --yes
  lsps buy --lsp-balance 1_000_000 --expiry-blocks 4320 --lsp 02… --pay onchain
"""


def add(commands: arguments.Commands) -> None:
    parser = arguments.add_command(commands, "buy", "buy a channel", _DESCRIPTION)
    channel = parser.add_argument_group("the channel")
    channel.add_argument(
        "--lsp-balance", metavar="SAT", type=arguments.sat, required=True, help="the LSP's side: what you can receive"
    )
    channel.add_argument(
        "--expiry-blocks", metavar="BLOCKS", type=arguments.count, required=True, help="how long the LSP keeps it"
    )
    channel.add_argument(
        "--client-balance", metavar="SAT", type=arguments.sat, default=Sat(0), help="your side, paid with the order"
    )
    channel.add_argument("--announce", action="store_true", help="a public channel (default: private)")
    confirmations = channel.add_mutually_exclusive_group()
    confirmations.add_argument("--zero-conf", action="store_true", help="usable before it confirms: trusts the LSP")
    confirmations.add_argument(
        "--confirmations", metavar="N", type=arguments.uint16, help="before it is used (default: what the LSP allows)"
    )
    channel.add_argument(
        "--funding-confirms-within",
        metavar="BLOCKS",
        type=arguments.uint16,
        help="how soon it confirms (default: 6, or what the LSP allows)",
    )
    arguments.add_purchase(parser)
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace, shell: Shell) -> int:
    from msgspec.structs import replace

    from lsps.cli import words
    from lsps.cli.failures import DONE
    from lsps.cli.output import Waiting, print_json, print_pairs
    from lsps.cli.purchase import Till, channel_json, check_consent, paid_rows, payment_json, transaction_json

    check_consent(args, shell)
    async with shell.client(args) as client:
        kind = "announced" if args.announce else "private"
        what = f"Buy a {kind} channel of {words.sat(args.lsp_balance + args.client_balance)}:"
        till = Till(shell, args, client, what, Waiting(shell))
        async with till.interruptible():
            bought = await client.lsp(args.lsp).lsps1.buy(
                lsp_balance=args.lsp_balance,
                client_balance=args.client_balance,
                expiry_blocks=args.expiry_blocks,
                announce=args.announce,
                zero_conf=args.zero_conf,
                required_confirmations=args.confirmations,
                funding_confirms_within_blocks=args.funding_confirms_within,
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
    order, channel = replace(bought.order, token=""), bought.channel
    if args.json:
        print_json(
            shell,
            {
                "order": order,
                "delivered": channel is not None,
                "channel": channel_json(channel),
                "resumed": bought.resumed,
                "payment": payment_json(bought.payment),
                "transaction": transaction_json(bought.transaction),
            },
        )
        return DONE
    rows = [] if channel is None else [("channel", f"{channel.funding}, {channel.state.value}")]
    if channel is not None:
        rows += [
            ("capacity", words.sat(channel.capacity)),
            ("your balance", words.sat(channel.local_balance)),
            ("lease", f"{words.blocks(order.channel_expiry_blocks)} from its confirmation"),
        ]
    print_pairs(shell, [*rows, *paid_rows(order, bought, args.pay)])
    return DONE
