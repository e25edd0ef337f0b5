"""How an LSP is named."""

from __future__ import annotations

from typing import Any, cast

import pytest

from lsps.client.client import Client, InvalidLspAddress
from lsps.errors import LspsError
from lsps.node.simulated.clock import ManualClock
from tests.client.fakes import LSP, MemoryJournal, PlayedMessages, PlayedNode


def client() -> Client:
    return Client(cast(Any, PlayedNode(PlayedMessages())), MemoryJournal(), ManualClock(), bytes)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (str(LSP), None),
        (f"{LSP}@lsp.example:9735", "lsp.example:9735"),
        (f" {str(LSP).upper()}@[::1]:1 ", "[::1]:1"),
    ],
)
async def test_an_lsp_is_a_key_with_or_without_an_address(text: str, address: str | None) -> None:
    """PUBKEY or PUBKEY@HOST:PORT, hex in either case."""
    async with client() as running:
        lsp = running.lsp(text)
        assert (lsp.node_id, lsp.address) == (LSP, address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "lsp.example:9735",
        "02" + "00" * 32,
        "02" + "ff" * 32,
        f"{LSP}@",
        f"{LSP}@lsp.example",
        f"{LSP}@:9735",
        f"{LSP}@host:0",
        f"{LSP}@host:65536",
        f"{LSP}@host:" + "9" * 5000,
        f"{LSP}@host:１",
    ],
)
async def test_what_names_no_lsp_is_refused_in_words(text: str) -> None:
    """The error says how an LSP is written."""
    async with client() as running:
        with pytest.raises(InvalidLspAddress, match="PUBKEY"):
            running.lsp(text)


async def test_a_later_address_replaces_an_earlier_one_and_none_keeps_it() -> None:
    """Handles of one LSP share its session."""
    async with client() as running:
        first = running.lsp(f"{LSP}@one:1")
        running.lsp(LSP)
        assert first.address == "one:1"
        running.lsp(f"{LSP}@two:2")
        assert first.address == "two:2"


async def test_a_client_that_does_not_run_says_so() -> None:
    """Outside `async with` nothing would ever be answered."""
    with pytest.raises(LspsError, match="async with"):
        client().lsp(LSP)
