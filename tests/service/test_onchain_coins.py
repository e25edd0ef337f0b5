"""What customers paid is not spent before it is earned (money rule 4): no channel is funded with it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsps import failpoints
from lsps.node import coins
from lsps.node.contract import Refused, Utxo
from lsps.orders.model import Order, State
from lsps.service.offer import ChannelOffer
from lsps.service.opening import Opening, capacity
from lsps.service.pricing import PriceRequest
from lsps.units import BlockHeight, Outpoint, Sat
from tests.orders import samples
from tests.service.conftest import MakeWorld
from tests.service.onchain import DAY, PAID, SEEN, Till, audit, selling, take_order
from tests.service.peers import CHANNEL_ORDER, quiet, until
from tests.service.world import OPTIONS, LspWorld

LARGE = 5_000_000


def price(request: PriceRequest) -> Sat:
    """An extension costs a fortune, so that its payment could fund a channel."""
    return Sat(LARGE if request.service == "LSPS7" else 50_000)


async def poor(world: LspWorld) -> None:
    """The LSP's wallet is empty."""
    world.net.world.take_funds(world.lsp.node_id)
    world.mine()
    await quiet()


async def no_liquidity(order: Till) -> bool:
    reply = await order.peer.ask("lsps1.create_order", CHANNEL_ORDER)
    return "error" in reply and reply["error"]["code"] == 1


@pytest.mark.parametrize("more", [-1, 0, LARGE], ids=["short", "exact", "double"])
async def test_only_what_is_earned_funds_a_channel(make_world: MakeWorld, more: int) -> None:
    """A deposit that may go back, whole or in part, funds nothing, though it is the only coin there is; one that has
    bought what it was paid for does, when it is six blocks deep."""
    async with make_world(offer=selling(), price=price) as world:
        order = await take_order(world, "lsps7")
        await poor(world)
        await order.pay(LARGE + more)
        if more == LARGE:  # its refund waits for the network
            world.faults.hang_next(world.lsp.node_id, "wallet.publish")
        await order.mine()
        assert (await order.told() == PAID) == (more >= 0)
        await order.mine(4)
        assert await no_liquidity(order)
        await order.mine()
        assert await no_liquidity(order) == (more != 0)
        if more == 0:
            bought = await order.peer.order_channel()
            await until(order.peer.pay(bought).done)
            await order.mine()
            (channel,) = await world.lsp_channels()
            funding = world.net.world.chain.transaction(channel.funding.txid)
            assert funding is not None
            assert funding.inputs == ((await order.deposits())[0].outpoint,)
        await audit(world)


async def test_an_order_is_not_opened_with_its_own_payment(make_world: MakeWorld) -> None:
    """The payment of an order funds its channel no more than another's does: it waits for the LSP's own coins, and the
    payment goes back whole when they do not come."""
    async with make_world(offer=selling(), price=price) as world:
        order = await take_order(world, "lsps1", client_balance_sat="1000000", lsp_balance_sat="100000")
        await poor(world)
        await order.pay_and_mine(3_000_000)
        await world.pass_time(60)
        assert (await order.told(), await order.delivered()) == (SEEN, False)
        await world.pass_time(DAY)
        assert (await order.told())[0] == "FAILED"
        assert await order.refund_confirms() > 2_990_000
        await audit(world)


async def test_the_change_of_a_refund_is_the_lsps(make_world: MakeWorld) -> None:
    """What is left of an overpaid deposit after its refund is an ordinary coin."""
    async with make_world(offer=selling(), price=price) as world:
        order = await take_order(world, "lsps7")
        await poor(world)
        await order.pay_and_mine(LARGE + 100_000)
        assert await no_liquidity(order)
        await order.refund_confirms()
        assert not await no_liquidity(order)
        await audit(world)


async def test_a_late_payment_is_not_a_coin(make_world: MakeWorld) -> None:
    """Paid to an order that failed: neither while it waits for its refund, nor when that is stuck, nor when it is left
    to the operator."""
    async with make_world(offer=selling(), price=price) as world:
        order = await take_order(world, "lsps7")
        await poor(world)
        await world.pass_time(DAY)
        world.faults.fail_next(world.lsp.node_id, "wallet.sign", error=Refused("its keys are elsewhere"))
        await order.pay_and_mine(LARGE)
        (deposit,) = await order.deposits()
        assert deposit.left
        assert await no_liquidity(order)
        await order.pay_and_mine(LARGE)
        world.net.world.evict(order.waiting_refunds()[0])
        assert await no_liquidity(order)
        await audit(world)


