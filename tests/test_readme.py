"""README.md and docs/client.md: what they tell a newcomer to type works as it is written."""

from __future__ import annotations

import re
import shlex
import textwrap
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import lsps
from lsps.cli.main import main, parser
from lsps.config.file import load_config
from lsps.service.offer import ExtensionOffer, Unleased
from lsps.testing import OFFER, network

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
KEY = "02" + "11" * 32


def blocks(text: str) -> list[str]:
    """The indented code, each block without its indentation."""
    found = re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, re.MULTILINE)
    return [textwrap.dedent(block).strip("\n") for block in found]


def commands(text: str) -> list[str]:
    lines = [line for block in blocks(text) for line in block.splitlines()]
    return [line.replace("02…", KEY) for line in lines if line.startswith("lsps ")]


COMMANDS = commands(README) + commands((ROOT / "docs" / "client.md").read_text())


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_understood(line: str) -> None:
    """Every command that is shown has arguments that lsps takes."""
    assert parser().parse_args(shlex.split(line, comments=True)[1:])


def test_commands_are_found() -> None:
    """The test above has something to look at."""
    assert len(COMMANDS) >= 10


def test_exit_codes_are_where_the_readme_says(capsys: pytest.CaptureFixture[str]) -> None:
    """`lsps --help` lists each of them."""
    main(["--help"])
    told = capsys.readouterr().out.split("exit codes:")[1]
    assert re.findall(r"^  (\d+) ", told, re.MULTILINE) == ["0", "1", "2", "3", "4", "5", "130"]


def test_the_lsps_toml_is_one(tmp_path: Path) -> None:
    """The sample is read as it stands, and offers what it says."""
    [sample] = [block for block in blocks(README) if block.startswith("# lsps.toml")]
    file = tmp_path / "lsps.toml"
    file.write_text(sample)
    config = load_config(file)
    assert config.offer.lsps1 is not None
    assert config.offer.lsps7 is not None
    assert config.offer.payment.onchain
    assert int(config.offer.lsps1.options.max_initial_lsp_balance_sat) == 16_000_000


async def run(code: str) -> dict[str, Any]:
    """A snippet of asynchronous code; the names it leaves."""
    body = textwrap.indent(f"{code}\nreturn locals()", "    ")
    names: dict[str, Any] = {"lsps": lsps}
    exec(f"async def snippet():\n{body}", names)  # noqa: S102  # the README's
    found: dict[str, Any] = await names["snippet"]()
    return found


async def test_the_simulated_network() -> None:
    """The snippet for tests of one's own code buys a channel, exactly as it is written."""
    [code] = [block for block in blocks(README) if "lsps.testing.network" in block]
    found = await run(code)
    assert found["bought"].channel.capacity == lsps.Sat(1_000_000)


async def test_the_simulated_networks_of_the_docstring() -> None:
    """`help(lsps.testing)` shows two snippets; both run."""
    snippets = blocks(lsps.testing.__doc__ or "")
    assert len(snippets) == 2
    for code in snippets:
        found = await run(code)
    assert found["channel"].capacity == lsps.Sat(1_000_000)


async def test_the_library(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The snippet for a node lists a channel and extends it; only the names of node, LSP and channel are put in."""
    [code] = [block for block in blocks(README) if "lsps.connect" in block]
    offer = lsps.Offer(lsps1=OFFER.lsps1, lsps7=ExtensionOffer(extend_unleased_channels=Unleased.ALL))
    async with network(offer=offer) as net:
        nodes = net.nodes
        await nodes.open_channel(nodes.lsp, nodes.clients[0], lsps.Sat(1_000_000), push=lsps.Sat(500_000))
        [channel] = await nodes.clients[0].channels.list()

        @asynccontextmanager
        async def connect(url: str) -> AsyncIterator[lsps.Client]:
            assert url.startswith("lnd://")
            yield net.clients[0]

        monkeypatch.setattr(lsps, "connect", connect, raising=False)
        await run(code.replace("02…@host:9735", net.lsp_address).replace("850123x1x0", str(channel.scid)))
        assert capsys.readouterr().out == f"{channel.scid} 0\n"
        [listed] = await net.clients[0].lsp(net.lsp_address).lsps7.get_extendable_channels()
        assert int(listed.expiration_block) == int((await nodes.lsp.info()).height) + 4320
