"""Opening with pinned inputs, and the fate of such an opening, against a fake lnd."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lsps.node.contract import (
    NodeUnreachable,
    NotOpened,
    Opened,
    OpenRequest,
    PeerNotConnected,
    Refused,
    Undecided,
)
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.open_request import check_all_needed, open_channel_request
from lsps.units import BlockHeight, Outpoint, Sat
from tests.node.lnd.fake import PEER, LndError, Running, get_info, running
from tests.node.lnd.test_lnd_channels import PENDING, channel, pending

INPUTS = (Outpoint("11" * 32, 0), Outpoint("22" * 32, 1))
FUNDING = Outpoint("ab" * 31 + "cd", 1)
REQUEST = OpenRequest(PEER, Sat(700_000), Sat(1_000), True, False, INPUTS, 2_501, "for people")
START, LATER = BlockHeight(100), BlockHeight(101)
COINBASE_INPUT = pb.PreviousOutPoint(outpoint="00" * 32 + ":4294967295")


class World:
    """What the fake lnd has in its wallet and lists; all methods that fate may read answer from it."""

    def __init__(self, at: Running) -> None:
        self.at = at
        self.free = list(INPUTS)
        self.transactions: dict[str, pb.Transaction] = {}
        self.listed: list[pb.Channel] = []
        self.pending = PENDING()
        self.closed: list[pb.ChannelCloseSummary] = []
        self.connected = False
        self.disconnects = 0
        self.peer_events: asyncio.Queue[pb.PeerEvent] = asyncio.Queue()
        at.lnd.handle(rpc.LIST_UNSPENT, self._unspent)
        at.lnd.handle(rpc.GET_TRANSACTIONS, self._transactions)
        at.lnd.handle(rpc.GET_TRANSACTION, self._transaction)
        at.lnd.handle(rpc.LIST_CHANNELS, self._channels)
        at.lnd.handle(rpc.PENDING_CHANNELS, self._pending)
        at.lnd.handle(rpc.CLOSED_CHANNELS, self._closed)
        at.lnd.handle(rpc.LIST_PEERS, self._peers)
        at.lnd.handle(rpc.DISCONNECT_PEER, self._disconnect)
        at.lnd.handle(rpc.PEER_EVENTS, self._peer_events)

    def spend(self, txid: str, inputs: tuple[Outpoint, ...], confirmations: int) -> None:
        previous = [COINBASE_INPUT, *(pb.PreviousOutPoint(outpoint=str(one)) for one in inputs)]
        self.transactions[txid] = pb.Transaction(
            tx_hash=txid, num_confirmations=confirmations, previous_outpoints=previous
        )
        self.free = [one for one in self.free if one not in inputs]

    async def fate(self, since: BlockHeight = START) -> Any:
        return await self.at.node.channels.fate(PEER, INPUTS, since)

    async def _unspent(self, _request: Any) -> Any:
        utxos = [
            pb.Utxo(amount_sat=500_000, outpoint=pb.OutPoint(txid_str=one.txid, output_index=one.index))
            for one in self.free
        ]
        return pb.ListUnspentResponse(utxos=utxos)

    async def _transactions(self, request: Any) -> Any:
        assert request.start_height >= START.value, "never the whole history"
        return pb.TransactionDetails(transactions=self.transactions.values())

    async def _transaction(self, request: Any) -> Any:
        if request.txid not in self.transactions:
            raise LndError(f"can not find transaction: txid {request.txid}")
        return self.transactions[request.txid]

    async def _channels(self, _request: Any) -> Any:
        return pb.ListChannelsResponse(channels=self.listed)

    async def _pending(self, _request: Any) -> Any:
        return self.pending

    async def _closed(self, _request: Any) -> Any:
        return pb.ClosedChannelsResponse(channels=self.closed)

    async def _peers(self, _request: Any) -> Any:
        return pb.ListPeersResponse(peers=[pb.Peer(pub_key=PEER.hex, inbound=True)] if self.connected else [])

    async def _disconnect(self, request: Any) -> Any:
        if not self.connected:
            raise LndError(f"unable to disconnect peer: peer {request.pub_key} is not connected")
        self.connected = False
        self.disconnects += 1
        self.peer_events.put_nowait(pb.PeerEvent(pub_key=PEER.hex, type=pb.PeerEvent.PEER_OFFLINE))
        return pb.DisconnectPeerResponse()

    async def _peer_events(self, _request: Any) -> AsyncIterator[Any]:
        while True:
            yield await self.peer_events.get()


def opening_to(peer: Any = PEER) -> pb.PendingChannelsResponse:
    one = PENDING.PendingOpenChannel(channel=pending(remote_node_pub=peer.hex))
    return PENDING(pending_open_channels=[one])


@pytest.mark.parametrize(
    ("private", "zero_conf", "kind", "alias"),
    [
        (True, False, pb.UNKNOWN_COMMITMENT_TYPE, False),
        (True, True, pb.ANCHORS, True),
        (False, True, pb.ANCHORS, False),
    ],
)
def test_a_request_in_lnds_terms(private: bool, zero_conf: bool, kind: pb.CommitmentType, alias: bool) -> None:
    """Capacity includes the push, the feerate is rounded up to whole sat/vB, the inputs are pinned; 0-conf has an
    explicit type, with an alias only when private (BOLT 2, channel types)."""
    asked = OpenRequest(PEER, Sat(700_000), Sat(1_000), private, zero_conf, INPUTS, 2_501, "for people")
    assert open_channel_request(asked) == pb.OpenChannelRequest(
        node_pubkey=bytes(PEER),
        local_funding_amount=700_000,
        push_sat=1_000,
        private=private,
        zero_conf=zero_conf,
        scid_alias=alias,
        commitment_type=kind,
        sat_per_vbyte=11,
        memo="for people",
        outpoints=[
            pb.OutPoint(txid_str="11" * 32, output_index=0),
            pb.OutPoint(txid_str="22" * 32, output_index=1),
        ],
    )


def test_a_request_without_inputs_is_refused() -> None:
    """Without pinned inputs a repeat could open a second channel."""
    with pytest.raises(Refused):
        open_channel_request(OpenRequest(PEER, Sat(1), Sat(0), True, False, (), 253, ""))


@pytest.mark.parametrize(
    ("amounts", "needed"),
    [([1_000_000], True), ([500_000, 500_000], True), ([700_000, 5_000], True), ([800_000, 5_000], False)],
)
def test_superfluous_inputs_are_refused(amounts: list[int], needed: bool) -> None:
    """LND would leave an input unspent that it does not need for channel and fee, so such a request is refused."""
    sats = [Sat(amount) for amount in amounts]
    if needed:
        check_all_needed(REQUEST, sats)
    else:
        with pytest.raises(Refused, match="choose fewer"):
            check_all_needed(REQUEST, sats)


async def test_opening_returns_when_it_is_pending() -> None:
    """The first update has the funding outpoint, its txid in wire order."""
    async with running() as at:
        World(at)
        update = pb.PendingUpdate(txid=bytes.fromhex(FUNDING.txid)[::-1], output_index=1)
        at.lnd.answer(rpc.OPEN_CHANNEL, pb.OpenStatusUpdate(), pb.OpenStatusUpdate(chan_pending=update))
        assert await at.node.channels.open(REQUEST) == FUNDING


@pytest.mark.parametrize(
    ("detail", "kind"),
    [
        ("peer 0322 is not online", PeerNotConnected),
        ("outpoint already spent or locked by another subsystem: 1111:0", Refused),
        ("Number of pending channels exceed maximum", Refused),
    ],
)
async def test_a_refused_opening_names_the_reason(detail: str, kind: type[Exception]) -> None:
    """lnd's refusals keep their reason; a peer that is away is PeerNotConnected."""
    async with running() as at:
        World(at)
        at.lnd.refuse(rpc.OPEN_CHANNEL, detail)
        with pytest.raises(kind) as failed:
            await at.node.channels.open(REQUEST)
        assert type(failed.value) is kind


