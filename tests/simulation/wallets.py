"""Customers with our own client: a process with a journal. Killed, it does again what it was doing."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Protocol, TypeVar

from lsps.client.client import Client
from lsps.client.errors import (
    ClientRejected,
    LspRefused,
    NotDelivered,
    PaidNotDelivered,
    PaymentNotMade,
    RuleViolated,
    StoppedBeforePaying,
    Unreachable,
)
from lsps.client.patience import Patience
from lsps.client.terms import PayWith
from lsps.errors import LspsError
from lsps.node.contract import NodeError, SignedTransaction
from lsps.node.simulated.lightning_node import LightningNode
from lsps.store.orders import StoreUnavailable
from lsps.store.sqlite.journal import SqliteJournal, open_journal
from lsps.store.sqlite.writer import InlineWriter, Job
from lsps.units import NodeId, Sat, Scid
from tests.simulation.clock import SimulatedClock
from tests.simulation.loop import SimulatedLoop
from tests.simulation.process import Process
from tests.simulation.witness import PayersNode

T = TypeVar("T")

MAX_FEE = Sat(1_000_000)
PATIENCE = Patience(longest_poll=120)
"""Blocks are waited for over hours: each look takes long to play."""

_ASKED_FOR = StoreUnavailable("the disk reports an error (which the simulation asked for)")

_CLOCK_RULES = frozenset({"invoice_expired", "onchain_expired"})
"""What a customer may see of an honest LSP while their clocks differ."""


@dataclass(frozen=True, slots=True)
class Extension:
    """A wish. `blocks` is no other wish's, so that what is paid for it can be told from what is paid for another."""

    scid: Scid
    blocks: int
    token: str | None
    pay_with: PayWith

    async def fulfil(self, client: Client, lsp: str) -> None:
        await client.lsp(lsp).lsps7.extend(
            self.scid, blocks=self.blocks, max_fee=MAX_FEE, token=self.token, pay_with=self.pay_with
        )

    def __str__(self) -> str:
        return f"extend {self.scid} by {self.blocks} blocks{_how(self)}"


@dataclass(frozen=True, slots=True)
class Purchase:
    """A wish for a new channel; `blocks` as above."""

    balance: Sat
    client_balance: Sat
    blocks: int
    zero_conf: bool
    token: str | None
    pay_with: PayWith

    async def fulfil(self, client: Client, lsp: str) -> None:
        await client.lsp(lsp).lsps1.buy(
            lsp_balance=self.balance,
            client_balance=self.client_balance,
            expiry_blocks=self.blocks,
            zero_conf=self.zero_conf,
            token=self.token,
            max_fee=MAX_FEE,
            pay_with=self.pay_with,
        )

    def __str__(self) -> str:
        kind = "a 0-conf channel" if self.zero_conf else "a channel"
        return f"buy {kind} of {self.balance} sat and {self.client_balance} for {self.blocks} blocks{_how(self)}"


Wish = Extension | Purchase


def _how(wish: Wish) -> str:
    paid = ", paid on-chain" if wish.pay_with is PayWith.ONCHAIN else ""
    return f"{f' with token {wish.token}' if wish.token else ''}{paid}"


class Watcher(Protocol):
    """Told of what customers do with money, and how each of their wishes ends."""

    def on_publish(self, wallet: Wallet, transaction: SignedTransaction) -> None: ...

    def is_under_way(self, wallet: Wallet, wish: Wish) -> bool: ...

    def on_end(self, wallet: Wallet, wish: Wish, error: LspsError | None) -> None: ...


@dataclass
class Wallet:
    """`unfulfilled` are the wishes that are in work, or that it must look after again; `found` is told what no customer
    of an honest LSP should ever see."""

    loop: SimulatedLoop
    name: str
    node: LightningNode
    lsp: NodeId
    lsp_address: str
    path: Path
    clock: SimulatedClock
    random: Random
    found: Callable[[str, str], None]
    watcher: Watcher
    wishes: list[Wish] = field(default_factory=list)
    unfulfilled: dict[Wish, int] = field(default_factory=dict)
    """With what `closings` was when it was wished for."""
    closings: int = 0
    """How many of its channels were closed: what was bought may be gone before it is seen."""
    fail_before: int = 0
    """So many changes of its journal are not written, and its client told so."""
    fail_after: int = 0
    """So many are written although its client is told that they are not."""

    def __post_init__(self) -> None:
        self._process: Process | None = None

    def start(self) -> None:
        """Does nothing while it runs. It takes up what it had not finished."""
        if self._process is not None:
            return
        self._process = Process(self.loop, self.name)
        self._way = PayersNode(self.node, lambda transaction: self.watcher.on_publish(self, transaction))
        self._journal: SqliteJournal = open_journal(self.path)
        self._journal._connection.execute("PRAGMA synchronous = OFF")
        self._journal._writer = _FailingWriter(self, self._journal._connection, self.path)
        self._client: asyncio.Future[Client] = self.loop.create_future()
        self._process.start(self._run(self._client), self.name)
        for wish in list(self.unfulfilled):
            self._process.start(self._fulfil(wish), f"{self.name}'s purchase")

    def kill(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        self.loop.finish_now(self._way.close())
        process.kill()
        self.loop.finish_now(self._journal.close())

    def wish_for(self, wish: Wish) -> None:
        self.wishes.append(wish)
        self.unfulfilled[wish] = self.closings
        if self._process is not None:
            self._process.start(self._fulfil(wish), f"{self.name}'s purchase")

    async def _run(self, started: asyncio.Future[Client]) -> None:
        async with Client(self._way, self._journal, self.clock, self.random.randbytes, patience=PATIENCE) as client:
            started.set_result(client)
            await self.loop.create_future()

    async def _fulfil(self, wish: Wish) -> None:
        client, closings = await asyncio.shield(self._client), self.unfulfilled[wish]
        address = f"{self.lsp}@{self.lsp_address}"
        end: LspsError | None = None
        while True:
            try:
                await wish.fulfil(client, address)
            except PaidNotDelivered:
                pass  # the same call again goes on from there
            except NotDelivered as error:
                end = error
                if self.closings == closings:
                    self.found("delivered as sold", f"{self.name} wanted to {wish}, and sees: {error}")
                break
            except RuleViolated as error:
                end = error
                if not all(violation.rule in _CLOCK_RULES for violation in error.violations):
                    self.found("the client finds no fault", f"{self.name} wanted to {wish}, and sees: {error}")
                break
            except ClientRejected as error:  # not now: what is paid is not given up for that
                if not self.watcher.is_under_way(self, wish):
                    end = error
                    break
            except (PaymentNotMade, LspRefused, StoppedBeforePaying) as error:
                end = error
                break
            except (Unreachable, NodeError, StoreUnavailable):
                pass  # a person tries again a while later
            else:
                break
            await self.clock.sleep(60)
        self.unfulfilled.pop(wish, None)
        self.watcher.on_end(self, wish, end)


class _FailingWriter(InlineWriter):
    def __init__(self, wallet: Wallet, connection: sqlite3.Connection, path: Path) -> None:
        super().__init__(connection, path)
        self._wallet = wallet

    async def run(self, job: Job[T]) -> T:
        wallet = self._wallet
        if wallet.fail_before:
            wallet.fail_before -= 1
            raise _ASKED_FOR
        result = await super().run(job)
        if wallet.fail_after:
            wallet.fail_after -= 1
            raise _ASKED_FOR
        return result
