"""LSPS0 (bLIP-50): which specifications an LSP speaks."""

from __future__ import annotations

from lsps.protocol.fields import Uint32
from lsps.protocol.message import Message
from lsps.protocol.methods import Method, NoParams


class ListProtocolsResult(Message, frozen=True, kw_only=True):
    """Numbers of the specifications; LSPS0 itself is not listed."""

    protocols: tuple[Uint32, ...]


LIST_PROTOCOLS = Method(
    name="lsps0.list_protocols", params=NoParams, result=ListProtocolsResult, errors=(), idempotent=True
)

METHODS = (LIST_PROTOCOLS,)
