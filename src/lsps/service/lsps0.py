"""LSPS0 as a service: which specifications are spoken here."""

from __future__ import annotations

from dataclasses import dataclass

from lsps.protocol import lsps0
from lsps.protocol.methods import NoParams
from lsps.units import NodeId


@dataclass(frozen=True, slots=True)
class Lsps0:
    protocols: tuple[int, ...]
    """Without 0 (bLIP-50, LSPS Specification Support Query)."""

    async def list_protocols(self, _peer: NodeId, _params: NoParams) -> lsps0.ListProtocolsResult:
        return lsps0.ListProtocolsResult(protocols=self.protocols)
