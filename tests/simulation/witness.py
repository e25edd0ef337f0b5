"""The LSP's way to its node, watched: what it is asked, answers, and does at the node, before that takes effect.
And a customer's way to its own: what it wants to be published."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from typing import Protocol

from lsps.node.contract import Message, OpenRequest, Resumed, SignedTransaction
from lsps.node.simulated.access import Access
from lsps.node.simulated.lightning_node import LightningNode
from lsps.node.simulated.node import (
    SimulatedChannels,
    SimulatedInvoices,
    SimulatedMessages,
    SimulatedNode,
    SimulatedWallet,
)
from lsps.units import NodeId, Outpoint


class Witness(Protocol):
    """Told of each call before the node is."""

    def on_request(self, peer: NodeId, payload: bytes) -> None: ...

    def on_reply(self, peer: NodeId, payload: bytes) -> None: ...

    def on_settle(self, preimage: bytes) -> None: ...

    def on_cancel(self, payment_hash: bytes) -> None: ...

    def on_open(self, request: OpenRequest) -> None: ...


class WatchedNode(SimulatedNode):
    def __init__(self, node: LightningNode, witness: Witness) -> None:
        super().__init__(node)
        self.messages = _Messages(self._access, witness)
        self.invoices = _Invoices(self._access, witness)
        self.channels = _Channels(self._access, witness)

    def cut(self) -> None:
        """Its user's process is gone: no call gets through any more."""
        self._access.close()
        self.channels.end_offers()


class _Messages(SimulatedMessages):
    def __init__(self, access: Access, witness: Witness) -> None:
        super().__init__(access)
        self._witness = witness

    async def send(self, peer: NodeId, payload: bytes) -> None:
        if not self._access.closed:
            self._witness.on_reply(peer, payload)
        await super().send(peer, payload)

    async def received(self) -> AsyncIterator[Resumed | Message]:
        events = super().received()
        async with aclosing(events):  # type: ignore[type-var]  # it is an async generator
            async for event in events:
                if isinstance(event, Message):
                    self._witness.on_request(event.peer, event.payload)
                yield event


class _Invoices(SimulatedInvoices):
    def __init__(self, access: Access, witness: Witness) -> None:
        super().__init__(access)
        self._witness = witness

    async def settle(self, preimage: bytes) -> None:
        if not self._access.closed:
            self._witness.on_settle(preimage)
        await super().settle(preimage)

    async def cancel(self, payment_hash: bytes) -> None:
        if not self._access.closed:
            self._witness.on_cancel(payment_hash)
        await super().cancel(payment_hash)


class _Channels(SimulatedChannels):
    def __init__(self, access: Access, witness: Witness) -> None:
        super().__init__(access)
        self._witness = witness

    async def open(self, request: OpenRequest) -> Outpoint:
        if not self._access.closed:
            self._witness.on_open(request)
        return await super().open(request)


class PayersNode(SimulatedNode):
    """`on_publish` is told of each transaction before the node is."""

    def __init__(self, node: LightningNode, on_publish: Callable[[SignedTransaction], None]) -> None:
        super().__init__(node)
        self.wallet = _Wallet(self._access, on_publish)


class _Wallet(SimulatedWallet):
    def __init__(self, access: Access, on_publish: Callable[[SignedTransaction], None]) -> None:
        super().__init__(access)
        self._on_publish = on_publish

    async def publish(self, transaction: SignedTransaction) -> None:
        if not self._access.closed:
            self._on_publish(transaction)
        await super().publish(transaction)