async def test_superfluous_inputs_reach_nobody() -> None:
    """With wallet outputs of 500,000 sat each, two for a channel of 300,000 are refused before lnd is asked."""
    async with running() as at:
        World(at)
        with pytest.raises(Refused):
            await at.node.channels.open(OpenRequest(PEER, Sat(300_000), Sat(0), True, False, INPUTS, 253, ""))
        assert at.lnd.requests(rpc.OPEN_CHANNEL) == []


@pytest.mark.parametrize("where", ["pending", "open", "closed"])
async def test_opened_when_a_channel_spends_the_inputs(where: str) -> None:
    """A transaction that spends all the inputs and funds a channel with this peer, living or closed: Opened."""
    async with running() as at:
        world = World(at)
        world.spend(FUNDING.txid, INPUTS, 0 if where == "pending" else 3)
        if where == "pending":
            world.pending = opening_to()
        elif where == "open":
            world.listed = [channel()]
        else:
            world.closed = [pb.ChannelCloseSummary(channel_point=str(FUNDING), remote_pubkey=PEER.hex)]
        assert await world.fate() == Opened(FUNDING)


async def test_undecided_while_a_channel_waits_to_be_published() -> None:
    """A channel of ours with the peer, recorded but with a transaction the wallet does not know: Undecided, though the
    inputs look free."""
    async with running() as at:
        world = World(at)
        world.pending = opening_to()
        assert await world.fate() == Undecided()
        world.spend(FUNDING.txid, (Outpoint("99" * 32, 0),), 0)
        assert isinstance(await world.fate(), NotOpened)


