"""Without a node: our own BOLT 8 transport against real LND, as the one who calls and as the one who listens."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from interop.lnd.node import Node
from tests.e2e.shop import Customer, Shop, environment, run, shop_on

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_an_offer_is_read_without_a_node(shop: Shop, lsp: Node, tmp_path: Path) -> None:
    """`lsps info` with no node named connects to the LSP's lnd by itself, and shows what it sells (bLIP-50, BOLT 8)."""
    ran = await run(["info", "--lsp", lsp.uri, "--json"], environment(tmp_path))
    assert ran.code == 0, ran
    assert "thrown away" in ran.stderr
    assert ran.json["lsps1"]["min_required_channel_confirmations"] is not None


async def test_our_service_on_lnd_keeps_every_clause(shop: Shop, lsp: Node, tmp_path: Path) -> None:
    """`lsps check`, from outside and over the wire, finds nothing wrong with our service on a real node."""
    command = ["check", lsp.uri, "--node", "bolt8://?network=regtest", "--json"]
    ran = await run(command, environment(tmp_path))
    outcomes = Counter(check["outcome"] for check in ran.json["checks"])
    assert ran.code == 0, [check for check in ran.json["checks"] if check["outcome"] == "fail"]
    assert set(outcomes) == {"pass", "skipped"}
    assert outcomes["pass"] >= 100


async def test_an_lnd_is_a_peer_of_our_listener(bob: Node, alice: Node, alice_buys: Customer, tmp_path: Path) -> None:
    """A real lnd connects to our listener, exchanges messages of type 37913 with it, and comes back after it left."""
    async with shop_on(bob, tmp_path, listen={"address": "127.0.0.1:0", "key": "listen.key"}) as shop:
        found = re.search(r" listening lsp=(\S+)", shop.log.read_text())
        assert found is not None
        uri = found[1]
        listener = uri.partition("@")[0]
        assert listener != bob.node_id

        async def gone() -> bool:
            return listener not in await alice.peers()

        for _ in range(2):
            await alice.lncli("connect", uri)
            assert listener in await alice.peers()
            ran = await alice_buys.run("info", "--lsp", uri)
            assert ran.code == 0, ran
            assert ran.json["lsps1"] is not None
            await alice.lncli("disconnect", listener)
            await shop.process.until("alice has left", gone)
