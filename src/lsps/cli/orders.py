"""`lsps orders`: what this machine bought, or with --service what its LSP sold."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from lsps.cli import arguments
from lsps.cli.shell import Shell

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
        from lsps.cli.order_book import show

        await show(args, shell)
    elif args.before or args.lsp or args.config:
        raise UsageError("--before, --lsp and --config belong to --service")
    else:
        await _journal(args, shell)
    return DONE


async def _journal(args: argparse.Namespace, shell: Shell) -> None:
    from lsps.cli.output import note, print_entries, print_json
    from lsps.compose import default_journal, open_journal

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
    print_entries(shell, ((_head(entry), _details(entry)) for entry in entries))


def _head(entry: Entry) -> str:
    from lsps.cli import words

    return f"{words.moment(entry.created_at)}  {_wish(entry)}: {_state(entry)}"


def _details(entry: Entry) -> Iterator[str]:
    from lsps.cli import words
    from lsps.protocol.sanitize import sanitize
    from lsps.store.journal import EntryState

    if entry.order_id:
        yield f"order {sanitize(entry.order_id, limit=64)}"
    yield f"LSP {entry.lsp}"
    if entry.state is EntryState.ORDERED and entry.expires_at is not None:
        yield f"not paid; the same command pays it until {words.moment(entry.expires_at)}"
    if entry.transaction is not None:
        yield f"paid on-chain in transaction {entry.transaction.txid}"
    if entry.note:
        yield sanitize(entry.note)


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

    from lsps.cli.purchase import transaction_json

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
        "transaction": transaction_json(entry.transaction),
        "payment_hash": None if entry.payment_hash is None else entry.payment_hash.hex(),
        "created_at": entry.created_at,
        "updated_at": entry.updated_at,
        "expires_at": entry.expires_at,
        "note": entry.note,
    }
