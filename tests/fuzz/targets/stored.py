"""Rows of the store and of the journal, as a damaged disk or a foreign hand may leave them.

The first byte chooses the table. The rest is JSON: a list of the row's columns, bytes as hex, an order's body as it is.
Each column has the type that its table demands (STRICT), whatever its value.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lsps.orders.model import Order
from lsps.store.journal import Entry, EntryState, OnchainTransaction
from lsps.store.orders import StoreUnavailable
from lsps.store.sqlite import journal, rows
from lsps.units import BlockHeight, OrderId, Sat
from tests.fuzz.json_mutator import json_mutator
from tests.fuzz.target import Target
from tests.store import samples
from tests.store.samples import RULES, needed

MOST_INTEGER = 2**63 - 1
TEXT, INTEGER, BLOB, BODY = str, int, bytes, dict
Types = tuple[type, ...]
ORDER: Types = (TEXT, TEXT, INTEGER, TEXT, TEXT, INTEGER, INTEGER, BLOB, TEXT, BODY)
LEASE: Types = (TEXT, TEXT, INTEGER, TEXT, INTEGER, INTEGER, INTEGER, INTEGER, TEXT, TEXT, TEXT, INTEGER)
ENTRY: Types = (
    *(INTEGER, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, INTEGER, INTEGER, INTEGER, TEXT, BLOB, TEXT, BLOB, TEXT),
    *(TEXT, BLOB, INTEGER, INTEGER, TEXT, INTEGER),
)
TABLES: tuple[tuple[Callable[[Any], object], Types], ...] = (
    (rows.order_from_row, ORDER),
    (rows.lease_from_row, LEASE),
    (journal.entry_from_row, ENTRY),
)
NULLABLE: dict[Types, set[int]] = {ORDER: {6, 7, 8}, LEASE: {5, 6, 7, 8, 9}, ENTRY: {9, 10, 11, *range(15, 21)}}


def check(data: bytes) -> None:
    """An order, a lease or an entry, or StoreUnavailable, which shows nothing of an order's body."""
    if not data:
        return
    read, types = TABLES[data[0] % len(TABLES)]
    row = row_of(data[1:], types)
    if row is None:
        return
    try:
        found = read(row)
        repr(found)
        if isinstance(found, Order):
            assert found.bolt11 is None or found.bolt11.payment_hash is not None
            assert found.onchain is None or found.onchain.address is not None
    except StoreUnavailable as error:
        assert "damaged" in str(error)
        assert SECRET not in str(error) or SECRET in f"{row[0]}"


def row_of(text: bytes, types: Types) -> tuple[Any, ...] | None:
    """None for what SQLite would not have kept."""
    try:
        columns = json.loads(text)
        if not isinstance(columns, list) or len(columns) != len(types):
            return None
        row = tuple(_column(*pair) for pair in zip(columns, types, strict=True))
        if any(value is None and at not in NULLABLE[types] for at, value in enumerate(row)):
            return None
        json.dumps(row, default=bytes.hex, ensure_ascii=False).encode()
    except (ValueError, TypeError, RecursionError):
        return None
    return row


def _column(value: Any, kind: type[Any]) -> Any:
    if value is None:
        return None
    if kind is BODY:
        return json.dumps(value)
    if kind is BLOB:
        return bytes.fromhex(value)
    if type(value) is not kind or (type(value) is INTEGER and not -MOST_INTEGER <= value <= MOST_INTEGER):
        raise TypeError
    return value


def order_row(order: Any) -> bytes:
    written = rows.order_parameters(order, RULES)
    names = ("id", "lsp", "version", "principal", "state", "created_at", "closed_at", "payment_hash", "address")
    return _seed(0, [*(written[name] for name in names), json.loads(str(written["body"]))])


def lease_row(lease: Any) -> bytes:
    written = rows.lease_parameters(lease)
    names = ("channel_id", "lsp", "version", "peer", "expiration_block", "provisional_from", "confirmed_at")
    rest = ("expires_at", "original_order_id", "original_service", "extension_order_ids", "ended")
    return _seed(1, [written[name] for name in (*names, *rest)])


def entry_row(entry: Entry, *transaction: object) -> bytes:
    written = journal.entry_parameters(entry)
    names = ("node", "lsp", "lsp_address", "method", "parameters", "state", "created_at", "updated_at", "expires_at")
    rest = ("order_id", "payment_hash", "note", "reply", "refund_address")
    return _seed(2, [1, *(written[name] for name in (*names, *rest)), *(transaction or [None] * 6)])


def _seed(table: int, row: list[object]) -> bytes:
    return bytes([table]) + json.dumps(row, default=bytes.hex).encode()


def damaged(row: bytes, column: int, value: object) -> bytes:
    columns = json.loads(row[1:])
    columns[column] = value
    return row[:1] + json.dumps(columns).encode()


SECRET = "S3CR3T-c0de"
BOUGHT = Entry(
    node=samples.PEER,
    lsp=samples.LSP,
    method="lsps1.create_order",
    parameters='{"lsp_balance_sat":"1"}',
    state=EntryState.PAYING,
    created_at=samples.START,
    updated_at=samples.START,
    expires_at=samples.after(1),
    order_id=OrderId("a"),
    payment_hash=bytes(32),
)
PAID = OnchainTransaction("ab" * 32, b"raw", Sat(1), Sat(2), (samples.outpoint("a"),), BlockHeight(3))
AN_ORDER = order_row(needed(samples.placed("a", token=SECRET).order))
AN_ENTRY = entry_row(BOUGHT, PAID.txid, PAID.raw, 1, 2, str(PAID.inputs[0]), 3)
TARGET = Target(
    check,
    (
        AN_ORDER,
        damaged(AN_ORDER, 5, MOST_INTEGER),
        damaged(AN_ORDER, 7, None),
        damaged(AN_ORDER, 9, {}),
        order_row(needed(samples.placed_onchain("a").order)),
        order_row(needed(samples.placed("a", samples.extension()).order)),
        order_row(needed(samples.fulfilling("a", "x", "y").order)),
        lease_row(samples.lease_of()),
        lease_row(replace(samples.lease_of(), expires_at=samples.START, provisional_from=BlockHeight(5))),
        damaged(lease_row(samples.lease_of()), 3, "02"),
        entry_row(BOUGHT),
        AN_ENTRY,
        damaged(AN_ENTRY, 6, "dreaming"),
        damaged(AN_ENTRY, 19, "1 2"),
    ),
    mutate=json_mutator(prefix=1),
    max_bytes=8_000,
)
