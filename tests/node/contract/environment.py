"""Where the contract tests run: two nodes, and what can be done to them from outside.

The same tests hold on every adapter. An adapter's test module gives a fixture `env` that yields a ContractEnvironment,
and a class of its own for each suite, so that it also chooses marks and the event loop's scope:

    class TestMessages(MessagesContract): ...

The suites assume nothing of the environment's age: it may be one for each test or one for the whole session, so they
draw fresh payment hashes, open the channels they need, and take no balance or list for their own. Waiting is done with
`eventually` and `Listener`, whose patience is generous and costs nothing when things go well.
"""

from __future__ import annotations

import asyncio
import secrets
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from typing import Generic, TypeVar

from lsps.node.contract import Channel, Channels, Invoices, Messages, Node, OpenRequest, Payments, Wallet, require
from lsps.units import BlockHeight, NodeId, Outpoint, Sat

T = TypeVar("T")

PATIENCE_SECONDS = 90.0
"""How long anything may take, a restart of a real node included."""

SAT_PER_KW = 2_500


@dataclass(frozen=True)
class Side:
    """One node as its own program sees it, through the adapter under test. `address`: HOST:PORT for its peers."""

    node: Node
    node_id: NodeId
    address: str

    @property
    def messages(self) -> Messages:
        return self.node.messages

    @property
    def invoices(self) -> Invoices:
        return require(self.node.invoices, "invoices")

    @property
    def payments(self) -> Payments:
        return require(self.node.payments, "payments")

    @property
    def channels(self) -> Channels:
        return require(self.node.channels, "channels")

    @property
    def wallet(self) -> Wallet:
        return require(self.node.wallet, "wallet")

    async def height(self) -> BlockHeight:
        return (await self.node.info()).height

    async def channel(self, funding: Outpoint) -> Channel | None:
        """The channel with this funding output, as this side sees it."""
        return next((channel for channel in await self.channels.list() if channel.funding == funding), None)


class ContractEnvironment(ABC):
    """`seller` and `buyer` are connected when a test begins, and each has confirmed outputs to spend. The seller takes
    at least two pending channels of the buyer, the buyer of the seller; both need at most 6 confirmations."""

    seller: Side
    buyer: Side
    stranger: NodeId
    """A well-formed id of a node that nobody can reach."""

    @abstractmethod
    async def mine(self, blocks: int = 1) -> None:
        """Returns when both nodes have seen the new tip."""

    @abstractmethod
    async def pass_time(self, seconds: float) -> None:
        """So much time passes on the nodes' clocks."""

    @abstractmethod
    async def fund(self, side: Side, amount: Sat) -> Outpoint:
        """A new confirmed output of exactly this amount in the side's wallet."""

    @abstractmethod
    async def pay(self, address: str, amount: Sat) -> str:
        """Somebody else pays exactly this amount; returns the transaction's id once it waits for a block."""

    @abstractmethod
    async def foreign_address(self) -> str:
        """An address of this network that is neither side's."""

    @abstractmethod
    async def open_channel(
        self, opener: Side, peer: Side, capacity: Sat, push: Sat, *, private: bool = False
    ) -> Outpoint:
        """A channel that both nodes use, as any other program would open it; returns its funding output."""

    @abstractmethod
    async def close_channel(self, funding: Outpoint) -> None:
        """Close it together and confirm that, so that both nodes have forgotten it or will presently."""

    @abstractmethod
    async def stop(self, side: Side) -> None:
        """The node's process ends."""

    @abstractmethod
    async def start(self, side: Side) -> None:
        """It runs again; returns when it answers calls and is connected to the other side."""

    @abstractmethod
    async def disconnect(self) -> None:
        """Cut the connection between the two. It may come back by itself."""

    @abstractmethod
    async def connect(self) -> None:
        """Returns when the two are connected, as both see it."""

    @abstractmethod
    async def another(self, side: Side) -> Side:
        """A second program on the same node: another adapter object, which the environment closes at its end."""

    @abstractmethod
    async def far_payee(self) -> Side:
        """A third node that the buyer can pay through the seller alone, up to 200,000 sat; the seller takes at least
        1 sat and at most 100 sat for passing on 100,000 sat."""


def preimage_and_hash() -> tuple[bytes, bytes]:
    preimage = secrets.token_bytes(32)
    return preimage, sha256(preimage).digest()


def open_request(
    peer: Side,
    capacity: Sat,
    inputs: Sequence[Outpoint],
    *,
    push: int = 0,
    private: bool = False,
    zero_conf: bool = False,
) -> OpenRequest:
    return OpenRequest(
        peer=peer.node_id,
        capacity=capacity,
        push=Sat(push),
        private=private,
        zero_conf=zero_conf,
        inputs=tuple(inputs),
        sat_per_kw=SAT_PER_KW,
        memo="contract test",
    )


async def eventually(what: str, check: Callable[[], Awaitable[T | None]]) -> T:
    """The first result of `check` that is not None or False."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        pause = 0.0
        while True:
            result = await check()
            if result is not None and result is not False:
                return result
            await asyncio.sleep(pause)
            pause = min(pause + 0.01, 0.25)
    raise AssertionError(what)


class Listener(Generic[T]):
    """Everything that a stream gave, and waiting for more."""

    def __init__(self) -> None:
        self.heard: list[T] = []
        self._more = asyncio.Event()

    def hear(self, event: T) -> None:
        self.heard.append(event)
        self._more.set()

    async def until(self, enough: Callable[[list[T]], bool]) -> list[T]:
        """Return what was heard once that is enough. Raises AssertionError that shows what was heard instead."""
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not enough(self.heard):
                    self._more.clear()
                    await self._more.wait()
        except TimeoutError:
            raise AssertionError(f"heard only {self.heard!r:.2000}") from None
        return list(self.heard)


@asynccontextmanager
async def listening(stream: AsyncIterator[T]) -> AsyncIterator[Listener[T]]:
    """Listen to a stream in a task of its own; entered once the stream gave its first event."""
    listener: Listener[T] = Listener()

    async def listen() -> None:
        async for event in stream:
            listener.hear(event)

    task = asyncio.create_task(listen())
    try:
        await listener.until(lambda heard: bool(heard) or task.done())
        yield listener
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
