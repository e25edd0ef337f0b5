"""What is durable: the LSP's file, read after every commit by a connection of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from lsps.orders.model import Extension, Lease, Order
from lsps.store.orders import TokenCount
from lsps.store.sqlite import statements as sql
from lsps.store.sqlite.connection import open_for_reading
from lsps.store.sqlite.rows import lease_from_row, order_from_row
from lsps.units import BlockHeight, ChannelId, NodeId, OrderId, Outpoint


@dataclass(frozen=True, slots=True)
class Changes:
    """What one group of commits changed: rows before and after. `before` is None for what is new."""

    orders: list[tuple[Order | None, Order]] = field(default_factory=list)
    leases: list[tuple[Lease | None, Lease]] = field(default_factory=list)
    extensions: list[Extension] = field(default_factory=list)


class Books:
    def __init__(self, path: Path, lsp: NodeId) -> None:
        self.orders: dict[OrderId, Order] = {}
        """Pruned ones stay."""
        self.by_hash: dict[bytes, Order] = {}
        self.leases: dict[ChannelId, Lease] = {}
        self.extensions: dict[OrderId, Extension] = {}
        self._lsp = {"lsp": lsp.hex}
        self._connection = open_for_reading(path)

    def close(self) -> None:
        self._connection.close()

    def _rows(self, statement: str, **parameters: object) -> list[tuple[object, ...]]:
        return self._connection.execute(statement, {**self._lsp, **parameters}).fetchall()

    def read(self) -> Changes:
        """What changed since the last reading."""
        changes = Changes()
        for order_id, version in self._rows("SELECT id, version FROM orders WHERE lsp = :lsp ORDER BY seq"):
            before = self.orders.get(OrderId(str(order_id)))
            if before is None or before.version != version:
                (row,) = self._rows(sql.ORDER, id=order_id)
                after = order_from_row(row)
                self.orders[after.id] = after
                if after.bolt11 is not None:
                    self.by_hash[after.bolt11.payment_hash] = after
                changes.orders.append((before, after))
        for channel_id, version in self._rows("SELECT channel_id, version FROM leases WHERE lsp = :lsp"):
            known = self.leases.get(ChannelId(str(channel_id)))
            if known is None or known.version != version:
                (row,) = self._rows(sql.LEASE, channel_id=channel_id)
                lease = lease_from_row(row)
                self.leases[lease.channel_id] = lease
                changes.leases.append((known, lease))
        rows = self._rows("SELECT order_id, channel_id, previous, new FROM extensions WHERE lsp = :lsp")
        if len(rows) != len(self.extensions):
            for order_id, channel_id, previous, new in rows:
                if OrderId(str(order_id)) not in self.extensions:
                    extension = Extension(
                        OrderId(str(order_id)), ChannelId(str(channel_id)), _height(previous), _height(new)
                    )
                    self.extensions[extension.order_id] = extension
                    changes.extensions.append(extension)
        return changes

    def has_refund(self, txid: str, deposit: Outpoint) -> bool:
        """Whether an order has stored this transaction as the refund of this deposit."""
        return any(
            known.outpoint == deposit and any(refund.txid == txid for refund in known.refunds)
            for order in self.orders.values()
            if order.onchain is not None
            for known in order.onchain.deposits
        )

    def effects(self) -> dict[OrderId, set[str]]:
        """The names of each order's effects."""
        effects: dict[OrderId, set[str]] = {}
        for order_id, name in self._rows("SELECT order_id, name FROM effects WHERE lsp = :lsp"):
            effects.setdefault(OrderId(str(order_id)), set()).add(str(name))
        return effects

    def reserved_inputs(self) -> dict[str, OrderId]:
        rows = self._rows("SELECT outpoint, order_id FROM reserved_inputs WHERE lsp = :lsp")
        return {str(outpoint): OrderId(str(order_id)) for outpoint, order_id in rows}

    def token(self, code: str) -> TokenCount:
        for reserved, consumed in self._rows(sql.TOKEN, code=code):
            return TokenCount(int(str(reserved)), int(str(consumed)))
        return TokenCount(0, 0)

    def unpaid(self) -> dict[str, int]:
        """By principal as text; '' is all of them."""
        rows = self._rows("SELECT principal, orders FROM unpaid_counts WHERE lsp = :lsp")
        return {str(principal): int(str(orders)) for principal, orders in rows}


def _height(value: object) -> BlockHeight:
    return BlockHeight(int(str(value)))
