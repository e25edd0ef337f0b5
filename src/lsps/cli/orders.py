"""`lsps orders`: what this machine bought, or with --service what its LSP sold."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lsps.cli import arguments
from lsps.cli.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lsps.orders.model import Order
    from lsps.store.journal import Entry

_DESCRIPTION = """What this machine bought: every order it asked for and every payment it began, the newest first.

With --service: the LSP's order book, read from its store, also while `lsps serve` runs.

  lsps orders
  lsps orders --service --limit 100
  lsps orders --service --before 5f2c… --json
"""


def add(commands: arguments.Commands) -> None:
    parser = arguments.add_command(commands, "orders", "what was bought, or sold (--service)", _DESCRIPTION)
    parser.add_argument("--limit", metavar="N", type=arguments.count, default=20, help="how many (default: 20)")
    book = parser.add_argument_group("the LSP's order book")
    book.add_argument("--service", action="store_true", help="show what this LSP sold")
    book.add_argument("--before", metavar="ORDER_ID", help="go on below this order")
    book.add_argument("--lsp", metavar="PUBKEY", help="which LSP's, if the store holds several")
    arguments.add_config(book)
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace, shell: Shell) -> int:
    from lsps.cli.failures import DONE, UsageError

    if args.service:
        await _service(args, shell)
    elif args.before or args.lsp or args.config:
        raise UsageError("--before, --lsp and --config belong to --service")
    else:
        await _journal(args, shell)
    return DONE


# --- bought -----------------------------------------------------------------------------------------------------------


async def _journal(args: argparse.Namespace, shell: Shell) -> None:
    from lsps.cli import words
    from lsps.cli.output import console, note, print_json, table
    from lsps.compose import default_journal, open_journal
    from lsps.protocol.sanitize import sanitize

    journal = open_journal(default_journal(shell.environment), shell.directory)
    try:
        entries: Sequence[Entry] = await journal.newest(args.limit)
    finally:
        await journal.close()
    if args.json:
        print_json(shell, {"orders": [_entry_json(entry) for entry in entries]})
        return
    if not entries:
        note(shell, "Nothing was ordered from this machine yet.")
        return
    made = table("when", "what", "state", "order", "LSP", "note", folding=["order", "note"])
    for entry in entries:
        made.add_row(
            words.moment(entry.created_at),
            _wish(entry),
            _state(entry),
            sanitize(entry.order_id or "", limit=64),
            words.short(str(entry.lsp)),
            sanitize(entry.note),
        )
    console(shell).print(made)


def _state(entry: Entry) -> str:
    """An order whose reply was lost is never paid and blocks nothing."""
    from lsps.store.journal import EntryState

    if entry.state is EntryState.ASKED and entry.order_id is None:
        return "unknown, unpaid, expires"
    return entry.state.value


def _wish(entry: Entry) -> str:
    import msgspec

    from lsps.cli import words

    parameters = msgspec.json.decode(entry.parameters)
    match parameters:
        case {"short_channel_id": scid, "channel_extension_expiry_blocks": int(blocks)}:
            return f"extend {scid} by {words.blocks(blocks)}"
        case {"lsp_balance_sat": str(balance), "channel_expiry_blocks": int(blocks)}:
            return f"channel with {words.number(int(balance))} sat for {words.blocks(blocks)}"
    return entry.method


def _entry_json(entry: Entry) -> dict[str, object]:
    import msgspec

    return {
        "number": entry.number,
        "state": entry.state.value,
        "method": entry.method,
        "parameters": msgspec.json.decode(entry.parameters),
        "order_id": entry.order_id,
        "order": msgspec.json.decode(entry.order) if entry.order else None,
        "node": entry.node,
        "lsp": entry.lsp,
        "lsp_address": entry.lsp_address,
        "payment_hash": None if entry.payment_hash is None else entry.payment_hash.hex(),
        "created_at": entry.created_at,
        "updated_at": entry.updated_at,
        "expires_at": entry.expires_at,
        "note": entry.note,
    }


# --- sold -------------------------------------------------------------------------------------------------------------


async def _service(args: argparse.Namespace, shell: Shell) -> None:
    from lsps.cli.failures import UsageError
    from lsps.cli.output import note, print_json
    from lsps.compose import default_store, open_store_read_only
    from lsps.units import InvalidUnit, NodeId, OrderId

    try:
        lsp = None if args.lsp is None else NodeId.parse(args.lsp)
    except InvalidUnit as error:
        raise UsageError(f"--lsp: {error}") from None
    config = shell.config(args.config)
    url = None if config is None else config.store
    base = shell.directory if config is None else config.directory
    store = open_store_read_only(url or default_store(shell.environment), base, lsp)
    try:
        before = None if args.before is None else OrderId(args.before)
        orders = await store.newest_orders(before, args.limit)
    finally:
        await store.close()
    more = orders[-1].id if len(orders) == args.limit else None
    if args.json:
        print_json(shell, {"orders": [_order_json(order) for order in orders], "next_before": more})
        return
    if not orders:
        note(shell, "There are no orders (any more).")
        return
    _print_book(shell, orders)
    if more is not None:
        note(shell, f"older ones: --before {more}")


def _print_book(shell: Shell, orders: Sequence[Order]) -> None:
    from lsps.cli import words
    from lsps.cli.output import console, table
    from lsps.protocol.sanitize import sanitize

    made = table(
        "when", "order", "what", "state", "fee", "customer", "reason", numbers=["fee"], folding=["order", "reason"]
    )
    for order in orders:
        made.add_row(
            words.moment(order.created_at),
            order.id,
            _sold(order),
            order.state.value,
            "free" if order.bolt11 is None else words.sat(order.bolt11.fee_total),
            words.short(str(order.principal)),
            sanitize(order.reason),
        )
    console(shell).print(made)


def _sold(order: Order) -> str:
    from lsps.cli import words
    from lsps.orders.model import ChannelTerms

    if isinstance(order.terms, ChannelTerms):
        size = words.sat(order.terms.lsp_balance + order.terms.client_balance)
        return f"channel of {size} for {words.blocks(order.terms.channel_expiry_blocks)}"
    return f"extend {order.terms.short_channel_id} by {words.blocks(order.terms.channel_extension_expiry_blocks)}"


def _order_json(order: Order) -> dict[str, object]:
    """Without the token, which is a secret."""
    from lsps.orders.model import ChannelTerms
    from lsps.orders.wire import order_state

    terms = order.terms
    if isinstance(terms, ChannelTerms):
        asked: dict[str, object] = {
            "lsp_balance_sat": terms.lsp_balance,
            "client_balance_sat": terms.client_balance,
            "channel_expiry_blocks": terms.channel_expiry_blocks,
            "announce_channel": terms.announce_channel,
        }
    else:
        asked = {
            "short_channel_id": terms.short_channel_id,
            "channel_extension_expiry_blocks": terms.channel_extension_expiry_blocks,
            "new_channel_expiry_block": terms.new_channel_expiry_block,
        }
    option, channel = order.bolt11, order.channel
    return {
        "order_id": order.id,
        "service": order.service,
        "state": order.state.value,
        "order_state": order_state(order),
        "customer": order.principal,
        "created_at": order.created_at,
        "closed_at": order.closed_at,
        **asked,
        "fee_total_sat": None if option is None else option.fee_total,
        "order_total_sat": None if option is None else option.order_total,
        "payment_hash": None if option is None else option.payment_hash.hex(),
        "funding_outpoint": None if channel is None else channel.funding_outpoint,
        "reason": order.reason,
    }
