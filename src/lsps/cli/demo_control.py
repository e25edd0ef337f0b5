"""The LSP's process of `lsps demo`, seen from the wallet's: started, told what to do, and ended.

It is told by lines of JSON on its standard input, and answers each on its standard output. Its input is also its
lifeline: at the end of it the process ends, and removes its directory, however the wallet's process came to its end.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from lsps.errors import LspsError

MODULE = "lsps.cli.demo_lsp"
READY_SECONDS = 20.0
END_SECONDS = 5.0
_LAST_WORD_SECONDS = 0.5

T = TypeVar("T")


class Ready(msgspec.Struct, frozen=True):
    """`lsp`: PUBKEY@HOST:PORT, where it listens. `node`, `identity`: URLs of the wallet's half of the world, and of the
    key that it speaks with. `store` is the LSP's."""

    lsp: str
    node: str
    identity: str
    store: str


class Mine(msgspec.Struct, frozen=True, tag=True):
    """Put a block on the chain."""


class Arm(msgspec.Struct, frozen=True, tag=True):
    """Kill the service when it passes this failpoint."""

    failpoint: str


class AwaitKill(msgspec.Struct, frozen=True, tag=True):
    """Answered once it is dead."""


class StartAgain(msgspec.Struct, frozen=True, tag=True):
    """Answered once it serves again."""


Command = Mine | Arm | AwaitKill | StartAgain


class LspProcessEnded(LspsError):
    """The demo cannot go on without it."""


class NoDirectory(LspsError):
    """There is no place for the demo's files."""


class LspProcess:
    """`directory` holds all files, of both processes."""

    def __init__(
        self, process: asyncio.subprocess.Process, ready: Ready, ended: asyncio.Task[int], directory: Path
    ) -> None:
        self.ready = ready
        self.directory = directory
        self.pid = process.pid
        self._process = process
        self._ended = ended
        self._commands = asyncio.Lock()

    async def mine(self) -> None:
        await self._command(Mine())

    async def arm(self, failpoint: str) -> None:
        await self._command(Arm(failpoint))

    async def killed(self) -> None:
        await self._command(AwaitKill())

    async def start_again(self) -> None:
        await self._command(StartAgain())

    async def while_it_lives(self, work: Coroutine[Any, Any, T]) -> T:
        """Raises LspProcessEnded when the process ends before the work, whatever the work makes of that."""
        working = asyncio.create_task(work)
        try:
            await asyncio.wait({working, self._ended}, return_when=asyncio.FIRST_COMPLETED)
            if working.done() and not working.cancelled() and working.exception() is not None:
                await asyncio.wait({self._ended}, timeout=_LAST_WORD_SECONDS)
            if self._ended.done():
                raise LspProcessEnded(_how_it_ended(self.pid, self._ended.result()))
            return await working
        finally:
            working.cancel()
            await asyncio.gather(working, return_exceptions=True)

    async def _command(self, command: Command) -> None:
        if self._process.stdin is None or self._process.stdout is None:
            raise LspProcessEnded("the LSP's process was started without pipes")
        async with self._commands:
            self._process.stdin.write(msgspec.json.encode(command) + b"\n")
            if not await self._process.stdout.readline():
                raise LspProcessEnded(_how_it_ended(self.pid, await self._process.wait()))


@asynccontextmanager
async def lsp_process() -> AsyncIterator[LspProcess]:
    """The process, serving; ended, and its files removed, at the end of the block. Raises LspProcessEnded, NoDirectory.

    Both processes know the directory from the first, so whichever of them is killed, the other one removes it."""
    try:
        directory = Path(tempfile.mkdtemp(prefix="lsps-demo-"))  # mode 0700
    except OSError as error:
        raise NoDirectory(f"the demo needs a directory for its files, and there is none: {error}") from error
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", MODULE, str(directory)),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        start_new_session=True,  # ^C is for this process, which ends that one in order
    )
    ended = asyncio.create_task(process.wait())
    try:
        yield LspProcess(process, await _ready(process), ended, directory)
    finally:
        try:
            await _end(process)
        finally:
            ended.cancel()
            shutil.rmtree(directory, ignore_errors=True)


async def _ready(process: asyncio.subprocess.Process) -> Ready:
    line = b""
    with suppress(TimeoutError):
        async with asyncio.timeout(READY_SECONDS):
            line = b"" if process.stdout is None else await process.stdout.readline()
            if not line:
                raise LspProcessEnded(_how_it_ended(process.pid, await process.wait()))
    if not line:
        raise LspProcessEnded(f"the LSP's process (pid {process.pid}) was not ready within {READY_SECONDS:g} seconds")
    return msgspec.json.decode(line, type=Ready)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.stdin is not None:
        process.stdin.close()
    try:
        async with asyncio.timeout(END_SECONDS):
            await process.wait()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def _how_it_ended(pid: int, code: int) -> str:
    how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    return f"the LSP's process (pid {pid}) ended by itself, {how}: the demo stops here"