async def test_a_funding_older_than_the_search_is_found() -> None:
    """A pending channel's transaction that is not in the range read is asked for by its id."""
    async with running() as at:
        world = World(at)
        world.pending = opening_to()
        world.spend(FUNDING.txid, INPUTS, 0)
        at.lnd.answer(rpc.GET_TRANSACTIONS, pb.TransactionDetails())
        assert await world.fate() == Opened(FUNDING)


async def test_undecided_while_an_input_is_locked() -> None:
    """An input that is neither free nor spent is leased by a negotiation: Undecided, and nobody is disconnected."""
    async with running() as at:
        world = World(at)
        world.connected = True
        world.free.pop()
        assert await world.fate() == Undecided()
        assert world.disconnects == 0


async def test_not_opened_when_an_input_is_spent_elsewhere() -> None:
    """A confirmed transaction that spends one of the inputs, and is not this opening's: NotOpened at once."""
    async with running() as at:
        world = World(at)
        world.connected = True
        world.listed = [channel()]
        world.spend(FUNDING.txid, INPUTS[:1], 1)
        assert isinstance(await world.fate(), NotOpened)
        assert world.disconnects == 0


async def test_free_inputs_are_believed_once_negotiations_are_over() -> None:
    """Inputs free, but an earlier process may have a negotiation alive: the peer is disconnected, and only when lnd
    told that it is offline the answer is NotOpened; a peer that is away has none."""
    async with running() as at:
        world = World(at)
        world.connected = True
        assert isinstance(await world.fate(), NotOpened)
        assert world.disconnects == 1
        assert isinstance(await world.fate(), NotOpened)
        assert world.disconnects == 1


async def test_undecided_while_lnd_has_not_told_that_the_peer_is_offline() -> None:
    """A disconnection whose end lnd did not tell proves nothing: Undecided."""
    async with running() as at:
        world = World(at)
        world.connected = True

        async def ends(_request: Any) -> AsyncIterator[Any]:
            while world.connected:  # noqa: ASYNC110 - until the call to disconnect
                await asyncio.sleep(0.001)
            return
            yield

        at.lnd.handle(rpc.PEER_EVENTS, ends)
        assert await world.fate() == Undecided()
        assert world.disconnects == 1


