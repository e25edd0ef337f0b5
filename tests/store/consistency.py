"""Whether an order store's file agrees with itself: all that hangs on an order is computed anew from the order."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator

from lsps.orders import pending
from lsps.orders.events import Rules
from lsps.orders.ledger import accounts
from lsps.orders.model import FINAL, ExtensionTerms, Order, State
from lsps.store.sqlite.rows import order_from_row, order_parameters

_ORDER = "id, lsp, version, principal, state, created_at, closed_at, payment_hash, address, body"
_COMPUTED = (
    "principal, state, closed_at, payment_hash, address, deposits_until, due_at, due_height, unpaid, watched,"
    " owes, prunable_since"
)
_DELIVERED = frozenset({State.FULFILLED, State.COMPLETED, State.UNPAID})


def disagreements(file: sqlite3.Connection, rules: Rules) -> list[str]:
    """What is damaged, and what does not belong together, in words; for a store of one LSP."""
    if (found := file.execute("PRAGMA integrity_check").fetchall()) != [("ok",)]:
        return [f"the integrity check fails: {found}"]
    if dangling := file.execute("PRAGMA foreign_key_check").fetchall():
        return [f"foreign keys dangle: {dangling}"]
    orders = [order_from_row(row) for row in file.execute(f"SELECT {_ORDER} FROM orders")]  # noqa: S608
    return [
        *_columns(file, orders, rules),
        *(
            f"the ledger of {order.id} is out by {accounts(order).balance} msat"
            for order in orders
            if accounts(order).balance
        ),
        *_differ("effects", file, "SELECT order_id, name, principal FROM effects", _effects(orders)),
        *_differ("reserved inputs", file, "SELECT order_id, outpoint FROM reserved_inputs", _inputs(orders)),
        *_differ("extensions", file, "SELECT order_id, channel_id FROM extensions", _extensions(orders)),
        *_differ("uses of tokens", file, "SELECT code, reserved, consumed FROM tokens", _tokens(orders)),
        *_differ("unpaid counts", file, "SELECT principal, orders FROM unpaid_counts WHERE orders", _unpaid(orders)),
        *_differ("leases", file, "SELECT channel_id, expiration_block FROM leases", _leases(file)),
    ]


def _columns(file: sqlite3.Connection, orders: list[Order], rules: Rules) -> Iterator[str]:
    stored = {row[0]: row[1:] for row in file.execute(f"SELECT id, {_COMPUTED} FROM orders")}  # noqa: S608
    for order in orders:
        computed = order_parameters(order, rules)
        expected = tuple(computed[name] for name in _COMPUTED.split(", "))
        if stored[order.id] != expected:
            yield f"the columns of {order.id} are {stored[order.id]}, and its order says {expected}"


def _differ(what: str, file: sqlite3.Connection, query: str, expected: set[tuple[object, ...]]) -> Iterator[str]:
    found = set(file.execute(query).fetchall())
    if found != expected:
        yield f"{what}: {found - expected} are there, {expected - found} are not"


def _effects(orders: list[Order]) -> set[tuple[object, ...]]:
    return {(order.id, name.value, order.principal.hex) for order in orders for name in pending.effects(order)}


def _inputs(orders: list[Order]) -> set[tuple[object, ...]]:
    return {(order.id, str(outpoint)) for order in orders for outpoint in pending.reserved_inputs(order)}


def _extensions(orders: list[Order]) -> set[tuple[object, ...]]:
    """Money rule 2: one for each that was delivered."""
    return {
        (order.id, order.terms.channel_id.hex)
        for order in orders
        if isinstance(order.terms, ExtensionTerms) and order.state in _DELIVERED
    }


def _tokens(orders: list[Order]) -> set[tuple[object, ...]]:
    counted = [order for order in orders if order.counts_token_use]
    reserved = Counter(order.token for order in counted if order.state not in FINAL)
    consumed = Counter(order.token for order in counted if order.state in FINAL and order.state is not State.FAILED)
    return {(code, reserved[code], consumed[code]) for code in {order.token for order in counted}}


def _unpaid(orders: list[Order]) -> set[tuple[object, ...]]:
    counts = Counter(order.principal.hex for order in orders if pending.is_unpaid(order))
    return {*counts.items(), *({("", counts.total())} if counts else ())}


def _leases(file: sqlite3.Connection) -> set[tuple[object, ...]]:
    """A lease that was extended ends where its furthest extension says."""
    query = (
        "SELECT channel_id, coalesce((SELECT max(new) FROM extensions WHERE extensions.channel_id = leases.channel_id),"
        " expiration_block) FROM leases"
    )
    return set(file.execute(query).fetchall())
