"""The operator changes lsps.toml and restarts while orders are under way: what was promised is kept, or given back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lsps.orders.model import State
from lsps.service.offer import PaymentTerms
from lsps.units import Sat
from tests.service.conftest import MakeWorld
from tests.service.onchain import DAY, KINDS, PAID, REFUNDED, SEEN, Till, till
from tests.service.peers import quiet

CHANGES: dict[str, dict[str, Any]] = {
    "no on-chain payment": {"onchain": False},
    "no invoices": {"bolt11": False},
    "more confirmations": {"min_onchain_payment_confirmations": 6},
    "only larger payments": {"min_onchain_payment": Sat(10_000_000)},
    "only larger refunds": {"min_refund": Sat(10_000_000)},
}


def changed(order: Till, change: str) -> PaymentTerms:
    return replace(order.world.offer.payment, **CHANGES[change])


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_payment_under_way_buys_on_the_old_terms(make_world: MakeWorld, kind: str, change: str) -> None:
    """Sent before the change and mined after it: it is delivered by the terms that the order was told."""
    async with till(make_world, kind) as order:
        await order.pay()
        await order.world.restart(payment=changed(order, change))
        await order.mine()
        assert (await order.told(), await order.delivered()) == (PAID, True)


async def test_fewer_confirmations_are_for_new_orders(make_world: MakeWorld) -> None:
    """An order that was told three confirmations waits for three, whatever new ones are told."""
    async with till(make_world, "lsps7", min_onchain_payment_confirmations=3) as order:
        await order.pay_and_mine(blocks=2)
        fewer = replace(order.world.offer.payment, min_onchain_payment_confirmations=1)
        await order.world.restart(payment=fewer)
        assert not await order.delivered()
        await order.mine()
        assert (await order.told(), await order.delivered()) == (PAID, True)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_refund_under_way_goes_on(make_world: MakeWorld, kind: str, change: str) -> None:
    """Signed before the change and published after it: what goes back was decided."""
    async with till(make_world, kind) as order:
        await order.spoil()
        order.world.faults.hang_next(order.world.lsp.node_id, "wallet.publish")
        await order.pay_and_mine()
        assert order.waiting_refunds() == []
        await order.world.restart(payment=changed(order, change))
        await order.refund_confirms()
        assert await order.told() == REFUNDED
        await order.world.pass_time(DAY)
        await order.mine()
        assert len(order.came_back()) == 1


@pytest.mark.parametrize("blocks", [0, 300], ids=["now", "long after"])
async def test_a_smaller_minimum_sends_what_was_too_small(make_world: MakeWorld, blocks: int) -> None:
    """The operator's decision to give it back after all: min_refund_sat is lowered, and it goes at the next start,
    however long ago it was paid; what is spent by then is not touched."""
    async with till(make_world, "lsps7", min_refund=Sat(10_000)) as order:
        await order.world.pass_time(DAY)
        await order.pay_and_mine(9_000)
        assert (order.waiting_refunds(), (await order.books()).owed) == ([], 9_000_000)
        await order.mine(blocks)
        await order.world.restart(payment=replace(order.world.offer.payment, min_refund=Sat(2_000)))
        await order.refund_confirms()
        assert (await order.books()).owed == 0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_service_that_is_not_offered_any_more(make_world: MakeWorld, kind: str) -> None:
    """A paid extension is delivered all the same; a channel is not begun any more, and its payment goes back."""
    async with till(make_world, kind) as order:
        await order.pay()
        offer = order.world.offer
        await order.world.restart(again=False, **{kind: None})
        await order.mine()
        assert (await order.stored()).state is (State.COMPLETED if kind == "lsps7" else State.PAID)
        await order.world.pass_time(DAY)
        if kind == "lsps1":
            await order.refund_confirms()
        await order.world.restart(lsps1=offer.lsps1, lsps7=offer.lsps7)
        await quiet()
        assert await order.told() == (PAID if kind == "lsps7" else REFUNDED)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_held_payment_survives_a_change(make_world: MakeWorld, kind: str) -> None:
    """Paid by invoice, waiting for the wallet or the channel list, and then invoices are switched off."""
    async with till(make_world, kind) as order:
        order.world.faults.hang_next(order.world.lsp.node_id, "wallet.inputs")
        payment = order.pay_invoice()
        await quiet()
        await order.world.restart(payment=changed(order, "no invoices"))
        await quiet()
        assert payment.done()
        assert (await order.told_bolt11(), await order.delivered()) == ("PAID", True)


async def test_the_confirmations_of_a_paid_order_are_told_as_ever(make_world: MakeWorld) -> None:
    """What was told as PAID stays so when the operator asks for more confirmations meanwhile."""
    async with till(make_world, "lsps1") as order:
        order.world.faults.fail_next(order.world.lsp.node_id, "wallet.inputs", times=100_000)
        await order.pay_and_mine()
        assert await order.told() == SEEN
        await order.world.restart(payment=changed(order, "more confirmations"))
        assert await order.told() == SEEN
        order.world.faults.clear(order.world.lsp.node_id)
        await order.world.pass_time(60)
        assert (await order.told(), await order.delivered()) == (PAID, True)
