"""Orders paid on-chain: `lsps serve` is killed (SIGKILL) at each step, and lnd with it; each order ends once, right."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from interop.lnd.node import Node
from interop.lnd.regtest import Regtest, eventually
from tests.e2e import truth
from tests.e2e.once import KILLED, dies
from tests.e2e.onchain import PAYMENT, PRICE
from tests.e2e.shop import Shop, shop_on
from tests.e2e.till import CHANNEL, Death, Till
from tests.e2e.wire import until_answering, wire

pytestmark = pytest.mark.asyncio(loop_scope="session")

MAXIMUM = 2_000
"""The longest lease, in blocks, that this LSP extends to."""
ZERO_CONF = CHANNEL | {"required_channel_confirmations": 0}
"""Alice's lnd refuses such a channel unless somebody tells it to take it."""

EXTENSION: list[Death] = [
    ("cancel_invoice.before", "completed", 0),
    ("cancel_invoice.committed", "completed", 0),
]
EXTENDED_AGAIN: list[Death] = [("cancel_invoice.after", "completed", 0)]
"""In another order: lnd's invoice stream may tell that it is cancelled before the call's own answer does."""
RETURNED: list[Death] = [
    ("sign_refund.before", "closing", 0),
    ("sign_refund.after", "closing", 0),
    ("sign_refund.committed", "closing", 0),
    ("publish_refund.before", "closing", 0),
    ("publish_refund.after", "closing", 1),
    ("publish_refund.committed", "closing|failed", 1),
]
"""The invoice is cancelled beside the refund; an order has failed when both are done."""
OUTGROWN: list[Death] = [("cancel_invoice.before", "closing", 0), *RETURNED]
CHOSEN: list[Death] = [
    ("choose_inputs.committed", "fulfilling", 0),
    ("open_channel.before", "fulfilling", 0),
]
OPENED: list[Death] = [("open_channel.after", "fulfilling", 0)]
OVERPAID: list[Death] = [
    ("open_channel.committed", "completed", 0),
    ("sign_refund.after", "completed", 0),
    ("publish_refund.after", "completed", 1),
]
REFUSED: list[Death] = [*CHOSEN, ("open_channel.committed", "closing", 0)]
CANCELLED: list[Death] = [("cancel_invoice.after", "paid|fulfilling|completed", 0)]
CANCELLED_AGAIN: list[Death] = [
    ("cancel_invoice.before", "paid|fulfilling|completed", 0),
    ("cancel_invoice.committed", "paid|fulfilling|completed", 0),
]
"""Beside it the channel is being opened, which goes on at lnd."""

