"""One order's entry in the journal, as it moves on."""

from __future__ import annotations

from dataclasses import replace

from lsps.client.purchase import stored
from lsps.clock import Clock
from lsps.lightning import bolt11
from lsps.lightning.bolt11 import InvalidInvoice
from lsps.protocol.lsps1 import ChannelOrder
from lsps.protocol.lsps7 import ExtensionOrder
from lsps.store.journal import Entry, EntryState, Journal, OnchainTransaction
from lsps.units import OrderId


class Record:
    """Written before what it says is done. Reads `entry` at will; every change is durable when its call returns."""

    def __init__(self, journal: Journal, clock: Clock, entry: Entry) -> None:
        self._journal = journal
        self._clock = clock
        self._is_claimed = False
        self.entry = entry

    @property
    def order_id(self) -> OrderId:
        return self.entry.order_id or OrderId("")

    @classmethod
    async def begin(cls, journal: Journal, clock: Clock, entry: Entry) -> Record:
        return cls(journal, clock, await journal.add(entry))

    async def mark(self, state: EntryState, note: str = "", order: ChannelOrder | ExtensionOrder | None = None) -> None:
        order_as_json = self.entry.order if order is None else stored(order)
        await self._write(replace(self.entry, state=state, note=note, order=order_as_json))

    async def claim(self) -> None:
        """This process is about to pay."""
        await self.mark(EntryState.PAYING)
        self._is_claimed = True

    async def end_unpaid(self, state: EntryState, note: str) -> None:
        """This process does not pay, and that is the end of it, unless another process is paying meanwhile."""
        if self._is_claimed:
            await self.mark(state, note)
            return
        ended = replace(self.entry, state=state, note=note, updated_at=self._clock.now())
        if await self._journal.end_unpaid(ended):
            self.entry = ended

    async def keep(self, transaction: OnchainTransaction) -> OnchainTransaction:
        """What pays for the order; another process's, if that was faster."""
        kept = await self._journal.keep_transaction(self.entry.number, transaction)
        self.entry = replace(self.entry, transaction=kept)
        return kept

    async def ordered(self, order: ChannelOrder | ExtensionOrder) -> None:
        """The LSP's reply to create_order, whatever is wrong with it."""
        bolt11 = order.payment.bolt11
        ends = (option.expires_at for _, option in order.payment.options())
        entry = replace(
            self.entry,
            state=EntryState.ORDERED,
            order_id=order.order_id,
            order=stored(order),
            expires_at=max(ends, default=None),
            payment_hash=None if bolt11 is None else payment_hash(bolt11.invoice),
        )
        await self._write(entry)

    async def _write(self, entry: Entry) -> None:
        self.entry = replace(entry, updated_at=self._clock.now())
        await self._journal.update(self.entry)


def payment_hash(invoice: str) -> bytes | None:
    """None when it is no valid invoice, which the checks before paying tell."""
    try:
        return bolt11.decode(invoice).payment_hash
    except InvalidInvoice:
        return None
