"""What a call of the contract raises, and what it means for what was asked."""

from __future__ import annotations

from typing import TypeVar

from lsps.errors import LspsError

T = TypeVar("T")


class NodeError(LspsError):
    """Anything a node adapter raises."""


class NodeUnreachable(NodeError):
    """The node does not answer. What the call would have done is unknown."""


class PermissionMissing(NodeError):
    """The node refuses this credential the call; the text names the permission. Nothing happened."""


class PeerNotConnected(NodeError):
    """The peer is not connected, and no address to connect to is known or none answered. Nothing happened."""


class NotSupported(NodeError):
    """This node, or this adapter, cannot do it; the text says what to change. Nothing happened."""


class Refused(NodeError):
    """The node said no, for certain; nothing happened. The text carries its reason."""


class InvoiceNotHeld(Refused):
    """Settling failed for certain: no payment is held for this invoice (cancelled, expired, never paid)."""


class InvoiceAlreadySettled(Refused):
    """Cancelling failed for certain: the invoice is settled."""


def require(capability: T | None, name: str) -> T:
    """The capability, or NotSupported that names what is missing."""
    if capability is None:
        raise NotSupported(
            f"this needs a node for {name}: an LSP knows its customer by the identity of the node that pays and holds"
            " the channels. Name that one, such as lnd://…"
        )
    return capability
