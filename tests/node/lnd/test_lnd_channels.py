"""Channels as lnd lists and tells them, and the acceptor, against a fake lnd."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from lsps.node.contract import Channel, ChannelGone, ChannelState, NodeUnreachable, Opener, PermissionMissing, Resumed
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.acceptor import answer_to
from lsps.units import NodeId, Outpoint, Sat, Scid
from tests.node.contract.environment import eventually, listening
from tests.node.lnd.fake import PEER, Running, get_info, running

FUNDING = Outpoint("ab" * 31 + "cd", 1)
ALIAS, PEER_ALIAS, CONFIRMED = Scid(16_000_000, 1, 2), Scid(16_000_001, 3, 4), Scid(105, 1, 1)
PENDING = pb.PendingChannelsResponse
NONE_PENDING = PENDING()


def channel(**changes: Any) -> pb.Channel:
    fields: dict[str, Any] = {
        "remote_pubkey": PEER.hex,
        "channel_point": str(FUNDING),
        "chan_id": int(CONFIRMED),
        "capacity": 100_000,
        "local_balance": 60_000,
        "remote_balance": 39_000,
        "push_amount_sat": 5_000,
        "private": True,
        "initiator": True,
        "alias_scids": [int(ALIAS)],
        "peer_scid_alias": int(PEER_ALIAS),
        "memo": "for an order",
    }
    return pb.Channel(**(fields | changes))


def pending(**changes: Any) -> pb.PendingChannelsResponse.PendingChannel:
    fields: dict[str, Any] = {
        "remote_node_pub": PEER.hex,
        "channel_point": str(FUNDING),
        "capacity": 100_000,
        "local_balance": 94_000,
        "remote_balance": 5_000,
        "initiator": pb.INITIATOR_LOCAL,
    }
    return PENDING.PendingChannel(**(fields | changes))


def opening(**changes: Any) -> pb.PendingChannelsResponse:
    return PENDING(pending_open_channels=[PENDING.PendingOpenChannel(channel=pending(**changes))])


def closing() -> pb.PendingChannelsResponse:
    return PENDING(waiting_close_channels=[PENDING.WaitingCloseChannel(channel=pending())])


def lists(at: Running, *channels: pb.Channel, pending: pb.PendingChannelsResponse = NONE_PENDING) -> None:
    at.lnd.answer(rpc.LIST_CHANNELS, pb.ListChannelsResponse(channels=channels))
    at.lnd.answer(rpc.PENDING_CHANNELS, pending)


async def test_an_open_channel_is_read_whole() -> None:
    """Every field of an open channel arrives where the contract has it."""
    async with running() as at:
        lists(at, channel())
        assert await at.node.channels.list() == (
            Channel(
                channel_id=FUNDING.channel_id(),
                funding=FUNDING,
                peer=PEER,
                state=ChannelState.OPEN,
                opener=Opener.US,
                capacity=Sat(100_000),
                local_balance=Sat(60_000),
                remote_balance=Sat(39_000),
                pushed=Sat(5_000),
                private=True,
                zero_conf=False,
                scid=CONFIRMED,
                aliases=(ALIAS,),
                peer_alias=PEER_ALIAS,
                memo="for an order",
            ),
        )


@pytest.mark.parametrize(("confirmed", "scid"), [(0, None), (int(CONFIRMED), CONFIRMED)])
async def test_a_zero_conf_channels_scid_is_not_its_alias(confirmed: int, scid: Scid | None) -> None:
    """lnd's chan_id of a 0-conf channel is an alias; `scid` is the confirmed one, or None before."""
    async with running() as at:
        lists(at, channel(chan_id=int(ALIAS), zero_conf=True, zero_conf_confirmed_scid=confirmed, peer_scid_alias=0))
        (found,) = await at.node.channels.list()
        assert (found.scid, found.zero_conf, found.peer_alias) == (scid, True, None)


