"""`lsps demo`: the whole story on simulated nodes, in seconds. Nothing of it leaves the process."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from lsps.cli import words
from lsps.cli.output import table
from lsps.client.client import Client
from lsps.client.errors import OptionMismatch, StoppedBeforePaying
from lsps.client.lsp import Lsp
from lsps.client.terms import Progress, Step
from lsps.failpoints import Failpoint
from lsps.node.contract import Channel, require
from lsps.service.offer import ExtensionOffer, Unleased
from lsps.store.sqlite.opening import open_order_store_read_only
from lsps.testing import OFFER, LspNetwork, network
from lsps.units import BlockHeight, Sat, Scid

MONTH = 4_320
"""Blocks in 30 days."""
SEED = 7
CHANNEL = Sat(2_000_000)
BOUGHT = Sat(1_000_000)
MAX_FEE = Sat(20_000)


class ProcessKilled(asyncio.CancelledError):
    """What a SIGKILL is to a task: nothing after it runs. (The tests kill real processes.)"""


class Demo:
    def __init__(self, net: LspNetwork, store: Path, out: Console) -> None:
        self._net = net
        self._store = store
        self._out = out
        self._wallet: Client = net.clients[0]
        self._lsp: Lsp = self._wallet.lsp(net.lsp_address)
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
        self._say(f"An LSP serves on a simulated node; its orders are in SQLite: [cyan]{self._store}[/]")
        protocols = await self._lsp.lsps0.list_protocols()
        spoken = ", ".join(f"LSPS{number}" for number in protocols)
        info = await self._lsp.lsps1.get_info()
        self._say(
            f"The wallet asks what it speaks: [green]{spoken}[/]; it sells channels from "
            f"{words.sat(info.min_initial_lsp_balance_sat)} to {words.sat(info.max_initial_lsp_balance_sat)}."
        )

    async def _open_own_channel(self) -> Scid:
        self._title("The wallet opens a channel itself: no lease on it")
        nodes = self._net.nodes
        channel = await nodes.open_channel(nodes.clients[0], nodes.lsp, CHANNEL, private=True)
        scid = _scid(channel)
        self._say(f"Channel [cyan]{scid}[/], {words.sat(CHANNEL)}. The LSP owes it nothing, and may close it any day.")
        return scid

    async def _buy(self) -> Scid:
        self._title("The wallet buys a channel (LSPS1)")
        self._command(f"lsps buy --lsp-balance {BOUGHT} --expiry-blocks {MONTH} --lsp …")
        result = await self._lsp.lsps1.buy(
            lsp_balance=BOUGHT, expiry_blocks=MONTH, max_fee=MAX_FEE, on_progress=self._progress
        )
        self._net.nodes.mine()
        scid = _scid(await self._own_channel(result.channel))
        # The lease counts from the confirmation, which the LSP's own node tells it a moment later.
        while await self._expiry(scid) != BlockHeight(scid.block + MONTH):
            await self._net.nodes.clock.sleep(0.01)
        self._say(
            f"{words.sat(BOUGHT)} of inbound liquidity in channel [cyan]{scid}[/], leased for {words.blocks(MONTH)}."
        )
        return scid

    async def _extend(self, scid: Scid) -> None:
        self._title("The wallet extends the lease (LSPS7)")
        before = await self._expiry(scid)
        self._command(f"lsps extend {scid} {MONTH} --max-fee-sat 5000 --lsp …")
        await self._lsp.lsps7.extend(scid, blocks=MONTH, max_fee=Sat(5_000), on_progress=self._progress)
        self._before_and_after(before, await self._expiry(scid))

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
        await self._net.lsp.stop()
        dead = asyncio.Event()
        await self._net.lsp.start(_kill_at("settle_invoice.before", dead))
        before = await self._expiry(scid)
        self._command(f"lsps extend {scid} {MONTH} --max-fee-sat {MAX_FEE} --lsp …")
        extending = asyncio.create_task(
            self._lsp.lsps7.extend(scid, blocks=MONTH, max_fee=MAX_FEE, on_progress=self._progress)
        )
        await asyncio.wait({extending, asyncio.create_task(dead.wait())}, return_when=asyncio.FIRST_COMPLETED)
        await self._net.lsp.stop()
        self._say("[red]✗[/] killed: the payment is held, the lease is extended in SQLite, the invoice is not settled")
        self._say("[green]↻[/] started again: it finds in its store what is left to do, and does it")
        await self._net.lsp.start()
        await extending
        self._before_and_after(before, await self._expiry(scid))

    async def _order_book(self) -> None:
        self._title("The LSP's order book")
        store = open_order_store_read_only(self._store, self._net.nodes.lsp.node_id)
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
        tip = self._net.nodes.world.chain.height
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

    async def _own_channel(self, wanted: Channel | None) -> Channel:
        channels = await require(self._wallet.node.channels, "channels").list()
        return next(channel for channel in channels if wanted is not None and channel.channel_id == wanted.channel_id)

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

    def _before_and_after(self, before: BlockHeight, after: BlockHeight) -> None:
        tip = self._net.nodes.world.chain.height
        self._say(f"Before: {words.expiry(before, tip)}. Now: [green]{words.expiry(after, tip)}[/].")


def _kill_at(place: str, dead: asyncio.Event) -> Failpoint:
    def fail(name: str) -> None:
        if name == place:
            dead.set()
            raise ProcessKilled(name)

    return fail


def _scid(channel: Channel) -> Scid:
    if channel.scid is None:
        raise ValueError("the channel has no confirmation yet")
    return channel.scid


async def tell(out: Console, directory: Path) -> None:
    """The story, told to `out`; the SQLite files are in `directory`."""
    offer = replace(OFFER, lsps7=ExtensionOffer(extend_unleased_channels=Unleased.PEER_OPENED))
    async with network(clients=1, seed=SEED, offer=offer, directory=directory) as net:
        await Demo(net, directory / "lsp.db", out).run()


def main(_arguments: Sequence[str] = ()) -> int:
    out = Console(soft_wrap=True)
    with tempfile.TemporaryDirectory(prefix="lsps-demo-") as directory:
        asyncio.run(tell(out, Path(directory)))
    return 0
