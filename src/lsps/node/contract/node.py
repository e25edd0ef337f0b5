"""The node itself, and the capabilities that it has or lacks."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from lsps.node.contract.channels import Channels
from lsps.node.contract.invoices import Invoices
from lsps.node.contract.messages import Messages
from lsps.node.contract.payments import Payments
from lsps.node.contract.streams import Resumed
from lsps.node.contract.wallet import Wallet
from lsps.units import BlockHeight, Network, NodeId


@dataclass(frozen=True, slots=True)
class NodeInfo:
    """`alias` is the operator's text, unsanitized. `synced`: the node sees the chain's tip."""

    node_id: NodeId
    network: Network
    alias: str
    height: BlockHeight
    features: frozenset[int]
    synced: bool


class Node(Protocol):
    """One Lightning node, as lsps sees it. Capabilities that an adapter lacks are None."""

    @property
    def messages(self) -> Messages: ...
    @property
    def invoices(self) -> Invoices | None: ...
    @property
    def payments(self) -> Payments | None: ...
    @property
    def channels(self) -> Channels | None: ...
    @property
    def wallet(self) -> Wallet | None: ...

    async def info(self) -> NodeInfo:
        """Identity, network and chain tip, asked now. Raises NodeUnreachable."""
        ...

    def tips(self) -> AsyncIterator[Resumed | BlockHeight]:
        """The best chain's height, now and at every change. It may go down for a moment in a reorganisation."""
        ...

    async def close(self) -> None:
        """End all streams and connections of this object; the node runs on. A repeat is fine."""
        ...
