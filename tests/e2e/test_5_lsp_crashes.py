"""Scenario 5: `lsps serve` is killed (SIGKILL) at each step of an order's life; each order ends exactly once, right."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from interop.lnd.node import Node
from interop.lnd.regtest import Regtest, eventually
from tests.e2e import truth
from tests.e2e.once import KILLED, Ledger, die_at_each, dies
from tests.e2e.shop import Customer, Shop, shop_on
from tests.e2e.wire import wire

pytestmark = pytest.mark.asyncio(loop_scope="session")

MAXIMUM = 2_000
"""The longest lease, in blocks, that this LSP extends to."""
LSP_BALANCE = 300_000
CLIENT_BALANCE = 100_000
WISH: dict[str, Any] = {
    "lsp_balance_sat": str(LSP_BALANCE),
    "client_balance_sat": "0",
    "required_channel_confirmations": 1,
    "funding_confirms_within_blocks": 6,
    "channel_expiry_blocks": 144,
    "announce_channel": False,
}
"""A channel, as a request asks for it."""

# After lnd has settled or cancelled, its invoice stream may tell that before the call's own answer does.
EXTENSION = [
    ("invoice.held", "ACCEPTED", "awaiting payment"),
    ("invoice.held.committed", "ACCEPTED", "fulfilled"),
    ("settle_invoice.before", "ACCEPTED", "fulfilled"),
    ("settle_invoice.committed", "SETTLED", "completed"),
]
SETTLED = [("settle_invoice.after", "SETTLED", "fulfilled|completed")]
CHANNEL = [
    ("invoice.held", "ACCEPTED", "awaiting payment"),
    ("invoice.held.committed", "ACCEPTED", "paid"),
    ("choose_inputs.committed", "ACCEPTED", "fulfilling"),
    ("open_channel.before", "ACCEPTED", "fulfilling"),
    ("open_channel.after", "ACCEPTED", "fulfilling"),
    ("open_channel.committed", "ACCEPTED", "fulfilled"),
    ("settle_invoice.before", "ACCEPTED", "fulfilled"),
    *SETTLED,
]
COMPLETED = [("settle_invoice.committed", "SETTLED", "completed")]
OPENED_BY = ("open_channel.after", "open_channel.committed", "settle_invoice")
"""Where the channel is there, as these begin."""
OUTGROWN = [
    ("invoice.held.committed", "ACCEPTED", "closing"),
    ("cancel_invoice.before", "ACCEPTED", "closing"),
    ("cancel_invoice.committed", "CANCELED", "failed"),
]
REFUSED = [
    ("open_channel.before", "ACCEPTED", "fulfilling"),
    ("open_channel.committed", "ACCEPTED", "closing"),
    ("cancel_invoice.after", "CANCELED", "closing|failed"),
]
CANCELLED = [("cancel_invoice.after", "CANCELED", "closing|failed")]
FAILED = [("cancel_invoice.before", "ACCEPTED", "closing"), ("cancel_invoice.committed", "CANCELED", "failed")]

KILLED_AT = {
    "lsps1": [*CHANNEL, *COMPLETED, *REFUSED, *FAILED],
    "lsps7": [*EXTENSION, *SETTLED, *OUTGROWN, *CANCELLED],
}
"""Beside create_order.replied and .committed, for both. Each list is an order of its own: where lnd's stream overtakes
a call's answer, the next step may be passed by already."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(net: Regtest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """An LSP that extends a lease to MAXIMUM blocks."""
    limit = {"max_channel_extension_expiry_blocks": MAXIMUM}
    async with shop_on(net["lsp"], tmp_path_factory.mktemp("shop"), lsps7=limit) as serving:
        yield serving


@pytest_asyncio.fixture
async def scid(alice: Node, alice_can_pay: str) -> str:
    """The channel that is extended: alice's own."""
    channel = await alice.channel(alice_can_pay)
    assert channel is not None
    return truth.scid(channel)


async def expiration(customer: Customer, shop: Shop, scid: str) -> tuple[int, list[str]]:
    """The end of the channel's lease and its extensions, as the LSP lists them; (0, []) when nothing can be added."""
    ran = await customer.leases(shop)
    assert ran.code == 0, ran
    for entry in ran.json["channels"]:
        if entry["short_channel_id"] == scid:
            return int(entry["expiration_block"]), list(entry.get("extension_order_ids") or [])
    return 0, []