async def test_pending_and_closing_channels_are_listed() -> None:
    """A pending channel's push is the balance of the side that did not open it; a closing one is CLOSING, once, though
    it may still be in the list of open ones."""
    async with running() as at:
        lists(at, pending=opening(initiator=pb.INITIATOR_REMOTE))
        (found,) = await at.node.channels.list()
        assert (found.state, found.opener, found.pushed) == (ChannelState.PENDING, Opener.PEER, Sat(94_000))
        lists(at, channel(), pending=closing())
        (found,) = await at.node.channels.list()
        assert (found.state, found.memo) == (ChannelState.CLOSING, "")
        lists(at, pending=opening(memo="for an order"))
        (found,) = await at.node.channels.list()
        assert found.memo == "for an order"


class Events:
    """What the fake lnd tells next on its streams of channel events and blocks."""

    def __init__(self, at: Running) -> None:
        self.updates: asyncio.Queue[pb.ChannelEventUpdate] = asyncio.Queue()
        self.blocks: asyncio.Queue[pb.BlockEpoch] = asyncio.Queue()
        at.lnd.handle(rpc.CHANNEL_EVENTS, lambda _request: self._all(self.updates))
        at.lnd.handle(rpc.BLOCKS, lambda _request: self._all(self.blocks))

    async def _all(self, queue: asyncio.Queue[Any]) -> AsyncIterator[Any]:
        while True:
            yield await queue.get()


async def test_an_opening_is_told() -> None:
    """A pending event is looked up and told as PENDING; an open event carries the channel; a closed one is Gone."""
    async with running() as at:
        events = Events(at)
        lists(at)
        async with listening(at.node.channels.events()) as heard:
            lists(at, pending=opening())
            txid = bytes.fromhex(FUNDING.txid)[::-1]
            update = pb.PendingUpdate(txid=txid, output_index=FUNDING.index)
            events.updates.put_nowait(pb.ChannelEventUpdate(pending_open_channel=update))
            await heard.until(lambda all_: len(all_) == 2)
            events.updates.put_nowait(pb.ChannelEventUpdate(active_channel=pb.ChannelPoint()))
            events.updates.put_nowait(pb.ChannelEventUpdate(open_channel=channel()))
            await heard.until(lambda all_: len(all_) == 3)
            summary = pb.ChannelCloseSummary(channel_point=str(FUNDING))
            events.updates.put_nowait(pb.ChannelEventUpdate(closed_channel=summary))
            await heard.until(lambda all_: len(all_) == 4)
            assert heard.heard[0] == Resumed()
            assert [one.state for one in heard.heard if isinstance(one, Channel)] == [
                ChannelState.PENDING,
                ChannelState.OPEN,
            ]
            assert heard.heard[3] == ChannelGone(FUNDING.channel_id())


async def test_a_peer_that_never_funded_is_gone() -> None:
    """A channel whose funding timed out is told as gone, its txid given in bytes or as text."""
    async with running() as at:
        events = Events(at)
        lists(at)
        async with listening(at.node.channels.events()) as heard:
            raw = bytes.fromhex(FUNDING.txid)[::-1]
            for point in (
                pb.ChannelPoint(funding_txid_bytes=raw, output_index=1),
                pb.ChannelPoint(funding_txid_str=FUNDING.txid, output_index=1),
            ):
                events.updates.put_nowait(pb.ChannelEventUpdate(channel_funding_timeout=point))
            await heard.until(lambda all_: all_[1:] == [ChannelGone(FUNDING.channel_id())] * 2)


async def test_a_zero_conf_channel_is_told_when_it_confirms() -> None:
    """lnd has no event for it: after a block, the channel is told once with its confirmed SCID, late as lnd may be."""
    async with running() as at:
        events = Events(at)
        lists(at, channel(chan_id=int(ALIAS), zero_conf=True))
        async with listening(at.node.channels.events()) as heard:
            events.blocks.put_nowait(pb.BlockEpoch(height=105))

            async def looked() -> bool:
                return len(at.lnd.requests(rpc.LIST_CHANNELS)) >= 2

            await eventually("it looked, and saw nothing new", looked)
            lists(at, channel(chan_id=int(ALIAS), zero_conf=True, zero_conf_confirmed_scid=int(CONFIRMED)))
            events.blocks.put_nowait(pb.BlockEpoch(height=106))
            await heard.until(lambda all_: len(all_) == 2)
            told = heard.heard[1]
            assert isinstance(told, Channel)
            assert told.scid == CONFIRMED


