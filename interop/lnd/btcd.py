"""A btcd on regtest: the chain that the nodes of a test share. It mines on command, to addresses given at its start."""

import asyncio
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from interop.lnd.empty_block import empty_block
from interop.lnd.process import Process

USER, PASSWORD = "regtest", "regtest"


class BtcctlError(Exception):
    """btcd refused a call, or is not there; the text is its own."""


class Btcd:
    """One btcd with its data, log and certificate in `directory`, listening on 127.0.0.1 only."""

    def __init__(self, programs: Path, directory: Path, listen: int, rpc: int) -> None:
        self.directory = directory
        self.certificate = directory / "rpc.cert"
        self.rpc = f"127.0.0.1:{rpc}"
        self._listen = f"127.0.0.1:{listen}"
        self._programs = programs
        directory.mkdir(parents=True)
        self._configuration = directory / "btcd.conf"  # empty, but btcctl wants one to exist
        self._configuration.touch()
        self.process = Process("btcd", self._command(()), log=directory / "btcd.log")

    def _command(self, mining_addresses: Sequence[str]) -> list[str | Path]:
        return [
            self._programs / "btcd",
            "--regtest",
            f"--configfile={self._configuration}",
            f"--datadir={self.directory / 'data'}",
            f"--logdir={self.directory / 'logs'}",
            f"--listen={self._listen}",
            f"--rpclisten={self.rpc}",
            f"--rpcuser={USER}",
            f"--rpcpass={PASSWORD}",
            f"--rpccert={self.certificate}",
            f"--rpckey={self.directory / 'rpc.key'}",
            "--rpcmaxclients=100",
            "--rpcmaxwebsockets=100",
            "--nodnsseed",
            "--txindex",
            *(f"--miningaddr={address}" for address in mining_addresses),
        ]

    async def start(self, mining_addresses: Sequence[str] = ()) -> None:
        """Starts it and waits until it answers. Blocks pay to one of `mining_addresses`, drawn at random."""
        self.process.command = [str(part) for part in self._command(mining_addresses)]
        self.process.start()
        await self.process.until("ready", self._answers)

    async def _answers(self) -> bool:
        try:
            await self.height()
        except BtcctlError:
            return False
        return True

    async def stop(self) -> None:
        """Ends it in order, so that all its blocks are on disk."""
        await self.process.stop()

    async def call(self, *arguments: str) -> Any:
        """btcctl's answer: parsed JSON, or the bare text where btcd answers with a string. Raises BtcctlError."""
        child = await asyncio.create_subprocess_exec(
            str(self._programs / "btcctl"),
            "--regtest",
            f"--configfile={self._configuration}",
            f"--rpcserver={self.rpc}",
            f"--rpcuser={USER}",
            f"--rpcpass={PASSWORD}",
            f"--rpccert={self.certificate}",
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        output, error = await child.communicate()
        if child.returncode != 0:
            raise BtcctlError(f"btcctl {' '.join(arguments)}: {error.decode(errors='replace').strip()}")
        try:
            return json.loads(output)
        except ValueError:
            return output.decode().strip()

    async def height(self) -> int:
        """Height of the tip in blocks."""
        return int(await self.call("getblockcount"))

    async def generate(self, blocks: int) -> None:
        """Mines `blocks` blocks at once. A transaction is in the first one if it has reached btcd by then."""
        await self.call("generate", str(blocks))

    async def generate_empty(self) -> None:
        """Mines one block without transactions, whatever waits."""
        tip = str(await self.call("getbestblockhash"))
        header = await self.call("getblockheader", tip)
        later = max(int(time.time()), header["time"] + 1)
        block = empty_block(tip, header["height"] + 1, later, int(header["bits"], 16))
        refused = await self.call("submitblock", block.hex())
        if refused:
            raise BtcctlError(f"btcd refused an empty block: {refused}")

    async def disconnect(self, blocks: int) -> int:
        """Makes the newest blocks invalid for good; returns the new height. Their transactions wait again."""
        height = await self.height() - blocks
        await self.call("invalidateblock", await self.call("getblockhash", str(height + 1)))
        return height

    async def mempool(self) -> list[str]:
        """The ids of the transactions that wait for a block."""
        return list(await self.call("getrawmempool"))
