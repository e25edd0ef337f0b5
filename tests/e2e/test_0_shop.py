"""The harness of the scenarios: our processes start, answer and stop on real nodes, with the least macaroons."""

from __future__ import annotations

import pytest

from interop.lnd.node import Node
from tests.e2e.shop import TABLES, Customer, Shop, environment, run
from tests.e2e.till import CHANNEL
from tests.e2e.wire import wire

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_info_shows_what_the_shop_was_told_to_sell(shop: Shop, alice_buys: Customer) -> None:
    """`lsps info`, over a connection that it makes itself, shows the options of lsps.toml (bLIP-51 §1)."""
    ran = await alice_buys.run("info", "--lsp", shop.node.uri)
    assert ran.code == 0, ran
    options = ran.json["lsps1"]
    sold = TABLES["lsps1"]
    assert options["min_required_channel_confirmations"] == sold["min_required_channel_confirmations"]
    assert options["max_initial_client_balance_sat"] == str(sold["max_initial_client_balance_sat"])


async def test_a_raw_request_gets_one_reply(shop: Shop, alice: Node, lsp: Node) -> None:
    """A hand-written list_protocols gets one reply with its id and the two protocols that the shop speaks (bLIP-50)."""
    async with wire(alice) as line:
        request = b'{"jsonrpc":"2.0","id":"by hand","method":"lsps0.list_protocols","params":{}}'
        reply = await line.ask(lsp, request)
    assert reply == b'{"jsonrpc":"2.0","id":"by hand","result":{"protocols":[1,7]}}'
    assert len(line.heard) == 1


async def test_the_books_are_read_by_others(shop: Shop, alice: Node) -> None:
    """While `lsps serve` runs, another process lists the same orders as the harness does, and the ledger balances."""
    async with wire(alice) as line:
        order = (await line.call(shop.node, "lsps1.create_order", **CHANNEL))["result"]
    assert [each["order_id"] for each in await shop.book()] == [order["order_id"]]
    config = ("--config", str(shop.directory / "lsps.toml"), "--json")
    ran = await run(["orders", "--service", *config], environment(shop.directory))
    assert (ran.code, ran.json["orders"]) == (0, await shop.book())
    ran = await run(["ledger", *config], environment(shop.directory))
    assert (ran.code, ran.json) == (0, await shop.ledger())


async def test_a_stopped_shop_starts_again(shop: Shop) -> None:
    """SIGTERM ends `lsps serve` cleanly, exit code 0, and the next start serves on the same store."""
    assert await shop.stop() == 0
    await shop.start()
    assert shop.process.running
