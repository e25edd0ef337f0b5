"""What can be made to go wrong. Every way a user can hurt a simulated node is here, or is `stop` and `disconnect`."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from lsps.errors import LspsError
from lsps.node.contract import NodeError, NodeUnreachable
from lsps.units import NodeId

CALLS = frozenset(
    {
        "info",
        "messages.send",
        "messages.connect",
        "messages.peer",
        "invoices.add_hold",
        "invoices.settle",
        "invoices.cancel",
        "invoices.lookup",
        "payments.pay",
        "payments.lookup",
        "channels.list",
        "channels.open",
        "channels.fate",
        "channels.accept_zero_conf",
        "wallet.inputs",
        "wallet.feerate",
        "wallet.new_address",
        "wallet.deposits",
        "wallet.sign",
        "wallet.publish",
    }
)
"""The calls of contract.Node, as faults name them."""

NEGOTIATION = "negotiation"
"""Inside `channels.open`: the inputs are locked, the two nodes are talking, nothing is broadcast."""

ATTEMPT = "attempt"
"""Inside `payments.pay`: the payment is recorded as in flight, nothing is sent."""

PLACES = CALLS | {NEGOTIATION, ATTEMPT}


class UnknownPlace(LspsError, ValueError):
    """A fault was asked for at a call that does not exist."""


@dataclass(slots=True)
class Fault:
    """Wait so many seconds (None: for ever), then raise the error if there is one."""

    seconds: float | None
    error: NodeError | None
    times: int


class Faults:
    """Faults by node, place and moment; each strikes `times` times, in the order in which they were asked for.

    A place is a call's name ("channels.open"), or one of the two moments inside a call that outlive its caller:
    "negotiation" and "attempt". `before=True` strikes before the call reaches the node: nothing has happened.
    `before=False` strikes on the answer's way back: what the call does is done, and the caller does not learn it.
    """

    def __init__(self) -> None:
        self._faults: dict[tuple[NodeId, str, bool], deque[Fault]] = {}
        self._refusals: dict[NodeId, str] = {}

    def fail_next(
        self, node_id: NodeId, place: str, *, before: bool = True, error: NodeError | None = None, times: int = 1
    ) -> None:
        """The next call raises `error` (NodeUnreachable unless another is given)."""
        lost = NodeUnreachable("the simulated node did not answer (a fault that was asked for)")
        self._add(node_id, place, before, Fault(0, error or lost, times))

    def delay_next(self, node_id: NodeId, place: str, seconds: float, *, before: bool = True, times: int = 1) -> None:
        """The next call takes so many seconds of the simulation's clock."""
        self._add(node_id, place, before, Fault(seconds, None, times))

    def hang_next(self, node_id: NodeId, place: str, *, before: bool = True, times: int = 1) -> None:
        """The next call never answers; only cancelling it, or stopping the node, ends it."""
        self._add(node_id, place, before, Fault(None, None, times))

    def refuse_channels(self, node_id: NodeId, reason: str = "channels are not accepted now") -> None:
        """From now on this node refuses every channel that a peer wants to open with it."""
        self._refusals[node_id] = reason

    def clear(self, node_id: NodeId) -> None:
        """Forget this node's faults that have not struck, and its refusal of channels."""
        for key in [key for key in self._faults if key[0] == node_id]:
            del self._faults[key]
        self._refusals.pop(node_id, None)

    def take(self, node_id: NodeId, place: str, *, before: bool = True) -> Fault | None:
        """The fault that strikes here now."""
        if not self._faults:
            return None
        key = (node_id, place, before)
        waiting = self._faults.get(key)
        if not waiting:
            return None
        fault = waiting[0]
        fault.times -= 1
        if fault.times <= 0:
            waiting.popleft()
            if not waiting:
                del self._faults[key]
        return fault

    def refusal(self, node_id: NodeId) -> str | None:
        return self._refusals.get(node_id)

    def _add(self, node_id: NodeId, place: str, before: bool, fault: Fault) -> None:
        if place not in PLACES:
            raise UnknownPlace(f"there is no call {place!r}; choose one of {', '.join(sorted(PLACES))}")
        if not before and place not in CALLS:
            raise UnknownPlace(f"{place!r} is a moment inside a call; leave before=True")
        self._faults.setdefault((node_id, place, before), deque()).append(fault)
