"""Scenario 6: what an LSP refuses, what expires, and what a wallet may add without harm."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from interop.lnd.node import Node
from interop.lnd.regtest import Regtest, eventually
from tests.e2e import truth
from tests.e2e.once import Ledger
from tests.e2e.shop import TABLES, Customer, Ran, Shop
from tests.e2e.wire import Wire, until_told, wire

pytestmark = pytest.mark.asyncio(loop_scope="session")

UNPAID_ORDERS = 10
"""How many unpaid orders one peer may have: lsps.toml's default."""
MAXIMUM = 52_560
"""How far, in blocks, a lease may be extended: lsps.toml's default."""
CHANNEL = {
    "lsp_balance_sat": "200000",
    "client_balance_sat": "0",
    "required_channel_confirmations": 1,
    "funding_confirms_within_blocks": 6,
    "channel_expiry_blocks": 144,
    "announce_channel": False,
}


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def expiring(net: Regtest, shop: Shop, alice_can_pay: str) -> dict[str, dict[str, Any]]:
    """An order of alice's by service, made before the other tests, which may be paid for a minute only; the shop's
    later orders have lsps.toml's default again."""
    channel = await net["alice"].channel(alice_can_pay)
    assert channel is not None
    extension = {"short_channel_id": truth.scid(channel), "channel_extension_expiry_blocks": 9}
    await shop.stop()
    shop.configure(payment={"bolt11_expiry_seconds": 60})
    await shop.start()
    async with wire(net["alice"]) as line:
        orders = {
            "lsps1": (await line.call(shop.node, "lsps1.create_order", **CHANNEL))["result"],
            "lsps7": (await line.call(shop.node, "lsps7.create_order", **extension))["result"],
        }
    await shop.stop()
    shop.configure()
    await shop.start()
    return orders


@pytest_asyncio.fixture
async def scid(alice: Node, alice_can_pay: str) -> str:
    """Alice's own channel to the LSP."""
    channel = await alice.channel(alice_can_pay)
    assert channel is not None
    return truth.scid(channel)


async def refused(line: Wire, lsp: Node, code: int, method: str, **params: object) -> dict[str, Any]:
    """The error of a request that must be refused with this code; it has the texts that wallets show."""
    reply = await line.call(lsp, method, **params)
    assert "result" not in reply
    error: dict[str, Any] = reply["error"]
    assert error["code"] == code
    assert error["message"]
    return error


def check_stopped(ran: Ran, code: int, kind: str) -> str:
    """The command ended with this exit code because of this error; what it said about it."""
    assert (ran.code, ran.json["error"]["kind"]) == (code, kind), ran
    return str(ran.json["error"]["message"])


async def check_nothing_new(ledger: Ledger) -> None:
    """No order, no invoice, no payment, no channel came of it."""
    assert not await ledger.sold()
    assert not await ledger.invoiced()
    assert not await ledger.paid()
    await ledger.check_no_channel()


async def test_a_fee_limit_stops_before_paying(shop: Shop, alice: Node, alice_buys: Customer, scid: str) -> None:
    """A fee above --max-fee-sat ends the command with exit code 4: the buyer's lnd has no payment, the LSP's lnd
    invoices that nobody pays; with a higher limit the same wish is ordered and paid."""
    ledger = await Ledger.opened(shop, alice)
    text = check_stopped(await alice_buys.extend(shop, scid, 20, max_fee=1), 4, "FeeTooHigh")
    assert "limit of 1 sat" in text
    check_stopped(await alice_buys.buy(shop, 200_000, 144, max_fee=1), 4, "FeeTooHigh")
    assert not await ledger.paid()
    assert {each["state"] for each in (await ledger.invoiced()).values()} == {"OPEN"}

    ran = await alice_buys.extend(shop, scid, 20)
    assert ran.code == 0, ran
    (digest,) = await ledger.paid()
    assert (await ledger.invoiced())[digest]["state"] == "SETTLED"


