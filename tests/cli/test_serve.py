"""`lsps serve`: starts, says where it serves, refuses what cannot be, stops cleanly."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from lsps.cli.shell import Shell
from lsps.clock import Clock, SystemClock
from lsps.compose import connect
from lsps.node.contract import NodeUnreachable
from lsps.service.service import Service
from lsps.testing import SimulatedNetwork, create_network
from tests.cli.terminal import Result, Terminal, run_in, until_shown

CONFIG = 'store = "sqlite://lsp.db"\n[lsps1]\n[lsps7]\n'


@pytest.fixture
async def net() -> AsyncIterator[SimulatedNetwork[Clock]]:
    """Nodes without LSP software on them."""
    clock: Clock = SystemClock()
    made = create_network(clock)
    yield made
    made.world.close()


def lsp_terminal(directory: Path, net: SimulatedNetwork[Clock], config: str = CONFIG) -> Terminal:
    (directory / "lsps.toml").write_text(config)
    return Terminal(directory, net.another(net.lsp))


class DidNotServe(Exception):
    """`lsps serve` ended before it served."""

    def __init__(self, result: Result) -> None:
        super().__init__(result)
        self.result = result


@asynccontextmanager
async def serving(shell: Shell, *argv: str) -> AsyncIterator[asyncio.Task[Result]]:
    """`lsps serve`, ready; stopped at the end if it is not already. Raises DidNotServe."""
    task = asyncio.create_task(run_in(shell, "serve", *argv))
    shown = asyncio.create_task(until_shown(shell, "serving"))
    try:
        await asyncio.wait({task, shown}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            raise DidNotServe(task.result())
        yield task
    finally:
        shown.cancel()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_serve_answers_and_stops_at_a_signal(
    tmp_path: Path, net: SimulatedNetwork[Clock], number: signal.Signals
) -> None:
    """SIGINT and SIGTERM must each end the service with exit code 0; until then customers are answered."""
    shell = lsp_terminal(tmp_path, net).shell()
    async with serving(shell) as task:
        async with connect(net.clients[0], journal=tmp_path / "client.db", environment={}) as client:
            assert await client.lsp(net.lsp.node_id).lsps0.list_protocols() == (1, 7)
        os.kill(os.getpid(), number)
        result = await task
    assert (result.code, result.out) == (0, "")
    lines = [line.split(" ", 2)[2] for line in result.err.splitlines()]
    assert lines[0].startswith(f"starting lsp={net.lsp.node_id} network=regtest height=")
    for field in ("protocols=LSPS1,LSPS7", "store=sqlite://lsp.db", f"config={tmp_path / 'lsps.toml'}"):
        assert field in lines[0]
    assert lines[1] == f"serving lsp={net.lsp.node_id} network=regtest"
    assert lines[-2:] == ["stopping", "stopped"]
    assert signal.getsignal(number) in {signal.SIG_DFL, signal.default_int_handler}  # a second ^C ends it at once


async def test_the_log_as_json(tmp_path: Path, net: SimulatedNetwork[Clock]) -> None:
    """--log-json must write one object a line."""
    shell = lsp_terminal(tmp_path, net).shell()
    async with serving(shell, "--log-json") as task:
        os.kill(os.getpid(), signal.SIGTERM)
        result = await task
    events = [json.loads(line) for line in result.err.splitlines()]
    assert events[0]["event"] == "starting"
    assert events[0]["lsp"] == str(net.lsp.node_id)


async def test_a_second_serve_on_the_same_store_is_refused(tmp_path: Path, net: SimulatedNetwork[Clock]) -> None:
    """One process serves a store; the second must say who does, and exit with 1."""
    terminal = lsp_terminal(tmp_path, net)
    async with serving(terminal.shell()):
        second = await terminal.run("serve")
        assert second.code == 1
        assert f"is being served by process {os.getpid()}" in second.err
        book = await terminal.run("orders", "--service", "--json")
        assert book.json == {"orders": [], "next_before": None}


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ("[lsps9]\n", "lsps9"),
        ("[lsps1]\nmin_required_channel_confirmations = 0\nsupports_zero_channel_reserve = true\n[lsps7]", "reserve"),
        ("[lsps1]\nmax_channel_balance_sat = 20_000_000\n", "lsps1.max_channel_balance_sat"),
        ('store = "postgresql://x"\n[lsps7]\n', "sqlite://"),
        ('[lsps7]\n[price]\nfunction = "nowhere_at_all:price"\n', "price.function"),
        ("", "[lsps1], [lsps7] or both"),
    ],
)
async def test_a_wrong_configuration_stops_the_start(
    tmp_path: Path, net: SimulatedNetwork[Clock], config: str, key: str
) -> None:
    """A configuration that cannot be served must exit with 2 and name the key; nothing is stored."""
    with pytest.raises(DidNotServe) as refused:
        async with serving(lsp_terminal(tmp_path, net, config).shell()):
            pass
    result = refused.value.result
    assert result.code == 2
    assert key in result.err
    assert "Traceback" not in result.err
    assert not list(tmp_path.rglob("*.db"))  # noqa: ASYNC240


async def test_serve_without_a_file(terminal: Terminal) -> None:
    """Without lsps.toml the error must say where one was looked for; a named one must be there."""
    result = await terminal.run("serve")
    assert result.code == 2
    assert str(terminal.directory / "lsps.toml") in result.err
    assert str(terminal.directory / "config" / "lsps" / "lsps.toml") in result.err
    assert (await terminal.run("serve", "--config", str(terminal.directory / "x.toml"))).code == 2


async def test_serve_without_a_node(terminal: Terminal) -> None:
    """A file that names no node, with no LSPS_NODE, must say how to name one."""
    (terminal.directory / "lsps.toml").write_text("[lsps7]")
    result = await terminal.run("serve")
    assert result.code == 2
    assert "LSPS_NODE" in result.err


async def test_serve_when_the_node_is_away(tmp_path: Path, net: SimulatedNetwork[Clock]) -> None:
    """A node that does not answer at the start must exit with 3."""
    net.stop(net.lsp)
    result = await lsp_terminal(tmp_path, net).run("serve")
    assert result.code == 3
    assert "Is the node running" in result.err


async def test_a_service_that_ends_by_itself(
    tmp_path: Path, net: SimulatedNetwork[Clock], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What ends the service must end `lsps serve`, with the first error in the group as the reason."""

    async def run(_service: Service) -> None:
        raise ExceptionGroup("two", [ExceptionGroup("one", [NodeUnreachable("the node is on fire")])])

    monkeypatch.setattr(Service, "run", run)
    result = await lsp_terminal(tmp_path, net).run("serve")
    assert result.code == 3
    assert "the node is on fire" in result.err
