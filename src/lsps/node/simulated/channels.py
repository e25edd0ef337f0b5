"""A channel as both of its nodes share it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lsps.node.contract import Channel, ChannelState, Opener
from lsps.units import ChannelId, Msat, NodeId, Outpoint, Sat, Scid

if TYPE_CHECKING:
    from lsps.node.simulated.payments import Htlc

FUNDING_OUTPUT = 0


@dataclass(frozen=True, slots=True)
class Splice:
    """A funding output to be, and what a side adds (or takes out: negative) with it, in satoshi."""

    funding: Outpoint
    side: NodeId
    added: int


@dataclass(slots=True, eq=False)
class SimulatedChannel:
    """`balances` are each side's, in msat, without what is in flight; `aliases` what each side gave the other.

    `confirmations`: the depth at which it is open (or, 0-conf, at which its confirmed SCID is known), and at which a
    splice counts. `channel_id` stays what the first funding output made it (BOLT 2, splicing).
    """

    funding: Outpoint
    opener: NodeId
    peer: NodeId
    capacity: Sat
    pushed: Sat
    private: bool
    zero_conf: bool
    confirmations: int
    balances: dict[NodeId, int]
    aliases: dict[NodeId, Scid]
    memo: str = ""
    state: ChannelState = ChannelState.PENDING
    scid: Scid | None = None
    in_flight: dict[Htlc, Msat] = field(default_factory=dict)
    on_chain: dict[Htlc, Outpoint] | None = None
    """After a force-close: where each HTLC is that was in flight then."""
    splice: Splice | None = None
    channel_id: ChannelId = field(init=False)

    def __post_init__(self) -> None:
        self.channel_id = self.funding.channel_id()

    def other(self, node_id: NodeId) -> NodeId:
        return self.peer if node_id == self.opener else self.opener

    def seen_by(self, node_id: NodeId) -> Channel:
        other = self.other(node_id)
        negotiated = self.state is not ChannelState.PENDING
        return Channel(
            channel_id=self.channel_id,
            funding=self.funding,
            peer=other,
            state=self.state,
            opener=Opener.US if node_id == self.opener else Opener.PEER,
            capacity=self.capacity,
            local_balance=Msat(self.balances[node_id]).to_sat_floor(),
            remote_balance=Msat(self.balances[other]).to_sat_floor(),
            pushed=self.pushed,
            private=self.private,
            zero_conf=self.zero_conf,
            scid=self.scid,
            aliases=(self.aliases[node_id],) if negotiated else (),
            peer_alias=self.aliases[other] if negotiated else None,
            memo=self.memo if node_id == self.opener else "",
        )
