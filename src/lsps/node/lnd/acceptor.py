"""Accepting one 0-conf channel that an order expects (node contract: accept_zero_conf).

LND asks every open ChannelAcceptor stream about every incoming channel, and puts the answers together: refused if one
refuses, 0-conf if one says so. "Accept", with nothing more, is thus the neutral answer: lnd goes on as it would without
us, which for an unexpected 0-conf channel means that lnd refuses it, unless another program's acceptor wants it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from lsps.logs import event
from lsps.node.contract import NodeError, NodeUnreachable, Resumed
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.connection import Connection
from lsps.node.lnd.streams import Reconnecting
from lsps.units import NodeId, Sat

_logger = logging.getLogger("lsps.node")


@asynccontextmanager
async def accept_zero_conf(
    connection: Connection, streams: Reconnecting, peer: NodeId, capacity: Sat
) -> AsyncIterator[None]:
    """While entered, answer lnd's questions; across lnd's restarts too."""
    asked = asyncio.Event()  # or never will be

    @asynccontextmanager
    async def session() -> AsyncIterator[AsyncIterator[pb.ChannelAcceptRequest]]:
        answers: asyncio.Queue[pb.ChannelAcceptResponse] = asyncio.Queue()
        async with connection.conversation(rpc.CHANNEL_ACCEPTOR, _from_queue(answers)) as requests:
            yield _answering(requests, answers, peer, capacity)

    async def answer() -> None:
        try:
            async for item in streams.endless("channel_acceptor", session):
                if isinstance(item, Resumed):
                    asked.set()
        except NodeError as error:
            event(_logger, logging.WARNING, "channel_acceptor_ended", reason=str(error))
            raise
        finally:
            asked.set()

    answering = asyncio.create_task(answer())
    try:
        await connection.barrier()  # an unreachable node is told at once, not waited for
        await asked.wait()
        if answering.done():
            await answering
            raise NodeUnreachable("the connection to lnd was closed")
        yield
    finally:
        answering.cancel()
        await asyncio.gather(answering, return_exceptions=True)


def answer_to(request: pb.ChannelAcceptRequest, peer: NodeId, capacity: Sat) -> pb.ChannelAcceptResponse:
    expected = request.wants_zero_conf and request.node_pubkey == bytes(peer) and request.funding_amt >= int(capacity)
    return pb.ChannelAcceptResponse(accept=True, pending_chan_id=request.pending_chan_id, zero_conf=expected)


async def _answering(
    requests: AsyncIterator[pb.ChannelAcceptRequest],
    answers: asyncio.Queue[pb.ChannelAcceptResponse],
    peer: NodeId,
    capacity: Sat,
) -> AsyncIterator[pb.ChannelAcceptRequest]:
    async for request in requests:
        answers.put_nowait(answer_to(request, peer, capacity))
        yield request


async def _from_queue(answers: asyncio.Queue[pb.ChannelAcceptResponse]) -> AsyncIterator[pb.ChannelAcceptResponse]:
    while True:
        yield await answers.get()
