"""The client's journal on SQLite. Several processes may use one file; each write waits its turn."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence, Set
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from lsps.store.journal import Entry, EntryState, OnchainTransaction
from lsps.store.orders import InputTaken, StoreError, StoreUnavailable
from lsps.store.sqlite import statements as sql
from lsps.store.sqlite.connection import open_for_writing
from lsps.store.sqlite.failures import translated
from lsps.store.sqlite.files import make_private
from lsps.store.sqlite.rows import DAMAGED, Parameters, Row
from lsps.store.sqlite.schema import JOURNAL, migrate
from lsps.store.sqlite.times import from_micros, from_micros_or_none, to_micros, to_micros_or_none
from lsps.store.sqlite.writer import InlineWriter
from lsps.units import BlockHeight, NodeId, OrderId, Outpoint, Sat


def open_journal(path: Path) -> SqliteJournal:
    """The journal at `path`, made if missing (mode 0600, its directory 0700). Raises StoreUnavailable."""
    path = path.resolve()
    with translated(path), ExitStack() as opened:
        make_private(path)
        connection = open_for_writing(path)
        opened.callback(connection.close)
        migrate(connection, path, JOURNAL)
        opened.pop_all()
        return SqliteJournal(path, connection)


class SqliteJournal:
    """A Journal. Every method may raise StoreUnavailable."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self._writer = InlineWriter(connection, path)

    async def add(self, entry: Entry) -> Entry:
        """Raises StoreError for an entry that has a number already."""
        if entry.number:
            raise StoreError(f"entry {entry.number} is in the journal already: update it")
        parameters = entry_parameters(entry)
        number = await self._writer.run(lambda connection: connection.execute(sql.ADD_ENTRY, parameters).lastrowid)
        return replace(entry, number=number or 0)

    async def update(self, entry: Entry) -> None:
        """Raises StoreError for an entry that was never added."""
        parameters = {**entry_parameters(entry), "number": entry.number}
        changed = await self._writer.run(lambda connection: connection.execute(sql.UPDATE_ENTRY, parameters).rowcount)
        if changed != 1:
            raise StoreError(f"{self._path} has no entry {entry.number}")

    async def end_unpaid(self, entry: Entry) -> bool:
        parameters = {**entry_parameters(entry), "number": entry.number}
        changed = await self._writer.run(lambda connection: connection.execute(sql.END_UNPAID, parameters).rowcount)
        return changed == 1

    async def keep_transaction(self, number: int, transaction: OnchainTransaction) -> OnchainTransaction:
        """Raises StoreError for an entry that was never added."""
        parameters: Parameters = {
            "entry": number,
            "txid": transaction.txid,
            "raw": transaction.raw,
            "paid": int(transaction.paid),
            "fee": int(transaction.fee),
            "inputs": " ".join(str(outpoint) for outpoint in transaction.inputs),
            "since": int(transaction.since),
        }

        def keep(connection: sqlite3.Connection) -> None:
            others = connection.execute(sql.INPUTS_OF_OTHERS, {"entry": number}).fetchall()
            taken = {outpoint for (inputs,) in others for outpoint in _outpoints(inputs)}
            if not taken.isdisjoint(transaction.inputs):
                raise InputTaken("another order's payment spends one of these inputs: choose others")
            connection.execute(sql.KEEP_TRANSACTION, parameters)
            connection.execute(sql.PAYING, {"number": number, "state": EntryState.PAYING.value})

        await self._writer.run(keep)
        for entry in self._entries(sql.ENTRY, {"number": number}):
            if entry.transaction is not None:
                return entry.transaction
        raise StoreError(f"{self._path} has no entry {number}")

    async def inputs_in_use(self, node: NodeId) -> Set[Outpoint]:
        with translated(self._path):
            rows = self._connection.execute(sql.INPUTS_IN_USE, {"node": node.hex}).fetchall()
        return {outpoint for (inputs,) in rows for outpoint in _outpoints(inputs)}

    async def unfinished(self, node: NodeId, lsp: NodeId, method: str) -> Sequence[Entry]:
        found = self._entries(sql.UNFINISHED_ENTRIES, {"node": node.hex, "lsp": lsp.hex, "method": method})
        return sorted(found, key=lambda entry: -entry.number)

    async def newest(self, limit: int) -> Sequence[Entry]:
        return self._entries(sql.NEWEST_ENTRIES, {"limit": limit})

    def _entries(self, statement: str, parameters: Parameters) -> list[Entry]:
        with translated(self._path):
            return [entry_from_row(row) for row in self._connection.execute(statement, parameters).fetchall()]

    async def close(self) -> None:
        with translated(self._path):
            self._connection.close()


def entry_parameters(entry: Entry) -> Parameters:
    """For ADD_ENTRY and, with its number, UPDATE_ENTRY."""
    return {
        "node": entry.node.hex,
        "lsp": entry.lsp.hex,
        "lsp_address": entry.lsp_address,
        "method": entry.method,
        "parameters": entry.parameters,
        "state": entry.state.value,
        "created_at": to_micros(entry.created_at),
        "updated_at": to_micros(entry.updated_at),
        "expires_at": to_micros_or_none(entry.expires_at),
        "order_id": entry.order_id,
        "payment_hash": entry.payment_hash,
        "note": entry.note,
        "reply": entry.order,
        "refund_address": entry.refund_address,
    }


def entry_from_row(row: Row) -> Entry:
    """Raises StoreUnavailable when the row is damaged."""
    try:
        return Entry(
            number=row[0],
            node=NodeId(row[1]),
            lsp=NodeId(row[2]),
            lsp_address=row[3],
            method=row[4],
            parameters=row[5],
            state=EntryState(row[6]),
            created_at=from_micros(row[7]),
            updated_at=from_micros(row[8]),
            expires_at=from_micros_or_none(row[9]),
            order_id=None if row[10] is None else OrderId(row[10]),
            payment_hash=row[11],
            note=row[12],
            order=row[13],
            refund_address=row[14],
            transaction=_transaction(row),
        )
    except DAMAGED as error:
        raise StoreUnavailable(f"the journal's entry {row[0]} is damaged: put back a copy of it") from error


def _transaction(row: Row) -> OnchainTransaction | None:
    txid, raw, paid, fee, inputs, since = row[15:]
    if txid is None:
        return None
    return OnchainTransaction(txid, raw, Sat(paid), Sat(fee), _outpoints(inputs), BlockHeight(since))


def _outpoints(text: str) -> tuple[Outpoint, ...]:
    return tuple(Outpoint.parse(outpoint) for outpoint in text.split())
