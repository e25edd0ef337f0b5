"""A service that starts from a copy of its store (docs/backup.md)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from lsps.node.contract import Payment, PaymentStatus
from lsps.orders.model import State
from lsps.service.offer import LeaseToRecord, Token
from lsps.store.sqlite.backup import back_up_orders
from lsps.units import BlockHeight
from tests.service.conftest import MakeWorld
from tests.service.ends import DELIVERED, WAITING
from tests.service.onchain import DAY, HOUR, audit, price, selling, take_order
from tests.service.peers import Json, Peer, payment_hash, quiet, until
from tests.service.world import LspWorld


def back_up(directory: Path) -> None:
    """As `lsps backup` does, while the service runs."""
    back_up_orders(directory / "lsp.db", directory / "copy.db", overwrite=False)


def put_back(directory: Path) -> None:
    for file in directory.glob("lsp.db*"):
        file.unlink()
    (directory / "copy.db").rename(directory / "lsp.db")


async def restore(world: LspWorld, directory: Path) -> None:
    """The store is lost with all that lies beside it, and the copy put in its place."""
    await world.kill()
    await world.node.close()
    put_back(directory)
    await world.start()


async def expiration(peer: Peer) -> int:
    (channel,) = await peer.extendable()
    return int(channel["expiration_block"])


async def test_a_service_serves_on_from_a_copy(world: LspWorld, alice: Peer, tmp_path: Path) -> None:
    """The lease sold is kept, the order that waits can be paid and is settled, what is told stays told, and new orders
    are taken: the copy holds the secret, and so is whole (money rule 6)."""
    sold = await alice.order_extension(144)
    await until(alice.pay(sold).done)
    waiting = await alice.order_channel()
    lease = await expiration(alice)
    back_up(tmp_path)
    await restore(world, tmp_path)
    assert await alice.told(sold) == DELIVERED
    assert await expiration(alice) == lease
    assert (await alice.order(waiting)) == waiting
    payment = alice.pay(waiting)
    await until(payment.done)
    assert await alice.told(waiting) == DELIVERED
    assert len(await world.lsp_channels()) == 1
    world.mine()
    await quiet()
    newest = await alice.order_extension(10, (await alice.extendable())[0]["short_channel_id"])
    await until(alice.pay(newest).done)
    assert await alice.told(newest) == DELIVERED


async def test_a_payment_held_when_the_store_was_lost(world: LspWorld, alice: Peer, tmp_path: Path) -> None:
    """A copy from before the payment: the node still holds it and tells, so the order is delivered once."""
    order = await alice.order_channel()
    back_up(tmp_path)
    world.faults.hang_next(world.lsp.node_id, "wallet.inputs")
    payment = alice.pay(order)
    await quiet()
    await restore(world, tmp_path)
    await until(payment.done)
    assert await alice.told(order) == DELIVERED
    assert len(await world.lsp_channels()) == 1


async def test_a_channel_opened_and_paid_since_an_old_copy(world: LspWorld, alice: Peer, tmp_path: Path) -> None:
    """The copy is from while the order was paid: the node knows the channel by the order's id. It is not sold again,
    and has its lease."""
    order = await _sold_since(world, alice, tmp_path)
    await restore(world, tmp_path)
    await world.pass_time(4 * 3600)
    assert len(await world.lsp_channels()) == 1
    assert await alice.told(order) == DELIVERED
    assert len(await world.store.open_leases(None, 10)) == 1


async def test_a_channel_opened_paid_and_closed_since_an_old_copy(world: LspWorld, alice: Peer, tmp_path: Path) -> None:
    """The node has forgotten the channel: what it settled since is not sold again, and nothing wrong is told; the
    operator finds the order waiting, and why in the log."""
    order = await _sold_since(world, alice, tmp_path)
    world.mine()
    (channel,) = await world.lsp_channels()
    await world.close_channel(channel)
    await restore(world, tmp_path)
    await world.pass_time(4 * 3600)
    assert not await world.lsp_channels()
    assert await alice.told(order) == WAITING


async def _sold_since(world: LspWorld, alice: Peer, directory: Path) -> Json:
    """A channel that is paid in the copy, and is opened and settled since."""
    order = await alice.order_channel()
    world.faults.hang_next(world.lsp.node_id, "wallet.inputs")
    payment = alice.pay(order)
    await quiet()
    back_up(directory)
    await world.pass_time(90)
    await until(payment.done)
    assert payment.result().status is PaymentStatus.SUCCEEDED
    return order


async def test_what_an_old_copy_does_not_know(world: LspWorld, alice: Peer, tmp_path: Path) -> None:
    """An order made since the copy is unknown, and its held payment neither taken nor given back by the service: the
    operator cancels it at the node. An extension since is gone, until the operator grants it in lsps.toml."""
    back_up(tmp_path)
    extended = await alice.order_extension(144)
    await until(alice.pay(extended).done)
    promised = await expiration(alice)
    lost = await alice.order_channel()
    world.faults.hang_next(world.lsp.node_id, "wallet.inputs")
    payment = alice.pay(lost)
    await quiet()
    await restore(world, tmp_path)
    await world.pass_time(3600)
    assert await unknown(alice, lost)
    assert not payment.done()
    await cancel(world, lost)
    assert await failed(payment)
    assert await expiration(alice) == 0
    (channel,) = await world.lsp.channels.list()
    await world.restart(leases=(LeaseToRecord(channel.funding, BlockHeight(promised)),))
    assert await expiration(alice) == promised


async def unknown(peer: Peer, order: Json) -> bool:
    error = await peer.refused("lsps1.get_order", {"order_id": order["order_id"]})
    return bool(error["code"] == 101)


async def cancel(world: LspWorld, order: Json) -> None:
    """As `lncli cancelinvoice` does."""
    await world.lsp.invoices.cancel(payment_hash(order))


async def failed(payment: asyncio.Task[Payment]) -> bool:
    await until(payment.done)
    return payment.result().status is PaymentStatus.FAILED


@pytest.mark.parametrize("how", ["bolt11", "onchain", "free"])
async def test_a_copy_older_than_a_paid_order_may_wait(make_world: MakeWorld, tmp_path: Path, how: str) -> None:
    """The copy's order was to be given up long ago; the channel that was opened for it since is found first, so nothing
    is given back for what was delivered."""
    offer = replace(selling(), tokens=(Token("FREE", 100),))
    async with make_world(offer=offer, price=price) as world:
        free = {"token": "FREE", "client_balance_sat": "0"}
        order = await take_order(world, "lsps1", None, **(free if how == "free" else {}))
        world.faults.hang_next(world.lsp.node_id, "wallet.inputs")
        if how == "onchain":
            await order.pay_and_mine()
        elif how == "bolt11":
            order.pay_invoice()
            await quiet()
        back_up(tmp_path)
        await world.pass_time(90)
        assert await order.delivered()
        await world.pass_time(3 * DAY)
        await restore(world, tmp_path)
        await world.pass_time(HOUR)
        await order.mine(2)
        stored = await order.stored()
        assert (stored.state, stored.reason) == (State.COMPLETED, "")
        assert order.came_back() == []
        await audit(world)


async def test_a_channel_opened_since_and_a_payment_near_its_timeout(
    world: LspWorld, alice: Peer, tmp_path: Path
) -> None:
    """Opened and not settled when the store was lost, and by now the payment is too near its timeout to wait: it is
    taken at once, not given back."""
    order = await alice.order_channel()
    world.faults.hang_next(world.lsp.node_id, "wallet.inputs")
    payment = alice.pay(order)
    await quiet()
    back_up(tmp_path)
    world.faults.hang_next(world.lsp.node_id, "invoices.settle")
    await world.pass_time(70)
    assert len(await world.lsp_channels()) == 1
    await world.kill()
    world.mine(110)
    await restore(world, tmp_path)
    await until(payment.done)
    assert payment.result().status is PaymentStatus.SUCCEEDED
    assert await alice.told(order) == DELIVERED
