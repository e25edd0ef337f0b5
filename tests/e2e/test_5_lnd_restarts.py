"""Scenario 5: lnd dies under `lsps serve`, which keeps running: while orders wait for payment, and while one is held.

The LSP here has one output in its wallet: swept to itself, it cannot be used before a block is mined, and a paid order
waits.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from interop.lnd.node import LSP_FLAGS, Node, NodeSpec
from interop.lnd.regtest import Regtest, eventually
from lsps.clock import SystemClock
from lsps.node.contract import InvoiceState, NodeError, NodeUnreachable, Spend
from lsps.node.lnd.node import open_node
from lsps.units import BlockHeight, Msat, Sat
from tests.e2e import truth
from tests.e2e.once import Ledger
from tests.e2e.shop import Customer, Shop, shop_on
from tests.e2e.wire import until_answering

pytestmark = pytest.mark.asyncio(loop_scope="session")

LSP_BALANCE = 300_000


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def little(net: Regtest) -> AsyncIterator[Node]:
    """An LSP's lnd of its own, so that nobody else is disturbed."""
    node = await net.add(NodeSpec("little", LSP_FLAGS), funds=5_000_000)
    yield node
    await net.remove(node)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def shop(net: Regtest, little: Node, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """`lsps serve` on it."""
    async with shop_on(little, tmp_path_factory.mktemp("shop")) as serving:
        yield serving


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def point(net: Regtest, little: Node) -> str:
    """The channel from which alice pays."""
    return await net.open_channel(net["alice"], little, 1_500_000, private=True)


async def lnd_dies(net: Regtest, shop: Shop, alice: Node, point: str) -> None:
    """Kills the LSP's lnd and starts it again; `lsps serve` lives through it, and soon answers again."""
    pid = shop.process.pid
    await shop.node.restart(kill=True)
    await net.connect(alice, shop.node)
    await net.wait_active(point, shop.node, alice)
    await until_answering(shop.node, alice)
    assert shop.process.pid == pid


async def lock_funds(node: Node) -> None:
    """The wallet has nothing confirmed until the next block."""
    await node.lncli("sendcoins", "--force", "--sweepall", f"--addr={await node.new_address()}")
    assert await node.confirmed_balance() == 0


async def held(shop: Shop, buying: asyncio.Task[Any], ledger: Ledger, put_off: int) -> str:
    """Waits until the payment of the one new order is held and the LSP waits for funds; the payment hash."""
    await shop.until_logged("effect_put_off", put_off)
    assert not buying.done()
    (digest,) = await ledger.paid()
    assert (await ledger.invoiced())[digest]["state"] == "ACCEPTED"
    return digest


async def test_a_restart_refuses_nothing(net: Regtest, shop: Shop, little: Node, alice: Node, point: str) -> None:
    """While lnd stops and starts again, it answers as before or not at all: nothing that it has is missing, nothing is
    refused, and no macaroon allows too little."""
    lnd = open_node(little.url(), clock=SystemClock(), random=Random(4))
    payment_hash = secrets.token_bytes(32)
    await lnd.invoices.add_hold(payment_hash, Msat(1_000_000), "for nobody", 3_600, 144)
    (coin, *_) = await lnd.wallet.inputs()
    spend = Spend((coin.outpoint,), await alice.new_address(), Sat(100_000), True, 1_000)
    asked: dict[str, Callable[[], Awaitable[bool]]] = {}

    def ask(question: Callable[[], Awaitable[bool]]) -> None:
        asked[question.__name__] = question

    @ask
    async def the_invoice_is_open() -> bool:
        found = await lnd.invoices.lookup(payment_hash)
        return found is not None and found.state is InvoiceState.OPEN

    @ask
    async def no_such_payment_was_sent() -> bool:
        return await lnd.payments.lookup(payment_hash) is None

    @ask
    async def the_channel_is_listed() -> bool:
        return point in {str(channel.funding) for channel in await lnd.channels.list()}

    @ask
    async def the_coin_is_free() -> bool:
        return coin in await lnd.wallet.inputs()

    @ask
    async def the_coin_is_a_deposit() -> bool:
        return coin.outpoint in {deposit.outpoint for deposit in await lnd.wallet.deposits(BlockHeight(0))}

    @ask
    async def the_coin_can_be_signed_for() -> bool:
        return int((await lnd.wallet.sign(spend)).paid) > 0

    @ask
    async def a_fee_is_estimated() -> bool:
        return await lnd.wallet.feerate(6) > 0

    answered: Counter[str] = Counter()
    away: Counter[str] = Counter()
    wrong: list[str] = []
    over = asyncio.Event()

    async def ask_on(name: str) -> None:
        while not over.is_set():
            try:
                if not await asked[name]():
                    wrong.append(f"not {name}")
                answered[name] += 1
            except NodeUnreachable:
                away[name] += 1
            except NodeError as error:
                wrong.append(f"{name}: {type(error).__name__}: {error}")
            await asyncio.sleep(0.01)

    asking = [asyncio.create_task(ask_on(name)) for name in asked]
    try:
        await little.restart()
        before = answered.copy()

        async def all_answer() -> bool:
            return all(answered[name] > before[name] for name in asked)

        await eventually("lnd answers all again", all_answer)
    finally:
        over.set()
        await asyncio.gather(*asking, return_exceptions=True)
        await lnd.close()
    assert not wrong
    assert away.keys() == asked.keys()
    await net.connect(alice, little)
    await net.wait_active(point, little, alice)
    await until_answering(little, alice)


async def test_lnd_dies_while_orders_wait_and_while_one_is_held(
    net: Regtest, shop: Shop, little: Node, alice: Node, alice_buys: Customer, point: str
) -> None:
    """After the first death both orders are still told, and a payment is seen; after the second the payment is still
    held, and the order goes on by itself when there are funds: one channel, one settled invoice an order."""
    channel = await alice.channel(point)
    assert channel is not None
    scid = truth.scid(channel)
    extension = await alice_buys.extend(shop, scid, 50, "--no-pay")
    assert extension.code == 0, extension
    ledger = await Ledger.opened(shop, alice)
    ordered = await alice_buys.buy(shop, LSP_BALANCE, 1_008, "--no-pay")
    assert ordered.code == 0, ordered
    await lnd_dies(net, shop, alice, point)

    await lock_funds(little)
    put_off = shop.logged("effect_put_off")
    buying = asyncio.create_task(alice_buys.buy(shop, LSP_BALANCE, 1_008))
    try:
        digest = await held(shop, buying, ledger, put_off)
        await lnd_dies(net, shop, alice, point)
        await truth.until_state(little, digest, "ACCEPTED")
        await ledger.check_no_channel()
        await net.mine(1)
        ran = await buying
    finally:
        buying.cancel()
    assert ran.code == 0, ran
    assert ran.json["order"]["order_id"] == await ledger.check_sold_once()
    bought = await ledger.check_one_channel(LSP_BALANCE)
    await net.mine(1)
    await net.wait_active(bought, little, alice)

    ledger = await Ledger.opened(shop, alice)
    ran = await alice_buys.extend(shop, scid, 50)
    assert ran.code == 0, ran
    assert ran.json["order"]["order_id"] == extension.json["order"]["order_id"]
    option = extension.json["order"]["payment"]["bolt11"]
    paid = await ledger.paid()
    assert list(paid) == [await truth.hash_of(alice, option["invoice"])]
    assert (await truth.settled(little))[next(iter(paid))] == int(option["order_total_sat"])


async def test_a_new_order_while_one_is_held(
    net: Regtest, shop: Shop, little: Node, alice: Node, alice_buys: Customer, point: str
) -> None:
    """The buyer's command is killed while the LSP holds its payment: --new orders nothing then, exit code 4;
    without it the command goes on with the payment in flight; when the LSP has funds, one channel is opened for it."""
    ledger = await Ledger.opened(shop, alice)
    ordered = await alice_buys.buy(shop, LSP_BALANCE, 2_016, "--no-pay")
    assert ordered.code == 0, ordered
    await lock_funds(little)
    put_off = shop.logged("effect_put_off")
    buying = asyncio.create_task(alice_buys.buy(shop, LSP_BALANCE, 2_016))
    try:
        digest = await held(shop, buying, ledger, put_off)
    finally:
        buying.cancel()
    await asyncio.gather(buying, return_exceptions=True)
    refused = await alice_buys.buy(shop, LSP_BALANCE, 2_016, "--new")
    assert (refused.code, refused.json["error"]["kind"]) == (4, "OrderInFlight"), refused
    assert list(await ledger.paid()) == [digest]
    assert len(await ledger.sold()) == 1

    await net.mine(1)
    ran = await alice_buys.buy(shop, LSP_BALANCE, 2_016)
    assert ran.code == 0, ran
    assert ran.json["resumed"] is True
    assert ran.json["order"]["order_id"] == await ledger.check_sold_once()
    bought = await ledger.check_one_channel(LSP_BALANCE)
    await net.mine(1)
    await net.wait_active(bought, little, alice)