async def test_more_than_the_maximum(shop: Shop, alice: Node, lsp: Node, alice_buys: Customer, scid: str) -> None:
    """An order beyond an option is refused with error 100 that names the option (bLIP-51 §2, bLIP-57 §2), to our own
    command before it is sent; nothing comes of it."""
    ledger = await Ledger.opened(shop, alice)
    async with wire(alice) as line:
        extension = {"short_channel_id": scid, "channel_extension_expiry_blocks": MAXIMUM + 1}
        error = await refused(line, lsp, 100, "lsps7.create_order", **extension)
        assert error["data"]["property"] == "max_channel_extension_expiry_blocks"
        channel = CHANNEL | {"channel_expiry_blocks": MAXIMUM + 1}
        error = await refused(line, lsp, 100, "lsps1.create_order", **channel)
        assert error["data"]["property"] == "max_channel_expiry_blocks"
        channel = CHANNEL | {"client_balance_sat": str(TABLES["lsps1"]["max_initial_client_balance_sat"] + 1)}
        error = await refused(line, lsp, 100, "lsps1.create_order", **channel)
        assert error["data"]["property"] == "max_initial_client_balance_sat"
    check_stopped(await alice_buys.extend(shop, scid, MAXIMUM + 1), 1, "OptionMismatch")
    check_stopped(await alice_buys.buy(shop, 200_000, MAXIMUM + 1), 1, "OptionMismatch")
    await check_nothing_new(ledger)


async def test_a_channel_that_is_not_the_peers(
    shop: Shop, alice: Node, bob: Node, lsp: Node, bob_buys: Customer, scid: str, net: Regtest
) -> None:
    """An SCID that nobody has, and one of another peer's channel, get one and the same error 100 (bLIP-57 §2): it tells
    nothing about other peers."""
    ledger = await Ledger.opened(shop, bob)
    await net.connect(bob, lsp)
    async with wire(bob) as line:
        errors = [
            await refused(
                line, lsp, 100, "lsps7.create_order", short_channel_id=each, channel_extension_expiry_blocks=10
            )
            for each in (scid, "16000000x1x0")
        ]
    assert errors[0] == errors[1]
    assert errors[0]["data"]["property"] == "short_channel_id"
    check_stopped(await bob_buys.extend(shop, scid, 10), 1, "OptionMismatch")
    await check_nothing_new(ledger)


async def test_another_peers_order(shop: Shop, alice: Node, bob: Node, lsp: Node, scid: str, net: Regtest) -> None:
    """Another peer's order id gets error 101, exactly as one that does not exist; its owner still gets the order;
    and an order is told by its own protocol alone."""
    await net.connect(bob, lsp)
    async with wire(alice) as line, wire(bob) as others:
        wish = {"short_channel_id": scid, "channel_extension_expiry_blocks": 11}
        extension = (await line.call(lsp, "lsps7.create_order", **wish))["result"]
        channel = (await line.call(lsp, "lsps1.create_order", **CHANNEL))["result"]
        for order, service, other in ((extension, "lsps7", "lsps1"), (channel, "lsps1", "lsps7")):
            foreign = await refused(others, lsp, 101, f"{service}.get_order", order_id=order["order_id"])
            missing = await refused(others, lsp, 101, f"{service}.get_order", order_id="no-such-order")
            assert foreign == missing
            await refused(line, lsp, 101, f"{other}.get_order", order_id=order["order_id"])
            told = await line.call(lsp, f"{service}.get_order", order_id=order["order_id"])
            assert told["result"] == order


