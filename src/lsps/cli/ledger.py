"""`lsps ledger`: every sat that customers paid, and what became of it."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import TYPE_CHECKING

from lsps.cli import arguments
from lsps.cli.shell import Shell

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from lsps.orders.ledger import Accounts
    from lsps.orders.model import Deposit, Order
    from lsps.store.orders import OrderStore
    from lsps.units import Sat

_DESCRIPTION = """Every sat that customers paid this LSP, and what became of it, by order; read from its store, also
while `lsps serve` runs. What came in and what became of it are computed apart and must be equal: if they are not, this
says so and ends with exit code 1.

  lsps ledger
  lsps ledger --open            only orders that hold or owe something
  lsps ledger --json

owed is to go back to the customer: by itself, or, where a reason is given, left for you to decide. What is less than
min_refund_sat goes back once you lower that and start `lsps serve` again. Anything else: send it to the refund address
that is shown, or agree with the customer to keep it; the ledger does not learn of it, and shows it on.
"""

_PAGE = 500
_TOLD = {
    "lightning": "in, by Lightning",
    "onchain": "in, on-chain",
    "unpaid": "delivered, not (yet) paid",
    "earned": "earned",
    "delivered": "given on as channel balance",
    "surplus": "overpaid by Lightning",
    "refunded": "refunded",
    "refund_fees": "miners' fees of refunds",
    "held": "held, not decided yet",
    "owed": "owed to customers",
}


def add(commands: arguments.Commands) -> None:
    parser = arguments.add_command(commands, "ledger", "what customers paid, and where it is", _DESCRIPTION, node=False)
    parser.add_argument("--open", action="store_true", help="only orders that hold or owe something")
    parser.add_argument("--lsp", metavar="PUBKEY", help="which LSP's, if the store holds several")
    arguments.add_config(parser)
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace, shell: Shell) -> int:
    from lsps.cli.failures import DONE, FAILED
    from lsps.cli.order_book import min_refund, open_book
    from lsps.cli.output import note, print_entries, print_json, print_pairs
    from lsps.orders.ledger import Accounts, accounts

    store, least = open_book(args, shell), min_refund(args, shell)
    total, wrong, shown = Accounts(), [], []
    try:
        async for order in _every(store):
            of_order = accounts(order)
            total += of_order
            if of_order.balance:
                wrong.append(order.id)
            if of_order != Accounts() and (not args.open or of_order.held or of_order.owed or of_order.unpaid):
                shown.append((order, of_order))
    finally:
        await store.close()
    if args.json:
        orders = [
            {"order_id": order.id, **_json(of_order), "left": _left_json(order, least)} for order, of_order in shown
        ]
        print_json(shell, {"orders": orders, "total": _json(total), "unbalanced": wrong})
    else:
        print_entries(shell, ((_head(order), _details(order, of_order, least)) for order, of_order in shown))
        print_pairs(shell, [(text, _amount(getattr(total, name))) for name, text in _TOLD.items()])
    if wrong:
        note(shell, f"{len(wrong)} orders do not balance. This is a bug: please report it. {', '.join(wrong[:10])}")
        return FAILED
    note(shell, f"balanced: {_amount(total.lightning + total.onchain)} came in, all of it is accounted for")
    return DONE


async def _every(store: OrderStore) -> AsyncIterator[Order]:
    """The newest first. What is placed meanwhile is left out."""
    before = None
    while page := await store.newest_orders(before, _PAGE):
        for order in page:
            yield order
        before = page[-1].id


def _head(order: Order) -> str:
    from lsps.cli import words

    return f"{words.moment(order.created_at)}  order {order.id}: {order.state.value}"


def _details(order: Order, of_order: Accounts, least: Sat) -> Iterator[str]:
    from lsps.cli import words
    from lsps.orders.ledger import left_to_operator

    parts = [f"{text} {_amount(getattr(of_order, name))}" for name, text in _TOLD.items() if getattr(of_order, name)]
    yield "; ".join(parts)
    left = {deposit.outpoint: reason for deposit, reason in left_to_operator(order, least)}
    for deposit in () if order.onchain is None else order.onchain.deposits:
        yield from _deposit(deposit)
        if deposit.outpoint in left and order.onchain is not None:
            yield f"  for you to decide: {left[deposit.outpoint]}"
            yield f"  refund address, for {words.sat(deposit.excess)}: {order.onchain.refund_address}"
    if of_order.unpaid:
        yield _why_unpaid(order)
        yield f"customer {order.principal}"


def _deposit(deposit: Deposit) -> Iterator[str]:
    from lsps.cli import words

    where = "gone" if deposit.gone else "unconfirmed" if deposit.height is None else f"in block {deposit.height}"
    yield f"deposit {deposit.outpoint}: {words.sat(deposit.amount)}, {where}"
    for refund in deposit.refunds:
        state = "signed" if refund.published_at is None else f"published {words.moment(refund.published_at)}"
        confirmed = "" if refund.height is None else f", refunded in block {refund.height}"
        yield f"  refund {refund.txid}: {words.sat(refund.paid)}, {state}{confirmed}"


def _why_unpaid(order: Order) -> str:
    from lsps.orders.model import State

    if order.state is State.UNPAID:
        return f"{order.reason}: a loss, unless you and the customer agree otherwise"
    return "its payment is in no block (yet, or any more): a loss if it stays so, since what was delivered stays"


def _left_json(order: Order, least: Sat) -> list[dict[str, object]]:
    from lsps.orders.ledger import left_to_operator

    address = None if order.onchain is None else order.onchain.refund_address
    return [
        {"outpoint": d.outpoint, "amount_sat": d.excess, "reason": reason, "refund_onchain_address": address}
        for d, reason in left_to_operator(order, least)
    ]


def _json(accounts: Accounts) -> dict[str, str]:
    return {f"{field.name}_msat": str(getattr(accounts, field.name)) for field in fields(accounts)}


def _amount(msat: int) -> str:
    from lsps.cli import words
    from lsps.units import Msat

    return words.msat(Msat(msat)) if msat >= 0 else f"-{words.msat(Msat(-msat))}"
