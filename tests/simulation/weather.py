"""A world whose connections can lose, delay, repeat and reorder messages, one by one, as the story says.

A Lightning connection does none of that by itself; nodes and their custom-message streams do all of it to programs that
use them: what came while a stream was down is lost, and what a busy node hands over late may be answered late.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass
from enum import Enum
from random import Random

from lsps.node.simulated.faults import Fault, Faults
from lsps.node.simulated.network import World
from lsps.units import NodeId
from tests.simulation.clock import SimulatedClock
from tests.simulation.loop import MICRO, SimulatedLoop

_PATIENCE = 61 * MICRO
"""The service waits no longer for any call."""

_HELD_BACK_AT_MOST = 5.0
"""Seconds that a message waits for another one to overtake it."""


class Fate(Enum):
    LOST = "is lost"
    LATE = "comes late"
    TWICE = "comes twice"
    OVERTAKEN = "is overtaken by the next one"


@dataclass(frozen=True, slots=True)
class Doom:
    """What happens to the next message that one node sends another. `seconds` is how late it, or its copy, comes."""

    fate: Fate
    seconds: float


class WatchedFaults(Faults):
    """`unanswered` says until when, in microseconds, calls of a node may go without their answer."""

    def __init__(self, loop: SimulatedLoop) -> None:
        super().__init__()
        self.unanswered: dict[NodeId, int] = {}
        self._loop = loop

    def take(self, node_id: NodeId, place: str, *, before: bool = True) -> Fault | None:
        fault = super().take(node_id, place, before=before)
        if fault is not None:
            self.unanswered[node_id] = self._loop.micros + _PATIENCE
        return fault

    def wait_at(self, node_id: NodeId) -> bool:
        """Whether a fault is still to strike at the node, or has struck a call that may still be waited for."""
        waiting = any(who == node_id for who, *_ in self._faults)
        return waiting or self._loop.micros < self.unanswered.get(node_id, 0)


class WeatheredWorld(World):
    def __init__(self, clock: SimulatedClock, random: Random, loop: SimulatedLoop) -> None:
        super().__init__(clock, random)
        self._loop = loop
        self.faults: WatchedFaults = WatchedFaults(loop)
        self._dooms: defaultdict[tuple[NodeId, NodeId], deque[Doom]] = defaultdict(deque)
        self._overtaken: dict[tuple[NodeId, NodeId], bytes] = {}

    def doom(self, sender: NodeId, receiver: NodeId, doom: Doom) -> None:
        self._dooms[sender, receiver].append(doom)

    def clear_up(self) -> None:
        """Good weather from now on."""
        self._dooms.clear()

    def send(self, sender: NodeId, receiver: NodeId, payload: bytes) -> None:
        way = sender, receiver
        dooms = self._dooms.get(way)
        overtaken = self._overtaken.pop(way, None)
        if not dooms or not self.connected(sender, receiver):
            super().send(sender, receiver, payload)
        else:
            self._strike(way, payload, dooms.popleft())
        if overtaken is not None:
            self._send_later(way, overtaken, 0)

    def _strike(self, way: tuple[NodeId, NodeId], payload: bytes, doom: Doom) -> None:
        match doom.fate:
            case Fate.LOST:
                pass
            case Fate.LATE:
                self._send_later(way, payload, doom.seconds)
            case Fate.TWICE:
                super().send(*way, payload)
                self._send_later(way, payload, doom.seconds)
            case Fate.OVERTAKEN:
                self._overtaken[way] = payload
                self._loop.call_later(_HELD_BACK_AT_MOST, self._nothing_overtook, way, payload)

    def _nothing_overtook(self, way: tuple[NodeId, NodeId], payload: bytes) -> None:
        if self._overtaken.get(way) is payload:
            del self._overtaken[way]
            self._send_later(way, payload, 0)

    def _send_later(self, way: tuple[NodeId, NodeId], payload: bytes, seconds: float) -> None:
        """Over this connection, or never."""
        connection = self._connections.get(min(way, way[::-1]))
        send = super().send

        def arrive() -> None:
            if connection is not None and self._connections.get(min(way, way[::-1])) is connection:
                send(*way, payload)

        self._loop.call_later(seconds, arrive)
