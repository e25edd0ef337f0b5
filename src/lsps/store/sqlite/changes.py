"""One commit: an order, its lease and what hangs on them, within the transaction of the caller."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from lsps.orders import pending
from lsps.orders.events import Rules
from lsps.orders.model import Extension, Lease, Order, TokenChange
from lsps.store.orders import Change, InputTaken, StoreError, TokenUsedUp, VersionConflict
from lsps.store.sqlite import statements as sql
from lsps.store.sqlite.rows import lease_parameters, order_parameters
from lsps.store.sqlite.times import to_micros
from lsps.units import NodeId


def apply_change(connection: sqlite3.Connection, lsp: NodeId, change: Change, now: datetime, rules: Rules) -> None:
    """Raises VersionConflict, InputTaken, TokenUsedUp; StoreError for a change that contradicts the store."""
    for row in (change.order, change.lease):
        if row is not None and row.lsp != lsp:
            raise StoreError(f"this store was opened for {lsp}, not for {row.lsp}")
    try:
        if change.order is not None:
            _write_order(connection, change.order, rules)
        if change.lease is not None:
            _write_lease(connection, change.lease)
        if change.extension is not None:
            _add_extension(connection, lsp, change.extension)
        if change.token is not None:
            _count_token(connection, lsp, change.token)
        if change.order is not None:
            _write_inputs(connection, change.order)
            _write_effects(connection, change.order, now)
    except sqlite3.IntegrityError as error:
        raise StoreError(f"a change contradicts what is stored ({error}): please report it") from error


def _write_order(connection: sqlite3.Connection, order: Order, rules: Rules) -> None:
    statement = sql.UPDATE_ORDER if order.version else sql.INSERT_ORDER
    if connection.execute(statement, order_parameters(order, rules)).rowcount != 1:
        raise VersionConflict(f"order {order.id} has changed since it was read: read it again")


def _write_lease(connection: sqlite3.Connection, lease: Lease) -> None:
    statement = sql.UPDATE_LEASE if lease.version else sql.INSERT_LEASE
    if connection.execute(statement, lease_parameters(lease)).rowcount != 1:
        raise VersionConflict(f"the lease of {lease.channel_id} has changed since it was read: read it again")


def _add_extension(connection: sqlite3.Connection, lsp: NodeId, extension: Extension) -> None:
    """The order id is the row's key: a second extension by the same order is refused (money rule 2)."""
    parameters = {
        "lsp": lsp.hex,
        "order_id": extension.order_id,
        "channel_id": extension.channel_id.hex,
        "previous": int(extension.previous),
        "new": int(extension.new),
    }
    connection.execute(sql.INSERT_EXTENSION, parameters)


def _count_token(connection: sqlite3.Connection, lsp: NodeId, token: TokenChange) -> None:
    key = {"lsp": lsp.hex, "code": token.code}
    connection.execute(sql.INSERT_TOKEN, key)
    connection.execute(sql.CHANGE_TOKEN, {**key, "reserved": token.reserved, "consumed": token.consumed})
    reserved, consumed = connection.execute(sql.TOKEN, key).fetchone()
    if token.uses is not None and reserved + consumed > token.uses:
        raise TokenUsedUp(f"the token's {token.uses} uses are taken")


def _write_inputs(connection: sqlite3.Connection, order: Order) -> None:
    key = {"lsp": order.lsp.hex, "order_id": order.id}
    wanted = {str(outpoint) for outpoint in pending.reserved_inputs(order)}
    present = {outpoint for (outpoint,) in connection.execute(sql.INPUTS_OF_ORDER, key)}
    for outpoint in present - wanted:
        connection.execute(sql.FREE_INPUT, {**key, "outpoint": outpoint})
    for outpoint in wanted - present:
        if connection.execute(sql.RESERVE_INPUT, {**key, "outpoint": outpoint}).rowcount != 1:
            raise InputTaken(f"{outpoint} is reserved for another order's channel: choose other inputs")


def _write_effects(connection: sqlite3.Connection, order: Order, now: datetime) -> None:
    key = {"lsp": order.lsp.hex, "order_id": order.id}
    wanted = {name.value for name in pending.effects(order)}
    present = {name for (name,) in connection.execute(sql.EFFECTS_OF_ORDER, key)}
    for name in present - wanted:
        connection.execute(sql.DELETE_EFFECT, {**key, "name": name})
    for name in sorted(wanted - present):
        new = {"name": name, "principal": order.principal.hex, "due": to_micros(now)}
        connection.execute(sql.INSERT_EFFECT, {**key, **new})
