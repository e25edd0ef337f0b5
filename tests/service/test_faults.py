"""Each of the node's calls fails, is lost, or never answers, in every story that makes it: each order ends right."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.service.ends import DELIVERED, WAITING, nothing_opened
from tests.service.flows import FLOWS, play, stage
from tests.service.peers import Peer, until
from tests.service.world import LspWorld

CALLS = {
    "extension": ("invoices.settle",),
    "extension that waits": ("channels.list", "invoices.settle"),
    "extension of a closing channel": ("invoices.cancel",),
    "extension unpaid": ("invoices.cancel",),
    "channel": ("messages.connect", "wallet.feerate", "wallet.inputs", "channels.open", "invoices.settle"),
    "channel refused": ("channels.open", "channels.fate", "invoices.cancel"),
    "channel free": ("messages.connect", "channels.open"),
    "channel free but refused": ("channels.open", "channels.fate"),
}
"""The calls that a story makes after its order was created."""
ONE_ATTEMPT = "channels.open"
"""An order has one: when it does not reach the node, nothing is opened."""


@pytest.mark.parametrize("how", ["fails", "is lost", "hangs", "hangs after"])
@pytest.mark.parametrize(("name", "call"), [(name, call) for name, calls in CALLS.items() for call in calls])
async def test_a_call_that_goes_wrong_changes_no_end(tmp_path: Path, name: str, call: str, how: str) -> None:
    """Unknown outcomes are settled before anything else is tried: delivered and paid, or neither; and where only an
    answer was lost, or a call can be repeated, as if nothing had happened."""
    flow = FLOWS[name]
    async with stage(tmp_path) as world:
        lsp, faults = world.lsp.node_id, world.faults
        struck = flow.before

        async def before(*_: object) -> None:
            if struck is not None:
                await struck(world, world.peers[0])
            match how:
                case "fails" | "is lost":
                    faults.fail_next(lsp, call, before=how == "fails")
                case "hangs" | "hangs after":
                    faults.hang_next(lsp, call, before=how == "hangs")

        story = await play(world, replace(flow, before=before))
        await story.ended_well()
        reached = call != ONE_ATTEMPT or how in ("is lost", "hangs after")
        assert await story.delivered() == (flow.delivers and reached)
        assert faults.take(lsp, call, before=how in ("fails", "hangs")) is None


@pytest.mark.parametrize("name", [name for name, flow in FLOWS.items() if flow.paid])
async def test_a_node_that_dies_and_comes_back_changes_no_end(tmp_path: Path, name: str) -> None:
    """The node stops right after the payment, streams break, calls go unanswered; back again, each order ends right."""
    flow = FLOWS[name]
    async with stage(tmp_path) as world:
        circumstances = flow.before

        async def before(*_: object) -> None:
            if circumstances is not None:
                await circumstances(world, world.peers[0])
            world.net.world.timers.after(1, lambda: world.net.stop(world.lsp))
            world.net.world.timers.after(20, lambda: world.net.start(world.lsp))

        story = await play(world, replace(flow, before=before))
        await story.ended_well()


async def test_a_negotiation_without_end_is_waited_for(world: LspWorld, alice: Peer) -> None:
    """Money rule 3: while a negotiation may still make a channel nothing else is tried and nothing is given back; when
    the node forgets it, the payment goes back."""
    world.faults.hang_next(world.lsp.node_id, "negotiation")
    order = await alice.order_channel()
    payment = alice.pay(order)
    await world.pass_time(3600)
    assert await alice.told(order) == WAITING
    assert world.passed.count("open_channel.before") == 1
    world.net.stop(world.lsp)
    world.net.start(world.lsp)
    await world.pass_time(60)
    await nothing_opened(world, alice, order, payment)


async def test_a_negotiation_that_ends_late_still_opens_the_channel(world: LspWorld, alice: Peer) -> None:
    """An opening that outlives our patience with it is found by its inputs, and the order completed."""
    world.faults.delay_next(world.lsp.node_id, "negotiation", 500)
    order = await alice.order_channel()
    payment = alice.pay(order)
    await world.pass_time(499)
    assert await alice.told(order) == WAITING
    await world.pass_time(60)
    await until(payment.done)
    assert await alice.told(order) == DELIVERED
    assert len(await world.lsp_channels()) == 1