async def test_what_funds_a_channel_now_does_not_go_back_now(make_world: MakeWorld) -> None:
    """An earned deposit was chosen for an opening, and a smaller min_refund_sat now wants its excess back: its refund
    would take the channel's funding away, so the channel comes first and the operator decides about the excess."""
    async with make_world(offer=selling(min_refund=Sat(10_000)), price=price) as world:
        order = await take_order(world, "lsps7")
        await poor(world)
        await order.pay_and_mine(LARGE + 9_000, 6)
        assert await order.told() == PAID
        world.faults.hang_next(world.lsp.node_id, "channels.open", times=2)
        bought = await order.peer.order_channel()
        payment = order.peer.pay(bought)
        await quiet()
        assert (await world.stored(bought)).state is State.FULFILLING
        await world.restart(payment=replace(world.offer.payment, min_refund=Sat(1_000)))
        await quiet()
        assert order.waiting_refunds() == []
        world.faults.clear(world.lsp.node_id)
        await world.restart()
        await until(payment.done)
        await order.mine()
        assert len(await world.lsp_channels()) == 1
        await world.pass_time(60)
        (deposit,) = await order.deposits()
        assert "spent" in deposit.left
        assert (order.came_back(), (await order.books()).owed) == ([], 9_000_000)
        await audit(world)


# --- which coins, and at what cost ------------------------------------------------------------------------------------


@dataclass
class Readings:
    """A store of orders by address that counts how often it is asked; all of it was read to a block far above."""

    orders: dict[str, Order]
    asked: int = 0

    async def reserved_inputs(self) -> frozenset[Outpoint]:
        return frozenset()

    async def deposits_read_to(self) -> BlockHeight:
        return samples.TIP + 100

    async def order_of_address(self, address: str) -> Order | None:
        self.asked += 1
        return self.orders.get(address)


@dataclass
class Purse:
    utxos: list[Utxo]

    async def inputs(self) -> list[Utxo]:
        return self.utxos


def opening(store: Readings, utxos: list[Utxo], reserve: int) -> Opening:
    offer = ChannelOffer(OPTIONS, reserve=Sat(reserve))
    return Opening(None, None, Purse(utxos), store, offer, failpoints.none)  # type: ignore[arg-type]


def coin(number: int, sat: int, address: str) -> Utxo:
    return Utxo(Outpoint(number.to_bytes(32, "big").hex(), 0), Sat(sat), address)


async def test_what_customers_paid_costs_a_new_order_nothing() -> None:
    """A thousand earned payments lie in the wallet, smaller than the coin that is enough: no order is read for them;
    nor when all coins together are too few."""
    utxos = [coin(number, 50_000, f"bcrt1q{number}") for number in range(1, 1_001)]
    store = Readings({})
    chosen = await opening(store, [*utxos, coin(0, 10_000_000, "own")], 0).inputs_for(samples.CHANNEL_TERMS, 1_000)
    assert (chosen, store.asked) == ((coin(0, 1, "").outpoint,), 1)
    store.asked = 0
    assert await opening(store, utxos, 100_000_000).inputs_for(samples.CHANNEL_TERMS, 1_000) is None
    assert store.asked == 0


COINS = st.lists(st.tuples(st.integers(1, 4_000_000), st.sampled_from(["own", "earned", "owed"])), max_size=8)


@given(COINS, st.sampled_from([0, 1, 500_000, 3_000_000]), st.sampled_from([253, 1_000, 50_000]))
async def test_the_coins_chosen_are_those_of_all_that_are_ours(
    drawn: list[tuple[int, str]], reserve: int, sat_per_kw: int
) -> None:
    """Looking at no more coins than are enough chooses the same as looking at all of them, with the same reserve."""
    utxos, ours, orders = [], [], {}
    for number, (sat, kind) in enumerate(drawn):
        utxo = coin(number, sat, f"{kind}{number}")
        utxos.append(utxo)
        if kind != "owed":
            ours.append(utxo)
        if kind != "own":
            state = State.COMPLETED if kind == "earned" else State.PAID
            order = samples.onchain_order_in(state, samples.CHANNEL_TERMS)
            deposit = replace(samples.DEPOSIT, outpoint=utxo.outpoint)
            orders[utxo.address] = replace(order, onchain=replace(samples.ONCHAIN, deposits=(deposit,)))
    wanted = capacity(samples.CHANNEL_TERMS)
    expected = coins.choose(ours, wanted, sat_per_kw, Sat(reserve))
    found = await opening(Readings(orders), utxos, reserve).inputs_for(samples.CHANNEL_TERMS, sat_per_kw)
    assert found == expected
