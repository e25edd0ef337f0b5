"""One LND node (node contract: Node)."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from lsps.clock import Clock
from lsps.logs import event
from lsps.node.contract import NodeInfo, PermissionMissing, Resumed
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.address import parse
from lsps.node.lnd.channels import LndChannels
from lsps.node.lnd.connection import Connection, open_connection
from lsps.node.lnd.info import read_info
from lsps.node.lnd.invoices import LndInvoices
from lsps.node.lnd.messages import LndMessages
from lsps.node.lnd.payments import LndPayments
from lsps.node.lnd.streams import Reconnecting
from lsps.node.lnd.wallet import LndWallet
from lsps.units import BlockHeight

POLL_SECONDS = 5.0
"""How often the tip is asked for where the macaroon does not allow to be told."""

_logger = logging.getLogger("lsps.node")


class LndNode:
    """All capabilities. `open_node` makes one from a URL."""

    def __init__(self, connection: Connection, clock: Clock, random: Random) -> None:
        self._connection = connection
        self._streams = Reconnecting(connection, clock, random)
        self.messages = LndMessages(connection, self._streams)
        self.invoices = LndInvoices(connection, self._streams, clock)
        self.payments = LndPayments(connection)
        self.wallet = LndWallet(connection, self._streams)
        self.channels = LndChannels(connection, self._streams, clock)

    def __repr__(self) -> str:
        return f"<LndNode at {self._connection.target}>"

    async def info(self) -> NodeInfo:
        return await read_info(self._connection)

    async def tips(self) -> AsyncIterator[Resumed | BlockHeight]:
        try:
            async for tip in self._streams.endless("tips", self._told_tips):
                yield tip
        except PermissionMissing as missing:
            event(_logger, logging.WARNING, "polling_for_blocks", reason=str(missing), seconds=POLL_SECONDS)
            async for tip in self._streams.endless("tips", self._polled_tips):
                yield tip

    async def close(self) -> None:
        await self._connection.close()

    @asynccontextmanager
    async def _told_tips(self) -> AsyncIterator[AsyncIterator[BlockHeight]]:
        # An empty BlockEpoch asks for the present tip first.
        async with self._connection.stream(rpc.BLOCKS, pb.BlockEpoch()) as epochs:
            yield (BlockHeight(epoch.height) async for epoch in epochs)

    @asynccontextmanager
    async def _polled_tips(self) -> AsyncIterator[AsyncIterator[BlockHeight]]:
        async def heights() -> AsyncIterator[BlockHeight]:
            last = None
            while not self._connection.closed.is_set():
                height = (await self.info()).height
                if height != last:
                    last = height
                    yield height
                await self._streams.pause(POLL_SECONDS)

        yield heights()


def open_node(url: str, *, clock: Clock, random: Random, base: Path = Path()) -> LndNode:
    """The node that a URL names (address.py), its relative paths seen from `base`. Raises InvalidNodeUrl.

    Call it inside the running event loop, and `close` it. Nothing is sent yet: `info` tells whether the node answers.
    """
    return LndNode(open_connection(parse(url, base)), clock, random)
