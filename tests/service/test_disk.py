"""A disk that is really full: what customers see, what the operator reads, and that all goes on when there is room."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lsps.logs import FIELDS
from lsps.service.offer import Limits
from lsps.service.service import rules_of
from tests.service.conftest import MakeWorld
from tests.service.ends import DELIVERED
from tests.service.peers import CHANNEL_ORDER, Json, Peer, quiet, until
from tests.service.world import OFFER
from tests.store.consistency import disagreements
from tests.store.disks import FULL
from tests.store.opened import by_hand

ROOM = replace(OFFER, limits=Limits(requests_per_peer=1_000))


async def refusal(peer: Peer) -> tuple[list[Json], Json]:
    """Order until an order is refused: the orders that were taken, and the error."""
    taken: list[Json] = []
    while True:
        reply = await peer.ask("lsps1.create_order", CHANNEL_ORDER)
        if "error" in reply:
            return taken, reply["error"]
        taken.append(reply["result"])


@pytest.mark.parametrize("how", FULL)
async def test_a_full_disk(make_world: MakeWorld, tmp_path: Path, caplog: pytest.LogCaptureFixture, how: str) -> None:
    """New orders get error 1, known ones are told, the log names the file and what to do; with room again what was held
    meanwhile is taken up, and new orders are taken: nothing is lost or half."""
    full, advice = FULL[how]
    path = tmp_path / "lsp.db"
    async with make_world(offer=ROOM) as world:
        (alice,) = world.peers
        order = await alice.order_extension(144)
        async with full(path, world.disk):
            taken, error = await refusal(alice)
            assert (error["code"], "try again" in error["message"]) == (1, True)
            assert "disk" not in str(error)
            assert str(tmp_path) not in str(error)
            payment = alice.pay(order)
            await quiet()
            assert await alice.told(order) in {("CREATED", "EXPECT_PAYMENT"), DELIVERED}
            for each in taken:
                assert await alice.order(each) == each
            reasons = [getattr(record, FIELDS)["reason"] for record in caplog.records if record.msg == "store_failed"]
            assert all(f"{path}: {advice}" in reason for reason in reasons)
            assert reasons
        await world.pass_time(5)
        await until(payment.done)
        assert await alice.told(order) == DELIVERED
        newest = await alice.order_channel()
        for each in (*taken, newest):
            assert await alice.order(each) == each
        with by_hand(path) as file:
            assert disagreements(file, rules_of(ROOM)) == []
            assert file.execute("SELECT count(*) FROM orders").fetchone() == (len(taken) + 2,)


async def test_an_error_after_a_write_that_is_durable(make_world: MakeWorld) -> None:
    """What follows from an order that was stored although the disk reports an error happens at once: it does not wait
    for something else to wake the schedule."""
    async with make_world() as world:
        (alice,) = world.peers
        order = await alice.order_channel()
        world.disk.lies = True
        payment = alice.pay(order)
        await quiet()
        world.disk.lies = False
        await world.pass_time(2)
        world.mine(6)
        await until(payment.done)
        assert await alice.told(order) == DELIVERED


async def test_an_order_whose_write_is_reported_lost_is_answered_as_it_is(make_world: MakeWorld) -> None:
    """A new order that is in the store is told, and can be paid, whatever the disk reports."""
    async with make_world() as world:
        (alice,) = world.peers
        world.disk.lies = True
        order = await alice.order_extension(144)
        world.disk.lies = False
        payment = alice.pay(order)
        await until(payment.done)
        assert await alice.told(order) == DELIVERED
