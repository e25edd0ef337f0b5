"""Opening a channel: the inputs are locked while two nodes negotiate, and tell later what became of them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lsps.node.contract import (
    LARGE_CHANNEL_FEATURES,
    LARGEST_ORDINARY_CHANNEL,
    ChannelState,
    NodeError,
    NotOpened,
    Opened,
    OpenRequest,
    Refused,
    Undecided,
)
from lsps.node.simulated.channels import FUNDING_OUTPUT, SimulatedChannel
from lsps.node.simulated.faults import NEGOTIATION
from lsps.node.simulated.transactions import BASE_WEIGHT, INPUT_WEIGHT, TAPROOT_OUTPUT_WEIGHT, Output, fee_of
from lsps.units import NodeId, Outpoint, Sat

if TYPE_CHECKING:
    from lsps.node.simulated.lightning_node import LightningNode

_MIN_CAPACITY = Sat(20_000)
_DUST = Sat(354)


@dataclass(frozen=True, slots=True)
class _Funding:
    """An opened channel's funding output and the peer it is shared with."""

    outpoint: Outpoint
    peer: NodeId


class Openings:
    """The channels that one node opens. What it opened is remembered by the funding transaction's id."""

    def __init__(self, node: LightningNode) -> None:
        self._node = node
        self._locked: dict[Outpoint, None] = {}
        self._opened: dict[str, _Funding] = {}

    def is_locked(self, outpoint: Outpoint) -> bool:
        """Whether a negotiation that is still running uses it."""
        return outpoint in self._locked

    def start(self, request: OpenRequest) -> asyncio.Future[Outpoint]:
        """Lock the inputs and negotiate; the negotiation goes on when nobody waits any more. Raises Refused."""
        change = self._check(request)
        self._locked.update(dict.fromkeys(request.inputs))
        answer: asyncio.Future[Outpoint] = asyncio.get_running_loop().create_future()
        self._node.spawn(self._negotiate(request, change, answer))
        return answer

    def fate(self, peer: NodeId, inputs: tuple[Outpoint, ...]) -> Opened | NotOpened | Undecided:
        if any(self.is_locked(outpoint) for outpoint in inputs):
            return Undecided()
        spenders = [txid for outpoint in inputs if (txid := self._node.wallet.spender(outpoint)) is not None]
        if not spenders:
            return NotOpened("the inputs are unspent and unlocked, and no negotiation uses them")
        funding = self._opened.get(spenders[0])
        if funding is None or funding.peer != peer or spenders != spenders[:1] * len(inputs):
            return NotOpened("the inputs were spent otherwise")
        return Opened(funding.outpoint)

    def _check(self, request: OpenRequest) -> Sat:
        """What the node itself refuses at once, in LND's words; returns the change."""
        node, peer = self._node, self._node.world.nodes.get(request.peer)
        if peer is None or not node.world.connected(node.node_id, request.peer):
            raise Refused(f"peer {request.peer} is not online")
        if request.capacity < _MIN_CAPACITY:
            raise Refused(f"channel is too small, the minimum channel size is: {_MIN_CAPACITY} SAT")
        large = all(side.features & LARGE_CHANNEL_FEATURES for side in (node, peer))
        if request.capacity > LARGEST_ORDINARY_CHANNEL and not large:
            raise Refused(f"funding amount is too large, the max channel size is: {LARGEST_ORDINARY_CHANNEL} SAT")
        if request.push >= request.capacity:
            raise Refused("amount pushed to remote peer for initial state must be below the local funding amount")
        if not request.inputs or len(set(request.inputs)) != len(request.inputs):
            raise Refused("a channel is opened with inputs that are named once each")
        available = 0
        for outpoint in request.inputs:
            amount = node.wallet.spendable(outpoint)
            if amount is None:
                raise Refused(f"outpoint already spent or locked by another subsystem: {outpoint}")
            available += amount.value
        return self._change(request, available)

    def _change(self, request: OpenRequest, available: int) -> Sat:
        weight = BASE_WEIGHT + 2 * TAPROOT_OUTPUT_WEIGHT + INPUT_WEIGHT * len(request.inputs)
        needed = request.capacity.value + fee_of(weight, request.sat_per_kw)
        if available < needed:
            raise Refused(
                "not enough witness outputs to create funding transaction, "
                f"need {needed} sat only have {available} sat available"
            )
        return Sat(available - needed)

    async def _negotiate(self, request: OpenRequest, change: Sat, answer: asyncio.Future[Outpoint]) -> None:
        """The caller may be gone long before it ends. It dies, and frees the inputs, when the node is stopped."""
        try:
            await asyncio.sleep(0)
            fault = self._node.world.faults.take(self._node.node_id, NEGOTIATION)
            if fault is not None:
                await self._node.strike(fault)
            self._check_peer(request)
            funding = self._fund(request, change)
        except NodeError as error:
            if not answer.done():
                answer.set_exception(error)
        else:
            if not answer.done():
                answer.set_result(funding)
        finally:
            for outpoint in request.inputs:
                del self._locked[outpoint]

    def _check_peer(self, request: OpenRequest) -> None:
        """What the peer may refuse, as of now."""
        node, peer = self._node, self._node.world.nodes[request.peer]
        if not node.world.connected(node.node_id, peer.node_id):
            raise Refused(f"peer {peer.node_id} disconnected before the channel was funded")
        refusal = node.world.faults.refusal(peer.node_id)
        if refusal is not None:
            raise Refused(f"received funding error from {peer.node_id}: {refusal}")
        pending = sum(
            channel.state is ChannelState.PENDING and channel.opener == node.node_id
            for channel in peer.channels.values()
        )
        if pending >= peer.policy.max_pending_channels:
            raise Refused(f"received funding error from {peer.node_id}: Number of pending channels exceed maximum")
        offers = peer.zero_conf_offers.values()
        if request.zero_conf and not any(who == node.node_id and request.capacity >= least for who, least in offers):
            raise Refused(f"received funding error from {peer.node_id}: zero conf channels are not accepted")

    def _fund(self, request: OpenRequest, change: Sat) -> Outpoint:
        node, world = self._node, self._node.world
        outputs = [Output(request.capacity, world.payer.new_address())]
        if change >= _DUST:
            outputs.append(Output(change, node.wallet.new_address()))
        transaction = world.chain.new_transaction(request.inputs, tuple(outputs))
        node.wallet.send(transaction)
        funding = transaction.outpoint(FUNDING_OUTPUT)
        self._opened[transaction.txid] = _Funding(funding, request.peer)
        world.graph.add(
            SimulatedChannel(
                funding=funding,
                opener=node.node_id,
                peer=request.peer,
                capacity=request.capacity,
                pushed=request.push,
                private=request.private,
                zero_conf=request.zero_conf,
                confirmations=world.nodes[request.peer].policy.confirmations,
                balances={
                    node.node_id: (request.capacity - request.push).to_msat().value,
                    request.peer: request.push.to_msat().value,
                },
                aliases={node.node_id: world.graph.new_alias(), request.peer: world.graph.new_alias()},
                memo=request.memo,
            )
        )
        return funding
