"""The demo is the first thing anybody sees: it must tell its whole story, end well, and leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lsps.cli import demo_control
from lsps.cli.demo_control import LspProcessEnded, NoDirectory, lsp_process

SCENES = 9
SECONDS = 60

DOING = """
import io, os, signal, sys
from lsps.cli.main import main
from lsps.cli.shell import Shell

class Doing(io.TextIOWrapper):
    '''Standard output that does something to this process once these texts were told, one after another.'''
    waiting = {texts!r}
    told = ""
    def write(self, text):
        self.told += text
        written = super().write(text)
        if self.waiting and self.waiting[0] in text:
            self.waiting = self.waiting[1:]
            if not self.waiting:
                self.flush()
                {action}
        return written

sys.exit(main(["demo"], Shell(stdout=Doing(open(1, "wb", closefd=False), encoding="utf-8"))))
"""


@pytest.fixture(autouse=True)
def temporary_files(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Where temporary files go; a test must leave none. Its path is short, as a socket's must be."""
    tmp_path_factory.getbasetemp()  # pytest's own are elsewhere, also when a test of these is the first to need them
    with tempfile.TemporaryDirectory(prefix="t") as made:
        monkeypatch.setenv("TMPDIR", made)
        monkeypatch.setattr(tempfile, "tempdir", made)
        yield
        assert not list(Path(made).iterdir())


def demo(*, texts: list[str] | None = None, action: str = "pass") -> subprocess.CompletedProcess[str]:
    """`lsps demo` as a process in a group of its own; after it told the texts, the action is done in it."""
    program = ["-m", "lsps", "demo"] if texts is None else ["-c", DOING.format(texts=texts, action=action)]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, *program],
        capture_output=True, encoding="utf-8", timeout=SECONDS, check=False, start_new_session=True, env=environment,
    )  # fmt: skip


def lsp_pid(told: str) -> int:
    found = re.search(r"The LSP's process \(pid (\d+)\)", told)
    assert found, told
    return int(found[1])


def is_gone(pid: int) -> bool:
    """Ended; a process whose parent was killed may wait for another one to take note of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def until_gone(pid: int) -> None:
    end = time.monotonic() + SECONDS
    while not is_gone(pid):
        assert time.monotonic() < end, f"process {pid} is still there"
        time.sleep(0.01)


def test_the_story_is_told_to_its_end() -> None:
    """Two processes, every scene, both refusals; after the crash each order that was paid is completed exactly once."""
    result = demo()
    told = result.stdout
    assert (result.returncode, result.stderr) == (0, "")
    assert [f"\n{scene}. " in told for scene in range(1, SCENES + 1)] == [True] * SCENES
    assert lsp_pid(told) != int(re.findall(r"The wallet's \(pid (\d+)\)", told)[0])
    assert re.search(r"BOLT 8 over TCP: 0[23][0-9a-f]{64}@127\.0\.0\.1:\d+\n", told)
    assert "at most 43920 blocks can be added" in told
    assert "more than the limit of 100 sat: nothing was paid" in told
    assert told.index("killed: the payment is held") < told.index("started again") < told.index("8. In the end")
    assert re.findall(r"^[0-9a-f-]{36}  (LSPS\d)  (completed|[a-z ]*[a-z])  ", told, re.MULTILINE) == [
        ("LSPS1", "completed"),
        ("LSPS7", "completed"),
        ("LSPS7", "awaiting payment"),  # the one above the fee limit
        ("LSPS7", "completed"),
    ]


IN_MID_CRASH = ["7. The LSP is killed", "the LSP made order"]
"""The LSP's process has been told to answer once its service is dead, and it is not yet."""


@pytest.mark.parametrize("texts", [["3. The wallet buys"], IN_MID_CRASH], ids=["while buying", "in mid-crash"])
def test_an_interrupt_ends_both(texts: list[str]) -> None:
    """^C, which a terminal sends to the whole group, exits with 130: no process stays, no file, no traceback."""
    result = demo(texts=texts, action="os.killpg(0, signal.SIGINT)")
    assert (result.returncode, result.stderr) == (130, "")
    assert texts[-1] in result.stdout
    assert "9. " not in result.stdout
    assert is_gone(lsp_pid(result.stdout))


@pytest.mark.parametrize("texts", [["3. The wallet buys"], IN_MID_CRASH], ids=["while buying", "in mid-crash"])
def test_the_lsp_does_not_outlive_the_wallet(texts: list[str]) -> None:
    """When the wallet's process is killed, the LSP's ends by itself and removes all files."""
    result = demo(texts=texts, action="os.kill(os.getpid(), signal.SIGKILL)")
    assert result.returncode == -signal.SIGKILL
    until_gone(lsp_pid(result.stdout))


