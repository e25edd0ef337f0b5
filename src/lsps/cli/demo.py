"""`lsps demo`: the whole story on simulated nodes, in seconds. Nothing of it leaves the machine.

There are two processes. This one is the wallet's, and tells the story. The LSP's (demo_lsp.py) is its child; it hosts
the simulated world. The wallet reaches its half of that world, a node with money and channels, over a local socket, and
the LSP by BOLT 8 over TCP on the loopback interface, as any wallet reaches any LSP.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from rich.console import Console

from lsps.cli import words
from lsps.cli.demo_control import LspProcess, lsp_process
from lsps.cli.failures import DONE
from lsps.cli.output import table
from lsps.cli.shell import Shell
from lsps.client.client import Client
from lsps.client.errors import OptionMismatch, StoppedBeforePaying
from lsps.client.lsp import Lsp
from lsps.client.terms import Progress, Step
from lsps.clock import Clock, SystemClock
from lsps.compose import connect, open_node, open_store_read_only
from lsps.errors import LspsError
from lsps.node.contract import Channel, Node, OpenRequest, require
from lsps.node.overlay import WithMessages
from lsps.testing import QUICK
from lsps.units import BlockHeight, Outpoint, Sat, Scid

MONTH = 4_320
"""Blocks in 30 days."""
CHANNEL = Sat(2_000_000)
BOUGHT = Sat(1_000_000)
MAX_FEE = Sat(20_000)
FAILPOINT = "settle_invoice.before"


class Demo:
    def __init__(self, process: LspProcess, wallet: Client, clock: Clock, out: Console) -> None:
        self._process = process
        self._wallet = wallet
        self._clock = clock
        self._out = out
        self._lsp: Lsp = wallet.lsp(process.ready.lsp)
        self._scene = 0

    async def run(self) -> None:
        await self._meet()
        own = await self._open_own_channel()
        bought = await self._buy()
        await self._list("What may be extended")
        await self._extend(bought)
        await self._refusals(bought)
        await self._crash(own)
        await self._list("In the end")
        await self._order_book()
        self._say("\n[bold]Next:[/] `lsps --help`, and docs/lnd.md for a node of your own.")

    # --- scenes ---------------------------------------------------------------------------------------------------

    async def _meet(self) -> None:
        self._title("An LSP and a wallet")
        ready = self._process.ready
        self._say(
            f"The LSP's process (pid {self._process.pid}) serves on a simulated node; its orders are in SQLite: "
            f"[cyan]{ready.store}[/]"
        )
        self._say(
            f"The wallet's (pid {os.getpid()}) has a node on the same simulated chain, over a socket: "
            f"[cyan]{ready.node}[/]"
        )
        self._say(f"Between them, encrypted, BOLT 8 over TCP: [cyan]{ready.lsp}[/]")
        protocols = await self._lsp.lsps0.list_protocols()
        spoken = ", ".join(f"LSPS{number}" for number in protocols)
        info = await self._lsp.lsps1.get_info()
        self._say(
            f"The wallet asks what it speaks: [green]{spoken}[/]; it sells channels from "
            f"{words.sat(info.min_initial_lsp_balance_sat)} to {words.sat(info.max_initial_lsp_balance_sat)}."
        )

    async def _open_own_channel(self) -> Scid:
        self._title("The wallet opens a channel itself: no lease on it")
        wallet = require(self._wallet.node.wallet, "wallet")
        funding = await require(self._wallet.node.channels, "channels").open(
            OpenRequest(
                peer=self._lsp.node_id,
                capacity=CHANNEL,
                push=Sat(0),
                private=True,
                zero_conf=False,
                inputs=((await wallet.inputs())[0].outpoint,),
                sat_per_kw=await wallet.feerate(target_blocks=6),
                memo="",
            )
        )
        await self._process.mine()
        scid = _scid(await self._own_channel(funding))
        self._say(f"Channel [cyan]{scid}[/], {words.sat(CHANNEL)}. The LSP owes it nothing, and may close it any day.")
        return scid

    async def _buy(self) -> Scid:
        self._title("The wallet buys a channel (LSPS1)")
        self._command(f"lsps buy --lsp-balance {BOUGHT} --expiry-blocks {MONTH} --lsp …")
        result = await self._lsp.lsps1.buy(
            lsp_balance=BOUGHT, expiry_blocks=MONTH, max_fee=MAX_FEE, on_progress=self._progress
        )
        await self._process.mine()
        if result.channel is None:
            raise LspsError("the LSP says that it opened a channel, and the wallet's node has none")
        scid = _scid(await self._own_channel(result.channel.funding))
        # The lease counts from the confirmation, which the LSP's own node tells it a moment later.
        while await self._expiry(scid) != BlockHeight(scid.block + MONTH):
            await self._clock.sleep(0.01)
        self._say(
            f"{words.sat(BOUGHT)} of inbound liquidity in channel [cyan]{scid}[/], leased for {words.blocks(MONTH)}."
        )
        return scid

    async def _extend(self, scid: Scid) -> None:
        self._title("The wallet extends the lease (LSPS7)")
        before = await self._expiry(scid)
        self._command(f"lsps extend {scid} {MONTH} --max-fee-sat 5000 --lsp …")
        await self._lsp.lsps7.extend(scid, blocks=MONTH, max_fee=Sat(5_000), on_progress=self._progress)
        await self._before_and_now(before, scid)

    async def _refusals(self, scid: Scid) -> None:
        self._title("Two refusals, as a user meets them")
        self._command(f"lsps extend {scid} 60000 --max-fee-sat 50000 --lsp …")
        try:
            await self._lsp.lsps7.extend(scid, blocks=60_000, max_fee=Sat(50_000))
        except OptionMismatch as refused:
            self._say(f"[red]lsps: {refused}[/]")
        self._command(f"lsps extend {scid} {MONTH} --max-fee-sat 100 --lsp …")
        try:
            await self._lsp.lsps7.extend(scid, blocks=MONTH, max_fee=Sat(100))
        except StoppedBeforePaying as stopped:
            self._say(f"[red]lsps: {stopped}[/]")

    async def _crash(self, scid: Scid) -> None:
        self._title("The LSP is killed in the middle of a paid order")
        before = await self._expiry(scid)
        await self._process.arm(FAILPOINT)
        self._command(f"lsps extend {scid} {MONTH} --max-fee-sat {MAX_FEE} --lsp …")
        extending = asyncio.create_task(
            self._lsp.lsps7.extend(scid, blocks=MONTH, max_fee=MAX_FEE, on_progress=self._progress)
        )
        killed = asyncio.create_task(self._process.killed())
        try:
            done, _ = await asyncio.wait({extending, killed}, return_when=asyncio.FIRST_COMPLETED)
            if killed not in done:
                await extending
                raise LspsError(f"the LSP did not come to its failpoint {FAILPOINT}: nothing killed it")
            await killed
            self._say(
                "[red]✗[/] killed: the payment is held, the lease is extended in SQLite, the invoice is not settled\n"
                "  (the service, with all its connections; its process has the simulated chain in it too, and lives on)"
            )
            self._say("[green]↻[/] started again: it finds in its store what is left to do, and does it")
            await self._process.start_again()
            await extending
        finally:
            extending.cancel()
            killed.cancel()
            await asyncio.gather(extending, killed, return_exceptions=True)
        await self._before_and_now(before, scid)

    async def _order_book(self) -> None:
        self._title("The LSP's order book")
        store = open_store_read_only(f"sqlite://{self._process.ready.store}", Path(), self._lsp.node_id)
        orders = await store.newest_orders(None, 10)
        await store.close()
        book = table("order", "what", "state", "fee", numbers=["fee"])
        for order in reversed(orders):
            fee = "free" if order.bolt11 is None else words.sat(order.bolt11.fee_total)
            book.add_row(order.id, order.service.value, order.state.value, fee)
        self._out.print(book)

    # --- looking --------------------------------------------------------------------------------------------------

    async def _list(self, title: str) -> None:
        self._title(title)
        self._command("lsps leases --lsp …")
        listed = await self._lsp.lsps7.get_extendable_channels()
        tip = await self._tip()
        leases = table("channel", "lease ends", "may be extended by")
        for entry in listed:
            leases.add_row(
                str(entry.short_channel_id),
                words.expiry(entry.expiration_block, tip),
                words.blocks(entry.max_channel_extension_expiry_blocks),
            )
        self._out.print(leases)

    async def _expiry(self, scid: Scid) -> BlockHeight:
        listed = await self._lsp.lsps7.get_extendable_channels()
        ends = (entry.expiration_block for entry in listed if entry.short_channel_id == scid)
        return next(ends, BlockHeight(0))

    async def _own_channel(self, funding: Outpoint) -> Channel:
        channels = await require(self._wallet.node.channels, "channels").list()
        return next(channel for channel in channels if channel.funding == funding)

    async def _tip(self) -> BlockHeight:
        return (await self._wallet.node.info()).height

    # --- telling --------------------------------------------------------------------------------------------------

    def _title(self, text: str) -> None:
        self._scene += 1
        self._out.print(f"\n[bold]{self._scene}. {text}[/]")

    def _say(self, text: str) -> None:
        self._out.print(text, highlight=False)

    def _command(self, line: str) -> None:
        self._out.print(f"[dim]$ {line}[/]", highlight=False)

    def _progress(self, progress: Progress) -> None:
        if progress.step is not Step.VERIFYING:
            self._out.print(f"  [dim]·[/] {progress.text}", highlight=False)

    async def _before_and_now(self, before: BlockHeight, scid: Scid) -> None:
        now, tip = await self._expiry(scid), await self._tip()
        self._say(f"Before: {words.expiry(before, tip)}. Now: [green]{words.expiry(now, tip)}[/].")


def _scid(channel: Channel) -> Scid:
    if channel.scid is None:
        raise ValueError("the channel has no confirmation yet")
    return channel.scid


@asynccontextmanager
async def _closing(node: Node) -> AsyncIterator[Node]:
    try:
        yield node
    finally:
        await node.close()


async def _tell(process: LspProcess, out: Console) -> None:
    """The wallet: money and channels through the socket, messages over BOLT 8 with its node's own key."""
    clock, ready = SystemClock(), process.ready
    async with (
        _closing(open_node(ready.node, Path(), clock)) as node,
        _closing(open_node(ready.identity, Path(), clock)) as identity,
        connect(
            WithMessages(node, identity.messages),
            journal=process.directory / "wallet.db",
            clock=clock,
            patience=QUICK,
            environment={},
        ) as wallet,
    ):
        await Demo(process, wallet, clock, out).run()


async def run(_args: argparse.Namespace, shell: Shell) -> int:
    """Raises LspProcessEnded, NoDirectory."""
    out = Console(file=shell.stdout, soft_wrap=not shell.stdout.isatty())  # a file's lines are as long as they are
    async with lsp_process() as process:
        await process.while_it_lives(_tell(process, out))
    return DONE