@pytest.mark.parametrize("deaths", [EXTENSION, SETTLED], ids=["from the start", "once settled"])
async def test_an_extension_whose_lsp_dies_at_every_step(
    net: Regtest, shop: Shop, alice: Node, alice_buys: Customer, scid: str, deaths: list[tuple[str, str, str]]
) -> None:
    """Killed after the reply, once the payment is held, once the lease is recorded, before settling and after it: the
    LSP's lnd settles only when the lease is durable (money rule 1), the lease is extended once, the invoice settled
    once, and the one command that was waiting all along ends well."""
    ledger = await Ledger.opened(shop, alice)
    ends, extensions = await expiration(alice_buys, shop, scid)
    tip = await net.btcd.height()
    await shop.stop()
    await shop.start(failpoint="create_order.replied")
    extending = asyncio.create_task(alice_buys.extend(shop, scid, 144))
    try:
        await dies(shop, "create_order.replied")
        assert [each["state"] for each in await ledger.sold()] == ["awaiting payment"]
        await die_at_each(shop, ledger, deaths)
        await shop.start()
        ran = await extending
    finally:
        extending.cancel()
    assert ran.code == 0, ran
    order_id = await ledger.check_sold_once()
    assert (ran.json["order"]["order_id"], ran.json["order"]["order_state"]) == (order_id, "COMPLETED")
    assert await expiration(alice_buys, shop, scid) == (max(ends, tip) + 144, [*extensions, order_id])
    await ledger.check_no_channel()


@pytest.mark.parametrize("deaths", [CHANNEL, COMPLETED], ids=["from the start", "once completed"])
async def test_a_channel_whose_lsp_dies_at_every_step(
    net: Regtest,
    shop: Shop,
    alice: Node,
    lsp: Node,
    alice_buys: Customer,
    alice_can_pay: str,
    deaths: list[tuple[str, str, str]],
) -> None:
    """Killed at every step from the reply to the settled invoice: the LSP's lnd opens one channel (money rule 3), and
    settles only when it is recorded; the channel becomes active with what was bought in it."""
    ledger = await Ledger.opened(shop, alice)
    await shop.stop()
    await shop.start(failpoint="create_order.replied")
    buying = asyncio.create_task(alice_buys.buy(shop, LSP_BALANCE, 1_008, "--client-balance", CLIENT_BALANCE))
    try:
        await dies(shop, "create_order.replied")
        for death in deaths:
            await die_at_each(shop, ledger, [death])
            assert len(await ledger.opened_channels()) == death[0].startswith(OPENED_BY), death
        await shop.start()
        ran = await buying
    finally:
        buying.cancel()
    assert ran.code == 0, ran
    assert ran.json["order"]["order_id"] == await ledger.check_sold_once()
    point = await ledger.check_one_channel(LSP_BALANCE + CLIENT_BALANCE)
    assert ran.json["order"]["channel"]["funding_outpoint"] == point
    assert await net.btcd.mempool() == [point.split(":")[0]]
    await net.mine(1)
    await net.wait_active(point, lsp, alice)
    assert await ledger.check_one_channel(LSP_BALANCE + CLIENT_BALANCE) == point
    theirs = await alice.channel(point)
    assert theirs is not None
    assert theirs["local_balance"] == str(CLIENT_BALANCE)


