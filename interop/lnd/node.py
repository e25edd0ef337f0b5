"""One lnd on regtest and its lncli: what a test asks of a node, read from the node itself."""

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interop.lnd.btcd import PASSWORD, USER, Btcd
from interop.lnd.process import Process

FLAGS = (
    "--noseedbackup",
    "--norest",
    "--nobootstrap",
    "--logging.file.disable",  # its standard output goes to lnd.log
    "--bitcoin.regtest",
    "--bitcoin.node=btcd",
    "--bitcoin.defaultchanconfs=1",
    "--maxpendingchannels=5",
    "--trickledelay=50",
    "--gossip.sub-batch-delay=10ms",
    "--db.batch-commit-interval=10ms",  # half a second by default, in which a peer's channel_update can be lost
    "--minbackoff=500ms",  # a restarted peer is found again quickly
    "--maxbackoff=2s",
    "--healthcheck.diskspace.attempts=0",  # lnd ends itself when the disk of the test machine is 90 % full
    "--protocol.option-scid-alias",
    "--protocol.zero-conf",
)
# What an LSP runs with: feature bit 729 (bLIP-50: an LSP SHOULD set it in init and node_announcement), room for many
# negotiations at once, and channels above 16,777,215 sat.
LSP_FLAGS = (
    "--protocol.custom-init=729",
    "--protocol.custom-nodeann=729",
    "--protocol.wumbo-channels",
    "--maxpendingchannels=50",
)


class LncliError(Exception):
    """lncli failed; the text is its own message, `output` what it printed before."""

    def __init__(self, text: str, output: str = "") -> None:
        super().__init__(text)
        self.output = output


@dataclass(frozen=True)
class CustomMessage:
    """A custom message as it arrived: the sender's node id, the type, and the bytes after the type."""

    peer: str
    type: int
    data: bytes


@dataclass(frozen=True)
class NodeSpec:
    """A node to start: its name (also its alias and directory) and flags beyond FLAGS."""

    name: str
    flags: Sequence[str] = ()


