"""Two connected nodes of the simulated world, and the messages between them."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING

from lsps.node.contract import Message
from lsps.units import NodeId

if TYPE_CHECKING:
    from lsps.node.simulated.lightning_node import LightningNode


class Connection:
    """What each side sent arrives later, in the order in which it was sent; what is on its way is lost with it."""

    def __init__(self, one: LightningNode, other: LightningNode) -> None:
        self._to = {one.node_id: other, other.node_id: one}
        self._sent: dict[NodeId, deque[bytes]] = {one.node_id: deque(), other.node_id: deque()}

    def send(self, sender: NodeId, payload: bytes) -> None:
        self._sent[sender].append(payload)
        asyncio.get_running_loop().call_soon(self._deliver, sender)

    def close(self) -> None:
        for sent in self._sent.values():
            sent.clear()

    def _deliver(self, sender: NodeId) -> None:
        if self._sent[sender]:
            self._to[sender].messages_feed.publish(Message(sender, self._sent[sender].popleft()))
