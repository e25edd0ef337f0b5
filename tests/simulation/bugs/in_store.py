"""Bugs in how changes are written."""

from __future__ import annotations

import sqlite3

from lsps.orders.model import TokenChange
from lsps.store.sqlite import changes
from lsps.store.sqlite import statements as sql
from lsps.units import NodeId
from tests.simulation.bugs.bug import Patches


def last_writer_wins(patches: Patches) -> None:
    patches.replace(sql, "UPDATE_LEASE", sql.UPDATE_LEASE.replace(" AND version = :version - 1", ""))


def overspend_tokens(patches: Patches) -> None:
    def count_token(connection: sqlite3.Connection, lsp: NodeId, token: TokenChange) -> None:
        key = {"lsp": lsp.hex, "code": token.code}
        connection.execute(sql.INSERT_TOKEN, key)
        connection.execute(sql.CHANGE_TOKEN, {**key, "reserved": token.reserved, "consumed": token.consumed})

    patches.replace(changes, "_count_token", count_token)