async def test_an_alias_that_comes_late_is_told() -> None:
    """The peer's alias may arrive after lnd's open event: the channel is told again, with it, once."""
    async with running() as at:
        events = Events(at)
        lists(at, channel())
        async with listening(at.node.channels.events()) as heard:
            events.updates.put_nowait(pb.ChannelEventUpdate(open_channel=channel(peer_scid_alias=0)))
            await heard.until(lambda all_: len(all_) == 3)
            assert [one.peer_alias for one in heard.heard if isinstance(one, Channel)] == [None, PEER_ALIAS]


async def test_a_close_is_told_when_it_is_seen() -> None:
    """A close that is broadcast is told as CLOSING, once: at lnd's inactive event, or after a block."""
    async with running() as at:
        events = Events(at)
        lists(at, channel())
        async with listening(at.node.channels.events()) as heard:
            lists(at, pending=closing())
            events.updates.put_nowait(pb.ChannelEventUpdate(inactive_channel=pb.ChannelPoint()))
            events.blocks.put_nowait(pb.BlockEpoch(height=105))
            await heard.until(lambda all_: len(all_) == 2)
            told = heard.heard[1]
            assert isinstance(told, Channel)
            assert told.state is ChannelState.CLOSING
            events.updates.put_nowait(pb.ChannelEventUpdate(open_channel=channel()))
            await heard.until(lambda all_: len(all_) == 3)
            assert isinstance(heard.heard[2], Channel)
            assert heard.heard[2].state is ChannelState.OPEN


@pytest.mark.parametrize(
    ("asked", "zero_conf"),
    [
        ({}, True),
        ({"funding_amt": 99_999}, False),
        ({"node_pubkey": bytes(NodeId("02" + "33" * 32))}, False),
        ({"wants_zero_conf": False}, False),
    ],
)
def test_only_the_expected_channel_is_zero_conf(asked: dict[str, Any], zero_conf: bool) -> None:
    """The expected peer's 0-conf channel of enough capacity is accepted as such; everything else gets the neutral
    answer, with which lnd itself refuses an unexpected 0-conf channel."""
    fields: dict[str, Any] = {
        "node_pubkey": bytes(PEER),
        "pending_chan_id": b"id",
        "funding_amt": 100_000,
        "wants_zero_conf": True,
    }
    request = pb.ChannelAcceptRequest(**(fields | asked))
    answer = pb.ChannelAcceptResponse(accept=True, pending_chan_id=b"id", zero_conf=zero_conf)
    assert answer_to(request, PEER, Sat(100_000)) == answer


async def test_the_acceptor_answers_while_it_is_entered() -> None:
    """Entered, the stream is open and questions are answered; left, the stream is closed."""
    async with running() as at:
        answered, ended = asyncio.Event(), asyncio.Event()

        async def acceptor(answers: AsyncIterator[Any]) -> AsyncIterator[Any]:
            try:
                yield pb.ChannelAcceptRequest(node_pubkey=bytes(PEER), pending_chan_id=b"1", wants_zero_conf=True)
                async for answer in answers:
                    assert answer.zero_conf
                    answered.set()
            finally:
                ended.set()

        at.lnd.handle(rpc.CHANNEL_ACCEPTOR, acceptor)
        async with at.node.channels.accept_zero_conf(PEER, Sat(0)):
            await answered.wait()
            assert not ended.is_set()
        await ended.wait()


async def test_an_acceptor_that_cannot_be_raises_at_once() -> None:
    """A missing permission, or a node that is away, is told when entering."""
    async with running() as at:
        at.lnd.refuse(rpc.CHANNEL_ACCEPTOR, "permission denied")

        async def slow_info(_request: Any) -> Any:  # as lnd's is, compared with a refusal
            await asyncio.sleep(0.05)
            return get_info()

        at.lnd.handle(rpc.GET_INFO, slow_info)
        with pytest.raises(PermissionMissing):
            async with at.node.channels.accept_zero_conf(PEER, Sat(0)):
                pass
        await at.stop()
        with pytest.raises(NodeUnreachable):
            async with at.node.channels.accept_zero_conf(PEER, Sat(0)):
                pass