async def test_what_a_wallet_adds(shop: Shop, alice: Node, lsp: Node, scid: str, net: Regtest) -> None:
    """A popular wallet's request, with its client_info, token "" and refund_onchain_address "", is an ordinary order
    that can be paid; any other parameter that is unknown is refused and named (bLIP-50, Error Handling)."""
    extras = {
        "token": "",
        "refund_onchain_address": "",
        "client_info": {
            "app": "ZEUS",
            "app_version": "13.2.0-rc1",
            "node": "LND",
            "node_version": "0.21.2-beta commit=",
        },
    }
    ledger = await Ledger.opened(shop, alice)
    async with wire(alice) as line:
        wish = {"short_channel_id": scid, "channel_extension_expiry_blocks": 12, **extras}
        order = (await line.call(lsp, "lsps7.create_order", **wish))["result"]
        channel = (await line.call(lsp, "lsps1.create_order", **CHANNEL, **extras))["result"]
        assert channel["order_state"] == "CREATED"
        payment = await net.pay(alice, order["payment"]["bolt11"]["invoice"])
        assert payment["status"] == "SUCCEEDED"
        told = await until_told(alice, lsp, "lsps7", order["order_id"], "PAID")
        assert told["order_state"] == "COMPLETED"
        error = await refused(line, lsp, -32602, "lsps7.create_order", **wish, surprise=1)
        assert error["data"]["unrecognized"] == ["surprise"]
    assert [each["state"] for each in (await ledger.invoiced()).values()] == ["SETTLED", "OPEN"]


async def test_the_eleventh_unpaid_order(net: Regtest, shop: Shop, bob: Node, lsp: Node, bob_can_pay: str) -> None:
    """A peer with ten unpaid orders gets error 1 for the eleventh, whichever protocol it is of, and no invoice is made
    for it; the ten are told and payable as before; one is paid, and there is room again (design: at most 10)."""
    ledger = await Ledger.opened(shop, bob)
    channel = await bob.channel(bob_can_pay)
    assert channel is not None
    wish = {"short_channel_id": truth.scid(channel), "channel_extension_expiry_blocks": 10}
    async with wire(bob) as line:
        orders = [(await line.call(lsp, "lsps7.create_order", **wish))["result"] for _ in range(UNPAID_ORDERS)]
        await refused(line, lsp, 1, "lsps7.create_order", **wish)
        await refused(line, lsp, 1, "lsps1.create_order", **CHANNEL)
        assert len(await ledger.invoiced()) == UNPAID_ORDERS
        for order in orders:
            assert (await line.call(lsp, "lsps7.get_order", order_id=order["order_id"]))["result"] == order

        payment = await net.pay(bob, orders[3]["payment"]["bolt11"]["invoice"])
        assert payment["status"] == "SUCCEEDED"
        assert "result" in await line.call(lsp, "lsps7.create_order", **wish)
        await refused(line, lsp, 1, "lsps7.create_order", **wish)
    states = [each["state"] for each in (await ledger.invoiced()).values()]
    assert (states.count("SETTLED"), states.count("OPEN")) == (1, UNPAID_ORDERS)


async def test_unpaid_orders_expire(alice: Node, lsp: Node, shop: Shop, expiring: dict[str, dict[str, Any]]) -> None:
    """An order that nobody pays until its last option expires is FAILED, its payment REFUNDED, and its invoice
    cancelled at the LSP's lnd (bLIP-51 §3); it is still told, and the orders around it live on."""
    async with wire(alice) as line:
        for service, order in expiring.items():
            option = order["payment"]["bolt11"]
            digest = await truth.hash_of(alice, option["invoice"])
            await truth.until_state(lsp, digest, "CANCELED", 120)
            ended = order | {"order_state": "FAILED", "payment": {"bolt11": option | {"state": "REFUNDED"}}}

            async def told(service: str = service, ended: dict[str, Any] = ended) -> bool:
                reply = await line.call(lsp, f"{service}.get_order", order_id=ended["order_id"])
                return bool(reply["result"] == ended)

            await eventually("the order is told as FAILED, and unchanged else", told)
            assert digest not in await truth.payments(alice)
    states = {each["order_id"]: each["state"] for each in await shop.book()}
    assert "awaiting payment" in states.values()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bob_can_pay(net: Regtest) -> str:
    """The outpoint of an active channel in which bob has money for fees; opened when there is none yet."""
    for point, channel in (await truth.channels_between(net["bob"], net["lsp"])).items():
        if channel["active"] and int(channel["local_balance"]) > 100_000:
            return point
    return await net.open_channel(net["bob"], net["lsp"], 600_000, private=True)