class Node:
    """One lnd, in `directory`, listening on 127.0.0.1 only. Ports stay the same over restarts."""

    def __init__(self, programs: Path, spec: NodeSpec, directory: Path, btcd: Btcd, listen: int, rpc: int) -> None:
        self.name = spec.name
        self.directory = directory
        self.rpc = f"127.0.0.1:{rpc}"
        self.address = f"127.0.0.1:{listen}"
        self.node_id = ""  # known after the first start
        self._lncli = str(programs / "lncli")
        self._btcd = btcd
        directory.mkdir(parents=True)
        command: list[str | Path] = [
            programs / "lnd",
            f"--lnddir={directory}",
            f"--alias={spec.name}",
            f"--listen={self.address}",
            f"--externalip={self.address}",
            f"--rpclisten={self.rpc}",
            f"--btcd.rpchost={btcd.rpc}",
            f"--btcd.rpcuser={USER}",
            f"--btcd.rpcpass={PASSWORD}",
            f"--btcd.rpccert={btcd.certificate}",
            *FLAGS,
            *spec.flags,
        ]
        self.process = Process(spec.name, command, log=directory / "lnd.log")

    @property
    def tls_cert(self) -> Path:
        """The certificate its RPC server shows."""
        return self.directory / "tls.cert"

    @property
    def admin_macaroon(self) -> Path:
        """The macaroon that may do everything; bake smaller ones with interop.lnd.macaroons."""
        return self.directory / "data" / "chain" / "bitcoin" / "regtest" / "admin.macaroon"

    @property
    def uri(self) -> str:
        """`NODE_ID@HOST:PORT`, as `--lsp` takes it."""
        return f"{self.node_id}@{self.address}"

    def url(self, macaroon: Path | None = None) -> str:
        """`lnd://HOST:PORT?tls_cert=…&macaroon=…`, as `--node` takes it; the admin macaroon unless told otherwise."""
        return f"lnd://{self.rpc}?tls_cert={self.tls_cert}&macaroon={macaroon or self.admin_macaroon}"

    async def start(self) -> None:
        """Starts it and waits until its server takes every call (it may still be syncing: see wait_synced)."""
        await self._start("SERVER_ACTIVE")
        self.node_id = (await self.lncli("getinfo"))["identity_pubkey"]

    async def start_wallet(self) -> None:
        """Starts it on a chain without blocks: its server never becomes active there, its wallet does."""
        await self._start("RPC_ACTIVE", "SERVER_ACTIVE")

    async def _start(self, *states: str) -> None:
        async def ready() -> bool:
            try:
                return (await self.lncli("state"))["state"] in states
            except LncliError:
                return False

        self.process.start()
        await self.process.until("ready", ready, timeout=120)

    async def stop(self) -> None:
        """Ends it in order."""
        await self.process.stop()

    async def kill(self) -> None:
        """SIGKILL, as when the power fails."""
        await self.process.kill()

    async def restart(self, *, kill: bool = False) -> None:
        """Stops (or kills) it, starts it again and waits until it is synced."""
        await (self.kill() if kill else self.stop())
        await self.start()
        await self.wait_synced()

    async def wait_synced(self, timeout: float = 60) -> None:
        """Waits until it has seen btcd's tip and says it is synced to the chain."""
        height = await self._btcd.height()

        async def synced() -> bool:
            info = await self.lncli("getinfo")
            return bool(info["synced_to_chain"] and info["block_height"] >= height)

        await self.process.until(f"synced to block {height}", synced, timeout)

    async def lncli(self, *arguments: str | int | Path) -> Any:
        """The answer of one lncli call: parsed JSON, or bare text if it prints something else. Raises LncliError."""
        child = await self._spawn(arguments, stderr=asyncio.subprocess.PIPE)
        try:
            output, error = await child.communicate()
        finally:
            _end(child)
        text = output.decode(errors="replace")
        if child.returncode != 0:
            said = error.decode(errors="replace").strip() or text.strip()
            raise LncliError(f"{self.name}: lncli {arguments[0]}: {said}", text)
        if text.startswith("NAME:"):  # its help, with exit code 0, for some calls it does not understand
            raise LncliError(f"{self.name}: lncli {arguments[0]}: it printed its help: the arguments are wrong", text)
        try:
            return json.loads(text)
        except ValueError:
            return text.strip()

    @contextlib.asynccontextmanager
    async def custom_messages(self) -> AsyncIterator[AsyncIterator[CustomMessage]]:
        """Messages that arrive: `async with node.custom_messages() as arrived: message = await anext(arrived)`.

        What comes before lnd has taken the subscription is not seen, and lncli does not say when it has.
        """
        child = await self._spawn(["subscribecustom"], stderr=asyncio.subprocess.DEVNULL)
        try:
            yield _custom_messages(child)
        finally:
            _end(child)
            await child.wait()

    async def _spawn(self, arguments: Sequence[str | int | Path], stderr: int) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            self._lncli,
            f"--lnddir={self.directory}",
            f"--rpcserver={self.rpc}",
            "--network=regtest",
            *(str(argument) for argument in arguments),
            limit=1 << 20,  # a custom message of 65 kB is a line of twice as many characters
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )

    async def channels(self) -> list[dict[str, Any]]:
        """Its open channels, as `lncli listchannels` gives them."""
        return list((await self.lncli("listchannels"))["channels"])

    async def channel(self, channel_point: str) -> dict[str, Any] | None:
        """Its view of the channel with that funding outpoint (`TXID:INDEX`), or None if it lists none."""
        return next((each for each in await self.channels() if each["channel_point"] == channel_point), None)

    async def can_use(self, channel_point: str) -> bool:
        """Whether it lists the channel as active and knows both sides' fees for it, without which it finds no route."""
        listed = await self.channel(channel_point)
        if listed is None or not listed["active"]:
            return False
        try:
            edge = await self.lncli("getchaninfo", f"--chan_point={channel_point}")
        except LncliError:
            return False  # not in its graph yet
        return bool(edge["node1_policy"] and edge["node2_policy"])

    async def closed_channels(self) -> set[str]:
        """The funding outpoints of its channels whose closing is final (3 to 6 confirmations)."""
        return {each["channel_point"] for each in (await self.lncli("closedchannels"))["channels"]}

    async def peers(self) -> set[str]:
        """The node ids of its connected peers."""
        return {peer["pub_key"] for peer in (await self.lncli("listpeers"))["peers"]}

    async def new_address(self) -> str:
        """A new on-chain address (p2wkh)."""
        return str((await self.lncli("newaddress", "p2wkh"))["address"])

    async def confirmed_balance(self) -> int:
        """What its wallet may spend, in sat."""
        return int((await self.lncli("walletbalance"))["confirmed_balance"])


def _end(child: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        if child.returncode is None:
            child.kill()


async def _custom_messages(child: asyncio.subprocess.Process) -> AsyncIterator[CustomMessage]:
    if child.stdout is None:
        raise LncliError("lncli was started without a pipe")
    async for line in child.stdout:
        found = re.search(rb"from peer ([0-9a-f]{66}): type=(\d+), data=([0-9a-f]*)", line)
        if found is not None:
            yield CustomMessage(found[1].decode(), int(found[2]), bytes.fromhex(found[3].decode()))
