"""The process dies at every named place, in every story, once and once more: each order ends exactly once, right."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import lsps.service
from lsps.orders.pending import EffectName
from tests.service.conftest import MakeWorld
from tests.service.flows import BACK, FLOWS, play, stage
from tests.service.onchain import DAY, HOUR, till


@pytest.mark.parametrize("name", FLOWS)
async def test_the_stories_pass_the_failpoints_they_say(tmp_path: Path, name: str) -> None:
    """Undisturbed, each story ends as it should, and passes exactly the places where it will be made to die."""
    flow = FLOWS[name]
    async with stage(tmp_path) as world:
        story = await play(world, flow)
        assert await story.delivered() == flow.delivers
        await story.ended_well()
        assert set(world.passed) == flow.passes


def test_no_failpoint_of_the_service_is_forgotten() -> None:
    """Every name in the service's source is passed by a story."""
    named = set()
    for path in Path(lsps.service.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call) or not ast.unparse(node.func).endswith("failpoint"):
                continue
            match node.args:
                case [ast.Constant(value=str(name))]:
                    named.add(name)
                case [ast.JoinedStr()]:
                    named |= {f"{effect.name.lower()}.committed" for effect in EffectName}
    assert named == frozenset().union(*(flow.passes for flow in FLOWS.values()))


@pytest.mark.parametrize("deaths", [1, 2])
@pytest.mark.parametrize(
    ("name", "place"), [(name, place) for name, flow in FLOWS.items() for place in sorted(flow.passes)]
)
async def test_a_crash_at_any_place_ends_as_if_there_had_been_none(
    tmp_path: Path, name: str, place: str, deaths: int
) -> None:
    """Money rules: after a restart the order ends exactly once, right, in the way it would have ended anyway."""
    flow = FLOWS[name]
    async with stage(tmp_path) as world:
        world.die_at(place)
        await world.restart(again=True)
        story = await play(world, flow, lambda: world.deaths < deaths)
        assert world.deaths >= 1
        await story.ended_well()
        assert await story.delivered() == flow.delivers


@pytest.mark.parametrize("place", sorted(BACK))
async def test_a_crash_while_a_refund_is_bumped(make_world: MakeWorld, place: str) -> None:
    """bLIP-51 §3.3: the refund that replaces another spends the same outpoint, so one of all is mined, wherever the
    process dies."""
    async with till(make_world, "lsps7") as order:
        world = order.world
        await world.pass_time(DAY)
        await order.pay_and_mine()
        world.net.world.chain.least_sat_per_kw = 1_200
        world.die_at(place)
        await world.restart(again=True)
        await world.pass_time(6 * HOUR + 1)
        assert world.deaths >= 1
        await world.restart()
        await world.pass_time(60)
        paid = await order.refund_confirms()
        await order.mine(3)
        (deposit,) = await order.deposits()
        assert (order.came_back(), int(deposit.refunds[1].paid)) == ([paid], paid)