async def test_a_peer_we_had_dialled_is_dialled_again() -> None:
    """LND reconnects no peer that it was told to disconnect, so lsps does, where it knows the address."""
    async with running() as at:
        world = World(at)
        world.connected = True
        dialled = pb.Peer(pub_key=PEER.hex, address="10.0.0.1:9735", inbound=False)
        at.lnd.answer(rpc.LIST_PEERS, pb.ListPeersResponse(peers=[dialled]))
        at.lnd.answer(rpc.CONNECT_PEER, pb.ConnectPeerResponse())
        assert isinstance(await world.fate(), NotOpened)
        assert [request.addr.host for request in at.lnd.requests(rpc.CONNECT_PEER)] == ["10.0.0.1:9735"]


async def test_a_channel_that_appears_while_disconnecting_counts() -> None:
    """What the negotiation completed at the last moment is found by the second look: Opened."""
    async with running() as at:
        world = World(at)
        world.connected = True
        last_moment = world._disconnect

        async def disconnect(request: Any) -> Any:
            world.spend(FUNDING.txid, INPUTS, 0)
            world.pending = opening_to()
            return await last_moment(request)

        at.lnd.handle(rpc.DISCONNECT_PEER, disconnect)
        assert await world.fate() == Opened(FUNDING)


async def test_own_refused_calls_need_no_disconnection() -> None:
    """Inputs chosen after this object's first look at the chain, and lnd told the end of every call: NotOpened, and the
    peer stays connected. At the same height that is not known."""
    async with running() as at:
        world = World(at)
        world.connected = True
        await at.node.channels.list()
        at.lnd.answer(rpc.GET_INFO, get_info(LATER.value))
        at.lnd.refuse(rpc.OPEN_CHANNEL, "received funding error from 0322: no")
        with pytest.raises(Refused):
            await at.node.channels.open(REQUEST)
        assert isinstance(await world.fate(LATER), NotOpened)
        assert world.disconnects == 0
        assert isinstance(await world.fate(START), NotOpened)
        assert world.disconnects == 1


async def test_undecided_while_our_own_call_runs_or_was_left() -> None:
    """A running `open` for these inputs, or one left less than ten seconds ago, may still reach lnd: Undecided. Later
    the peer is disconnected before NotOpened, since lnd never told the end."""
    async with running() as at:
        world = World(at)
        world.connected = True
        await at.node.channels.list()
        at.lnd.answer(rpc.OPEN_CHANNEL)
        opening = asyncio.create_task(at.node.channels.open(REQUEST))
        while not at.lnd.requests(rpc.OPEN_CHANNEL):  # noqa: ASYNC110 - the server's side of it
            await asyncio.sleep(0.001)
        assert await world.fate(LATER) == Undecided()
        opening.cancel()
        await asyncio.gather(opening, return_exceptions=True)
        assert await world.fate(LATER) == Undecided()
        await at.clock.sleep(11)
        assert isinstance(await world.fate(LATER), NotOpened)
        assert world.disconnects == 1


async def test_a_negotiation_that_lnd_loses_is_unknown() -> None:
    """lnd that ends the stream without an outcome leaves it unknown."""
    async with running() as at:
        World(at)

        async def nothing(_request: Any) -> AsyncIterator[Any]:
            return
            yield

        at.lnd.handle(rpc.OPEN_CHANNEL, nothing)
        with pytest.raises(NodeUnreachable):
            await at.node.channels.open(REQUEST)


@pytest.mark.parametrize("detail", ["funding manager shutting down", "server is shutting down", "database not open"])
async def test_a_stopping_node_has_not_refused_to_open(detail: str) -> None:
    """lnd that stops in mid-negotiation may have recorded the channel: its words are no end of the negotiation, so the
    opening is undecided, and the peer is disconnected before it counts as failed."""
    async with running() as at:
        world = World(at)
        world.connected = True
        await at.node.channels.list()
        at.lnd.answer(rpc.GET_INFO, get_info(LATER.value))
        at.lnd.refuse(rpc.OPEN_CHANNEL, detail)
        with pytest.raises(NodeUnreachable):
            await at.node.channels.open(REQUEST)
        assert await world.fate(LATER) == Undecided()
        await at.clock.sleep(11)
        assert isinstance(await world.fate(LATER), NotOpened)
        assert world.disconnects == 1