KILL_LSP = "os.kill(int(self.told.partition('(pid ')[2].partition(')')[0]), signal.SIGKILL)"


@pytest.mark.parametrize("texts", [["3. The wallet buys"], IN_MID_CRASH], ids=["while buying", "in mid-crash"])
def test_an_lsp_that_dies_is_told(texts: list[str]) -> None:
    """When the LSP's process is killed, the demo ends with 1 and one sentence that says so, and removes all files."""
    result = demo(texts=texts, action=KILL_LSP)
    said = f"lsps: the LSP's process (pid {lsp_pid(result.stdout)}) ended by itself, killed by SIGKILL"
    assert (result.returncode, result.stderr) == (1, f"{said}: the demo stops here.\n")


def test_a_reader_that_has_enough() -> None:
    """`lsps demo | head` exits as a command whose reader went, and leaves nothing behind."""
    result = demo(texts=["3. The wallet"], action="r, w = os.pipe(); os.close(r); os.dup2(w, 1)")
    assert (result.returncode, result.stderr) == (141, "")
    assert is_gone(lsp_pid(result.stdout))


async def test_work_ends_with_the_lsp() -> None:
    """When the LSP's process dies, what waits for it is cancelled, and later commands are refused."""
    cancelled = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with lsp_process() as process:
        os.kill(process.pid, signal.SIGKILL)
        with pytest.raises(LspProcessEnded, match=rf"pid {process.pid}\) ended by itself, killed by SIGKILL"):
            await process.while_it_lives(work())
        assert cancelled.is_set()
        with pytest.raises(LspProcessEnded, match="killed by SIGKILL"):
            await process.mine()


async def test_an_lsp_that_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the LSP's process ends before it serves, that is told, with its exit code."""
    monkeypatch.setattr(demo_control, "MODULE", "lsps.cli.no_such_module")
    with pytest.raises(LspProcessEnded, match="with exit code 1"):
        async with lsp_process():
            pytest.fail("there is no process")


async def test_without_a_temporary_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no file can be made, that is told."""
    with monkeypatch.context() as patched:
        patched.setattr(tempfile, "tempdir", "/no/such/directory")
        with pytest.raises(NoDirectory, match="No such file or directory: '/no/such/directory/lsps-demo-"):
            async with lsp_process():
                pytest.fail("it has no directory")


def other_module(monkeypatch: pytest.MonkeyPatch, directory: Path, program: str) -> None:
    """What is started in place of the LSP's process."""
    (directory / "another.py").write_text(program)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(directory), *filter(None, [os.environ.get("PYTHONPATH")])]))
    monkeypatch.setattr(demo_control, "MODULE", "another")


KILLED_AT_ONCE = """
import os, pathlib, signal, sys
(pathlib.Path(sys.argv[1]) / "lsp.db").touch()
os.kill(os.getpid(), signal.SIGKILL)
"""


async def test_an_lsp_that_is_killed_before_it_serves(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An LSP's process that is killed while it starts is told of, and what it wrote is removed."""
    other_module(monkeypatch, tmp_path, KILLED_AT_ONCE)
    with pytest.raises(LspProcessEnded, match="killed by SIGKILL"):
        async with lsp_process():
            pytest.fail("it is dead")


def test_an_lsp_whose_wallet_is_gone_before_it_serves() -> None:
    """An LSP's process that finds its input at the end when it starts ends at once, and removes the directory."""
    directory = tempfile.mkdtemp(prefix="lsps-demo-")
    command = [sys.executable, "-m", demo_control.MODULE, directory]
    result = subprocess.run(command, input="", capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    assert not Path(directory).exists()


async def test_an_lsp_that_takes_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the LSP's process is not ready in time, the demo gives up, and ends it."""
    monkeypatch.setattr(demo_control, "READY_SECONDS", 0)
    with pytest.raises(LspProcessEnded, match=r"pid \d+\) was not ready within 0 seconds"):
        async with lsp_process():
            pytest.fail("it cannot be ready")


async def test_an_lsp_that_does_not_end(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A process that does not end when its input does is killed."""
    other_module(monkeypatch, tmp_path, "import signal\nsignal.pause()\n")
    monkeypatch.setattr(demo_control, "READY_SECONDS", 0)
    monkeypatch.setattr(demo_control, "END_SECONDS", 0.1)
    with pytest.raises(LspProcessEnded, match="was not ready") as raised:
        async with lsp_process():
            pytest.fail("it is never ready")
    assert is_gone(int(re.findall(r"pid (\d+)", str(raised.value))[0]))
