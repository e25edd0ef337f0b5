"""The order store on SQLite: reads as `reader.py` does, writes through a Writer."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from lsps.orders.events import Rules
from lsps.store.orders import Change, DueEffect
from lsps.store.sqlite import statements as sql
from lsps.store.sqlite.changes import apply_change
from lsps.store.sqlite.reader import SqliteOrderReader
from lsps.store.sqlite.times import to_micros
from lsps.store.sqlite.writer import Writer
from lsps.units import BlockHeight, NodeId


class SqliteOrderStore(SqliteOrderReader):
    """An OrderStore, which is used from one event loop. `opening.open_order_store` makes one.

    A caller that is cancelled while its write waits in the queue is not told the outcome: the write is carried out all
    the same, whole.
    """

    def __init__(
        self,
        path: Path,
        lsp: NodeId,
        rules: Rules,
        *,
        reads: sqlite3.Connection,
        writer: Writer,
        on_close: Callable[[], None],
    ) -> None:
        super().__init__(path, lsp, reads)
        self._rules = rules
        self._writer = writer
        self._on_close = on_close

    async def commit(self, change: Change, now: datetime) -> None:
        await self._writer.run(lambda connection: apply_change(connection, self.lsp, change, now, self._rules))

    async def put_off(self, effect: DueEffect, due: datetime) -> None:
        await self._write(
            sql.PUT_OFF, order_id=effect.order_id, name=effect.name.value, attempt=effect.attempt, due=to_micros(due)
        )

    async def hasten_beyond(self, latest: datetime, now: datetime) -> None:
        await self._write(sql.HASTEN_BEYOND, latest=to_micros(latest), now=to_micros(now))

    async def hasten(self, principal: NodeId, now: datetime) -> None:
        await self._write(sql.HASTEN, principal=principal.hex, now=to_micros(now))

    async def set_deposits_read_to(self, height: BlockHeight) -> None:
        await self._write(sql.SET_READ_TO, read_to=int(height))

    async def prune(self, closed_before: datetime, limit: int) -> int:
        return await self._write(sql.PRUNE, closed_before=to_micros(closed_before), limit=limit)

    async def _write(self, statement: str, **parameters: object) -> int:
        """How many rows the statement changed."""
        values = {"lsp": self.lsp.hex, **parameters}
        return await self._writer.run(lambda connection: connection.execute(statement, values).rowcount)

    async def close(self) -> None:
        """Carries out what waits, closes the file and lets another process serve it. Closing twice is fine."""
        try:
            await self._writer.close()
        finally:
            self._on_close()
