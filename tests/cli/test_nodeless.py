"""Commands on a machine without a node: what an LSP offers can be asked, nothing can be bought."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lsps.cli import info
from lsps.clock import Clock, SystemClock
from lsps.lightning.features import CLIENT_INIT, LSP_INIT
from lsps.testing import OFFER, create_network
from tests.cli.terminal import Terminal
from tests.node.bolt8.environment import host
from tests.node.bolt8.test_service_over_tcp import lsp_over_tcp


async def test_info_needs_no_node(terminal: Terminal, tmp_path: Path) -> None:
    """`lsps info` must work with no node configured, over BOLT 8, and say so on standard error; or with a kept key."""
    clock: Clock = SystemClock()
    net = create_network(clock)
    (tmp_path / "lsp").mkdir()
    async with lsp_over_tcp(net, tmp_path / "lsp") as address:
        result = await terminal.run("info", "--lsp", address, "--json")
        assert (result.code, result.json["protocols"]) == (0, [1, 7])
        assert OFFER.lsps1 is not None
        assert result.json["lsps1"]["max_channel_expiry_blocks"] == OFFER.lsps1.options.max_channel_expiry_blocks
        assert "No node is named" in result.err
        kept = await terminal.run("info", "--lsp", address, "--node", "bolt8://?key=me.key&network=regtest")
        assert (kept.code, kept.err) == (0, "")
        assert (tmp_path / "me.key").exists()
    net.world.close()


@pytest.mark.parametrize(("features", "doubted"), [(CLIENT_INIT, True), (LSP_INIT, False)], ids=["plain", "an LSP"])
async def test_a_node_that_does_not_answer(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, features: int, doubted: bool
) -> None:
    """While an answer is waited for a person is told so, and whether the node says it is an LSP; then exit code 3."""
    monkeypatch.setattr(info, "QUIET_SECONDS", 0.01)
    silent = replace(terminal, patience=replace(terminal.patience, reply=0.5))
    async with host(features=features) as node:
        result = await silent.run("info", "--lsp", f"{node.node_id}@{node.address}")
    assert result.code == 3
    assert result.err.count("no answer yet") == 1
    assert ("feature bit 729" in result.err) is doubted
    assert "did not answer" in result.err


LSP = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"

BUYING = [
    ("leases",),
    ("extend", "1x1x1", "10", "--max-fee-sat", "1", "--yes", "--lsp", LSP),
    ("buy", "--lsp-balance", "100000", "--expiry-blocks", "10", "--max-fee-sat", "1", "--yes", "--lsp", LSP),
]


@pytest.mark.parametrize("argv", BUYING, ids=[argv[0] for argv in BUYING])
async def test_what_needs_the_paying_node(terminal: Terminal, argv: tuple[str, ...]) -> None:
    """Leases, extending and buying must be refused without a node, and over bolt8:// with a sentence that tells why."""
    unnamed = await terminal.run(*argv)
    assert unnamed.code == 2
    assert "no node is named" in unnamed.err
    without = await terminal.run(*argv, "--node", "bolt8://")
    assert without.code == 1
    assert "identity of the node that pays" in without.err


async def test_info_without_an_address(terminal: Terminal) -> None:
    """Without a node nobody knows the LSP's address: exit code 3, and the error says how to give it."""
    result = await terminal.run("info", "--lsp", LSP)
    assert result.code == 3
    assert "PUBKEY@HOST:PORT" in result.err
