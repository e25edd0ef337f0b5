"""A node whose messages go another way."""

from __future__ import annotations

from collections.abc import AsyncIterator

from lsps.node.contract import Channels, Invoices, Messages, Node, NodeInfo, Payments, Resumed, Wallet
from lsps.units import BlockHeight


class WithMessages:
    """`messages` of one, everything else of `node`. Closing it closes neither: who made them does."""

    def __init__(self, node: Node, messages: Messages) -> None:
        self._node = node
        self.messages = messages

    @property
    def invoices(self) -> Invoices | None:
        return self._node.invoices

    @property
    def payments(self) -> Payments | None:
        return self._node.payments

    @property
    def channels(self) -> Channels | None:
        return self._node.channels

    @property
    def wallet(self) -> Wallet | None:
        return self._node.wallet

    async def info(self) -> NodeInfo:
        return await self._node.info()

    def tips(self) -> AsyncIterator[Resumed | BlockHeight]:
        return self._node.tips()

    async def close(self) -> None:
        """Nothing is its own."""
