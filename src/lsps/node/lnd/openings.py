"""Opening a channel of pinned inputs, and finding out later what became of it.

How lnd negotiates (v0.21.2-beta, read in its sources)
  OpenChannel leases the coins it takes of the given inputs for ten minutes, and ListUnspent leaves leased coins out.
  With `funding_signed` it records the channel as pending, and only then publishes the transaction. A negotiation that
  fails releases the coins at once. One that the caller has left goes on.

How fate decides
  1. A transaction of the wallet spends all the inputs and funds a channel with this peer: Opened.
  2. A channel with this peer is recorded whose transaction the wallet does not know (not published yet, or refused by
     the chain backend; lnd tries again when it starts): Undecided.
  3. A confirmed transaction spends an input: NotOpened.
  4. An input is neither free nor spent: leased, so a negotiation runs: Undecided.
  5. All are free, or some spent by another transaction that is not confirmed. That does not prove that no negotiation
     is alive: it may live ten minutes after the peer's last message, the lease ends ten minutes after its start, and a
     peer that answers slowly enough could still complete it after we had given the payment back. Either we know that it
     ended, because every call for these inputs was made by this object and lnd itself told its end; or the peer is
     disconnected, for which lnd cancels all that it negotiates with that peer before it tells that the peer is offline.
     Then steps 1 to 4 once more, and NotOpened.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta

from lsps.clock import Clock
from lsps.node.contract import (
    NodeUnreachable,
    NotOpened,
    Opened,
    OpenRequest,
    PeerNotConnected,
    Refused,
    Undecided,
)
from lsps.node.lnd import channel_views as views
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.coins import free_coins
from lsps.node.lnd.connection import Connection
from lsps.node.lnd.errors import LndRefused
from lsps.node.lnd.funding_search import FundingSearch
from lsps.node.lnd.negotiations import end_negotiations
from lsps.node.lnd.open_request import check_all_needed, open_channel_request
from lsps.units import BlockHeight, NodeId, Outpoint

LATE_SECONDS = 10
"""A call that we gave up may reach lnd a little later."""

Inputs = frozenset[Outpoint]


class Openings:
    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._search = FundingSearch(connection)
        self._running: Counter[Inputs] = Counter()
        self._unknown: dict[Inputs, datetime] = {}  # calls whose end lnd did not tell, and when we left them
        self._first_height: BlockHeight | None = None

    async def open(self, request: OpenRequest) -> Outpoint:
        await self.note_height()
        inputs = frozenset(request.inputs)
        self._running[inputs] += 1
        try:
            return await self._open(request)
        except (NodeUnreachable, asyncio.CancelledError):
            self._unknown[inputs] = self._clock.now()
            raise
        finally:
            self._running[inputs] -= 1
            self._running += Counter()  # drops the zeros

    async def _open(self, request: OpenRequest) -> Outpoint:
        translated = open_channel_request(request)
        amounts = {utxo.outpoint: utxo.amount for utxo in await free_coins(self._connection)}
        if amounts.keys() >= set(request.inputs):  # if not, lnd will say what is wrong
            check_all_needed(request, [amounts[outpoint] for outpoint in request.inputs])
        async with self._connection.stream(rpc.OPEN_CHANNEL, translated) as updates:
            try:
                async for update in updates:
                    if update.WhichOneof("update") == "chan_pending":
                        return views.outpoint(update.chan_pending)
            except LndRefused as refusal:
                if "is not online" in refusal.detail:
                    raise PeerNotConnected(f"{request.peer} is not connected: it must be, to open a channel") from None
                raise Refused(str(refusal)) from None
        raise NodeUnreachable("lnd ended the negotiation without telling its outcome")

    async def fate(
        self, peer: NodeId, inputs: tuple[Outpoint, ...], since: BlockHeight
    ) -> Opened | NotOpened | Undecided:
        await self.note_height()
        pinned = frozenset(inputs)
        if self._may_be_running(pinned):
            return Undecided()
        found = await self._search.look(peer, pinned, since)
        if found is None and not self._known_to_have_ended(pinned, since):
            if not await end_negotiations(self._connection, peer):
                return Undecided()
            found = await self._search.look(peer, pinned, since)
        # Only now, so that nobody else's call for the same inputs has slipped in meanwhile.
        if self._may_be_running(pinned):
            return Undecided()
        if found is None:
            found = NotOpened("no channel uses the inputs, and none is being negotiated")
        if not isinstance(found, Undecided):
            self._unknown.pop(pinned, None)
        return found

    def _may_be_running(self, inputs: Inputs) -> bool:
        if self._running[inputs]:
            return True
        left = self._unknown.get(inputs)
        return left is not None and self._clock.now() < left + timedelta(seconds=LATE_SECONDS)

    def _known_to_have_ended(self, inputs: Inputs, since: BlockHeight) -> bool:
        """Inputs chosen at a tip that came after this object's first call were chosen in its lifetime, so every call
        for them was its own; and lnd told the end of each."""
        return self._first_height is not None and since.value > self._first_height.value and inputs not in self._unknown

    async def note_height(self) -> None:
        """Called as early as may be: inputs chosen at a later tip are known to be chosen by this process."""
        if self._first_height is None:
            reply = await self._connection.call(rpc.GET_INFO, pb.GetInfoRequest())
            self._first_height = self._first_height or BlockHeight(reply.block_height)
