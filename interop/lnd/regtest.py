"""A private Lightning network on this machine: one btcd, some lnds, all on 127.0.0.1, all ended at the end.

    async with Regtest(directory, [NodeSpec("lsp", LSP_FLAGS), NodeSpec("alice")]) as net:
        lsp, alice = net["lsp"], net["alice"]
        channel_point = await net.open_channel(lsp, alice, 1_000_000, push=400_000)

btcd mines only to addresses it was given at its start, and lnd needs a chain to make an address; and an lnd whose btcd
restarts takes minutes to come back. So: start all, take an address of each, stop all, start btcd with these addresses,
mine, start the lnds.
"""

import asyncio
import contextlib
import secrets
import socket
import time
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from interop.lnd.btcd import Btcd
from interop.lnd.build import binaries
from interop.lnd.node import LncliError, Node, NodeSpec
from interop.lnd.process import Process, ProcessError

# btcd's regtest has no segwit before block ~432, and a mined output may be spent after 100 blocks.
FIRST_BLOCKS = 560
ANNOUNCED = 6  # confirmations before a channel is announced (BOLT 7)
FINAL = 6  # confirmations after which lnd takes any closing as final
PORTS = range(15_000, 32_000)  # below what Linux, macOS and the BSDs use for outgoing connections


class Regtest:
    """The network. Nodes are taken by name: `net["alice"]`. Its methods work from any event loop, one at a time."""

    def __init__(self, directory: Path, specs: Iterable[NodeSpec], programs: Path | None = None) -> None:
        self.directory = directory
        self._programs = programs or binaries()
        self._ports: set[int] = set()
        listen, rpc = self._free_port(), self._free_port()
        self.btcd = Btcd(self._programs, directory / "btcd", listen, rpc)
        self.nodes: dict[str, Node] = {}
        for spec in specs:
            self._create(spec)

    def __getitem__(self, name: str) -> Node:
        return self.nodes[name]

    def _create(self, spec: NodeSpec) -> Node:
        listen, rpc = self._free_port(), self._free_port()
        node = Node(self._programs, spec, self.directory / spec.name, self.btcd, listen, rpc)
        self.nodes[spec.name] = node
        return node

    def _free_port(self) -> int:
        """A port of 127.0.0.1 that nobody listens on now, and that was not given before.

        Not one that the system would draw: it gives those to outgoing connections too, of which the nodes make many,
        and one of them could take the port before its node listens on it, or while that is restarted.
        """
        while True:
            port = secrets.choice(PORTS)
            with socket.socket() as probe, contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                if port not in self._ports:
                    self._ports.add(port)
                    return port

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            self.end_now()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Starts all; returns when every node is funded (some hundred mined outputs each) and synced."""
        nodes = list(self.nodes.values())
        await self.btcd.start()
        await asyncio.gather(*(node.start_wallet() for node in nodes))
        addresses = await asyncio.gather(*(node.new_address() for node in nodes))
        await asyncio.gather(*(node.stop() for node in nodes))
        await self.btcd.stop()
        await self.btcd.start(addresses)
        await self.btcd.generate(FIRST_BLOCKS)
        await asyncio.gather(*(node.start() for node in nodes))
        await self._all_synced()

    async def stop(self) -> None:
        """Ends every node, then btcd; what does not end in time is killed."""
        try:
            await asyncio.gather(*(node.stop() for node in self.nodes.values()))
            await self.btcd.stop()
        finally:
            self.end_now()

    def end_now(self) -> None:
        """Kills whatever still runs."""
        for process in self.processes():
            process.end_now()

    def processes(self) -> list[Process]:
        """All programs of this network, for their logs and pids."""
        return [self.btcd.process, *(node.process for node in self.nodes.values())]

    def log_tails(self, lines: int = 30) -> str:
        """The end of every log, for a failing test's report."""
        return "\n".join(f"--- {process.log}\n{process.tail(lines)}" for process in self.processes())

    async def add(self, spec: NodeSpec, funds: int = 0) -> Node:
        """One more node, started and synced, with `funds` sat from the first node's wallet (0: an empty wallet)."""
        node = self._create(spec)
        await node.start()
        if funds:
            await self.fund(node, funds)
        await node.wait_synced()
        return node

    async def remove(self, node: Node) -> None:
        """Ends a node for good: the network goes on without it."""
        await node.stop()
        node.process.end_now()
        del self.nodes[node.name]

    async def fund(self, node: Node, sat: int) -> None:
        """Sends `sat` to the node from the first node's wallet, confirmed once."""
        bank = next(iter(self.nodes.values()))
        before = await node.confirmed_balance()
        await bank.lncli("sendcoins", "--force", f"--addr={await node.new_address()}", f"--amt={sat}")
        await self.mine(1)

        async def arrived() -> bool:
            return await node.confirmed_balance() >= before + sat

        await eventually(f"{node.name} has {sat} sat more", arrived)

    async def mine(self, blocks: int = 1) -> int:
        """Mines, waits until every running node has seen it, and returns the new height."""
        await self.btcd.generate(blocks)
        await self._all_synced()
        return await self.btcd.height()

    async def take_back(self, blocks: int = 1) -> int:
        """A reorganisation: the newest blocks are no more, and what was in them waits again. Returns the new height
        when every running node has seen it. The blocks mined next are others."""
        height = await self.btcd.disconnect(blocks)

        async def seen() -> bool:
            running = [node for node in self.nodes.values() if node.process.running]
            return all([(await node.lncli("getinfo"))["block_height"] == height for node in running])

        await eventually(f"every node is back at block {height}", seen)
        return height

    async def _all_synced(self) -> None:
        await asyncio.gather(*(node.wait_synced() for node in self.nodes.values() if node.process.running))

    async def connect(self, one: Node, other: Node) -> None:
        """Connects `one` to `other`, and returns when both list each other; harmless if they are connected."""

        async def connected() -> bool:
            try:
                await one.lncli("connect", "--timeout=10s", other.uri)
            except LncliError as error:
                # A node that has just started may not take connections yet, or drop one of two crossing ones.
                if "already connected" not in str(error):
                    return False
            return other.node_id in await one.peers() and one.node_id in await other.peers()

        await eventually(f"{one.name} and {other.name} are connected", connected)

    async def open_channel(
        self, one: Node, other: Node, sat: int, push: int = 0, *, private: bool = False, flags: Iterable[str] = ()
    ) -> str:
        """Opens a channel of `sat` from `one` to `other`, mines, and returns its funding outpoint `TXID:INDEX`.

        Returns when both nodes can pay through it; a public one has the confirmations to be announced by then.
        """
        await self.connect(one, other)
        opened = await one.lncli(
            "openchannel",
            f"--node_key={other.node_id}",
            f"--local_amt={sat}",
            f"--push_amt={push}",
            *(["--private"] if private else []),
            *flags,
        )
        txid = str(opened["funding_txid"])
        await self.in_mempool(txid)
        pending = (await one.lncli("pendingchannels"))["pending_open_channels"]
        points = [str(each["channel"]["channel_point"]) for each in pending]
        channel_point = next(point for point in points if point.startswith(f"{txid}:"))
        await self.mine(1)
        await self.wait_active(channel_point, one, other)
        if not private:
            await self.mine(ANNOUNCED - 1)
        return channel_point

    async def wait_active(self, channel_point: str, *nodes: Node) -> None:
        """Waits until each of the nodes lists the channel as active and can pay through it."""

        async def active() -> bool:
            return all([await node.can_use(channel_point) for node in nodes])

        await eventually(f"channel {channel_point} is active", active)

    async def in_mempool(self, txid: str) -> None:
        """Waits until btcd has the transaction, so that the next block holds it."""

        async def there() -> bool:
            return txid in await self.btcd.mempool()

        await eventually(f"transaction {txid} is in the mempool", there)

    async def pay(self, payer: Node, invoice: str, *flags: str) -> dict[str, Any]:
        """Pays a BOLT11 invoice and returns the finished payment, `status` SUCCEEDED or FAILED. With a hold invoice it
        returns only when that is settled or cancelled: run it as a task."""
        try:
            payment = await payer.lncli("payinvoice", "--force", "--json", *flags, invoice)
        except LncliError:
            digest = (await payer.lncli("decodepayreq", invoice))["payment_hash"]
            listed = (await payer.lncli("listpayments", "--include_incomplete"))["payments"]
            payment = next((each for each in listed if each["payment_hash"] == digest), None)
            if payment is None or payment["status"] != "FAILED":
                raise
        return dict(payment)

    async def close_channel(self, node: Node, other: Node, channel_point: str, *, force: bool = False) -> None:
        """Closes the channel from `node`, mines, and returns when neither node lists it as open, and, unless it is a
        forced one (whose outputs are locked for longer), both list it as closed."""
        txid, index = channel_point.split(":")
        closing = await node.lncli("closechannel", *(["--force"] if force else []), txid, index)
        await self.in_mempool(closing["closing_txid"])
        await self.mine(FINAL)

        async def closed() -> bool:
            for each in (node, other):
                if await each.channel(channel_point) is not None:
                    return False
                if not force and channel_point not in await each.closed_channels():
                    return False
            return True

        await eventually(f"channel {channel_point} is closed", closed)


async def eventually(what: str, holds: Callable[[], Awaitable[bool]], timeout: float = 60) -> None:
    """Waits until `holds()`; raises ProcessError naming `what` when `timeout` seconds have passed."""
    deadline = time.monotonic() + timeout
    while not await holds():
        if time.monotonic() > deadline:
            raise ProcessError(f"not within {timeout:.0f} s: {what}")
        await asyncio.sleep(0.1)
