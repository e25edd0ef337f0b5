"""How much is in work, for each peer and in all. Counts are of what runs now, so nothing leaks at a disconnect."""

from __future__ import annotations

from collections import Counter

from lsps.protocol.jsonrpc import RequestId
from lsps.service.offer import Limits
from lsps.units import NodeId

TRY_AGAIN = "the LSP cannot answer this right now; try again in a minute"


class InWork:
    """Requests being answered. `begin` and `end` are always paired by the dispatcher."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._ids: dict[NodeId, set[RequestId]] = {}
        self._in_all = 0
        self._creating: Counter[NodeId] = Counter()

    def has(self, peer: NodeId, request_id: RequestId) -> bool:
        return request_id in self._ids.get(peer, ())

    def is_full(self, peer: NodeId, *, customer: bool) -> bool:
        """`customer`: a peer with a channel. Half of the room is kept for these: keys cost nothing, channels do."""
        of_peer = len(self._ids.get(peer, ()))
        room = self._limits.requests_in_all
        return of_peer >= self._limits.requests_per_peer or self._in_all >= (room if customer else -(-room // 2))

    def begin(self, peer: NodeId, request_id: RequestId) -> None:
        self._ids.setdefault(peer, set()).add(request_id)
        self._in_all += 1

    def end(self, peer: NodeId, request_id: RequestId) -> None:
        ids = self._ids[peer]
        ids.remove(request_id)
        if not ids:
            del self._ids[peer]
        self._in_all -= 1

    def creating(self, peer: NodeId, change: int) -> None:
        """An order of this peer is being created (+1), or no longer (-1): it counts with the unpaid ones."""
        self._creating[peer] += change
        if not self._creating[peer]:
            del self._creating[peer]

    def orders_in_creation(self, peer: NodeId) -> int:
        return self._creating[peer]

    def orders_in_creation_in_all(self) -> int:
        return self._creating.total()
