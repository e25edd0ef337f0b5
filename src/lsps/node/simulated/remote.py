"""contract.Node on a simulated node that another process hosts (host.py): simulated:///path/of/its/socket"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, aclosing
from pathlib import Path
from random import Random

from lsps.clock import Clock
from lsps.node.contract import (
    Channel,
    ChannelGone,
    Channels,
    Deposit,
    Invoices,
    InvoiceState,
    InvoiceStatus,
    Message,
    Messages,
    Node,
    NodeError,
    NodeInfo,
    NotOpened,
    Opened,
    OpenRequest,
    Payment,
    Payments,
    Peer,
    PeerOffline,
    PeerOnline,
    Resumed,
    SignedTransaction,
    Spend,
    Undecided,
    Utxo,
    Wallet,
    WalletChanged,
)
from lsps.node.simulated.line import Line, Talk
from lsps.paths import seen_from
from lsps.units import BlockHeight, Msat, NodeId, Outpoint, Sat


class InvalidSocketUrl(NodeError, ValueError):
    """The URL is not simulated:///path/of/a/socket."""


class RemoteNode:
    """Make it inside the running event loop, and close it. `sees_fees`: as the node's Policy says."""

    def __init__(self, path: Path, clock: Clock, *, sees_fees: bool = True) -> None:
        self._line = Line(path, clock)
        self.messages = RemoteMessages(self._line)
        self.invoices = RemoteInvoices(self._line)
        self.payments = RemotePayments(self._line)
        self.channels = RemoteChannels(self._line)
        self.wallet = RemoteWallet(self._line, sees_fees)

    def __repr__(self) -> str:
        return f"<RemoteNode {self._line.path}>"

    async def info(self) -> NodeInfo:
        return await self._line.call(Node.info)

    def tips(self) -> AsyncIterator[Resumed | BlockHeight]:
        return self._line.stream(Node.tips)

    async def close(self) -> None:
        self._line.close()


class RemoteMessages:
    def __init__(self, line: Line) -> None:
        self._line = line

    async def send(self, peer: NodeId, payload: bytes) -> None:
        await self._line.call(Messages.send, peer, payload)

    def received(self) -> AsyncIterator[Resumed | Message]:
        return self._line.stream(Messages.received)

    async def connect(self, peer: NodeId, address: str | None = None) -> None:
        await self._line.call(Messages.connect, peer, address)

    async def peer(self, peer: NodeId) -> Peer | None:
        return await self._line.call(Messages.peer, peer)

    def peer_events(self) -> AsyncIterator[Resumed | PeerOnline | PeerOffline]:
        return self._line.stream(Messages.peer_events)


class RemoteInvoices:
    """The host's end watches for as long as one connection; what is watched is remembered here."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._watched: dict[bytes, None] = {}
        self._updates: Talk | None = None

    async def add_hold(
        self, payment_hash: bytes, amount: Msat, description: str, expiry_seconds: int, min_final_cltv_expiry: int
    ) -> str:
        return await self._line.call(
            Invoices.add_hold, payment_hash, amount, description, expiry_seconds, min_final_cltv_expiry
        )

    async def settle(self, preimage: bytes) -> None:
        await self._line.call(Invoices.settle, preimage)

    async def cancel(self, payment_hash: bytes) -> None:
        await self._line.call(Invoices.cancel, payment_hash)

    async def lookup(self, payment_hash: bytes) -> InvoiceStatus | None:
        return await self._line.call(Invoices.lookup, payment_hash)

    def watch(self, payment_hash: bytes) -> None:
        self._watched[payment_hash] = None
        if self._updates is not None:
            self._updates.tell(Invoices.watch, payment_hash)

    def unwatch(self, payment_hash: bytes) -> None:
        self._watched.pop(payment_hash, None)
        if self._updates is not None:
            self._updates.tell(Invoices.unwatch, payment_hash)

    async def updates(self) -> AsyncIterator[Resumed | InvoiceStatus]:
        async with aclosing(self._line.stream(Invoices.updates, self._begin)) as events:
            async for event in events:
                if isinstance(event, InvoiceStatus):
                    if event.payment_hash not in self._watched:
                        continue  # it was on its way when `unwatch` was called
                    if event.state in (InvoiceState.SETTLED, InvoiceState.CANCELLED):
                        del self._watched[event.payment_hash]
                yield event

    def _begin(self, updates: Talk) -> None:
        self._updates = updates
        for payment_hash in self._watched:
            updates.tell(Invoices.watch, payment_hash)


class RemotePayments:
    def __init__(self, line: Line) -> None:
        self._line = line

    async def pay(self, invoice: str, max_fee: Msat) -> Payment:
        return await self._line.call(Payments.pay, invoice, max_fee)

    async def lookup(self, payment_hash: bytes) -> Payment | None:
        return await self._line.call(Payments.lookup, payment_hash)


class RemoteChannels:
    def __init__(self, line: Line) -> None:
        self._line = line

    async def list(self) -> Sequence[Channel]:
        return await self._line.call(Channels.list)

    def events(self) -> AsyncIterator[Resumed | Channel | ChannelGone]:
        return self._line.stream(Channels.events)

    async def open(self, request: OpenRequest) -> Outpoint:
        return await self._line.call(Channels.open, request)

    async def fate(
        self, peer: NodeId, inputs: tuple[Outpoint, ...], since: BlockHeight
    ) -> Opened | NotOpened | Undecided:
        return await self._line.call(Channels.fate, peer, inputs, since)

    def accept_zero_conf(self, peer: NodeId, capacity: Sat) -> AbstractAsyncContextManager[None]:
        return self._line.inside(Channels.accept_zero_conf, peer, capacity)


class RemoteWallet:
    def __init__(self, line: Line, sees_fees: bool) -> None:
        self._line = line
        self.sees_fees = sees_fees

    async def inputs(self) -> Sequence[Utxo]:
        return await self._line.call(Wallet.inputs)

    async def feerate(self, target_blocks: int) -> int:
        return await self._line.call(Wallet.feerate, target_blocks)

    async def new_address(self) -> str:
        return await self._line.call(Wallet.new_address)

    async def deposits(self, since: BlockHeight) -> Sequence[Deposit]:
        return await self._line.call(Wallet.deposits, since)

    def changes(self) -> AsyncIterator[Resumed | WalletChanged]:
        return self._line.stream(Wallet.changes)

    async def sign(self, spend: Spend) -> SignedTransaction:
        return await self._line.call(Wallet.sign, spend)

    async def publish(self, transaction: SignedTransaction) -> None:
        await self._line.call(Wallet.publish, transaction)


def open_node(url: str, *, clock: Clock, random: Random, base: Path = Path()) -> RemoteNode:
    """What simulated://SOCKET names, a relative path seen from `base`. Raises InvalidSocketUrl, InvalidPath."""
    path = url.partition("://")[2]
    if not path:
        raise InvalidSocketUrl("a simulated node's URL is simulated:///path/of/the/socket that its process made")
    return RemoteNode(seen_from(base, path), clock)
