"""Paid by Lightning and on-chain: one of them buys, the other goes back."""

from __future__ import annotations

import pytest

from lsps.node.contract import PaymentStatus
from tests.service.conftest import MakeWorld
from tests.service.onchain import DAY, HOUR, KINDS, PAID, REFUNDED, till
from tests.service.peers import quiet, until


@pytest.mark.parametrize("kind", KINDS)
async def test_lightning_first(make_world: MakeWorld, kind: str) -> None:
    """Delivered for the invoice; what comes on-chain afterwards goes back, and the option is told as REFUNDED, so that
    nobody pays again."""
    async with till(make_world, kind) as order:
        payment = order.pay_invoice()
        await until(payment.done)
        assert await order.told() == ("COMPLETED", "REFUNDED")
        await order.pay_and_mine()
        await order.refund_confirms()
        assert (await order.told(), await order.told_bolt11()) == (("COMPLETED", "REFUNDED"), "PAID")
        books = await order.books()
        assert (books.lightning, books.refunded + books.refund_fees) == (order.total * 1000, order.total * 1000)
        assert await order.delivered()


@pytest.mark.parametrize("kind", KINDS)
async def test_on_chain_first(make_world: MakeWorld, kind: str) -> None:
    """Delivered for the deposit; the invoice is cancelled, so a payment of it fails."""
    async with till(make_world, kind) as order:
        await order.pay_and_mine()
        payment = order.pay_invoice()
        await until(payment.done)
        assert payment.result().status is PaymentStatus.FAILED
        assert (await order.told(), await order.told_bolt11()) == (PAID, "REFUNDED")
        assert (await order.books()).lightning == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_lightning_while_the_deposit_waits_for_its_block(make_world: MakeWorld, kind: str) -> None:
    """What is held first buys; the deposit is on its way already, and goes back when it is in a block."""
    async with till(make_world, kind) as order:
        await order.pay()
        await until(order.pay_invoice().done)
        assert (await order.told_bolt11(), await order.delivered()) == ("PAID", True)
        assert (await order.books()).owed == 0
        await order.mine()
        await order.refund_confirms()
        assert len(order.came_back()) == 1


async def test_the_deposit_while_the_invoice_is_held(make_world: MakeWorld) -> None:
    """An opening that waits for funds is paid for by the invoice; the deposit beside it stays untouched until it is
    known which way the order ends, and goes back then."""
    async with till(make_world, "lsps1") as order:
        order.world.net.world.take_funds(order.world.lsp.node_id)
        payment = order.pay_invoice()
        await quiet()
        await order.pay_and_mine()
        assert (await order.told_bolt11(), order.waiting_refunds()) == ("HOLD", [])
        await order.world.pass_time(HOUR)
        assert payment.done()
        assert await order.told() == REFUNDED
        await order.refund_confirms()
        assert not await order.delivered()


@pytest.mark.parametrize("kind", KINDS)
async def test_the_invoice_held_in_the_moment_of_the_block(make_world: MakeWorld, kind: str) -> None:
    """Both at once: whichever is seen first buys, the other goes back, and the sums are right."""
    async with till(make_world, kind) as order:
        await order.pay()
        payment = order.pay_invoice()
        order.world.mine()
        await until(payment.done)
        await quiet(500)
        await order.mine(2)
        assert await order.delivered()
        by_invoice = payment.result().status is PaymentStatus.SUCCEEDED
        assert (len(order.came_back()) == 1) == by_invoice
        assert (await order.books()).earned == 50_000_000


@pytest.mark.parametrize("kind", KINDS)
async def test_the_invoice_expires_and_the_address_lives_on(make_world: MakeWorld, kind: str) -> None:
    """bLIP-51 §3: each option has its expiry; after the invoice's, the address still buys."""
    async with till(make_world, kind) as order:
        await order.world.pass_time(2 * HOUR)
        assert (await order.told_bolt11(), (await order.told())[0]) == ("REFUNDED", "CREATED")
        await order.pay_and_mine()
        assert (await order.told(), await order.delivered()) == (PAID, True)


@pytest.mark.parametrize("kind", KINDS)
async def test_too_little_on_chain_and_the_invoice(make_world: MakeWorld, kind: str) -> None:
    """A part on-chain and then the whole by Lightning: delivered, and the part goes back at once."""
    async with till(make_world, kind) as order:
        await order.pay_and_mine(order.total - 5_000)
        await until(order.pay_invoice().done)
        await quiet()
        assert await order.delivered()
        await order.refund_confirms()
        await order.world.pass_time(2 * DAY)
        assert await order.told() == ("COMPLETED", "REFUNDED")
