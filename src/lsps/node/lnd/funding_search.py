"""Steps 1 to 4 of how fate decides (openings.py): what chain and node say about some inputs now."""

from __future__ import annotations

from lsps.node.contract import Channel, ChannelState, NotOpened, Opened, Opener, Undecided
from lsps.node.lnd import channel_views as views
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.coins import TO_THE_TIP_AND_UNCONFIRMED, find_transaction
from lsps.node.lnd.connection import Connection
from lsps.units import BlockHeight, NodeId, Outpoint

_MAX_CONFIRMATIONS = 2**31 - 1


class FundingSearch:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def look(
        self, peer: NodeId, inputs: frozenset[Outpoint], since: BlockHeight
    ) -> Opened | NotOpened | Undecided | None:
        """None: every input is free, or spent by another transaction that is not confirmed yet."""
        # In this order: lnd records a channel before it publishes its transaction, so a transaction seen first has its
        # channel in the lists read after it; and it publishes before the lease of the coins ends.
        spenders = await self._spenders(inputs, since)
        channels = await self._channels(peer)
        wholly = {txid for txid, tx in spenders.items() if _spent(tx, inputs) == inputs}
        funding = await self._funding(peer, channels, wholly)
        if funding is not None:
            return Opened(funding)
        for channel in channels:
            if _may_be_unpublished(channel) and channel.funding.txid not in spenders:
                tx = await find_transaction(self._connection, channel.funding.txid)
                if tx is None:
                    return Undecided()
                if _spent(tx, inputs) == inputs:
                    return Opened(channel.funding)
        if any(tx.num_confirmations > 0 for tx in spenders.values()):
            return NotOpened("another transaction spent an input")
        spent = {outpoint for tx in spenders.values() for outpoint in _spent(tx, inputs)}
        return Undecided() if inputs - spent - await self._free() else None

    async def _spenders(self, inputs: frozenset[Outpoint], since: BlockHeight) -> dict[str, pb.Transaction]:
        """The wallet's transactions from that height on that spend an input: never its whole history."""
        request = pb.GetTransactionsRequest(start_height=since.value, end_height=TO_THE_TIP_AND_UNCONFIRMED)
        reply = await self._connection.call(rpc.GET_TRANSACTIONS, request)
        return {tx.tx_hash: tx for tx in reply.transactions if _spent(tx, inputs)}

    async def _channels(self, peer: NodeId) -> list[Channel]:
        pending = await self._connection.call(rpc.PENDING_CHANNELS, pb.PendingChannelsRequest())
        listed = await self._connection.call(rpc.LIST_CHANNELS, pb.ListChannelsRequest(peer=bytes(peer)))
        known = views.opening(pending) + views.closing(pending) + [views.open_channel(one) for one in listed.channels]
        return [channel for channel in known if channel.peer == peer]

    async def _funding(self, peer: NodeId, channels: list[Channel], txids: set[str]) -> Outpoint | None:
        """The channel with this peer that one of these transactions funds."""
        if not txids:
            return None
        for channel in channels:
            if channel.funding.txid in txids:
                return channel.funding
        # The list of closed channels grows with history: read only when the inputs are spent by what is no living one.
        reply = await self._connection.call(rpc.CLOSED_CHANNELS, pb.ClosedChannelsRequest())
        closed = (Outpoint.parse(one.channel_point) for one in reply.channels if one.remote_pubkey == peer.hex)
        return next((funding for funding in closed if funding.txid in txids), None)

    async def _free(self) -> frozenset[Outpoint]:
        request = pb.ListUnspentRequest(min_confs=0, max_confs=_MAX_CONFIRMATIONS)
        reply = await self._connection.call(rpc.LIST_UNSPENT, request)
        return frozenset(Outpoint(one.outpoint.txid_str, one.outpoint.output_index) for one in reply.utxos)


def _may_be_unpublished(channel: Channel) -> bool:
    """Ours, and not confirmed as far as lnd has told."""
    if channel.opener is not Opener.US:
        return False
    return channel.state is ChannelState.PENDING or (channel.state is ChannelState.OPEN and channel.scid is None)


def _spent(tx: pb.Transaction, inputs: frozenset[Outpoint]) -> frozenset[Outpoint]:
    """Which of the inputs it spends. Compared as text: a coinbase's input is no outpoint that we could parse."""
    previous = {one.outpoint for one in tx.previous_outpoints}
    return frozenset(outpoint for outpoint in inputs if str(outpoint) in previous)