KILLED_AT = {
    "lsps1": [*CHOSEN, *OPENED, *OVERPAID, *REFUSED, *RETURNED, *CANCELLED, *CANCELLED_AGAIN],
    "lsps7": [*EXTENSION, *EXTENDED_AGAIN, *OUTGROWN],
}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(net: Regtest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """An LSP that takes on-chain payments, and extends a lease to MAXIMUM blocks."""
    limit = {"max_channel_extension_expiry_blocks": MAXIMUM}
    directory = tmp_path_factory.mktemp("shop")
    await net.mine(1)  # what others left in the mempool
    async with shop_on(net["lsp"], directory, lsps7=limit, payment=PAYMENT, price=PRICE) as serving:
        yield serving


@pytest_asyncio.fixture
async def scid(alice: Node, alice_can_pay: str) -> str:
    """The channel that is extended: alice's own."""
    channel = await alice.channel(alice_can_pay)
    assert channel is not None
    return truth.scid(channel)


def extended(scid: str, blocks: int) -> dict[str, object]:
    return {"short_channel_id": scid, "channel_extension_expiry_blocks": blocks}


async def lnd_dies(net: Regtest, shop: Shop, alice: Node, point: str, *, blocks: int = 0) -> None:
    """Kills the LSP's lnd, mines without it, and starts it again."""
    await shop.node.kill()
    if blocks:
        await net.mine(blocks)
    await shop.node.start()
    await shop.node.wait_synced()
    await net.connect(alice, shop.node)
    await net.wait_active(point, shop.node, alice)
    if shop.process.running:
        await until_answering(shop.node, alice)


async def test_extensions_whose_lsp_dies_at_every_step(net: Regtest, shop: Shop, alice: Node, scid: str) -> None:
    """Three orders that together go beyond the maximum, all paid: two extend once each, the third is given back in one
    transaction, wherever the LSP dies (money rules 2 and 4)."""
    first = await Till.ordered(shop, alice, "lsps7", **extended(scid, 400))
    second = await Till.ordered(shop, alice, "lsps7", **extended(scid, 400))
    await shop.stop()
    await shop.start(failpoint="create_order.replied")
    third = await Till.ordered(shop, alice, "lsps7", **extended(scid, MAXIMUM - 700))
    await dies(shop, "create_order.replied")
    assert {(await till.entry())["state"] for till in (first, second, third)} == {"awaiting payment"}

    tip = await net.btcd.height()
    paid = []
    for till, deaths in ((first, EXTENSION), (second, EXTENDED_AGAIN), (third, OUTGROWN)):
        paid.append(await till.pay(net))
        await net.mine(1)
        await till.dies_at_each(deaths)
    await shop.start()
    await third.check_refunded(net, paid[2])
    await first.check_delivered(paid[0])
    await second.check_delivered(paid[1])
    async with wire(alice) as line:
        listed = (await line.call(shop.node, "lsps7.get_extendable_channels"))["result"]["extendable_channels"]
    (ends,) = (each["expiration_block"] for each in listed if each["short_channel_id"] == scid)
    assert ends == tip + 800


async def test_a_channel_whose_lsp_dies_at_every_step(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, alice_can_pay: str
) -> None:
    """Paid with too much, and killed at every step, lnd too when the channel is just negotiated: one channel is opened
    (money rule 3), not of what the customer paid, and one transaction gives back what was too much."""
    await shop.stop()
    await shop.start(failpoint="create_order.replied")
    till = await Till.ordered(shop, alice, "lsps1", **CHANNEL)
    await dies(shop, "create_order.replied")
    assert (await till.entry())["state"] == "awaiting payment"
    paid = await till.pay(net, more=50_000)
    await net.mine(1)
    await till.dies_at_each(CHOSEN)
    await till.before.check_no_channel()
    await till.dies_at_each(OPENED)
    (point,) = await till.before.opened_channels()
    await lnd_dies(net, shop, alice, alice_can_pay)
    await till.dies_at_each(OVERPAID)
    await shop.start()
    assert await till.check_delivered(paid) == point
    (deposit,) = (await till.entry())["onchain"]["deposits"]
    (refund,) = await till.refunds()
    assert await truth.spenders(lsp, deposit["outpoint"]) == {refund.txid}
    assert set(await net.btcd.mempool()) == {point.split(":")[0], refund.txid}
    await net.mine(1)
    await net.wait_active(point, lsp, alice)
    assert await till.check_delivered(paid) == point
    assert [each.confirmations for each in await till.refunds()] == [1]


async def test_a_channel_that_is_refused_while_the_lsp_dies(
    net: Regtest, shop: Shop, alice: Node, alice_can_pay: str
) -> None:
    """The buyer's lnd refuses the channel: killed at every step, lnd too while the refund is signed and not published,
    the LSP gives the payment back in one transaction."""
    till = await Till.ordered(shop, alice, "lsps1", **ZERO_CONF)
    paid = await till.pay(net)
    await shop.kill()
    await net.mine(1)
    await till.dies_at_each([*REFUSED, *RETURNED[:4]])
    (deposit,) = (await till.entry())["onchain"]["deposits"]
    (signed,) = deposit["refunds"]
    assert signed["published_at"] is None
    await lnd_dies(net, shop, alice, alice_can_pay)
    await till.dies_at_each(RETURNED[4:])
    assert [each.txid for each in await till.refunds()] == [signed["txid"]]
    await shop.start()
    await till.check_refunded(net, paid)


@pytest.mark.parametrize("deaths", [CANCELLED, CANCELLED_AGAIN], ids=["once cancelled", "before and once noted"])
async def test_a_channel_beside_whose_invoice_the_lsp_dies(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, alice_can_pay: str, deaths: list[Death]
) -> None:
    """Killed while the invoice of an order that is paid on-chain is cancelled, and the channel opened beside that: one
    channel, no refund, no payment over Lightning."""
    till = await Till.ordered(shop, alice, "lsps1", **CHANNEL)
    paid = await till.pay(net)
    await shop.kill()
    await net.mine(1)
    await till.dies_at_each(deaths)
    await shop.start()
    point = await till.check_delivered(paid)
    assert await net.btcd.mempool() == [point.split(":")[0]]
    await net.mine(1)
    await net.wait_active(point, lsp, alice)


async def test_lnd_dies_while_a_payment_waits_to_confirm(
    net: Regtest, shop: Shop, alice: Node, scid: str, alice_can_pay: str
) -> None:
    """`lsps serve` lives on; what was mined while lnd was away pays for the order when it is back."""
    till = await Till.ordered(shop, alice, "lsps7", **extended(scid, 50))
    paid, pid = await till.pay(net), shop.process.pid

    async def seen() -> bool:
        return bool((await till.entry())["onchain"]["deposits"])

    await eventually("the payment is seen", seen)
    await lnd_dies(net, shop, alice, alice_can_pay, blocks=1)
    await till.check_delivered(paid)
    assert shop.process.pid == pid


async def test_lnd_dies_while_a_channel_opens(
    net: Regtest, shop: Shop, alice: Node, lsp: Node, alice_can_pay: str
) -> None:
    """lnd is killed as soon as it is asked to open: whatever became of that, there is one channel, or one refund.

    It may have leased the coins, for ten minutes: until then the opening is undecided. The test does not wait for that.
    """
    till = await Till.ordered(shop, alice, "lsps1", **CHANNEL)
    paid, asked = await till.pay(net), shop.logged("order_fulfilling")
    await net.btcd.generate(1)
    await shop.until_logged("order_fulfilling", asked)
    await lnd_dies(net, shop, alice, alice_can_pay)
    for lease in await lsp.lncli("wallet", "listleases"):
        assert (await till.entry())["state"] in ("fulfilling", "completed")
        await lsp.lncli("wallet", "releaseoutput", f"--lockid={lease['id']}", lease["outpoint"])
    await till.until("completed|failed", timeout=120)
    if (await till.entry())["state"] == "failed":
        await till.check_refunded(net, paid)
    else:
        point = await till.check_delivered(paid)
        assert await net.btcd.mempool() == [point.split(":")[0]]
        await net.mine(1)
        await net.wait_active(point, lsp, alice)


@pytest.mark.parametrize("service", ["lsps1", "lsps7"])
async def test_an_order_whose_reply_was_never_sent(shop: Shop, alice: Node, lsp: Node, scid: str, service: str) -> None:
    """Killed between commit and reply: the order is in the book with an address that nobody was told; the next request
    gets an order and an address of its own."""
    known = {each["order_id"] for each in await shop.book()}
    await shop.stop()
    await shop.start(failpoint="create_order.committed")
    wish = CHANNEL if service == "lsps1" else extended(scid, 5)
    params = wish | {"refund_onchain_address": await alice.new_address()}
    request = {"jsonrpc": "2.0", "id": "lost", "method": f"{service}.create_order", "params": params}
    async with wire(alice) as line:
        await line.say(lsp, json.dumps(request).encode())
        assert await shop.ended() == KILLED
        (lost,) = (each for each in await shop.book() if each["order_id"] not in known)
        assert lost["state"] == "awaiting payment"
        await shop.start()
        again = (await line.call(lsp, f"{service}.create_order", **params))["result"]
        assert not [payload for _, payload in line.heard if b'"lost"' in payload]
    assert again["payment"]["onchain"]["address"] != lost["onchain"]["address"]
    assert again["payment"]["onchain"]["refund_onchain_address"] == params["refund_onchain_address"]
