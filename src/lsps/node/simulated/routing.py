"""Finding a way for a payment through channels that can carry it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lsps.units import Msat, NodeId

if TYPE_CHECKING:
    from lsps.node.simulated.channels import SimulatedChannel
    from lsps.node.simulated.network import World


@dataclass(frozen=True, slots=True)
class Hop:
    """`sender` hands this amount over through this channel."""

    channel: SimulatedChannel
    sender: NodeId
    amount: Msat


Route = tuple[Hop, ...]


def find_route(world: World, payer: NodeId, payee: NodeId, amount: Msat) -> Route | None:
    """A route of the fewest channels, first hop first, whose channels all have the balance now. Searched from the
    payee, since each hop carries the fees of those after it. Strangers forward through public channels only."""
    searched = {payee}
    queue: deque[tuple[NodeId, Msat, Route]] = deque([(payee, amount, ())])
    while queue:
        node_id, needed, rest = queue.popleft()
        for channel in world.nodes[node_id].channels.values():
            sender = channel.other(node_id)
            if sender in searched or channel.balances[sender] < needed.value or not world.graph.usable(channel):
                continue
            if channel.private and sender != payer and node_id != payee:
                continue
            route = (Hop(channel, sender, needed), *rest)
            if sender == payer:
                return route
            searched.add(sender)
            queue.append((sender, needed + _fee(world, sender, needed), route))
    return None


def _fee(world: World, forwarder: NodeId, amount: Msat) -> Msat:
    policy = world.nodes[forwarder].policy
    return policy.base_fee + Msat(amount.value * policy.fee_ppm // 1_000_000)
