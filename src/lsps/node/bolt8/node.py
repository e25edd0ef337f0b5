"""An identity that speaks with peers and has nothing else (node contract: Node, its messages alone)."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

from lsps.clock import Clock
from lsps.lightning.features import CLIENT_INIT
from lsps.lightning.keys import SecretKey
from lsps.logs import event
from lsps.node.bolt8.address import parse
from lsps.node.bolt8.dialing import Dialer
from lsps.node.bolt8.identity import kept_key, new_key
from lsps.node.bolt8.limits import Limits
from lsps.node.bolt8.messages import Bolt8Messages
from lsps.node.contract import NodeInfo, NotSupported, Resumed
from lsps.units import BlockHeight, Network, NodeId

_log = logging.getLogger("lsps.node")


class Bolt8Node:
    """Messages and no other capability. Make it inside the running event loop, and close it."""

    def __init__(
        self,
        key: SecretKey,
        *,
        network: Network | None,
        clock: Clock,
        random: Random,
        features: int = CLIENT_INIT,
        limits: Limits | None = None,
        dialer: Dialer | None = None,
    ) -> None:
        self.messages = Bolt8Messages(
            key,
            features=features,
            networks=frozenset() if network is None else {network},
            clock=clock,
            random=random,
            secret=secrets.token_bytes,
            limits=limits,
            dialer=dialer,
        )
        self.invoices = None
        self.payments = None
        self.channels = None
        self.wallet = None
        self.node_id: NodeId = key.node_id
        self._network = network
        self._features = features
        self._closing = asyncio.Event()

    def __repr__(self) -> str:
        return f"<Bolt8Node {self.node_id}>"

    async def info(self) -> NodeInfo:
        """There is no chain: height 0, not synced. Raises NotSupported when no network was named."""
        if self._network is None:
            raise NotSupported("this connection is on no network in particular: name one, bolt8://?network=…")
        return NodeInfo(
            node_id=self.node_id,
            network=self._network,
            alias="",
            height=BlockHeight(0),
            features=frozenset(bit for bit in range(self._features.bit_length()) if self._features >> bit & 1),
            synced=False,
        )

    async def tips(self) -> AsyncIterator[Resumed | BlockHeight]:
        """No block ever comes."""
        yield Resumed()
        await self._closing.wait()

    async def close(self) -> None:
        self._closing.set()
        await self.messages.close()


def open_node(url: str, *, clock: Clock, random: Random, base: Path = Path()) -> Bolt8Node:
    """What a URL names (address.py), its relative paths seen from `base`. Nothing is sent yet.

    Raises InvalidNodeUrl, BadKeyFile, NotSupported.
    """
    address = parse(url, base)
    if address.key is None:
        key = new_key(secrets.token_bytes)
        event(_log, logging.INFO, "throwaway_identity", node_id=key.node_id)
    else:
        key = kept_key(address.key, secrets.token_bytes)
    return Bolt8Node(key, network=address.network, clock=clock, random=random, dialer=Dialer(address.socks5))
