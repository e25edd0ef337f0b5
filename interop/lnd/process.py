"""A long-running program under test: its output in a file, ended by its pid, never outliving the test run."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

TETHER = Path(__file__).parent / "tether.py"


class ProcessError(Exception):
    """A program under test ended, or did not do in time what was waited for; the text ends with the tail of its log."""


class Process:
    """One program; may be started, stopped and started again. Not bound to an event loop, so fixtures may share it.

        serve = Process("serve", [lsps, "serve", "--config", path], log=directory / "serve.log")
        serve.start(); ...; await serve.kill(); serve.start(); ...; await serve.stop()

    `log` is appended to, over all starts, standard output and standard error together. Start it from a thread that
    lives as long as the program shall live: the kernel ends the program with the thread that started it.
    """

    def __init__(
        self, name: str, command: list[str | Path], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.command = [str(part) for part in command]
        self.log = log
        self.environment = dict(environment) if environment is not None else None
        self._popen: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The pid while it runs."""
        return self._popen.pid if self._popen is not None and self._popen.poll() is None else None

    @property
    def running(self) -> bool:
        """True from start() until it ended, by itself or by us."""
        return self.pid is not None

    @property
    def returncode(self) -> int | None:
        """Exit code of the last run (negative: the signal that ended it); None while it runs or before any start."""
        return self._popen.poll() if self._popen is not None else None

    def start(self) -> None:
        """Starts it and returns at once; raises ProcessError if it runs already."""
        if self.running:
            raise ProcessError(f"{self.name} runs already, pid {self.pid}")
        with self.log.open("ab") as output:
            # A session of its own: ^C reaches the test run alone, which then ends its programs in order.
            self._popen = subprocess.Popen(
                [sys.executable, "-S", "-E", str(TETHER), str(os.getpid()), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=self.environment,
                start_new_session=True,
            )

    async def stop(self, timeout: float = 20) -> None:
        """SIGTERM, and SIGKILL if it still runs after `timeout` seconds; returns when it has ended."""
        await self.signal(signal.SIGTERM, timeout)
        await self.kill()

    async def kill(self) -> None:
        """SIGKILL; returns when it has ended. Harmless if it does not run."""
        await self.signal(signal.SIGKILL, 10)

    async def signal(self, number: signal.Signals, timeout: float) -> None:
        """Sends a signal and waits up to `timeout` seconds for the end; harmless if it does not run."""
        if self._popen is None or self._popen.poll() is not None:
            return
        self._popen.send_signal(number)
        deadline = time.monotonic() + timeout
        while self._popen.poll() is None and time.monotonic() < deadline:  # noqa: ASYNC110 - no event tells of the end
            await asyncio.sleep(0.02)

    def end_now(self) -> None:
        """SIGKILL without an event loop: for the last resort of a clean-up."""
        if self._popen is not None and self._popen.poll() is None:
            self._popen.kill()
            self._popen.wait()

    def tail(self, lines: int = 30) -> str:
        """The end of the log."""
        if not self.log.exists():
            return "(no log)"
        return "\n".join(line[:300] for line in self.log.read_text(errors="replace").splitlines()[-lines:])

    async def until(self, what: str, holds: Callable[[], Awaitable[bool]], timeout: float = 60) -> None:
        """Waits until `holds()`; raises ProcessError with the log's tail if the program ends or time is up first."""
        deadline = time.monotonic() + timeout
        while not await holds():
            if not self.running:
                raise ProcessError(f"{self.name} ended (exit code {self.returncode}) before {what}\n{self.tail()}")
            if time.monotonic() > deadline:
                raise ProcessError(f"{self.name}: not {what} within {timeout:.0f} s\n{self.tail()}")
            await asyncio.sleep(0.1)