@pytest.mark.parametrize("deaths", [OUTGROWN, CANCELLED], ids=["from the start", "once cancelled"])
async def test_a_payment_that_is_given_back_while_the_lsp_dies(
    net: Regtest, shop: Shop, alice: Node, alice_buys: Customer, scid: str, deaths: list[tuple[str, str, str]]
) -> None:
    """Two orders that together go beyond the maximum: the second, paid by hand, is given back; killed before and after
    that, the LSP gives it back once, and the lease keeps the first order's end (bLIP-57 §2)."""
    before = await expiration(alice_buys, shop, scid)
    blocks = (MAXIMUM - max(before[0] - await net.btcd.height(), 0)) // 2 + 10
    first = await alice_buys.extend(shop, scid, blocks, "--no-pay")
    ledger = await Ledger.opened(shop, alice)
    async with wire(alice) as line:
        params = {"short_channel_id": scid, "channel_extension_expiry_blocks": blocks}
        second = (await line.call(shop.node, "lsps7.create_order", **params))["result"]
    paid_first = await net.pay(alice, first.json["order"]["payment"]["bolt11"]["invoice"])
    assert paid_first["status"] == "SUCCEEDED"
    extended = await expiration(alice_buys, shop, scid)
    assert extended[0] == first.json["order"]["new_channel_expiry_block"]

    await shop.stop()
    await shop.start(failpoint=deaths[0][0])
    paying = asyncio.create_task(net.pay(alice, second["payment"]["bolt11"]["invoice"]))
    try:
        await die_at_each(shop, ledger, deaths)
        await shop.start()
        assert (await paying)["status"] == "FAILED"
    finally:
        paying.cancel()
    await ledger.check_given_back(second["order_id"])
    assert await expiration(alice_buys, shop, scid) == extended


@pytest.mark.parametrize("deaths", [REFUSED, FAILED], ids=["from the start", "while it is cancelled"])
async def test_a_channel_that_is_refused_while_the_lsp_dies(
    net: Regtest,
    shop: Shop,
    alice: Node,
    alice_buys: Customer,
    alice_can_pay: str,
    deaths: list[tuple[str, str, str]],
) -> None:
    """A 0-conf channel that the buyer's lnd refuses: killed before opening, after the refusal and after giving the
    payment back, the LSP gives it back once, and no channel comes into being; the next purchase works."""
    ledger = await Ledger.opened(shop, alice)
    ordered = await alice_buys.buy(shop, LSP_BALANCE, 1_008, "--zero-conf", "--no-pay")
    assert ordered.code == 0, ordered
    order = ordered.json["order"]
    await shop.stop()
    await shop.start(failpoint=deaths[0][0])
    paying = asyncio.create_task(net.pay(alice, order["payment"]["bolt11"]["invoice"]))
    try:
        await die_at_each(shop, ledger, deaths)
        await shop.start()
        assert (await paying)["status"] == "FAILED"
    finally:
        paying.cancel()
    await ledger.check_given_back(order["order_id"])

    bought = await alice_buys.buy(shop, LSP_BALANCE, 1_008)
    assert bought.code == 0, bought
    point = await ledger.check_one_channel(LSP_BALANCE)
    await net.mine(1)
    await net.wait_active(point, shop.node, alice)


@pytest.mark.parametrize("service", ["lsps1", "lsps7"])
async def test_an_order_whose_reply_was_never_sent(
    shop: Shop, alice: Node, lsp: Node, alice_buys: Customer, scid: str, service: str
) -> None:
    """Killed between commit and reply: the customer hears nothing, and nothing is paid; the order is in the book, its
    invoice open; the next request gets an order of its own (bLIP-50: a lost reply leaves nothing to be undone)."""
    ledger = await Ledger.opened(shop, alice)
    await shop.stop()
    await shop.start(failpoint="create_order.committed")
    extension = {"short_channel_id": scid, "channel_extension_expiry_blocks": 5}
    params = extension if service == "lsps7" else WISH
    request = {"jsonrpc": "2.0", "id": "lost", "method": f"{service}.create_order", "params": params}
    async with wire(alice) as line:
        await line.say(lsp, json.dumps(request).encode())
        assert await shop.ended() == KILLED
        await ledger.stands_at("OPEN", "awaiting payment")
        await shop.start()
        again = (await line.call(lsp, f"{service}.create_order", **params))["result"]
        assert not [payload for _, payload in line.heard if b'"lost"' in payload]
    sold = [each["order_id"] for each in await ledger.sold()]
    assert len(sold) == 2
    assert sold[0] == again["order_id"]
    assert not await ledger.paid()

    async def payable() -> bool:
        invoices = await ledger.invoiced()
        return [each["state"] for each in invoices.values()] == ["OPEN", "OPEN"]

    await eventually("both invoices are open", payable)
