"""What the client remembers: every order it asked for and every payment it began, so that nothing is paid twice.

An entry is written before create_order is sent and again before anything is paid.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol

from lsps.units import BlockHeight, NodeId, OrderId, Outpoint, Sat


class EntryState(Enum):
    """How far an order of ours is known to have come."""

    ASKED = "asked"
    """create_order was sent; without an order id its reply was lost: unknown, unpaid, expires."""
    ORDERED = "ordered"
    """The LSP replied; nothing was paid."""
    PAYING = "paying"
    """From just before the payment was sent to the LSP's final state."""
    COMPLETED = "completed"
    NOT_DELIVERED = "not delivered"
    """The LSP says COMPLETED and our own node, or its list, says otherwise."""
    FAILED = "failed"
    """The LSP's final word, or the payment failed or was given back."""
    ABANDONED = "abandoned"
    """Refused by us before paying, or the payer declined."""


@dataclass(frozen=True, slots=True)
class OnchainTransaction:
    """The signed transaction that pays for an order: `paid` to the LSP's address, at `fee`. Its inputs are in blocks at
    or above `since`, or in none if a reorganisation took them back."""

    txid: str
    raw: bytes
    paid: Sat
    fee: Sat
    inputs: tuple[Outpoint, ...]
    since: BlockHeight


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One order. (node, lsp, method, parameters) makes two orders the same wish; `parameters` is canonical JSON.

    `number` is the journal's own, 0 for a new entry. `order`: the LSP's newest reply as JSON, empty before the first.
    `refund_address` is one of our own wallet's, made for this order alone; "" when there is none. `transaction` is kept
    by `Journal.keep_transaction` and by nothing else.
    """

    number: int = 0
    node: NodeId
    lsp: NodeId
    lsp_address: str = ""
    method: str
    parameters: str
    state: EntryState
    created_at: datetime
    updated_at: datetime
    expires_at: datetime | None = None
    """When the order can no longer be paid, as far as we know."""
    order_id: OrderId | None = None
    order: bytes = b""
    payment_hash: bytes | None = None
    note: str = ""
    refund_address: str = ""
    transaction: OnchainTransaction | None = None


class Journal(Protocol):
    """Durable before each call returns. Several processes may use one journal."""

    async def add(self, entry: Entry) -> Entry:
        """Store a new entry, which has no transaction; returned with its number."""
        ...

    async def update(self, entry: Entry) -> None:
        """All but the transaction, which stays as it is. An entry that has one is never ABANDONED, whatever a process
        that does not know of it says."""
        ...

    async def end_unpaid(self, entry: Entry) -> bool:
        """`update`, with its final state, but only if the entry is still ASKED or ORDERED: another process may pay for
        it by now. Whether it was done."""
        ...

    async def keep_transaction(self, number: int, transaction: OnchainTransaction) -> OnchainTransaction:
        """Keep what pays for this entry's order, once and for good. Returns what is kept: another process may have been
        faster, and then it is its transaction that pays. From then on the entry is PAYING.

        Raises InputTaken when another unfinished entry's transaction spends one of the inputs.
        """
        ...

    async def inputs_in_use(self, node: NodeId) -> Set[Outpoint]:
        """What the kept transactions of this node's unfinished entries spend."""
        ...

    async def unfinished(self, node: NodeId, lsp: NodeId, method: str) -> Sequence[Entry]:
        """Entries that are ORDERED or PAYING, or ASKED without a reply; the newest first."""
        ...

    async def newest(self, limit: int) -> Sequence[Entry]: ...

    async def close(self) -> None: ...
